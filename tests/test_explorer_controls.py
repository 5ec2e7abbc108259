"""The explorer's data files held against the models: names, units, ranges, doses, lessons."""

from functools import cache

import pytest

from isletsim.explorer.api import Explorer
from isletsim.explorer.choices import number_and_unit
from isletsim.explorer.controls import read_controls
from isletsim.explorer.lessons import answer, read_lessons
from isletsim.explorer.records import fits
from isletsim.units import days, quantity

CONTROLS = read_controls()
LESSONS = read_lessons()
each_patient = pytest.mark.parametrize("patient", [each.file for each in CONTROLS.patients])


@cache
def explorer():
    return Explorer()


@cache
def viewed(patient, *therapies):
    choices = {"patient": patient, "years": 1, "therapies": [{"name": name} for name in therapies]}
    return explorer().run({"choices": choices, "tab": "test", "number": 1})


def kinds(patient):
    return next(each.kinds for each in CONTROLS.patients if each.file == patient)


@each_patient
def test_every_control_that_suits_a_patient_is_shown_for_it(patient):
    settings = viewed(patient)["settings"]
    assert [each["name"] for each in settings["sliders"]] == [
        each.name for each in CONTROLS.sliders if fits(each.kinds, (), kinds(patient))
    ]
    wanted = {show.show for panel in CONTROLS.panels if fits(panel.kinds, (), kinds(patient)) for show in panel.shows}
    assert wanted <= viewed(patient)["variables"].keys()


@each_patient
def test_the_own_value_of_every_slider_is_on_its_track(patient):
    for slider in viewed(patient)["settings"]["sliders"]:
        assert slider["low"] <= slider["value"] <= slider["high"], slider["name"]


@pytest.mark.parametrize("slider", CONTROLS.sliders, ids=lambda each: each.name)
def test_a_slider_has_the_unit_of_its_parameter_and_rising_ranges(slider):
    patient = next(each.file for each in CONTROLS.patients if fits(slider.kinds, (), each.kinds))
    run = explorer().simulations.run(explorer()._choices({"choices": {"patient": patient, "years": 1}}))
    symbol = run.prepared.scenario.composition.symbols[slider.target]
    assert symbol.kind == ("input" if slider.is_input else "parameter")
    for low, high in [(slider.low, slider.high), *filter(None, (slider.healthy, slider.diseased))]:
        assert number_and_unit(low)[1] == number_and_unit(high)[1] == number_and_unit(slider.low)[1]
        assert quantity(low, symbol.unit.dimension).value < quantity(high, symbol.unit.dimension).value
    assert not slider.logarithmic or number_and_unit(slider.low)[0] > 0


@pytest.mark.parametrize("therapy", CONTROLS.therapies, ids=lambda each: each.name)
def test_a_therapy_runs_beside_usual_care_with_every_knob_at_both_ends(therapy):
    patient = next(each.file for each in CONTROLS.patients if fits(therapy.kinds, therapy.without, each.kinds))
    for end in ("low", "high"):
        knobs = {str(place): number_and_unit(getattr(knob, end))[0] for place, knob in enumerate(therapy.knobs)}
        choices = {"patient": patient, "years": 1, "therapies": [{"name": therapy.name, "start": 2, "knobs": knobs}]}
        view = explorer().run({"choices": choices, "tab": "test", "number": 1})
        assert [arm["name"] for arm in view["arms"]] == ["usual", "treated"]
        assert view["variables"]["hba1c"]["arms"][1][-1] is not None


@pytest.mark.parametrize("balance", CONTROLS.balances, ids=lambda each: each.of)
def test_a_balance_adds_up_to_what_the_quantity_does(balance):
    patient = CONTROLS.first
    if balance.per == "day":
        terms = explorer().day({"choices": {"patient": patient}, "test": "", "years": 0})["arms"][0]["terms"]
        assert len(terms[balance.of]) > 3
        return
    run = explorer().simulations.run(explorer()._choices({"choices": {"patient": patient, "years": 1}}))
    view = next(each for each in viewed(patient)["balances"] if each["of"] == balance.of)
    rate = sum(term["arms"][0][0] for term in view["terms"])
    mass = run.values[0, :, run.column("beta_mass")]
    slope = 100 * (mass[2] - mass[0]) / (run.time[2] - run.time[0]) * 365.25  # percent a year
    assert rate == pytest.approx(slope, rel=0.1, abs=0.2)


@pytest.mark.parametrize("test", CONTROLS.days, ids=lambda each: each.name or "ordinary")
def test_every_test_of_the_day_can_be_given_now_and_later(test):
    for years in (0, 0.5):
        view = explorer().day({"choices": {"patient": CONTROLS.first, "years": 1}, "test": test.name, "years": years})
        assert view["arms"][0]["curves"]
        assert all(len(each["values"]) == len(view["minutes"]) for each in view["arms"][0]["curves"].values())


def test_the_planned_test_has_rising_moments():
    moments = [days(each) for each in CONTROLS.test.at]
    assert moments == sorted(moments)


def test_there_are_six_lessons():
    assert len(LESSONS) == 6


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.name)
def test_every_question_of_a_lesson_has_one_right_answer(lesson):
    questions = [question for step in lesson.steps for question in step.questions]
    assert questions
    for question in questions:
        found = answer(explorer().simulations, lesson, question)
        assert "{" not in found.because
        assert (found.option >= 0) == bool(question.options)
        assert question.options or found.within > 0
