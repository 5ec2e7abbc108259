"""One subject: a draw, its history until t = 0, and every arm from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenges import Challenge, Finding, challenge
from isletsim.cohort import Draws, draw
from isletsim.composition import Composition
from isletsim.dosing import Course, Dose, ScheduledEvents, at_instants, infusion, scheduled_events
from isletsim.ensemble import Task, gather, run_task
from isletsim.errors import InputError, RunError
from isletsim.model import failure_message
from isletsim.multiscale.simulator import MultiscaleSimulator, Pauses, Segment, SimulationState, Simulator
from isletsim.patient import BoundPatient, Leg
from isletsim.results import Failure
from isletsim.scenario import ArmPlan, Plan
from isletsim.solver import Reason, Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Arrival", "StudyContext", "SubjectResult", "arm_start", "arrive", "simulate_arms", "simulate_subject"]

MOST_ATTEMPTS = 20  # draws of a subject whose history never arrives, or too soon
MOST_REMEMBERED = 1000  # lists of what happens; subjects with dates of their own would fill the memory
BEFORE = -1.0  # day on which everything began that is carried over into a next stretch


@dataclass(frozen=True)
class StudyContext:
    """What all subjects of a run share; `events` remembers what happens when, since most subjects live alike."""

    plan: Plan
    composition: Composition
    patient: BoundPatient
    challenges: tuple[Challenge, ...]
    simulator: Simulator
    draws: Draws
    save: NDArray[np.float64]
    events: dict[tuple[object, ...], ScheduledEvents] = field(default_factory=dict)
    seen: Callable[[int, float, Finding], None] | None = None  # told of every virtual test: arm, time, what it found

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each parameter stands."""
        return {name: place for place, name in enumerate(self.composition.flat.parameters)}

    @cached_property
    def flows(self) -> frozenset[str]:
        """The parameters that are infusion rates."""
        return frozenset(port.flow for port in self.composition.ports.values())


@dataclass
class SubjectResult:
    """What one subject's life gave: per arm the recorded rows and the reports of virtual tests, and the work done.

    `drawn` is what was drawn for it, `legs` how many days each leg of its history took.
    """

    subject: int
    rows: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    found: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    drawn: Mapping[str, float] = field(default_factory=dict)
    legs: tuple[float, ...] = ()
    redrawn: int = 0
    steps: int = 0
    days: int = 0

    def add(self, segment: Segment) -> None:
        """Count the work of a stretch."""
        self.steps += segment.steps
        self.days += segment.days

    def fail(self, arms: Iterable[ArmPlan], time: float, message: str) -> None:
        """Note that arms ended early."""
        self.failures += [Failure(arm.name, self.subject, time, message) for arm in arms]


@dataclass(frozen=True)
class Arrival:
    """Where a history ended: the life at t = 0, its parameters at birth, and the courses that go on."""

    current: SimulationState
    born: NDArray[np.float64]
    running: tuple[Course, ...]


class _Lost(Exception):
    """A history that failed."""


def simulate_subject(context: StudyContext, subject: int) -> Task[SubjectResult]:
    """A subject's whole life; what goes wrong in it is told in `failures`."""
    subject_result = SubjectResult(subject)
    who = "the reference patient" if subject == 0 else f"subject {subject}"
    try:
        arrival = yield from _arrive(context, subject_result, who)
    except _Lost as lost:
        subject_result.fail(context.plan.arms, 0.0, str(lost))
        return subject_result
    except (InputError, RunError) as wrong:
        _note(context.plan.arms, subject_result, who, wrong)
        return subject_result
    yield from gather(
        [_tried(context, subject_result, number, arrival, who) for number in range(len(context.plan.arms))]
    )
    return subject_result


def _tried(context: StudyContext, subject_result: SubjectResult, number: int, arrival: Arrival, who: str) -> Task[None]:
    try:
        yield from _arm(context, subject_result, number, arrival, who)
    except (InputError, RunError) as wrong:
        _note([context.plan.arms[number]], subject_result, who, wrong)


def _note(arms: Iterable[ArmPlan], subject_result: SubjectResult, who: str, wrong: InputError | RunError) -> None:
    """A drawn number may ask for what cannot be run; that is the end of this subject, not of the cohort."""
    if subject_result.subject == 0 and isinstance(wrong, InputError):
        raise wrong
    subject_result.fail(arms, 0.0, f"{who}: {_said(wrong)}")


def _said(wrong: InputError | RunError) -> str:
    """What went wrong, in one line."""
    return "; ".join(fault.message for fault in wrong.faults) if isinstance(wrong, InputError) else str(wrong)


# --- history ----------------------------------------------------------------------------------------------------------


def _arrive(context: StudyContext, subject_result: SubjectResult, who: str) -> Task[Arrival]:
    """The history of the first draw that arrives."""
    plan, patient = context.plan, context.patient
    fixed = plan.parameters.keys() | plan.starts.keys()
    for attempt in range(MOST_ATTEMPTS if subject_result.subject else 1):
        drawn = draw(context.draws, plan.seed, subject_result.subject, attempt, fixed)
        arrival = yield from _history(context, subject_result, drawn, who)
        if arrival is not None:
            subject_result.drawn = drawn
            return arrival
        subject_result.redrawn += 1 if subject_result.subject else 0
    ends = " then ".join(_end(leg) for leg in patient.history if leg.watch)
    cure = "give it longer (within), or a patient who gets there."
    raise _Lost(f"{who}: the history never arrives ({ends}); {cure}")


def _end(leg: Leg) -> str:
    """What a leg waits for."""
    sooner = f", not before day {leg.earliest:g}" if leg.earliest else ""
    return f"{leg.watch.text}{sooner}" if leg.watch is not None else ""


def _history(
    context: StudyContext, subject_result: SubjectResult, drawn: Mapping[str, float], who: str
) -> Task[Arrival | None]:
    """A life until t = 0; None where it never arrives."""
    patient, plan, flat = context.patient, context.plan, context.composition.flat
    parameters = np.array(flat.values, dtype=np.float64)
    chosen = {name: setting.value for name, setting in patient.parameters.items()}
    starts = {name: setting.value for name, setting in patient.starts.items()}
    for name, value in {**chosen, **drawn, **plan.parameters}.items():
        if name in context.places:
            parameters[context.places[name]] = value
    starts |= {name: value for name, value in drawn.items() if name not in context.places} | dict(plan.starts)
    current = context.simulator.initial_state(parameters, starts, patient.day)
    born = parameters.copy()
    running: tuple[Course, ...] = ()
    present = set(plan.core)
    subject_result.legs = ()
    for number, leg in enumerate(patient.history):
        present |= set(leg.layers)
        segment = yield from _leg(context, number, leg, current, running, born, present)
        subject_result.add(segment)
        if segment.failed is not None:
            where = f"{who}, leg {number + 1} of the history"
            raise _Lost(failure_message(context.composition, segment.failed, where, segment.flat_states))
        if leg.watch is not None and (segment.reason is not Reason.WATCH or segment.time < leg.earliest):
            return None
        current = segment.current
        subject_result.legs += (segment.time,)
        running = _carried(context.composition, leg.doses, (*running, *leg.courses), segment.time)
    return Arrival(current, born, running)


def _leg(
    context: StudyContext,
    number: int,
    leg: Leg,
    current: SimulationState,
    running: tuple[Course, ...],
    born: NDArray[np.float64],
    present: set[str],
) -> Task[Segment]:
    events = _stops(context, ("leg", number), leg.doses, (*running, *leg.courses), leg.visits, born, present)
    watch = None
    if leg.watch is not None:
        watch = Watch(context.simulator.outputs.index(leg.watch.output), leg.watch.level, leg.watch.direction)
    return (yield from context.simulator.simulate(current, leg.longest, np.empty(0), events, watch))


def _carried(
    composition: Composition, doses: Iterable[Dose], courses: Iterable[Course], time: float
) -> tuple[Course, ...]:
    """The courses and infusions that are open at the end of a stretch, in the time of the next one."""
    every = [*courses, *(infusion(dose, composition) for dose in doses if dose.over)]
    opened = sorted((each for each in every if each.start <= time < each.stop), key=lambda each: each.start)
    return tuple(replace(each, start=BEFORE, stop=each.stop - time) for each in opened)


def _stops(
    context: StudyContext,
    segment: tuple[str, int],
    doses: Iterable[Dose],
    courses: tuple[Course, ...],
    visits: Iterable[float],
    neutral: NDArray[np.float64],
    present: set[str],
) -> ScheduledEvents:
    """What happens in a stretch; `neutral` holds the levels of inputs that no course sets, `present` the files."""
    inputs = {course.input for course in courses} - context.flows
    levels = {name: float(neutral[context.places[name]]) for name in sorted(inputs)}
    key = (*segment, courses, *levels.items())
    known = context.events.get(key)
    if known is None:
        absent = context.composition.files.keys() - present
        known = scheduled_events(context.composition, doses, courses, visits, levels, absent=absent)
        if len(context.events) < MOST_REMEMBERED:
            context.events[key] = known
    return known


# --- arms -------------------------------------------------------------------------------------------------------------


def arm_start(context: StudyContext, number: int) -> tuple[SimulationState, ScheduledEvents]:
    """Where the reference patient stands at t = 0 of an arm, before the first dose, and what happens from there.

    Raises
    ------
    RunError : the history failed or never arrives.
    """
    return _opening(context, number, arrive(context))


def arrive(context: StudyContext) -> Arrival:
    """Simulate the history of the reference patient.

    Raises
    ------
    RunError : the history failed or never arrives.
    """
    try:
        return run_task(_arrive(context, SubjectResult(0), "the reference patient"))
    except _Lost as lost:
        raise RunError(str(lost)) from None


def simulate_arms(context: StudyContext, numbers: Sequence[int], arrival: Arrival) -> list[SubjectResult]:
    """Simulate some arms of the reference patient, in one batch, from where the history ended."""
    results = [SubjectResult(0) for _ in numbers]
    who = "the reference patient"
    pairs = zip(results, numbers, strict=True)
    run_task(gather([_tried(context, result, number, arrival, who) for result, number in pairs]))
    return results


def _opening(context: StudyContext, number: int, arrival: Arrival) -> tuple[SimulationState, ScheduledEvents]:
    plan, arm = context.plan, context.plan.arms[number]
    born, parameters = arrival.born.copy(), arrival.current.parameters.copy()
    for name, value in arm.parameters.items():
        born[context.places[name]] = parameters[context.places[name]] = value
    going = tuple(_stopped(course, arm) for course in arrival.running)
    present = {*plan.core, *context.patient.layers, *arm.layers}
    events = _stops(context, ("arm", number), arm.doses, (*going, *arm.courses), plan.visits, born, present)
    return replace(arrival.current, parameters=parameters), events


def _arm(context: StudyContext, subject_result: SubjectResult, number: int, arrival: Arrival, who: str) -> Task[None]:
    plan, arm = context.plan, context.plan.arms[number]
    current, events = _opening(context, number, arrival)
    tests = _Tests(
        context, number, np.full((len(plan.save), sum(len(test.reports) for test in context.challenges)), np.nan)
    )
    segment = yield from context.simulator.simulate(
        current,
        plan.until,
        at_instants(context.save, events),
        events,
        None,
        tests.pauses(),
        arm.days,
    )
    subject_result.add(segment)
    subject_result.rows[number], subject_result.found[number] = segment.rows, tests.found
    if segment.failed is not None:
        message = failure_message(context.composition, segment.failed, f"{who}, arm {arm.name}", segment.flat_states)
        subject_result.fail([arm], segment.time, message)


def _stopped(course: Course, arm: ArmPlan) -> Course:
    """A course of the history in an arm: it ends at once where the arm stops its layer."""
    return replace(course, stop=0.0) if course.input.partition(".")[0] in arm.stop else course


@dataclass(frozen=True)
class _Tests:
    """The virtual tests of one arm: each writes its reports into the row of its time."""

    context: StudyContext
    number: int
    found: NDArray[np.float64]

    def pauses(self) -> Pauses:
        """The times to look at the life, and the look."""
        given: dict[float, list[tuple[int, Challenge]]] = {}
        column = 0
        for test, (_, times) in zip(self.context.challenges, self.context.plan.challenges, strict=True):
            for time in times:
                given.setdefault(time, []).append((column, test))
            column += len(test.reports)
        return {time: self._look(time, tests) for time, tests in given.items()}

    def _look(self, time: float, tests: list[tuple[int, Challenge]]) -> Callable[[SimulationState], Task[None]]:
        row = int(np.searchsorted(self.context.save, time))
        simulator = self.context.simulator
        assert isinstance(simulator, MultiscaleSimulator)

        def look(current: SimulationState) -> Task[None]:
            for first, test in tests:
                finding = yield from challenge(test, simulator, current, self.context.composition)
                self.found[row, first : first + len(finding.reports)] = list(finding.reports.values())
                if self.context.seen is not None:
                    self.context.seen(self.number, time, finding)

        return look
