"""One run: arrays in, one native call, arrays out."""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isletsim.solver.frame import COUNTS, EXPLICIT, FIXED, STIFF
from isletsim.solver.native import run_driver
from isletsim.solver.records import Counts, NativeModel, Outcome, Reason, Schedule, Watch
from isletsim.solver.struct import Record, address_of
from isletsim.solver.workspace import new_frame

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]

__all__ = ["METHODS", "check_settings", "solve"]

METHODS = {"stiff": STIFF, "explicit": EXPLICIT, "fixed": FIXED}
LONGEST_COUNT = 1e12  # steps of one length that can still be told apart
RECORDS = 512  # times there is room for at first
SLICE = 1_000_000  # steps times states between two returns of the driver to Python, a tenth of a second or so
KEPT = 8  # models whose work space a thread keeps


@dataclass(slots=True)
class _Workspace:
    """The arrays of one thread and one model, whose addresses stay in the frame; a short run costs little besides."""

    model: weakref.ref[Any]
    frame: Record
    scale: Numbers
    start: Numbers
    values: Numbers
    absolute: Numbers
    span: Numbers
    step: Numbers
    level: Numbers
    time: Numbers
    state: Numbers
    last_values: Numbers
    save: Numbers
    counts: NDArray[np.int64]  # the run's counts, then the counter of subjects, the reason and the rows written


_OF_THREAD = threading.local()


def _workspace(model: NativeModel) -> _Workspace:
    known: dict[int, _Workspace] = _OF_THREAD.__dict__.setdefault("workspaces", {})
    found = known.get(id(model))
    if found is None or found.model() is not model:
        if len(known) >= KEPT:
            known.clear()
        found = known[id(model)] = _make_workspace(model)
    return found


def _make_workspace(model: NativeModel) -> _Workspace:
    states, parameters = model.states, model.parameters
    work = _Workspace(
        model=weakref.ref(model),
        frame=new_frame(model),
        scale=np.array(model.flat.scale, float),
        start=np.empty(states),
        values=np.empty(parameters),
        absolute=np.empty(states),
        span=np.empty(2),
        step=np.empty(1),
        level=np.empty(1),
        time=np.empty(1),
        state=np.empty(states),
        last_values=np.empty(parameters),
        save=np.empty(RECORDS),
        counts=np.zeros(COUNTS + 4, np.int64),
    )
    work.frame.set(
        subjects=1,
        counter=work.counts[COUNTS:],
        values=work.values,
        first_saves=work.counts[COUNTS + 3 :],
        first_rows=work.counts[COUNTS + 3 :],
        spans=work.span,
        steps=work.step,
        watch_levels=work.level,
        absolute=work.absolute,
        rows_written=work.counts[COUNTS + 2 :],
        last_times=work.time,
        last_states=work.state,
        last_values=work.last_values,
        reasons=work.counts[COUNTS + 1 :],
        counts=work.counts,
        counts_step=COUNTS,
    )
    return work


def solve(
    model: NativeModel,
    start: ArrayLike | None,
    parameters: ArrayLike,
    *,
    span: tuple[float, float],
    save: ArrayLike,
    schedule: Schedule | None = None,
    rtol: float = 1e-6,
    atol: ArrayLike | None = None,
    method: Literal["stiff", "explicit", "fixed"] = "stiff",
    step: float | None = None,
    max_step: float | None = None,
    maximum_steps: int = 1_000_000,
    watch: Watch | None = None,
    keep_states: bool = True,
) -> Outcome:
    """Return the outcome of a whole run.

    Parameters
    ----------
    model : machine code and sizes, see `NativeModel`.
    start : value of every state at the beginning, or None for the model's own start.
    parameters : value of every parameter.
    span : first and last time.
    save : times to record, rising, within the span. They never change the steps.
    schedule : what happens when; every time in it is a hard stop.
    rtol, atol : tolerances of the error of a step, state by state. atol is rtol / 100 of the model's scales if None.
    method : "stiff" (Rodas5P), "explicit" (DOP853) or "fixed" (stabilised Runge-Kutta of order 4 with equal steps from
        stop to stop and no look at the error); the last two for ordinary differential equations only.
    step : the longest step of the fixed method.
    max_step : the longest step of the other two, in days; without limit if None.
    maximum_steps : how many steps may be tried.
    watch : a level of an output that ends the run.
    keep_states : whether the states are recorded beside the outputs.
    """
    work, states, outputs = _workspace(model), model.states, model.outputs
    save = np.ascontiguousarray(save, float)
    begin, end = float(span[0]), float(span[1])
    schedule = Schedule.empty() if schedule is None else schedule
    check_settings(model, (begin, end), save, rtol, method, step, max_step)
    rows = len(save)
    if rows >= len(work.save):
        work.save = np.empty(2 * rows)
    work.save[:rows] = save
    work.save[rows] = np.inf
    work.span[:] = begin, end
    work.absolute[:] = work.scale * (0.01 * rtol) if atol is None else atol
    work.values[:] = parameters
    work.step[0] = step if step is not None else np.inf if max_step is None else max_step
    work.level[0] = 0.0 if watch is None else watch.level
    work.counts[:] = 0
    if start is not None:
        work.start[:] = start
    kept = np.empty((rows, outputs))
    kept_states = np.empty((rows, states)) if keep_states else None
    frame = work.frame
    frame.method = METHODS[method]
    frame.starts = 0 if start is None else address_of(work.start)
    frame.schedules = address_of(schedule.head)
    frame.save = address_of(work.save)
    frame.maximum_steps = maximum_steps
    frame.relative = rtol
    frame.watch_output = -1 if watch is None else watch.output
    frame.watch_direction = 1 if watch is None else watch.direction
    frame.saved_outputs = address_of(kept) if outputs and rows else 0
    frame.saved_states = address_of(kept_states) if keep_states and rows and states else 0
    if keep_states:
        frame.seen, frame.seen_rows = states, frame.all_rows
    else:
        frame.seen, frame.seen_rows = len(model.seen), address_of(model.seen)
    # Now and then the driver returns, so that Ctrl-C and other signals are heard within a long run.
    tranche = max(1, SLICE // (states + 20))
    frame.paused, frame.budget = 0, tranche
    run_driver(frame)
    while frame.paused:
        frame.budget = tranche
        run_driver(frame)

    *counts, event, worst, _, number, done, _ = work.counts.tolist()
    reason = Reason(number)
    return Outcome(
        reason=reason,
        time=work.time.item(),
        times=save if done == rows else save[:done],
        states=None if kept_states is None else kept_states[:done],
        outputs=kept[:done],
        state=work.state.copy(),
        parameters=work.last_values.copy(),
        counts=Counts(*counts),
        event=event if reason is Reason.TERMINAL else -1,
        worst=worst if reason.failed else -1,
    )


def check_settings(
    model: NativeModel,
    span: tuple[float, float],
    save: Numbers,
    rtol: float,
    method: str,
    step: ArrayLike | None,
    max_step: ArrayLike | None,
) -> None:
    """Raise ValueError for settings that cannot be meant; `step` and `max_step` may hold one number per subject."""
    begin, end = span
    if not (math.isfinite(begin) and begin <= end < math.inf):
        raise ValueError(f"span {begin}, {end}: the end must be finite and not before the beginning")
    if len(save) and not (save.item(0) >= begin and save.item(-1) <= end and (save[1:] >= save[:-1]).all()):
        raise ValueError("save must rise and lie within the span")
    if not 0.0 < rtol < 1.0:
        raise ValueError(f"rtol = {rtol}: must be between 0 and 1")
    if method not in METHODS:
        raise ValueError(f'method "{method}": must be "stiff", "explicit" or "fixed"')
    if (step is None) == (method == "fixed"):
        raise ValueError('method "fixed" needs a step; "stiff" and "explicit" have no step, but may have a max_step')
    if step is not None and max_step is not None:
        raise ValueError('method "fixed" has no max_step: its step is the longest already')
    for name, given in (("step", step), ("max_step", max_step)):
        lengths = np.asarray(0.0 if given is None else given, float)
        if given is not None and not ((lengths > 0.0).all() and (end - begin <= LONGEST_COUNT * lengths).all()):
            raise ValueError(f"{name} = {given}: must be positive, and not too short for the span")
    if step is not None and not np.isfinite(np.asarray(step, float)).all():
        raise ValueError(f"step = {step}: must be positive and finite")
    if method != "stiff" and not model.mass.all():
        unknowns = ", ".join(name for name, free in zip(model.flat.states, model.flat.algebraic, strict=True) if free)
        raise ValueError(f'method "{method}" cannot solve for algebraic unknowns ({unknowns}): use "stiff"')
