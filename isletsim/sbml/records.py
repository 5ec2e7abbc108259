"""Records of the content of an SBML file, without libSBML objects.

Inside trees an identifier is the name `flat_name` gives it, the time is `time`, a local parameter `k` of reaction `R`
is `R.k`, and `rateOf(x)` is the name of the derivative of x. Function definitions are gone: calls are written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from isletsim.flat import AMOUNT, TIME
from isletsim.language import Tree

__all__ = [
    "Compartment",
    "Constraint",
    "Document",
    "Parameter",
    "Reaction",
    "Rule",
    "SbmlEvent",
    "Species",
    "SpeciesReference",
    "UnitPart",
    "flat_name",
    "rate_name",
]

UnitPart = tuple[str, float, int, float]  # kind, exponent, scale, multiplier: (multiplier * 10^scale * kind)^exponent


def flat_name(identifier: str) -> str:
    """Return the name of an identifier in the flat model, in which `time` and `amount` are reserved."""
    return f"{identifier}'" if identifier in (TIME, AMOUNT) else identifier


def rate_name(name: str) -> str:
    """Return the name of the time derivative of a quantity."""
    return f"rateOf({name})"


@dataclass(frozen=True)
class Compartment:
    """Compartment with its size."""

    id: str
    size: float | None
    dimensions: float
    constant: bool
    unit: tuple[UnitPart, ...] = ()


@dataclass(frozen=True)
class Species:
    """Species. Its name in mathematics is an amount if `only_amount`, else a concentration."""

    id: str
    compartment: str
    amount: float | None
    concentration: float | None
    only_amount: bool
    boundary: bool
    constant: bool
    factor: str = ""  # the parameter that converts extents of reactions to its amount
    unit: tuple[UnitPart, ...] = ()  # of the amount


@dataclass(frozen=True)
class Parameter:
    """Parameter: global, local to a reaction (`R.k`), or the stoichiometry of a species reference."""

    id: str
    value: float | None
    constant: bool
    unit: tuple[UnitPart, ...] = ()


@dataclass(frozen=True)
class SpeciesReference:
    """Species reference of a reaction, with sign and stoichiometry."""

    species: str
    sign: int
    stoichiometry: Tree


@dataclass(frozen=True)
class Reaction:
    """Reaction; `law` is the rate of its extent, None without mathematics."""

    id: str
    references: tuple[SpeciesReference, ...]
    law: Tree | None
    fast: bool = False
    reversible: bool = False


@dataclass(frozen=True)
class Rule:
    """`kind` is assignment, rate, algebraic (without a variable; the tree is what must be zero) or initial."""

    kind: str
    variable: str
    tree: Tree
    place: str


@dataclass(frozen=True)
class SbmlEvent:
    """Event, executed when its trigger becomes true."""

    id: str
    trigger: Tree
    initially: bool
    persistent: bool
    at_trigger: bool  # assignments are evaluated when the trigger becomes true, not when they are done
    delay: Tree | None
    priority: Tree | None
    assignments: tuple[tuple[str, Tree], ...]


@dataclass(frozen=True)
class Constraint:
    """Constraint that should hold at all times."""

    tree: Tree
    message: str


@dataclass(frozen=True)
class Document:
    """Content of a model.

    Attributes
    ----------
    time_unit : parts of the unit of time; empty where the file does not say.
    factor : the parameter that converts extents for species that have none of their own.
    titles : the names people gave to identifiers.
    delays : what is delayed, and by how much; number k is `delayed(k)` in trees.
    warnings : what was tolerated in the file, and what was assumed.
    """

    id: str
    level: int
    version: int
    compartments: tuple[Compartment, ...]
    species: tuple[Species, ...]
    parameters: tuple[Parameter, ...]
    reactions: tuple[Reaction, ...]
    rules: tuple[Rule, ...]
    events: tuple[SbmlEvent, ...]
    constraints: tuple[Constraint, ...] = ()
    factor: str = ""
    time_unit: tuple[UnitPart, ...] = ()
    extent_unit: tuple[UnitPart, ...] = ()
    title: str = ""
    titles: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    delays: tuple[tuple[Tree, Tree], ...] = ()
