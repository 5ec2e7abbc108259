"""What a calibration says: the kept result (`seeds/calibration/result.json`) and the page `docs/calibration.md`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isletsim.calibration.fit import misfit
from isletsim.calibration.reading import by_hand, printed
from isletsim.calibration.records import Comparison, FitOutcome, Group, Reached
from isletsim.data_files import data_folder
from isletsim.units import convert, quantity

__all__ = ["as_data", "as_page", "explained", "kept_result", "merge", "result_file"]

DIGITS = 4
ROUNDED = 5e-3  # a spread is read back from the ends of a range, which files hold to three digits


def result_file() -> Path:
    """Where the result of the package is kept."""
    return data_folder("seeds") / "calibration" / "result.json"


def kept_result(path: Path | None = None) -> dict[str, Any]:
    """The result as it was kept; empty where none is."""
    wanted = path or result_file()
    return dict(json.loads(wanted.read_text(encoding="utf-8"))) if wanted.exists() else {"groups": {}}


def merge(kept: Mapping[str, Any], outcomes: Iterable[FitOutcome]) -> dict[str, Any]:
    """A kept result with groups that were fitted anew, or only measured anew."""
    groups = dict(kept.get("groups", {}))
    for each in outcomes:
        name, found = each.group.name, as_data(each)
        fitted = not all(math.isnan(error) for error in each.errors.values())
        groups[name] = found if fitted or name not in groups else _measured_anew(groups[name], found)
    return {"groups": {name: groups[name] for name in sorted(groups)}}


def _measured_anew(kept: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A group that was measured and not fitted, with what its last fit said: how sure numbers are, where rows began."""
    parameters = {
        key: {**number, **{told: kept["parameters"][key][told] for told in ("before", "relative_error")}}
        if _same_number(kept["parameters"].get(key), number)
        else number
        for key, number in found["parameters"].items()
    }
    if not parameters:
        return found
    alike = kept["cohort"] == found["cohort"]  # else the rows of that fit were about other people
    before = {_named(row): row["before"] for row in kept["rows"]} if alike else {}
    return {
        **found,
        "misfit": {**found["misfit"], "before": kept["misfit"]["before"] if alike else None},
        "parameters": parameters,
        "rows": [{**row, "before": before.get(_named(row))} for row in found["rows"]],
    }


def _same_number(kept: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    if kept is None:
        return False
    values = [quantity(each["value"]).value for each in (kept, found)]
    return math.isclose(*values, rel_tol=ROUNDED)


def _named(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["target"], row["quantity"], row["where"]


def explained(kept: Mapping[str, Any], groups: Iterable[Group]) -> dict[str, Any]:
    """A kept result with what the table says of groups and misses now; its numbers stay."""
    found = dict(kept["groups"])
    for group in groups:
        if group.name in found:
            why = {(each.target, each.label, _where(each)): each.why for each in group.comparisons}
            rows = [{**row, "why": why.get(_named(row), row["why"])} for row in found[group.name]["rows"]]
            found[group.name] = {**found[group.name], "about": group.about, "rows": rows}
    return {"groups": found}


def as_data(outcome: FitOutcome) -> dict[str, Any]:
    """An outcome as plain data, numbers rounded so that it does not depend on the last bits."""
    before = {row.comparison: row.before for row in outcome.rows if row.comparison.weight > 0}
    after = {row.comparison: row.after for row in outcome.rows if row.comparison.weight > 0}
    return {
        "about": outcome.group.about,
        "cohort": outcome.cohort,
        "misfit": {"before": _short(misfit(before)), "after": _short(misfit(after))},
        "parameters": {
            each.key: {
                "value": printed(outcome.values[each.key], each.unit),
                "before": printed(each.value, each.unit),
                "bounds": [printed(each.low, each.unit), printed(each.high, each.unit)],
                "relative_error": _short(outcome.errors[each.key], 2),
                "patients": list(each.patients),
            }
            for each in outcome.group.free
        },
        "rows": [_row(row) for row in outcome.rows],
        "assumed": {name: {"numbers": some, "of": of} for name, (some, of) in sorted(outcome.assumed.items())},
    }


def _row(row: Reached) -> dict[str, Any]:
    wanted = row.comparison
    shown = [wanted.wanted, wanted.low, wanted.high, row.before, row.after]
    middle, low, high, before, after = (_short(float(convert(each, wanted.unit))) for each in shown)
    return {
        "target": wanted.target,
        "quantity": wanted.label,
        "where": _where(wanted),
        "wanted": middle,
        "within": [low, high],
        "before": before,
        "after": after,
        "unit": _label(wanted.unit.text),
        "weight": wanted.weight,
        "verdict": verdict(row),
        "why": wanted.why,
    }


def verdict(row: Reached) -> str:
    """reached, missed, or shown where a row is not fitted (with which of the two)."""
    if math.isnan(row.after):
        return "needs a cohort"
    told = "reached" if row.agrees else "missed"
    return told if row.comparison.weight > 0 else f"shown: {told}"


def _where(wanted: Comparison) -> str:
    changed = "".join(f", {key} = {value}" for key, value in wanted.study.changed)
    against = f" against {wanted.against}" if wanted.against else ""
    times = " to ".join(f"{each:g}" for each in wanted.times)
    whom = {
        "reference": "reference patient",
        "mean": "cohort, mean",
        "median": "cohort, median",
        "geometric": "cohort, geometric mean",
    }
    return (
        f"{wanted.study.scenario}{changed}, {wanted.arm}{against}: {wanted.statistic} of {wanted.variable}, "
        f"day {times}, {whom[wanted.people]}"
    )


def _label(text: str) -> str:
    return text.replace("percent_NGSP", "% HbA1c")


def _short(value: float, digits: int = DIGITS) -> float | None:
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


# --- the page ---------------------------------------------------------------------------------------------------------


def as_page(result: Mapping[str, Any]) -> str:
    """The result as a page for people."""
    lines = [
        "# Calibration",
        "",
        "Written by `python -m isletsim.calibration` from `seeds/calibration/result.json`; do not edit. What is fitted",
        "to what stands in `seeds/calibration.toml`. Only rows that may be used for it are: those marked `cal` in",
        "`seeds/targets/`, and ranges that issue 3 asks for. A row with weight 0 is shown and was not fitted.",
        "*Reached* means within the published interval, or within the tolerance that the table gives where none was",
        "published. A row that was fitted is not a prediction. *Chosen by hand* are numbers that somebody moved after",
        "looking at runs: what depends on them is no prediction either, and no fit can be repeated that gives them.",
        "*Before* and the standard errors are those of the last fit; *now* is measured again when models change",
        "(`--keep`).",
        "",
    ]
    chosen = by_hand()
    for name, group in result["groups"].items():
        lines += _group_page(name, group, chosen.get(name, ()))
    lines += _assumed_page(result)
    return "\n".join(lines).rstrip() + "\n"


def _group_page(name: str, group: Mapping[str, Any], chosen: Iterable[str]) -> list[str]:
    cohort = f"Populations: {group['cohort']} virtual patients." if group["cohort"] else "Reference patients only."
    misfits = group["misfit"]
    began = f"{misfits['before']} before, " if misfits["before"] is not None else ""
    told = f"{cohort} Misfit {began}{misfits['after']} now."
    lines = [f"## {name}", "", group["about"], "", told, ""]
    if group["parameters"]:
        lines += ["| number | before | now | relative standard error | bounds | held by |", "|---|---|---|---|---|---|"]
    for each, number in group["parameters"].items():
        error = "not fitted" if number["relative_error"] is None else f"{100 * number['relative_error']:.0f} %"
        held = ", ".join(number["patients"]) or "the model file"
        bounds = " to ".join(number["bounds"])
        lines.append(f"| {each} | {number['before']} | {number['value']} | {error} | {bounds} | {held} |")
    if group["parameters"]:
        lines.append("")
    lines += ["| target | quantity | wanted (within) | before | now | verdict |", "|---|---|---|---|---|---|"]
    for row in group["rows"]:
        low, high = row["within"]
        wanted = f"{row['wanted']:g} ({low:g} to {high:g}) {row['unit']}".strip()
        what = f"{row['quantity']}<br>{row['where']}"
        cells = [row["target"], what, wanted, _cell(row["before"]), _cell(row["after"]), row["verdict"]]
        lines.append(f"| {' | '.join(cells)} |")
    misses = [row for row in group["rows"] if "missed" in row["verdict"]]
    lines += ["", f"Missed: {len(misses)} of {len(group['rows'])}.", ""] if misses else ["", "Nothing is missed.", ""]
    lines += [f"- {row['target']}, {row['quantity']}: {row['why'] or 'no reason is known.'}" for row in misses]
    lines += [""] if misses else []
    moved = [f"- {each}" for each in chosen]
    return [*lines, "Chosen by hand:", "", *moved, ""] if moved else lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _assumed_page(result: Mapping[str, Any]) -> list[str]:
    found: dict[str, Mapping[str, int]] = {}
    for group in result["groups"].values():
        found |= group["assumed"]
    lines = ["## Assumed numbers", "", "| scenario | assumed | of |", "|---|---|---|"]
    return lines + [f"| {name} | {each['numbers']} | {each['of']} |" for name, each in sorted(found.items())]
