"""A virtual test at the bedside: one patient, one test, now or later; curves, numbers and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isletsim.results.files import write_figure
from isletsim.results.record import NOTICE
from isletsim.study.examine import Examination
from isletsim.units import unit_label

__all__ = ["draw_seen", "told"]

COLUMNS = 14  # rows of the printed course, at most, besides the moments that reports look at
SPACINGS = (1, 2, 5, 10, 15, 20, 30, 60, 120)  # minutes between rows
LONGEST_TITLE = 22  # letters above a panel


def told(seen: Sequence[Examination]) -> str:
    """What the tests found, as text."""
    lines = []
    for each in seen:
        test = each.finding.challenge
        lines += [f"{test.title}  ({each.arm}, day {each.day:g})", "", *_course(each), ""]
        for report in test.reports:
            unit = unit_label(report.unit.text)
            lines.append(f"{report.name:24} {each.finding.reports[report.name]:10.4g} {unit:12} {report.about}")
        lines.append("")
    return "\n".join([*lines, NOTICE])


def _course(seen: Examination) -> list[str]:
    """The curves as a table: round minutes, and those that a report looks at, so that no peak of a report is missed."""
    minutes, courses = seen.finding.minutes, seen.finding.courses
    spacing = next((each for each in SPACINGS if minutes[-1] / each < COLUMNS), SPACINGS[-1])
    looked_at = [1440.0 * moment for report in seen.finding.challenge.reports for moment in (report.begin, report.end)]
    wanted = [*np.arange(0.0, minutes[-1] + 0.5 * spacing, spacing), *looked_at]
    rows = sorted({int(np.abs(minutes - minute).argmin()) for minute in wanted})
    heads = [f"{name} [{seen.units[name]}]" for name in courses]
    cells = [[f"{value:.{_decimals(values)}f}" for value in values[rows]] for values in courses.values()]
    lines = ["   min  " + "  ".join(heads)]
    for place, row in enumerate(rows):
        told = (f"{column[place]:>{len(head)}}" for column, head in zip(cells, heads, strict=True))
        lines.append(f"{minutes[row]:6.0f}  " + "  ".join(told))
    return lines


def _decimals(values: Any) -> int:
    """Decimals that give the largest value of a curve three significant digits."""
    largest = float(np.abs(values).max())
    return min(6, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0


def draw_seen(seen: Sequence[Examination], folder: str | Path) -> list[Path]:
    """The curves of the tests as a figure, png and svg."""
    from isletsim.figures import Curve, FigureSpec, Panel, draw

    first = seen[0].finding
    panels = []
    for symbol, _ in first.challenge.shown:
        curves = tuple(
            Curve(each.arm, rank, each.finding.minutes / 1440.0, each.finding.courses[symbol.name])
            for rank, each in enumerate(seen)
        )
        title = symbol.about if 0 < len(symbol.about) <= LONGEST_TITLE else symbol.name.replace(".", ": ")
        panels.append(Panel(title[:1].upper() + title[1:], seen[0].units[symbol.name], curves))
    lines = f"Lines: the reference patient of {seen[0].study}, day {seen[0].day:g}."
    notes = (f"{lines} {NOTICE}",)
    sheet = FigureSpec(first.challenge.title, tuple(panels), (0.0, float(first.minutes[-1]) / 1440.0), (), notes)
    return write_figure(draw(sheet), first.challenge.name, folder)
