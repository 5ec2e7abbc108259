"""How an interval begins: algebraic unknowns that satisfy their equations, and a first step of a sensible size."""

from __future__ import annotations

import math

from isletsim.solver import frame as at
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_at,
    compiled,
    offset,
    reals,
    types,
    weighted_maximum,
)
from isletsim.solver.linear import factorise, solve_in_place
from isletsim.solver.method import exponent

__all__ = ["finite", "first_step", "make_consistent"]

FROZEN = 1e30  # d so large in W = d M - J that differential states stay where they are
NEWTON_STEPS = 60
NEWTON_TOLERANCE = 1e-3  # in units of the error tolerance


@compiled(types.int64(INTEGERS, REALS))
def finite(frame: Integers, vector: Reals) -> int:
    """1 where every number of a vector is finite, else 0 with the first culprit in WORST."""
    for state in range(frame[at.STATES]):
        if not math.fabs(vector[state]) < math.inf:
            frame[at.WORST] = state
            return 0
    return 1


@compiled(types.float64(INTEGERS, types.float64, REALS, REALS))
def newton_correction(frame: Integers, t: float, point: Reals, correction: Reals) -> float:
    """Correction of the algebraic unknowns with the factors at hand, and its size in units of the tolerance."""
    states, stride = frame[at.STATES], frame[at.STRIDE]
    mass, state = reals(frame[at.MASS]), reals(frame[at.STATE])
    call_at(frame[at.RHS], t, point, reals(frame[at.VALUES]), correction)
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + 1
    for index in range(states):
        if mass[index] != 0.0:
            correction[index] = 0.0
    solve_in_place(frame, correction)
    for index in range(states):
        if mass[index] != 0.0:
            correction[index] = 0.0
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    return weighted_maximum(correction, state, point, reals(frame[at.ABSOLUTE]), relative, stride)


@compiled(types.int64(INTEGERS, types.float64))
def make_consistent(frame: Integers, t: float) -> int:
    """Solves the algebraic equations at the present differential states by damped Newton. 0 good, 1 no solution found.

    A step is halved until the next correction, measured with the same factors, is smaller (Deuflhard's natural test).
    """
    if frame[at.ALGEBRAIC] == 0:
        return 0
    states, stride = frame[at.STATES], frame[at.STRIDE]
    state, trial = reals(frame[at.STATE]), reals(frame[at.NEXT])
    correction = reals(frame[at.SPARE])
    following = offset(correction, stride)
    frame[at.FRESH] = 0
    for _ in range(NEWTON_STEPS):
        call_at(frame[at.JAC], t, state, reals(frame[at.VALUES]), reals(frame[at.JACOBIAN]))
        frame[at.JACOBIANS] = frame[at.JACOBIANS] + 1
        if factorise(frame, FROZEN) != 0:
            return 1
        size = newton_correction(frame, t, state, correction)
        if not size < math.inf:
            return 1
        damping = 1.0
        while True:
            for index in range(states):
                trial[index] = state[index] + damping * correction[index]
            remaining = newton_correction(frame, t, trial, following)
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


@compiled(types.float64(INTEGERS, types.float64, types.float64))
def first_step(frame: Integers, t: float, remaining: float) -> float:
    """A first step from the sizes of y, y' and y'' (Hairer, Nørsett and Wanner, section II.4). Needs FIRST fresh."""
    states, stride = frame[at.STATES], frame[at.STRIDE]
    state, first = reals(frame[at.STATE]), reals(frame[at.FIRST])
    mass, absolute = reals(frame[at.MASS]), reals(frame[at.ABSOLUTE])
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    trial, slope = reals(frame[at.ARGUMENT]), reals(frame[at.SPARE])
    for index in range(states):
        slope[index] = mass[index] * first[index]
    size = weighted_maximum(state, state, state, absolute, relative, stride)
    speed = weighted_maximum(slope, state, state, absolute, relative, stride)
    h = 1e-4 * remaining
    if speed * h > 1e-6:
        h = min(h, 0.01 * max(size, 1.0) / speed)
    for index in range(states):
        trial[index] = state[index] + h * slope[index]
    bend = offset(slope, stride)
    call_at(frame[at.RHS], t + h, trial, reals(frame[at.VALUES]), bend)
    frame[at.RHS_CALLS] = frame[at.RHS_CALLS] + 1
    for index in range(states):
        bend[index] = mass[index] * (bend[index] - first[index])
    curvature = weighted_maximum(bend, state, state, absolute, relative, stride) / h
    if not curvature < math.inf:
        return 1e-3 * h
    largest = max(speed, curvature)
    longer = 100.0 * h
    if largest > 1e-15:
        longer = min(longer, (0.01 / largest) ** exponent(frame))
    return min(longer, remaining)
