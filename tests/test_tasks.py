"""Questions from many lives at once: the same answers in any company, and nobody harmed by a neighbour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from solver_problems import TOPP, at_times, flat

from isletsim.codegen import CompiledModel, compile_model
from isletsim.ensemble import SolveRequest, Task, gather, run_task, run_tasks, solve_batch
from isletsim.solver import Outcome, Reason, Watch, solve

# Grows without end for x > 1; a dose multiplies it.
WILD = flat({"x": "x * (x - 1)", "y": "-y + x"}, {"x": 0.5, "y": 1}, {"p": 0}, actions=({"x": "x * amount"},))


def asked(compiled: CompiledModel, number: int, **more: Any) -> SolveRequest:
    """The question of one of some people."""
    dice = np.random.default_rng(number)
    start = np.array([180.0, 8.0, 180.0]) * dice.uniform(0.8, 1.2, 3)
    parameters = np.array(TOPP.values) * np.exp(0.1 * dice.standard_normal(len(TOPP.values)))
    begin, end = float(number), float(number) + 50.0 + number
    settings = {"save": np.linspace(begin, end, 3 + number % 4), "rtol": 1e-5} | more
    return SolveRequest(compiled, start, parameters, begin, end, **settings)


def same(first: Outcome, other: Outcome) -> bool:
    return (
        first.reason is other.reason
        and first.time == other.time
        and first.outputs.tobytes() == other.outputs.tobytes()
        and first.state.tobytes() == other.state.tobytes()
        and first.parameters.tobytes() == other.parameters.tobytes()
        and first.counts.steps == other.counts.steps
    )


@pytest.mark.parametrize("method", ["stiff", "fixed", "explicit"])
def test_a_question_has_the_same_answer_in_any_company(method: str) -> None:
    compiled = compile_model(TOPP)
    more: Any = {"method": method, "step": 0.05} if method == "fixed" else {"method": method}
    runs = [asked(compiled, number, **more) for number in range(21)]
    crowd = solve_batch(runs)
    for company in (1, 2, 3, 8):
        for first in range(0, 21, 7):
            few = solve_batch(runs[first : first + company])
            assert all(same(one, other) for one, other in zip(few, crowd[first:], strict=False))
    backwards = solve_batch(runs[::-1])
    assert all(same(one, other) for one, other in zip(backwards[::-1], crowd, strict=True))


def test_each_question_has_its_own_span_records_plan_and_level() -> None:
    compiled = compile_model(WILD)
    runs, plans = [], [at_times((1.5, 1, 0, 0.5)), at_times(), at_times((1.2, 1, 0, 1.5), (3.0, 1, 0, 0.1))]
    for number in range(9):
        save = np.linspace(1.0, 2.0 + number, 5)
        run = SolveRequest(
            compiled, np.array([0.5, 1.0]), np.zeros(1), 1.0, 2.0 + number, save, 1e-8, plans[number % 3]
        )
        run.watch = Watch(0, 0.2 - 0.05 * number, -1)
        runs.append(run)
    reasons = set()
    for run, found in zip(runs, solve_batch(runs), strict=True):
        assert run.watch is not None
        single = solve(
            compiled,
            run.start,
            run.parameters,
            span=(run.begin, run.end),
            save=run.save,
            schedule=run.schedule,
            rtol=1e-8,
            watch=run.watch,
        )
        assert found.reason is single.reason
        assert found.time == pytest.approx(single.time)
        assert found.outputs == pytest.approx(single.outputs, rel=1e-6)
        assert found.times.tolist() == single.times.tolist()
        run.keep = False
    kept = solve_batch([replace(run, keep=True) for run in runs])
    for found, unseen in zip(kept, solve_batch(runs), strict=True):
        assert (unseen.time, unseen.state.tobytes(), len(unseen.outputs)) == (found.time, found.state.tobytes(), 0)
        reasons.add(found.reason)
    assert reasons == {Reason.DONE, Reason.WATCH}


def test_a_life_that_fails_takes_nobody_with_it() -> None:
    compiled = compile_model(WILD)

    def run(start: float) -> SolveRequest:
        return SolveRequest(compiled, np.array([start, 1.0]), np.zeros(1), 0.0, 20.0, np.linspace(0.0, 20.0, 5), 1e-6)

    starts = [0.1, 0.9, 3.0, 0.5, np.nan, 0.2, 0.3, 50.0, 0.4, 0.6]
    found = solve_batch([run(start) for start in starts])
    for start, outcome in zip(starts, found, strict=True):
        assert outcome.reason.failed == (not start < 1.0)
        if start < 1.0:
            assert same(outcome, solve_batch([run(start)])[0])
    assert found[2].worst == 0  # from the scalar solver, which says what went wrong


def counting(name: str, rounds: int, asked: list[int], compiled: CompiledModel) -> Task[str]:
    """A life that asks one question a round."""
    for number in range(rounds):
        (outcome,) = yield [SolveRequest(compiled, np.ones(2), np.zeros(1), 0.0, 1.0 + number, np.empty(0), 1e-6)]
        assert outcome.time == 1.0 + number
        asked.append(1)
    return name


def test_lives_end_in_their_own_time() -> None:
    compiled, log = compile_model(WILD), list[int]()
    names = {"a": 3, "b": 0, "c": 1, "d": 5, "e": 0}
    found = run_task(gather([counting(name, rounds, log, compiled) for name, rounds in names.items()]))
    assert found == list(names)
    ends = list(run_tasks((counting(name, rounds, log, compiled) for name, rounds in names.items()), width=2))
    assert sorted(ends) == sorted(names)
    assert ends.index("c") < ends.index("d")
    assert len(log) == 18


def test_no_more_lives_begin_than_are_wanted_at_a_time_and_none_after_a_stop() -> None:
    compiled, begun = compile_model(WILD), list[int]()

    def lives() -> Any:
        for number in range(100):
            begun.append(number)
            yield counting(str(number), 2, [], compiled)

    ends = []
    for end in run_tasks(lives(), width=4, stopped=lambda: len(ends) >= 6):
        ends.append(end)
        assert len(begun) <= len(ends) + 4
    assert 6 <= len(ends) < 14
    assert len(begun) < 20
