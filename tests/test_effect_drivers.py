"""Which numbers carry the effect of a therapy, which badge follows, and what users are told with a run."""

import json
from dataclasses import replace

import pytest
from example_models import DRUG, STUDY, write_study
from example_result import EVIDENCE

import isletsim
from isletsim.cli.show import show_model
from isletsim.results import ArmInfo, EffectDriver
from isletsim.results.evidence_labels import carried, evidence_label

# One number more, which does next to nothing.
SPARE = (
    DRUG.replace('unit = "mg"\nadd', 'unit = "mg"\nadd', 1)
    .replace("lag = {", 'spare = { value = "0.001", source = "Topp2000" }\nlag = {')
    .replace("1 - effect * exposure", "1 - effect * exposure - spare * effect * exposure")
)


@pytest.fixture
def pills(tmp_path):
    """The treated arm of the study, after some texts were changed."""

    def make(**changed):
        changed = {"study": STUDY.replace('stop = ["drug"]', ""), **changed}
        result = isletsim.load_scenario(write_study(tmp_path, **changed), set=["cohort.size=0"]).run(jobs=1)
        return next(arm for arm in result.arms if arm.name == "pills")

    return make


def shares(arm):
    return {each.name: each.share for each in arm.effect_drivers}


def test_numbers_that_an_effect_is_proportional_to_carry_all_of_it(pills):
    found = shares(pills())  # its patient had the drug before, so the control has some of it too
    assert found["drug.unit_dose"] == pytest.approx(1.0, abs=0.05)
    assert found["drug.effect"] == pytest.approx(1.0, abs=0.05)
    assert found["drug.lag"] > 0.5  # how long it stays; less of it is less of the effect


def test_a_number_that_carries_next_to_nothing_decides_no_badge(pills):
    arm = pills(drug=SPARE)
    assert "drug.spare" not in shares(arm)
    assert arm.assumed == (3, 4)


def test_the_badge_is_the_worst_grade_that_carries_a_tenth(pills):
    sourced = SPARE.replace('assumed = "for tests", varies', 'source = "Topp2000", grade = "human trial", varies')
    sourced = sourced.replace(
        'value = "3 day", assumed = "for tests"', 'value = "3 day", source = "Topp2000", grade = "cell"'
    )
    assert pills(drug=sourced).grade == "assumed"  # the dose's own
    sourced = sourced.replace('value = "1 /mg", assumed = "for tests"', 'value = "1 /mg", source = "Topp2000"')
    arm = pills(drug=sourced.replace('source = "Topp2000" }\nlag', 'assumed = "carries nothing" }\nlag'))
    assert (arm.grade, arm.evidence) == ("cell", "animal")


def test_without_an_effect_nothing_carries_it(pills):
    arm = pills(study=STUDY.replace('amount = "0.5 mg"', 'amount = "0 mg"').replace('stop = ["drug"]', ""))
    assert arm.effect_drivers == ()
    assert arm.grade == "assumed"  # of all its numbers, for want of better


def test_the_control_has_no_therapy_of_its_own(tmp_path):
    result = isletsim.load_scenario(write_study(tmp_path), set=["cohort.size=2"]).run(jobs=1)
    assert (result.arms[0].grade, result.arms[0].evidence, result.arms[0].assumed) == ("", "", (0, 0))


def test_a_badge_tells_the_therapy_from_the_size_of_its_effect():
    arm = replace(ArmInfo("cells", "", (), (), (), ()), evidence="human trial", grade="assumed")
    assert evidence_label(arm) == "human trial, effect size assumed"
    assert evidence_label(replace(arm, grade="human trial")) == "human trial"
    assert (
        evidence_label(replace(arm, evidence="animal", grade="cell"))
        == "preclinical (animals), effect size from: preclinical (cells)"
    )
    assert evidence_label(replace(arm, evidence="", grade="")) == ""


def test_what_carries_an_effect_is_named_with_its_grade():
    arm = ArmInfo("cells", "", (), (), (), (), *EVIDENCE)
    assert (
        carried(arm) == "main drivers of its effect on hba1c: msc.potency (98 %, assumed); 12 of its 14 numbers assumed"
    )
    three = tuple(EffectDriver(f"msc.n{number}", "hba1c", 0.5, "cell") for number in range(5))
    assert "msc.n3" not in carried(replace(arm, effect_drivers=three))


def test_statements_reach_the_run_that_they_concern(tmp_path):
    result = isletsim.load_scenario("t2d_exosome", set=["cohort.size=0"]).run(jobs=1)
    assert {"F15", "F37"} <= {flag["id"] for flag in result.run["flags"]}
    assert "Every run of vesicles is a hypothesis" in " ".join(result.table().split())
    result.write(tmp_path, figures=False)
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["arms"]["exosomes"]["evidence"] == "animal"
    healthy = isletsim.load_scenario("healthy_decade", set=["cohort.size=0"]).run(jobs=1)
    assert [flag["id"] for flag in healthy.run["flags"] if flag["severity"] == "high"] == ["F37"]


def test_a_therapy_is_shown_with_its_grade_and_what_must_be_known():
    text = " ".join(show_model(["exosomes"], colour=False).split())
    assert "evidence: preclinical (animals)" in text
    assert "F15: No human trial of vesicles" in text
