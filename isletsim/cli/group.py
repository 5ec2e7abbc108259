"""The group of commands, and what several of them share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from isletsim import __version__
from isletsim.errors import Fault, InputError

__all__ = ["DONE", "FAILED", "INTERRUPTED", "WRONG_INPUT", "changes_of", "commands", "make_folder", "progress_line"]

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


# NO_COLOR (no-color.org) turns colours off; otherwise click drops them where the output is no terminal.
_SETTINGS = {"help_option_names": ["-h", "--help"], "color": False if os.environ.get("NO_COLOR") else None}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """A mechanistic simulator of type 1 and type 2 diabetes.

    \b
    isletsim run t2d_msc -o out       a study: table, figures and data into out/
    isletsim explore                  a page with sliders, in the browser
    isletsim list                     what there is to run and to show
    isletsim show topp2000            the equations of a model, its units and sources
    isletsim check my/scenario.toml   what is wrong with a file, and how to mend it

    For research and teaching; no treatment decisions.
    """


def changes_of(texts: Sequence[str]) -> dict[str, str]:
    """What ``--set`` asked for: the parameter or start value, and its new quantity."""
    faults = [
        Fault(f"--set {text}", "Expected PATH=VALUE.", 'For example --set msc.potency="0.8".')
        for text in texts
        if not all(part.strip() for part in text.partition("="))
    ]
    if faults:
        raise InputError(faults)
    pairs = (text.partition("=") for text in texts)
    return {path.strip(): value.strip() for path, _, value in pairs}


def progress_line(name: str, quiet: bool) -> Callable[[int, int], None] | None:
    """What is told of long work: one line on stderr that counts, in a terminal only."""
    if quiet or not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        click.echo(f"\r{name}: {done} of {total}", err=True, nl=done >= total)

    return tell


def make_folder(option: str, folder: Path | None) -> None:
    """Make a folder of results before anything is run, so that no work is lost at a closed door."""
    if folder is None:
        return
    from tempfile import TemporaryFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as reason:
        found = "a file" if folder.is_file() else (reason.strerror or str(reason)).lower()
        raise InputError(Fault(f"{option} {folder}", f"This folder cannot be written: {found}.")) from None
