"""Responders to a therapy: how many, how soon, and the covariates that their response correlates with.

Each subject is its own control. What was known of people before the therapy (reports at the start, lengths of the legs
of their history) and what was drawn for the therapy itself (batch, product, how a host answers) are ranked by
Spearman's rank correlation with the answer. With so many looked at, some correlate by chance: the level that the
strongest of them reaches in one of twenty shuffles stands beside them, and only what exceeds it is told in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.results.record import StudyData, own_layers
from isletsim.results.variables import clinical, unit_label
from isletsim.statistics import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["responders", "told"]

YEAR = 365.25  # days: the answer is the mean difference over the first year
EARLY = {"3 month": 91.3125, "6 month": 182.625}
FEWEST = 8  # people, below which nothing is ranked
SHUFFLES, CHANCE = 400, 95
RANKED, SHOWN = 8, 3
BEFORE, THERAPY = "before", "therapy"


def responders(result: StudyData) -> dict[str, Any]:
    """What summary.json says of who answers; empty without a cohort and a second arm.

    Per arm: `n`; where the study says what counts (`least`) the people who reach it `by` 3 and 6 months, `later` and
    `never`; and the ranked covariates of the answer, known `before` and drawn for the `therapy`.
    """
    column = _column(result)
    if result.cohort < FEWEST or len(result.arms) < 2 or column is None:
        return {}
    arms = {}
    for number, arm in enumerate(result.arms):
        found = _arm(result, number, column) if number != result.control else None
        if found is not None:
            arms[arm.name] = found
    if not arms:
        return {}
    least = result.response.least if result.response is not None else None
    variable = result.variables[column]
    return {
        "of": variable.name,
        "unit": unit_label(variable),
        "against": result.arms[result.control].name,
        "answer": "mean difference over the first year" + (", in the wanted direction" if least else ""),
        "least": least,
        "arms": arms,
    }


def told(found: dict[str, Any]) -> list[str]:
    """The same in sentences: what is ranked, and one or two an arm."""
    if not found:
        return []
    of, against = found["of"], found["against"]
    if found["least"]:
        change = f"the {'reduction' if found['least'] < 0 else 'increase'} of {of} against {against} in the first year"
    else:
        change = f"the difference of {of} from {against} in the first year"
    lines = [f"Responders: rank correlations of covariates with {change}. Values that chance reaches are no finding."]
    for name, arm in found["arms"].items():
        if "never" in arm:
            by = ", ".join(f"{count} of {arm['n']} by {at}s" for at, count in arm["by"].items())
            change, size = "reduction" if found["least"] < 0 else "increase", f"{abs(found['least']):g} {found['unit']}"
            lines.append(
                f"{name}: responders ({of} {change} of {size.strip()} or more): {by}; "
                f"{arm['later']} more later, {arm['never']} never"
            )
        pieces = [_told(arm, BEFORE, "baseline covariates"), _told(arm, THERAPY, "random draws of the therapy")]
        lines.append(f"{name}: {'; '.join(piece for piece in pieces if piece)}")
    return lines


def _told(arm: dict[str, Any], kind: str, words: str) -> str:
    """What exceeds chance, else what comes first; empty where there is nothing to rank."""
    if not arm[kind]:
        return ""
    named = [f"{each['name']} ({each['rank_correlation']:+.2f})" for each in arm[kind]]
    above = sum(each["beyond_chance"] for each in arm[kind])
    chance = f"chance reaches {arm[f'chance_{kind}']:.2f}"
    if above:
        return f"{words}: {', '.join(named[: min(above, SHOWN)])}; {chance}"
    return f"{words}: none beyond chance, the strongest is {named[0]}; {chance}"


# --- the answer -------------------------------------------------------------------------------------------------------


def _column(result: StudyData) -> int | None:
    """What is looked at: what the study says, else what it shows first."""
    if result.response is None:
        return next(iter(clinical(result)), None)
    names = [variable.name for variable in result.variables]
    return names.index(result.response.of) if result.response.of in names else None


def _arm(result: StudyData, number: int, column: int) -> dict[str, Any] | None:
    both = result.values[[number, result.control], 1:, :, column]
    rows = np.isfinite(both).any(axis=(0, 1)) & (result.time > 0)
    differences, time = (both[0] - both[1])[:, rows], result.time[rows]
    alive = np.isfinite(differences).all(axis=1) if differences.size else np.zeros(0, dtype=bool)
    differences = differences[alive]
    if len(differences) < FEWEST or not np.ptp(differences):
        return None
    least = None if result.response is None else result.response.least
    found: dict[str, Any] = {"n": len(differences)}
    if least is not None:
        found |= _counts(differences * np.sign(least), time, abs(least))
    answer = (differences * (np.sign(least) if least else 1.0))[:, time <= max(YEAR, float(time[0]))].mean(axis=1)
    known = _known(result)
    own = own_layers(result.arms[number].layers, result.arms[result.control].layers)
    drawn = {
        covariate.name: result.people[1:, place]
        for place, covariate in enumerate(result.covariates)
        if covariate.drawn and covariate.name.partition(".")[0] in own
    }
    for kind, columns in ((BEFORE, known), (THERAPY, drawn)):
        found[kind], found[f"chance_{kind}"] = _ranked({key: each[alive] for key, each in columns.items()}, answer)
    return found


def _counts(benefits: Array, time: Array, least: float) -> dict[str, Any]:
    """How many reach the least difference, and when first."""
    reached = benefits >= least
    first = np.where(reached.any(axis=1), time[reached.argmax(axis=1)], np.inf)
    by = {at: int((first <= day + 0.5).sum()) for at, day in EARLY.items() if day <= time[-1] + 0.5}
    ever = int(np.isfinite(first).sum())
    return {"by": by, "later": ever - max(by.values(), default=0), "never": len(benefits) - ever}


def _known(result: StudyData) -> dict[str, Array]:
    """What is known of people before the therapy: reports at the start, and how long they had lived how."""
    control = result.values[result.control, 1:, 0]
    found = {result.variables[index].name: control[:, index] for index in clinical(result)}
    if result.response is not None and result.response.by:
        found = {
            variable.name: control[:, index]
            for index, variable in enumerate(result.variables)
            if variable.name in result.response.by
        }
    return found | {
        covariate.name: result.people[1:, place]
        for place, covariate in enumerate(result.covariates)
        if not covariate.drawn
    }


# --- ranks ------------------------------------------------------------------------------------------------------------


def _ranked(columns: dict[str, Array], answer: Array) -> tuple[list[dict[str, Any]], float | None]:
    """The covariates by the size of their rank correlation with the answer, and what chance reaches."""
    usable = {name: each for name, each in columns.items() if np.isfinite(each).all() and _differs(each)}
    if not usable or not _differs(answer):
        return [], None
    ranks = np.array([_standard(each) for each in usable.values()])
    target = _standard(answer)
    found = ranks @ target / len(answer)
    shuffle = np.random.default_rng(0)  # no chance in a summary: the same result gives the same numbers
    strongest = [np.abs(ranks @ shuffle.permutation(target)).max() / len(answer) for _ in range(SHUFFLES)]
    chance = float(np.percentile(strongest, CHANCE))
    order = np.argsort(-np.abs(found), kind="stable")[:RANKED]
    names = list(usable)
    rows = [
        {
            "name": names[place],
            "rank_correlation": rounded(found[place]),
            "beyond_chance": bool(abs(found[place]) > chance),
        }
        for place in order
    ]
    return rows, rounded(chance)


def _differs(values: Array) -> bool:
    return bool(np.ptp(values) > 1e-9 * np.abs(values).max())


def _standard(values: Array) -> Array:
    """Ranks, ties sharing their mean, with mean 0 and variance 1."""
    ordered, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    assert len(ordered) > 1
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return np.asarray((ranks - ranks.mean()) / ranks.std(), dtype=np.float64)
