"""One run: the solver alone, and as a user types it."""

from __future__ import annotations

from benchmarks.peers.own import Api, Solver
from benchmarks.problems import PROBLEMS, problem
from isletsim.codegen import compile_model
from isletsim.solver import solve

DAY = 2.5 / 1440.0  # the step of equal steps


class Run:
    """All states at all records."""

    params = (PROBLEMS, (1e-4, 1e-6, 1e-8))
    param_names = ("problem", "rtol")

    def setup(self, name: str, rtol: float) -> None:
        self.solver = Solver().single(problem(name))
        self.api = Api().single(problem(name))
        assert self.solver is not None
        assert self.api is not None
        self.solver(rtol)
        self.api(rtol)

    def time_solver(self, name: str, rtol: float) -> None:
        assert self.solver is not None
        self.solver(rtol)

    def time_simulate(self, name: str, rtol: float) -> None:
        assert self.api is not None
        self.api(rtol)


class Meals:
    """Days of three meals, by each method."""

    params = ("stiff", "explicit", "fixed")
    param_names = ("method",)

    def setup(self, method: str) -> None:
        given = problem("three_meals")
        self.start, self.parameters = given.start, given.parameters
        self.compiled = compile_model(given.flat)
        self.step = DAY / 4 if method == "fixed" else None
        self.time_ten_days(method)

    def time_ten_days(self, method: str) -> None:
        solve(
            self.compiled,
            self.start,
            self.parameters,
            span=(0.0, 10.0),
            save=[10.0],
            method=method,  # type: ignore[arg-type]
            step=self.step,
        )
