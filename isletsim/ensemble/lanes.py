"""What is asked of the lane driver, laid out for it, and one native call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isletsim.compiler import CompiledModel, LaneFunctions
from isletsim.solver import Schedule, Watch
from isletsim.solver import lane_frame as at
from isletsim.solver.native import lane_driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Answers", "Asked", "Clock", "clock_of", "heads_of", "in_lanes"]


class Clock(NamedTuple):
    """When subjects run and are recorded.

    Attributes
    ----------
    spans : first and last time, one row for all or one a subject.
    save : times of records, list after list, with infinity behind the last of each.
    first_saves : where the list of a subject begins, one for all or one a subject.
    first_rows : the row that each subject's records begin with.
    """

    spans: Numbers
    save: Numbers
    first_saves: Integers
    first_rows: Integers


def clock_of(span: tuple[float, float], save: Numbers, subjects: int) -> Clock:
    """All subjects by the same clock."""
    rows = len(save) * np.arange(subjects, dtype=np.int64)
    return Clock(np.array([span], float), np.append(save, np.inf), np.zeros(1, np.int64), rows)


def heads_of(schedules: Sequence[Schedule]) -> Integers:
    """The heads of schedules, row by row; the schedules must outlive them."""
    return np.array([each.head for each in schedules], np.int64)


@dataclass(frozen=True)
class Asked:
    """A question to the lanes; arrays have one row a subject, or a single one for all.

    `counter` holds the next subject to be taken; threads that share it share the subjects. `steps` are the longest of
    equal steps where `fixed`.
    """

    model: CompiledModel
    functions: LaneFunctions
    starts: Numbers | None
    values: Numbers
    heads: Integers
    clock: Clock
    rtol: float
    atol: Numbers
    watch: Watch | None
    levels: Numbers
    maximum_steps: int
    fixed: bool
    steps: Numbers
    counter: Integers


@dataclass(frozen=True)
class Answers:
    """Where the lanes write: one row a subject, or a record; None where something is not wanted."""

    reasons: Integers
    times: Numbers
    rows: Integers
    counts: Integers
    states: Numbers
    values: Numbers | None
    outputs: Numbers | None
    trajectories: Numbers | None


def in_lanes(asked: Asked, answers: Answers) -> None:
    """Subjects in the eight lanes of this thread, until none are left."""
    model, functions, clock, watch = asked.model, asked.functions, asked.clock, asked.watch
    bench = _bench_of(functions, model)
    frame = bench.frame
    recording = answers.outputs is not None or answers.trajectories is not None or watch is not None
    save = clock.save if recording else _NEVER
    numbers = np.array([asked.rtol])
    seen = functions.seen if answers.trajectories is None else bench.everything
    for slot, value in {
        at.SUBJECTS: len(answers.reasons),
        at.COUNTER: _address(asked.counter),
        at.STARTS: 0 if asked.starts is None else _address(asked.starts),
        at.STARTS_STEP: _step(asked.starts),
        at.VALUES: _address(asked.values),
        at.VALUES_STEP: _step(asked.values),
        at.SCHEDULES: _address(asked.heads),
        at.SCHEDULES_STEP: 8 * _step(asked.heads),
        at.SAVE: _address(save),
        at.FIRST_SAVES: _address(clock.first_saves if recording else _FIRST),
        at.FIRST_SAVES_STEP: 1 if recording and len(clock.first_saves) > 1 else 0,
        at.FIRST_ROWS: _address(clock.first_rows),
        at.SPANS: _address(clock.spans),
        at.SPANS_STEP: _step(clock.spans),
        at.MAXIMUM_STEPS: asked.maximum_steps,
        at.WATCH_OUTPUT: -1 if watch is None else watch.output,
        at.WATCH_DIRECTION: 1 if watch is None else watch.direction,
        at.WATCH_LEVELS: _address(asked.levels),
        at.WATCH_STEP: 1 if len(asked.levels) > 1 else 0,
        at.NUMBERS: _address(numbers),
        at.ABSOLUTE: _address(asked.atol),
        at.SAVED_OUTPUTS: _address(answers.outputs),
        at.SAVED_STATES: _address(answers.trajectories),
        at.ROWS_WRITTEN: _address(answers.rows),
        at.LAST_TIMES: _address(answers.times),
        at.LAST_STATES: _address(answers.states),
        at.LAST_VALUES: _address(answers.values),
        at.REASONS: _address(answers.reasons),
        at.COUNTS: _address(answers.counts),
        at.SEEN: len(seen),
        at.SEEN_ROWS: _address(seen),
        at.FIXED: 1 if asked.fixed else 0,
        at.STEPS: _address(asked.steps),
        at.STEPS_STEP: 1 if len(asked.steps) > 1 else 0,
    }.items():
        frame[slot] = value
    own = _address(frame)
    lane_driver(functions.lanes)(own + 8 * at.RESULT, own + 8 * at.EXCEPTION, own)


_NEVER = np.array([np.inf])
_FIRST = np.zeros(1, np.int64)


def _address(array: NDArray[Any] | None) -> int:
    return 0 if array is None else array.ctypes.data


def _step(rows: NDArray[Any] | None) -> int:
    """How many numbers lie between two subjects; 0 where all share one row."""
    return 0 if rows is None or len(rows) == 1 else rows.shape[1]


# The work space of a thread


class _Bench(NamedTuple):
    """A frame that knows its model and its work space; the arrays are kept alive by it."""

    frame: Integers
    everything: Integers
    functions: LaneFunctions
    arrays: tuple[NDArray[Any], ...]


_OF_THREAD = threading.local()
_BENCHES = 8  # models whose work space a thread keeps


def _bench_of(functions: LaneFunctions, model: CompiledModel) -> _Bench:
    """The work space of this thread for a model."""
    benches: dict[int, _Bench] = _OF_THREAD.__dict__.setdefault("benches", {})
    bench = benches.get(functions.rhs)
    if bench is None:
        if len(benches) >= _BENCHES:
            benches.clear()
        bench = benches[functions.rhs] = _make_bench(functions, model)
    return bench


def _make_bench(functions: LaneFunctions, model: CompiledModel) -> _Bench:
    states, width = model.states, max(1, functions.width)
    stride = states | 1  # an odd number, so that stages do not meet in the same lines of the processor's cache
    lengths = {
        at.STATE: states,
        at.NEXT: states,
        at.POINT: states,
        at.SPARE: states,
        at.PARAMETER: width,
        at.VALUES_COPY: width,
        at.JACOBIAN: model.nonzeros + states,
        at.STAGES: 8 * stride,
        at.LU: model.factor_size,
        at.OUT: max(1, model.outputs),
        at.CONTROL: at.CONTROL_ROWS,
    }
    work = np.zeros(functions.lanes * sum(lengths.values()) + at.LANES)
    place = _address(work) + -_address(work) % 64
    frame = np.zeros(at.FRAME_SIZE, np.int64)
    for slot, length in lengths.items():
        frame[slot] = place
        place += 8 * functions.lanes * length
    everything = np.arange(states)
    of_lane = np.zeros((at.PER_LANE, functions.lanes), np.int64)
    for slot, value in {
        at.STATES: states,
        at.PARAMETERS: model.parameters,
        at.OUTPUTS: model.outputs,
        at.NONZEROS: model.nonzeros,
        at.PREPARE: functions.prepare,
        at.START: functions.start,
        at.RHS: functions.rhs,
        at.JAC: functions.jac,
        at.FACTOR: functions.factor,
        at.SOLVE: functions.solve,
        at.OBSERVE: functions.observe,
        at.ACT: functions.act,
        at.STRIDE: stride,
        at.TIMED: len(functions.timed),
        at.TIMED_ROWS: _address(functions.timed),
        at.OF_LANE: _address(of_lane),
        at.ALL_ROWS: _address(everything),
    }.items():
        frame[slot] = value
    return _Bench(frame, everything, functions, (work, of_lane))
