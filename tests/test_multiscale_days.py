"""One real day: summaries, steps, and what is done where a fixed step is no good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from two_clock_models import CELLS, MEALS, SUGAR, born, simulator_of

from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import constant_values
from isletsim.ensemble import solve_batch
from isletsim.multiscale import BatchManager, CompiledPair
from isletsim.multiscale.day import LONGEST_STEP, Day, DayFailed, limits_of, schedule_of
from isletsim.multiscale.day_kernels import between
from isletsim.multiscale.step_control import StepControl
from isletsim.multiscale.surrogate import DailySurrogate
from isletsim.solver import Reason

# A store that empties itself and is filled at noon, x0 exp(-k t), and how much of a day it is between two levels.
STORE = """
clock = "day"
[uses]
watcher = ["loss"]
[states]
content = { start = "8 mg", scale = "1 mg" }
[rates]
emptying = "watcher.loss * content"
[balance]
content = "-emptying"
[doses.fill]
unit = "mg"
add = { content = "1" }
"""
WATCHER = """
clock = "years"
[uses]
store = ["content", "emptying"]
[states]
loss = { start = "2 1/day", scale = "1 1/day" }
[parameters]
noon = { value = "12 hour", assumed = "test" }
soon = { value = "31 min", assumed = "test" }
low  = { value = "4 mg", assumed = "test" }
high = { value = "6 mg", assumed = "test" }
[rates]
still = "0 * loss * loss"
[balance]
loss = "still"
[reports]
mean  = { value = "mean(store.content)", unit = "mg" }
mean_loss = { value = "mean(store.emptying)", unit = "mg/day" }
noon  = { value = "at(store.content, noon)", unit = "mg" }
soon  = { value = "at(store.content, soon)", unit = "mg" }
most  = { value = "max(store.content)", unit = "mg" }
least = { value = "min(store.content)", unit = "mg" }
share = { value = "fraction(store.content, low, high)", unit = "%" }
"""
LOSS, FILL = 2.0, 3.0


def day_of(composition: Any, entries: Any = (), method: str = "explicit") -> tuple[Day, np.ndarray, np.ndarray]:
    """A day, its parameters and its midnight."""
    clocks = composition.clocks
    known = constant_values(composition.flat, np.array(composition.flat.values))
    schedule = schedule_of(entries)
    day = Day(compile_model(clocks.day), clocks, schedule, limits_of(clocks, known), 1e-8, method)
    parameters = np.array(clocks.day.values)
    return day, parameters, np.array([8.0])


def spent(day: Day, parameters: np.ndarray, midnight: np.ndarray, pace: float) -> tuple[np.ndarray, ...]:
    """A day: its summaries, the midnight at its end, and how far each summary's source is from closing."""
    life = compile_model(day.clocks.life)
    manager = BatchManager(CompiledPair(day.clocks, StepControl(), life, day.model, 1e-8))
    whole, v = np.zeros(life.parameters), parameters[manager.pair.day_places]
    whole[: manager.pair.shared] = parameters[: manager.pair.shared]
    none = np.zeros(manager.ups)
    slopes = np.zeros((manager.ups, manager.downs)), np.zeros((len(midnight), manager.downs))
    base = DailySurrogate(v, none, midnight, midnight, *slopes, none, v, pace, v)
    (job,) = solve_batch([manager.settle(day, whole, base, v, midnight, 1, 1)])
    if job.failed is not None:
        raise DayFailed(job.failed)
    summaries, evening, _, gap = manager.last_day(job)
    gaps = job.numbers[manager.row.gaps]
    assert gap == (gaps / manager.tolerances).max()
    return summaries, evening, gaps


def share(course: np.ndarray, low: float, high: float) -> float:
    """The share of the time in which samples, joined by straight lines, are between two levels."""
    pieces = zip(course[:-1].tolist(), course[1:].tolist(), strict=True)
    return sum(between.py_func(*piece, low, high) for piece in pieces) / (len(course) - 1)


@pytest.fixture
def store(compose: Any) -> tuple[Day, np.ndarray, np.ndarray]:
    composition = compose(store=STORE, watcher=WATCHER)
    add = composition.clocks.day_actions[composition.ports["store.fill"].add]
    day, parameters, midnight = day_of(composition, [(0.5, 1, add, FILL)])
    parameters[composition.clocks.day.parameters.index("watcher.loss")] = LOSS
    return day, parameters, midnight


def test_the_summaries_of_a_day_are_those_of_its_course(store: Any) -> None:
    day, parameters, midnight = store
    summaries, following, gaps = spent(day, parameters, midnight, day.pace(parameters, midnight))
    noon = 8.0 * np.exp(-LOSS / 2) + FILL
    end = noon * np.exp(-LOSS / 2)
    mean = (8.0 + FILL - end) / LOSS
    first = np.log(8.0 / 6.0) / LOSS, np.log(8.0 / 4.0) / LOSS
    second = np.log(noon / 4.0) / LOSS
    expected = {
        "mean(store.content)": mean,
        "mean(store.emptying)": 8.0 + FILL - end,
        "at(store.content, watcher.noon)": noon,
        "at(store.content, watcher.soon)": 8.0 * np.exp(-LOSS * 31 / 1440),
        "max(store.content)": 8.0,
        "min(store.content)": end,
    }
    found = dict(zip(day.clocks.up, summaries, strict=True))
    share = found.pop("fraction(store.content, watcher.low, watcher.high)")
    assert found == pytest.approx(expected, rel=1e-9)
    assert share == pytest.approx(first[1] - first[0] + second, abs=1 / 288)  # the jump at noon is a line to a sensor
    assert following == pytest.approx([end], rel=1e-9)
    assert gaps == pytest.approx([abs(end - 8.0) * (LOSS if "emptying" in name else 1.0) for name in day.clocks.up])


def test_steps_of_one_length_and_steps_that_follow_the_error_agree(compose: Any) -> None:
    simulator = simulator_of(compose(sugar=SUGAR, cells=CELLS))
    stepper = born(simulator).slow.stepper
    parameters = stepper._reads(born(simulator).slow.parameters, np.array([1.0, 0.0]))
    pace = stepper.day.pace(parameters, stepper.midnight)
    assert pace == pytest.approx(LONGEST_STEP)
    fixed = spent(stepper.day, parameters, stepper.midnight, pace)
    adaptive = spent(stepper.day, parameters, stepper.midnight, 0.0)
    for one, other in zip(fixed, adaptive, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6)


def test_the_summaries_are_smooth_in_what_a_day_reads(compose: Any) -> None:
    simulator = simulator_of(compose(sugar=SUGAR, cells=CELLS))
    life = born(simulator).slow
    stepper = life.stepper
    pace = stepper.day.pace(stepper._reads(life.parameters, np.array([1.0, 0.0])), stepper.midnight)

    kept = [not name.startswith("fraction") for name in stepper.clocks.up]  # that one bends where a peak meets a level

    def means(mass: float) -> np.ndarray:
        return spent(stepper.day, stepper._reads(life.parameters, np.array([mass, 0.0])), stepper.midnight, pace)[0][
            kept
        ]

    wide, narrow = ((means(1 + h) - means(1 - h)) / (2 * h) for h in (1e-3, 1e-5))
    assert wide == pytest.approx(narrow, rel=1e-4)


def test_a_day_is_as_many_steps_as_stability_asks_for(compose: Any) -> None:
    paces = {}
    for speed in (1.0, 1000.0, 10_000.0, 100_000.0):
        fast = STORE.replace("watcher.loss * content", f"{speed} * watcher.loss * content")
        day, parameters, midnight = day_of(compose(store=fast, watcher=WATCHER))
        parameters[-1] = 1.0
        paces[speed] = day.pace(parameters, midnight)
    assert paces[1.0] == paces[1000.0] == pytest.approx(LONGEST_STEP)
    assert paces[10_000.0] * 10_000 == pytest.approx(7.13, abs=0.05)
    assert paces[100_000.0] == 0.0  # too stiff: the steps follow the error


def test_unknowns_of_a_day_are_left_to_the_stiff_method(compose: Any) -> None:
    algebraic = STORE.replace("watcher.loss * content", "watcher.loss * level").replace(
        "[rates]", '[solve]\nlevel = { start = "1 mg", residual = "level - content", about = "x" }\n[rates]'
    )
    day, parameters, midnight = day_of(compose(store=algebraic, watcher=WATCHER))
    parameters[-1] = LOSS
    assert day.pace(parameters, midnight) == 0.0
    summaries, following, _ = spent(day, parameters, np.array([8.0, 8.0]), 0.0)
    assert following[0] == pytest.approx(8.0 * np.exp(-LOSS), rel=1e-6)
    assert summaries[day.clocks.up.index("mean(store.content)")] == pytest.approx(4 * (1 - np.exp(-LOSS)), rel=1e-6)


def test_a_day_that_becomes_faster_than_its_pace_is_done_with_steps_of_its_own(compose: Any) -> None:
    # Without the store nothing is fast; with ten grams in it the pace that was chosen blows up.
    steep = STORE.replace("watcher.loss * content", "watcher.loss * content * (1 + content**2 / per)").replace(
        "[rates]", '[parameters]\nper = { value = "1 mg**2", assumed = "test" }\n[rates]'
    )
    composition = compose(store=steep, watcher=WATCHER)
    add = composition.clocks.day_actions[composition.ports["store.fill"].add]
    day, parameters, _ = day_of(composition, [(0.5, 1, add, 200.0)])
    parameters[-1] = LOSS
    midnight = np.array([0.1])
    pace = day.pace(parameters, midnight)
    _, found, _ = spent(day, parameters, midnight, pace)
    _, expected, _ = spent(replace(day, tolerance=1e-11), parameters, midnight, 0.0)
    (outcome,) = solve_batch([day.asked(parameters, midnight, pace)])
    assert outcome.reason is Reason.NOT_FINITE
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_day_that_cannot_be_simulated_says_why(compose: Any) -> None:
    wild = STORE.replace("watcher.loss * content", "-watcher.loss * content * content / per").replace(
        "[rates]", '[parameters]\nper = { value = "1 mg", assumed = "test" }\n[rates]'
    )
    day, parameters, midnight = day_of(compose(store=wild, watcher=WATCHER))
    parameters[-1] = LOSS
    with pytest.raises(DayFailed) as caught:
        spent(day, parameters, midnight, day.pace(parameters, midnight))
    assert caught.value.outcome.reason.failed
    assert caught.value.outcome.time == pytest.approx(1 / 16, rel=1e-3)


def test_a_morning_ends_before_what_falls_on_its_end(store: Any) -> None:
    day, parameters, midnight = store
    before = day.until(parameters, midnight, 0.5)
    assert before.state[0] == pytest.approx(8.0 * np.exp(-LOSS / 2), rel=1e-7)
    after = day.until(parameters, midnight, 0.5 + 1e-9)
    assert after.state[0] == pytest.approx(8.0 * np.exp(-LOSS / 2) + FILL, rel=1e-7)


def test_a_test_brings_what_its_own_schedule_says(store: Any) -> None:
    day, parameters, midnight = store
    times = np.array([0.0, 0.05, 0.1])
    schedule = schedule_of([(0.05, 1, 0, 2.0)])
    outcome = day.test(day.model, parameters, midnight, times, schedule)
    content = outcome.outputs[:, day.model.flat.outputs.index("store.content")]
    assert content == pytest.approx([8.0, 8 * np.exp(-0.1) + 2, (8 * np.exp(-0.1) + 2) * np.exp(-0.1)], rel=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_share_between_two_levels_is_that_of_the_joined_samples(seed: int) -> None:
    random = np.random.default_rng(seed)
    course = np.round(random.normal(6.0, 2.0, 40), 1 if seed % 2 else 9)  # rounded: level pieces too
    course[5:9] = 7.0
    fine = np.interp(np.linspace(0, 39, 2_000_001), np.arange(40), course)
    expected = np.mean((fine >= 4.0) & (fine <= 7.0))
    assert share(course, 4.0, 7.0) == pytest.approx(expected, abs=2e-5)


def test_a_course_wholly_inside_or_outside_is_all_or_nothing() -> None:
    course = np.array([5.0, 5.0, 6.0, 5.5])
    assert share(course, 4.0, 7.0) == 1.0
    assert share(course, 8.0, 9.0) == 0.0


def test_meals_of_one_time_stay_in_their_order() -> None:
    schedule = schedule_of([(0.5, 1, 3, 9.0), (0.2, 1, 0, 1.0), (0.5, 1, 2, 4.0)])
    assert schedule.times.tolist() == [0.2, 0.5]
    assert schedule.first.tolist() == [0, 1, 3]
    assert schedule.indices.tolist() == [0, 3, 2]
    assert len(MEALS) == 3
