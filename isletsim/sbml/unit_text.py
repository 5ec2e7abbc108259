"""Units of SBML as text, and as factors to the coherent units of isletsim."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isletsim.errors import Fault, InputError
from isletsim.sbml.records import Document, UnitPart
from isletsim.units import PURE, Dimension, Quantity, UnitError, describe, quantity, times

__all__ = ["factor_and_dimension", "time_of", "unit_text", "value_of"]

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", -2: "c", -1: "d", 0: "", 3: "k", 6: "M", 9: "G"}
_SYMBOLS = {"mole": "mol", "gram": "g", "metre": "m", "litre": "L", "second": "s", "joule": "J", "pascal": "Pa"}
_SYMBOLS |= {"kelvin": "K", "watt": "W", "newton": "N", "volt": "V", "hertz": "Hz", "becquerel": "Bq"}
_CLOCK = {60.0: "min", 3600.0: "h", 86400.0: "day", 604800.0: "week"}
# Kinds in the coherent units of `isletsim.units.BASE`: factor and dimension.
_KINDS: dict[str, tuple[float, Dimension]] = {
    "second": (1.0 / 86400.0, (("[time]", 1.0),)),
    "metre": (10.0, (("[length]", 1.0),)),
    "litre": (1.0, (("[length]", 3.0),)),
    "gram": (1e3, (("[mass]", 1.0),)),
    "kilogram": (1e6, (("[mass]", 1.0),)),
    "mole": (1e12, (("[substance]", 1.0),)),
    "joule": (1.0 / 4184.0, (("[energy]", 1.0),)),
    "pascal": (1.0 / 133.322387415, (("[pressure]", 1.0),)),
    "hertz": (86400.0, (("[time]", -1.0),)),
    "becquerel": (86400.0, (("[time]", -1.0),)),
    "item": (1.0, PURE),
    "dimensionless": (1.0, PURE),
    "radian": (1.0, PURE),
    "avogadro": (6.02214179e23, PURE),
}


def unit_text(parts: Sequence[UnitPart]) -> str:
    """Return a unit as text (``mmol/L``); empty for pure numbers and missing units."""
    above: list[str] = []
    below: list[str] = []
    for kind, exponent, scale, multiplier in parts:
        if kind in ("dimensionless", "radian") and scale == 0 and multiplier == 1:
            continue
        word = _word(kind, scale, multiplier)
        size = abs(exponent)
        powered = word if size == 1 else f"{word}**{size:g}"
        (above if exponent > 0 else below).append(powered)
    return ("*".join(above) or ("1" if below else "")) + "".join(f"/{each}" for each in below)


def _word(kind: str, scale: int, multiplier: float) -> str:
    if kind == "second" and multiplier * 10.0**scale in _CLOCK:
        return _CLOCK[multiplier * 10.0**scale]
    symbol = _SYMBOLS.get(kind, kind)
    if multiplier == 1 and scale in _PREFIXES and (scale == 0 or kind in _SYMBOLS):
        return _PREFIXES[scale] + symbol
    return f"({multiplier * 10.0**scale:g} {symbol})"


def factor_and_dimension(parts: Sequence[UnitPart]) -> tuple[float, Dimension] | None:
    """Return the factor to coherent units and the dimension; None for a kind without one."""
    factor, dimension = 1.0, PURE
    for kind, exponent, scale, multiplier in parts:
        if kind not in _KINDS:
            return None
        size, found = _KINDS[kind]
        try:
            factor *= (multiplier * 10.0**scale * size) ** exponent
        except (OverflowError, ZeroDivisionError):
            return None
        dimension = times(dimension, found, exponent)
    return (factor, dimension) if math.isfinite(factor) and factor > 0 else None


def value_of(given: float | str, parts: Sequence[UnitPart], place: str) -> float:
    """Return a number in a unit of the file, from a number or a quantity such as ``"5 mmol/L"``.

    Raises
    ------
    InputError : unreadable, or of another dimension.
    """
    if not isinstance(given, str):
        return float(given)
    try:
        read: Quantity = quantity(given)
    except UnitError as reason:
        raise InputError(Fault(place, str(reason))) from None
    if not read.unit.text:
        return read.value
    known = factor_and_dimension(parts) if parts else None
    if known is None:
        raise InputError(Fault(place, f'"{given}" has a unit, and the file gives none here.', "Give a bare number."))
    if known[1] != read.unit.dimension:
        found, expected = describe(read.unit.dimension), describe(known[1])
        raise InputError(Fault(place, f'"{given}" is {found}; expected {expected} ({unit_text(parts) or "1"}).'))
    return read.value / known[0]


def time_of(given: float | str, document: Document, place: str) -> float:
    """Return a time in the file's unit of time."""
    return value_of(given, document.time_unit, place)
