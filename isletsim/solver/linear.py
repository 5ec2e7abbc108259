"""Linear algebra of a Rosenbrock step: W = d M - J is factored and solved.

The model's own sparse factors come first; where a pivot is too small, a dense LU with scaled partial pivoting.
"""

from __future__ import annotations

import math

from isletsim.solver import frame as at
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_factor,
    call_two,
    compiled,
    integers,
    reals,
    short_integers,
    types,
)

__all__ = ["factorise", "solve_in_place"]


@compiled(types.void(INTEGERS, types.float64))
def fill_matrix(frame: Integers, d: float) -> None:
    """Writes W = d M - J into the dense matrix."""
    states = frame[at.STATES]
    matrix = reals(frame[at.MATRIX])
    jacobian = reals(frame[at.JACOBIAN])
    mass = reals(frame[at.MASS])
    rows = short_integers(frame[at.ROW_INDEX])
    columns = short_integers(frame[at.COLUMN_INDEX])
    for entry in range(states * states):
        matrix[entry] = 0.0
    for entry in range(frame[at.NONZEROS]):
        matrix[rows[entry] * states + columns[entry]] = -jacobian[entry]
    for row in range(states):
        matrix[row * states + row] = matrix[row * states + row] + d * mass[row]


@compiled(types.int64(INTEGERS))
def pivoted_factors(frame: Integers) -> int:
    """Dense LU in place; pivots are chosen by size beside their own row. 0 good, 1 singular."""
    states = frame[at.STATES]
    matrix = reals(frame[at.MATRIX])
    scale = reals(frame[at.LU])  # the sparse factors are not in use now
    pivots = integers(frame[at.PIVOTS])
    for row in range(states):
        largest = 0.0
        for column in range(states):
            largest = max(largest, math.fabs(matrix[row * states + column]))
        if not (largest > 0.0 and largest < math.inf):
            return 1
        scale[row] = 1.0 / largest
    for step in range(states):
        best, chosen = -1.0, step
        for row in range(step, states):
            size = math.fabs(matrix[row * states + step]) * scale[row]
            if size > best:
                best, chosen = size, row
        if not best > 1e-300:
            return 1
        pivots[step] = chosen
        if chosen != step:
            scale[chosen] = scale[step]
            for column in range(states):
                kept = matrix[step * states + column]
                matrix[step * states + column] = matrix[chosen * states + column]
                matrix[chosen * states + column] = kept
        inverse = 1.0 / matrix[step * states + step]
        for row in range(step + 1, states):
            ratio = matrix[row * states + step] * inverse
            matrix[row * states + step] = ratio
            if ratio != 0.0:
                for column in range(step + 1, states):
                    index = row * states + column
                    matrix[index] = matrix[index] - ratio * matrix[step * states + column]
    return 0


@compiled(types.int64(INTEGERS, types.float64))
def factorise(frame: Integers, d: float) -> int:
    """Factors W = d M - J. 0 good, 1 singular."""
    frame[at.FACTORIZATIONS] = frame[at.FACTORIZATIONS] + 1
    frame[at.PIVOTED_NOW] = 0
    if frame[at.FACTOR] != 0 and call_factor(frame[at.FACTOR], reals(frame[at.JACOBIAN]), d, reals(frame[at.LU])) == 0:
        return 0
    frame[at.PIVOTED_NOW] = 1
    frame[at.PIVOTED] = frame[at.PIVOTED] + 1
    fill_matrix(frame, d)
    return pivoted_factors(frame)


@compiled(types.void(INTEGERS, REALS))
def pivoted_solve(frame: Integers, b: Reals) -> None:
    """Solves with the dense factors, in place."""
    states = frame[at.STATES]
    matrix = reals(frame[at.MATRIX])
    pivots = integers(frame[at.PIVOTS])
    for row in range(states):
        kept = b[pivots[row]]
        b[pivots[row]] = b[row]
        b[row] = kept
    for row in range(states):
        total = b[row]
        for column in range(row):
            total -= matrix[row * states + column] * b[column]
        b[row] = total
    for below in range(states):
        row = states - 1 - below
        total = b[row]
        for column in range(row + 1, states):
            total -= matrix[row * states + column] * b[column]
        b[row] = total / matrix[row * states + row]


@compiled(types.void(INTEGERS, REALS))
def solve_in_place(frame: Integers, b: Reals) -> None:
    """Solves W x = b with the factors of the last `factorise`."""
    if frame[at.PIVOTED_NOW] == 0:
        call_two(frame[at.SOLVE], reals(frame[at.LU]), b)
    else:
        pivoted_solve(frame, b)
