"""Records of risk engines: rows of published equations, events, scores, and the progression of risk factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isletsim.language import Equation

__all__ = ["FORMS", "Average", "Engine", "OutcomeEvent", "Progression", "RiskRow", "Transition"]

FORMS = ("weibull", "gompertz", "exponential", "logistic", "cox", "power")


@dataclass(frozen=True)
class RiskRow:
    """One published equation for the risk of an event.

    Attributes
    ----------
    form : one of `FORMS`; `isletsim.outcomes.hazards` gives their formulas.
    constant, coefficients : of the linear predictor; each coefficient multiplies a covariate, a transform or a flag.
    shape : exponent of time (Weibull) or slope of age (Gompertz).
    clock : the covariate that is time in the equation.
    baseline, horizon : survival of the Cox baseline, and the years that it spans.
    probability, powers : of a power row: the yearly probability where each covariate has its reference value, and the
        reference and exponent of each covariate.
    when : the condition under which the row applies; None applies to everybody.
    calibration : offset and slope on the scale of the complementary log-log, by region.
    """

    form: str
    constant: float = 0.0
    coefficients: Mapping[str, float] = field(default_factory=dict)
    shape: float = 1.0
    clock: str = "duration"
    baseline: float = 1.0
    horizon: float = 1.0
    probability: float = 0.0
    powers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    when: Equation | None = None
    calibration: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class OutcomeEvent:
    """An event or score: its rows (the first whose condition holds applies) and how often a person can have it.

    `frail` says whether a shared frailty multiplies its rate.
    """

    name: str
    about: str
    rows: tuple[RiskRow, ...]
    at_most: int = 1
    frail: bool = True


@dataclass(frozen=True)
class Average:
    """A covariate that remembers: the time-weighted mean of another, or its exponentially weighted mean."""

    of: str
    memory: float = 0.0  # years; 0 is the time-weighted mean, in which year i weighs i


@dataclass(frozen=True)
class Progression:
    """The yearly equation of a risk factor: constant, last year's value, logarithm of time, value at entry, traits.

    `every` is the interval in years for which the equation was estimated; values between are interpolated.
    `spread` holds the standard deviation of each coefficient where it was published.
    """

    of: str
    constant: float
    lag: float
    log_time: float
    initial: float
    coefficients: Mapping[str, float] = field(default_factory=dict)
    every: int = 1
    spread: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Transition:
    """A yearly transition between states of a chain: p(x) = probability (x / reference)**exponent, as a rate."""

    chain: str
    source: str
    target: str
    row: RiskRow


@dataclass(frozen=True)
class Engine:
    """A published risk engine, as its file says.

    Attributes
    ----------
    defaults : covariates that may be left out, with the value that is then assumed.
    valid : the range of each covariate for which the engine was made, by name.
    groups : names of groups of events, for conditions: each is a flag that any of its events sets.
    ageing : whether scores of several years let age advance.
    causes : equations of death by cause; a person may die of any of them.
    """

    name: str
    title: str
    source: str
    assumed: str
    about: str
    population: str
    defaults: Mapping[str, float]
    valid: Mapping[str, tuple[float, float]]
    transforms: Mapping[str, Equation]
    averages: Mapping[str, Average]
    groups: Mapping[str, tuple[str, ...]]
    events: tuple[OutcomeEvent, ...]
    causes: Mapping[str, tuple[RiskRow, ...]]
    scores: Mapping[str, OutcomeEvent]
    ageing: bool
    progression: Mapping[str, Progression]
    transitions: tuple[Transition, ...]
