"""One real day: what happens in it, its summaries, and where it ends.

A day is stepped with a fixed step as long as stability allows: its cost is then the smallest there is, and its
summaries are smooth functions of what it reads, which the slopes between neighbouring days need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.codegen.evaluate_at import dense_jacobian
from isletsim.composition.clocks import INTEGRAL, Clocks
from isletsim.ensemble import SolveRequest, Task
from isletsim.solver import Outcome, Schedule, longest_stable_step, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Day", "DayFailed", "Reading"]

SAMPLES = 288  # every five minutes, as a sensor does
LONGEST_STEP = 7.0 / 1440.0  # 7 minutes: with it the mean glucose of a day is right to a hundred-thousandth
MARGIN = 0.83  # of the longest step that is stable at midnight
SHORTEST_STEP = 0.2 / 1440.0  # a day that needs shorter ones is stiff: it is left to an adaptive method


class DayFailed(Exception):
    """A day that could not be simulated; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason.name)


@dataclass(frozen=True)
class Reading:
    """How the summaries of a day are read from a run.

    Attributes
    ----------
    save : times of the recorded rows; those in `sampled` are the even samples, from midnight to midnight.
    kinds : what each summary is.
    places : the state that is the integral of a mean; the row of a value at a time of the day.
    columns : the output behind every summary.
    """

    save: Numbers
    sampled: Integers
    kinds: tuple[str, ...]
    places: Integers
    columns: Integers


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
    def reading(self) -> Reading:
        """How its summaries are read."""
        flat, summaries = self.model.flat, self.clocks.summaries
        kinds = tuple(summary.kind for summary in summaries)
        times = np.array([limits[0] % 1.0 for limits, kind in zip(self.limits, kinds, strict=True) if kind == "at"])
        samples = _GRID if any(kind not in ("mean", "at") for kind in kinds) else _GRID[[0, -1]]
        save = np.unique(np.concatenate([samples, times]))
        rows = iter(np.searchsorted(save, times).tolist())
        places = [
            flat.states.index(INTEGRAL.format(each.of))
            if each.kind == "mean"
            else next(rows)
            if each.kind == "at"
            else 0
            for each in summaries
        ]
        return Reading(
            save=save,
            sampled=np.searchsorted(save, samples),
            kinds=kinds,
            places=np.array(places, np.int64),
            columns=np.array([flat.outputs.index(each.of) for each in summaries], np.int64),
        )

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

    def asked(self, parameters: Numbers, start: Numbers, pace: float) -> SolveRequest:
        """The question how a day goes, from its parameters and its midnight, with steps as long as `pace`."""
        return SolveRequest(
            self.model,
            self._begin(start),
            parameters,
            0.0,
            1.0,
            self.reading.save,
            self.tolerance,
            self.schedule,
            "fixed" if pace > 0.0 else self._adaptive,
            pace,
        )

    def finished(self, days: Sequence[SolveRequest]) -> Task[list[Outcome]]:
        """How days go; raises `DayFailed` where one could not be finished."""
        seen = list((yield days))
        # The pace was chosen at midnight; a day that becomes faster than that is done with steps of its own.
        again = [place for place, each in enumerate(seen) if each.reason.failed and days[place].method == "fixed"]
        if again:
            slower = yield [replace(days[place], method=self._adaptive) for place in again]
            for place, each in zip(again, slower, strict=True):
                seen[place] = each
        for each in seen:
            if each.reason.failed:
                raise DayFailed(each)
        return seen

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

    def repeated(self, begin: float, end: float) -> list[tuple[float, int, int, float]]:
        """What every day brings between two times, counted from a midnight: time, kind, index, amount."""
        entries = []
        for place, time in enumerate(self.schedule.times.tolist()):
            for at in range(int(self.schedule.first[place]), int(self.schedule.first[place + 1])):
                what = int(self.schedule.kinds[at]), int(self.schedule.indices[at]), float(self.schedule.amounts[at])
                entries += [(time + day, *what) for day in range(math.ceil(end) + 1) if begin <= time + day <= end]
        return entries

    def test(
        self,
        model: CompiledModel,
        parameters: NDArray[np.float64],
        start: NDArray[np.float64],
        times: NDArray[np.float64],
        schedule: Schedule,
    ) -> Outcome:
        """A stretch from the first of the times on, with what the schedule says; outputs at the times.

        Times are counted from a midnight. The model is the day's, or a part of it.
        """
        return self._solved(parameters, start, float(times[-1]), times, schedule, float(times[0]), model)

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
        begin: float = 0.0,
        model: CompiledModel | None = None,
    ) -> Outcome:
        return solve(
            model or self.model,
            self._begin(start) if model is None else start,
            parameters,
            span=(begin, end),
            save=save,
            schedule=schedule,
            rtol=self.tolerance,
            method=self._adaptive,  # type: ignore[arg-type]
            keep_states=model is not None,
        )


_GRID = np.linspace(0.0, 1.0, SAMPLES + 1)


def limits_of(clocks: Clocks, known: Mapping[str, float]) -> tuple[tuple[float, ...], ...]:
    """The limits of every summary for a patient, from parameters and derived values by name."""
    return tuple(tuple(known[name] for name in summary.limits) for summary in clocks.summaries)


def schedule_of(entries: Sequence[tuple[float, int, int, float]]) -> Schedule:
    """A schedule from (time, kind, index, amount), in order."""
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
