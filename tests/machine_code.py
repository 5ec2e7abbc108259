"""Flat models by hand and their machine code by ctypes, for the tests of the compiler."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Mapping, Sequence

import numpy as np

from isletsim.codegen import CompiledModel
from isletsim.flat import FlatModel
from isletsim.language import Name, Number, Tree, apply

POINTER = ctypes.c_void_p
SIGNATURES = {
    "prepare": (None, POINTER),
    "start": (None, POINTER, POINTER),
    "rhs": (None, POINTER, POINTER, POINTER, POINTER),
    "jac": (None, POINTER, POINTER, POINTER, POINTER),
    "factor": (ctypes.c_int32, POINTER, POINTER, POINTER),
    "solve": (None, POINTER, POINTER),
    "observe": (None, POINTER, POINTER, POINTER, POINTER),
    "roots": (None, POINTER, POINTER, POINTER, POINTER),
    "act": (None, ctypes.c_int32, POINTER, POINTER, POINTER, POINTER),
}


def model(
    derivatives: Mapping[str, Tree],
    parameters: Mapping[str, float] | None = None,
    expressions: Mapping[str, Tree] | None = None,
    algebraic: Sequence[str] = (),
    **more: object,
) -> FlatModel:
    """A flat model whose states are the keys of `derivatives`; its expressions are its outputs."""
    parameters, expressions = parameters or {}, expressions or {}
    filled: dict[str, object] = {
        "start": tuple(Number(1.0) for _ in derivatives),
        "scale": tuple(1.0 for _ in derivatives),
        "constants": (),
        "outputs": tuple(expressions),
    }
    return FlatModel(
        name="test",
        states=tuple(derivatives),
        parameters=tuple(parameters),
        values=tuple(parameters.values()),
        expressions=tuple(expressions.items()),
        derivatives=tuple(derivatives.values()),
        algebraic=tuple(name in algebraic for name in derivatives),
        **(filled | more),  # type: ignore[arg-type]
    )


def call(compiled: CompiledModel, function: str, *arguments: object) -> int | None:
    """Call a function of one lane; numbers are passed by address."""
    result, *kinds = SIGNATURES[function]
    if function == "rhs":  # it adds
        arguments[-1][:] = 0.0  # type: ignore[index]
    held = [np.array([each]) if isinstance(each, float) else each for each in arguments]
    passed = [each.ctypes.data if isinstance(each, np.ndarray) else each for each in held]
    answer: int | None = ctypes.CFUNCTYPE(result, *kinds)(getattr(compiled.functions, function))(*passed)
    return answer


def prepared(compiled: CompiledModel) -> np.ndarray:
    p = np.zeros(compiled.width)
    p[: compiled.parameters] = compiled.flat.values
    call(compiled, "prepare", p)
    return p


def observed(compiled: CompiledModel, y: np.ndarray, time: float = 0.0) -> np.ndarray:
    out = np.zeros(compiled.outputs)
    call(compiled, "observe", time, y, prepared(compiled), out)
    return out


def dense_jacobian(compiled: CompiledModel, y: np.ndarray, time: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The Jacobian as a square matrix, and the explicit time derivative."""
    entries = np.zeros(compiled.nonzeros + 2 * compiled.states)
    call(compiled, "jac", time, y, prepared(compiled), entries)
    matrix = np.zeros((compiled.states, compiled.states))
    matrix[compiled.rows, compiled.columns] = entries[: compiled.nonzeros]
    return matrix, entries[compiled.nonzeros : compiled.nonzeros + compiled.states]


def random_model(states: int) -> FlatModel:
    """Two rates a state, each of three to six states, with saturation and exponentials."""
    dice = random.Random(states)
    parameters: dict[str, float] = {}

    def constant() -> Name:
        parameters[f"k{len(parameters)}"] = dice.uniform(0.5, 2.0)
        return Name(f"k{len(parameters) - 1}")

    names = [f"s{index}" for index in range(states)]
    balances: dict[str, Tree] = {name: Number(0.0) for name in names}
    rates: dict[str, Tree] = {}
    for index in range(2 * states):
        source, target = names[index // 2], dice.choice(names)
        rate: Tree = apply("multiply", constant(), Name(source))
        for other in dice.sample(names, dice.randint(2, 5)):
            if dice.random() < 0.5:
                factor: Tree = apply("hill", Name(other), constant(), dice.choice([constant(), Number(2.0)]))
            else:
                factor = apply("exp", apply("negate", apply("divide", Name(other), constant())))
            rate = apply("multiply", rate, factor)
        rates[f"r{index}"] = rate
        balances[source] = apply("subtract", balances[source], Name(f"r{index}"))
        balances[target] = apply("add", balances[target], Name(f"r{index}"))
    return model(balances, parameters, rates)


def small_model(rate: float = 2.0) -> FlatModel:
    equation = apply("multiply", Number(rate), apply("exp", apply("negate", apply("multiply", Name("k"), Name("x")))))
    return model({"x": equation}, {"k": 0.5}, {"law": equation})
