"""Person-level microsimulation of a risk engine over yearly cycles, vectorised over people.

Within a year the events of a person are drawn in random order, so that one may raise the risk of the next; death is
drawn last. The work is small because nothing but an event changes a risk within a year: all probabilities are evaluated
with the flags at the beginning of the year, and again only for people in whom an event happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError
from isletsim.outcomes.draws import frailties, generator, uniforms
from isletsim.outcomes.hazards import Covariates, death_probability, probability
from isletsim.outcomes.progression import RiskFactors
from isletsim.outcomes.records import Engine, OutcomeEvent

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LifeCourse", "simulate_events"]

LONGEST = 100  # years


@dataclass(frozen=True)
class LifeCourse:
    """What happened to every person in every year.

    Attributes
    ----------
    alive : (year, people), at the beginning of the year. died : (year, people), in the year.
    occurred : event to (year, people), true in a year in which it happened.
    covariates : name to (year, people) or a number: risk factors as they were used.
    before : event to (people,), events before the first year.
    """

    engine: Engine
    years: int
    alive: NDArray[np.bool_]
    died: NDArray[np.bool_]
    occurred: Mapping[str, NDArray[np.bool_]]
    covariates: Mapping[str, Any]
    before: Mapping[str, NDArray[np.int64]]

    @property
    def people(self) -> int:
        """Number of people."""
        return int(self.alive.shape[1])

    def count(self, event: str) -> NDArray[np.int64]:
        """Return how often an event had happened by the end of each year, (year, people)."""
        return np.asarray(self.before[event] + np.cumsum(self.occurred[event], axis=0), np.int64)


@dataclass
class _State:
    """Flags of all people at one moment; arrays are (people,)."""

    counts: dict[str, NDArray[np.int64]]
    first: dict[str, NDArray[np.float64]]  # the year of the first event, infinite before it
    last: dict[str, NDArray[np.bool_]]  # whether it happened in the year before


def simulate_events(
    engine: Engine,
    people: Mapping[str, Any],
    *,
    size: int | None = None,
    years: int = 40,
    courses: Mapping[str, Any] | None = None,
    progression: Engine | None = None,
    seed: int = 0,
    frailty: float = 0.0,
    life_table: NDArray[np.float64] | None = None,
    draw: int | None = None,
) -> LifeCourse:
    """Simulate the events and deaths of people.

    Parameters
    ----------
    engine : a risk engine with events and death.
    people : covariates at entry by name, numbers or arrays (people,); among them age and duration in years, which
        advance from year to year. A name such as ``had_mi`` is an event before entry (0 or 1).
    size : number of people; of a single person, how many copies are simulated.
    courses : covariates over time, arrays (year,) or (year, people); the last row holds afterwards.
    progression : the engine whose yearly equations move the covariates that no course gives.
    seed : of the draws; the same in all arms, which share each draw of a subject, event and year.
    frailty : standard deviation of the logarithm of a factor that multiplies all rates of a person's complications.
    life_table : (age, 2), yearly probability of death of men and women from age 0; where it is larger, it counts.
    draw : number of the draw of the published coefficient distributions of `progression`; None takes the means.

    Returns
    -------
    history : events and deaths by year.

    Raises
    ------
    InputError : a covariate is missing, or sizes differ.
    """
    if not 1 <= years <= LONGEST:
        raise InputError(Fault("years", f"{years} years; expected 1 to {LONGEST}."))
    if not engine.causes:
        raise InputError(Fault(f"engine {engine.name}", "It has no equation of death, so that it cannot run alone."))
    number = _size(people, courses, size)
    factors = RiskFactors(engine, people, courses or {}, progression, number, years, seed=seed, draw=draw)
    before = {
        event.name: np.broadcast_to(np.asarray(people.get(f"had_{event.name}", 0), np.int64), (number,)).copy()
        for event in engine.events
    }
    state = _State(
        counts={name: value.copy() for name, value in before.items()},
        first={name: np.where(value > 0, 0.0, np.inf) for name, value in before.items()},
        last={name: np.zeros(number, bool) for name in before},
    )
    fragile = frailties(number, seed, frailty)
    alive = np.ones(number, bool)
    record = _Record(engine, years, number)
    for year in range(years):
        record.alive[year] = alive
        living = np.flatnonzero(alive)
        if not living.size:
            break
        now = factors.year(year)
        happened = _events_of_year(engine, now, state, living, year, seed, number, fragile)
        dying = _deaths(engine, now, state, happened, living, year, seed, number, life_table)
        for name, who in happened.items():
            fresh = living[who]
            record.occurred[name][year, fresh] = True
            state.counts[name][fresh] += 1
            state.last[name] = record.occurred[name][year]
            state.first[name][fresh] = np.minimum(state.first[name][fresh], year + 1.0)
        record.died[year, living[dying]] = True
        alive[living[dying]] = False
    return LifeCourse(engine, years, record.alive, record.died, record.occurred, factors.record(), before)


class _Record:
    """Arrays of a history while it is made."""

    def __init__(self, engine: Engine, years: int, number: int) -> None:
        self.alive = np.zeros((years, number), bool)
        self.died = np.zeros((years, number), bool)
        self.occurred = {event.name: np.zeros((years, number), bool) for event in engine.events}


def _size(people: Mapping[str, Any], courses: Mapping[str, Any] | None, size: int | None) -> int:
    """Return the number of people; raises `InputError` where two covariates disagree."""
    found = {name: np.shape(value)[0] for name, value in people.items() if np.ndim(value)}
    found |= {name: np.shape(value)[1] for name, value in (courses or {}).items() if np.ndim(value) == 2}
    sizes = sorted({*found.values(), *([size] if size is not None else [])})
    if len(sizes) > 1:
        told = ", ".join(f"{name} {number}" for name, number in found.items())
        raise InputError(Fault("people", f"Covariates have different numbers of people: {told}; size {size}."))
    return sizes[0] if sizes else 1


def _flags(
    engine: Engine,
    values: dict[str, Any],
    state: _State,
    who: NDArray[np.int64],
    happened: Mapping[str, NDArray[np.bool_]],
    year: int,
) -> None:
    """Put the flags of events into `values`: before the year, in the year, and either, as 0 or 1."""
    for name, counts in state.counts.items():
        before = counts[who] > 0
        now = happened.get(name)
        values[f"before_{name}"] = before.astype(float)
        values[f"last_{name}"] = state.last[name][who].astype(float)
        values[f"now_{name}"] = 0.0 if now is None else now.astype(float)
        values[f"had_{name}"] = (before if now is None else before | now).astype(float)
    for group, members in engine.groups.items():
        for prefix in ("before", "now", "had"):
            parts = [np.asarray(values[f"{prefix}_{member}"]) for member in members]
            values[f"{prefix}_{group}"] = np.maximum.reduce(np.broadcast_arrays(*parts))
    for name in _clocks(engine):
        since = year - state.first[name][who]
        values[f"since_{name}"] = np.where(np.isfinite(since), np.maximum(since, 0.0), 0.0)


def _clocks(engine: Engine) -> list[str]:
    rows = [row for event in engine.events for row in event.rows]
    return sorted({row.clock.removeprefix("since_") for row in rows if row.clock.startswith("since_")})


def _chances(
    engine: Engine, events: Sequence[OutcomeEvent], values: Mapping[str, Any], fragile: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability of each event, (event, people)."""
    covariates = Covariates(engine, values)
    found = np.empty((len(events), len(fragile)))
    frail = bool(np.any(fragile != 1.0))
    for place, event in enumerate(events):
        chance = probability(event.rows, covariates)
        found[place] = 1.0 - (1.0 - chance) ** fragile if frail and event.frail else chance
    return found


def _events_of_year(
    engine: Engine,
    now: Mapping[str, Any],
    state: _State,
    living: NDArray[np.int64],
    year: int,
    seed: int,
    number: int,
    fragile: NDArray[np.float64],
) -> dict[str, NDArray[np.bool_]]:
    """Return who of the living has each event in a year."""
    events = engine.events
    happened = {event.name: np.zeros(len(living), bool) for event in events}
    luck = np.array([uniforms(number, seed, event.name, year)[living] for event in events])
    open_to = np.array([state.counts[event.name][living] < event.at_most for event in events])
    values = {name: value[living] if np.ndim(value) else value for name, value in now.items()}
    _flags(engine, values, state, living, {}, year)
    fires = (luck < _chances(engine, events, values, fragile[living])) & open_to
    some = np.flatnonzero(fires.any(axis=0))
    if not some.size:
        return happened
    order = generator(seed, "order", year).random((number, len(events)))[living[some]].T
    fires, passed = fires[:, some], np.full(some.size, -1.0)
    while some.size:
        waiting = np.where(fires & (order > passed), order, np.inf)
        event = waiting.argmin(axis=0)
        passed = waiting[event, np.arange(some.size)]
        going = np.isfinite(passed)
        some, event, passed, order = some[going], event[going], passed[going], order[:, going]
        if not some.size:
            break
        for place, each in enumerate(events):
            happened[each.name][some[event == place]] = True
        values = {name: value[living[some]] if np.ndim(value) else value for name, value in now.items()}
        _flags(engine, values, state, living[some], {name: who[some] for name, who in happened.items()}, year)
        chances = _chances(engine, events, values, fragile[living[some]])
        fires = (luck[:, some] < chances) & open_to[:, some]
    return happened


def _deaths(
    engine: Engine,
    now: Mapping[str, Any],
    state: _State,
    happened: Mapping[str, NDArray[np.bool_]],
    living: NDArray[np.int64],
    year: int,
    seed: int,
    number: int,
    life_table: NDArray[np.float64] | None,
) -> NDArray[np.bool_]:
    """Return who of the living dies in a year."""
    values = {name: value[living] if np.ndim(value) else value for name, value in now.items()}
    _flags(engine, values, state, living, happened, year)
    for name in ("age", "duration"):
        if name in values:
            values[f"{name}_reached"] = values[name] + 1.0
    chance = death_probability(Covariates(engine, values))
    if life_table is not None:
        age = np.clip(np.asarray(values["age"]).astype(int), 0, len(life_table) - 1)
        chance = np.maximum(chance, life_table[age, np.asarray(values["female"]).astype(int)])
    return np.asarray(uniforms(number, seed, "death", year)[living] < chance)
