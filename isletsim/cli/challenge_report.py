"""A virtual test at the bedside: one patient, one test, now or later; curves, numbers and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isletsim.challenge import Finding
from isletsim.data_files import find_any
from isletsim.dosing import read_time
from isletsim.ensemble import alone
from isletsim.errors import Fault, InputError, RunError
from isletsim.language import TomlDocument, read_document
from isletsim.multiscale.daily_stepper import Rules
from isletsim.results.files import write_figure
from isletsim.results.record import NOTICE
from isletsim.scenario import scenario_of
from isletsim.study.load import prepared_scenario
from isletsim.study.run import study_context
from isletsim.study.subject import simulate_subject
from isletsim.units import unit_label

__all__ = ["Examination", "draw_seen", "examine", "told"]

COLUMNS = 14  # rows of the printed course, at most, besides the moments that reports look at
SPACINGS = (1, 2, 5, 10, 15, 20, 30, 60, 120)  # minutes between rows
LONGEST_TITLE = 22  # letters above a panel


@dataclass(frozen=True)
class Examination:
    """What a test found in one arm of a study (of a patient alone: in that patient), and the unit of every curve."""

    study: str
    arm: str
    day: float
    finding: Finding
    units: dict[str, str]


def examine(wanted: str, test: str, at: str = "0 day") -> list[Examination]:
    """Give a test to a patient, or to the reference patient of every arm of a scenario.

    Parameters
    ----------
    wanted : name or path of a patient or a scenario.
    test : name or path of a test file.
    at : when, counted from the end of the history; the patient is seen by a doctor every three months until then.

    Raises
    ------
    InputError : anything that is not understood.
    RunError : the patient could not be simulated until then.
    """
    kind, path = find_any(wanted)
    if kind not in ("patient", "scenario"):
        cure = "isletsim list patients, or isletsim list scenarios, says whom there is."
        raise InputError(Fault(wanted, f"This is a {kind}; a test is given to a patient or in a scenario.", cure))
    document = read_document(path)
    asked = TomlDocument(path, f"--at {at}", {}, "", {})
    day = read_time(asked, at, (), whole=True)
    if day is not None and day < 0:
        asked.fault((), "No test is given before the end of the history.", 'Write --at "12 month".')
    asked.finish()
    data: dict[str, Any] = document.data
    if kind != "scenario":
        data = {"title": document.data.get("title", wanted), "patient": str(path.resolve()), "arms": {path.stem: {}}}
        data |= {"visits": {"every": "3 month"}, "until": "1 day"}
    own = Path(test)  # a path starts from where the user is, not from where the patient stands
    named = str(own.resolve()) if own.suffix == ".toml" and own.is_file() else test
    data["challenges"] = {named: {"at": [at]}}
    if day:
        data["until"] = at
    data["cohort"] = {"size": 0}
    data.pop("figures", None)
    scenario = prepared_scenario(scenario_of(TomlDocument(path, document.shown, data, document.text, document.lines)))
    seen: list[Examination] = []

    def note(arm: int, day: float, finding: Finding) -> None:
        units = {symbol.name: unit_label(unit.text) for symbol, unit in finding.challenge.shown}
        seen.append(Examination(path.stem, scenario.plan.arms[arm].name, day, finding, units))

    subject_result = alone(simulate_subject(study_context(scenario, Rules(), note), 0))
    if subject_result.failures:
        raise RunError("\n".join(dict.fromkeys(failure.message for failure in subject_result.failures)))
    arms = [arm.name for arm in scenario.plan.arms]
    return sorted(seen, key=lambda each: arms.index(each.arm))


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
