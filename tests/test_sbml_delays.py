"""Delay equations: known solutions, events, delays that depend on time and state, and the past before 0."""

import math

import numpy as np
import pytest
from sbml_text import DELAY, TIME, after, call, ci, cn, event, parameters, rule, sbml, write
from sbml_text import math as mathml

from isletsim.errors import InputError, RunError
from isletsim.sbml import load_sbml

pytestmark = pytest.mark.filterwarnings("error")


def delay(what: str, lag: str) -> str:
    return f"<apply>{DELAY}{what}{lag}</apply>"


def model(tmp_path, body):
    return load_sbml(write(tmp_path, sbml(body)))


def rules(*written):
    return f"<listOfRules>{''.join(written)}</listOfRules>"


def test_a_linear_delay_equation_has_its_known_solution(tmp_path):
    # x' = -x(t - 1), x = 1 before: step by step a polynomial, x(2) = -1/2 and x(3) = -1/6.
    decay = rule("rate", "x", call("minus", delay(ci("x"), cn(1))))
    got = model(tmp_path, parameters(x=1) + rules(decay)).simulate(3, save=[0, 0.5, 1, 1.5, 2, 3], rtol=1e-9)
    assert got["x"] == pytest.approx([1, 0.5, 0, -0.375, -0.5, -1 / 6], abs=1e-9)


def test_a_periodic_solution_stays_exact_for_many_delays(tmp_path):
    # x' = -(pi / 2) x(t - 1) has cos(pi t / 2) as its solution when the past is that too.
    begin = (
        f'<initialAssignment symbol="x">{mathml(call("cos", call("times", cn(math.pi / 2), TIME)))}</initialAssignment>'
    )
    decay = rule("rate", "x", call("times", cn(-math.pi / 2), delay(ci("x"), cn(1))))
    text = f"{parameters(x=1)}<listOfInitialAssignments>{begin}</listOfInitialAssignments>{rules(decay)}"
    got = model(tmp_path, text).simulate(20, rtol=1e-9)
    assert got["x"] == pytest.approx(np.cos(np.pi / 2 * got.time), abs=1e-6)


def test_the_logistic_equation_with_delay_agrees_with_small_steps(tmp_path):
    grow = rule("rate", "x", call("times", cn(1.8), ci("x"), call("minus", cn(1), delay(ci("x"), cn(1)))))
    got = model(tmp_path, parameters(x=0.1) + rules(grow)).simulate(12, save=[3, 6, 9, 12], rtol=1e-8)
    steps = 2000  # of a unit of time; Heun's method, whose delayed values are its own nodes
    past = [0.1] * (steps + 1)
    for index in range(12 * steps):
        x, before, after_it = past[-1], past[index], past[index + 1]
        slope = 1.8 * x * (1 - before)
        guess = x + slope / steps
        past.append(x + 0.5 / steps * (slope + 1.8 * guess * (1 - after_it)))
    expected = [past[steps + time * steps] for time in (3, 6, 9, 12)]
    assert got["x"] == pytest.approx(expected, rel=2e-5)


def test_a_jump_arrives_after_its_delay(tmp_path):
    jump = f"<listOfEvents>{event('jump', after(1), {'x': cn(5)})}</listOfEvents>"
    text = parameters(x=1, y=0) + rules(rule("rate", "x", cn(0)), rule("rate", "y", delay(ci("x"), cn(0.5)))) + jump
    got = model(tmp_path, text).simulate(3, save=[1, 1.5, 2, 3], rtol=1e-9)
    assert got["y"] == pytest.approx([1, 1.5, 1.5 + 2.5, 1.5 + 7.5], abs=1e-9)


def test_a_delayed_trigger_fires_when_the_jump_arrives(tmp_path):
    late = call("gt", delay(ci("x"), cn(0.5)), cn(3))
    events = event("jump", after(1), {"x": cn(5)}) + event("late", late, {"y": cn(7)})
    text = parameters(x=1, y=0) + rules(rule("rate", "x", cn(0))) + f"<listOfEvents>{events}</listOfEvents>"
    got = model(tmp_path, text).simulate(3)
    assert [(pytest.approx(time), name) for time, name in got.events] == [(1.0, "jump"), (1.5, "late")]


def test_a_delay_that_vanishes_and_one_that_depends_on_the_state_are_followed(tmp_path):
    # x(t) = exp(t), y' = x(t / 2): the lag t / 2 is 0 at the start, and y = 2 exp(t / 2) - 2.
    half = delay(ci("x"), call("divide", TIME, cn(2)))
    text = parameters(x=1, y=0) + rules(rule("rate", "x", ci("x")), rule("rate", "y", half))
    got = model(tmp_path, text).simulate(2, save=[1, 2], rtol=1e-9)
    assert got["y"] == pytest.approx([2 * math.exp(0.5) - 2, 2 * math.exp(1) - 2], rel=1e-6)
    # z' = 1 with z = t, and w' = z(t - z / 2) = t / 2: w = t^2 / 4.
    state = delay(ci("z"), call("divide", ci("z"), cn(2)))
    text = parameters(z=0, w=0) + rules(rule("rate", "z", cn(1)), rule("rate", "w", state))
    got = model(tmp_path, text).simulate(2, save=[1, 2], rtol=1e-9)
    assert got["w"] == pytest.approx([0.25, 1.0], abs=1e-6)


def test_formulas_of_time_go_on_into_the_past_and_states_keep_their_start(tmp_path):
    wave = rule("assignment", "x", call("sin", TIME))
    text = parameters(x=0, y=0, z=2, u=0) + rules(
        wave,
        rule("assignment", "y", delay(ci("x"), cn(1))),
        rule("rate", "z", ci("z")),
        rule("assignment", "u", delay(ci("z"), cn(1))),
    )
    got = model(tmp_path, text).simulate(3, rtol=1e-9)
    assert got["y"] == pytest.approx(np.sin(got.time - 1), abs=1e-8)
    assert got["u"] == pytest.approx(np.where(got.time < 1, 2, 2 * np.exp(got.time - 1)), rel=1e-8)


def test_a_negative_delay_fails_by_name(tmp_path):
    text = parameters(x=1) + rules(rule("rate", "x", delay(ci("x"), cn(-1))))
    with pytest.raises(RunError, match="must not be negative"):
        model(tmp_path, text).simulate(3)


def test_a_model_with_delays_is_not_imported(tmp_path):
    from isletsim.sbml.to_toml import model_file

    text = parameters(x=1) + rules(rule("rate", "x", delay(ci("x"), cn(1))))
    with pytest.raises(InputError, match="no delays"):
        model_file(model(tmp_path, text))
