"""What is wrong with one file: it is read, put together with every file it speaks of, and nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from isletsim.faults import InputError
from isletsim.layers import superpose
from isletsim.library import read_stack
from isletsim.model import ModelFile
from isletsim.patient import bind_patient, read_patient
from isletsim.places import find
from isletsim.study import load_scenario

__all__ = ["alternatives", "check_file", "surroundings"]


def check_file(kind: str, path: Path) -> None:
    """Check a model, patient or scenario file; raises `InputError` with every fault."""
    if kind == "scenario":
        load_scenario(path)
    elif kind == "model":
        for stack in alternatives([path]):
            superpose(stack)
    else:
        patient = read_patient(path)
        named = [name.partition(".")[0] for name in patient.named if "." in name]
        files = [*dict.fromkeys([*patient.core, *named, *patient.layers])]
        bind_patient(patient, superpose(read_stack(files) if patient.core else surroundings(files)))


def surroundings(wanted: Iterable[str | Path]) -> list[ModelFile]:
    """The files, what they use, and what they add to or scale: the largest stack that they can stand in."""
    return max(alternatives(wanted), key=len)


def alternatives(wanted: Iterable[str | Path]) -> list[list[ModelFile]]:
    """The stacks that files can stand in, as far as the library has their targets.

    A therapy may act on several cores that exclude one another; cores that share no file make stacks of their own.
    """
    given = list(wanted)
    base = {file.name: file for file in read_stack(given)}
    groups: list[dict[str, ModelFile]] = []
    for name in sorted(_targets(base.values()) - set(base)):
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
        try:
            found = find("model", following)
        except InputError:  # a target that nobody has is skipped, as in a scenario
            continue
        grown |= {file.name: file for file in read_stack([found]) if file.name not in base}
        waiting += sorted(_targets(grown.values()) - asked)
    return grown
