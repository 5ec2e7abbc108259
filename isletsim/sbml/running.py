"""Simulation of a model with events: the solver integrates from event to event, which are executed in between.

An instant is where a trigger changes, where a delayed event is due, or where a condition on the time changes. There:

    triggers are looked at; events that begin are queued; of those that are due the one of highest priority is done;
    and again, until nothing is due.

Events of equal priority follow each other in random order (of a fixed seed), as SBML asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.codegen.evaluate_at import observe
from isletsim.errors import RunError
from isletsim.sbml.event_plan import NEVER, EventPlan
from isletsim.solver import Outcome, Schedule, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

__all__ = ["Recorded", "Settings", "run"]

GUARDS = 256  # bare stops of a run whose triggers depend on states, so that no step is too long to see one
MOST_AT_ONCE = 10_000  # instants without any time between them
MOST_STOPS = 10_000_000


@dataclass(frozen=True)
class Settings:
    """Settings of a run: end, records, tolerances, and the seed of the order of simultaneous events."""

    end: float
    save: NDArray[np.float64]
    rtol: float
    atol: NDArray[np.float64]
    method: str = "stiff"
    maximum_steps: int = 1_000_000
    seed: int = 0


@dataclass(frozen=True)
class Recorded:
    """Records of a run; `failure` is the outcome of a run that ended too early."""

    times: NDArray[np.float64]
    states: NDArray[np.float64]
    outputs: NDArray[np.float64]
    counts: dict[str, int]
    events: tuple[tuple[float, str], ...]
    failure: Outcome | None = None


@dataclass
class _Pending:
    """Event in the queue."""

    time: float
    event: int
    values: NDArray[np.float64] | None


@dataclass
class _Run:
    """Run in progress."""

    plan: EventPlan
    compiled: CompiledModel
    probe: CompiledModel | None
    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    settings: Settings
    now: float = 0.0
    row: int = 0
    queue: list[_Pending] = field(default_factory=list)
    done: list[tuple[float, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    pieces: list[Outcome] = field(default_factory=list)
    at_once: int = 0

    def __post_init__(self) -> None:
        self.truth = [each.initially for each in self.plan.events]
        self.dice = np.random.default_rng(self.settings.seed)
        self.grid = self._guards()
        self.solving = any(self.compiled.flat.algebraic)

    # --- the solver between events ---

    def whole(self) -> Recorded:
        settings = self.settings
        if self.plan.events:
            self._settle_unknowns()
            self._instant()
        while True:
            target = min([settings.end, *self._due_times()])
            outcome = self._solve(target)
            if outcome.reason.failed:
                return self._recorded(outcome)
            if not self.plan.events and outcome.time >= settings.end:
                return self._recorded()
            self._count_at_once(outcome.time)
            self.now, self.state = outcome.time, outcome.state
            self._instant()
            if self.now >= settings.end:
                outcome = self._solve(settings.end)
                return self._recorded(outcome if outcome.reason.failed else None)

    def _solve(self, target: float) -> Outcome:
        """Runs to a time or to the next change of a trigger; rows of the very end are left for after the instant."""
        save = self.settings.save
        last = int(np.searchsorted(save, target, side="right"))
        begun = self.now
        outcome = solve(
            self.compiled,
            self.state,
            self.parameters,
            span=(begun, target),
            save=save[self.row : last],
            schedule=self.grid,
            rtol=self.settings.rtol,
            atol=self.settings.atol,
            method=self.settings.method,  # type: ignore[arg-type]
            maximum_steps=self.settings.maximum_steps,
        )
        for name, count in vars(outcome.counts).items():
            self.counts[name] = self.counts.get(name, 0) + count
        kept = len(outcome.times)
        if self.plan.events and outcome.time > begun:
            kept = int(np.searchsorted(outcome.times, outcome.time, side="left"))
        self.pieces.append(_shortened(outcome, kept))
        self.row += kept
        return outcome

    def _settle_unknowns(self) -> None:
        """Values of algebraic unknowns that satisfy their equations now."""
        if not self.solving:
            return
        outcome = solve(
            self.compiled,
            self.state,
            self.parameters,
            span=(self.now, self.now),
            save=[],
            rtol=self.settings.rtol,
            atol=self.settings.atol,
        )
        if outcome.reason.failed:
            raise RunError(f"at time {self.now:.6g}: the algebraic rules have no solution here.")
        self.state = outcome.state

    def _count_at_once(self, time: float) -> None:
        self.at_once = self.at_once + 1 if time <= self.now else 0
        if self.at_once > MOST_AT_ONCE:
            raise RunError(f"at time {self.now:.6g}: events follow each other without end.")

    def _guards(self) -> Schedule:
        """Bare stops: guards against steps that are too long, and (without events) conditions on the time."""
        end = self.settings.end
        times: set[float] = set()
        if self.plan.guarded and end > 0:
            times.update(np.linspace(0.0, end, GUARDS + 1)[1:-1].tolist())
        if not self.plan.events and self.plan.breaks:
            values = self._probe()
            for each in self.plan.breaks:
                times.update(_all_times(values[each.slope], values[each.rest], each.periodic, end))
        if not times:
            return Schedule.empty()
        listed = np.array(sorted(times))
        count = len(listed)
        nothing = np.zeros(count, np.int64)
        return Schedule(listed, np.arange(count + 1), nothing, nothing, np.zeros(count))

    def _due_times(self) -> list[float]:
        """When the next delayed event is due and the next condition on the time changes."""
        if not self.plan.events:
            return []
        times = [each.time for each in self.queue]
        if self.plan.breaks:
            values = self._probe()
            now = self.now
            times += [
                _next_time(values[each.slope], values[each.rest], each.periodic, now) for each in self.plan.breaks
            ]
        return times

    def _probe(self) -> NDArray[np.float64]:
        assert self.probe is not None
        return observe(self.probe, self.now, self.state, self.parameters)

    # --- an instant ---

    def _instant(self) -> None:
        """All that happens now."""
        values = self._probe()
        self._look(values)
        for _ in range(MOST_AT_ONCE):
            due = [each for each in self.queue if each.time <= self.now]
            if not due:
                return
            chosen = self._first(due, values)
            self.queue.remove(chosen)
            self._do(chosen, values)
            values = self._probe()
            self._look(values)
        raise RunError(f"at time {self.now:.6g}: events set each other off without end.")

    def _look(self, values: NDArray[np.float64]) -> None:
        """Queues the events whose triggers have become true; takes back those whose triggers must stay true."""
        for index, each in enumerate(self.plan.events):
            true = bool(values[each.trigger] != 0.0)
            if true and not self.truth[index]:
                delay = 0.0 if each.delay == NEVER else float(values[each.delay])
                if not delay >= 0.0:
                    raise RunError(f"at time {self.now:.6g}: the delay of event {each.name} is {delay:g}.")
                kept = values[list(each.values)] if each.at_trigger else None
                self.queue.append(_Pending(self.now + delay, index, kept))
            elif not true and not each.persistent:
                self.queue = [pending for pending in self.queue if pending.event != index]
            self.truth[index] = true

    def _first(self, due: list[_Pending], values: NDArray[np.float64]) -> _Pending:
        """The one of highest priority; by chance among equals; those without priority last, in their order."""
        ranked = []
        for each in due:
            place = self.plan.events[each.event].priority
            priority = -math.inf if place == NEVER else float(values[place])
            ranked.append(-math.inf if math.isnan(priority) else priority)
        highest = max(ranked)
        equals = [each for each, rank in zip(due, ranked, strict=True) if rank == highest]
        return equals[0] if highest == -math.inf else equals[int(self.dice.integers(len(equals)))]

    def _do(self, pending: _Pending, values: NDArray[np.float64]) -> None:
        """Assigns what an event assigns, all at once.

        A concentration becomes an amount by the size before; matter stays when a compartment changes its size.
        """
        event = self.plan.events[pending.event]
        new = values[list(event.values)] if pending.values is None else pending.values
        state = self.state.copy()
        for index, whole in self.plan.absorbed:
            state[index] = values[whole]
        state[list(self.plan.extents)] = 0.0
        for target, value in zip(event.targets, new, strict=True):
            state[target.state] = value if target.size == NEVER else value * values[target.size]
        self.state = state
        if self.plan.diluted:
            sizes = self._probe()
            for index, size in self.plan.diluted:
                if sizes[size] != values[size]:
                    state[index] *= values[size] / sizes[size]
        self.done.append((self.now, event.name))
        self._settle_unknowns()

    # --- the end ---

    def _recorded(self, failure: Outcome | None = None) -> Recorded:
        pieces = self.pieces
        states = [each.states for each in pieces if each.states is not None]
        return Recorded(
            times=np.concatenate([each.times for each in pieces]),
            states=np.concatenate(states),
            outputs=np.concatenate([each.outputs for each in pieces]),
            counts=self.counts,
            events=tuple(self.done),
            failure=failure,
        )


def run(
    plan: EventPlan,
    compiled: CompiledModel,
    probe: CompiledModel | None,
    parameters: NDArray[np.float64],
    state: NDArray[np.float64],
    settings: Settings,
) -> Recorded:
    """Run from time 0 to the end.

    Raises
    ------
    RunError : events without end, a negative delay, or rules without a solution after an event.
    """
    return _Run(plan, compiled, probe, parameters, state, settings).whole()


def _shortened(outcome: Outcome, rows: int) -> Outcome:
    if rows == len(outcome.times):
        return outcome
    changes: dict[str, Any] = {"times": outcome.times[:rows], "outputs": outcome.outputs[:rows]}
    if outcome.states is not None:
        changes["states"] = outcome.states[:rows]
    return replace(outcome, **changes)


def _next_time(slope: float, rest: float, periodic: bool, now: float) -> float:
    """The next time after now at which slope * time + rest is 0, or (periodic) a whole number."""
    after = math.nextafter(now, math.inf)
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(rest):
        return math.inf
    if not periodic:
        time = -rest / slope
        return time if time > after else math.inf
    step = 1.0 if slope > 0 else -1.0
    whole = math.floor(slope * now + rest) if slope > 0 else math.ceil(slope * now + rest)
    for turn in range(1, 4):
        time = (whole + turn * step - rest) / slope
        if time > after:
            return time
    return math.inf


def _all_times(slope: float, rest: float, periodic: bool, end: float) -> list[float]:
    """Every such time between the beginning and the end."""
    if not periodic:
        time = _next_time(slope, rest, False, 0.0)  # noqa: FBT003
        return [time] if time < end else []
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(rest):
        return []
    if abs(slope) * end > MOST_STOPS:
        raise RunError(f"the mathematics changes every {1 / abs(slope):g} of the time: that cannot be followed.")
    low, high = sorted((rest, slope * end + rest))
    times = (np.arange(math.ceil(low), math.floor(high) + 1) - rest) / slope
    return [float(time) for time in times if 0.0 < time < end]
