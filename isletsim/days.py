"""One real day: what happens in it, its summaries, and where it ends.

A day is stepped with a fixed step as long as stability allows: its cost is then the smallest there is, and its
summaries are smooth functions of what it reads, which the slopes between neighbouring days need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.ensemble import Reader, Run, Steps
from isletsim.layers.clocks import INTEGRAL, Clocks
from isletsim.point import dense_jacobian
from isletsim.solver import Outcome, Schedule, longest_stable_step, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.compiler import CompiledModel

    Numbers = NDArray[np.float64]
    Spent = tuple[Numbers, Numbers, Numbers]

__all__ = ["Day", "DayFailed", "share_between"]

SAMPLES = 288  # every five minutes, as a sensor does
LONGEST_STEP = 7.0 / 1440.0  # 7 minutes: with it the mean glucose of a day is right to about a ten-thousandth
MARGIN = 0.83  # of the longest step that is stable at midnight
SHORTEST_STEP = 0.2 / 1440.0  # a day that needs shorter ones is stiff: it is left to an adaptive method


class DayFailed(Exception):
    """A day that could not be simulated; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason.name)


@dataclass(frozen=True)
class _Reading:
    """How the summaries of a day are read from a run: which rows are recorded, and what is taken from where.

    Attributes
    ----------
    save : times of the rows; the first `sampled` of them are the even samples, from midnight to midnight.
    means, integrals : places of the means among the summaries, and of their integrals among the states.
    moments, moment_rows, moment_columns : the same for values at a time of the day.
    courses : place, kind, limits and column of each summary of a whole course.
    columns : the output behind every summary. begin, end : the rows of the two midnights.
    """

    save: NDArray[np.float64]
    sampled: NDArray[np.int64]
    means: NDArray[np.int64]
    integrals: NDArray[np.int64]
    moments: NDArray[np.int64]
    moment_rows: NDArray[np.int64]
    moment_columns: NDArray[np.int64]
    courses: tuple[tuple[int, str, tuple[float, ...], int], ...]
    columns: NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """The day of one patient: the model, what is given in it, and how its summaries are read.

    Attributes
    ----------
    schedule : meals, boluses and their held values, from midnight to midnight.
    limits : values of the limits of every summary.
    tolerance, method : of the solver where steps follow the error: virtual tests, and days no fixed step is good for.
    """

    model: CompiledModel
    clocks: Clocks
    schedule: Schedule
    limits: tuple[tuple[float, ...], ...]
    tolerance: float
    method: str

    @cached_property
    def _reading(self) -> _Reading:
        flat, summaries = self.model.flat, self.clocks.summaries
        columns = np.array([flat.outputs.index(summary.of) for summary in summaries], np.int64)
        means = [index for index, summary in enumerate(summaries) if summary.kind == "mean"]
        moments = [index for index, summary in enumerate(summaries) if summary.kind == "at"]
        courses = [index for index in range(len(summaries)) if index not in means and index not in moments]
        times = np.array([self.limits[index][0] % 1.0 for index in moments])
        samples = _GRID if courses else _GRID[[0, -1]]
        save = np.unique(np.concatenate([samples, times]))
        return _Reading(
            save=save,
            sampled=np.searchsorted(save, samples),
            means=np.array(means, np.int64),
            integrals=np.array([flat.states.index(INTEGRAL.format(summaries[index].of)) for index in means], np.int64),
            moments=np.array(moments, np.int64),
            moment_rows=np.searchsorted(save, times),
            moment_columns=columns[moments],
            courses=tuple((index, summaries[index].kind, self.limits[index], int(columns[index])) for index in courses),
            columns=columns,
        )

    @cached_property
    def _kept(self) -> int:
        """How many states a midnight has; behind them stand the integrals."""
        return self.model.states - len({summary.of for summary in self.clocks.summaries if summary.kind == "mean"})

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], list[Any]]:
        """The states that no other both sees and is seen by, and the groups of the rest: their modes are the day's."""
        reach = np.eye(self.model.states, dtype=np.int64)
        reach[self.model.rows, self.model.columns] = 1
        for _ in range(self.model.states.bit_length()):
            reach = np.minimum(reach @ reach, 1)
        groups = [np.flatnonzero(row) for row in np.unique(reach * reach.T, axis=0)]
        alone = np.concatenate([np.empty(0, np.int64), *(group for group in groups if len(group) == 1)])
        return alone, [np.ix_(group, group) for group in groups if len(group) > 1]

    @cached_property
    def _adaptive(self) -> str:
        return "stiff" if any(self.model.flat.algebraic) else self.method

    def pace(self, parameters: NDArray[np.float64], start: NDArray[np.float64]) -> float:
        """The longest fixed step for days like the one that begins here; 0 where none is good: steps follow the error.

        The fastest motions of a day (insulin between liver and blood) hardly change within it, so one look is enough.
        """
        if any(self.model.flat.algebraic):
            return 0.0
        jacobian = dense_jacobian(self.model, 0.0, self._begin(start), parameters)
        if not np.isfinite(jacobian).all():
            return 0.0
        alone, groups = self._groups
        modes = [jacobian[alone, alone], *(np.linalg.eigvals(jacobian[group]) for group in groups)]
        step = min(LONGEST_STEP, MARGIN * longest_stable_step(np.concatenate(modes)))
        return step if step >= SHORTEST_STEP else 0.0

    def run(self, parameters: Numbers, start: Numbers, pace: float) -> Steps[Spent]:
        """A day from a midnight state; see `runs`."""
        (spent,) = yield from self.runs([(parameters, start)], pace)
        return spent

    def runs(self, mornings: Sequence[tuple[Numbers, Numbers]], pace: float) -> Steps[list[Spent]]:
        """Days from their parameters and midnight states: of each its summaries, the next midnight's state, and how
        far each summary's source is from closing (its value at the end less that at the beginning).

        Parameters
        ----------
        pace : the longest step, from `pace`; the same for all days that are compared with each other.

        Raises
        ------
        DayFailed : a day could not be finished.
        """
        return (yield from self.finished([self.asked(*morning, pace, self._reader) for morning in mornings]))

    def asked(self, parameters: Numbers, start: Numbers, pace: float, reader: Reader, about: Any = None) -> Run:
        """The question how a day goes."""
        return Run(
            self.model,
            self._begin(start),
            parameters,
            0.0,
            1.0,
            self._reading.save,
            self.tolerance,
            self.schedule,
            "fixed" if pace > 0.0 else self._adaptive,
            pace,
            None,
            reader,
            about,
        )

    def finished(self, days: Sequence[Run]) -> Steps[list[Any]]:
        """What the readers make of days; raises `DayFailed` where one could not be finished."""
        seen = list((yield days))
        # The pace was chosen at midnight; a day that becomes faster than that is done with steps of its own.
        failed = [place for place, each in enumerate(seen) if type(each) is Outcome]
        again = [place for place in failed if days[place].method == "fixed"]
        if again:
            slower = yield [replace(days[place], method=self._adaptive) for place in again]
            for place, each in zip(again, slower, strict=True):
                seen[place] = each
        for place in failed:
            if type(seen[place]) is Outcome:
                raise DayFailed(seen[place])
        return seen

    def seen(self, outputs: Numbers, states: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Summaries, next midnights and gaps of days that are over, row by row."""
        reading = self._reading
        summaries = np.empty((len(states), len(reading.columns)))
        summaries[:, reading.means] = states[:, reading.integrals]
        summaries[:, reading.moments] = outputs[:, reading.moment_rows, reading.moment_columns]
        for index, kind, limits, column in reading.courses:
            # Row by row in memory: the order of a sum must not depend on how many days there are.
            course = np.ascontiguousarray(outputs[:, reading.sampled, column])
            if kind == "max":
                summaries[:, index] = course.max(axis=1)
            elif kind == "min":
                summaries[:, index] = course.min(axis=1)
            else:
                summaries[:, index] = share_between(course, *limits)
        return summaries, states[:, : self._kept], np.abs(outputs[:, -1] - outputs[:, 0])[:, reading.columns]

    @cached_property
    def _reader(self) -> Reader:
        def read(outputs: Numbers, states: Numbers, steps: Sequence[int], about: Sequence[Any]) -> list[Spent]:
            return list(zip(*self.seen(outputs, states), strict=True))

        return read

    def until(self, parameters: NDArray[np.float64], start: NDArray[np.float64], end: float) -> Outcome:
        """The day from midnight until a time of it; what falls on that time does not happen."""
        kept = self.schedule.times < end
        size = int(kept.sum())
        first = self.schedule.first[: size + 1]
        total = int(first[-1])
        morning = Schedule(
            self.schedule.times[:size],
            first,
            self.schedule.kinds[:total],
            self.schedule.indices[:total],
            self.schedule.amounts[:total],
        )
        return self._solved(parameters, start, end, np.empty(0), morning)

    def test(
        self,
        parameters: NDArray[np.float64],
        start: NDArray[np.float64],
        times: NDArray[np.float64],
        schedule: Schedule,
    ) -> Outcome:
        """A stretch of the day that begins at 0 and brings what the schedule says; outputs at the times given."""
        return self._solved(parameters, start, float(times[-1]), times, schedule)

    def _begin(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """All states at midnight: the integrals begin at zero."""
        begin = np.zeros(self.model.states)
        begin[: len(start)] = start
        return begin

    def _solved(
        self,
        parameters: NDArray[np.float64],
        start: NDArray[np.float64],
        end: float,
        save: NDArray[np.float64],
        schedule: Schedule,
    ) -> Outcome:
        return solve(
            self.model,
            self._begin(start),
            parameters,
            span=(0.0, end),
            save=save,
            schedule=schedule,
            rtol=self.tolerance,
            method=self._adaptive,  # type: ignore[arg-type]
            keep_states=False,
        )


_GRID = np.linspace(0.0, 1.0, SAMPLES + 1)


def share_between(course: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The share of the time in which a course of samples, joined by straight lines, is between two levels.

    The last axis is time.
    """
    inside = np.minimum(np.maximum(course, low), high)
    rise = course[..., 1:] - course[..., :-1]
    share = inside[..., 1:] - inside[..., :-1]
    level = rise == 0.0
    if level.any():  # of a level piece: all or nothing
        share[level] = (inside[..., 1:] == course[..., 1:])[level]
        rise[level] = 1.0
    share /= rise
    return np.asarray(share.mean(axis=-1))


def limits_of(clocks: Clocks, known: Mapping[str, float]) -> tuple[tuple[float, ...], ...]:
    """The limits of every summary for a patient, from parameters and derived values by name."""
    return tuple(tuple(known[name] for name in summary.limits) for summary in clocks.summaries)


def day_schedule(entries: Sequence[tuple[float, int, int, float]]) -> Schedule:
    """A schedule from (time of the day, kind, index, amount), in order."""
    ordered = sorted(entries, key=lambda entry: entry[0])
    times = sorted({entry[0] for entry in ordered})
    first = np.searchsorted(np.array([entry[0] for entry in ordered]), np.array([*times, np.inf]))
    return Schedule(
        times=np.array(times),
        first=first,
        kinds=np.array([entry[1] for entry in ordered], np.int64),
        indices=np.array([entry[2] for entry in ordered], np.int64),
        amounts=np.array([entry[3] for entry in ordered], np.float64),
    )


def at_once(time: float, entries: Sequence[tuple[int, int, float]]) -> Schedule:
    """A schedule from what happens at one time: (kind, index, amount), in order."""
    return day_schedule([(time, *entry) for entry in entries])
