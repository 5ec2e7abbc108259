"""One step of DOP853, for dy/dt = f(t, y) without stiffness."""

from __future__ import annotations

import math

from isletsim.solver import frame as at
from isletsim.solver import tables
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    blend,
    call_at,
    compiled,
    constants,
    copy_row,
    offset,
    reals,
    stage_sum,
    types,
    weighted_maximum,
)

__all__ = ["explicit_dense", "explicit_interpolate", "explicit_step"]

STAGES = tables.DOP853_STAGES
LAST = 16  # stages with those of the dense output
node = constants(tables.DOP853_NODES)
advance = stage_sum(tables.DOP853_ARGUMENT)
estimate = stage_sum(tables.DOP853_ERROR)
dense_row = stage_sum(tables.DOP853_DENSE)


@compiled(types.void(INTEGERS, types.float64, types.float64, types.int64))
def evaluate_stage(frame: Integers, t: float, h: float, stage: int) -> None:
    """Right-hand side of one stage into its row."""
    stride = frame[at.STRIDE]
    stages, argument = reals(frame[at.STAGES]), reals(frame[at.ARGUMENT])
    advance(stage, argument, reals(frame[at.STATE]), h, stages, stride)
    call_at(frame[at.RHS], t + node(stage) * h, argument, reals(frame[at.VALUES]), offset(stages, stage * stride))


@compiled(types.float64(INTEGERS, types.float64, types.float64))
def explicit_step(frame: Integers, t: float, h: float) -> float:
    """Tries a step from the present state; the new one stands in NEXT. Returns the error over its tolerance."""
    stride = frame[at.STRIDE]
    state, following = reals(frame[at.STATE]), reals(frame[at.NEXT])
    stages, first = reals(frame[at.STAGES]), reals(frame[at.FIRST])
    error, zero = reals(frame[at.ERROR]), reals(frame[at.ZERO])
    frame[at.READY] = 0
    copy_row(stages, first, stride)
    for stage in range(1, STAGES):
        evaluate_stage(frame, t, h, stage)
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + STAGES - 1
    advance(STAGES, following, state, h, stages, stride)
    estimate(0, offset(error, stride), zero, h, stages, stride)
    estimate(1, error, zero, h, stages, stride)
    absolute = reals(frame[at.ABSOLUTE])
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    third = weighted_maximum(offset(error, stride), state, following, absolute, relative, stride)
    fifth = weighted_maximum(error, state, following, absolute, relative, stride)
    both = math.sqrt(fifth * fifth + 0.01 * third * third)
    return fifth * fifth / both if both != 0.0 else 0.0


@compiled(types.void(INTEGERS, types.float64, types.float64))
def explicit_dense(frame: Integers, t: float, h: float) -> None:
    """Makes the rows of the dense output; takes three more right-hand sides. Row STAGES belongs to the new state."""
    stride = frame[at.STRIDE]
    stages = reals(frame[at.STAGES])
    zero = reals(frame[at.ZERO])
    for stage in range(STAGES + 1, LAST):
        evaluate_stage(frame, t, h, stage)
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + LAST - STAGES - 1
    for row in range(7):
        dense_row(row, offset(reals(frame[at.DENSE]), row * stride), zero, h, stages, stride)
    frame[at.READY] = 1


@compiled(types.void(INTEGERS, types.float64, REALS))
def explicit_interpolate(frame: Integers, x: float, out: Reals) -> None:
    """The state at the fraction x of the step."""
    z = 1.0 - x
    a = x * z
    weights = (x, a, a * x, a * a, a * a * x, a * a * a, a * a * a * x)
    blend(out, reals(frame[at.STATE]), weights, reals(frame[at.DENSE]), frame[at.STRIDE])
