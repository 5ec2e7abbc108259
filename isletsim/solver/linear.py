"""Linear algebra of a Rosenbrock step: W = d M - J is factored and solved.

The model's own sparse factors come first. Where a pivot is too small, one lane takes a dense LU with scaled partial
pivoting; of several lanes, that lane's subject is left to the driver of width 1.
"""

from __future__ import annotations

import math

from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import call_factor, call_two, compiled, keep_apart, one_lane, types
from isletsim.solver.struct import Reals

__all__ = ["factorise", "solve_in_place"]


@one_lane
def fill_matrix(frame: Frame, d: float) -> None:
    """Write W = d M - J into the dense matrix."""
    keep_apart()
    states, matrix = frame.states, frame.matrix
    for entry in range(states * states):
        matrix[entry] = 0.0
    for entry in range(frame.nonzeros):
        matrix[frame.row_index[entry] * states + frame.column_index[entry]] = -frame.jacobian[entry]
    for row in range(states):
        matrix[row * states + row] += d * frame.mass[row]


@one_lane
def pivoted_factors(frame: Frame) -> int:
    """Dense LU in place; pivots are chosen by size relative to their own row. Return 0, or 1 for a singular matrix."""
    keep_apart()
    states, matrix, pivots = frame.states, frame.matrix, frame.pivots
    scale = frame.lu  # the sparse factors are not in use now
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
                    matrix[row * states + column] -= ratio * matrix[step * states + column]
    return 0


@compiled
def factorise(frame: Frame, d: Reals) -> int:
    """Factor W = d M - J. Return the lanes whose factors are of no use, as bits."""
    frame.factorizations += 1
    if frame.lanes > 1:
        small: int = types.int64(call_factor(frame.factor, frame.jacobian, d, frame.lu))
        return small
    frame.pivoted_now = 0
    if frame.factor != 0 and call_factor(frame.factor, frame.jacobian, d, frame.lu) == 0:
        return 0
    frame.pivoted_now = 1
    frame.pivoted += 1
    fill_matrix(frame, d[0])
    return pivoted_factors(frame)


@one_lane
def pivoted_solve(frame: Frame, b: Reals) -> None:
    """Solve with the dense factors, in place."""
    keep_apart()
    states, matrix, pivots = frame.states, frame.matrix, frame.pivots
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


@compiled
def solve_in_place(frame: Frame, b: Reals) -> None:
    """Solve W x = b with the factors of the last `factorise`."""
    if frame.lanes > 1 or frame.pivoted_now == 0:
        call_two(frame.solve, frame.lu, b)
    else:
        pivoted_solve(frame, b)
