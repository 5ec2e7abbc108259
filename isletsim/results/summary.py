"""The numbers people ask for: start, 3, 6 and 12 months, then yearly, and the end; arms against the control.

Arms share their patients, so a difference is taken patient by patient first and summarised afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.figures.layout import printed_unit
from isletsim.results.record import NOTICE, Result, Variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Mark",
    "clinical",
    "failures_by_arm",
    "marks",
    "quantiles",
    "rounded",
    "shown_unit",
    "summarise",
    "unit_label",
]

MONTH = 30.4375  # days, as pint has it
YEAR = 12 * MONTH
DIGITS = 6
CONFIDENCE, NORMAL = 0.95, 1.959963984540054  # two-sided, and the normal point of it


@dataclass(frozen=True)
class Mark:
    """A time people ask for ("3 month", "end") and the saved row nearest to it."""

    at: str
    day: float
    row: int


# --- which variables, which rows --------------------------------------------------------------------------------------


def clinical(result: Result) -> list[int]:
    """The positions of the clinical names; of all variables where a study records no clinical name."""
    found = [index for index, variable in enumerate(result.variables) if "." not in variable.name]
    return found or list(range(len(result.variables)))


def unit_label(variable: Variable) -> str:
    """The unit as people write it."""
    text = variable.label or variable.unit
    return {"percent_NGSP": "%", "percent": "%", "mmol_per_mol_IFCC": "mmol/mol"}.get(text, text)


# What pure numbers count, for people; files of numbers leave it out.
COUNTS = {"beta_mass": "fraction of healthy", "beta_function": "fraction of healthy", "homa_b": "%"}


def shown_unit(variable: Variable) -> str:
    """The unit above a panel and in a table: ``kg/m²``, and of some pure numbers what they count."""
    return printed_unit(unit_label(variable)) or COUNTS.get(variable.name, "")


NEAR_DAYS, NEAR_SHARE = 8.0, 0.1  # how far from a time its row may be: days, and a share of the time


def marks(result: Result, variable: int) -> list[Mark]:
    """The times people ask for, each with the nearest row in which a variable was recorded, if one is near.

    Where several times share their nearest row, the one that is closest to it stays. The end is there unless only
    other variables were recorded then: a virtual test is not given at the end because the run ends.
    """
    known = np.isfinite(result.values[..., variable]).any(axis=(0, 1))
    rows = np.flatnonzero(known)
    if not rows.size:
        return []
    time, last = result.time, int(rows[-1])
    nearest: dict[int, Mark] = {}
    for at, day in _wanted(float(time[-1])):
        row = int(rows[np.abs(time[rows] - day).argmin()])
        if abs(time[row] - day) > NEAR_DAYS + NEAR_SHARE * day:
            continue
        if row not in nearest or abs(time[row] - day) < abs(time[row] - nearest[row].day):
            nearest[row] = Mark(at, day, row)
    reached = int(np.flatnonzero(np.isfinite(result.values).any(axis=(0, 1, 3)))[-1])
    ending = [Mark("end", float(time[last]), last)] if last == reached else []
    return [*nearest.values(), *ending]


def _wanted(end: float) -> list[tuple[str, float]]:
    """Names and days, up to the end; months are rounded to whole days as in scenarios."""
    months = [(f"{count} month", count * MONTH) for count in (0, 3, 6, 12)]
    years = [(f"{count} year", count * YEAR) for count in range(2, int(end / YEAR + 0.01) + 1)]
    return [(at, float(round(day))) for at, day in months + years if round(day) <= end + 0.5]


# --- statistics -------------------------------------------------------------------------------------------------------


def quantiles(values: NDArray[np.float64], levels: Sequence[float], axis: int = 0) -> NDArray[np.float64]:
    """Percentiles of the finite values along an axis, linear between order statistics; NaN where there are none."""
    ordered = np.moveaxis(np.where(np.isfinite(values), values, np.nan), axis, 0)
    ordered = np.sort(ordered, axis=0)  # NaN goes last
    counts = np.isfinite(ordered).sum(axis=0)
    if not len(ordered):
        return np.full((len(levels), *counts.shape), np.nan)
    places = np.asarray(levels, dtype=float).reshape(-1, *([1] * counts.ndim)) / 100 * np.maximum(counts - 1, 0)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    low, high = np.take_along_axis(ordered, below, 0), np.take_along_axis(ordered, above, 0)
    return np.asarray(low + (high - low) * (places - below))


def student(count: int) -> float:
    """The two-sided 95 % point of Student's t for the mean of `count` values (within 0.2 %).

    Exact for two and three values, beyond that the expansion of Abramowitz and Stegun 26.7.5.
    """
    freedom = count - 1
    if freedom == 1:
        return math.tan(math.pi * CONFIDENCE / 2)
    if freedom == 2:
        return CONFIDENCE * math.sqrt(2 / (1 - CONFIDENCE**2))
    x = NORMAL
    terms: tuple[float, ...] = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def rounded(value: float) -> float | None:
    """A number with six significant digits; None where there is none."""
    value = float(value)
    return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None


# --- the summary ------------------------------------------------------------------------------------------------------


def summarise(result: Result) -> dict[str, Any]:
    """The mapping that is written to summary.json.

    Per arm and clinical name a list of records, one a time: `at`, `time_day` (of the row that was taken), `patient`
    (the reference patient), and of the cohort `mean`, `median`, `p5`, `p95`, `n`. Without a cohort the patient is its
    own mean and median. Per arm other than the control the same of the paired differences, and `mean_low`, `mean_high`:
    the 95 % confidence interval of the mean difference. `responders` says who answers, of a cohort.
    """
    from isletsim.results.responders import responders

    names = [arm.name for arm in result.arms]
    control = names[result.control]
    levels: dict[str, dict[str, Any]] = {name: {} for name in names}
    differences: dict[str, dict[str, Any]] = {name: {} for name in names if name != control}
    for index in clinical(result):
        variable = result.variables[index]
        chosen = marks(result, index)
        if not chosen:
            continue
        block = result.values[:, :, [mark.row for mark in chosen], index]
        block = np.where(np.isfinite(block), block, np.nan)
        with np.errstate(over="ignore", invalid="ignore"):  # a run that blew up may hold 1e300
            for name, values in zip(names, block, strict=True):
                levels[name][variable.name] = _entry(result, variable, chosen, values, paired=False)
                if name != control:
                    paired = values - block[result.control]
                    differences[name][variable.name] = _entry(result, variable, chosen, paired, paired=True)
    return {
        "scenario": result.scenario,
        "title": result.title,
        "notice": NOTICE,
        "control": control,
        "cohort": result.cohort,
        "arms": levels,
        "differences": differences,
        "responders": responders(result),
        "failures": failures_by_arm(result),
    }


def failures_by_arm(result: Result) -> dict[str, int]:
    """How many subjects ended early, per arm."""
    return {arm.name: sum(failure.arm == arm.name for failure in result.failures) for arm in result.arms}


def _entry(
    result: Result, variable: Variable, chosen: list[Mark], values: NDArray[np.float64], *, paired: bool
) -> dict[str, Any]:
    group = values[1:] if len(values) > 1 else values
    statistics = _statistics(group, paired=paired)
    records = []
    for place, mark in enumerate(chosen):
        numbers: Mapping[str, Any] = {key: rounded(column[place]) for key, column in statistics.items()}
        count = int(np.isfinite(group[:, place]).sum())
        records.append(
            {
                "at": mark.at,
                "time_day": rounded(result.time[mark.row]),
                "patient": rounded(values[0, place]),
                **numbers,
                "n": count,
            }
        )
    return {"unit": unit_label(variable), "values": records}


def _statistics(group: NDArray[np.float64], *, paired: bool) -> dict[str, NDArray[np.float64]]:
    known = np.isfinite(group)
    count = known.sum(axis=0)
    some, several = count > 0, count > 1
    mean = np.where(some, np.where(known, group, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    low, median, high = quantiles(group, (5, 50, 95))
    found = {
        "mean": mean,
        "median": median,
        "p5": np.where(several, low, np.nan),
        "p95": np.where(several, high, np.nan),
    }
    if paired:
        squares = np.where(known, (group - mean) ** 2, 0.0).sum(axis=0)
        error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
        factor = np.array([student(int(each)) if each > 1 else np.nan for each in count])
        found |= {"mean_low": mean - factor * error, "mean_high": mean + factor * error}
    return found
