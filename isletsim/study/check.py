"""What is wrong with one file: it is read, put together with every file it speaks of, and nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isletsim.bibliography import everything
from isletsim.bibliography import read as read_references
from isletsim.challenges import ChallengeFile, bind_challenge, read_challenge
from isletsim.composition import superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import find, listing, own_file
from isletsim.errors import InputError, did_you_mean
from isletsim.language import ModelFile, read_document
from isletsim.patient import PatientFile, bind_patient, read_patient
from isletsim.study import load_scenario

__all__ = ["alternatives", "check_file", "files_of_challenge", "files_of_patient", "source_warnings", "surroundings"]


def check_file(kind: str, path: Path) -> None:
    """Check a model, patient, virtual test or scenario; raises `InputError` with every fault."""
    if kind == "scenario":
        load_scenario(path)
    elif kind == "model":
        for stack in alternatives([path]):
            superpose(stack)
    elif kind == "challenge":
        test = read_challenge(path)
        bind_challenge(test, superpose(surroundings(files_of_challenge(test))))
    else:
        patient = read_patient(path)
        files = files_of_patient(patient)
        bind_patient(patient, superpose(read_stack(files) if patient.core else surroundings(files)))


def source_warnings(path: Path) -> list[str]:
    """Return a sentence for every source of a file that no bibliography has; `cite` cannot print those.

    The bibliographies are the package's own, and a `references.bib` beside the file.
    """
    known = dict(everything())
    beside = path.parent / "references.bib"
    if beside.is_file():
        known |= read_references(beside)
    warnings = []
    for place, key in _cited(read_document(path).data, ()):
        if key not in known:
            cure = did_you_mean(key, known) or f"Add it to {beside}."
            warnings.append(f'{path.name}, {place}: the source "{key}" is in no bibliography. {cure}')
    return warnings


def _cited(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every source in the data of a file, and the keys that lead there."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key == "source" and isinstance(inner, str) and inner:
            yield ".".join(keys) or "source", inner
        else:
            yield from _cited(inner, (*keys, str(key)))


def files_of_patient(patient: PatientFile) -> list[str]:
    """The models that a patient speaks of."""
    own = {Path(name).stem for name in patient.core}
    named = [name.partition(".")[0] for name in patient.named if "." in name]
    return [*dict.fromkeys([*patient.core, *(name for name in named if name not in own), *patient.layers])]


def files_of_challenge(test: ChallengeFile) -> list[str]:
    """The models that a virtual test speaks of."""
    data = test.document.data
    listed = {key: table for key, table in data.items() if isinstance(table, list)}  # what is no list is a fault
    given = [
        str(each.get(key, ""))
        for table, key in (("doses", "into"), ("day", "into"), ("courses", "input"))
        for each in listed.get(table, [])
        if isinstance(each, dict)
    ]
    named = [name.partition(".")[0] for name in (*test.shown, *given) if "." in name]
    return _of_one_room(dict.fromkeys([*named, *test.layers]))


def _of_one_room(names: Iterable[str]) -> list[str]:
    """Names that several rooms have as the files of the room that one of the others needs."""
    rooms: dict[str, set[str]] = {}
    for _, path in listing("model"):
        rooms.setdefault(path.stem, set()).add(path.parent.name)
    listed = list(names)
    several = [name for name in listed if len(rooms.get(name, ())) > 1]
    needed = sorted({room for name in listed if name not in several for room in rooms.get(name, ())})
    fitting = [room for room in needed if all(room in rooms[name] for name in several)]
    return [f"{fitting[0]}/{name}" if fitting and name in several else name for name in listed]


def surroundings(wanted: Iterable[str | Path]) -> list[ModelFile]:
    """The files, what they use, and what they add to or scale where nothing of that is among them already."""
    base = {file.name: file for file in read_stack(wanted)}
    homeless = [file for file in base.values() if not _targets([file]) & set(base)]
    return max(_stacks(base, _targets(homeless)), key=len)


def alternatives(wanted: Iterable[str | Path]) -> list[list[ModelFile]]:
    """The stacks that files can stand in, with all that they act on, as far as the library has it.

    A therapy may act on several cores that exclude one another; cores that share no file make stacks of their own.
    """
    base = {file.name: file for file in read_stack(wanted)}
    return _stacks(base, _targets(base.values()))


def _stacks(base: Mapping[str, ModelFile], targets: Iterable[str]) -> list[list[ModelFile]]:
    groups: list[dict[str, ModelFile]] = []
    for name in sorted(set(targets) - set(base)):
        group = _grown(name, base)
        for other in [each for each in groups if each.keys() & group.keys()]:
            groups.remove(other)
            group |= other
        if group:
            groups.append(group)
    return [[*base.values(), *(group[name] for name in sorted(group))] for group in groups or [{}]]


def _targets(files: Iterable[ModelFile]) -> set[str]:
    return {target.partition(".")[0] for file in files for target, _ in (*file.adds, *file.scales)}


def _grown(name: str, base: Mapping[str, ModelFile]) -> dict[str, ModelFile]:
    """A file with all that it uses and acts on, without the base; empty when the library does not have it."""
    grown: dict[str, ModelFile] = {}
    waiting, asked = [name], set(base)
    while waiting:
        following = waiting.pop()
        if following in asked:
            continue
        asked.add(following)
        beside = [own_file(following, file.path.parent) for file in base.values()]
        try:
            found = next((path for path in beside if path), None) or find("model", following)
        except InputError:  # a target that nobody has is skipped, as in a scenario
            continue
        grown |= {file.name: file for file in read_stack([found]) if file.name not in base}
        waiting += sorted(_targets(grown.values()) - asked)
    return grown
