"""One thing of one file by itself: what it is, what it is made of, and who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from isletsim.cli.show.listing import Ink, Shelf, columns, listing, paragraph
from isletsim.composition import superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import data_folder
from isletsim.data_files import listing as files_of
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import ModelFile, names, read_model

__all__ = ["holders", "thing_page"]

APART = "day"  # a room whose models have the names of other rooms


def holders(name: str) -> list[str]:
    """Return the entries of the package's own models that have this name, as FILE.ENTRY."""
    own = [(label, read_model(path)) for label, path in files_of("model") if _is_own(path)]
    return [f"{label}.{name}" for label, file in own if name in file.entries]


def thing_page(path: Path, name: str, ink: Ink) -> Iterator[str]:
    """A state, rate, quantity or parameter: its law with all that joins it, the balances it is in, and its readers."""
    shelf, file = _shelf(path, ink)
    if name not in file.entries:
        message = f'{file.name} has no "{name}".'
        raise InputError(Fault(f"{file.name}.{name}", message, did_you_mean(name, file.entries)))
    entry, whole = file.entries[name], f"{file.name}.{name}"
    head = f"{whole}: a {entry.kind} of {file.title}"
    yield from (ink.heading(line) for line in (head, "━" * len(head)))
    balance = {state: terms for state, terms in file.balance.items() if name in (state, *(term.name for term in terms))}
    equation = [] if entry.equation is None else sorted(names(entry.equation.tree) - {"time"})
    wanted = [name, *(each for each in equation if "." not in each)]
    alone = {each: file.entries[each] for each in dict.fromkeys(wanted) if each in file.entries}
    yield from listing(shelf, replace(file, entries=alone, balance=balance, adds=(), scales=(), ports={}, reports={}))
    borrowed = [(each, *_said(shelf, each)) for each in equation if "." in each]
    if borrowed:
        yield from ("", ink.heading("Borrowed"), *columns(ink, ("name", "kind", "meaning"), borrowed))
    readers = list(_readers(whole, path))
    if readers:
        yield from ("", ink.heading("Read by"), *columns(ink, ("name", "kind", "meaning"), readers))
    yield ""
    yield from paragraph(f"The whole file: isletsim show {file.name}", 0)


def _shelf(path: Path, ink: Ink) -> tuple[Shelf, ModelFile]:
    """The file among those it uses; where it is one of our own, also among all that act on it."""
    base = read_stack([path])
    file, known = base[0], {each.name for each in base}
    acting = [each for each in _own(path) if each.name not in known and _acts_on(each, file.name)]
    files = {each.name: each for each in [*base, *acting]} if _is_own(path) else {}
    return Shelf(files or {each.name: each for each in base}, superpose(base), ink), file


def _acts_on(file: ModelFile, other: str) -> bool:
    return any(target.partition(".")[0] == other for target, _ in (*file.adds, *file.scales))


def _own(beside: Path) -> list[ModelFile]:
    """Return the package's own models that can stand in one stack with a file, without the published ones.

    The models of the room `day` are another set than those of the other rooms, and share names with them.
    """
    paths = [path for _, path in files_of("model") if _is_own(path)]
    alike = [path for path in paths if (path.parent.name == APART) == (beside.parent.name == APART)]
    return read_stack(alike, follow=False)


def _is_own(path: Path) -> bool:
    room = path.parent
    return room.parent == data_folder("models") and room.name != "published"


def _said(shelf: Shelf, whole: str) -> tuple[str, str]:
    other, _, name = whole.partition(".")
    entry = shelf.files[other].entries[name]
    return entry.kind, entry.note.about


def _readers(whole: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Everything of our own files whose law reads a thing."""
    owner, _, name = whole.partition(".")
    for file in _own(path):
        spelled = name if file.name == owner else whole
        for entry in file.entries.values():
            if entry.equation is not None and spelled in names(entry.equation.tree):
                yield f"{file.name}.{entry.name}", entry.kind, entry.note.about
