"""Whether a simulated number agrees with a published one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isletsim.evidence import Interval, interval
from isletsim.validation.checks import Check
from isletsim.validation.measure import Simulated

__all__ = ["OUTCOMES", "Verdict", "judge", "published_interval"]

# Inside and outside are judged; shown has nothing to be judged by or may not be; recalled nobody has seen in a text.
OUTCOMES = ("inside", "outside", "shown", "recalled", "not yet modelled", "failed")
OURS = "a tolerance of ours"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check.

    Attributes
    ----------
    basis : what it was judged by: the published interval, a tolerance of ours, or a direction.
    half_widths : the distance from the published value, in half-widths of its interval on that side; NaN without one.
    why : what stands in the way where nothing was judged.
    """

    outcome: str
    basis: str = ""
    half_widths: float = math.nan
    why: str = ""

    @property
    def judged(self) -> bool:
        """Whether it says inside or outside."""
        return self.outcome in ("inside", "outside")


def published_interval(check: Check) -> Interval | None:
    """What counts as agreement: the published interval, or the check's own tolerance where there is none."""
    found = interval(check.value)
    if found is not None or check.within is None or check.value.number is None:
        return found
    number = check.value.number
    return Interval(number - check.within, number + check.within, OURS)


def judge(check: Check, simulated: Simulated) -> Verdict:
    """The verdict on a simulated number."""
    if not math.isfinite(simulated.value):
        return Verdict("failed", why="the run gave no number")
    accepted = published_interval(check)
    distance = _half_widths(check.value.number, accepted, simulated.value)
    basis = accepted.kind if accepted is not None else ""
    if check.value.recalled:
        return Verdict("recalled", basis, distance, "recalled, nobody has seen it in a text")
    if check.target.use == "context":
        return Verdict("shown", basis, distance, "context")
    if accepted is not None:
        inside = accepted.low <= simulated.value <= accepted.high
        return Verdict("inside" if inside else "outside", basis, distance)
    if check.value.direction:
        return Verdict("inside" if _agrees(check, simulated.value) else "outside", "direction")
    return Verdict("shown", why="no interval was published")


def _half_widths(number: float | None, accepted: Interval | None, value: float) -> float:
    if accepted is None or number is None:
        return math.nan
    half = accepted.high - number if value > number else number - accepted.low
    if half > 0:
        return abs(value - number) / half
    return 0.0 if value == number else math.inf


def _agrees(check: Check, value: float) -> bool:
    """Whether a change goes the published way by at least what counts; ratios start from one, all else from nothing."""
    ratio = check.compare == "ratio" or (check.statistic == "retained" and not check.compare)
    moved, least = value - (1.0 if ratio else 0.0), check.least or 0.0
    if check.value.direction == "none":
        return abs(moved) <= least
    return moved >= least if check.value.direction == "up" else -moved >= least
