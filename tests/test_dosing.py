"""What happens when: five words, the order at one instant, infusions, and doses that arrive whole."""

import math

import numpy as np
import pytest
from example_models import CLINIC, POOL, write
from hypothesis import given, settings
from hypothesis import strategies as st

import isletsim
from isletsim.dosing import (
    Course,
    Dose,
    at_instants,
    describe_dose,
    infusion,
    read_dosing_table,
    scheduled_events,
    to_schedule,
)
from isletsim.errors import InputError
from isletsim.units import on_grid


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    paths = write(tmp_path_factory.mktemp("models"), pool=POOL, clinic=CLINIC)
    return {name: isletsim.load_model(path) for name, path in paths.items()}


def levels(composition, doses=(), courses=(), name="", **more):
    """The levels that a parameter is set to, as (time, level)."""
    place = composition.flat.parameters.index(name)
    stops = scheduled_events(composition, doses, courses, **more)
    return [(stop.time, stop.amount) for stop in stops.entries if stop.kind == 2 and stop.index == place]


# --- reading ----------------------------------------------------------------------------------------------------------


@given(
    amount=st.integers(0, 1000),
    at=st.integers(0, 1000),
    every=st.integers(1, 100),
    times=st.integers(1, 50),
)
def test_five_words_give_the_whole_list(models, amount, at, every, times):
    document, read = reader(models["pool"])
    found = read(
        [{"into": "bolus", "amount": f"{amount} mg", "at": f"{at} day", "every": f"{every} day", "times": times}]
    )
    assert not document.faults
    assert found == [Dose("pool.bolus", float(amount), float(at + number * every)) for number in range(times)]


def reader(model, whole=True):
    from pathlib import Path

    from isletsim.dosing import read_doses
    from isletsim.language import TomlDocument

    document = TomlDocument(Path("here"), "here", {}, "", {})
    return document, lambda items: read_doses(document, items, ("doses",), model.composition, whole)


@pytest.mark.parametrize(
    ("text", "day"),
    [("3 month", 91), ("6 month", 183), ("1 year", 365), ("1.5 week", 11), ("2 day 08:00", 2 + 1 / 3), ("06:00", 0.25)],
)
def test_times_of_a_study_are_whole_days_and_a_time_of_day(models, text, day):
    document, read = reader(models["pool"])
    found = read([{"into": "pool.bolus", "amount": "1 mg", "at": text}])
    assert not document.faults
    assert found[0].time == pytest.approx(day)


@pytest.mark.parametrize(
    ("regimen", "told"),
    [
        ({}, "does not say into which port"),
        ({"into": "pool.bolos", "amount": "1 mg"}, 'Did you mean "pool.bolus"?'),
        ({"into": "bolus"}, 'Write amount = "1 mg"'),
        ({"into": "bolus", "amount": "1 mL"}, "expected [mass]"),
        ({"into": "bolus", "amount": "-1 mg"}, "not negative"),
        ({"into": "bolus", "amount": "1 mg", "at": "-1 day"}, "before the start"),
        ({"into": "bolus", "amount": "1 mg", "at": "12 hour"}, 'Write a time of day as "2 day 08:00"'),
        ({"into": "bolus", "amount": "1 mg", "at": "1 day 25:00"}, "not a time of day"),
        ({"into": "bolus", "amount": "1 mg", "at": "1e9 year"}, "beyond any lifetime"),
        ({"into": "bolus", "amount": "1 mg", "times": 3}, "every and times stand together"),
        ({"into": "bolus", "amount": "1 mg", "every": "1 day"}, "every and times stand together"),
        ({"into": "bolus", "amount": "1 mg", "every": "0 day", "times": 3}, "the interval is not positive"),
        ({"into": "bolus", "amount": "1 mg", "every": "1 day", "times": 0}, "a whole number from 1"),
        ({"into": "bolus", "amount": "1 mg", "over": "0 min"}, "an infusion lasts"),
        ({"into": "bolus", "amount": "1 mg", "colour": "red"}, 'unknown key "colour"'),
        ("a text", "expected a table"),
    ],
)
def test_a_regimen_that_cannot_be_meant_is_told_with_its_cure(models, regimen, told):
    document, read = reader(models["pool"])
    assert read([regimen]) == []
    assert told in "\n".join(str(fault) for fault in document.faults)


def test_a_port_that_only_multiplies_takes_no_amount_and_no_time(models):
    document, read = reader(models["clinic"])
    assert read([{"into": "wash"}]) == [Dose("clinic.wash", 1.0, 0.0)]
    assert not document.faults
    read([{"into": "wash", "amount": "1", "over": "1 hour"}])
    assert [fault.message for fault in document.faults] == [
        "clinic.wash only multiplies; it takes no amount.",
        "clinic.wash only multiplies; it cannot be an infusion.",
    ]


def test_doses_are_said_in_the_unit_of_the_port(models):
    composition = models["pool"].composition
    assert describe_dose(Dose("pool.bolus", 3.0, 0.0), composition) == "3 mg"
    assert describe_dose(Dose("pool.bolus", 3.0, 0.0, 0.5), composition) == "3 mg over 720 min"


# --- one instant ------------------------------------------------------------------------------------------------------

AT_ONE = [
    {"into": "fill", "amount": "2 mg", "at": "1 day"},
    {"into": "pour", "amount": "5 mg", "at": "1 day"},
    {"into": "wash", "at": "1 day"},
]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [0, 2, 1]])
def test_at_one_instant_levels_then_factors_then_additions_then_visits(models, order):
    run = models["clinic"].simulate(
        until="2 day",
        save=["0 day", "0.5 day", "1 day", "2 day"],
        doses=[AT_ONE[place] for place in order],
        courses=[{"input": "level", "level": "3", "from": "1 day"}],
        visits=["1 day"],
    )
    # 8, halved, and 2: 6 when `filled` is revised; with 5 more 11 when `poured` is, and twice 5 at the level 3 beside.
    assert run["store"].tolist() == [8, 8, 11, 11]
    assert run["filled"].tolist() == [0, 0, 6, 6]
    assert run["poured"].tolist() == [0, 0, 11, 11]
    assert run["other"].tolist() == [0, 0, 30, 30]
    assert run["visited"][2] == 11 + 100 * 6 + 10000 * 30


def test_additions_are_done_in_the_order_of_the_list(models):
    doses = [AT_ONE[1], AT_ONE[0]]
    run = models["clinic"].simulate(until="2 day", save=["1 day"], doses=doses)
    assert (run["poured"][0], run["filled"][0]) == (13, 15)


def test_the_first_row_is_taken_before_the_first_dose_and_every_other_after(models):
    doses = [{"into": "bolus", "amount": "1 mg", "at": "0 day", "every": "1 day", "times": 4}]
    run = models["pool"].simulate(until="3 day", save="1 day", doses=doses)
    assert run["pool"].tolist() == [0, 2, 3, 4]


def test_times_that_are_as_good_as_equal_are_one_instant(models):
    # 0.1 + 0.1 + 0.1 is not 0.3 in binary, and a record at either is taken after both doses.
    doses = [
        {"into": "fill", "amount": "1 mg", "at": "0.1 day", "every": "0.1 day", "times": 3},
        {"into": "wash", "at": "0.3 day"},
    ]
    assert 0.1 + 2 * 0.1 != 0.3
    for save in ([0.3, 1.0], [0.1 + 2 * 0.1, 1.0], "0.1 day"):
        run = models["clinic"].simulate(until="1 day", save=save, doses=doses)
        assert run.at(0.3)["store"] == 6  # (8 + 1 + 1) / 2 + 1


def test_a_held_value_is_revised_when_an_infusion_begins(models):
    run = models["clinic"].simulate(
        until="2 day", save="1 day", doses=[{"into": "fill", "amount": "2 mg", "at": "0.5 day", "over": "1 day"}]
    )
    assert run["filled"].tolist() == [0, 8, 8]
    assert run["store"].tolist() == pytest.approx([8, 9, 10], rel=1e-14)


# --- infusions --------------------------------------------------------------------------------------------------------


def test_infusions_sum_up_and_end_at_exactly_zero(models):
    composition = models["pool"].composition
    doses = [Dose("pool.bolus", 0.1, 0.0, 1.0), Dose("pool.bolus", 0.2, 0.5, 1.0), Dose("pool.bolus", 0.7, 0.75, 0.1)]
    found = levels(composition, doses, name="pool.bolus:flow")
    assert [time for time, _ in found] == pytest.approx([0, 0.5, 0.75, 0.85, 1.0, 1.5])
    assert [rate for _, rate in found] == pytest.approx([0.1, 0.3, 7.3, 0.3, 0.2, 0])
    assert found[-1][1] == 0.0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(1e-5, 20), st.floats(0, 1e6)), min_size=1, max_size=12))
def test_the_rate_is_zero_after_the_last_infusion(models, infusions):
    doses = [Dose("pool.bolus", amount, time, over) for time, over, amount in infusions]
    found = levels(models["pool"].composition, doses, name="pool.bolus:flow")
    assert found[-1][1] == 0.0
    assert all(rate >= 0.0 for _, rate in found)


def test_a_hundred_thousand_infusions_are_put_in_order_at_once(models):
    doses = [Dose("pool.bolus", 1.0, 0.01 * number, 0.02) for number in range(100_000)]
    assert len(levels(models["pool"].composition, doses, name="pool.bolus:flow")) > 100_000


regimens = st.fixed_dictionaries(
    {
        "amount": st.floats(1e-3, 1e6).map(lambda amount: f"{amount!r} mg"),
        "at": st.floats(0, 40).map(lambda time: f"{time:.9f} day"),
        "every": st.floats(0.001, 5).map(lambda time: f"{time:.9f} day"),
        "times": st.integers(1, 8),
    },
    optional={"over": st.floats(1e-4, 3).map(lambda time: f"{time:.9f} day")},
)
grids = st.one_of(
    st.none(),
    st.floats(0.05, 30),
    st.lists(st.floats(0, 90).map(on_grid), min_size=1, max_size=20, unique=True).map(sorted),
)


@settings(max_examples=150)
@given(doses=st.lists(regimens, min_size=1, max_size=4), grid=grids)
def test_what_is_prescribed_is_what_is_delivered_on_any_grid(models, doses, grid):
    doses = [{"into": "bolus", **dose} for dose in doses]
    prescribed = math.fsum(float(dose["amount"].split()[0]) * dose["times"] for dose in doses)
    run = models["pool"].simulate(until="90 day", save=grid, doses=doses)
    delivered = run.last["pool"].value
    assert delivered == pytest.approx(prescribed, rel=1e-12)
    assert np.all(np.diff(run["pool"]) >= 0)


@settings(max_examples=30)
@given(doses=st.lists(regimens, min_size=1, max_size=3), grid=grids)
def test_results_do_not_depend_on_the_grid(models, doses, grid):
    doses = [{"into": "fill", **dose} for dose in doses]
    one = models["clinic"].simulate(until="90 day", save=[45.0, 90.0], doses=doses)
    two = models["clinic"].simulate(until="90 day", save=grid, doses=doses)
    assert np.array_equal(one.last.state, two.last.state)
    assert one.counts == two.counts


def test_results_of_a_stiff_model_do_not_depend_on_the_grid():
    model = isletsim.load_model("topp2000")
    start = {"G": "150 mg/dL", "I": "12 uU/mL", "B": "150 mg"}
    coarse = model.simulate(until="40 day", save="20 day", start=start)
    fine = model.simulate(until="40 day", save="0.1 day", start=start)
    for symbol in "GIB":
        assert fine.at("20 day")[symbol] == coarse.at("20 day")[symbol]
        assert fine[symbol][-1] == coarse[symbol][-1]


# --- courses ----------------------------------------------------------------------------------------------------------


def course_levels(models, courses, **more):
    return levels(models["clinic"].composition, (), courses, "clinic.level", **more)


def test_a_course_falls_back_to_the_default(models):
    assert course_levels(models, [Course("clinic.level", 3, 1, 2)]) == [(1, 3), (2, 1)]
    assert course_levels(models, [Course("clinic.level", 3, 1, 2)], neutral={"clinic.level": 7.0}) == [(1, 3), (2, 7)]


def test_of_two_open_courses_the_later_counts_and_gives_back_to_the_earlier(models):
    courses = [Course("clinic.level", 3, 1, 9), Course("clinic.level", 5, 2, 4)]
    assert course_levels(models, courses) == [(1, 3), (2, 5), (4, 3), (9, 1)]
    follow = [Course("clinic.level", 3, 1, 2), Course("clinic.level", 5, 2, 4)]
    assert course_levels(models, follow) == [(1, 3), (2, 5), (4, 1)]


def test_a_course_that_is_open_when_a_run_begins_is_set_there(models):
    courses = [{"input": "level", "level": "4", "from": "0 day", "until": "7 day"}]
    run = models["clinic"].simulate(begin="5 day", until="9 day", save="1 day", courses=courses)
    assert run["level"].tolist() == [1, 4, 1, 1, 1]  # the first row is taken before anything happens
    assert course_levels(models, [Course("clinic.level", 4, 0, 3)], begin=5.0) == []


def test_a_run_that_begins_within_an_infusion_gets_the_rest_of_it(models):
    doses = [{"into": "bolus", "amount": "4 mg", "at": "0 day", "over": "4 day"}]
    run = models["pool"].simulate(begin="1 day", until="6 day", doses=doses)
    assert run.last["pool"].value == pytest.approx(3, rel=1e-14)


@pytest.mark.parametrize(
    ("course", "told"),
    [
        ({"input": "level"}, "needs input and level"),
        ({"input": "levle", "level": "1"}, 'Did you mean "level"?'),
        ({"input": "store", "level": "1"}, "there is no input"),
        ({"input": "level", "level": "1 mg"}, "expected a pure number"),
        ({"input": "level", "level": "1", "from": "2 day", "until": "1 day"}, "ends before it begins"),
        ({"input": "level", "level": "1", "from": "-2 day"}, "before the start"),
    ],
)
def test_a_course_that_cannot_be_meant_is_told(models, course, told):
    with pytest.raises(InputError) as wrong:
        models["clinic"].simulate(until="1 day", courses=[course])
    assert told in str(wrong.value)


# --- the schedule -----------------------------------------------------------------------------------------------------


def test_a_schedule_holds_what_falls_on_its_ends_and_nothing_beyond(models):
    composition = models["pool"].composition
    stops = scheduled_events(composition, [Dose("pool.bolus", 1.0, float(day)) for day in range(5)])
    schedule = to_schedule(stops, [], 1.0, 3.0)
    assert schedule.times.tolist() == [1, 2, 3]
    assert schedule.first.tolist() == [0, 1, 2, 3]


def test_bare_stops_join_a_schedule_where_nothing_else_happens(models):
    stops = scheduled_events(models["pool"].composition, [Dose("pool.bolus", 1.0, 2.0), Dose("pool.bolus", 1.0, 2.0)])
    bare = [0.0, 0.5, 2.0, 2.5, 2.5 + 1e-12, 4.0]
    schedule = to_schedule(stops, bare, 0.0, 4.0)
    assert schedule.times.tolist() == [0.5, 2.0, 2.5 + 1e-12]
    assert schedule.first.tolist() == [0, 0, 2, 2]
    assert to_schedule(scheduled_events(models["pool"].composition, []), bare, 0.0, 4.0).first.tolist() == [0, 0, 0, 0]


def test_visits_pass_over_files_that_take_no_part(models):
    composition = models["clinic"].composition
    assert len(scheduled_events(composition, [], (), [1.0, 2.0]).entries) == 2
    assert scheduled_events(composition, [], (), [1.0, 2.0], absent={"clinic"}).entries == ()


def test_an_infusion_is_a_course_of_the_rate(models):
    course = infusion(Dose("pool.bolus", 3.0, 1.0, 1.5), models["pool"].composition)
    assert course == Course("pool.bolus:flow", 2.0, 1.0, 2.5)


def test_records_move_only_onto_the_instants_they_mean(models):
    stops = scheduled_events(models["pool"].composition, [Dose("pool.bolus", 1.0, 0.3)])
    save = np.array([0.1, 0.1 + 2 * 0.1, 0.5])
    assert at_instants(save, stops).tolist() == [0.1, 0.3, 0.5]
    assert save[1] != 0.3


@pytest.mark.parametrize("amount", ["153 mg", "1e6 mg"])
@pytest.mark.parametrize("over", ["0.1 day", "1 day", "3 day"])
def test_a_flood_into_a_state_of_tiny_scale_starts_from_the_shortest_step_and_grows(models, amount, over):
    # The first step was so short that the rounding of the time looked like a stop, and it never grew again.
    run = models["pool"].simulate(
        until="90 day", doses=[{"into": "bolus", "amount": amount, "at": "1 day", "over": over}]
    )
    assert run.counts["steps"] < 60
    assert run.last["pool"].value == pytest.approx(float(amount.split()[0]), rel=1e-13)


# --- words of dosing tables ---

COMPARTMENT = """
title = "One compartment with first-order elimination"
assumed = "for tests"
[states]
central = { start = "0 mg", scale = "1 mg" }
[parameters]
share = { value = "1", assumed = "all of it" }
elimination = { value = "0.1 1/hour", assumed = "for tests" }
[rates]
eliminated = "elimination * central"
[balance]
central = "-eliminated"
[doses.bolus]
unit = "mg"
add = { central = "share" }
"""


@pytest.fixture(scope="module")
def compartment(tmp_path_factory):
    return isletsim.load_model(write(tmp_path_factory.mktemp("dosing"), compartment=COMPARTMENT)["compartment"])


def test_a_rate_and_a_duration_give_the_same_infusion(compartment):
    infusion = {"into": "bolus", "amount": "100 mg", "at": "1 hour"}
    one = compartment.simulate(until="12 hour", doses=[{**infusion, "over": "4 hour"}])
    two = compartment.simulate(until="12 hour", doses=[{**infusion, "rate": "25 mg/hour"}])
    assert np.array_equal(one["central"], two["central"])
    peak = 25.0 / 0.1 * (1.0 - math.exp(-0.4))
    assert compartment.simulate(until="5 hour", doses=[{**infusion, "rate": "25 mg/hour"}])["central"][
        -1
    ] == pytest.approx(peak, rel=1e-5)


def test_a_lag_delays_every_dose(compartment):
    doses = {"into": "bolus", "amount": "10 mg", "every": "6 hour", "times": 2}
    late = compartment.simulate(until="8 hour", save="1 hour", doses=[{**doses, "lag": "90 min"}])
    assert late.at("1 hour")["central"] == 0.0
    assert late.at("2 hour")["central"] == pytest.approx(10 * math.exp(-0.05), rel=1e-5)
    assert late.at("8 hour")["central"] == pytest.approx(10 * math.exp(-0.65) + 10 * math.exp(-0.05), rel=1e-5)


def test_a_regimen_in_steady_state_starts_at_its_trough(compartment):
    doses = [{"into": "bolus", "amount": "100 mg", "every": "8 hour", "times": 3, "steady_state": True}]
    run = compartment.simulate(until="24 hour", save="8 hour", doses=doses)
    trough = 100.0 / (math.exp(0.8) - 1.0)  # a geometric sum
    assert run["central"][0] == pytest.approx(trough, rel=1e-4)
    assert run["central"][1:3] == pytest.approx(trough + 100.0, rel=1e-4)
    assert run["central"][3] == pytest.approx(trough, rel=1e-4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rate": "25 mg/hour", "over": "4 hour"}, "both over and rate"),
        ({"rate": "25 hour"}, "expected"),
        ({"rate": "0 mg/hour"}, "an infusion lasts"),
        ({"lag": "-1 hour"}, "the lag is negative"),
        ({"steady_state": True}, "needs one interval"),
        ({"steady_state": 1, "every": "1 day", "times": 2}, "neither true nor false"),
        ({"steady_state": True, "every": "1 day", "times": 2, "at": "1 day"}, "not at the beginning"),
    ],
)
def test_words_of_dosing_tables_that_do_not_fit_are_refused(compartment, changed, said):
    with pytest.raises(InputError, match=said):
        compartment.simulate(until="3 day", doses=[{"into": "bolus", "amount": "100 mg", **changed}])


TABLE = """ID,TIME [hour],EVID,AMT [mg],RATE [mg/hour],ADDL,II [hour],SS,CMT,DV [mg]
1,0,1,100,0,2,8,1,1,.
1,4,0,.,.,.,.,.,.,120.5
2,0,1,100,25,0,0,0,1,.
2,1,0,.,.,.,.,.,.,22
"""


def test_a_table_in_the_columns_of_nonmem_becomes_doses_and_measurements(compartment, tmp_path):
    path = tmp_path / "trial.csv"
    path.write_text(TABLE, encoding="utf-8")
    found = read_dosing_table(path, {"AMT": {"1": "bolus"}}, ["DV"])
    assert list(found) == ["1", "2"]
    assert found["2"].doses == ({"into": "bolus", "amount": "100.0 mg", "at": "0.0 hour", "rate": "25.0 mg/hour"},)
    assert [(each.time, each.value) for each in found["1"].measurements] == [(4 / 24, "120.5 mg")]
    run = compartment.simulate(until="1 day", save="8 hour", doses=found["1"].doses)
    assert run["central"][0] == pytest.approx(100.0 / (math.exp(0.8) - 1.0), rel=1e-4)


def test_a_diary_has_a_column_for_each_kind_of_dose(tmp_path):
    path = tmp_path / "diary.csv"
    path.write_text(
        "TIME (min),carbs (g),bolus (U),glucose (mg/dL)\n0,50,4,110\n30,,,160\n300,20,,95\n", encoding="utf-8"
    )
    found = read_dosing_table(path, {"carbs": "gut.meal", "bolus": "depots.bolus"}, ["glucose"])["1"]
    assert [(dose["into"], dose["amount"], dose["at"]) for dose in found.doses] == [
        ("gut.meal", "50.0 g", "0.0 min"),
        ("depots.bolus", "4.0 U", "0.0 min"),
        ("gut.meal", "20.0 g", "300.0 min"),
    ]
    assert [each.value for each in found.measurements] == ["110.0 mg/dL", "160.0 mg/dL", "95.0 mg/dL"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("AMT [mg]", "AMT", 'column "AMT"\ndoes not say its unit'),
        ("TIME [hour]", "TIME", 'column "TIME"\ndoes not say its unit'),
        ("DV [mg]", "DW [mg]", 'has no column "DV"'),
        ("1,0,1,100", "1,0,3,100", "EVID 3 is not supported"),
        ("1,4,0", "1,later,0", '"later" is not a number'),
        ("2,0,1,100,25", "2,0,1,100,-2", "RATE -2 is not supported"),
        ("100,0,2,8,1,1", "100,0,2,0,1,1", "need an interval"),
        ("0,0,0,1,.", "0,0,0,7,.", "no port is given for CMT 7"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_by_place(tmp_path, old, new, said):
    path = tmp_path / "trial.csv"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as wrong:
        read_dosing_table(path, {"AMT": {"1": "bolus"}}, ["DV"])
    assert said in str(wrong.value)
