"""Translation of MathML to expression trees.

Operators that the language lacks are expressed by others: `sec` by `cos`, `ceiling` by `floor`, `xor` by `where`.
Function definitions are inlined. Long sums become balanced trees, so that the depth stays small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from isletsim.flat import TIME
from isletsim.language import Apply, Name, Number, Table, Tree, apply
from isletsim.sbml.delays import delayed_name
from isletsim.sbml.nodes import Node
from isletsim.sbml.records import flat_name, rate_name

__all__ = ["AVOGADRO", "Function", "Translator", "Untranslatable", "product_of", "sum_of"]

AVOGADRO = 6.02214179e23  # as SBML Level 3 defines it
LARGEST = 2_000_000  # nodes of all trees of a file together, after functions are written out
TALLEST = 400  # operators one inside another
LONG = 8  # a sum of more terms is written as a balanced tree


class Untranslatable(ValueError):
    """Mathematics that is unsupported or invalid; the message names it."""


@dataclass(frozen=True)
class Function:
    """A function definition: the names of its arguments and its body, None where it has none."""

    arguments: tuple[str, ...]
    body: Node | None


@dataclass
class Translator:
    """Translator of MathML nodes that counts the nodes it makes.

    Attributes
    ----------
    known : identifiers that mathematics may use.
    functions : function definitions of the file.
    delays : delayed quantities that were met: what is delayed, by how much, and the name that stands for it.
    """

    known: frozenset[str]
    functions: Mapping[str, Function]
    made: int = 0
    delays: dict[tuple[Tree, Tree], str] = field(default_factory=dict)

    def tree(self, node: Node, local: Mapping[str, str] | None = None) -> Tree:
        """The tree of a node.

        Parameters
        ----------
        local : names that stand before those of the file: identifier to name in the flat model.

        Raises
        ------
        Untranslatable : the piece that is not supported, or not sound.
        """
        scope: dict[str, Tree] = {name: Name(flat) for name, flat in (local or {}).items()}
        result = self._walk(node, scope)
        height, size = _extent(result)
        self.made += size
        if height > TALLEST:
            raise Untranslatable(f"more than {TALLEST} operators stand one inside another")
        self._allow()
        return result

    def _allow(self) -> None:
        if self.made > LARGEST:
            raise Untranslatable(f"written out, the mathematics of this file has more than {LARGEST} nodes")

    def _walk(self, root: Node, scope: Mapping[str, Tree]) -> Tree:
        """Operands first, by a stack of our own: node, kind, operands, scope, results, calls around it."""
        done: list[Tree] = []
        stack = [self._frame(root, scope, ())]
        while stack:
            node, kind, operands, inner, results, calls = stack[-1]
            if len(results) < len(operands):
                stack.append(self._frame(operands[len(results)], inner, calls))
                continue
            stack.pop()
            if kind == "function":
                stack.append(self._call(node, results, calls))
                continue
            tree = self._apply(node, kind, results, inner)
            if stack:
                stack[-1][4].append(tree)
            else:
                done.append(tree)
        return done[0]

    def _frame(self, node: Node, scope: Mapping[str, Tree], calls: tuple[str, ...]) -> list[Any]:
        self.made += 1
        self._allow()
        operands: Sequence[Node] = node.operands
        if node.kind in ("plus", "times"):
            operands = _gathered(node)
        elif node.kind == "function_rate_of":
            operands = ()
        return [node, node.kind, operands, scope, [], calls]

    def _call(self, node: Node, results: list[Tree], calls: tuple[str, ...]) -> list[Any]:
        """The body of a function in place of its call."""
        name = node.name
        function = self.functions.get(name)
        if function is None:
            raise Untranslatable(f'"{name}" is called, which is no function of this file')
        if function.body is None:
            raise Untranslatable(f'the function "{name}" is called and has no mathematics')
        if name in calls:
            raise Untranslatable(f'the function "{name}" calls itself')
        if len(function.arguments) != len(results):
            raise Untranslatable(f'"{name}" takes {len(function.arguments)} arguments and is given {len(results)}')
        scope = dict(zip(function.arguments, results, strict=True))
        return self._frame(function.body, scope, (*calls, name))

    def _apply(self, node: Node, kind: str, results: list[Tree], scope: Mapping[str, Tree]) -> Tree:
        if kind in ("real", "real_e", "rational", "integer"):
            return Number(node.value)
        if kind in _CONSTANTS:
            return Number(_CONSTANTS[kind])
        if kind == "name":
            return self._name(node.name, scope)
        if kind == "name_time":
            return Name(TIME)
        if kind == "function_rate_of":
            return self._rate(node, scope)
        if kind in _MANY:
            return _MANY[kind](results)
        if kind in _FIXED:
            count, make = _FIXED[kind]
            if len(results) != count:
                raise Untranslatable(f"<{_element(kind)}/> takes {count} operand(s) and has {len(results)}")
            return make(*results)
        if kind == "function_delay":
            source, lag = _two(results, "delay")
            if lag == Number(0.0):
                return source
            return Name(self.delays.setdefault((source, lag), delayed_name(len(self.delays))))
        raise Untranslatable(f"<{_element(kind)}/> is not supported")

    def name(self, identifier: str) -> Tree:
        """A quantity of the file by its identifier."""
        return self._name(identifier, {})

    def _name(self, name: str, scope: Mapping[str, Tree]) -> Tree:
        if name in scope:
            return scope[name]
        if name not in self.known:
            raise Untranslatable(f'"{name}" is no quantity of this file')
        return Name(flat_name(name))

    def _rate(self, node: Node, scope: Mapping[str, Tree]) -> Tree:
        """The rate of change of an identifier, which inside a function may be one of its arguments."""
        operand = node.operands[0] if len(node.operands) == 1 else node
        if operand.kind != "name" or operand.name not in {*scope, *self.known}:
            raise Untranslatable("rateOf is given something that is no quantity of this file")
        meant = self._name(operand.name, scope)
        if isinstance(meant, Number):
            return Number(0.0)
        if not isinstance(meant, Name):
            raise Untranslatable(f'rateOf is given "{operand.name}", which stands for a formula here')
        return Name(rate_name(meant.name))


def sum_of(terms: list[Tree]) -> Tree:
    """The sum of some terms, 0 of none."""
    return _folded("add", terms, 0.0)


def product_of(factors: list[Tree]) -> Tree:
    """The product of some factors, 1 of none."""
    return _folded("multiply", factors, 1.0)


def _folded(operator: str, terms: list[Tree], empty: float) -> Tree:
    if not terms:
        return Number(empty)
    if len(terms) <= LONG:
        result = terms[0]
        for term in terms[1:]:
            result = apply(operator, result, term)
        return result
    while len(terms) > 1:
        paired: list[Tree] = [apply(operator, *terms[index : index + 2]) for index in range(0, len(terms) - 1, 2)]
        terms = [*paired, terms[-1]] if len(terms) % 2 else paired
    return terms[0]


def _gathered(node: Node) -> list[Node]:
    """Operands of a sum (or product) whose operands may be sums themselves, in their order."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each.kind == node.kind and (each is node or len(each.operands) > 1):
            waiting.extend(reversed(each.operands))
        else:
            found.append(each)
    return found


def _extent(tree: Tree) -> tuple[int, int]:
    """How many operators stand one inside another, and how many nodes there are if every use is counted."""
    known: dict[int, tuple[int, int]] = {}
    stack = [tree]
    while stack:
        node = stack[-1]
        below = node.arguments if isinstance(node, Apply) else ()
        waiting = [each for each in below if id(each) not in known]
        if id(node) in known or not waiting:
            stack.pop()
            inner = [known[id(each)] for each in below]
            height = 1 + max((each[0] for each in inner), default=-1)
            known[id(node)] = height, 1 + sum(each[1] for each in inner)
        else:
            stack.extend(waiting)
    return known[id(tree)]


def _element(kind: str) -> str:
    """How MathML writes an operator."""
    for start in ("function_", "logical_", "relational_", "constant_", "name_"):
        kind = kind.removeprefix(start)
    return kind.replace("_", "")


# --- what the operators of MathML mean --------------------------------------------------------------------------------


def _minus(operands: list[Tree]) -> Tree:
    if len(operands) == 1:
        return Number(-operands[0].value) if isinstance(operands[0], Number) else apply("negate", operands[0])
    if len(operands) != 2:
        raise Untranslatable(f"<minus/> takes one or two operands and has {len(operands)}")
    return apply("subtract", *operands)


def _logarithm(operands: list[Tree]) -> Tree:
    if len(operands) == 1:
        return apply("divide", apply("log", operands[0]), Number(math.log(10.0)))
    base, value = _two(operands, "log")
    return apply("divide", apply("log", value), apply("log", base))


def _root(operands: list[Tree]) -> Tree:
    if len(operands) == 1:
        return apply("sqrt", operands[0])
    degree, value = _two(operands, "root")
    return apply("sqrt", value) if degree == Number(2.0) else apply("power", value, _inverse(degree))


def _two(operands: list[Tree], what: str) -> list[Tree]:
    if len(operands) != 2:
        raise Untranslatable(f"<{what}/> takes two operands and has {len(operands)}")
    return operands


def _piecewise(operands: list[Tree]) -> Tree:
    """Value, condition, value, condition, ..., and perhaps a last value; without any that holds it is undefined."""
    last = operands[-1] if len(operands) % 2 else Number(math.nan)
    result = last
    for index in range(len(operands) - len(operands) % 2 - 2, -1, -2):
        result = apply("where", operands[index + 1], operands[index], result)
    return result


def _chain(operator: str) -> Callable[[list[Tree]], Tree]:
    """A relation between neighbours, all of which must hold."""

    def make(operands: list[Tree]) -> Tree:
        pairs: list[Tree] = [apply(operator, a, b) for a, b in pairwise(operands)]
        return _folded("and", pairs, 1.0)

    return make


def _fold(operator: str, empty: float) -> Callable[[list[Tree]], Tree]:
    return lambda operands: _folded(operator, operands, empty)


def _exclusive(operands: list[Tree]) -> Tree:
    """True where an odd number of operands is."""
    result: Tree = Number(0.0)
    for index, each in enumerate(operands):
        result = each if index == 0 else apply("where", each, apply("not", result), result)
    return result


def _extreme(operator: str) -> Callable[[list[Tree]], Tree]:
    def make(operands: list[Tree]) -> Tree:
        if not operands:
            raise Untranslatable(f"<{operator}/> has no operands")
        return operands[0] if len(operands) == 1 else apply(operator, *operands)

    return make


def _inverse(a: Tree) -> Tree:
    return apply("divide", Number(1.0), a)


def _of_inverse(operator: str) -> Callable[[Tree], Tree]:
    return lambda a: apply(operator, _inverse(a))


def _same(operator: str) -> Callable[..., Tree]:
    return lambda *operands: apply(operator, *operands)


def _ceiling(a: Tree) -> Tree:
    return apply("negate", apply("floor", apply("negate", a)))


def _factorial(a: Tree) -> Tree:
    """Of a whole number from 0 to 170; nothing else has one."""
    knots = [float(index) for index in range(171)]
    data = Table(tuple(knots), tuple(float(math.factorial(index)) for index in range(171)))
    whole = apply("equal", a, apply("floor", a))
    within = apply("and", apply("less_equal", Number(0.0), a), apply("less_equal", a, Number(170.0)))
    return apply("where", apply("and", whole, within), apply("table", a, data), Number(math.nan))


def _quotient(a: Tree, b: Tree) -> Tree:
    """The whole part of a / b, towards zero."""
    ratio = apply("divide", a, b)
    return apply("where", apply("less", ratio, Number(0.0)), _ceiling(ratio), apply("floor", ratio))


_CONSTANTS = {
    "constant_e": math.e,
    "constant_pi": math.pi,
    "constant_true": 1.0,
    "constant_false": 0.0,
    "name_avogadro": AVOGADRO,
}

_MANY: dict[str, Callable[[list[Tree]], Tree]] = {
    "plus": sum_of,
    "times": product_of,
    "minus": _minus,
    "function_log": _logarithm,
    "function_root": _root,
    "function_piecewise": _piecewise,
    "function_max": _extreme("max"),
    "function_min": _extreme("min"),
    "logical_and": _fold("and", 1.0),
    "logical_or": _fold("or", 0.0),
    "logical_xor": _exclusive,
    "relational_eq": _chain("equal"),
    "relational_lt": _chain("less"),
    "relational_leq": _chain("less_equal"),
    "relational_gt": _chain("greater"),
    "relational_geq": _chain("greater_equal"),
}

_SINE, _COSINE = _same("sin"), _same("cos")
_FIXED: dict[str, tuple[int, Callable[..., Tree]]] = {
    "divide": (2, _same("divide")),
    "power": (2, _same("power")),
    "function_power": (2, _same("power")),
    "function_quotient": (2, _quotient),
    "function_rem": (2, lambda a, b: apply("subtract", a, apply("multiply", b, _quotient(a, b)))),
    "relational_neq": (2, _same("not_equal")),
    "logical_not": (1, _same("not")),
    "logical_implies": (2, lambda a, b: apply("or", apply("not", a), b)),
    "function_abs": (1, _same("abs")),
    "function_exp": (1, _same("exp")),
    "function_ln": (1, _same("log")),
    "function_floor": (1, _same("floor")),
    "function_ceiling": (1, _ceiling),
    "function_factorial": (1, _factorial),
    "function_sin": (1, _SINE),
    "function_cos": (1, _COSINE),
    "function_tan": (1, lambda a: apply("divide", _SINE(a), _COSINE(a))),
    "function_sec": (1, lambda a: _inverse(_COSINE(a))),
    "function_csc": (1, lambda a: _inverse(_SINE(a))),
    "function_cot": (1, lambda a: apply("divide", _COSINE(a), _SINE(a))),
    "function_sinh": (1, _same("sinh")),
    "function_cosh": (1, _same("cosh")),
    "function_tanh": (1, _same("tanh")),
    "function_sech": (1, lambda a: _inverse(apply("cosh", a))),
    "function_csch": (1, lambda a: _inverse(apply("sinh", a))),
    "function_coth": (1, lambda a: _inverse(apply("tanh", a))),
    "function_arcsin": (1, _same("arcsin")),
    "function_arccos": (1, _same("arccos")),
    "function_arctan": (1, _same("arctan")),
    "function_arcsec": (1, _of_inverse("arccos")),
    "function_arccsc": (1, _of_inverse("arcsin")),
    "function_arccot": (1, _of_inverse("arctan")),
    "function_arcsinh": (1, _same("arcsinh")),
    "function_arccosh": (1, _same("arccosh")),
    "function_arctanh": (1, _same("arctanh")),
    "function_arcsech": (1, _of_inverse("arccosh")),
    "function_arccsch": (1, _of_inverse("arcsinh")),
    "function_arccoth": (1, _of_inverse("arctanh")),
}
