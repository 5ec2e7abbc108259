"""The generated factorisation: what it solves, what it refuses, and how long it takes to make."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from machine_code import call, dense_jacobian, model, prepared, random_model

from isletsim.codegen import CompiledModel, compile_model, reference
from isletsim.codegen.ordering import matching
from isletsim.flat import FlatModel
from isletsim.language import Name, Number, Tree, apply

pytestmark = pytest.mark.usefixtures("own_cache")


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
    entries = np.zeros(compiled.nonzeros + 2 * compiled.states)
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
