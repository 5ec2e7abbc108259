"""The named things of a model file, table by table, with the faults of each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from isletsim.language.records import GRADES, Entry, Note, Spread
from isletsim.language.toml_document import Keys, Page
from isletsim.units import Unit

__all__ = [
    "read_held",
    "read_input",
    "read_law_of",
    "read_note",
    "read_parameter",
    "read_state",
    "read_unknown",
]

LARGEST = 1e300  # a number of a data table
LONGEST = 200  # characters of a quantity; a longer start is an equation
_QUANTITY = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?(?![\w.])\s*([A-Za-zµμ%/].*|1\s*/.*|)")
_QUALIFIED = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NOTE = ("symbol", "about", "source", "assumed", "grade", "note")


def read_note(page: Page, holder: Mapping[str, Any], keys: Keys) -> Note:
    """Symbol, meaning, source and grade of a thing, or of the whole file."""
    words = {key: page.word(holder, key, keys) for key in ("symbol", "about", "source", "assumed")}
    grade = page.one_of(holder, "grade", keys, GRADES)
    if words["source"] and words["assumed"]:
        page.fault(keys, "says both source and assumed.", "A number has a source, or is assumed.")
    return Note(**words, grade="assumed" if words["assumed"] else grade)


def _as_table(page: Page, value: Any, keys: Keys, allowed: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        page.fault(keys, "expected a table.", f"Write {keys[-1]} = {{ {allowed[0]} = ..., about = ... }}.")
        return None
    page.only(value, (*allowed, *_NOTE), keys)
    return value


def read_input(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    """A level that a scenario's course sets."""
    table = _as_table(page, value, keys, ("default", "unit", "of"))
    return None if table is None else _numbered(page, name, "input", table, "default", keys)


def _numbered(page: Page, name: str, kind: str, table: dict[str, Any], key: str, keys: Keys) -> Entry | None:
    """An entry whose value is a quantity text."""
    if key not in table:
        page.fault(keys, f"has no {key}.", f'Write {key} = "1 mg/dL".')
        return None
    of = page.word(table, "of", keys)
    found = _quantity(page, table, key, keys, of)
    if found is None:
        return None
    return Entry(name, kind, read_note(page, table, keys), keys, found[0], found[1], of=of)


def _quantity(page: Page, table: dict[str, Any], key: str, keys: Keys, of: str) -> tuple[float, Unit] | None:
    """A value and the unit it is shown in: that of its text, or the one given under `unit`."""
    named = _unit(page, table, keys)
    if named is not None and str(table[key]).strip() in ("0", "0.0"):
        return named.offset, named
    found = page.quantity(table[key], (*keys, key), named.dimension if named is not None else None, of)
    return None if found is None else (found.value, named or found.unit)


def _unit(page: Page, table: dict[str, Any], keys: Keys) -> Unit | None:
    return page.unit(page.word(table, "unit", keys), (*keys, "unit")) if "unit" in table else None


def read_state(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    """A state: its start as a quantity or an equation, its unit, its classes."""
    allowed = ("start", "unit", "classes", "scale", "of", "varies", "distribution", "stream")
    table = _as_table(page, value, keys, allowed)
    if table is None:
        return None
    classes = page.integer(table, "classes", keys, 0, 1, 500) if "classes" in table else 0
    note, of = read_note(page, table, keys), page.word(table, "of", keys)
    start, law = table.get("start"), None
    if start is None:
        page.fault(keys, "has no start.", 'Write start = "5 mmol/L", or an equation over parameters.')
        return None
    if _is_quantity(start):
        found = _quantity(page, table, "start", keys, of)
        number, unit = found if found is not None else (None, None)
    else:
        number, unit, law = None, _unit(page, table, keys), page.law(start, (*keys, "start"))
        if law is not None and "unit" not in table:
            page.fault(keys, "a computed start needs a unit.", 'Write unit = "mg/dL".')
    if unit is None or (number is None and law is None):
        return None
    varies = _spread(page, table, "varies", keys, unit, of)
    scale = _scale(page, table, keys, unit, of)
    stream = _stream(page, table, keys)
    return Entry(name, "state", note, keys, number, unit, law, of, classes, scale, varies, stream=stream)


def _scale(page: Page, table: dict[str, Any], keys: Keys, unit: Unit, of: str) -> float | None:
    """The size of a state that matters."""
    found = page.quantity(table["scale"], (*keys, "scale"), unit.dimension, of) if "scale" in table else None
    if found is not None and not found.value > 0:
        page.fault((*keys, "scale"), "a scale is positive.")
        return None
    return found.value if found else None


def _is_quantity(start: Any) -> bool:
    """Whether a start is a number, or a quantity text: a number, then perhaps a unit, but no arithmetic."""
    if isinstance(start, str):
        return len(start) <= LONGEST and _QUANTITY.fullmatch(start) is not None
    return isinstance(start, (int, float)) and not isinstance(start, bool)


def read_parameter(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    """A number with its source, or data."""
    allowed = ("value", "unit", "varies", "uncertain", "distribution", "of", "table", "units", "stream")
    table = _as_table(page, value, keys, allowed)
    if table is None:
        return None
    note = read_note(page, table, keys)
    if not note.source and not note.assumed:
        page.fault(keys, "has neither source nor assumed.", 'Write source = "Key" or assumed = "the reason".')
    if "table" in table:
        return _data(page, name, table, keys, note)
    entry = _numbered(page, name, "parameter", table, "value", keys)
    if entry is None or entry.unit is None:
        return None
    varies = _spread(page, table, "varies", keys, entry.unit, entry.of)
    uncertain = _spread(page, table, "uncertain", keys, entry.unit, entry.of)
    return replace(entry, varies=varies, uncertain=uncertain, stream=_stream(page, table, keys))


def _stream(page: Page, table: dict[str, Any], keys: Keys) -> str:
    """Return the qualified name that keys the random stream of a renamed number; empty for its own name."""
    stream = page.word(table, "stream", keys)
    if stream and not _QUALIFIED.fullmatch(stream):
        message = f'"{stream}" is not the earlier name of a number; expected a file and a name.'
        page.fault((*keys, "stream"), message, 'Write stream = "file.name".')
    return stream


def _spread(page: Page, table: dict[str, Any], key: str, keys: Keys, unit: Unit, of: str) -> Spread | None:
    if key not in table:
        return None
    ends = table[key]
    if not isinstance(ends, list) or len(ends) != 2:
        page.fault((*keys, key), "expected a 95 % range.", f'Write {key} = ["0.5 1/day", "2 1/day"].')
        return None
    low, high = (page.quantity(end, (*keys, key), unit.dimension, of) for end in ends)
    if low is None or high is None:
        return None
    distribution = page.one_of(table, "distribution", keys, ("lognormal", "normal"), "lognormal")
    if not low.value < high.value:
        page.fault((*keys, key), "the lower end is not below the upper end.")
        return None
    if distribution == "lognormal" and low.value <= 0:
        page.fault(
            (*keys, key), "a lognormal range is positive.", 'Write distribution = "normal" if it may be negative.'
        )
        return None
    return Spread(low.value, high.value, distribution)


def _data(page: Page, name: str, table: dict[str, Any], keys: Keys, note: Note) -> Entry | None:
    rows, units = table["table"], table.get("units")
    if not isinstance(units, list) or len(units) != 2 or not all(isinstance(each, str) for each in units):
        page.fault(keys, "data need two units.", 'Write units = ["min", "uU/mL"].')
        return None
    first, second = (page.unit(each, (*keys, "units")) for each in units)
    good = isinstance(rows, list) and 2 <= len(rows) <= 2_000
    good = good and all(isinstance(row, list) and len(row) == 2 for row in rows)
    good = good and all(_is_number(x) for row in rows for x in row)
    if not good:
        page.fault((*keys, "table"), "expected rows of two numbers.", "Write table = [[0, 11], [2, 26]].")
        return None
    if first is None or second is None:
        return None
    abscissae = tuple(first.factor * float(row[0]) for row in rows)
    ordinates = tuple(second.factor * float(row[1]) for row in rows)
    if not all(math.isfinite(each) for each in (*abscissae, *ordinates)):
        page.fault((*keys, "table"), "holds a value beyond the range of numbers.")
        return None
    if any(later <= earlier for earlier, later in pairwise(abscissae)):
        page.fault((*keys, "table"), "the first column does not increase.")
        return None
    return Entry(name, "parameter", note, keys, table=(abscissae, ordinates), table_units=(first, second), unit=second)


def _is_number(value: Any) -> bool:
    """A finite number; whole numbers of a TOML file may be larger than any float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def read_unknown(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    """An algebraic unknown with its residual."""
    table = _as_table(page, value, keys, ("start", "residual", "of", "scale", "unit"))
    if table is None:
        return None
    entry = _numbered(page, name, "unknown", table, "start", keys)
    law = page.law(table.get("residual"), (*keys, "residual"))
    if entry is None or law is None or entry.unit is None:
        return None
    scale = _scale(page, table, keys, entry.unit, entry.of)
    return Entry(name, "unknown", entry.note, keys, entry.value, entry.unit, law, entry.of, scale=scale)


def read_held(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    """A value that is kept, and revised by its own expression."""
    table = _as_table(page, value, keys, ("start", "revise", "at", "unit", "of"))
    if table is None:
        return None
    entry = _numbered(page, name, "held", table, "start", keys)
    law = page.law(table.get("revise"), (*keys, "revise"))
    if entry is None or law is None:
        return None
    at = page.word(table, "at", keys)
    if not at:
        page.fault(keys, "does not say when it is revised.", 'Write at = "visit", or the name of a port of this file.')
    return Entry(name, "held", entry.note, keys, entry.value, entry.unit, law, entry.of, at=at)


def read_law_of(kind: str) -> Any:
    """A reader of derived values, quantities or rates."""

    def reader(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
        note, unit, scale, text, place = Note(), None, None, value, keys
        if isinstance(value, dict):
            page.only(value, ("law", "unit", "scale", *_NOTE), keys)
            note, text, place = read_note(page, value, keys), value.get("law"), (*keys, "law")
            if "unit" in value:
                unit = page.unit(page.word(value, "unit", keys), (*keys, "unit"))
            if "scale" in value:
                size = page.quantity(value["scale"], (*keys, "scale"), unit.dimension if unit is not None else None)
                scale = size.value if size is not None and size.value > 0 else None
        law = page.law(text, place)
        if law is None:
            return None
        if not note.source and not note.assumed:
            note = Note(note.symbol, note.about, file_note.source, file_note.assumed, note.grade or file_note.grade)
        return Entry(name, kind, note, keys, unit=unit, law=law, scale=scale)

    return reader
