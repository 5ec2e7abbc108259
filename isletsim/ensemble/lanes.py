"""A batch of runs for the lanes of one thread: arrays laid out for the driver, and one native call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isletsim.codegen import CompiledModel, LaneFunctions
from isletsim.solver import Schedule, Watch
from isletsim.solver.native import run_driver
from isletsim.solver.runs import METHODS
from isletsim.solver.struct import Record, address_of
from isletsim.solver.workspace import new_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Batch", "Results", "Times", "heads_of", "new_results", "run_lanes", "same_times"]

KEPT = 8  # models whose frame a thread keeps


class Times(NamedTuple):
    """When subjects run and are recorded.

    Attributes
    ----------
    spans : first and last time, one row for all or one per subject.
    save : times of records, list after list, with infinity behind the last of each.
    first_saves : where the list of a subject begins, one for all or one per subject.
    first_rows : the row that each subject's records begin with.
    """

    spans: Numbers
    save: Numbers
    first_saves: Integers
    first_rows: Integers


def same_times(span: tuple[float, float], save: Numbers, subjects: int) -> Times:
    """Return the times of subjects that all have the same."""
    rows = len(save) * np.arange(subjects, dtype=np.int64)
    return Times(np.array([span], float), np.append(save, np.inf), np.zeros(1, np.int64), rows)


def heads_of(schedules: Sequence[Schedule]) -> Integers:
    """Return the heads of schedules, row by row; the schedules must outlive them."""
    return np.array([each.head for each in schedules], np.int64)


@dataclass(frozen=True)
class Batch:
    """Runs of one model by one method; arrays have one row per subject, or a single one for all.

    `counter` holds the next subject; threads that share it share the subjects. `steps` are the longest steps.
    """

    model: CompiledModel
    functions: LaneFunctions
    starts: Numbers | None
    values: Numbers
    heads: Integers
    times: Times
    rtol: float
    atol: Numbers
    watch: Watch | None
    levels: Numbers
    maximum_steps: int
    method: str
    steps: Numbers
    counter: Integers


@dataclass(frozen=True)
class Results:
    """Where the lanes write: one row per subject, or per record; None for what is not wanted."""

    reasons: Integers
    times: Numbers
    rows: Integers
    counts: Integers
    states: Numbers
    values: Numbers | None
    outputs: Numbers | None
    trajectories: Numbers | None


def new_results(
    model: CompiledModel, subjects: int, records: int, *, values: bool, outputs: bool, trajectories: bool = False
) -> Results:
    """Return empty results for so many subjects and records."""
    return Results(
        reasons=np.empty(subjects, np.int64),
        times=np.empty(subjects),
        rows=np.empty(subjects, np.int64),
        counts=np.empty((subjects, 2), np.int64),
        states=np.empty((subjects, model.states)),
        values=np.empty((subjects, model.parameters)) if values else None,
        outputs=np.empty((records, model.outputs)) if outputs else None,
        trajectories=np.empty((records, model.states)) if trajectories else None,
    )


def run_lanes(batch: Batch, results: Results) -> None:
    """Run subjects in the lanes of this thread until none are left."""
    model, times, watch = batch.model, batch.times, batch.watch
    frame = _frame(batch.functions, model)
    recording = results.outputs is not None or results.trajectories is not None or watch is not None
    seen = model.seen if results.trajectories is None else np.arange(model.states)
    frame.set(
        method=METHODS[batch.method],
        subjects=len(results.reasons),
        counter=batch.counter,
        starts=batch.starts,
        starts_step=_step(batch.starts),
        values=batch.values,
        values_step=_step(batch.values),
        schedules=batch.heads,
        schedules_step=8 * _step(batch.heads),
        save=address_of(times.save if recording else _NEVER),
        first_saves=times.first_saves if recording else _FIRST,
        first_saves_step=1 if recording and len(times.first_saves) > 1 else 0,
        first_rows=times.first_rows,
        spans=times.spans,
        spans_step=_step(times.spans),
        steps=batch.steps,
        steps_step=1 if len(batch.steps) > 1 else 0,
        maximum_steps=batch.maximum_steps,
        watch_output=-1 if watch is None else watch.output,
        watch_direction=1 if watch is None else watch.direction,
        watch_levels=batch.levels,
        watch_step=1 if len(batch.levels) > 1 else 0,
        relative=batch.rtol,
        absolute=batch.atol,
        seen=len(seen),
        seen_rows=seen,
        saved_outputs=results.outputs,
        saved_states=results.trajectories,
        rows_written=results.rows,
        last_times=results.times,
        last_states=results.states,
        last_values=results.values,
        reasons=results.reasons,
        counts=results.counts,
        counts_step=2,
    )
    run_driver(frame)


_NEVER = np.array([np.inf])
_FIRST = np.zeros(1, np.int64)
_OF_THREAD = threading.local()


def _step(rows: NDArray[Any] | None) -> int:
    """Return how many numbers lie between two subjects; 0 if all share one row."""
    return 0 if rows is None or len(rows) == 1 else rows.shape[1]


def _frame(functions: LaneFunctions, model: CompiledModel) -> Record:
    """Return the frame of this thread for a model in lanes."""
    known: dict[int, Record] = _OF_THREAD.__dict__.setdefault("frames", {})
    key = functions.functions.rhs
    frame = known.get(key)
    if frame is None:
        if len(known) >= KEPT:
            known.clear()
        frame = known[key] = new_frame(model, functions.functions, functions.lanes)
        frame.held["code"] = functions
    return frame
