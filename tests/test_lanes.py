"""The machine code of the lanes: against the plain equations, lane by lane, and its elementary functions."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from machine_code import model as small
from machine_code import observed, random_model
from solver_problems import flat

from isletsim.codegen import Functions, compile_lanes, compile_model, llvm_source, reference
from isletsim.codegen.program import assemble
from isletsim.flat import FlatModel
from isletsim.language import Name, Number, Table, apply, parse

LANES = 8
ADDRESS = ctypes.c_void_p
KINDS = {"prepare": 1, "start": 2, "rhs": 4, "jac": 4, "factor": 3, "solve": 2, "observe": 4}


def vectors(count: int) -> np.ndarray:
    """Zeros for so many vectors, where vector registers like them."""
    store = np.zeros(LANES * (count + 1))
    skip = (-store.ctypes.data % 64) // 8
    return store[skip : skip + LANES * count].reshape(count, LANES)


def call(functions: Functions, name: str, *arrays: np.ndarray) -> int:
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32 if name == "factor" else None, *[ADDRESS] * KINDS[name])
    return prototype(getattr(functions, name))(*(array.ctypes.data for array in arrays))


class Eight:
    """A model in eight lanes: states and parameters near its own, and what its functions give."""

    def __init__(self, problem: FlatModel, seed: int = 1) -> None:
        compiled = compile_model(problem)
        lanes = compile_lanes(compiled)
        assert lanes is not None
        functions = lanes.functions
        dice = np.random.default_rng(seed)
        self.compiled, self.functions = compiled, functions
        self.t, self.d = vectors(1), vectors(1)
        self.y, self.p, self.dy = vectors(compiled.states), vectors(compiled.width), vectors(compiled.states)
        self.jacobian = vectors(compiled.nonzeros + 2 * compiled.states)
        self.lu, self.out = vectors(compiled.factor_size), vectors(max(1, compiled.outputs))
        self.t[:] = dice.uniform(0.1, 0.9, LANES)
        self.d[:] = dice.uniform(1.0, 10.0, LANES)
        self.y[:] = dice.uniform(0.2, 2.0, self.y.shape)
        self.p[: compiled.parameters] = np.array(problem.values)[:, None] * dice.uniform(0.5, 2.0, LANES)
        call(functions, "prepare", self.p)

    def observed(self) -> np.ndarray:
        call(self.functions, "observe", self.t, self.y, self.p, self.out)
        return self.out[: self.compiled.outputs]


@pytest.mark.parametrize("states", [6, 12, 40])
def test_every_lane_computes_what_the_plain_equations_say(states):
    problem = random_model(states)
    eight, plain = Eight(problem), reference(problem)
    compiled, functions = eight.compiled, eight.functions
    call(functions, "rhs", eight.t, eight.y, eight.p, eight.dy)
    call(functions, "rhs", eight.t, eight.y, eight.p, eight.dy)  # adds to what is there
    call(functions, "jac", eight.t, eight.y, eight.p, eight.jacobian)
    assert call(functions, "factor", eight.jacobian, eight.d, eight.lu) == 0
    right = np.random.default_rng(7).uniform(-1.0, 1.0, eight.dy.shape)
    solution = vectors(states)
    solution[:] = right
    call(functions, "solve", eight.lu, solution)
    eight.observed()
    for lane in range(LANES):
        t, y = float(eight.t[0, lane]), eight.y[:, lane].copy()
        p = np.zeros(plain.width)
        p[: compiled.parameters] = eight.p[: compiled.parameters, lane]
        plain.prepare(p)
        dy, out = np.zeros(states), np.zeros(compiled.outputs)
        plain.rhs(t, y, p, dy)
        plain.observe(t, y, p, out)
        entries = np.zeros(compiled.nonzeros + states)
        plain.jac(t, y, p, entries)
        nonzeros = compiled.nonzeros
        assert eight.dy[:, lane] == pytest.approx(2 * dy, rel=1e-11, abs=1e-12)
        assert eight.out[:, lane] == pytest.approx(out, rel=1e-11, abs=1e-12)
        assert eight.jacobian[:nonzeros, lane] == pytest.approx(entries[:nonzeros], rel=1e-11, abs=1e-12)
        assert eight.jacobian[nonzeros + states :, lane] == pytest.approx(dy, rel=1e-11, abs=1e-12)
        w = float(eight.d[0, lane]) * np.eye(states) - plain.dense(t, y, p)
        assert w @ solution[:, lane] == pytest.approx(right[:, lane], rel=1e-8, abs=1e-8)


def test_a_dense_block_is_factored_and_solved_lane_by_lane():
    states = 24
    dice = np.random.default_rng(8)
    names = [f"s{index}" for index in range(states)]
    matrix = dice.uniform(-1.0, 1.0, (states, states))
    balances = {}
    for row, name in enumerate(names):
        total: Any = Number(0.0)
        for column, other in enumerate(names):
            total = apply("add", total, apply("multiply", Number(float(matrix[row, column])), Name(other)))
        balances[name] = total
    problem = small(balances)
    assert "block_factor" in llvm_source(problem, LANES)
    eight = Eight(problem)
    eight.d[:] = np.linspace(30.0, 60.0, LANES)
    eight.d[0, 5] = matrix[-1, -1]  # somewhere a pivot may vanish; only that lane may complain
    call(eight.functions, "jac", eight.t, eight.y, eight.p, eight.jacobian)
    assert call(eight.functions, "factor", eight.jacobian, eight.d, eight.lu) & ~(1 << 5) == 0
    solution = vectors(states)
    solution[:] = right = dice.uniform(-1.0, 1.0, (states, LANES))
    call(eight.functions, "solve", eight.lu, solution)
    for lane in (0, 1, 2, 3, 4, 6, 7):
        w = eight.d[0, lane] * np.eye(states) - matrix
        assert solution[:, lane] == pytest.approx(np.linalg.solve(w, right[:, lane]), rel=1e-9)


def test_a_vanishing_pivot_is_told_for_its_lane_alone():
    problem = flat({"x": "a * x + y", "y": "x"}, {"x": 1, "y": 1}, {"a": 1.0})
    eight = Eight(problem)
    call(eight.functions, "jac", eight.t, eight.y, eight.p, eight.jacobian)
    eight.d[:] = 7.0
    eight.d[0, 3] = eight.p[0, 3]  # d = a: the first pivot of x is 0
    eight.d[0, 6] = np.inf
    told = call(eight.functions, "factor", eight.jacobian, eight.d, eight.lu)
    assert told & 0b10110111 == 0
    assert told & (1 << 6)


def test_divisions_that_the_lanes_save_change_no_value():
    problem = flat(
        {
            "x": "a * x / (b + y) * c / (1 + x) / (2 + x * y) - x / b",
            "y": "x / (b + y) - y / (b + y) / (1 + x) + y / (3 + y) * x / (b * (1 + x))",
        },
        {"x": 1, "y": 1},
        {"a": 1.0, "b": 2.0, "c": 3.0},
    )
    assert llvm_source(problem, LANES).count("fdiv") < sum(
        operation[0] == "div" for operation in assemble(problem).routines[0].tape.code
    )
    eight, plain = Eight(problem), reference(problem)
    call(eight.functions, "rhs", eight.t, eight.y, eight.p, eight.dy)
    for lane in range(LANES):
        p, dy = np.zeros(plain.width), np.zeros(2)
        p[:3] = eight.p[:3, lane]
        plain.prepare(p)
        plain.rhs(0.0, eight.y[:, lane].copy(), p, dy)
        assert eight.dy[:, lane] == pytest.approx(dy, rel=1e-14, abs=1e-15)


def test_tables_and_rare_functions_are_taken_lane_by_lane():
    data = Table((0.0, 1.0, 3.0), (2.0, 5.0, 1.0))
    equations = {
        "table": apply("table", Name("x"), data),
        "arctan": apply("arctan", Name("x")),
        "sinh": apply("sinh", Name("x")),
        "floor": apply("floor", Name("x")),
        "power": apply("power", Name("x"), Name("k")),
    }
    problem = small({"x": Name("k")}, {"k": 1.5}, equations)
    eight = Eight(problem)
    eight.y[0] = [-1.0, 0.0, 0.5, 1.0, 2.0, 2.9, 3.0, 40.0]
    table, arctan, sinh, floor, power = eight.observed()
    x, k = eight.y[0], eight.p[0]
    assert table == pytest.approx(np.interp(x, data.abscissae, data.ordinates), rel=1e-15)
    assert arctan == pytest.approx(np.arctan(x), rel=1e-15)
    assert sinh == pytest.approx(np.sinh(x), rel=1e-15)
    assert floor.tolist() == np.floor(x).tolist()
    assert power[1:] == pytest.approx(np.power(x[1:], k[1:]), rel=1e-15)
    assert np.isnan(power[0])


# Elementary functions

FUNCTIONS = ("exp(x)", "log(x)", "tanh(x)", "sin(x)", "cos(x)", "x**y", "softplus(x, 1)", "sqrt(x)")
EXTENDED = np.longdouble


def evaluated(x: np.ndarray, y: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """All functions at many places, eight at a time."""
    problem = small(
        {"x": Number(0.0), "y": Number(0.0)}, {}, {f"o{i}": parse(text) for i, text in enumerate(FUNCTIONS)}
    )
    eight = Eight(problem)
    count = -(-len(x) // LANES)
    given = np.ones((2, count * LANES))
    given[0, : len(x)], given[1, : len(x)] = x, x if y is None else y
    results = []
    for part in range(count):
        eight.y[:] = given[:, part * LANES : (part + 1) * LANES]
        results.append(eight.observed().copy())
    return dict(zip(FUNCTIONS, np.concatenate(results, axis=1)[:, : len(x)], strict=True))


def units(found: np.ndarray, exact: Any) -> float:
    """The largest error, in units in the last place."""
    spacing = np.spacing(np.abs(exact.astype(float)))
    return float(np.abs((found.astype(EXTENDED) - exact) / spacing).max())


@pytest.mark.skipif(np.finfo(EXTENDED).eps > 1e-18, reason="numpy has no longer numbers here to compare with")
def test_elementary_functions_are_right_to_about_a_unit_in_the_last_place():
    dice, many = np.random.default_rng(9), 20_000
    middle = dice.uniform(-1.0, 1.0, many)
    found, exact = evaluated(middle), middle.astype(EXTENDED)
    assert units(found["exp(x)"], np.exp(exact)) < 1.1
    assert units(found["tanh(x)"], np.tanh(exact)) < 1.5
    assert units(found["sin(x)"], np.sin(exact)) < 1.0
    assert units(found["cos(x)"], np.cos(exact)) < 1.0
    wide = dice.uniform(-700.0, 700.0, many)
    assert units(evaluated(wide)["exp(x)"], np.exp(wide.astype(EXTENDED))) < 1.1
    assert units(evaluated(wide / 20)["tanh(x)"], np.tanh((wide / 20).astype(EXTENDED))) < 1.5
    assert units(evaluated(wide / 20)["softplus(x, 1)"], np.logaddexp((wide / 20).astype(EXTENDED), EXTENDED(0))) < 2.0
    far = dice.uniform(-1e9, 1e9, many)
    assert units(evaluated(far)["sin(x)"], np.sin(far.astype(EXTENDED))) < 1.0
    assert units(evaluated(far)["cos(x)"], np.cos(far.astype(EXTENDED))) < 1.0
    for base in (np.exp(wide), 1 + middle * 10 ** dice.uniform(-12, -0.5, many)):
        power = dice.uniform(-1.0, 1.0, many)
        found = evaluated(base, power)
        assert units(found["log(x)"], np.log(base.astype(EXTENDED))) < 1.0
        assert units(found["x**y"], np.power(base.astype(EXTENDED), power.astype(EXTENDED))) < 1.2


def test_elementary_functions_know_the_ends_of_the_numbers():
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324, 1e-310, 1.7e308, -745.2, 710.0, -8.0, 3.0])
    found = evaluated(ends)
    with np.errstate(all="ignore"):
        expected = {"exp(x)": np.exp(ends), "log(x)": np.log(ends), "tanh(x)": np.tanh(ends), "sqrt(x)": np.sqrt(ends)}
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=3e-16, abs=5e-324, nan_ok=True), name
        for power in (0.0, 1.0, -1.0, 2.0, 3.0, -3.0, 0.5, 1e300, np.inf, -np.inf, np.nan):
            known = ends[~(np.signbit(ends) & (ends == 0.0))]  # the sign of a zero is lost in powers
            known = known if np.isfinite(power) else known[known != -1.0]
            if power == 0.5:  # libraries differ: infinity, or no number as here
                known = known[known != -np.inf]
            raised = evaluated(known, np.full(len(known), power))["x**y"]
            assert raised == pytest.approx(np.power(known, power), rel=3e-16, abs=0, nan_ok=True), power
    assert np.isnan(found["sin(x)"][[2, 3, 4]]).all()
    beyond = evaluated(np.array([1e10, -1e10]))
    assert np.isnan(beyond["cos(x)"]).all()  # left to the scalar path


def test_one_subject_and_eight_get_the_same_bytes_from_elementary_functions():
    # One subject's functions stand side by side too, in vectors of one, two, four or eight.
    scaled = [apply("multiply", Number(0.1 + 0.3 * place), Name("x")) for place in range(11)]
    equations = {
        f"{name}{place}": apply(name, each) for name in ("exp", "tanh", "log") for place, each in enumerate(scaled)
    }
    equations |= {f"softplus{place}": apply("softplus", each, Number(1.0)) for place, each in enumerate(scaled[:5])}
    equations |= {f"power{place}": apply("power", each, Name("y")) for place, each in enumerate(scaled[:2])}
    equations |= {"sine": apply("sin", Name("x")), "cosine": apply("cos", Name("x"))}
    eight = Eight(small({"x": Number(0.0), "y": Number(0.0)}, {}, equations))
    dice = np.random.default_rng(5)
    for size in (1.0, 30.0, 2000.0):
        eight.y[:] = dice.uniform(-size, size, (2, LANES))
        lanes = eight.observed()
        for lane in range(LANES):
            alone = observed(eight.compiled, eight.y[:, lane].copy())
            np.testing.assert_array_equal(alone, lanes[:, lane])
    far = observed(eight.compiled, np.array([1e10, 1.0]))[-2:]
    assert far == pytest.approx([np.sin(1e10), np.cos(1e10)], rel=1e-15)  # no lane goes so far
