"""Small problems for the tests of the solver, and short ways to run them."""

from __future__ import annotations

from typing import Any

import numpy as np

from isletsim.codegen import compile_model
from isletsim.flat import Action, Event, FlatModel
from isletsim.language import parse
from isletsim.solver import Schedule, solve


def flat(
    equations: dict[str, str],
    start: dict[str, float],
    parameters: dict[str, float] | None = None,
    algebraic: tuple[str, ...] = (),
    actions: tuple[dict[str, str], ...] = (),
    events: tuple[Event, ...] = (),
    outputs: tuple[str, ...] | None = None,
) -> FlatModel:
    states, parameters = tuple(equations), parameters or {}
    return FlatModel(
        name="problem",
        states=states,
        parameters=tuple(parameters),
        values=tuple(parameters.values()),
        constants=(),
        expressions=(),
        derivatives=tuple(parse(text) for text in equations.values()),
        algebraic=tuple(name in algebraic for name in states),
        start=tuple(parse(repr(float(start[name]))) for name in states),
        scale=(1.0,) * len(states),
        actions=tuple(
            Action(f"action {number}", tuple((name, parse(text)) for name, text in changes.items()))
            for number, changes in enumerate(actions)
        ),
        events=events,
        outputs=states if outputs is None else outputs,
    )


def at_times(*entries: tuple[float, int, int, float]) -> Schedule:
    """A schedule from (time, kind, index, amount), already in order."""
    times = sorted({entry[0] for entry in entries})
    first = [sum(entry[0] < time for entry in entries) for time in times]
    kinds, indices, amounts = ([entry[place] for entry in entries] for place in (1, 2, 3))
    return Schedule(*(np.array(part) for part in (times, [*first, len(entries)], kinds, indices, amounts)))


TOPP = flat(
    {
        "G": "R0 - (EG0 + SI * I) * G",
        "I": "B * sigma * G**2 / (alpha + G**2) - k * I",
        "B": "(-d0 + r1 * G - r2 * G**2) * B",
    },
    {"G": 180, "I": 8, "B": 180},
    {
        "R0": 864,
        "EG0": 1.44,
        "SI": 0.72,
        "sigma": 43.2,
        "alpha": 20000,
        "k": 432,
        "d0": 0.06,
        "r1": 0.84e-3,
        "r2": 0.24e-5,
    },
)
ROBERTSON = flat(
    {"a": "-0.04 * a + 1e4 * b * c", "b": "0.04 * a - 1e4 * b * c - 3e7 * b**2", "c": "3e7 * b**2"},
    {"a": 1, "b": 0, "c": 0},
)
ROBERTSON_WITH_MASS_BALANCE = flat(
    {"a": "-0.04 * a + 1e4 * b * c", "b": "0.04 * a - 1e4 * b * c - 3e7 * b**2", "c": "a + b + c - 1"},
    {"a": 1, "b": 0, "c": 0.3},  # c is wrong on purpose: it is an unknown, and has to be found
    algebraic=("c",),
)
VAN_DER_POL = flat({"x": "v", "v": "mu * (1 - x**2) * v - x"}, {"x": 2, "v": 0}, {"mu": 1000})
OSCILLATOR = flat({"x": "v", "v": "-x"}, {"x": 1, "v": 0})
FALLING_BALL = flat(
    {"x": "v", "v": "-9.81"},
    {"x": 10, "v": 0},
    actions=({"x": "0", "v": "-0.8 * v"},),
    events=(Event("floor", parse("-x"), 0),),
)
PULSE = flat({"x": "dose - x / 5", "delivered": "dose"}, {"x": 0, "delivered": 0}, {"dose": 0})


def run(problem: FlatModel, until: float, save: Any = (), begin: float = 0.0, start: Any = None, **options: Any) -> Any:
    values = options.pop("parameters", problem.values)
    return solve(compile_model(problem), start, values, span=(begin, until), save=save, **options)


def python_rhs(problem: FlatModel) -> Any:
    from isletsim.codegen import reference

    functions = reference(problem)
    p = np.zeros(functions.width)
    p[: len(problem.values)] = problem.values
    functions.prepare(p)

    def rhs(t: float, y: Any) -> Any:
        out = np.empty(len(y))
        functions.rhs(t, y, p, out)
        return out

    return rhs


def fixed_steps(problem: FlatModel, until: float, count: int, **options: Any) -> Any:
    """One step an interval: bare stops force the steps, and the tolerance never does."""
    edges = np.linspace(0.0, until, count + 1)
    stops = Schedule(edges, np.zeros(count + 2, np.int64), np.empty(0), np.empty(0), np.empty(0))
    return run(problem, until, schedule=stops, rtol=0.9, atol=np.full(len(problem.states), 1e12), **options)
