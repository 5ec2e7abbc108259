"""What calibration is made of: numbers that may move, rows of the evidence they are held against, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from isletsim.statistics import NORMAL_95
from isletsim.units import Unit

__all__ = [
    "PEOPLE",
    "STATISTICS",
    "Comparison",
    "FitOutcome",
    "FitStudy",
    "Free",
    "Group",
    "Reached",
    "spread_key",
    "widened",
]

# What is compared: a value at a time; a value over that at t = 0; what is missing of 1; the slope in time; the relative
# change a year of an exponential fall; the value of an arm less that of another; the share of people beyond a level;
# how long the first stretch beyond a level lasts.
STATISTICS = ("value", "kept", "missing", "slope", "yearly", "difference", "share", "lasting")
PEOPLE = ("reference", "mean", "median", "geometric")  # whom a row is about: one patient, or the middle of a cohort


def spread_key(name: str) -> str:
    """The key of how far a number differs between people."""
    return f"spread of {name}"


def widened(low: float, high: float, factor: float) -> tuple[float, float]:
    """A range about 1 with another factor either way, and as skew as it was."""
    stretch = math.log(factor) / math.log(math.sqrt(high / low))
    return low**stretch, high**stretch


@dataclass(frozen=True)
class Free:
    """A number that may move: its name, the patients that hold it (none: its model file), and within what.

    With `spread` it is how far the number differs between people: the factor, up and down, that 95 % lie within, or
    the middle of both where they are not the same.
    """

    name: str
    patients: tuple[str, ...]
    unit: Unit
    value: float  # base units, as does all below
    low: float
    high: float
    place: str = field(repr=False)
    spread: bool = False

    @property
    def key(self) -> str:
        """What tells it from every other number that may move."""
        return spread_key(self.name) if self.spread else self.name

    @property
    def prior_width(self) -> float:
        """The standard deviation of its logarithm, if the bounds are a 95 % range."""
        return math.log(self.high / self.low) / (2 * NORMAL_95)


@dataclass(frozen=True)
class FitStudy:
    """What is run for a comparison: a scenario, and what of it is changed."""

    scenario: str
    changed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Comparison:
    """A row of the evidence beside what the simulator says.

    Attributes
    ----------
    wanted, spread : base units; `spread` is one standard deviation of what counts as agreement.
    low, high : within these the row is reached.
    level, above : a share is of those below this level, or above it.
    weight : of the squared residual; 0 shows a row without fitting it.
    """

    target: str
    label: str
    study: FitStudy
    arm: str
    against: str
    variable: str
    statistic: str
    people: str
    times: tuple[float, ...]
    wanted: float
    spread: float
    low: float
    high: float
    level: float
    above: bool
    weight: float
    unit: Unit
    why: str
    place: str = field(repr=False)


@dataclass(frozen=True)
class Group:
    """Numbers that are fitted together."""

    name: str
    about: str
    free: tuple[Free, ...]
    comparisons: tuple[Comparison, ...]
    cohort: int
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Reached:
    """What the simulator says of a comparison, before and after; in base units."""

    comparison: Comparison
    before: float
    after: float

    @property
    def agrees(self) -> bool:
        """Whether it lies within what was published, or asked for."""
        return self.comparison.low <= self.after <= self.comparison.high


@dataclass(frozen=True)
class FitOutcome:
    """What the fit of a group gave: values and relative standard errors by key, rows, and the work done."""

    group: Group
    values: Mapping[str, float]
    errors: Mapping[str, float]
    rows: tuple[Reached, ...]
    runs: int
    cohort: int
    assumed: Mapping[str, tuple[int, int]]
