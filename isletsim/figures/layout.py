"""Where things go: labels that must not touch, a time axis people read, limits of a value axis, units as printed."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence

from isletsim.figures.figure_spec import Panel

__all__ = ["fold", "grid", "limits", "power_of_ten", "printed_unit", "spread_apart", "time_axis"]

# (longest span in days, name of the unit, days in it, steps between ticks to choose from)
TIME_UNITS: tuple[tuple[float, str, float, tuple[float, ...]], ...] = (
    (3.0, "hours", 1 / 24, (1, 2, 3, 6, 12)),
    (90.0, "days", 1.0, (1, 2, 5, 7, 14, 28)),
    (914.0, "months", 30.4375, (1, 2, 3, 6)),
    (math.inf, "years", 365.25, (1, 2, 5, 10, 20, 50)),
)
MOST_TICKS = 7
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for a number of panels."""
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3 if count <= 9 else 4)
    return math.ceil(count / columns), columns


def time_axis(start: float, stop: float) -> tuple[str, float, list[float]]:
    """Name of the unit, days in it, and the places of the ticks in that unit."""
    span = stop - start
    name, size, steps = next((name, size, steps) for longest, name, size, steps in TIME_UNITS if span <= longest)
    step = next((step for step in steps if span / size / step <= MOST_TICKS), steps[-1])
    first, last = math.ceil(start / size / step - 1e-3), math.floor(stop / size / step + 0.02)
    return name, size, [step * count for count in range(first, last + 1)]


def limits(panel: Panel) -> tuple[float, float, list[int]]:
    """Lowest and highest value shown, and which thresholds are.

    Zero is included where the curves come near it, seen from their height; a threshold that nobody asked for is shown
    where it lies near the curves.
    """
    every = [curve.middle for curve in panel.curves]
    every += [side for curve in panel.curves for band in curve.bands for side in band]
    low, high = min(float(each.min()) for each in every), max(float(each.max()) for each in every)
    near = max(0.3 * (high - low), 0.1 * max(abs(low), abs(high)))
    shown = [
        place for place, each in enumerate(panel.thresholds) if each.asked or low - near <= each.value <= high + near
    ]
    low = min([low, *(panel.thresholds[place].value for place in shown)])
    high = max([high, *(panel.thresholds[place].value for place in shown)])
    if 0 < low < 0.4 * high:
        low = 0.0
    if low == high == 0:
        return 0.0, 1.0, shown  # nothing at all: most quantities cannot be negative
    least = 0.02 * max(abs(low), abs(high))  # a constant is a straight line, not noise
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least, middle + least
    margin = 0.06 * (high - low)
    return (low if low == 0 else low - margin), high + margin, shown


def power_of_ten(low: float, high: float) -> int:
    """The power of a thousand that is taken out of the numbers of an axis, as its exponent of ten; mostly 0."""
    size = max(abs(low), abs(high))
    if size == 0 or 1e-2 <= size < 1e5:
        return 0
    return 3 * math.floor(math.log10(size) / 3)


def printed_unit(unit: str, power: int = 0) -> str:
    """A unit as papers print it: ``µmol/L``, ``mg²``, ``10⁶ cell/kg``, ``10⁻³/day``."""
    text = re.sub(r"\bu(?=(?:g|mol|M|U|L|l|m)\b)", "µ", unit)
    text = re.sub(r"\s*(?:\*\*|\^)\s*\(?(-?\d+)\)?", lambda match: match.group(1).translate(SUPERSCRIPTS), text)
    text = text.replace(" ** ", "").replace("*", "·")
    if not power:
        return text
    return f"10{str(power).translate(SUPERSCRIPTS)} {text}".strip().replace(" 1/", "/")


def fold(label: str, width: int = 14) -> str:
    """A label on several lines."""
    return "\n".join(textwrap.wrap(label, width, break_long_words=False)) or label


def spread_apart(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float] | None:
    """Centres as near as possible to the wanted ones (least squares) so that nothing touches; None if it cannot be.

    With the room below each subtracted, this is isotonic regression: neighbours that collide are pooled.
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    below = 0.0
    pools: list[list[float]] = []  # sum of wanted starts, how many
    room: list[float] = []
    for place in order:
        room.append(below)
        pools.append([wanted[place] - sizes[place] / 2 - below, 1.0])
        below += sizes[place]
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    if below > high - low:
        return None
    starts = [min(max(total / count, low), high - below) for total, count in pools for _ in range(int(count))]
    centres = [0.0] * len(wanted)
    for start, offset, place in zip(starts, room, order, strict=True):
        centres[place] = start + offset + sizes[place] / 2
    return centres
