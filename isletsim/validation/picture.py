"""Simulated against published values: one panel a unit, the diagonal where both agree, intervals on both axes.

What has too few rows for a panel of its own stands in the last one, in half-widths of its published interval.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isletsim.results.record import NOTICE
from isletsim.validation.records import Row, Verdicts, unit_text
from isletsim.validation.verdict import published_interval

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
HEAD, FOOT, NAMES = 0.95, 0.55, 0.6
INK, GREY, PALE = "#000000", "#555555", "#bbbbbb"
TITLE, TEXT, SMALL = 10.0, 7.5, 6.0
FEWEST = 3  # rows that make a panel
NEAR = 0.05  # of a panel's width: rows so near to each other share a label
FAR = 4.0  # half-widths at which the last panel ends
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


def draw_report(report: Verdicts) -> Figure:
    """The figure of a report; rows without two numbers are not on it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups, others = _groups(report.rows)
    panels = len(groups) + bool(others)
    columns = min(COLUMNS, max(1, panels))
    lines = max(1, math.ceil(panels / columns))
    width = columns * (PANEL + MARGIN)
    height = HEAD + lines * (PANEL + MARGIN) + FOOT
    kept: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    settings: dict[Any, Any] = {**kept, **SETTINGS}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=150)
        FigureCanvasAgg(figure)
        for place in range(panels):
            line, column = divmod(place, columns)
            left = (column * (PANEL + MARGIN) + 0.85 * MARGIN) / width
            bottom = 1 - (HEAD + (line + 1) * (PANEL + MARGIN) - 0.7 * MARGIN) / height
            if place < len(groups):
                _panel(figure.add_axes((left, bottom, PANEL / width, PANEL / height)), *groups[place])
            else:
                shift = NAMES / width
                _strip(figure.add_axes((left + shift, bottom, PANEL / width - shift, PANEL / height)), others)
        _frame(figure, report, width, height)
    return figure


def _groups(rows: Sequence[Row]) -> tuple[list[tuple[str, list[Row]]], list[Row]]:
    """Rows with two numbers by what they measure, the largest group first; and those of groups that are too small."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.simulated is not None and row.check.value.number is not None and math.isfinite(row.simulated.value):
            found.setdefault(_family(row), []).append(row)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    large = [item for item in ordered if len(item[1]) >= FEWEST]
    small = [row for _, each in ordered if len(each) < FEWEST for row in each if published_interval(row.check)]
    return large, small


def _family(row: Row) -> str:
    """What the axes of a row are called: levels and changes of one unit stay apart."""
    unit, check = row.check.value.unit, row.check
    text = unit_text(unit)
    if unit is not None and "percent_NGSP" in unit.text:
        what = "change of HbA1c" if check.compare or check.statistic == "change" else "HbA1c"
        return f"{what}, {text}"
    if text == "%":
        return "share of people, %" if check.over == "share" else "relative to something, %"
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
    for (x, y), names in _labels(rows, limits[1] - limits[0]).items():
        axes.annotate(", ".join(names), (x, y), (3, 3), textcoords="offset points", fontsize=SMALL, color=GREY)
    axes.set_title(title, fontsize=TEXT, loc="left")
    axes.set_xlabel("published", color=GREY)
    axes.set_ylabel("simulated", color=GREY)


def _point(axes: Axes, row: Row) -> list[float]:
    """One row as a marker with its intervals; returns what the axes must show."""
    number, value = _pair(row)
    colour = COLOURS[row.check.study.standing]
    accepted = published_interval(row.check)
    ends = [number, value]
    if accepted is not None:
        axes.plot((accepted.low, accepted.high), (value, value), color=colour, linewidth=0.6, alpha=0.5)
        ends += [accepted.low, accepted.high]
    if row.simulated is not None and math.isfinite(row.simulated.low):
        axes.plot((number, number), (row.simulated.low, row.simulated.high), color=colour, linewidth=0.6, alpha=0.5)
        ends += [row.simulated.low, row.simulated.high]
    _mark(axes, row, number, value)
    return ends


def _pair(row: Row) -> tuple[float, float]:
    """The published and the simulated number of a row that has both."""
    assert row.simulated is not None
    assert row.check.value.number is not None
    return row.check.value.number, row.simulated.value


def _mark(axes: Axes, row: Row, x: float, y: float) -> None:
    colour = COLOURS[row.check.study.standing]
    face = colour if row.verdict.outcome == "inside" else "white"
    axes.plot([x], [y], MARKERS[row.check.target.use], color=colour, markerfacecolor=face, markersize=4)


def _labels(rows: Sequence[Row], width: float) -> dict[tuple[float, float], list[str]]:
    """The ids of what lies outside, together where they would cover each other."""
    found: dict[tuple[float, float], list[str]] = {}
    for row in rows:
        if row.verdict.outcome != "outside":
            continue
        x, y = _pair(row)
        near = next((at for at in found if math.dist(at, (x, y)) < NEAR * width), (x, y))
        if row.check.target.id not in found.setdefault(near, []):
            found[near].append(row.check.target.id)
    return found


def _strip(axes: Axes, rows: Sequence[Row]) -> None:
    """One line a row: how far it is off, in half-widths; beyond the edge it stands at the edge."""
    axes.axvspan(-1, 1, color=PALE, alpha=0.35, linewidth=0)
    axes.axvline(0, color=PALE, linewidth=0.8)
    for place, row in enumerate(rows):
        number, value = _pair(row)
        off = math.copysign(min(row.verdict.half_widths, FAR), value - number)
        _mark(axes, row, off, -float(place))
    axes.set_xlim(-1.1 * FAR, 1.1 * FAR)
    axes.set_ylim(0.8 - len(rows), 0.8)
    names = [
        f"{row.check.target.id}{', ' + unit_text(row.check.value.unit) if row.check.value.unit else ''}" for row in rows
    ]
    axes.set_yticks([-float(place) for place in range(len(rows))], names, fontsize=SMALL)
    axes.set_title("other units, in half-widths", fontsize=TEXT, loc="left")
    axes.set_xlabel("simulated less published", color=GREY)


def _frame(figure: Figure, report: Verdicts, width: float, height: float) -> None:
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
