"""Risk engines, microsimulation and economics against published and closed-form values."""

from dataclasses import replace

import numpy as np
import pytest

from isletsim.errors import InputError
from isletsim.outcomes import (
    engine_files,
    ever,
    load_economics,
    load_engine,
    next_value,
    risk,
    simulate_events,
    therapy_cost,
    value,
)

OM2 = load_engine("ukpds_om2")
MAN = {
    "age": 66, "duration": 8, "female": 0, "hba1c": 7.5, "sbp": 145, "hdl": 1.3, "ldl": 3.0, "bmi": 28, "egfr": 70,
    "wbc": 7, "heart_rate": 79, "haemoglobin": 14,
}  # fmt: skip


def test_heart_failure_of_the_published_worked_example():
    person = {"age": 70, "duration": 8, "bmi": 32, "egfr": 50, "ldl": 3.0, "albuminuria": 1, "had_amputation": 1}
    assert risk(OM2, "chf", person) == pytest.approx(0.0267, abs=5e-5)


@pytest.mark.parametrize(("event", "chance"), [("mi", 0.597), ("chf", 0.286)])
def test_death_in_the_year_of_a_first_event(event, chance):
    person = {"age": 70, "duration": 12, "female": 0, "smoker": 1, "heart_rate": 80, f"now_{event}": 1}
    assert risk(OM2, "death", person) == pytest.approx(chance, abs=5e-4)


def test_one_year_risks_of_a_reference_man_to_their_printed_digits():
    man = {
        "age": 65, "duration": 10, "female": 0, "bmi": 30, "hdl": 1.2, "ldl": 3.0, "sbp": 140, "egfr": 80, "wbc": 7,
        "heart_rate": 72, "haemoglobin": 14, "hba1c": 8,
    }  # fmt: skip
    printed = {
        "chf": 0.003119, "ihd": 0.009627, "mi": 0.010787, "stroke": 0.005453, "blindness": 0.003140, "ulcer": 0.002329,
        "amputation": 0.001029, "death": 0.011173,
    }  # fmt: skip
    for name, chance in printed.items():
        assert risk(OM2, name, man) == pytest.approx(chance, abs=6e-7), name


def test_hba1c_progresses_as_in_the_published_worked_example():
    person = {"female": 0, "african_caribbean": 1}
    assert next_value(load_engine("ukpds90"), "hba1c", 6.5, 6.5, 5.0, person) == pytest.approx(6.943, abs=5e-4)


@pytest.fixture(scope="module")
def mt_hood():
    arms = {"base": {}, "hba1c": {"hba1c": -0.5}, "sbp": {"sbp": -10}, "ldl": {"ldl": -0.5}, "bmi": {"bmi": -1}}
    arms["all"] = {name: change for arm in arms.values() for name, change in arm.items()}
    economics = load_economics("mt_hood")
    found = {}
    for name, changes in arms.items():
        person = {key: base + changes.get(key, 0) for key, base in MAN.items()}
        worth = value(simulate_events(OM2, person, size=40_000, seed=1), economics)
        found[name] = (worth.life_years.mean(), worth.qalys.mean())
    return found


def test_life_expectancy_of_the_mt_hood_man(mt_hood):
    assert mt_hood["base"] == (pytest.approx(15.646, abs=0.06), pytest.approx(11.527, abs=0.06))


@pytest.mark.parametrize(
    ("arm", "years", "qalys"),
    [
        ("hba1c", 0.108, 0.098),
        ("sbp", 0.216, 0.188),
        ("ldl", 0.295, 0.239),
        ("bmi", 0.018, 0.112),
        ("all", 0.618, 0.625),
    ],
)
def test_what_the_mt_hood_man_gains(mt_hood, arm, years, qalys):
    gained = np.subtract(mt_hood[arm], mt_hood["base"])
    assert gained[0] == pytest.approx(years, abs=0.025)
    assert gained[1] == pytest.approx(qalys, abs=0.025)


def test_gains_are_within_the_range_of_eleven_models(mt_hood):
    assert 0.050 < mt_hood["hba1c"][0] - mt_hood["base"][0] < 0.750
    assert -0.024 < mt_hood["bmi"][1] - mt_hood["base"][1] < 0.203


def test_no_event_is_commoner_than_it_may_be_and_the_dead_have_none():
    history = simulate_events(OM2, MAN, size=5_000, seed=3)
    for event in OM2.events:
        assert history.occurred[event.name].sum(axis=0).max() <= event.at_most
        assert not (history.occurred[event.name] & ~history.alive).any()
    assert (history.died.sum(axis=0) <= 1).all()


def test_draws_of_a_person_depend_on_neither_the_others_nor_the_arm():
    few, many = (simulate_events(OM2, MAN, size=size, seed=3) for size in (50, 500))
    assert (few.died == many.died[:, :50]).all()
    better = simulate_events(OM2, {**MAN, "hba1c": 7.0}, size=500, seed=3)
    assert (better.died == many.died).mean() > 0.99


def test_a_shared_frailty_lets_complications_cluster():
    def both(frailty):
        history = simulate_events(OM2, MAN, size=40_000, years=15, seed=3, frailty=frailty)
        eyes, brains = (history.occurred[name].any(axis=0) for name in ("blindness", "stroke"))
        return (eyes & brains).mean() / (eyes.mean() * brains.mean())

    assert both(0.8) > 1.3 * both(0.0)


def test_a_course_of_risk_factors_changes_only_what_comes_after():
    course = np.full(40, 7.5)
    course[10:] = 11.0
    usual, worse = (simulate_events(OM2, MAN, size=4_000, seed=5, courses=each) for each in ({}, {"hba1c": course}))
    assert (usual.died[:10] == worse.died[:10]).all()
    assert worse.died[10:20].sum() > usual.died[10:20].sum()


def test_discounting_and_half_a_year_at_death_equal_the_closed_form():
    rate = 0.035
    years = np.arange(40)
    exact = simulate_events(OM2, MAN, size=1, seed=1)
    alive = np.zeros((40, 10_000), bool)
    alive[:, :] = years[:, None] < 5
    died = np.zeros_like(alive)
    died[4] = True
    made = replace(exact, alive=alive, died=died, occurred={}, before={})
    worth = value(made, replace(load_economics("mt_hood"), discount_effects=rate))
    factors = (1 - (1 + rate) ** -4) / (1 - 1 / (1 + rate))  # a geometric series of four whole years
    assert worth.discounted_life_years == pytest.approx(factors + 0.5 * (1 + rate) ** -4, rel=1e-12)
    assert worth.life_years == pytest.approx(4.5)
    assert therapy_cost(100, times=3, every=1.0, rate=0.1) == pytest.approx(100 + 100 / 1.1 + 100 / 1.21, rel=1e-12)


def test_a_therapy_without_a_price_is_refused():
    with pytest.raises(InputError, match=r"The price is the user's and was not given.*\n?.*--price"):
        therapy_cost(None)


def test_a_missing_covariate_is_named():
    with pytest.raises(InputError, match='"ldl" is missing'):
        risk(OM2, "chf", {"age": 60, "duration": 5, "bmi": 30, "egfr": 80})


def test_unknown_engines_and_events_are_met_with_the_nearest_name():
    with pytest.raises(InputError, match="ukpds_om2"):
        load_engine("ukpds_om3")
    with pytest.raises(InputError, match="stroke"):
        risk(OM2, "strok", MAN)


def test_steno_type_1_risks_to_their_printed_digits():
    engine = load_engine("steno_t1")
    man = {"age": 50, "duration": 20, "female": 0, "sbp": 140, "ldl": 3, "hba1c": 8, "egfr": 90, "smoker": 1}
    found = [100 * float(risk(engine, name, man, years=years)) for name in ("cvd", "ihd_stroke") for years in (5, 10)]
    assert found == pytest.approx([9.18, 17.52, 7.95, 15.27], abs=0.006)


def test_score2_diabetes_to_its_printed_digits():
    person = {
        "age": 67, "female": 0, "sbp": 140, "cholesterol": 5.5, "hdl": 1.3, "age_at_diagnosis": 60, "egfr": 90,
        "hba1c": 50 * 0.09148 + 2.152,
    }  # fmt: skip
    regions = ("low", "moderate", "high", "very_high")
    found = [100 * float(risk(load_engine("score2_diabetes"), "cvd", person, region=region)) for region in regions]
    assert found == pytest.approx([12.4, 16.5, 20.0, 30.1], abs=0.051)


def test_microalbuminuria_of_rti_to_its_printed_digits():
    engine = load_engine("rti_t2d")
    person = {
        "age": 60, "duration": 0, "female": 0, "bmi": 32, "sbp": 130, "hdl": 45 / 38.67, "triglycerides": 150,
        "creatinine": 0.9, "hba1c": 8,
    }  # fmt: skip
    within = [float(risk(engine, "microalbuminuria", person, years=years)) for years in (1, 4, 5)]
    assert within[0] == pytest.approx(0.033046, abs=6e-7)
    assert 1 - (1 - within[2]) / (1 - within[1]) == pytest.approx(0.061847, abs=6e-7)


def test_kidney_failure_agrees_with_its_worked_example_and_a_public_implementation():
    from kfre import kfre_person

    engine = load_engine("kfre")
    man = {"age": 60, "female": 0, "egfr": 30, "uacr": 300}
    assert [100 * float(risk(engine, name, man)) for name in ("two_years", "five_years")] == pytest.approx(
        [8.63, 24.56], abs=0.006
    )
    for age, egfr, uacr, female in ((45, 20, 900, 1), (70, 55, 40, 0)):
        for america, ending in ((True, ""), (False, "_elsewhere")):
            for years, name in ((2, "two_years"), (5, "five_years")):
                ours = float(risk(engine, name + ending, {"age": age, "female": female, "egfr": egfr, "uacr": uacr}))
                theirs = kfre_person(
                    age=age, is_male=not female, eGFR=egfr, uACR=uacr, is_north_american=america, years=years
                )
                assert ours == pytest.approx(theirs, rel=2e-3)


@pytest.mark.parametrize(
    ("chain", "states", "printed"),
    [
        ("eye", ("proliferative", "both"), (0.009, 0.039, 0.163, 0.493)),
        ("eye", ("oedema", "both"), (0.038, 0.085, 0.212, 0.452)),
        ("eye", ("blindness",), (0.001, 0.003, 0.010, 0.029)),
        ("kidney", ("microalbuminuria", "macroalbuminuria", "renal_failure"), (0.415, 0.588, 0.755, 0.884)),
        ("kidney", ("macroalbuminuria", "renal_failure"), (0.125, 0.275, 0.539, 0.806)),
        ("kidney", ("renal_failure",), (0.111, 0.228, 0.441, 0.692)),
        ("nerve", ("neuropathy",), (0.148, 0.278, 0.457, 0.658)),
    ],
)
def test_thirty_years_of_the_sheffield_type_1_model(chain, states, printed):
    engine = load_engine("sheffield_t1d")
    found = [float(ever(engine, chain, states, {"hba1c": hba1c})[-1]) for hba1c in (7, 8, 9, 10)]
    assert found == pytest.approx(printed, abs=0.001)


def test_a_chain_without_coupling_equals_its_closed_form():
    found = ever(load_engine("sheffield_t1d"), "nerve", ("neuropathy", "amputation"), {"hba1c": 10}, years=10)
    assert found[-1] == pytest.approx(1 - ((1 - 0.0354) * (1 - 0.0003)) ** 10, rel=1e-12)


YOUNG = {"age": 27, "duration": 5, "female": 0}


def test_a_tenth_less_of_hba1c_lowers_retinopathy_as_in_dcct():
    engine = load_engine("t1d_eyes")
    usual, lower = (float(risk(engine, "proliferative", {**YOUNG, "hba1c": hba1c})) for hba1c in (8.0, 7.2))
    assert 1 - np.log1p(-lower) / np.log1p(-usual) == pytest.approx(0.43, abs=0.005)


def test_who_is_free_of_proliferative_retinopathy_after_thirty_years():
    history = simulate_events(load_engine("t1d_eyes"), {**YOUNG, "hba1c": 8.0}, size=10_000, years=30, seed=1)
    assert 1 - history.occurred["proliferative"].any(axis=0).mean() == pytest.approx(0.65, abs=0.05)
    assert 1 - history.occurred["oedema"].any(axis=0).mean() == pytest.approx(0.60, abs=0.05)


def test_past_hba1c_is_remembered_as_in_edic():
    # Seven years at 9 or 7 %, then 8 % for all: at first those who were worse go on having more, and this wanes.
    engine = load_engine("t1d_eyes")
    counts = []
    for before in (9.0, 7.0):
        course = np.array([before] * 7 + [8.0] * 12)
        history = simulate_events(
            engine, {**YOUNG, "hba1c": before}, size=40_000, years=19, seed=2, courses={"hba1c": course}
        )
        counts.append([history.occurred["proliferative"][years].sum() for years in (slice(7, 11), slice(15, 19))])
    early, late = np.array(counts[0]) / np.array(counts[1])
    assert early > 1.5
    assert 0.6 < late < 1.2


def test_ulcer_scores_have_their_printed_risks():
    engine = load_engine("podus")
    printed = {(0, 0, 0): 0.024, (1, 0, 0): 0.060, (1, 1, 0): 0.140, (1, 0, 1): 0.292, (1, 1, 1): 0.511}
    for (insensate, pulse, previous), chance in printed.items():
        foot = {"insensate": insensate, "absent_pulse": pulse, "previous_ulcer_or_amputation": previous}
        assert risk(engine, "ulcer", foot) == pytest.approx(chance)


@pytest.mark.parametrize("name", list(engine_files()))
def test_every_engine_is_readable_and_states_its_population(name):
    engine = load_engine(name)
    assert engine.title
    assert engine.population
    assert engine.valid
