"""What is wrong with one file: it is read, put together with every file it speaks of, and nothing is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from isletsim.faults import InputError
from isletsim.layers import superpose
from isletsim.library import read_stack
from isletsim.model import ModelFile
from isletsim.patient import bind_patient, read_patient
from isletsim.places import find
from isletsim.study import load_scenario

__all__ = ["check_file", "surroundings"]


def check_file(kind: str, path: Path) -> None:
    """Check a model, patient or scenario file; raises `InputError` with every fault."""
    if kind == "scenario":
        load_scenario(path)
    elif kind == "model":
        superpose(surroundings([path]))
    else:
        patient = read_patient(path)
        named = [name.partition(".")[0] for name in patient.named if "." in name]
        files = [*dict.fromkeys([*patient.core, *named, *patient.layers])]
        bind_patient(patient, superpose(surroundings(files)))


def surroundings(wanted: Iterable[str | Path]) -> list[ModelFile]:
    """The files, what they use, and what they add to or scale, as far as the library has it."""
    files = {file.name: file for file in read_stack(wanted)}
    asked: set[str] = set()
    while True:
        spoken_of = {target.partition(".")[0] for file in files.values() for target, _ in (*file.adds, *file.scales)}
        missing = sorted(spoken_of - set(files) - asked)
        if not missing:
            return list(files.values())
        asked |= set(missing)
        for name in missing:
            try:
                found = find("model", name)
            except InputError:  # a target that nobody has is skipped, as in a scenario
                continue
            files |= {file.name: file for file in read_stack([found]) if file.name not in files}
