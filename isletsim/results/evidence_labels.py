"""On what evidence a therapy stands, in words: a badge for figures, a line for tables, and what users must know."""

from __future__ import annotations

from isletsim.results.record import ArmInfo, StudyData

__all__ = ["carried", "evidence_label", "in_words", "must_know"]

PRECLINICAL = {"animal": "preclinical (animals)", "cell": "preclinical (cells)"}
SHOWN_CARRIERS = 3


def in_words(grade: str) -> str:
    """An evidence grade as readers know it."""
    return PRECLINICAL.get(grade, grade)


def evidence_label(arm: ArmInfo) -> str:
    """``preclinical (animals), effect size assumed``: evidence for the therapy, and for the size of its effect."""
    kind = in_words(arm.evidence)
    if not arm.grade or arm.grade == arm.evidence:
        return kind
    size = "effect size assumed" if arm.grade == "assumed" else f"effect size from: {in_words(arm.grade)}"
    return f"{kind}, {size}" if kind else size


def carried(arm: ArmInfo) -> str:
    """Return the main drivers of an arm's effect and how many of its numbers are assumed; empty if nothing is known."""
    parts = []
    if arm.effect_drivers:
        named = [
            f"{each.name} ({100 * each.share:.0f} %, {each.grade or 'no grade'})"
            for each in arm.effect_drivers[:SHOWN_CARRIERS]
        ]
        parts.append(f"main drivers of its effect on {arm.effect_drivers[0].on}: {', '.join(named)}")
    if arm.assumed[1]:
        parts.append(f"{arm.assumed[0]} of its {arm.assumed[1]} numbers assumed")
    return "; ".join(parts)


def must_know(result: StudyData) -> list[str]:
    """The statements that concern this run and that nobody should miss, each after its id."""
    return [f"{flag['id']}: {flag['text']}" for flag in result.run.get("flags") or () if flag["severity"] == "high"]
