"""What people read of the equations: a model, a patient or a study as a page for a terminal, and its references.

Everything is read from the files themselves; nothing is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from isletsim.checks import surroundings
from isletsim.faults import Fault, InputError, did_you_mean
from isletsim.layers import superpose
from isletsim.model import ModelFile
from isletsim.patient import read_patient
from isletsim.places import find, kind_of
from isletsim.references import citation, read, short
from isletsim.show.listing import Ink, Shelf, columns, listing, paragraph
from isletsim.source import read_page
from isletsim.study import load_scenario

__all__ = ["citations", "cite", "show_file", "show_model", "show_source", "sources"]

METHODS = {"stiff": "Steinebach2023", "explicit": "Hairer1993"}  # whose methods integrate


def show_file(kind: str, path: Path, colour: bool | None = None) -> str:
    """A model, patient or scenario as text; `colour` as in `show_model`."""
    page = {"model": lambda path, ink: _models([path], ink), "patient": _person, "scenario": _scenario}[kind]
    return "\n".join(page(path, _ink(colour)))


def show_model(names: Sequence[str | Path], colour: bool | None = None) -> str:
    """The equations of a stack of models, with units, sources and grades.

    Parameters
    ----------
    names : models by name or by path. Files that they borrow from lend letters and units, but are not shown.
    colour : emphasis by colours; None asks whether stdout is a terminal, and NO_COLOR.
    """
    return "\n".join(_models([find("model", name) for name in names], _ink(colour)))


def show_source(kind: str, path: Path) -> str:
    """The equations of a model, or of a scenario's whole stack, as plain NumPy: the reference of the compiled code."""
    from isletsim.compiler import numpy_source

    stack = load_scenario(path).composition if kind == "scenario" else superpose(surroundings(_stack_of(kind, path)))
    return numpy_source(stack.flat)


# --- references -------------------------------------------------------------------------------------------------------


def citations(files: Iterable[ModelFile]) -> list[str]:
    """The keys of every source that model files name, in the order of first mention."""
    return list(dict.fromkeys(key for file in files for key in _keys(file.page.data)))


def sources(kind: str, path: Path) -> list[str]:
    """The keys of every source that a model, a patient or a scenario names, with all the files it needs."""
    if kind != "scenario":
        return list(
            dict.fromkeys(key for each in [path, *_stack_of(kind, path)] for key in _keys(read_page(each).data))
        )
    scenario = load_scenario(path)
    named = [key for each in scenario.files for key in _keys(read_page(each).data)]
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


def _stack_of(kind: str, path: Path) -> list[Path]:
    """The models that a file speaks of."""
    if kind == "model":
        return [path]
    if kind == "scenario":
        return [each for each in load_scenario(path).files if kind_of(each) == "model"]
    patient = read_patient(path)
    named = [name.partition(".")[0] for name in patient.page.data.get("set", {}) if "." in name]
    return [find("model", name) for name in dict.fromkeys([*patient.core, *named, *patient.layers])]


# --- pages ------------------------------------------------------------------------------------------------------------


def _ink(colour: bool | None) -> Ink:
    if colour is None:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Ink(colour)


def _models(wanted: Sequence[str | Path], ink: Ink) -> Iterator[str]:
    files = {file.name: file for file in surroundings(wanted)}
    shelf = Shelf(files, superpose(files.values()), ink)
    shown = [files[Path(each).stem] for each in wanted]
    yield from _map(shelf)
    for file in shown:
        yield from _head(file, ink)
        yield from listing(shelf, file)
        yield ""
    known = read()
    yield from _references([key for key in citations(shown) if key in known], ink)


def _map(shelf: Shelf) -> Iterator[str]:
    """Which file feeds which, through what."""
    feeds: dict[tuple[str, str], list[str]] = {}
    for file in shelf.files.values():
        for other, borrowed in file.uses.items():
            feeds.setdefault((other, file.name), []).extend(borrowed)
        for mark, contributions in (("+~", file.adds), ("×~", file.scales)):
            for target, _ in contributions:
                other, _, name = target.partition(".")
                feeds.setdefault((file.name, other), []).append(mark + name)
    if not feeds:
        return
    yield shelf.ink.heading("Who feeds whom") + shelf.ink.aside("   (read;  + joins a law;  × scales one)")
    widths = [max(len(pair[side]) for pair in feeds) for side in (0, 1)]
    for (giver, taker), names in feeds.items():
        left = f"  {giver:<{widths[0]}} → {taker:<{widths[1]}}  "
        first, *rest = [line.replace("~", " ") for line in paragraph(", ".join(names), len(left))]
        yield from (left + first.lstrip(), *rest)
    yield ""


def _title(ink: Ink, name: str, title: str) -> Iterator[str]:
    lines = paragraph(f"{name}: {title}", 0)
    yield from (ink.heading(line) for line in [*lines, "━" * len(lines[0])])


def _head(file: ModelFile, ink: Ink) -> Iterator[str]:
    known = read()
    yield from _title(ink, file.name, file.title)
    said = f"assumed: {file.assumed}"
    if file.source:
        said = f"{short(known[file.source])} [{file.source}]" if file.source in known else f"[{file.source}]"
    yield from paragraph("; ".join(each for each in (said, f"clock: {file.clock}" if file.clock else "") if each))
    yield from paragraph(file.about)


def _references(keys: Sequence[str], ink: Ink) -> Iterator[str]:
    if keys:
        yield ink.heading("References")
    for line in cite(keys).splitlines():
        first, *rest = paragraph(line, 4)
        yield from (first[2:], *rest)


def _patient(path: Path, ink: Ink) -> Iterator[str]:
    """Who somebody is: covariates, what is set and why, and the history."""
    patient = read_patient(path)
    data = patient.page.data
    yield from _title(ink, patient.name, patient.title)
    yield from paragraph(patient.about)
    if patient.covariates:
        yield from ("", ink.heading("Covariates"))
        yield from columns(ink, ("name", "value"), list(patient.covariates.items()))
    rows = []
    for name, value in patient.page.table(data, "set", ()).items():
        table = value if isinstance(value, dict) else {"value": value}
        ends = " to ".join(str(end) for end in table.get("varies") or table.get("uncertain") or ())
        reason = table.get("source") or f"assumed: {table.get('assumed', '')}"
        rows.append((name, str(table.get("value", "")), ends, str(reason)))
    if rows:
        yield from ("", ink.heading("Set"))
        yield from columns(ink, ("name", "value", "95 % range", "source"), rows)
    legs = patient.page.listing(data, "history", ())
    if legs:
        yield from ("", ink.heading("History"))
    for index, leg in enumerate(legs, start=1):
        yield from paragraph(f"{index}. {leg.get('about', '')}")
        for key in ("layers", "courses", "doses", "for", "until", "within"):
            if key in leg:
                yield from paragraph(f"{key}: {_said(leg[key])}", 6)
    yield ""


def _person(path: Path, ink: Ink) -> Iterator[str]:
    """A patient with its references."""
    yield from _patient(path, ink)
    known = read()
    yield from _references([key for key in dict.fromkeys(_keys(read_page(path).data)) if key in known], ink)


def _said(value: Any) -> str:
    """A value of a file in words."""
    if isinstance(value, list):
        return "; ".join(_said(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    return str(value)


def _scenario(path: Path, ink: Ink) -> Iterator[str]:
    """The plan of a study, its patient, and the equations of everything in it."""
    scenario = load_scenario(path)
    yield from _title(ink, scenario.name, scenario.plan.title)
    yield from paragraph(scenario.plan.about)
    yield ""
    for line in scenario.describe().splitlines()[1:]:
        yield from paragraph(line) if len(line) > 98 else [f"  {line}"]
    yield ""
    for each in scenario.files:
        if kind_of(each) == "patient":
            yield from _patient(each, ink)
    yield from _models(_stack_of("scenario", path), ink)
