"""One run in a lane of its own: its arrays stay from call to call, so that a short run costs little besides itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.codegen import CompiledModel, LaneFunctions
from isletsim.ensemble.lanes import address_of, bench_of
from isletsim.solver import Counts, Outcome, Reason, Schedule, Watch
from isletsim.solver import lane_frame as at
from isletsim.solver.native import lane_driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["in_one_lane"]

MAXIMUM_STEPS = 1_000_000
RECORDS = 512  # times there is room for at first

# What the caller changes from run to run, in the order of `_Desk.changing`.
_CHANGING = np.array([at.SAVE, at.SAVED_OUTPUTS, at.WATCH_OUTPUT, at.WATCH_DIRECTION, at.FIXED])
# Places of `_Desk.real` and `_Desk.whole`.
_RTOL, _BEGIN, _END, _STEP, _LEVEL, _LAST_TIME = range(6)
_COUNTER, _REASON, _ROWS, _STEPS, _REJECTED, _FIRST_ROW, _FIRST_SAVE = range(7)


@dataclass(slots=True)
class _Desk:
    """The arrays of one thread and one model, whose addresses stand in the frame for good."""

    frame: Integers
    own: int
    real: Numbers
    whole: Integers
    start: Numbers
    parameters: Numbers
    absolute: Numbers
    head: Integers
    last_state: Numbers
    last_parameters: Numbers
    save: Numbers
    arrays: tuple[object, ...]


_OF_THREAD = threading.local()
_DESKS = 8  # models a thread keeps desks for


def _desk_of(functions: LaneFunctions, model: CompiledModel) -> _Desk:
    desks: dict[int, _Desk] = _OF_THREAD.__dict__.setdefault("desks", {})
    desk = desks.get(functions.rhs)
    if desk is None:
        if len(desks) >= _DESKS:
            desks.clear()
        desk = desks[functions.rhs] = _make_desk(functions, model)
    return desk


def _make_desk(functions: LaneFunctions, model: CompiledModel) -> _Desk:
    bench = bench_of(functions, model, "single")
    frame, states, parameters = bench.frame, model.states, model.parameters
    real, whole, head = np.zeros(6), np.zeros(7, np.int64), np.zeros(6, np.int64)
    start, absolute, last_state = np.empty(states), np.empty(states), np.empty(states)
    values, last_values = np.empty(parameters + 1), np.empty(parameters + 1)
    reals, wholes = address_of(real), address_of(whole)
    for slot, value in {
        at.SUBJECTS: 1,
        at.COUNTER: wholes + 8 * _COUNTER,
        at.STARTS: address_of(start),
        at.VALUES: address_of(values),
        at.SCHEDULES: address_of(head),
        at.FIRST_SAVES: wholes + 8 * _FIRST_SAVE,
        at.FIRST_ROWS: wholes + 8 * _FIRST_ROW,
        at.SPANS: reals + 8 * _BEGIN,
        at.MAXIMUM_STEPS: MAXIMUM_STEPS,
        at.WATCH_LEVELS: reals + 8 * _LEVEL,
        at.NUMBERS: reals + 8 * _RTOL,
        at.ABSOLUTE: address_of(absolute),
        at.ROWS_WRITTEN: wholes + 8 * _ROWS,
        at.LAST_TIMES: reals + 8 * _LAST_TIME,
        at.LAST_STATES: address_of(last_state),
        at.LAST_VALUES: address_of(last_values),
        at.REASONS: wholes + 8 * _REASON,
        at.COUNTS: wholes + 8 * _STEPS,
        at.SEEN: len(functions.seen),
        at.SEEN_ROWS: address_of(functions.seen),
        at.STEPS: reals + 8 * _STEP,
    }.items():
        frame[slot] = value
    return _Desk(
        frame=frame,
        own=address_of(frame),
        real=real,
        whole=whole,
        start=start,
        parameters=values[:parameters],
        absolute=absolute,
        head=head,
        last_state=last_state,
        last_parameters=last_values[:parameters],
        save=np.empty(RECORDS),
        arrays=(bench, values, last_values),
    )


def in_one_lane(
    functions: LaneFunctions,
    model: CompiledModel,
    start: Numbers,
    parameters: Numbers,
    *,
    span: tuple[float, float],
    save: Numbers,
    schedule: Schedule,
    rtol: float,
    atol: Numbers,
    fixed: bool,
    step: float,
    watch: Watch | None,
) -> Outcome | None:
    """A whole run, with the words of `isletsim.solver.solve`; None where the lane could not do it.

    `functions` are those for one lane, and `atol` has a number for every state.
    """
    desk = _desk_of(functions, model)
    rows = len(save)
    if rows >= len(desk.save):
        desk.save = np.empty(2 * rows)
    desk.save[:rows] = save
    desk.save[rows] = np.inf
    desk.start[:] = start
    desk.parameters[:] = parameters
    desk.absolute[:] = atol
    desk.head[:] = schedule.head
    level, output, direction = (0.0, -1, 1) if watch is None else (watch.level, watch.output, watch.direction)
    desk.real[:] = (rtol, *span, step, level, 0.0)
    desk.whole[:] = 0
    outputs = np.empty((rows, model.outputs))
    kept = address_of(outputs) if rows else 0
    desk.frame[_CHANGING] = (address_of(desk.save), kept, output, direction, 1 if fixed else 0)
    lane_driver(functions.lanes)(desk.own + 8 * at.RESULT, desk.own + 8 * at.EXCEPTION, desk.own)
    _, reason, done, taken, refused, _, _ = desk.whole.tolist()
    if reason == at.RETRY:
        return None
    return Outcome(
        reason=Reason(reason),
        time=desk.real.item(_LAST_TIME),
        times=save[:done],
        states=None,
        outputs=outputs[:done],
        state=desk.last_state.copy(),
        parameters=desk.last_parameters.copy(),
        counts=Counts(taken, refused, 0, 0, 0, 0, 0, 0, 0),
        event=-1,
        worst=-1,
    )
