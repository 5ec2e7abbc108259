"""Simulation of a model with events: the solver integrates from event to event, which are executed in between.

An instant is where a trigger changes, where a delayed event is due, or where a condition on the time changes. There:

    triggers are looked at; events that begin are queued; of those that are due the one of highest priority is done;
    and again, until nothing is due.

Events of equal priority follow each other in random order (of a fixed seed), as SBML asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from isletsim.codegen.evaluate_at import observe
from isletsim.errors import RunError
from isletsim.sbml.delays import BEGIN, MOST_SWEEPS, POINTS, SCALE, History, Window, nodes_of
from isletsim.sbml.event_plan import NEVER, SAME_TIME, Break, EventPlan, all_times, next_time
from isletsim.solver import Outcome, Schedule, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

__all__ = ["Recorded", "Settings", "run"]

GUARDS = 256  # bare stops of a run whose triggers depend on states, so that no step is too long to see one
MOST_AT_ONCE = 10_000  # instants without any time between them
MOST_ROUNDINGS = 8  # neighbours of a time that are tried
MOST_CHANGES = 500_000  # of conditions on the time that depend on one another
FINER = 0.1  # tolerance of the solver within a window of the method of steps, beside that of the run


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
    pieces: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    at_once: int = 0
    entered: Window | None = None  # the window that begins now, where no event has changed it

    def __post_init__(self) -> None:
        self.truth = [each.initially for each in self.plan.events]
        self.met = [-math.inf] * len(self.truth)  # when an equality of the time in a trigger held last
        self.dice = np.random.default_rng(self.settings.seed)
        self.grid = self._guards()
        self.solving = any(self.compiled.flat.algebraic)
        self.history = self._history() if self.plan.delays else None
        self.stepwise = bool(self.plan.events or self.plan.delays)

    def _history(self) -> History:
        beginning = self.state

        def look(time: float, early: bool) -> NDArray[np.float64]:
            assert self.probe is not None
            return observe(self.probe, time, beginning if early else self.state, self.parameters)

        history = History(self.plan.delays, look, self.settings.end, self.settings.rtol)
        history.discontinuity(0.0)
        return history

    # --- the solver between events ---

    def whole(self) -> Recorded:
        settings = self.settings
        if self.plan.events:
            self._settle_unknowns()
            self._instant()
        while True:
            target = min([settings.end, *self._due_times()])
            outcome = self._solve(target) if self.history is None else self._solve_window(self.history, target)
            if outcome.reason.failed:
                return self._recorded(outcome)
            if not self.stepwise and outcome.time >= settings.end:
                return self._recorded()
            self._count_at_once(outcome.time)
            self.now, self.state = outcome.time, outcome.state
            self._instant()
            if self.now >= settings.end:
                self._enter_window()
                outcome = self._solve(settings.end)
                return self._recorded(outcome if outcome.reason.failed else None)

    def _solve(self, target: float) -> Outcome:
        """Integrate to a time or to the next change of a trigger; rows of the very end wait for the events there."""
        outcome = self._integrate(target, self._rows(target), self.settings.rtol)
        self._keep(outcome)
        return outcome

    def _rows(self, target: float) -> NDArray[np.float64]:
        """The times to record from now to a time."""
        return self.settings.save[self.row : int(np.searchsorted(self.settings.save, target, side="right"))]

    def _integrate(self, target: float, save: NDArray[np.float64], rtol: float) -> Outcome:
        outcome = solve(
            self.compiled,
            self.state,
            self.parameters,
            span=(self.now, target),
            save=save,
            schedule=self.grid,
            rtol=rtol,
            atol=self.settings.atol,
            method=self.settings.method,  # type: ignore[arg-type]
            maximum_steps=self.settings.maximum_steps,
        )
        for name, count in vars(outcome.counts).items():
            self.counts[name] = self.counts.get(name, 0) + count
        return outcome

    def _keep(self, outcome: Outcome) -> None:
        """Record the rows of an outcome that were asked for."""
        times, asked = outcome.times, self._rows(outcome.time)
        if self.stepwise and outcome.time > self.now:
            asked = asked[: int(np.searchsorted(asked, outcome.time, side="left"))]
        if len(asked):
            assert outcome.states is not None
            place = np.searchsorted(times, asked) if len(times) != len(asked) else slice(0, len(asked))
            self.pieces.append((asked, outcome.states[place].copy(), outcome.outputs[place].copy()))
        self.row += len(asked)

    # --- delays ---

    def _enter_window(self) -> None:
        """Load the delayed quantities as they are from now on."""
        if self.history is not None:
            self.entered = self.history.open(self.now, self.settings.end)
            self._load(self.history, self.entered)

    def _load(self, history: History, window: Window) -> None:
        parameters = self.parameters.copy()
        place = {name: parameters_index for parameters_index, name in enumerate(self.compiled.flat.parameters)}
        parameters[place[BEGIN]], parameters[place[SCALE]] = window.begin, 2.0 / (window.end - window.begin)
        for each, powers in zip(history.delays, history.coefficients(window), strict=True):
            parameters[each.first : each.first + POINTS] = powers
        self.parameters = parameters

    def _solve_window(self, history: History, target: float) -> Outcome:
        """Integrate one window of the method of steps, iterated when it needs its own solution."""
        window, sweeps = self.entered or history.open(self.now, target), 0
        self.entered = None
        while True:
            self._load(history, window)
            end = min(window.end, target)
            rows = np.union1d(self._rows(end), nodes_of(window.begin, end))
            outcome = self._integrate(end, rows, FINER * self.settings.rtol)
            if outcome.reason.failed:
                break
            sources, lags = self._along(history, outcome, nodes_of(window.begin, outcome.time))
            if outcome.time < end:  # an event: the nodes are those of the window up to it
                if outcome.time <= self.now:
                    break
                again = self._integrate(outcome.time, nodes_of(window.begin, outcome.time), FINER * self.settings.rtol)
                sources, lags = self._along(history, again, nodes_of(window.begin, outcome.time))
            sweeps += 1
            if not window.certain:
                if outcome.time < window.end:
                    window = replace(history.open(self.now, outcome.time), certain=False)
                improved, change = history.again(window, sources, lags)
                if change > 1.0 and sweeps < MOST_SWEEPS:
                    window = improved
                    continue
                if change > 1.0:
                    if not history.shorten(window):
                        raise RunError(f"at time {self.now:.6g}: a delay that depends on the solution has no solution.")
                    window, sweeps = history.open(self.now, target), 0
                    continue
            if not history.resolved(sources.T) and history.shorten(window):
                window, sweeps = history.open(self.now, target), 0
                continue
            history.keep(window.begin, outcome.time, sources)
            break
        self._keep(outcome)
        return outcome

    def _along(
        self, history: History, outcome: Outcome, times: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sources and lags of all delays at some times, shape (times, delays); of the last row beyond the last."""
        place = np.minimum(np.searchsorted(outcome.times, times), len(outcome.times) - 1)
        rows = outcome.outputs[place]
        return rows[:, [each.source for each in history.delays]], rows[:, [each.lag for each in history.delays]]

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
            if any(each.changing for each in self.plan.breaks):
                times.update(self._changing_times(end))
            else:
                values = self._probe()
                for each in self.plan.breaks:
                    times.update(all_times(values[each.slope], values[each.rest], each.periodic, end))
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
        return [*times, *self._breaks_after(self.now)]

    def _breaks_after(self, now: float) -> list[float]:
        """When each condition on the time changes next."""
        if not self.plan.breaks:
            return []
        assert self.probe is not None
        values = observe(self.probe, now, self.state, self.parameters)
        times = []
        for each in self.plan.breaks:
            time = next_time(values[each.slope], values[each.rest], each.periodic, now)
            times.append(
                self._exact(each, time, now, values[each.slope]) if each.periodic and math.isfinite(time) else time
            )
        return times

    def _exact(self, each: Break, time: float, now: float, slope: float) -> float:
        """The first neighbour of a time at which the argument of a whole part has come to be whole."""
        assert self.probe is not None
        near = float(f"{time:.15g}")
        for _ in range(MOST_ROUNDINGS):
            if near > now:
                argument = float(observe(self.probe, near, self.state, self.parameters)[each.argument])
                past = (argument - round(argument)) * math.copysign(1.0, slope)
                if 0.0 <= past <= SAME_TIME * abs(argument):
                    return near
            near = math.nextafter(near, math.inf)
        return time

    def _changing_times(self, end: float) -> list[float]:
        """All times at which conditions on the time change, one after the other."""
        times: list[float] = []
        time = min(self._breaks_after(0.0))
        while time < end:
            times.append(time)
            if len(times) > MOST_CHANGES:
                raise RunError(
                    f"conditions on the time change more than {MOST_CHANGES} times: too often to be followed."
                )
            time = min(self._breaks_after(time))
        return times

    def _probe(self) -> NDArray[np.float64]:
        assert self.probe is not None
        return observe(self.probe, self.now, self.state, self.parameters)

    # --- an instant ---

    def _instant(self) -> None:
        """All that happens now."""
        if self.plan.events:
            self._enter_window()
        values = self._probe()
        self._look(values)
        for _ in range(MOST_AT_ONCE):
            due = [each for each in self.queue if each.time <= self.now]
            if not due:
                for index, each in enumerate(self.plan.events):
                    if each.afterwards != NEVER:
                        self.truth[index] = bool(values[each.afterwards] != 0.0)
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
            if true and each.afterwards != NEVER:
                again = self.now - self.met[index] <= 4.0 * SAME_TIME * (1.0 + self.now)
                self.met[index] = self.now
                if again:  # the same instant, a rounding later
                    continue
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
        if self.history is not None:
            self.history.discontinuity(self.now)
            self._enter_window()
        self._settle_unknowns()

    # --- the end ---

    def _recorded(self, failure: Outcome | None = None) -> Recorded:
        flat = self.compiled.flat
        empty = np.empty(0), np.empty((0, len(flat.states))), np.empty((0, len(flat.outputs)))
        times, states, outputs = zip(empty, *self.pieces, strict=True)
        return Recorded(
            times=np.concatenate(times),
            states=np.concatenate(states),
            outputs=np.concatenate(outputs),
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
