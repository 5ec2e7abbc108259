"""Days of an arm's own: what every day brings may change at a midnight, and change back."""

import numpy as np
import pytest
from two_clock_models import CELLS, MEALS, SUGAR, column, lived, simulator_of

from isletsim.dosing import Dose
from isletsim.errors import InputError
from isletsim.study import load_scenario

FEWER = (Dose("sugar.meal", 10.0, 0.5),)

SCENARIO = """
title   = "Days of an arm's own"
patient = "healthy_lean"
until   = "14 day"
save    = "1 day"
[arms.usual]
[arms.own]
{entries}
"""


@pytest.fixture
def simulator_with(compose):
    return lambda **rules: simulator_of(compose(sugar=SUGAR, cells=CELLS), **rules)


@pytest.mark.parametrize("every_day", [False, True])
def test_a_life_has_the_days_it_is_given_from_their_midnight_on(simulator_with, every_day):
    simulator = simulator_with(every_day=every_day)
    usual = lived(simulator, 20.0).rows[:, column(simulator, "mean_day")]
    changed = lived(simulator, 20.0, days={5.0: FEWER, 12.0: MEALS}).rows[:, column(simulator, "mean_day")]
    assert changed[:5] == pytest.approx(usual[:5], rel=1e-3)
    assert (changed[7:12] < 0.8 * usual[7:12]).all()
    assert changed[16:] == pytest.approx(usual[16:], rel=2e-2)


def test_days_from_the_start_are_as_good_as_a_patient_who_lives_so(simulator_with):
    simulator = simulator_with()
    changed = lived(simulator, 30.0, days={0.0: FEWER})
    flat = simulator.composition.flat
    other = simulator.initial_state(np.array(flat.values), {}, FEWER)
    wanted = lived(simulator, 30.0, current=other)
    place = column(simulator, "mass")
    assert changed.rows[-1, place] == pytest.approx(wanted.rows[-1, place], rel=1e-3)


def test_days_after_the_end_of_a_run_do_nothing(simulator_with):
    simulator = simulator_with()
    plain, late = lived(simulator, 10.0), lived(simulator, 10.0, days={10.0: FEWER, 50.0: FEWER})
    assert late.time == 10.0
    assert np.array_equal(plain.rows, late.rows)


def scenario(tmp_path, entries):
    path = tmp_path / "own.toml"
    path.write_text(SCENARIO.format(entries=entries))
    return load_scenario(path)


def days_of(tmp_path, entries):
    (arm,) = [arm for arm in scenario(tmp_path, entries).plan.arms if arm.name == "own"]
    return arm.days


def test_a_fast_of_two_days_replaces_what_the_patient_eats_and_ends(tmp_path):
    days = days_of(tmp_path, 'day = [{ replace = true, from = "3 day", until = "5 day" }]')
    assert list(days) == [3.0, 5.0]
    assert days[3.0] == ()
    assert len(days[5.0]) == 3


def test_a_snack_is_added_and_one_port_is_replaced(tmp_path):
    snack = '{ into = "gut.glucose", amount = "20 g", at = "16:00" }'
    added = days_of(tmp_path, f"day = [{snack}]")[0.0]
    assert [dose.port for dose in added].count("gut.share") == 3
    instead = days_of(tmp_path, f'day = [{snack[:-2]}, replace = ["gut.share"] }}]')[0.0]
    assert [dose.port for dose in instead] == ["gut.glucose"]
    assert instead[0].time == pytest.approx(16 / 24)


def test_the_plan_tells_the_days_of_an_arm(tmp_path):
    text = scenario(tmp_path, 'day = [{ replace = true, from = "3 day", until = "5 day" }]').describe()
    assert "every day from day 3: nothing" in text
    assert "every day from day 5: gut.share" in text


REFUSED = {
    'day = [{ replace = true, from = "5 day", until = "3 day" }]': "end before they begin",
    'day = [{ replace = true, from = "5 day 08:00" }]': "change at midnight",
    'day = [{ from = "5 day" }]': "gives nothing and replaces nothing",
    'day = [{ into = "gut.share", amount = "0.1" }]': "not a time of day",
    'day = [{ into = "gut.share", amount = "0.1", at = "30 hour" }]': "not a time of day",
    'day = [{ replace = ["gut.wine"] }]': 'no port "gut.wine"',
    "day = [3]": "expected a table",
    "day = 3": "expected [[arms.NAME.day]]",
}


@pytest.mark.parametrize(("entries", "said"), REFUSED.items())
def test_days_that_make_no_sense_are_refused_with_their_reason(tmp_path, entries, said):
    with pytest.raises(InputError) as caught:
        scenario(tmp_path, entries)
    assert said in str(caught.value)


def test_a_fast_lowers_fasting_glucose_and_food_brings_it_back(tmp_path):
    loaded = scenario(tmp_path, 'day = [{ replace = true, from = "3 day", until = "6 day" }]')
    result = loaded.run(every_day=True, explain=False)
    (place,) = (number for number, each in enumerate(result.variables) if each.name == "glucose_fasting")
    fasting = result.values[1, 0, :, place]
    assert fasting[6] < fasting[3] - 0.3
    assert fasting[14] == pytest.approx(fasting[3], abs=0.15)
