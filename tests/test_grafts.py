"""What grafts of islets do and do not escape, by short runs of the reference recipient."""

import numpy as np
import pytest

from isletsim.study import load_scenario

SHORT = {
    "t1d_autologous_islets": '["0 day", "3 month"]',
    "t1d_hypoimmune_islets": '["0 day", "6 month"]',
    "t1d_encapsulated_islets": '["0 day", "6 month"]',
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lived():
    """A scenario over a year without a cohort, run once: what is recorded at the end, by arm and name."""
    runs = {}

    def run(name):
        if name not in runs:
            changes = ["until=1 year", "cohort.size=0", f"challenges.mmtt.at={SHORT[name]}"]
            runs[name] = load_scenario(name, set=changes).run()
        return runs[name]

    return run


def course(result, arm, variable):
    arms, variables = [each.name for each in result.arms], [each.name for each in result.variables]
    values = result.values[arms.index(arm), 0, :, variables.index(variable)]
    return values[np.isfinite(values)]


def test_own_cells_are_not_rejected_and_still_killed_by_the_disease_unless_drugs_hold_it(lived):
    result = lived("t1d_autologous_islets")
    alone, covered = (course(result, arm, "autologous_islets.mature") for arm in ("alone", "covered"))
    assert alone.max() > 0.3  # in their first months they do as well as with drugs
    assert alone[-1] < 0.7 * alone.max()
    assert covered[-1] > 0.9 * covered.max()


def test_grafts_elsewhere_give_more_insulin_to_the_body_for_the_same_cpeptide(lived):
    changes = ["until=1 year", "cohort.size=0", "autologous_islets.systemic_drainage=0", 'challenges.mmtt.at=["0 day"]']
    within = load_scenario("t1d_autologous_islets", set=changes).run()  # the same graft, were it in the liver
    ratios = []
    for result in (lived("t1d_autologous_islets"), within):
        insulin, cpeptide = (course(result, "covered", f"{name}_fasting") for name in ("insulin", "cpeptide"))
        assert course(result, "covered", "insulin_dose")[-1] < 1e-3  # so that all insulin is the graft's
        ratios.append(insulin[-1] / cpeptide[-1])
    assert ratios[0] > 1.5 * ratios[1]


def test_edited_cells_outlive_others_without_drugs(lived):
    result = lived("t1d_hypoimmune_islets")
    edited = course(result, "first_dose", "hypoimmune_islets.engrafted")
    others = course(result, "unedited", "donor_islets.engrafted")
    assert edited[-1] > 0.5 * edited.max()
    assert others[-1] < 0.01 * others.max()


def test_a_larger_dose_of_edited_cells_does_more(lived):
    result = lived("t1d_hypoimmune_islets")
    doses = [course(result, arm, "insulin_dose")[-1] for arm in ("care", "first_dose", "full_dose")]
    assert doses[0] > doses[1] > doses[2]


def test_cells_in_devices_starve_where_they_are_dense_and_more_so_behind_closed_membranes(lived):
    result = lived("t1d_encapsulated_islets")
    open_, spread, closed = (
        course(result, arm, "encapsulated_islets.yield_so_far") for arm in ("open", "spread", "closed")
    )
    assert spread[-1] > 1.2 * open_[-1] > 1.2 * closed[-1] > 0


def test_a_coat_grows_round_devices_and_nowhere_else(lived):
    result = lived("t1d_encapsulated_islets")
    assert 0.2 < course(result, "open", "encapsulated_islets.fibrotic_capsule")[-1] < 1
    assert course(result, "care", "encapsulated_islets.fibrotic_capsule")[-1] == 0
