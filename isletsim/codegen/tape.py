"""The tape: arithmetic as a row of numbered instructions, each written once.

An instruction is a tuple `(operation, *arguments)`; its number is its place on the tape, and arguments are numbers of
earlier instructions. Equal instructions share one number, numbers are folded, and a little algebra is done on the way
(x * 0, x * 1, x + 0, -(-x)), so that a derivative that vanishes is seen to vanish.

Operations and their arguments:

| operation | gives | arguments |
|---|---|---|
| number | number | a float |
| scalar | number | the name of an argument of the routine: t, d, amount |
| load | number | array name, index, and a serial number that keeps loads at different times apart |
| add sub mul div pow | number | two numbers |
| neg abs floor sqrt exp log tanh sin cos | number | one number |
| log1p | number | a number from 0 to 1 |
| asin acos atan sinh cosh asinh acosh atanh | number | one number |
| select | number | a truth, two numbers |
| value slope | number | index of a table, a number |
| true false | truth | |
| block_clear block_factor block_solve | truth | place, size and stride of a dense block (see `block`) |
| less less_equal equal | truth | two numbers |
| and or not | truth | truths |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["AMOUNT", "BLOCKS", "PARAMETER", "STATE", "TIME", "TRUTHS", "Tape", "arguments_of", "reachable"]

Instruction = tuple[Any, ...]
PARAMETER, TIME, STATE, AMOUNT = 1, 2, 4, 8  # what an instruction depends on, as bits
BLOCKS = frozenset({"block_clear", "block_factor", "block_solve"})
TRUTHS = frozenset({"true", "false", "less", "less_equal", "equal", "and", "or", "not"}) | BLOCKS
LEAVES = frozenset({"number", "scalar", "load", "true", "false"}) | BLOCKS
LARGEST_PRODUCT = 16  # an integer power up to here is written as multiplications
ROOTS = (0.25, 0.5, 0.75, 1.5, -0.25, -0.5)  # powers written as roots and multiplications


class Tape:
    """Instructions under construction.

    `partials` holds derivatives that are known in closed form: for an instruction, pairs of an operand and a function
    that writes the derivative with respect to it. `kinks` maps an instruction at which an equation bends to the
    operand whose zero is the place of the bend.
    """

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.depends: list[int] = []
        self.partials: dict[int, tuple[tuple[int, Callable[[], int]], ...]] = {}
        self.kinks: dict[int, tuple[int, int]] = {}
        self.tables: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
        self._known: dict[Instruction, int] = {}
        self.zero = self.number(0.0)
        self.one = self.number(1.0)
        self.true = self._write(("true",), 0)
        self.false = self._write(("false",), 0)

    def copy(self) -> Tape:
        """The same instructions, to be continued in another way."""
        twin = Tape()
        twin.code, twin.depends, twin._known = self.code.copy(), self.depends.copy(), self._known.copy()
        twin.partials, twin.kinks, twin.tables = self.partials, self.kinks, self.tables
        return twin

    def _write(self, instruction: Instruction, depends: int) -> int:
        place = self._known.get(instruction)
        if place is None:
            place = self._known[instruction] = len(self.code)
            self.code.append(instruction)
            self.depends.append(depends)
        return place

    def _unary(self, operation: str, a: int) -> int:
        return self._write((operation, a), self.depends[a])

    def _binary(self, operation: str, a: int, b: int) -> int:
        return self._write((operation, a, b), self.depends[a] | self.depends[b])

    def constant(self, a: int) -> float | None:
        """The value of an instruction that is a number."""
        code = self.code[a]
        return code[1] if code[0] == "number" else None

    def is_truth(self, a: int) -> bool:
        """Whether an instruction gives a truth rather than a number."""
        return self.code[a][0] in TRUTHS

    # Leaves

    def number(self, value: float) -> int:
        """A number; -0 is written as 0."""
        return self._write(("number", float(value) + 0.0), 0)

    def scalar(self, name: str, depends: int) -> int:
        """An argument of the routine that is a number."""
        return self._write(("scalar", name), depends)

    def load(self, array: str, index: int, depends: int, serial: int = 0) -> int:
        """An element of an array; another serial number reads it again."""
        return self._write(("load", array, index, serial), depends)

    def block(self, operation: str, place: int, size: int, stride: int) -> int:
        """A call of one of `BLOCKS`."""
        return self._write((operation, place, size, stride), STATE)

    # Arithmetic

    def neg(self, a: int) -> int:
        """-a"""
        code = self.code[a]
        if code[0] == "number":
            return self.number(-code[1])
        if code[0] == "neg":
            return int(code[1])
        if code[0] == "sub":
            return self._binary("sub", code[2], code[1])
        return self._unary("neg", a)

    def add(self, a: int, b: int) -> int:
        """a + b"""
        code_a, code_b = self.code[a], self.code[b]
        if code_a[0] == "number":
            if code_b[0] == "number":
                return self.number(code_a[1] + code_b[1])
            if code_a[1] == 0:
                return b
        elif code_b[0] == "number" and code_b[1] == 0:
            return a
        if code_b[0] == "neg":
            return self.sub(a, code_b[1])
        if code_a[0] == "neg":
            return self.sub(b, code_a[1])
        return self._binary("add", a, b) if a <= b else self._binary("add", b, a)

    def sub(self, a: int, b: int) -> int:
        """a - b"""
        code_a, code_b = self.code[a], self.code[b]
        if code_b[0] == "number":
            if code_a[0] == "number":
                return self.number(code_a[1] - code_b[1])
            if code_b[1] == 0:
                return a
        elif code_a[0] == "number" and code_a[1] == 0:
            return self.neg(b)
        if a == b:
            return self.zero
        if code_b[0] == "neg":
            return self.add(a, code_b[1])
        return self._binary("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        """a * b"""
        code_a, code_b = self.code[a], self.code[b]
        if code_b[0] == "number":
            a, b, code_a, code_b = b, a, code_b, code_a
        if code_a[0] == "number":
            factor = code_a[1]
            if code_b[0] == "number":
                return self.number(factor * code_b[1])
            if factor == 0:
                return self.zero
            if factor == 1:
                return b
            if factor == -1:
                return self.neg(b)
            if code_b[0] == "neg":
                return self.mul(self.number(-factor), code_b[1])
        if code_a[0] == "neg":
            return self.mul(code_a[1], code_b[1]) if code_b[0] == "neg" else self.neg(self.mul(code_a[1], b))
        if code_b[0] == "neg":
            return self.neg(self.mul(a, code_b[1]))
        return self._binary("mul", a, b) if a <= b else self._binary("mul", b, a)

    def div(self, a: int, b: int) -> int:
        """a / b"""
        code_a, code_b = self.code[a], self.code[b]
        if code_b[0] == "number":
            if code_a[0] == "number":
                return self.number(_quotient(code_a[1], code_b[1]))
            if code_b[1] == 1:
                return a
            if code_b[1] == -1:
                return self.neg(a)
        if code_a[0] == "number" and code_a[1] == 0:
            return self.zero
        if code_a[0] == "neg":
            return self.neg(self.div(code_a[1], b))
        return self._binary("div", a, b)

    def pow(self, a: int, b: int) -> int:
        """a ** b, as products or roots where the exponent is such a number."""
        base, exponent = self.constant(a), self.constant(b)
        if exponent is not None:
            if base is not None:
                return self.number(_power(base, exponent))
            if abs(exponent) <= LARGEST_PRODUCT and exponent == int(exponent):
                return self._integer_power(a, int(exponent))
            if exponent in ROOTS:
                return self._root_power(a, abs(exponent), inverse=exponent < 0)
        elif base == 1:
            return self.one
        return self._binary("pow", a, b)

    def _integer_power(self, a: int, exponent: int) -> int:
        if exponent < 0:
            return self.div(self.one, self._integer_power(a, -exponent))
        result, square = self.one, a
        while exponent:
            if exponent & 1:
                result = self.mul(result, square)
            exponent >>= 1
            if exponent:
                square = self.mul(square, square)
        return result

    def _root_power(self, a: int, exponent: float, inverse: bool) -> int:
        result, root = self.one, a
        while exponent:
            if exponent >= 1:
                result = self.mul(result, root)
            exponent = 2 * (exponent % 1)
            if exponent:
                root = self.unary("sqrt", root)
        return self.div(self.one, result) if inverse else result

    def unary(self, operation: str, a: int) -> int:
        """One of the operations on one number, `neg` apart."""
        value = self.constant(a)
        if value is not None:
            return self.number(_FOLD[operation](value))
        return self._unary(operation, a)

    # Truths

    def less(self, a: int, b: int) -> int:
        """a < b"""
        return self._compare("less", a, b, lambda x, y: x < y)

    def less_equal(self, a: int, b: int) -> int:
        """a <= b"""
        return self._compare("less_equal", a, b, lambda x, y: x <= y)

    def equal(self, a: int, b: int) -> int:
        """a == b"""
        return self._compare("equal", min(a, b), max(a, b), lambda x, y: x == y)

    def _compare(self, operation: str, a: int, b: int, holds: Callable[[float, float], bool]) -> int:
        value_a, value_b = self.constant(a), self.constant(b)
        if value_a is not None and value_b is not None:
            return self.true if holds(value_a, value_b) else self.false
        return self._binary(operation, a, b)

    def both(self, a: int, b: int) -> int:
        """a and b"""
        if self.false in (a, b):
            return self.false
        if a == self.true or a == b:
            return b
        return a if b == self.true else self._binary("and", a, b)

    def either(self, a: int, b: int) -> int:
        """a or b"""
        if self.true in (a, b):
            return self.true
        if a == self.false or a == b:
            return b
        return a if b == self.false else self._binary("or", a, b)

    def negation(self, a: int) -> int:
        """not a"""
        if a == self.true:
            return self.false
        if a == self.false:
            return self.true
        code = self.code[a]
        return int(code[1]) if code[0] == "not" else self._unary("not", a)

    def as_number(self, a: int) -> int:
        """1 for true and 0 for false; a number stays as it is."""
        return self.select(a, self.one, self.zero) if self.is_truth(a) else a

    def as_truth(self, a: int) -> int:
        """Whether a number differs from 0; a truth stays as it is."""
        if self.is_truth(a):
            return a
        code = self.code[a]
        if code[0] == "select" and code[2:] == (self.one, self.zero):
            return int(code[1])
        return self.negation(self.equal(a, self.zero))

    def select(self, condition: int, a: int, b: int) -> int:
        """a where the condition holds, else b."""
        if a == b or condition == self.true:
            return a
        if condition == self.false:
            return b
        if self.code[condition][0] == "not":
            condition, a, b = self.code[condition][1], b, a
        depends = self.depends[condition] | self.depends[a] | self.depends[b]
        return self._write(("select", condition, a, b), depends)

    # Tables

    def table(self, abscissae: tuple[float, ...], ordinates: tuple[float, ...]) -> int:
        """The index of piecewise linear data."""
        data = (abscissae, ordinates)
        if data not in self.tables:
            self.tables.append(data)
        return self.tables.index(data)

    def value(self, table: int, a: int) -> int:
        """The ordinate of a table at a."""
        return self._write(("value", table, a), self.depends[a])

    def slope(self, table: int, a: int) -> int:
        """The slope of a table after a."""
        return self._write(("slope", table, a), self.depends[a])


def arguments_of(code: Instruction) -> tuple[int, ...]:
    """The instructions that an instruction reads."""
    operation = code[0]
    if operation in LEAVES:
        return ()
    return code[2:] if operation in ("value", "slope") else code[1:]


def reachable(tape: Tape, roots: Iterable[int]) -> list[int]:
    """Every instruction that the roots need, in the order of the tape."""
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        place = stack.pop()
        if place not in seen:
            seen.add(place)
            stack.extend(arguments_of(tape.code[place]))
    return sorted(seen)


def _quotient(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _guarded(function: Callable[[float], float], outside: float = math.nan) -> Callable[[float], float]:
    """A function of `math` that gives what the processor gives instead of an exception."""

    def folded(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return outside

    return folded


_FOLD: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "floor": lambda a: float(math.floor(a)) if math.isfinite(a) else a,
    "sqrt": _guarded(math.sqrt),
    "exp": _guarded(math.exp),
    "log": lambda a: -math.inf if a == 0 else _guarded(math.log)(a),
    "log1p": lambda a: -math.inf if a == -1 else _guarded(math.log1p)(a),
    "tanh": math.tanh,
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "asin": _guarded(math.asin),
    "acos": _guarded(math.acos),
    "atan": math.atan,
    "sinh": lambda a: math.copysign(math.inf, a) if abs(a) > 711 else math.sinh(a),
    "cosh": _guarded(math.cosh),
    "asinh": math.asinh,
    "acosh": _guarded(math.acosh),
    "atanh": lambda a: math.copysign(math.inf, a) if abs(a) == 1 else _guarded(math.atanh)(a),
}
