"""Index reduction: algebraic unknowns become states, because many tools do not solve algebraic rules.

From 0 = g(x, u, t) along a solution follows u' = -(g_x x' + g_t) / g_u; with a start that satisfies the rule both say
the same. Only the tools' own errors let the two drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from isletsim.errors import Fault, InputError
from isletsim.flat import TIME
from isletsim.language import Apply, Name, Number, Tree, apply, names
from isletsim.sbml.algebra import ordered
from isletsim.sbml.exchange import CLOCK, Exchange, ExchangeVariable
from isletsim.units import times

__all__ = ["without_algebra"]

NOTHING, ONE = Number(0.0), Number(1.0)


def without_algebra(exchange: Exchange, consistent: Mapping[str, float]) -> Exchange:
    """Return the model with a rate rule for every algebraic unknown.

    Parameters
    ----------
    consistent : values of the unknowns that satisfy their rules at the start, by identifier.

    Raises
    ------
    InputError : an unknown whose rule depends on another unknown, or on nothing that can be differentiated.
    """
    unknowns = [each for each in exchange.variables if each.kind == "unknown"]
    if not unknowns:
        return exchange
    by_id = {each.id: each for each in exchange.variables}
    rates: dict[str, Tree] = {
        each.id: each.rule for each in exchange.variables if each.kind == "state" and each.rule is not None
    }
    rates[TIME] = ONE
    laws = {each.id: each.rule for each in exchange.variables if each.kind == "expression" and each.rule is not None}
    added: list[ExchangeVariable] = []
    for unknown in unknowns:
        assert unknown.rule is not None
        others = {each.id for each in unknowns} - {unknown.id}
        if _needed(unknown.rule, laws) & others:
            raise InputError(
                Fault(unknown.name, "Its rule depends on another algebraic unknown; this is not exported.")
            )
        along = _Slope(laws, rates, f"{unknown.id}_along_")
        by_itself = _Slope(laws, {unknown.id: ONE}, f"{unknown.id}_by_")
        change, slope = along.of(unknown.rule), by_itself.of(unknown.rule)
        if slope == NOTHING:
            raise InputError(Fault(unknown.name, "It does not occur in its own rule."))
        for made, dimension in ((along, CLOCK), (by_itself, unknown.dimension)):
            for name, tree in made.made.items():
                base = by_id[made.source[name]]
                unit = times(base.dimension, dimension, -1.0)
                added.append(ExchangeVariable(name, f"change of {base.name}", "expression", unit, rule=tree))
        rate = apply("negate", apply("divide", change, slope))
        state = replace(unknown, kind="state", value=consistent[unknown.id], initial=None, rule=rate)
        by_id[unknown.id] = state
    kept = [by_id[each.id] for each in exchange.variables]
    return replace(exchange, variables=_in_order([*kept, *added]))


def _in_order(variables: list[ExchangeVariable]) -> tuple[ExchangeVariable, ...]:
    laws = {each.id: each.rule for each in variables if each.kind == "expression" and each.rule is not None}
    by_id = {each.id: each for each in variables}
    rest = [each for each in variables if each.kind != "expression"]
    return (*rest, *(by_id[name] for name in ordered(laws, laws)))


def _needed(tree: Tree, laws: Mapping[str, Tree]) -> set[str]:
    found: set[str] = set()
    waiting = list(names(tree))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(names(laws[name]) if name in laws else ())
    return found


@dataclass
class _Slope:
    """Directional derivatives; `along` gives the derivatives of names, all other names are constant.

    Derivatives of named laws are named too, and collected in `made`; `source` says of what each is the derivative.
    """

    laws: Mapping[str, Tree]
    along: Mapping[str, Tree]
    prefix: str
    made: dict[str, Tree] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    _known: dict[str, Tree] = field(default_factory=dict)

    def of(self, tree: Tree) -> Tree:
        """Return the derivative of a tree."""
        if isinstance(tree, Name):
            return self._name(tree.name)
        if not isinstance(tree, Apply):
            return NOTHING
        if tree.operator == "where":
            condition, chosen, other = tree.arguments
            first, second = self.of(chosen), self.of(other)
            return first if first == second else apply("where", condition, first, second)
        slopes = [self.of(each) for each in tree.arguments]
        if all(each == NOTHING for each in slopes):
            return NOTHING
        if tree.operator not in _RULES:
            raise InputError(Fault(tree.operator, "An algebraic rule with this operator cannot be differentiated."))
        return _RULES[tree.operator](*tree.arguments, *slopes)

    def _name(self, name: str) -> Tree:
        if name in self.along:
            return self.along[name]
        if name not in self.laws:
            return NOTHING
        if name not in self._known:
            slope = self.of(self.laws[name])
            if not isinstance(slope, Name | Number):
                given = f"{self.prefix}{name}"
                self.made[given], self.source[given] = slope, name
                slope = Name(given)
            self._known[name] = slope
        return self._known[name]


def _add(a: Tree, b: Tree) -> Tree:
    if a == NOTHING:
        return b
    return a if b == NOTHING else apply("add", a, b)


def _subtract(a: Tree, b: Tree) -> Tree:
    if b == NOTHING:
        return a
    return apply("negate", b) if a == NOTHING else apply("subtract", a, b)


def _multiply(a: Tree, b: Tree) -> Tree:
    if NOTHING in (a, b):
        return NOTHING
    if a == ONE:
        return b
    return a if b == ONE else apply("multiply", a, b)


def _divide(a: Tree, b: Tree) -> Tree:
    return NOTHING if a == NOTHING else apply("divide", a, b)


def _power(a: Tree, n: Tree, da: Tree, dn: Tree) -> Tree:
    by_base = _multiply(_multiply(n, apply("power", a, apply("subtract", n, ONE))), da)
    if isinstance(n, Number):
        by_base = _multiply(_multiply(n, apply("power", a, Number(n.value - 1.0))), da)
    by_exponent = _multiply(_multiply(apply("power", a, n), apply("log", a)), dn) if dn != NOTHING else NOTHING
    return _add(by_base, by_exponent)


def _one(rule: Callable[[Tree], Tree]) -> Callable[[Tree, Tree], Tree]:
    """The chain rule for a function of one argument."""
    return lambda a, da: _multiply(rule(a), da)


def _square(a: Tree) -> Tree:
    return apply("power", a, Number(2.0))


_RULES: dict[str, Callable[..., Tree]] = {
    "add": lambda a, b, da, db: _add(da, db),
    "subtract": lambda a, b, da, db: _subtract(da, db),
    "negate": lambda a, da: apply("negate", da),
    "multiply": lambda a, b, da, db: _add(_multiply(da, b), _multiply(a, db)),
    "divide": lambda a, b, da, db: _subtract(_divide(da, b), _divide(_multiply(a, db), _square(b))),
    "power": _power,
    "sqrt": lambda a, da: _divide(da, apply("multiply", Number(2.0), apply("sqrt", a))),
    "exp": _one(lambda a: apply("exp", a)),
    "log": lambda a, da: _divide(da, a),
    "tanh": _one(lambda a: apply("subtract", ONE, _square(apply("tanh", a)))),
    "sin": _one(lambda a: apply("cos", a)),
    "cos": _one(lambda a: apply("negate", apply("sin", a))),
    "abs": lambda a, da: apply("where", apply("less", a, NOTHING), apply("negate", da), da),
    "floor": lambda a, da: NOTHING,
}
