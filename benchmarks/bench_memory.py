"""Memory of ensembles, and of the machine code."""

from __future__ import annotations

from benchmarks.bench_cohort import cohort
from benchmarks.problems import problem
from isletsim.codegen import compile_model


class Memory:
    """A small model, so that what is kept weighs most."""

    params = (1_000, 100_000)
    param_names = ("subjects",)
    timeout = 300

    def setup(self, subjects: int) -> None:
        self.given = problem("topp2000")
        self.compiled = compile_model(self.given.flat)
        self.rows = self.given.draws(subjects)

    def peakmem_outputs(self, subjects: int) -> None:
        cohort(self.given, self.compiled, self.rows, 2, "outputs")

    def peakmem_ends(self, subjects: int) -> None:
        cohort(self.given, self.compiled, self.rows, 2, "ends")
