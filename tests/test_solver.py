"""The solver against theory and against independent solvers."""

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
from solver_problems import (
    OSCILLATOR,
    ROBERTSON,
    ROBERTSON_WITH_MASS_BALANCE,
    TOPP,
    VAN_DER_POL,
    fixed_steps,
    flat,
    python_rhs,
    run,
)

from isletsim import cache
from isletsim.codegen import compile_model
from isletsim.flat import FlatModel
from isletsim.solver import Reason, native, solve


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
    from isletsim.solver.driver import run
    (made,) = run.overloads.values()
    declared = re.findall(r"^declare [^@]*@([^( ]+)", made.library.get_llvm_str(), re.MULTILINE)
    print(*sorted(name for name in declared if not name.startswith("llvm.")))
"""


def test_a_later_start_loads_the_driver_without_numba_and_nothing_in_it_allocates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    assert native._load(cache.load("driver", entry.name)) is not None
    entry.write_bytes(entry.read_bytes()[:-100])
    assert cache.load("driver", entry.name) is None  # a damaged entry is made again
    assert native._load(b"rubbish") is None


AHEAD = """
import sys
from isletsim.solver import native
run = native.RUN
native.make_ahead((*run, 1), (*run, 8))
print(len(native._MAKING), "numba" in sys.modules)
native.driver(8)
print("numba" in sys.modules)
native.make_ahead((*run, 8))
print(len(native._MAKING))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="drivers are made side by side where there are cores for it")
def test_a_driver_that_will_be_wanted_is_made_by_another_process_meanwhile(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(tmp_path), "PYTHONPATH": root}
    command = [sys.executable, "-c", AHEAD]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert told.split() == ["1", "False", "False", "0"]
