"""Virtual tests on a tank whose answers are known on paper: what may be written, what it does, and what is refused."""

import math

import numpy as np
import pytest

from isletsim.challenges import bind_challenge, challenge, read_challenge
from isletsim.dosing import Dose
from isletsim.ensemble import run_task
from isletsim.errors import InputError
from isletsim.multiscale.simulator import MultiscaleSimulator
from isletsim.multiscale.step_control import StepControl

# Water runs in through a tap and out through a drain; a float follows the water, and the person has a weight.
TANK = """
clock = "day"
[uses]
body = ["weight"]
[inputs]
tap = { default = "0 mg/hour", unit = "mg/hour", about = "what runs in" }
[states]
water = { start = "0 mg", scale = "10 mg" }
[parameters]
drain = { value = "1 1/hour", assumed = "test" }
[quantities]
clock  = { law = "time", unit = "hour" }
heavy  = { law = "water * body.weight", unit = "mg*kg" }
[rates]
inflow  = "tap"
outflow = "drain * water"
[balance]
water = "inflow - outflow"
[doses.pour]
unit = "mg"
add  = { water = "1" }
"""

FLOAT = """
clock = "day"
[uses]
tank = ["water"]
[states]
height = { start = "0 mg", scale = "10 mg" }
[parameters]
speed = { value = "2 1/hour", assumed = "test" }
[rates]
following = "speed * (tank.water - height)"
[balance]
height = "following"
"""

BODY = """
clock = "years"
[uses]
tank = ["water"]
[states]
weight = { start = "2 kg", scale = "1 kg" }
[parameters]
memory = { value = "1 day", assumed = "test" }
[states.filtered]
start = "0 mg"
scale = "10 mg"
[rates]
tracking = "(mean(tank.water) - filtered) / memory"
[balance]
weight = ""
filtered = "tracking"
"""

USUAL = (Dose("tank.pour", 10.0, 7 / 24),)
FULL = (Dose("tank.pour", 10 * math.e, 7 / 24),)  # an hour later, when a test begins, the tank holds 10 mg

HEAD = """
title   = "A test"
assumed = "test"
start   = "08:00"
length  = "4 hour"
sample  = "1 min"
"""


@pytest.fixture
def give(tmp_path, compose):
    """Gives a test, by its text, to a person whose usual day pours 10 mg at 07:00."""

    def giver(text, head=HEAD, usual=USUAL, **others):
        for name, other in others.items():
            (tmp_path / f"{name}.toml").write_text(HEAD + other, encoding="utf-8")
        path = tmp_path / "tried.toml"
        path.write_text(head + text, encoding="utf-8")
        file = read_challenge(path)
        composition = compose(tank=TANK, float=FLOAT, body=BODY)
        test = bind_challenge(file, composition)
        simulator = MultiscaleSimulator(composition, 1e-6, StepControl())
        current = simulator.initial_state(np.array(composition.flat.values), {}, usual)
        return run_task(challenge(test, simulator, current, composition))

    return giver


def refused(give, text, **more):
    with pytest.raises(InputError) as caught:
        give(text, **more)
    return str(caught.value)


def test_a_course_goes_through_levels_in_steps(give):
    found = give("""
courses = [{ input = "tank.tap", level = [["0 min", "10 mg/hour"], ["2 hour", "0 mg/hour"]] }]
[reports]
before = { value = "tank.water", at = "0 min", unit = "mg" }
full   = { value = "tank.water", at = "2 hour", unit = "mg" }
empty  = { value = "tank.water", at = "3 hour", unit = "mg" }
""").reports
    start = 10 * math.exp(-1)
    full = 10 + (start - 10) * math.exp(-2)
    assert found["before"] == pytest.approx(start, rel=1e-4)
    assert found["full"] == pytest.approx(full, rel=1e-5)
    assert found["empty"] == pytest.approx(full * math.exp(-1), rel=1e-5)


def test_the_record_of_the_start_is_that_of_before(give):
    found = give(
        """
doses = [{ into = "tank.pour", amount = "10 mg", at = "0 min" }]
[reports]
start = { value = "tank.water", at = "0 min", unit = "mg" }
later = { value = "tank.water", at = "1 min", unit = "mg" }
""",
        usual=(),
    ).reports
    assert found["start"] == 0
    assert found["later"] == pytest.approx(10 * math.exp(-1 / 60), rel=1e-5)


def test_a_ramp_is_a_straight_line_between_its_points(give):
    found = give(
        """
courses = [{ input = "tank.tap", shape = "ramp", level = [["0 min", "0 mg/hour"], ["4 hour", "40 mg/hour"]] }]
[reports]
end = { value = "tank.water", at = "4 hour", unit = "mg" }
tap = { value = "tank.inflow", slope = ["0 min", "4 hour"], unit = "mg/hour**2" }
""",
        usual=(),
    ).reports
    # x' = 10 t - x from 0: x = 10 (t - 1 + exp(-t)).
    assert found["end"] == pytest.approx(10 * (3 + math.exp(-4)), rel=1e-3)
    assert found["tap"] == pytest.approx(10, rel=1e-2)


def test_an_amount_and_a_level_may_be_made_of_the_model_at_the_start(give):
    found = give("""
doses   = [{ into = "tank.pour", amount = "3 mg/kg * body.weight + 1 mg", at = "1 hour" }]
courses = [{ input = "tank.tap", level = "1 1/hour * tank.water" }]
[reports]
steady = { value = "tank.water", at = "59 min", unit = "mg" }
poured = { value = "tank.water", at = "60 min", unit = "mg" }
""").reports
    assert found["steady"] == pytest.approx(10 * math.exp(-1), rel=1e-4)
    assert found["poured"] - found["steady"] == pytest.approx(7, rel=1e-3)


def test_time_of_day_goes_on_and_a_test_may_last_for_days(give):
    head = HEAD.replace("4 hour", "50 hour")
    found = give(
        """
day = "usual"
[reports]
clock   = { value = "tank.clock", at = "0 min", unit = "hour" }
after   = { value = "tank.clock", at = "50 hour", unit = "hour" }
counted = { value = "time", at = "30 min", unit = "min" }
first   = { value = "tank.water", at = "23 hour", unit = "mg" }
second  = { value = "tank.water", at = "47 hour", unit = "mg" }
""",
        head=head,
    ).reports
    assert found["clock"] == pytest.approx(8)
    assert found["after"] == pytest.approx(58)
    assert found["counted"] == pytest.approx(30)
    assert found["first"] == pytest.approx(10, rel=1e-4)
    assert found["second"] == pytest.approx(10, rel=1e-4)


def test_a_test_may_bring_days_of_its_own_or_a_fast(give):
    head = HEAD.replace("4 hour", "48 hour")
    reports = """
[reports]
first  = { value = "tank.water", at = "10 hour", unit = "mg" }
second = { value = "tank.water", at = "34 hour", unit = "mg" }
"""
    own = give('day = [{ into = "tank.pour", amount = "2 mg/kg * body.weight", at = "18:00" }]\n' + reports, head=head)
    fast = give(reports, head=head)
    assert own.reports["first"] == pytest.approx(4, rel=1e-3)
    assert own.reports["second"] == pytest.approx(4, rel=1e-3)
    assert fast.reports["second"] == pytest.approx(0, abs=1e-6)


STATISTICS = {
    'mean = ["0 min", "2 hour"], unit = "mg"': 10 * (1 - math.exp(-2)) / 2,
    'area = ["0 min", "2 hour"], unit = "mg*hour"': 10 * (1 - math.exp(-2)),
    'area_above = ["0 min", "2 hour"], unit = "mg*hour"': 0.0,
    'area_change = ["0 min", "2 hour"], unit = "mg*hour"': 10 * (1 - math.exp(-2)) - 20,
    'highest = ["0 min", "2 hour"], unit = "mg"': 10.0,
    'lowest = ["0 min", "2 hour"], unit = "mg"': 10 * math.exp(-2),
    'time_of_lowest = ["0 min", "2 hour"], unit = "hour"': 2.0,
    'time_of_highest = ["0 min", "2 hour"], unit = "hour"': 0.0,
    'change = ["0 min", "2 hour"], unit = "mg"': 10 * (math.exp(-2) - 1),
    'decay = ["1 hour", "3 hour"], unit = "1/hour"': 1.0,
    'slope = ["0 min", "2 hour"], against = "tank.outflow", unit = "hour"': 1.0,
    'at = { when = "tank.water", falls_to = "50 %" }, unit = "mg"': 5.0,
    'at = { when = "tank.water", falls_to = "2 mg" }, unit = "mg"': 2.0,
}


@pytest.mark.parametrize(("written", "wanted"), STATISTICS.items(), ids=[each.split(" =")[0] for each in STATISTICS])
def test_a_statistic_of_a_draining_tank_is_that_of_an_exponential(give, written, wanted):
    found = give(f'[reports]\nx = {{ value = "tank.water", {written} }}', usual=FULL)
    assert found.reports["x"] == pytest.approx(wanted, rel=2e-3, abs=1e-6)


def test_a_report_may_be_an_expression_and_ask_for_the_time_of_a_crossing(give):
    found = give(
        """
[reports]
heavy = { value = "tank.water * body.weight", at = "0 min", unit = "g*kg" }
half  = { value = "time", at = { when = "tank.water", falls_to = "25 %", since = "1 hour" }, unit = "hour" }
never = { value = "time", at = { when = "tank.water", rises_to = "300 %" }, unit = "hour" }
""",
        usual=FULL,
    ).reports
    assert found["heavy"] == pytest.approx(0.02, rel=1e-4)
    assert found["half"] == pytest.approx(1 + math.log(4), rel=1e-3)
    assert math.isnan(found["never"])


def test_listed_samples_are_the_only_ones_that_areas_and_peaks_know(give):
    head = HEAD.replace('sample  = "1 min"', 'sample  = ["0 min", "1 hour", "3 hour"]')
    seen = give('[reports]\narea = { value = "tank.water", area = ["0 min", "3 hour"], unit = "mg*hour" }', head, FULL)
    after = [10 * math.exp(-hours) for hours in (0, 1, 3)]
    assert seen.reports["area"] == pytest.approx((after[0] + after[1]) / 2 + (after[1] + after[2]), rel=1e-4)
    assert seen.minutes.tolist() == pytest.approx([0, 60, 180, 240])


def test_an_input_may_repeat_the_curve_of_another_test(give):
    found = give(
        """
replays = "first"
courses = [{ input = "tank.tap", replay = "tank.outflow" }]
[reports]
water = { value = "tank.water", at = "2 hour", unit = "mg" }
""",
        usual=FULL,
        first='show = ["tank.outflow"]',
    ).reports
    # x' = 10 exp(-t) - x from 10: x = 10 (1 + t) exp(-t).
    assert found["water"] == pytest.approx(30 * math.exp(-2), rel=1e-3)


def test_a_module_alone_follows_what_it_is_given(give):
    found = give(
        """
module = "float"
[given]
"tank.water" = { table = [[0, 0], [4, 8]], units = ["hour", "mg"] }
[reports]
height = { value = "float.height", at = "4 hour", unit = "mg" }
water  = { value = "tank.water", at = "2 hour", unit = "mg" }
""",
        usual=(),
    ).reports
    # h' = 2 (2 t - h) from 0: h = 2 t - 1 + exp(-2 t).
    assert found["height"] == pytest.approx(7 + math.exp(-8), rel=1e-4)
    assert found["water"] == pytest.approx(4)


def test_what_a_module_alone_is_not_given_stays_as_it_was_that_morning(give):
    found = give("""
module = "float"
[reports]
height = { value = "float.height", at = "4 hour", unit = "mg" }
water  = { value = "tank.water", at = "4 hour", unit = "mg" }
""").reports
    morning = 10 * math.exp(-1)
    assert found["water"] == pytest.approx(morning, rel=1e-4)
    assert found["height"] == pytest.approx(morning, rel=1e-2)


REFUSED = {
    'courses = [{ input = "tank.tap", level = [["1 hour", "1 mg/hour"], ["0 min", "2 mg/hour"]] }]': "do not go up",
    'courses = [{ input = "tank.tap", level = [] }]': "has no levels",
    'courses = [{ input = "tank.tap", level = "1 mg/hour", shape = "ramp" }]': "one level has no shape",
    'courses = [{ input = "tank.tap", level = "2 * body.memory" }]': "expected",
    'courses = [{ input = "tank.tap", level = "2 1/hour * tank.wine" }]': 'nothing called "tank.wine"',
    'doses = [{ into = "tank.pour", amount = "3 * body.memory", at = "0 min" }]': "expected",
    'day = "always"': 'expected "usual"',
    'day = [{ into = "tank.pour", amount = "1 mg" }]': "a time of day",
    'replays = "nobody"': "nobody",
    'courses = [{ input = "tank.tap", replay = "tank.outflow" }]': "a test that replays another",
    'module = "bath"': 'no file "bath"',
    'module = "body"': "no state that moves within the day",
    '[given]\n"tank.water" = "1 mg"': "belongs to a module",
    'module = "float"\n[given]\n"tank.outflow" = "1 mg/hour"': "reads it",
    'module = "float"\n[given]\n"tank.water" = { table = [[0, 1]], units = ["min", "mg"] }': "expected points",
    'module = "float"\n[given]\n"tank.water" = { table = [[0, 1], [0, 2]], units = ["min", "mg"] }': "do not go up",
    '[reports]\nx = { value = "tank.water" }': "needs one of",
    '[reports]\nx = { value = "tank.water", at = "0 min", mean = ["0 min", "1 min"] }': "needs one of",
    '[reports]\nx = { value = "tank.water", area = ["0 min", "1 min"], unit = "mg" }': "expected",
    '[reports]\nx = { value = "tank.water", mean = ["0 min", "9 hour"] }': "outside the test",
    '[reports]\nx = { value = "tank.water + body.memory", at = "0 min" }': "[mass]",
    '[reports]\nx = { value = "tank.water", at = { when = "tank.water" } }': "falls_to",
}


def test_samples_that_do_not_go_up_are_refused(give):
    head = HEAD.replace('sample  = "1 min"', 'sample  = ["1 hour", "0 min"]')
    with pytest.raises(InputError, match="do not go up"):
        give("", head)


@pytest.mark.parametrize(("text", "said"), REFUSED.items())
def test_what_makes_no_sense_is_refused_with_its_reason(give, text, said):
    message = refused(give, text)
    assert said in message
    assert "tried.toml" in message or "nobody" in message


def test_a_test_that_replays_itself_is_refused(give, tmp_path):
    message = refused(give, 'replays = "tried"\ncourses = [{ input = "tank.tap", replay = "tank.outflow" }]')
    assert "replay one another" in message
