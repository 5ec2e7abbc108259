"""Files of an assessment: tables as csv, cumulative incidence and the cost-effectiveness plane as figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.outcomes.assessment import Assessment, cumulative_incidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["incidence_figure", "plane_figure", "write_assessment"]

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
PANELS = 3  # in a row
GROUPS = 40  # groups of people of which a point of the plane is the mean


def write_assessment(assessment: Assessment, folder: Path) -> list[Path]:
    """Write outcomes.txt, incidence.csv and two figures into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, table = folder / "outcomes.txt", folder / "incidence.csv"
    text.write_text(assessment.table() + "\n", encoding="utf-8")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("arm", "event", "year", "cumulative_incidence"))
        for arm in assessment.arms:
            for event in (*arm.history.occurred, "death"):
                shares = cumulative_incidence(arm.history, event)
                writer.writerows((arm.name, event, year + 1, f"{share:.6g}") for year, share in enumerate(shares))
    written = [text, table]
    for name, figure in (("incidence", incidence_figure(assessment)), ("plane", plane_figure(assessment))):
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=150)
        written.append(path)
    return written


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def incidence_figure(assessment: Assessment) -> Figure:
    """Return the cumulative incidence of each event by arm; death competes with every event."""
    events = [*assessment.arms[0].history.occurred, "death"]
    rows = -(-len(events) // PANELS)
    figure = _figure(7.2, 1.9 * rows + 0.3)
    grid = figure.subplots(rows, PANELS, squeeze=False).ravel()
    for axes, event in zip(grid, events, strict=False):
        for number, arm in enumerate(assessment.arms):
            shares = cumulative_incidence(arm.history, event)
            years = np.arange(len(shares) + 1)
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": ("-", "--", ":", "-.")[number % 4]}
            axes.plot(years, 100 * np.concatenate([[0.0], shares]), label=arm.name, linewidth=1.2, **style)
        axes.set_title(event.replace("_", " "), fontsize=8.5, loc="left")
        axes.set_ylim(bottom=0)
        _plain(axes)
    for axes in grid[len(events) :]:
        axes.set_axis_off()
    grid[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("years", fontsize=8)
    figure.supylabel("people with a first event, % (death competes)", fontsize=8)
    return figure


def plane_figure(assessment: Assessment) -> Figure:
    """Return the cost-effectiveness plane; without a price the costs are those of complications alone."""
    figure = _figure(4.8, 3.6)
    axes = figure.subplots()
    first = assessment.arms[0].worth
    for number, arm in enumerate(assessment.arms[1:], start=1):
        gained = _means(arm.worth.qalys - first.qalys)
        spent = _means(arm.worth.costs - first.costs) + (arm.price or 0.0)
        label = arm.name if arm.price is not None else f"{arm.name} (without its price)"
        axes.plot(gained, spent, ".", color=COLOURS[number % len(COLOURS)], markersize=4, alpha=0.6, label=label)
    for threshold in assessment.economics.willingness_to_pay:
        axes.axline((0, 0), slope=threshold, color="#8a8a8a", linewidth=0.7, linestyle=":")
    axes.axhline(0, color="#555555", linewidth=0.6)
    axes.axvline(0, color="#555555", linewidth=0.6)
    axes.set_xlabel(f"QALYs gained against {assessment.arms[0].name}, discounted", fontsize=8)
    axes.set_ylabel(f"extra costs, {assessment.economics.currency} {assessment.economics.year}", fontsize=8)
    if len(assessment.arms) > 1:
        axes.legend(fontsize=7, frameon=False)
    _plain(axes)
    return figure


def _means(values: Any) -> Any:
    """Return the means of groups of people: their spread is that of the simulation, not of the parameters."""
    parts = np.array_split(np.asarray(values, float), min(GROUPS, len(values)))
    return np.array([part.mean() for part in parts])
