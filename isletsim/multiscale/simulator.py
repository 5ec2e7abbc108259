"""Simulators: one interface for models of one time scale and of two, segment by segment.

A `Simulator` holds a compiled composition and its tolerances; a `SimulationState` is the state of one subject.
Scheduled events and times of records come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from isletsim.codegen import CompiledModel, compile_model
from isletsim.codegen.evaluate_at import initial, observe
from isletsim.composition import Composition
from isletsim.composition.clocks import Clocks
from isletsim.dosing import Dose, ScheduledEvents, to_schedule
from isletsim.ensemble import SolveRequest, Task
from isletsim.errors import Fault, InputError
from isletsim.model import breakpoints, constant_values
from isletsim.multiscale.batch import BatchManager
from isletsim.multiscale.daily_stepper import DailyStepper, SlowState, StepControl, WorkCounts
from isletsim.multiscale.day import Day, DayFailed, limits_of, schedule_of
from isletsim.multiscale.workspace import CompiledPair
from isletsim.solver import Outcome, Reason, Schedule, Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MultiscaleSimulator",
    "Segment",
    "SimulationState",
    "Simulator",
    "SingleScaleSimulator",
    "simulator_for",
]

DaysFrom = Mapping[float, tuple[Dose, ...]]
Pauses = Mapping[float, Callable[["SimulationState"], Task[None]]]

MOST_PROTOCOLS = 1000  # days that are remembered, since most subjects live alike
# A life between real days is held to so many tolerances: with the default that moves HbA1c by 1e-5 points in ten years,
# where the days between are held to 1e-2.
LOOSER = 10.0
LOOK = 90.0  # days between the looks at a condition where every look costs a simulated day


@dataclass(frozen=True)
class SimulationState:
    """Where a life stands: states, the parameters of the composition, and with two clocks what is known of the day."""

    state: NDArray[np.float64]
    parameters: NDArray[np.float64]
    slow: SlowState | None = None


@dataclass(frozen=True)
class Segment:
    """What a stretch of life gave: where it ended, the rows that were reached, and why it stopped.

    `failed` is the outcome of the solver where the reason is a failure; `flat_states` are the names its states have.
    """

    current: SimulationState
    time: float
    rows: NDArray[np.float64]
    reason: Reason
    steps: int
    days: int = 0
    failed: Outcome | None = None
    flat_states: tuple[str, ...] = ()


class Simulator(Protocol):
    """Lives stretches of life."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns of a stretch's rows."""
        ...

    @property
    def fingerprint(self) -> str:
        """The name of the machine code."""
        ...

    def initial_state(
        self, parameters: NDArray[np.float64], starts: Mapping[str, float], day: Sequence[Dose]
    ) -> SimulationState:
        """A life's beginning: `starts` replaces the model's own start of a state; `day` is what every day brings."""
        ...

    def simulate(
        self,
        current: SimulationState,
        until: float,
        save: NDArray[np.float64],
        events: ScheduledEvents,
        watch: Watch | None = None,
        pauses: Pauses | None = None,
        days: DaysFrom | None = None,
    ) -> Task[Segment]:
        """The life from time 0 until a time; with a watch, until the first midnight that meets it (no rows then).

        `pauses` are looks at the life at given times, after what happens there, and `days` is what every day
        brings from a midnight on; only two clocks have them.
        """
        ...


def simulator_for(composition: Composition, tolerance: float, method: str, control: StepControl) -> Simulator:
    """The way to live a composition."""
    if composition.clocks is None:
        return SingleScaleSimulator(composition, tolerance, method)
    return MultiscaleSimulator(composition, tolerance, control)


@dataclass(frozen=True)
class SingleScaleSimulator:
    """One native run a stretch."""

    composition: Composition
    tolerance: float
    method: str

    @cached_property
    def compiled(self) -> CompiledModel:
        """The machine code."""
        return compile_model(self.composition.flat)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns of a stretch's rows."""
        return self.composition.flat.outputs

    @property
    def fingerprint(self) -> str:
        """The name of the machine code."""
        return self.compiled.fingerprint

    def initial_state(
        self, parameters: NDArray[np.float64], starts: Mapping[str, float], day: Sequence[Dose]
    ) -> SimulationState:
        """A life's beginning."""
        if day:
            message = "has [[day]] entries, but no file of the stack has a day clock."
            raise InputError(Fault("the patient", message, "Give the meals as doses."))
        return SimulationState(_start(self.compiled, parameters, starts), parameters)

    def simulate(
        self,
        current: SimulationState,
        until: float,
        save: NDArray[np.float64],
        events: ScheduledEvents,
        watch: Watch | None = None,
        pauses: Pauses | None = None,
        days: DaysFrom | None = None,
    ) -> Task[Segment]:
        """The life from time 0 until a time, or a watch."""
        if watch is not None:
            # Every midnight is looked at: dense output costs less than to come back and look closer.
            save = np.arange(1.0, until + 0.5)
        bare = breakpoints(self.compiled, current.parameters, 0.0, until)
        (outcome,) = yield [
            SolveRequest(
                model=self.compiled,
                start=current.state,
                parameters=current.parameters,
                begin=0.0,
                end=until,
                save=save,
                rtol=self.tolerance,
                schedule=to_schedule(events, bare, 0.0, until),
                method=self.method,
                watch=watch,
                keep=watch is None,
            )
        ]
        return Segment(
            current=SimulationState(outcome.state, outcome.parameters),
            time=outcome.time,
            rows=outcome.outputs,
            reason=outcome.reason,
            steps=outcome.counts.steps,
            failed=outcome if outcome.reason.failed else None,
            flat_states=self.composition.flat.states,
        )


def _start(
    compiled: CompiledModel, parameters: NDArray[np.float64], starts: Mapping[str, float]
) -> NDArray[np.float64]:
    state = initial(compiled, parameters)
    for name, value in starts.items():
        if name in compiled.flat.states:
            state[compiled.flat.states.index(name)] = value
    return state


@dataclass(frozen=True)
class MultiscaleSimulator:
    """Macro steps of life with real days between them."""

    composition: Composition
    tolerance: float
    control: StepControl
    protocols: dict[tuple[object, ...], Day] = field(default_factory=dict)
    plans: dict[int, tuple[ScheduledEvents, Schedule]] = field(default_factory=dict)
    parts: dict[tuple[object, ...], tuple[CompiledModel, list[str]]] = field(default_factory=dict)

    @cached_property
    def life_model(self) -> CompiledModel:
        """The machine code of the life."""
        return compile_model(self._clocks.life)

    @cached_property
    def day_model(self) -> CompiledModel:
        """The machine code of the day."""
        return compile_model(self._clocks.day)

    @cached_property
    def _clocks(self):  # type: ignore[no-untyped-def]
        assert self.composition.clocks is not None
        return self.composition.clocks

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns of a stretch's rows."""
        clocks = self._clocks
        return tuple(clocks.life.outputs[: len(clocks.life.outputs) - len(clocks.down) - len(clocks.up)])

    @property
    def fingerprint(self) -> str:
        """The names of the machine code."""
        return f"{self.life_model.fingerprint}+{self.day_model.fingerprint}"

    def initial_state(
        self, parameters: NDArray[np.float64], starts: Mapping[str, float], day: Sequence[Dose]
    ) -> SimulationState:
        """A life's beginning; its first real day is simulated when it is first lived."""
        clocks = self._clocks
        whole = np.zeros(len(clocks.life.parameters))
        whole[: len(parameters)] = parameters
        state = _start(self.life_model, whole, starts)
        down, _ = self.manager.split(observe(self.life_model, 0.0, state, whole))
        morning = self.manager.day_parameters(whole, down)
        midnight = _start(self.day_model, morning, starts)[: self.manager.pair.midnight]
        protocol = self._day_of(tuple(day), limits_of(clocks, self._levels(parameters)))
        stepper = DailyStepper(self.life_model, clocks, protocol, self.control, midnight, self.manager)
        return SimulationState(state, parameters, SlowState(state, whole, stepper=stepper))

    @cached_property
    def manager(self) -> BatchManager:
        """Where its lives are sent on their way."""
        return BatchManager(
            CompiledPair(self._clocks, self.control, self.life_model, self.day_model, LOOSER * self.tolerance)
        )

    @cached_property
    def _limits(self) -> Mapping[str, int] | None:
        """Where the values stand that limit what summaries look at; None where some of them are derived."""
        places = {name: place for place, name in enumerate(self.composition.flat.parameters)}
        wanted = {name for summary in self._clocks.summaries for name in summary.limits}
        return {name: places[name] for name in wanted} if wanted <= places.keys() else None

    def _levels(self, parameters: NDArray[np.float64]) -> Mapping[str, float]:
        """The values that limit what summaries look at; derived ones only where somebody asks for them."""
        if self._limits is None:
            return constant_values(self.composition.flat, parameters)
        return {name: float(parameters[place]) for name, place in self._limits.items()}

    def _day_of(self, day: tuple[Dose, ...], limits: tuple[tuple[float, ...], ...]) -> Day:
        """The day of all subjects who live by the same protocol and the same limits."""
        known = self.protocols.get((day, limits))
        if known is None:
            known = Day(self.day_model, self._clocks, self._protocol(day), limits, 1e-6, "explicit")
            if len(self.protocols) < MOST_PROTOCOLS:
                self.protocols[day, limits] = known
        return known

    def _agenda(self, events: ScheduledEvents) -> Schedule:
        """What happens when; remembered, since most subjects share one plan."""
        known = self.plans.get(id(events))
        if known is None:
            known = events, _agenda_of(events, self._clocks)
            if len(self.plans) < MOST_PROTOCOLS:
                self.plans[id(events)] = known  # with the plan itself: nothing else can get its number
        return known[1]

    def _protocol(self, day: Sequence[Dose]):  # type: ignore[no-untyped-def]
        clocks = self._clocks
        entries: list[tuple[float, int, int, float]] = []
        for dose in day:
            port = self.composition.ports[dose.port]
            if port.add not in clocks.day_actions and port.multiply not in clocks.day_actions:
                raise InputError(Fault("[[day]]", f'"{dose.port}" is not a port of a day file.'))
            if port.multiply >= 0:
                entries.append((dose.time, 1, clocks.day_actions[port.multiply], 0.0))
            if port.add >= 0:
                entries.append((dose.time, 1, clocks.day_actions[port.add], dose.amount))
            after = self.composition.after_port.get(dose.port, ())
            entries += [(dose.time, 1, clocks.day_actions[action], 0.0) for action in after]
        return schedule_of(entries)

    def simulate(
        self,
        current: SimulationState,
        until: float,
        save: NDArray[np.float64],
        events: ScheduledEvents,
        watch: Watch | None = None,
        pauses: Pauses | None = None,
        days: DaysFrom | None = None,
    ) -> Task[Segment]:
        """The life from time 0 until a time, or a watch."""
        slow = current.slow
        assert slow is not None
        assert slow.stepper is not None
        stepper = slow.stepper
        whole = slow.parameters.copy()
        changed = not np.array_equal(whole[: len(current.parameters)], current.parameters)
        whole[: len(current.parameters)] = current.parameters
        stepper = stepper.again() if slow.base is None or not changed else stepper.again(slow.base.midnight_state)
        base = None if changed else slow.base  # another patient's day: what was known of it is void
        slow = SlowState(current.state, whole, base, slow.step, slow.known, stepper)
        agenda = self._agenda(events)
        rows = np.full((len(save), len(self.outputs)), np.nan)
        try:
            if slow.base is None:
                slow = yield from stepper.opened(slow, 0.0)
            return (yield from self._through(slow, stepper, until, save, rows, agenda, watch, pauses or {}, days or {}))
        except DayFailed as failure:
            return self._stretch(slow, 0.0, rows[:0], failure.outcome.reason, stepper.counts, failure.outcome, day=True)

    def _through(
        self,
        slow: SlowState,
        stepper: DailyStepper,
        until: float,
        save: NDArray[np.float64],
        rows: NDArray[np.float64],
        agenda: Schedule,
        watch: Watch | None,
        pauses: Pauses,
        days: DaysFrom,
    ) -> Task[Segment]:
        width, time, done = len(self.outputs), 0.0, 0
        event_times = set(agenda.times.tolist())
        # What is watched for is looked back for from the last mark: nothing happens between two of them.
        changes = {time for time in days if time < until}
        marks = sorted({*pauses, *changes, until} | ({*_looks(until), *event_times} if watch is not None else set()))
        on_the_way = agenda if watch is None else Schedule.empty()
        if len(save) and save[0] == 0.0:
            rows[0] = observe(self.life_model, 0.0, slow.state, slow.parameters)[:width]
            done = 1
        if 0.0 in pauses:  # before the first dose, as the record
            yield from pauses[0.0](self._standing(slow))
        if 0.0 in days:
            slow, stepper = yield from stepper.with_day(slow, self._day_of(days[0.0], stepper.day.limits), 0.0)
        if 0.0 in event_times:
            slow = yield from stepper.event(slow, 0.0, agenda)
        for mark in marks:
            if mark <= time:
                continue
            before, begun = slow, time
            inside = save[(save > time) & (save <= mark)] if watch is None else np.arange(time + 1.0, mark + 0.5)
            slow, found, failed = yield from stepper.segment(slow, time, mark, inside, on_the_way)
            if failed is not None:
                lived = len(found) if watch is None else 0  # what is watched for is not recorded
                rows[done : done + lived] = found[:lived, :width]
                return self._stretch(slow, failed.time, rows[: done + lived], failed.reason, stepper.counts, failed)
            if watch is not None:
                hit = np.flatnonzero((found[:, watch.output] - watch.level) * watch.direction >= 0.0)
                if len(hit):
                    end = float(inside[hit[0]])
                    if end < mark:
                        slow, _, failed = yield from stepper.segment(before, begun, end, np.empty(0))
                    return self._stretch(slow, end, rows[:0], Reason.WATCH, stepper.counts, failed)
            else:
                rows[done : done + len(found)] = found[:, :width]
                done += len(found)
            time = mark
            if watch is not None and mark in event_times:
                slow = yield from stepper.event(slow, mark, agenda)
            if mark in changes:
                slow, stepper = yield from stepper.with_day(slow, self._day_of(days[mark], stepper.day.limits), mark)
            if mark in pauses:
                yield from pauses[mark](self._standing(slow))
        return self._stretch(slow, until, rows[:done], Reason.DONE, stepper.counts, None)

    def _standing(self, slow: SlowState) -> SimulationState:
        return SimulationState(slow.state, slow.parameters[: len(self.composition.flat.parameters)].copy(), slow)

    def _stretch(
        self,
        slow: SlowState,
        time: float,
        rows: NDArray[np.float64],
        reason: Reason,
        counts: WorkCounts,
        failed: Outcome | None,
        day: bool = False,
    ) -> Segment:
        return Segment(
            current=self._standing(slow),
            time=time,
            rows=rows,
            reason=reason,
            steps=counts.inner,
            days=counts.days,
            failed=failed,
            flat_states=self._clocks.day.states if day else self._clocks.life.states,
        )


def _looks(until: float) -> list[float]:
    return [float(day) for day in np.arange(LOOK, until, LOOK)]


def _agenda_of(events: ScheduledEvents, clocks: Clocks) -> Schedule:
    """What happens when, with the actions of the life model."""
    entries: list[tuple[float, int, int, float]] = []
    for time, _, kind, index, amount in events.entries:
        if kind == 1 and index not in clocks.life_actions:
            message = (
                "a dose of a scenario goes into a port of a life file; what every day brings stands in the patient."
            )
            raise InputError(Fault("doses", message))
        place = clocks.life_actions[index] if kind == 1 else index
        entries.append((time, kind, place, amount))
    return schedule_of(entries)
