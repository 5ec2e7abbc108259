"""A virtual test at the bedside: one patient, one test, now or later; curves, numbers and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isletsim.challenge import Finding
from isletsim.clocks import Rules
from isletsim.ensemble import alone
from isletsim.faults import RunError
from isletsim.places import find_any
from isletsim.results.files import write_figure
from isletsim.scenario import scenario_of
from isletsim.source import Page, read_page
from isletsim.study.load import prepared_scenario
from isletsim.study.record import LABELS
from isletsim.study.run import ground_of
from isletsim.study.subject import live

__all__ = ["Seen", "draw_seen", "examine", "told"]

COLUMNS = 13  # rows of the printed course, at most


@dataclass(frozen=True)
class Seen:
    """What a test found in one arm, and the unit of every curve."""

    arm: str
    day: float
    finding: Finding
    units: dict[str, str]


def examine(wanted: str, test: str, at: str = "0 day") -> list[Seen]:
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
    page = read_page(path)
    data: dict[str, Any] = page.data
    if kind != "scenario":
        data = {"title": page.data.get("title", wanted), "patient": str(path.resolve()), "arms": {"care": {}}}
        data |= {"visits": {"every": "3 month"}, "until": "1 day"}
    data["challenges"] = {test: {"at": [at]}}
    if at != "0 day":
        data["until"] = at
    data["cohort"] = {"size": 0}
    data.pop("figures", None)
    scenario = prepared_scenario(scenario_of(Page(path, page.shown, data, page.text, page.lines)))
    seen: list[Seen] = []

    def note(arm: int, day: float, finding: Finding) -> None:
        units = {symbol.name: LABELS.get(unit.text, unit.text) for symbol, unit in finding.challenge.shown}
        seen.append(Seen(scenario.plan.arms[arm].name, day, finding, units))

    lived = alone(live(ground_of(scenario, Rules(), note), 0))
    if lived.failures:
        raise RunError("\n".join(dict.fromkeys(failure.message for failure in lived.failures)))
    arms = [arm.name for arm in scenario.plan.arms]
    return sorted(seen, key=lambda each: arms.index(each.arm))


def told(seen: Sequence[Seen]) -> str:
    """What the tests found, as text."""
    lines = []
    for each in seen:
        test = each.finding.challenge
        lines += [f"{test.title}  ({each.arm}, day {each.day:g})", ""]
        names = list(each.finding.courses)
        heads = [f"{name} [{each.units[name]}]" for name in names]
        lines.append("   min  " + "  ".join(heads))
        spacing = max(1, -(-len(each.finding.minutes) // COLUMNS))
        for row in range(0, len(each.finding.minutes), spacing):
            cells = (
                f"{each.finding.courses[name][row]:>{len(head)}.4g}" for name, head in zip(names, heads, strict=True)
            )
            lines.append(f"{each.finding.minutes[row]:6.0f}  " + "  ".join(cells))
        lines.append("")
        for report in test.reports:
            unit = LABELS.get(report.unit.text, report.unit.text)
            lines.append(f"{report.name:24} {each.finding.reports[report.name]:10.4g} {unit:12} {report.about}")
        lines.append("")
    return "\n".join([*lines, "For research and teaching; no treatment decisions."])


def draw_seen(seen: Sequence[Seen], folder: str | Path) -> list[Path]:
    """The curves of the tests as a figure, png and svg."""
    from isletsim.figures import Curve, Panel, Sheet, draw

    first = seen[0].finding
    panels = []
    for name, unit in seen[0].units.items():
        curves = tuple(
            Curve(each.arm, rank, each.finding.minutes / 1440.0, each.finding.courses[name])
            for rank, each in enumerate(seen)
        )
        panels.append(Panel(name, unit, curves))
    notes = (f"day {seen[0].day:g} of the reference patient. For research and teaching; no treatment decisions.",)
    sheet = Sheet(first.challenge.title, tuple(panels), (0.0, float(first.minutes[-1]) / 1440.0), (), notes)
    return write_figure(draw(sheet), first.challenge.name, folder)
