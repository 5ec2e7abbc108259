"""Two clocks: decades of life from few simulated days.

Between real days the summaries of the day are a local function of what the day reads of the life, inside the
stiff integrator of the life. A macro step is predicted with it, one real day is simulated at its end, and the step is
done again with the summaries corrected; the difference controls the length of the steps. Where the linear day is poor
the steps shrink to one day, and the scheme then simulates every day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from isletsim.bridge import (
    Base,
    Today,
    apart,
    midnight_near,
    shifted,
    summaries_near,
    tell,
    tell_bend,
    tell_drift,
    worth,
)
from isletsim.compiler.native import LANES
from isletsim.days import Day, DayFailed
from isletsim.ensemble import Run, Steps
from isletsim.layers.clocks import Clocks
from isletsim.looks import Ahead, Looks, Seen
from isletsim.point import observe
from isletsim.rules import ClockCounts, Rules
from isletsim.solver import Outcome, Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.compiler import CompiledModel

__all__ = ["ClockCounts", "Life", "Rules", "Walk"]


@dataclass(frozen=True)
class Life:
    """Where a patient's life stands: the state and parameters of the life model, and the day it was last seen in."""

    state: NDArray[np.float64]
    parameters: NDArray[np.float64]
    base: Base | None = None
    step: float = 0.0
    known: NDArray[np.bool_] | None = None
    walk: Walk | None = None
    time: float = 0.0


@dataclass(slots=True)
class _Trial:
    """A macro step that was tried: accepted with what its last day showed at v, or to be tried again at `factor`."""

    life: Life
    factor: float = 1.0
    v: NDArray[np.float64] | None = None
    seen: Seen | None = None
    dawn: NDArray[np.float64] | None = None
    failed: Outcome | None = None


def _length(vector: NDArray[np.float64]) -> float:
    return math.sqrt(float(vector @ vector))


@dataclass
class Walk:
    """A walk through one patient's life.

    Parameters
    ----------
    model : the compiled life model. `day` is the patient's day, with its own midnight start.
    """

    model: CompiledModel
    clocks: Clocks
    day: Day
    rules: Rules
    rtol: float
    midnight: NDArray[np.float64]
    looks: Looks
    counts: ClockCounts = field(default_factory=ClockCounts)

    def __post_init__(self) -> None:
        clocks, downs, ups = self.clocks, len(self.clocks.down), len(self.clocks.up)
        self.downs, self.ups = downs, ups
        self.shared = len(clocks.life.parameters) - (1 + 2 * downs + 4 * ups + ups * downs)
        self.width = self.looks.width
        self.day_places, self.places = self.looks.day_places, self.looks.places
        self.eyes = self.looks.of(self.day)

    # --- real days ---

    def _reads(self, life: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """The day's parameters, from those of the life and what the day reads of it."""
        parameters = np.empty(len(self.clocks.day.parameters))
        parameters[: self.shared] = life[: self.shared]
        parameters[self.day_places] = v
        return parameters

    def _real(
        self, life: NDArray[np.float64], base: Base, v: NDArray[np.float64], x: NDArray[np.float64]
    ) -> Steps[Seen]:
        """One real day, seen beside what a base expects of it."""
        self.counts.days += 1
        days = [self.day.asked(self._reads(life, v), x, base.pace, self.eyes, (base, v))]
        (seen,) = yield from self.day.finished(days)
        return seen  # type: ignore[no-any-return]

    def _settled(
        self,
        life: NDArray[np.float64],
        base: Base,
        v: NDArray[np.float64],
        x: NDArray[np.float64],
        least: int,
        most: int,
    ) -> Steps[tuple[Seen, NDArray[np.float64]]]:
        """Real days until one closes: the last of them, and the midnight at its beginning."""
        for number in range(1, most + 1):
            seen = yield from self._real(life, base, v, x)
            if number == most or (number >= least and seen.gap < self.rules.gap):
                break
            x = seen.x
        return seen, x

    def _paced(self, life: NDArray[np.float64], base: Base, v: NDArray[np.float64], x: NDArray[np.float64]) -> Base:
        """The base with a pace that suits days that read v; looked at again only where they have become others."""
        if _length((v - base.paced) / self.width) <= 1.0:
            return base
        pace = self.day.pace(self._reads(life, v), x)
        return replace(base, pace=base.pace if 0.8 * pace <= base.pace <= 1.08 * pace else pace, paced=v)

    def today(self, life: Life) -> Steps[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The day's parameters for where life stands, and the midnight such a day begins with."""
        base = life.base
        assert base is not None
        v = self._read(life.state, life.parameters, life.time)
        x = midnight_near(base, v) if base.today is None else base.today.x
        seen, _ = yield from self._settled(life.parameters, self._paced(life.parameters, base, v, x), v, x, 1, 4)
        return self._reads(life.parameters, v), seen.x

    def _renewed(
        self, life: NDArray[np.float64], base: Base, active: NDArray[np.bool_], known: NDArray[np.bool_]
    ) -> Steps[Base]:
        """The base with fresh slopes in the active directions; two days where a direction is new.

        Every perturbed day begins as far from the base's dawn as the slopes of midnights say, so that what the base's
        own day lacks of being periodic is in both, and in no slope.
        """
        jacobian, orbit = base.jacobian.copy(), base.orbit.copy()
        directions = np.flatnonzero(active)
        steps = 0.01 * self.width[directions]
        reads = np.repeat(base.v[None], len(directions), axis=0)
        reads[np.arange(len(directions)), directions] += steps
        dawns = shifted(base.dawn, (base.orbit[:, directions] * steps).T)
        mornings = [(self._reads(life, v), dawn) for v, dawn in zip(reads, dawns, strict=True)]
        for _ in range(2 if bool(np.any(active & ~known)) else 1):
            days = yield from self.day.runs(mornings, base.pace)
            following = shifted(base.dawn, np.array([x for _, x, _ in days]) - base.x)
            mornings = [(reads, x) for (reads, _), x in zip(mornings, following, strict=True)]
            self.counts.batches += -(-len(days) // LANES)
            self.counts.days += len(days)
            self.counts.perturbed += len(days)
        jacobian[:, directions] = ((np.array([s for s, _, _ in days]) - base.s) / steps[:, None]).T
        orbit[:, directions] = ((np.array([x for _, x, _ in days]) - base.x) / steps[:, None]).T
        seen = base.seen.copy()
        seen[directions] = base.v[directions]
        return replace(base, jacobian=jacobian, orbit=orbit, seen=seen, fresh=True)

    def _moved(self, life: Life, v: NDArray[np.float64], seen: Seen, dawn: NDArray[np.float64]) -> Steps[Life]:
        """The life with its base at a new real day: slopes are fresh where it came as a surprise, else bent."""
        old, known = life.base, life.known
        assert old is not None
        assert known is not None
        active = known | seen.moved
        surprise = seen.missed > 0.5 or bool((active > known).any())
        slopes = (old.jacobian, old.orbit) if surprise else (seen.jacobian, seen.orbit)
        base = Base(v, seen.s, seen.x, dawn, *slopes, seen.room, old.seen, old.pace, old.paced)
        wanted = active & (worth(base, self.width, self.looks.matters(base.s)) | ~known) if surprise else seen.stale
        if wanted.any():
            base = yield from self._renewed(life.parameters, base, wanted, known)
        return replace(life, base=base, known=active)

    # --- the life between real days ---

    def _read(self, state: NDArray[np.float64], parameters: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        return self.looks.split(observe(self.model, time, state, parameters))[0]

    def _present(self, life: Life) -> Life:
        """The life with a bridge that says what its summaries are now, whatever time it was when they were found."""
        base = life.base
        assert base is not None
        if base.today is None:
            tell(self.places, life.parameters, base)
        else:
            today = base.today
            tell_drift(self.places, life.parameters, life.time, today.now, None)
        return life

    def _solve(
        self, life: Life, begin: float, end: float, save: Sequence[float] | NDArray[np.float64]
    ) -> Steps[Outcome]:
        times = np.asarray(save, dtype=np.float64)
        answers = yield [Run(self.model, life.state, life.parameters, begin, end, times, self.rtol)]
        outcome: Outcome = answers[0]
        self.counts.inner += outcome.counts.steps
        return outcome

    def _recorded(self, life: Life, time: float, after: float, save: NDArray[np.float64]) -> Steps[Outcome]:
        wanted = save[save <= after + 1e-9]
        return (yield from self._solve(life, time, after, np.minimum(wanted, after)))

    # --- what happens ---

    def again(self, midnight: NDArray[np.float64] | None = None) -> Walk:
        """The same walk with its counts at zero, and perhaps another midnight to begin with."""
        return replace(self, counts=ClockCounts(), midnight=self.midnight if midnight is None else midnight)

    def opened(self, life: Life, time: float) -> Steps[Life]:
        """The life with a first real day."""
        v = self._read(life.state, life.parameters, time)
        pace = self.day.pace(self._reads(life.parameters, v), self.midnight)
        nothing = np.zeros(self.ups)
        slopes = np.zeros((self.ups, self.downs)), np.zeros((len(self.midnight), self.downs))
        base = Base(v, nothing, self.midnight, self.midnight, *slopes, nothing, v, pace, paced=v)
        seen, dawn = yield from self._settled(life.parameters, base, v, self.midnight, 2, 8)
        today = Today(seen.s, seen.x, dawn=seen.x) if self.rules.every_day else None
        base = replace(base, s=seen.s, x=seen.x, dawn=dawn, curve=seen.room, today=today)
        known = np.zeros(self.downs, dtype=bool)
        return self._present(replace(life, base=base, step=self.rules.first, known=known, time=time))

    def event(self, life: Life, time: float, happening: Schedule) -> Steps[Life]:
        """The life after what happens at one instant.

        Where it has moved what the day reads, the days that follow are simulated one by one until they are alike.
        """
        now = np.array([time])
        (outcome,) = yield [Run(self.model, life.state, life.parameters, time, time, now, self.rtol, happening)]
        after = replace(life, state=outcome.state, parameters=outcome.parameters, time=time)
        base = life.base
        if base is None or outcome.reason.failed:
            return after
        before = self.looks.split(outcome.outputs[0])[0]
        # A record at the very start is made before anything happens there.
        (following,) = yield [Run(self.model, after.state, after.parameters, time, time, now, self.rtol)]
        jump = self.looks.split(following.outputs[0])[0] - before
        today = base.today
        if not apart(jump, np.zeros(self.downs), self.width).any():
            if today is None:
                return after
            if today.drift is not None:  # the days are what they were, but may drift otherwise from now on
                today = replace(today, s=today.now, ago=0.0, drift=np.zeros(self.ups))
            return self._present(replace(after, base=replace(base, today=today)))
        if today is None:
            x = midnight_near(base, before)  # of the days until now
            today = Today(summaries_near(base, before), x, dawn=x)
        assert life.known is not None
        unforeseen = _length((jump / self.width)[~life.known]) > self.rules.jump
        left = self.rules.settling if unforeseen or self._moves(base, jump) > self.rules.lived else today.left
        return self._present(replace(after, base=replace(base, today=replace(today, drift=None, left=left))))

    def _moves(self, base: Base, jump: NDArray[np.float64]) -> float:
        """How far a jump of what the day reads moves the summaries, in tolerances."""
        return float((np.abs(base.jacobian @ jump) / self.looks.tolerances).max(initial=0.0))

    def stretch(
        self, life: Life, begin: float, end: float, save: NDArray[np.float64]
    ) -> Steps[tuple[Life, NDArray[np.float64], Outcome | None]]:
        """The life from one event to the next.

        Returns
        -------
        life : at the end. rows : one row of outputs for each time in `save` (begin < time <= end).
        failed : the outcome of a run that failed, or None.
        """
        rows = np.full((len(save), self.model.outputs), np.nan)
        time, done = begin, 0
        while time < end - 1e-9:
            assert life.base is not None
            today = life.base.today
            day_by_day = today is not None and (today.left > 0 or self.rules.every_day)
            step = self._one_day if day_by_day else self._macro_step
            try:
                life, time, outcome = yield from step(life, time, end, save[done:])
            except DayFailed as failure:
                return life, rows[:done], failure.outcome
            if life.time != time:
                life = replace(life, time=time)
            rows[done : done + len(outcome.outputs)] = outcome.outputs
            done += len(outcome.outputs)
            if outcome.reason.failed:
                return life, rows[:done], outcome
        return self._present(life), rows, None

    # --- day by day ---

    def _one_day(
        self, life: Life, time: float, end: float, save: NDArray[np.float64]
    ) -> Steps[tuple[Life, float, Outcome]]:
        """The life to the next midnight, with the day simulated as it was found at the last one.

        Of second order: the life goes to the middle with the summaries of the day before, drawn on; the day runs with
        what it reads there; then the life goes all the way with summaries that are the day's own in the middle.
        """
        base = life.base
        assert base is not None
        assert base.today is not None
        yesterday = base.today
        midnight = math.floor(time + 1e-9)
        after = min(midnight + 1.0, end)
        middle, latest = 0.5 * (time + after), time - yesterday.ago
        tell_drift(self.places, life.parameters, latest, yesterday.s, yesterday.drift)
        ahead = yield from self._solve(life, time, middle, [middle])
        if ahead.reason.failed:
            return life, middle, ahead
        v = self.looks.split(ahead.outputs[-1])[0]
        dawn = yesterday.x if time - midnight < 1e-9 else yesterday.dawn
        base = self._paced(life.parameters, base, v, dawn)
        if self.rules.every_day:  # no slopes are wanted
            seen = None
            s, x, _ = yield from self.day.run(self._reads(life.parameters, v), dawn, base.pace)
            self.counts.days += 1
        else:
            seen = yield from self._real(life.parameters, base, v, dawn)
            s, x = seen.s, seen.x
        drift = np.zeros(self.ups) if yesterday.drift is None else (s - yesterday.s) / (middle - latest)
        tell_drift(self.places, life.parameters, middle, s, drift)
        outcome = yield from self._recorded(life, time, after, save)
        self.counts.steps += 1
        today = Today(s, x, dawn, after - middle, drift, max(0, yesterday.left - 1))
        life = replace(life, state=outcome.state, base=replace(base, today=today))
        if seen is not None and (seen.gap < self.rules.gap or today.left == 0):
            life = yield from self._moved(life, v, seen, dawn)
        return life, after, outcome

    # --- macro steps ---

    def _macro_step(
        self, life: Life, time: float, end: float, save: NDArray[np.float64]
    ) -> Steps[tuple[Life, float, Outcome]]:
        """One accepted macro step: predicted, looked at, corrected."""
        if life.base is not None and life.base.today is not None:
            life = yield from self._arrived(life, life.base, time)
        rest = end - time
        length = rest / 2.0 if life.step < rest < 2.0 * life.step else min(life.step, rest)
        length = rest if rest < 1.5 else float(max(1.0, min(round(length), math.floor(rest))))
        while True:
            trial = yield from self._tried(life, time, length)
            life = trial.life
            if trial.failed is not None:
                return life, time + length, trial.failed
            if trial.seen is not None:
                return (yield from self._corrected(trial, time, time + length, save))
            if trial.factor < 1.0:
                self.counts.rejected += 1
                length = max(self.rules.shortest, float(math.floor(length * trial.factor)))

    def _arrived(self, life: Life, base: Base, time: float) -> Steps[Life]:
        """The life with a base at the day that reads what a jump has just made of it, where that is worth a day."""
        life = replace(life, base=replace(base, today=None))
        v = self._read(life.state, life.parameters, time)
        if self._moves(base, v - base.v) <= self.rules.looked:
            return life
        base = self._paced(life.parameters, replace(base, today=None), v, base.x)
        seen, dawn = yield from self._settled(life.parameters, base, v, midnight_near(base, v), 1, 3)
        return (yield from self._moved(replace(life, base=base), v, seen, dawn))

    def _tried(self, life: Life, time: float, length: float) -> Steps[_Trial]:
        """A macro step, predicted and looked at."""
        base, known = life.base, life.known
        assert base is not None
        assert known is not None
        rules, shortest = self.rules, length <= self.rules.shortest
        tell(self.places, life.parameters, base)
        times = np.array([time, time + 0.5 * length, time + length])
        (ahead,) = yield [
            Run(
                self.model,
                life.state,
                life.parameters,
                time,
                times.item(2),
                times,
                self.rtol,
                reader=self.looks.reader,
                about=base,
            )
        ]
        if not isinstance(ahead, Ahead):
            self.counts.inner += ahead.counts.steps
            return _Trial(life, failed=ahead) if shortest else _Trial(life, 0.25)
        self.counts.inner += ahead.steps
        if (ahead.moving > known).any():
            base = yield from self._renewed(life.parameters, base, ahead.moving & ~known, known)
            return _Trial(replace(life, base=base, known=known | ahead.moving))
        if not shortest:
            if ahead.bend > rules.bend:
                return _Trial(life, max(0.3, 0.9 * rules.bend / ahead.bend))
            if ahead.far > rules.trust / rules.tolerance:
                return _Trial(life, max(0.25, 0.8 * rules.trust / rules.tolerance / ahead.far))
        paced = self._paced(life.parameters, base, ahead.v, ahead.x)
        if paced is not base:
            life, base = replace(life, base=paced), paced
        seen, dawn = yield from self._settled(life.parameters, base, ahead.v, ahead.x, 1, 3)
        if seen.missed > 1.0 and not shortest:
            if not base.fresh:
                self.counts.rejected += 1
                wanted = known & worth(base, self.width, self.looks.matters(base.s))
                base = yield from self._renewed(life.parameters, base, wanted, known)
                return _Trial(replace(life, base=base))
            return _Trial(life, max(0.25, 0.9 / math.sqrt(seen.missed)))
        return _Trial(life, 1.0, ahead.v, seen, dawn)

    def _corrected(
        self, trial: _Trial, time: float, after: float, save: NDArray[np.float64]
    ) -> Steps[tuple[Life, float, Outcome]]:
        """The step done again with the summaries bent to what the real day showed; the base moves to that day."""
        life, base, v, seen = trial.life, trial.life.base, trial.v, trial.seen
        assert base is not None
        assert v is not None
        assert seen is not None
        assert trial.dawn is not None
        self.counts.steps += 1
        tell_bend(self.places, life.parameters, (time, after), seen.error, seen.curve, seen.direction)
        outcome = yield from self._recorded(life, time, after, save)
        life = yield from self._moved(life, v, seen, trial.dawn)
        growth = min(3.0, 0.9 / math.sqrt(max(seen.missed, 1e-12)))
        step = min(self.rules.longest, max(self.rules.shortest, (after - time) * growth))
        return Life(outcome.state, life.parameters, life.base, step, life.known, life.walk, after), after, outcome
