"""The machine of macro steps: its arithmetic against plain numpy, and the same numbers in any company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import surrogate_days
from two_clock_models import CELLS, SUGAR, born, lived, liver_of

from isletsim.dosing import Dose, stops_of
from isletsim.ensemble import Steps, alone, answer, together
from isletsim.multiscale import Desk
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.simulator import Stretch, TwoClocks
from isletsim.multiscale.surrogate import Base, curves
from isletsim.solver import Reason

GRAFTS = (Dose("cells.graft", 0.3, 50.0), Dose("cells.graft", -0.4, 51.0), Dose("cells.graft", 0.2, 120.0))


@pytest.fixture
def liver(compose: Any) -> TwoClocks:
    return liver_of(compose(sugar=SUGAR, cells=CELLS))


@pytest.fixture
def desk(liver: TwoClocks) -> Desk:
    return liver.desk


def some_base(desk: Desk, seed: int) -> tuple[Base, np.random.Generator]:
    """A base that might be somebody's."""
    random = np.random.default_rng(seed)
    v, s = random.uniform(0.5, 1.5, desk.downs), random.uniform(0.2, 0.9, desk.ups)
    x = random.uniform(-1.0, 20.0, desk.pair.midnight)
    slopes = 0.03 * random.normal(size=(desk.ups, desk.downs)), random.normal(size=(desk.pair.midnight, desk.downs))
    curve = curves(s, desk.pair.bounds, desk.pair.size)
    return Base(v, s, x, x + 0.01, *slopes, curve, v + 0.002, 0.003, v), random


def moved(desk: Desk, liver: TwoClocks, base: Base, day: tuple[np.ndarray, ...]) -> tuple[Base, int]:
    """The base at a day, where all directions are known, and how many days that took."""
    life = born(liver).life
    assert life is not None
    assert life.walk is not None
    known = np.ones(desk.downs, dtype=np.bool_)
    (errand,) = answer([desk.moving(life.walk.day, life.parameters, base, known, *day)])
    return desk.base(errand), int(errand.whole[at.DAYS])


@pytest.mark.parametrize("seed", range(8))
def test_slopes_follow_what_a_day_has_shown(desk: Desk, liver: TwoClocks, seed: int) -> None:
    base, random = some_base(desk, seed)
    v = base.v + 0.01 * random.normal(size=desk.downs) * (1.0 if seed else 0.0)  # the first day is at the base itself
    s = surrogate_days.summaries_near(base, v) + 0.3 * desk.pair.size * random.uniform(-1.0, 1.0, desk.ups)
    x, dawn = base.x + 0.1 * random.normal(size=len(base.x)), base.dawn + 0.1
    assert surrogate_days.surprise(desk.pair, base, v, s) < 0.5
    expected = surrogate_days.moved(desk.pair, base, v, s, x, dawn, curve=curves(s, desk.pair.bounds, desk.pair.size))
    found, days = moved(desk, liver, base, (v, s, x, dawn))
    stale = surrogate_days.stale(desk.pair, expected, liver.rules.stale)
    assert days == stale.sum()
    for name in ("v", "s", "x", "dawn", "curve"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-13, abs=1e-13), name
    for name in ("jacobian", "orbit"):
        old = getattr(expected, name)[:, ~stale]
        assert getattr(found, name)[:, ~stale] == pytest.approx(old, rel=1e-11, abs=1e-12), name


def test_slopes_are_measured_anew_where_a_day_is_a_surprise_or_far_from_the_last_look(
    desk: Desk, liver: TwoClocks
) -> None:
    base, _ = some_base(desk, 3)
    v, matters = base.v + 1e-3, surrogate_days.matters(desk.pair, base.s)
    felt = np.flatnonzero(np.isfinite(desk.tolerances))[0]
    off = np.where(np.arange(desk.ups) == felt, 0.6 * desk.tolerances, 0.0)
    strong = replace(base, jacobian=np.where(np.isfinite(matters), 10 * matters, 0.0)[:, None] / desk.width)
    for one, days in ((strong, desk.downs), (replace(strong, jacobian=0.0 * base.jacobian), 0)):
        s = surrogate_days.summaries_near(one, v) + off
        assert moved(desk, liver, one, (v, s, base.x, base.dawn))[1] == days
    far = replace(strong, seen=base.v - np.arange(desk.downs))  # of the first direction nothing moved since
    s = surrogate_days.summaries_near(far, v)
    stale = surrogate_days.stale(
        desk.pair, surrogate_days.moved(desk.pair, far, v, s, base.x, base.dawn), liver.rules.stale
    )
    assert stale.tolist() == [False] + [True] * (desk.downs - 1)
    assert moved(desk, liver, far, (v, s, base.x, base.dawn))[1] == stale.sum()


# --- company ----------------------------------------------------------------------------------------------------------


def lives(liver: TwoClocks, count: int) -> Iterator[Steps[tuple[int, Stretch]]]:
    """People who differ in what they burn, each with grafts of their own."""
    flat = liver.composition.flat
    neutral = dict(zip(flat.parameters, flat.values, strict=True))
    for number in range(count):
        standing = born(liver, sugar__burning=1.0 + 0.03 * number)
        stops = stops_of(
            liver.composition, [replace(dose, time=dose.time + number % 7) for dose in GRAFTS], (), neutral=neutral
        )

        def life(number: int = number, standing: Any = standing, stops: Any = stops) -> Steps[tuple[int, Stretch]]:
            return number, (yield from liver.live(standing, 150.0, np.arange(0.0, 151.0), stops))

        yield life()


def same(one: Stretch, other: Stretch) -> bool:
    """The same bytes, by the same work."""
    return (
        one.rows.tobytes() == other.rows.tobytes()
        and one.standing.state.tobytes() == other.standing.state.tobytes()
        and (one.days, one.steps) == (other.days, other.steps)
    )


def test_a_life_is_the_same_in_any_company(liver: TwoClocks) -> None:
    singly = dict(alone(life) for life in lives(liver, 19))
    for width in (1, 3, 19):
        found = dict(together(lives(liver, 19), width=width))
        assert all(same(found[number], singly[number]) for number in range(19)), width
    assert len({stretch.rows.tobytes() for stretch in singly.values()}) == 19


def test_what_lanes_cannot_do_is_done_one_by_one(liver: TwoClocks) -> None:
    expected = lived(liver, 150.0, GRAFTS)
    hall = liver.desk._of_thread.hall
    hall.frame[[at.LIFE_ONE, at.LIFE_MANY, at.DAY_ONE, at.DAY_MANY]] = 0
    found = lived(liver, 150.0, GRAFTS)
    assert same(found, expected)


@pytest.mark.parametrize("unknown_of", ["day", "life"])
def test_lives_and_days_with_unknowns_go_through_the_same_machine(
    compose: Any, liver: TwoClocks, unknown_of: str
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
    other = liver_of(compose(sugar=sugar, cells=cells))
    assert any((other.day_model if unknown_of == "day" else other.life_model).flat.algebraic)
    expected, found = lived(liver, 60.0), lived(other, 60.0)
    assert found.reason is Reason.DONE
    assert found.rows == pytest.approx(expected.rows, rel=1e-3, abs=1e-3)


def test_records_may_be_as_many_as_one_likes(liver: TwoClocks) -> None:
    often = np.linspace(0.0, 40.0, 16001)
    dense, sparse = lived(liver, 40.0, save=often), lived(liver, 40.0, save=often[::400])
    assert dense.rows[::400].tobytes() == sparse.rows.tobytes()
    assert np.isfinite(dense.rows).all()
