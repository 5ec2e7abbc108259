"""Equation text to tree, by a small grammar of our own. Text is never evaluated as code.

expression := or ; or := and ("or" and)* ; and := not ("and" not)* ; not := "not" not | comparison
comparison := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)?
sum := product (("+" | "-") product)* ; product := sign (("*" | "/") sign)*
sign := ("-" | "+") sign | power ; power := atom ("**" sign)?
atom := number | name | name "(" expression ("," expression)* ")" | "(" expression ")"
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from isletsim.errors import did_you_mean
from isletsim.language.tree import MANY, OPERATORS, Apply, Name, Number, Tree

__all__ = ["FUNCTIONS", "STRUCTURAL", "SUMMARIES", "ExpressionError", "constant_value", "parse"]

# Functions that speak of the model rather than of numbers; composition replaces them, no compiler ever sees them.
STRUCTURAL: dict[str, tuple[int, int]] = {"change": (1, 1), "sum": (1, 1), "last": (1, 1), "previous": (2, 2)}
# Daily summaries, by which a life file reads the day: mean, value at a clock time, highest, lowest, share of the day.
SUMMARIES: dict[str, int] = {"mean": 1, "at": 2, "max": 1, "min": 1, "fraction": 3}
STRUCTURAL |= {"mean": (1, 1), "at": (2, 2), "fraction": (3, 3), "max": (1, MANY), "min": (1, MANY)}
_SYMBOLS = {"add", "subtract", "multiply", "divide", "negate", "power", "less", "less_equal", "greater"}
_SYMBOLS |= {"greater_equal", "equal", "not_equal", "and", "or", "not", "power from zero"}
FUNCTIONS: dict[str, tuple[int, int]] = {
    name: operator.arity for name, operator in OPERATORS.items() if name not in _SYMBOLS
} | STRUCTURAL

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?(?:\[[0-9]+\])?)"
    r"|(?P<symbol>\*\*|<=|>=|==|!=|[-+*/()<>,]))"
)
_COMPARISONS = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "not_equal",
}
LONGEST = 4_000  # characters of one equation
DEEPEST = 60  # nested brackets, signs and calls
TALLEST = 150  # operators one inside another, as in a chain of sums; every walk of a tree may then be recursive
HIGHEST = 100  # largest literal exponent


class ExpressionError(ValueError):
    """An equation that is not in the grammar: what is wrong, where in the text, and how to mend it."""

    def __init__(self, message: str, span: tuple[int, int], cure: str = "") -> None:
        self.message, self.span, self.cure = message, span, cure
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    stop: int


def parse(text: str) -> Tree:
    """The tree of an equation; raises `ExpressionError` with the place of the first mistake."""
    if len(text) > LONGEST:
        raise ExpressionError(f"an equation of {len(text)} characters; at most {LONGEST}", (0, 1), "Name its parts.")
    parser = _Parser(_tokens(text), len(text))
    tree = parser.disjunction(0)
    if parser.peek.kind != "end":
        raise ExpressionError(f'expected an operator, found "{parser.peek.text}"', parser.span)
    if _height(tree) > TALLEST:
        raise ExpressionError(f"more than {TALLEST} operators one inside another", (0, len(text)), "Name its parts.")
    return tree


def _height(tree: Tree) -> int:
    """How many nodes stand one inside another."""
    highest, waiting = 0, [(tree, 1)]
    while waiting:
        node, height = waiting.pop()
        highest = max(highest, height)
        waiting += [(each, height + 1) for each in node.arguments] if isinstance(node, Apply) else []
    return highest


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    body = text.rstrip()
    while place < len(body):
        match = _TOKEN.match(body, place)
        if match is None:
            place += len(body[place:]) - len(body[place:].lstrip())
            found = body[place]
            cure = "A power is written **." if found == "^" else ""
            raise ExpressionError(f'"{found}" is not part of the grammar of equations', (place, place + 1), cure)
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match.group(kind), match.start(kind), match.end(kind)))
        place = match.end()
    tokens.append(_Token("end", "the end", len(body), len(body) + 1))
    return tokens


class _Parser:
    """One pass over the tokens; every method returns the tree of what it read."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self.tokens, self.length, self.place = tokens, length, 0

    @property
    def peek(self) -> _Token:
        return self.tokens[self.place]

    @property
    def span(self) -> tuple[int, int]:
        return (self.peek.start, self.peek.stop)

    def next(self) -> _Token:
        token = self.tokens[self.place]
        self.place += 1
        return token

    def accept(self, *texts: str) -> _Token | None:
        token = self.peek
        return self.next() if token.kind != "number" and token.text in texts and token.kind != "end" else None

    def expect(self, text: str) -> _Token:
        token = self.accept(text)
        if token is None:
            raise ExpressionError(f'expected "{text}", found {_shown(self.peek)}', self.span)
        return token

    def disjunction(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise ExpressionError(f"nested deeper than {DEEPEST} levels", self.span, "Name the inner parts.")
        return self._left(depth, self.conjunction, {"or": "or"})

    def conjunction(self, depth: int) -> Tree:
        return self._left(depth, self.negation, {"and": "and"})

    def negation(self, depth: int) -> Tree:
        token = self.accept("not")
        if token is None:
            return self.comparison(depth)
        if depth > DEEPEST:
            raise ExpressionError(f"nested deeper than {DEEPEST} levels", self.span, "Name the inner parts.")
        inner = self.negation(depth + 1)
        return Apply("not", (inner,), (token.start, _stop(inner)))

    def comparison(self, depth: int) -> Tree:
        left = self.total(depth)
        token = self.accept(*_COMPARISONS)
        if token is None:
            return left
        right = self.total(depth)
        again = self.peek
        if again.text in _COMPARISONS:
            raise ExpressionError("comparisons do not chain", self.span, "Write (a < b) and (b < c).")
        return Apply(_COMPARISONS[token.text], (left, right), (_start(left), _stop(right)))

    def total(self, depth: int) -> Tree:
        return self._left(depth, self.product, {"+": "add", "-": "subtract"})

    def product(self, depth: int) -> Tree:
        return self._left(depth, self.sign, {"*": "multiply", "/": "divide"})

    def _left(self, depth: int, inner: object, operators: dict[str, str]) -> Tree:
        tree: Tree = inner(depth)  # type: ignore[operator]
        while token := self.accept(*operators):
            right: Tree = inner(depth)  # type: ignore[operator]
            tree = Apply(operators[token.text], (tree, right), (_start(tree), _stop(right)))
        return tree

    def sign(self, depth: int) -> Tree:
        token = self.accept("-", "+")
        if token is None:
            return self.power(depth)
        if depth > DEEPEST:
            raise ExpressionError(f"nested deeper than {DEEPEST} levels", self.span, "Name the inner parts.")
        inner = self.sign(depth + 1)
        if token.text == "+":
            return inner
        if isinstance(inner, Number):
            return Number(-inner.value, (token.start, _stop(inner)))
        return Apply("negate", (inner,), (token.start, _stop(inner)))

    def power(self, depth: int) -> Tree:
        base = self.atom(depth)
        if not self.accept("**"):
            return base
        if depth > DEEPEST:
            raise ExpressionError(f"nested deeper than {DEEPEST} levels", self.span, "Name the inner parts.")
        exponent = self.sign(depth + 1)
        value = constant_value(exponent)
        span = (_start(exponent), _stop(exponent))
        if value is not None and not abs(value) <= HIGHEST:
            raise ExpressionError(f"an exponent beyond {HIGHEST}", span, "No physiology needs such a power.")
        return Apply("power", (base, exponent), (_start(base), _stop(exponent)))

    def atom(self, depth: int) -> Tree:
        token = self.next()
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise ExpressionError(f"{token.text} is beyond the range of numbers", (token.start, token.stop))
            return Number(value, (token.start, token.stop))
        if token.kind == "name" and token.text not in ("and", "or", "not"):
            return self._call(token, depth) if self.peek.text == "(" else Name(token.text, (token.start, token.stop))
        if token.text == "(" and token.kind == "symbol":
            inner = self.disjunction(depth + 1)
            self.expect(")")
            return inner
        raise ExpressionError(f"expected a number, a name or a bracket, found {_shown(token)}", _within(token))

    def _call(self, token: _Token, depth: int) -> Tree:
        span = (token.start, token.stop)
        arity = FUNCTIONS.get(token.text)
        if arity is None:
            cure = did_you_mean(token.text, FUNCTIONS) or f"Functions are: {', '.join(sorted(FUNCTIONS))}."
            raise ExpressionError(f'"{token.text}" is not a function of the language', span, cure)
        self.expect("(")
        arguments = [self.disjunction(depth + 1)]
        while self.accept(","):
            arguments.append(self.disjunction(depth + 1))
        close = self.expect(")")
        if not arity[0] <= len(arguments) <= arity[1]:
            shape = OPERATORS[token.text].about if token.text in OPERATORS else f"{token.text} takes {arity[0]}"
            raise ExpressionError(f"{token.text} was given {len(arguments)} arguments; write {shape}", span)
        return Apply(token.text, tuple(arguments), (token.start, close.stop))


def _shown(token: _Token) -> str:
    return token.text if token.kind == "end" else f'"{token.text}"'


def _within(token: _Token) -> tuple[int, int]:
    return (token.start, token.stop)


def _start(tree: Tree) -> int:
    return tree.span[0] if tree.span else 0


def _stop(tree: Tree) -> int:
    return tree.span[1] if tree.span else 0


def constant_value(tree: Tree) -> float | None:
    """The value of a tree of literals and arithmetic; None when it names anything, infinite when it overflows."""
    if isinstance(tree, Number):
        return tree.value
    if not isinstance(tree, Apply) or tree.operator not in ("add", "subtract", "multiply", "divide", "negate", "power"):
        return None
    values = [constant_value(each) for each in tree.arguments]
    if any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    try:
        match tree.operator:
            case "negate":
                return -known[0]
            case "add":
                return known[0] + known[1]
            case "subtract":
                return known[0] - known[1]
            case "multiply":
                return known[0] * known[1]
            case "divide":
                return known[0] / known[1]
            case _:
                result = known[0] ** known[1]
                return result if isinstance(result, float) else math.nan
    except (ArithmeticError, ValueError):
        return math.inf
