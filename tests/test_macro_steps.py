"""The machine of macro steps: its arithmetic against plain numpy, and the same numbers in any company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import surrogate_days
from two_clock_models import CELLS, SUGAR, born, lived, simulator_of

from isletsim.dosing import Dose, scheduled_events
from isletsim.ensemble import Task, run_task, run_tasks, solve_batch
from isletsim.multiscale import BatchManager
from isletsim.multiscale.simulator import MultiscaleSimulator, Segment
from isletsim.multiscale.surrogate import DailySurrogate, curves
from isletsim.solver import Reason

GRAFTS = (Dose("cells.graft", 0.3, 50.0), Dose("cells.graft", -0.4, 51.0), Dose("cells.graft", 0.2, 120.0))


@pytest.fixture
def simulator(compose: Any) -> MultiscaleSimulator:
    return simulator_of(compose(sugar=SUGAR, cells=CELLS))


@pytest.fixture
def manager(simulator: MultiscaleSimulator) -> BatchManager:
    return simulator.manager


def some_base(manager: BatchManager, seed: int) -> tuple[DailySurrogate, np.random.Generator]:
    """A base that might be somebody's."""
    random = np.random.default_rng(seed)
    v, s = random.uniform(0.5, 1.5, manager.downs), random.uniform(0.2, 0.9, manager.ups)
    x = random.uniform(-1.0, 20.0, manager.pair.midnight)
    slopes = (
        0.03 * random.normal(size=(manager.ups, manager.downs)),
        random.normal(size=(manager.pair.midnight, manager.downs)),
    )
    curve = curves(s, manager.pair.bounds, manager.pair.size)
    return DailySurrogate(v, s, x, x + 0.01, *slopes, curve, v + 0.002, 0.003, v), random


def moved(
    manager: BatchManager, simulator: MultiscaleSimulator, base: DailySurrogate, day: tuple[np.ndarray, ...]
) -> tuple[DailySurrogate, int]:
    """The base at a day, where all directions are known, and how many days that took."""
    life = born(simulator).slow
    assert life is not None
    assert life.stepper is not None
    known = np.ones(manager.downs, dtype=np.bool_)
    (job,) = solve_batch([manager.move(life.stepper.day, life.parameters, base, known, *day)])
    return manager.base(job), int(job.state.days)


@pytest.mark.parametrize("seed", range(8))
def test_slopes_follow_what_a_day_has_shown(manager: BatchManager, simulator: MultiscaleSimulator, seed: int) -> None:
    base, random = some_base(manager, seed)
    v = base.day_inputs + 0.01 * random.normal(size=manager.downs) * (1.0 if seed else 0.0)  # at the base itself
    s = surrogate_days.summaries_near(base, v) + 0.3 * manager.pair.size * random.uniform(-1.0, 1.0, manager.ups)
    x, dawn = base.midnight_state + 0.1 * random.normal(size=len(base.midnight_state)), base.initial_midnight + 0.1
    assert surrogate_days.surprise(manager.pair, base, v, s) < 0.5
    expected = surrogate_days.moved(
        manager.pair, base, v, s, x, dawn, curve=curves(s, manager.pair.bounds, manager.pair.size)
    )
    found, days = moved(manager, simulator, base, (v, s, x, dawn))
    stale = surrogate_days.stale(manager.pair, expected, simulator.control.jacobian_age)
    assert days == stale.sum()
    for name in ("day_inputs", "summaries", "midnight_state", "initial_midnight", "curve"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-13, abs=1e-13), name
    for name in ("jacobian", "midnight_jacobian"):
        old = getattr(expected, name)[:, ~stale]
        assert getattr(found, name)[:, ~stale] == pytest.approx(old, rel=1e-11, abs=1e-12), name


def test_slopes_are_measured_anew_where_a_day_is_a_surprise_or_far_from_the_last_look(
    manager: BatchManager, simulator: MultiscaleSimulator
) -> None:
    base, _ = some_base(manager, 3)
    v, matters = base.day_inputs + 1e-3, surrogate_days.matters(manager.pair, base.summaries)
    felt = np.flatnonzero(np.isfinite(manager.tolerances))[0]
    off = np.where(np.arange(manager.ups) == felt, 0.6 * manager.tolerances, 0.0)
    strong = replace(base, jacobian=np.where(np.isfinite(matters), 10 * matters, 0.0)[:, None] / manager.width)
    for one, days in ((strong, manager.downs), (replace(strong, jacobian=0.0 * base.jacobian), 0)):
        s = surrogate_days.summaries_near(one, v) + off
        assert moved(manager, simulator, one, (v, s, base.midnight_state, base.initial_midnight))[1] == days
    far = replace(strong, seen=base.day_inputs - np.arange(manager.downs))  # of the first direction nothing moved since
    s = surrogate_days.summaries_near(far, v)
    stale = surrogate_days.stale(
        manager.pair,
        surrogate_days.moved(manager.pair, far, v, s, base.midnight_state, base.initial_midnight),
        simulator.control.jacobian_age,
    )
    assert stale.tolist() == [False] + [True] * (manager.downs - 1)
    assert moved(manager, simulator, far, (v, s, base.midnight_state, base.initial_midnight))[1] == stale.sum()


# --- company ----------------------------------------------------------------------------------------------------------


def lives(simulator: MultiscaleSimulator, count: int) -> Iterator[Task[tuple[int, Segment]]]:
    """People who differ in what they burn, each with grafts of their own."""
    flat = simulator.composition.flat
    neutral = dict(zip(flat.parameters, flat.values, strict=True))
    for number in range(count):
        current = born(simulator, sugar__burning=1.0 + 0.03 * number)
        stops = scheduled_events(
            simulator.composition, [replace(dose, time=dose.time + number % 7) for dose in GRAFTS], (), neutral=neutral
        )

        def life(number: int = number, current: Any = current, stops: Any = stops) -> Task[tuple[int, Segment]]:
            return number, (yield from simulator.simulate(current, 150.0, np.arange(0.0, 151.0), stops))

        yield life()


def same(one: Segment, other: Segment) -> bool:
    """The same bytes, by the same work."""
    return (
        one.rows.tobytes() == other.rows.tobytes()
        and one.current.state.tobytes() == other.current.state.tobytes()
        and (one.days, one.steps) == (other.days, other.steps)
    )


def test_a_life_is_the_same_in_any_company(simulator: MultiscaleSimulator) -> None:
    singly = dict(run_task(life) for life in lives(simulator, 19))
    for width in (1, 3, 19):
        found = dict(run_tasks(lives(simulator, 19), width=width))
        assert all(same(found[number], singly[number]) for number in range(19)), width
    assert len({stretch.rows.tobytes() for stretch in singly.values()}) == 19


def test_what_lanes_cannot_do_is_done_one_by_one(simulator: MultiscaleSimulator) -> None:
    expected = lived(simulator, 150.0, GRAFTS)
    workspace = simulator.manager._of_thread.workspace
    workspace.frame.set(slow_one=0, slow_many=0, day_one=0, day_many=0)
    found = lived(simulator, 150.0, GRAFTS)
    assert same(found, expected)


@pytest.mark.parametrize("unknown_of", ["day", "life"])
def test_lives_and_days_with_unknowns_go_through_the_same_machine(
    compose: Any, simulator: MultiscaleSimulator, unknown_of: str
) -> None:
    sugar, cells = SUGAR, CELLS
    if unknown_of == "day":
        sugar = sugar.replace('* blood"', '* level"').replace(
            "[rates]", '[solve]\nlevel = { start = "20 mg", residual = "level - blood", about = "x" }\n[rates]'
        )
    else:
        cells = cells.replace("memory / tolerated", "level / tolerated").replace(
            "[rates]", '[solve]\nlevel = { start = "20 mg", residual = "level - memory", about = "x" }\n[rates]'
        )
    other = simulator_of(compose(sugar=sugar, cells=cells))
    assert any((other.day_model if unknown_of == "day" else other.life_model).flat.algebraic)
    expected, found = lived(simulator, 60.0), lived(other, 60.0)
    assert found.reason is Reason.DONE
    assert found.rows == pytest.approx(expected.rows, rel=1e-3, abs=1e-3)


def test_records_may_be_as_many_as_one_likes(simulator: MultiscaleSimulator) -> None:
    often = np.linspace(0.0, 40.0, 16001)
    dense, sparse = lived(simulator, 40.0, save=often), lived(simulator, 40.0, save=often[::400])
    assert dense.rows[::400].tobytes() == sparse.rows.tobytes()
    assert np.isfinite(dense.rows).all()
