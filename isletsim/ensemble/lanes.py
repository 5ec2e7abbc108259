"""What is asked of the lane driver, laid out for it, and one native call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ctypes import addressof, c_char
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isletsim.codegen import CompiledModel, LaneFunctions
from isletsim.solver import Schedule, Watch
from isletsim.solver import lane_frame as at
from isletsim.solver.native import lane_driver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "Answers",
    "Asked",
    "Clock",
    "address_of",
    "bench_of",
    "clock_of",
    "heads_of",
    "in_lanes",
    "make_bench",
    "of_its_own",
]


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
    bench = bench_of(functions, model)
    frame = bench.frame
    recording = answers.outputs is not None or answers.trajectories is not None or watch is not None
    save = clock.save if recording else _NEVER
    numbers = np.array([asked.rtol])
    seen = functions.seen if answers.trajectories is None else bench.everything
    for slot, value in {
        at.SUBJECTS: len(answers.reasons),
        at.COUNTER: address_of(asked.counter),
        at.STARTS: 0 if asked.starts is None else address_of(asked.starts),
        at.STARTS_STEP: _step(asked.starts),
        at.VALUES: address_of(asked.values),
        at.VALUES_STEP: _step(asked.values),
        at.SCHEDULES: address_of(asked.heads),
        at.SCHEDULES_STEP: 8 * _step(asked.heads),
        at.SAVE: address_of(save),
        at.FIRST_SAVES: address_of(clock.first_saves if recording else _FIRST),
        at.FIRST_SAVES_STEP: 1 if recording and len(clock.first_saves) > 1 else 0,
        at.FIRST_ROWS: address_of(clock.first_rows),
        at.SPANS: address_of(clock.spans),
        at.SPANS_STEP: _step(clock.spans),
        at.MAXIMUM_STEPS: asked.maximum_steps,
        at.WATCH_OUTPUT: -1 if watch is None else watch.output,
        at.WATCH_DIRECTION: 1 if watch is None else watch.direction,
        at.WATCH_LEVELS: address_of(asked.levels),
        at.WATCH_STEP: 1 if len(asked.levels) > 1 else 0,
        at.NUMBERS: address_of(numbers),
        at.ABSOLUTE: address_of(asked.atol),
        at.SAVED_OUTPUTS: address_of(answers.outputs),
        at.SAVED_STATES: address_of(answers.trajectories),
        at.ROWS_WRITTEN: address_of(answers.rows),
        at.LAST_TIMES: address_of(answers.times),
        at.LAST_STATES: address_of(answers.states),
        at.LAST_VALUES: address_of(answers.values),
        at.REASONS: address_of(answers.reasons),
        at.COUNTS: address_of(answers.counts),
        at.SEEN: len(seen),
        at.SEEN_ROWS: address_of(seen),
        at.FIXED: 1 if asked.fixed else 0,
        at.STEPS: address_of(asked.steps),
        at.STEPS_STEP: 1 if len(asked.steps) > 1 else 0,
    }.items():
        frame[slot] = value
    own = address_of(frame)
    lane_driver(functions.lanes)(own + 8 * at.RESULT, own + 8 * at.EXCEPTION, own)


_NEVER = np.array([np.inf])
_FIRST = np.zeros(1, np.int64)


def address_of(array: NDArray[Any] | None) -> int:
    """Where an array begins; 0 where there is none."""
    if array is None:
        return 0
    memory: Any = array
    try:
        return addressof(c_char.from_buffer(memory))  # six times quicker than asking numpy
    except (TypeError, ValueError):  # an array that is empty or must not be written
        return array.ctypes.data


def of_its_own(count: int) -> Integers:
    """Integers at zero that share no line of the processor's cache with anything: threads write them all the time."""
    memory = np.zeros(count + 16, np.int64)
    first = -address_of(memory) // 8 % 8
    return memory[first : first + count]


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


def bench_of(functions: LaneFunctions, model: CompiledModel, use: str = "") -> _Bench:
    """The work space of this thread for a model, and a use of it that fills its frame in its own way."""
    benches: dict[tuple[int, str], _Bench] = _OF_THREAD.__dict__.setdefault("benches", {})
    key = functions.rhs, use
    bench = benches.get(key)
    if bench is None:
        if len(benches) >= _BENCHES:
            benches.clear()
        bench = benches[key] = make_bench(functions, model)
    return bench


def make_bench(functions: LaneFunctions, model: CompiledModel) -> _Bench:
    """A work space for a model."""
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
    place = address_of(work) + -address_of(work) % 64
    frame = of_its_own(at.FRAME_SIZE)
    for slot, length in lengths.items():
        frame[slot] = place
        place += 8 * functions.lanes * length
    everything = np.arange(states)
    of_lane = of_its_own(at.PER_LANE * functions.lanes)
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
        at.TIMED_ROWS: address_of(functions.timed),
        at.OF_LANE: address_of(of_lane),
        at.ALL_ROWS: address_of(everything),
    }.items():
        frame[slot] = value
    return _Bench(frame, everything, functions, (work, of_lane))
