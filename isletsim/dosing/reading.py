"""Doses and courses as people write them become an explicit list.

Five words give any regimen: into, amount, at, every, times. `over` or `rate` makes each dose an infusion, `lag` delays
it. A course sets an input from one time until another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from isletsim.composition import Composition, PortPlan
from isletsim.composition.names import find_symbol
from isletsim.dosing.levels import read_amount, stepped
from isletsim.dosing.records import Course, Dose
from isletsim.errors import InputError, did_you_mean
from isletsim.language import KeyPath, TomlDocument, Tree
from isletsim.units import DAY, PURE, Dimension, on_grid, show, times, unit

__all__ = ["Course", "Dose", "describe_dose", "read_courses", "read_doses", "read_time"]

MOST_DOSES = 100_000
LONGEST = 1e6  # days: beyond any lifetime
SHORTEST_INFUSION = 1e-6  # days: a tenth of a second
MINUTE = 1.0 / 1440.0  # days: a ramp is given in steps of a minute, as a pump gives it
WHOLE = 1e-9  # days: what counts as a whole number of them
_CLOCK = re.compile(r"(.*?)\s*(\d{1,2}):(\d{2})", re.DOTALL)


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
    document: TomlDocument,
    items: Any,
    keys: KeyPath,
    composition: Composition,
    whole: bool = True,
    at_start: bool = False,
) -> list[Dose]:
    """The explicit doses of a list of regimens; faults are noted on the document.

    Parameters
    ----------
    whole : whether times are days and times of day, as in scenarios, or any time.
    at_start : whether an amount may be an expression of the model, with its value at the start.
    """
    doses: list[Dose] = []
    for index, item in _tables(document, items, keys):
        doses += _regimen(document, item, (*keys, index), composition, whole, at_start)
    return doses


def _regimen(
    document: TomlDocument,
    item: Mapping[str, Any],
    keys: KeyPath,
    composition: Composition,
    whole: bool,
    at_start: bool,
) -> list[Dose]:
    """One dose or a row of them; none after a fault."""
    noted = len(document.faults)
    document.only(item, ("into", "amount", "at", "every", "times", "over", "rate", "lag", "about"), keys)
    port = _port(document, item, keys, composition)
    amount = _amount(document, item, keys, port, composition, at_start) if port is not None else None
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
    return [Dose(port.name, amount[0], on_grid(at + number * every + lag), over, amount[1]) for number in range(count)]


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


def _amount(
    document: TomlDocument,
    item: Mapping[str, Any],
    keys: KeyPath,
    port: PortPlan,
    composition: Composition,
    at_start: bool,
) -> tuple[float, Tree | None] | None:
    """How much, base units, and by what it is multiplied at the start; 1 for a port that only multiplies."""
    if port.add < 0:
        if "amount" in item:
            document.fault((*keys, "amount"), f"{port.name} only multiplies; it takes no amount.", "Leave it out.")
        return 1.0, None
    if "amount" not in item:
        document.fault(keys, "does not say how much.", f'Write amount = "1 {port.unit.text}".')
        return None
    found = _number(document, item["amount"], (*keys, "amount"), composition, port.unit.dimension, "", at_start)
    if found is not None and found[0] < 0:
        document.fault((*keys, "amount"), "a dose is not negative.")
        return None
    return found


def _number(
    document: TomlDocument,
    value: Any,
    keys: KeyPath,
    composition: Composition,
    like: Dimension,
    of: str,
    at_start: bool,
) -> tuple[float, Tree | None] | None:
    """A quantity, or with `at_start` an expression."""
    if at_start:
        return read_amount(document, value, keys, composition, like, of)
    found = document.quantity(value, keys, like, of)
    return None if found is None else (found.value, None)


def _over(
    document: TomlDocument,
    item: Mapping[str, Any],
    keys: KeyPath,
    port: PortPlan | None,
    amount: tuple[float, Tree | None] | None,
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
        if amount[1] is not None:
            document.fault((*keys, "rate"), "an amount that is worked out at the start goes with over.", "Write over.")
            return 0.0
        length = amount[0] / found.value if found.value > 0 else math.inf
    if length is None:
        return 0.0
    if not SHORTEST_INFUSION <= length <= LONGEST:
        cure = 'Write over = "30 min"' if word == "over" else f'Write rate = "1 {port.unit.text}/hour"' if port else ""
        document.fault((*keys, word), "an infusion lasts from 0.1 s to 1e6 days.", f"{cure}, or leave it out.")
    return length


# --- courses ----------------------------------------------------------------------------------------------------------


def read_courses(
    document: TomlDocument,
    items: Any,
    keys: KeyPath,
    composition: Composition,
    whole: bool = True,
    at_start: bool = False,
) -> list[Course]:
    """The courses of a list; faults are noted on the document. `whole` and `at_start` are those of `read_doses`."""
    found: list[Course] = []
    for index, item in _tables(document, items, keys):
        found += _course(document, item, (*keys, index), composition, whole, at_start)
    return found


def _course(
    document: TomlDocument,
    item: Mapping[str, Any],
    keys: KeyPath,
    composition: Composition,
    whole: bool,
    at_start: bool,
) -> list[Course]:
    """One course, or the steps of one whose level changes; none after a fault."""
    document.only(item, ("input", "level", "shape", "from", "until", "about"), keys)
    name = document.word(item, "input", keys)
    if not name or "level" not in item:
        document.fault(keys, "a course needs input and level.", 'Write { input = "file.name", level = "1" }.')
        return []
    try:
        symbol = find_symbol(composition, name, ("input",), document.place((*keys, "input")))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return []
    start = read_time(document, item.get("from", "0 day"), (*keys, "from"), whole)
    stop = read_time(document, item["until"], (*keys, "until"), whole) if "until" in item else math.inf
    like = symbol.unit.dimension or PURE
    many = isinstance(item["level"], list)
    shape = document.one_of(item, "shape", keys, ("step", "ramp"), "step")
    if "shape" in item and not many:
        document.fault((*keys, "shape"), "one level has no shape.", 'Write level = [["0 min", "1"], ["30 min", "2"]].')
    points = [] if not many else _points(document, item["level"], (*keys, "level"), like, symbol.of, whole)
    level = (
        (0.0, None)
        if many
        else _number(document, item["level"], (*keys, "level"), composition, like, symbol.of, at_start)
    )
    if level is None or points is None or start is None or stop is None:
        return []
    if start < 0:
        document.fault((*keys, "from"), "a course before the start.", "t = 0 is where the run begins.")
    elif stop <= start:
        document.fault(keys, "the course ends before it begins.")
    if many:
        return stepped(symbol.name, points, shape == "ramp", start, stop, 1.0 if whole else MINUTE)
    return [Course(symbol.name, level[0], start, stop, level[1])]


def _points(
    document: TomlDocument, items: list[Any], keys: KeyPath, like: Dimension, of: str, whole: bool
) -> list[tuple[float, float]] | None:
    """Times and levels of a course, in order."""
    noted, points = len(document.faults), []
    for index, item in enumerate(items):
        if not isinstance(item, list) or len(item) != 2:
            document.fault((*keys, index), "expected a time and a level.", 'Write [["0 min", "1"], ["30 min", "2"]].')
            continue
        time = read_time(document, item[0], (*keys, index), whole)
        level = document.quantity(item[1], (*keys, index), like, of)
        if time is not None and level is not None:
            points.append((time, level.value))
    if len(document.faults) == noted and not points:
        document.fault(keys, "has no levels.", 'Write level = [["0 min", "1"], ["30 min", "2"]].')
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(points)) or (points and points[0][0] < 0):
        document.fault(keys, "the times do not go up from 0.", "They are counted from the beginning of the course.")
    return points if len(document.faults) == noted else None
