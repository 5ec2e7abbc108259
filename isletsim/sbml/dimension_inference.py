"""Inference of a dimension for every literal, and rewriting of operators that other tools lack.

SBML wants a unit on every number, where the language lets a bare zero stand for a zero of any dimension. Dimensions go
up from names to operators, and where they are not known, down again from what is expected there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from isletsim.flat import TIME
from isletsim.language import ANY, OPERATORS, Apply, Name, Number, Table, Tree, apply, constant_value
from isletsim.sbml.exchange import CLOCK
from isletsim.units import PURE, Dimension, raised, times

__all__ = ["Bound", "Dimensions", "Simplifier"]

TRUTHS = ("compare", "logic")
LONGEST_CHOICE = 6  # straight lines in one expression: some tools fail on more


@dataclass
class Dimensions:
    """Dimension of every subtree, and the dimension that every literal must have."""

    names: Mapping[str, Dimension]
    _known: dict[int, tuple[Tree, Dimension]] = field(default_factory=dict)  # keeps the tree: its id stays its own

    def of(self, tree: Tree) -> Dimension:
        """Return the dimension of a tree by itself; `ANY` when it contains only literals."""
        if isinstance(tree, Name):
            return CLOCK if tree.name == TIME else self.names[tree.name]
        if not isinstance(tree, Apply):
            return ANY
        if id(tree) not in self._known:
            self._known[id(tree)] = tree, self._operator(tree)
        return self._known[id(tree)][1]

    def _operator(self, tree: Apply) -> Dimension:
        arguments, rule = tree.arguments, OPERATORS[tree.operator].dimension
        if rule in ("same", "smooth"):
            return self.first(arguments)
        if rule == "where":
            return self.first(arguments[1:])
        if rule in ("product", "quotient"):
            left, right = (self.of(each) for each in arguments)
            return ANY if ANY in (left, right) else times(left, right, 1.0 if rule == "product" else -1.0)
        if rule in ("power", "root"):
            base = self.of(arguments[0])
            exponent = 0.5 if rule == "root" else constant_value(arguments[1])
            return base if base in (PURE, ANY) or exponent is None else raised(base, exponent)
        return ANY if rule == "table" else PURE

    def first(self, trees: Sequence[Tree]) -> Dimension:
        """Return the first known dimension."""
        return next((found for found in map(self.of, trees) if found != ANY), ANY)

    def settled(self, tree: Tree, expected: Dimension) -> Dimension:
        """Return the dimension of a tree, or the expected one when it has none of its own."""
        known = self.of(tree)
        return expected if known == ANY else known

    def inside(self, tree: Apply, own: Dimension) -> tuple[Dimension, ...]:
        """Return the dimensions expected of the arguments of an operator with a known dimension."""
        arguments, rule = tree.arguments, OPERATORS[tree.operator].dimension
        count = len(arguments)
        if rule in ("same", "smooth"):
            return (own,) * count
        if rule == "where":
            return (PURE, own, own)
        if rule == "compare":
            return (self.first(arguments),) * count
        if rule == "ratio":
            side = self.first(arguments[:2])
            return (side, side, PURE)
        if rule in ("product", "quotient"):
            return self._factors(tree, own, 1.0 if rule == "product" else -1.0)
        if rule == "root":
            return (own if own in (PURE, ANY) else raised(own, 2.0),)
        if rule == "power":
            exponent = constant_value(arguments[1])
            known = own in (PURE, ANY) or exponent in (None, 0.0)
            return (own if known else raised(own, 1.0 / (exponent or 1.0)), PURE)
        return (self.of(arguments[0]), own) if rule == "table" else (PURE,) * count

    def _factors(self, tree: Apply, own: Dimension, sign: float) -> tuple[Dimension, ...]:
        first, second = (self.of(each) for each in tree.arguments)
        if first == ANY and second == ANY:
            first = PURE
        if own == ANY:
            return (PURE if first == ANY else first, PURE if second == ANY else second)
        if first == ANY:
            return (times(own, second, -sign), second)
        if second == ANY:
            return (first, times(own, first, -1.0) if sign > 0 else times(first, own, -1.0))
        return (first, second)


@dataclass(frozen=True)
class Bound:
    """Named subexpression that is used more than once."""

    id: str
    dimension: Dimension
    tree: Tree


@dataclass
class Simplifier:
    """Rewrites operators that other tools lack; `bound` collects the named subexpressions.

    Attributes
    ----------
    dimensions : of every name; names of new pieces are added.
    fresh : gives an identifier that is not taken.
    """

    dimensions: dict[str, Dimension]
    fresh: Callable[[], str]
    bound: list[Bound] = field(default_factory=list)
    _named: dict[Tree, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = Dimensions(self.dimensions)

    def simple(self, tree: Tree, expected: Dimension) -> Tree:
        """Return the tree with common operators only."""
        if not isinstance(tree, Apply):
            return tree
        own = self.known.settled(tree, expected)
        inside = self.known.inside(tree, own)
        if tree.operator in _SPELLED:
            return _SPELLED[tree.operator](self, tree, own, inside)
        truths = OPERATORS[tree.operator].dimension == "logic"
        arguments = [self.simple(each, side) for each, side in zip(tree.arguments, inside, strict=True)]
        if truths:
            arguments = [_truth(each) for each in arguments]
        elif tree.operator == "where":
            arguments[0] = _truth(arguments[0])
        return Apply(tree.operator, tuple(arguments))

    def name(self, tree: Tree, expected: Dimension) -> Tree:
        """Return the rewritten tree as a name or a number that may be used more than once."""
        ready = self.simple(tree, expected)
        if isinstance(ready, Name | Number):
            return ready
        if ready not in self._named:
            each = Bound(self.fresh(), self.known.settled(tree, expected), ready)
            self.bound.append(each)
            self.dimensions[each.id] = each.dimension
            self._named[ready] = each.id
        return Name(self._named[ready])


def _truth(tree: Tree) -> Tree:
    """A condition: other tools want a relation where the language takes a number that is 1 or 0."""
    if isinstance(tree, Apply) and OPERATORS[tree.operator].dimension in TRUTHS:
        return tree
    return apply("not_equal", tree, Number(0.0))


# --- operators that other tools do not have ---------------------------------------------------------------------------

Inside = tuple[Dimension, ...]
NOTHING, ONE, TWO = Number(0.0), Number(1.0), Number(2.0)


def _hill(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    """0 for x <= 0, else (x / half)^n / (1 + (x / half)^n): no slope overflows where x has all but vanished."""
    x = by.name(tree.arguments[0], inside[0])
    half, power = by.simple(tree.arguments[1], inside[1]), by.simple(tree.arguments[2], PURE)
    if power == ONE:
        share = apply("divide", x, apply("add", half, x))
    else:
        raised_ratio = by.name(apply("power", apply("divide", x, half), power), PURE)
        share = apply("divide", raised_ratio, apply("add", ONE, raised_ratio))
    return apply("where", apply("less_equal", x, NOTHING), NOTHING, share)


def _sigmoid(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    inner = by.simple(tree.arguments[0], PURE)
    return apply("divide", ONE, apply("add", ONE, apply("exp", apply("negate", inner))))


def _softplus(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    """max(x, 0) + width log(1 + exp(-|x / width|)), where log(1 + y) is 2 artanh(y / (2 + y)).

    As a logarithm it would keep no digits far below zero, and the steps of a solver would follow the rounding.
    """
    x, width = (by.name(each, own) for each in tree.arguments)
    size = apply("abs", apply("divide", x, width))
    small = by.name(apply("exp", apply("negate", size)), PURE)
    half = apply("arctanh", apply("divide", small, apply("add", TWO, small)))
    tail = apply("multiply", width, apply("multiply", TWO, half))
    return apply("add", apply("where", apply("less", x, NOTHING), NOTHING, x), tail)


def _mod(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    a, b = (by.name(each, own) for each in tree.arguments)
    return apply("subtract", a, apply("multiply", b, apply("floor", apply("divide", a, b))))


def _extreme(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    """Two at a time, as a choice: not every tool has min and max."""
    operator = "less" if tree.operator == "min" else "greater"
    result = by.name(tree.arguments[0], own)
    for index, each in enumerate(tree.arguments[1:], start=2):
        other = by.name(each, own)
        chosen = apply("where", apply(operator, other, result), other, result)
        result = chosen if index == len(tree.arguments) else by.name(chosen, own)
    return result


def _table(by: Simplifier, tree: Apply, own: Dimension, inside: Inside) -> Tree:
    """Straight lines between the knots, constant outside."""
    argument, data = tree.arguments
    assert isinstance(data, Table)
    x = by.name(argument, inside[0])
    knots = list(zip(data.abscissae, data.ordinates, strict=True))
    result: Tree = Number(knots[-1][1])
    for count, ((left, low), (right, high)) in enumerate(reversed(list(pairwise(knots))), start=1):
        if count % LONGEST_CHOICE == 0:
            result = by.name(result, own)
        rise = apply("multiply", Number((high - low) / (right - left)), apply("subtract", x, Number(left)))
        result = apply("where", apply("less", x, Number(right)), apply("add", Number(low), rise), result)
    return apply("where", apply("less", x, Number(knots[0][0])), Number(knots[0][1]), result)


_SPELLED: dict[str, Callable[[Simplifier, Apply, Dimension, Inside], Tree]] = {
    "hill": _hill,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "mod": _mod,
    "min": _extreme,
    "max": _extreme,
    "table": _table,
}
