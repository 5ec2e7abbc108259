"""Exchange model: quantities with units and sources, rules and events, as writers of SBML and Antimony need them.

Names are valid identifiers, numbers are in coherent units, and only common operators remain
(`isletsim.sbml.dimension_inference`).
"""

from __future__ import annotations

from dataclasses import dataclass

from isletsim.language import Tree
from isletsim.units import Dimension

__all__ = ["CLOCK", "Exchange", "ExchangeVariable", "TimedEvent", "number_of"]

CLOCK: Dimension = (("[time]", 1.0),)


@dataclass(frozen=True)
class ExchangeVariable:
    """Variable of an exchange model: identifier, display name, initial value and rule.

    Attributes
    ----------
    kind : state, parameter, constant (computed once), expression, unknown.
    value : at the start, in coherent units; None where `initial` or a rule gives it.
    initial : mathematics of the value at the start.
    rule : its rate of change (state), its value (expression), or what must be zero (unknown).
    fixed : whether it never changes.
    sources : links to where its number or law comes from.
    """

    id: str
    name: str
    kind: str
    dimension: Dimension
    value: float | None = None
    initial: Tree | None = None
    rule: Tree | None = None
    fixed: bool = False
    about: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimedEvent:
    """Timed event; of simultaneous events the one of higher priority comes first.

    With `every` it is done again and again, so many days apart; `clock` is the parameter that holds the next time.
    """

    id: str
    name: str
    time: float
    priority: int
    assignments: tuple[tuple[str, Tree], ...]
    every: float = 0.0
    clock: str = ""


@dataclass(frozen=True)
class Exchange:
    """Complete model. Every tree uses identifiers and `time` only."""

    id: str
    title: str
    notes: tuple[str, ...]
    variables: tuple[ExchangeVariable, ...]
    events: tuple[TimedEvent, ...]
    sources: tuple[str, ...] = ()


def number_of(value: float) -> str:
    """Return a number as text that reads back exactly."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text
