"""Virtual tests: an OGTT, a mixed meal, a clamp, given to a patient at any moment of a life.

A test is data (`models/challenges/`): when it starts, what is given, which levels are held, what is sampled and what is
reported. It runs the day with the life values of the moment; the life does not notice it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.composition import Composition, Symbol
from isletsim.composition.names import find_symbol
from isletsim.dosing import Course, Dose, read_courses, read_doses, read_time
from isletsim.ensemble import Steps
from isletsim.errors import InputError, RunError
from isletsim.language import KeyPath, TomlDocument, read_document
from isletsim.language.entries import read_note
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.units import Unit, UnitError, convert, through

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Challenge",
    "ChallengeFile",
    "ChallengeReport",
    "Course",
    "Finding",
    "bind_challenge",
    "challenge",
    "read_challenge",
]

HEAD = ("title", "about", "source", "assumed", "grade", "note")
KEYS = (*HEAD, "start", "length", "sample", "layers", "show", "doses", "courses", "reports")


@dataclass(frozen=True)
class ChallengeFile:
    """A test file as it was written; `shown` are the day's quantities it looks at."""

    name: str
    path: Path
    title: str
    about: str
    layers: tuple[str, ...]
    shown: tuple[str, ...]
    document: TomlDocument = field(repr=False, compare=False)


@dataclass(frozen=True)
class ChallengeReport:
    """A number of a test: a quantity at one time (`begin` = `end`), or its mean over a span; days since the start."""

    name: str
    symbol: Symbol
    unit: Unit
    begin: float
    end: float
    about: str


@dataclass(frozen=True)
class Challenge:
    """A test in terms of a composition; times in days, `start` since midnight, the rest since the start.

    A curve is `shown` in the unit of the first report that is made of it.
    """

    name: str
    title: str
    start: float
    length: float
    sample: float
    doses: tuple[Dose, ...]
    courses: tuple[Course, ...]
    shown: tuple[tuple[Symbol, Unit], ...]
    reports: tuple[ChallengeReport, ...]


@dataclass(frozen=True)
class Finding:
    """What a test found: times in minutes since its start, courses in people's units, reports by name."""

    challenge: Challenge
    minutes: NDArray[np.float64]
    courses: Mapping[str, NDArray[np.float64]]
    reports: Mapping[str, float]


def read_challenge(path: Path) -> ChallengeFile:
    """A test file; raises `InputError` with every fault that can be seen in the file alone."""
    document = read_document(path)
    data = document.data
    document.only(data, KEYS, ())
    title = document.word(data, "title", ())
    if not title:
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    note = read_note(document, data, ())
    if not note.source and not note.assumed:
        document.fault((), "says neither source nor assumed.", 'Write source = "Key" or assumed = "why".')
    shown: dict[str, None] = dict.fromkeys(document.names(data, "show", ()))
    for name, report in document.table(data, "reports", ()).items():
        keys: KeyPath = ("reports", name)
        if not isinstance(report, dict):
            document.fault(
                keys, "expected a table.", 'Write { value = "glucose.plasma", at = "120 min", unit = "mmol/L" }.'
            )
            continue
        document.only(report, ("value", "at", "mean", "unit", "of", "about"), keys)
        value = document.word(report, "value", keys)
        if value:
            shown[value] = None
        if ("at" in report) == ("mean" in report):
            document.fault(keys, "needs either at or mean.", 'Write at = "120 min", or mean = ["0 min", "120 min"].')
    for name in shown:
        if "." not in name:
            document.fault(("show",), f'"{name}" is not a qualified name.', 'Write it as "file.name".')
    layers = document.names(data, "layers", ())
    document.finish()
    return ChallengeFile(path.stem, path, title, note.about, layers, tuple(shown), document)


def bind_challenge(file: ChallengeFile, composition: Composition) -> Challenge:
    """The test in terms of a composition with two clocks; raises `InputError` with every fault of the file."""
    document, data = file.document, file.document.data
    document.faults.clear()
    if composition.clocks is None:
        document.fault(
            (), "needs a model with a day clock, and this one has none.", "Give it to healthy_adult, for example."
        )
        document.finish()
    start = read_time(document, data.get("start", "07:00"), ("start",), whole=False)
    length = read_time(document, data.get("length", "3 hour"), ("length",), whole=False)
    sample = read_time(document, data.get("sample", "5 min"), ("sample",), whole=False)
    if start is None or length is None or sample is None or not 0 <= start < 1 or not 0 < sample <= length <= 1:
        document.fault((), "a test starts within a day, lasts at most a day, and samples within that.")
        document.finish()
    assert start is not None
    assert length is not None
    assert sample is not None
    doses = tuple(read_doses(document, data.get("doses", []), ("doses",), composition, whole=False))
    courses = tuple(read_courses(document, data.get("courses", []), ("courses",), composition, whole=False))
    reports = []
    for name, report in document.table(data, "reports", ()).items():
        found = _report(document, name, report, composition, length)
        if found is not None:
            reports.append(found)
    units: dict[str, Unit] = {}
    for each in reports:
        units.setdefault(each.symbol.name, each.unit)
    shown = []
    for name in file.shown:
        try:
            symbol = find_symbol(composition, name, place=document.place(("show",)))
            shown.append((symbol, units.get(symbol.name, symbol.unit)))
        except InputError as reason:
            document.faults.extend(reason.faults)
    document.finish()
    return Challenge(file.name, file.title, start, length, sample, doses, courses, tuple(shown), tuple(reports))


def _report(
    document: TomlDocument, name: str, report: Mapping[str, Any], composition: Composition, length: float
) -> ChallengeReport | None:
    keys: KeyPath = ("reports", name)
    try:
        symbol = find_symbol(composition, document.word(report, "value", keys), place=document.place(keys))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None
    written = [report["at"], report["at"]] if "at" in report else report.get("mean", [])
    if not isinstance(written, list) or len(written) != 2:
        document.fault((*keys, "mean"), "expected two times.", 'Write mean = ["0 min", "120 min"].')
        return None
    begin, end = (read_time(document, each, keys, whole=False) for each in written)
    if begin is None or end is None or not 0 <= begin <= end <= length:
        document.fault(keys, "the times lie outside the test.")
        return None
    unit = symbol.unit
    if "unit" in report:
        named = document.unit(document.word(report, "unit", keys), (*keys, "unit"))
        if named is None:
            return None
        try:
            unit = through(named, symbol.unit.dimension, document.word(report, "of", keys) or symbol.of)
        except UnitError as reason:
            document.fault((*keys, "unit"), reason.message, reason.cure)
            return None
    return ChallengeReport(name, symbol, unit, begin, end, document.word(report, "about", keys))


def challenge(
    test: Challenge, simulator: MultiscaleSimulator, current: SimulationState, composition: Composition
) -> Steps[Finding]:
    """Give a test to a patient at the moment where life stands.

    Raises
    ------
    RunError : the day of the test could not be simulated.
    """
    neutral = dict(zip(composition.flat.parameters, composition.flat.values, strict=True))
    grid = np.arange(0.0, test.length + 0.5 * test.sample, test.sample)
    marks = sorted({*grid.tolist(), *(each for report in test.reports for each in (report.begin, report.end))})
    times = np.array([mark for mark in marks if mark <= test.length + 1e-12])
    outcome = yield from simulator.run_challenge(current, test.start, times, test.doses, test.courses, neutral)
    if outcome.reason.failed:
        raise RunError(f"{test.title}: {outcome.reason.name.lower().replace('_', ' ')} at {outcome.time:.4g} day.")
    names = simulator.day_model.flat.outputs

    def course(symbol: Symbol) -> NDArray[np.float64]:
        return np.asarray(outcome.outputs[:, names.index(symbol.name)])

    reports = {}
    for report in test.reports:
        values = convert(course(report.symbol), report.unit)
        if report.begin == report.end:
            reports[report.name] = float(np.interp(report.begin, times, values))
        else:
            inside = (times >= report.begin) & (times <= report.end)
            area = np.trapezoid(values[inside], times[inside])
            reports[report.name] = float(area / (report.end - report.begin))
    courses = {symbol.name: np.asarray(convert(course(symbol), unit)) for symbol, unit in test.shown}
    return Finding(test, times * 1440.0, courses, reports)
