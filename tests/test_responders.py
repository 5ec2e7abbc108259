"""Responders to a therapy: how many, how soon, and which covariates their response correlates with."""

import re
from dataclasses import replace

import numpy as np
import pytest

from isletsim.data_files import find
from isletsim.errors import InputError
from isletsim.results import ArmInfo, Covariate, Response, Result, Variable
from isletsim.results.responders import responders, told
from isletsim.study import load_scenario

PEOPLE = 40
DAYS = np.array([0.0, 60.0, 120.0, 300.0, 600.0])
SOON, LATE = 10, 20  # the first ten fall within two months, the next ten within ten


FALLS = Response("hba1c", -0.3)


def study(response=FALLS):
    """Forty people: ten answer soon, ten late, twenty hardly; reserve decides who, the batch how much."""
    order = np.random.default_rng(3).permutation(PEOPLE)
    reserve = np.linspace(1.0, 0.1, PEOPLE)
    fall = np.zeros((PEOPLE, len(DAYS)))
    fall[:, 1:] = 0.1 * reserve[:, None]
    fall[:LATE, 3:] = 0.4 + 0.1 * reserve[:LATE, None]
    fall[:SOON, 1:] = 0.6 + 0.1 * reserve[:SOON, None]
    values = np.zeros((2, PEOPLE + 1, len(DAYS), 2))
    values[..., 0] = 8.0
    values[1, 1:, :, 0] -= fall[order]
    values[:, 1:, :, 1] = reserve[order][None, :, None]
    people = np.full((PEOPLE + 1, 3), np.nan)
    people[1:, 0] = np.random.default_rng(1).normal(size=PEOPLE)  # says nothing
    people[1:, 1] = -(reserve[order] ** 3)  # as ranks, the same as reserve
    people[1:, 2] = reserve[order]  # drawn, but for a file that is no therapy
    arms = (ArmInfo("usual", "", ("care",), (), (), ()), ArmInfo("cells", "", ("care", "cells"), (), (), ()))
    variables = (Variable("hba1c", "percent_NGSP", "%"), Variable("reserve", "", ""))
    names = {"history 1: until found": False, "cells.batch": True, "care.dose": True}
    traits = tuple(Covariate(name, drawn) for name, drawn in names.items())
    whole = Result("made_up", "", arms, 0, DAYS, variables, values, covariates=traits, people=people)
    return replace(whole, response=response)


def test_people_are_counted_by_when_they_first_answer():
    found = responders(study())["arms"]["cells"]
    assert found["n"] == PEOPLE
    assert found["by"] == {"3 month": SOON, "6 month": SOON}
    assert (found["later"], found["never"]) == (LATE - SOON, PEOPLE - LATE)


def test_a_wrong_direction_is_no_answer():
    found = responders(study(response=Response("hba1c", 0.3)))["arms"]["cells"]
    assert found["never"] == PEOPLE


def test_what_decides_the_answer_is_ranked_first_and_chance_is_told():
    found = responders(study())["arms"]["cells"]
    first = found["before"][0]
    assert (first["name"], first["rank_correlation"], first["beyond_chance"]) == ("reserve", pytest.approx(1.0), True)
    noise = next(each for each in found["before"] if each["name"].startswith("history"))
    assert not noise["beyond_chance"]
    assert 0.2 < found["chance_before"] < 0.5
    assert [each["name"] for each in found["therapy"]] == ["cells.batch"]  # what is drawn for care is not the therapy's
    assert found["therapy"][0]["rank_correlation"] == pytest.approx(-1.0)


def test_nothing_is_counted_where_the_study_does_not_say_what_counts():
    found = responders(study(response=None))
    assert found["of"] == "hba1c"
    assert "never" not in found["arms"]["cells"]
    assert found["arms"]["cells"]["before"][0]["rank_correlation"] == pytest.approx(-1.0)  # of the difference itself


def test_declared_covariates_are_those_that_are_looked_at():
    found = responders(study(response=Response("hba1c", -0.3, ("hba1c",))))["arms"]["cells"]
    assert {each["name"] for each in found["before"]} == {"history 1: until found"}  # all begin at the same hba1c


def test_ties_share_their_rank_and_the_failed_are_left_out():
    result = study()
    result.values[1, 5, 2:, 0] = np.nan
    found = responders(result)["arms"]["cells"]
    assert found["n"] == PEOPLE - 1
    result.people[1:, 0] = np.repeat([0.0, 1.0], PEOPLE // 2)
    assert responders(result)["arms"]["cells"]["n"] == PEOPLE - 1


def test_it_is_told_in_words():
    blind = Response("hba1c", -0.3, ("hba1c",))
    lines = told(responders(study()))
    assert "the reduction of hba1c against usual in the first year" in lines[0]
    assert lines[1] == (
        "cells: responders (hba1c reduction of 0.3 % or more): 10 of 40 by 3 months, 10 of 40 by 6 months; "
        "10 more later, 20 never"
    )
    assert re.search(r"baseline covariates: reserve \(\+1.00\); chance reaches 0\.\d\d; random draws", lines[2])
    assert "therapy: cells.batch (-1.00); chance reaches 0." in lines[2]
    assert "baseline covariates: none beyond chance, the strongest is history 1" in told(responders(study(blind)))[2]
    assert told({}) == []


def test_the_sign_of_a_rank_says_of_what():
    # Without a wanted direction the ranks are of the difference itself, so a minus may be good: that was not said.
    assert "with the difference of hba1c from usual in the first year" in told(responders(study(response=None)))[0]


def test_one_patient_has_no_responders():
    result = study()
    assert responders(replace(result, values=result.values[:, :1])) == {}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('least = "-0.3 %"', "does not say what is looked at"),
        ('of = "hba1d"', 'Did you mean "hba1c"?'),
        ('of = "hba1c"\nleast = "-0.3 kg"', "kg"),
        ('of = "hba1c"\nleast = "-3 mmol/mol"', "is a difference"),
        ('of = "hba1c"\nleast = "0 %"', "is a difference"),
        ('of = "hba1c"\nbye = ["crp"]', "bye"),
        ('of = "hba1c"\nby = ["msc.potency"]', "is not one number that changes in time"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(tmp_path, table, expected):
    text = find("scenario", "t2d_msc").read_text(encoding="utf-8")
    head, _, rest = text.partition("[response]\n")
    path = tmp_path / "study.toml"
    path.write_text(f"{head}[response]\n{table}\n\n[figures]{rest.partition('[figures]')[2]}", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert expected in str(caught.value)
    assert re.search(r"study.toml:\d+, .*response", str(caught.value))


def test_a_study_knows_its_people():
    result = load_scenario("t2d_msc", set={"cohort.size": 2, "until": "1 year"}).run()
    legs = [place for place, trait in enumerate(result.covariates) if not trait.drawn]
    assert [result.covariates[place].name for place in legs][-1].startswith("history 3: ")
    assert (result.people[:, legs] > 0).all()
    assert np.isnan(result.people[0, len(legs) :]).all()
    assert np.isfinite(result.people[1:]).all()
    batch = [trait.name for trait in result.covariates].index("msc.potency")
    assert result.people[1, batch] != result.people[2, batch]
