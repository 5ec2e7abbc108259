"""What happens in time: doses, stops, records, events and kinks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from solver_problems import (
    FALLING_BALL,
    OSCILLATOR,
    PULSE,
    TOPP,
    at_times,
    flat,
    run,
)

from isletsim.flat import Action, Event
from isletsim.language import parse
from isletsim.model import load_model
from isletsim.solver import Reason, Watch, solve

HOUR = 1 / 24


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


@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_a_kink_that_a_failed_step_places_too_early_is_reached(rtol: float) -> None:
    # From this start a failed step saw the kink just ahead, a step of no length brought it no nearer, and so on.
    model = load_model("dallaman2007")
    values, state = model.start(None, None)
    scale = np.array(model.composition.flat.scale)
    away = 1.2 * state + 0.05 * scale
    outcome = solve(
        model.compiled, away, values, span=(0.0, 5.0), save=[], rtol=rtol, atol=0.01 * rtol * scale, maximum_steps=5_000
    )
    assert outcome.reason is Reason.DONE


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
