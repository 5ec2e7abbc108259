"""The compiler: machine code against NumPy, NumPy against the language, derivatives, actions, events."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from machine_code import call, dense_jacobian, model, observed, prepared, small_model

from isletsim import codegen
from isletsim.codegen import CompiledModel, compile_model, numpy_source, reference
from isletsim.flat import Action, Event
from isletsim.language import Apply, Name, Number, Table, Tree, apply
from isletsim.solver import Reason, solve

TIME = Name("time")


pytestmark = pytest.mark.usefixtures("own_cache")


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
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "floor": np.floor,
    "mod": lambda a, b: a - b * np.floor(a / b),
    "hill": plain_hill,
    "softplus": lambda x, width: width * np.logaddexp(0.0, x / width),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
}
SMOOTH = ("add", "subtract", "multiply", "divide", "negate", "exp", "tanh", "sin", "cos", "sigmoid", "softplus", "hill")
SMOOTH += ("arctan", "arcsinh", "sinh", "cosh")
ARITY = {"where": 3, "hill": 3} | dict.fromkeys(
    (
        *("negate", "not", "abs", "exp", "log", "sqrt", "tanh", "sin", "cos", "floor", "sigmoid", "sinh", "cosh"),
        *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    ),
    1,
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
    np.testing.assert_allclose(p[: checked.width], q, rtol=1e-13)  # behind them it keeps reciprocals

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
    assert np.isfinite(dense_jacobian(compiled, np.array([1e-100]))[0]).all()
    # Nearer to zero the quotients of the Jacobian overflow, which the solver repairs.
    outcome = solve(compiled, np.array([5e-324]), flat.values, span=(0.0, 1.0), save=[])
    assert outcome.reason is Reason.DONE
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
    assert p[1] == pytest.approx(math.exp(0.25), rel=3e-16)
    source = numpy_source(flat)
    assert source.count("np.exp") == 1
    p[0] = 1.0
    call(compiled, "prepare", p)
    out = np.zeros(1)
    call(compiled, "rhs", 0.0, np.array([2.0]), p, out)
    assert out[0] == pytest.approx(2 * math.exp(1.0), rel=3e-16)


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


def test_a_very_deep_tree_is_compiled():
    deep: Tree = Name("x")
    for _ in range(20_000):
        deep = apply("add", deep, apply("sin", Name("x")))
    compiled = compile_model(model({"x": Number(0.0)}, {}, {"deep": deep}))
    assert observed(compiled, np.array([1.0]))[0] == pytest.approx(1 + 20_000 * math.sin(1.0), rel=1e-12)


def test_a_name_that_is_not_defined_is_refused():
    with pytest.raises(ValueError, match="refers to glucose"):
        compile_model(model({"x": Name("glucose")}))


def test_the_numpy_source_names_what_it_computes():
    source = numpy_source(small_model())
    assert "# d x / dt" in source
    assert "# k" in source
    assert source.count("# law") == 3  # computed in rhs and observe, and stored there
    assert "define void @rhs" in codegen.llvm_source(small_model())
