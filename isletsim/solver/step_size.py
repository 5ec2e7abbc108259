"""Control of steps: how long the next one is, and what follows from the error of the last.

The rules are those of Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section II.4, written with
selections instead of branches, so that every lane follows its own.
"""

from __future__ import annotations

from typing import Any

from isletsim.solver import tables
from isletsim.solver.intrinsics import INT64, types
from isletsim.solver.vectors import Lanes, kernel

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
LONGEST = 6.0  # largest growth of a step
SHORTEST = 0.2
STRETCH = 1.01  # a step that nearly reaches its target goes there
SMALLEST = 3.6e-15  # of the time: a shorter step moves nothing
GAMMA = tables.RODAS5P_GAMMA


def smallest(lanes: Lanes) -> Any:
    """Return the shortest step that still moves the time."""
    return lanes.mul(lanes.most(lanes.abs(lanes.row("time")), lanes.row("floor")), SMALLEST)


def set_ends(lanes: Lanes, end: Any) -> None:
    """Set the end of the step, and what follows from its length."""
    h = lanes.sub(end, lanes.row("time"))
    inverse = lanes.div(1.0, h)
    lanes.put("step_end", end)
    lanes.put("h", h)
    lanes.put("inverse", inverse)
    lanes.put("shift", lanes.mul(inverse, 1.0 / GAMMA))


@kernel()
def choose_ends(lanes: Lanes) -> None:
    """End the next step at the target, half-way to it, or where the error or the longest step allows.

    One lane may have a step that is forced to end at a root.
    """
    t, target = lanes.row("time"), lanes.row("target")
    step = lanes.least(lanes.row("step"), lanes.row("longest"))
    remaining = lanes.sub(target, t)
    near = lanes.test(">=", lanes.mul(step, STRETCH), remaining)
    half = lanes.test(">", lanes.mul(step, 2.0), remaining)
    further = lanes.add(t, lanes.pick(half, lanes.mul(remaining, 0.5), step))
    end = lanes.pick(near, target, further)
    if lanes.single:
        forced = lanes.number("forced")
        end = lanes.pick(lanes.test(">", forced, 0.0), lanes.least(lanes.add(t, forced), target), end)
    set_ends(lanes, end)


@kernel()
def choose_equal_ends(lanes: Lanes) -> None:
    """End the next of equal steps to the target; STEP is the longest one."""
    t, target = lanes.row("time"), lanes.row("target")
    remaining = lanes.sub(target, t)
    count = lanes.floor(lanes.add(lanes.div(remaining, lanes.row("step")), 1.0 - 1e-9))
    further = lanes.add(t, lanes.div(remaining, count))
    end = lanes.pick(lanes.test(">", count, 1.0), further, target)
    if lanes.single:
        forced = lanes.number("forced")
        end = lanes.pick(lanes.test(">", forced, 0.0), lanes.least(lanes.add(t, forced), target), end)
    set_ends(lanes, end)


def _counted(lanes: Lanes, accepted: Any) -> Any:
    """Count the step as accepted or rejected. Return the lanes that have tried as many as they may."""
    taken = lanes.add(lanes.row("accepted"), lanes.pick(accepted, 1.0, 0.0))
    refused = lanes.add(lanes.row("rejected"), lanes.pick(accepted, 0.0, 1.0))
    lanes.put("accepted", taken)
    lanes.put("rejected", refused)
    maximum = lanes.spread(lanes.builder.sitofp(lanes.number("maximum_steps"), lanes.number("relative").type))
    return lanes.test(">=", lanes.add(taken, refused), maximum)


def _verdict(lanes: Lanes, accepted: Any, trouble: Any) -> Any:
    """Three sets of lanes as bits: accepted, in need of attention (<< 8), and with records due in the step (<< 16)."""
    builder, alive, end = lanes.builder, lanes.mask(lanes.number("active")), lanes.row("step_end")
    there = builder.and_(accepted, lanes.test(">=", end, lanes.row("target")))
    due = builder.and_(accepted, lanes.test("<", lanes.row("next_save"), end))
    joined = INT64(0)
    for position, each in enumerate((accepted, builder.or_(trouble, there), due)):
        bits = lanes.bits(builder.and_(alive, each))
        joined = builder.or_(joined, builder.shl(bits, INT64(8 * position)))
    return joined


@kernel(result=types.int64)
def judge(lanes: Lanes) -> Any:
    """The next STEP of every active lane, and the verdict on the last."""
    builder, pick, mul, test = lanes.builder, lanes.pick, lanes.mul, lanes.test
    error, h, step, growth = (lanes.row(name) for name in ("error", "h", "step", "growth"))
    alive, least = lanes.mask(lanes.number("active")), smallest(lanes)
    accepted = test("<=", error, 1.0)
    factor = mul(lanes.growth_root(lanes.most(error, 1e-10)), SAFETY)
    # Accepted: a step shortened for a stop or a root says little about a long one unless its error is sizable.
    # (What the rounding of the time takes from a very short step is no shortening.)
    whole = lanes.least(lanes.least(lanes.most(factor, SHORTEST), LONGEST), growth)
    cautious = pick(test(">", error, 1e-3), lanes.least(step, mul(h, factor)), step)
    short = test("<", h, lanes.sub(mul(step, 0.999), least))
    going = pick(short, cautious, mul(h, whole))
    usual = builder.and_(test(">", error, 1.0), test("<", error, float("inf")))
    back = mul(h, pick(usual, lanes.most(factor, SHORTEST), 0.1))
    following = pick(accepted, going, back)
    grown = pick(accepted, pick(short, growth, LONGEST), 1.0)
    lanes.put("step", pick(alive, following, step))
    lanes.put("growth", pick(alive, grown, growth))
    tired = _counted(lanes, accepted)
    stuck = builder.and_(builder.not_(accepted), test("<", following, least))
    return _verdict(lanes, accepted, builder.or_(stuck, tired))


@kernel(result=types.int64)
def judge_equal(lanes: Lanes) -> Any:
    """The verdict on an equal step: it is good if the new state is finite."""
    accepted = lanes.test("==", lanes.row("error"), 0.0)
    tired = _counted(lanes, accepted)
    return _verdict(lanes, accepted, lanes.builder.or_(lanes.builder.not_(accepted), tired))


@kernel()
def short_step(lanes: Lanes) -> None:
    """TRIAL, a step short enough for a first evaluation (section II.4), and where it ends."""
    t, size, speed = (lanes.row(name) for name in ("time", "size", "speed"))
    h = lanes.mul(lanes.sub(lanes.row("target"), t), 1e-4)
    shorter = lanes.least(h, lanes.div(lanes.mul(lanes.most(size, 1.0), 0.01), speed))
    h = lanes.pick(lanes.test(">", lanes.mul(speed, h), 1e-6), shorter, h)
    lanes.put("trial", h)
    lanes.put("stage_time", lanes.add(t, h))


@kernel(types.int64)
def longer_step(lanes: Lanes, bits: Any) -> None:
    """STEP in the lanes whose bit is set, from the change of the derivative along TRIAL (CURVATURE)."""
    h, speed = lanes.row("trial"), lanes.row("speed")
    curvature = lanes.div(lanes.row("curvature"), h)
    largest = lanes.most(lanes.most(speed, curvature), 1e-15)
    longest = lanes.least(lanes.mul(h, 100.0), lanes.growth_root(lanes.mul(largest, 100.0)))
    longest = lanes.pick(lanes.test("<", curvature, float("inf")), longest, lanes.mul(h, 1e-3))
    step = lanes.least(longest, lanes.sub(lanes.row("target"), lanes.row("time")))
    chosen = lanes.mask(bits)
    lanes.put("step", lanes.pick(chosen, lanes.most(step, lanes.mul(smallest(lanes), 4.0)), lanes.row("step")))
    lanes.put("growth", lanes.pick(chosen, LONGEST, lanes.row("growth")))


@kernel(types.int64)
def record_moments(lanes: Lanes, bits: Any) -> None:
    """MOMENT and FRACTION of the next record in the lanes whose bit is set, of the step's beginning in the others."""
    t = lanes.row("time")
    moment = lanes.pick(lanes.mask(bits), lanes.collect("next_save"), t)
    lanes.put("moment", moment)
    lanes.put("fraction", lanes.mul(lanes.sub(moment, t), lanes.row("inverse")))
