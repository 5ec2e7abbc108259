"""A virtual test as it is told and drawn for one patient."""

import pytest

from isletsim.cli.challenge_report import draw_seen, told
from isletsim.data_files import data_folder
from isletsim.errors import InputError
from isletsim.study.examine import examine


@pytest.fixture(scope="module")
def tolerance():
    return examine("healthy_adult", "ogtt")


def rows(text):
    """The minutes of the printed course, and its lines."""
    lines = text.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("   min"))
    course = lines[begin + 1 : lines.index("", begin)]
    return [float(line.split()[0]) for line in course], lines[begin], course


def test_curves_have_the_units_of_the_numbers_below_them(tolerance):
    # Glucose was once drawn in mg/dL above a table in mmol/L, and C-peptide in pmol/L above nmol/L.
    (seen,) = tolerance
    assert seen.units == {"glucose.plasma": "mmol/L", "insulin.plasma": "pmol/L", "cpeptide.plasma": "nmol/L"}
    assert seen.finding.courses["glucose.plasma"][0] == pytest.approx(seen.finding.reports["ogtt_glucose_0"])
    assert seen.finding.courses["cpeptide.plasma"][0] == pytest.approx(seen.finding.reports["ogtt_cpeptide_0"])


def test_rows_are_round_minutes_and_the_moments_of_reports():
    # The rows of an intravenous test were 14 min apart, so that the first phase fell between two of them.
    minutes, _, _ = rows(told(examine("healthy_adult", "ivgtt")))
    assert minutes[:5] == [0, 2, 10, 15, 30]
    assert minutes[-1] == 180


def test_a_course_is_printed_in_one_precision():
    # An infusion that has not begun was printed as 3.802e-30.
    _, head, lines = rows(told(examine("failing_metformin", "clamp_diabetes")))
    infusions = [line.split()[-1] for line in lines]
    assert head.endswith("glucose_clamp.infusion [mg/kg/min]")
    assert infusions[0] == "0.00"
    assert all("e" not in infusion and len(infusion.partition(".")[2]) == 2 for infusion in infusions)


def test_the_figure_says_whose_it_is_and_names_what_is_measured(tolerance, tmp_path):
    written = draw_seen(tolerance, tmp_path)
    picture = next(path for path in written if path.suffix == ".svg").read_text()
    assert [path.name for path in written] == ["ogtt.png", "ogtt.svg"]
    for text in ("Plasma glucose", "C-peptide in plasma", "the reference patient of healthy_adult, day 0"):
        assert text in picture


def test_a_test_of_ones_own_is_found_where_one_is(tmp_path, monkeypatch):
    # It was looked for beside the patient's file, inside the package.
    text = (data_folder("models") / "challenges" / "ogtt.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("75 g", "50 g"))
    monkeypatch.chdir(tmp_path)
    (seen,) = examine("healthy_adult", "mine.toml")
    assert seen.finding.challenge.title == "Oral glucose tolerance test, 50 g"
    assert seen.finding.challenge.name == "mine"


def test_a_scenario_is_seen_in_every_arm():
    seen = examine("t2d_metformin", "ogtt", "2 month")
    assert [(each.study, each.arm, each.day) for each in seen] == [
        ("t2d_metformin", "diet", 61),
        ("t2d_metformin", "metformin", 61),
    ]


@pytest.mark.parametrize(
    ("whom", "at", "message"),
    [
        ("healthy_adult", "-3 month", "No test is given before the end of the history"),
        ("healthy_adult", "soon", "is not a quantity"),
        ("topp2000", "0 day", "This is a model"),
        ("t2d_msc_published", "0 day", "needs a model with a day clock"),
    ],
)
def test_what_cannot_be_tested_is_one_clear_fault(whom, at, message):
    with pytest.raises(InputError, match=message) as refused:
        examine(whom, "ogtt", at)
    assert len(refused.value.faults) == 1
