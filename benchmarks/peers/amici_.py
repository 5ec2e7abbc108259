"""AMICI: SBML to C++ to machine code, CVODES with sparse KLU inside. Compiled models are kept in the user's cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import sbml_text, short_name
from benchmarks.flagship import FileProblem
from benchmarks.peers import Run
from benchmarks.problems import Problem
from isletsim import cache

__all__ = ["Amici"]


class Amici:
    """AMICI without sensitivities."""

    packages = ("amici",)

    def __init__(self) -> None:
        import amici
        import amici.sim.sundials

        self.amici: Any = amici
        self.sundials: Any = amici.sim.sundials

    def _opened(self, given: Problem, times: NDArray[np.float64]) -> tuple[Any, Any]:
        text = sbml_text(given)
        name = f"{given.name}_{cache.fingerprint(text)[:8]}"
        place = cache.folder()
        if place is None:
            raise RuntimeError("AMICI needs a folder for its compiled models")
        folder = place / "amici" / name
        if not folder.exists():
            source = place / f"{name}.xml"
            source.write_text(text)
            importer = self.amici.SbmlImporter(str(source))
            importer.sbml2amici(name, str(folder), generate_sensitivity_code=False)
        model = self.amici.import_model_module(name, folder).get_model()
        model.set_timepoints(times.tolist())
        solver = model.create_solver()
        solver.set_max_steps(10_000_000)
        return model, solver

    def _run(self, model: Any, solver: Any, rtol: float) -> NDArray[np.float64]:
        solver.set_relative_tolerance(rtol)
        solver.set_absolute_tolerance(rtol / 100)
        found: NDArray[np.float64] = self.sundials.run_simulation(model, solver).x
        return found

    def _order(self, given: Problem, model: Any) -> list[int]:
        names = list(model.get_state_ids())
        return [names.index(short_name(name)) for name in given.flat.states]

    def single(self, given: Problem) -> Run | None:
        model, solver = self._opened(given, given.save)
        order = self._order(given, model)
        return lambda rtol: self._run(model, solver, rtol)[:, order]

    def file(self, given: FileProblem) -> Run:
        """Not with version 1.0.1."""
        raise NotImplementedError("its C++ for events that read assigned quantities, as meals do, does not compile")

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        model, solver = self._opened(given, given.rows)
        columns = [self._order(given, model)[index] for index in given.observed]
        names = list(model.get_free_parameter_ids())
        places = [names.index(short_name(name)) for name in given.flat.parameters]
        rows = np.tile(np.array(model.get_free_parameters()), (len(draws), 1))
        rows[:, places] = draws

        def run(rtol: float) -> NDArray[np.float64]:
            kept = []
            for row in rows.tolist():
                model.set_free_parameters(row)
                kept.append(self._run(model, solver, rtol)[:, columns].sum(axis=1))
            return np.array(kept)

        return run
