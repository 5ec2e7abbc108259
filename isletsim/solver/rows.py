"""Records: rows of outputs and states that a lane writes for its subject."""

from __future__ import annotations

from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import call_at, compiled, reals
from isletsim.solver.struct import Reals

__all__ = ["load_column", "record_instant", "store_column", "take_column", "write_row"]


@compiled
def store_column(frame: Frame, vectors: Reals, lane: int, count: int, out: Reals) -> None:
    """One lane of some vectors, as a plain array."""
    for index in range(count):
        out[index] = vectors[index * frame.lanes + lane]


@compiled
def load_column(frame: Frame, vectors: Reals, lane: int, count: int, source: Reals) -> None:
    """A plain array into one lane of some vectors."""
    for index in range(count):
        vectors[index * frame.lanes + lane] = source[index]


@compiled
def take_column(frame: Frame, vectors: Reals, source: Reals, lane: int, count: int) -> None:
    """One lane of other vectors into the same lane."""
    for index in range(count):
        vectors[index * frame.lanes + lane] = source[index * frame.lanes + lane]


@compiled
def write_row(frame: Frame, lane: int, point: Reals) -> int:
    """Write the row of a lane for which OUT and the state `point` are ready. Return 1 if the watched output passed."""
    address = frame.next_outputs[lane]
    if address != 0:
        store_column(frame, frame.out, lane, frame.outputs, reals(address))
        frame.next_outputs[lane] = address + 8 * frame.outputs
    address = frame.next_states[lane]
    if address != 0:
        store_column(frame, point, lane, frame.states, reals(address))
        frame.next_states[lane] = address + 8 * frame.states
    frame.row[lane] += 1
    frame.next_time[lane] += 8
    frame.next_save[lane] = reals(frame.next_time[lane])[0]
    if frame.watch_output < 0:
        return 0
    level = frame.watch_levels[frame.subject[lane] * frame.watch_step]
    beyond = frame.out[frame.watch_output * frame.lanes + lane] - level
    return 1 if beyond * frame.watch_direction >= 0.0 else 0


@compiled
def record_instant(frame: Frame, lane: int) -> int:
    """Write the rows of a lane that are due at its very time. Return 1 if the watched output passed."""
    while frame.next_save[lane] <= frame.time[lane]:
        call_at(frame.observe, frame.time, frame.state, frame.parameter, frame.out)
        if write_row(frame, lane, frame.state) != 0:
            return 1
    return 0
