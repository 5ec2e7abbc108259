"""One real day: what happens in it, its summaries, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.layers.clocks import Clocks
from isletsim.solver import Outcome, Schedule, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.compiler import CompiledModel

__all__ = ["Day", "DayFailed", "share_between"]

SAMPLES = 288  # every five minutes, as a sensor does


class DayFailed(Exception):
    """A day that could not be simulated; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason.name)


@dataclass(frozen=True)
class Day:
    """The day of one patient: the model, what is given in it, and how its summaries are read.

    Attributes
    ----------
    schedule : meals, boluses and their held values, from midnight to midnight.
    limits : values of the limits of every summary.
    tolerance : relative tolerance of the day's solver; far below the tolerance of the summaries, so that differences
        between neighbouring days are smooth.
    """

    model: CompiledModel
    clocks: Clocks
    schedule: Schedule
    limits: tuple[tuple[float, ...], ...]
    tolerance: float
    method: str

    def run(
        self, parameters: NDArray[np.float64], start: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """A day from a midnight state: its summaries, the next midnight's state, and how far each summary's source
        is from closing (its value at the end less that at the beginning).

        Raises
        ------
        DayFailed : the day could not be finished.
        """
        outcome = self._solved(parameters, start, 1.0, _GRID, self.schedule)
        if outcome.reason.failed:
            raise DayFailed(outcome)
        return *self._summaries(outcome), self._gaps(outcome)

    def _summaries(self, outcome: Outcome) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        flat = self.model.flat
        values = np.empty(len(self.clocks.up))
        for index, (summary, limits) in enumerate(zip(self.clocks.summaries, self.limits, strict=True)):
            if summary.kind == "mean":
                values[index] = outcome.state[flat.states.index(f"integral({summary.of})")]
                continue
            course = outcome.outputs[:, flat.outputs.index(summary.of)]
            match summary.kind:
                case "at":
                    values[index] = np.interp(limits[0] % 1.0, _GRID, course)
                case "max":
                    values[index] = course.max()
                case "min":
                    values[index] = course.min()
                case _:
                    values[index] = share_between(course, *limits)
        kept = sum(1 for name in flat.states if not name.startswith("integral("))
        return values, outcome.state[:kept]

    def _gaps(self, outcome: Outcome) -> NDArray[np.float64]:
        names = self.model.flat.outputs
        columns = [names.index(summary.of) for summary in self.clocks.summaries]
        return np.abs(outcome.outputs[-1, columns] - outcome.outputs[0, columns])

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

    def _solved(
        self,
        parameters: NDArray[np.float64],
        start: NDArray[np.float64],
        end: float,
        save: NDArray[np.float64],
        schedule: Schedule,
    ) -> Outcome:
        begin = np.zeros(self.model.states)
        begin[: len(start)] = start
        return solve(
            self.model,
            begin,
            parameters,
            span=(0.0, end),
            save=save,
            schedule=schedule,
            rtol=self.tolerance,
            atol=0.01 * self.tolerance * np.array(self.model.flat.scale),
            method=self.method,  # type: ignore[arg-type]
            keep_states=False,
        )


_GRID = np.linspace(0.0, 1.0, SAMPLES + 1)


def share_between(course: NDArray[np.float64], low: float, high: float) -> float:
    """The share of the time in which a course of samples, joined by straight lines, is between two levels."""
    before, after = course[:-1], course[1:]
    rise = after - before
    inside = np.clip(after, low, high) - np.clip(before, low, high)
    flat = np.abs(rise) < 1e-12 * (1.0 + np.abs(before))
    still = ((before >= low) & (before <= high)).astype(float)
    return float(np.mean(np.where(flat, still, inside / np.where(flat, 1.0, rise))))


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
