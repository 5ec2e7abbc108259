"""Arms side by side: life years, QALYs, events and costs of the same people under different risk factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.outcomes.decisions import price_for
from isletsim.outcomes.economics import Economics, Worth, therapy_cost, value
from isletsim.outcomes.microsimulation import LifeCourse, simulate_events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.outcomes.records import Engine

__all__ = ["ArmOutcome", "Assessment", "assess", "cumulative_incidence"]


@dataclass(frozen=True)
class ArmOutcome:
    """One arm: its events, and what they are worth; `price` is that of its therapy, None where none was given."""

    name: str
    history: LifeCourse
    worth: Worth
    price: float | None


@dataclass(frozen=True)
class Assessment:
    """All arms, the first of which is the comparator."""

    arms: tuple[ArmOutcome, ...]
    economics: Economics
    assumed: tuple[str, ...]

    def table(self) -> str:
        """Return life years, QALYs, costs and differences from the first arm as plain text."""
        unit = f"{self.economics.currency} {self.economics.year}"
        heads = ("life years", "QALYs", "QALYs disc.", "costs disc.", "LY gained", "gained")
        lines = [
            f"{'arm':<20}" + "".join(f"{each:>{w}}" for each, w in zip(heads, (12, 10, 13, 14, 12, 9), strict=True))
        ]
        first = self.arms[0].worth
        for arm in self.arms:
            worth = arm.worth
            lines.append(
                f"{arm.name:<20}{worth.life_years.mean():>12.3f}{worth.undiscounted_qalys.mean():>10.3f}"
                f"{worth.qalys.mean():>13.3f}{worth.costs.mean():>14,.0f}"
                f"{(worth.life_years - first.life_years).mean():>12.3f}"
                f"{(worth.undiscounted_qalys - first.undiscounted_qalys).mean():>9.3f}"
            )
        lines.append(f"Costs of complications in {unit}, {self.economics.perspective}.")
        lines += self._decision()
        lines += ["", f"{'within 10 years, %':<24}" + "".join(f"{arm.name:>18}" for arm in self.arms)]
        for event in (*self.arms[0].history.occurred, "death"):
            shares = [cumulative_incidence(arm.history, event) for arm in self.arms]
            row = "".join(f"{100 * share[min(9, len(share) - 1)]:>18.2f}" for share in shares)
            lines.append(f"{event:<24}{row}")
        lines += [f"assumed: {each}" for each in self.assumed]
        return "\n".join(lines)

    def _decision(self) -> list[str]:
        """Return what each arm costs for what it gains; the price is the user's."""
        first, lines = self.arms[0].worth, []
        for arm in self.arms[1:]:
            gained = float((arm.worth.qalys - first.qalys).mean())
            other = float((arm.worth.costs - first.costs).mean())
            worth_it = price_for(gained, other, self.economics.willingness_to_pay)
            prices = ", ".join(
                f"{price:,.0f} at {threshold:,.0f} a QALY"
                for price, threshold in zip(worth_it, self.economics.willingness_to_pay, strict=True)
            )
            lines.append(f"{arm.name}: worth up to {prices} ({self.economics.currency}, whole discounted price).")
            if arm.price is None:
                lines.append(f"{arm.name}: no ICER without a price; the price is the user's (--price {arm.name}=...).")
            elif gained > 0:
                ratio = (other + therapy_cost(arm.price)) / gained
                lines.append(f"{arm.name}: ICER {ratio:,.0f} {self.economics.currency} a QALY.")
            else:
                lines.append(f"{arm.name}: gains no QALYs, so that it has no ICER.")
        return lines


def assess(
    engine: Engine,
    arms: Mapping[str, Mapping[str, Any]],
    economics: Economics,
    *,
    courses: Mapping[str, Mapping[str, Any]] | None = None,
    prices: Mapping[str, float] | None = None,
    assumed: tuple[str, ...] = (),
    **options: Any,
) -> Assessment:
    """Simulate the same people in every arm with the same draws.

    Parameters
    ----------
    arms : covariates at entry by arm; the first is the comparator. courses : courses by arm.
    prices : the price of each arm's therapy, discounted, in the currency of the settings. There is no default.
    options : of `simulate_events`: size, years, seed, frailty, progression.
    """
    found = []
    for name, people in arms.items():
        history = simulate_events(engine, people, courses=(courses or {}).get(name), **options)
        found.append(ArmOutcome(name, history, value(history, economics), (prices or {}).get(name)))
    return Assessment(tuple(found), economics, assumed)


def cumulative_incidence(history: LifeCourse, event: str) -> NDArray[np.float64]:
    """Return the share of people with a first event by the end of each year, (year,); death competes."""
    happened = history.died if event == "death" else history.occurred[event]
    return np.asarray(np.logical_or.accumulate(happened, axis=0).mean(axis=1), float)
