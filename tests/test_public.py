"""The public face: what a person can do from Python, and what a wrong argument is told."""

import numpy as np
import pytest

import isletsim
from isletsim.errors import InputError

MODEL = isletsim.load_model("topp2000")
WRONG = {
    "until": [None, [1], {}, object()],
    "save": [object(), {}, b"1 day"],
    "start": [5, [("glucose", 1)], {5: 1}],
    "set": [5, [("SI", 1)], {5: 1}, {"SI": object()}],
    "patient": [5],
    "doses": [5, [5], {"into": "x"}, "1 mg"],
    "courses": [3, [3]],
    "visits": [3, ["x"], "3 month"],
    "begin": [None],
    "method": [[], None],
    "rtol": ["a", None, [1e-6]],
    "maximum_steps": [1.5, "9", True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_argument_of_any_type_is_an_input_error(name, value):
    with pytest.raises(InputError):
        MODEL.simulate(**{"until": "1 day", name: value})


@pytest.mark.parametrize(
    "call",
    [
        lambda: isletsim.load_model(5),
        lambda: isletsim.load_model(None),
        lambda: isletsim.load_model([]),
        lambda: isletsim.load_model([5]),
        lambda: isletsim.load_scenario(3),
        lambda: isletsim.load_scenario("t2d_msc", set=4),
        lambda: isletsim.load_scenario("t2d_msc", seed="x"),
        lambda: isletsim.load_scenario("t2d_msc").run(jobs="x"),
        lambda: isletsim.load_patient(None),
        lambda: isletsim.load_patient("early_t2d").simulate(None),
        lambda: isletsim.load_patient("early_t2d").simulate("1 year", doses=3),
        lambda: isletsim.challenge("early_t2d", None),
        lambda: isletsim.challenge("early_t2d", "ogtt", at=3),
        lambda: isletsim.challenge("t2d_msc", "ogtt", arm="mcs"),
        lambda: isletsim.validate(5),
        lambda: isletsim.export("topp2000", form="pdf"),
        lambda: isletsim.list("model"),
        lambda: MODEL.simulate("1 day")[5],
        lambda: MODEL.simulate("1 day").at(None),
        lambda: MODEL.simulate_many(5, until="1 day"),
        lambda: MODEL.simulate_many({"SI": [1.0, 2.0]}, {"G": [100.0] * 3}, until="1 day"),
        lambda: MODEL.simulate_many({"SI": ["a"]}, until="1 day"),
        lambda: MODEL.simulate_many({"SI": [[1.0]]}, until="1 day"),
        lambda: MODEL.simulate_many({"IS": [1.0]}, until="1 day"),
    ],
)
def test_every_public_function_tells_a_wrong_argument_by_an_input_error(call):
    with pytest.raises(InputError):
        call()


def test_check_returns_faults_and_raises_none():
    assert isletsim.check("topp2000", "t2d_msc", "early_t2d", "ogtt") == ()
    faults = isletsim.check("topp2001", 5)
    assert [bool(fault.message) for fault in faults] == [True, True]
    assert "topp2000" in faults[0].cure


def test_list_gives_every_file_its_title():
    everything = isletsim.list()
    assert isletsim.list("scenarios").items() <= everything.items()
    assert all(everything.values())


def test_many_subjects_are_what_each_is_alone():
    sensitivity = np.array([0.3, 0.72, 1.1])
    ensemble = MODEL.simulate_many({"SI": sensitivity}, {"G": "120 mg/dL"}, until="30 day", save="10 day", rtol=1e-8)
    assert ensemble["G"].shape == (3, 4)
    for subject, value in enumerate(sensitivity):
        unit = MODEL.simulate("1 day").unit("SI")
        single = MODEL.simulate(
            "30 day", save="10 day", set={"SI": f"{value} {unit}"}, start={"G": "120 mg/dL"}, rtol=1e-8
        )
        assert ensemble["G"][subject] == pytest.approx(single["G"], rel=1e-6)
        assert ensemble["SI"][subject] == pytest.approx([value] * 4)
    assert not ensemble.failed.any()
    assert "3 subjects" in repr(ensemble)


def test_an_ensemble_takes_and_gives_data_frames():
    pandas = pytest.importorskip("pandas")
    rows, starts = pandas.DataFrame({"SI": [0.5, 0.7]}), pandas.DataFrame({"G": [90.0, 110.0]})
    ensemble = MODEL.simulate_many(rows, starts, until="2 day", save="1 day")
    assert ensemble["G"][:, 0].tolist() == pytest.approx([90.0, 110.0])
    frame = ensemble.to_pandas(["G", "I"])
    assert list(frame.columns) == ["subject", "time_day", "G", "I"]
    assert frame["G"].to_numpy().reshape(2, 3) == pytest.approx(ensemble["G"])


def test_doses_of_an_ensemble_are_those_of_a_single_run():
    model = isletsim.load_model("dallaman2007")
    port = next(name for name, plan in model.composition.ports.items() if plan.add >= 0)
    doses = [{"into": port, "amount": f"1 {model.composition.ports[port].unit.text}", "at": "1 hour"}]
    many = model.simulate_many(until="6 hour", save="1 hour", doses=doses, rtol=1e-8)
    single = model.simulate("6 hour", save="1 hour", doses=doses, rtol=1e-8)
    for state in model.composition.flat.states:
        assert many[state][0] == pytest.approx(single[state], rel=1e-5, abs=1e-9)


@pytest.fixture(scope="module")
def years():
    return isletsim.load_patient("early_t2d").simulate("60 day", save="30 day")


def test_a_patient_is_simulated_for_years_and_any_day_of_them(years):
    assert years.time.tolist() == [0.0, 30.0, 60.0]
    assert 5.0 < years["hba1c"][-1] < 12.0
    day = years.day(at="1 month")
    assert day.at == 30.0
    glucose = day["glucose.plasma"]
    assert glucose.shape == day.hours.shape
    assert glucose.max() > glucose[0] + 10.0  # meals
    with pytest.raises(InputError, match="not within"):
        years.day(at="1 year")
    with pytest.raises(InputError, match="not recorded"):
        years["beta_cells.apoptosis"]


def test_a_stack_of_fast_and_slow_models_is_a_model(years):
    core = isletsim.load_patient("early_t2d").file.core
    model = isletsim.load_model(core)
    assert isinstance(model, isletsim.MultiscaleModel)
    again = model.simulate("60 day", patient="early_t2d", save="30 day")
    assert again["hba1c"].tolist() == years["hba1c"].tolist()
    assert model.simulate("30 day", save="30 day")["hba1c"][-1] > 3.0  # the models' own start


def test_every_public_thing_says_briefly_what_it_is(years):
    scenario = isletsim.load_scenario("t2d_msc", set={"cohort.size": 0, "until": "1 year"})
    result = scenario.run(explain=False)
    things = (MODEL, MODEL.simulate("1 day"), scenario, result, years, years.day(), isletsim.load_patient("early_t2d"))
    for thing in things:
        assert len(repr(thing)) < 200
    for thing in (scenario, result, years, MODEL.simulate("1 day")):
        page = thing._repr_html_()
        assert page.startswith(("<p", "<div"))
        assert "</" in page


def test_a_result_is_a_dataset_and_a_parquet_file(tmp_path):
    result = isletsim.load_scenario("t2d_msc", set={"cohort.size": 1, "until": "1 year"}).run(explain=False)
    dataset = result.to_xarray()
    assert dict(dataset.sizes) == {"arm": 2, "subject": 2, "time": len(result.time)}
    assert dataset["hba1c"].attrs["units"] == "%"
    pandas = pytest.importorskip("pandas")
    path = result.to_parquet(tmp_path / "rows.parquet")
    assert len(pandas.read_parquet(path)) == len(result.to_pandas())
