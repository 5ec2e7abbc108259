"""The virtual tests of the package, given to people of the new day: what a clinician would expect of each."""

import pytest

from isletsim.data_files import in_room_of, kind_of, listing
from isletsim.study.examine import examine

EXPECTED = [
    ("healthy_lean", "insulin_tolerance", {"itt_fall": (3, 7), "itt_nadir": (1.8, 3.2), "itt_nadir_time": (18, 45)}),
    (
        "healthy_lean",
        "hyperglycaemic_clamp",
        {"hyperglycaemic_glucose": (11.5, 12.5), "hyperglycaemic_infusion": (5, 20)},
    ),
    ("healthy_lean", "graded_glucose", {"graded_slope": (0.4, 3), "graded_glucose_end": (6, 12)}),
    ("healthy_lean", "ogtt_trial", {"ogtt_trial_insulin_rise": (50, 500), "ogtt_trial_glucose_120": (4, 7.8)}),
    ("healthy_lean", "mmtt_trial", {"mmtt_trial_cpeptide_mean": (0.6, 3), "mmtt_trial_glucose_peak": (5.5, 9)}),
    ("healthy_lean", "day_profile", {"profile_glucose_lowest": (3.9, 5.5), "profile_glucose_highest": (6, 8.5)}),
    ("healthy_lean", "stepped_clamp", {"stepped_infusion_mid": (4.7, 10), "stepped_insulin_mid": (400, 650)}),
    ("healthy_lean", "fast_72h", {"fast_glucose_lowest": (3.0, 5), "fast_ketones_72": (1.5, 5)}),
    ("type1", "insulin_withdrawal", {"withdrawal_glucose_24": (14, 30), "withdrawal_ketones_24": (3, 12)}),
]


@pytest.mark.parametrize(("patient", "test", "expected"), EXPECTED, ids=[test for _, test, _ in EXPECTED])
def test_a_test_gives_what_a_clinician_expects(patient, test, expected):
    (seen,) = examine(patient, test)
    for name, (low, high) in expected.items():
        assert low < seen.finding.reports[name] < high, name


def test_type_2_diabetes_is_worse_in_every_test_of_glucose():
    found = {}
    for patient in ("healthy_lean", "early_t2d_8"):
        for test in ("ogtt_trial", "hyperglycaemic_clamp", "insulin_tolerance"):
            found |= {(patient, name): value for name, value in examine(patient, test)[0].finding.reports.items()}
    assert found["early_t2d_8", "ogtt_trial_glucose_120"] > 1.5 * found["healthy_lean", "ogtt_trial_glucose_120"]
    assert found["early_t2d_8", "hyperglycaemic_infusion"] < 0.5 * found["healthy_lean", "hyperglycaemic_infusion"]
    assert found["early_t2d_8", "itt_fall"] < 0.6 * found["healthy_lean", "itt_fall"]


def test_a_test_with_days_of_its_own_is_no_patient():
    assert {kind_of(path) for _, path in listing("challenge")} == {"challenge"}


def test_a_layer_means_the_file_of_the_room_that_the_patients_core_is_from():
    assert in_room_of("glucose_clamp", ["person", "day/liver"]) == "day/glucose_clamp"
    assert in_room_of("glucose_clamp", ["glucose", "insulin"]) == "glucose_clamp"
    assert in_room_of("msc", ["day/liver"]) == "msc"
