"""A model on its way out: quantities with units and sources, and the rules and events that move them.

It is what writers of SBML and of Antimony share: names are already identifiers, numbers are in coherent units, and
only operators are left that every tool knows (`isletsim.sbml.typed`).
"""

from __future__ import annotations

from dataclasses import dataclass

from isletsim.expressions import Tree
from isletsim.units import Dimension

__all__ = ["CLOCK", "Exchange", "Happens", "Measure", "number_of"]

CLOCK: Dimension = (("[time]", 1.0),)


@dataclass(frozen=True)
class Measure:
    """A quantity: an identifier, the name people know, a value at the start, and what becomes of it.

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
class Happens:
    """What is done at one time; of several at one time the one of higher priority comes first.

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
    """A whole model. Every tree is over identifiers and `time`."""

    id: str
    title: str
    notes: tuple[str, ...]
    measures: tuple[Measure, ...]
    happens: tuple[Happens, ...]
    sources: tuple[str, ...] = ()


def number_of(value: float) -> str:
    """A number as text that reads back as the same number."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text
