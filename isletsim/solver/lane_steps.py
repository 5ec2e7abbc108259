"""The control of steps in eight lanes at once: how long the next one is, and what follows from the error of the last.

The rules are those of the scalar driver (`drive`), written with selections instead of branches.
"""

from __future__ import annotations

from typing import Any

from isletsim.solver import lane_frame as at
from isletsim.solver import tables
from isletsim.solver.kernels import INT64, REALS, intrinsic, types
from isletsim.solver.lane_vectors import Lanes

__all__ = [
    "choose_ends",
    "choose_equal_ends",
    "judge",
    "judge_equal",
    "longer_step",
    "record_moments",
    "short_step",
]

SAFETY = 0.9
LONGEST = 6.0  # a step grows at most so many times
SHORTEST = 0.2
STRETCH = 1.01  # a step that nearly reaches its target goes there
SMALLEST = 3.6e-15
GAMMA = tables.RODAS5P_GAMMA


def _set_ends(lanes: Lanes, control: Any, t: Any, end: Any) -> None:
    """A step that ends at a time, and what follows from its length."""
    h = lanes.sub(end, t)
    inverse = lanes.div(1.0, h)
    lanes.store(end, control, at.END_OF_STEP)
    lanes.store(h, control, at.H)
    lanes.store(inverse, control, at.INVERSE)
    lanes.store(lanes.mul(inverse, 1.0 / GAMMA), control, at.SHIFT)


@intrinsic
def choose_ends(typing_context, control):  # type: ignore[no-untyped-def]
    """Where the next step ends: at the target, half-way to it, or where the error allows."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (control,) = arguments
        lanes = Lanes(builder)
        t, step, target = (lanes.load(control, row) for row in (at.TIME, at.STEP, at.TARGET))
        remaining = lanes.sub(target, t)
        near = builder.fcmp_ordered(">=", builder.fmul(step, lanes.full(STRETCH)), remaining)
        half = lanes.test(">", lanes.mul(step, 2.0), remaining)
        further = lanes.add(t, lanes.pick(half, lanes.mul(remaining, 0.5), step))
        _set_ends(lanes, control, t, lanes.pick(near, target, further))
        return context.get_dummy_value()

    return types.void(REALS), codegen


def _count(lanes: Lanes, control: Any, accepted: Any) -> tuple[Any, Any]:
    """Steps taken and refused, one more of them."""
    taken = lanes.add(lanes.load(control, at.ACCEPTED), lanes.pick(accepted, 1.0, 0.0))
    refused = lanes.add(lanes.load(control, at.REJECTED), lanes.pick(accepted, 0.0, 1.0))
    lanes.store(taken, control, at.ACCEPTED)
    lanes.store(refused, control, at.REJECTED)
    return taken, refused


def _verdict(lanes: Lanes, control: Any, alive: Any, accepted: Any, trouble: Any) -> Any:
    """Three sets of lanes as bits: accepted, in need of attention (<< 8), and with records due in the step (<< 16)."""
    builder = lanes.builder
    end = lanes.load(control, at.END_OF_STEP)
    there = builder.and_(accepted, lanes.test(">=", end, lanes.load(control, at.TARGET)))
    due = builder.and_(accepted, lanes.test("<", lanes.load(control, at.NEXT_SAVE), end))
    joined = INT64(0)
    for position, each in enumerate((accepted, builder.or_(trouble, there), due)):
        bits = lanes.bits(builder.and_(alive, each))
        joined = builder.or_(joined, builder.shl(bits, INT64(8 * position)))
    return joined


@intrinsic
def judge(typing_context, control, active, maximum):  # type: ignore[no-untyped-def]
    """The next STEP of every active lane, and the verdict on the last.

    A step below 3.6e-15 of the time, or of FLOOR, moves nothing; `maximum` is how many steps may be tried.
    """

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        control, active, maximum = arguments
        lanes = Lanes(builder)
        pick, mul, test = lanes.pick, lanes.mul, lanes.test
        error, h, step, growth, t = (lanes.load(control, row) for row in (at.ERROR, at.H, at.STEP, at.GROWTH, at.TIME))
        alive = lanes.mask(active)
        accepted = test("<=", error, 1.0)
        factor = mul(lanes.root(lanes.most(error, 1e-10)), SAFETY)
        # Accepted: a step shortened for a stop says little about a long one unless its error is sizable.
        whole = lanes.least(lanes.least(lanes.most(factor, SHORTEST), LONGEST), growth)
        cautious = pick(test(">", error, 1e-3), lanes.least(step, mul(h, factor)), step)
        short = test("<", h, mul(step, 0.999))
        going = pick(short, cautious, mul(h, whole))
        usual = builder.and_(test(">", error, 1.0), test("<", error, float("inf")))
        back = mul(h, pick(usual, lanes.most(factor, SHORTEST), 0.1))
        following = pick(accepted, going, back)
        grown = pick(accepted, pick(short, growth, LONGEST), 1.0)
        lanes.store(pick(alive, following, step), control, at.STEP)
        lanes.store(pick(alive, grown, growth), control, at.GROWTH)
        taken, refused = _count(lanes, control, accepted)
        least = mul(lanes.most(lanes.size(t), lanes.load(control, at.FLOOR)), SMALLEST)
        stuck = builder.and_(builder.not_(accepted), test("<", following, least))
        tired = test(">=", lanes.add(taken, refused), lanes.spread(maximum))
        return _verdict(lanes, control, alive, accepted, builder.or_(stuck, tired))

    return types.int64(REALS, types.int64, types.float64), codegen


@intrinsic
def choose_equal_ends(typing_context, control):  # type: ignore[no-untyped-def]
    """Where the next of equal steps to the target ends; STEP is the longest one."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (control,) = arguments
        lanes = Lanes(builder)
        t, target = lanes.load(control, at.TIME), lanes.load(control, at.TARGET)
        remaining = lanes.sub(target, t)
        count = lanes.floor(lanes.add(lanes.div(remaining, lanes.load(control, at.STEP)), 1.0 - 1e-9))
        further = lanes.add(t, lanes.div(remaining, count))
        _set_ends(lanes, control, t, lanes.pick(lanes.test(">", count, 1.0), further, target))
        return context.get_dummy_value()

    return types.void(REALS), codegen


@intrinsic
def judge_equal(typing_context, control, active, maximum):  # type: ignore[no-untyped-def]
    """The verdict on a step of equal steps: it is good where the new state is finite."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        control, active, maximum = arguments
        lanes = Lanes(builder)
        accepted = lanes.test("==", lanes.load(control, at.ERROR), 0.0)
        taken, refused = _count(lanes, control, accepted)
        tired = lanes.test(">=", lanes.add(taken, refused), lanes.spread(maximum))
        return _verdict(lanes, control, lanes.mask(active), accepted, builder.or_(builder.not_(accepted), tired))

    return types.int64(REALS, types.int64, types.float64), codegen


@intrinsic
def short_step(typing_context, control):  # type: ignore[no-untyped-def]
    """TRIAL, a step short enough for a first look (Hairer, Nørsett and Wanner, section II.4), and where it ends."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (control,) = arguments
        lanes = Lanes(builder)
        t = lanes.load(control, at.TIME)
        size, speed = lanes.load(control, at.SIZE), lanes.load(control, at.SPEED)
        h = lanes.mul(lanes.sub(lanes.load(control, at.TARGET), t), 1e-4)
        shorter = lanes.least(h, lanes.div(lanes.mul(lanes.most(size, 1.0), 0.01), speed))
        h = lanes.pick(lanes.test(">", lanes.mul(speed, h), 1e-6), shorter, h)
        lanes.store(h, control, at.TRIAL)
        lanes.store(lanes.add(t, h), control, at.STAGE_TIME)
        return context.get_dummy_value()

    return types.void(REALS), codegen


@intrinsic
def longer_step(typing_context, control, bits):  # type: ignore[no-untyped-def]
    """STEP in the lanes whose bit is set, from the change of the derivative along TRIAL (CURVATURE)."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        control, bits = arguments
        lanes = Lanes(builder)
        h, speed = lanes.load(control, at.TRIAL), lanes.load(control, at.SPEED)
        curvature = lanes.div(lanes.load(control, at.CURVATURE), h)
        largest = lanes.most(lanes.most(speed, curvature), 1e-15)
        longest = lanes.least(lanes.mul(h, 100.0), lanes.root(lanes.mul(largest, 100.0)))
        longest = lanes.pick(lanes.test("<", curvature, float("inf")), longest, lanes.mul(h, 1e-3))
        remaining = lanes.sub(lanes.load(control, at.TARGET), lanes.load(control, at.TIME))
        chosen = lanes.mask(bits)
        step = lanes.pick(chosen, lanes.least(longest, remaining), lanes.load(control, at.STEP))
        lanes.store(step, control, at.STEP)
        lanes.store(lanes.pick(chosen, LONGEST, lanes.load(control, at.GROWTH)), control, at.GROWTH)
        return context.get_dummy_value()

    return types.void(REALS, types.int64), codegen


@intrinsic
def record_moments(typing_context, control, bits):  # type: ignore[no-untyped-def]
    """MOMENT and FRACTION of the next record in the lanes whose bit is set, of the step's beginning in the others."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        control, bits = arguments
        lanes = Lanes(builder)
        t = lanes.load(control, at.TIME)
        moment = lanes.pick(lanes.mask(bits), lanes.collect(control, at.NEXT_SAVE), t)
        lanes.store(moment, control, at.MOMENT)
        lanes.store(lanes.mul(lanes.sub(moment, t), lanes.load(control, at.INVERSE)), control, at.FRACTION)
        return context.get_dummy_value()

    return types.void(REALS, types.int64), codegen
