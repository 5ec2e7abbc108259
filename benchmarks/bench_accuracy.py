"""Work against error: what a tolerance costs and gives."""

from __future__ import annotations

import numpy as np

from benchmarks.peers.own import Solver
from benchmarks.problems import PROBLEMS, ensemble_reference, problem, single_reference
from isletsim.codegen import compile_model
from isletsim.solver import solve

CHECKED = 50


class Accuracy:
    """The largest error beside a reference at a tolerance of 1e-12, and the steps it took."""

    params = (PROBLEMS, (1e-4, 1e-6, 1e-8))
    param_names = ("problem", "rtol")
    timeout = 300

    def setup_cache(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        known = {name: problem(name) for name in PROBLEMS}
        return {
            name: (single_reference(given), ensemble_reference(given, given.draws(CHECKED)))
            for name, given in known.items()
        }

    def track_error(self, exact: dict[str, tuple[np.ndarray, np.ndarray]], name: str, rtol: float) -> float:
        given = problem(name)
        run = Solver().single(given)
        assert run is not None
        found = run(rtol)
        assert isinstance(found, np.ndarray)
        return given.single_error(found, exact[name][0])

    def track_error_of_ensemble(self, exact: dict[str, tuple[np.ndarray, np.ndarray]], name: str, rtol: float) -> float:
        given = problem(name)
        run = Solver().ensemble(given, given.draws(CHECKED))
        assert run is not None
        found = run(rtol)
        assert isinstance(found, np.ndarray)
        return given.ensemble_error(found, exact[name][1])

    def track_steps(self, exact: dict[str, tuple[np.ndarray, np.ndarray]], name: str, rtol: float) -> int:
        given = problem(name)
        outcome = solve(
            compile_model(given.flat),
            given.start,
            given.parameters,
            span=(0.0, given.until),
            save=[given.until],
            schedule=given.schedule,
            rtol=rtol,
        )
        return outcome.counts.steps + outcome.counts.rejected
