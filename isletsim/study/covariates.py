"""What separates the people of a cohort: how long the legs of their histories were, and what was drawn for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isletsim.cohort import Draws
from isletsim.patient import BoundPatient
from isletsim.results import Trait
from isletsim.study.subject import Lived

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["traits_of", "traits_row"]


def traits_of(patient: BoundPatient, draws: Draws) -> tuple[Trait, ...]:
    """Legs of the history that end when something is reached, and numbers that vary or are uncertain."""
    legs = tuple(
        Trait(f"history {number}: {leg.about}" if leg.about else f"history {number}", drawn=False)
        for number, leg in enumerate(patient.history, start=1)
    )
    names = sorted({each.name for each in draws.varying})
    return (*legs, *(Trait(name, drawn=True) for name in names))


def traits_row(traits: tuple[Trait, ...], lived: Lived) -> NDArray[np.float64]:
    """The traits of one subject; NaN where its history never ended, and of the reference patient, who is not drawn."""
    legs = sum(not trait.drawn for trait in traits)
    days = (*lived.legs, *[np.nan] * legs)[:legs]
    return np.array([*days, *(lived.drawn.get(trait.name, np.nan) for trait in traits[legs:])], dtype=np.float64)
