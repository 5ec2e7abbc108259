"""Probabilities of published risk equations, vectorised over people.

Weibull H(t) = exp(lp) t**shape; Gompertz H(a) = exp(lp) (exp(shape a) - 1) / shape; exponential H(t) = exp(lp) t, each
with probability 1 - exp(H(t) - H(t + years)); logistic 1 / (1 + exp(-lp)) a year; Cox 1 - baseline**exp(lp) within the
horizon; power p (x / reference)**exponent a year, as a rate. lp is the linear predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import Apply, Name, Number, Tree
from isletsim.outcomes.records import Engine, RiskRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Covariates", "annual_rate", "death_probability", "probability", "risk", "row_probability"]

CERTAIN = 1.0 - 1e-12

_ARRAYS: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "negate": np.negative,
    "power": np.power, "less": np.less, "less_equal": np.less_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "equal": np.equal, "not_equal": np.not_equal, "and": np.logical_and,
    "or": np.logical_or, "not": np.logical_not, "min": np.minimum, "max": np.maximum, "abs": np.abs, "exp": np.exp,
    "log": np.log, "sqrt": np.sqrt, "where": np.where, "floor": np.floor,
}  # fmt: skip


class Covariates:
    """Values by name for one moment: covariates, and what the engine derives from them when it is first read.

    Parameters
    ----------
    values : a number or an array (people,) by name.
    """

    def __init__(self, engine: Engine, values: Mapping[str, Any]) -> None:
        self.engine = engine
        self.values: dict[str, Any] = dict(values)

    def __getitem__(self, name: str) -> Any:
        """Return a covariate, a transform or a default; raises `InputError` for what nobody gave."""
        found = self.values.get(name)
        if found is None:
            found = self._derived(name)
            self.values[name] = found
        return found

    def _derived(self, name: str) -> Any:
        if name in self.engine.transforms:
            return self.value_of(self.engine.transforms[name].tree)
        if name in self.engine.defaults:
            return self.engine.defaults[name]
        if name in self.engine.averages:
            return self[self.engine.averages[name].of]
        if name == "age_at_diagnosis" and {"age", "duration"} <= self.values.keys():
            return self.values["age"] - self.values["duration"]
        if name in ("age_reached", "duration_reached"):
            return self[name.removesuffix("_reached")]
        if name in ("age_at_entry", "duration_at_entry"):
            return self[name.removesuffix("_at_entry")] - self["time"]
        if name == "time":
            return 0.0
        prefix, _, event = name.partition("_")
        if prefix in ("had", "before", "now", "last", "since") and event:
            members = self.engine.groups.get(event, ())
            return (
                np.maximum.reduce(np.broadcast_arrays(*(self[f"{prefix}_{each}"] for each in members)))
                if members
                else 0.0
            )
        if name in ("albuminuria", "microalbuminuria", "macroalbuminuria") and "uacr" in self.values:
            return self._albumin(name)
        given = ", ".join(sorted(key for key, value in self.values.items() if value is not None))
        cure = did_you_mean(name, list(self.values)) or f"Give {name}; given are: {given}."
        raise InputError(Fault(f"engine {self.engine.name}", f'The covariate "{name}" is missing.', cure))

    def _albumin(self, name: str) -> Any:
        """Return the class of albuminuria from albumin over creatinine (mg/g): 30 and 300 are the thresholds."""
        uacr = np.asarray(self.values["uacr"], float)
        if name == "microalbuminuria":
            return ((uacr >= 30.0) & (uacr < 300.0)).astype(float)
        return (uacr >= (300.0 if name == "macroalbuminuria" else 30.0)).astype(float)

    def value_of(self, tree: Tree) -> Any:
        """Return the value of an expression."""
        match tree:
            case Number(value):
                return value
            case Name(name):
                return self[name]
            case Apply(operator, arguments) if operator in _ARRAYS:
                return _ARRAYS[operator](*(self.value_of(each) for each in arguments))
        raise InputError(Fault(f"engine {self.engine.name}", f"{tree} cannot be used in a risk engine."))

    def predictor(self, row: RiskRow) -> Any:
        """Return the linear predictor of a row."""
        total: Any = row.constant
        for name, coefficient in row.coefficients.items():
            total = total + coefficient * self[name]
        return total


def row_probability(row: RiskRow, covariates: Covariates, years: float = 1.0, region: str = "") -> Any:
    """Return the probability within `years` of one equation; of a Cox row within its horizon."""
    if row.form == "power":
        rate = -np.log1p(-row.probability)
        scaled = row.probability
        for name, (reference, exponent) in row.powers.items():
            scaled = scaled * (covariates[name] / reference) ** exponent
        rate = -np.log1p(-np.minimum(scaled, CERTAIN)) * np.exp(covariates.predictor(row))
        return -np.expm1(-rate * years)
    predictor = covariates.predictor(row)
    if row.form == "cox":
        plain = -np.expm1(np.log(row.baseline) * np.exp(predictor))
        if not row.calibration:
            return plain
        if region not in row.calibration:
            known = ", ".join(row.calibration)
            raise InputError(
                Fault(f"engine {covariates.engine.name}", f'The region "{region}" is unknown.', f"Known are: {known}.")
            )
        offset, slope = row.calibration[region]
        return -np.expm1(-np.exp(offset + slope * np.log(-np.log1p(-plain))))
    if row.form == "logistic":
        yearly = 1.0 / (1.0 + np.exp(-predictor))
        return yearly if years == 1.0 else 1.0 - (1.0 - yearly) ** years
    level = np.exp(predictor)
    if row.form == "exponential":
        return -np.expm1(-level * years)
    start = np.asarray(covariates[row.clock], float)
    if row.form == "gompertz":
        return -np.expm1(-level * (np.exp(row.shape * (start + years)) - np.exp(row.shape * start)) / row.shape)
    if row.shape == 1.0:
        return -np.expm1(-level * years)
    return -np.expm1(-level * ((start + years) ** row.shape - start**row.shape))


def probability(rows: tuple[RiskRow, ...], covariates: Covariates, years: float = 1.0, region: str = "") -> Any:
    """Return the probability by the first row whose condition holds; 0 where none does."""
    found: Any = 0.0
    left: Any = np.True_  # those to whom no row before this one applies
    for row in rows:
        meets = left if row.when is None else left & covariates.value_of(row.when.tree)
        if not np.any(meets):
            continue
        chance = row_probability(row, covariates, years, region)
        if np.all(meets):
            return chance
        found = np.where(meets, chance, found)
        left = left & ~meets
    return found


def death_probability(covariates: Covariates, years: float = 1.0) -> Any:
    """Return the probability of death of any cause."""
    survival: Any = 1.0
    for rows in covariates.engine.causes.values():
        survival = survival * (1.0 - probability(rows, covariates, years))
    return 1.0 - survival


def annual_rate(chance: Any) -> Any:
    """Return the rate of a yearly probability."""
    return -np.log1p(-np.minimum(chance, CERTAIN))


def risk(
    engine: Engine,
    name: str,
    person: Mapping[str, Any],
    years: float | None = None,
    region: str = "",
    ageing: bool | None = None,
) -> NDArray[np.float64]:
    """Return the probability that a person has an event or score of an engine within some years.

    Parameters
    ----------
    name : an event ("chf"), a score, or "death".
    person : covariates by name, numbers or arrays (people,).
    years : the span; of a Cox row its horizon when not given, else 1.
    region : the risk region of a recalibrated score.
    ageing : let age and duration advance from year to year, others are constant; as the engine was published if None.

    Raises
    ------
    InputError : unknown event or missing covariate; a Cox equation is asked for another span than its horizon.
    """
    known: dict[str, tuple[RiskRow, ...]] = {event.name: event.rows for event in engine.events}
    known |= {key: score.rows for key, score in engine.scores.items()}
    if name not in known and not (name == "death" and engine.causes):
        cure = did_you_mean(name, list(known)) or f"Known are: {', '.join(known)}."
        raise InputError(Fault(f"engine {engine.name}", f'There is no equation for "{name}".', cure))
    rows = known.get(name, ())
    if rows and rows[0].form == "cox":
        horizon = rows[0].horizon
        if years is not None and years != horizon:
            raise InputError(
                Fault(f"engine {engine.name}", f"{name} is published for {horizon:g} years, not {years:g}.")
            )
        return np.asarray(probability(rows, Covariates(engine, person), horizon, region), float)
    survival: Any = 1.0
    span = 1.0 if years is None else years
    whole = int(np.ceil(span))
    if not (engine.ageing if ageing is None else ageing):
        return np.asarray(probability(rows, Covariates(engine, person), span, region), float)
    for year in range(whole):
        later = {"time": year} | {
            key: value + year if key in ("age", "duration") else value for key, value in person.items()
        }
        covariates, part = Covariates(engine, later), min(1.0, span - year)
        chance = death_probability(covariates, part) if name == "death" else probability(rows, covariates, part, region)
        survival = survival * (1.0 - chance)
    return np.asarray(1.0 - survival, float)
