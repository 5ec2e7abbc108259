"""The beginning of an interval: consistent algebraic unknowns, and a first step of a sensible size."""

from __future__ import annotations

import math

from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import call_at, keep_apart, merged, offset, one_lane
from isletsim.solver.linear import factorise, solve_in_place
from isletsim.solver.norms import add_product, clear_rows, difference, weighted, weighted_rest
from isletsim.solver.step_size import longer_step, short_step
from isletsim.solver.struct import Reals

__all__ = ["first_step", "make_consistent"]

FROZEN = 1e30  # d so large in W = d M - J that differential states stay where they are
NEWTON_STEPS = 60
NEWTON_TOLERANCE = 1e-3  # in units of the error tolerance

weighted_state = weighted("size")
weighted_speed = weighted("speed", differential=True)
weighted_curvature = weighted("curvature")


@merged
def first_step(frame: Frame) -> None:
    """A cautious first step in the lanes that need one, from the sizes of y, y' and y''; the first stage must be known.

    Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, section II.4.
    """
    weighted_state(frame, frame.state)
    weighted_speed(frame, frame.stages)
    short_step(frame)
    add_product(frame, frame.point, frame.state, frame.stages)
    clear_rows(frame, frame.states, frame.spare)
    call_at(frame.rhs, frame.stage_time, frame.point, frame.parameter, frame.spare)
    frame.rhs_calls += 1
    difference(frame, frame.spare, frame.stages)
    weighted_curvature(frame, frame.spare)
    longer_step(frame, frame.changed)


@one_lane
def newton_correction(frame: Frame, point: Reals, correction: Reals) -> float:
    """Correction of the algebraic unknowns with the factors at hand, and its size in units of the tolerance."""
    states, mass = frame.states, frame.mass
    clear_rows(frame, states, correction)
    call_at(frame.rhs, frame.time, point, frame.parameter, correction)
    frame.rhs_calls += 1
    for index in range(states):
        if mass[index] != 0.0:
            correction[index] = 0.0
    solve_in_place(frame, correction)
    for index in range(states):
        if mass[index] != 0.0:
            correction[index] = 0.0
    size: float = weighted_rest(frame, correction, point)
    return size


@one_lane
def make_consistent(frame: Frame) -> int:
    """Solve the algebraic equations at the present differential states by damped Newton. Return 0, or 1 for failure.

    A step is halved until the next correction, measured with the same factors, is smaller (Deuflhard's natural test).
    """
    keep_apart()
    if frame.algebraic == 0:
        return 0
    states, state, trial = frame.states, frame.state, frame.next
    correction, following = frame.spare, offset(frame.stages, frame.stride)
    frame.ready = 0
    frame.shift[0] = FROZEN
    for _ in range(NEWTON_STEPS):
        call_at(frame.jac, frame.time, state, frame.parameter, frame.jacobian)
        frame.jacobians += 1
        if factorise(frame, frame.shift) != 0:
            return 1
        size = newton_correction(frame, state, correction)
        if not size < math.inf:
            return 1
        damping = 1.0
        while True:
            for index in range(states):
                trial[index] = state[index] + damping * correction[index]
            remaining = newton_correction(frame, trial, following)
            if remaining <= (1.0 - 0.25 * damping) * size or size <= NEWTON_TOLERANCE:
                break
            damping *= 0.5
            if damping < 1e-10:
                return 1
        for index in range(states):
            state[index] = trial[index]
        if remaining <= NEWTON_TOLERANCE:
            for index in range(states):
                state[index] = state[index] + following[index]
            return 0
    return 1
