"""What separates the people of a cohort: how long the legs of their histories were, and what was drawn for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isletsim.cohort import Draws
from isletsim.patient import BoundPatient
from isletsim.results import Covariate
from isletsim.study.subject import SubjectResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["covariates_of", "covariates_row"]


def covariates_of(patient: BoundPatient, draws: Draws) -> tuple[Covariate, ...]:
    """Legs of the history that end when something is reached, and numbers that vary or are uncertain."""
    legs = tuple(
        Covariate(f"history {number}: {leg.about}" if leg.about else f"history {number}", drawn=False)
        for number, leg in enumerate(patient.history, start=1)
    )
    names = sorted({each.name for each in draws.varying})
    return (*legs, *(Covariate(name, drawn=True) for name in names))


def covariates_row(covariates: tuple[Covariate, ...], subject_result: SubjectResult) -> NDArray[np.float64]:
    """The traits of one subject; NaN where its history never ended, and of the reference patient, who is not drawn."""
    legs = sum(not covariate.drawn for covariate in covariates)
    days = (*subject_result.legs, *[np.nan] * legs)[:legs]
    return np.array(
        [*days, *(subject_result.drawn.get(covariate.name, np.nan) for covariate in covariates[legs:])],
        dtype=np.float64,
    )
