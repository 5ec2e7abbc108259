"""One step of Rodas5P, for M dy/dt = f(t, y) with M of ones (differential) and zeros (algebraic)."""

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
    offset,
    reals,
    stage_correction,
    stage_sum,
    types,
    weighted_maximum,
)
from isletsim.solver.linear import factorise, solve_in_place

__all__ = ["rosenbrock_dense", "rosenbrock_interpolate", "rosenbrock_step"]

GAMMA = tables.RODAS5P_GAMMA
STAGES = tables.RODAS5P_STAGES
node = constants(tables.RODAS5P_NODES)
slope_weight = constants(tables.RODAS5P_SLOPES)
advance = stage_sum(tables.RODAS5P_ARGUMENT)
dense_row = stage_sum(tables.RODAS5P_DENSE)
# Stage 0 has nothing to add up, but it has a slope.
correct = stage_correction(({0: 0.0}, *tables.RODAS5P_CORRECTION[1:]))

FAILED = -1.0  # W is singular
CARRIED = 6  # from this stage on an argument starts from the one before


@compiled(types.float64(INTEGERS, types.float64, types.float64))
def rosenbrock_step(frame: Integers, t: float, h: float) -> float:
    """Tries a step from the present state; the new one stands in NEXT. Returns the error over its tolerance."""
    stride = frame[at.STRIDE]
    state, argument = reals(frame[at.STATE]), reals(frame[at.NEXT])
    stages, slope = reals(frame[at.STAGES]), reals(frame[at.SLOPE])
    first, mass = reals(frame[at.FIRST]), reals(frame[at.MASS])
    values = reals(frame[at.VALUES])
    frame[at.READY] = 0
    if factorise(frame, 1.0 / (h * GAMMA)) != 0:
        return FAILED
    inverse = 1.0 / h
    blend(stages, first, (h * GAMMA,), slope, stride)
    solve_in_place(frame, stages)
    for stage in range(1, STAGES):
        increment = offset(stages, stage * stride)
        advance(stage, argument, state if stage < CARRIED else argument, 1.0, stages, stride)
        call_at(frame[at.RHS], t + node(stage) * h, argument, values, increment)
        correct(stage, increment, h * slope_weight(stage), slope, mass, inverse, stages, stride)
        solve_in_place(frame, increment)
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + STAGES - 1
    advance(STAGES, argument, argument, 1.0, stages, stride)
    absolute = reals(frame[at.ABSOLUTE])
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    error = offset(stages, (STAGES - 1) * stride)
    return weighted_maximum(error, state, argument, absolute, relative, stride)


@compiled(types.void(INTEGERS))
def rosenbrock_dense(frame: Integers) -> None:
    """Makes the rows of the dense output from the stages of the present step."""
    stride = frame[at.STRIDE]
    stages, zero = reals(frame[at.STAGES]), reals(frame[at.ZERO])
    for row in range(4):
        dense_row(row, offset(reals(frame[at.DENSE]), row * stride), zero, 1.0, stages, stride)
    frame[at.READY] = 1


@compiled(types.void(INTEGERS, types.float64, REALS))
def rosenbrock_interpolate(frame: Integers, x: float, out: Reals) -> None:
    """The state at the fraction x of the step."""
    a = x * (1.0 - x)
    blend(out, reals(frame[at.STATE]), (x, a, a * x, a * x * x), reals(frame[at.DENSE]), frame[at.STRIDE])
