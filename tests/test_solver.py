"""The solver against theory, against independent solvers, and against what was prescribed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isletsim.compiler import compile_model
from isletsim.expressions.parse import parse
from isletsim.flat import Action, Event, FlatModel
from isletsim.solver import Reason, Schedule, Watch, native, solve

HOUR = 1 / 24


def flat(
    equations: dict[str, str],
    start: dict[str, float],
    parameters: dict[str, float] | None = None,
    algebraic: tuple[str, ...] = (),
    actions: tuple[dict[str, str], ...] = (),
    events: tuple[Event, ...] = (),
    outputs: tuple[str, ...] | None = None,
) -> FlatModel:
    states, parameters = tuple(equations), parameters or {}
    return FlatModel(
        name="problem",
        states=states,
        parameters=tuple(parameters),
        values=tuple(parameters.values()),
        constants=(),
        expressions=(),
        derivatives=tuple(parse(text) for text in equations.values()),
        algebraic=tuple(name in algebraic for name in states),
        start=tuple(parse(repr(float(start[name]))) for name in states),
        scale=(1.0,) * len(states),
        actions=tuple(
            Action(f"action {number}", tuple((name, parse(text)) for name, text in changes.items()))
            for number, changes in enumerate(actions)
        ),
        events=events,
        outputs=states if outputs is None else outputs,
    )


def at_times(*entries: tuple[float, int, int, float]) -> Schedule:
    """A schedule from (time, kind, index, amount), already in order."""
    times = sorted({entry[0] for entry in entries})
    first = [sum(entry[0] < time for entry in entries) for time in times]
    kinds, indices, amounts = ([entry[place] for entry in entries] for place in (1, 2, 3))
    return Schedule(*(np.array(part) for part in (times, [*first, len(entries)], kinds, indices, amounts)))


TOPP = flat(
    {
        "G": "R0 - (EG0 + SI * I) * G",
        "I": "B * sigma * G**2 / (alpha + G**2) - k * I",
        "B": "(-d0 + r1 * G - r2 * G**2) * B",
    },
    {"G": 180, "I": 8, "B": 180},
    {
        "R0": 864,
        "EG0": 1.44,
        "SI": 0.72,
        "sigma": 43.2,
        "alpha": 20000,
        "k": 432,
        "d0": 0.06,
        "r1": 0.84e-3,
        "r2": 0.24e-5,
    },
)
ROBERTSON = flat(
    {"a": "-0.04 * a + 1e4 * b * c", "b": "0.04 * a - 1e4 * b * c - 3e7 * b**2", "c": "3e7 * b**2"},
    {"a": 1, "b": 0, "c": 0},
)
ROBERTSON_WITH_MASS_BALANCE = flat(
    {"a": "-0.04 * a + 1e4 * b * c", "b": "0.04 * a - 1e4 * b * c - 3e7 * b**2", "c": "a + b + c - 1"},
    {"a": 1, "b": 0, "c": 0.3},  # c is wrong on purpose: it is an unknown, and has to be found
    algebraic=("c",),
)
VAN_DER_POL = flat({"x": "v", "v": "mu * (1 - x**2) * v - x"}, {"x": 2, "v": 0}, {"mu": 1000})
OSCILLATOR = flat({"x": "v", "v": "-x"}, {"x": 1, "v": 0})
FALLING_BALL = flat(
    {"x": "v", "v": "-9.81"},
    {"x": 10, "v": 0},
    actions=({"x": "0", "v": "-0.8 * v"},),
    events=(Event("floor", parse("-x"), 0),),
)
PULSE = flat({"x": "dose - x / 5", "delivered": "dose"}, {"x": 0, "delivered": 0}, {"dose": 0})


def run(problem: FlatModel, until: float, save: Any = (), begin: float = 0.0, start: Any = None, **options: Any) -> Any:
    values = options.pop("parameters", problem.values)
    return solve(compile_model(problem), start, values, span=(begin, until), save=save, **options)


def python_rhs(problem: FlatModel) -> Any:
    from isletsim.compiler import reference

    functions = reference(problem)
    p = np.zeros(functions.width)
    p[: len(problem.values)] = problem.values
    functions.prepare(p)

    def rhs(t: float, y: Any) -> Any:
        out = np.empty(len(y))
        functions.rhs(t, y, p, out)
        return out

    return rhs


def fixed_steps(problem: FlatModel, until: float, count: int, **options: Any) -> Any:
    """One step an interval: bare stops force the steps, and the tolerance never does."""
    edges = np.linspace(0.0, until, count + 1)
    stops = Schedule(edges, np.zeros(count + 2, np.int64), np.empty(0), np.empty(0), np.empty(0))
    return run(problem, until, schedule=stops, rtol=0.9, atol=np.full(len(problem.states), 1e12), **options)


@pytest.mark.parametrize(
    ("method", "place", "expected", "counts"),
    [
        ("stiff", "end", 5, (64, 128, 256)),
        ("stiff", "between", 4, (64, 128, 256)),
        ("explicit", "end", 8, (8, 16, 32)),
        ("explicit", "between", 7, (8, 16, 32)),
    ],
)
def test_the_measured_order_equals_theory(method: str, place: str, expected: float, counts: tuple[int, ...]) -> None:
    # x = exp(sin(t)) z with z = 1 / (1 + t); sine and cosine come from an oscillator.
    problem = flat({"x": "x * (c - z)", "z": "-z**2", "c": "-s", "s": "c"}, {"x": 1, "z": 1, "c": 1, "s": 0})
    until = 4.0

    def exact(t: Any) -> Any:
        return np.exp(np.sin(t)) / (1 + t)

    errors = []
    for count in counts:
        h = until / count
        save = [until] if place == "end" else np.arange(count // 2, count) * h + 0.37 * h
        outcome = fixed_steps(problem, until, count, method=method, save=save)
        errors.append(np.abs(outcome.outputs[:, 0] - exact(np.asarray(save))).max())
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert slopes[-1] > expected - 0.35, (errors, slopes)


def test_the_time_in_the_equations_keeps_the_order_of_the_stiff_method() -> None:
    problem = flat({"x": "-20 * (x - 1 / (1 + time)) - 1 / (1 + time)**2"}, {"x": 1})
    errors = [abs(fixed_steps(problem, 2.0, n, save=[2.0]).outputs[0, 0] - 1 / 3) for n in (16, 32, 64)]
    assert np.log2(errors[0] / errors[1]) > 4.5
    assert np.log2(errors[1] / errors[2]) > 4.5


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_the_error_follows_the_tolerance(method: str) -> None:
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        outcome = run(OSCILLATOR, 20.0, [20.0], method=method, rtol=rtol)
        error = np.abs(outcome.state - [np.cos(20.0), -np.sin(20.0)]).max()
        assert error < 60 * rtol


def test_ten_years_of_topp_take_few_steps() -> None:
    outcome = run(TOPP, 3650.0, np.arange(3651.0), rtol=1e-6)
    assert outcome.reason is Reason.DONE
    assert outcome.counts.steps < 180
    assert outcome.counts.rejected <= 5
    assert outcome.counts.pivoted == 0


@pytest.mark.parametrize("problem", [TOPP, ROBERTSON, VAN_DER_POL], ids=["topp", "robertson", "vanderpol"])
def test_stiff_problems_agree_with_scipy(problem: FlatModel) -> None:
    from scipy.integrate import solve_ivp

    until = {3: 400.0, 2: 1500.0}[len(problem.states)]
    save = np.linspace(0.0, until, 21)
    outcome = run(problem, until, save, rtol=1e-10, atol=np.full(len(problem.states), 1e-14))
    start = np.array([tree.value for tree in problem.start])
    told = solve_ivp(python_rhs(problem), (0, until), start, "Radau", save, rtol=1e-10, atol=1e-14)
    assert np.abs(outcome.states - told.y.T).max() < 1e-5 * np.abs(told.y).max()
    assert outcome.states == pytest.approx(told.y.T, rel=2e-6, abs=1e-12)


def test_the_explicit_method_agrees_with_scipy() -> None:
    from scipy.integrate import solve_ivp

    problem = flat(
        {"x": "sigma * (y - x)", "y": "x * (rho - z) - y", "z": "x * y - 8 / 3 * z"},
        {"x": 1, "y": 1, "z": 1},
        {"sigma": 10, "rho": 28},
    )
    save = np.linspace(0, 5, 51)
    outcome = run(problem, 5.0, save, method="explicit", rtol=1e-11, atol=np.full(3, 1e-13))
    told = solve_ivp(python_rhs(problem), (0, 5), [1, 1, 1], "DOP853", save, rtol=1e-12, atol=1e-14)
    assert outcome.states == pytest.approx(told.y.T, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("problem", [TOPP, ROBERTSON, VAN_DER_POL], ids=["topp", "robertson", "vanderpol"])
def test_stiff_problems_agree_with_cvode(problem: FlatModel) -> None:
    cvode = pytest.importorskip("sksundae.cvode")
    until = {3: 400.0, 2: 1500.0}[len(problem.states)]
    save = np.linspace(0.0, until, 11)
    outcome = run(problem, until, save, rtol=1e-10, atol=np.full(len(problem.states), 1e-14))
    rhs = python_rhs(problem)

    def right_hand_side(t: float, y: Any, out: Any) -> None:
        out[:] = rhs(t, y)

    solver = cvode.CVODE(right_hand_side, method="BDF", rtol=1e-10, atol=1e-14, max_num_steps=1_000_000)
    told = solver.solve(save, np.array([tree.value for tree in problem.start]))
    assert outcome.states == pytest.approx(told.y, rel=2e-6, abs=1e-12)


def test_an_algebraic_unknown_is_found_at_the_start_and_followed() -> None:
    save = np.array([0.0, 0.4, 40.0, 4000.0])
    outcome = run(ROBERTSON_WITH_MASS_BALANCE, 4000.0, save, rtol=1e-9, atol=np.full(3, 1e-13))
    told = run(ROBERTSON, 4000.0, save, rtol=1e-10, atol=np.full(3, 1e-14))
    assert outcome.reason is Reason.DONE
    assert outcome.states[0, 2] == pytest.approx(0.0, abs=1e-14)
    assert outcome.states[1:] == pytest.approx(told.states[1:], rel=1e-7)
    assert np.abs(outcome.states.sum(axis=1) - 1).max() < 1e-10


def test_a_nonlinear_unknown_is_solved_again_after_a_dose() -> None:
    problem = flat(
        {"x": "-z", "z": "z**3 + z - x"},
        {"x": 2, "z": 100},
        algebraic=("z",),
        actions=({"x": "x + amount"},),
    )
    outcome = run(problem, 2.0, [0.0, 1.0, 2.0], schedule=at_times((1.0, 1, 0, 8.0)), rtol=1e-9)
    z = outcome.states[:, 1]
    assert np.abs(z**3 + z - outcome.states[:, 0]).max() < 1e-8
    assert z[0] == pytest.approx(1.0, abs=1e-9)
    assert outcome.states[1, 0] > 8


def test_an_equation_without_a_solution_is_no_consistent_start() -> None:
    problem = flat({"x": "-x", "z": "z**2 + 1 + x**2"}, {"x": 1, "z": 3}, algebraic=("z",))
    outcome = run(problem, 1.0, [0.0, 1.0])
    assert outcome.reason is Reason.NO_CONSISTENT_START
    assert outcome.time == 0.0


def test_an_unknown_that_is_in_no_equation_is_singular_or_inconsistent() -> None:
    problem = flat({"x": "-x", "z": "x - 1"}, {"x": 1, "z": 0}, algebraic=("z",))
    outcome = run(problem, 1.0)
    assert outcome.reason in (Reason.SINGULAR, Reason.NO_CONSISTENT_START)


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_records_never_change_the_steps(method: str) -> None:
    random = np.random.default_rng(1)
    problem = TOPP if method == "stiff" else OSCILLATOR
    common = np.array([1.0, 7.5, 40.0])
    plain = run(problem, 50.0, common, method=method)
    for _ in range(5):
        extra = np.sort(np.concatenate([common, random.uniform(0.0, 50.0, 200)]))
        outcome = run(problem, 50.0, extra, method=method)
        assert outcome.counts.steps == plain.counts.steps
        assert outcome.state.tobytes() == plain.state.tobytes()
        assert outcome.states[np.searchsorted(extra, common)].tobytes() == plain.states.tobytes()


def test_a_short_pulse_is_never_missed() -> None:
    on = at_times((50.0, 2, 0, 10.0), (50.0 + 0.1 * HOUR, 2, 0, 0.0))
    for save in ([100.0], np.linspace(0, 100, 1001)):
        outcome = run(PULSE, 100.0, save, schedule=on)
        assert outcome.state[1] == pytest.approx(10.0 * (50.0 + 0.1 * HOUR - 50.0), rel=1e-12)
        assert outcome.parameters[0] == 0.0


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_what_is_prescribed_is_what_is_delivered(method: str) -> None:
    random = np.random.default_rng(2)
    problem = flat(
        {"x": "-x", "total": "0"}, {"x": 0, "total": 0}, actions=({"x": "x + amount", "total": "total + amount"},)
    )
    times = np.sort(random.uniform(0, 30, 40))
    amounts = random.lognormal(size=40)
    schedule = at_times(*((time, 1, 0, amount) for time, amount in zip(times, amounts, strict=True)))
    for save in ([30.0], np.sort(random.uniform(0, 30, 300)), times):
        outcome = run(problem, 30.0, save, schedule=schedule, method=method)
        assert outcome.state[1] == pytest.approx(amounts.sum(), rel=1e-12)
        assert outcome.state[0] == pytest.approx((amounts * np.exp(times - 30.0)).sum(), rel=1e-5)


def test_a_record_shows_the_state_after_its_dose_except_at_the_very_start() -> None:
    problem = flat({"x": "0"}, {"x": 1}, actions=({"x": "x + amount"}, {"x": "x * amount"}))
    schedule = at_times((0.0, 1, 0, 1.0), (2.0, 1, 1, 3.0), (2.0, 1, 0, 0.5), (4.0, 1, 0, 1.0))
    outcome = run(problem, 4.0, [0.0, 1.0, 2.0, 3.0, 4.0], schedule=schedule)
    assert outcome.outputs[:, 0].tolist() == [1.0, 2.0, 6.5, 6.5, 7.5]


def test_a_stop_that_changes_nothing_keeps_the_pace() -> None:
    problem = replace(TOPP, actions=(Action("nothing", (("B", parse("B + amount")),)),))
    times = np.linspace(100, 3500, 35)
    quiet = at_times(*((time, 1, 0, 0.0) for time in times))
    outcome = run(problem, 3650.0, schedule=quiet)
    plain = run(problem, 3650.0)
    assert outcome.counts.steps < plain.counts.steps + 3 * len(times)


def test_changed_parameters_are_prepared_before_the_next_action() -> None:
    problem = flat({"x": "0"}, {"x": 0}, {"rate": 2}, actions=({"x": "x + exp(rate) * amount"},))
    outcome = run(problem, 2.0, schedule=at_times((1.0, 2, 0, 3.0), (1.0, 1, 0, 1.0)))
    assert outcome.state[0] == pytest.approx(np.exp(3.0), rel=1e-14)


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_a_threshold_is_met_to_a_billionth(method: str) -> None:
    problem = replace(OSCILLATOR, events=(Event("low", parse("-0.5 - x"), -1),))
    outcome = run(problem, 10.0, np.linspace(0, 10, 101), method=method, rtol=1e-10, atol=np.full(2, 1e-13))
    assert outcome.reason is Reason.TERMINAL
    assert outcome.event == 0
    assert outcome.time == pytest.approx(2 * np.pi / 3, abs=1e-9)
    assert outcome.times[-1] <= outcome.time < outcome.times[-1] + 0.1


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_a_ball_bounces_at_the_right_times(method: str) -> None:
    fall = np.sqrt(2 * 10 / 9.81)
    speed = 9.81 * fall
    bounces = [fall]
    for number in range(1, 8):
        bounces.append(bounces[-1] + 2 * speed * 0.8**number / 9.81)
    until = bounces[-1] + 0.05
    outcome = run(FALLING_BALL, until, [until], method=method, rtol=1e-8)
    assert outcome.reason is Reason.DONE
    assert outcome.counts.roots == 8
    after = 0.05
    left = speed * 0.8**8
    assert outcome.state == pytest.approx([left * after - 9.81 / 2 * after**2, left - 9.81 * after], abs=1e-8)


def test_a_ball_that_bounces_without_end_is_named() -> None:
    outcome = run(FALLING_BALL, 100.0, maximum_steps=20_000)
    assert outcome.reason in (Reason.STEP_TOO_SMALL, Reason.TOO_MANY_STEPS)
    assert outcome.time == pytest.approx(np.sqrt(2 * 10 / 9.81) * (1 + 0.8) / (1 - 0.8), rel=1e-3)


def test_an_event_that_is_true_at_the_start_waits_unless_told_otherwise() -> None:
    for initially, expected in ((True, 0.0), (False, 5.0)):
        problem = flat(
            {"x": "1", "y": "0"},
            {"x": 1, "y": 0},
            actions=({"y": "y + 5"},),
            events=(Event("high", parse("x - 0.5"), 0, initially=initially),),
        )
        outcome = run(problem, 1.0, [0.0, 1.0])
        assert outcome.outputs[1, 1] == expected


def test_a_dose_can_set_off_an_event_and_an_event_another() -> None:
    problem = flat(
        {"x": "0", "y": "0", "z": "0"},
        {"x": 0, "y": 0, "z": 0},
        actions=({"x": "x + amount"}, {"y": "y + 1"}, {"z": "z + 1"}),
        events=(Event("x", parse("x - 1"), 1), Event("y", parse("y - 0.5"), 2)),
    )
    outcome = run(problem, 2.0, [1.0], schedule=at_times((1.0, 1, 0, 3.0)))
    assert outcome.outputs[0].tolist() == [3.0, 1.0, 1.0]


@pytest.mark.parametrize("method", ["stiff", "explicit"])
@pytest.mark.parametrize("begin", [0.0, 1e5])
def test_a_thermostat_keeps_its_period(method: str, begin: float) -> None:
    problem = flat(
        {"x": "2 * heater - x"},
        {"x": 0.5},
        {"heater": 1},
        actions=({"heater": "1"}, {"heater": "0"}),
        events=(Event("cold", parse("0.5 - x"), 0), Event("warm", parse("x - 1.5"), 1)),
    )
    period = 2 * np.log(3)
    until = begin + 20.25 * period
    edges = begin + np.arange(1, 40) * period / 2
    outcome = run(problem, until, edges, begin=begin, method=method, rtol=1e-10, atol=np.array([1e-13]))
    assert outcome.reason is Reason.DONE
    assert outcome.counts.roots == 40
    assert outcome.parameters[0] == 1.0
    close = 1e-8 if begin == 0.0 else 1e-7  # late times are coarse: 1e5 days are known to 1e-11 days
    assert outcome.state[0] == pytest.approx(2 - 1.5 * 3**-0.5, abs=close)
    assert outcome.outputs[:, 0] == pytest.approx(np.resize([1.5, 0.5], 39), abs=close)


def test_unknowns_that_need_pivoting_are_solved() -> None:
    problem = flat(
        {"x": "-u", "u": "w - x", "w": "u + w - 3 * x + x**2"},
        {"x": 1, "u": 0, "w": 0},
        algebraic=("u", "w"),
    )
    # w = x and u = 2 x - x^2, so x' = -2 x + x^2 and x = 2 / (1 + exp(2 t)).
    outcome = run(problem, 2.0, [0.0, 1.0, 2.0], rtol=1e-9, atol=np.full(3, 1e-12))
    assert outcome.reason is Reason.DONE
    exact = 2 / (1 + np.exp(2 * outcome.times))
    assert outcome.states == pytest.approx(np.stack([exact, 2 * exact - exact**2, exact], axis=1), abs=1e-8)


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_a_kink_is_found_and_costs_no_accuracy(method: str) -> None:
    # x' = |sin| through an oscillator: the integral of |cos| is known.
    problem = flat({"c": "-s", "s": "c", "x": "abs(c)"}, {"c": 1, "s": 0, "x": 0})
    until = 10.0
    exact = 2 * np.floor((until + np.pi / 2) / np.pi) + np.sin(until) * np.sign(np.cos(until))
    outcome = run(problem, until, method=method, rtol=1e-9, atol=np.full(3, 1e-12))
    assert outcome.counts.roots == 3
    assert outcome.counts.unlocated == 0
    assert outcome.state[2] == pytest.approx(exact, abs=2e-7 if method == "stiff" else 1e-7)


def test_a_solution_that_slides_along_a_kink_is_not_hung_upon() -> None:
    problem = flat({"x": "where(x > 0, -1, 1)"}, {"x": 0.3})
    outcome = run(problem, 1.0, maximum_steps=20_000, rtol=1e-4)
    assert outcome.reason in (Reason.DONE, Reason.TOO_MANY_STEPS)  # such a solution is crawled along, never hung upon
    assert outcome.time > 0.3
    assert abs(outcome.state[0]) < 1e-3
    assert outcome.counts.unlocated > 0


@pytest.mark.parametrize("method", ["stiff", "explicit"])
def test_a_solution_that_blows_up_is_named_with_time_and_state(method: str) -> None:
    problem = flat({"calm": "-calm", "wild": "wild**2"}, {"calm": 1, "wild": 1})
    outcome = run(problem, 5.0, np.linspace(0, 5, 51), method=method)
    assert outcome.reason in (Reason.STEP_TOO_SMALL, Reason.NOT_FINITE)
    assert outcome.reason.failed
    assert outcome.time == pytest.approx(1.0, abs=1e-6)
    assert outcome.worst == 1
    assert len(outcome.times) in (10, 11)
    assert outcome.states[9, 1] == pytest.approx(1 / (1 - 0.9), rel=1e-4)
    assert outcome.counts.steps + outcome.counts.rejected < 2000


def test_a_number_that_is_not_finite_is_named_at_once() -> None:
    problem = flat({"x": "log(x)"}, {"x": 1})
    assert run(problem, 1.0, start=[np.nan]).reason is Reason.NOT_FINITE
    assert run(problem, 1.0, start=[-1.0]).reason is Reason.NOT_FINITE
    crash = run(problem, 10.0, start=[0.5])
    assert crash.reason in (Reason.NOT_FINITE, Reason.STEP_TOO_SMALL)


def test_too_many_steps_keep_the_record() -> None:
    outcome = run(TOPP, 3650.0, np.arange(3651.0), maximum_steps=30)
    assert outcome.reason is Reason.TOO_MANY_STEPS
    assert 0 < len(outcome.times) < 3651
    assert outcome.outputs.shape == (len(outcome.times), 3)
    assert outcome.counts.steps + outcome.counts.rejected == 30


def test_a_watched_output_ends_the_run_after_its_row() -> None:
    problem = flat({"x": "1"}, {"x": 0})
    save = np.arange(0.0, 11.0)
    outcome = run(problem, 10.0, save, watch=Watch(0, 4.5))
    assert outcome.reason is Reason.WATCH
    assert outcome.times[-1] == 5.0
    assert outcome.time == 5.0
    assert outcome.state[0] == pytest.approx(5.0)
    assert run(problem, 10.0, save, watch=Watch(0, 4.5, -1)).times.tolist() == [0.0]
    assert run(problem, 10.0, save, watch=Watch(0, 99.0)).reason is Reason.DONE


def test_sparse_and_pivoted_factors_give_the_same_run() -> None:
    model = compile_model(TOPP)
    dense = replace(model, functions=replace(model.functions, factor=0))
    save = np.arange(0.0, 101.0)
    sparse = solve(model, None, TOPP.values, span=(0, 100), save=save)
    pivoted = solve(dense, None, TOPP.values, span=(0, 100), save=save)
    assert pivoted.counts.pivoted == pivoted.counts.factorizations > 0
    assert pivoted.states == pytest.approx(sparse.states, rel=1e-9)


def test_inert_states_do_not_change_the_others() -> None:
    more = {f"inert{number}": "-death * 0" for number in range(9)}
    equations = dict(
        zip(
            TOPP.states,
            ("R0 - (EG0 + SI * I) * G", "B * sigma * G**2 / (alpha + G**2) - k * I", "(-d0 + r1 * G - r2 * G**2) * B"),
            strict=True,
        )
    )
    problem = flat(
        equations | dict.fromkeys(more, "0"),
        {"G": 180, "I": 8, "B": 180} | dict.fromkeys(more, 0.0),
        dict(zip(TOPP.parameters, TOPP.values, strict=True)),
    )
    plain, wider = run(TOPP, 365.0), run(problem, 365.0)
    assert wider.counts.steps == plain.counts.steps
    assert wider.state[:3] == pytest.approx(plain.state, rel=1e-12)


@dataclass
class Bytes:
    data: list[bytes]


def test_repetition_and_threads_give_the_same_bytes() -> None:
    save = np.arange(0.0, 366.0)
    expected = run(TOPP, 365.0, save).outputs.tobytes()
    model = compile_model(TOPP)
    found = Bytes([])

    def work() -> None:
        for _ in range(50):
            found.data.append(solve(model, None, TOPP.values, span=(0, 365), save=save).outputs.tobytes())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found.data) == 100
    assert set(found.data) == {expected}


def test_continuing_from_the_end_is_the_same_run() -> None:
    whole = run(TOPP, 200.0, [200.0], rtol=1e-9)
    half = run(TOPP, 80.0, rtol=1e-9)
    rest = run(TOPP, 200.0, [200.0], begin=80.0, start=half.state, rtol=1e-9)
    assert rest.state == pytest.approx(whole.state, rel=1e-7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"save": [1.0, 0.5]},
        {"save": [2.0]},
        {"rtol": 0.0},
        {"method": "magic"},
        {"until": np.inf},
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"until": 1.0, "save": []} | wrong
    with pytest.raises(ValueError, match=r"span|save|rtol|method"):
        run(OSCILLATOR, arguments.pop("until"), arguments.pop("save"), **arguments)


def test_the_explicit_method_refuses_algebraic_unknowns() -> None:
    with pytest.raises(ValueError, match="algebraic"):
        run(ROBERTSON_WITH_MASS_BALANCE, 1.0, method="explicit")


FIRST_START = """
import re, sys, isletsim.solver
assert "numba" not in sys.modules
from isletsim.solver.native import driver
driver()
print("numba" in sys.modules)
if "numba" in sys.modules:
    from isletsim.solver.drive import run
    (made,) = run.overloads.values()
    declared = re.findall(r"^declare [^@]*@([^( ]+)", made.library.get_llvm_str(), re.MULTILINE)
    print(*sorted(name for name in declared if not name.startswith("llvm.")))
"""


def test_a_later_start_loads_the_driver_without_numba_and_nothing_in_it_allocates(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(tmp_path), "PYTHONPATH": root}

    def start() -> list[str]:
        command = [sys.executable, "-c", FIRST_START]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()

    # What the machine code calls besides the model: no allocation, no printing, nothing of Python.
    used, outside = start()
    assert used == "True"
    assert set(outside.split()) <= {"pow", "sqrt"}
    assert start() == ["False"]
    (entry,) = (tmp_path / "driver").iterdir()
    assert native._load(entry.read_bytes()) is not None
    assert native._load(entry.read_bytes()[:-100]) is None  # a damaged entry is made again
    assert native._load(b"rubbish") is None
