"""Subjects: who they are does not depend on who else is drawn, where, or beside which other layers."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from example_models import DRUG, EATER, SUGAR, write, write_study

import isletsim
from isletsim.cohort import NORMAL_95, Draws, collect, draw, score, spread_value
from isletsim.composition.model_library import compose_stack
from isletsim.errors import InputError, RunError
from isletsim.language import Spread
from isletsim.patient import NO_PATIENT, bind_patient, read_patient


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models"), sugar=SUGAR, drug=DRUG, eater=EATER)


def stack(files, *names):
    return compose_stack([files[name] for name in names])


def patient(files, tmp_path, text, *names):
    path = write(tmp_path, someone=text)["someone"]
    composition = stack(files, *names)
    return composition, bind_patient(read_patient(path), composition)


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_scores_are_standard_normal_and_independent():
    scores = np.array([[score(seed, subject, 0, "varies", "a.b") for subject in range(2000)] for seed in (1, 2)])
    assert abs(scores.mean()) < 4 / math.sqrt(scores.size)
    assert abs(scores.std() - 1) < 4 / math.sqrt(2 * scores.size)
    assert abs(np.corrcoef(scores)[0, 1]) < 4 / math.sqrt(2000)
    within = np.mean(np.abs(scores) < NORMAL_95)
    assert abs(within - 0.95) < 4 * math.sqrt(0.05 * 0.95 / scores.size)


def test_a_score_depends_on_every_word_of_its_name():
    words = [(1, 7, 0, "varies", "a.b"), (2, 7, 0, "varies", "a.b"), (1, 8, 0, "varies", "a.b")]
    words += [(1, 7, 1, "varies", "a.b"), (1, 7, 0, "uncertain", "a.b"), (1, 7, 0, "varies", "a.c")]
    assert len({score(*each) for each in words}) == len(words)
    assert score(*words[0]) == score(*words[0])


@pytest.mark.parametrize("distribution", ["lognormal", "normal"])
@pytest.mark.parametrize("middle", [0.7, 1.0, 1.9])
def test_the_range_is_met_on_both_sides(distribution, middle):
    spread = Spread(0.5, 2.0, distribution)
    assert spread_value(middle, middle, spread, NORMAL_95) == pytest.approx(2.0, rel=1e-14)
    assert spread_value(middle, middle, spread, -NORMAL_95) == pytest.approx(0.5, rel=1e-14)
    assert spread_value(middle, middle, spread, 0.0) == middle
    values = [spread_value(middle, middle, spread, NormalDist().inv_cdf(p)) for p in np.linspace(0.001, 0.999, 999)]
    assert np.all(np.diff(values) > 0)
    assert np.mean([0.5 <= value <= 2.0 for value in values]) == pytest.approx(0.95, abs=0.002)


def test_what_varies_and_is_uncertain_too_is_moved_by_both(files, tmp_path):
    text = EATER.replace('varies = ["0.9', 'uncertain = ["1 mg/day", "1.2 mg/day"], varies = ["0.9')
    composition, someone = patient(files, tmp_path, text, "sugar", "drug")
    draws = collect(composition, someone)
    gains = [each for each in draws.varying if each.name == "sugar.gain"]
    assert [each.purpose for each in gains] == ["uncertain", "varies"]
    value = draw(draws, 1, 7)["sugar.gain"]
    first = spread_value(1.1, 1.1, Spread(1.0, 1.2), score(1, 7, 0, "uncertain", "sugar.gain"))
    assert value == spread_value(first, 1.1, Spread(0.9, 1.35), score(1, 7, 0, "varies", "sugar.gain"))


def test_the_reference_patient_has_no_draws(files):
    assert draw(collect(stack(files, "sugar", "drug"), NO_PATIENT), 1, 0) == {}


# --- who varies -------------------------------------------------------------------------------------------------------


def test_a_layer_that_varies_changes_no_other_draw(files):
    alone = draw(collect(stack(files, "sugar"), NO_PATIENT), 5, 7)
    both = draw(collect(stack(files, "sugar", "drug"), NO_PATIENT), 5, 7)
    assert set(alone) == {"sugar.gain", "sugar.loss"}
    assert set(both) - set(alone) == {"drug.effect"}
    assert all(both[name] == value for name, value in alone.items())


def test_a_fixed_number_changes_no_other_draw(files):
    draws = collect(stack(files, "sugar", "drug"), NO_PATIENT)
    free, fixed = draw(draws, 5, 7), draw(draws, 5, 7, fixed={"sugar.gain"})
    assert free.keys() - fixed.keys() == {"sugar.gain"}
    assert all(free[name] == value for name, value in fixed.items())


def test_the_range_of_a_model_moves_along_with_the_value_of_a_patient(files, tmp_path):
    text = 'title = "Other"\n[set]\n"sugar.gain" = { value = "2 mg/day", assumed = "x" }\n'
    composition, other = patient(files, tmp_path, text, "sugar")
    gain = next(each for each in collect(composition, other).varying if each.name == "sugar.gain")
    assert (gain.middle, gain.spread.low, gain.spread.high) == pytest.approx((2.0, 1.6, 2.6))


def test_a_start_value_that_varies_is_drawn(files, tmp_path):
    text = 'title = "Other"\n[set]\n"sugar.sugar" = { value = "6 mg", varies = ["5 mg", "8 mg"], assumed = "x" }\n'
    composition, other = patient(files, tmp_path, text, "sugar")
    values = [draw(collect(composition, other), 1, subject)["sugar.sugar"] for subject in range(1, 200)]
    assert 4 < min(values) < 5.5
    assert 7.5 < max(values) < 10


def test_a_computed_start_cannot_vary_by_itself(tmp_path):
    text = SUGAR.replace('{ start = "5 mg", ', '{ start = "rest", unit = "mg", varies = ["4 mg", "6 mg"], ')
    path = write(tmp_path, computed=text)["computed"]
    with pytest.raises(InputError, match="cannot vary by itself"):
        collect(compose_stack([path]), NO_PATIENT)


# --- correlations -----------------------------------------------------------------------------------------------------

PAIR = """
[[correlations]]
between = ["sugar.gain", "drug.effect"]
value = {value}
assumed = "for tests"
"""


def scores_of(draws: Draws, count: int) -> np.ndarray:
    rows = []
    for subject in range(1, count + 1):
        drawn = draw(draws, 1, subject)
        rows.append([math.log(drawn["sugar.gain"] / 1.1), math.log(drawn["drug.effect"] / 0.3)])
    return np.array(rows)


@pytest.mark.parametrize("value", [0.8, -0.6])
def test_correlated_numbers_go_together(files, tmp_path, value):
    composition, someone = patient(files, tmp_path, EATER + PAIR.format(value=value), "sugar", "drug")
    found = scores_of(collect(composition, someone), 2000)
    assert np.corrcoef(np.sign(found.T) * np.abs(found.T))[0, 1] == pytest.approx(value, abs=0.04)


def test_a_correlation_changes_only_the_numbers_it_speaks_of(files, tmp_path):
    composition, plain = patient(files, tmp_path, EATER, "sugar", "drug")
    _, paired = patient(files, tmp_path, EATER + PAIR.format(value=0.5), "sugar", "drug")
    before, after = draw(collect(composition, plain), 1, 3), draw(collect(composition, paired), 1, 3)
    assert {name for name in before if before[name] != after[name]} == {"sugar.gain"}  # the second of the two, by name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PAIR.format(value=0.5).replace("drug.effect", "drug.lag"), "is correlated but does not vary"),
        (
            PAIR.format(value=0.9)
            + PAIR.format(value=0.9).replace("drug.effect", "drug.lag")
            + PAIR.format(value=-0.9).replace("sugar.gain", "drug.lag"),
            "its correlations contradict each other",
        ),
    ],
)
def test_correlations_that_cannot_be_are_told(files, tmp_path, text, told):
    varying = EATER.replace(
        "[set]", '[set]\n"drug.lag" = { value = "3 day", varies = ["2 day", "4 day"], assumed = "x" }'
    )
    base = varying if "contradict" in told else EATER
    composition, someone = patient(files, tmp_path, base + text, "sugar", "drug")
    with pytest.raises(InputError, match=told):
        collect(composition, someone)


# --- cohorts ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def test_subject_seven_alone_equals_subject_seven_of_many(study):
    few = isletsim.load_scenario(study, set={"cohort.size": 7}).run(jobs=1)
    many = isletsim.load_scenario(study, set={"cohort.size": 60}).run(jobs=3)
    assert few.values[:, 7].tobytes() == many.values[:, 7].tobytes()
    assert few.values[:, :8].tobytes() == many.values[:, :8].tobytes()
    assert not np.array_equal(few.values[:, 7], few.values[:, 6])


def test_one_seed_gives_the_same_bytes_on_any_number_of_workers(study, tmp_path):
    scenario = isletsim.load_scenario(study, set={"cohort.size": 40})
    for jobs in (1, 4):
        scenario.run(jobs=jobs).write(tmp_path / str(jobs), figures=False, keep="full")
    for name in ("results.csv", "summary.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()
    other = scenario.run(seed=4)
    assert not np.array_equal(other.values[:, 1:], scenario.run().values[:, 1:])
    assert np.array_equal(other.values[:, 0], scenario.run().values[:, 0])


def test_a_subject_who_never_arrives_is_drawn_again_and_counted(tmp_path):
    # At rest sugar is 1.6 gain / loss: about half of all people stay below 9 mg.
    study = write_study(tmp_path, eater=EATER.replace("sugar >= 7 mg", "sugar >= 9 mg").replace('"0.6"', '"0.64"'))
    result = isletsim.load_scenario(study, set={"cohort.size": 30}).run()
    assert not result.failures
    assert result.run["redrawn"] > 5
    assert np.isfinite(result.values).all()
    again = isletsim.load_scenario(study, set={"cohort.size": 30}).run(jobs=1)
    assert again.run["redrawn"] == result.run["redrawn"]
    assert again.values.tobytes() == result.values.tobytes()


def test_a_subject_who_arrives_too_soon_is_drawn_again(tmp_path):
    # People who were diabetic while lean met the end of every leg on its first day, and had 11 % where trials begin.
    eater = EATER.replace('"0.6"', '"0.64"')
    all_of_them = isletsim.load_scenario(write_study(tmp_path, eater=eater), set={"cohort.size": 30}).run()
    days = all_of_them.people[1:, [trait.drawn for trait in all_of_them.covariates].index(False)]
    soon = float(all_of_them.people[0, 0])
    assert np.sum(days < soon) > 5
    later = eater.replace("within =", f'after = "{soon} day"\nwithin =')
    result = isletsim.load_scenario(write_study(tmp_path, eater=later), set={"cohort.size": 30}).run()
    assert not result.failures
    assert result.run["redrawn"] > all_of_them.run["redrawn"]
    assert result.people[1:, 0].min() >= soon
    kept = days >= soon
    assert np.array_equal(result.people[1:][kept], all_of_them.people[1:][kept])


def test_a_reference_patient_who_arrives_too_soon_is_told(tmp_path):
    study = write_study(tmp_path, eater=EATER.replace("within =", 'after = "300 day"\nwithin ='))
    with pytest.raises(RunError, match="not before day 300"):
        isletsim.load_scenario(study).run()


def test_a_subject_who_cannot_arrive_is_reported_and_the_cohort_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("isletsim.study.subject.MOST_ATTEMPTS", 1)
    study = write_study(tmp_path, eater=EATER.replace("sugar >= 7 mg", "sugar >= 8.7 mg"))
    result = isletsim.load_scenario(study, set={"cohort.size": 20}).run()
    lost = {failure.subject for failure in result.failures}
    assert 0 < len(lost) < 20
    assert 0 not in lost
    assert all("the history never arrives (sugar >= 8.7 mg)" in failure.message for failure in result.failures)
    assert len(result.failures) == 4 * len(lost)
    gone = np.isnan(result.values).all(axis=(0, 2, 3))
    assert set(np.flatnonzero(gone)) == lost
    assert np.isfinite(result.values[:, ~gone]).all()
    assert result.run["redrawn"] == len(lost)
