"""The report as plain text for a terminal, and as a mapping for JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isletsim.evidence import Interval, Measured
from isletsim.results.files import write_figure
from isletsim.results.record import NOTICE
from isletsim.statistics import rounded
from isletsim.validation.checks import Check, ValidationStudy
from isletsim.validation.measure import Simulated
from isletsim.validation.picture import draw_report
from isletsim.validation.records import Row, RunFacts, Score, Verdicts, unit_text
from isletsim.validation.verdict import Verdict, published_interval

__all__ = ["render_report", "report_record", "write_report"]

USE_WORDS = {
    "cal": "to be reached (cal)",
    "val": "predicted (val)",
    "seen": "seen early, neither",
    "context": "context, never judged",
}
STANDING_WORDS = {"flagship": "flagship", "published": "published models", "teaching": "teaching cores"}
HEADS = ("row", "what", "published", "simulated", "verdict", "use", "evidence")
NARROWEST = 30  # of what the rows are about
GAP = 2


# --- text -------------------------------------------------------------------------------------------------------------


def render_report(report: Verdicts, width: int) -> str:
    """All rows by study, what is not expressed yet, the claims, and the score."""
    lines: list[str] = []
    for name in report.asked:
        lines += _claim_text(report, name, width)
    for study in dict.fromkeys(row.check.study for row in report.rows):
        rows = [row for row in report.rows if row.check.study == study]
        lines += [*_head(study, report.runs.get(study.name), width), *_rows(rows, width), ""]
    lines += _missed(report, width)
    if report.whole:
        lines += [*_unexpressed(report, width), "", *_claims(report, width), ""]
    lines += [*_score(report.scores()), "", NOTICE]
    return "\n".join(line.rstrip() for line in lines)


def _head(study: ValidationStudy, facts: RunFacts | None, width: int) -> list[str]:
    parts = [f"{study.name} ({STANDING_WORDS[study.standing]})", study.about]
    if facts is not None:
        parts.append(f"cohort of {facts.cohort}" if facts.cohort else "one patient")
        if facts.assumed is not None:
            parts.append(f"{100 * facts.assumed:.0f} % of the parameters assumed")
        if facts.failures:
            parts.append(f"{facts.failures} failed")
    return textwrap.wrap(" · ".join(part for part in parts if part), width)


def _rows(rows: Iterable[Row], width: int) -> list[str]:
    cells = [HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADS))]
    others = sum(widths) - widths[1] + GAP * (len(HEADS) - 1)
    widths[1] = min(widths[1], max(NARROWEST, width - others))
    lines = []
    for row in cells:
        about = textwrap.wrap(row[1], widths[1]) or [""]
        first = [row[0], about[0], *row[2:]]
        lines.append((" " * GAP).join(f"{text:<{wide}}" for text, wide in zip(first, widths, strict=True)))
        lines += [" " * (widths[0] + GAP) + more for more in about[1:]]
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    check = row.check
    about = ", ".join(part for part in (check.target.quantity, check.value.name) if part)
    return (
        check.target.id,
        f"{about} [{_how(row)}]",
        _published(check),
        _simulated(row.simulated),
        _verdict(row.verdict),
        check.target.use,
        row.grade,
    )


def _how(row: Row) -> str:
    """What was taken of the run, in words."""
    check = row.check
    alone = row.simulated is not None and not row.simulated.people
    over = "reference patient" if alone or check.over == "patient" else check.over.replace("_", " ")
    what = "" if check.statistic == "level" else check.statistic.replace("_", " ")
    sign = {"difference": " - ", "ratio": " / "}.get(check.compare, "")
    arms = f"{check.arm}{sign}{check.against}"
    return ", ".join(part for part in (check.text, what, over, arms, check.when) if part)


def _published(check: Check) -> str:
    value, accepted = check.value, published_interval(check)
    if value.number is None:
        return {"up": "rises", "down": "falls", "none": "no change"}.get(value.direction, value.says)
    text = f"{_number(value.number)} {unit_text(value.unit)}".strip()
    if accepted is not None:
        text += f" ({_number(accepted.low)} to {_number(accepted.high)}; {accepted.kind})"
    elif value.direction:
        text += {"up": ", upwards", "down": ", downwards", "none": ", no change"}[value.direction]
    marks = [mark for mark in (value.mark,) if mark in ("derived", "memory", "text_2")]
    words = {"derived": "derived", "memory": "recalled", "text_2": "second hand"}
    return " ".join([text, *(f"[{words[mark]}]" for mark in marks)])


def _simulated(simulated: Simulated | None) -> str:
    if simulated is None:
        return "-"
    text = f"{_number(simulated.value)} {unit_text(simulated.unit)}".strip()
    if math.isfinite(simulated.low):
        text += f" ({_number(simulated.low)} to {_number(simulated.high)})"
    return text


def _verdict(verdict: Verdict) -> str:
    if verdict.judged and math.isfinite(verdict.half_widths):
        return f"{verdict.outcome}, {verdict.half_widths:.3g} half-widths"
    if verdict.judged and verdict.basis == "direction":
        return f"{verdict.outcome}, by direction"
    return verdict.outcome


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "never" if value == math.inf else "-"
    size = abs(value)
    if size and (size >= 1e5 or size < 1e-3):
        return f"{value:.3g}"
    digits = 2 if size >= 0.1 else 3
    return f"{value:.{0 if size >= 100 else 1 if size >= 20 else digits}f}"


def _claim_text(report: Verdicts, name: str, width: int) -> list[str]:
    """A claim that was asked for: who makes it, what becomes of it, and what users must know with it."""
    claim = report.evidence.claims[name]
    said_by = ", ".join(document.replace("_", " ") for document in claim.said_by)
    about = f"{name} ({said_by}): {claim.claim} {claim.standing.replace('_', ' ').capitalize()}: {claim.reason}."
    lines = textwrap.wrap(about, width, subsequent_indent="  ")
    for flag in claim.flags:
        text = f"{flag}: {report.evidence.flags[flag].text}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    return [*lines, ""]


def _unexpressed(report: Verdicts, width: int) -> list[str]:
    """The rows that no check speaks of, by why."""
    by_reason: dict[str, list[str]] = {}
    for target in report.unchecked:
        why = report.unexpressed.get(target.id, "context" if target.use == "context" else "no reason given")
        by_reason.setdefault(why, []).append(target.id)
    lines = [f"Not held against a run: {len(report.unchecked)} rows."]
    for why, ids in by_reason.items():
        lines += textwrap.wrap(f"  {why}: {', '.join(ids)}", width, subsequent_indent="    ")
    return lines


def _missed(report: Verdicts, width: int) -> list[str]:
    """The rows outside of their interval, by why they are."""
    by_reason: dict[str, list[str]] = {}
    for row in report.rows:
        if row.verdict.outcome == "outside":
            why = row.check.missed or row.check.note or "no reason is known yet"
            named = ", ".join(part for part in (row.check.target.id, row.check.value.name) if part)
            by_reason.setdefault(why, []).append(named)
    lines = ["Outside of their interval, and why:"] if by_reason else []
    for why, rows in by_reason.items():
        lines += textwrap.wrap(f"  {'; '.join(dict.fromkeys(rows))}: {why}", width, subsequent_indent="    ")
    return [*lines, ""] if lines else []


def _claims(report: Verdicts, width: int) -> list[str]:
    standings: dict[str, list[str]] = {}
    for claim in report.evidence.claims.values():
        standings.setdefault(claim.standing, []).append(claim.id)
    parts = [f"{len(ids)} {standing.replace('_', ' ')}" for standing, ids in standings.items()]
    return textwrap.wrap(f"Of {len(report.evidence.claims)} claims: {', '.join(parts)}.", width)


def _score(scores: Iterable[Score]) -> list[str]:
    lines = ["Score: values inside their interval, of those judged."]
    for score in scores:
        share = f"{score.inside} of {score.judged}" if score.judged else "none judged"
        rest = [
            (score.by_direction, "by direction alone"),
            (score.by_ours, "by a tolerance of ours"),
            (score.shown, "shown only"),
            (score.awaited, "not yet modelled"),
            (score.failed, "failed"),
        ]
        told = ", ".join(f"{count} {words}" for count, words in rest if count)
        line = f"  {STANDING_WORDS[score.standing]:<17}{USE_WORDS[score.use]:<24}{share}"
        lines.append(f"{line} ({told})" if told else line)
    return lines


def write_report(report: Verdicts, record: Path | None, figure: Path | None) -> list[Path]:
    """Write the report as JSON into a file and as a picture into a folder, where asked for."""
    written = []
    if record is not None:
        record.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report_record(report), indent=1, ensure_ascii=False, allow_nan=False)
        record.write_text(text + "\n", encoding="utf-8")
        written.append(record)
    if figure is not None:
        written += write_figure(draw_report(report), "validation", figure)
    return written


# --- JSON -------------------------------------------------------------------------------------------------------------


def report_record(report: Verdicts) -> dict[str, Any]:
    """What goes into a JSON file: score, rows, runs, rows without a check, claims."""
    from isletsim import __version__

    return {
        "notice": NOTICE,
        "isletsim": __version__,
        "score": [{**vars(score), "judged": score.judged} for score in report.scores()],
        "rows": [_row_record(row) for row in report.rows],
        "runs": {name: vars(facts) for name, facts in report.runs.items()},
        "studies": {
            name: {"about": study.about, "standing": study.standing, "there": study.path is not None}
            for name, study in report.studies.items()
        },
        "unexpressed": [
            {"target": target.id, "use": target.use, "why": report.unexpressed.get(target.id, "")}
            for target in report.unchecked
        ],
        "claims": [_claim_record(report, name) for name in _claims_of(report)],
    }


def _claims_of(report: Verdicts) -> Iterator[str]:
    touched = {claim for row in report.rows for claim in report.evidence.claims_by_target.get(row.check.target.id, ())}
    touched |= set(report.asked)
    return (name for name in report.evidence.claims if report.whole or name in touched)


def _row_record(row: Row) -> dict[str, Any]:
    check, verdict = row.check, row.verdict
    return {
        "check": check.name,
        "target": check.target.id,
        "quantity": check.target.quantity,
        "population": check.target.population,
        "value": check.value.name,
        "use": check.target.use,
        "issues": list(check.target.issues),
        "mark": check.value.mark,
        "sources": list(check.target.sources),
        "published": _published_record(check.value, published_interval(check)),
        "simulated": _simulated_record(row.simulated),
        "verdict": verdict.outcome,
        "basis": verdict.basis,
        "half_widths": rounded(verdict.half_widths),
        "why": verdict.why,
        "grade": row.grade,
        "scenario": check.study.name,
        "standing": check.study.standing,
        "arm": check.arm,
        "against": check.against,
        "compare": check.compare,
        "measure": check.text,
        "statistic": check.statistic,
        "over": check.over,
        "when": check.when,
        "note": check.note,
        "missed_because": check.missed,
    }


def _published_record(value: Measured, accepted: Interval | None) -> dict[str, Any]:
    record: dict[str, Any] = {"value": value.number, "unit": unit_text(value.unit), "direction": value.direction}
    if value.says:
        record["says"] = value.says
    if accepted is not None:
        record |= {"low": rounded(accepted.low), "high": rounded(accepted.high), "kind": accepted.kind}
    return record


def _simulated_record(simulated: Simulated | None) -> Mapping[str, Any] | None:
    if simulated is None:
        return None
    return {
        "value": rounded(simulated.value),
        "low": rounded(simulated.low),
        "high": rounded(simulated.high),
        "unit": unit_text(simulated.unit),
        "people": simulated.people,
        "time_day": rounded(simulated.time),
    }


def _claim_record(report: Verdicts, name: str) -> dict[str, Any]:
    claim = report.evidence.claims[name]
    rows = [row for row in report.rows if row.check.target.id in claim.targets]
    return {
        "claim": claim.id,
        "said_by": list(claim.said_by),
        "text": claim.claim,
        "quantity": claim.quantity,
        "standing": claim.standing,
        "where": list(claim.where),
        "awaits": list(claim.awaits),
        "reason": claim.reason,
        "targets": list(claim.targets),
        "flags": list(claim.flags),
        "verdicts": {row.check.name: row.verdict.outcome for row in rows},
    }
