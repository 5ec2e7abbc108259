"""Two clocks: the default scheme against every day simulated, and what happens to a life on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from surrogate_days import straightened
from two_clock_models import CELLS, REPORTS, SUGAR, born, column, lived, simulator_of

from isletsim.challenges.morning import morning_of, run_challenge
from isletsim.codegen.evaluate_at import observe
from isletsim.dosing import Course, Dose, scheduled_events
from isletsim.ensemble import Task, run_task
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.day import schedule_of
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.multiscale.surrogate import curved, curves
from isletsim.solver import Reason, Watch


@pytest.fixture
def sugar(compose: Any) -> Any:
    """A function that gives a liver with some rules."""
    composition = compose(sugar=SUGAR, cells=CELLS)
    return lambda **control: simulator_of(composition, **control)


GRAFTS = (Dose("cells.graft", 0.3, 50.0), Dose("cells.graft", -0.4, 51.0), Dose("cells.graft", 0.2, 120.0))


# Sugar follows the cells at once and the cells lose what sugar there is: linear, so the coupled life is known.
FAST = """
clock = "day"
[uses]
slow = ["mass"]
[states]
follower = { start = "1", scale = "1" }
[parameters]
pace = { value = "50 1/day", assumed = "test" }
[rates]
rise = "pace * slow.mass"
fall = "pace * follower"
[balance]
follower = "rise - fall"
"""
SLOW = """
clock = "years"
[uses]
fast = ["follower"]
[states]
mass   = { start = "1", scale = "1" }
memory = { start = "1", scale = "1" }
[parameters]
one_day = { value = "1 day", assumed = "test" }
speed   = { value = "0.05 1/day", assumed = "test" }
[rates]
tracking = "(mean(fast.follower) - memory) / one_day"
loss     = "speed * memory"
[balance]
mass   = "-loss"
memory = "tracking"
[reports]
mass = { value = "mass", unit = "" }
"""


@pytest.mark.parametrize("every_day", [True, False])
@pytest.mark.parametrize("pace", [50.0, 5.0])
def test_a_linear_life_is_that_of_the_coupled_equations(compose: Any, every_day: bool, pace: float) -> None:
    # At a pace of 5 the day lags a fifth of a day behind the life. Where the day at the end of a step was taken for a
    # periodic one, which does not lag, the masses were 0.004 off.
    from scipy.linalg import expm

    simulator = simulator_of(compose(fast=FAST.replace("50 1/day", f"{pace} 1/day"), slow=SLOW), every_day=every_day)
    current = simulator.initial_state(np.array(simulator.composition.flat.values), {}, ())
    rows = lived(simulator, 60.0, current=current).rows[:, column(simulator, "mass")]
    matrix = np.array([[-pace, pace, 0.0], [0.0, 0.0, -0.05], [1.0, 0.0, -1.0]])
    exact = np.array([(expm(matrix * day) @ [1.0, 1.0, 1.0])[1] for day in range(61)])
    assert np.abs(rows - exact).max() < 4e-4  # summaries frozen for a day would be 0.02 off


def test_few_days_give_what_every_day_gives(sugar: Any) -> None:
    default, reference = sugar(), sugar(every_day=True)
    few, every = lived(default, 300.0, GRAFTS), lived(reference, 300.0, GRAFTS)
    assert every.days == 300 + 2
    assert few.days < 80
    bounds = {"mass": 1e-3, "memory": 0.05, "given": 1e-12, "mean_day": 0.1, "breakfast": 0.1, "highest": 0.2}
    for name, bound in bounds.items():
        at = column(default, name)
        assert np.abs(few.rows[:, at] - every.rows[:, at]).max() < bound, name


def test_every_day_of_the_reference_begins_where_the_last_one_ended(sugar: Any) -> None:
    simulator = sugar(every_day=True)
    current = born(simulator)
    stepper = current.slow.stepper
    life = run_task(stepper.opened(current.slow, 0.0))
    for day in range(3):
        before = life.base.today
        life, _, failed = run_task(stepper.segment(life, float(day), day + 1.0, np.empty(0)))
        assert failed is None
        today = life.base.today
        assert today.initial_midnight.tobytes() == before.midnight_state.tobytes()
        assert today.midnight_state.tobytes() != today.initial_midnight.tobytes()


def test_a_tighter_tolerance_takes_more_days_and_always_arrives(sugar: Any) -> None:
    reference = lived(sugar(every_day=True), 90.0, GRAFTS).rows
    days, errors = [], []
    for tolerance in (3.0, 1.0, 0.1, 1e-3):
        simulator = sugar(tolerance=tolerance)
        stretch = lived(simulator, 90.0, GRAFTS)
        assert stretch.reason is Reason.DONE
        days.append(stretch.days)
        errors.append(np.abs(stretch.rows - reference)[:, column(simulator, "mass")].max())
    assert days == sorted(days)
    assert errors[2] < 5e-5
    assert errors[3] < 5e-5


# --- what happens on the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_day", [False, True])
def test_a_dose_at_any_time_is_delivered_once(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    random = np.random.default_rng(4)
    times = np.sort(np.concatenate([random.choice(np.arange(1, 100), 12, replace=False), [0.0, 30.25, 30.75, 100.0]]))
    amounts = random.uniform(0.01, 0.05, len(times))
    doses = [Dose("cells.graft", amount, time) for amount, time in zip(amounts.tolist(), times.tolist(), strict=True)]
    rows = lived(simulator, 100.0, doses).rows
    given = [amounts[times <= day].sum() for day in range(1, 101)]
    assert rows[1:, column(simulator, "given")] == pytest.approx(given, rel=1e-12)
    assert rows[0, column(simulator, "given")] == 0.0  # the record at 0 is taken before the first dose


@pytest.mark.parametrize("every_day", [False, True])
def test_records_do_not_change_a_life(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    sparse = lived(simulator, 100.0, GRAFTS, save=np.array([40.0, 100.0]))
    dense = lived(simulator, 100.0, GRAFTS)
    assert sparse.days == dense.days
    assert sparse.current.state.tobytes() == dense.current.state.tobytes()
    assert sparse.rows.tobytes() == dense.rows[[40, 100]].tobytes()


def test_a_dose_in_the_middle_of_a_day_is_felt_from_there(sugar: Any) -> None:
    noon = (Dose("cells.graft", 0.5, 10.5),)
    few, every = (lived(sugar(every_day=each), 30.0, noon).rows for each in (False, True))
    assert np.abs(few - every)[:, column(sugar(), "mass")].max() < 2e-4
    midnights = [lived(sugar(every_day=True), 30.0, [Dose("cells.graft", 0.5, time)]).rows for time in (10.0, 11.0)]
    at = column(sugar(), "memory")
    middle = 0.5 * (midnights[0] + midnights[1])[:, at]
    assert every[15:, at] == pytest.approx(middle[15:], rel=1e-3)


def test_a_level_that_only_the_day_reads_is_noticed(sugar: Any) -> None:
    courses = [Course("cells.rest", 2.0, 20.0, 60.0)]
    simulator = sugar()
    few, every = lived(simulator, 100.0, (), courses), lived(sugar(every_day=True), 100.0, (), courses)
    at = column(simulator, "mean_day")
    assert every.rows[40, at] < every.rows[19, at] - 0.5
    inside = np.r_[0:20, 22:60, 62:101]  # but for the days of the change themselves
    assert np.abs(few.rows - every.rows)[inside, at].max() < 0.1


def test_days_after_a_dose_are_lived_as_they_come(sugar: Any) -> None:
    simulator = sugar()
    current = born(simulator)
    stepper = current.slow.stepper
    life, _, _ = run_task(stepper.segment(run_task(stepper.opened(current.slow, 0.0)), 0.0, 30.0, np.empty(0)))
    assert life.base.today is None
    action = simulator.composition.ports["cells.graft"].add
    entries = [(1, simulator.composition.clocks.life_actions[action], 0.4)]
    after = run_task(stepper.event(life, 30.0, schedule_of([(30.0, *each) for each in entries])))
    assert after.base.today.left == StepControl().settling_days
    following, _, _ = run_task(stepper.segment(after, 30.0, 40.0, np.empty(0)))
    assert following.base.today is None
    small = run_task(stepper.event(life, 30.0, schedule_of([(30.0, *entries[0][:2], 1e-4)])))
    assert small.base.today.left == 0


def test_what_happens_on_the_way_is_what_happens_piece_by_piece(sugar: Any) -> None:
    # Small events and large ones, some at midnight and some not, one at the end; records at some of them.
    simulator = sugar()
    doses = [
        Dose("cells.graft", amount, time) for time, amount in ((10.0, 1e-4), (25.3, 0.2), (25.5, 1e-3), (60.0, -0.1))
    ]
    current = born(simulator)
    agenda = simulator._agenda(scheduled_events(simulator.composition, doses))
    stepper = current.slow.stepper
    begun = run_task(stepper.opened(current.slow, 0.0))
    save = np.array([5.0, 10.0, 25.3, 41.0, 60.0])
    whole, rows, _ = run_task(
        stepper.segment(replace(begun, parameters=begun.parameters.copy()), 0.0, 60.0, save, agenda)
    )
    life, time, pieces = begun, 0.0, []
    for mark in agenda.times.tolist():
        wanted = save[(save > time) & (save <= mark)]
        life, found, _ = run_task(stepper.segment(life, time, mark, wanted))
        life = run_task(stepper.event(life, mark, agenda))
        if len(wanted) and wanted[-1] == mark:
            found[-1] = observe(simulator.life_model, mark, life.state, life.parameters)
        pieces.append(found)
        time = mark
    assert rows.tobytes() == np.concatenate(pieces).tobytes()
    assert whole.state.tobytes() == life.state.tobytes()
    assert whole.base.today.left == life.base.today.left
    assert whole.base.today.midnight_state.tobytes() == life.base.today.midnight_state.tobytes()


def test_what_would_happen_after_the_end_is_not_lived(sugar: Any) -> None:
    # A course that outlasts a leg of a history was followed to its own end, and lived there once more in the next leg.
    simulator = sugar()
    end = lived(simulator, 20.0, (), [Course("cells.rest", 2.0, 10.0, 60.0)])
    same = lived(simulator, 20.0, (), [Course("cells.rest", 2.0, 10.0, 300.0)])
    assert end.current.state.tobytes() == same.current.state.tobytes()
    assert end.current.parameters.tobytes() == same.current.parameters.tobytes()
    assert end.days == same.days


RAMP = """
clock = "years"
[uses]
fast = ["follower"]
[states]
mass  = { start = "1", scale = "1" }
drive = { start = "0", scale = "1" }
[parameters]
one_day = { value = "1 day", assumed = "test" }
[rates]
growth = "drive / one_day"
[balance]
mass  = "growth"
drive = ""
[doses.start]
unit = ""
add  = { drive = "1" }
[reports]
mass = { value = "mass", unit = "" }
seen = { value = "mean(fast.follower)", unit = "" }
"""


def test_a_day_on_which_something_begins_is_drawn_from_what_the_days_were(compose: Any) -> None:
    # A graft that only begins to grow moves nothing at once. The reference drew its first day level, through midday.
    simulator = simulator_of(compose(fast=FAST, slow=RAMP), every_day=True)
    current = simulator.initial_state(np.array(simulator.composition.flat.values), {}, ())
    rows = lived(simulator, 12.0, (Dose("slow.start", 0.2, 10.0),), current=current).rows
    mass, seen = rows[:, column(simulator, "mass")], rows[:, column(simulator, "seen")]
    assert mass[10:] == pytest.approx([1.0, 1.2, 1.4], abs=1e-6)
    assert seen[10] == pytest.approx(1.0, abs=1e-6)
    assert seen[11:] == pytest.approx(mass[11:], abs=0.01)  # the follower lags by a fiftieth of a day


def test_days_are_lived_one_by_one_where_steps_would_be_short(sugar: Any) -> None:
    # A step of a day or two asks for more days than it is long: what it reads, again where that was wrong, and slopes.
    # When longer steps are tried in vain in between, the days go on from the last one. From the linear day, a little
    # off, to the day half a day later was a slope a fifth wrong.
    ends = []
    for spell in (8, 20):
        life = born(sugar(tolerance=1e-3, daily_run=spell)).slow
        life = replace(run_task(life.stepper.opened(life, 0.0)), step=2.0)
        life, _, _ = run_task(life.stepper.segment(life, 0.0, 11.0, np.empty(0)))
        assert life.base.today.left == (5 if spell == 8 else 9)
        ends.append(life.state.tobytes())
    assert ends[0] == ends[1]


def test_what_only_reports_read_is_right_within_a_step(compose: Any) -> None:
    # C-peptide of a growing graft is felt by nothing: a step that doubled it was judged by glucose alone, and it was
    # 2 % off halfway.
    steep = FAST.replace("[rates]", '[quantities]\nsteep = { law = "follower**4", scale = "1" }\n[rates]')
    seen = RAMP.replace('uses]\nfast = ["follower"]', 'uses]\nfast = ["follower", "steep"]')
    seen = seen.replace("[rates]", 'morning = { value = "7 hour", assumed = "test" }\n[rates]')
    seen += 'steep = { value = "at(fast.steep, morning)", unit = "" }\n'
    rows = []
    for every_day in (True, False):
        simulator = simulator_of(compose(fast=steep, slow=seen), every_day=every_day)
        current = simulator.initial_state(np.array(simulator.composition.flat.values), {}, ())
        stretch = lived(simulator, 100.0, (Dose("slow.start", 0.02, 10.0),), current=current)
        rows.append(stretch.rows[:, column(simulator, "steep")])
    assert rows[0][100] == pytest.approx(2.8**4, rel=0.01)
    assert rows[1] == pytest.approx(rows[0], rel=0.015)  # 0.12 where nobody looks
    assert stretch.days < 60


@pytest.mark.parametrize("every_day", [False, True])
def test_a_watch_ends_at_the_first_midnight_that_meets_it(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    at = column(simulator, "mass")
    course = lived(simulator, 200.0).rows[:, at]
    for level in (0.99, 0.9, 0.87):
        first = int(np.argmax(course <= level))
        found = lived(simulator, 200.0, watch=Watch(at, level, -1), save=np.empty(0))
        assert found.reason is Reason.WATCH
        assert found.time == first
        end = observe(simulator.life_model, found.time, found.current.state, found.current.slow.parameters)[at]
        # The default got there by other steps: they agree as well as each of them with every day.
        assert end == pytest.approx(course[first], abs=2e-5 if every_day else 1e-4)
    never = lived(simulator, 200.0, watch=Watch(at, 2.0, 1), save=np.empty(0))
    assert never.reason is Reason.DONE


@pytest.mark.parametrize("every_day", [False, True])
def test_a_virtual_test_does_not_disturb_the_life(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    peaks = []

    def feast(current: SimulationState) -> Task[None]:
        times = np.linspace(0.0, 0.1, 21)
        morning = yield from morning_of(simulator, current, 0.25)
        outcome = run_challenge(simulator, morning, times, [Dose("sugar.meal", 100.0, 0.0)], (), usual=False)
        peaks.append(outcome.outputs[:, simulator.day_model.flat.outputs.index("sugar.plasma")].max())

    plain = lived(simulator, 100.0, GRAFTS)
    pauses = dict.fromkeys((0.0, 30.0, 50.0, 100.0), feast)
    watched = lived(simulator, 100.0, GRAFTS, pauses=pauses)
    again = lived(simulator, 100.0, GRAFTS, pauses=dict.fromkeys((0.0, 30.0, 50.0, 100.0), lambda _: iter(())))
    assert watched.rows.tobytes() == again.rows.tobytes()
    assert watched.rows == pytest.approx(plain.rows, rel=2e-2)  # a pause ends a step
    assert watched.days == again.days
    assert len(peaks) == 4
    assert peaks[0] > 40
    assert peaks[2] < peaks[1]  # with the cells of the graft


def test_a_test_is_the_same_in_both_ways_of_living(sugar: Any) -> None:
    found = []
    for every_day in (False, True):
        simulator: MultiscaleSimulator = sugar(every_day=every_day)
        current = lived(simulator, 80.0, GRAFTS).current
        times = np.linspace(0.0, 0.2, 11)
        meal = Dose("sugar.meal", 100.0, 0.0)
        morning = run_task(morning_of(simulator, current, 0.25))
        found.append(run_challenge(simulator, morning, times, [meal], (), usual=False).outputs)
    assert found[0] == pytest.approx(found[1], rel=2e-3, abs=1e-3)


# --- continuation and repetition --------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_day", [False, True])
def test_a_life_in_two_stretches_is_one_life(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    whole = lived(simulator, 60.0)
    half = lived(simulator, 30.0)
    rest = lived(simulator, 30.0, current=half.current)
    bound = 1e-12 if every_day else 5e-3
    assert rest.rows[1:] == pytest.approx(whole.rows[31:], rel=bound, abs=bound)
    for name in REPORTS:
        at = column(simulator, name)
        assert rest.rows[0, at] == pytest.approx(half.rows[-1, at], rel=0.01), name


@pytest.mark.parametrize("every_day", [False, True])
def test_repetition_gives_the_same_bytes(sugar: Any, every_day: bool) -> None:
    simulator = sugar(every_day=every_day)
    first = lived(simulator, 130.0, GRAFTS)
    lived(simulator, 20.0, current=born(simulator, sugar__burning=3.0))
    second = lived(simulator, 130.0, GRAFTS)
    other = lived(sugar(every_day=every_day), 130.0, GRAFTS)
    assert first.rows.tobytes() == second.rows.tobytes() == other.rows.tobytes()
    assert (first.days, first.steps) == (second.days, second.steps) == (other.days, other.steps)


def test_another_patient_in_the_same_standing_is_looked_at_anew(sugar: Any) -> None:
    simulator = sugar()
    current = lived(simulator, 50.0).current
    changed = current.parameters.copy()
    changed[simulator.composition.flat.parameters.index("sugar.burning")] *= 3.0
    other = lived(simulator, 20.0, current=SimulationState(current.state, changed, current.slow))
    same = lived(simulator, 20.0, current=current)
    at = column(simulator, "mean_day")
    assert other.rows[1, at] < same.rows[1, at] - 0.5


def test_the_work_is_counted(sugar: Any) -> None:
    simulator = sugar()
    current = born(simulator)
    stepper = current.slow.stepper
    life, _, _ = run_task(stepper.segment(run_task(stepper.opened(current.slow, 0.0)), 0.0, 90.0, np.empty(0)))
    counts = stepper.counts
    assert counts.days == lived(simulator, 90.0).days
    assert 0 < counts.perturbed < counts.days
    assert counts.batches >= 1
    assert counts.steps < 20
    assert counts.inner > counts.steps
    assert stepper.again().counts.days == 0
    assert life.time == 90.0


def test_a_life_that_fails_tells_how_far_it_came(compose: Any) -> None:
    wild = CELLS.replace('birth    = "0.8 * speed"', 'birth    = "speed * mass * mass * mass"')
    for every_day in (False, True):
        simulator = simulator_of(compose(sugar=SUGAR, cells=wild), every_day=every_day)
        stretch = lived(simulator, 400.0, [Dose("cells.graft", 3.0, 10.0)])
        assert stretch.reason.failed
        assert stretch.failed is not None
        assert 10.0 < stretch.time < 400.0
        assert len(stretch.rows) < 401


def test_a_life_that_fails_while_it_waits_for_something_ends_like_any_other(compose: Any) -> None:
    # A leg of a history keeps no records; what had been looked at until the failure was once written into none of them.
    wild = CELLS.replace('birth    = "0.8 * speed"', 'birth    = "speed * mass * mass * mass"')
    simulator = simulator_of(compose(sugar=SUGAR, cells=wild))
    doses, watch = [Dose("cells.graft", 3.0, 10.0)], Watch(column(simulator, "mean_day"), 1e9, 1)
    stretch = lived(simulator, 400.0, doses, watch=watch, save=np.empty(0))
    assert stretch.reason.failed
    assert len(stretch.rows) == 0
    assert stretch.time > 10.0


# --- what is known of the days near a real one ------------------------------------------------------------------------


def test_a_summary_that_is_never_negative_stays_so_however_far_it_is_drawn_on() -> None:
    s, size, bounds = (
        np.array([0.02, 0.98, 5.0]),
        np.array([0.01, 0.01, 1.0]),
        (np.zeros(3), np.array([np.inf, 1.0, 9.0])),
    )
    curve = curves(s, bounds, size)
    for change in (-50.0, -0.1, -1e-3, 0.0, 1e-3, 0.1, 50.0):
        near = s + curved(np.full(3, change), curve)
        assert near[0] >= 0.0  # each keeps to the bound that is nearer
        assert near[1] <= 1.0
        assert near[2] <= 9.0
        assert straightened(near - s, curve) == pytest.approx(np.full(3, change), rel=1e-6, abs=1e-9)
    small = curved(np.full(3, 1e-6), curve)
    assert small == pytest.approx(np.full(3, 1e-6), rel=1e-3)
    assert (
        curves(np.array([-1.0]), (np.zeros(1), np.ones(1)), np.ones(1)) == 0.0
    )  # what may be negative is drawn on straight


def test_reports_of_what_cannot_be_negative_never_are(compose: Any) -> None:
    simulator = simulator_of(compose(sugar=SUGAR, cells=CELLS))
    rows = lived(simulator, 300.0, GRAFTS).rows
    for name in ("mean_day", "breakfast", "highest", "lowest", "in_range"):
        assert rows[:, column(simulator, name)].min() >= 0.0, name
    assert rows[:, column(simulator, "in_range")].max() <= 1.0


def test_slopes_of_days_that_have_not_settled_are_those_of_settled_ones(sugar: Any) -> None:
    simulator = sugar(gap=1e-9, tolerance=1e-6)  # every day is a surprise
    current = born(simulator)
    stepper = current.slow.stepper
    life = run_task(stepper.opened(current.slow, 0.0))
    active = np.array([name == "cells.mass" for name in stepper.clocks.down])
    none = np.zeros(len(active), dtype=bool)
    for _ in range(6):  # a step that nobody feels, in a direction that is new each time
        v = life.base.day_inputs + 1e-6 * stepper.width * active
        seen, dawn = run_task(stepper._settled(life.parameters, life.base, v, life.base.midnight_state, 1, 1))
        life = run_task(stepper._moved(replace(life, known=none), v, seen, dawn))
        assert life.base.fresh
    settled = life.base
    off = 1.02 * settled.initial_midnight  # a day that begins elsewhere
    seen, dawn = run_task(stepper._settled(life.parameters, settled, settled.day_inputs, off, 1, 1))
    found = run_task(stepper._moved(replace(life, known=active), settled.day_inputs, seen, dawn)).base
    assert found.fresh
    assert found.summaries.tobytes() == seen.summaries.tobytes() != settled.summaries.tobytes()
    column_of = int(np.flatnonzero(active)[0])
    assert found.jacobian[:, column_of] == pytest.approx(settled.jacobian[:, column_of], rel=0.03)


def test_a_jump_in_a_direction_of_its_own_is_known_at_the_second_time(sugar: Any) -> None:
    simulator = sugar()
    courses = [Course("cells.rest", 1.2, 20.0, 60.0), Course("cells.rest", 1.2, 100.0, 140.0)]
    stretch = lived(simulator, 160.0, (), courses)
    assert stretch.current.slow.known.all()  # nothing moves it within a step
