"""Expected occupancy of chains of states without random draws: the exponential of the yearly matrix of rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError
from isletsim.outcomes.hazards import Covariates, annual_rate, row_probability
from isletsim.outcomes.records import Engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ever", "occupancy"]


def occupancy(
    engine: Engine, chain: str, person: Mapping[str, Any], *, years: int = 30, courses: Mapping[str, Any] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return the expected share in each state of a chain at the end of each year, (years + 1,), beginning in the first.

    Parameters
    ----------
    person : covariates of one person by name.
    courses : covariates over time, arrays (year,).
    """
    return _march(engine, chain, person, years, courses or {}, absorbing=())


def ever(
    engine: Engine,
    chain: str,
    states: tuple[str, ...],
    person: Mapping[str, Any],
    *,
    years: int = 30,
    courses: Mapping[str, Any] | None = None,
) -> NDArray[np.float64]:
    """Return the probability of having reached one of some states of a chain by each year's end, (years + 1,)."""
    found = _march(engine, chain, person, years, courses or {}, absorbing=states)
    return np.asarray(sum(found[name] for name in states), float)


def _march(
    engine: Engine,
    chain: str,
    person: Mapping[str, Any],
    years: int,
    courses: Mapping[str, Any],
    absorbing: tuple[str, ...],
) -> dict[str, NDArray[np.float64]]:
    from scipy.linalg import expm

    rows = [each for each in engine.transitions if each.chain == chain]
    if not rows:
        known = ", ".join(sorted({each.chain for each in engine.transitions})) or "none"
        raise InputError(Fault(f"engine {engine.name}", f'There is no chain "{chain}".', f"Known are: {known}."))
    states = list(dict.fromkeys(name for each in rows for name in (each.source, each.target)))
    if unknown := [name for name in absorbing if name not in states]:
        known = ", ".join(states)
        raise InputError(Fault(f"engine {engine.name}", f'There is no state "{unknown[0]}".', f"Known are: {known}."))
    found = np.zeros((years + 1, len(states)))
    found[0, 0] = 1.0
    for year in range(years):
        now = {**person, **{name: np.asarray(each)[min(year, len(each) - 1)] for name, each in courses.items()}}
        rates = np.zeros((len(states), len(states)))
        for each in rows:
            if each.source in absorbing:
                continue
            rate = float(annual_rate(row_probability(each.row, Covariates(engine, now))))
            source, target = states.index(each.source), states.index(each.target)
            rates[source, target] += rate
            rates[source, source] -= rate
        found[year + 1] = found[year] @ expm(rates)
    return {name: found[:, place] for place, name in enumerate(states)}
