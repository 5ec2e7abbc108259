"""The expression tree: numbers, names and applied operators, and the few walks that everybody needs.

A tree knows no units and no files. Every node may remember where it stood in the text it was parsed from (`span`),
so that a fault can point at it; two trees are equal when they say the same, wherever they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["OPERATORS", "Apply", "Name", "Number", "Operator", "Table", "Tree", "apply", "names", "substitute", "walk"]

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal pure number."""

    value: float
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A reference: `mass`, `beta.mass`, or `time`."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Data for piecewise linear interpolation: abscissae strictly increasing, constant outside."""

    abscissae: tuple[float, ...]
    ordinates: tuple[float, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator of `OPERATORS` applied to its arguments."""

    operator: str
    arguments: tuple[Tree, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


Tree = Number | Name | Table | Apply


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the language: how many arguments it takes and what it does to dimensions.

    `dimension` is one of: ``same`` (arguments share one dimension, so does the result), ``product``, ``quotient``,
    ``power``, ``root`` (square root), ``pure`` (arguments and result dimensionless), ``compare`` (arguments share a
    dimension, the result is a truth value), ``logic`` (truth values), ``where`` (truth value, then two alike),
    ``ratio`` (first two alike, the third pure, the result pure), ``smooth`` (both alike, result the same),
    ``table`` and ``floor`` (argument pure).
    """

    arity: tuple[int, int]
    dimension: str
    about: str


# The comparison operators give 1.0 or 0.0. `hill(x, half, n)` is x^n / (half^n + x^n), and 0 for x <= 0.
# `softplus(x, width)` is width * log(1 + exp(x / width)); `sigmoid(x)` is 1 / (1 + exp(-x)).
MANY = 1_000
OPERATORS: dict[str, Operator] = {
    "add": Operator((2, 2), "same", "a + b"),
    "subtract": Operator((2, 2), "same", "a - b"),
    "multiply": Operator((2, 2), "product", "a * b"),
    "divide": Operator((2, 2), "quotient", "a / b"),
    "negate": Operator((1, 1), "same", "-a"),
    "power": Operator((2, 2), "power", "a ** b"),
    # For importers; nobody can type its name. A state that is zero may come out a rounding below it.
    "power from zero": Operator((2, 2), "power", "a ** b, and 0 for a < 0 < b"),
    "less": Operator((2, 2), "compare", "a < b"),
    "less_equal": Operator((2, 2), "compare", "a <= b"),
    "greater": Operator((2, 2), "compare", "a > b"),
    "greater_equal": Operator((2, 2), "compare", "a >= b"),
    "equal": Operator((2, 2), "compare", "a == b"),
    "not_equal": Operator((2, 2), "compare", "a != b"),
    "and": Operator((2, 2), "logic", "a and b"),
    "or": Operator((2, 2), "logic", "a or b"),
    "not": Operator((1, 1), "logic", "not a"),
    "where": Operator((3, 3), "where", "where(condition, if_true, if_false)"),
    "min": Operator((2, MANY), "same", "min(a, b, ...)"),
    "max": Operator((2, MANY), "same", "max(a, b, ...)"),
    "abs": Operator((1, 1), "same", "abs(a)"),
    "exp": Operator((1, 1), "pure", "exp(a)"),
    "log": Operator((1, 1), "pure", "log(a), the natural logarithm"),
    "sqrt": Operator((1, 1), "root", "sqrt(a)"),
    "tanh": Operator((1, 1), "pure", "tanh(a)"),
    "sin": Operator((1, 1), "pure", "sin(a)"),
    "cos": Operator((1, 1), "pure", "cos(a)"),
    "arcsin": Operator((1, 1), "pure", "arcsin(a)"),
    "arccos": Operator((1, 1), "pure", "arccos(a)"),
    "arctan": Operator((1, 1), "pure", "arctan(a)"),
    "sinh": Operator((1, 1), "pure", "sinh(a)"),
    "cosh": Operator((1, 1), "pure", "cosh(a)"),
    "arcsinh": Operator((1, 1), "pure", "arcsinh(a)"),
    "arccosh": Operator((1, 1), "pure", "arccosh(a)"),
    "arctanh": Operator((1, 1), "pure", "arctanh(a)"),
    "floor": Operator((1, 1), "pure", "floor(a)"),
    "mod": Operator((2, 2), "same", "mod(a, b), a - b * floor(a / b)"),
    "hill": Operator((3, 3), "ratio", "hill(x, half, n)"),
    "softplus": Operator((2, 2), "smooth", "softplus(x, width)"),
    "sigmoid": Operator((1, 1), "pure", "sigmoid(a)"),
    "table": Operator((2, 2), "table", "table(time, data)"),
}


def apply(operator: str, *arguments: Tree) -> Apply:
    """A node without a place in any text."""
    return Apply(operator, arguments)


def walk(tree: Tree) -> Iterator[Tree]:
    """Every node of a tree, parents before children."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Apply):
            stack.extend(reversed(node.arguments))


def names(tree: Tree) -> set[str]:
    """The names a tree refers to."""
    return {node.name for node in walk(tree) if isinstance(node, Name)}


def substitute(tree: Tree, replace: Mapping[str, Tree] | Callable[[Name], Tree]) -> Tree:
    """The tree with names replaced; names that are not in the mapping stay."""
    if isinstance(tree, Name):
        return replace.get(tree.name, tree) if isinstance(replace, Mapping) else replace(tree)
    if isinstance(tree, Apply):
        return Apply(tree.operator, tuple(substitute(each, replace) for each in tree.arguments), tree.span)
    return tree
