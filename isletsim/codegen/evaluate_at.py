"""A model at one instant: its own start, its derived values, its derivatives, its outputs and its Jacobian."""

from __future__ import annotations

from ctypes import CFUNCTYPE, byref, c_double, c_void_p
from typing import TYPE_CHECKING

import numpy as np

from isletsim.language import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel
    from isletsim.flat import FlatModel

__all__ = ["constant_values", "dense_jacobian", "derivatives", "initial", "observe", "prepared"]

_Prepare = CFUNCTYPE(None, c_void_p)
_Start = CFUNCTYPE(None, c_void_p, c_void_p)
_Evaluate = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_void_p)


def constant_values(flat: FlatModel, parameters: NDArray[np.float64]) -> dict[str, float]:
    """Parameters and derived values by name."""
    known = dict(zip(flat.parameters, parameters.tolist(), strict=True))
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    return known


def prepared(model: CompiledModel, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """The whole parameter array, with what depends on parameters only filled in."""
    values = np.zeros(max(1, model.width))
    values[: model.parameters] = parameters
    _Prepare(model.functions.prepare)(values.ctypes.data)
    return values


def initial(model: CompiledModel, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's own start for these parameters."""
    values = prepared(model, parameters)
    state = np.zeros(max(1, model.states))
    _Start(model.functions.start)(values.ctypes.data, state.ctypes.data)
    return state[: model.states]


def _evaluate(
    address: int,
    model: CompiledModel,
    time: float,
    state: NDArray[np.float64],
    parameters: NDArray[np.float64],
    size: int,
) -> NDArray[np.float64]:
    values = prepared(model, parameters)
    given = np.zeros(max(1, model.states))
    given[: model.states] = state
    result = np.zeros(max(1, size))
    _Evaluate(address)(byref(c_double(time)), given.ctypes.data, values.ctypes.data, result.ctypes.data)
    return result[:size]


def derivatives(
    model: CompiledModel, time: float, state: NDArray[np.float64], parameters: NDArray[np.float64]
) -> NDArray[np.float64]:
    """dy/dt per day (residuals for algebraic unknowns), base units."""
    return _evaluate(model.functions.rhs, model, time, state, parameters, model.states)


def observe(
    model: CompiledModel, time: float, state: NDArray[np.float64], parameters: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The outputs, base units."""
    return _evaluate(model.functions.observe, model, time, state, parameters, model.outputs)


def dense_jacobian(
    model: CompiledModel, time: float, state: NDArray[np.float64], parameters: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Jacobian as a square array, base units per day."""
    size = model.nonzeros + 2 * model.states  # the explicit time derivatives and the derivatives come behind
    entries = _evaluate(model.functions.jac, model, time, state, parameters, size)
    matrix = np.zeros((model.states, model.states))
    matrix[model.rows, model.columns] = entries[: model.nonzeros]
    return matrix
