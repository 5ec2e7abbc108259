"""A sheet becomes a picture: matplotlib's own objects, no global state, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.figures.figure_spec import Curve, FigureSpec, Panel
from isletsim.figures.layout import fold, grid, limits, power_of_ten, printed_unit, spread_apart, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "render"]

DOTS_PER_INCH = 150
# Inches.
PANEL = (2.05, 1.55)
ALONE = (4.6, 2.9)  # a single panel
LEFT, ABOVE, BELOW = 0.44, 0.30, 0.16  # round each panel: numbers of the axis, its title, the next row
EDGE, TIME_AXIS = 0.12, 0.24
LONGEST_LABEL = 1.05
NEAR, LEADER, FAR = 0.05, 0.12, 0.15  # from the end of the panel to a label; where it was moved a thin line leads there
POINT = 1 / 72
LINE_HEIGHT = 1.25

TITLE, PANEL_TITLE, LABEL, NUMBERS, SMALL = 10.0, 8.5, 7.5, 7.0, 6.5
INK, GREY, PALE = "#000000", "#555555", "#8a8a8a"

# Okabe and Ito's colours in an order that also differs in lightness; dashes and, past seven, markers tell them in grey.
COLOURS = (INK, "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5.5, 1.4)),
    (0, (2.2, 1.1)),
    (0, (6, 1.4, 1.2, 1.4)),
    (0, (1, 1)),
    (0, (9, 2)),
    (0, (4, 1.2, 1, 1.2, 1, 1.2)),
)
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X")
STRONG, FAINT = 0.28, 0.13  # opacity of the inner and the outer band
FEW = 15  # points that are marked one by one: visits, virtual tests


@dataclass(frozen=True)
class _Style:
    colour: str
    dashes: Any
    marker: str


def _style(rank: int) -> _Style:
    turn, place = divmod(rank, len(COLOURS))
    return _Style(COLOURS[place], DASHES[place], MARKERS[turn % len(MARKERS)])


def _settings() -> Any:
    """matplotlib's own defaults and ours; a person's matplotlibrc changes nothing."""
    import matplotlib as mpl

    ours = {
        "font.family": "DejaVu Sans",  # travels with matplotlib, so it is there and the same everywhere
        "font.size": NUMBERS,
        "axes.linewidth": 0.6,
        "axes.edgecolor": GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelsize": NUMBERS,
        "ytick.labelsize": NUMBERS,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.pad": 2,
        "ytick.major.pad": 2,
        "svg.hashsalt": "isletsim",
    }
    kept: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    return {**kept, **ours}


def render(figure: Figure, kind: str) -> bytes:
    """A picture as the bytes of a ``"png"`` or ``"svg"`` file; the same picture gives the same bytes."""
    import matplotlib as mpl

    from isletsim import __version__

    maker = f"isletsim {__version__}"
    metadata = {"Creator": maker, "Date": None} if kind == "svg" else {"Software": maker}
    file = io.BytesIO()
    with mpl.rc_context(_settings()):
        figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return file.getvalue()


def draw(sheet: FigureSpec) -> Figure:
    """The picture of a sheet."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_settings()):
        figure = Figure(dpi=DOTS_PER_INCH)
        FigureCanvasAgg(figure)
        _compose(figure, sheet)
    return figure


# --- the sheet --------------------------------------------------------------------------------------------------------


def _compose(figure: Figure, sheet: FigureSpec) -> None:
    """Place title, legend, panels and notes, in inches from the lower left corner."""
    labels = {curve.label: curve.rank for panel in sheet.panels for curve in panel.curves}
    margin, direct = _label_margin(figure, sheet, list(labels))
    rows, columns = grid(max(1, len(sheet.panels)))
    wide, high = ALONE if len(sheet.panels) == 1 else PANEL
    cell = (LEFT + wide + margin, ABOVE + high + BELOW)
    width = EDGE + columns * cell[0] + EDGE
    title = _wrap(figure, sheet.title, TITLE, width - 2 * EDGE, "bold")
    notes = [line for note in sheet.notes for line in _wrap(figure, note, SMALL, width - 2 * EDGE)]
    legend_rows = [] if direct else _legend_rows(figure, list(labels), width)
    head = EDGE + len(title) * TITLE * LINE_HEIGHT * POINT + len(legend_rows) * LABEL * 1.6 * POINT
    foot = EDGE + len(notes) * SMALL * LINE_HEIGHT * POINT + TIME_AXIS
    height = head + rows * cell[1] + foot
    figure.set_size_inches(width, height)
    for line, text in enumerate(title):
        y = height - EDGE - line * TITLE * LINE_HEIGHT * POINT
        figure.text(EDGE / width, y / height, text, size=TITLE, weight="bold", va="top")
    _legend(figure, legend_rows, labels, height - head + len(legend_rows) * LABEL * 1.6 * POINT)
    for place, panel in enumerate(sheet.panels):
        row, column = divmod(place, columns)
        left = EDGE + column * cell[0] + LEFT
        bottom = height - head - row * cell[1] - ABOVE - high
        axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
        last = place + columns >= len(sheet.panels)
        _panel(figure, axes, panel, sheet, direct=direct, last=last)
    for line, text in enumerate(reversed(notes)):
        y = EDGE + line * SMALL * LINE_HEIGHT * POINT
        figure.text(EDGE / width, y / height, text, size=SMALL, color=GREY, va="baseline")


def _label_margin(figure: Figure, sheet: FigureSpec, labels: list[str]) -> tuple[float, bool]:
    """Inches to the right of each panel for labels, and whether the curves are labelled there."""
    levels = [threshold.label for panel in sheet.panels for threshold in panel.thresholds]
    beside = max([0.0, *(_size(figure, text, SMALL)[0] for text in levels)])
    sizes = [_size(figure, fold(label), LABEL) for label in labels]
    widest = max([0.0, *(size[0] for size in sizes)])
    fits = sum(size[1] for size in sizes) + 2 * SMALL * LINE_HEIGHT * POINT < 0.9 * PANEL[1]
    direct = widest <= LONGEST_LABEL and fits
    return max(beside, widest if direct else 0.0) + FAR + 0.06, direct


def _wrap(figure: Figure, text: str, points: float, width: float, weight: str = "normal") -> list[str]:
    """A text in lines that are no wider than so many inches."""
    words = text.split()
    sizes = {word: _size(figure, word, points, weight)[0] for word in {*words, " "}}
    lines: list[str] = []
    left = 0.0
    for word in words:
        left -= sizes[" "] + sizes[word]
        if lines and left >= 0:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
            left = width - sizes[word]
    return lines


def _size(figure: Figure, text: str, points: float, weight: str = "normal") -> tuple[float, float]:
    """Width and height of a text in inches."""
    from matplotlib.font_manager import FontProperties

    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    font = FontProperties(family="DejaVu Sans", size=points, weight=weight)
    lines = text.split("\n")
    width = max(renderer.get_text_width_height_descent(line, font, ismath=False)[0] for line in lines)
    return width / figure.dpi, len(lines) * points * LINE_HEIGHT * POINT


def _legend_rows(figure: Figure, labels: list[str], width: float) -> list[list[tuple[float, str]]]:
    """Labels with their places from the left in inches, in as many rows as the width asks for."""
    rows: list[list[tuple[float, str]]] = []
    at = width
    for label in labels:
        needed = 0.42 + _size(figure, label, LABEL)[0] + 0.22
        if not rows or at + needed > width - EDGE:
            rows.append([])
            at = EDGE
        rows[-1].append((at, label))
        at += needed
    return rows


def _legend(figure: Figure, rows: list[list[tuple[float, str]]], ranks: Mapping[str, int], top: float) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    for line, row in enumerate(rows):
        y = top - (line + 0.75) * LABEL * 1.6 * POINT
        for at, label in row:
            look = _style(ranks[label])
            places = [(at + offset) / width for offset in (0.0, 0.16, 0.32)]
            figure.add_artist(
                Line2D(places, [y / height] * 3, color=look.colour, ls=look.dashes, lw=1.5, marker=look.marker, ms=3)
            )
            x = (at + 0.40) / width
            figure.text(x, y / height, label, size=LABEL, color=look.colour, va="center_baseline")


# --- a panel ----------------------------------------------------------------------------------------------------------


def _panel(figure: Figure, axes: Axes, panel: Panel, sheet: FigureSpec, *, direct: bool, last: bool) -> None:
    low, high, shown = limits(panel)
    power = power_of_ten(low, high)
    scale = 10.0**-power
    name, day, places = time_axis(*sheet.span)
    start, stop = sheet.span[0] / day, max([sheet.span[1] / day, *places])
    axes.set_xlim(start, stop if stop > start else start + 1)
    axes.set_xticks(places, [f"{place:g}" for place in places] if last else [""] * len(places))
    if last:
        axes.set_xlabel(f"Time [{name}]", size=NUMBERS, color=GREY, labelpad=1.5)
    _value_axis(axes, low * scale, high * scale)
    _panel_title(axes, panel.title, printed_unit(panel.unit, power))
    _rug(axes, sheet, day)
    for place in shown:
        axes.axhline(panel.thresholds[place].value * scale, color=PALE, lw=0.6, ls=(0, (1, 1.5)), zorder=1)
    crowd = len(panel.curves)
    for curve in sorted(panel.curves, key=lambda each: each.rank):
        _curve(axes, curve, day, scale, crowd)
    _labels(figure, axes, panel, shown, day, scale, direct=direct)


def _value_axis(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator, ScalarFormatter

    places = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3).tick_values(low, high)
    within = 1e-9 * (high - low)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator([place for place in places if low - within <= place <= high + within]))
    formatter = ScalarFormatter(useOffset=False, useMathText=False)
    formatter.set_scientific(False)
    axes.yaxis.set_major_formatter(formatter)


def _rug(axes: Axes, sheet: FigureSpec, day: float) -> None:
    """Ticks on the time axis, one row for each arm that has any, below everything that is drawn."""
    if not sheet.ticks:
        return
    low, high = axes.get_ylim()
    step = min(0.055, 0.16 / len(sheet.ticks))
    axes.set_ylim(low - (0.03 + step * len(sheet.ticks)) * (high - low), high)
    for row, ticks in enumerate(sheet.ticks):
        foot = 0.012 + step * row
        times = np.unique(np.round(np.asarray(ticks.times) / day, 6))
        across: Any = axes.get_xaxis_transform()
        colour = _style(ticks.rank).colour
        axes.vlines(times, foot, foot + 0.82 * step, transform=across, color=colour, lw=0.9, clip_on=False)


def _panel_title(axes: Axes, title: str, unit: str) -> None:
    """The name of the quantity and its unit, above the axis they belong to."""
    shift = -LEFT * 72 * 0.72
    name = axes.annotate(
        title, (0, 1), (shift, 6), "axes fraction", textcoords="offset points", size=PANEL_TITLE, weight="bold"
    )
    if unit:
        beside: Any = (name, "axes fraction")
        axes.annotate(f"[{unit}]", (1, 1), (3, 6), beside, textcoords="offset points", size=NUMBERS, color=GREY)


def _curve(axes: Axes, curve: Curve, day: float, scale: float, crowd: int) -> None:
    """A line, its bands and the marks on it; the more curves in the panel, the fainter the bands."""
    look = _style(curve.rank)
    time, middle = curve.time / day, curve.middle * scale
    thin = min(1.0, 2.5 / crowd)
    for number, (low, high) in enumerate(curve.bands):
        outer = number == 0 and len(curve.bands) > 1
        opacity = thin * (FAINT if outer else STRONG)
        shade = look.colour if curve.rank else PALE  # a black band would hide its line
        axes.fill_between(time, low * scale, high * scale, color=shade, alpha=opacity, lw=0, zorder=2)
        if outer and crowd <= 3:  # an edge in the dashes of the line, so that two bands part in grey
            for side in (low, high):
                axes.plot(time, side * scale, color=look.colour, ls=look.dashes, lw=0.45, alpha=0.7, zorder=2.5)
    few = len(time) <= FEW
    marker = look.marker or ("o" if few else "")
    every = 1 if few else max(1, len(time) // 6)
    whole = not few  # a mark at the edge is not cut in half
    axes.plot(
        time,
        middle,
        color=look.colour,
        ls=look.dashes,
        lw=1.5,
        marker=marker,
        ms=2.8,
        markevery=every,
        zorder=3,
        clip_on=whole,
    )
    if curve.broken and len(time):
        axes.plot(time[-1:], middle[-1:], color=look.colour, marker="x", ms=5, mew=1.3, zorder=4, clip_on=False)


@dataclass(frozen=True)
class _Label:
    """A text beside a panel; `wanted` is where its line ends, in inches above the lower edge, `end` as a fraction."""

    text: str
    points: float
    colour: str
    wanted: float
    end: float = 1.0

    @property
    def size(self) -> float:
        return (self.text.count("\n") + 1) * self.points * LINE_HEIGHT * POINT


def _labels(
    figure: Figure, axes: Axes, panel: Panel, shown: list[int], day: float, scale: float, *, direct: bool
) -> None:
    """Names to the right of a panel, each as near as can be to the end of its line, and never on another."""
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    width, height = box.width * float(width), box.height * float(height)
    (low, high), (start, stop) = axes.get_ylim(), axes.get_xlim()

    def place(value: float) -> float:
        return (value * scale - low) / (high - low) * height

    labels = [
        _Label(
            fold(curve.label),
            LABEL,
            _style(curve.rank).colour,
            place(float(curve.middle[-1])),
            min(1.0, (float(curve.time[-1]) / day - start) / (stop - start)),
        )
        for curve in panel.curves
        if direct
    ]
    thresholds = [panel.thresholds[number] for number in shown]
    labels += [_Label(each.label, SMALL, GREY, place(each.value)) for each in thresholds]
    if not labels:
        return
    half = LABEL * POINT
    centres = spread_apart([each.wanted for each in labels], [each.size for each in labels], -half, height + half)
    if centres is None:  # more levels than room
        centres = [height * (number + 0.5) / len(labels) for number in range(len(labels))]
    moved = [
        abs(centre - each.wanted) > 1.5 * POINT or each.end < 0.985
        for each, centre in zip(labels, centres, strict=True)
    ]
    for each, centre in zip(labels, centres, strict=True):
        if any(moved):  # all of them then, so that no leader runs through a name
            begin = each.end if each.end < 0.985 else 1 + 0.01 / width
            axes.plot(
                [begin, 1 + LEADER / width],
                [each.wanted / height, centre / height],
                transform=axes.transAxes,
                color=each.colour,
                lw=0.5,
                alpha=0.8,
                clip_on=False,
            )
        axes.text(
            1 + (FAR if any(moved) else NEAR) / width,
            centre / height,
            each.text,
            transform=axes.transAxes,
            size=each.points,
            color=each.colour,
            va="center",
            linespacing=1.0,
        )
