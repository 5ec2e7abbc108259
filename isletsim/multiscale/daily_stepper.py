"""Two clocks: decades of life from few simulated days.

Between real days the summaries of the day are a local function of what the day reads of the life, inside the
stiff integrator of the life. A macro step is predicted with it, one real day is simulated at its end, and the step is
done again with the summaries corrected; the difference controls the length of the steps. Where the linear day is poor
the steps shrink to one day, and the scheme then simulates every day. The steps themselves are done by `macro_step`,
for many lives at once; here stands what else there is in one life: its first day, and days lived one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from isletsim.codegen.evaluate_at import observe
from isletsim.composition.clocks import Clocks
from isletsim.ensemble import SolveRequest, Task
from isletsim.multiscale.batch import BatchManager, Job
from isletsim.multiscale.day import Day, DayFailed
from isletsim.multiscale.step_control import StepControl, WorkCounts
from isletsim.multiscale.surrogate import (
    DailySurrogate,
    LastDay,
    midnight_near,
    summaries_near,
    tell,
    tell_drift,
    within_bounds,
)
from isletsim.multiscale.workspace import LOOK_AGAIN
from isletsim.solver import Outcome, Reason, Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

__all__ = ["DailyStepper", "SlowState", "StepControl", "WorkCounts"]

MOST_DAYS_ALONE = (
    2000  # without a macro step between them: then macro steps are of no use, and a run would not end soon
)
_NOTHING = Schedule.empty()


@dataclass(frozen=True)
class SlowState:
    """Where a patient's life stands: the state and parameters of the life model, and the day it was last seen in."""

    state: NDArray[np.float64]
    parameters: NDArray[np.float64]
    base: DailySurrogate | None = None
    step: float = 0.0
    known: NDArray[np.bool_] | None = None
    stepper: DailyStepper | None = None
    time: float = 0.0


class RealDay(NamedTuple):
    """A real day: its summaries, the midnight at its end, and how far it is from closing, in tolerances."""

    summaries: NDArray[np.float64]
    midnight_state: NDArray[np.float64]
    gap: float


def _length(vector: NDArray[np.float64]) -> float:
    return math.sqrt(float(vector @ vector))


@dataclass
class DailyStepper:
    """A walk through one patient's life.

    Parameters
    ----------
    model : the compiled life model. `day` is the patient's day, with its own midnight start.
    """

    model: CompiledModel
    clocks: Clocks
    day: Day
    control: StepControl
    midnight: NDArray[np.float64]
    manager: BatchManager
    counts: WorkCounts = field(default_factory=WorkCounts)

    def __post_init__(self) -> None:
        self.rtol, self.downs, self.ups = self.manager.pair.rtol, self.manager.downs, self.manager.ups
        self.width, self.places = self.manager.width, self.manager.places

    def _done(self, job: Job) -> Task[Job]:
        """An job that has come to its end."""
        yield [job]
        self.manager.count(self.counts, job)
        return job

    # --- real days ---

    def _reads(self, slow: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """The day's parameters, from those of the life and what the day reads of it."""
        return self.manager.day_parameters(slow, v)

    def _real(
        self, slow: NDArray[np.float64], base: DailySurrogate, v: NDArray[np.float64], x: NDArray[np.float64]
    ) -> Task[RealDay]:
        """One real day."""
        seen, _ = yield from self._settled(slow, base, v, x, 1, 1)
        return seen

    def _settled(
        self,
        slow: NDArray[np.float64],
        base: DailySurrogate,
        v: NDArray[np.float64],
        x: NDArray[np.float64],
        least: int,
        most: int,
    ) -> Task[tuple[RealDay, NDArray[np.float64]]]:
        """Real days until one closes: the last of them, and the midnight at its beginning."""
        job = yield from self._done(self.manager.settle(self.day, slow, base, v, x, least, most))
        if job.failed is not None:
            raise DayFailed(job.failed)
        s, x, dawn, gap = self.manager.last_day(job)
        return RealDay(s, x, gap), dawn

    def _paced(
        self, slow: NDArray[np.float64], base: DailySurrogate, v: NDArray[np.float64], x: NDArray[np.float64]
    ) -> DailySurrogate:
        """The base with a pace that suits days that read v; looked at again only where they have become others."""
        if _length((v - base.paced) / self.width) <= LOOK_AGAIN:
            return base
        return replace(base, pace=self.manager.day_step(self.day, slow, v, x, base.pace), paced=v)

    def today(self, slow: SlowState) -> Task[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The day's parameters for where life stands, and the midnight such a day begins with."""
        base = slow.base
        assert base is not None
        v = self._read(slow.state, slow.parameters, slow.time)
        x = midnight_near(base, v) if base.today is None else base.today.midnight_state
        seen, _ = yield from self._settled(slow.parameters, self._paced(slow.parameters, base, v, x), v, x, 1, 4)
        return self._reads(slow.parameters, v), seen.midnight_state

    def _moved(
        self, slow: SlowState, v: NDArray[np.float64], seen: RealDay, dawn: NDArray[np.float64]
    ) -> Task[SlowState]:
        """The life with its base at a new real day: slopes are fresh where it came as a surprise, else bent."""
        base, known = slow.base, slow.known
        assert base is not None
        assert known is not None
        moving = self.manager.move(self.day, slow.parameters, base, known, v, seen.summaries, seen.midnight_state, dawn)
        job = yield from self._done(moving)
        if job.failed is not None:
            raise DayFailed(job.failed)
        return replace(slow, base=self.manager.base(job), known=self.manager.known(job))

    # --- the life between real days ---

    def _read(self, state: NDArray[np.float64], parameters: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        return self.manager.split(observe(self.model, time, state, parameters))[0]

    def _present(self, slow: SlowState) -> SlowState:
        """The life with a bridge that says what its summaries are now, whatever time it was when they were found."""
        base = slow.base
        assert base is not None
        if base.today is None:
            tell(self.places, slow.parameters, base)
        else:
            today = base.today
            tell_drift(self.places, slow.parameters, slow.time, today.now, None)
        return slow

    def _solve(
        self, slow: SlowState, begin: float, end: float, save: Sequence[float] | NDArray[np.float64]
    ) -> Task[Outcome]:
        times = np.asarray(save, dtype=np.float64)
        answers = yield [SolveRequest(self.model, slow.state, slow.parameters, begin, end, times, self.rtol)]
        outcome: Outcome = answers[0]
        self.counts.inner += outcome.counts.steps
        return outcome

    def _recorded(self, slow: SlowState, time: float, after: float, save: NDArray[np.float64]) -> Task[Outcome]:
        wanted = save[save <= after + 1e-9]
        return (yield from self._solve(slow, time, after, np.minimum(wanted, after)))

    # --- what happens ---

    def again(self, midnight: NDArray[np.float64] | None = None) -> DailyStepper:
        """The same walk with its counts at zero, and perhaps another midnight to begin with."""
        return replace(self, counts=WorkCounts(), midnight=self.midnight if midnight is None else midnight)

    def with_day(self, slow: SlowState, day: Day, time: float) -> Task[tuple[SlowState, DailyStepper]]:
        """The life and its stepper where every day is another from a midnight on.

        Where every day is simulated, the next one begins where the last one ended; else days are lived until they
        close.
        """
        base = slow.base
        assert base is not None
        midnight = base.midnight_state if base.today is None else base.today.midnight_state
        stepper = replace(self, day=day, midnight=midnight)
        if base.today is not None and self.control.every_day:
            kept = replace(base, today=replace(base.today, drift=None))
            return replace(slow, base=kept, stepper=stepper), stepper
        slow = yield from stepper.opened(replace(slow, base=None, stepper=stepper), time)
        return slow, stepper

    def opened(self, slow: SlowState, time: float) -> Task[SlowState]:
        """The life with a first real day."""
        v = self._read(slow.state, slow.parameters, time)
        pace = self.day.pace(self._reads(slow.parameters, v), self.midnight)
        nothing = np.zeros(self.ups)
        slopes = np.zeros((self.ups, self.downs)), np.zeros((len(self.midnight), self.downs))
        base = DailySurrogate(v, nothing, self.midnight, self.midnight, *slopes, nothing, v, pace, paced=v)
        seen, dawn = yield from self._settled(slow.parameters, base, v, self.midnight, 2, 8)
        today = (
            LastDay(seen.summaries, seen.midnight_state, initial_midnight=seen.midnight_state)
            if self.control.every_day
            else None
        )
        base = replace(
            base,
            summaries=seen.summaries,
            midnight_state=seen.midnight_state,
            initial_midnight=dawn,
            curve=self.manager.curves(seen.summaries),
            today=today,
        )
        known = np.zeros(self.downs, dtype=bool)
        return self._present(replace(slow, base=base, step=self.control.first, known=known, time=time))

    def event(self, slow: SlowState, time: float, agenda: Schedule) -> Task[SlowState]:
        """The life after what happens at one instant.

        Where it has moved what the day reads so far that nothing foresees it, the days that follow are simulated one by
        one until they are alike.
        """
        happened = int(np.searchsorted(agenda.times, time))
        slow, _, _ = yield from self._on_the_way(slow, time, time, np.empty(0), agenda, happened)
        return slow

    def segment(
        self,
        slow: SlowState,
        begin: float,
        end: float,
        save: NDArray[np.float64],
        agenda: Schedule = _NOTHING,
    ) -> Task[tuple[SlowState, NDArray[np.float64], Outcome | None]]:
        """The life from one time to another, with what happens in between and at the end.

        Returns
        -------
        life : at the end. rows : one row of outputs for each time in `save` (begin < time <= end), after what happens
        then.
        failed : the outcome of a run that failed, or None.
        """
        rows = np.full((len(save), self.model.outputs), np.nan)
        time, done = begin, 0
        while True:
            assert slow.base is not None
            happened = int(np.searchsorted(agenda.times, time, "right"))
            mark = min(agenda.times.item(happened), end) if happened < len(agenda.times) else end
            today = slow.base.today
            if time >= end - 1e-9:
                return self._present(slow), rows, None
            if today is None or not (today.left > 0 or self.control.every_day):
                slow, found, failed = yield from self._on_the_way(slow, time, end, save[done:], agenda, happened)
                self.counts.alone = 0 if slow.time > time else self.counts.alone
                rows[done : done + len(found)] = found
                time, done = slow.time, done + len(found)
                if failed is not None:
                    return slow, rows[:done], failed
                continue
            try:
                slow, time, outcome = yield from self._one_day(slow, time, mark, save[done:])
            except DayFailed as failure:
                return slow, rows[:done], failure.outcome
            if slow.time != time:
                slow = replace(slow, time=time)
            rows[done : done + len(outcome.outputs)] = outcome.outputs
            done += len(outcome.outputs)
            self.counts.alone += 1
            if self.counts.alone > MOST_DAYS_ALONE and not self.control.every_day:
                outcome = replace(outcome, reason=Reason.TOO_MANY_STEPS)
            if outcome.reason.failed:
                return slow, rows[:done], outcome
            if time >= mark - 1e-9 and happened < len(agenda.times) and agenda.times[happened] <= end:
                time = mark
                slow = yield from self.event(slow, time, agenda)
                if done > 0 and save[done - 1] == time:
                    rows[done - 1] = observe(self.model, time, slow.state, slow.parameters)

    def _on_the_way(
        self,
        slow: SlowState,
        time: float,
        end: float,
        save: NDArray[np.float64],
        agenda: Schedule,
        happened: int,
    ) -> Task[tuple[SlowState, NDArray[np.float64], Outcome | None]]:
        """The life by macro steps until a time, or to where days one by one are better than these."""
        base, known = slow.base, slow.known
        assert base is not None
        assert known is not None
        job = yield from self._done(
            self.manager.macro_steps(
                self.day, slow.state, slow.parameters, base, known, slow.step, (time, end), save, agenda, happened
            )
        )
        state, parameters, step, reached = self.manager.slow_state(job)
        past, before, unforeseen = self.manager.happened(job)
        yesterday = base.today if reached == time else None
        base, known = self.manager.base(job), self.manager.known(job)
        if self.manager.needs_daily_run(job):
            step, spell = 2.0 * self.control.min_macro_days, self.control.daily_run
            if yesterday is None or yesterday.drift is None:
                yesterday = self._as_foreseen(base, self._read(state, parameters, reached), np.zeros(self.ups))
            base = replace(base, today=replace(yesterday, left=spell))
        elif past > happened:
            base = replace(base, today=self._after(base, yesterday, before, unforeseen=unforeseen))
        slow = SlowState(state, parameters, base, step, known, slow.stepper, reached)
        if yesterday is not None and past > happened:
            self._present(slow)
        return slow, self.manager.records(job), job.failed

    def _after(
        self, base: DailySurrogate, today: LastDay | None, before: NDArray[np.float64] | None, *, unforeseen: bool
    ) -> LastDay | None:
        """The latest day where something has just happened; `before` is what it read until then, if that was moved."""
        if before is not None:
            today = today or self._as_foreseen(base, before)
            return replace(today, drift=None, left=self.control.settling_days if unforeseen else today.left)
        if today is None or today.drift is None:
            return today
        # The days are what they were, but may drift otherwise from now on.
        return replace(today, summaries=today.now, ago=0.0, drift=np.zeros(self.ups))

    def _as_foreseen(
        self, base: DailySurrogate, v: NDArray[np.float64], drift: NDArray[np.float64] | None = None
    ) -> LastDay:
        """The day that reads v, as the base foresees it."""
        x = midnight_near(base, v)
        return LastDay(summaries_near(base, v), x, initial_midnight=x, ago=0.5 if drift is None else 0.0, drift=drift)

    # --- day by day ---

    def _one_day(
        self, slow: SlowState, time: float, end: float, save: NDArray[np.float64]
    ) -> Task[tuple[SlowState, float, Outcome]]:
        """The life to the next midnight, with the day simulated as it was found at the last one.

        Of second order: the life goes to the middle with the summaries of the day before, drawn on; the day runs with
        what it reads there; then the life goes all the way with summaries that are the day's own in the middle.
        """
        base = slow.base
        assert base is not None
        assert base.today is not None
        yesterday = base.today
        midnight = math.floor(time + 1e-9)
        after = min(midnight + 1.0, end)
        middle, latest = 0.5 * (time + after), time - yesterday.ago
        tell_drift(self.places, slow.parameters, latest, yesterday.summaries, yesterday.drift)
        ahead = yield from self._solve(slow, time, middle, [middle])
        if ahead.reason.failed:
            return slow, middle, ahead
        v = self.manager.split(ahead.outputs[-1])[0]
        dawn = yesterday.midnight_state if time - midnight < 1e-9 else yesterday.initial_midnight
        base = self._paced(slow.parameters, base, v, dawn)
        seen = yield from self._real(slow.parameters, base, v, dawn)
        s, x = seen.summaries, seen.midnight_state
        drift = np.zeros(self.ups) if yesterday.drift is None else (s - yesterday.summaries) / (middle - latest)
        drift = within_bounds(drift, s, self.manager.pair.bounds)
        tell_drift(self.places, slow.parameters, middle, s, drift)
        outcome = yield from self._recorded(slow, time, after, save)
        self.counts.steps += 1
        today = LastDay(s, x, dawn, after - middle, drift, max(0, yesterday.left - 1))
        slow = replace(slow, state=outcome.state, base=replace(base, today=today))
        if not self.control.every_day and (seen.gap < self.control.gap or today.left == 0):  # else no slopes are wanted
            slow = yield from self._moved(slow, v, seen, dawn)
            assert slow.base is not None
            slow = replace(slow, base=replace(slow.base, today=replace(today, left=0)))  # if days go on one by one
        return slow, after, outcome
