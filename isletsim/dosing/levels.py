"""Amounts that are worked out from the model, and levels that change in the time of a course."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from isletsim.composition import Composition
from isletsim.composition.names import find_symbol
from isletsim.dosing.records import Course, Dose
from isletsim.errors import InputError
from isletsim.language import (
    ANY,
    Equation,
    KeyPath,
    Mismatch,
    Name,
    Number,
    TomlDocument,
    Tree,
    apply,
    dimension_of,
    evaluate,
    names,
    substitute,
)
from isletsim.units import Dimension, Quantity, UnitError, describe, on_grid, quantity, times

__all__ = ["read_amount", "resolved", "stepped", "whole_names"]
_QUALIFIED = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def read_amount(
    document: TomlDocument, value: Any, keys: KeyPath, composition: Composition, like: Dimension, of: str = ""
) -> tuple[float, Tree | None] | None:
    """An amount: a quantity, or a sum of quantities, expressions of the model, and one times the other.

    "0.3 g/kg * body_weight.weight" and "50 mg/dL + glucose.plasma" are such sums.

    Returns
    -------
    number : base units. factor : what it is multiplied with once the state is known; None where nothing is.
    """
    if not (isinstance(value, str) and _QUALIFIED.search(value)):
        found = document.quantity(value, keys, like, of)
        return None if found is None else (found.value, None)
    noted = len(document.faults)
    terms = [_term(document, term, keys, composition, like, of) for term in _terms(value)]
    if len(document.faults) > noted:
        return None
    total = terms[0]
    for term in terms[1:]:
        total = apply("add", total, term)
    return 1.0, total


def _terms(text: str) -> list[str]:
    """The terms of a sum, where one of them is a quantity; else the whole is one expression."""
    terms = text.split(" + ")
    return terms if any(_quantity(term) is not None for term in terms) else [text]


def _quantity(text: str) -> Quantity | None:
    try:
        return quantity(text)
    except UnitError:
        return None


def _term(document: TomlDocument, text: str, keys: KeyPath, composition: Composition, like: Dimension, of: str) -> Tree:
    """A term as a tree over whole names, base units; faults are noted."""
    if _quantity(text) is not None:
        found = document.quantity(text, keys, like, of)
        return Number(found.value if found is not None else 0.0)
    head, _, rest = text.partition(" * ")
    given = _quantity(head)
    law = document.equation(rest if given is not None else text, keys)
    tree = whole_names(document, law, composition) if law is not None else None
    if tree is None or law is None:
        return Number(0.0)
    symbols = composition.symbols
    try:
        dimension = dimension_of(tree, lambda name: symbols[name].unit.dimension, law.text)
    except Mismatch as wrong:
        document.fault(keys, wrong.message, "", law.text, wrong.span)
        return Number(0.0)
    if given is not None:
        dimension = times(dimension, given.unit.dimension)
    if dimension not in (like, ANY):
        document.fault(keys, f'"{text}" is {describe(dimension)}; expected {describe(like)}.')
    return tree if given is None else apply("multiply", Number(given.value), tree)


def whole_names(document: TomlDocument, law: Equation, composition: Composition) -> Tree | None:
    """The tree of a law with the qualified names of what it speaks of; None after a fault."""
    meant: dict[str, Tree] = {}
    for name in sorted(names(law.tree)):
        if name == "time":
            continue
        try:
            meant[name] = Name(find_symbol(composition, name, place=document.place(law.keys)).name)
        except InputError as reason:
            document.faults.extend(reason.faults)
    return None if len(meant) < len(names(law.tree) - {"time"}) else substitute(law.tree, meant)


def resolved(given: list[Any], values: Mapping[str, float]) -> Iterator[Dose | Course]:
    """Doses and courses with their numbers, now that the state is known."""
    for each in given:
        if each.factor is None:
            yield each
        elif isinstance(each, Dose):
            yield replace(each, amount=each.amount * evaluate(each.factor, values), factor=None)
        else:
            yield replace(each, level=each.level * evaluate(each.factor, values), factor=None)


def stepped(
    name: str, points: list[tuple[float, float]], ramp: bool, start: float, stop: float, longest: float
) -> list[Course]:
    """The courses of an input that goes through levels at times, in steps or in straight lines between them.

    Parameters
    ----------
    points : (time, level), times counted from `start`. The last level goes on until `stop`.
    longest : length of the steps that a line is made of.
    """
    courses: list[Course] = []
    for (time, level), (following, target) in zip(points, [*points[1:], (math.inf, 0.0)], strict=True):
        begin, end = start + time, min(start + following, stop)
        if begin >= stop:
            break
        steps = max(1, math.ceil((end - begin) / longest - 1e-9)) if ramp and math.isfinite(following) else 1
        edges = [begin, *(on_grid(begin + (end - begin) * each / steps) for each in range(1, steps)), end]
        for number in range(steps):
            share = (number + 0.5) / steps if steps > 1 else 0.0
            courses.append(Course(name, level + share * (target - level), edges[number], edges[number + 1]))
    return courses
