"""Questions from many lives at once, answered side by side.

A life that is lived in steps is a generator: it yields what it must know next, a list of runs for the solver (`Run`)
and of errands that are done elsewhere (`Errand`), and is sent the answers. `together` lives many of them at a time and
lays what they ask into the lanes; `alone` lives one. A life's numbers do not depend on which: a question has the same
answer in any company.
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
    "Errand",
    "Run",
    "Steps",
    "abreast",
    "alone",
    "answer",
    "together",
    "tolerances_of",
]

WIDTH = 64  # lives that are lived at a time: enough that few lanes stand still, few enough that all stay near at hand
BEGUN = 16  # lives that begin in a round: the lanes of one thread need not wait until another has begun all of its own
FEW = 2  # so many runs are quicker one after the other in a single lane than side by side in eight
ENDED = 8  # errands that come to their end before other lives begin or go on
LONGEST_WAIT = 8  # rounds that a life waits for company
MAXIMUM_STEPS = 1_000_000
_NOTHING = Schedule.empty()
_REASONS = tuple(Reason)


@dataclass(slots=True, eq=False)
class Run:
    """A question to the solver; the words are those of `isletsim.solver.solve`.

    The tolerances of all states are those of their scales. The answer is the outcome of the run. Rows that a run need
    not keep are for its watch only.
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


class Errand(Protocol):
    """Something else that lives have to do, many at a time, at a desk of its own; the answer is the errand itself."""

    done: bool

    @property
    def manager(self) -> Desk:
        """Where it is done."""


class Desk(Protocol):
    """Where errands are done."""

    def advance(self, errands: Sequence[Any], fewest: int = 0) -> None:
        """Lets errands go on until at most so many are not done."""


Result = TypeVar("Result")
Question = Run | Errand
Steps = Generator["Sequence[Question]", "Sequence[Any]", Result]


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
        asked: dict[int, Sequence[Question]] = {}
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
        full = min(width, len(living) + BEGUN)
        while len(living) < full:
            life = next(waiting, None)
            if life is None:
                break
            try:
                living.append(_Living(life, next(life)))
            except StopIteration as end:
                yield end.value
        if not living:
            return
        _serve(living)
        going: list[_Living[Result]] = []
        for each in living:
            if None in each.answers:
                going.append(each)
                continue
            try:
                each.ask(each.life.send(each.answers))
                going.append(each)
            except StopIteration as end:
                yield end.value
        living = going


class _Living(Generic[Result]):
    """A life, what it asks, the answers so far, and for how many rounds its runs have waited for company."""

    __slots__ = ("answers", "asked", "kinds", "life", "waited")

    def __init__(self, life: Steps[Result], asked: Sequence[Question]) -> None:
        self.life = life
        self.ask(asked)

    def ask(self, asked: Sequence[Question]) -> None:
        """What it asks next; `kinds` are those of its runs."""
        self.asked = asked
        self.answers: list[Any] = [None] * len(asked)
        self.kinds = [_kind(each) for each in asked if isinstance(each, Run)]
        self.waited = 0


def _serve(living: Sequence[_Living[Any]]) -> None:
    """Answers runs in company, and lets errands go on until some of those at a desk are done.

    Runs that would leave lanes empty wait until others of their kind join them, but not for long.
    """
    asking = [each for each in living if each.kinds]
    counts = Counter(kind for each in asking for kind in each.kinds)
    enough = min(max(counts.values(), default=0), LANES)
    served = [
        each for each in asking if each.waited >= LONGEST_WAIT or all(counts[kind] >= enough for kind in each.kinds)
    ]
    places = [
        (each, place) for each in served or asking for place, run in enumerate(each.asked) if isinstance(run, Run)
    ]
    found = answer([each.asked[place] for each, place in places])
    for (each, place), outcome in zip(places, found, strict=True):
        each.answers[place] = outcome
        each.kinds = []
    for each in asking:
        each.waited += 1
    desks: dict[Any, list[tuple[_Living[Any], int]]] = {}
    for each in living:
        for place, errand in enumerate(each.asked):
            if each.answers[place] is None and not isinstance(errand, Run):
                desks.setdefault(errand.manager, []).append((each, place))
    for desk, waiting in desks.items():
        desk.advance([each.asked[place] for each, place in waiting], max(0, len(waiting) - ENDED))
        for each, place in waiting:
            if each.asked[place].done:  # type: ignore[union-attr]
                each.answers[place] = each.asked[place]


def _kind(run: Run) -> tuple[object, ...]:
    """What runs must share to be solved side by side."""
    watched = None if run.watch is None else (run.watch.output, run.watch.direction)
    return id(run.model), run.method, run.rtol, watched, run.keep


# Answers


def answer(asked: Sequence[Question]) -> list[Any]:
    """The answer to every question, in their order; runs of one model are solved side by side."""
    groups: dict[tuple[object, ...], list[int]] = {}
    desks: dict[Any, list[Errand]] = {}
    for place, each in enumerate(asked):
        if isinstance(each, Run):
            groups.setdefault(_kind(each), []).append(place)
        else:
            desks.setdefault(each.manager, []).append(each)
    for desk, errands in desks.items():
        desk.advance(errands)
    answers: list[Any] = list(asked)
    for places in groups.values():
        group: list[Any] = [asked[place] for place in places]
        few = len(group) <= FEW or group[0].method == "explicit"
        functions = None if few else compile_lanes(group[0].model)
        found = [_solved(run) for run in group] if functions is None else _side_by_side(group, functions)
        for place, outcome in zip(places, found, strict=True):
            answers[place] = outcome
    return answers


def _solved(run: Run) -> Outcome:
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


def _side_by_side(group: Sequence[Run], functions: LaneFunctions) -> list[Outcome]:
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
    return _told(group, times, results, values)


def _told(group: Sequence[Run], times: Times, results: Results, values: Numbers) -> list[Outcome]:
    """What the lanes say to every run."""
    told: list[Outcome] = []
    outputs = np.empty((0, group[0].model.outputs)) if results.outputs is None else results.outputs
    rows, counts = results.rows.tolist(), results.counts.tolist()
    reasons, ends_at, places = results.reasons.tolist(), results.times.tolist(), times.first_rows.tolist()
    ends = values if results.values is None else results.values
    for number, run in enumerate(group):
        if reasons[number] == RETRY:
            told.append(_solved(run))
            continue
        done, place = rows[number], places[number]
        told.append(
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
    return told


def _times(group: Sequence[Run]) -> Times:
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
