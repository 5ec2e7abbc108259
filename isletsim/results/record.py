"""What a scenario run gives: every arm, subject and clinical name over time, in people's units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ArmInfo", "Failure", "FigureSpec", "Result", "Variable"]


@dataclass(frozen=True)
class Variable:
    """A recorded quantity: its name in outputs, the unit it is in (as text and as a label for people), its meaning."""

    name: str
    unit: str
    label: str
    about: str = ""


@dataclass(frozen=True)
class ArmInfo:
    """An arm as it was run: its own layers and the doses in the order given, for ticks and tables."""

    name: str
    about: str
    layers: tuple[str, ...]
    dose_times: tuple[float, ...]
    dose_names: tuple[str, ...]
    dose_amounts: tuple[str, ...]
    grade: str = ""  # worst evidence grade among the arm's own layers, "" for none


@dataclass(frozen=True)
class FigureSpec:
    """A panel asked for in the scenario file."""

    name: str
    show: str
    band: tuple[float, float] = (5.0, 95.0)
    thresholds: tuple[tuple[float, str], ...] = ()  # value in the variable's unit, and the text as written
    title: str = ""


@dataclass(frozen=True)
class Failure:
    """A subject of an arm whose run ended early; its rows after `time` are NaN."""

    arm: str
    subject: int
    time: float
    message: str


@dataclass(frozen=True)
class Result:
    """A finished scenario.

    Attributes
    ----------
    values : array (arm, subject, time, variable) in the units of `variables`. Subject 0 is the reference patient,
        the others are the cohort; NaN after a failure.
    time : days since the end of the history.
    control : index of the arm the others are compared with.
    run : what goes into run.json besides the summary: versions, seed, hashes, tolerances, counts, wall times, warnings,
        share of assumed parameters, skipped layers.
    """

    scenario: str
    title: str
    arms: tuple[ArmInfo, ...]
    control: int
    time: NDArray[np.float64]
    variables: tuple[Variable, ...]
    values: NDArray[np.float64]
    figures: tuple[FigureSpec, ...] = ()
    failures: tuple[Failure, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
