"""Cost-effectiveness against a public library, and the command line of outcomes."""

import numpy as np
import pandas as pd
import pytest
from heormodel.cea import ceac
from heormodel.models import Outcomes
from heormodel.voi import evpi as library_evpi
from heormodel.voi import evppi as library_evppi

from isletsim.cli import main
from isletsim.errors import InputError
from isletsim.outcomes.decisions import acceptability, evpi, evppi, icer, price_for
from isletsim.outcomes.of_study import courses_of_study
from isletsim.outcomes.people import changed, load_person

THRESHOLDS = [0.0, 10_000.0, 20_000.0, 30_000.0, 100_000.0]


@pytest.fixture(scope="module")
def draws():
    random = np.random.default_rng(1)
    effect = random.normal(0.3, 0.2, 400)
    price = random.normal(6_000, 1_500, 400)
    costs = np.column_stack([np.full(400, 50_000.0), 50_000 + price, 48_000 + 2 * price])
    effects = np.column_stack([np.full(400, 8.0), 8 + effect, 8 + 1.5 * effect + random.normal(0, 0.05, 400)])
    return costs, effects, {"effect": effect, "price": price}


def library(costs, effects):
    names = ["usual", "cells", "both"]
    return Outcomes.from_wide(pd.DataFrame(costs, columns=names), pd.DataFrame(effects, columns=names))


def test_acceptability_and_the_value_of_information_equal_the_library(draws):
    costs, effects, numbers = draws
    theirs = library(costs, effects)
    assert acceptability(costs, effects, THRESHOLDS) == pytest.approx(ceac(theirs, THRESHOLDS).to_numpy(), abs=1e-9)
    for threshold in THRESHOLDS:
        assert evpi(costs, effects, threshold) == pytest.approx(library_evpi(theirs, threshold), abs=1e-9, rel=1e-9)
        ours = evppi(costs, effects, ["usual", "cells", "both"], numbers, ["effect"], threshold)
        assert ours == pytest.approx(library_evppi(theirs, pd.DataFrame(numbers), ["effect"], threshold), abs=1e-9)


def test_what_is_known_in_part_is_worth_no_more_than_all(draws):
    costs, effects, numbers = draws
    part = evppi(costs, effects, ["usual", "cells", "both"], numbers, ["effect"], 20_000)
    assert 0 < part < 1.05 * evpi(costs, effects, 20_000)


def test_a_ratio_exists_only_where_something_is_gained():
    ratios = icer([[100.0, 300.0, 200.0]], [[1.0, 1.5, 0.9]])
    assert ratios[1] == pytest.approx(400.0)
    assert np.isnan(ratios[2])


def test_the_price_at_which_a_therapy_is_worth_it_has_its_closed_form():
    assert price_for(0.5, -1_000, [20_000, 30_000]) == pytest.approx([11_000, 16_000])


def test_changes_of_risk_factors_are_read_as_written():
    man = load_person("mt_hood_man")
    assert changed(man, "hba1c-0.5,sbp-10,smoker=1") == {**man, "hba1c": 7.0, "sbp": 135, "smoker": 1}
    with pytest.raises(InputError, match="no change of a risk factor"):
        changed(man, "hba1d-0.5")


def test_the_command_says_what_a_person_gains_and_asks_for_the_price(capsys, tmp_path):
    with pytest.raises(SystemExit) as done:
        main(["outcomes", "--size", "300", "--arm", "hba1c-1", "-o", str(tmp_path)])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert "the price is the user's (--price hba1c-1=...)" in printed
    assert "ICER 1" not in printed
    assert {path.name for path in tmp_path.iterdir()} == {"outcomes.txt", "incidence.csv", "incidence.png", "plane.png"}


def test_the_command_prints_a_ratio_when_a_price_is_given(capsys):
    with pytest.raises(SystemExit) as done:
        main(["outcomes", "--size", "3000", "--arm", "hba1c-2", "--price", "hba1c-2=5000"])
    assert done.value.code == 0
    assert "hba1c-2: ICER" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--with", "hba1c=high"], ["--price", "cells=3"], ["--engine", "core"]])
def test_wrong_input_of_the_command_is_refused(wrong, capsys):
    with pytest.raises(SystemExit) as done:
        main(["outcomes", "--size", "10", *wrong])
    assert done.value.code == 2
    assert capsys.readouterr().err


def test_a_study_is_read_and_not_changed():
    from isletsim.study import load_scenario

    study = load_scenario("t2d_msc_published", set={"cohort.size": "3", "until": "1 year"}).run(explain=False)
    before = study.values.tobytes()
    courses = courses_of_study(study, years=10, copies=4)
    assert study.values.tobytes() == before
    control = courses[study.arms[study.control].name]["hba1c"]
    assert control.shape == (10, 12)
    assert (control[1:] == control[1]).all()
    assert (control[:, ::4] == control[:, 3::4]).all()
