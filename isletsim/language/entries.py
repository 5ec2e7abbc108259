"""The named things of a model file, table by table, with the faults of each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from isletsim.language.records import GRADES, Entry, Note, Spread
from isletsim.language.toml_document import KeyPath, TomlDocument
from isletsim.units import Unit

__all__ = [
    "read_equation_of",
    "read_held",
    "read_input",
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


def read_note(document: TomlDocument, holder: Mapping[str, Any], keys: KeyPath) -> Note:
    """Symbol, meaning, source and grade of a thing, or of the whole file."""
    words = {key: document.word(holder, key, keys) for key in ("symbol", "about", "source", "assumed")}
    grade = document.one_of(holder, "grade", keys, GRADES)
    if words["source"] and words["assumed"]:
        document.fault(keys, "says both source and assumed.", "A number has a source, or is assumed.")
    return Note(**words, grade="assumed" if words["assumed"] else grade)


def _as_table(document: TomlDocument, value: Any, keys: KeyPath, allowed: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        document.fault(keys, "expected a table.", f"Write {keys[-1]} = {{ {allowed[0]} = ..., about = ... }}.")
        return None
    document.only(value, (*allowed, *_NOTE), keys)
    return value


def read_input(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
    """A level that a scenario's course sets."""
    table = _as_table(document, value, keys, ("default", "unit", "of"))
    return None if table is None else _numbered(document, name, "input", table, "default", keys)


def _numbered(
    document: TomlDocument, name: str, kind: str, table: dict[str, Any], key: str, keys: KeyPath
) -> Entry | None:
    """An entry whose value is a quantity text."""
    if key not in table:
        document.fault(keys, f"has no {key}.", f'Write {key} = "1 mg/dL".')
        return None
    of = document.word(table, "of", keys)
    found = _quantity(document, table, key, keys, of)
    if found is None:
        return None
    return Entry(name, kind, read_note(document, table, keys), keys, found[0], found[1], of=of)


def _quantity(
    document: TomlDocument, table: dict[str, Any], key: str, keys: KeyPath, of: str
) -> tuple[float, Unit] | None:
    """A value and the unit it is shown in: that of its text, or the one given under `unit`."""
    named = _unit(document, table, keys)
    if named is not None and str(table[key]).strip() in ("0", "0.0"):
        return named.offset, named
    found = document.quantity(table[key], (*keys, key), named.dimension if named is not None else None, of)
    return None if found is None else (found.value, named or found.unit)


def _unit(document: TomlDocument, table: dict[str, Any], keys: KeyPath) -> Unit | None:
    return document.unit(document.word(table, "unit", keys), (*keys, "unit")) if "unit" in table else None


def read_state(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
    """A state: its start as a quantity or an equation, its unit, its classes."""
    allowed = ("start", "unit", "classes", "scale", "of", "varies", "distribution", "stream")
    table = _as_table(document, value, keys, allowed)
    if table is None:
        return None
    classes = document.integer(table, "classes", keys, 0, 1, 500) if "classes" in table else 0
    note, of = read_note(document, table, keys), document.word(table, "of", keys)
    start, equation = table.get("start"), None
    if start is None:
        document.fault(keys, "has no start.", 'Write start = "5 mmol/L", or an equation over parameters.')
        return None
    if _is_quantity(start):
        found = _quantity(document, table, "start", keys, of)
        number, unit = found if found is not None else (None, None)
    else:
        number, unit, equation = None, _unit(document, table, keys), document.equation(start, (*keys, "start"))
        if equation is not None and "unit" not in table:
            document.fault(keys, "a computed start needs a unit.", 'Write unit = "mg/dL".')
    if unit is None or (number is None and equation is None):
        return None
    varies = _spread(document, table, "varies", keys, unit, of)
    scale = _scale(document, table, keys, unit, of)
    stream = _stream(document, table, keys)
    return Entry(name, "state", note, keys, number, unit, equation, of, classes, scale, varies, stream=stream)


def _scale(document: TomlDocument, table: dict[str, Any], keys: KeyPath, unit: Unit, of: str) -> float | None:
    """The size of a state that matters."""
    found = document.quantity(table["scale"], (*keys, "scale"), unit.dimension, of) if "scale" in table else None
    if found is not None and not found.value > 0:
        document.fault((*keys, "scale"), "a scale is positive.")
        return None
    return found.value if found else None


def _is_quantity(start: Any) -> bool:
    """Whether a start is a number, or a quantity text: a number, then perhaps a unit, but no arithmetic."""
    if isinstance(start, str):
        return len(start) <= LONGEST and _QUANTITY.fullmatch(start) is not None
    return isinstance(start, (int, float)) and not isinstance(start, bool)


def read_parameter(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
    """A number with its source, or data."""
    allowed = ("value", "unit", "varies", "uncertain", "distribution", "of", "table", "units", "stream")
    table = _as_table(document, value, keys, allowed)
    if table is None:
        return None
    note = read_note(document, table, keys)
    if not note.source and not note.assumed:
        document.fault(keys, "has neither source nor assumed.", 'Write source = "Key" or assumed = "the reason".')
    if "table" in table:
        return _data(document, name, table, keys, note)
    entry = _numbered(document, name, "parameter", table, "value", keys)
    if entry is None or entry.unit is None:
        return None
    varies = _spread(document, table, "varies", keys, entry.unit, entry.of)
    uncertain = _spread(document, table, "uncertain", keys, entry.unit, entry.of)
    return replace(entry, varies=varies, uncertain=uncertain, stream=_stream(document, table, keys))


def _stream(document: TomlDocument, table: dict[str, Any], keys: KeyPath) -> str:
    """Return the qualified name that keys the random stream of a renamed number; empty for its own name."""
    stream = document.word(table, "stream", keys)
    if stream and not _QUALIFIED.fullmatch(stream):
        message = f'"{stream}" is not the earlier name of a number; expected a file and a name.'
        document.fault((*keys, "stream"), message, 'Write stream = "file.name".')
    return stream


def _spread(
    document: TomlDocument, table: dict[str, Any], key: str, keys: KeyPath, unit: Unit, of: str
) -> Spread | None:
    if key not in table:
        return None
    ends = table[key]
    if not isinstance(ends, list) or len(ends) != 2:
        document.fault((*keys, key), "expected a 95 % range.", f'Write {key} = ["0.5 1/day", "2 1/day"].')
        return None
    low, high = (document.quantity(end, (*keys, key), unit.dimension, of) for end in ends)
    if low is None or high is None:
        return None
    distribution = document.one_of(table, "distribution", keys, ("lognormal", "normal"), "lognormal")
    if not low.value < high.value:
        document.fault((*keys, key), "the lower end is not below the upper end.")
        return None
    if distribution == "lognormal" and low.value <= 0:
        document.fault(
            (*keys, key), "a lognormal range is positive.", 'Write distribution = "normal" if it may be negative.'
        )
        return None
    return Spread(low.value, high.value, distribution)


def _data(document: TomlDocument, name: str, table: dict[str, Any], keys: KeyPath, note: Note) -> Entry | None:
    rows, units = table["table"], table.get("units")
    if not isinstance(units, list) or len(units) != 2 or not all(isinstance(each, str) for each in units):
        document.fault(keys, "data need two units.", 'Write units = ["min", "uU/mL"].')
        return None
    first, second = (document.unit(each, (*keys, "units")) for each in units)
    good = isinstance(rows, list) and 2 <= len(rows) <= 2_000
    good = good and all(isinstance(row, list) and len(row) == 2 for row in rows)
    good = good and all(_is_number(x) for row in rows for x in row)
    if not good:
        document.fault((*keys, "table"), "expected rows of two numbers.", "Write table = [[0, 11], [2, 26]].")
        return None
    if first is None or second is None:
        return None
    abscissae = tuple(first.factor * float(row[0]) for row in rows)
    ordinates = tuple(second.factor * float(row[1]) for row in rows)
    if not all(math.isfinite(each) for each in (*abscissae, *ordinates)):
        document.fault((*keys, "table"), "holds a value beyond the range of numbers.")
        return None
    if any(later <= earlier for earlier, later in pairwise(abscissae)):
        document.fault((*keys, "table"), "the first column does not increase.")
        return None
    return Entry(name, "parameter", note, keys, table=(abscissae, ordinates), table_units=(first, second), unit=second)


def _is_number(value: Any) -> bool:
    """A finite number; whole numbers of a TOML file may be larger than any float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def read_unknown(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
    """An algebraic unknown with its residual."""
    table = _as_table(document, value, keys, ("start", "residual", "of", "scale", "unit"))
    if table is None:
        return None
    entry = _numbered(document, name, "unknown", table, "start", keys)
    equation = document.equation(table.get("residual"), (*keys, "residual"))
    if entry is None or equation is None or entry.unit is None:
        return None
    scale = _scale(document, table, keys, entry.unit, entry.of)
    return Entry(name, "unknown", entry.note, keys, entry.value, entry.unit, equation, entry.of, scale=scale)


def read_held(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
    """A value that is kept, and revised by its own expression."""
    table = _as_table(document, value, keys, ("start", "revise", "at", "unit", "of"))
    if table is None:
        return None
    entry = _numbered(document, name, "held", table, "start", keys)
    equation = document.equation(table.get("revise"), (*keys, "revise"))
    if entry is None or equation is None:
        return None
    at = document.word(table, "at", keys)
    if not at:
        document.fault(
            keys, "does not say when it is revised.", 'Write at = "visit", or the name of a port of this file.'
        )
    return Entry(name, "held", entry.note, keys, entry.value, entry.unit, equation, entry.of, at=at)


def read_equation_of(kind: str) -> Any:
    """A reader of derived values, quantities or rates."""

    def reader(document: TomlDocument, name: str, value: Any, keys: KeyPath, file_note: Note) -> Entry | None:
        note, unit, scale, text, place = Note(), None, None, value, keys
        if isinstance(value, dict):
            document.only(value, ("law", "unit", "scale", *_NOTE), keys)
            note, text, place = read_note(document, value, keys), value.get("law"), (*keys, "law")
            if "unit" in value:
                unit = document.unit(document.word(value, "unit", keys), (*keys, "unit"))
            if "scale" in value:
                size = document.quantity(value["scale"], (*keys, "scale"), unit.dimension if unit is not None else None)
                scale = size.value if size is not None and size.value > 0 else None
        equation = document.equation(text, place)
        if equation is None:
            return None
        if not note.source and not note.assumed:
            note = Note(note.symbol, note.about, file_note.source, file_note.assumed, note.grade or file_note.grade)
        return Entry(name, kind, note, keys, unit=unit, equation=equation, scale=scale)

    return reader
