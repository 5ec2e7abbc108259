"""What a scenario run gives: every arm, subject and clinical name over time, in people's units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "NOTICE",
    "ArmInfo",
    "Covariate",
    "EffectDriver",
    "Failure",
    "FigureRequest",
    "Response",
    "StudyData",
    "Variable",
    "own_layers",
]

NOTICE = "For research and teaching; no treatment decisions."


@dataclass(frozen=True)
class Variable:
    """A recorded quantity: its name in outputs, the unit it is in (as text and as a label for people), its meaning."""

    name: str
    unit: str
    label: str
    about: str = ""


@dataclass(frozen=True)
class EffectDriver:
    """A number that carries more than a tenth of an arm's effect.

    `share` is 1 where the effect is proportional to it; `on` is the variable that the effect was taken of.
    """

    name: str
    on: str
    share: float
    grade: str


@dataclass(frozen=True)
class ArmInfo:
    """An arm as it was run, for ticks and tables.

    Attributes
    ----------
    layers, dose_times, dose_names, dose_amounts : what it was given, doses in the order given.
    evidence : the weakest evidence grade of the therapies that the control has not, as their files say; "" where none
        says one.
    grade : the weakest grade among the numbers that carry more than a tenth of its effect (`effect_drivers`).
    assumed : how many of the therapies' own numbers are assumed, and of how many.
    """

    name: str
    about: str
    layers: tuple[str, ...]
    dose_times: tuple[float, ...]
    dose_names: tuple[str, ...]
    dose_amounts: tuple[str, ...]
    evidence: str = ""
    grade: str = ""
    effect_drivers: tuple[EffectDriver, ...] = ()
    assumed: tuple[int, int] = (0, 0)


def own_layers(layers: Iterable[str], control: Iterable[str]) -> tuple[str, ...]:
    """The layers of an arm that its control has not: its therapies."""
    others = set(control)
    return tuple(layer for layer in layers if layer not in others)


@dataclass(frozen=True)
class FigureRequest:
    """A panel asked for in the scenario file; `unit` says what a pure number counts, and is empty for all others."""

    name: str
    show: str
    band: tuple[float, float] = (5.0, 95.0)
    thresholds: tuple[tuple[float, str], ...] = ()  # value in the variable's unit, and the text as written
    title: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Response:
    """What counts as an answer to a therapy: of what, the least difference from the control (its sign is the wanted
    direction, its unit that of the variable), and the covariates to look at besides histories; all reports where empty.
    """

    of: str
    least: float | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Covariate:
    """What separates the people of a cohort: a number that was drawn, or how long a leg of their history was."""

    name: str
    drawn: bool


@dataclass(frozen=True)
class Failure:
    """A subject of an arm whose run ended early; its rows after `time` are NaN."""

    arm: str
    subject: int
    time: float
    message: str


def _nobody() -> NDArray[np.float64]:
    import numpy as np

    return np.empty((0, 0))


@dataclass(frozen=True)
class StudyData:
    """The numbers of a finished study, and what is said of them.

    Attributes
    ----------
    values : array (arm, subject, time, variable) in the units of `variables`. Subject 0 is the reference patient,
        the others are the cohort; NaN after a failure, and where a virtual test was not made.
    time : days since the end of the history.
    control : index of the arm the others are compared with.
    run : what goes into run.json besides the summary: versions, seed, hashes, tolerances, counts, wall times, warnings,
        share of assumed parameters, skipped layers. Reports read these keys where they are there: ``isletsim`` (the
        version), ``seed``, ``assumed`` (a mapping with ``share``, 0 to 1), ``warnings`` (texts) and ``flags`` (mappings
        with ``id``, ``severity`` and ``text``).
    covariates, people : what differs between people, and its values by subject and covariate, in base units; legs of a
        history in days.
    response : what the study counts as an answer.
    """

    scenario: str
    title: str
    arms: tuple[ArmInfo, ...]
    control: int
    time: NDArray[np.float64]
    variables: tuple[Variable, ...]
    values: NDArray[np.float64]
    figures: tuple[FigureRequest, ...] = ()
    failures: tuple[Failure, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    covariates: tuple[Covariate, ...] = ()
    people: NDArray[np.float64] = field(default_factory=_nobody)
    response: Response | None = None

    @property
    def cohort(self) -> int:
        """How many virtual patients there are besides the reference patient."""
        return max(0, int(self.values.shape[1]) - 1)
