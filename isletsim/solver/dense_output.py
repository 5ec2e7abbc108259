"""The state within the present step, by the dense output of its method."""

from __future__ import annotations

from isletsim.solver.frame import EXPLICIT, STIFF, Frame
from isletsim.solver.intrinsics import compiled, keep_apart, one_lane
from isletsim.solver.rosenbrock import interpolate_rosenbrock
from isletsim.solver.runge_kutta import explicit_dense, interpolate_explicit, interpolate_fixed
from isletsim.solver.struct import Integers

__all__ = ["interpolate", "interpolate_at"]


@compiled
def interpolate(frame: Frame, count: int, listed: Integers) -> None:
    """Store the listed states at FRACTION of the step in POINT."""
    keep_apart()
    if frame.method == STIFF:
        interpolate_rosenbrock(frame, count, listed, frame.point)
    elif frame.lanes == 1 and frame.method == EXPLICIT:
        if frame.dense_ready == 0:
            explicit_dense(frame)
        interpolate_explicit(frame, count, listed, frame.point)
    else:
        interpolate_fixed(frame, count, listed, frame.point)


@one_lane
def interpolate_at(frame: Frame, x: float) -> None:
    """Store all states at the fraction x of the step in POINT, and the time there in MOMENT; one lane only."""
    frame.fraction[0] = x
    frame.moment[0] = frame.time[0] + x * frame.h[0]
    interpolate(frame, frame.states, frame.all_rows)
