"""Flat model of an SBML file, with the data that its events and its results need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isletsim.flat import FlatModel
from isletsim.language import Tree
from isletsim.sbml.records import Document

__all__ = ["Flattened", "Pool"]


@dataclass(frozen=True)
class Pool:
    """Representation of a species: the names of its value and of its compartment.

    `is_amount` says that the value is an amount; `amount` names the state that holds its amount, where there is one.
    """

    value: str
    compartment: str
    is_amount: bool
    amount: str


@dataclass(frozen=True)
class Flattened:
    """Flat model of an SBML file, with the data that its events and its results need.

    Attributes
    ----------
    flat : without events; they are joined to it in `isletsim.sbml.event_plan`.
    pools : every species, by its name.
    moving : names whose values change while time flows (others change at events at most).
    solved : names that algebraic rules determine.
    fast : amounts that fast reactions keep in balance, and the state that holds what else changes each of them.
    bases : names of what is raised to powers that may be no whole number.
    strict : the same with such powers as the file has them: undefined for a negative base.
    valueless : names that the file gives no value.
    early : what every delayed quantity is before time 0.
    """

    document: Document
    flat: FlatModel
    pools: Mapping[str, Pool]
    moving: frozenset[str]
    solved: frozenset[str]
    fast: Mapping[str, str]
    bases: tuple[str, ...]
    strict: FlatModel
    valueless: tuple[str, ...]
    early: tuple[Tree, ...] = ()
