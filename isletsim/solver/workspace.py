"""The frame of a model: its sizes and functions, and the arrays that a driver works in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isletsim.solver.frame import Frame
from isletsim.solver.struct import Record, address_of, aligned_zeros, new_record

if TYPE_CHECKING:
    from isletsim.solver.records import NativeFunctions, NativeModel

__all__ = ["new_frame"]

LINE = 8  # doubles in a line of the processor's cache
PADDING = 8  # numbers that a vectorised loop may reach beyond the end of an array
STAGES = 16  # of DOP853 with its dense output; Rodas5P has 8
DENSE_ROWS = 7
ENDLESS = 2**62
FUNCTIONS = ("prepare", "start", "rhs", "jac", "factor", "solve", "observe", "bounds", "act")


def new_frame(model: NativeModel, functions: NativeFunctions | None = None, lanes: int = 1) -> Record:
    """Return a frame for a model: of its own functions for one lane, or of others for several."""
    functions = model.functions if functions is None else functions
    events, states, width = model.roots - model.kinks, model.states, max(1, model.width)
    mass = np.zeros(states + PADDING)
    mass[:states] = model.mass
    frame = new_record(
        Frame,
        lanes,
        states=states,
        parameters=model.parameters,
        outputs=model.outputs,
        nonzeros=model.nonzeros,
        events=events,
        roots=model.roots,
        algebraic=int((mass[:states] == 0.0).sum()),
        row_index=np.ascontiguousarray(model.rows, np.int32),
        column_index=np.ascontiguousarray(model.columns, np.int32),
        mass=mass,
        event_action=np.ascontiguousarray(model.event_action, np.int32),
        event_initially=np.array([event.initially for event in model.flat.events], np.int32),
        time_roots=model.time_roots,
        timed=len(model.timed),
        timed_rows=model.timed,
        seen=len(model.seen),
        seen_rows=model.seen,
        all_rows=np.arange(states),
        triggers=functions.roots,
        budget=ENDLESS,
        **{name: getattr(functions, name) for name in FUNCTIONS},
    )
    stride = -(-states // LINE) * LINE if lanes == 1 else states | 1  # odd: stages do not meet in the same cache lines
    lengths = {
        "state": stride,
        "next": stride,
        "point": stride,
        "spare": stride,
        "parameter": width,
        "values_copy": width,
        "jacobian": model.nonzeros + states,
        "stages": (STAGES if lanes == 1 else 8) * stride,
        "lu": max(model.factor_size, states),
        "out": max(1, model.outputs),
    }
    if lanes == 1:
        lengths |= {"dense": DENSE_ROWS * stride, "errors": 2 * stride, "matrix": states * states, "pivots": states}
        lengths |= dict.fromkeys(("root_before", "root_after", "root_here", "signs", "fired"), model.roots)
        lengths |= {"root_bounds": 2 * model.roots, "interval": 2, "samples": 5}
    _lay_out(frame, lengths)
    frame.set(stride=stride)
    return frame


def _lay_out(frame: Record, lengths: dict[str, int]) -> None:
    """Give every array its place, at the beginning of a cache line.

    The Jacobian is an exception: it ends where the stages begin, since `jac` writes the derivatives behind it.
    """
    lanes = frame.layout.lanes
    work = aligned_zeros(sum(_whole(lanes * length) for length in lengths.values()) + LINE, np.float64)
    frame.held["work"] = work
    place = address_of(work)
    for name, length in lengths.items():
        end = place + 8 * _whole(lanes * length)
        setattr(frame, name, end - 8 * lanes * length if name == "jacobian" else place)
        place = end


def _whole(count: int) -> int:
    """Return the numbers of whole cache lines that hold so many."""
    return -(-count // LINE) * LINE
