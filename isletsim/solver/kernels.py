"""The few operations Python has no words for: pointers, calls by address, and loops over whole vector registers.

Every one is a numba intrinsic: a Python name for a handful of LLVM instructions. Sums over stages are written from the
coefficient tables, so that a table becomes constants in the machine code and zeros cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from typing import Any, TypeVar

import numba
import numba.core.cgutils
import numba.extending
from llvmlite import ir

from isletsim.solver.frame import LANES
from isletsim.solver.tables import Row

__all__ = [
    "INTEGERS",
    "REALS",
    "SHORT_INTEGERS",
    "Integers",
    "Reals",
    "blend",
    "call_act",
    "call_at",
    "call_driver",
    "call_factor",
    "call_one",
    "call_two",
    "compiled",
    "constants",
    "copy_row",
    "integers",
    "merged",
    "offset",
    "reals",
    "short_integers",
    "stage_correction",
    "stage_sum",
    "types",
    "weighted_maximum",
]

# numba has types of its own for some versions only; to the type checker it is without.
types: Any = numba.types
cgutils: Any = numba.core.cgutils
njit: Any = numba.njit

REALS = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)
SHORT_INTEGERS = types.CPointer(types.int32)

DOUBLE = ir.DoubleType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)
VECTOR = ir.VectorType(DOUBLE, LANES)
CONTRACT = ("contract",)  # multiply and add in one instruction where the machine can

# How the type checker sees pointers in compiled functions.
Integers = MutableSequence[int]
Reals = MutableSequence[float]
Codegen = Callable[..., Any]
Function = TypeVar("Function", bound=Codegen)


intrinsic: Callable[[Codegen], Codegen] = numba.extending.intrinsic


# No boxing, no reference counts, no exceptions inside.
PLAIN: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    "boundscheck": False,
    "_nrt": False,
}


def compiled(signature: Any) -> Callable[[Function], Function]:
    """Compiles a function at once for one signature."""
    decorate: Callable[[Function], Function] = njit([signature], **PLAIN)
    return decorate


def merged(function: Function) -> Function:
    """Makes a function part of its only caller: what lies between big functions would else be optimised twice."""
    decorate: Callable[[Function], Function] = njit(inline="always", **PLAIN)
    return decorate(function)


def _pointer(kind: types.Type) -> Codegen:
    @intrinsic
    def pointer(typing_context, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), codegen

    return pointer


reals: Callable[[int], Reals] = _pointer(REALS)
integers: Callable[[int], Integers] = _pointer(INTEGERS)
short_integers: Callable[[int], Integers] = _pointer(SHORT_INTEGERS)


@intrinsic
def _offset(typing_context, start, count):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.gep(arguments[0], [arguments[1]])

    return REALS(REALS, types.int64), codegen


offset: Callable[[Reals, int], Reals] = _offset  # the pointer so many numbers further on


def _call(result: types.Type, parameters: Sequence[types.Type]) -> tuple[Any, Codegen]:
    """Signature and code of a call by address with the C calling convention."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        returned = ir.VoidType() if result == types.void else context.get_value_type(result)
        kind = ir.FunctionType(returned, [context.get_value_type(parameter) for parameter in parameters])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        value = builder.call(function, arguments[1:])
        return context.get_dummy_value() if result == types.void else value

    return result(types.int64, *parameters), codegen


@intrinsic
def call_one(typing_context, address, a):  # type: ignore[no-untyped-def]
    """Void (double *): `prepare`."""
    return _call(types.void, (REALS,))


@intrinsic
def call_two(typing_context, address, a, b):  # type: ignore[no-untyped-def]
    """Void (double *, double *): `start`, `solve`."""
    return _call(types.void, (REALS, REALS))


@intrinsic
def call_at(typing_context, address, time, a, b, c):  # type: ignore[no-untyped-def]
    """Void (double, double *, double *, double *): `rhs`, `jac`, `observe`, `roots`."""
    return _call(types.void, (types.float64, REALS, REALS, REALS))


@intrinsic
def call_factor(typing_context, address, jacobian, d, lu):  # type: ignore[no-untyped-def]
    """Int32 (double *, double, double *): `factor`."""
    return _call(types.int32, (REALS, types.float64, REALS))


@intrinsic
def call_act(typing_context, address, index, amount, time, y, p):  # type: ignore[no-untyped-def]
    """Void (int32, double, double, double *, double *): `act`."""
    return _call(types.void, (types.int32, types.float64, types.float64, REALS, REALS))


@intrinsic
def call_driver(typing_context, address, result, exception, frame):  # type: ignore[no-untyped-def]
    """A compiled driver, by numba's own calling convention."""
    return _call(types.int32, (types.int64, types.int64, types.int64))


def constants(values: Sequence[float]) -> Codegen:
    """An intrinsic that looks a number up in a table."""
    table = ir.Constant(ir.ArrayType(DOUBLE, len(values)), list(values))

    @intrinsic
    def look_up(typing_context, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            variable = cgutils.global_constant(builder, "table", table)
            return builder.load(builder.gep(variable, [INT64(0), arguments[0]]))

        return types.float64(types.int64), codegen

    return look_up


def _at(builder: Any, pointer: Any, index: Any) -> Any:
    """Pointer to the vector register that begins at `index`."""
    return builder.bitcast(builder.gep(pointer, [index]), VECTOR.as_pointer())


def _load(builder: Any, pointer: Any, index: Any) -> Any:
    return builder.load(_at(builder, pointer, index), align=8)


def _spread(builder: Any, value: Any) -> Any:
    """A vector with one number in every lane."""
    if isinstance(value, ir.Constant):
        return ir.Constant(VECTOR, [ir.Constant(DOUBLE, value.constant)] * LANES)
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, INT32(0))
    return builder.shuffle_vector(
        one, ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(INT32, LANES), [INT32(0)] * LANES)
    )


def _add_product(builder: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a * b; without a total the product alone."""
    product = builder.fmul(a, b, flags=CONTRACT)
    return product if total is None else builder.fadd(total, product, flags=CONTRACT)


def _row_sum(builder: Any, row: Row, rows: Any, stride: Any, index: Any) -> Any:
    """Sum of coefficient times stage in the lanes at `index`."""
    total = None
    for stage, coefficient in row.items():
        place = builder.add(index, builder.mul(stride, INT64(stage)))
        weight = _spread(builder, ir.Constant(DOUBLE, coefficient))
        total = _add_product(builder, total, _load(builder, rows, place), weight)
    return total


def _for_each_row(
    builder: Any, table: Sequence[Row], number: Any, stride: Any, body: Callable[[Row, Any], None]
) -> None:
    """Chooses the row of a table and runs its loop over vector registers."""
    done = builder.append_basic_block("done")
    choice = builder.switch(number, done)
    for position, row in enumerate(table):
        if not row:
            continue
        block = builder.append_basic_block(f"row.{position}")
        choice.add_case(INT64(position), block)
        builder.position_at_end(block)
        with cgutils.for_range_slice(builder, INT64(0), stride, INT64(LANES), inc=True) as (index, _):
            body(row, index)
        builder.branch(done)
    builder.position_at_end(done)


def stage_sum(table: Sequence[Row]) -> Codegen:
    """An intrinsic for ``out = base + scale * sum_j table[number][j] * rows[j]``."""

    @intrinsic
    def add_stages(typing_context, number, out, base, scale, rows, stride):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            number, out, base, scale, rows, stride = arguments
            factor = _spread(builder, scale)

            def body(row: Row, index: Any) -> None:
                total = _row_sum(builder, row, rows, stride, index)
                value = _add_product(builder, _load(builder, base, index), total, factor)
                builder.store(value, _at(builder, out, index), align=8)

            _for_each_row(builder, table, number, stride, body)
            return context.get_dummy_value()

        return types.void(types.int64, REALS, REALS, types.float64, REALS, types.int64), codegen

    return add_stages


def stage_correction(table: Sequence[Row]) -> Codegen:
    """An intrinsic for ``out += gain * slope + mass * inverse * sum_j table[number][j] * rows[j]``."""

    @intrinsic
    def correct(typing_context, number, out, gain, slope, mass, inverse, rows, stride):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            number, out, gain, slope, mass, inverse, rows, stride = arguments
            gains, inverses = _spread(builder, gain), _spread(builder, inverse)

            def body(row: Row, index: Any) -> None:
                total = _row_sum(builder, row, rows, stride, index)
                weight = builder.fmul(_load(builder, mass, index), inverses)
                value = _add_product(builder, _load(builder, out, index), gains, _load(builder, slope, index))
                value = _add_product(builder, value, weight, total)
                builder.store(value, _at(builder, out, index), align=8)

            _for_each_row(builder, table, number, stride, body)
            return context.get_dummy_value()

        signature = types.void(types.int64, REALS, types.float64, REALS, REALS, types.float64, REALS, types.int64)
        return signature, codegen

    return correct


@intrinsic
def copy_row(typing_context, out, source, stride):  # type: ignore[no-untyped-def]
    """``out = source``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        out, source, stride = arguments
        with cgutils.for_range_slice(builder, INT64(0), stride, INT64(LANES), inc=True) as (index, _):
            builder.store(_load(builder, source, index), _at(builder, out, index), align=8)
        return context.get_dummy_value()

    return types.void(REALS, REALS, types.int64), codegen


@intrinsic
def blend(typing_context, out, base, weights, rows, stride):  # type: ignore[no-untyped-def]
    """``out = base + sum_j weights[j] * rows[j]`` for a tuple of weights."""
    count = len(weights)

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        out, base, weights, rows, stride = arguments
        spread = [_spread(builder, builder.extract_value(weights, j)) for j in range(count)]
        with cgutils.for_range_slice(builder, INT64(0), stride, INT64(LANES), inc=True) as (index, _):
            total = _load(builder, base, index)
            for j in range(count):
                place = builder.add(index, builder.mul(stride, INT64(j)))
                total = _add_product(builder, total, spread[j], _load(builder, rows, place))
            builder.store(total, _at(builder, out, index), align=8)
        return context.get_dummy_value()

    return types.void(REALS, REALS, types.UniTuple(types.float64, count), REALS, types.int64), codegen


@intrinsic
def _weighted_maximum(typing_context, error, before, after, absolute, relative, stride):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        error, before, after, absolute, relative, stride = arguments
        kind = ir.FunctionType(VECTOR, [VECTOR])
        size = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{LANES}f64")
        zero = ir.Constant(VECTOR, [0.0] * LANES)
        largest = cgutils.alloca_once_value(builder, zero)
        total = cgutils.alloca_once_value(builder, zero)
        spread = _spread(builder, relative)
        with cgutils.for_range_slice(builder, INT64(0), stride, INT64(LANES), inc=True) as (index, _):
            a = builder.call(size, [_load(builder, before, index)])
            b = builder.call(size, [_load(builder, after, index)])
            scale = builder.select(builder.fcmp_ordered(">", a, b), a, b)
            scale = _add_product(builder, _load(builder, absolute, index), spread, scale)
            ratio = builder.fdiv(builder.call(size, [_load(builder, error, index)]), scale)
            known = builder.load(largest)
            builder.store(builder.select(builder.fcmp_ordered(">", ratio, known), ratio, known), largest)
            # An infinite scale would hide any error: infinity times zero is no number, and stays none in the sum.
            doubtful = builder.fadd(ratio, builder.fmul(scale, zero))
            builder.store(builder.fadd(builder.load(total), doubtful), total)
        values, sums = builder.load(largest), builder.load(total)
        best = builder.extract_element(values, INT32(0))
        doubt = builder.extract_element(sums, INT32(0))
        for lane in range(1, LANES):
            value = builder.extract_element(values, INT32(lane))
            best = builder.select(builder.fcmp_ordered(">", value, best), value, best)
            doubt = builder.fadd(doubt, builder.extract_element(sums, INT32(lane)))
        return builder.select(builder.fcmp_unordered("uno", doubt, doubt), doubt, best)

    signature = types.float64(REALS, REALS, REALS, REALS, types.float64, types.int64)
    return signature, codegen


# Largest |error| / (absolute + relative * max(|before|, |after|)); not a number when any of them is none.
weighted_maximum: Callable[[Reals, Reals, Reals, Reals, float, int], float] = _weighted_maximum
