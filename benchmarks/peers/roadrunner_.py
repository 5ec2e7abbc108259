"""libRoadRunner: SBML compiled by LLVM, CVODE inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import sbml_text, short_name
from benchmarks.flagship import FileProblem
from benchmarks.peers import Run
from benchmarks.problems import Problem

__all__ = ["RoadRunner"]


class RoadRunner:
    """libRoadRunner with its default back end."""

    packages = ("libroadrunner",)

    def __init__(self) -> None:
        import roadrunner

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        roadrunner.Logger.disableLogging()
        self.roadrunner: Any = roadrunner

    def _opened(self, text: str, names: Sequence[str]) -> Any:
        model = self.roadrunner.RoadRunner(text)
        model.integrator.maximum_num_steps = 10_000_000
        model.timeCourseSelections = list(names)
        return model

    @staticmethod
    def _tolerance(model: Any, rtol: float) -> None:
        model.integrator.relative_tolerance = rtol
        model.integrator.absolute_tolerance = rtol / 100

    def single(self, given: Problem) -> Run | None:
        return self._run(self._opened(sbml_text(given), [short_name(name) for name in given.flat.states]), given)

    def file(self, given: FileProblem) -> Run:
        """The file as it is."""
        return self._run(self._opened(given.text, given.states), given)

    def _run(self, model: Any, given: Problem | FileProblem) -> Run:
        def run(rtol: float) -> NDArray[np.float64]:
            self._tolerance(model, rtol)
            model.resetAll()
            return np.array(model.simulate(0, given.until, len(given.save)), float)

        return run

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        model = self._opened(sbml_text(given), [short_name(given.flat.states[index]) for index in given.observed])
        names = [short_name(name) for name in given.flat.parameters[: given.varied]]

        def run(rtol: float) -> NDArray[np.float64]:
            self._tolerance(model, rtol)
            kept = []
            for row in draws[:, : given.varied].tolist():
                model.resetAll()
                for name, value in zip(names, row, strict=True):
                    model[name] = value
                kept.append(np.array(model.simulate(0, given.until, len(given.rows)), float).sum(axis=1))
            return np.array(kept)

        return run
