"""isletsim itself: through its Python interface, and through the solver alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.flagship import FileProblem
from benchmarks.peers import Run
from benchmarks.problems import MODELS, Problem
from isletsim.codegen import compile_lanes, compile_model
from isletsim.ensemble import solve_many
from isletsim.solver import solve

__all__ = ["Api", "Solver"]

STACKS = {
    "topp2000": ["topp2000"],
    "invented27": [str(MODELS / "invented27.toml")],
    "three_meals": [str(MODELS / "invented27.toml"), str(MODELS / "three_meals.toml")],
}


class Api:
    """`load_model(...).simulate(...)`, names, units and all."""

    packages = ("numpy", "llvmlite", "numba")

    def single(self, given: Problem) -> Run | None:
        import isletsim

        model = isletsim.load_model(STACKS[given.name])
        start = {"G": "180 mg/dL", "I": "8 uU/mL", "B": "180 mg"} if given.name == "topp2000" else {}
        doses = [{"into": "invented27.bolus", "amount": given.amount, "at": f"{at} day"} for at in given.doses]
        spacing = f"{(given.save[1] - given.save[0]) * 1440:.0f} min"

        def run(rtol: float) -> NDArray[np.float64]:
            trajectory = model.simulate(until=given.until, save=spacing, start=start, doses=doses, rtol=rtol)
            return trajectory.states

        return run

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        return None

    def file(self, given: FileProblem) -> Run:
        """The file read by our own importer."""
        import isletsim

        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.xml"
            path.write_text(given.text)
            model = isletsim.load_model(path)

        def run(rtol: float) -> NDArray[np.float64]:
            trajectory = model.simulate(until=given.until, save=given.save, rtol=rtol)
            return np.array([trajectory[name] for name in given.states]).T

        return run


class Solver:
    """The compiled model and the solver alone, as the other bare solvers are called."""

    packages = ("numpy", "llvmlite", "numba")

    def single(self, given: Problem) -> Run | None:
        compiled = compile_model(given.flat)
        start, parameters, schedule = given.start, given.parameters, given.schedule

        def run(rtol: float) -> NDArray[np.float64]:
            outcome = solve(
                compiled, start, parameters, span=(0.0, given.until), save=given.save, schedule=schedule, rtol=rtol
            )
            assert outcome.states is not None
            return outcome.states

        return run

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        compiled = compile_model(given.flat)
        compile_lanes(compiled)
        schedule = given.schedule

        def run(rtol: float) -> NDArray[np.float64]:
            outcome = solve_many(
                compiled,
                given.start,
                draws,
                span=(0.0, given.until),
                save=given.rows,
                schedules=schedule,
                rtol=rtol,
                jobs=1,
            )
            assert outcome.outputs is not None
            return outcome.outputs[:, :, 0]

        return run
