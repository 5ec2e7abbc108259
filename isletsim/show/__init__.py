"""What people read of the equations: a model, a patient or a study as a page for a terminal, and its references.

Everything is read from the files themselves; nothing is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from isletsim.faults import Fault, InputError, did_you_mean
from isletsim.layers import superpose
from isletsim.library import read_stack
from isletsim.model import ModelFile
from isletsim.patient import PatientFile, read_patient
from isletsim.places import find
from isletsim.references import citation, read, short
from isletsim.scenario import plan_scenario, printed, read_scenario
from isletsim.show.listing import Ink, Shelf, columns, listing, paragraph
from isletsim.source import read_page

__all__ = ["citations", "cite", "show_file", "show_model", "show_source", "sources"]


def show_file(kind: str, path: Path, colour: bool | None = None) -> str:
    """A model, patient or scenario as text; `colour` as in `show_model`."""
    page = {"model": lambda path, ink: _models([path], ink), "patient": _patient, "scenario": _scenario}[kind]
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

    return numpy_source(superpose(read_stack(_stack_of(kind, path))).flat)


# --- references -------------------------------------------------------------------------------------------------------


def citations(files: Iterable[ModelFile]) -> list[str]:
    """The keys of every source that model files name, in the order of first mention."""
    return list(dict.fromkeys(key for file in files for key in _keys(file.page.data)))


def sources(kind: str, path: Path) -> list[str]:
    """The keys of every source that a model, a patient or a scenario names, with all the files it needs."""
    found = [] if kind == "model" else list(_keys(read_page(path).data))
    patient = _patient_of(kind, path)
    if patient is not None:
        found += _keys(patient.page.data)
    return list(dict.fromkeys([*found, *citations(read_stack(_stack_of(kind, path)))]))


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


# --- which files ------------------------------------------------------------------------------------------------------


def _patient_of(kind: str, path: Path) -> PatientFile | None:
    """The patient that a scenario or a patient's own file means."""
    if kind == "patient":
        return read_patient(path)
    name = read_scenario(path).patient if kind == "scenario" else ""
    return read_patient(find("patient", name)) if name else None


def _stack_of(kind: str, path: Path) -> list[str | Path]:
    """The models that a file needs: core, layers of all arms, layers of the patient's history."""
    if kind == "model":
        return [path]
    wanted: list[str | Path] = []
    if kind == "scenario":
        scenario = read_scenario(path)
        wanted += [*scenario.core, *scenario.layers]
    patient = _patient_of(kind, path)
    if patient is not None:
        settings = [name.partition(".")[0] for name in patient.page.data.get("set", {}) if kind == "patient"]
        wanted += [*patient.layers, *settings]
    return list(dict.fromkeys(wanted))


# --- pages ------------------------------------------------------------------------------------------------------------


def _ink(colour: bool | None) -> Ink:
    if colour is None:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Ink(colour)


def _models(wanted: Sequence[str | Path], ink: Ink) -> Iterator[str]:
    files = {file.name: file for file in read_stack(wanted)}
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
        for mark, contributions in (("+ ", file.adds), ("× ", file.scales)):
            for target, _ in contributions:
                other, _, name = target.partition(".")
                feeds.setdefault((file.name, other), []).append(mark + name)
    if not feeds:
        return
    yield shelf.ink.heading("Who feeds whom") + shelf.ink.aside("   (read;  + joins a law;  × scales one)")
    widths = [max(len(pair[side]) for pair in feeds) for side in (0, 1)]
    for (giver, taker), names in feeds.items():
        left = f"  {giver:<{widths[0]}} → {taker:<{widths[1]}}  "
        first, *rest = paragraph(", ".join(names), len(left))
        yield left + first.lstrip()
        yield from rest
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
    known = read()
    yield ""
    yield from _references([key for key in dict.fromkeys(_keys(data)) if key in known], ink)


def _said(value: Any) -> str:
    """A value of a file in words."""
    if isinstance(value, list):
        return "; ".join(_said(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    return str(value)


def _scenario(path: Path, ink: Ink) -> Iterator[str]:
    """The plan of a study, and the equations of everything in it."""
    scenario = read_scenario(path)
    stack = _stack_of("scenario", path)
    plan = plan_scenario(scenario, superpose(read_stack(stack)))
    yield from _title(ink, scenario.name, scenario.title)
    yield from paragraph(plan.about)
    yield from (f"  {line}" for line in printed(plan, superpose(read_stack(stack))).splitlines()[1:])
    yield ""
    yield from _models(stack, ink)
