"""One subject: a draw, its history until t = 0, and every arm from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenge import Challenge, Finding, challenge
from isletsim.cohort import Draws, draw
from isletsim.composition import Composition
from isletsim.dosing import Course, Dose, Stops, at_instants, infusion, stops_of
from isletsim.ensemble import Steps, abreast, alone
from isletsim.errors import InputError, RunError
from isletsim.model import failure_message
from isletsim.multiscale.simulator import Liver, Pauses, Standing, Stretch, TwoClocks
from isletsim.patient import BoundPatient, Leg
from isletsim.results import Failure
from isletsim.scenario import ArmPlan, Plan
from isletsim.solver import Reason, Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ground", "Lived", "live", "opening"]

MOST_ATTEMPTS = 20  # draws of a subject whose history never arrives, or too soon
MOST_REMEMBERED = 1000  # lists of what happens; subjects with dates of their own would fill the memory
BEFORE = -1.0  # day on which everything began that is carried over into a next stretch


@dataclass(frozen=True)
class Ground:
    """What all subjects of a run share; `stops` remembers what happens when, since most subjects live alike."""

    plan: Plan
    composition: Composition
    patient: BoundPatient
    challenges: tuple[Challenge, ...]
    liver: Liver
    draws: Draws
    save: NDArray[np.float64]
    stops: dict[tuple[object, ...], Stops] = field(default_factory=dict)
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
class Lived:
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

    def add(self, stretch: Stretch) -> None:
        """Count the work of a stretch."""
        self.steps += stretch.steps
        self.days += stretch.days

    def fail(self, arms: Iterable[ArmPlan], time: float, message: str) -> None:
        """Note that arms ended early."""
        self.failures += [Failure(arm.name, self.subject, time, message) for arm in arms]


@dataclass(frozen=True)
class _Arrival:
    """Where a history ended: the life at t = 0, its parameters at birth, and the courses that go on."""

    standing: Standing
    born: NDArray[np.float64]
    running: tuple[Course, ...]


class _Lost(Exception):
    """A history that failed."""


def live(ground: Ground, subject: int) -> Steps[Lived]:
    """A subject's whole life; what goes wrong in it is told in `failures`."""
    lived = Lived(subject)
    who = "the reference patient" if subject == 0 else f"subject {subject}"
    try:
        arrival = yield from _arrive(ground, lived, who)
    except _Lost as lost:
        lived.fail(ground.plan.arms, 0.0, str(lost))
        return lived
    except (InputError, RunError) as wrong:
        _note(ground.plan.arms, lived, who, wrong)
        return lived
    yield from abreast([_tried(ground, lived, number, arrival, who) for number in range(len(ground.plan.arms))])
    return lived


def _tried(ground: Ground, lived: Lived, number: int, arrival: _Arrival, who: str) -> Steps[None]:
    try:
        yield from _arm(ground, lived, number, arrival, who)
    except (InputError, RunError) as wrong:
        _note([ground.plan.arms[number]], lived, who, wrong)


def _note(arms: Iterable[ArmPlan], lived: Lived, who: str, wrong: InputError | RunError) -> None:
    """A drawn number may ask for what cannot be run; that is the end of this subject, not of the cohort."""
    if lived.subject == 0 and isinstance(wrong, InputError):
        raise wrong
    lived.fail(arms, 0.0, f"{who}: {_said(wrong)}")


def _said(wrong: InputError | RunError) -> str:
    """What went wrong, in one line."""
    return "; ".join(fault.message for fault in wrong.faults) if isinstance(wrong, InputError) else str(wrong)


# --- history ----------------------------------------------------------------------------------------------------------


def _arrive(ground: Ground, lived: Lived, who: str) -> Steps[_Arrival]:
    """The history of the first draw that arrives."""
    plan, patient = ground.plan, ground.patient
    fixed = plan.parameters.keys() | plan.starts.keys()
    for attempt in range(MOST_ATTEMPTS if lived.subject else 1):
        drawn = draw(ground.draws, plan.seed, lived.subject, attempt, fixed)
        arrival = yield from _history(ground, lived, drawn, who)
        if arrival is not None:
            lived.drawn = drawn
            return arrival
        lived.redrawn += 1 if lived.subject else 0
    ends = " then ".join(_end(leg) for leg in patient.history if leg.watch)
    cure = "give it longer (within), or a patient who gets there."
    raise _Lost(f"{who}: the history never arrives ({ends}); {cure}")


def _end(leg: Leg) -> str:
    """What a leg waits for."""
    sooner = f", not before day {leg.earliest:g}" if leg.earliest else ""
    return f"{leg.watch.text}{sooner}" if leg.watch is not None else ""


def _history(ground: Ground, lived: Lived, drawn: Mapping[str, float], who: str) -> Steps[_Arrival | None]:
    """A life until t = 0; None where it never arrives."""
    patient, plan, flat = ground.patient, ground.plan, ground.composition.flat
    parameters = np.array(flat.values, dtype=np.float64)
    chosen = {name: setting.value for name, setting in patient.parameters.items()}
    starts = {name: setting.value for name, setting in patient.starts.items()}
    for name, value in {**chosen, **drawn, **plan.parameters}.items():
        if name in ground.places:
            parameters[ground.places[name]] = value
    starts |= {name: value for name, value in drawn.items() if name not in ground.places} | dict(plan.starts)
    standing = ground.liver.begin(parameters, starts, patient.day)
    born = parameters.copy()
    running: tuple[Course, ...] = ()
    present = set(plan.core)
    lived.legs = ()
    for number, leg in enumerate(patient.history):
        present |= set(leg.layers)
        stretch = yield from _leg(ground, number, leg, standing, running, born, present)
        lived.add(stretch)
        if stretch.failed is not None:
            where = f"{who}, leg {number + 1} of the history"
            raise _Lost(failure_message(ground.composition, stretch.failed, where, stretch.flat_states))
        if leg.watch is not None and (stretch.reason is not Reason.WATCH or stretch.time < leg.earliest):
            return None
        standing = stretch.standing
        lived.legs += (stretch.time,)
        running = _carried(ground.composition, leg.doses, (*running, *leg.courses), stretch.time)
    return _Arrival(standing, born, running)


def _leg(
    ground: Ground,
    number: int,
    leg: Leg,
    standing: Standing,
    running: tuple[Course, ...],
    born: NDArray[np.float64],
    present: set[str],
) -> Steps[Stretch]:
    stops = _stops(ground, ("leg", number), leg.doses, (*running, *leg.courses), leg.visits, born, present)
    watch = None
    if leg.watch is not None:
        watch = Watch(ground.liver.outputs.index(leg.watch.output), leg.watch.level, leg.watch.direction)
    return (yield from ground.liver.live(standing, leg.longest, np.empty(0), stops, watch))


def _carried(
    composition: Composition, doses: Iterable[Dose], courses: Iterable[Course], time: float
) -> tuple[Course, ...]:
    """The courses and infusions that are open at the end of a stretch, in the time of the next one."""
    every = [*courses, *(infusion(dose, composition) for dose in doses if dose.over)]
    opened = sorted((each for each in every if each.start <= time < each.stop), key=lambda each: each.start)
    return tuple(replace(each, start=BEFORE, stop=each.stop - time) for each in opened)


def _stops(
    ground: Ground,
    stretch: tuple[str, int],
    doses: Iterable[Dose],
    courses: tuple[Course, ...],
    visits: Iterable[float],
    neutral: NDArray[np.float64],
    present: set[str],
) -> Stops:
    """What happens in a stretch; `neutral` holds the levels of inputs that no course sets, `present` the files."""
    inputs = {course.input for course in courses} - ground.flows
    levels = {name: float(neutral[ground.places[name]]) for name in sorted(inputs)}
    key = (*stretch, courses, *levels.items())
    known = ground.stops.get(key)
    if known is None:
        absent = ground.composition.files.keys() - present
        known = stops_of(ground.composition, doses, courses, visits, levels, absent=absent)
        if len(ground.stops) < MOST_REMEMBERED:
            ground.stops[key] = known
    return known


# --- arms -------------------------------------------------------------------------------------------------------------


def opening(ground: Ground, number: int) -> tuple[Standing, Stops]:
    """Where the reference patient stands at t = 0 of an arm, before the first dose, and what happens from there.

    Raises
    ------
    RunError : the history failed or never arrives.
    """
    try:
        return _opening(ground, number, alone(_arrive(ground, Lived(0), "the reference patient")))
    except _Lost as lost:
        raise RunError(str(lost)) from None


def _opening(ground: Ground, number: int, arrival: _Arrival) -> tuple[Standing, Stops]:
    plan, arm = ground.plan, ground.plan.arms[number]
    born, parameters = arrival.born.copy(), arrival.standing.parameters.copy()
    for name, value in arm.parameters.items():
        born[ground.places[name]] = parameters[ground.places[name]] = value
    going = tuple(_stopped(course, arm) for course in arrival.running)
    present = {*plan.core, *ground.patient.layers, *arm.layers}
    stops = _stops(ground, ("arm", number), arm.doses, (*going, *arm.courses), plan.visits, born, present)
    return replace(arrival.standing, parameters=parameters), stops


def _arm(ground: Ground, lived: Lived, number: int, arrival: _Arrival, who: str) -> Steps[None]:
    plan, arm = ground.plan, ground.plan.arms[number]
    standing, stops = _opening(ground, number, arrival)
    tests = _Tests(
        ground, number, np.full((len(plan.save), sum(len(test.reports) for test in ground.challenges)), np.nan)
    )
    stretch = yield from ground.liver.live(
        standing,
        plan.until,
        at_instants(ground.save, stops),
        stops,
        None,
        tests.pauses(),
    )
    lived.add(stretch)
    lived.rows[number], lived.found[number] = stretch.rows, tests.found
    if stretch.failed is not None:
        message = failure_message(ground.composition, stretch.failed, f"{who}, arm {arm.name}", stretch.flat_states)
        lived.fail([arm], stretch.time, message)


def _stopped(course: Course, arm: ArmPlan) -> Course:
    """A course of the history in an arm: it ends at once where the arm stops its layer."""
    return replace(course, stop=0.0) if course.input.partition(".")[0] in arm.stop else course


@dataclass(frozen=True)
class _Tests:
    """The virtual tests of one arm: each writes its reports into the row of its time."""

    ground: Ground
    number: int
    found: NDArray[np.float64]

    def pauses(self) -> Pauses:
        """The times to look at the life, and the look."""
        given: dict[float, list[tuple[int, Challenge]]] = {}
        column = 0
        for test, (_, times) in zip(self.ground.challenges, self.ground.plan.challenges, strict=True):
            for time in times:
                given.setdefault(time, []).append((column, test))
            column += len(test.reports)
        return {time: self._look(time, tests) for time, tests in given.items()}

    def _look(self, time: float, tests: list[tuple[int, Challenge]]) -> Callable[[Standing], Steps[None]]:
        row = int(np.searchsorted(self.ground.save, time))
        liver = self.ground.liver
        assert isinstance(liver, TwoClocks)

        def look(standing: Standing) -> Steps[None]:
            for first, test in tests:
                finding = yield from challenge(test, liver, standing, self.ground.composition)
                self.found[row, first : first + len(finding.reports)] = list(finding.reports.values())
                if self.ground.seen is not None:
                    self.ground.seen(self.number, time, finding)

        return look
