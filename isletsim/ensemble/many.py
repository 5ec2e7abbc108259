"""Many subjects of one model: eight side by side in vector lanes, lanes in threads, no processes.

Each subject has its own start, parameters, schedule, time and steps. A subject's numbers are the same bytes in any
lane, beside any neighbours and at any number of threads. What a lane cannot do is solved again by the scalar solver;
a model that lanes cannot do at all (algebraic unknowns, events, kinks) is solved by it altogether.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isletsim.codegen import CompiledModel, LaneFunctions, compile_lanes
from isletsim.ensemble.lanes import Batch, Results, heads_of, run_lanes, same_times
from isletsim.machine import cores
from isletsim.solver import Reason, Schedule, Watch, solve
from isletsim.solver.frame import RETRY
from isletsim.solver.runs import check_settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["EnsembleOutcome", "Keep", "Method", "People", "solve_in_blocks", "solve_many"]

Keep = Literal["ends", "outputs", "full"]
Method = Literal["stiff", "explicit", "fixed"]
People = Callable[[int, int], "tuple[ArrayLike | None, ArrayLike]"]
PATIENCE = 0.2  # seconds between two looks at the progress
_TAKING = threading.Lock()


@dataclass(frozen=True)
class EnsembleOutcome:
    """Finished runs of many subjects, row by row in their order.

    Attributes
    ----------
    save : the times of records.
    reasons : why each run stopped (`Reason`), and `times` when; `rows` is how many records it reached.
    states, parameters : the last state, and the parameters as actions left them.
    outputs : subjects x records x outputs, not a number after the last record; None where only ends were kept.
    trajectories : subjects x records x states, likewise; None unless everything was kept.
    steps, rejected : the work of each run.
    single : which subjects were solved by `isletsim.solver.solve`, one by one.
    """

    save: NDArray[np.float64] = field(repr=False)
    reasons: NDArray[np.int64] = field(repr=False)
    times: NDArray[np.float64] = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    states: NDArray[np.float64] = field(repr=False)
    parameters: NDArray[np.float64] = field(repr=False)
    outputs: NDArray[np.float64] | None = field(repr=False)
    trajectories: NDArray[np.float64] | None = field(repr=False)
    steps: NDArray[np.int64] = field(repr=False)
    rejected: NDArray[np.int64] = field(repr=False)
    single: NDArray[np.bool_] = field(repr=False)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which runs ended before they should."""
        return self.reasons >= Reason.NOT_FINITE


@dataclass(frozen=True)
class _Ensemble:
    """What all threads share: the question, and the arrays for its answers."""

    model: CompiledModel
    starts: NDArray[np.float64] | None
    values: NDArray[np.float64]
    schedules: Sequence[Schedule]
    span: tuple[float, float]
    save: NDArray[np.float64]
    rtol: float
    atol: NDArray[np.float64]
    watch: Watch | None
    levels: NDArray[np.float64]
    maximum_steps: int
    method: Method
    steps: NDArray[np.float64]
    counter: NDArray[np.int64]
    counts: NDArray[np.int64]
    keep_values: bool
    outcome: EnsembleOutcome

    @property
    def subjects(self) -> int:
        """How many there are."""
        return len(self.outcome.reasons)


def solve_many(
    model: CompiledModel,
    starts: ArrayLike | None,
    parameters: ArrayLike,
    *,
    span: tuple[float, float],
    save: ArrayLike = (),
    schedules: Schedule | Sequence[Schedule] | None = None,
    rtol: float = 1e-5,
    atol: ArrayLike | None = None,
    keep: Keep = "outputs",
    watch: Watch | None = None,
    levels: ArrayLike | None = None,
    method: Method = "stiff",
    step: ArrayLike | None = None,
    max_step: ArrayLike | None = None,
    maximum_steps: int = 1_000_000,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EnsembleOutcome:
    """A whole run of every subject.

    Parameters
    ----------
    starts : subjects x states, one row for all, or None for the model's own start.
    parameters : subjects x parameters, or one row for all; starts or parameters say how many subjects there are.
    span, save, rtol, atol, watch, maximum_steps : as in `isletsim.solver.solve`; rtol is 1e-5 here.
    schedules : one for all, or one a subject.
    keep : "ends" (last states and parameters only), "outputs" (also the outputs at every record), "full" (also states).
    levels : a level of the watched output for every subject, instead of the one in `watch`.
    method, step : as in `isletsim.solver.solve`; the longest of equal steps may be given for every subject.
    jobs : threads; all processors if None. The answer does not depend on it.
    progress : called now and then with the number of subjects begun and their total.
    """
    ensemble = _ensemble(
        model,
        starts,
        parameters,
        span,
        save,
        schedules,
        rtol,
        atol,
        keep,
        watch,
        levels,
        method,
        step,
        max_step,
        maximum_steps,
    )
    jobs = min(jobs or cores(), max(1, ensemble.subjects))
    functions = compile_lanes(model) if method != "explicit" else None
    if functions is None:
        ensemble.outcome.single[:] = True
    else:
        batch, results = _batch(ensemble, functions), _results(ensemble)
        _in_threads(ensemble, jobs, lambda: run_lanes(batch, results), progress)
        ensemble.outcome.steps[:], ensemble.outcome.rejected[:] = ensemble.counts.T
        ensemble.outcome.single[:] = ensemble.outcome.reasons == RETRY
    left = np.flatnonzero(ensemble.outcome.single)
    if len(left):
        ensemble.counter[0] = 0
        _in_threads(ensemble, min(jobs, len(left)), lambda: _one_by_one(ensemble, left), progress)
    _blank(ensemble.outcome)
    return ensemble.outcome


def _blank(outcome: EnsembleOutcome) -> None:
    """No numbers where no record was reached."""
    for subject in np.flatnonzero(outcome.rows < len(outcome.save)):
        for kept in (outcome.outputs, outcome.trajectories):
            if kept is not None:
                kept[subject, outcome.rows[subject] :] = np.nan


def solve_in_blocks(
    model: CompiledModel, people: People, subjects: int, *, block: int = 8192, **settings: Any
) -> Iterator[EnsembleOutcome]:
    """The runs of any number of subjects, some thousand at a time, so that memory does not grow with their number.

    Parameters
    ----------
    people : gives starts and parameters, as `solve_many` takes them, of the subjects from a first one to before a last.
    subjects : how many there are.
    block : how many are held at once.
    settings : what else `solve_many` takes, the same for all blocks.
    """
    for first in range(0, subjects, block):
        starts, parameters = people(first, min(first + block, subjects))
        yield solve_many(model, starts, parameters, **settings)


def _ensemble(
    model: CompiledModel,
    starts: ArrayLike | None,
    parameters: ArrayLike,
    span: tuple[float, float],
    save: ArrayLike,
    schedules: Schedule | Sequence[Schedule] | None,
    rtol: float,
    atol: ArrayLike | None,
    keep: Keep,
    watch: Watch | None,
    levels: ArrayLike | None,
    method: Method,
    step: ArrayLike | None,
    max_step: ArrayLike | None,
    maximum_steps: int,
) -> _Ensemble:
    given = None if starts is None else np.atleast_2d(np.ascontiguousarray(starts, float))
    values = np.atleast_2d(np.ascontiguousarray(parameters, float))
    listed = [Schedule.empty()] if schedules is None else [schedules] if isinstance(schedules, Schedule) else schedules
    wanted = np.atleast_1d(np.ascontiguousarray(0.0 if levels is None else levels, float))
    if levels is None and watch is not None:
        wanted[0] = watch.level
    longest = step if step is not None else np.inf if max_step is None else max_step
    steps = np.atleast_1d(np.ascontiguousarray(longest, float))
    widths = {"starts": given, "parameters": values, "schedules": listed, "levels": wanted, "step": steps}
    counts = {name: len(each) for name, each in widths.items() if each is not None and len(each) != 1}
    if len(set(counts.values())) > 1:
        raise ValueError(f"arguments must have the same number of rows, one per subject; got {counts}")
    subjects = next(iter(counts.values()), 1)
    if values.shape[1] != model.parameters or (given is not None and given.shape[1] != model.states):
        raise ValueError(f"a row must have {model.parameters} parameters, and {model.states} start values")
    times = np.ascontiguousarray(save, float)
    begin, end = float(span[0]), float(span[1])
    check_settings(model, (begin, end), times, rtol, method, step, max_step)
    if keep not in ("ends", "outputs", "full"):
        raise ValueError(f'keep "{keep}": must be "ends", "outputs" or "full"')
    rows = len(times)
    outcome = EnsembleOutcome(
        save=times,
        reasons=np.full(subjects, RETRY, np.int64),
        times=np.full(subjects, begin),
        rows=np.zeros(subjects, np.int64),
        states=np.full((subjects, model.states), np.nan),
        parameters=np.broadcast_to(values, (subjects, model.parameters)),
        outputs=None if keep == "ends" else np.empty((subjects, rows, model.outputs)),
        trajectories=np.empty((subjects, rows, model.states)) if keep == "full" else None,
        steps=np.zeros(subjects, np.int64),
        rejected=np.zeros(subjects, np.int64),
        single=np.zeros(subjects, np.bool_),
    )
    # Only actions and schedules change parameters; without them the rows that were given are the answer.
    changing = any((each.kinds > 0).any() for each in listed)
    if changing:
        object.__setattr__(outcome, "parameters", outcome.parameters.copy())
    scale = np.array(model.flat.scale, float) * (0.01 * rtol)
    return _Ensemble(
        model=model,
        starts=given,
        values=values,
        schedules=listed,
        span=(begin, end),
        save=times,
        rtol=rtol,
        atol=scale if atol is None else np.broadcast_to(np.asarray(atol, float), (model.states,)).copy(),
        watch=watch,
        levels=wanted,
        maximum_steps=maximum_steps,
        method=method,
        steps=steps,
        counter=np.zeros(1, np.int64),
        counts=np.zeros((subjects, 2), np.int64),
        keep_values=changing,
        outcome=outcome,
    )


def _in_threads(
    ensemble: _Ensemble, jobs: int, work: Callable[[], None], progress: Callable[[int, int], None] | None
) -> None:
    """Works in several threads until all is done; an interruption lets the running subjects end and takes no more."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting: set[Future[None]] = {pool.submit(work) for _ in range(jobs)}
        try:
            while waiting:
                done, waiting = wait(waiting, PATIENCE, FIRST_COMPLETED)
                for each in done:
                    each.result()
                if progress is not None:
                    progress(min(int(ensemble.counter[0]), ensemble.subjects), ensemble.subjects)
        except BaseException:
            ensemble.counter[0] = ensemble.subjects
            raise


# In lanes


def _batch(ensemble: _Ensemble, functions: LaneFunctions) -> Batch:
    return Batch(
        model=ensemble.model,
        functions=functions,
        starts=ensemble.starts,
        values=ensemble.values,
        heads=heads_of(ensemble.schedules),
        times=same_times(ensemble.span, ensemble.save, ensemble.subjects),
        rtol=ensemble.rtol,
        atol=ensemble.atol,
        watch=ensemble.watch,
        levels=ensemble.levels,
        maximum_steps=ensemble.maximum_steps,
        method=ensemble.method,
        steps=ensemble.steps,
        counter=ensemble.counter,
    )


def _results(ensemble: _Ensemble) -> Results:
    outcome = ensemble.outcome
    return Results(
        reasons=outcome.reasons,
        times=outcome.times,
        rows=outcome.rows,
        counts=ensemble.counts,
        states=outcome.states,
        values=outcome.parameters if ensemble.keep_values else None,
        outputs=outcome.outputs,
        trajectories=outcome.trajectories,
    )


# One by one


def _one_by_one(ensemble: _Ensemble, left: NDArray[np.int64]) -> None:
    """Subjects that the scalar solver does, one after the other."""
    for subject in _taken(ensemble, len(left)):
        _alone(ensemble, int(left[subject]))


def _taken(ensemble: _Ensemble, count: int) -> Iterator[int]:
    """The next numbers that no other thread has taken."""
    while True:
        with _TAKING:
            number = int(ensemble.counter[0])
            ensemble.counter[0] = number + 1
        if number >= count:
            return
        yield number


def _alone(ensemble: _Ensemble, subject: int) -> None:
    """One subject by the scalar solver, into its rows."""
    model, outcome, watch = ensemble.model, ensemble.outcome, ensemble.watch
    if watch is not None:
        watch = replace(watch, level=float(ensemble.levels[subject if len(ensemble.levels) > 1 else 0]))
    starts, longest = ensemble.starts, float(ensemble.steps[subject if len(ensemble.steps) > 1 else 0])
    result = solve(
        model,
        None if starts is None else starts[subject if len(starts) > 1 else 0],
        ensemble.values[subject if len(ensemble.values) > 1 else 0],
        span=ensemble.span,
        save=ensemble.save if outcome.outputs is not None or watch is not None else (),
        schedule=ensemble.schedules[subject if len(ensemble.schedules) > 1 else 0],
        rtol=ensemble.rtol,
        atol=ensemble.atol,
        method=ensemble.method,
        **{"step" if ensemble.method == "fixed" else "max_step": longest},
        maximum_steps=ensemble.maximum_steps,
        watch=watch,
        keep_states=outcome.trajectories is not None,
    )
    rows = len(result.times)
    outcome.reasons[subject], outcome.times[subject], outcome.rows[subject] = result.reason, result.time, rows
    outcome.states[subject] = result.state
    outcome.steps[subject], outcome.rejected[subject] = result.counts.steps, result.counts.rejected
    if ensemble.keep_values:
        outcome.parameters[subject] = result.parameters
    if outcome.outputs is not None:
        outcome.outputs[subject, :rows] = result.outputs
    if outcome.trajectories is not None and result.states is not None:
        outcome.trajectories[subject, :rows] = result.states
