"""Tables of doses and measurements: the columns of NONMEM, or a diary with one column for each kind of dose."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.units import UnitError, on_grid, quantity

__all__ = ["Measurement", "SubjectRecord", "read_dosing_table"]

SUBJECT, TIME, EVENT, COMPARTMENT = "ID", "TIME", "EVID", "CMT"
RATE, ADDITIONAL, INTERVAL, STEADY, MISSING = "RATE", "ADDL", "II", "SS", "MDV"
COUNTS = (SUBJECT, EVENT, COMPARTMENT, ADDITIONAL, STEADY, MISSING)  # columns that hold no quantity
_HEADER = re.compile(r"\s*(?P<name>[^\[(]+?)\s*(?:\[(?P<square>[^\]]*)\]|\((?P<round>[^)]*)\))?\s*")
BLANK = ("", ".", "NA", "NaN", "nan")


@dataclass(frozen=True)
class Measurement:
    """A measured value: the column it is from, its time in days, and its quantity as text with a unit."""

    name: str
    time: float
    value: str


@dataclass(frozen=True)
class SubjectRecord:
    """One person's rows: `doses` as `Model.simulate` takes them, and what was measured, both in order of time."""

    name: str
    doses: tuple[Mapping[str, Any], ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class _Columns:
    """Where each column is, and its unit; `doses` and `measured` are names of columns with what they mean."""

    places: Mapping[str, int]
    units: Mapping[str, str]
    doses: Mapping[str, str | Mapping[str, str]]
    measured: tuple[str, ...]


def read_dosing_table(
    path: str | Path,
    doses: Mapping[str, str | Mapping[str, str]],
    measured: tuple[str, ...] | list[str] = (),
    units: Mapping[str, str] | None = None,
) -> dict[str, SubjectRecord]:
    """Read a CSV table of doses and measurements.

    Parameters
    ----------
    path : a CSV file with a header. TIME is required; ID, EVID, CMT, RATE, ADDL, II, SS and MDV mean what NONMEM says.
    doses : the columns that hold amounts, each with the port that it goes into: ``{"AMT": "depot.bolus"}``, or a
        mapping from CMT to a port: ``{"AMT": {"1": "depot.bolus"}}``. A diary has several such columns.
    measured : the columns that hold measured values.
    units : units by column, for headers that do not say theirs; ``TIME [hour]`` and ``AMT (mg)`` do.

    Returns
    -------
    The record of each subject by its ID ("1" where the table has no ID), in the order of the table.

    Raises
    ------
    InputError : the file cannot be read, a column is missing, its unit is not said, or a cell is not a number.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise InputError(Fault(path.name, f"cannot be read as a CSV table: {reason}.")) from None
    if not rows:
        raise InputError(
            Fault(path.name, "has no rows.", "Its first line names the columns: ID, TIME [hour], AMT [mg].")
        )
    columns = _columns(path.name, rows[0], doses, tuple(measured), units or {})
    found: dict[str, tuple[list[Mapping[str, Any]], list[Measurement]]] = {}
    faults: list[Fault] = []
    for number, row in enumerate(rows[1:], start=2):
        place = f"{path.name}, row {number}"
        try:
            given, seen = _row(place, row, columns)
        except InputError as reason:
            faults.extend(reason.faults)
            continue
        kept = found.setdefault(_cell(row, columns, SUBJECT) or "1", ([], []))
        kept[0].extend(given)
        kept[1].extend(seen)
    if faults:
        raise InputError(faults)
    return {
        name: SubjectRecord(
            name,
            tuple(sorted(given, key=lambda dose: quantity(dose["at"]).value)),
            tuple(sorted(seen, key=lambda each: each.time)),
        )
        for name, (given, seen) in found.items()
    }


def _columns(
    file: str,
    header: list[str],
    doses: Mapping[str, str | Mapping[str, str]],
    measured: tuple[str, ...],
    units: Mapping[str, str],
) -> _Columns:
    """Match the header with what was asked for; every column that holds a quantity has a unit."""
    places: dict[str, int] = {}
    said: dict[str, str] = {}
    for index, text in enumerate(header):
        match = _HEADER.fullmatch(text)
        name = match["name"] if match else text.strip()
        name = name.upper() if name.upper() in (*COUNTS, TIME, RATE, INTERVAL) else name
        if name in places:
            raise InputError(Fault(file, f'has two columns "{name}".'))
        places[name] = index
        unit = (match["square"] or match["round"]) if match else None
        if unit is not None:
            said[name] = unit
    said.update(units)
    faults = []
    for name in (TIME, *doses, *measured):
        if name not in places:
            cure = did_you_mean(name, places) or f"Columns: {', '.join(places)}."
            faults.append(Fault(file, f'has no column "{name}".', cure))
    for name in (TIME, *doses, *measured, RATE, INTERVAL):
        if name in places and name not in said:
            cure = f'Write "{name} [unit]" in the header, or give units={{"{name}": ...}}.'
            faults.append(Fault(f'{file}, column "{name}"', "does not say its unit.", cure))
    if faults:
        raise InputError(faults)
    return _Columns(places, said, doses, measured)


def _cell(row: list[str], columns: _Columns, name: str) -> str:
    """The text of a cell; "" where the column or the value is missing."""
    place = columns.places.get(name, -1)
    text = row[place].strip() if 0 <= place < len(row) else ""
    return "" if text in BLANK else text


def _number(place: str, row: list[str], columns: _Columns, name: str, default: float = 0.0) -> float:
    text = _cell(row, columns, name)
    try:
        return float(text) if text else default
    except ValueError:
        raise InputError(Fault(f'{place}, column "{name}"', f'"{text}" is not a number.')) from None


def _quantity(place: str, row: list[str], columns: _Columns, name: str) -> str:
    """A cell with the unit of its column, checked."""
    text = f"{_number(place, row, columns, name)!r} {columns.units[name]}".strip()
    try:
        quantity(text)
    except UnitError as reason:
        raise InputError(Fault(f'{place}, column "{name}"', reason.message, reason.cure)) from None
    return text


def _row(place: str, row: list[str], columns: _Columns) -> tuple[list[Mapping[str, Any]], list[Measurement]]:
    """The doses and the measurements of one row."""
    event = _number(place, row, columns, EVENT, default=-1.0)
    if event not in (-1, 0, 1, 2):
        message = f"EVID {event:g} is not supported: it resets the system."
        raise InputError(Fault(place, message, "Give each stretch as a subject of its own; use EVID 0 or 1."))
    if not _cell(row, columns, TIME):
        raise InputError(Fault(place, "has no TIME."))
    time = _quantity(place, row, columns, TIME)
    given: list[Mapping[str, Any]] = []
    for name, target in columns.doses.items():
        if event in (0, 2) or _number(place, row, columns, name) == 0.0:
            continue
        given.append(_dose(place, row, columns, name, target, time))
    missing = _number(place, row, columns, MISSING) != 0.0 or event == 1
    seen = [
        Measurement(name, on_grid(quantity(time).value), _quantity(place, row, columns, name))
        for name in columns.measured
        if not missing and _cell(row, columns, name)
    ]
    return given, seen


def _dose(
    place: str, row: list[str], columns: _Columns, name: str, target: str | Mapping[str, str], time: str
) -> dict[str, Any]:
    """One dose as `Model.simulate` takes it."""
    if isinstance(target, str):
        port = target
    else:
        compartment = _cell(row, columns, COMPARTMENT) or next(iter(target))
        if compartment not in target:
            cure = f"Known: {', '.join(target)}."
            raise InputError(Fault(place, f"no port is given for CMT {compartment}.", cure))
        port = target[compartment]
    dose: dict[str, Any] = {"into": port, "amount": _quantity(place, row, columns, name), "at": time}
    rate = _number(place, row, columns, RATE)
    if rate < 0:
        message = f"RATE {rate:g} is not supported: the model would say how fast it is given."
        raise InputError(Fault(place, message, "Give a positive rate."))
    if rate > 0:
        dose["rate"] = _quantity(place, row, columns, RATE)
    more, interval = _number(place, row, columns, ADDITIONAL), _number(place, row, columns, INTERVAL)
    steady = _number(place, row, columns, STEADY)
    if (more or steady) and not interval > 0:
        raise InputError(Fault(place, "ADDL and SS need an interval.", "Give II above 0."))
    if interval > 0 and (more or steady):
        dose |= {"every": _quantity(place, row, columns, INTERVAL), "times": int(more) + 1}
    if steady:
        if steady != 1:
            raise InputError(Fault(place, f"SS {steady:g} is not supported.", "Use SS 0 or 1."))
        dose["steady_state"] = True
    return dose
