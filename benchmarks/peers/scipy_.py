"""SciPy: `odeint` (LSODA), and LSODA, BDF and Radau through `solve_ivp`; numba equations and the exact Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import numba_functions
from benchmarks.peers import Run
from benchmarks.problems import Problem

__all__ = ["Bdf", "Leg", "Legs", "Lsoda", "Odeint", "Radau", "in_legs", "legs"]

Leg = Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]]
Legs = Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]


def legs(given: Problem, rows: NDArray[np.float64]) -> Legs:
    """The run cut at its doses: times of each leg with both its ends, and the places of its records among them."""
    edges = [0.0, *given.doses, given.until]
    for number, (begin, end) in enumerate(pairwise(edges)):
        inside = (rows >= begin) & ((rows < end) | (number == len(edges) - 2))
        times = np.unique(np.concatenate([[begin], rows[inside], [end]]))
        yield times, np.searchsorted(times, rows[inside])


def in_legs(given: Problem, rows: NDArray[np.float64], solve_leg: Leg) -> Callable[[float], NDArray[np.float64]]:
    """A whole run from a function that integrates from the first of its times to the last."""
    parts = list(legs(given, rows))

    def run(rtol: float) -> NDArray[np.float64]:
        state, kept = given.start, []
        for number, (times, places) in enumerate(parts):
            if number:
                state = state.copy()
                state[given.dosed] += given.amount
            states = solve_leg(state, times, rtol)
            kept.append(states[places])
            state = states[-1]
        return np.concatenate(kept)

    return run


class _Scipy:
    packages = ("scipy", "numba")

    def __init__(self, method: str) -> None:
        self.method = method

    def _prepared(self, given: Problem) -> tuple[Any, Any, Any]:
        import numba

        functions = numba_functions(given)
        count, inner_rhs, inner_dense = functions.states, functions.rhs, functions.dense

        @numba.njit
        def rhs(t: float, y: Any, p: Any) -> Any:
            out = np.empty(count)
            inner_rhs(t, y, p, out)
            return out

        @numba.njit
        def jac(t: float, y: Any, p: Any) -> Any:
            out = np.empty((count, count))
            inner_dense(t, y, p, out)
            return out

        return functions, rhs, jac

    def _leg(self, rhs: Any, jac: Any, p: NDArray[np.float64]) -> Leg:
        from scipy.integrate import odeint, solve_ivp

        def by_odeint(state: NDArray[np.float64], times: NDArray[np.float64], rtol: float) -> NDArray[np.float64]:
            found: NDArray[np.float64] = odeint(
                rhs, state, times, (p,), jac, rtol=rtol, atol=rtol / 100, tfirst=True, mxstep=1_000_000
            )
            return found

        def by_solve_ivp(state: NDArray[np.float64], times: NDArray[np.float64], rtol: float) -> NDArray[np.float64]:
            span = (times[0], times[-1])
            found = solve_ivp(rhs, span, state, self.method, times, args=(p,), jac=jac, rtol=rtol, atol=rtol / 100)
            states: NDArray[np.float64] = found.y.T
            return states

        return by_odeint if self.method == "odeint" else by_solve_ivp

    def single(self, given: Problem) -> Run | None:
        functions, rhs, jac = self._prepared(given)
        return in_legs(given, given.save, self._leg(rhs, jac, functions.prepared(given.parameters)))

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        functions, rhs, jac = self._prepared(given)
        runs = [in_legs(given, given.rows, self._leg(rhs, jac, functions.prepared(row))) for row in draws]

        def run(rtol: float) -> NDArray[np.float64]:
            return np.array([each(rtol)[:, list(given.observed)].sum(axis=1) for each in runs])

        return run


class Odeint(_Scipy):
    """LSODA through `odeint`, the loop in Fortran."""

    def __init__(self) -> None:
        super().__init__("odeint")


class Lsoda(_Scipy):
    """LSODA through `solve_ivp`, the loop in Python."""

    def __init__(self) -> None:
        super().__init__("LSODA")


class Bdf(_Scipy):
    """BDF."""

    def __init__(self) -> None:
        super().__init__("BDF")


class Radau(_Scipy):
    """Radau."""

    def __init__(self) -> None:
        super().__init__("Radau")
