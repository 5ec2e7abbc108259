"""Vector instructions in a few words, for the intrinsics of the lane driver.

Nothing is summed or compared across lanes, so what a lane computes depends on its own numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from isletsim.solver import lane_frame as at
from isletsim.solver.kernels import DOUBLE, INT32, INT64, Codegen, cgutils, types

__all__ = ["Lanes", "each_vector"]


def _vector(kind: Any) -> Any:
    """So many of a kind; one of it where there is one lane."""
    return kind if at.LANES == 1 else ir.VectorType(kind, at.LANES)


VECTOR = _vector(DOUBLE)
TRUTHS = _vector(ir.IntType(1))
BITS = ir.IntType(at.LANES)
WORDS = _vector(INT64)
HALVES = _vector(INT32)
ALIGNED = 8 * at.LANES
SUFFIX = "f64" if at.LANES == 1 else f"v{at.LANES}f64"

ROOT_SEED = 0x4CB8A400  # of the high half of a double: the first guess of x ** (-1 / 5)


def _constant(kind: Any, value: float) -> Any:
    """A vector full of a number known now."""
    return ir.Constant(kind, value if at.LANES == 1 else [ir.Constant(kind.element, value)] * at.LANES)


class Lanes:
    """Vector instructions in a few words; a number stands for a vector full of it."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def full(self, value: Any) -> Any:
        """A number as a vector; vectors stay as they are."""
        return _constant(VECTOR, value) if isinstance(value, float) else value

    def spread(self, value: Any) -> Any:
        """A vector full of a number known at run time."""
        if at.LANES == 1:
            return value
        one = self.builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, INT32(0))
        nothing = ir.Constant(VECTOR, ir.Undefined)
        return self.builder.shuffle_vector(one, nothing, _constant(HALVES, 0))

    def place(self, pointer: Any, index: Any) -> Any:
        """The address of a vector."""
        vectors = self.builder.bitcast(pointer, VECTOR.as_pointer())
        return self.builder.gep(vectors, [INT64(index) if isinstance(index, int) else index])

    def load(self, pointer: Any, index: Any) -> Any:
        """A vector from memory."""
        return self.builder.load(self.place(pointer, index), align=ALIGNED)

    def collect(self, pointer: Any, row: int) -> Any:
        """A vector put together from numbers that were just written one by one; to load it whole would have to wait."""
        builder = self.builder
        if at.LANES == 1:
            return self.load(pointer, row)
        total = ir.Constant(VECTOR, ir.Undefined)
        for lane in range(at.LANES):
            # Atomic loads are ordinary ones here, but LLVM does not join them again.
            number = builder.load_atomic(builder.gep(pointer, [INT64(row * at.LANES + lane)]), "monotonic", 8)
            total = builder.insert_element(total, number, INT32(lane))
        return total

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """A vector into memory."""
        self.builder.store(self.full(value), self.place(pointer, index), align=ALIGNED)

    def add(self, a: Any, b: Any) -> Any:
        """a + b"""
        return self.builder.fadd(self.full(a), self.full(b))

    def sub(self, a: Any, b: Any) -> Any:
        """a - b"""
        return self.builder.fsub(self.full(a), self.full(b))

    def mul(self, a: Any, b: Any) -> Any:
        """a b"""
        return self.builder.fmul(self.full(a), self.full(b))

    def div(self, a: Any, b: Any) -> Any:
        """a / b"""
        return self.builder.fdiv(self.full(a), self.full(b))

    def sum(self, total: Any, a: Any, b: Any) -> Any:
        """total + a b with one rounding; left to LLVM, what is joined would depend on what stands around."""
        if total is None:
            return self.mul(a, b)
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{SUFFIX}")
        return self.builder.call(function, [self.full(a), self.full(b), self.full(total)])

    def _one(self, name: str, a: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{SUFFIX}")
        return self.builder.call(function, [a])

    def size(self, a: Any) -> Any:
        """|a|"""
        return self._one("fabs", a)

    def floor(self, a: Any) -> Any:
        """The integer below."""
        return self._one("floor", a)

    def test(self, how: str, a: Any, b: Any) -> Any:
        """Where a comparison holds; never where one side is no number."""
        return self.builder.fcmp_ordered(how, self.full(a), self.full(b))

    def pick(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b."""
        return self.builder.select(condition, self.full(a), self.full(b))

    def least(self, a: Any, b: Any) -> Any:
        """The smaller of two; b where one is no number."""
        return self.pick(self.test("<", a, b), a, b)

    def most(self, a: Any, b: Any) -> Any:
        """The larger of two; b where one is no number."""
        return self.pick(self.test(">", a, b), a, b)

    def mask(self, bits: Any) -> Any:
        """The lanes whose bit is set in an integer."""
        return self.builder.bitcast(self.builder.trunc(bits, BITS), TRUTHS)

    def bits(self, truths: Any) -> Any:
        """Truths as the bits of an integer."""
        return self.builder.zext(self.builder.bitcast(truths, BITS), INT64)

    def root(self, x: Any) -> Any:
        """x ** (-1 / 5) to five digits: a guess from the exponent, and two steps of Newton's method."""
        b = self.builder
        high = b.lshr(b.bitcast(x, WORDS), _constant(WORDS, 32))
        fifth = b.udiv(b.trunc(high, HALVES), _constant(HALVES, 5))
        guess = b.zext(b.sub(_constant(HALVES, ROOT_SEED), fifth), WORDS)
        y = b.bitcast(b.shl(guess, _constant(WORDS, 32)), VECTOR)
        for _ in range(2):
            square = self.mul(y, y)
            fourth = self.mul(square, square)
            y = self.mul(y, self.sub(1.2, self.mul(self.mul(x, 0.2), self.mul(fourth, y))))
        return y


Body = Callable[[Lanes, Any, list[Any]], None]


def each_vector(parameters: Sequence[Any], body: Body) -> tuple[Any, Codegen]:
    """Signature and code of a loop over vectors; the first argument is their number."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count, *others = arguments
        lanes = Lanes(builder)
        with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
            body(lanes, index, others)
        return context.get_dummy_value()

    return types.void(types.int64, *parameters), codegen
