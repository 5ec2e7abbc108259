"""The list of doses and courses becomes the solver's schedule.

At one instant the order is: courses and infusion rates, ports that multiply, ports that add (each followed by the held
values it revises), visits, then the record. Between stops all parameters are constant.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from isletsim.codegen.evaluate_at import constant_values
from isletsim.composition import Composition
from isletsim.dosing.records import Course, Dose
from isletsim.errors import Fault, InputError
from isletsim.language import evaluate, names
from isletsim.solver import Schedule
from isletsim.units import on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

__all__ = [
    "ScheduledEvent",
    "ScheduledEvents",
    "at_instants",
    "breakpoints",
    "given_at",
    "infusion",
    "scheduled_events",
    "to_schedule",
    "without_given",
]

INSTANT = 1e-9  # days: times that are nearer to each other than this are one instant
MOST_PERIODS = 10_000_000

# Ranks order what falls on one instant.
_LEVEL, _MULTIPLY, _ADD, _VISIT = range(4)
# Kinds of entries of a schedule, see docs/engine.md.
_NOTHING, _ACTION, _PARAMETER = range(3)


class ScheduledEvent(NamedTuple):
    """One thing that happens: when, in which order at that instant, and what (an entry of a `Schedule`)."""

    time: float
    rank: int
    kind: int
    index: int  # type: ignore[assignment]  # the word of `Schedule`; nobody looks for entries in an entry
    amount: float


@dataclass(frozen=True)
class ScheduledEvents:
    """What happens when, in order, ready for any stretch of a run."""

    entries: tuple[ScheduledEvent, ...]


def infusion(dose: Dose, composition: Composition) -> Course:
    """The course of a port's infusion rate that an infused dose is."""
    return _flow(dose, composition, dose.time, on_grid(dose.time + dose.over))


def _flow(dose: Dose, composition: Composition, begin: float, end: float) -> Course:
    # Divided by the difference of the two times as they are, so that what is delivered is exactly what is prescribed.
    return Course(composition.ports[dose.port].flow, dose.amount / (end - begin), begin, end)


def scheduled_events(
    composition: Composition,
    doses: Iterable[Dose],
    courses: Iterable[Course] = (),
    visits: Iterable[float] = (),
    neutral: Mapping[str, float] | None = None,
    *,
    begin: float = -math.inf,
    absent: Collection[str] = (),
) -> ScheduledEvents:
    """Everything that happens, in order.

    Parameters
    ----------
    courses : of inputs, and of infusion rates that go on from an earlier stretch.
    neutral : the level an input has while no course of it is open, by qualified name.
    begin : courses and infusions that began before this time are set at it.
    absent : files that take no part; their held values are not revised at visits.
    """
    given, running, met = list(doses), list(courses), list(visits)
    at = _instants(
        [dose.time for dose in given]
        + [on_grid(dose.time + dose.over) for dose in given if dose.over]
        + [time for course in running for time in (course.start, course.stop)]
        + met
    )
    events: list[ScheduledEvent] = []
    levels: dict[str, list[Course]] = {}
    for course in running:
        shifted = Course(course.input, course.level, at[course.start], at[course.stop])
        levels.setdefault(course.input, []).append(shifted)
    for dose in given:
        port, time = composition.ports[dose.port], at[dose.time]
        if port.multiply >= 0:
            events.append(ScheduledEvent(time, _MULTIPLY, _ACTION, port.multiply, 0.0))
        if dose.over:
            end = at[on_grid(dose.time + dose.over)]
            levels.setdefault(port.flow, []).append(_flow(dose, composition, time, end))
        elif port.add >= 0:
            events.append(ScheduledEvent(time, _ADD, _ACTION, port.add, dose.amount))
        events += [
            ScheduledEvent(time, _ADD, _ACTION, action, 0.0) for action in composition.after_port.get(dose.port, ())
        ]
    flows = {port.flow for port in composition.ports.values()}
    for name, parts in levels.items():
        place = composition.flat.parameters.index(name)
        default = None if name in flows else (neutral or {}).get(name, composition.flat.values[place])
        events += [
            ScheduledEvent(time, _LEVEL, _PARAMETER, place, level) for time, level in _levels(parts, default, begin)
        ]
    revisions = [
        index for index in composition.visits if composition.flat.actions[index].name.partition(".")[0] not in absent
    ]
    events += [ScheduledEvent(at[time], _VISIT, _ACTION, index, 0.0) for time in met for index in revisions]
    return ScheduledEvents(tuple(sorted(events, key=lambda stop: (stop.time, stop.rank))))


def given_at(events: ScheduledEvents, composition: Composition, time: float) -> tuple[tuple[str, float], ...]:
    """Return what is done to states at one time: the names of the actions and their amounts, in order."""
    actions = composition.flat.actions
    return tuple(
        (actions[stop.index].name, stop.amount) for stop in events.entries if stop.time == time and stop.kind == _ACTION
    )


def without_given(
    events: ScheduledEvents, composition: Composition, time: float, given: Iterable[tuple[str, float]]
) -> ScheduledEvents:
    """Return the list without what an earlier leg has done at the time at which it ended.

    Parameters
    ----------
    given : names and amounts, from `given_at` of that leg; each removes one equal entry.
    """
    done = Counter(given)
    kept = []
    for stop in events.entries:
        if stop.time == time and stop.kind == _ACTION:
            what = composition.flat.actions[stop.index].name, stop.amount
            if done[what]:
                done[what] -= 1
                continue
        kept.append(stop)
    return ScheduledEvents(tuple(kept))


def _instants(times: Iterable[float]) -> dict[float, float]:
    """Each time with the instant it belongs to: the first of those that are as good as equal."""
    found: dict[float, float] = {}
    anchor = -math.inf
    for time in sorted(set(times)):
        if not time - anchor <= INSTANT:
            anchor = time
        found[time] = anchor
    return found


def _levels(parts: list[Course], default: float | None, begin: float) -> Iterator[tuple[float, float]]:
    """The level from each edge on.

    Infusions (`default` None) sum up, to exactly zero when all have ended; of an input's courses the one that began
    last counts, and where none is open the default.
    """
    waiting = sorted((part for part in parts if part.stop > begin), key=lambda part: part.start)
    edges = {max(part.start, begin) for part in waiting} | {part.stop for part in waiting if part.stop < math.inf}
    opened: list[Course] = []
    done = 0
    for edge in sorted(edges):
        while done < len(waiting) and waiting[done].start <= edge:
            opened.append(waiting[done])
            done += 1
        opened = [part for part in opened if part.stop > edge]
        if default is None:
            yield edge, math.fsum(part.level for part in opened)
        else:
            yield edge, opened[-1].level if opened else default


def breakpoints(model: CompiledModel, parameters: NDArray[np.float64], begin: float, end: float) -> list[float]:
    """Times at which a run stops although nothing is done: periods of `mod(time, ...)` and knots of tables."""
    flat = model.flat
    times = {knot for knot in flat.knots if begin < knot < end}
    known = constant_values(flat, parameters) if flat.periods else {}
    for offset_tree, period_tree in flat.periods:
        if not names(offset_tree) | names(period_tree) <= known.keys():
            continue  # it moves with the state: no time is known beforehand
        offset, period = evaluate(offset_tree, known), evaluate(period_tree, known)
        if not period > 0 or not math.isfinite(offset) or (end - begin) / period > MOST_PERIODS:
            raise InputError(Fault("mod(time, period)", f"a period of {period:g} days cannot be followed."))
        first, last = math.ceil((begin - offset) / period - 1e-9), math.floor((end - offset) / period)
        edges = offset + period * np.arange(first, last + 1)
        # A hair past the edge: at the edge itself rounding may still show the period before.
        edges += 4.0 * np.spacing(np.maximum(np.abs(edges), max(abs(offset), period)))
        times.update(edges.tolist())
    return sorted(time for time in times if begin < time < end)


def to_schedule(events: ScheduledEvents, bare: Iterable[float], begin: float, end: float) -> Schedule:
    """The solver's schedule for a stretch of the run; what falls on its two ends belongs to it.

    Parameters
    ----------
    bare : times at which the run only has to stop, from `breakpoints`.
    """
    return _schedule(events.entries, tuple(bare), begin, end)


@lru_cache(maxsize=256)  # the subjects of a cohort share their schedules
def _schedule(events: tuple[ScheduledEvent, ...], bare: tuple[float, ...], begin: float, end: float) -> Schedule:
    entries = [stop for stop in events if begin <= stop.time <= end]
    times = sorted({stop.time for stop in entries})
    first = np.searchsorted([stop.time for stop in entries], times).tolist()
    if alone := _alone(bare, times, begin, end):
        at = np.searchsorted(times, alone)
        times = np.insert(times, at, alone).tolist()
        first = np.insert(first, at, np.append(first, len(entries))[at]).tolist()
    return Schedule(
        times=np.array(times, dtype=np.float64),
        first=np.array([*first, len(entries)], dtype=np.int64),
        kinds=np.array([stop.kind for stop in entries], dtype=np.int64),
        indices=np.array([stop.index for stop in entries], dtype=np.int64),
        amounts=np.array([stop.amount for stop in entries], dtype=np.float64),
    )


def _alone(bare: Iterable[float], times: list[float], begin: float, end: float) -> list[float]:
    """Bare stops within the stretch, less those that are stops already and those that only repeat one before."""
    taken = set(times)
    found: list[float] = []
    for time in bare:
        if begin < time < end and time not in taken:
            if found and time - found[-1] <= INSTANT:
                found.pop()
            found.append(time)
    return found


def at_instants(save: NDArray[np.float64], events: ScheduledEvents) -> NDArray[np.float64]:
    """The times of the record, those that are as good as equal to a stop exactly on it: a record is taken after it."""
    times = np.array(sorted({stop.time for stop in events.entries}))
    left = np.searchsorted(save, times - INSTANT)
    right = np.searchsorted(save, times + INSTANT, side="right")
    moved = save.copy()
    for place in np.flatnonzero(right > left):
        moved[left[place] : right[place]] = times[place]
    return moved
