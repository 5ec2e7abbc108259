"""What a run says to a check: one number with an interval, in the unit of the published value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.errors import did_you_mean
from isletsim.language import Apply, Name, evaluate, names
from isletsim.results import Result
from isletsim.statistics import NORMAL_95, exact_share, student
from isletsim.units import PURE, TIME, Dimension, Unit, UnitError, through, times, unit
from isletsim.validation.checks import Check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Simulated", "measure"]

# How far from the time asked for a record may lie: days and share of the time, and days where an hour is asked for.
NEAR, NEAR_SHARE, NEAR_HOUR = 8.0, 0.03, 0.01
FEWEST = 6  # people of whom a median has an interval
PURE_STATISTICS = frozenset(("relative_change", "retained", "progress", "always", "ever"))
TRUTHS = frozenset(
    ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "and", "or", "not")
)  # operators that give a truth


@dataclass(frozen=True)
class Simulated:
    """A number of a run in `unit`; `low` and `high` are its 95 % confidence interval, NaN where there is none.

    `people` counts the subjects, 0 for the reference patient alone; `time` is the day that was taken.
    """

    value: float
    low: float
    high: float
    unit: Unit
    people: int
    time: float


@dataclass(frozen=True)
class _Window:
    """The recorded days of a check, the measure of each subject on them, and the day that stands for `at`."""

    at: float
    days: Array
    values: Array  # by subject and day


def measure(check: Check, result: Result, beside: Result | None = None) -> Simulated:
    """The number that a run gives for a check; raises `InputError` where the check does not fit the run.

    Parameters
    ----------
    beside : the run of the study that the check compares with, where that is another one.
    """
    window = _window(check, result, check.arm)
    own = _group(check, _STATISTICS[check.statistic](window, check))
    if check.over == "association":
        numbers = _association(check, own, _group(check, _beside(check, result)))
    elif not check.compare:
        numbers = _summary(check, own)
    else:
        other_window = _window(check, beside or result, check.other_arm)
        other = _group(check, _STATISTICS[check.statistic](other_window, check))
        if check.compare == "difference":
            numbers = _summary(check, own - other)
        else:
            numbers = (_summary(check, own)[0] / _summary(check, other)[0], math.nan, math.nan)
    shown, converted = _converted(check, result, numbers)
    people = int(np.isfinite(own).sum()) if check.over != "patient" and result.cohort else 0
    return Simulated(*converted, shown, people, window.at)


# --- the course of each subject ---------------------------------------------------------------------------------------


def _window(check: Check, result: Result, arm: str) -> _Window:
    """The measure on the days that a check asks for: its time alone, its two ends, or all days between."""
    known = [each.name for each in result.arms]
    if arm not in known:
        cure = did_you_mean(arm, known) or f"Arms: {', '.join(known)}."
        raise check.wrong("arm", f'{result.scenario} has no arm "{arm}".', cure)
    columns = _columns(check, result)
    block = result.values[known.index(arm)][:, :, list(columns.values())]
    there = np.flatnonzero(np.isfinite(block).all(axis=2).any(axis=0))
    if not there.size:
        raise check.wrong("measure", f"{check.text} was never recorded in {arm} of {result.scenario}.")
    days = result.time[there]
    last = _nearest(check, "at", days, check.at)
    first = last if check.statistic == "level" else _nearest(check, "since", days, check.since)
    rows = list(range(first, last + 1))
    if check.statistic in ("change", "relative_change", "retained"):
        rows = [first, last]
    elif check.statistic == "progress":
        rows = [first, last, len(days) - 1]
    return _Window(float(days[last]), days[rows], _values(check, columns, block[:, there[rows]]))


def _columns(check: Check, result: Result) -> Mapping[str, int]:
    places = {variable.name: index for index, variable in enumerate(result.variables)}
    wanted = sorted(names(check.measure))
    for name in wanted:
        if name not in places:
            cure = did_you_mean(name, places) or f"Recorded: {', '.join(places)}."
            raise check.wrong("measure", f'{result.scenario} records no "{name}".', cure)
    return {name: places[name] for name in wanted}


def _nearest(check: Check, key: str, days: Array, wanted: float) -> int:
    if math.isinf(wanted):
        return len(days) - 1
    place = int(np.abs(days - wanted).argmin())
    near = max(NEAR, NEAR_SHARE * wanted) if wanted.is_integer() else NEAR_HOUR
    if abs(days[place] - wanted) > near:
        message = f"{check.text} was recorded on day {days[place]:g}, and not near day {wanted:g}."
        raise check.wrong(key, message, "Save more often, or make a virtual test at that time.")
    return place


def _values(check: Check, columns: Mapping[str, int], block: Array) -> Array:
    """The measure by subject and day; NaN where something of it is missing."""
    if isinstance(check.measure, Name):
        return np.asarray(block[:, :, 0], dtype=float)
    found = np.full(block.shape[:2], np.nan)
    for place in zip(*np.nonzero(np.isfinite(block).all(axis=2)), strict=True):
        numbers = dict(zip(columns, block[place].tolist(), strict=True))
        found[place] = evaluate(check.measure, numbers)
    return found


# --- one number a subject ---------------------------------------------------------------------------------------------


def _slope(window: _Window, check: Check) -> Array:
    centred = window.days - window.days.mean()
    return np.asarray(window.values @ centred / (centred @ centred))


def _mean(window: _Window, check: Check) -> Array:
    length = window.days[-1] - window.days[0]
    return np.asarray(np.trapezoid(window.values, window.days, axis=1) / length)


def _truth(window: _Window, throughout: bool) -> Array:
    """1 where a condition holds, throughout or at some time, 0 where not, NaN where something is missing."""
    holds = window.values > 0
    found = holds.all(axis=1) if throughout else holds.any(axis=1)
    return np.where(np.isfinite(window.values).all(axis=1), np.asarray(found, dtype=float), np.nan)


def _until(window: _Window, check: Check) -> Array:
    holds = window.values > 0
    first = window.days[holds.argmax(axis=1)] - window.days[0]
    return np.where(np.isfinite(window.values).all(axis=1), np.where(holds.any(axis=1), first, math.inf), math.nan)


_STATISTICS: dict[str, Callable[[_Window, Check], Array]] = {
    "level": lambda window, check: window.values[:, -1],
    "change": lambda window, check: window.values[:, -1] - window.values[:, 0],
    "relative_change": lambda window, check: window.values[:, -1] / window.values[:, 0] - 1.0,
    "retained": lambda window, check: window.values[:, -1] / window.values[:, 0],
    "progress": lambda window, check: (
        (window.values[:, 1] - window.values[:, 0]) / (window.values[:, 2] - window.values[:, 0])
    ),
    "slope": _slope,
    "mean": _mean,
    "highest": lambda window, check: window.values.max(axis=1),
    "lowest": lambda window, check: window.values.min(axis=1),
    "always": lambda window, check: _truth(window, throughout=True),
    "ever": lambda window, check: _truth(window, throughout=False),
    "until": _until,
}


# --- one number of all subjects ---------------------------------------------------------------------------------------


def _group(check: Check, numbers: Array) -> Array:
    """The reference patient, or the cohort where there is one."""
    return numbers[:1] if check.over == "patient" or len(numbers) == 1 else numbers[1:]


def _summary(check: Check, numbers: Array) -> tuple[float, float, float]:
    """A statistic of people with its 95 % confidence interval; of one person only the value."""
    known = numbers[~np.isnan(numbers)]
    count = len(known)
    if not count:
        return (math.nan, math.nan, math.nan)
    if check.over == "share" and not check.compare and not set(known.tolist()) <= {0.0, 1.0}:
        raise check.wrong("over", "a share is of a condition; the measure is a number.", 'Write measure = "hba1c < 7".')
    value = _OVER[check.over](known, 1.0 if check.statistic == "relative_change" else 0.0)
    if count == 1 or not np.isfinite(known).all():
        return (value, math.nan, math.nan)
    if check.over == "share" and not check.compare:
        return (value, *exact_share(float(known.sum()), float(count)))
    if check.over in ("mean", "share"):
        half = student(count) * float(known.std(ddof=1)) / math.sqrt(count)
        return (value, value - half, value + half)
    if check.over == "median" and count >= FEWEST:
        ordered = np.sort(known)
        step = NORMAL_95 * math.sqrt(count) / 2
        low, high = max(0, math.floor(count / 2 - step)), min(count - 1, math.ceil(count / 2 + step) - 1)
        return (value, float(ordered[low]), float(ordered[high]))
    return (value, math.nan, math.nan)


def _beside(check: Check, result: Result) -> Array:
    """What people are told apart by in an association, by subject, at the beginning of the window."""
    known = [each.name for each in result.variables]
    if check.per not in known:
        cure = did_you_mean(check.per, known) or f"Recorded: {', '.join(known)}."
        raise check.wrong("per", f'{result.scenario} records no "{check.per}".', cure)
    arm = [each.name for each in result.arms].index(check.arm)
    block = result.values[arm][:, :, known.index(check.per)]
    there = np.flatnonzero(np.isfinite(block).any(axis=0))
    if not there.size:
        raise check.wrong("per", f"{check.per} was never recorded in {check.arm} of {result.scenario}.")
    return np.asarray(block[:, there[_nearest(check, "since", result.time[there], check.since)]])


def _association(check: Check, numbers: Array, beside: Array) -> tuple[float, float, float]:
    """The slope of a straight line through people, per `fold` times as much, with its 95 % confidence interval."""
    known = np.isfinite(numbers) & (beside > 0)
    count = int(known.sum())
    if count < FEWEST:
        return (math.nan, math.nan, math.nan)
    steps = np.log(beside[known]) / math.log(check.fold)
    centred = steps - steps.mean()
    spread = float(centred @ centred)
    value = float(numbers[known] @ centred) / spread
    rest = numbers[known] - numbers[known].mean() - value * centred
    half = student(count - 1) * math.sqrt(float(rest @ rest) / (count - 2) / spread)
    return (value, value - half, value + half)


def _geometric(numbers: Array, shift: float) -> float:
    positive = numbers + shift
    return float(np.exp(np.log(positive).mean())) - shift if (positive > 0).all() else math.nan


_OVER: dict[str, Callable[[Array, float], float]] = {
    "patient": lambda numbers, shift: float(numbers[0]),
    "mean": lambda numbers, shift: float(numbers.mean()),
    "median": lambda numbers, shift: float(np.median(numbers)),
    "geometric_mean": _geometric,
    "share": lambda numbers, shift: float(numbers.mean()),
}


# --- units ------------------------------------------------------------------------------------------------------------


def _converted(
    check: Check, result: Result, numbers: tuple[float, float, float]
) -> tuple[Unit, tuple[float, float, float]]:
    """Numbers in the unit of the published value (their own where it has none), and that unit."""
    own, absolute = _unit(check, result)
    wanted = check.value.unit or own
    try:
        shown = through(wanted, own.dimension, check.of)
    except UnitError as reason:
        raise check.wrong("measure", f"{reason.message} ({check.text}, {check.statistic})", reason.cure) from None
    lift, drop = (own.offset, shown.offset) if absolute else (0.0, 0.0)
    low, value, high = (
        (own.factor * each + lift - drop) / shown.factor for each in (numbers[1], numbers[0], numbers[2])
    )
    return wanted, (value, low, high)


def _unit(check: Check, result: Result) -> tuple[Unit, bool]:
    """The unit of a check's statistic, and whether it is a level, which an offset of its unit moves."""
    if check.compare == "ratio" or check.statistic in PURE_STATISTICS:
        return unit(""), False
    if check.statistic == "until":
        return unit("day"), False
    own = _measure_unit(check, result)
    if check.statistic == "slope":
        dimension: Dimension = times(own.dimension, TIME, -1.0)
        return Unit(f"{own.text}/day", own.factor, 0.0, dimension), False
    return own, check.statistic != "change" and not check.compare and check.over != "association"


def _measure_unit(check: Check, result: Result) -> Unit:
    if isinstance(check.measure, Name):
        text = next(variable.unit for variable in result.variables if variable.name == check.measure.name)
        return unit(text)
    if isinstance(check.measure, Apply) and check.measure.operator in TRUTHS:
        return Unit("", 1.0, 0.0, PURE)
    if check.unit is None:
        raise check.wrong("unit", "an expression needs its unit.", 'Write unit = "mmol/L".')
    return check.unit
