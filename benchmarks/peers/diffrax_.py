"""diffrax on the processor: Kvaerno's implicit methods in JAX; an ensemble by `vmap`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import jax_function, numba_functions
from benchmarks.peers import Run
from benchmarks.peers.scipy_ import legs
from benchmarks.problems import Problem

__all__ = ["Kvaerno3", "Kvaerno5"]

MOST_DRAWS = 50


class _Diffrax:
    packages = ("diffrax", "jax")

    def __init__(self, method: str) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)  # noqa: FBT003
        jax.config.update("jax_platforms", "cpu")
        import diffrax

        self.jax, self.diffrax, self.method = jax, diffrax, getattr(diffrax, method)

    def _whole(self, given: Problem, rows: NDArray[np.float64]) -> Any:
        """A function of tolerance and prepared parameters, to be compiled."""
        diffrax, jnp = self.diffrax, self.jax.numpy
        term = diffrax.ODETerm(jax_function(given))
        parts = [(jnp.array(times), jnp.array(places)) for times, places in legs(given, rows)]
        start, solver = jnp.array(given.start), self.method()

        def whole(rtol: Any, p: Any) -> Any:
            state, kept = start, []
            control = diffrax.PIDController(rtol=rtol, atol=rtol / 100)
            for number, (times, places) in enumerate(parts):
                if number:
                    state = state.at[given.dosed].add(given.amount)
                saved = diffrax.SaveAt(ts=times)
                found = diffrax.diffeqsolve(
                    term,
                    solver,
                    times[0],
                    times[-1],
                    None,
                    state,
                    p,
                    saveat=saved,
                    stepsize_controller=control,
                    max_steps=None,
                )
                kept.append(found.ys[places])
                state = found.ys[-1]
            return jnp.concatenate(kept)

        return whole

    def single(self, given: Problem) -> Run | None:
        whole = self.jax.jit(self._whole(given, given.save))
        p = numba_functions(given).prepared(given.parameters)
        return lambda rtol: np.asarray(whole(rtol, p))

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        if given.name != "topp2000":
            return None  # `vmap` runs all until the slowest is done: minutes for a hundred draws of 27 states
        whole = self.jax.jit(self.jax.vmap(self._whole(given, given.rows), (None, 0)))
        functions = numba_functions(given)
        rows = np.array([functions.prepared(row) for row in draws[:MOST_DRAWS]])
        columns = list(given.observed)
        return lambda rtol: np.asarray(whole(rtol, rows))[:, :, columns].sum(axis=2)


class Kvaerno3(_Diffrax):
    """Kvaerno's method of order 3."""

    def __init__(self) -> None:
        super().__init__("Kvaerno3")


class Kvaerno5(_Diffrax):
    """Kvaerno's method of order 5."""

    def __init__(self) -> None:
        super().__init__("Kvaerno5")
