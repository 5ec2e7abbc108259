"""What a study reports is possible: shares between 0 and 100, concentrations not negative, at every record."""

import numpy as np
import pytest
from example_models import write

import isletsim

STOPPED = """
title = "Insulin is stopped on the second day"
patient = "long_standing_t1d"
until = "8 day"
save = "1 day"
[arms.usual]
[arms.stopped]
courses = [{ input = "insulin_plan.prescribed", level = "0", from = "2 day" }]
"""
SHARES = ("tir", "time_below_range", "time_far_below_range", "time_above_range", "time_far_above_range")


def column(result, name):
    """Values (arm, subject, time) of a variable."""
    return result.values[..., [each.name for each in result.variables].index(name)]


@pytest.mark.parametrize("every_day", [False, True], ids=["default", "every day"])
def test_insulin_is_not_negative_on_the_days_after_it_is_stopped(tmp_path, every_day):
    study = write(tmp_path, stopped=STOPPED)["stopped"]
    result = isletsim.load_scenario(study).run(every_day=every_day)
    insulin = column(result, "insulin_mean")[1, 0]
    assert insulin.min() >= 0.0
    assert insulin[2] > 50.0 > 10.0 > insulin[3] > insulin[5] > 0.1
    assert column(result, "insulin_fasting").min() >= 0.0


@pytest.mark.parametrize("study", ["t2d_msc", "t1d_autologous_islets"])
def test_shares_of_the_day_are_possible_and_add_to_100(study):
    result = isletsim.load_scenario(study, set={"cohort.size": 5}).run()
    for name in SHARES:
        share = column(result, name)
        assert share.min() >= 0.0
        assert share.max() <= 100.0
    total = sum(column(result, name) for name in ("tir", "time_below_range", "time_above_range"))
    assert np.allclose(total, 100.0, rtol=0, atol=1e-9)
    assert (column(result, "time_far_below_range") <= column(result, "time_below_range") + 0.01).all()


CELLS = """
title = "Stromal cells over twelve weeks"
patient = "failing_metformin"
until = "12 week"
save = "1 week"
[arms.usual]
[arms.msc]
layers = ["msc"]
doses = [{ into = "msc.infusion", amount = "1e6 cell/kg", at = "0 day", every = "4 week", times = 3 }]
"""


def test_time_in_range_between_simulated_days_is_that_of_days_simulated_one_by_one(tmp_path):
    study = isletsim.load_scenario(write(tmp_path, cells=CELLS)["cells"])
    default, reference = (column(study.run(every_day=each), "tir") for each in (False, True))
    assert np.abs(default - reference).max() < 0.5
