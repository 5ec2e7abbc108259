"""A name, a paper's symbol or a clinical name that a person typed, and the one thing in a stack that it means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from pathlib import PurePath
from typing import Any

from isletsim.composition.compose import Composition, Symbol
from isletsim.data_files import renamed
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.units import PURE, Quantity, UnitError, quantity

__all__ = [
    "SETTABLE",
    "STARTABLE",
    "dotted",
    "file_word",
    "find_symbol",
    "flat_names",
    "read_value",
    "values_by_symbol",
]

SETTABLE = ("parameter", "input", "held")
STARTABLE = ("state", "unknown")


def find_symbol(composition: Composition, text: str, kinds: Iterable[str] = (), place: str = "") -> Symbol:
    """What a text means: a clinical name, a qualified name, a bare name, or the paper's symbol.

    Parameters
    ----------
    kinds : restricts what is meant, for example to states and parameters; empty allows everything.
    place : what to say in front of a fault.

    Raises
    ------
    InputError : nothing or more than one thing is meant.
    """
    if not isinstance(text, str):
        raise InputError(Fault(place or "name", f"expected a name, found {text!r}.", 'Write a text such as "hba1c".'))
    allowed = tuple(kinds)
    symbols = composition.symbols
    if not allowed and text in composition.reports:
        return composition.reports[text]
    if text in symbols and (not allowed or symbols[text].kind in allowed):
        return symbols[text]
    open_to = [symbol for symbol in symbols.values() if not allowed or symbol.kind in allowed]
    found = [symbol for symbol in open_to if symbol.name.partition(".")[2] == text]
    found = found or [symbol for symbol in open_to if symbol.symbol and symbol.symbol == text]
    if len(found) == 1:
        return found[0]
    if found:
        cure = f"Say which: {', '.join(symbol.name for symbol in found[:6])}."
        raise InputError(Fault(place or text, f'"{text}" means several things.', cure))
    known = [symbol.name for symbol in open_to] + [symbol.name.partition(".")[2] for symbol in open_to]
    known += [symbol.symbol for symbol in open_to if symbol.symbol] + ([] if allowed else list(composition.reports))
    what = f"no {' or '.join(allowed)}" if allowed else "nothing"
    cure = _present_name(composition, text) or did_you_mean(text, known)
    raise InputError(Fault(place or text, f'there is {what} called "{text}".', cure))


def _present_name(composition: Composition, text: str) -> str:
    """Return the advice for a qualified or bare name of an earlier version; empty for other names."""
    if "." in text:
        return renamed(text)
    found = [renamed(f"{file}.{text}") for file in composition.files]
    return next((each for each in found if each), "")


def file_word(wanted: str) -> str:
    """What a file that was asked for by name or by path is called in names."""
    is_path = wanted.endswith(".toml") or "/" in wanted or "\\" in wanted
    return PurePath(wanted.replace("\\", "/")).stem if is_path else wanted


def flat_names(symbol: Symbol) -> list[str]:
    """The names a symbol has in the flat model: its own, or those of its classes."""
    return [f"{symbol.name}[{index}]" for index in range(1, symbol.classes + 1)] or [symbol.name]


def dotted(table: Mapping[str, Any], leaf: Iterable[str] = (), before: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a table of settings by their whole names: `a.b = 1` in TOML is a table b within a table a.

    Parameters
    ----------
    leaf : keys of a table that is itself a value.
    """
    own = set(leaf)
    for key, value in table.items():
        name = f"{before}.{key}" if before else key
        if isinstance(value, Mapping) and value and not own & value.keys():
            yield from dotted(value, own, name)
        else:
            yield name, value


def read_value(value: Any, symbol: Symbol, place: str) -> float:
    """A value for a symbol in base units, from a quantity text, a number or a `Quantity`."""
    if isinstance(value, Quantity):
        return value.value
    if not isinstance(value, bool) and isinstance(value, Real):
        value = float(value)
    try:
        if symbol.unit.dimension != PURE and isinstance(value, float):
            message = f"{value!r} has no unit; {symbol.name} is in {symbol.unit.text}."
            raise UnitError(message, f'Write "{value} {symbol.unit.text}".')
        return quantity(value, symbol.unit.dimension, symbol.of).value
    except UnitError as reason:
        raise InputError(Fault(place, reason.message, reason.cure)) from None


def values_by_symbol(
    composition: Composition, given: Mapping[str, Any], kinds: Iterable[str], place: str
) -> dict[str, float]:
    """Base values by qualified name, from a mapping that people wrote; all faults together."""
    allowed = tuple(kinds)
    values: dict[str, float] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        try:
            symbol = find_symbol(composition, name, allowed, f"{place} {name}")
            base = read_value(value, symbol, f"{place} {name}")
            values.update(dict.fromkeys(flat_names(symbol), base))
        except InputError as reason:
            faults.extend(reason.faults)
    if faults:
        raise InputError(faults)
    return values
