"""The terms of a balance, as the model files of a stack write it: what fills a quantity and what empties it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from isletsim.composition.model_library import read_stack
from isletsim.language import ModelFile, signed_terms
from isletsim.study import Scenario

__all__ = ["ExplainedTerm", "model_files", "terms_of"]


@dataclass(frozen=True)
class ExplainedTerm:
    """One signed rate of a balance, by its whole name, and what it is."""

    name: str
    sign: float
    label: str


def model_files(scenario: Scenario) -> dict[str, ModelFile]:
    """Return the model files of a scenario's stack, by name."""
    wanted: dict[str, Path] = {}
    for path in scenario.files[1:]:  # models come first; a test may have the name of one
        if path.stem in scenario.composition.files:
            wanted.setdefault(path.stem, path)
    return {each.name: each for each in read_stack(wanted.values(), follow=False)}


def terms_of(scenario: Scenario, wanted: Iterable[str]) -> Mapping[str, tuple[ExplainedTerm, ...]]:
    """Return the terms of each balance that the stack has, and none for the others."""
    files = model_files(scenario)
    return {each: tuple(_terms(files, each)) for each in wanted}


def _terms(files: Mapping[str, ModelFile], whole: str) -> Iterable[ExplainedTerm]:
    owner, _, state = whole.partition(".")
    if owner not in files or state not in files[owner].balance:
        return
    written = [(files[owner], term) for term in files[owner].balance[state]]
    for other in files.values():
        written += [
            (other, term) for target, law in other.adds if target == whole for term in signed_terms(other.document, law)
        ]
    for file, term in written:
        holder, _, name = term.name.rpartition(".")
        source = files.get(holder or file.name)
        if source is None or name not in source.entries:
            continue
        about = source.entries[name].note.about or name.replace("_", " ")
        yield ExplainedTerm(f"{source.name}.{name}", term.sign, about)


def own_path(name: str, scenario: Scenario) -> Path | None:
    """Return the file of a model of the stack."""
    return next((path for path in scenario.files if path.stem == name), None)
