"""The direct experiments as a table for people, and as numbers for other programs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from isletsim.units import unit_label
from isletsim.validation.experiments import ExperimentOutcome, ExperimentReport

__all__ = ["experiments_record", "experiments_table"]

WIDTH = 132
Wanted = Callable[[ExperimentOutcome], bool]


def experiments_table(report: ExperimentReport) -> str:
    """Every value by module, then the scores, then the misses with their reasons."""
    lines: list[str] = []
    module = ""
    for each in report.measured:
        if not each.scored and not math.isfinite(each.simulated):
            continue  # it stands among what is shown only
        if each.experiment.module != module:
            module = each.experiment.module
            lines += ["", f"{module}".upper()]
        lines.append(_line(each))
    lines += ["", *_scores(report), ""]
    lines += _reasons("Outside", [each for each in report.measured if each.scored and not each.inside], _missed)
    lines += _reasons(
        "Shown, not scored", [each for each in report.measured if not each.scored], lambda m: m.value.shown
    )
    lines.append(f"{report.seconds:.1f} s")
    return "\n".join(lines).lstrip("\n")


def _line(each: ExperimentOutcome) -> str:
    row, value = each.experiment, each.value
    what = f"{row.about}: {value.name}" if value.name else row.about
    wanted = value.says
    if value.number is not None and value.unit is not None:
        unit = unit_label(value.unit.text)
        wanted = f"{value.number:g} {unit}".strip()
        if each.scored:
            wanted += f" ({value.low:.4g} to {value.high:.4g})"
    verdict = ("in" if each.inside else "OUT") if each.scored else ""
    simulated = f"{each.simulated:.4g}" if math.isfinite(each.simulated) else "-"
    mark = "M" if value.recalled else "T"
    use = "shown" if not each.scored else row.use
    return f"{row.id} {_cut(what, 66):66} {simulated:>9}  {_cut(wanted, 42):42} {verdict:3} {mark} {use}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _scores(report: ExperimentReport) -> Iterator[str]:
    """Shares inside: by use and mark, and by module."""
    groups: list[tuple[str, Wanted]] = [("all scored values", lambda m: True)]
    for use in ("fitted", "set aside"):
        groups.append((use, partial(_counts, use=use)))
        for recalled, mark in ((False, "read in a text [T]"), (True, "recalled [M]")):
            groups.append((f"  {use}, {mark}", partial(_counts, use=use, recalled=recalled)))
    modules = dict.fromkeys(each.experiment.module for each in report.measured)
    groups += [(module, partial(_counts, module=module)) for module in modules]
    for name, wanted in groups:
        inside, count = report.share(wanted)
        if count:
            yield f"{name:36} {inside:4d} of {count:4d}  {100 * inside / count:3.0f} %"


def _counts(each: ExperimentOutcome, use: str = "", recalled: bool | None = None, module: str = "") -> bool:
    """Whether a value is of a group."""
    row = each.experiment
    asked = (not use or row.use == use) and (not module or row.module == module)
    return asked and (recalled is None or each.value.recalled == recalled)


def _missed(each: ExperimentOutcome) -> str:
    return each.fault or each.value.missed or "no reason is known yet"


def _reasons(title: str, values: list[ExperimentOutcome], why: Callable[[ExperimentOutcome], str]) -> Iterator[str]:
    """Values by why they are there."""
    by_reason: dict[str, list[str]] = {}
    for each in values:
        named = f"{each.experiment.id} {each.value.name}".strip()
        by_reason.setdefault(why(each), []).append(named)
    if by_reason:
        yield f"{title}: {len(values)} values."
        for reason, listed in by_reason.items():
            yield from textwrap.wrap(f"  {reason}: {', '.join(listed)}", WIDTH, subsequent_indent="    ")
        yield ""


def experiments_record(report: ExperimentReport) -> list[dict[str, Any]]:
    """The values as plain records, for JSON."""
    return [
        {
            "id": each.experiment.id,
            "module": each.experiment.module,
            "name": each.value.name,
            "simulated": each.simulated if math.isfinite(each.simulated) else None,
            "wanted": each.value.number,
            "low": each.value.low if math.isfinite(each.value.low) else None,
            "high": each.value.high if math.isfinite(each.value.high) else None,
            "unit": "" if each.value.unit is None else each.value.unit.text,
            "recalled": each.value.recalled,
            "use": each.experiment.use if each.scored else "shown",
            "inside": each.inside if each.scored else None,
            "why": each.value.shown if not each.scored else "" if each.inside else _missed(each),
        }
        for each in report.measured
    ]
