"""Statistics that summaries, validation and calibration share: quantiles, confidence intervals, rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CONFIDENCE", "NORMAL_95", "exact_share", "quantiles", "rounded", "student"]

CONFIDENCE = 0.95  # of every interval, two-sided
NORMAL_95 = 1.959963984540054  # half the width of a 95 % range in standard deviations
DIGITS = 6  # significant digits of numbers in files


def quantiles(values: NDArray[np.float64], levels: Sequence[float], axis: int = 0) -> NDArray[np.float64]:
    """Percentiles of the finite values along an axis, linear between order statistics; NaN where there are none."""
    ordered = np.moveaxis(np.where(np.isfinite(values), values, np.nan), axis, 0)
    ordered = np.sort(ordered, axis=0)  # NaN goes last
    counts = np.isfinite(ordered).sum(axis=0)
    if not len(ordered):
        return np.full((len(levels), *counts.shape), np.nan)
    places = np.asarray(levels, dtype=float).reshape(-1, *([1] * counts.ndim)) / 100 * np.maximum(counts - 1, 0)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    low, high = np.take_along_axis(ordered, below, 0), np.take_along_axis(ordered, above, 0)
    return np.asarray(low + (high - low) * (places - below))


def student(count: int) -> float:
    """The two-sided 95 % point of Student's t for the mean of `count` values (within 0.2 %).

    Exact for two and three values, beyond that the expansion of Abramowitz and Stegun 26.7.5.
    """
    freedom = count - 1
    if freedom == 1:
        return math.tan(math.pi * CONFIDENCE / 2)
    if freedom == 2:
        return CONFIDENCE * math.sqrt(2 / (1 - CONFIDENCE**2))
    x = NORMAL_95
    terms: tuple[float, ...] = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def rounded(value: float) -> float | None:
    """A number with six significant digits; None where there is none."""
    value = float(value)
    return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None


def exact_share(count: float, of: float) -> tuple[float, float]:
    """The exact binomial 95 % interval of a share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1.0 - CONFIDENCE) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return low, high
