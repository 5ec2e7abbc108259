"""The command line: data on stdout, messages on stderr; exit 0 done, 1 a run failed, 2 wrong input, 130 interrupted.

Every command imports what it needs when it is called, so that help answers at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from isletsim.cli import evidence, exchange, explore, files, run  # noqa: F401 - each adds its commands to the group
from isletsim.cli.group import DONE, FAILED, INTERRUPTED, WRONG_INPUT, commands
from isletsim.errors import InputError, RunError

__all__ = ["commands", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The program ``isletsim``; ends the process with the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters is no reason to stop
    sys.exit(_outcome(arguments))


def _outcome(arguments: Sequence[str] | None) -> int:
    try:
        status = commands.main(arguments, prog_name="isletsim", standalone_mode=False)
    except InputError as wrong:
        return _say(str(wrong), WRONG_INPUT)
    except RunError as failure:
        return _say(str(failure), FAILED)
    except click.ClickException as wrong:
        wrong.show()
        return WRONG_INPUT
    except (click.Abort, KeyboardInterrupt):
        return _say("Interrupted.", INTERRUPTED)
    return status if isinstance(status, int) else DONE


def _say(text: str, status: int) -> int:
    click.echo(text, err=True)
    return status
