"""The three methods behind one set of names, so that the loop is written once."""

from __future__ import annotations

from isletsim.solver import frame as at
from isletsim.solver import tables
from isletsim.solver.explicit import explicit_dense, explicit_interpolate, explicit_step
from isletsim.solver.fixed import fixed_dense, fixed_interpolate, fixed_step
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_at,
    compiled,
    copy_row,
    merged,
    offset,
    reals,
    types,
)
from isletsim.solver.rosenbrock import rosenbrock_dense, rosenbrock_interpolate, rosenbrock_step

__all__ = ["attempt", "exponent", "finish", "interpolate", "refresh"]

STIFF_EXPONENT = tables.RODAS5P_EXPONENT
EXPLICIT_EXPONENT = tables.DOP853_EXPONENT
LAST_STAGE = tables.DOP853_STAGES
LAST_FIXED_STAGE = tables.STABILISED_STAGES


@compiled(types.float64(INTEGERS))
def exponent(frame: Integers) -> float:
    """One over the power of the step with which the error estimate falls."""
    return STIFF_EXPONENT if frame[at.METHOD] == at.STIFF else EXPLICIT_EXPONENT


@compiled(types.void(INTEGERS, types.float64))
def refresh(frame: Integers, t: float) -> None:
    """Right-hand side, and for the stiff method the Jacobian, at the present state; kept while steps are rejected."""
    if frame[at.FRESH] == 0:
        state, values = reals(frame[at.STATE]), reals(frame[at.VALUES])
        call_at(frame[at.RHS], t, state, values, reals(frame[at.FIRST]))
        frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + 1
        if frame[at.METHOD] == at.STIFF:
            call_at(frame[at.JAC], t, state, values, reals(frame[at.JACOBIAN]))
            frame[at.JACOBIANS] = frame[at.JACOBIANS] + 1
        frame[at.FRESH] = 1


@merged
def attempt(frame: Integers, t: float, h: float) -> float:
    """Tries a step; returns the error over its tolerance, -1 where the linear system is singular."""
    if frame[at.METHOD] == at.STIFF:
        return rosenbrock_step(frame, t, h)
    if frame[at.METHOD] == at.FIXED:
        fixed_step(frame, t, h)
        return 0.0
    error = explicit_step(frame, t, h)
    if error <= 1.0 or frame[at.ROOTS] > 0:  # the right-hand side at the new state, for dense output and the next step
        last = offset(reals(frame[at.STAGES]), LAST_STAGE * frame[at.STRIDE])
        call_at(frame[at.RHS], t + h, reals(frame[at.NEXT]), reals(frame[at.VALUES]), last)
        frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + 1
    return error


@compiled(types.void(INTEGERS, types.float64, types.float64, types.float64, REALS))
def interpolate(frame: Integers, t: float, h: float, x: float, out: Reals) -> None:
    """The state at the fraction x of the step, by the dense output of the method."""
    if frame[at.METHOD] == at.STIFF:
        if frame[at.READY] == 0:
            rosenbrock_dense(frame)
        rosenbrock_interpolate(frame, x, out)
    elif frame[at.METHOD] == at.FIXED:
        if frame[at.READY] == 0:
            fixed_dense(frame, h)
        fixed_interpolate(frame, x, out)
    else:
        if frame[at.READY] == 0:
            explicit_dense(frame, t, h)
        explicit_interpolate(frame, x, out)


@compiled(types.void(INTEGERS))
def finish(frame: Integers) -> None:
    """Takes the new state over."""
    stride = frame[at.STRIDE]
    state, following = reals(frame[at.STATE]), reals(frame[at.NEXT])
    frame[at.FRESH] = 0
    copy_row(state, following, stride)
    if frame[at.METHOD] != at.STIFF:
        number = LAST_STAGE if frame[at.METHOD] == at.EXPLICIT else LAST_FIXED_STAGE
        copy_row(reals(frame[at.FIRST]), offset(reals(frame[at.STAGES]), number * stride), stride)
        frame[at.FRESH] = 1
