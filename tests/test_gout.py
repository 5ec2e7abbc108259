"""Urate and gout against published numbers; inflammation and urate act apart."""

import tomllib

import numpy as np
import pytest

import isletsim
from isletsim.data_files import find
from isletsim.study import load_scenario

GOUT = tomllib.loads(find("model", "gout").read_text())["parameters"]


def number(name):
    return float(GOUT[name]["value"].split()[0])


@pytest.fixture(scope="module")
def study():
    return load_scenario("t2d_gout").run(explain=False)


def series(study, arm, name):
    place = [each.name for each in study.arms].index(arm)
    return study.values[place, 0, :, [each.name for each in study.variables].index(name)]


def rest(filtration):
    """Return serum urate (mg/dL) at rest by the published equation; filtration in mL/min."""
    return 50.5 / (0.27 + 0.06 * filtration * 0.07) / 10


def test_the_published_levels_of_urate_by_filtration():
    assert [rest(130), rest(90)] == pytest.approx([6.189, 7.793], abs=6e-4)
    assert [0.65 * rest(130), 0.65 * rest(90)] == pytest.approx([4.023, 5.066], abs=6e-4)


def test_urate_follows_the_filtration_of_the_kidney(study):
    assert series(study, "usual", "urate") == pytest.approx(rest(series(study, "usual", "egfr")), rel=1e-3)


def test_an_inhibitor_takes_the_same_fraction_whatever_the_filtration(study):
    share = 1 - 0.84 * 10_000 / (10_000 + 14_000)
    found = series(study, "allopurinol", "urate")[4:] / rest(series(study, "allopurinol", "egfr"))[4:]
    assert found == pytest.approx(share, rel=1e-3)
    poor = load_scenario("t2d_gout", set={"urate.fractional_excretion": "0.04"}).run(explain=False)
    lower = series(poor, "allopurinol", "urate")[-1] / series(poor, "usual", "urate")[-1]
    assert lower == pytest.approx(share, rel=2e-3)
    assert series(poor, "usual", "urate")[-1] > series(study, "usual", "urate")[-1]


def test_hazard_ratios_of_gout_are_within_a_fifth_of_the_published_ones(study):
    urate, incidence = series(study, "usual", "urate"), series(study, "usual", "gout_incidence")
    base, steep, lower = number("base_rate"), number("steepness"), number("lower_level")
    assert incidence / 100 == pytest.approx(base * np.exp(steep * (urate - lower)), rel=1e-6)
    for level, ratio in {5.3: 1.0, 6.5: 2.7, 7.5: 6.6, 8.5: 15, 9.5: 30, 10.5: 64}.items():
        assert np.exp(steep * (level - lower)) == pytest.approx(ratio, rel=0.2)


def test_less_interleukin_cuts_flares_and_leaves_urate(study):
    # From the first day of the arm on; a history with less of it would change the patient.
    less = load_scenario("t2d_gout", set={"gout.reference_il1b": "0.6 pg/mL"}).run(explain=False)
    assert (series(less, "usual", "gout_flares") < 0.85 * series(study, "usual", "gout_flares")).all()
    assert series(less, "usual", "urate").tobytes() == series(study, "usual", "urate").tobytes()
    assert series(study, "msc", "gout_flares")[4] < series(study, "usual", "gout_flares")[4]
    assert series(study, "msc", "urate")[4] == pytest.approx(series(study, "usual", "urate")[4], rel=2e-3)


def test_xanthine_and_urate_rest_at_the_published_level():
    run = isletsim.load_model("hillmcmanus2018").simulate(until="30 day", save="1 day")
    assert run["urate"][-1] / 154 == pytest.approx(4.565, abs=5e-4)
    assert run["xanthine"][-1] == pytest.approx(8.94, rel=1e-6)
