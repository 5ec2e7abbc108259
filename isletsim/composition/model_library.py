"""Stacks by name: files are found, read, composed, and the composition remembered as long as no file has changed.

The memory is an entry of the user's cache, named by what was asked for and by the text of this package; it lists the
content of every file it was made from. So an edit in any file is noticed, and a warm start composes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from isletsim import cache as store
from isletsim.composition import RECORDS, superpose
from isletsim.composition.compose import Composition
from isletsim.data_files import data_folder, find, own_file
from isletsim.errors import Fault, InputError
from isletsim.language import ModelFile, read_model
from isletsim.serialization import decode, encode

__all__ = ["compose_stack", "package_fingerprint", "read_stack", "remembered"]

Made = TypeVar("Made")


@cache
def package_fingerprint() -> str:
    """A name made of the text of this package and its units: what it remembers is worth nothing to another text."""
    package = Path(__file__).resolve().parents[1]
    files = sorted([*package.rglob("*.py"), data_folder("models") / "units.txt"])
    return store.fingerprint(*(file.read_bytes() for file in files))


def remembered(
    kind: str, asked: str, make: Callable[[], tuple[Made, Iterable[Path]]], classes: Iterable[type] = ()
) -> Made:
    """Return what `make` gives, from the cache when none of the files it depends on has changed.

    Parameters
    ----------
    asked : says what is wanted; part of the name of the entry.
    make : gives the value and the files it depends on; a file that is absent counts too, because it may appear.
    classes : records that the value is made of (`isletsim.serialization`).
    """
    name = store.fingerprint(kind, asked, package_fingerprint())
    listed = tuple(classes)
    data = store.load(kind, name)
    if data is not None:
        files, _, content = data.partition(b"\n")
        try:
            if all(_content(Path(path)) == known for path, known in json.loads(files)):
                return decode(content, listed)  # type: ignore[no-any-return]
        except ValueError:  # made by another version
            pass
    made, paths = make()
    listing = [(str(path.absolute()), _content(path)) for path in paths]
    store.save(kind, name, json.dumps(listing).encode() + b"\n" + encode(made, listed))
    return made


def _content(path: Path) -> str:
    try:
        return store.fingerprint(path.read_bytes())
    except OSError:
        return ""


def read_stack(wanted: Iterable[str | Path], follow: bool = True) -> list[ModelFile]:
    """The model files of a stack.

    Parameters
    ----------
    wanted : names or paths of model files.
    follow : also read the files they announce under `[uses]`, found beside them or by name.

    Raises
    ------
    InputError : the faults of all files together.
    """
    return _read(wanted, follow)[0]


def _read(wanted: Iterable[str | Path], follow: bool) -> tuple[list[ModelFile], list[Path]]:
    """The model files of a stack, and every place where one of them was looked for."""
    files: dict[str, ModelFile] = {}
    faults: list[Fault] = []
    looked: list[Path] = []
    waiting: list[Path] = []

    def meet(name: str | Path, place: str = "") -> None:
        try:
            waiting.append(find("model", name))
        except InputError as reason:
            faults.extend(Fault(place, fault.message, fault.cure) if place else fault for fault in reason.faults)

    for each in wanted:
        meet(each)
    rooms = list(dict.fromkeys(path.parent for path in waiting))  # of what was asked for; they come first
    asked = {path.stem for path in waiting}
    while waiting:
        path = waiting.pop(0)
        looked.append(path)
        if path.stem in files:
            if files[path.stem].path.resolve() != path.resolve():
                message = f'another file of the stack is called "{path.stem}" too.'
                faults.append(Fault(str(path), message, "Rename one."))
            continue
        try:
            file = files[path.stem] = read_model(path)
        except InputError as reason:
            faults.extend(reason.faults)
            continue
        for used in file.uses if follow else ():
            near = [path.parent, *rooms] if path.parent in rooms else [*rooms, path.parent]
            looked += [room / f"{used}.toml" for room in near]
            if used not in files and used not in asked:
                own = next(filter(None, (own_file(used, room) for room in near)), None)
                meet(own or used, file.document.place(("uses", used)))
    if faults:
        raise InputError(dict.fromkeys(faults))
    return list(files.values()), list(dict.fromkeys(looked))


def compose_stack(
    wanted: Iterable[str | Path], outputs: Iterable[str] | None = None, follow: bool = True
) -> Composition:
    """The composition of a stack of files, remembered; the parameters are those of `superpose` and `read_stack`."""
    names = [str(each) for each in wanted]
    kept = None if outputs is None else list(dict.fromkeys(outputs))
    # The same words mean other files in another checkout, and relative paths in another folder.
    where = [str(data_folder("models"))] + [str(Path.cwd())] * any(each.endswith(".toml") for each in names)

    def make() -> tuple[Composition, list[Path]]:
        files, looked = _read(names, follow)
        return superpose(files, kept), looked

    return remembered("plan", repr((names, where, kept, follow)), make, RECORDS)
