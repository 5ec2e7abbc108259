"""What people read of the equations: a model, a patient or a study as a page for a terminal, and its references.

Everything is read from the files themselves; nothing is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from isletsim.bibliography import citation, read
from isletsim.cli.show.listing import Ink, paragraph
from isletsim.cli.show.pages import PAGES, model_pages, models_of
from isletsim.cli.show.thing import holders, thing_page
from isletsim.composition import superpose
from isletsim.data_files import find, find_any
from isletsim.data_files import listing as files_of
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import ModelFile, read_document
from isletsim.study import load_scenario
from isletsim.study.check import surroundings

__all__ = ["citations", "cite", "show_file", "show_model", "show_named", "show_source", "sources"]

METHODS = {"stiff": "Steinebach2023", "explicit": "Hairer1993"}  # whose methods integrate


def show_named(name: str, colour: bool | None = None) -> str:
    """What a name or path means, as text: a file, or a thing of a model as FILE.THING; `colour` as in `show_model`."""
    file, _, thing = name.rpartition(".")
    path = dict(files_of("model")).get(file)
    if path is not None:
        return "\n".join(thing_page(path, thing, _ink(colour)))
    try:
        return show_file(*find_any(name), colour)
    except InputError:
        places = holders(name)
        if not places:
            raise
        cure = "Say which: " + ", ".join(f"isletsim show {each}" for each in places) + "."
        raise InputError(Fault(name, "This is no file; files hold something of this name.", cure)) from None


def show_file(kind: str, path: Path, colour: bool | None = None) -> str:
    """A model, patient, virtual test or scenario as text; `colour` as in `show_model`."""
    keys = sources(kind, path) if kind == "scenario" else _keys(read_document(path).data)
    return _page(PAGES[kind](path, _ink(colour)), keys, colour)


def show_model(names: Sequence[str | Path], colour: bool | None = None) -> str:
    """The equations of a stack of models, with units, sources and grades.

    Parameters
    ----------
    names : models by name or by path. Files that they borrow from lend letters and units, but are not shown.
    colour : emphasis by colours; None asks whether stdout is a terminal, and NO_COLOR.
    """
    paths = [find("model", name) for name in names]
    keys = [key for path in paths for key in sources("model", path)]
    return _page(model_pages(paths, _ink(colour)), keys, colour)


def show_source(kind: str, path: Path) -> str:
    """The equations of a model, or of a scenario's whole stack, as plain NumPy: the reference of the compiled code."""
    from isletsim.codegen import numpy_source

    composition = (
        load_scenario(path).composition if kind == "scenario" else superpose(surroundings(models_of(kind, path)))
    )
    parts = [composition.flat]
    if composition.clocks is not None:
        parts = [composition.clocks.day, composition.clocks.life]
    return "\n\n".join(numpy_source(part) for part in parts)


def _ink(colour: bool | None) -> Ink:
    if colour is None:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Ink(colour)


def _page(lines: Iterable[str], keys: Iterable[str], colour: bool | None) -> str:
    """Lines, and the references they stand on; a key that the bibliography lacks stands in the lines alone."""
    known = read()
    wanted = [key for key in dict.fromkeys(keys) if key in known]
    references = [line for key in wanted for line in _hanging(cite([key]))]
    head = [_ink(colour).heading("References")] if wanted else []
    return "\n".join([*lines, *head, *references])


def _hanging(text: str) -> list[str]:
    first, *rest = paragraph(text, 4)
    return [first[2:], *rest]


# --- references -------------------------------------------------------------------------------------------------------


def citations(files: Iterable[ModelFile]) -> list[str]:
    """The keys of every source that model files name, in the order of first mention."""
    return list(dict.fromkeys(key for file in files for key in _keys(file.document.data)))


def sources(kind: str, path: Path) -> list[str]:
    """The keys of every source that a model, a patient, a virtual test or a scenario names, with all it needs."""
    if kind != "scenario":
        pages = [path] if kind == "model" else [path, *models_of(kind, path)]
        return list(dict.fromkeys(key for each in pages for key in _keys(read_document(each).data)))
    scenario = load_scenario(path)
    named = [key for each in scenario.files for key in _keys(read_document(each).data)]
    return list(dict.fromkeys([*named, METHODS[scenario.plan.method]]))


def cite(keys: Iterable[str]) -> str:
    """Formatted references, one in each line; an `InputError` names every key that the bibliography lacks."""
    known, wanted = read(), list(dict.fromkeys(keys))
    message = "This source is not in the bibliography."
    faults = [Fault(key, message, did_you_mean(key, known)) for key in wanted if key not in known]
    if faults:
        raise InputError(faults)
    return "\n".join(f"{key}: {citation(known[key])}" for key in wanted)


def _keys(value: Any) -> Iterator[str]:
    """Every text under a key ``source``, wherever it stands."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "source" and isinstance(inner, str):
                yield inner
            else:
                yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
