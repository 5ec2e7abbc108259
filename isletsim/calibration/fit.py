"""The fit of a group: weighted least squares in the logarithms of its numbers, with a weak prior at what they are.

A row about a population is held against the reference patient plus what the cohort differs from it; that difference
is measured before each round, since it moves far less than the row itself. Where spreads between people are fitted,
or to shares of people, the cohort itself is asked at every point. Slopes are measured at the beginning of a round and
then corrected by what each step shows. No scenario is run twice at a point, and only those arms that rows name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from isletsim.calibration.observe import FitTarget
from isletsim.calibration.reading import printed
from isletsim.calibration.records import Comparison, FitOutcome, Free, Group, Reached
from isletsim.errors import RunError
from isletsim.units import quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fit", "settled"]

STEP = 0.02  # of a logarithm, for differences: far above the tolerance of a run
ROUNDS = 2  # of measuring the cohort and fitting
TRIES = 8  # points that one round may look at, besides those of its differences
UNLIVED = 100.0  # the residuals of numbers with which the reference patient does not live through its history

Found = Mapping[Comparison, float]


def fit(group: Group, cohort: int | None = None, keep: bool = False, tell: Callable[[str], None] = print) -> FitOutcome:
    """The numbers of a group that agree best with its rows.

    Parameters
    ----------
    cohort : virtual patients that stand for a population; as the table says when not given.
    keep : leave the numbers as they are and only say what they reach.
    tell : is given a line now and then.
    """
    size = group.cohort if cohort is None else cohort
    bench = FitTarget()
    together = size if _asks_people(group) else 0
    before = {each.key: each.value for each in group.free}
    first = _reached(bench, group, before, size)
    values, errors, last = before, dict.fromkeys(before, math.nan), first
    for number in range(0 if keep or not group.free else ROUNDS if size and not together else 1):
        near = _offsets(bench, group, values, last) if size and not together else {}
        values, errors = _round(bench, group, values, near, together, tell)
        last = _reached(bench, group, values, size)
        tell(f"{group.name}: round {number + 1}, misfit {misfit(first):.4g} to {misfit(last):.4g}, {bench.runs} runs")
    rows = tuple(Reached(each, first[each], last[each]) for each in group.comparisons)
    return FitOutcome(group, values, errors, rows, bench.runs, size, _assumed(bench, group))


def _asks_people(group: Group) -> bool:
    """Whether one patient cannot stand for the people of a group while it is fitted."""
    shares = any(each.statistic == "share" and each.weight > 0 for each in group.comparisons)
    return shares or any(each.spread for each in group.free)


def misfit(found: Found) -> float:
    """The sum of the weighted squared residuals."""
    return sum(residual(each, value) ** 2 for each, value in found.items())


def residual(wanted: Comparison, value: float) -> float:
    """How far off a value is, in standard deviations and weighted."""
    return math.sqrt(wanted.weight) * (value - wanted.wanted) / wanted.spread


def settled(free: Free, value: float) -> float:
    """A value as it will be written, to four digits, and within its bounds."""
    inside = min(max(value, free.low), free.high)
    return quantity(printed(inside, free.unit), free.unit.dimension).value


def _round(
    bench: FitTarget, group: Group, start: Mapping[str, float], near: Found, cohort: int, tell: Callable[[str], None]
) -> tuple[dict[str, float], dict[str, float]]:
    from scipy.optimize import least_squares

    fitted = [each for each in group.comparisons if each.weight > 0 and (cohort or each.statistic != "share")]
    widths = np.array([each.prior_width for each in group.free])
    centre = np.array([math.log(each.value) for each in group.free])
    seen: dict[bytes, NDArray[np.float64]] = {}
    known: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []

    def residuals(point: NDArray[np.float64]) -> NDArray[np.float64]:
        if point.tobytes() not in seen:
            values = {each.key: float(math.exp(at)) for each, at in zip(group.free, point, strict=True)}
            try:
                found = _asked(bench, fitted, values, cohort)
                rows = [residual(each, found[each] + near.get(each, 0.0)) for each in fitted]
            except RunError:  # nobody's history arrives with these numbers
                rows = [UNLIVED] * len(fitted)
            seen[point.tobytes()] = np.concatenate([rows, (point - centre) / widths])
            tell(f"{group.name}: point {len(seen)}, misfit {np.sum(np.square(rows)):.4g}")
        return seen[point.tobytes()]

    def slopes(point: NDArray[np.float64]) -> NDArray[np.float64]:
        base = residuals(point)
        if known:  # measured once, and then corrected by what each step showed (Broyden's update)
            before, old, matrix = known.pop()
            step = point - before
            matrix = matrix + np.outer(base - old - matrix @ step, step) / (step @ step)
        else:
            matrix = differences(point, base)
        known.append((point.copy(), base, matrix))
        return matrix

    def differences(point: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        for place in range(len(point)):
            step = -STEP if point[place] + STEP > upper[place] else STEP
            moved = point.copy()
            moved[place] += step
            if residuals(moved)[0] == UNLIVED:
                step = -step
                moved[place] = point[place] + step
            columns.append((residuals(moved) - base) / step)
        return np.array(columns).T

    lower, upper = (np.log([getattr(each, end) for each in group.free]) for end in ("low", "high"))
    begin = np.log([start[each.key] for each in group.free])
    room = 1e-6 * (upper - lower)
    found = least_squares(
        residuals,
        np.clip(begin, lower + room, upper - room),
        slopes,
        bounds=(lower, upper),
        x_scale=widths,
        max_nfev=TRIES,
        xtol=1e-3,
        ftol=1e-3,
    )
    spread = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    values = {each.key: settled(each, math.exp(at)) for each, at in zip(group.free, found.x, strict=True)}
    return values, {each.key: float(error) for each, error in zip(group.free, spread, strict=True)}


def _reached(bench: FitTarget, group: Group, values: Mapping[str, float], cohort: int) -> dict[Comparison, float]:
    """What every row says; only rows about a population are asked of a cohort, and shares of nothing else."""
    asked = [each for each in group.comparisons if cohort or each.statistic != "share"]
    return _asked(bench, asked, values, cohort) | {each: math.nan for each in group.comparisons if each not in asked}


def _asked(
    bench: FitTarget, comparisons: Iterable[Comparison], values: Mapping[str, float], cohort: int
) -> dict[Comparison, float]:
    """What rows say, those about a population by a cohort if there is one; no scenario is run twice."""
    known = list(comparisons)
    crowds = {each.study for each in known if cohort and each.people != "reference"}
    found = bench.observe([each for each in known if each.study in crowds], values, cohort)
    return found | bench.observe([each for each in known if each.study not in crowds], values)


def _offsets(bench: FitTarget, group: Group, values: Mapping[str, float], last: Found) -> dict[Comparison, float]:
    """What the cohort says above the reference patient."""
    together = [each for each in group.comparisons if each.people != "reference" and each.weight > 0]
    alone = bench.observe(together, values)
    return {each: last[each] - alone[each] for each in together}


def _assumed(bench: FitTarget, group: Group) -> dict[str, tuple[int, int]]:
    """How many numbers of each scenario are assumed, and of how many."""
    found = {}
    for study, scenario in bench.scenarios.items():
        patient = scenario.patient
        notes = {name: each.assumed for name, each in scenario.composition.symbols.items() if each.kind == "parameter"}
        notes |= {name: each.note.assumed for name, each in {**patient.parameters, **patient.starts}.items()}
        found[study.scenario] = (sum(1 for each in notes.values() if each), len(notes))
    return found
