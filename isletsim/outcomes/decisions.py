"""Cost-effectiveness of alternatives: increments, net benefit, acceptability, and the value of information.

Costs and effects are arrays (draw, alternative); the first alternative is the comparator. The expected value of partly
perfect information comes from `heormodel`, an extra of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["acceptability", "evpi", "evppi", "icer", "net_benefit", "price_for"]


def net_benefit(costs: Any, effects: Any, threshold: float) -> NDArray[np.float64]:
    """Return threshold x effect - cost, (draw, alternative)."""
    return np.asarray(threshold * np.asarray(effects, float) - np.asarray(costs, float), float)


def icer(costs: Any, effects: Any) -> list[float]:
    """Return mean extra cost per mean extra effect of each alternative against the first; NaN where nothing is gained.

    An alternative that costs more and gains nothing is dominated, and has no ratio; one that saves and gains has a
    negative ratio and dominates.
    """
    cost, effect = (np.asarray(each, float).mean(axis=0) for each in (costs, effects))
    gains = effect - effect[0]
    return [
        float((cost[each] - cost[0]) / gains[each]) if gains[each] > 0 else float("nan") for each in range(len(cost))
    ]


def acceptability(costs: Any, effects: Any, thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return the share of draws in which each alternative has the highest net benefit, (threshold, alternative)."""
    found = []
    for threshold in thresholds:
        benefit = net_benefit(costs, effects, threshold)
        found.append(np.bincount(benefit.argmax(axis=1), minlength=benefit.shape[1]) / len(benefit))
    return np.array(found)


def evpi(costs: Any, effects: Any, threshold: float) -> float:
    """Return the expected value of perfect information: E[max net benefit] - max E[net benefit]."""
    benefit = net_benefit(costs, effects, threshold)
    return float(benefit.max(axis=1).mean() - benefit.mean(axis=0).max())


def evppi(
    costs: Any, effects: Any, names: Sequence[str], draws: Mapping[str, Any], of: Sequence[str], threshold: float
) -> float:
    """Return the expected value of perfect information on some parameters, by regression on their draws.

    Parameters
    ----------
    names : of the alternatives. draws : parameter to (draw,). of : the parameters that become known, for example all
        whose evidence is an assumption.

    Raises
    ------
    InputError : the extra `economics` is not installed.
    """
    try:
        pandas, models, voi = (import_module(each) for each in ("pandas", "heormodel.models", "heormodel.voi"))
    except ImportError:
        cure = "Install it with: pip install 'isletsim[economics]'"
        raise InputError(Fault("evppi()", "heormodel is not installed.", cure)) from None
    cost, effect = (pandas.DataFrame(np.asarray(each, float), columns=list(names)) for each in (costs, effects))
    table = pandas.DataFrame({name: np.asarray(each, float) for name, each in draws.items()})
    return float(voi.evppi(models.Outcomes.from_wide(cost, effect), table, list(of), threshold))


def price_for(gained: float, other_costs: float, thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return the highest price of a therapy at which it is worth it, by threshold.

    Parameters
    ----------
    gained : QALYs gained against the comparator. other_costs : extra discounted costs without the therapy's price.
    """
    return np.asarray(np.asarray(thresholds, float) * gained - other_costs, float)
