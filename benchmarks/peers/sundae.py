"""CVODE through scikit-sundae, with numba equations and the exact dense Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import numba_functions
from benchmarks.peers import Run
from benchmarks.peers.scipy_ import Leg, in_legs
from benchmarks.problems import Problem

__all__ = ["Cvode"]


class Cvode:
    """CVODE, BDF with a dense direct solver."""

    packages = ("scikit-sundae", "numba")

    def __init__(self) -> None:
        import sksundae.cvode

        self.CVODE: Any = sksundae.cvode.CVODE

    def _leg(self, functions: Any, p: NDArray[np.float64]) -> Leg:
        rhs, dense = functions.rhs, functions.dense

        def rhsfn(t: float, y: Any, yp: Any) -> None:
            rhs(t, y, p, yp)

        def jacfn(t: float, y: Any, yp: Any, out: Any) -> None:
            dense(t, y, p, out)

        def leg(state: NDArray[np.float64], times: NDArray[np.float64], rtol: float) -> NDArray[np.float64]:
            solver = self.CVODE(rhsfn, jacfn=jacfn, rtol=rtol, atol=rtol / 100, max_num_steps=10_000_000)
            found = solver.solve(times, state)
            if not found.success:
                raise RuntimeError(found.message)
            # With two times only, it gives every step; with more, exactly these.
            states: NDArray[np.float64] = found.y if len(times) > 2 else found.y[[0, -1]]
            return states

        return leg

    def single(self, given: Problem) -> Run | None:
        functions = numba_functions(given)
        return in_legs(given, given.save, self._leg(functions, functions.prepared(given.parameters)))

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        functions = numba_functions(given)
        runs = [in_legs(given, given.rows, self._leg(functions, functions.prepared(row))) for row in draws]

        def run(rtol: float) -> NDArray[np.float64]:
            return np.array([each(rtol)[:, list(given.observed)].sum(axis=1) for each in runs])

        return run
