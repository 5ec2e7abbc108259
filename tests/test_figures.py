import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from example_result import alone, example
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from isletsim.figures import Curve, Panel, draw, render
from isletsim.figures.figure_spec import Threshold
from isletsim.figures.layout import limits, power_of_ten, printed_unit, spread_apart, time_axis
from isletsim.results import Failure, FigureRequest, sheet

LONG = ("usual care", "metformin and three infusions of cells", "immune reset followed by islet replacement")
SIX = ("usual care", "cells", "exosomes", "islets", "reset", "cells and reset")


def texts(figure):
    """Every text that is seen, with its box in dots."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    found = [each for each in figure.findobj(mpl.text.Text) if each.get_text().strip() and each.get_visible()]
    ticks = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not axis.get_view_interval()[0] - 1e-9 <= tick.get_loc() <= axis.get_view_interval()[1] + 1e-9
    }
    return [(each.get_text(), each.get_window_extent(renderer)) for each in found if each not in ticks]


def overlap(first, second):
    """The area two boxes share, as seen through half a dot of slack."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0) - 0.5
    height = min(first.y1, second.y1) - max(first.y0, second.y0) - 0.5
    return width > 0 and height > 0


def lines_of(axes, colour):
    return [line for line in axes.lines if to_hex(line.get_color()) == colour and line.get_linewidth() > 1]


# --- nothing overlaps, nothing is cut ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        example(),
        alone(example()),
        example(SIX),
        example(LONG),
        replace(example(), figures=(FigureRequest("a", "hba1c", thresholds=((6.5, "6.5 %"), (7.0, "7 %"))),)),
        replace(example(), figures=tuple(FigureRequest(name, name) for name in ("hba1c", "msc.cells", "crp", "il6"))),
        example(rows=20, spacing=1 / 24, failing=False),
    ],
    ids=["cohort", "patient", "six arms", "long names", "one panel", "four panels", "hours"],
)
def test_no_text_touches_another_or_leaves_the_sheet(result):
    figure = draw(sheet(result))
    found = texts(figure)
    touching = [(one[0], two[0]) for one, two in combinations(found, 2) if overlap(one[1], two[1])]
    assert not touching
    width, height = figure.bbox.size
    assert [text for text, box in found if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height] == []


@given(
    st.lists(st.tuples(st.floats(-5, 15), st.floats(0.1, 2)), min_size=1, max_size=12),
)
def test_labels_spread_apart_keep_their_order_and_stay_within(labels):
    wanted, sizes = zip(*labels, strict=True)
    centres = spread_apart(wanted, sizes, 0.0, 10.0)
    if sum(sizes) > 10:
        assert centres is None
        return
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    edges = [(centres[place] - sizes[place] / 2, centres[place] + sizes[place] / 2) for place in order]
    assert edges[0][0] >= -1e-9
    assert edges[-1][1] <= 10 + 1e-9
    assert all(below[1] <= above[0] + 1e-9 for below, above in pairwise(edges))


def test_labels_that_do_not_collide_stay_where_their_lines_end():
    assert spread_apart([1.0, 8.0, 4.0], [1.0, 1.0, 1.0], 0.0, 10.0) == [1.0, 8.0, 4.0]


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_every_panel_has_the_control_in_black_and_each_arm():
    figure = draw(sheet(example(SIX)))
    for axes in figure.axes:
        assert len(lines_of(axes, "#000000")) == 1
        assert lines_of(axes, "#000000")[0].get_linestyle() == "-"
        dashes = {str(line._unscaled_dash_pattern) for line in axes.lines if line.get_linewidth() == 1.5}
        assert len(dashes) == len(SIX)  # told apart without colour


def test_the_control_is_drawn_where_it_equals_the_therapy():
    result = example()
    values = result.values.copy()
    values[1] = values[0]
    figure = draw(sheet(replace(result, values=values)))
    assert all(len([line for line in axes.lines if line.get_linewidth() == 1.5]) == 2 for axes in figure.axes)


def test_a_cohort_is_a_median_with_two_bands():
    result = example(failing=False)
    curve = sheet(result).panels[0].curves[1]
    cohort = result.values[1, 1:, :, 0]
    np.testing.assert_allclose(curve.middle, np.median(cohort, axis=0))
    np.testing.assert_allclose(curve.bands[0], np.percentile(cohort, [5, 95], axis=0))
    np.testing.assert_allclose(curve.bands[1], np.percentile(cohort, [25, 75], axis=0))
    bands = [each for each in draw(sheet(result)).axes[0].collections if isinstance(each, PolyCollection)]
    assert len(bands) == 4


def test_one_patient_is_a_line_without_bands():
    result = alone(example())
    curve = sheet(result).panels[0].curves[1]
    np.testing.assert_array_equal(curve.middle, result.values[1, 0, :, 0])
    assert curve.bands == ()


def test_panels_are_those_of_the_scenario_in_its_order():
    asked = (FigureRequest("x", "crp", title="Inflammation"), FigureRequest("y", "hba1c", band=(10.0, 90.0)))
    result = replace(example(failing=False), figures=asked)
    found = sheet(result)
    assert [(panel.title, panel.unit) for panel in found.panels] == [("Inflammation", "mg/L"), ("HbA1c", "%")]
    low, high = np.percentile(result.values[0, 1:, :, 0], [10, 90], axis=0)
    np.testing.assert_allclose(found.panels[1].curves[0].bands[0], (low, high))


def test_panels_nobody_chose_begin_with_what_matters_and_are_nine_at_most():
    titles = [panel.title for panel in sheet(example()).panels]
    assert titles[:3] == ["HbA1c", "C-peptide, fasting", "Beta-cell mass"]
    assert len(titles) == 9


def test_a_quantity_that_was_not_recorded_is_named_in_the_notes():
    found = sheet(replace(example(), figures=(FigureRequest("a", "hba1c"), FigureRequest("b", "tir"))))
    assert len(found.panels) == 1
    assert "Asked for and not recorded: tir." in found.notes


def test_notes_say_scenario_version_cohort_assumptions_and_evidence():
    text = " ".join(sheet(example()).notes)
    evidence_label = "cells: preclinical (animals), effect size assumed"
    for piece in ("t2d_msc", "isletsim 0.", "cohort of 39", "34 % of the parameters assumed", evidence_label):
        assert piece in text
    assert "For research and teaching; no treatment decisions." in text


def test_what_is_said_of_several_arms_is_said_once_and_each_arm_says_what_it_is():
    # Names such as "spread" and "closed" stood on a figure that did not say what they mean.
    result = example(("usual", "cells", "more"))
    arms = (replace(result.arms[0], about="metformin goes on"), *result.arms[1:])
    notes = sheet(replace(result, arms=arms)).notes
    assert notes[0] == "Arms. usual: metformin goes on."
    assert "Ticks: doses (cells, more: 3 × msc.infusion 1e6 cell/kg (day 0, 28, 56))." in notes[1]
    assert "Evidence: cells, more: preclinical (animals), effect size assumed." in notes
    assert "To be known with it: statement F98 in run.json." in notes


def test_a_band_of_few_people_is_called_what_it_is():
    assert "5–95 % of them (of so few, nearly all)." in sheet(example(subjects=17)).notes[0]
    assert "nearly all" not in sheet(example(subjects=21)).notes[0]


def test_a_pure_number_says_what_it_counts():
    figures = (
        FigureRequest("a", "homa_ir", unit="of nothing"),
        FigureRequest("b", "beta_mass"),
        FigureRequest("c", "homa_ir"),
    )
    panels = sheet(replace(example(), figures=figures)).panels
    assert [panel.unit for panel in panels] == ["of nothing", "fraction of healthy", ""]


def test_doses_are_ticks_on_the_axis_of_every_panel():
    result = example()
    assert [ticks.times for ticks in sheet(result).ticks] == [(0.0, 28.0, 56.0)]
    for axes in draw(sheet(result)).axes:
        rug = axes.collections[-1] if not isinstance(axes.collections[-1], PolyCollection) else axes.collections[0]
        places = [path.vertices[0, 0] * 365.25 for path in rug.get_paths()]
        assert places == pytest.approx([0, 28, 56], abs=0.01)


def test_a_run_that_ended_early_is_marked():
    result = alone(example())
    values = result.values.copy()
    values[1, :, 60:] = np.nan
    values[1, :, 59, 0] = 1e200  # it ran away
    found = sheet(replace(result, values=values, failures=(Failure("cells", 0, 413.0, "diverged"),)))
    assert [curve.broken for curve in found.panels[0].curves] == [False, True]
    assert len(found.panels[0].curves[1].time) == 59
    assert "A cross: the run ended there." in found.notes[0]
    assert any(line.get_marker() == "x" for line in draw(found).axes[0].lines)


def test_virtual_tests_are_marked_one_by_one():
    result = example()
    values = result.values.copy()
    there = np.zeros(157, bool)
    there[[0, 26, 52, 104, 156]] = True
    values[:, :, ~there, 3] = np.nan
    panel = draw(sheet(replace(result, values=values, figures=(FigureRequest("a", "cpeptide_fasting"),)))).axes[0]
    assert all(len(line.get_xdata()) == 5 for line in panel.lines if line.get_marker() == "o")
    assert sum(line.get_marker() == "o" for line in panel.lines) == 2
    assert not any(line.get_clip_on() for line in panel.lines if line.get_marker() == "o")  # the last was cut in half


# --- axes -------------------------------------------------------------------------------------------------------------


def flat(value, *thresholds):
    time = np.array([0.0, 10.0])
    return Panel("x", "", (Curve("a", 0, time, np.full(2, value)),), thresholds)


def test_a_threshold_is_drawn_where_it_is_near_or_asked_for():
    low, high, shown = limits(flat(7.2, Threshold(7.0, "7 %"), Threshold(4.0, "4 %")))
    assert shown == [0]
    assert low < 7.0 < 7.2 < high
    low, _, shown = limits(flat(7.2, Threshold(4.0, "4 %", asked=True)))
    assert shown == [0]
    assert low < 4.0


def test_a_level_that_would_take_half_of_the_panel_is_not_near():
    # C-peptide of type 2 diabetes, 1.0 to 2.5 nmol/L, was drawn down to 0 for the sake of 0.2.
    bands = ((np.full(2, 1.0), np.full(2, 2.5)),)
    time = np.array([0.0, 10.0])
    assert limits(Panel("x", "", (Curve("a", 0, time, np.full(2, 1.4), bands),), (Threshold(0.2, "0.2"),)))[2] == []


def test_a_constant_is_a_straight_line_in_the_middle():
    for value in (0.0, 5.0, -3.0, 1e-9):
        low, high, _ = limits(flat(value))
        assert low <= value <= high
        assert high - low >= 0.02 * abs(value)


def test_nothing_at_all_has_no_negative_axis():
    # An insulin dose that nobody took was once drawn between -1 and 1 U/kg/day.
    assert limits(flat(0.0)) == (0.0, 1.0, [])


@pytest.mark.parametrize(
    ("span", "name", "places"),
    [
        (1.0, "hours", [0, 6, 12, 18, 24]),
        (28.0, "days", [0, 5, 10, 15, 20, 25]),
        (365.0, "months", [0, 2, 4, 6, 8, 10, 12]),
        (731.0, "months", [0, 6, 12, 18, 24]),
        (1092.0, "years", [0, 1, 2, 3]),
        (3653.0, "years", [0, 2, 4, 6, 8, 10]),
        (14610.0, "years", [0, 10, 20, 30, 40]),
    ],
)
def test_time_is_told_in_units_people_use(span, name, places):
    found, _, ticks = time_axis(0.0, span)
    assert (found, ticks) == (name, places)


def test_numbers_of_an_axis_are_short_and_units_are_printed():
    assert [power_of_ten(0, size) for size in (0.0, 0.5, 250.0, 99_000.0, 2e6, 3e9, 4e-5)] == [0, 0, 0, 0, 6, 9, -6]
    assert printed_unit("cell/kg", 6) == "10⁶ cell/kg"
    assert printed_unit("uU/mL") == "µU/mL"
    assert printed_unit("dL**2/mg**2/day") == "dL²/mg²/day"
    assert printed_unit("", -3) == "10⁻³"
    assert printed_unit("1/day", -3) == "10⁻³/day"
    assert printed_unit("1/day") == "1/day"


# --- the picture as a file --------------------------------------------------------------------------------------------


def test_the_same_sheet_gives_the_same_bytes_whatever_a_person_prefers():
    result = example(rows=20)
    kinds = ("png", "svg")
    plain = [render(draw(sheet(result)), kind) for kind in kinds]
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9, "svg.hashsalt": "x"}):
        assert [render(draw(sheet(result)), kind) for kind in kinds] == plain
    assert plain[0].startswith(b"\x89PNG")
    assert b"<svg" in plain[1]
    assert b"<dc:date>" not in plain[1]


def test_plot_gives_the_figure_and_saves_it_where_asked(tmp_path):
    figure = example(rows=20).plot(tmp_path / "pictures")
    assert len(figure.axes) == 9
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["t2d_msc.png", "t2d_msc.svg"]


def test_drawing_never_touches_pyplot_and_reading_results_never_touches_matplotlib():
    code = (
        "import sys; from example_result import example; from isletsim.results import render_table, sheet;"
        "result = example(rows=5); render_table(result); assert 'matplotlib' not in sys.modules;"
        "result.plot(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    here = Path(__file__).resolve().parent
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = ['{here}', '{here.parent}']; {code}"], check=True
    )
