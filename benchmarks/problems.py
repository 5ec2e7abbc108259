"""The problems that everybody has to solve: equations, doses, what is recorded, and how people differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import initial
from isletsim.composition.model_library import compose_stack
from isletsim.ensemble import solve_many
from isletsim.flat import FlatModel
from isletsim.language import Number
from isletsim.solver import Schedule, solve

__all__ = ["PROBLEMS", "Problem", "ensemble_reference", "problem", "single_reference"]

MODELS = Path(__file__).resolve().parent / "models"
VARIATION = 0.2  # coefficient of variation of a parameter that differs between people
SEED = 20240501
FLOOR = 1e-3  # of a state's largest value: errors of smaller values are measured against that


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes
    ----------
    flat : the equations; their start values are numbers.
    until, save : the end of a single run, and the times at which all states are recorded.
    rows : the times at which a subject of the ensemble is recorded; only the one output of `flat` is kept.
    doses, amount : when the model's only action happens, and how much is given; it adds to the state `dosed`.
    varied : how many of the parameters, from the first on, differ between people.
    """

    name: str
    title: str
    flat: FlatModel
    until: float
    save: NDArray[np.float64]
    rows: NDArray[np.float64]
    varied: int
    doses: tuple[float, ...] = ()
    amount: float = 0.0
    dosed: int = -1

    @property
    def start(self) -> NDArray[np.float64]:
        """The states at the beginning."""
        return np.array([tree.value for tree in self.flat.start if isinstance(tree, Number)])

    @property
    def parameters(self) -> NDArray[np.float64]:
        """The published (or invented) values."""
        return np.array(self.flat.values)

    @property
    def schedule(self) -> Schedule:
        """The doses for the solver."""
        count = len(self.doses)
        zeros = np.zeros(count, np.int64)
        return Schedule(np.array(self.doses), np.arange(count + 1), zeros + 1, zeros, np.full(count, self.amount))

    @property
    def observed(self) -> tuple[int, ...]:
        """The states whose sum is the output of the ensemble."""
        if self.name == "topp2000":
            return (0,)
        return tuple(index for index, name in enumerate(self.flat.states) if "glycated" in name)

    def draws(self, count: int) -> NDArray[np.float64]:
        """Parameters of so many people: lognormal around the values, with the mean kept."""
        sigma = np.sqrt(np.log(1 + VARIATION**2))
        noise = np.random.default_rng(SEED).standard_normal((count, self.varied))
        rows = np.tile(self.parameters, (count, 1))
        rows[:, : self.varied] *= np.exp(sigma * noise - 0.5 * sigma**2)
        return rows

    def single_error(self, states: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
        """The largest error of any state at any record, beside the state's own size."""
        size = np.maximum(np.abs(exact), FLOOR * np.abs(exact).max(axis=0))
        used = size > 0
        return float((np.abs(states - exact)[used] / size[used]).max())

    def ensemble_error(self, outputs: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
        """The largest relative error of any subject's output at any record; `exact` may hold the first ones only."""
        return float((np.abs(outputs[: len(exact)] - exact) / np.abs(exact)).max())


@cache
def problem(name: str) -> Problem:
    """A problem by name."""
    if name == "topp2000":
        flat = compose_stack(["topp2000"], ["topp2000.glucose"]).flat
        days = np.arange(3651.0)
        flat = _with_start(flat, "topp2000.glucose", _in_base_units(flat))
        return Problem(name, "topp2000, ten years", flat, 3650.0, days, np.linspace(0, 3650.0, 121), 9)
    core = str(MODELS / "invented27.toml")
    if name == "invented27":
        flat = _with_start(compose_stack([core], ["invented27.hba1c"]).flat, "invented27.hba1c")
        doses = tuple(30.5 + 300.0 * number for number in range(12))
        dosed = flat.states.index("invented27.drug_depot")
        days, rows = np.arange(3651.0), np.linspace(0, 3650.0, 121)
        return Problem(name, "27 states, ten years, 12 doses", flat, 3650.0, days, rows, 34, doses, 2.0, dosed)
    stack = [core, str(MODELS / "three_meals.toml")]
    flat = _with_start(compose_stack(stack, ["invented27.hba1c"]).flat, "invented27.hba1c")
    hours = np.arange(90 * 24 + 1) / 24.0
    return Problem(name, "27 states, 90 days of three meals", flat, 90.0, hours, np.linspace(0, 90.0, 91), 34)


PROBLEMS = ("topp2000", "invented27", "three_meals")
MILDLY_DIABETIC = {"topp2000.glucose": 180.0 / 100.0, "topp2000.insulin": 8.0 / 10.0, "topp2000.mass": 180.0 / 300.0}


def _in_base_units(flat: FlatModel) -> list[float]:
    """Topp's start at 180 mg/dL, 8 uU/mL and 180 mg, as multiples of the file's own start (100, 10, 300)."""
    own = [tree.value for tree in flat.start if isinstance(tree, Number)]
    return [value * MILDLY_DIABETIC[name] for name, value in zip(flat.states, own, strict=True)]


def _with_start(flat: FlatModel, output: str, start: list[float] | None = None) -> FlatModel:
    """The model with one output, numbers as start values, and states of unit size: tolerances are then the peers'."""
    values = start or initial(compile_model(flat), np.array(flat.values)).tolist()
    tree = tuple(Number(value) for value in values)
    return replace(flat, outputs=(output,), start=tree, scale=(1.0,) * len(values))


def single_reference(given: Problem) -> NDArray[np.float64]:
    """All states at all records, at a relative tolerance of 1e-12."""
    compiled = compile_model(given.flat)
    outcome = solve(
        compiled,
        given.start,
        given.parameters,
        span=(0.0, given.until),
        save=given.save,
        schedule=given.schedule,
        rtol=1e-12,
        maximum_steps=100_000_000,
    )
    assert outcome.states is not None
    return outcome.states


def ensemble_reference(given: Problem, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The output of every subject at every record, at a relative tolerance of 1e-11."""
    outcome = solve_many(
        compile_model(given.flat),
        given.start,
        draws,
        span=(0.0, given.until),
        save=given.rows,
        schedules=given.schedule,
        rtol=1e-11,
        maximum_steps=100_000_000,
    )
    assert outcome.outputs is not None
    assert not outcome.failed.any()
    return outcome.outputs[:, :, 0]
