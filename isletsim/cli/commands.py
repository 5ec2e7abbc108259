"""The command line: data on stdout, messages on stderr; exit 0 done, 1 a run failed, 2 wrong input, 130 interrupted.

Every command imports what it needs when it is called, so that help answers at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from isletsim.cli import evidence, exchange, explore, files, outcomes, run  # noqa: F401 - each adds its commands to the group
from isletsim.cli.group import DONE, FAILED, INTERRUPTED, WRONG_INPUT, commands
from isletsim.errors import InputError, RunError

__all__ = ["commands", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The program ``isletsim``; ends the process with the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters is no reason to stop
    status = _outcome(arguments)
    try:
        sys.stdout.flush()
    except OSError as reason:
        status = _lost(reason, status)
    sys.exit(status)


def _lost(reason: OSError, status: int) -> int:
    """Go on without standard output: a closed pipe (``| head``) is no failure, a full disk is one."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that nothing is written when the interpreter ends
    if isinstance(reason, BrokenPipeError):
        return status
    return _say(f"Standard output cannot be written: {reason}.", FAILED)


def _outcome(arguments: Sequence[str] | None) -> int:
    output = sys.stdout
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
    except SystemExit:
        if sys.stdout is output:
            raise
        sys.stdout = output  # click replaces a closed pipe, and ends with 1
        return _lost(BrokenPipeError(), DONE)
    except OSError as reason:
        if reason.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        return _lost(reason, FAILED)
    return status if isinstance(status, int) else DONE


def _say(text: str, status: int) -> int:
    click.echo(text, err=True)
    return status
