"""Vector instructions for the kernels of the driver: a vector holds one number per lane.

Nothing is summed or compared across lanes, so what a lane computes depends on its own numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from isletsim.solver.frame import EXPLICIT
from isletsim.solver.intrinsics import (
    DOUBLE,
    INT32,
    INT64,
    Codegen,
    StructType,
    cgutils,
    intrinsic,
    types,
    with_arguments,
)

__all__ = ["Lanes", "kernel"]

ROOT_SEED = 0x4CB8A400  # of the high half of a double: the first guess of x ** (-1 / 5)


class Lanes:
    """Instructions for vectors of one width; a Python number stands for a vector full of it.

    `builder` writes the instructions; the rows of the frame are read and written by name.
    """

    def __init__(self, builder: Any, struct: StructType, frame: Any) -> None:
        self.builder, self.struct, self.frame = builder, struct, frame
        self.count = struct.layout.lanes
        self.single = self.count == 1
        self.vector, self.truths, self.words, self.halves = (
            kind if self.single else ir.VectorType(kind, self.count) for kind in (DOUBLE, ir.IntType(1), INT64, INT32)
        )
        self.suffix = "f64" if self.single else f"v{self.count}f64"

    # The frame

    def row(self, name: str) -> Any:
        """Load a row of the frame."""
        return self.load(self.struct.field(self.builder, self.frame, name), 0)

    def put(self, name: str, value: Any) -> None:
        """Store a row of the frame."""
        self.store(value, self.struct.field(self.builder, self.frame, name), 0)

    def number(self, name: str) -> Any:
        """Load a single field of the frame: an integer, a double, or the pointer to an array."""
        kind = self.struct.layout.fields[name].kind
        value = self.builder.load(self.struct.field(self.builder, self.frame, name), align=8)
        if kind in ("int", "float"):
            return value
        return self.builder.inttoptr(value, (INT64 if kind == "Integers" else DOUBLE).as_pointer())

    def collect(self, name: str) -> Any:
        """Load a row whose numbers were just written one by one; to load it whole would have to wait."""
        if self.single:
            return self.row(name)
        pointer, total = self.struct.field(self.builder, self.frame, name), ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.count):
            # Atomic loads are ordinary ones here, but LLVM does not join them again.
            number = self.builder.load_atomic(self.builder.gep(pointer, [INT64(lane)]), "monotonic", 8)
            total = self.builder.insert_element(total, number, INT32(lane))
        return total

    # Memory

    def constant(self, kind: Any, value: float) -> Any:
        """Return a vector full of a number known now."""
        return ir.Constant(kind, value if self.single else [ir.Constant(kind.element, value)] * self.count)

    def full(self, value: Any) -> Any:
        """Return a Python number as a vector, and a vector as it is."""
        return self.constant(self.vector, value) if isinstance(value, float) else value

    def spread(self, value: Any) -> Any:
        """Return a vector full of a number known at run time."""
        if self.single:
            return value
        nothing = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(nothing, value, INT32(0))
        return self.builder.shuffle_vector(one, nothing, self.constant(self.halves, 0))

    def place(self, pointer: Any, index: Any) -> Any:
        """Return the address of an element."""
        vectors = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.gep(vectors, [INT64(index) if isinstance(index, int) else index])

    def load(self, pointer: Any, index: Any) -> Any:
        """Load an element."""
        return self.builder.load(self.place(pointer, index), align=8 * self.count)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """Store an element."""
        self.builder.store(self.full(value), self.place(pointer, index), align=8 * self.count)

    def stage(self, rows: Any, number: int, index: Any) -> Any:
        """Load an element of a stage; `rows` is what `stages` returned."""
        pointer, stride = rows
        return self.load(pointer, self.builder.add(index, self.builder.mul(stride, INT64(number))))

    def stages(self, name: str = "stages") -> Any:
        """Return where the stages are and how far apart."""
        return self.number(name), self.number("stride")

    @contextmanager
    def each(self, count: Any) -> Iterator[Any]:
        """Loop over elements."""
        with cgutils.for_range_slice(self.builder, INT64(0), count, INT64(1), inc=True) as (index, _):
            yield index

    def cases(self, number: Any, numbers: Sequence[int], write: Callable[[int], None]) -> None:
        """Choose the code for a number known at run time."""
        done = self.builder.append_basic_block("done")
        choice = self.builder.switch(number, done)
        for each in numbers:
            block = self.builder.append_basic_block(f"case.{each}")
            choice.add_case(INT64(each), block)
            self.builder.position_at_end(block)
            write(each)
            self.builder.branch(done)
        self.builder.position_at_end(done)

    def variable(self, value: float) -> Any:
        """Return the address of a new local vector."""
        return cgutils.alloca_once_value(self.builder, self.full(value))

    # Arithmetic

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
        """total + a b with one rounding; left to LLVM, what is joined would depend on the code around."""
        if total is None:
            return self.mul(a, b)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix}")
        return self.builder.call(function, [self.full(a), self.full(b), self.full(total)])

    def _one(self, name: str, a: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.suffix}")
        return self.builder.call(function, [a])

    def abs(self, a: Any) -> Any:
        """|a|"""
        return self._one("fabs", a)

    def floor(self, a: Any) -> Any:
        """The integer below."""
        return self._one("floor", a)

    def test(self, how: str, a: Any, b: Any) -> Any:
        """Lanes in which a comparison holds; never where one side is NaN."""
        return self.builder.fcmp_ordered(how, self.full(a), self.full(b))

    def pick(self, condition: Any, a: Any, b: Any) -> Any:
        """a in the lanes of a condition, else b."""
        return self.builder.select(condition, self.full(a), self.full(b))

    def least(self, a: Any, b: Any) -> Any:
        """The smaller of two; b if one is NaN."""
        return self.pick(self.test("<", a, b), a, b)

    def most(self, a: Any, b: Any) -> Any:
        """The larger of two; b if one is NaN."""
        return self.pick(self.test(">", a, b), a, b)

    def mask(self, bits: Any) -> Any:
        """The lanes whose bit is set in an integer."""
        return self.builder.bitcast(self.builder.trunc(bits, ir.IntType(self.count)), self.truths)

    def bits(self, truths: Any) -> Any:
        """Truths as the bits of an integer."""
        return self.builder.zext(self.builder.bitcast(truths, ir.IntType(self.count)), INT64)

    def fifth_root(self, x: Any) -> Any:
        """x ** (-1 / 5) to five digits: a guess from the exponent, and two steps of Newton's method."""
        b = self.builder
        high = b.lshr(b.bitcast(x, self.words), self.constant(self.words, 32))
        fifth = b.udiv(b.trunc(high, self.halves), self.constant(self.halves, 5))
        guess = b.zext(b.sub(self.constant(self.halves, ROOT_SEED), fifth), self.words)
        y = b.bitcast(b.shl(guess, self.constant(self.words, 32)), self.vector)
        for _ in range(2):
            square = self.mul(y, y)
            fourth = self.mul(square, square)
            y = self.mul(y, self.sub(1.2, self.mul(self.mul(x, 0.2), self.mul(fourth, y))))
        return y

    def growth_root(self, x: Any) -> Any:
        """x ** (-1 / order of the error estimate): order 5, or 8 for DOP853, which only one lane has."""
        fifth = self.fifth_root(x)
        if not self.single:
            return fifth
        eighth = x
        for _ in range(3):
            eighth = self._one("sqrt", eighth)
        explicit = self.builder.icmp_signed("==", self.number("method"), INT64(EXPLICIT))
        return self.pick(explicit, self.div(1.0, eighth), fifth)

    def masses(self) -> Any:
        """Load where the diagonal of the mass matrix is; None if there are several lanes, which have no zeros in it."""
        return self.number("mass") if self.single else None

    def masked(self, value: Any, masses: Any, index: Any) -> Any:
        """value times an element of the mass matrix: 0 in the row of an algebraic unknown."""
        return value if masses is None else self.mul(value, self.load(masses, index))


def kernel(*kinds: Any, result: Any = types.void) -> Callable[[Callable[..., Any]], Codegen]:
    """Make an intrinsic of a function that writes vector code: its first argument is the frame, then come `kinds`."""

    def decorate(write: Callable[..., Any]) -> Codegen:
        def typed(typing_context, frame, *others):  # type: ignore[no-untyped-def]
            def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                answer = write(Lanes(builder, signature.args[0], arguments[0]), *arguments[1:])
                return context.get_dummy_value() if result == types.void else answer

            return result(frame, *kinds), codegen

        typed.__name__, typed.__doc__ = write.__name__, write.__doc__
        return intrinsic(with_arguments(typed, ["frame", *(f"argument{place}" for place in range(len(kinds)))]))

    return decorate
