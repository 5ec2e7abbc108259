"""Equal steps from stop to stop: order, stability, doses, events, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from solver_problems import (
    FALLING_BALL,
    OSCILLATOR,
    ROBERTSON_WITH_MASS_BALANCE,
    TOPP,
    at_times,
    flat,
    run,
)

from isletsim.solver import Reason, longest_stable_step, tables
from isletsim.solver.stability import stability_polynomial

DAMPING, REACH = 0.4, 8.383  # of the polynomial on the negative real axis


def test_the_table_satisfies_the_conditions_of_order_four() -> None:
    stages = tables.STABILISED_STAGES
    a = np.zeros((stages, stages))
    for row in range(stages):
        for column, value in tables.STABILISED_ARGUMENT[row].items():
            a[row, column] = value
    b = np.array([tables.STABILISED_ARGUMENT[stages][stage] for stage in range(stages)])
    c = np.array(tables.STABILISED_NODES)
    assert a.sum(axis=1) == pytest.approx(c)
    trees = {1: 1.0, 2: c, 3: c**2, 6: a @ c, 4: c**3, 8: c * (a @ c), 12: a @ c**2, 24: a @ a @ c}
    for density, weights in trees.items():
        assert float(np.sum(b * weights)) == pytest.approx(1 / density, abs=1e-15)


def test_the_polynomial_of_the_table_is_the_exponential_to_order_four() -> None:
    polynomial = stability_polynomial()
    assert polynomial[:5] == pytest.approx([1, 1, 1 / 2, 1 / 6, 1 / 24], abs=1e-15)


def damped(free: np.ndarray, farthest: float) -> float:
    """The largest |R| between -1.5 and a farthest point of the negative axis."""
    points = -np.linspace(1.5, farthest, 4001)
    return float(np.abs(np.polynomial.polynomial.polyval(points, [1, 1, 1 / 2, 1 / 6, 1 / 24, *free])).max())


def test_no_stage_grows_where_the_steps_are_stable() -> None:
    far = -np.linspace(0.0, REACH, 500)
    stages = [np.ones_like(far)]
    for row in tables.STABILISED_ARGUMENT[1:-1]:
        stages.append(1.0 + far * sum(weight * stages[place] for place, weight in row.items()))
    assert np.abs(stages).max() < 1.0 + 1e-3


def test_no_other_polynomial_of_six_stages_damps_the_axis_so_far() -> None:
    from scipy.optimize import linprog

    def best(farthest: float) -> np.ndarray | None:
        points = -np.linspace(1.5, farthest, 2001)
        known = np.polynomial.polynomial.polyval(points, [1, 1, 1 / 2, 1 / 6, 1 / 24])
        free = np.stack([(points / farthest) ** 5, (points / farthest) ** 6], axis=1)
        limits = np.concatenate([DAMPING - known, DAMPING + known])
        found = linprog(np.zeros(2), np.concatenate([free, -free]), limits, bounds=[(None, None)] * 2)
        return found.x / farthest ** np.array([5, 6]) if found.status == 0 else None

    free = stability_polynomial()[5:]
    assert damped(free, REACH) <= DAMPING + 1e-5
    assert best(1.002 * REACH) is None
    assert best(0.9999 * REACH) == pytest.approx(free, rel=1e-3)


@pytest.mark.parametrize("mode", [-1.0, -300.0, -1.0 + 1.0j, -1.0 + 6.0j])
def test_the_longest_stable_step_is_where_the_method_itself_stops_to_damp(mode: complex) -> None:
    step = longest_stable_step([mode, np.conj(mode), -1e-9, 0.0, 1e-3])
    problem = flat(
        {"x": "a * x - b * y", "y": "b * x + a * y"}, {"x": 1, "y": 0}, {"a": np.real(mode), "b": np.imag(mode)}
    )

    def size(factor: float) -> float:
        until = 2000 * factor * step
        return float(np.abs(run(problem, until, method="fixed", step=factor * step).state).max())

    assert size(0.98) < 1.0
    assert not size(1.05) < 1.0
    if np.isreal(mode):
        assert step * abs(mode) == pytest.approx(8.6, abs=0.03)


def test_without_decay_any_step_is_stable() -> None:
    assert longest_stable_step([]) == np.inf
    assert longest_stable_step([0.0, 2.0, 1.0j]) == np.inf


@pytest.mark.parametrize("place", ["end", "between"])
def test_the_measured_order_of_equal_steps_is_four(place: str) -> None:
    problem = flat({"x": "x * (c - z)", "z": "-z**2", "c": "-s", "s": "c"}, {"x": 1, "z": 1, "c": 1, "s": 0})
    until, errors = 4.0, []
    for count in (32, 64, 128):
        step = until / count
        save = np.array([until]) if place == "end" else np.arange(count // 2, count) * step + 0.37 * step
        outcome = run(problem, until, save, method="fixed", step=step)
        assert outcome.counts.steps == count
        errors.append(np.abs(outcome.outputs[:, 0] - np.exp(np.sin(save)) / (1 + save)).max())
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert slopes[-1] > 3.7, (errors, slopes)


def test_the_time_in_the_equations_is_the_time_of_the_stage() -> None:
    problem = flat({"x": "4 * time**3"}, {"x": 0})
    outcome = run(problem, 3.0, [0.5, 3.0], method="fixed", step=0.75)
    assert outcome.outputs[1, 0] == pytest.approx(81.0, rel=1e-14)


def test_the_steps_of_an_interval_are_equal_and_no_longer_than_asked() -> None:
    schedule = at_times((0.25, 0, 0, 0.0), (0.9, 0, 0, 0.0))
    outcome = run(OSCILLATOR, 1.0, method="fixed", step=0.1, schedule=schedule)
    assert outcome.counts.steps == 3 + 7 + 1  # 0.25, 0.65 and 0.1 long
    assert outcome.time == 1.0
    assert outcome.counts.rejected == 0


def test_records_never_change_equal_steps() -> None:
    common = np.array([1.0, 7.5, 40.0])
    plain = run(OSCILLATOR, 50.0, common, method="fixed", step=0.3)
    extra = np.sort(np.concatenate([common, np.random.default_rng(3).uniform(0.0, 50.0, 200)]))
    outcome = run(OSCILLATOR, 50.0, extra, method="fixed", step=0.3)
    assert outcome.counts.steps == plain.counts.steps
    assert outcome.state.tobytes() == plain.state.tobytes()
    assert outcome.states[np.searchsorted(extra, common)].tobytes() == plain.states.tobytes()


def test_what_is_prescribed_is_what_equal_steps_deliver() -> None:
    random = np.random.default_rng(2)
    problem = flat(
        {"x": "-rate * x", "total": "0"},
        {"x": 0, "total": 0},
        {"rate": 1.0},
        actions=({"x": "x + amount", "total": "total + amount"},),
    )
    times = np.sort(random.uniform(0, 30, 40))
    amounts = random.lognormal(size=40)
    schedule = at_times(*((time, 1, 0, amount) for time, amount in zip(times, amounts, strict=True)))
    outcome = run(problem, 30.0, times, schedule=schedule, method="fixed", step=0.02)
    assert outcome.state[1] == pytest.approx(amounts.sum(), rel=1e-12)
    assert outcome.state[0] == pytest.approx((amounts * np.exp(times - 30.0)).sum(), rel=1e-7)
    assert outcome.outputs[:, 1] == pytest.approx(np.cumsum(amounts), rel=1e-12)
    stopped = run(problem, 30.0, schedule=at_times((10.0, 2, 0, 0.0)), start=[1.0, 0.0], method="fixed", step=0.02)
    assert stopped.state[0] == pytest.approx(np.exp(-10.0), rel=1e-8)  # what hangs on parameters follows them


def test_events_and_kinks_are_met_by_equal_steps_too() -> None:
    ball = run(FALLING_BALL, 1.5, method="fixed", step=0.1)
    assert ball.counts.roots == 1
    floor = np.sqrt(20 / 9.81)
    expected = 0.8 * 9.81 * floor * (1.5 - floor) - 0.5 * 9.81 * (1.5 - floor) ** 2
    assert ball.state[0] == pytest.approx(expected, abs=1e-9)
    bent = flat({"x": "max(time - 0.3333, 0) ** 2 * 3"}, {"x": 0})
    assert run(bent, 1.0, method="fixed", step=0.1).state[0] == pytest.approx(0.6667**3, rel=1e-9)


def test_a_result_is_smooth_in_the_parameters() -> None:
    step = 0.013
    middle = np.array(TOPP.values)

    def glucose(change: float) -> float:
        values = middle.copy()
        values[2] *= 1.0 + change
        return float(run(TOPP, 1.0, method="fixed", step=step / 10, parameters=values).state[0])

    slopes = [(glucose(h) - glucose(-h)) / (2 * h) for h in (1e-3, 1e-5, 1e-6)]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-5)
    assert slopes[2] == pytest.approx(slopes[1], rel=1e-6)


def test_a_step_beyond_stability_is_named_and_the_record_kept() -> None:
    problem = flat({"calm": "-calm", "fast": "-300 * fast * (1 + fast**2)"}, {"calm": 1, "fast": 1})
    outcome = run(problem, 5.0, np.linspace(0, 5, 51), method="fixed", step=0.1)
    assert outcome.reason is Reason.NOT_FINITE
    assert outcome.worst == 1
    assert outcome.time < 1.0
    assert np.isfinite(outcome.state).all()
    assert 0 < len(outcome.times) < 51


def test_the_count_of_steps_is_limited() -> None:
    outcome = run(OSCILLATOR, 10.0, [1.0, 10.0], method="fixed", step=0.1, maximum_steps=20)
    assert outcome.reason is Reason.TOO_MANY_STEPS
    assert outcome.counts.steps == 20
    assert outcome.time == pytest.approx(2.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "fixed"},
        {"method": "fixed", "step": 0.0},
        {"method": "fixed", "step": np.nan},
        {"method": "fixed", "step": 1e-15},
        {"method": "explicit", "step": 0.1},
        {"step": 0.1},
    ],
)
def test_steps_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="step"):
        run(OSCILLATOR, 1.0, **wrong)


def test_algebraic_unknowns_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"fixed.*\(c\)"):
        run(ROBERTSON_WITH_MASS_BALANCE, 1.0, method="fixed", step=0.1)
