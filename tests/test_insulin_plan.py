"""Insulin is taken where it is needed and as long as it is needed, however seldom people are seen."""

import numpy as np
import pytest

from isletsim.study import load_scenario

STUDY = """
title   = "Insulin for somebody"
patient = "{patient}"
until   = "1 year"
save    = "1 month"

[visits]
every = "{every}"

[arms.insulin]
courses = [{{ input = "insulin_plan.prescribed", level = "1" }}]
"""


@pytest.fixture
def doses(tmp_path):
    """Insulin a day of a patient, month by month."""

    def live(patient, every="3 month", **changes):
        path = tmp_path / "insulin.toml"
        path.write_text(STUDY.format(patient=patient, every=every), encoding="utf-8")
        result = load_scenario(path, changes).run(jobs=1)
        return result.values[0, 0, :, [each.name for each in result.variables].index("insulin_dose")]

    return live


def test_insulin_that_is_not_needed_ends_within_months(doses):
    # A visit used to take away a third at most, so that nobody seen every three months became free of insulin.
    found = doses("healthy_adult", **{"insulin_plan.dose": "0.5 U/kg/day"})
    assert found[1] > 0.1
    assert found[4] < 0.01
    assert found[-1] < 1e-4


def test_insulin_begins_again_as_secretion_is_lost(doses):
    found = doses("new_onset_t1d_adult")
    assert (np.diff(found[1:]) > 0).all()
    assert 0.3 < found[-1] < 0.8


def test_the_dose_hardly_depends_on_how_often_people_are_seen(doses):
    seldom, often = doses("new_onset_t1d_adult"), doses("new_onset_t1d_adult", "1 month")
    assert np.abs(seldom / often - 1).max() < 0.03


def test_a_deadband_keeps_a_dose_within_the_range_of_the_target(doses):
    # In early type 2 diabetes this much insulin brings glucose below its aim.
    none, usual, wide = (
        doses("early_t2d", **{"insulin_plan.reduction_deadband": width, "insulin_plan.dose": "0.3 U/kg/day"})
        for width in ("0 mg/dL", "25 mg/dL", "200 mg/dL")
    )
    assert none[-1] < usual[-1] < wide[-1]
    assert np.abs(wide[1:] / wide[1] - 1).max() < 0.05
