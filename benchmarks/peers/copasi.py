"""COPASI through basico: SBML, LSODA inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import sbml_text, short_name
from benchmarks.flagship import FileProblem
from benchmarks.peers import Late, Run
from benchmarks.problems import Problem

__all__ = ["Copasi"]


class Copasi:
    """COPASI's deterministic method. Its records come number by number through Python, which costs more than the run:
    a single run is measured without that.
    """

    packages = ("copasi-basico", "python-copasi")

    def __init__(self) -> None:
        import basico

        self.basico: Any = basico

    def _opened(self, text: str, until: float, intervals: int, names: Sequence[str]) -> Any:
        basico, self.model = self.basico, self.basico.load_model_from_string(text)
        settings = {"start_time": 0, "duration": until, "intervals": intervals, "automatic": False}
        basico.run_time_course(r_tol=1e-4, a_tol=1e-6, max_steps=10**8, method="deterministic", **settings)
        task = self.model.getTask("Time-Course")
        series = task.getTimeSeries()
        known = [series.getSBMLId(index, self.model) for index in range(series.getNumVariables())]
        places = [known.index(name) for name in names]
        method = task.getMethod()

        def run(rtol: float) -> Late:
            method.getParameter("Relative Tolerance").setDblValue(rtol)
            method.getParameter("Absolute Tolerance").setDblValue(rtol / 100)
            if not task.process(True):  # noqa: FBT003
                raise RuntimeError("COPASI gave up")
            return read

        def read() -> NDArray[np.float64]:
            found = task.getTimeSeries()
            return np.array([[found.getData(row, place) for place in places] for row in range(intervals + 1)])

        return run

    def single(self, given: Problem) -> Run | None:
        names = [short_name(name) for name in given.flat.states]
        run: Run = self._opened(sbml_text(given), given.until, len(given.save) - 1, names)
        return run

    def file(self, given: FileProblem) -> Run:
        """The file as it is."""
        run: Run = self._opened(given.text, given.until, len(given.save) - 1, given.states)
        return run

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        observed = [short_name(given.flat.states[index]) for index in given.observed]
        inner = self._opened(sbml_text(given), given.until, len(given.rows) - 1, observed)
        names = [short_name(name) for name in given.flat.parameters[: given.varied]]
        known = {value.getObjectName(): value for value in self.model.getModel().getModelValues()}
        values = [known[name] for name in names]

        def run(rtol: float) -> NDArray[np.float64]:
            kept = []
            for row in draws[:, : given.varied].tolist():
                for value, number in zip(values, row, strict=True):
                    value.setInitialValue(number)
                self.model.getModel().updateInitialValues(0)
                kept.append(inner(rtol)().sum(axis=1))
            return np.array(kept)

        return run
