"""Published spreads as intervals: within which a simulated value agrees with what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from isletsim.evidence.records import Measured

__all__ = ["CONFIDENCE", "Interval", "exact_share", "interval"]

CONFIDENCE = 0.95
NORMAL = 1.959963984540054  # the two-sided 95 % point
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
        half = spread.numbers[0] * (NORMAL if spread.kind == "se" else 1.0)
        return Interval(number - half, number + half, kind)
    if spread.kind == "count":
        low, high = exact_share(spread.numbers[0], spread.numbers[1])
        return Interval(low / measured.unit.factor, high / measured.unit.factor, kind)
    return Interval(spread.numbers[0], spread.numbers[1], kind)


def exact_share(count: float, of: float) -> tuple[float, float]:
    """The exact binomial 95 % interval of a share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1.0 - CONFIDENCE) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return low, high
