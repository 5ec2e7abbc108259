"""Many subjects in lanes: the same bytes everywhere, the scalar answers, and failures that stay where they are."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from solver_problems import (
    FALLING_BALL,
    OSCILLATOR,
    PULSE,
    ROBERTSON,
    ROBERTSON_WITH_MASS_BALANCE,
    TOPP,
    at_times,
    flat,
)

from isletsim.codegen import CompiledModel, compile_lanes, compile_model
from isletsim.ensemble import EnsembleOutcome, solve_in_blocks, solve_many
from isletsim.flat import FlatModel
from isletsim.solver import Outcome, Reason, Schedule, Watch, solve

DOSED = flat(
    {"gut": "-ka * gut", "blood": "ka * gut - ke * blood / (1 + blood)", "time_felt": "mod(time, 1) * 0 + 1"},
    {"gut": 0, "blood": 1, "time_felt": 0},
    {"ka": 2, "ke": 1},
    actions=({"gut": "gut + amount"}, {"ke": "ke * (1 + blood / 10)"}),
)


def people(problem: FlatModel, count: int, seed: int = 1) -> np.ndarray:
    """Parameters of some subjects around those of the model."""
    noise = np.random.default_rng(seed).standard_normal((count, len(problem.values)))
    return np.array(problem.values) * np.exp(0.2 * noise)


def alone(compiled: CompiledModel, row: np.ndarray, schedule: Schedule | None = None, **options: Any) -> Outcome:
    return solve(compiled, options.pop("start", None), row, schedule=schedule, **options)


def assert_alike(outcome: EnsembleOutcome, subject: int, single: Outcome, rtol: float) -> None:
    """A subject of an ensemble against the scalar solver, beside the largest value of each state."""
    assert outcome.reasons[subject] == single.reason
    assert outcome.times[subject] == pytest.approx(single.time, rel=1e-12)
    assert outcome.rows[subject] == len(single.times)
    if outcome.outputs is not None:
        size = np.abs(single.outputs).max(axis=0, initial=0.0) + 1e-12
        rows = len(single.times)
        assert np.abs((outcome.outputs[subject, :rows] - single.outputs) / size).max(initial=0.0) < rtol
        assert np.isnan(outcome.outputs[subject, rows:]).all()
    assert np.abs(outcome.states[subject] - single.state).max() < rtol * (np.abs(single.state).max() + 1e-12)
    assert outcome.parameters[subject] == pytest.approx(single.parameters, rel=rtol)


# The same bytes


@pytest.mark.parametrize(("problem", "until"), [(TOPP, 3650.0), (ROBERTSON, 1e4), (OSCILLATOR, 10.0)])
def test_a_subject_is_the_same_bytes_in_any_lane_beside_anybody_and_at_any_number_of_threads(problem, until):
    compiled, count = compile_model(problem), 29
    rows = people(problem, count) if problem.values else np.empty((count, 0))
    starts = np.random.default_rng(2).uniform(0.5, 1.5, (count, compiled.states)) * [t.value for t in problem.start]
    settings: Any = {"span": (0.0, until), "save": np.linspace(0.0, until, 41), "keep": "full"}
    first = solve_many(compiled, starts, rows, jobs=1, **settings)
    assert not first.failed.any()
    assert not first.single.any()
    order = np.random.default_rng(3).permutation(count)
    for outcome, places in (
        (solve_many(compiled, starts, rows, jobs=3, **settings), np.arange(count)),
        (solve_many(compiled, starts[order], rows[order], jobs=2, **settings), order),
        (solve_many(compiled, starts[5:6], rows[5:6], jobs=1, **settings), np.array([5])),
        (solve_many(compiled, np.repeat(starts[5:6], 8, 0), rows[[5] * 8], jobs=1, **settings), np.array([5] * 8)),
    ):
        assert np.array_equal(outcome.trajectories, first.trajectories[places])
        assert np.array_equal(outcome.states, first.states[places])
        assert np.array_equal(outcome.steps, first.steps[places])


@pytest.mark.parametrize(("problem", "until"), [(TOPP, 3650.0), (ROBERTSON, 1e4), (OSCILLATOR, 10.0)])
def test_lanes_do_what_the_scalar_solver_does(problem, until):
    compiled = compile_model(problem)
    rows = people(problem, 9) if problem.values else np.empty((9, 0))
    settings: Any = {"span": (0.0, until), "save": np.linspace(0.0, until, 37), "rtol": 1e-9}
    outcome = solve_many(compiled, None, rows, **settings)
    for subject in range(9):
        single = alone(compiled, rows[subject], **settings)
        assert_alike(outcome, subject, single, 1e-6)
        assert abs(int(outcome.steps[subject]) - single.counts.steps) <= 3 + 0.01 * single.counts.steps


def test_parameters_alone_or_starts_alone_say_how_many_subjects_there_are():
    compiled = compile_model(TOPP)
    starts = np.array([[100.0, 10.0, 300.0], [180.0, 8.0, 180.0]])
    outcome = solve_many(compiled, starts, TOPP.values, span=(0.0, 100.0), save=[100.0])
    assert outcome.outputs.shape == (2, 1, 3)
    assert outcome.parameters.shape == (2, 9)
    for subject in range(2):
        single = alone(
            compiled, np.array(TOPP.values), start=starts[subject], span=(0.0, 100.0), save=[100.0], rtol=1e-5
        )
        assert_alike(outcome, subject, single, 1e-4)
    with pytest.raises(ValueError, match="same number of rows"):
        solve_many(compiled, starts, people(TOPP, 3), span=(0.0, 1.0))


# Schedules, records, watches


def test_every_subject_has_its_own_doses_courses_and_stops():
    compiled = compile_model(DOSED)
    rows = people(DOSED, 20)
    dice = np.random.default_rng(4)
    schedules = []
    for _ in range(20):
        times = np.sort(dice.uniform(0, 9, 5)).round(2)
        kinds = dice.integers(0, 3, 5)
        schedules.append(
            at_times(*((t, int(k), int(k == 2), float(dice.uniform(0, 3))) for t, k in zip(times, kinds, strict=True)))
        )
    schedules[3] = Schedule.empty()
    schedules[4] = at_times((0.0, 1, 0, 5.0), (10.0, 1, 0, 1.0))  # both ends of a run belong to it
    schedules[5] = at_times((2.0, 1, 1, 0.0), (4.0, 1, 1, 0.0), (4.0, 1, 0, 1.0))
    settings: Any = {"span": (0.0, 10.0), "save": np.array([0.0, 0.0, 2.0, 3.5, 4.0, 7.0, 10.0]), "rtol": 1e-9}
    outcome = solve_many(compiled, None, rows, schedules=schedules, **settings)
    assert not outcome.single.any()
    for subject, schedule in enumerate(schedules):
        assert_alike(outcome, subject, alone(compiled, rows[subject], schedule, **settings), 1e-6)
    assert not np.array_equal(outcome.parameters, rows)


def test_one_schedule_serves_all_and_what_was_before_the_run_is_left_out():
    compiled = compile_model(PULSE)
    schedule = at_times((-1.0, 2, 0, 9.0), (1.0, 2, 0, 2.0), (2.0, 2, 0, 0.0))
    settings: Any = {"span": (0.0, 4.0), "save": [0.5, 1.5, 4.0], "rtol": 1e-9}
    outcome = solve_many(compiled, np.array([[0.0, 0.0], [1.0, 0.0]]), [0.0], schedules=schedule, **settings)
    assert outcome.outputs[:, -1, 1] == pytest.approx([2.0, 2.0], rel=1e-9)
    assert_alike(outcome, 0, alone(compiled, np.zeros(1), schedule, start=[0.0, 0.0], **settings), 1e-7)


def test_a_run_from_end_to_end_without_time_in_between_is_a_record():
    compiled = compile_model(OSCILLATOR)
    outcome = solve_many(compiled, [[1.0, 2.0], [3.0, 4.0]], np.empty((1, 0)), span=(1.0, 1.0), save=[1.0])
    assert outcome.outputs[:, 0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert (outcome.reasons == Reason.DONE).all()


def test_each_subject_ends_where_its_own_level_is_passed():
    compiled = compile_model(flat({"x": "k"}, {"x": 0}, {"k": 1.0}))
    levels = np.array([2.0, 3.0, -1.0, 100.0, 5.5])
    settings: Any = {"span": (0.0, 10.0), "save": np.arange(11.0)}
    outcome = solve_many(compiled, None, np.ones((5, 1)), watch=Watch(0, 0.0), levels=levels, **settings)
    assert outcome.reasons.tolist() == [Reason.WATCH] * 3 + [Reason.DONE, Reason.WATCH]
    assert outcome.times == pytest.approx([2.0, 3.0, 0.0, 10.0, 6.0])
    assert outcome.states[:, 0] == pytest.approx([2.0, 3.0, 0.0, 10.0, 6.0])
    assert outcome.rows.tolist() == [3, 4, 1, 11, 7]
    ends = solve_many(compiled, None, np.ones((5, 1)), watch=Watch(0, 0.0), levels=levels, keep="ends", **settings)
    assert ends.outputs is None
    assert np.array_equal(ends.states, outcome.states)
    falling = solve_many(compiled, None, -np.ones((1, 1)), watch=Watch(0, -4.0, -1), **settings)
    assert falling.times == pytest.approx([4.0])


def test_only_what_is_asked_for_is_kept():
    compiled, rows = compile_model(TOPP), people(TOPP, 12)
    kept = {
        keep: solve_many(compiled, None, rows, span=(0.0, 365.0), save=[1.0, 365.0], keep=keep)
        for keep in ("ends", "outputs", "full")
    }
    assert [outcome.outputs is None for outcome in kept.values()] == [True, False, False]
    assert [outcome.trajectories is None for outcome in kept.values()] == [True, True, False]
    assert all(np.array_equal(outcome.states, kept["full"].states) for outcome in kept.values())
    assert np.array_equal(kept["full"].trajectories[:, -1], kept["full"].states)


def test_a_thousand_subjects_leave_no_more_behind_than_their_ends(monkeypatch):
    made: list[int] = []
    empty = np.zeros

    def counted(shape: Any, *rest: Any, **more: Any) -> np.ndarray:
        array = empty(shape, *rest, **more)
        made.append(array.nbytes)
        return array

    monkeypatch.setattr(np, "zeros", counted)
    compiled = compile_model(TOPP)
    sizes = []
    for count in (100, 1100):
        made.clear()
        solve_many(compiled, None, people(TOPP, count), span=(0.0, 10.0), keep="ends", jobs=1)
        sizes.append(sum(made))
    assert sizes[1] - sizes[0] < 1000 * 100  # bytes a subject beside its end


def test_blocks_give_what_all_at_once_give():
    compiled, rows = compile_model(TOPP), people(TOPP, 50)
    settings: Any = {"span": (0.0, 365.0), "save": [365.0]}
    whole = solve_many(compiled, None, rows, **settings)
    blocks = list(solve_in_blocks(compiled, lambda first, last: (None, rows[first:last]), 50, block=16, **settings))
    assert [len(block.times) for block in blocks] == [16, 16, 16, 2]
    assert np.array_equal(np.concatenate([block.outputs for block in blocks]), whole.outputs)


# Equal steps


def test_equal_steps_are_those_of_the_scalar_solver():
    compiled, rows = compile_model(DOSED), people(DOSED, 11)
    steps = np.random.default_rng(5).uniform(0.01, 0.03, 11)
    schedule = at_times((1.0, 1, 0, 3.0), (2.5, 2, 1, 0.5))
    settings: Any = {"span": (0.0, 4.0), "save": np.linspace(0.0, 4.0, 91), "method": "fixed"}
    outcome = solve_many(compiled, None, rows, schedules=schedule, step=steps, **settings)
    for subject in range(11):
        single = alone(compiled, rows[subject], schedule, step=float(steps[subject]), **settings)
        assert_alike(outcome, subject, single, 1e-12)
        assert outcome.steps[subject] == single.counts.steps
    with pytest.raises(ValueError, match="needs a step"):
        solve_many(compiled, None, rows, span=(0.0, 1.0), method="fixed")


def test_a_subject_that_equal_steps_blow_up_says_so():
    compiled = compile_model(flat({"x": "k * x**2"}, {"x": 1}, {"k": 1}))
    outcome = solve_many(compiled, None, [[-1.0], [1.0], [-1.0]], span=(0.0, 50.0), method="fixed", step=0.5)
    assert outcome.reasons.tolist() == [Reason.DONE, Reason.NOT_FINITE, Reason.DONE]
    assert outcome.states[[0, 2], 0] == pytest.approx(1 / 51, rel=1e-2)


# What lanes cannot do


def test_a_failure_never_reaches_the_neighbours():
    problem = flat({"x": "k * x**2", "y": "-y"}, {"x": 1, "y": 1}, {"k": 1})
    compiled = compile_model(problem)
    rates = np.full((21, 1), -1.0)
    settings: Any = {"span": (0.0, 5.0), "save": np.arange(6.0), "keep": "full"}
    sound = solve_many(compiled, None, rates, **settings)
    rates[[2, 9, 10, 20]] = [[1.0], [np.nan], [0.5], [1e300]]
    outcome = solve_many(compiled, None, rates, **settings)
    ill = np.isin(np.arange(21), [2, 9, 10, 20])
    assert np.array_equal(outcome.failed, ill)
    assert np.array_equal(outcome.single, ill)
    assert np.array_equal(outcome.trajectories[~ill], sound.trajectories[~ill])
    for subject in np.flatnonzero(ill):
        single = alone(compiled, rates[subject], span=(0.0, 5.0), save=np.arange(6.0), rtol=1e-5)
        assert single.reason == outcome.reasons[subject]
        assert outcome.rows[subject] == len(single.times)
        assert np.isnan(outcome.trajectories[subject, len(single.times) :]).all()


def test_a_small_pivot_sends_one_subject_to_the_pivoted_path():
    # Without pivoting, the first pivot d - 1e12 vanishes at some step for one subject only.
    problem = flat({"x": "a * x - 1e12 * (y - x) * b", "y": "x - y"}, {"x": 1, "y": 1}, {"a": -1.0, "b": 0.0})
    compiled = compile_model(problem)
    rows = np.tile([-1.0, 0.0], (9, 1))
    rows[4] = [0.0, 1.0]
    settings: Any = {"span": (0.0, 1.0), "save": [1.0]}
    outcome = solve_many(compiled, None, rows, **settings)
    single = alone(compiled, rows[4], rtol=1e-5, **settings)
    assert outcome.reasons[4] == single.reason
    if outcome.single[4]:
        assert np.array_equal(outcome.states[4], single.state)
    assert not outcome.single[[0, 1, 2, 3, 5, 6, 7, 8]].any()


def test_too_many_steps_are_told_by_the_scalar_solver():
    outcome = solve_many(compile_model(OSCILLATOR), None, np.empty((3, 0)), span=(0.0, 100.0), maximum_steps=20)
    assert (outcome.reasons == Reason.TOO_MANY_STEPS).all()
    assert outcome.single.all()


@pytest.mark.parametrize(
    ("problem", "until"),
    [
        (ROBERTSON_WITH_MASS_BALANCE, 100.0),
        (FALLING_BALL, 3.0),
        (flat({"x": "where(x < 2, 1, -1)"}, {"x": 0}), 1.0),
    ],
    ids=["algebraic", "event", "kink"],
)
def test_a_model_that_lanes_cannot_do_is_solved_one_by_one(problem, until):
    compiled = compile_model(problem)
    assert compile_lanes(compiled) is None
    settings: Any = {"span": (0.0, until), "save": np.linspace(0.0, until, 5)}
    outcome = solve_many(compiled, None, np.empty((3, 0)), jobs=2, **settings)
    single = alone(compiled, np.empty(0), rtol=1e-5, **settings)
    assert outcome.single.all()
    for subject in range(3):
        assert np.array_equal(outcome.outputs[subject], single.outputs)


def test_the_explicit_method_is_left_to_the_scalar_solver():
    outcome = solve_many(compile_model(OSCILLATOR), None, np.empty((2, 0)), span=(0.0, 1.0), method="explicit")
    assert outcome.single.all()
    assert outcome.states[:, 0] == pytest.approx(np.cos(1.0), abs=1e-4)


def test_an_interruption_takes_no_more_subjects():
    compiled = compile_model(TOPP)
    seen: list[tuple[int, int]] = []

    def interrupt(done: int, total: int) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve_many(compiled, None, people(TOPP, 50), span=(0.0, 3650.0), jobs=2, progress=interrupt)
    assert seen[0][1] == 50
    assert threading.active_count() < 20


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"span": (1.0, 0.0)}, "span"),
        ({"save": [2.0]}, "save must"),
        ({"rtol": 2.0}, "rtol"),
        ({"keep": "all"}, "keep"),
        ({"step": 0.1}, "have no step"),
        ({"method": "fixed", "step": 0.0}, "positive"),
    ],
)
def test_a_question_that_cannot_be_meant_so_is_refused(wrong, message):
    settings: Any = {"span": (0.0, 1.0)} | wrong
    with pytest.raises(ValueError, match=message):
        solve_many(compile_model(OSCILLATOR), None, np.empty((1, 0)), **settings)


def test_a_sine_too_far_for_the_lanes_is_solved_by_the_scalar_path():
    compiled = compile_model(flat({"x": "sin(k * time)"}, {"x": 0}, {"k": 1.0}))
    outcome = solve_many(compiled, None, [[1.0], [1e9], [2.0]], span=(2.0, 2.0 + 1e-8), rtol=1e-6)
    assert outcome.single.tolist() == [False, True, False]
    assert not outcome.failed.any()
