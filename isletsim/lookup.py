"""A name, a paper's symbol or a clinical name that a person typed, and the one thing in a stack that it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isletsim.faults import Fault, InputError, did_you_mean
from isletsim.layers import Composition, Symbol
from isletsim.units import PURE, Quantity, UnitError, quantity

__all__ = ["SETTABLE", "find_symbol", "read_value", "values_by_symbol"]

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
    raise InputError(Fault(place or text, f'there is {what} called "{text}".', did_you_mean(text, known)))


def read_value(value: Any, symbol: Symbol, place: str) -> float:
    """A value for a symbol in base units, from a quantity text, a number or a `Quantity`."""
    if isinstance(value, Quantity):
        return value.value
    try:
        if symbol.unit.dimension != PURE and isinstance(value, (int, float)) and not isinstance(value, bool):
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
            flat_names = [symbol.name]
            if symbol.classes:
                flat_names = [f"{symbol.name}[{index}]" for index in range(1, symbol.classes + 1)]
            values.update(dict.fromkeys(flat_names, base))
        except InputError as reason:
            faults.extend(reason.faults)
    if faults:
        raise InputError(faults)
    return values
