"""numbalsoda: LSODA in C++ and DOP853 in Fortran, called on numba equations. They take no Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import numba_functions
from benchmarks.peers import Run
from benchmarks.peers.scipy_ import Leg, in_legs
from benchmarks.problems import Problem

__all__ = ["Dop853", "Lsoda"]


class _Numbalsoda:
    packages = ("numbalsoda", "numba")

    def __init__(self, method: str) -> None:
        import numbalsoda

        self.solve: Any = getattr(numbalsoda, method)

    def _pointer(self, given: Problem) -> tuple[Any, int]:
        from numba import carray, cfunc
        from numbalsoda import lsoda_sig

        functions = numba_functions(given)
        rhs, count, width = functions.rhs, functions.states, functions.width

        @cfunc(lsoda_sig)
        def called(t, u, du, p):  # type: ignore[no-untyped-def]
            rhs(t, carray(u, (count,)), carray(p, (width,)), carray(du, (count,)))

        self.kept = called
        return functions, int(called.address)

    def _leg(self, pointer: int, p: NDArray[np.float64]) -> Leg:
        def leg(state: NDArray[np.float64], times: NDArray[np.float64], rtol: float) -> NDArray[np.float64]:
            states: NDArray[np.float64]
            states, success = self.solve(pointer, state, times, data=p, rtol=rtol, atol=rtol / 100, mxstep=10_000_000)
            if not success:
                raise RuntimeError("numbalsoda gave up")
            return states

        return leg

    def single(self, given: Problem) -> Run | None:
        functions, pointer = self._pointer(given)
        return in_legs(given, given.save, self._leg(pointer, functions.prepared(given.parameters)))

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        functions, pointer = self._pointer(given)
        runs = [in_legs(given, given.rows, self._leg(pointer, functions.prepared(row))) for row in draws]
        columns = list(given.observed)

        def run(rtol: float) -> NDArray[np.float64]:
            return np.array([each(rtol)[:, columns].sum(axis=1) for each in runs])

        return run


class Lsoda(_Numbalsoda):
    """LSODA."""

    def __init__(self) -> None:
        super().__init__("lsoda")


class Dop853(_Numbalsoda):
    """DOP853, an explicit method."""

    def __init__(self) -> None:
        super().__init__("dop853")
