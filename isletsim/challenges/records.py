"""What a virtual test is: as it was written, in terms of a composition, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from isletsim.composition import Symbol
from isletsim.dosing import Course, Dose
from isletsim.language import TomlDocument, Tree
from isletsim.units import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["STATISTICS", "Challenge", "ChallengeFile", "ChallengeReport", "Crossing", "Finding", "Replay"]

# What may be made of a curve between two times.
STATISTICS = (
    "mean",
    "area",  # under the curve
    "area_above",  # above its value at the first time; what lies below counts nothing
    "area_change",  # of the difference from its value at the first time, with its sign
    "highest",
    "lowest",
    "time_of_highest",
    "time_of_lowest",
    "change",
    "slope",  # of a straight line against the time, or against another curve
    "decay",  # of an exponential through both ends, per time
)


@dataclass(frozen=True)
class ChallengeFile:
    """A test file as it was written.

    Attributes
    ----------
    shown : the quantities whose curves it shows. recorded : all that it looks at.
    replays : the test whose curves it gives again.
    """

    name: str
    path: Path
    title: str
    about: str
    layers: tuple[str, ...]
    shown: tuple[str, ...]
    recorded: tuple[str, ...]
    replays: ChallengeFile | None
    document: TomlDocument = field(repr=False, compare=False)


@dataclass(frozen=True)
class Crossing:
    """The first time, from `since` on, at which a curve falls or rises to a level.

    `level` is in base units, or with `share` a multiple of the value at `since`.
    """

    of: Tree
    rises: bool
    level: float
    share: bool
    since: float


@dataclass(frozen=True)
class ChallengeReport:
    """A number of a test: a curve at a time (`begin` = `end`), or a statistic of it between two; days since the start.

    Attributes
    ----------
    value : the curve, over whole names; `time` counts from the start of the test.
    against : the other curve of a slope. crossing : finds the time where none is written.
    """

    name: str
    value: Tree
    unit: Unit
    begin: float
    end: float
    about: str
    statistic: str = "at"
    against: Tree | None = None
    crossing: Crossing | None = None


@dataclass(frozen=True)
class Replay:
    """An input, or what a module alone borrows, that follows a curve of another test."""

    input: str
    value: Tree


@dataclass(frozen=True)
class Challenge:
    """A test in terms of a composition; times in days, `start` since midnight, the rest since the start.

    Attributes
    ----------
    samples : the times of samples where they are listed.
    usual : whether the patient's own day goes on. day : what every day of the test brings; times since midnight.
    replays : the test that `replayed` inputs repeat.
    shown : a curve is in the unit of the first report that is made of it alone.
    module, given : the files whose states move, where a test is of these alone, and what they borrow; `layers` are
        those that the test brings.
    """

    name: str
    title: str
    start: float
    length: float
    sample: float
    doses: tuple[Dose, ...]
    courses: tuple[Course, ...]
    shown: tuple[tuple[Symbol, Unit], ...]
    reports: tuple[ChallengeReport, ...]
    samples: tuple[float, ...] = ()
    usual: bool = False
    day: tuple[Dose, ...] = ()
    replays: Challenge | None = None
    replayed: tuple[Replay, ...] = ()
    layers: tuple[str, ...] = ()
    module: tuple[str, ...] = ()
    given: Mapping[str, Tree] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a test found: times in minutes since its start, curves in people's units, reports by name.

    `base` are all curves it looked at in base units, by whole names.
    """

    challenge: Challenge
    minutes: NDArray[np.float64]
    courses: Mapping[str, NDArray[np.float64]]
    reports: Mapping[str, float]
    base: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
