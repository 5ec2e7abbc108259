"""Conditions that hold briefly, events on straight lines, derivatives that are infinite, and numbers that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from solver_problems import flat, run

from isletsim.codegen import reference
from isletsim.flat import Event
from isletsim.language import parse
from isletsim.solver import Reason

TURN = "6.283185307179586 * time"
METHODS = pytest.mark.parametrize("method", ["stiff", "explicit"])


def share_above(level: float) -> float:
    """The share of a period in which a sine is above a level."""
    return 0.5 - float(np.arcsin(level)) / np.pi


@METHODS
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_a_rate_that_is_on_for_part_of_every_day_is_integrated_exactly(method: Any, rtol: float) -> None:
    problem = flat({"x": f"where(sin({TURN}) > 0.9, 1, 0)"}, {"x": 0})
    outcome = run(problem, 10.0, method=method, rtol=rtol)
    assert outcome.state[0] == pytest.approx(10.0 * share_above(0.9), rel=1e-10)  # 1.43566
    assert outcome.counts.roots == 20


@pytest.mark.parametrize("top", [0.99, 0.9999999])
def test_a_pulse_of_a_few_seconds_every_day_is_never_passed_over(top: float) -> None:
    problem = flat({"x": f"where(sin({TURN}) > top, 1, 0)", "slow": "-slow / 1000"}, {"x": 0, "slow": 1}, {"top": top})
    outcome = run(problem, 400.0)
    assert outcome.state[0] == pytest.approx(400.0 * share_above(top), rel=1e-6)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"sin({TURN}) - 0.9999", 10),
        (f"cos({TURN})**2 - 0.9999", 20),  # and one at the end
        (f"exp(sin({TURN})) - 2.718", 10),
        ("0.001 - abs(mod(time, 1) - 0.5)", 10),
        (f"sin({TURN}) - 1.00001", 0),
        (f"min(sin({TURN}) - 0.5, sin(3 * {TURN}) - 0.999)", 20),
    ],
)
def test_an_event_of_time_alone_happens_as_often_as_its_condition_begins(condition: str, expected: int) -> None:
    problem = flat({"n": "0"}, {"n": 0}, actions=({"n": "n + 1"},), events=(Event("on", parse(condition), 0),))
    assert run(problem, 10.0).state[0] == expected


def test_a_condition_of_time_follows_a_parameter_that_a_dose_changes() -> None:
    from solver_problems import at_times

    problem = flat({"x": f"where(sin({TURN}) > top, 1, 0)"}, {"x": 0}, {"top": 2.0})
    outcome = run(problem, 10.0, schedule=at_times((5.0, 2, 0, 0.9)))
    assert outcome.state[0] == pytest.approx(5.0 * share_above(0.9), rel=1e-10)


@METHODS
def test_an_event_at_the_top_of_an_oscillation_happens_in_every_period(method: Any) -> None:
    problem = flat(
        {"x": "v", "v": "-x", "n": "0"},
        {"x": 0, "v": 1, "n": 0},
        actions=({"n": "n + 1"},),
        events=(Event("top", parse("x - 0.9999"), 0),),
    )
    assert run(problem, 200.0, method=method).state[2] == 32  # tops at pi / 2 + 2 pi k


# Straight lines


def line(slope: float, start: float, level: float, back: float) -> Any:
    problem = flat(
        {"x": repr(slope)},
        {"x": start},
        actions=({"x": repr(back)},),
        events=(Event("up", parse(f"x - ({level!r})"), 0),),
    )
    return run(problem, 1.0)


def test_an_event_on_a_straight_line_happens_once_at_the_root() -> None:
    random = np.random.default_rng(0)
    for _ in range(150):
        start = random.uniform(-20.0, 20.0) * 10 ** random.uniform(-3.0, 5.0)
        slope = random.uniform(0.01, 3.0) * 10 ** random.uniform(-3.0, 2.0)
        share = random.uniform(0.01, 0.99)
        back = start - 5.0 - 10.0 * slope
        outcome = line(slope, start, start + slope * share, back)
        assert (outcome.reason, outcome.counts.roots) == (Reason.DONE, 1), (start, slope)
        resolution = 4.0 * np.spacing(abs(start)) / slope + 1e-14  # of the time, by numbers of this size
        assert outcome.state[0] == pytest.approx(back + slope * (1.0 - share), abs=slope * (1e-9 + 20 * resolution))


@pytest.mark.parametrize(
    ("equation", "start", "trigger", "until"),
    [
        ("1 / 3", 5.1, "x - 5.189", 1.0),
        ("1 / 3", 15.0, "x / 100 - 0.1515", 1.0),
        ("(7.6 - x) / 60", 8.2, "8.13 - x", 20.0),
    ],
)
def test_lines_on_which_the_shortest_step_moves_nothing_reach_their_event(
    equation: str, start: float, trigger: str, until: float
) -> None:
    event = Event("reached", parse(trigger), 0)
    problem = flat({"x": equation, "n": "0"}, {"x": start, "n": 0}, actions=({"n": "n + 1"},), events=(event,))
    outcome = run(problem, until)
    assert outcome.reason is Reason.DONE
    assert outcome.state[1] == 1
    assert outcome.counts.steps < 100


# Derivatives that are infinite where the equations are not


@METHODS
@pytest.mark.parametrize(
    "equation", ["x**0.35 / (1 + x**0.35)", "1 / (1 + (0.5 / x)**4)", "1 / (1 + exp(1000 * (1 - x)))"]
)
def test_a_start_at_which_only_the_jacobian_is_infinite_runs(method: Any, equation: str) -> None:
    outcome = run(flat({"x": equation}, {"x": 0}), 10.0, method=method)
    assert outcome.reason is Reason.DONE
    assert outcome.state[0] == 0.0  # the derivative is 0 there
    pushed = run(flat({"x": equation + " + 0.1"}, {"x": 0}), 10.0, method=method, rtol=1e-8)
    rate = reference(flat({"x": equation + " + 0.1"}, {"x": 0}))
    assert pushed.reason is Reason.DONE
    assert time_to(pushed.state[0], rate.rhs) == pytest.approx(10.0, rel=1e-5)


@METHODS
def test_a_root_at_its_zero_runs(method: Any) -> None:
    outcome = run(flat({"x": "sqrt(x) + 0.1"}, {"x": 0}), 10.0, method=method, rtol=1e-8)
    # With u = sqrt(x): 2 u' = 1 + 0.1 / u, so t = 2 u - 0.2 log(1 + 10 u).
    root = np.sqrt(outcome.state[0])
    assert 2 * root - 0.2 * np.log(1 + 10 * root) == pytest.approx(10.0, rel=1e-5)


def time_to(place: float, rhs: Any) -> float:
    """The time that x' = f(x) takes from 0 to a place."""
    from scipy.integrate import quad

    def inverse(x: float) -> float:
        out = np.empty(1)
        rhs(0.0, np.array([x]), np.zeros(1), out)
        return 1.0 / float(out[0])

    with np.errstate(all="ignore"):
        return float(quad(inverse, 0.0, place, points=[0.01 * place, 0.5, 1.0], limit=500)[0])


# The longest step


@METHODS
def test_no_step_is_longer_than_allowed(method: Any) -> None:
    problem = flat({"x": "0"}, {"x": 1})
    assert run(problem, 10.0, method=method).counts.steps < 20
    assert 100 <= run(problem, 10.0, method=method, max_step=0.1).counts.steps < 110


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, 1e-13])
def test_a_longest_step_that_cannot_be_meant_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="max_step"):
        run(flat({"x": "0"}, {"x": 1}), 10.0, max_step=wrong)


# NaN


@pytest.mark.parametrize("equation", ["max(0.2, log(x))", "max(log(x), 0.2)", "min(log(x), 9)", "min(x, log(x), 2)"])
@pytest.mark.parametrize("start", [-1.4, 1.4])
def test_the_smaller_and_the_larger_of_nan_and_a_number_are_nan(equation: str, start: float) -> None:
    outcome = run(flat({"x": equation}, {"x": start}), 1.0)
    assert outcome.reason is (Reason.NOT_FINITE if start < 0 else Reason.DONE)
    constant = run(flat({"x": equation.replace("x)", f"({start}))").replace("(x,", f"({start},")}, {"x": 0}), 1.0)
    assert constant.reason is outcome.reason
