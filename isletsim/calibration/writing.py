"""Fitted numbers put into the files that hold them, by replacing text, so that nothing else of a file changes."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from isletsim.calibration.reading import printed
from isletsim.calibration.records import FitOutcome, Free, widened
from isletsim.data_files import find
from isletsim.errors import Fault, InputError
from isletsim.language import KeyPath, read_document
from isletsim.units import Quantity, UnitError, quantity

__all__ = ["changes", "write_into"]

BY = "by isletsim.calibration"
_VALUE = re.compile(r'(\bvalue\s*=\s*)"([^"]*)"')
_VARIES = re.compile(r'(\bvaries\s*=\s*\[)\s*"([^"]*)"\s*,\s*"([^"]*)"\s*(\])')
_ASSUMED = re.compile(r'(\bassumed\s*=\s*)"([^"]*)"')
_FITTED = re.compile(rf";? ?fitted to [^;]*{re.escape(BY)}")


def changes(outcome: FitOutcome) -> list[tuple[Path, KeyPath, str, str]]:
    """What would change: file, key, the line as it is, and as it would be."""
    rows = dict.fromkeys(row.comparison.target for row in outcome.rows if row.comparison.weight > 0)
    if all(math.isnan(error) for error in outcome.errors.values()):
        return []
    found: dict[tuple[Path, KeyPath], tuple[str, str]] = {}
    for free in outcome.group.free:
        for path, keys in _holders(free):
            document = read_document(path)
            line = document.text.split("\n")[document.lines[keys] - 1]
            old, now = found.get((path, keys), (line, line))
            found[path, keys] = (old, _line(free, outcome.values[free.key], now, rows, path))
    return [(*place, old, new) for place, (old, new) in found.items() if old != new]


def write_into(outcome: FitOutcome) -> list[Path]:
    """Put the numbers of an outcome into their files; the files that changed."""
    written = []
    for path, keys, old, new in changes(outcome):
        document = read_document(path)
        lines = document.text.split("\n")
        number = document.lines[keys] - 1
        if lines[number] != old:
            raise InputError(Fault(document.place(keys), "changed while it was fitted.", "Fit again."))
        lines[number] = new
        text = "\n".join(lines)
        tomllib.loads(text)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return list(dict.fromkeys(written))


def _holders(free: Free) -> list[tuple[Path, KeyPath]]:
    if free.patients:
        return [(find("patient", each), ("set", free.name)) for each in free.patients]
    file, _, key = free.name.partition(".")
    return [(find("model", file), ("parameters", key))]


def _line(free: Free, value: float, line: str, rows: Iterable[str], path: Path) -> str:
    """The line of a number with another value; between people it varies in proportion."""
    here = _VALUE.search(line)
    if here is None:
        raise InputError(Fault(str(path), f"the line of {free.name} holds no value in quotes."))
    if free.spread:
        middle = quantity(here.group(2))
        return _VARIES.sub(lambda old: _stretched(old, middle, value), line)
    new = printed(value, free.unit)
    ratio = value / free.value
    text = line[: here.start()] + f'{here.group(1)}"{new}"' + line[here.end() :]
    if abs(ratio - 1) > 1e-9:
        text = _VARIES.sub(lambda ends: _moved(ends, ratio), text)
    return _ASSUMED.sub(lambda told: f'{told.group(1)}"{_told(told.group(2), rows)}"', text)


def _moved(ends: re.Match[str], ratio: float) -> str:
    both = []
    for text in ends.group(2, 3):
        try:
            found = quantity(text)
        except UnitError:
            return ends.group(0)
        both.append(f'"{printed(found.value * ratio, found.unit, 3)}"')
    return f"{ends.group(1)}{', '.join(both)}{ends.group(4)}"


def _stretched(ends: re.Match[str], middle: Quantity, factor: float) -> str:
    low, high = (quantity(text).value / middle.value for text in ends.group(2, 3))
    both = ", ".join(f'"{printed(middle.value * end, middle.unit, 3)}"' for end in widened(low, high, factor))
    return f"{ends.group(1)}{both}{ends.group(4)}"


def _told(reason: str, rows: Iterable[str]) -> str:
    """The reason of an assumed number, with what it was fitted to."""
    kept = _FITTED.sub("", reason).strip(" ;")
    return f"{kept}; fitted to {', '.join(rows)} {BY}".lstrip("; ")
