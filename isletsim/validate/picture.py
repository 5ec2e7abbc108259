"""Simulated against published values: one panel a unit, the diagonal where both agree, intervals on both axes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isletsim.results.record import NOTICE
from isletsim.validate.report import label
from isletsim.validate.run import Report, Row
from isletsim.validate.verdict import published_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_report"]

# Okabe and Ito's colours tell the standing, markers the use, so that the figure also reads in grey.
COLOURS = {"flagship": "#0072B2", "published": "#009E73", "teaching": "#D55E00"}
STANDING_LABELS = {"flagship": "flagship", "published": "published model", "teaching": "teaching core"}
MARKERS = {"cal": "o", "val": "s", "seen": "^", "context": "D"}
USE_LABELS = {"cal": "to be reached", "val": "predicted", "seen": "seen early", "context": "context"}
COLUMNS, PANEL, MARGIN = 3, 2.5, 0.75  # panels a row, and inches
HEAD, FOOT = 0.95, 0.55
INK, GREY, PALE = "#000000", "#555555", "#bbbbbb"
TITLE, TEXT, SMALL = 10.0, 7.5, 6.0
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def draw_report(report: Report) -> Figure:
    """The figure of a report; rows without two numbers are not on it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = _groups(report.rows)
    columns = min(COLUMNS, max(1, len(groups)))
    lines = max(1, math.ceil(len(groups) / columns))
    width = columns * (PANEL + MARGIN)
    height = HEAD + lines * (PANEL + MARGIN) + FOOT
    kept: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    settings: dict[Any, Any] = {**kept, **SETTINGS}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=150)
        FigureCanvasAgg(figure)
        for place, (title, rows) in enumerate(groups):
            line, column = divmod(place, columns)
            left = (column * (PANEL + MARGIN) + 0.85 * MARGIN) / width
            bottom = 1 - (HEAD + (line + 1) * (PANEL + MARGIN) - 0.7 * MARGIN) / height
            _panel(figure.add_axes((left, bottom, PANEL / width, PANEL / height)), title, rows)
        _frame(figure, report, width, height)
    return figure


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows with two numbers by what they measure, the largest group first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.simulated is not None and row.check.value.number is not None and math.isfinite(row.simulated.value):
            found.setdefault(_family(row), []).append(row)
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _family(row: Row) -> str:
    """What the axes of a row are called: levels and changes of one unit stay apart."""
    unit, check = row.check.value.unit, row.check
    text = label(unit)
    if unit is not None and "percent_NGSP" in unit.text:
        what = "change of HbA1c" if check.compare or check.statistic == "change" else "HbA1c"
        return f"{what}, {text}"
    if text == "%":
        return "share or relative change, %"
    change = "change, " if check.compare == "difference" or check.statistic == "change" else ""
    return f"{change}{text}" if text else "pure number"


def _panel(axes: Axes, title: str, rows: Sequence[Row]) -> None:
    ends: list[float] = []
    for row in rows:
        ends += _point(axes, row)
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    axes.set_title(title, fontsize=TEXT, loc="left")
    axes.set_xlabel("published", color=GREY)
    axes.set_ylabel("simulated", color=GREY)


def _point(axes: Axes, row: Row) -> list[float]:
    """One row as a marker with its intervals; returns what the axes must show."""
    assert row.simulated is not None
    number, value = row.check.value.number, row.simulated.value
    assert number is not None
    colour = COLOURS[row.check.study.standing]
    accepted = published_interval(row.check)
    ends = [number, value]
    if accepted is not None:
        axes.plot((accepted.low, accepted.high), (value, value), color=colour, linewidth=0.6, alpha=0.5)
        ends += [accepted.low, accepted.high]
    if math.isfinite(row.simulated.low):
        axes.plot((number, number), (row.simulated.low, row.simulated.high), color=colour, linewidth=0.6, alpha=0.5)
        ends += [row.simulated.low, row.simulated.high]
    inside = row.verdict.outcome == "inside"
    face = colour if inside else "white"
    axes.plot([number], [value], MARKERS[row.check.target.use], color=colour, markerfacecolor=face, markersize=4)
    if row.verdict.outcome == "outside":
        axes.annotate(
            row.check.target.id, (number, value), (3, 3), textcoords="offset points", fontsize=SMALL, color=GREY
        )
    return ends


def _frame(figure: Figure, report: Report, width: float, height: float) -> None:
    """Title, what the marks mean, the score and the notice."""
    from matplotlib.lines import Line2D

    standings = [each for each in COLOURS if any(row.check.study.standing == each for row in report.rows)]
    uses = [each for each in MARKERS if any(row.check.target.use == each for row in report.rows)]
    handles = [Line2D([], [], linestyle="", marker="o", color=COLOURS[each]) for each in standings]
    handles += [Line2D([], [], linestyle="", marker=MARKERS[each], color=INK) for each in uses]
    handles.append(Line2D([], [], linestyle="", marker="o", color=INK, markerfacecolor="white"))
    labels = [
        *(STANDING_LABELS[each] for each in standings),
        *(USE_LABELS[each] for each in uses),
        "outside or not judged",
    ]
    figure.text(0.1 / width, 1 - 0.22 / height, "Simulated against published", fontsize=TITLE, weight="bold")
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.05 / width, 1 - 0.3 / height),
        ncols=4 if width > 5 else 2,
        frameon=False,
        fontsize=TEXT,
        handletextpad=0.2,
        columnspacing=1.2,
        markerscale=0.7,
    )
    told = "; ".join(
        f"{STANDING_LABELS[score.standing]}, {USE_LABELS[score.use]}: {score.inside} of {score.judged} inside"
        for score in report.scores()
        if score.judged
    )
    from isletsim import __version__

    foot = textwrap.wrap(f"{told}. isletsim {__version__}. {NOTICE}", int(width * 17))
    figure.text(0.1 / width, 0.08 / height, "\n".join(foot), fontsize=SMALL, color=GREY, va="bottom")
