"""The summary as plain text for a terminal: arms by clinical names by times."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isletsim.results.evidence_labels import carried, evidence_label, must_know
from isletsim.results.record import NOTICE, ArmInfo, StudyData
from isletsim.results.responders import told as told_of
from isletsim.results.summary import summarise
from isletsim.results.variables import shown_unit

__all__ = ["dose_phrase", "label_of", "provenance", "render_table"]

Row = tuple[str, dict[str, str]]  # what the line is about, and its cells by time
GAP = 2
NARROWEST, WIDEST = 12, 34  # of the first column
SHOWN_FAILURES, SHOWN_DOSES = 5, 3
# Where not all times fit into the width, these go first.
PREFERRED = ["end", "0 month", "12 month", "6 month", "3 month", "2 year", "5 year", "10 year", "3 year", "20 year"]


def render_table(result: StudyData, width: int = 100, everything: bool = False) -> str:
    """The summary table of a result: what the study's figures show, or everything where it has none or that is wanted.

    Per clinical name a line for each arm (the reference patient), with a cohort two more (median, and 5th to 95th
    percentile), and the same of the differences from the control, which are taken patient by patient.
    """
    found = summarise(result)
    known = list(dict.fromkeys(name for arm in found["arms"].values() for name in arm))
    asked = {spec.show for spec in result.figures}
    names = [name for name in known if everything or name in asked] or known
    left = [name for name in known if name not in names]
    units = {variable.name: shown_unit(variable) for variable in result.variables}
    blocks = {name: _block(result, found, name) for name in names}
    rows = [row for block in blocks.values() for row in block]
    heads = {at: label_of(at, result) for at in _times(found, result)}
    widths = {at: max([len(head), *(len(cells.get(at, "")) for _, cells in rows)]) for at, head in heads.items()}
    first = min(WIDEST, max([NARROWEST, *(len(text) for text, _ in rows)]))
    chosen = _fit(widths, width - first)
    lines = [*_head(result, width), _line("", heads, chosen, widths, first)]
    for name in names:
        lines.append(f"{name} [{units[name]}]" if units[name] else name)
        lines += [_line(text, cells, chosen, widths, first) for text, cells in blocks[name]]
    if left:
        more = f"Also recorded (see summary.json with -o, or --all): {', '.join(left)}."
        lines += ["", *textwrap.wrap(more, width)]
    return "\n".join(line.rstrip() for line in [*lines, "", *_foot(result, found, width)])


# --- the numbers ------------------------------------------------------------------------------------------------------


def _block(result: StudyData, found: Mapping[str, Any], name: str) -> list[Row]:
    decimals = _decimals(
        record[key] for arm in found["arms"].values() for record in arm[name]["values"] for key in ("patient", "median")
    )
    control = found["control"]
    rows: list[Row] = []
    for kind in ("arms", "differences"):
        for arm, entries in found[kind].items():
            records = entries[name]["values"]
            title = f"  {arm}" if kind == "arms" else f"  {arm} - {control}"
            sign = kind == "differences"
            columns = [(_column(each["at"], result), each) for each in records]
            rows.append((title, {at: _number(each["patient"], decimals, sign) for at, each in columns}))
            if result.cohort:
                rows.append(("    median", {at: _number(each["median"], decimals, sign) for at, each in columns}))
                rows.append(("    5-95 %", {at: _spread(each, decimals, sign) for at, each in columns}))
    return rows


def _decimals(values: Iterable[float | None]) -> int:
    """Decimals that give a typical value three significant digits; -1 asks for powers of ten."""
    sizes = sorted(abs(value) for value in values if value)
    if not sizes:
        return 2
    typical = sizes[len(sizes) // 2]
    if sizes[-1] >= 1e6 or typical < 1e-4:
        return -1
    return max(0, 2 - math.floor(math.log10(typical)))


def _number(value: float | None, decimals: int, sign: bool) -> str:
    if value is None:
        return "-"
    flag = "+" if sign else ""
    if decimals < 0:
        return f"{value:{flag}.3g}"
    text = f"{value:{flag}.{decimals}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _spread(record: Mapping[str, Any], decimals: int, sign: bool) -> str:
    low, high = (_number(record[key], decimals, sign) for key in ("p5", "p95"))
    return f"{low}..{high}" if record["n"] > 1 else ""


# --- the lines --------------------------------------------------------------------------------------------------------


def label_of(at: str, result: StudyData) -> str:
    """The head of a column: "start", "6 months", "2 years"; the end says when it is."""
    if at == "end":
        days = float(result.time[-1])
        for size, unit in ((365.25, "year"), (30.4375, "month"), (7.0, "week"), (1.0, "day")):
            count = round(days / size)
            if count and abs(days - count * size) <= (0.6 if size > 7 else 1e-6):
                return f"{count} {unit}{'s' if count != 1 else ''}"
        return f"day {days:.4g}"
    return "start" if at.startswith("0 ") else f"{at}s"


def _column(at: str, result: StudyData) -> str:
    """The column of a time; a time that is the end ("12 month" beside "1 year") has the column of the end."""
    count, _, unit = at.partition(" ")
    sizes = {"month": 30.4375, "year": 365.25}
    same = unit in sizes and abs(float(count) * sizes[unit] - float(result.time[-1])) <= 0.6
    return "end" if same and count != "0" else at


def _times(found: Mapping[str, Any], result: StudyData) -> list[str]:
    """The columns of a summary in order."""
    records = [each for arm in found["arms"].values() for entry in arm.values() for each in entry["values"]]
    days = {_column(each["at"], result): each["time_day"] for each in records}
    return sorted(days, key=lambda at: (at == "end", days[at]))


def _fit(widths: Mapping[str, int], left: int) -> list[str]:
    """The times that fit into a width, in order."""
    ranked = sorted(widths, key=lambda at: PREFERRED.index(at) if at in PREFERRED else len(PREFERRED))
    chosen: set[str] = set()
    for at in ranked:
        left -= GAP + widths[at]
        if left < 0 and chosen:
            break
        chosen.add(at)
    return [at for at in widths if at in chosen]


def _line(text: str, cells: Mapping[str, str], chosen: Sequence[str], widths: Mapping[str, int], first: int) -> str:
    shown = text if len(text) <= first else text[: first - 1] + "…"
    return f"{shown:<{first}}" + "".join(" " * GAP + f"{cells.get(at, ''):>{widths[at]}}" for at in chosen)


def _head(result: StudyData, width: int) -> list[str]:
    lines = textwrap.wrap(result.title or result.scenario, width)
    if result.cohort:
        what = (
            f"First line of an arm: the reference patient; then median and 5th to 95th percentile of a cohort of "
            f"{result.cohort}."
        )
        if len(result.arms) > 1:
            what += " Differences are taken patient by patient."
    else:
        what = "The reference patient."
    arms = [f"  {arm.name}: {arm.about}" for arm in result.arms if arm.about]
    told = [line for arm in arms for line in textwrap.wrap(arm, width, subsequent_indent="    ")]
    return [*lines, *told, *textwrap.wrap(what, width), ""]


def _foot(result: StudyData, found: Mapping[str, Any], width: int) -> list[str]:
    lines: list[str] = []
    for arm in result.arms:
        evidence = evidence_label(arm)
        parts = [dose_phrase(arm), f"evidence: {evidence}" if evidence else "", carried(arm)]
        if any(parts):
            lines += textwrap.wrap(f"{arm.name}: {'; '.join(filter(None, parts))}", width, subsequent_indent="  ")
    for line in told_of(found["responders"]):
        lines += textwrap.wrap(line, width, subsequent_indent="  ")
    for failure in result.failures[:SHOWN_FAILURES]:
        told = f"FAILED: {failure.arm}, subject {failure.subject}, day {failure.time:.6g}: {failure.message}"
        lines += textwrap.wrap(told, width, subsequent_indent="  ")
    if len(result.failures) > SHOWN_FAILURES:
        lines.append(f"... and {len(result.failures) - SHOWN_FAILURES} more failures, see run.json")
    for warning in result.run.get("warnings") or ():
        lines += textwrap.wrap(f"warning: {warning}", width, subsequent_indent="  ")
    known = must_know(result)
    if known:
        lines += [*[""] * bool(lines), "Caveats for this study:"]
    for statement in known:
        lines += textwrap.wrap(statement, width, initial_indent="  ", subsequent_indent="  ")
    return [*lines, *textwrap.wrap(" · ".join(provenance(result)), width), NOTICE]


def provenance(result: StudyData) -> list[str]:
    """What stands under every table and figure: scenario, version, cohort size, seed, share of assumed parameters."""
    from isletsim import __version__

    parts = [result.scenario, f"isletsim {result.run.get('isletsim') or __version__}"]
    parts.append(f"cohort of {result.cohort}" if result.cohort else "one patient")
    seed, assumed = result.run.get("seed"), result.run.get("assumed")
    share = assumed.get("share") if isinstance(assumed, Mapping) else None
    if result.cohort and seed is not None:
        parts.append(f"seed {seed}")
    if isinstance(share, (int, float)) and math.isfinite(share):
        parts.append(f"{100 * share:.0f} % of the parameters assumed")
    if result.failures:
        parts.append(f"{len(result.failures)} failed")
    return parts


def dose_phrase(arm: ArmInfo) -> str:
    """What an arm was given: ``3 × msc.infusion 1e6 cell/kg (day 0, 28, 56)``, empty for nothing."""
    groups: dict[tuple[str, str], list[float]] = {}
    for time, name, amount in zip(arm.dose_times, arm.dose_names, arm.dose_amounts, strict=True):
        short = re.sub(r"e\+?(-?)0*(?=\d)", r"e\1", amount)  # 1e+06 is 1e6
        groups.setdefault((name, short), []).append(time)
    told = [f"{len(times)} × {name} {amount} ({_days(times)})" for (name, amount), times in groups.items()]
    more = [f"and {len(told) - SHOWN_DOSES} other doses"] if len(told) > SHOWN_DOSES else []
    return ", ".join(told[:SHOWN_DOSES] + more)


def _days(times: Sequence[float]) -> str:
    if len(times) > 4:
        return f"day {times[0]:.6g} to {times[-1]:.6g}"
    return "day " + ", ".join(f"{time:.6g}" for time in times)
