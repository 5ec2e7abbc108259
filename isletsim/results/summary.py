"""The numbers people ask for: start, 3, 6 and 12 months, then yearly, and the end; arms against the control.

Arms share their patients, so a difference is taken patient by patient first and summarised afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.results.record import NOTICE, StudyData, Variable
from isletsim.results.responders import responders
from isletsim.results.variables import clinical, unit_label
from isletsim.statistics import quantiles, rounded, student

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Mark",
    "failures_by_arm",
    "marks",
    "summarise",
]

MONTH = 30.4375  # days, as pint has it
YEAR = 12 * MONTH


@dataclass(frozen=True)
class Mark:
    """A time people ask for ("3 month", "end") and the saved row nearest to it."""

    at: str
    day: float
    row: int


# --- which variables, which rows --------------------------------------------------------------------------------------


NEAR_DAYS, NEAR_SHARE = 8.0, 0.1  # how far from a time its row may be: days, and a share of the time


def marks(result: StudyData, variable: int) -> list[Mark]:
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


# --- the summary ------------------------------------------------------------------------------------------------------


def summarise(result: StudyData) -> dict[str, Any]:
    """The mapping that is written to summary.json.

    Per arm and clinical name a list of records, one a time: `at`, `time_day` (of the row that was taken), `patient`
    (the reference patient), and of the cohort `mean`, `median`, `p5`, `p95`, `n`. Without a cohort the patient is its
    own mean and median. Per arm other than the control the same of the paired differences, and `mean_low`, `mean_high`:
    the 95 % confidence interval of the mean difference. `responders` says who answers, of a cohort.
    """
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


def failures_by_arm(result: StudyData) -> dict[str, int]:
    """How many subjects ended early, per arm."""
    return {arm.name: sum(failure.arm == arm.name for failure in result.failures) for arm in result.arms}


def _entry(
    result: StudyData, variable: Variable, chosen: list[Mark], values: NDArray[np.float64], *, paired: bool
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
