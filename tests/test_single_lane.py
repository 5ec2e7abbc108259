"""A subject alone, in a lane of its own width: the same numbers as in eight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from machine_code import call as call_one
from machine_code import model, observed, random_model
from test_lanes import LANES, Eight, call

from isletsim.codegen import compile_model
from isletsim.language import Name, Number, apply


def column(count: int) -> np.ndarray:
    """Zeros for one lane."""
    return np.zeros((count, 1))


@pytest.mark.parametrize("states", [6, 12, 40])
def test_one_lane_computes_the_same_bytes_as_eight(states):
    eight = Eight(random_model(states))
    compiled, functions = eight.compiled, eight.functions
    call(functions, "jac", eight.t, eight.y, eight.p, eight.jacobian)
    call(functions, "rhs", eight.t, eight.y, eight.p, eight.dy)
    assert call(functions, "factor", eight.jacobian, eight.d, eight.lu) == 0
    call(functions, "solve", eight.lu, eight.dy)
    eight.observed()
    for lane in range(LANES):
        p, y, dy = column(compiled.width), column(states), column(states)
        jacobian, lu, out = (column(len(each)) for each in (eight.jacobian, eight.lu, eight.out))
        t, d = (np.ascontiguousarray(each[:, [lane]]) for each in (eight.t, eight.d))
        p[: compiled.parameters, 0] = eight.p[: compiled.parameters, lane]
        y[:, 0] = eight.y[:, lane]
        call_one(compiled, "prepare", p)
        call_one(compiled, "jac", t, y, p, jacobian)
        call_one(compiled, "rhs", t, y, p, dy)
        assert call_one(compiled, "factor", jacobian, d, lu) == 0
        call_one(compiled, "solve", lu, dy)
        call_one(compiled, "observe", t, y, p, out)
        for mine, theirs in ((p, eight.p), (jacobian, eight.jacobian), (dy, eight.dy), (out, eight.out)):
            assert mine[:, 0].tobytes() == theirs[:, lane].tobytes()


def test_a_sine_that_goes_farther_than_a_lane_is_right_beside_others_that_do_not():
    scales = (1.0, 0.1, 1e9, 3.0, 2e9)
    equations = {
        f"{name}{scale:g}": apply(name, apply("multiply", Number(scale), Name("x")))
        for name in ("sin", "cos")
        for scale in scales
    }
    compiled = compile_model(model({"x": Number(0.0)}, {}, equations))
    place = 12.3
    exact = [function(scale * place) for function in (math.sin, math.cos) for scale in scales]
    assert observed(compiled, np.array([place])) == pytest.approx(exact, rel=1e-15)
