"""How long equal steps may be: where the stability polynomial of the method damps what the equations damp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isletsim.solver import tables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["longest_stable_step", "stability_polynomial"]

FARTHEST = 9.0  # no stable step times an eigenvalue is as large
NEAR = 0.9  # a step times the eigenvalue of a mode that decays: every such mode is damped
TRIALS = 400


def stability_polynomial() -> NDArray[np.float64]:
    """Coefficients of R, by rising powers: a step of y' = lambda y multiplies y by R(h lambda)."""
    stages = tables.STABILISED_STAGES
    inner = np.zeros((stages, stages))
    for row in range(stages):
        for earlier, weight in tables.STABILISED_ARGUMENT[row].items():
            inner[row, earlier] = weight
    outer = np.array([tables.STABILISED_ARGUMENT[stages][stage] for stage in range(stages)])
    coefficients, column = [1.0], np.ones(stages)
    for _ in range(stages):
        coefficients.append(float(outer @ column))
        column = inner @ column
    return np.array(coefficients)


_POLYNOMIAL = stability_polynomial()


def longest_stable_step(eigenvalues: ArrayLike) -> float:
    """The longest step up to which every step of the fixed method damps all modes that decay; infinite without any.

    Hairer and Wanner, Solving Ordinary Differential Equations II, section IV.2.
    """
    modes = np.asarray(eigenvalues, dtype=np.complex128)
    decaying = modes[modes.real < 0.0]
    if not len(decaying):
        return float("inf")
    sizes = np.abs(decaying)
    largest = float(sizes.max())
    decaying = decaying[sizes >= NEAR / FARTHEST * largest]
    steps = FARTHEST / largest * np.arange(1, TRIALS + 1) / TRIALS
    products = np.outer(steps, decaying)
    factors = np.full_like(products, _POLYNOMIAL[-1])
    for coefficient in _POLYNOMIAL[-2::-1]:
        factors = factors * products + coefficient
    stable = np.abs(factors).max(axis=1) < 1.0 + 1e-9
    count = TRIALS if stable.all() else int(np.argmin(stable))
    return float(steps[count - 1]) if count else 0.0
