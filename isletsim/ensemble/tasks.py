"""Tasks: work that needs runs of the solver, many tasks at a time.

A task is a generator. It yields what it needs next, a list of runs (`SolveRequest`) and of jobs that a manager does
(`BatchJob`), and is sent the outcomes. `run_tasks` runs many tasks at a time and lays their runs into the lanes;
`run_task` runs one. A request has the same outcome in any company, so the results of a task do not depend on which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from isletsim.codegen import CompiledModel, LaneFunctions, compile_lanes
from isletsim.ensemble.lanes import Batch, Results, Times, heads_of, new_results, run_lanes
from isletsim.solver import Counts, Outcome, Reason, Schedule, Watch, solve
from isletsim.solver.frame import LANES, RETRY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = [
    "FEW",
    "MAXIMUM_STEPS",
    "WIDTH",
    "BatchJob",
    "SolveRequest",
    "Task",
    "gather",
    "run_task",
    "run_tasks",
    "solve_batch",
    "tolerances_of",
]

WIDTH = 64  # tasks that run at a time: enough to fill the lanes, few enough to stay in the processor's cache
BEGUN = 16  # tasks that begin in a round: the lanes of one thread need not wait until another has begun all of its own
FEW = 2  # so many runs are quicker one after the other in a single lane than side by side in eight
ENDED = 8  # jobs that come to their end before other tasks begin or go on
LONGEST_WAIT = 8  # rounds that a task waits for company
MAXIMUM_STEPS = 1_000_000
_NOTHING = Schedule.empty()
_REASONS = tuple(Reason)


@dataclass(slots=True, eq=False)
class SolveRequest:
    """A run that the solver is to make; the words are those of `isletsim.solver.solve`.

    The absolute tolerances follow from the scales of the states. Rows that a run need not keep are for its watch only.
    """

    model: CompiledModel
    start: Numbers
    parameters: Numbers
    begin: float
    end: float
    save: Numbers
    rtol: float
    schedule: Schedule = _NOTHING
    method: str = "stiff"
    step: float = np.nan
    watch: Watch | None = None
    keep: bool = True


class BatchJob(Protocol):
    """Other work of a task, done many at a time by a manager; its outcome is the job itself."""

    done: bool

    @property
    def manager(self) -> JobManager:
        """The manager that does it."""


class JobManager(Protocol):
    """Does jobs, many at a time."""

    def advance(self, jobs: Sequence[Any], fewest: int = 0) -> None:
        """Advance jobs until at most `fewest` are not done."""


Result = TypeVar("Result")
Request = SolveRequest | BatchJob
Task = Generator["Sequence[Request]", "Sequence[Any]", Result]


def run_task(task: Task[Result]) -> Result:
    """Return the result of one task."""
    try:
        asked = next(task)
        while True:
            asked = task.send(solve_batch(asked))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def gather(tasks: Sequence[Task[Result]]) -> Task[list[Result]]:
    """Return a task that runs several tasks at once and returns their results in order."""
    if len(tasks) == 1:
        return [(yield from tasks[0])]
    ends: dict[int, Result] = {}
    sent: dict[int, Sequence[Any] | None] = dict.fromkeys(range(len(tasks)))
    while sent:
        asked: dict[int, Sequence[Request]] = {}
        for number, outcomes in sent.items():
            try:
                asked[number] = next(tasks[number]) if outcomes is None else tasks[number].send(outcomes)
            except StopIteration as end:
                ends[number] = end.value
        if asked:
            found = iter((yield [run for runs in asked.values() for run in runs]))
        sent = {number: [next(found) for _ in runs] for number, runs in asked.items()}
    return [ends[number] for number in range(len(tasks))]


def run_tasks(
    tasks: Iterable[Task[Result]], width: int = WIDTH, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """Yield the results of many tasks, as they come; `width` of them run at a time, until `stopped`."""
    waiting = iter(tasks)
    running: list[_Running[Result]] = []
    while not stopped():
        full = min(width, len(running) + BEGUN)
        while len(running) < full:
            task = next(waiting, None)
            if task is None:
                break
            try:
                running.append(_Running(task, next(task)))
            except StopIteration as end:
                yield end.value
        if not running:
            return
        _serve(running)
        going: list[_Running[Result]] = []
        for each in running:
            if None in each.answers:
                going.append(each)
                continue
            try:
                each.ask(each.task.send(each.answers))
                going.append(each)
            except StopIteration as end:
                yield end.value
        running = going


class _Running(Generic[Result]):
    """A task, its requests, their outcomes so far, and for how many rounds its runs have waited for company."""

    __slots__ = ("answers", "asked", "kinds", "task", "waited")

    def __init__(self, task: Task[Result], asked: Sequence[Request]) -> None:
        self.task = task
        self.ask(asked)

    def ask(self, asked: Sequence[Request]) -> None:
        """Take the next requests; `kinds` are those of its runs."""
        self.asked = asked
        self.answers: list[Any] = [None] * len(asked)
        self.kinds = [_kind(each) for each in asked if isinstance(each, SolveRequest)]
        self.waited = 0


def _serve(running: Sequence[_Running[Any]]) -> None:
    """Make runs in company, and advance jobs until some of those of a manager are done.

    Runs that would leave lanes empty wait until others of their kind join them, but not for long.
    """
    asking = [each for each in running if each.kinds]
    counts = Counter(kind for each in asking for kind in each.kinds)
    enough = min(max(counts.values(), default=0), LANES)
    served = [
        each for each in asking if each.waited >= LONGEST_WAIT or all(counts[kind] >= enough for kind in each.kinds)
    ]
    places = [
        (each, place)
        for each in served or asking
        for place, run in enumerate(each.asked)
        if isinstance(run, SolveRequest)
    ]
    found = solve_batch([each.asked[place] for each, place in places])
    for (each, place), outcome in zip(places, found, strict=True):
        each.answers[place] = outcome
        each.kinds = []
    for each in asking:
        each.waited += 1
    managers: dict[Any, list[tuple[_Running[Any], int]]] = {}
    for each in running:
        for place, job in enumerate(each.asked):
            if each.answers[place] is None and not isinstance(job, SolveRequest):
                managers.setdefault(job.manager, []).append((each, place))
    for manager, waiting in managers.items():
        manager.advance([each.asked[place] for each, place in waiting], max(0, len(waiting) - ENDED))
        for each, place in waiting:
            if each.asked[place].done:  # type: ignore[union-attr]
                each.answers[place] = each.asked[place]


def _kind(run: SolveRequest) -> tuple[object, ...]:
    """Return what runs must share to be made side by side."""
    watched = None if run.watch is None else (run.watch.output, run.watch.direction)
    return id(run.model), run.method, run.rtol, watched, run.keep


# Outcomes


def solve_batch(asked: Sequence[Request]) -> list[Any]:
    """The answer to every question, in their order; runs of one model are solved side by side."""
    groups: dict[tuple[object, ...], list[int]] = {}
    managers: dict[Any, list[BatchJob]] = {}
    for place, each in enumerate(asked):
        if isinstance(each, SolveRequest):
            groups.setdefault(_kind(each), []).append(place)
        else:
            managers.setdefault(each.manager, []).append(each)
    for manager, jobs in managers.items():
        manager.advance(jobs)
    answers: list[Any] = list(asked)
    for places in groups.values():
        group: list[Any] = [asked[place] for place in places]
        few = len(group) <= FEW or group[0].method == "explicit"
        functions = None if few else compile_lanes(group[0].model)
        found = [_solve_one(run) for run in group] if functions is None else _side_by_side(group, functions)
        for place, outcome in zip(places, found, strict=True):
            answers[place] = outcome
    return answers


def _solve_one(run: SolveRequest) -> Outcome:
    """Return the outcome of one run by itself."""
    return solve(
        run.model,
        run.start,
        run.parameters,
        span=(run.begin, run.end),
        save=run.save,
        schedule=run.schedule,
        rtol=run.rtol,
        method=run.method,  # type: ignore[arg-type]
        step=run.step if run.method == "fixed" else None,
        watch=run.watch,
        keep_states=False,
    )


def _side_by_side(group: Sequence[SolveRequest], functions: LaneFunctions) -> list[Outcome]:
    """Return the outcomes of runs of one model and one method in lanes; what lanes cannot do is solved by itself."""
    first, count = group[0], len(group)
    model, changing = first.model, any(len(run.schedule.kinds) for run in group)
    times = _times(group)
    total = int(times.first_rows[-1]) + len(group[-1].save)
    values = np.array([run.parameters for run in group])
    results = new_results(model, count, total, values=changing, outputs=first.keep)
    batch = Batch(
        model=model,
        functions=functions,
        starts=np.array([run.start for run in group]),
        values=values,
        heads=heads_of([run.schedule for run in group]),
        times=times,
        rtol=first.rtol,
        atol=tolerances_of(model, first.rtol),
        watch=first.watch,
        levels=np.array([0.0 if run.watch is None else run.watch.level for run in group]),
        maximum_steps=MAXIMUM_STEPS,
        method=first.method,
        steps=np.array([run.step if first.method == "fixed" else np.inf for run in group]),
        counter=np.zeros(1, np.int64),
    )
    run_lanes(batch, results)
    return _outcomes(group, times, results, values)


def _outcomes(group: Sequence[SolveRequest], times: Times, results: Results, values: Numbers) -> list[Outcome]:
    """What the lanes say to every run."""
    found: list[Outcome] = []
    outputs = np.empty((0, group[0].model.outputs)) if results.outputs is None else results.outputs
    rows, counts = results.rows.tolist(), results.counts.tolist()
    reasons, ends_at, places = results.reasons.tolist(), results.times.tolist(), times.first_rows.tolist()
    ends = values if results.values is None else results.values
    for number, run in enumerate(group):
        if reasons[number] == RETRY:
            found.append(_solve_one(run))
            continue
        done, place = rows[number], places[number]
        found.append(
            Outcome(
                _REASONS[reasons[number]],
                ends_at[number],
                run.save if done == len(run.save) else run.save[:done],
                None,
                outputs[place : place + done],
                results.states[number],
                ends[number],
                Counts(counts[number][0], counts[number][1], 0, 0, 0, 0, 0, 0, 0),
                -1,
                -1,
            )
        )
    return found


def _times(group: Sequence[SolveRequest]) -> Times:
    """When the runs begin, end and are recorded; lists of times that are the same object stand there once."""
    known: dict[int, int] = {}
    pieces: list[Numbers] = []
    first_saves, first_rows = np.empty(len(group), np.int64), np.empty(len(group), np.int64)
    length = rows = 0
    for number, run in enumerate(group):
        place = known.get(id(run.save))
        if place is None:
            place = known[id(run.save)] = length
            pieces += [run.save, _NEVER]
            length += len(run.save) + 1
        first_saves[number], first_rows[number] = place, rows
        rows += len(run.save)
    spans = np.array([(run.begin, run.end) for run in group])
    return Times(spans, np.concatenate(pieces), first_saves, first_rows)


_NEVER = np.array([np.inf])
_TOLERANCES: dict[tuple[str, float], Numbers] = {}


def tolerances_of(model: CompiledModel, rtol: float) -> Numbers:
    """The absolute tolerance of every state."""
    key = model.fingerprint, rtol
    if key not in _TOLERANCES:
        _TOLERANCES[key] = 0.01 * rtol * np.array(model.flat.scale)
    return _TOLERANCES[key]
