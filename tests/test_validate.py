"""Checks against runs: statistics equal those by hand, verdicts say what they must, and the report keeps them apart."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from example_result import alone, example

from isletsim.cli.commands import commands
from isletsim.errors import InputError
from isletsim.evidence import read_evidence
from isletsim.statistics import student
from isletsim.units import unit
from isletsim.validation import Simulated, judge, measure, read_checks, validate
from isletsim.validation.checks import STATISTICS

CHECK = """
title = "One check"
[studies.t2d_msc]
standing = "teaching"
[studies.not_there]
standing = "flagship"
[checks.one]
"""


@pytest.fixture
def check(tmp_path):
    """A check on the example result, with what a test asks for."""

    def make(target="T194", value="", **keys):
        said = {"scenario": "t2d_msc", "arm": "cells", "measure": "hba1c", "at": "1 year", **keys}
        said |= {"target": target, **({"value": value} if value else {})}
        path = tmp_path / f"checks{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(CHECK + "\n".join(f"{key} = {json.dumps(each)}" for key, each in said.items()))
        return read_checks(path).checks[0]

    return make


@pytest.fixture(scope="module")
def result():
    return example(failing=False)


def courses(result, name, arm=1):
    """The values of a variable by cohort member and time."""
    column = [variable.name for variable in result.variables].index(name)
    return result.values[arm, 1:, :, column]


DAY = 52  # the row nearest to a year, in weeks


def test_a_difference_is_taken_patient_by_patient_with_the_interval_of_its_mean(check, result):
    found = measure(check(against="usual"), result)
    paired = courses(result, "hba1c")[:, DAY] - courses(result, "hba1c", 0)[:, DAY]
    half = student(len(paired)) * paired.std(ddof=1) / math.sqrt(len(paired))
    assert found.value == pytest.approx(paired.mean())
    assert (found.low, found.high) == pytest.approx((paired.mean() - half, paired.mean() + half))
    assert (found.people, found.time, found.unit.text) == (39, 364.0, "percent_NGSP")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"over": "median"}, lambda x: np.median(x[:, DAY])),
        ({"over": "patient"}, None),
        ({"statistic": "change"}, lambda x: (x[:, DAY] - x[:, 0]).mean()),
        ({"statistic": "highest"}, lambda x: x[:, : DAY + 1].max(axis=1).mean()),
        ({"statistic": "lowest"}, lambda x: x[:, : DAY + 1].min(axis=1).mean()),
        ({"statistic": "mean"}, lambda x: np.trapezoid(x[:, : DAY + 1], dx=1 / DAY, axis=1).mean()),
    ],
)
def test_statistics_equal_those_by_hand(check, result, keys, expected):
    found = measure(check(**keys), result)
    by_hand = result.values[1, 0, DAY, 0] if expected is None else expected(courses(result, "hba1c"))
    assert found.value == pytest.approx(by_hand)


def test_the_slope_is_that_of_a_straight_line_in_the_printed_unit(check, result):
    found = measure(check("T055", "metformin", arm="usual", statistic="slope", since="0 day"), result)
    assert found.value == pytest.approx(0.22)  # the drift a year of the example
    assert found.unit.text == "percent_NGSP/year"


def test_an_association_is_the_line_through_people_that_made_them(check, result):
    found = measure(check(statistic="mean", since="0 day", over="association", per="hba1c", fold=1.5), result)
    means = np.trapezoid(courses(result, "hba1c")[:, : DAY + 1], dx=1 / DAY, axis=1)
    steps = np.log(courses(result, "hba1c")[:, 0]) / math.log(1.5)
    line, covariance = np.polyfit(steps, means, 1, cov=True)
    assert found.value == pytest.approx(line[0])
    assert found.high - found.value == pytest.approx(student(len(steps) - 1) * math.sqrt(covariance[0, 0]))


@pytest.mark.parametrize("keys", [{"over": "association"}, {"per": "hba1c", "fold": 1.5}])
def test_half_an_association_is_refused(check, keys):
    with pytest.raises(InputError, match="whole association"):
        check(**keys)


def test_shares_have_exact_intervals(check, result):
    found = measure(check("T051", "diet", measure="hba1c < 7", over="share"), result)
    below = courses(result, "hba1c")[:, DAY] < 7
    assert found.value == pytest.approx(100 * below.mean())
    assert found.low < found.value < found.high


def test_conditions_throughout_ever_and_until(check, result):
    values = courses(result, "hba1c")[:, : DAY + 1]
    keys = {"measure": "hba1c < 7", "over": "share"}
    always = measure(check("T051", "diet", statistic="always", **keys), result)
    ever = measure(check("T051", "diet", statistic="ever", **keys), result)
    assert always.value == pytest.approx(100 * (values < 7).all(axis=1).mean())
    assert ever.value == pytest.approx(100 * (values < 7).any(axis=1).mean())
    until = measure(check("T092", measure="hba1c < 100", statistic="until", over="median"), result)
    never = measure(check("T092", measure="hba1c < 0", statistic="until", over="median"), result)
    assert (until.value, never.value) == (0.0, math.inf)


def test_retained_shares_compare_as_ratios_and_geometric_means(check, result):
    values = courses(result, "cpeptide_fasting")
    kept = values[:, DAY] / values[:, 0]
    geometric = measure(
        check("T007", "kept after a year", measure="cpeptide_fasting", statistic="retained", over="geometric_mean"),
        result,
    )
    assert geometric.value == pytest.approx(100 * np.exp(np.log(kept).mean()))
    other = courses(result, "cpeptide_fasting", 0)
    keys = {"measure": "cpeptide_fasting", "statistic": "retained", "against": "usual", "compare": "ratio"}
    ratio = measure(check("T185", "gain over placebo's gain", least=0.05, **keys), result)
    assert ratio.value == pytest.approx(kept.mean() / (other[:, DAY] / other[:, 0]).mean())


def test_people_of_two_studies_compare_as_a_ratio(check, result):
    keys = {"measure": "cpeptide_fasting", "against": "not_there.usual", "compare": "ratio", "least": 0.05}
    wanted = check("T185", "gain over placebo's gain", **keys)
    other = replace(result, values=3 * result.values)
    found = measure(wanted, result, other)
    by_hand = courses(result, "cpeptide_fasting")[:, DAY].mean() / courses(other, "cpeptide_fasting", 0)[:, DAY].mean()
    assert found.value == pytest.approx(by_hand)
    assert (wanted.beside.name, wanted.other_arm) == ("not_there", "usual")


def test_progress_is_the_share_of_the_change_until_the_end(check, result):
    values = courses(result, "hba1c", 0)
    found = measure(
        check("T261", "last 30 days", arm="usual", statistic="progress", within=10, because="why not"), result
    )
    by_hand = (values[:, DAY] - values[:, 0]) / (values[:, -1] - values[:, 0])
    assert found.value == pytest.approx(100 * by_hand.mean())


def test_values_come_in_the_unit_that_was_published(check, result):
    keys = {"measure": "cpeptide_fasting", "arm": "usual", "of": "cpeptide"}
    found = measure(check("T165", "peak C-peptide", **keys), result)
    assert found.value == pytest.approx(courses(result, "cpeptide_fasting", 0)[:, DAY].mean() * 3.02)
    assert found.unit.text == "ng/mL"


def test_expressions_of_several_names_are_measured(check, result):
    keys = {"measure": "glucose_mean - (1.59 * hba1c - 2.59)", "unit": "mmol/L", "within": 1, "because": "scatter"}
    found = measure(check("T260", "departure from the line", arm="usual", **keys), result)
    glucose, hba1c = courses(result, "glucose_mean", 0)[:, DAY], courses(result, "hba1c", 0)[:, DAY]
    assert found.value == pytest.approx((glucose - 1.59 * hba1c + 2.59).mean())


def test_a_run_without_a_cohort_gives_the_reference_patient(check, result):
    found = measure(check(), alone(result))
    assert found.value == pytest.approx(result.values[1, 0, DAY, 0])
    assert found.people == 0
    assert math.isnan(found.low)


def test_subjects_that_failed_are_left_out(check):
    assert measure(check(at="end"), example()).people == 38


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"arm": "cell"}, 'Did you mean "cells"?'),
        ({"measure": "hba1"}, 'Did you mean "hba1c"?'),
        ({"at": "10 year"}, "not near day"),
        ({"measure": "glucose_mean"}, "[glycation]"),
        ({"over": "share"}, "a share is of a condition"),
        ({"measure": "hba1c + hba1c"}, "needs its unit"),
    ],
)
def test_a_check_that_does_not_fit_its_run_is_told_with_its_place(check, result, keys, expected):
    with pytest.raises(InputError) as raised:
        measure(check(**keys), result)
    assert expected in str(raised.value)
    assert "[checks] one" in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"target": "T194", "statistic": "slop"}, 'Did you mean "slope"?'),
        ({"target": "T194", "within": 1}, "an interval was published"),
        ({"target": "T057", "within": 1}, "says within and not why"),
        ({"target": "T186"}, "a direction needs the smallest change"),
        ({"target": "T187"}, "is in words"),
        ({"target": "T180", "value": "highest"}, 'Did you mean "highest dose"?'),
        ({"target": "T194", "statistic": "change", "at": "0 day"}, "lies not after since"),
        ({"target": "T194", "compare": "ratio"}, "nothing to compare with"),
        ({"target": "T194", "measure": "hba1c <"}, "measure"),
        ({"target": "T194", "scenario": "t2d_mcs"}, 'Did you mean "t2d_msc"?'),
        ({"target": "T194", "against": "t2d_mcs.usual", "compare": "ratio"}, 'Did you mean "t2d_msc"?'),
        ({"target": "T194", "against": "not_there.usual"}, "two studies have other people"),
    ],
)
def test_a_wrong_check_is_told_before_anything_runs(check, keys, expected):
    with pytest.raises(InputError, match=r"checks0\.toml:\d+") as raised:
        check(**keys)
    assert expected in str(raised.value)


def said(value, people=40):
    return Simulated(value, math.nan, math.nan, unit("percent_NGSP"), people, 365.0)


@pytest.mark.parametrize(
    ("value", "outcome", "half_widths"),
    [(-0.72, "inside", 0.0), (-0.33, "inside", 1.0), (-0.1, "outside", 0.62 / 0.39), (-1.5, "outside", 0.78 / 0.39)],
)
def test_inside_and_outside_of_a_published_interval(check, value, outcome, half_widths):
    found = judge(check(), said(value))
    assert (found.outcome, found.basis) == (outcome, "95 % CI")
    assert found.half_widths == pytest.approx(half_widths)


@pytest.mark.parametrize(("value", "outcome"), [(0.01, "inside"), (-0.04, "inside"), (0.06, "outside")])
def test_no_change_is_less_than_what_counts(check, value, outcome):
    found = judge(check("T186", least=0.05), said(value))
    assert (found.outcome, found.basis) == (outcome, "direction")


@pytest.mark.parametrize(("value", "outcome"), [(1.04, "outside"), (1.06, "inside"), (0.9, "outside")])
def test_a_ratio_rises_from_one(check, value, outcome):
    found = judge(check("T185", "gain over placebo's gain", against="usual", compare="ratio", least=0.05), said(value))
    assert found.outcome == outcome


def test_what_is_recalled_or_context_or_without_interval_is_not_judged(check):
    assert judge(check("T055", "metformin"), said(0.14)).outcome == "recalled"
    assert judge(check("T197"), said(-1.5)).outcome == "shown"
    assert judge(check("T057", measure="1 - beta_mass"), said(63.0)).outcome == "shown"
    assert judge(check(), said(math.nan)).outcome == "failed"
    assert not judge(check("T099", "1 year", measure="hba1c < 7", over="share"), said(52.1)).judged


def test_a_tolerance_of_ours_says_so(check):
    found = judge(check("T057", measure="1 - beta_mass", within=10, because="wide"), said(70.0))
    assert (found.outcome, found.basis) == ("inside", "a tolerance of ours")


def test_every_statistic_has_a_meaning():
    from isletsim.validation.measure import _STATISTICS

    assert sorted(_STATISTICS) == sorted(STATISTICS)


# --- whole reports ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report():
    return validate(["red_cell_step", "T183", "t1d_sc_islets", "C098"], patients=4)


def test_published_red_cells_weigh_past_glucose_as_reviews_say(report):
    rows = [row for row in report.rows if row.check.study.name == "red_cell_step"]
    assert [row.verdict.outcome for row in rows] == ["inside"] * 3


def test_a_scenario_that_is_still_to_come_is_not_yet_modelled(tmp_path):
    path = tmp_path / "checks.toml"
    path.write_text(CHECK + 'target = "T194"\nscenario = "not_there"\narm = "a"\nmeasure = "hba1c"\n')
    report = validate(checks=read_checks(path))
    assert [row.verdict.outcome for row in report.rows] == ["not yet modelled"]
    assert "there is no scenario not_there yet" in report.rows[0].verdict.why
    assert report.scores()[0].awaited == 1
    assert len(report.unchecked) == len(read_evidence().targets) - 1


def test_a_study_beside_is_run_for_those_who_ask_and_says_why_not(tmp_path):
    keys = 'arm = "care"\nmeasure = "ogtt_insulin_60"\ncompare = "ratio"\n'
    drink = '[studies.drink]\nstanding = "flagship"\nfile = "studies/glucose_drink_igt.toml"\n'
    for name, outcome in (("drink", "inside"), ("not_there", "not yet modelled")):
        path = tmp_path / f"{name}.toml"
        asked = f'scenario = "drink"\ntarget = "T073b"\nvalue = "60 min"\nagainst = "{name}.care"\n{keys}'
        path.write_text(CHECK.replace("[checks", drink + "[checks") + asked)
        (row,) = validate(checks=read_checks(path)).rows
        assert row.verdict.outcome == outcome
        assert row.simulated is None or row.simulated.value == 1.0


def test_scores_keep_standings_and_uses_apart_and_count_every_row_once(report):
    scores = report.scores()
    assert {(score.standing, score.use) for score in scores} >= {("published", "cal"), ("flagship", "cal")}
    assert sum(score.judged + score.shown + score.awaited + score.failed for score in scores) == len(report.rows)


def test_every_row_outside_of_its_interval_is_listed_with_its_reason(report):
    (row,) = [row for row in report.rows if row.check.target.id == "T183"]
    missed = replace(row.check, missed="for want of cells")
    row = replace(row, check=missed, verdict=replace(row.verdict, outcome="outside"))
    lines = replace(report, rows=(row,)).table(100).splitlines()
    said = lines[lines.index("Outside of their interval, and why:") + 1]
    assert re.fullmatch(r"  T183.*: for want of cells", said)


def test_the_table_shows_published_and_simulated_values_and_the_flags_of_a_claim(report):
    text = report.table(130)
    assert "C098 (insulin resistance article)" in text
    assert "F14:" in text
    assert "-0.68 % (-1.11 to -0.25; 1.96 SE) [derived]" in text
    assert "For research and teaching" in text


def test_the_record_is_json_and_says_what_each_row_stands_on(report):
    record = json.loads(json.dumps(report.record(), allow_nan=False))
    row = next(row for row in record["rows"] if row["target"] == "T183")
    assert row["published"] == {
        "value": -0.68,
        "unit": "%",
        "direction": "",
        "low": pytest.approx(-1.1112, abs=1e-3),
        "high": pytest.approx(-0.2488, abs=1e-3),
        "kind": "1.96 SE",
    }
    assert row["sources"] == ["Zang2022"]
    assert row["grade"]
    assert {claim["claim"] for claim in record["claims"]} >= {"C098"}


def test_the_figure_has_a_mark_for_every_pair_of_numbers(report):
    figure = report.plot()
    pairs = [row for row in report.rows if row.simulated is not None and row.check.value.number is not None]
    marks = [line for axes in figure.axes for line in axes.lines if line.get_marker() not in ("None", "")]
    assert len(marks) == len(pairs)
    *panels, strip = figure.axes
    assert all(axes.get_xlim() == axes.get_ylim() for axes in panels)
    assert len(strip.get_yticks()) == len([line for line in strip.lines if line.get_marker() not in ("None", "")])


def test_a_run_that_fails_is_told_and_hides_nothing(monkeypatch):
    from isletsim import RunError
    from isletsim.study import Scenario

    def fail(self, **keys):
        raise RunError("the step became too small")

    monkeypatch.setattr(Scenario, "run", fail)
    rows = validate(["red_cell_step"]).rows
    assert {row.verdict.outcome for row in rows} == {"failed"}
    assert "too small" in rows[0].verdict.why


def test_the_command_writes_what_it_is_asked_for(tmp_path):
    arguments = ["validate", "red_cell_step", "--json", str(tmp_path / "v.json"), "--figure", str(tmp_path), "-q"]
    run = CliRunner().invoke(commands, arguments)
    assert run.exit_code == 0, run.output
    assert "3 of 3" in run.output
    assert json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))["score"]
    assert (tmp_path / "validation.png").stat().st_size > 10_000
    assert (tmp_path / "validation.svg").is_file()


def test_an_unknown_target_is_wrong_input():
    with pytest.raises(InputError, match='no target, claim or study "T999"'):
        validate(["T999"])


def test_a_check_that_is_not_met_by_its_run_stops_the_report_with_its_place(tmp_path):
    path = tmp_path / "checks.toml"
    text = CHECK.replace("t2d_msc", "step").replace("teaching", 'published"\nfile = "studies/red_cell_step.toml')
    path.write_text(text + 'target = "T194"\nscenario = "step"\narm = "after"\nmeasure = "tir"\n')
    with pytest.raises(InputError, match='records no "tir"'):
        validate(checks=read_checks(path))


def test_reports_of_part_leave_out_what_was_not_asked_for(report):
    assert not report.whole
    assert not report.unchecked
    assert replace(report, whole=True).record()["claims"]
