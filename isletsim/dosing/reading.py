"""Doses and courses as people write them become an explicit list.

Five words give any regimen: into, amount, at, every, times. `over` or `rate` makes each dose an infusion, `lag` delays
it. A course sets an input from one time until another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isletsim.composition import Composition, PortPlan
from isletsim.composition.names import find_symbol
from isletsim.errors import InputError, did_you_mean
from isletsim.language import KeyPath, TomlDocument
from isletsim.units import DAY, PURE, on_grid, show, times, unit

__all__ = ["Course", "Dose", "describe_dose", "read_courses", "read_doses", "read_time"]

MOST_DOSES = 100_000
LONGEST = 1e6  # days: beyond any lifetime
SHORTEST_INFUSION = 1e-6  # days: a tenth of a second
WHOLE = 1e-9  # days: what counts as a whole number of them
_CLOCK = re.compile(r"(.*?)\s*(\d{1,2}):(\d{2})", re.DOTALL)


@dataclass(frozen=True)
class Dose:
    """One instant (or, with `over`, one infusion) of one port; base units, days."""

    port: str
    amount: float
    time: float
    over: float = 0.0


@dataclass(frozen=True)
class Course:
    """An input at a level from a time until a time (infinite: until the end)."""

    input: str
    level: float
    start: float
    stop: float = math.inf


def describe_dose(dose: Dose, composition: Composition) -> str:
    """A dose in words, for tables and figures."""
    text = show(dose.amount, composition.ports[dose.port].unit)
    return f"{text} over {show(dose.over, unit('min'))}" if dose.over else text


def read_time(document: TomlDocument, value: Any, keys: KeyPath, whole: bool) -> float | None:
    """A time in days.

    Parameters
    ----------
    whole : the time is a whole number of days, and perhaps a time of day ("2 day 08:00"); months and years are rounded.
    """
    clock = 0.0
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match:
        hours, minutes = int(match.group(2)), int(match.group(3))
        if minutes > 59 or hours * 60 + minutes > 1440:
            document.fault(keys, f'"{value}" is not a time of day.', 'Write "2 day 08:00".')
            return None
        clock, value = (hours * 60 + minutes) / 1440.0, match.group(1) or "0 day"
    found = document.quantity(value, keys, DAY.dimension)
    if found is None:
        return None
    time = found.value
    if abs(time) > LONGEST:
        document.fault(keys, f'"{value}" is beyond any lifetime.')
        return None
    if whole:
        nearest = float(math.floor(time + 0.5))
        if found.unit.factor <= 1.0 and abs(time - nearest) > WHOLE:
            document.fault(keys, f'"{value}" is not a whole number of days.', 'Write a time of day as "2 day 08:00".')
            return None
        time = nearest
    return on_grid(time + clock)


# --- doses ------------------------------------------------------------------------------------------------------------


def read_doses(
    document: TomlDocument, items: Any, keys: KeyPath, composition: Composition, whole: bool = True
) -> list[Dose]:
    """The explicit doses of a list of regimens; faults are noted on the page.

    Parameters
    ----------
    whole : whether times are days and times of day, as in scenarios, or any time.
    """
    doses: list[Dose] = []
    for index, item in _tables(document, items, keys):
        doses += _regimen(document, item, (*keys, index), composition, whole)
    return doses


def _regimen(
    document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, composition: Composition, whole: bool
) -> list[Dose]:
    """One dose or a row of them; none after a fault."""
    noted = len(document.faults)
    document.only(item, ("into", "amount", "at", "every", "times", "over", "rate", "lag", "about"), keys)
    port = _port(document, item, keys, composition)
    amount = _amount(document, item, keys, port) if port is not None else None
    at = read_time(document, item.get("at", "0 day"), (*keys, "at"), whole)
    if at is not None and at < 0:
        document.fault((*keys, "at"), "a dose before the start.", "t = 0 is where the run begins.")
    count = document.integer(item, "times", keys, 1, 1, MOST_DOSES)
    if ("every" in item) != ("times" in item):
        document.fault(keys, "every and times stand together.", 'Write every = "4 week", times = 3.')
    every = read_time(document, item.get("every", "1 day"), (*keys, "every"), whole)
    if every is not None and every <= 0:
        document.fault((*keys, "every"), "the interval is not positive.", 'Write every = "1 day".')
    lag = read_time(document, item.get("lag", "0 day"), (*keys, "lag"), whole=False)
    if lag is not None and lag < 0:
        document.fault((*keys, "lag"), "the lag is negative.", 'Write lag = "30 min".')
    over = _over(document, item, keys, port, amount)
    if port is None or amount is None or at is None or every is None or lag is None or len(document.faults) > noted:
        return []
    return [Dose(port.name, amount, on_grid(at + number * every + lag), over) for number in range(count)]


def _tables(document: TomlDocument, items: Any, keys: KeyPath) -> list[tuple[int, Mapping[str, Any]]]:
    if not isinstance(items, (list, tuple)):
        document.fault(keys, "expected a list of tables.", "Write [{ ... }, { ... }].")
        return []
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            document.fault((*keys, index), "expected a table { ... }.")
    return [(index, item) for index, item in enumerate(items) if isinstance(item, Mapping)]


def _port(document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, composition: Composition) -> PortPlan | None:
    """The port that `into` means, by its qualified or its bare name."""
    noted = len(document.faults)
    name = document.word(item, "into", keys)
    if not name:
        if len(document.faults) == noted:
            document.fault(keys, "does not say into which port.", 'Write into = "file.port".')
        return None
    ports = composition.ports
    meant = [name] if name in ports else [port for port in ports if port.partition(".")[2] == name]
    if len(meant) == 1:
        return ports[meant[0]]
    if meant:
        document.fault((*keys, "into"), f'"{name}" means several ports.', f"Say which: {', '.join(meant)}.")
        return None
    cure = did_you_mean(name, ports) or f"Ports: {', '.join(ports) or 'none'}."
    document.fault((*keys, "into"), f'there is no port "{name}".', cure)
    return None


def _amount(document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, port: PortPlan) -> float | None:
    """How much, base units; 1 for a port that only multiplies."""
    if port.add < 0:
        if "amount" in item:
            document.fault((*keys, "amount"), f"{port.name} only multiplies; it takes no amount.", "Leave it out.")
        return 1.0
    if "amount" not in item:
        document.fault(keys, "does not say how much.", f'Write amount = "1 {port.unit.text}".')
        return None
    found = document.quantity(item["amount"], (*keys, "amount"), port.unit.dimension)
    if found is not None and found.value < 0:
        document.fault((*keys, "amount"), "a dose is not negative.")
        return None
    return found.value if found is not None else None


def _over(
    document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, port: PortPlan | None, amount: float | None
) -> float:
    """Return how long an infusion lasts, from `over` or from amount over `rate`; 0 for a dose of one instant."""
    word = "rate" if "rate" in item else "over"
    if word not in item:
        return 0.0
    if "over" in item and "rate" in item:
        document.fault(keys, "gives both over and rate; either follows from the other.", "Leave one of them out.")
        return 0.0
    if port is not None and not port.flow:
        document.fault((*keys, word), f"{port.name} only multiplies; it cannot be an infusion.", f"Leave {word} out.")
        return 0.0
    if word == "over":
        found = document.quantity(item["over"], (*keys, "over"), DAY.dimension)
        length = found.value if found is not None else None
    else:
        dimension = times(port.unit.dimension, DAY.dimension, -1.0) if port is not None else None
        found = document.quantity(item["rate"], (*keys, "rate"), dimension)
        if found is None or amount is None:
            return 0.0
        length = amount / found.value if found.value > 0 else math.inf
    if length is None:
        return 0.0
    if not SHORTEST_INFUSION <= length <= LONGEST:
        cure = 'Write over = "30 min"' if word == "over" else f'Write rate = "1 {port.unit.text}/hour"' if port else ""
        document.fault((*keys, word), "an infusion lasts from 0.1 s to 1e6 days.", f"{cure}, or leave it out.")
    return length


# --- courses ----------------------------------------------------------------------------------------------------------


def read_courses(
    document: TomlDocument, items: Any, keys: KeyPath, composition: Composition, whole: bool = True
) -> list[Course]:
    """The courses of a list; faults are noted on the page."""
    found = [
        _course(document, item, (*keys, index), composition, whole) for index, item in _tables(document, items, keys)
    ]
    return [course for course in found if course is not None]


def _course(
    document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, composition: Composition, whole: bool
) -> Course | None:
    document.only(item, ("input", "level", "from", "until", "about"), keys)
    name = document.word(item, "input", keys)
    if not name or "level" not in item:
        document.fault(keys, "a course needs input and level.", 'Write { input = "file.name", level = "1" }.')
        return None
    try:
        symbol = find_symbol(composition, name, ("input",), document.place((*keys, "input")))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None
    level = document.quantity(item["level"], (*keys, "level"), symbol.unit.dimension or PURE, symbol.of)
    start = read_time(document, item.get("from", "0 day"), (*keys, "from"), whole)
    stop = read_time(document, item["until"], (*keys, "until"), whole) if "until" in item else math.inf
    if level is None or start is None or stop is None:
        return None
    if start < 0:
        document.fault((*keys, "from"), "a course before the start.", "t = 0 is where the run begins.")
    elif stop <= start:
        document.fault(keys, "the course ends before it begins.")
    return Course(symbol.name, level.value, start, stop)
