import csv
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from example_result import alone, example
from scipy import stats

from isletsim.errors import InputError
from isletsim.results import FigureRequest, Variable, render_table, summarise, write
from isletsim.results.files import COLUMNS, columns
from isletsim.results.record import NOTICE
from isletsim.results.summary import marks
from isletsim.statistics import quantiles, student


def read_lines(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def with_values(result, place, values):
    """The result with one variable's values replaced."""
    changed = result.values.copy()
    changed[..., place] = values
    return replace(result, values=changed)


# --- times and statistics ---------------------------------------------------------------------------------------------


def test_times_are_those_people_ask_for_with_the_nearest_saved_row():
    found = [(mark.at, mark.row) for mark in marks(example(), 0)]
    assert found == [("0 month", 0), ("3 month", 13), ("6 month", 26), ("12 month", 52), ("2 year", 104), ("end", 156)]


def test_a_study_of_whole_years_has_its_last_year_and_its_end():
    found = marks(example(rows=1097, spacing=1.0), 0)
    assert [mark.at for mark in found][-3:] == ["2 year", "3 year", "end"]
    assert found[-1].row == found[-2].row == 1096


def test_rows_too_far_apart_are_told_once():
    assert [mark.at for mark in marks(example(rows=4, spacing=365.25), 0)] == [
        "0 month",
        "12 month",
        "2 year",
        "3 year",
        "end",
    ]


def test_a_virtual_test_is_summarised_at_the_times_it_was_made():
    result = example()
    sparse = np.full(result.values.shape[:3], np.nan)
    sparse[:, :, [0, 25, 150]] = 1.0
    found = marks(with_values(result, 3, sparse), 3)
    assert [(mark.at, mark.row) for mark in found] == [("0 month", 0), ("6 month", 25)]
    assert marks(with_values(result, 3, np.nan), 3) == []


def test_quantiles_are_numpys_and_leave_out_what_is_missing():
    values = np.random.default_rng(1).standard_normal((31, 4, 3))
    values[np.random.default_rng(2).random(values.shape) < 0.3] = np.nan
    values[:, 2, 1] = np.nan
    values[0, 0, 0] = np.inf
    expected = np.where(np.isfinite(values), values, np.nan)
    expected[0, 2, 1] = 0.0  # numpy warns of an empty column
    expected = np.nanpercentile(expected, [5, 50, 95], axis=0)
    expected[:, 2, 1] = np.nan
    np.testing.assert_allclose(quantiles(values, [5, 50, 95]), expected, rtol=1e-12)


def test_there_are_no_quantiles_of_nobody():
    assert np.isnan(quantiles(np.zeros((0, 4)), [5, 95])).all()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 40, 1000])
def test_the_confidence_factor_is_that_of_student(count):
    assert student(count) == pytest.approx(stats.t.ppf(0.975, count - 1), rel=2e-3)


# --- the summary ------------------------------------------------------------------------------------------------------


def entry(found, name, at, arm="cells", kind="arms"):
    return next(each for each in found[kind][arm][name]["values"] if each["at"] == at)


def test_the_summary_counts_the_cohort_and_keeps_the_reference_patient_apart():
    result = example(failing=False)
    found = entry(summarise(result), "hba1c", "12 month")
    values = result.values[1, :, 52, 0]
    assert found["time_day"] == 364
    assert found["n"] == 39
    assert found["patient"] == pytest.approx(values[0], rel=1e-5)
    assert found["mean"] == pytest.approx(values[1:].mean(), rel=1e-5)
    assert [found["p5"], found["median"], found["p95"]] == pytest.approx(
        np.percentile(values[1:], [5, 50, 95]), rel=1e-5
    )


def test_differences_are_taken_patient_by_patient():
    result = example(failing=False)
    found = entry(summarise(result), "hba1c", "6 month", kind="differences")
    paired = result.values[1, 1:, 26, 0] - result.values[0, 1:, 26, 0]
    interval = stats.t.interval(0.95, len(paired) - 1, paired.mean(), stats.sem(paired))
    assert found["mean"] == pytest.approx(paired.mean(), rel=1e-5)
    assert found["median"] == pytest.approx(np.median(paired), rel=1e-5)
    assert [found["mean_low"], found["mean_high"]] == pytest.approx(interval, rel=1e-5)
    # the spread between people is ten times that of what the therapy does to them
    levels = entry(summarise(result), "hba1c", "6 month")
    assert found["p95"] - found["p5"] < 0.5 * (levels["p95"] - levels["p5"])


def test_a_subject_that_failed_is_left_out_of_its_arm_and_of_the_difference():
    found = summarise(example())
    assert entry(found, "hba1c", "end")["n"] == 38
    assert entry(found, "hba1c", "end", arm="usual")["n"] == 39
    assert entry(found, "hba1c", "end", kind="differences")["n"] == 38
    assert found["failures"] == {"usual": 0, "cells": 1}


def test_any_arm_can_be_the_control():
    found = summarise(replace(example(("a", "b", "c")), control=1))
    assert found["control"] == "b"
    assert list(found["arms"]) == ["a", "b", "c"]
    assert list(found["differences"]) == ["a", "c"]


def test_without_a_cohort_the_patient_is_its_own_mean_and_has_no_percentiles():
    found = entry(summarise(alone(example())), "crp", "12 month")
    assert found["patient"] == found["mean"] == found["median"]
    assert found["n"] == 1
    assert found["p5"] is found["p95"] is None


def test_the_summary_is_of_clinical_names():
    found = summarise(example())
    assert "msc.cells" not in found["arms"]["cells"]
    assert found["arms"]["cells"]["hba1c"]["unit"] == "%"


def test_numbers_of_the_summary_have_six_digits_and_are_never_nan():
    def numbers(value):
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, (dict, list)):
                yield from numbers(each)
            elif isinstance(each, float):
                yield each

    result = example()
    found = list(numbers(summarise(with_values(result, 2, 1e308))))
    assert len(found) > 500
    assert all(float(f"{each:.6g}") == each for each in found)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_folder_receives_results_summary_run_and_figures(tmp_path):
    paths = write(example(rows=20), tmp_path / "a" / "b")
    names = ["results.csv", "summary.json", "run.json", "figures/t2d_msc.png", "figures/t2d_msc.svg"]
    assert paths == [tmp_path / "a" / "b" / name for name in names]
    assert sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file()) == sorted(paths)


def test_the_same_result_gives_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        write(example(rows=20), tmp_path / folder, keep="full")
    for name in ("results.csv", "summary.json", "run.json", "figures/t2d_msc.png", "figures/t2d_msc.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_results_are_tidy_and_of_the_reference_patient(tmp_path):
    result = example()
    write(result, tmp_path, figures=False)
    lines = read_lines(tmp_path / "results.csv")
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == 2 * 157 * 12
    assert {line["subject"] for line in lines} == {"0"}
    last = [line for line in lines if line["arm"] == "cells" and line["variable"] == "hba1c"][-1]
    assert last["scenario"] == "t2d_msc"
    assert last["unit"] == "%"
    assert float(last["time_day"]) == 1092
    assert float(last["value"]) == pytest.approx(result.values[1, 0, -1, 0], rel=1e-9)


def test_all_subjects_are_kept_when_asked_for_and_what_is_missing_is_no_line(tmp_path):
    result = example(rows=30)
    write(result, tmp_path, figures=False, keep="full")
    lines = read_lines(tmp_path / "results.csv")
    assert len(lines) == 2 * 40 * 30 * 12 - 15 * 12
    table = columns(result, "full")
    assert [line["arm"] for line in lines] == table["arm"]
    assert [line["variable"] for line in lines] == table["variable"]
    assert [int(line["subject"]) for line in lines] == table["subject"]
    np.testing.assert_allclose([float(line["value"]) for line in lines], table["value"], rtol=1e-9)


def test_names_with_commas_quotes_and_percent_signs_survive(tmp_path):
    result = example(("usual, 50 % care", 'the "cells"'), subjects=2, rows=3)
    named = (Variable("a,b", "%s", "%s"), *result.variables[1:])
    write(replace(result, variables=named, scenario='100 %d, "x"'), tmp_path, figures=False)
    lines = read_lines(tmp_path / "results.csv")
    assert {line["arm"] for line in lines} == {"usual, 50 % care", 'the "cells"'}
    assert {line["scenario"] for line in lines} == {'100 %d, "x"'}
    assert (lines[0]["variable"], lines[0]["unit"]) == ("a,b", "%s")


def test_a_name_of_a_scenario_never_leads_out_of_the_folder(tmp_path):
    paths = write(replace(example(rows=3, subjects=1), scenario="../../x y"), tmp_path / "a")
    assert {path.parent for path in paths} == {tmp_path / "a", tmp_path / "a" / "figures"}
    assert paths[-1].name == "x_y.svg"


def test_what_cannot_be_written_whole_is_not_written_and_leaves_the_old_files(tmp_path, monkeypatch):
    write(example(rows=3), tmp_path, figures=False)
    before = (tmp_path / "results.csv").read_bytes()

    def interrupted(result, keep):
        yield b"scenario,arm"
        raise KeyboardInterrupt

    monkeypatch.setattr("isletsim.results.files._csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(example(rows=5), tmp_path, figures=False)
    assert (tmp_path / "results.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "run.json", "summary.json"]


def test_the_run_says_how_it_was_made_and_what_failed(tmp_path):
    run = {"seed": np.int64(7), "wall_seconds": np.float32(0.5), "worst": float("nan"), "kinds": {"b", "a"}}
    write(replace(example(rows=30), run=run), tmp_path, figures=False)
    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (found["seed"], found["wall_seconds"], found["worst"]) == (7, 0.5, None)
    assert found["kinds"] == ["a", "b"]
    assert found["failures"]["count"] == found["failures"]["by_arm"]["cells"] == 1
    assert found["failures"]["list"][0]["time_day"] == 98
    assert found["arms"]["cells"]["doses"][1] == {"time_day": 28.0, "into": "msc.infusion", "amount": "1e+06 cell/kg"}
    assert "no treatment decisions" in found["notice"]


def test_an_unknown_way_of_keeping_is_refused(tmp_path):
    with pytest.raises(InputError, match='Expected "summary" or "full"'):
        write(example(rows=3), tmp_path, figures=False, keep="all")
    assert not list(tmp_path.iterdir())


def test_a_result_that_is_partly_missing_is_still_written(tmp_path):
    result = example(rows=30)
    values = result.values.copy()
    values[1] = np.nan
    values[0, :, 10:] = np.nan
    partial = replace(result, values=values)
    write(partial, tmp_path)
    assert "usual" in render_table(partial)
    write(replace(result, values=np.full_like(values, np.nan)), tmp_path)


# --- pandas -----------------------------------------------------------------------------------------------------------


def test_pandas_gets_the_columns_of_the_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    frame = example(rows=5).to_pandas()
    assert tuple(frame) == COLUMNS
    assert {len(column) for column in frame.values()} == {2 * 40 * 5 * 12 - 3 * 12}


def test_without_pandas_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'isletsim\[pandas\]'"):
        example(rows=3).to_pandas()


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [example(), alone(example()), example(("usual care", "cells", "a" * 60))])
def test_the_table_fits_into_a_terminal(result):
    lines = render_table(result).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "For research and teaching; no treatment decisions."
    assert all(any(line.startswith(name) for line in lines) for name in ("hba1c [%]", "crp [mg/L]", "homa_ir"))


def test_the_table_of_a_patient_reads_as_it_should():
    lines = render_table(alone(example(rows=1097, spacing=1.0))).splitlines()
    start = lines.index("hba1c [%]")
    heads = "start  3 months  6 months  12 months  2 years  3 years"
    assert next(line for line in lines if "start" in line).strip() == heads
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["usual", "7.50", "7.55", "7.61", "7.72", "7.94", "8.16"],
        ["cells", "7.30", "7.07", "7.25", "7.52", "7.88", "8.14"],
        ["cells", "-", "usual", "-0.20", "-0.49", "-0.36", "-0.20", "-0.06", "-0.02"],
    ]


def test_the_table_of_a_long_study_keeps_the_times_that_matter():
    heads = next(line for line in render_table(example(rows=1500)).splitlines() if "start" in line)
    assert heads.split("  ")[-1].strip() == "1499 weeks"
    assert "12 months" in heads


def test_a_time_that_reads_like_the_end_has_one_column():
    # Saved by the month, two years have rows on days 730.5 and 731: the table had two columns called "2 years".
    time = np.append(30.4375 * np.arange(25), 731.0)
    result = alone(example(rows=len(time)))
    heads = next(line for line in render_table(replace(result, time=time)).splitlines() if "start" in line)
    assert heads.split("  ")[-1].strip() == "2 years"
    assert heads.count("2 years") == 1


def test_the_table_is_of_what_the_figures_show_and_names_the_rest():
    # With five arms and a cohort it once had 1,100 lines.
    shown = replace(example(), figures=(FigureRequest("a", "crp"), FigureRequest("b", "msc.cells")))
    text = render_table(shown)
    assert "crp [mg/L]" in text
    assert "hba1c [%]" not in text
    assert "Also recorded (see summary.json with -o, or --all): hba1c, glucose_mean," in text
    assert "hba1c [%]" in render_table(shown, everything=True)
    assert "Also recorded" not in render_table(shown, everything=True)
    nothing_clinical = replace(example(), figures=(FigureRequest("b", "msc.cells"),))
    assert "hba1c [%]" in render_table(nothing_clinical)


def test_the_table_says_what_arms_are_and_prints_units_for_people():
    result = example()
    index = Variable("bmi", "kg/m**2", "kg/m**2")
    arms = (replace(result.arms[0], about="metformin goes on"), result.arms[1])
    text = render_table(replace(result, arms=arms, variables=(*result.variables[:1], index, *result.variables[2:])))
    assert "  usual: metformin goes on\n" in text
    assert "bmi [kg/m²]" in text
    assert "beta_mass [fraction of healthy]" in text


def test_the_table_names_doses_evidence_and_failures():
    text = render_table(example())
    assert "cells: 3 × msc.infusion 1e6 cell/kg (day 0, 28, 56); evidence: preclinical (animals)" in text
    assert "main drivers of its effect on hba1c: msc.potency (98 %, assumed)" in " ".join(text.split())
    assert "12 of its 14 numbers assumed" in " ".join(text.split())
    assert "must not be missed" in text
    assert "F99" not in text
    assert "FAILED: cells, subject 5, day 539:" in text
    assert "34 % of the parameters assumed" in text
    assert "cohort of 39" in text


def test_a_missing_value_is_a_dash():
    result = alone(example())
    values = result.values.copy()
    values[1, :, 60:] = np.nan
    lines = render_table(replace(result, values=values)).splitlines()
    row = lines[lines.index("hba1c [%]") + 2].split()
    assert row[0] == "cells"
    assert row[-2:] == ["-", "-"]


def test_a_notebook_shows_a_result_with_its_figure_its_evidence_and_no_markup_of_its_own():
    shown = replace(example(), title="<b>bold</b>")._repr_html_()
    assert "data:image/png;base64," in shown
    assert "&lt;b&gt;bold" in shown
    assert NOTICE in shown
