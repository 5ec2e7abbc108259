"""Published spreads as intervals: within which a simulated value agrees with what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from isletsim.evidence.records import Measured
from isletsim.statistics import NORMAL_95, exact_share

__all__ = ["Interval", "interval"]

KINDS = {
    "ci": "95 % CI",
    "se": "1.96 SE",
    "sd": "1 SD",
    "iqr": "quartiles",
    "range": "range",
    "count": "exact 95 % interval",
}


@dataclass(frozen=True)
class Interval:
    """Two ends in the unit of a value, and where they come from, in words."""

    low: float
    high: float
    kind: str


def interval(measured: Measured) -> Interval | None:
    """The interval of a published value in its own unit; None where nothing was published.

    A confidence interval, quartiles and a range as printed; 1.96 standard errors; one standard deviation; and the
    exact binomial interval (Clopper and Pearson 1934) of so many out of so many.
    """
    spread, number = measured.spread, measured.number
    if spread is None or number is None or measured.unit is None:
        return None
    kind = KINDS[spread.kind]
    if spread.kind in ("se", "sd"):
        half = spread.numbers[0] * (NORMAL_95 if spread.kind == "se" else 1.0)
        return Interval(number - half, number + half, kind)
    if spread.kind == "count":
        low, high = exact_share(spread.numbers[0], spread.numbers[1])
        return Interval(low / measured.unit.factor, high / measured.unit.factor, kind)
    return Interval(spread.numbers[0], spread.numbers[1], kind)
