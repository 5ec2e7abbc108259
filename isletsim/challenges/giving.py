"""A test given to a patient where life stands, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenges.module_alone import alone
from isletsim.challenges.morning import Morning, known_values, morning_of, run_challenge
from isletsim.challenges.records import Challenge, ChallengeReport, Crossing, Finding
from isletsim.codegen import compile_model
from isletsim.composition import Composition
from isletsim.dosing import Course, Dose, resolved
from isletsim.ensemble import Task
from isletsim.errors import RunError
from isletsim.language import Name, Tree, evaluate, names
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.units import convert, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

    Numbers = NDArray[np.float64]

__all__ = ["challenge"]


def challenge(
    test: Challenge, simulator: MultiscaleSimulator, current: SimulationState, composition: Composition
) -> Task[Finding]:
    """Give a test to a patient at the moment where life stands.

    Raises
    ------
    RunError : the day of the test could not be simulated.
    """
    first = None
    if test.replays is not None:
        first = yield from challenge(test.replays, simulator, current, composition)
    morning = yield from morning_of(simulator, current, test.start)
    known = known_values(simulator, morning)
    part = _part(test, simulator, composition, morning, known)
    times = _times(test)
    given = resolved([*test.doses, *_daily(test), *test.courses], known)
    doses: list[Dose] = []
    courses: list[Course] = []
    for each in given:
        (doses if isinstance(each, Dose) else courses).append(each)  # type: ignore[arg-type]
    outcome = run_challenge(simulator, morning, times, doses, courses, test.usual, _followed(test, first), part)
    if outcome.reason.failed:
        minutes = 1440.0 * (outcome.time - test.start)
        reason = outcome.reason.name.lower().replace("_", " ")
        raise RunError(f"{test.title}: {reason} {minutes:.4g} min after its start.")
    flat = (simulator.day_model if part is None else part[0]).flat
    assert outcome.states is not None
    recorded = {
        **dict(zip(flat.states, outcome.states.T, strict=True)),
        **dict(zip(flat.outputs, outcome.outputs.T, strict=True)),
    }
    curves = _Curves(test, times, recorded, known)
    reports = {report.name: convert(curves.report(report), report.unit) for report in test.reports}
    shown = {symbol.name: np.asarray(convert(curves.of(Name(symbol.name)), unit)) for symbol, unit in test.shown}
    return Finding(test, times * 1440.0, shown, reports, curves.known_curves)


def _times(test: Challenge) -> Numbers:
    """When to look, since the start."""
    count = 0 if test.samples else math.floor(test.length / test.sample + 1e-9) + 1
    marks = {0.0, test.length, *test.samples, *(on_grid(number * test.sample) for number in range(count))}
    marks |= {each for report in test.reports for each in (report.begin, report.end)}
    marks |= {report.crossing.since for report in test.reports if report.crossing is not None}
    return np.array(sorted(mark for mark in marks if mark <= test.length + 1e-12))


def _daily(test: Challenge) -> list[Dose]:
    """What every day of the test brings, since its start."""
    every = range(math.ceil(test.start + test.length) + 1)
    shifted = [(each, on_grid(each.time + day - test.start)) for day in every for each in test.day]
    return [_moved(each, time) for each, time in shifted if 0 <= time <= test.length]


def _moved(dose: Dose, time: float) -> Dose:
    return Dose(dose.port, dose.amount, time, dose.over, dose.factor)


def _followed(test: Challenge, first: Finding | None) -> list[tuple[str, float, float]]:
    """The names that repeat curves of another test: name, time and level of every step, from sample to sample."""
    if first is None or test.replays is None:
        return []
    curves = _Curves(test.replays, first.minutes / 1440.0, first.base, {})
    steps = []
    for each in test.replayed:
        levels = curves.of(each.value)
        middle = [*(0.5 * (levels[:-1] + levels[1:])).tolist(), float(levels[-1])]
        steps += [
            (each.input, on_grid(minute / 1440.0), level)
            for minute, level in zip(first.minutes.tolist(), middle, strict=True)
        ]
    return steps


def _part(
    test: Challenge,
    simulator: MultiscaleSimulator,
    composition: Composition,
    morning: Morning,
    known: Mapping[str, float],
) -> tuple[CompiledModel, Morning] | None:
    """The model of a module alone, and its morning; None where a test is of all."""
    if not test.module:
        return None
    layers = {name for name in composition.files if name in test.layers}
    key = (tuple(sorted({*test.module, *layers})), tuple(test.given.items()), test.start)
    made = simulator.parts.get(key)
    if made is None:
        flat, held = alone(simulator.day_model.flat, key[0], test.given, test.start)
        made = compile_model(flat), held
        simulator.parts[key] = made
    model, held = made
    day = simulator.day_model.flat
    state = np.array([morning.state[day.states.index(name)] for name in model.flat.states])
    parameters = np.concatenate([morning.parameters, [known[name] for name in held]])
    return model, Morning(morning.day, parameters, state, morning.start)


class _Curves:
    """The curves of a test in base units: what was recorded, what is constant, and expressions of both."""

    def __init__(
        self, test: Challenge, times: Numbers, recorded: Mapping[str, Numbers], known: Mapping[str, float]
    ) -> None:
        self.times, self.known = times, known
        self.known_curves = {name: np.asarray(curve) for name, curve in recorded.items()}
        for name in sorted(_looked_at(test) - self.known_curves.keys()):
            if name in known:
                self.known_curves[name] = np.full(len(times), known[name])
        self.known_curves["time"] = times

    def of(self, tree: Tree) -> Numbers:
        """The curve of a tree."""
        if isinstance(tree, Name):
            return self.known_curves[tree.name]
        wanted = sorted(names(tree))
        columns = [self.known_curves[name] for name in wanted]
        rows = zip(*columns, strict=True) if columns else iter([()] * len(self.times))
        return np.array([evaluate(tree, dict(zip(wanted, row, strict=True))) for row in rows])

    def report(self, report: ChallengeReport) -> float:
        """The number of a report, base units."""
        curve = self.of(report.value)
        begin, end = report.begin, report.end
        if report.statistic == "at":
            at = begin if report.crossing is None else self._crossed(report.crossing)
            return float(np.interp(at, self.times, curve)) if math.isfinite(at) else math.nan
        inside = (self.times >= begin) & (self.times <= end)
        times, values = self.times[inside], curve[inside]
        match report.statistic:
            case "mean":
                return float(np.trapezoid(values, times) / (end - begin))
            case "area":
                return float(np.trapezoid(values, times))
            case "area_above":
                return float(np.trapezoid(np.maximum(values - values[0], 0.0), times))
            case "area_change":
                return float(np.trapezoid(values - values[0], times))
            case "highest":
                return float(values.max())
            case "lowest":
                return float(values.min())
            case "time_of_highest":
                return float(times[values.argmax()])
            case "time_of_lowest":
                return float(times[values.argmin()])
            case "change":
                return float(values[-1] - values[0])
            case "slope":
                against = times if report.against is None else self.of(report.against)[inside]
                return float(np.polyfit(against, values, 1)[0]) if np.ptp(against) > 0 else math.nan
            case _:
                positive = values[0] > 0 and values[-1] > 0
                return float(np.log(values[0] / values[-1]) / (end - begin)) if positive else math.nan

    def _crossed(self, crossing: Crossing) -> float:
        """The first time at which a curve reaches a level, NaN where it never does; straight between samples."""
        inside = self.times >= crossing.since
        times, values = self.times[inside], self.of(crossing.of)[inside]
        level = crossing.level * (values[0] if crossing.share else 1.0)
        beyond = values >= level if crossing.rises else values <= level
        if not beyond.any():
            return math.nan
        place = int(beyond.argmax())
        if place == 0:
            return float(times[0])
        low, high = values[place - 1], values[place]
        return float(times[place - 1] + (level - low) / (high - low) * (times[place] - times[place - 1]))


def _looked_at(test: Challenge) -> set[str]:
    """All names that a test's curves and numbers are made of."""
    trees: list[Tree] = [Name(symbol.name) for symbol, _ in test.shown]
    for report in test.reports:
        trees += [report.value, *([report.against] if report.against is not None else [])]
        trees += [report.crossing.of] if report.crossing is not None else []
    return {name for tree in trees for name in names(tree)} - {"time"}
