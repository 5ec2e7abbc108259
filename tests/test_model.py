"""One model from Python: names, symbols, units, legs, held values, periods, knots, and what is not understood."""

import threading

import numpy as np
import pytest
from example_models import CLINIC, DRUG, SUGAR, write

import isletsim
from isletsim.dosing import breakpoints
from isletsim.errors import InputError, RunError
from isletsim.units import Quantity, days, unit

TOPP = {"G": "100 mg/dL", "I": "10 uU/mL", "B": "150 mg"}

CIRCADIAN = """
title = "A day that repeats, and data"
assumed = "for tests"
[states]
fed = { start = "0 mg" }
drip = { start = "0 mg" }
counted = { start = "0 mg" }
[parameters]
morning = { value = "8 hour", assumed = "for tests" }
day = { value = "1 day", assumed = "for tests" }
meal = { value = "1 hour", assumed = "for tests" }
speed = { value = "1 mg/hour", assumed = "for tests" }
curve = { table = [[0, 0], [1, 5], [3, 5], [4, 0]], units = ["day", "mg/day"], assumed = "for tests" }
[doses.bell]
unit = "mg"
add = { drip = "1" }
[rates]
eating = "where(mod(time - morning, day) < meal, speed, 0 * speed)"
dripping = "table(time, curve)"
moving = "where(mod(time - counted / speed, day) < meal, speed, speed)"
[balance]
fed = "eating"
drip = "dripping"
counted = "moving"
"""

BLAST = """
title = "A state that blows up"
assumed = "for tests"
[states]
heat = { start = "1 mg" }
[parameters]
feedback = { value = "1 1/mg/day", symbol = "a", assumed = "for tests" }
[rates]
growth = "feedback * heat ** 2"
[balance]
heat = "growth"
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    texts = {"sugar": SUGAR, "drug": DRUG, "clinic": CLINIC, "circadian": CIRCADIAN, "blast": BLAST}
    paths = write(tmp_path_factory.mktemp("models"), **texts)
    found = {name: isletsim.load_model(path) for name, path in paths.items()}
    return found | {"both": isletsim.load_model([paths["sugar"], paths["drug"]])}


@pytest.fixture(scope="module")
def topp():
    return isletsim.load_model("topp2000")


# --- names, symbols, units --------------------------------------------------------------------------------------------


def test_a_thing_is_found_by_name_by_qualified_name_and_by_symbol(models):
    run = models["sugar"].simulate(until="10 day", save="1 day", start={"S": "6 mg"}, set={"k": "1.2 mg/day"})
    for name in ("S", "sugar.sugar", "sugar"):
        assert run[name][0] == 6
    assert run["gain"].tolist() == [1.2] * 11
    assert run["rest"] == pytest.approx([6] * 11)
    assert run["rise"] == pytest.approx([1.2] * 11)
    assert run["S"] == pytest.approx([6] * 11)


def test_values_go_in_and_come_out_in_units(topp):
    run = topp.simulate(until="1 day", save="1 day", start=TOPP | {"B": "0.15 g"})
    assert run.unit("B") == "mg"
    assert run["B"][0] == pytest.approx(150)
    assert topp.simulate(until="1 day", save="1 day", start=TOPP)["B"].tolist() == run["B"].tolist()
    # Amounts of insulin and of glucose are masses too: 6 pmol are 1 uU, 1 mmol of glucose 180 mg.
    same = topp.simulate(until="1 day", save="1 day", start=TOPP | {"I": "60 pmol/L"})
    assert same["I"][0] == pytest.approx(10)


def test_numbers_and_quantities_are_taken_where_they_are_meant(models):
    start = {"S": Quantity(6.0, unit("mg"))}
    run = models["both"].simulate(until=2.0, save=1, start=start, set={"effect": 0.5, "taken": np.float32(1)})
    assert (run["S"][0], run["effect"][0]) == (6, 0.5)
    with pytest.raises(InputError, match=r'Write "6\.0 mg"'):
        models["both"].simulate(until=2.0, start={"S": 6})


def test_a_chain_is_a_column_a_class():
    run = isletsim.load_model("hba1c_chain").simulate(until="10 day", save="5 day")
    assert run["glycated"].shape == (3, 12)
    assert run["glycated"][:, 3].tolist() == run["glycated[4]"].tolist()


def test_values_at_one_time_are_looked_up_like_the_run(models):
    run = models["sugar"].simulate(until="10 day", save="1 day")
    assert run.at("3 day")["S"] == run["S"][3]
    assert run.at(3)["rise"] == run["rise"][3]
    with pytest.raises(InputError, match="The nearest record is 3 day"):
        run.at("3.2 day")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": {"sugr": "1 mg"}}, 'Did you mean "sugar"?'),
        ({"start": {"S": "1 mL"}}, "expected [mass]"),
        ({"start": {"gain": "1 mg/day"}}, "there is no state"),
        ({"set": {"sugar": "1 mg"}}, "there is no parameter"),
        ({"set": {"gain": "many"}}, "is not a quantity"),
        ({"set": {"gain": None}}, "expected a quantity"),
        ({"save": "0 day"}, "cannot be recorded"),
        ({"save": ["20 day"]}, "lies outside the run"),
        ({"save": []}, "lies outside the run"),
        ({"begin": "10 day"}, "not after the beginning"),
        ({"begin": "soon"}, "begin"),
        ({"until": "10 kg"}, "expected [time]"),
        ({"until": float("inf")}, "not a finite time"),
        ({"method": "stif"}, 'Did you mean "stiff"?'),
        ({"rtol": 2.0}, "not a relative tolerance"),
        ({"rtol": "tight"}, "not a relative tolerance"),
        ({"maximum_steps": 0}, "a whole number from 1 to"),
        ({"patient": "nobody"}, "no patient"),
        ({"doses": [{"into": "mouth"}]}, "no port"),
    ],
)
def test_what_is_not_understood_is_told(models, given, message):
    with pytest.raises(InputError) as wrong:
        models["sugar"].simulate(**({"until": "10 day"} | given))
    assert message in str(wrong.value)


def test_all_faults_of_what_is_given_are_told_together(models):
    with pytest.raises(InputError, match="2 problems"):
        models["sugar"].simulate(until="1 day", start={"a": "1 mg", "b": "1 mg"})


def test_a_name_that_means_two_things_is_asked_back(tmp_path):
    syrup = SUGAR.partition("[reports]")[0]
    twins = isletsim.load_model(list(write(tmp_path, sugar=SUGAR, syrup=syrup).values()))
    with pytest.raises(InputError, match=r"Say which: sugar.gain, syrup.gain"):
        twins.simulate(until="1 day", set={"gain": "1 mg/day"})
    assert twins.simulate(until="1 day", set={"syrup.gain": "2 mg/day"})["sugar.gain"][0] == 1


# --- legs -------------------------------------------------------------------------------------------------------------


def test_legs_go_on_where_the_last_one_ended(topp):
    whole = topp.simulate(until="40 day", save="10 day", start=TOPP, rtol=1e-9)
    first = topp.simulate(until="20 day", save="10 day", start=TOPP, rtol=1e-9)
    second = topp.simulate(begin=first.last.time, until="40 day", save="10 day", start=first.last, rtol=1e-9)
    assert second.time.tolist() == [20, 30, 40]
    for symbol in "GIB":
        assert second[symbol] == pytest.approx(whole[symbol][2:], rel=1e-7)
        assert second[symbol][0] == first[symbol][-1]


def test_a_state_may_be_reset_between_legs(topp):
    first = topp.simulate(until="20 day", save="10 day", start=TOPP)
    second = topp.simulate(until="1 day", save="1 day", start={**first.last, "B": "75 mg"})
    assert second["B"][0] == 75
    assert second["G"][0] == first["G"][-1]


def test_held_values_go_on_into_the_next_leg(models):
    model = models["clinic"]
    first = model.simulate(until="2 day", doses=[{"into": "fill", "amount": "2 mg", "at": "1 day"}])
    assert first.last["filled"] == Quantity(10.0, unit("mg"))
    second = model.simulate(until="2 day", start=first.last)
    assert second["filled"][0] == 10
    assert set(first.last) >= {"clinic.store", "clinic.filled", "clinic.visited"}


def test_inputs_and_held_values_are_recorded_as_they_change(models):
    run = models["clinic"].simulate(
        until="4 day",
        save="1 day",
        courses=[{"input": "level", "level": "3", "from": "1 day", "until": "3 day"}],
        visits=["2 day", 3.5],
    )
    assert run["level"].tolist() == [1, 3, 3, 1, 1]
    assert run["visited"].tolist() == [0, 0, 8, 8, 8]


def test_a_run_may_begin_anywhere(models):
    run = models["circadian"].simulate(begin="-1 day", until="1 day", save="1 day")
    assert run.time.tolist() == [-1, 0, 1]
    assert run["fed"] == pytest.approx([0, 1, 2], abs=1e-5)


# --- periods and knots ------------------------------------------------------------------------------------------------


def test_a_run_stops_at_every_period_and_at_every_knot(models):
    model = models["circadian"]
    parameters, _ = model.start()
    stops = breakpoints(model.compiled, parameters, 0.0, 3.0)
    assert stops == pytest.approx([1 / 3, 1.0, 4 / 3, 7 / 3])
    run = model.simulate(until="10 day", save="1 day", rtol=1e-9)
    assert run["drip"][-1] == pytest.approx(2.5 + 10 + 2.5, rel=1e-9)


@pytest.mark.parametrize("morning", ["0 hour", "1 hour", "8 hour", "13.7 hour", "23 hour"])
@pytest.mark.parametrize("doses", [[], [{"into": "bell", "amount": "0 mg", "every": "1 day", "times": 400}]])
def test_no_meal_is_missed_however_its_time_is_rounded(models, morning, doses):
    # At 1 day 8 hours the clock still showed the end of the day before, and a meal of an hour was stepped over.
    at = {"at": morning} if doses else {}
    run = models["circadian"].simulate(
        until="400 day", save="100 day", set={"morning": morning}, doses=[{**dose, **at} for dose in doses], rtol=1e-9
    )
    assert run["fed"][-1] == pytest.approx(400, abs=1e-3)


def test_a_period_that_moves_with_the_state_is_not_known_beforehand(models):
    run = models["circadian"].simulate(until="1 day", save="1 day")
    assert run["counted"][-1] == pytest.approx(24, rel=1e-6)


def test_a_period_that_cannot_be_followed_is_told(models):
    for period in ("0 day", "1e-9 s"):
        with pytest.raises(InputError, match="cannot be followed"):
            models["circadian"].simulate(until="1 day", set={"day": period})


# --- at one instant ---------------------------------------------------------------------------------------------------


def test_derivatives_values_and_jacobian_are_in_peoples_units(models):
    model = models["both"]
    start, settings = {"S": "7 mg", "exposure": 1}, {"gain": "2 mg/day"}
    assert model.derivatives(start, settings) == pytest.approx({"sugar.sugar": 0.0, "drug.exposure": -1 / 3})
    assert model.values(start, settings)["rise"] == pytest.approx(1.4)
    names, matrix = model.jacobian(start, settings)
    assert matrix[names.index("sugar.sugar"), names.index("drug.exposure")] == pytest.approx(-0.6)
    with pytest.raises(TypeError):
        model.derivatives(strat=start)


def test_a_patients_settings_apply(models, tmp_path):
    path = write(
        tmp_path,
        someone='title = "x"\n[set]\nS = { value = "9 mg", assumed = "x" }\nk = { value = "2 mg/day", assumed = "x" }',
    )
    run = models["sugar"].simulate(until="1 day", save="1 day", patient=path["someone"], set={"k": "3 mg/day"})
    assert (run["S"][0], run["k"][0]) == (9, 3)


def test_both_methods_agree(models):
    stiff = models["sugar"].simulate(until="10 day", save="1 day", rtol=1e-10)
    explicit = models["sugar"].simulate(until="10 day", save="1 day", rtol=1e-10, method="explicit")
    assert stiff["S"] == pytest.approx(explicit["S"], rel=1e-9)


def test_many_threads_may_use_one_model(models):
    found = {}

    def run(gain):
        found[gain] = models["sugar"].simulate(until="50 day", set={"gain": f"{gain} mg/day"})["S"][-1]

    threads = [threading.Thread(target=run, args=(1 + number / 10,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {gain: pytest.approx(5 * gain, rel=1e-3) for gain in found} == found


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_state_that_blows_up_is_named_with_time_and_advice(models):
    with pytest.raises(RunError) as failed:
        models["blast"].simulate(until="2 day", save="0.3 day")
    said = str(failed.value)
    assert said.startswith("blast.heat (")
    assert "at day 1" in said
    assert "it blows up" in said
    partial = failed.value.partial
    assert partial.time[-1] == pytest.approx(0.9)
    assert partial["heat"] == pytest.approx(1 / (1 - partial.time), rel=1e-4)


def test_a_run_of_too_many_steps_says_so(models):
    with pytest.raises(RunError, match="needed more steps than allowed"):
        models["circadian"].simulate(until="1000 day", maximum_steps=50)


def test_a_run_becomes_a_table(models):
    pandas = pytest.importorskip("pandas")
    table = models["both"].simulate(until="10 day", save="1 day").to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert {"time_day", "sugar.sugar", "sugar.rise", "sugar", "drug.taken"} <= set(table.columns)
    assert len(table) == 11


# --- times, legs, rows ---

DEPOT = """
title = "A depot and a central compartment"
assumed = "for tests"
[states]
depot = { start = "0 mg", scale = "0.001 mg" }
central = { start = "0 mg", scale = "0.001 mg" }
[parameters]
share = { value = "1", assumed = "all of it" }
absorption = { value = "1 1/day", assumed = "for tests" }
elimination = { value = "0.5 1/day", assumed = "for tests" }
[rates]
absorbed = "absorption * depot"
eliminated = "elimination * central"
[balance]
depot = "-absorbed"
central = "absorbed - eliminated"
[doses.bolus]
unit = "mg"
add = { depot = "share" }
"""


@pytest.fixture(scope="module")
def depot(tmp_path_factory):
    path = tmp_path_factory.mktemp("depot") / "depot.toml"
    path.write_text(DEPOT, encoding="utf-8")
    return isletsim.load_model(path)


@pytest.mark.parametrize("spelled", ["24 hour", "1440 min", "86400 s", "1 day", 1])
def test_a_dose_at_the_end_is_given_however_its_time_is_spelled(depot, spelled):
    dose = {"into": "bolus", "amount": "100 mg", "at": spelled if isinstance(spelled, str) else "1 day"}
    for save in (["0.5 day"], ["0.5 day", spelled], "6 hour"):
        run = depot.simulate(until="1 day", save=save, doses=[dose])
        assert run.last["depot"].value == pytest.approx(100.0, rel=1e-12)
        if save != ["0.5 day"]:
            assert run["depot"][-1] == pytest.approx(100.0, rel=1e-12)


@pytest.mark.parametrize("count", [*range(1, 400, 7), 399])
def test_hours_and_days_of_one_time_are_the_same_number(count):
    assert days(f"{24 * count} hour") == days(f"{1440 * count} min") == days(f"{count} day") == count


def test_times_of_a_series_fall_on_the_times_that_a_reader_writes(depot):
    series = {"into": "bolus", "amount": "1 mg", "at": "0.1 day", "every": "0.1 day", "times": 3}
    run = depot.simulate(until="0.3 day", save="0.1 day", doses=[series])
    assert run.time.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert run["depot"][-1] == pytest.approx(1.0 + np.exp(-0.1) + np.exp(-0.2), rel=1e-5)


def test_a_dose_on_the_border_of_two_legs_is_given_once(depot):
    bolus = [{"into": "bolus", "amount": "100 mg", "at": "0 day", "every": "1 day", "times": 3}]
    whole = depot.simulate(until="2 day", doses=bolus)
    first = depot.simulate(until="1 day", doses=bolus)
    second = depot.simulate(begin="1 day", until="2 day", doses=bolus, start=first.last)
    for name in ("depot", "central"):
        assert second[name][-1] == pytest.approx(whole[name][-1], rel=1e-5)
    assert first["depot"][-1] == second["depot"][0] == pytest.approx(100.0 + 100.0 * np.exp(-1.0), rel=1e-5)


def test_a_dose_that_only_the_second_leg_has_is_given_at_the_border(depot):
    first = depot.simulate(until="1 day")
    one = [{"into": "bolus", "amount": "100 mg", "at": "1 day"}]
    second = depot.simulate(begin="1 day", until="2 day", doses=[*one, *one], start=first.last)
    assert second["depot"][0] == 0.0  # the row of the start is the one before the first dose
    assert second["depot"][1] == pytest.approx(200.0, rel=0.01)


def test_a_visit_on_the_border_of_two_legs_is_made_once(models):
    clinic = models["clinic"]
    first = clinic.simulate(until="1 day", visits=["1 day"], doses=[{"into": "fill", "amount": "2 mg", "at": "1 day"}])
    second = clinic.simulate(
        begin="1 day",
        until="2 day",
        visits=["1 day"],
        doses=[{"into": "fill", "amount": "2 mg", "at": "1 day"}],
        start=first.last,
    )
    assert dict(second.last) == dict(first.last)


def test_rows_are_those_asked_for_and_a_list_out_of_order_is_refused(depot):
    assert depot.simulate(until="1 day", save=[0.1, 0.5, 1.0]).time.tolist() == [0.1, 0.5, 1.0]
    with pytest.raises(InputError, match=r"not in increasing order: 0\.1 day follows 0\.5 day"):
        depot.simulate(until="1 day", save=[0.5, 0.1, 0.5, 1.0])
    with pytest.raises(InputError, match=r"0\.5 day follows 0\.5 day"):
        depot.simulate(until="1 day", save=[0.1, 0.5, "12 hour"])
