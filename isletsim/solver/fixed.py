"""One step of the stabilised Runge-Kutta method of order 4, of a given length: no error is estimated."""

from __future__ import annotations

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
)

__all__ = ["fixed_dense", "fixed_interpolate", "fixed_step"]

STAGES = tables.STABILISED_STAGES
node = constants(tables.STABILISED_NODES)
advance = stage_sum(tables.STABILISED_ARGUMENT)
dense_row = stage_sum(tables.STABILISED_DENSE)


@compiled(types.void(INTEGERS, types.float64, types.float64))
def fixed_step(frame: Integers, t: float, h: float) -> None:
    """A step from the present state; the new one stands in NEXT, its right-hand side in row STAGES."""
    stride, values = frame[at.STRIDE], reals(frame[at.VALUES])
    state, stages = reals(frame[at.STATE]), reals(frame[at.STAGES])
    argument, following = reals(frame[at.ARGUMENT]), reals(frame[at.NEXT])
    frame[at.READY] = 0
    copy_row(stages, reals(frame[at.FIRST]), stride)
    for stage in range(1, STAGES):
        advance(stage, argument, state, h, stages, stride)
        call_at(frame[at.RHS], t + node(stage) * h, argument, values, offset(stages, stage * stride))
    advance(STAGES, following, state, h, stages, stride)
    call_at(frame[at.RHS], t + h, following, values, offset(stages, STAGES * stride))
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + STAGES


@compiled(types.void(INTEGERS, types.float64))
def fixed_dense(frame: Integers, h: float) -> None:
    """Makes the rows of the dense output."""
    stride = frame[at.STRIDE]
    for row in range(3):
        out = offset(reals(frame[at.DENSE]), row * stride)
        dense_row(row, out, reals(frame[at.ZERO]), h, reals(frame[at.STAGES]), stride)
    frame[at.READY] = 1


@compiled(types.void(INTEGERS, types.float64, REALS))
def fixed_interpolate(frame: Integers, x: float, out: Reals) -> None:
    """The state at the fraction x of the step."""
    z = 1.0 - x
    weights = (x * x * (1.0 + 2.0 * z), x * z * z, -x * x * z)
    blend(out, reals(frame[at.STATE]), weights, reals(frame[at.DENSE]), frame[at.STRIDE])
