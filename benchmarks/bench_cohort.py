"""Many subjects: in lanes, alone in a lane, in two threads, and with meals."""

from __future__ import annotations

import numpy as np

from benchmarks.problems import PROBLEMS, Problem, problem
from isletsim.codegen import CompiledModel, compile_model
from isletsim.ensemble import EnsembleOutcome, Keep, solve_many

SUBJECTS = {"topp2000": 4000, "invented27": 800, "three_meals": 64}


def cohort(given: Problem, compiled: CompiledModel, rows: np.ndarray, jobs: int, keep: Keep) -> EnsembleOutcome:
    return solve_many(
        compiled,
        given.start,
        rows,
        span=(0.0, given.until),
        save=given.rows,
        schedules=given.schedule,
        jobs=jobs,
        keep=keep,
    )


class Cohort:
    """The default tolerance of ensembles."""

    params = PROBLEMS
    param_names = ("problem",)
    timeout = 300

    def setup(self, name: str) -> None:
        self.given = problem(name)
        self.compiled = compile_model(self.given.flat)
        self.rows = self.given.draws(SUBJECTS[name])
        cohort(self.given, self.compiled, self.rows[:8], 1, "ends")

    def time_one_thread(self, name: str) -> None:
        cohort(self.given, self.compiled, self.rows, 1, "outputs")

    def time_two_threads(self, name: str) -> None:
        cohort(self.given, self.compiled, self.rows, 2, "outputs")

    def time_ends_only(self, name: str) -> None:
        cohort(self.given, self.compiled, self.rows, 1, "ends")

    def time_eight_subjects(self, name: str) -> None:
        cohort(self.given, self.compiled, self.rows[:8], 1, "outputs")

    def time_one_subject(self, name: str) -> None:
        cohort(self.given, self.compiled, self.rows[:1], 1, "outputs")
