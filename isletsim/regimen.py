"""Doses and courses become an explicit, printable list, and the list becomes the solver's schedule.

Five words give any regimen: into, amount, at, every, times; `over` makes it an infusion. A course sets an input from one
time until another. At one instant the order is: courses and infusion rates, ports that multiply, ports that add (each
followed by the held values it revises), visits, then the record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isletsim.faults import InputError, did_you_mean
from isletsim.layers import Composition, PortPlan
from isletsim.lookup import find_symbol
from isletsim.source import Keys, Page
from isletsim.units import DAY, show, unit

if TYPE_CHECKING:
    from isletsim.solver import Schedule

__all__ = ["Course", "Dose", "Stops", "read_courses", "read_doses", "read_time", "stops_of", "to_schedule"]

MOST_DOSES = 100_000
_CLOCK = re.compile(r"(.*?)\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class Dose:
    """One instant (or infusion) of one port; base units, days."""

    port: str
    amount: float
    time: float
    over: float = 0.0

    def __str__(self) -> str:
        return f"{self.port} {self.amount:g} at {self.time:g} day"


@dataclass(frozen=True)
class Course:
    """An input at a level from a time until a time (infinite: until the end)."""

    input: str
    level: float
    start: float
    stop: float = math.inf


def read_time(page: Page, value: Any, keys: Keys, whole: bool) -> float | None:
    """A time in days; `whole` rounds to whole days and allows a clock time ("2 day 08:00")."""
    clock = 0.0
    if isinstance(value, str):
        match = _CLOCK.fullmatch(value)
        if match:
            hours, minutes = int(match.group(2)), int(match.group(3))
            if hours > 24 or minutes > 59:
                page.fault(keys, f'"{value}" is not a time of day.', 'Write "2 day 08:00".')
                return None
            clock, value = (hours * 60 + minutes) / 1440.0, match.group(1) or "0 day"
    found = page.quantity(value, keys, DAY.dimension)
    if found is None:
        return None
    if abs(found.value) > 1e6:
        page.fault(keys, f'"{value}" is beyond any lifetime.')
        return None
    return (float(round(found.value)) if whole else found.value) + clock


def read_doses(page: Page, items: Any, keys: Keys, composition: Composition, whole: bool = True) -> list[Dose]:
    """The explicit doses of a list of regimens; faults are noted on the page."""
    doses: list[Dose] = []
    for index, item in enumerate(_tables(page, items, keys)):
        here: Keys = (*keys, index)
        page.only(item, ("into", "amount", "at", "every", "times", "over", "about"), here)
        port = _port(page, item, here, composition)
        amount = _amount(page, item, here, port)
        at = read_time(page, item.get("at", "0 day"), (*here, "at"), whole)
        times = page.integer(item, "times", here, 1, 1, MOST_DOSES)
        every = read_time(page, item["every"], (*here, "every"), whole) if "every" in item else 0.0
        over = page.quantity(item["over"], (*here, "over"), DAY.dimension) if "over" in item else None
        if times > 1 and "every" not in item:
            page.fault(here, "times without every.", 'Write every = "4 week".')
            continue
        if every is not None and "every" in item and every <= 0:
            page.fault((*here, "every"), "the interval is not positive.", "Times are rounded to whole days.")
            continue
        if at is not None and at < 0:
            page.fault((*here, "at"), "a dose before the start.", "t = 0 is the end of the history.")
            continue
        if over is not None and (over.value <= 0 or port is None or not port.flow):
            page.fault((*here, "over"), "this cannot be an infusion.", "It takes a positive span and a port that adds.")
            continue
        if port is None or amount is None or at is None or every is None:
            continue
        span = over.value if over else 0.0
        doses += [Dose(port.name, amount, at + number * every, span) for number in range(times)]
    return doses


def _tables(page: Page, items: Any, keys: Keys) -> list[Mapping[str, Any]]:
    if not isinstance(items, (list, tuple)):
        page.fault(keys, "expected a list of tables.", "Write [{ ... }, { ... }].")
        return []
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            page.fault((*keys, index), "expected a table { ... }.")
    return [item for item in items if isinstance(item, Mapping)]


def _port(page: Page, item: Mapping[str, Any], keys: Keys, composition: Composition) -> PortPlan | None:
    name = page.word(item, "into", keys)
    if not name:
        page.fault(keys, "does not say into which port.", 'Write into = "file.port".')
        return None
    found = composition.ports.get(name)
    if found is None:
        bare = [port for port in composition.ports if port.partition(".")[2] == name]
        if len(bare) == 1:
            return composition.ports[bare[0]]
        cure = did_you_mean(name, composition.ports) or f"Ports: {', '.join(composition.ports) or 'none'}."
        page.fault((*keys, "into"), f'there is no port "{name}".', cure)
    return found


def _amount(page: Page, item: Mapping[str, Any], keys: Keys, port: PortPlan | None) -> float | None:
    if port is None:
        return None
    if "amount" not in item:
        if port.add < 0:
            return 1.0
        page.fault(keys, "does not say how much.", f'Write amount = "1 {port.unit.text}".')
        return None
    found = page.quantity(item["amount"], (*keys, "amount"), port.unit.dimension)
    return found.value if found else None


def read_courses(page: Page, items: Any, keys: Keys, composition: Composition, whole: bool = True) -> list[Course]:
    """The courses of a list; faults are noted on the page."""
    courses: list[Course] = []
    for index, item in enumerate(_tables(page, items, keys)):
        here: Keys = (*keys, index)
        page.only(item, ("input", "level", "from", "until", "about"), here)
        name = page.word(item, "input", here)
        if not name or "level" not in item:
            page.fault(here, "a course needs input and level.", 'Write { input = "file.name", level = "1" }.')
            continue
        try:
            symbol = find_symbol(composition, name, ("input",), page.place((*here, "input")))
        except InputError as reason:
            page.faults.extend(reason.faults)
            continue
        level = page.quantity(item["level"], (*here, "level"), symbol.unit.dimension, symbol.of)
        start = read_time(page, item.get("from", "0 day"), (*here, "from"), whole)
        stop = read_time(page, item["until"], (*here, "until"), whole) if "until" in item else math.inf
        if level is None or start is None or stop is None:
            continue
        if start < 0 or stop <= start:
            page.fault(here, "the course ends before it begins.")
            continue
        courses.append(Course(symbol.name, level.value, start, stop))
    return courses


def describe_dose(dose: Dose, composition: Composition) -> str:
    """A dose in words, for tables and figures."""
    text = show(dose.amount, composition.ports[dose.port].unit)
    return f"{text} over {show(dose.over, unit('min'))}" if dose.over else text


@dataclass(frozen=True)
class Stops:
    """What happens when, ready for any stretch of the run: (time, rank, kind, index, amount), in order."""

    entries: tuple[tuple[float, int, int, int, float], ...]


# Ranks order what falls on one instant.
_LEVEL, _MULTIPLY, _ADD, _VISIT, _BARE = range(5)


def stops_of(
    composition: Composition,
    doses: Iterable[Dose],
    courses: Iterable[Course],
    visits: Iterable[float],
    until: float,
    defaults: Mapping[str, float],
) -> Stops:
    """Everything that happens up to a time.

    Parameters
    ----------
    defaults : the level an input goes back to when its course ends, by qualified name.
    """
    place = {name: index for index, name in enumerate(composition.flat.parameters)}
    entries: list[tuple[float, int, int, int, float]] = []
    changes: dict[str, list[tuple[float, float]]] = {}
    for dose in doses:
        port = composition.ports[dose.port]
        if dose.over:
            changes.setdefault(port.flow, []).append((dose.time, dose.amount / dose.over))
            changes[port.flow].append((dose.time + dose.over, -dose.amount / dose.over))
        if port.multiply >= 0:
            entries.append((dose.time, _MULTIPLY, 1, port.multiply, 0.0))
        if port.add >= 0 and not dose.over:
            entries.append((dose.time, _ADD, 1, port.add, dose.amount))
        for action in composition.after_port.get(dose.port, ()):
            entries.append((dose.time, _ADD, 1, action, 0.0))
    for flow, steps in changes.items():
        entries += [(time, _LEVEL, 2, place[flow], rate) for time, rate in _running_rate(steps)]
    for course in courses:
        entries.append((course.start, _LEVEL, 2, place[course.input], course.level))
    for course in courses:
        taken_over = any(
            other.input == course.input and other is not course and other.start <= course.stop < other.stop
            for other in courses
        )
        if math.isfinite(course.stop) and not taken_over:
            entries.append((course.stop, _LEVEL, 2, place[course.input], defaults[course.input]))
    for time in visits:
        entries += [(time, _VISIT, 1, action, 0.0) for action in composition.visits]
    kept = [entry for entry in entries if entry[0] <= until]
    return Stops(tuple(sorted(kept, key=lambda entry: (entry[0], entry[1]))))


def _running_rate(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The total infusion rate from each edge on; exactly zero when all infusions have ended."""
    edges = sorted({time for time, _ in steps})
    running = []
    for edge in edges:
        open_rates = []
        for index in range(0, len(steps), 2):
            (begin, rate), (end, _) = steps[index], steps[index + 1]
            if begin <= edge < end:
                open_rates.append(rate)
        running.append((edge, math.fsum(open_rates)))
    return running


def to_schedule(stops: Stops, bare: Iterable[float], begin: float, end: float, at_begin: bool = True) -> Schedule:
    """The solver's schedule for a stretch of the run.

    Parameters
    ----------
    bare : times at which the run only has to stop (periods, knots).
    at_begin : whether what falls on the very beginning is done.
    """
    import numpy as np

    from isletsim.solver import Schedule

    inside = [entry for entry in stops.entries if begin < entry[0] <= end or (at_begin and entry[0] == begin)]
    inside += [(time, _BARE, 0, 0, 0.0) for time in bare if begin < time < end]
    inside.sort(key=lambda entry: (entry[0], entry[1]))
    times = sorted({entry[0] for entry in inside})
    first = np.searchsorted(np.array([entry[0] for entry in inside]), np.array([*times, math.inf]))
    return Schedule(
        times=np.array(times, dtype=np.float64),
        first=first.astype(np.int64),
        kinds=np.array([entry[2] for entry in inside], dtype=np.int64),
        indices=np.array([entry[3] for entry in inside], dtype=np.int64),
        amounts=np.array([entry[4] for entry in inside], dtype=np.float64),
    )
