"""The clamp: glucose is held where it should be, and what is infused is what tissues take."""

import pytest

from isletsim.study.examine import examine

CASES = [
    ("healthy_adult", "clamp", "clamp_glucose"),
    ("failing_metformin", "clamp_diabetes", "clamp_high_glucose"),
]


@pytest.mark.parametrize(("patient", "test", "reached"), CASES)
def test_glucose_is_held_at_the_aim(patient, test, reached):
    # Glucose above the aim, as in diabetes before insulin works, once added up, and the infusion never began.
    (seen,) = examine(patient, test)
    found = seen.finding.reports
    infused = next(value for name, value in found.items() if name.endswith("infusion"))
    assert found[reached] == pytest.approx(90 / 18.016, rel=0.03)
    assert infused > 1
