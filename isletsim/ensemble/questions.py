"""Questions to the solver from many lives at once, answered side by side.

A life that is lived in steps is a generator: it yields what it must know next, a list of `Run`, and is sent the
outcomes. `together` lives many of them at a time and lays what they ask into the lanes; `alone` lives one. A life's
numbers do not depend on which: a question has the same answer in any company.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from isletsim.compiler import CompiledModel, LaneFunctions, compile_lanes
from isletsim.ensemble.lanes import Answers, Asked, Clock, heads_of, in_lanes
from isletsim.ensemble.single import in_one_lane
from isletsim.solver import Counts, Outcome, Reason, Schedule, Watch, solve
from isletsim.solver import lane_frame as at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["WIDTH", "Reader", "Run", "Steps", "abreast", "alone", "answer", "together"]

WIDTH = 128  # lives that are lived at a time: enough that few lanes stand still
FEW = 2  # so many runs are quicker one after the other in a single lane than side by side in eight
LONGEST_WAIT = 8  # rounds that a life waits for company
MAXIMUM_STEPS = 1_000_000
_NOTHING = Schedule.empty()
_REASONS = tuple(Reason)


@dataclass(slots=True, eq=False)
class Run:
    """A question to the solver; the words are those of `isletsim.solver.solve`.

    The tolerances of all states are those of their scales. The answer is the outcome of the run; with a reader, which
    many runs may share, what that makes of a run that did not fail. Rows that a run need not keep are for its watch
    only.
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
    reader: Reader | None = None
    about: Any = None
    keep: bool = True


class Reader(Protocol):
    """Reads runs that were recorded equally often and ended well, all at once.

    `outputs` has a row a run, a record and an output, `states` are the last ones, `steps` were taken, and `about` is
    what each run says of itself; one answer a run.
    """

    def __call__(self, outputs: Numbers, states: Numbers, steps: Sequence[int], about: Sequence[Any]) -> Sequence[Any]:
        """What the runs say."""


Result = TypeVar("Result")
Steps = Generator["Sequence[Run]", "Sequence[Any]", Result]


def alone(life: Steps[Result]) -> Result:
    """The end of one life."""
    try:
        asked = next(life)
        while True:
            asked = life.send(answer(asked))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def abreast(lives: Sequence[Steps[Result]]) -> Steps[list[Result]]:
    """Lives that know nothing of each other, lived as one; their ends in order."""
    if len(lives) == 1:
        return [(yield from lives[0])]
    ends: dict[int, Result] = {}
    sent: dict[int, Sequence[Any] | None] = dict.fromkeys(range(len(lives)))
    while sent:
        asked: dict[int, Sequence[Run]] = {}
        for number, outcomes in sent.items():
            try:
                asked[number] = next(lives[number]) if outcomes is None else lives[number].send(outcomes)
            except StopIteration as end:
                ends[number] = end.value
        if asked:
            found = iter((yield [run for runs in asked.values() for run in runs]))
        sent = {number: [next(found) for _ in runs] for number, runs in asked.items()}
    return [ends[number] for number in range(len(lives))]


def together(
    lives: Iterable[Steps[Result]], width: int = WIDTH, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """The ends of many lives, as they come; `width` of them are lived at a time, until `stopped`."""
    waiting = iter(lives)
    living: list[_Living[Result]] = []
    while not stopped():
        while len(living) < width:
            life = next(waiting, None)
            if life is None:
                break
            try:
                living.append(_Living(life, next(life)))
            except StopIteration as end:
                yield end.value
        if not living:
            return
        served, held = _served(living)
        outcomes = iter(answer([run for each in served for run in each.asked]))
        for each in served:
            try:
                each.asked = each.life.send([next(outcomes) for _ in each.asked])
                each.waited = 0
                held.append(each)
            except StopIteration as end:
                yield end.value
        living = held


@dataclass(slots=True, eq=False)
class _Living(Generic[Result]):
    """A life, what it asks, and for how many rounds it has waited for an answer."""

    life: Steps[Result]
    asked: Sequence[Run]
    waited: int = 0


def _served(living: list[_Living[Result]]) -> tuple[list[_Living[Result]], list[_Living[Result]]]:
    """Who is answered now, and who waits for company.

    Questions that would leave lanes empty wait until others of their kind join them, but not for long.
    """
    counts = Counter(_kind(run) for each in living for run in each.asked)
    most = max(counts.values(), default=0)
    enough = min(most, at.LANES)
    served: list[_Living[Result]] = []
    held: list[_Living[Result]] = []
    for each in living:
        each.waited += 1
        now = each.waited > LONGEST_WAIT or all(counts[_kind(run)] >= enough for run in each.asked)
        (served if now else held).append(each)
    return (served, held) if served else (living, [])


def _kind(run: Run) -> tuple[object, ...]:
    """What runs must share to be solved side by side."""
    watched = None if run.watch is None else (run.watch.output, run.watch.direction)
    return id(run.model), run.method, run.rtol, watched, run.keep


# Answers


def answer(runs: Sequence[Run]) -> list[Any]:
    """The answer to every run, in their order; those of one model are solved side by side."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, run in enumerate(runs):
        groups.setdefault(_kind(run), []).append(place)
    answers: list[Any] = [None] * len(runs)
    for places in groups.values():
        group = [runs[place] for place in places]
        few = len(group) <= FEW
        functions = compile_lanes(group[0].model, 1 if few else at.LANES) if group[0].method != "explicit" else None
        if functions is None or few:
            found = [_read(run, _one(run, functions)) for run in group]
        else:
            found = _side_by_side(group, functions)
        for place, each in zip(places, found, strict=True):
            answers[place] = each
    return answers


def _read(run: Run, outcome: Outcome) -> Any:
    """What a run says by itself."""
    if run.reader is None or outcome.reason.failed:
        return outcome
    return run.reader(outcome.outputs[None], outcome.state[None], [outcome.counts.steps], [run.about])[0]


def _one(run: Run, functions: LaneFunctions | None) -> Outcome:
    """A run in a lane of its own; what that cannot do is solved once more by the scalar solver."""
    outcome = None
    if functions is not None:
        outcome = in_one_lane(
            functions,
            run.model,
            run.start,
            run.parameters,
            span=(run.begin, run.end),
            save=run.save,
            schedule=run.schedule,
            rtol=run.rtol,
            atol=_tolerances(run.model, run.rtol),
            fixed=run.method == "fixed",
            step=run.step,
            watch=run.watch,
        )
    return _solved(run) if outcome is None else outcome


def _solved(run: Run) -> Outcome:
    """A run by the scalar solver."""
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


def _side_by_side(group: Sequence[Run], functions: LaneFunctions) -> list[Any]:
    """Runs of one model and one method in lanes; what lanes cannot do is solved once more by the scalar solver."""
    first, count = group[0], len(group)
    model, changing = first.model, any(len(run.schedule.kinds) for run in group)
    clock = _clock(group)
    total = int(clock.first_rows[-1]) + len(group[-1].save)
    values = np.array([run.parameters for run in group])
    answers = Answers(
        reasons=np.full(count, at.RETRY),
        times=np.empty(count),
        rows=np.empty(count, np.int64),
        counts=np.empty((count, 2), np.int64),
        states=np.empty((count, model.states)),
        values=np.empty((count, model.parameters)) if changing else None,
        outputs=np.empty((total, model.outputs)) if first.keep else None,
        trajectories=None,
    )
    asked = Asked(
        model=model,
        functions=functions,
        starts=np.array([run.start for run in group]),
        values=values,
        heads=heads_of([run.schedule for run in group]),
        clock=clock,
        rtol=first.rtol,
        atol=_tolerances(model, first.rtol),
        watch=first.watch,
        levels=np.array([0.0 if run.watch is None else run.watch.level for run in group]),
        maximum_steps=MAXIMUM_STEPS,
        fixed=first.method == "fixed",
        steps=np.array([run.step for run in group]),
        counter=np.zeros(1, np.int64),
    )
    in_lanes(asked, answers)
    return _told(group, clock, answers, values)


def _told(group: Sequence[Run], clock: Clock, answers: Answers, values: Numbers) -> list[Any]:
    """What the lanes say to every run."""
    told: list[Any] = []
    readers: dict[int, list[int]] = {}
    outputs = np.empty((0, group[0].model.outputs)) if answers.outputs is None else answers.outputs
    rows, steps = answers.rows.tolist(), answers.counts[:, 0].tolist()
    reasons, times, places = answers.reasons.tolist(), answers.times.tolist(), clock.first_rows.tolist()
    ends = values if answers.values is None else answers.values
    for number, run in enumerate(group):
        if reasons[number] == at.RETRY:
            told.append(_read(run, _solved(run)))
        elif run.reader is not None:
            told.append(None)
            readers.setdefault(id(run.reader), []).append(number)
        else:
            done, place = rows[number], places[number]
            told.append(
                Outcome(
                    _REASONS[reasons[number]],
                    times[number],
                    run.save if done == len(run.save) else run.save[:done],
                    None,
                    outputs[place : place + done],
                    answers.states[number],
                    ends[number],
                    Counts(steps[number], int(answers.counts[number, 1]), 0, 0, 0, 0, 0, 0, 0),
                    -1,
                    -1,
                )
            )
    for numbers in readers.values():
        first = group[numbers[0]]
        assert first.reader is not None
        records = len(first.save)
        if len(numbers) == len(group):
            read, states = outputs.reshape(len(group), records, -1), answers.states
        else:
            read = outputs[clock.first_rows[numbers][:, None] + np.arange(records)]
            states = answers.states[numbers]
        about = [group[number].about for number in numbers]
        seen = first.reader(read, states, [steps[number] for number in numbers], about)
        for number, each in zip(numbers, seen, strict=True):
            told[number] = each
    return told


def _clock(group: Sequence[Run]) -> Clock:
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
    return Clock(spans, np.concatenate(pieces), first_saves, first_rows)


_NEVER = np.array([np.inf])
_TOLERANCES: dict[tuple[str, float], Numbers] = {}


def _tolerances(model: CompiledModel, rtol: float) -> Numbers:
    key = model.fingerprint, rtol
    if key not in _TOLERANCES:
        _TOLERANCES[key] = 0.01 * rtol * np.array(model.flat.scale)
    return _TOLERANCES[key]
