"""The work of a step in eight lanes, as numba intrinsics: calls, rows of vectors, stages, dense output, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from isletsim.solver import lane_frame as at
from isletsim.solver import tables
from isletsim.solver.kernels import INT64, INTEGERS, REALS, Codegen, cgutils, intrinsic, types
from isletsim.solver.lane_vectors import Lanes, each_vector
from isletsim.solver.tables import Row

__all__ = [
    "add_point",
    "add_slopes",
    "call_lane_act",
    "call_lane_factor",
    "call_lanes",
    "clear_rows",
    "copy_rows",
    "difference",
    "estimate",
    "fixed_end",
    "fixed_point",
    "fixed_stage",
    "interpolate_lanes",
    "later_stage",
    "next_subject",
    "renew_lanes",
    "stage_time",
    "take_lanes",
    "weighted",
]

STAGES = tables.RODAS5P_STAGES


# Calls


def _call(result: Any, parameters: Sequence[Any]) -> tuple[Any, Codegen]:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        returned = ir.VoidType() if result == types.void else context.get_value_type(result)
        kind = ir.FunctionType(returned, [context.get_value_type(parameter) for parameter in parameters])
        value = builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value() if result == types.void else value

    return result(types.int64, *parameters), codegen


@intrinsic
def call_lanes(typing_context, address, time, a, b, c):  # type: ignore[no-untyped-def]
    """`rhs`, `jac`, `observe`."""
    return _call(types.void, (REALS, REALS, REALS, REALS))


@intrinsic
def call_lane_factor(typing_context, address, jacobian, d, lu):  # type: ignore[no-untyped-def]
    """`factor`: one bit a lane, set where a pivot is too small."""
    return _call(types.int32, (REALS, REALS, REALS))


@intrinsic
def call_lane_act(typing_context, address, index, amount, time, y, p):  # type: ignore[no-untyped-def]
    """`act`."""
    return _call(types.void, (types.int32, REALS, REALS, REALS, REALS))


@intrinsic
def next_subject(typing_context, counter):  # type: ignore[no-untyped-def]
    """The number of the next subject; no two threads get the same."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.atomic_rmw("add", arguments[0], INT64(1), "monotonic")

    return types.int64(INTEGERS), codegen


# Rows of vectors


@intrinsic
def clear_rows(typing_context, count, out):  # type: ignore[no-untyped-def]
    """``out = 0``."""
    return each_vector((REALS,), lambda lanes, index, given: lanes.store(0.0, given[0], index))


@intrinsic
def copy_rows(typing_context, count, out, source):  # type: ignore[no-untyped-def]
    """``out = source``."""

    def body(lanes: Lanes, index: Any, given: list[Any]) -> None:
        out, source = given
        lanes.store(lanes.load(source, index), out, index)

    return each_vector((REALS, REALS), body)


@intrinsic
def take_lanes(typing_context, count, out, source, bits):  # type: ignore[no-untyped-def]
    """``out = source`` in the lanes whose bit is set."""

    def body(lanes: Lanes, index: Any, given: list[Any]) -> None:
        out, source, bits = given
        lanes.store(lanes.pick(lanes.mask(bits), lanes.load(source, index), lanes.load(out, index)), out, index)

    return each_vector((REALS, REALS, types.int64), body)


@intrinsic
def renew_lanes(typing_context, count, out, source, bits):  # type: ignore[no-untyped-def]
    """``out = source`` in the lanes whose bit is set. Returns those of them where anything changed."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, out, source, bits = arguments
        lanes = Lanes(builder)
        chosen = lanes.mask(bits)
        changed = cgutils.alloca_once_value(builder, lanes.mask(INT64(0)))
        with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
            before, after = lanes.load(out, index), lanes.load(source, index)
            other = builder.and_(chosen, builder.fcmp_unordered("!=", before, after))
            builder.store(builder.or_(builder.load(changed), other), changed)
            lanes.store(lanes.pick(chosen, after, before), out, index)
        return lanes.bits(builder.load(changed))

    return types.int64(types.int64, REALS, REALS, types.int64), codegen


@intrinsic
def add_point(typing_context, count, out, base, row, slope):  # type: ignore[no-untyped-def]
    """``out = base + row * slope`` with one number of `row` a lane."""

    def body(lanes: Lanes, index: Any, given: list[Any]) -> None:
        out, base, row, slope = given
        lanes.store(lanes.sum(lanes.load(base, index), lanes.load(row, 0), lanes.load(slope, index)), out, index)

    return each_vector((REALS, REALS, REALS, REALS), body)


@intrinsic
def difference(typing_context, count, out, a):  # type: ignore[no-untyped-def]
    """``out = out - a``."""

    def body(lanes: Lanes, index: Any, given: list[Any]) -> None:
        out, a = given
        lanes.store(lanes.sub(lanes.load(out, index), lanes.load(a, index)), out, index)

    return each_vector((REALS, REALS), body)


# Stages


@intrinsic
def add_slopes(typing_context, count, rows, out, slope, control, weight):  # type: ignore[no-untyped-def]
    """``out[row] += h weight slope[row]`` in the listed rows."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, rows, out, slope, control, weight = arguments
        lanes = Lanes(builder)
        gain = lanes.mul(lanes.load(control, at.H), lanes.spread(weight))
        with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
            row = builder.load(builder.gep(rows, [index]))
            lanes.store(lanes.sum(lanes.load(out, row), gain, lanes.load(slope, row)), out, row)
        return context.get_dummy_value()

    return types.void(types.int64, INTEGERS, REALS, REALS, REALS, types.float64), codegen


def _stage_loop(
    lanes: Lanes, count: Any, stage: int, argument: Any, base: Any, rows: Any, stride: Any, control: Any
) -> None:
    """The argument of a stage, and all of its right-hand side but f, in one pass over the stages before."""
    builder = lanes.builder
    moves: Row = tables.RODAS5P_ARGUMENT[stage]
    corrections: Row = tables.RODAS5P_CORRECTION[stage]
    inverse = lanes.load(control, at.INVERSE)
    with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
        point, total = lanes.load(base, index), None
        for each in range(stage):
            k = lanes.load(rows, builder.add(index, builder.mul(stride, INT64(each))))
            if moves.get(each) == 1.0:
                point = lanes.add(point, k)
            elif each in moves:
                point = lanes.sum(point, k, moves[each])
            total = lanes.sum(total, k, corrections[each])
        lanes.store(point, argument, index)
        lanes.store(lanes.mul(total, inverse), rows, builder.add(index, builder.mul(stride, INT64(stage))))


@intrinsic
def later_stage(typing_context, count, number, argument, state, rows, stride, control):  # type: ignore[no-untyped-def]
    """Stages from 1 on: the argument, and ``rows[number] = sum_j C_j rows[j] / h``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, number, argument, state, rows, stride, control = arguments
        lanes = Lanes(builder)
        done = builder.append_basic_block("done")
        choice = builder.switch(number, done)
        for stage in range(1, STAGES):
            block = builder.append_basic_block(f"stage.{stage}")
            choice.add_case(INT64(stage), block)
            builder.position_at_end(block)
            base = argument if 1.0 in tables.RODAS5P_ARGUMENT[stage].values() else state
            _stage_loop(lanes, count, stage, argument, base, rows, stride, control)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, REALS, REALS, REALS, types.int64, REALS), codegen


@intrinsic
def stage_time(typing_context, control, node):  # type: ignore[no-untyped-def]
    """Where a stage stands: ``STAGE_TIME = TIME + node H``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        control, node = arguments
        lanes = Lanes(builder)
        time = lanes.sum(lanes.load(control, at.TIME), lanes.spread(node), lanes.load(control, at.H))
        lanes.store(time, control, at.STAGE_TIME)
        return context.get_dummy_value()

    return types.void(REALS, types.float64), codegen


def _ratio_loop(lanes: Lanes, count: Any, absolute: Any, relative: Any, terms: Callable[[Any], tuple[Any, Any]]) -> Any:
    """The largest |error| / (absolute + relative * size) of every lane; no number where any term is none or infinite.

    `terms` gives error and size for an index. Ratios are compared by cross-multiplication, so one division is enough.
    """
    builder = lanes.builder
    zero = lanes.full(0.0)
    above, below = (cgutils.alloca_once_value(builder, lanes.full(start)) for start in (0.0, 1.0))
    doubt = cgutils.alloca_once_value(builder, zero)
    spread = lanes.spread(relative)
    with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
        error, size = terms(index)
        floor = lanes.spread(builder.load(builder.gep(absolute, [index])))
        error, scale = lanes.size(error), lanes.sum(floor, spread, size)
        best, of = builder.load(above), builder.load(below)
        larger = lanes.test(">", builder.fmul(error, of), builder.fmul(best, scale))
        builder.store(lanes.pick(larger, error, best), above)
        builder.store(lanes.pick(larger, scale, of), below)
        # Infinity and no number times zero are no number, and stay none in the sum.
        builder.store(lanes.sum(builder.load(doubt), lanes.add(error, scale), 0.0), doubt)
    return builder.fadd(lanes.div(builder.load(above), builder.load(below)), builder.load(doubt))


@intrinsic
def estimate(typing_context, count, state, following, last, control, absolute, relative):  # type: ignore[no-untyped-def]
    """``following += last``, the new state; ERROR is the size of `last` over its tolerance."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, state, following, last, control, absolute, relative = arguments
        lanes = Lanes(builder)

        def terms(index: Any) -> tuple[Any, Any]:
            error = lanes.load(last, index)
            value = lanes.add(lanes.load(following, index), error)
            lanes.store(value, following, index)
            return error, lanes.most(lanes.size(value), lanes.size(lanes.load(state, index)))

        lanes.store(_ratio_loop(lanes, count, absolute, relative, terms), control, at.ERROR)
        return context.get_dummy_value()

    return types.void(types.int64, REALS, REALS, REALS, REALS, REALS, types.float64), codegen


@intrinsic
def weighted(typing_context, count, vector, state, control, row, absolute, relative):  # type: ignore[no-untyped-def]
    """The size of a vector in units of the tolerance, into a row of CONTROL."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, vector, state, control, row, absolute, relative = arguments
        lanes = Lanes(builder)

        def terms(index: Any) -> tuple[Any, Any]:
            return lanes.load(vector, index), lanes.size(lanes.load(state, index))

        lanes.store(_ratio_loop(lanes, count, absolute, relative, terms), control, row)
        return context.get_dummy_value()

    return types.void(types.int64, REALS, REALS, REALS, types.int64, REALS, types.float64), codegen


def _blend(
    lanes: Lanes,
    count: Any,
    listed: Any,
    out: Any,
    state: Any,
    rows: Any,
    stride: Any,
    weights: Sequence[Any],
    look: Callable[[Any], None] = lambda _: None,
) -> None:
    """``out = state + sum_j weights[j] rows[j]``, in the listed rows or, without a list, in all; `look` sees each."""
    builder = lanes.builder
    with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (number, _):
        index = number if listed is None else builder.load(builder.gep(listed, [number]))
        total = lanes.load(state, index)
        for stage, weight in enumerate(weights):
            total = lanes.sum(total, lanes.load(rows, builder.add(index, builder.mul(stride, INT64(stage)))), weight)
        lanes.store(total, out, index)
        look(total)


@intrinsic
def interpolate_lanes(typing_context, count, listed, out, state, rows, stride, control):  # type: ignore[no-untyped-def]
    """The listed states at the FRACTION of the step, by dense output."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, listed, out, state, rows, stride, control = arguments
        lanes = Lanes(builder)
        x = lanes.load(control, at.FRACTION)
        hump = lanes.mul(x, lanes.sub(1.0, x))
        weights = []
        for stage in range(STAGES):
            first, *others = [row.get(stage, 0.0) for row in tables.RODAS5P_DENSE]
            inner = lanes.full(others[-1])
            for coefficient in reversed(others[:-1]):
                inner = lanes.sum(lanes.full(coefficient), inner, x)
            weights.append(lanes.sum(lanes.mul(x, first), hump, inner))
        _blend(lanes, count, listed, out, state, rows, stride, weights)
        return context.get_dummy_value()

    return types.void(types.int64, INTEGERS, REALS, REALS, REALS, types.int64, REALS), codegen


# The method of equal steps


@intrinsic
def fixed_stage(typing_context, count, number, argument, state, rows, stride, control):  # type: ignore[no-untyped-def]
    """``argument = state + h sum_j a_j rows[j]`` and ``rows[number] = 0``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, number, argument, state, rows, stride, control = arguments
        lanes = Lanes(builder)
        done = builder.append_basic_block("done")
        choice = builder.switch(number, done)
        for stage in range(1, tables.STABILISED_STAGES):
            block = builder.append_basic_block(f"stage.{stage}")
            choice.add_case(INT64(stage), block)
            builder.position_at_end(block)
            h, row = lanes.load(control, at.H), tables.STABILISED_ARGUMENT[stage]
            factors = [(each, lanes.mul(h, weight)) for each, weight in row.items()]
            with cgutils.for_range_slice(builder, INT64(0), count, INT64(1), inc=True) as (index, _):
                total = lanes.load(state, index)
                for each, factor in factors:
                    k = lanes.load(rows, builder.add(index, builder.mul(stride, INT64(each))))
                    total = lanes.sum(total, k, factor)
                lanes.store(total, argument, index)
                lanes.store(0.0, rows, builder.add(index, builder.mul(stride, INT64(stage))))
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, REALS, REALS, REALS, types.int64, REALS), codegen


@intrinsic
def fixed_end(typing_context, count, following, state, rows, stride, control):  # type: ignore[no-untyped-def]
    """The new state; ERROR is 0 where it is finite, and no number elsewhere."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, following, state, rows, stride, control = arguments
        lanes = Lanes(builder)
        h = lanes.load(control, at.H)
        weights = [lanes.mul(h, weight) for weight in tables.STABILISED_ARGUMENT[tables.STABILISED_STAGES].values()]
        doubt = cgutils.alloca_once_value(builder, lanes.full(0.0))

        def look(value: Any) -> None:
            builder.store(lanes.sum(builder.load(doubt), value, 0.0), doubt)

        _blend(lanes, count, None, following, state, rows, stride, weights, look)
        lanes.store(builder.load(doubt), control, at.ERROR)
        return context.get_dummy_value()

    return types.void(types.int64, REALS, REALS, REALS, types.int64, REALS), codegen


@intrinsic
def fixed_point(typing_context, count, listed, out, state, rows, stride, control):  # type: ignore[no-untyped-def]
    """The listed states at the FRACTION of a step of equal steps; the derivatives at its end are behind the stages."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        count, listed, out, state, rows, stride, control = arguments
        lanes = Lanes(builder)
        h, x = lanes.load(control, at.H), lanes.load(control, at.FRACTION)
        z = lanes.sub(1.0, x)
        square = lanes.mul(lanes.mul(x, x), h)
        risen = lanes.mul(square, lanes.sum(lanes.full(1.0), z, 2.0))
        weights = [lanes.mul(risen, weight) for weight in tables.STABILISED_ARGUMENT[tables.STABILISED_STAGES].values()]
        weights[0] = lanes.sum(weights[0], lanes.mul(lanes.mul(h, x), z), z)
        weights.append(lanes.mul(lanes.mul(square, z), -1.0))
        _blend(lanes, count, listed, out, state, rows, stride, weights)
        return context.get_dummy_value()

    return types.void(types.int64, INTEGERS, REALS, REALS, REALS, types.int64, REALS), codegen
