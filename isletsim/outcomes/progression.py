"""Risk factors over time: constant, by a course, or by published yearly equations such as those of UKPDS 90."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.outcomes.draws import generator
from isletsim.outcomes.hazards import Covariates
from isletsim.outcomes.records import Engine, Progression

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RiskFactors", "next_value"]


def next_value(
    engine: Engine,
    of: str,
    previous: Any,
    initial: Any,
    duration: Any,
    person: Mapping[str, Any],
    draw: int | None = None,
) -> Any:
    """Return a risk factor after the interval of its equation (a year; three for heart rate, WBC and haemoglobin).

    Parameters
    ----------
    previous, initial : its value now, and at diagnosis or entry, in the unit of the file.
    duration : years since diagnosis at the moment that is predicted.
    draw : number of a draw of the coefficients from their published spread; None takes the means.
    """
    row = engine.progression[of]
    return _stepped(engine, row, previous, initial, duration, person, draw)


def _stepped(
    engine: Engine,
    row: Progression,
    previous: Any,
    initial: Any,
    duration: Any,
    person: Mapping[str, Any],
    draw: int | None,
) -> Any:
    def drawn(name: str, mean: float) -> float:
        spread = row.spread.get(name, 0.0)
        if draw is None or spread == 0.0:
            return mean
        return mean + spread * float(generator(draw, "progression", row.of, name).standard_normal())

    covariates = Covariates(engine, person)
    found = (
        drawn("constant", row.constant)
        + drawn("lag", row.lag) * previous
        + drawn("log_time", row.log_time) * np.log(np.maximum(duration, 1.0))
        + drawn("initial", row.initial) * initial
    )
    for name, coefficient in row.coefficients.items():
        found = found + drawn(name, coefficient) * covariates[name]
    return found


class RiskFactors:
    """The covariates of all people year by year; years must be asked for in order.

    A course wins over a yearly equation, and that over a constant.
    """

    def __init__(
        self,
        engine: Engine,
        people: Mapping[str, Any],
        courses: Mapping[str, Any],
        progression: Engine | None,
        number: int,
        years: int,
        *,
        seed: int = 0,
        draw: int | None = None,
    ) -> None:
        self.engine, self.number, self.draw, self.seed = engine, number, draw, seed
        start = {**engine.defaults, **people}
        self.people = {
            name: np.asarray(value, float) if np.ndim(value) else float(value)
            for name, value in start.items()
            if not name.startswith("had_")
        }
        if "age" in self.people and "duration" in self.people:
            self.people.setdefault("age_at_diagnosis", self.people["age"] - self.people["duration"])
        self.courses = {name: _by_year(value, years) for name, value in courses.items()}
        self.progression = progression
        self.moving = {
            name: row
            for name, row in (progression.progression if progression else {}).items()
            if name in self.people and name not in self.courses
        }
        self.last: dict[str, Any] = {name: self.people[name] for name in self.moving}
        self.ahead: dict[str, Any] = {}
        self.means: dict[str, Any] = {}
        self.weights: dict[str, float] = {}
        self.shown: dict[str, list[Any]] = {name: [] for name in (*self.moving, *self.courses)}

    def year(self, year: int) -> dict[str, Any]:
        """Return the covariates at the beginning of a year, numbers or arrays (people,)."""
        now = {**self.people, "time": float(year)}
        for name in ("age", "duration"):
            if name in now and name not in self.courses:
                now[name] = now[name] + year
        for name, values in self.courses.items():
            now[name] = values[year]
        for name, row in self.moving.items():
            now[name] = self._moved(name, row, year, now)
        for name in self.shown:
            self.shown[name].append(now[name])
        self._remember(year, now)
        return now

    def record(self) -> dict[str, Any]:
        """Return the covariates as they were used: arrays (year, people) or (year,) where they moved, else as given."""
        return {**self.people, **{name: np.array(values) for name, values in self.shown.items() if values}}

    def _moved(self, name: str, row: Progression, year: int, now: Mapping[str, Any]) -> Any:
        if year == 0:
            return self.last[name]
        assert self.progression is not None
        place = (year - 1) % row.every
        if place == 0:
            if year > 1:
                self.last[name] = self.ahead[name]
            later = now["duration"] + row.every - 1
            self.ahead[name] = _stepped(
                self.progression, row, self.last[name], self.people[name], later, now, self.draw
            )
        share = (place + 1) / row.every
        return self.last[name] + share * (self.ahead[name] - self.last[name])

    def _remember(self, year: int, now: dict[str, Any]) -> None:
        for name, average in self.engine.averages.items():
            value = Covariates(self.engine, now)[average.of]
            if average.memory:
                share = 1.0 - np.exp(-1.0 / average.memory)
                start = self.people.get(name, value)
                self.means[name] = start if year == 0 else self.means[name] + share * (value - self.means[name])
            else:
                weight = self.weights.get(name, 0.0) + year + 1.0
                mean = self.means.get(name, 0.0)
                self.means[name] = mean + (value - mean) * (year + 1.0) / weight
                self.weights[name] = weight
            now[name] = self.means[name]


def _by_year(values: Any, years: int) -> NDArray[np.float64]:
    """Return a course with a row for every year; its last row holds afterwards."""
    rows = np.atleast_1d(np.asarray(values, float))
    if len(rows) >= years:
        return rows[:years]
    return np.concatenate([rows, np.repeat(rows[-1:], years - len(rows), axis=0)])
