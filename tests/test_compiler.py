"""The compiler: machine code against NumPy, NumPy against the language, derivatives, factors, and the cache."""

from __future__ import annotations

import ctypes
import math
import os
import random
import subprocess
import sys
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isletsim import cache, compiler
from isletsim.compiler import CompiledModel, compile_model, fingerprint_of, numpy_source, reference
from isletsim.compiler.ordering import matching
from isletsim.expressions.tree import Apply, Name, Number, Table, Tree, apply
from isletsim.flat import Action, Event, FlatModel

ROOT = Path(__file__).resolve().parents[1]
REAL, POINTER = ctypes.c_double, ctypes.c_void_p
SIGNATURES = {
    "prepare": (None, POINTER),
    "start": (None, POINTER, POINTER),
    "rhs": (None, REAL, POINTER, POINTER, POINTER),
    "jac": (None, REAL, POINTER, POINTER, POINTER),
    "factor": (ctypes.c_int32, POINTER, REAL, POINTER),
    "solve": (None, POINTER, POINTER),
    "observe": (None, REAL, POINTER, POINTER, POINTER),
    "roots": (None, REAL, POINTER, POINTER, POINTER),
    "act": (None, ctypes.c_int32, REAL, REAL, POINTER, POINTER),
}
TIME = Name("time")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(tmp_path / "cache"))
    cache.folder.cache_clear()
    yield
    cache.folder.cache_clear()


def model(
    derivatives: Mapping[str, Tree],
    parameters: Mapping[str, float] | None = None,
    expressions: Mapping[str, Tree] | None = None,
    algebraic: Sequence[str] = (),
    **more: object,
) -> FlatModel:
    """A flat model whose states are the keys of `derivatives`; its expressions are its outputs."""
    parameters, expressions = parameters or {}, expressions or {}
    filled: dict[str, object] = {
        "start": tuple(Number(1.0) for _ in derivatives),
        "scale": tuple(1.0 for _ in derivatives),
        "constants": (),
        "outputs": tuple(expressions),
    }
    return FlatModel(
        name="test",
        states=tuple(derivatives),
        parameters=tuple(parameters),
        values=tuple(parameters.values()),
        expressions=tuple(expressions.items()),
        derivatives=tuple(derivatives.values()),
        algebraic=tuple(name in algebraic for name in derivatives),
        **(filled | more),  # type: ignore[arg-type]
    )


def call(compiled: CompiledModel, function: str, *arguments: object) -> int | None:
    result, *kinds = SIGNATURES[function]
    passed = [each.ctypes.data if isinstance(each, np.ndarray) else each for each in arguments]
    answer: int | None = ctypes.CFUNCTYPE(result, *kinds)(getattr(compiled.functions, function))(*passed)
    return answer


def prepared(compiled: CompiledModel) -> np.ndarray:
    p = np.zeros(compiled.width)
    p[: compiled.parameters] = compiled.flat.values
    call(compiled, "prepare", p)
    return p


def observed(compiled: CompiledModel, y: np.ndarray, time: float = 0.0) -> np.ndarray:
    out = np.zeros(compiled.outputs)
    call(compiled, "observe", time, y, prepared(compiled), out)
    return out


def dense_jacobian(compiled: CompiledModel, y: np.ndarray, time: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian as a square matrix, and the explicit time derivative."""
    entries = np.zeros(compiled.nonzeros + compiled.states)
    call(compiled, "jac", time, y, prepared(compiled), entries)
    matrix = np.zeros((compiled.states, compiled.states))
    matrix[compiled.rows, compiled.columns] = entries[: compiled.nonzeros]
    return matrix, entries[compiled.nonzeros :]


def slope_of(compiled: CompiledModel, y: np.ndarray, column: int, step: float = 1e-6) -> np.ndarray:
    """A column of the Jacobian by central differences; the last column is the time's."""
    sides = []
    for sign in (1.0, -1.0):
        moved, time = y.copy(), 0.7
        if column < len(y):
            moved[column] += sign * step
        else:
            time += sign * step
        out = np.zeros(compiled.states)
        call(compiled, "rhs", time, moved, prepared(compiled), out)
        sides.append(out)
    with np.errstate(invalid="ignore"):
        return (sides[0] - sides[1]) / (2 * step)


# The language, said once more in the plainest way


def plain(tree: Tree, at: Mapping[str, float]) -> float:
    """The value of a tree, straight from the words of docs/model-language.md; NaN when any part is not finite."""
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, Name):
        return at[tree.name]
    assert isinstance(tree, Apply)
    if tree.operator == "table":
        data = tree.arguments[1]
        assert isinstance(data, Table)
        return float(np.interp(plain(tree.arguments[0], at), data.abscissae, data.ordinates))
    given = [np.float64(plain(each, at)) for each in tree.arguments]
    if not all(map(math.isfinite, given)):
        return math.nan
    with np.errstate(all="ignore"):
        return float(PLAIN[tree.operator](*given))


def plain_hill(x, half, n):
    return 0.0 if x <= 0 else x**n / (half**n + x**n)


PLAIN = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negate": lambda a: -a,
    "power": np.power,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": lambda a: not a,
    "where": lambda c, a, b: a if c else b,
    "min": min,
    "max": max,
    "abs": abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "mod": lambda a, b: a - b * np.floor(a / b),
    "hill": plain_hill,
    "softplus": lambda x, width: width * np.logaddexp(0.0, x / width),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
}
SMOOTH = ("add", "subtract", "multiply", "divide", "negate", "exp", "tanh", "sin", "cos", "sigmoid", "softplus", "hill")
ARITY = {"where": 3, "hill": 3} | dict.fromkeys(
    ("negate", "not", "abs", "exp", "log", "sqrt", "tanh", "sin", "cos", "floor", "sigmoid"), 1
)
DATA = Table((0.0, 0.5, 1.5, 2.0), (1.0, 3.0, 2.0, 2.5))


def random_tree(dice: random.Random, names: Sequence[str], operators: Sequence[str], depth: int) -> Tree:
    if depth == 0 or dice.random() < 0.1:
        return (
            Name(dice.choice(names)) if dice.random() < 0.75 else Number(dice.choice([-1.5, 0.0, 0.5, 1.0, 2.0, 3.0]))
        )
    operator = dice.choice(operators)
    if operator == "table":
        return apply("table", random_tree(dice, names, operators, depth - 1), DATA)
    count = ARITY.get(operator, 2)
    return apply(operator, *[random_tree(dice, names, operators, depth - 1) for _ in range(count)])


def agree(first: float, second: float, room: float) -> bool:
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or abs(first - second) <= 1e-13 * abs(second) + room


def test_machine_code_numpy_and_the_language_agree_on_random_trees_of_all_operators():
    dice = random.Random(20240501)
    names = ["x", "y", "z", "k", "m", "time"]
    trees = {f"e{i}": random_tree(dice, names, [*PLAIN, "table"], 1 + i % 4) for i in range(400)}
    parameters = {"k": 1.3, "m": -0.7}
    flat = model({name: Number(0.0) for name in "xyz"}, parameters, trees)
    compiled, checked = compile_model(flat), reference(flat)
    p = prepared(compiled)
    q = np.zeros(checked.width)
    q[:2] = flat.values
    checked.prepare(q)
    np.testing.assert_allclose(p, q, rtol=1e-13)

    def in_numpy(y, time):
        out = np.zeros(len(trees))
        checked.observe(time, y, q, out)
        return out

    compared = 0
    for _ in range(5):
        y, time = np.array([dice.uniform(-2, 3) for _ in range(3)]), dice.uniform(0, 3)
        native, numpy = observed(compiled, y, time), in_numpy(y, time)
        # What a rounding of the inputs does to an ill-conditioned tree is allowed to two libraries as well.
        shaken = [in_numpy(y * (1 + each), time * (1 + each)) for each in (4e-16, -4e-16, 9e-16)]
        at = dict(zip("xyz", y, strict=True)) | parameters | {"time": time}
        for index, tree in enumerate(trees.values()):
            around = np.array([each[index] for each in shaken])
            if not math.isfinite(numpy[index]):
                room = 0.0
            elif np.isfinite(around).all():
                room = 20 * float(np.abs(around - numpy[index]).max())
            else:
                continue
            assert agree(native[index], numpy[index], room), tree
            said = plain(tree, at)
            if math.isfinite(said):  # our forms of hill and softplus do not overflow where the plain ones do
                assert agree(numpy[index], said, room + 1e-11 * (1 + abs(said))), tree
                compared += 1
    assert compared > 1000


def test_the_jacobian_of_random_smooth_trees_equals_differences():
    dice = random.Random(7)
    names = ["a", "b", "c", "d", "k", "time"]
    flat = model({name: random_tree(dice, names, SMOOTH, 4) for name in "abcd"}, {"k": 1.3})
    compared = 0
    for _ in range(8):
        flat = replace(flat, derivatives=tuple(random_tree(dice, names, SMOOTH, 4) for _ in "abcd"))
        compiled = compile_model(flat)
        y = np.array([dice.uniform(0.5, 2.0) for _ in range(4)])
        matrix, by_time = dense_jacobian(compiled, y, 0.7)
        exact = np.column_stack([matrix, by_time])
        for column in range(5):
            expected = slope_of(compiled, y, column)
            # Random trees divide by zero now and then: there neither side means anything.
            good = np.isfinite(expected) & (np.abs(expected) < 1e6) & np.isfinite(exact[:, column])
            compared += good.sum()
            np.testing.assert_allclose(exact[good, column], expected[good], rtol=1e-5, atol=1e-6)
    assert compared > 0.9 * 8 * 20


def test_derivatives_of_known_formulas_are_exact():
    x, k = Name("x"), Name("k")
    flat = model(
        {
            "x": apply("hill", x, k, Number(2.5)),
            "a": apply("power", x, Number(3.0)),
            "b": apply("power", x, k),
            "c": apply("softplus", x, k),
            "d": apply("divide", k, apply("add", k, x)),
            "e": apply("power", x, Number(-0.5)),
            "f": apply("power", k, x),
            "g": apply("multiply", Number(0.0), apply("exp", x)),
            "h": apply("sin", TIME),
        },
        {"k": 1.7},
    )
    compiled = compile_model(flat)
    at, half = 0.9, 1.7
    matrix, by_time = dense_jacobian(compiled, np.full(9, at), 0.4)
    ratio = (at / half) ** 2.5
    expected = [
        2.5 * ratio / (1 + ratio) ** 2 / at,
        3 * at**2,
        half * at ** (half - 1),
        1 / (1 + math.exp(-at / half)),
        -half / (half + at) ** 2,
        -0.5 * at**-1.5,
        half**at * math.log(half),
    ]
    np.testing.assert_allclose(matrix[:7, 0], expected, rtol=1e-14)
    assert set(zip(compiled.rows.tolist(), compiled.columns.tolist(), strict=True)) == {(row, 0) for row in range(7)}
    np.testing.assert_allclose(by_time, [0] * 8 + [math.cos(0.4)], rtol=1e-15)


def test_hill_is_zero_without_dose_and_never_overflows():
    x = Name("x")
    expressions = {f"n{n}": apply("hill", x, Name("half"), Number(float(n))) for n in (1, 2, 30)}
    flat = model({"x": apply("hill", x, Name("half"), Number(0.5))}, {"half": 1e-3}, expressions)
    compiled = compile_model(flat)
    for nothing in (0.0, -1.0, -1e300):
        assert not observed(compiled, np.array([nothing])).any()
        matrix, _ = dense_jacobian(compiled, np.array([nothing]))
        assert matrix[0, 0] == 0
    np.testing.assert_array_equal(observed(compiled, np.array([1e308])), 1.0)
    assert np.isfinite(dense_jacobian(compiled, np.array([5e-324]))[0]).all()
    assert np.isnan(observed(compiled, np.array([math.nan]))).all()


def test_softplus_is_a_straight_line_far_from_its_bend():
    expressions = {"up": apply("softplus", Name("x"), Number(0.01)), "s": apply("sigmoid", Name("x"))}
    compiled = compile_model(model({"x": Number(0.0)}, {}, expressions))
    np.testing.assert_array_equal(observed(compiled, np.array([1e6])), [1e6, 1.0])
    np.testing.assert_array_equal(observed(compiled, np.array([-1e6])), [0.0, 0.0])


def test_other_powers_of_negative_numbers_are_not_numbers():
    expressions = {str(n): apply("power", Name("x"), Number(n)) for n in (0.5, 1.5, 0.3, -0.5, 2.0, -3.0)}
    values = observed(compile_model(model({"x": Number(0.0)}, {}, expressions)), np.array([-2.0]))
    np.testing.assert_array_equal(np.isnan(values), [True, True, True, True, False, False])
    np.testing.assert_array_equal(values[4:], [4.0, -0.125])


def test_a_table_is_straight_between_its_knots_and_constant_outside():
    data = Table((1.0, 2.0, 4.0), (10.0, 20.0, 0.0))
    compiled = compile_model(model({"x": apply("table", TIME, data)}, {}, {"v": apply("table", Name("x"), data)}))
    expected = {0.0: 10, 1.0: 10, 1.5: 15, 2.0: 20, 3.0: 10, 4.0: 0, 9.0: 0, -math.inf: 10, math.inf: 0}
    for place, value in expected.items():
        assert observed(compiled, np.array([place]))[0] == value
    assert np.isnan(observed(compiled, np.array([math.nan]))[0])
    for place, slope in {0.5: 0, 1.0: 10, 1.5: 10, 2.0: -10, 3.0: -10, 4.0: 0, 5.0: 0}.items():
        assert dense_jacobian(compiled, np.zeros(1), place)[1][0] == slope


# Parameters, constants, actions


def test_what_depends_on_parameters_only_is_computed_once_in_prepare():
    k = Name("k")
    costly = apply("exp", apply("multiply", k, k))
    flat = model(
        {"x": apply("multiply", Name("rate"), Name("x"))}, {"k": 0.5}, {"rate": costly}, constants=(("twice", costly),)
    )
    compiled = compile_model(flat)
    assert compiled.width == 2
    p = prepared(compiled)
    assert p[1] == math.exp(0.25)
    source = numpy_source(flat)
    assert source.count("np.exp") == 1
    p[0] = 1.0
    call(compiled, "prepare", p)
    out = np.zeros(1)
    call(compiled, "rhs", 0.0, np.array([2.0]), p, out)
    assert out[0] == 2 * math.exp(1.0)


def test_a_condition_on_parameters_can_be_hoisted():
    choose = apply("where", apply("less", Name("k"), Number(1.0)), Name("x"), TIME)
    compiled = compile_model(model({"x": choose}, {"k": 0.5}))
    assert compiled.kinks == 0
    out = np.zeros(1)
    call(compiled, "rhs", 3.0, np.array([2.0]), prepared(compiled), out)
    assert out[0] == 2.0
    compiled = replace(compiled, flat=replace(compiled.flat, values=(1.5,)))
    call(compiled, "rhs", 3.0, np.array([2.0]), prepared(compiled), out)
    assert out[0] == 3.0


def test_start_values_follow_from_parameters_and_constants():
    flat = model(
        {"x": Number(0.0), "y": Number(0.0)},
        {"k": 3.0},
        constants=(("c", apply("sqrt", Name("k"))),),
        start=(Name("c"), apply("multiply", Name("c"), Name("k"))),
    )
    compiled = compile_model(flat)
    y = np.zeros(2)
    call(compiled, "start", np.array([4.0] + [math.nan] * (compiled.width - 1)), y)
    np.testing.assert_array_equal(y, [2.0, 8.0])


def test_an_action_evaluates_all_its_sides_before_it_assigns():
    swap = Action("swap", (("x", Name("y")), ("y", apply("add", Name("x"), Name("amount"))), ("k", Name("twice"))))
    flat = model(
        {"x": Number(0.0), "y": Number(0.0)},
        {"k": 3.0},
        {"twice": apply("multiply", Number(2.0), Name("k"))},
        actions=(Action("nothing", ()), swap),
    )
    compiled, checked = compile_model(flat), reference(flat)
    for act in (lambda *given: call(compiled, "act", *given), checked.act):
        y, p = np.array([1.0, 2.0]), np.full(compiled.width, 3.0)
        act(0, 9.0, 0.0, y, p)
        np.testing.assert_array_equal(y, [1.0, 2.0])
        act(1, 10.0, 0.0, y, p)
        np.testing.assert_array_equal(y, [2.0, 11.0])
        assert p[0] == 6.0
        act(1, 0.0, 0.0, y, p)  # `prepare` has not run: the action must not use what it left
        assert p[0] == 12.0


# Events and kinks


def test_a_trigger_is_positive_while_its_condition_holds():
    x, y = Name("x"), Name("y")
    high, low = apply("greater", x, Number(5.0)), apply("less_equal", y, Number(1.0))
    triggers = [high, apply("and", high, low), apply("or", high, low), apply("not", high), apply("subtract", x, y)]
    triggers += [Name("both"), apply("where", high, low, apply("not", low))]
    events = tuple(Event(f"e{index}", tree) for index, tree in enumerate(triggers))
    flat = model({"x": Number(0.0), "y": Number(0.0)}, {}, {"both": apply("and", high, low)}, events=events)
    compiled = compile_model(flat)
    assert (compiled.roots, compiled.kinks) == (7, 0)
    for state in ([6.0, 0.0], [6.0, 2.0], [4.0, 0.5], [4.0, 2.0]):
        g = np.zeros(7)
        call(compiled, "roots", 0.0, np.array(state), prepared(compiled), g)
        above, below = state[0] > 5, state[1] <= 1
        other = below if above else not below
        held = [above, above and below, above or below, not above, state[0] > state[1], above and below, other]
        np.testing.assert_array_equal(g > 0, held)
    np.testing.assert_array_equal(compiled.event_action, [-1] * 7)


def test_every_bend_of_the_equations_is_one_kink():
    x, y, k = Name("x"), Name("y"), Name("k")
    bends = [
        apply("max", x, y),
        apply("min", x, y),  # the same place
        apply("abs", apply("subtract", y, x)),  # and again
        apply("where", apply("less", TIME, Number(5.0)), x, y),
        apply("where", apply("less", k, Number(5.0)), x, y),  # parameters only: no kink
    ]
    total: Tree = Number(0.0)
    for each in bends:
        total = apply("add", total, each)
    unused = {"unused": apply("max", x, Number(100.0))}
    flat = model({"x": total, "y": Number(0.0)}, {"k": 1.0}, unused, events=(Event("e", x),))
    compiled = compile_model(flat)
    assert (compiled.kinks, compiled.roots) == (2, 3)
    g = np.zeros(3)
    call(compiled, "roots", 4.0, np.array([3.0, 1.0]), prepared(compiled), g)
    assert g[0] == 3.0
    assert sorted(np.abs(g[1:])) == [1.0, 2.0]


def test_smooth_functions_and_the_time_of_day_are_no_kinks():
    x = Name("x")
    smooth = [
        apply("hill", x, Number(2.0), Number(3.0)),
        apply("softplus", x, Number(1.0)),
        apply("sigmoid", x),
        apply("mod", apply("subtract", TIME, Name("offset")), Number(1.0)),
        apply("table", TIME, DATA),
    ]
    total: Tree = Number(0.0)
    for each in smooth:
        total = apply("add", total, each)
    assert compile_model(model({"x": total}, {"offset": 0.3})).kinks == 0


# Factors


def linear_model(matrix: np.ndarray, algebraic: Sequence[int]) -> FlatModel:
    """dy/dt = A y with the entries of A as parameters."""
    names = [f"s{index}" for index in range(len(matrix))]
    parameters: dict[str, float] = {}
    derivatives: dict[str, Tree] = {}
    for row, name in enumerate(names):
        total: Tree = Number(0.0)
        for column in np.flatnonzero(matrix[row]):
            entry = f"a{row}x{column}"
            parameters[entry] = float(matrix[row, column])
            total = apply("add", total, apply("multiply", Name(entry), Name(names[column])))
        derivatives[name] = total
    return model(derivatives, parameters, algebraic=[names[index] for index in algebraic])


def factored(compiled: CompiledModel, d: float) -> tuple[int | None, np.ndarray, np.ndarray]:
    """What `factor` answers, its LU, and W."""
    y = np.ones(compiled.states)
    entries = np.zeros(compiled.nonzeros + compiled.states)
    call(compiled, "jac", 0.0, y, prepared(compiled), entries)
    factors = np.full(compiled.factor_size, np.nan)
    answer = call(compiled, "factor", entries, d, factors)
    return answer, factors, np.diag(d * compiled.mass) - dense_jacobian(compiled, y)[0]


@pytest.mark.parametrize(("size", "filling"), [(1, 1.0), (4, 0.5), (9, 0.3), (25, 0.1), (25, 0.5), (40, 0.15)])
def test_generated_factors_solve_what_numpy_solves(size, filling):
    numbers = np.random.default_rng(size)
    matrix = np.where(numbers.random((size, size)) < filling, numbers.normal(size=(size, size)), 0.0)
    np.fill_diagonal(matrix, -size - numbers.random(size))
    flat = linear_model(matrix, [])
    compiled, checked = compile_model(flat), reference(flat)
    answer, factors, W = factored(compiled, 3.0)
    assert answer == 0
    b = numbers.normal(size=size)
    x = b.copy()
    call(compiled, "solve", factors, x)
    np.testing.assert_allclose(x, np.linalg.solve(W, b), rtol=1e-10, atol=1e-13)
    entries = np.concatenate([-(W - 3.0 * np.eye(size))[compiled.rows, compiled.columns], np.zeros(size)])
    in_numpy, again = np.zeros(checked.factor_size), b.copy()
    assert checked.factor is not None
    assert checked.solve is not None
    assert checked.factor(entries, 3.0, in_numpy) == 0
    checked.solve(in_numpy, again)
    np.testing.assert_allclose(again, x, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_algebraic_rows_with_a_zero_diagonal_are_solved_too(seed):
    numbers = np.random.default_rng(seed)
    size, free = 14, 5
    matrix = np.where(numbers.random((size, size)) < 0.25, numbers.normal(size=(size, size)), 0.0)
    order = np.roll(np.arange(size - free, size), 1 + seed % (free - 1))
    matrix[size - free :, size - free :] = 0.0
    matrix[np.arange(size - free, size), order] = 2.0  # each algebraic row determines another unknown
    compiled = compile_model(linear_model(matrix, range(size - free, size)))
    np.testing.assert_array_equal(compiled.mass, [1.0] * (size - free) + [0.0] * free)
    answer, factors, W = factored(compiled, 50.0)
    assert not W.diagonal()[size - free :].any()
    assert answer == 0
    b = numbers.normal(size=size)
    x = b.copy()
    call(compiled, "solve", factors, x)
    np.testing.assert_allclose(W @ x, b, atol=1e-11)


def test_a_pivot_that_is_too_small_is_reported():
    compiled = compile_model(linear_model(np.array([[1.0, 2.0], [2.0, 1.0]]), []))
    assert [factored(compiled, d)[0] for d in (2.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-6, math.inf, math.nan)] == [
        0,
        1,
        1,
        0,
        1,
        1,
    ]


def test_a_small_pivot_within_a_dense_block_is_reported():
    numbers = np.random.default_rng(3)
    matrix = numbers.normal(size=(30, 30))
    matrix[:, 12] = matrix[:, 5] = 0.0
    matrix[12, 5] = matrix[5, 12] = 1.0  # W is regular, but needs an exchange of rows when d = 0
    compiled = compile_model(linear_model(matrix + np.where(matrix == 0, 1e-30, 0.0), []))
    assert factored(compiled, 0.0)[0] == 1
    assert factored(compiled, 100.0)[0] == 0


def test_pivots_are_judged_in_units_of_the_states():
    matrix = np.array([[-1.0, 1e14], [1e-16, -1.0]])  # the second state is counted in units 1e14 times larger
    flat = linear_model(matrix, [])
    assert factored(compile_model(flat), 1.0)[0] == 1
    assert factored(compile_model(replace(flat, scale=(1.0, 1e-14))), 1.0)[0] == 0


def test_a_system_that_is_singular_by_its_pattern_leaves_factoring_to_the_solver():
    matrix = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    compiled = compile_model(linear_model(matrix, [1, 2]))
    assert (compiled.functions.factor, compiled.functions.solve) == (0, 0)
    assert compiled.factor_size == 3


def test_a_matching_moves_earlier_choices_out_of_the_way():
    assert matching([{0, 1, 2}, {0}, {1}]) == [2, 0, 1]
    assert matching([{0, 1}, {0}, {0}]) is None


# Sizes and speed


def random_model(states: int) -> FlatModel:
    """Two rates a state, each of three to six states, with saturation and exponentials."""
    dice = random.Random(states)
    parameters: dict[str, float] = {}

    def constant() -> Name:
        parameters[f"k{len(parameters)}"] = dice.uniform(0.5, 2.0)
        return Name(f"k{len(parameters) - 1}")

    names = [f"s{index}" for index in range(states)]
    balances: dict[str, Tree] = {name: Number(0.0) for name in names}
    rates: dict[str, Tree] = {}
    for index in range(2 * states):
        source, target = names[index // 2], dice.choice(names)
        rate: Tree = apply("multiply", constant(), Name(source))
        for other in dice.sample(names, dice.randint(2, 5)):
            if dice.random() < 0.5:
                factor: Tree = apply("hill", Name(other), constant(), dice.choice([constant(), Number(2.0)]))
            else:
                factor = apply("exp", apply("negate", apply("divide", Name(other), constant())))
            rate = apply("multiply", rate, factor)
        rates[f"r{index}"] = rate
        balances[source] = apply("subtract", balances[source], Name(f"r{index}"))
        balances[target] = apply("add", balances[target], Name(f"r{index}"))
    return model(balances, parameters, rates)


def test_a_random_model_of_seventy_states_compiles_in_seconds():
    flat = random_model(70)
    started = clock.process_time()
    compiled = compile_model(flat)
    assert clock.process_time() - started < 4.0  # about 1 s; the rest is room for a busy machine
    started = clock.process_time()
    assert compile_model(flat).nonzeros == compiled.nonzeros
    assert clock.process_time() - started < 0.1


def test_a_rate_in_two_balances_conserves_matter_in_machine_code():
    compiled = compile_model(random_model(27))
    out = np.zeros(27)
    call(compiled, "rhs", 0.0, np.linspace(0.5, 2.0, 27), prepared(compiled), out)
    assert abs(out.sum()) < 1e-14 * np.abs(out).sum()


def test_a_very_deep_tree_is_compiled():
    deep: Tree = Name("x")
    for _ in range(20_000):
        deep = apply("add", deep, apply("sin", Name("x")))
    compiled = compile_model(model({"x": Number(0.0)}, {}, {"deep": deep}))
    assert observed(compiled, np.array([1.0]))[0] == pytest.approx(1 + 20_000 * math.sin(1.0), rel=1e-12)


def test_a_name_that_is_not_defined_is_refused():
    with pytest.raises(ValueError, match="refers to glucose"):
        compile_model(model({"x": Name("glucose")}))


# Fingerprint and cache


def small_model(rate: float = 2.0) -> FlatModel:
    law = apply("multiply", Number(rate), apply("exp", apply("negate", apply("multiply", Name("k"), Name("x")))))
    return model({"x": law}, {"k": 0.5}, {"law": law})


def test_a_changed_parameter_changes_no_code_and_a_changed_equation_does():
    flat = small_model()
    assert fingerprint_of(replace(flat, values=(0.9,), name="other")) == fingerprint_of(flat)
    changed = [
        small_model(3.0),
        replace(flat, outputs=()),
        replace(flat, algebraic=(True,)),
        replace(flat, parameters=("l",), values=(1.0,)),
        replace(flat, start=(Number(2.0),)),
        replace(flat, actions=(Action("a", (("x", Number(0.0)),)),)),
        replace(flat, events=(Event("e", Name("x")),)),
        replace(flat, derivatives=(apply("negate", flat.derivatives[0]),)),
    ]
    assert len({fingerprint_of(each) for each in [flat, *changed]}) == 1 + len(changed)


def test_a_kept_model_is_loaded_without_being_assembled_again(monkeypatch):
    first = compile_model(small_model())
    monkeypatch.setattr(compiler, "assemble", lambda flat: pytest.fail("assembled again"))
    second = compile_model(small_model())
    assert second.width == first.width
    assert (second.rows == first.rows).all()
    assert observed(second, np.array([1.0]))[0] == observed(first, np.array([1.0]))[0]


def test_a_damaged_entry_of_the_cache_is_made_anew(tmp_path):
    compile_model(small_model())
    (entry,) = (tmp_path / "cache" / "model").iterdir()
    for damaged in (b"", b"{}\n", entry.read_bytes()[:-5] + b"wrong"):
        entry.write_bytes(damaged)
        assert observed(compile_model(small_model()), np.array([1.0]))[0] == pytest.approx(2 * math.exp(-0.5))


SCRIPT = """
import sys, numpy, ctypes, warnings
sys.path.insert(0, "tests")
from test_compiler import small_model, random_model, observed
from isletsim.compiler import compile_model
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for flat in (random_model(8), small_model(), small_model()):
        compiled = compile_model(flat)
print(observed(compiled, numpy.array([1.0]))[0], len(caught), "numba" in sys.modules)
"""


def start_process(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT
    )


def test_two_processes_compiling_at_once_both_work_and_need_no_numba(tmp_path):
    running = [start_process(tmp_path / "shared") for _ in range(2)]
    said = [each.communicate(timeout=60)[0].split() for each in running]
    assert said[0] == said[1] == [repr(2 * math.exp(-0.5)), "0", "False"]


def test_a_cache_folder_that_cannot_be_written_costs_one_warning(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    said = start_process(tmp_path / "file" / "cache").communicate(timeout=60)[0].split()
    assert said == [repr(2 * math.exp(-0.5)), "1", "False"]


def test_the_numpy_source_names_what_it_computes():
    source = numpy_source(small_model())
    assert "# d x / dt" in source
    assert "# k" in source
    assert source.count("# law") == 3  # computed in rhs and observe, and stored there
    assert "define void @rhs" in compiler.llvm_source(small_model())
