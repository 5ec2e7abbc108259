"""One run: arrays in, one native call, arrays out."""

from __future__ import annotations

import math
import weakref
from ctypes import addressof, c_char
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isletsim.solver import frame as at
from isletsim.solver.native import driver
from isletsim.solver.records import Counts, NativeModel, Outcome, Reason, Schedule, Watch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["solve"]

METHODS = {"stiff": at.STIFF, "explicit": at.EXPLICIT, "fixed": at.FIXED}
LONGEST_COUNT = 1e12  # steps of one length that can still be told apart
PADDING = at.LANES  # numbers a vector register may reach beyond the end of an array
FUNCTIONS = {
    at.PREPARE: "prepare",
    at.START: "start",
    at.RHS: "rhs",
    at.JAC: "jac",
    at.FACTOR: "factor",
    at.SOLVE: "solve",
    at.OBSERVE: "observe",
    at.TRIGGERS: "roots",
    at.ACT: "act",
}


@dataclass(frozen=True, eq=False)
class _Layout:
    """What all runs of a model share: the first part of the frame, and where each array stands in the work space."""

    head: NDArray[np.int64]
    scale: NDArray[np.float64]
    slots: NDArray[np.int64]  # slots of the frame that lead into the work space,
    places: NDArray[np.int64]  # where there, in bytes,
    size: int  # and how many numbers it has
    values: int  # place of the parameters
    mark: int  # place of the real numbers of the run
    frame: int  # place of the frame itself, at the end of the work space
    arrays: tuple[NDArray[Any], ...]  # kept alive: the head holds their addresses


_LAYOUTS: dict[int, tuple[weakref.ref[Any], _Layout]] = {}


def _layout(model: NativeModel) -> _Layout:
    known = _LAYOUTS.get(id(model))
    if known is not None and known[0]() is model:
        return known[1]
    layout = _make_layout(model)
    key = id(model)
    _LAYOUTS[key] = (weakref.ref(model, lambda _: _LAYOUTS.pop(key, None)), layout)
    return layout


def _make_layout(model: NativeModel) -> _Layout:
    states, stride, events = model.states, at.stride_of(model.states), model.roots - model.kinks
    mass = np.zeros(stride)
    mass[:states] = model.mass
    rows, columns = np.ascontiguousarray(model.rows, np.int32), np.ascontiguousarray(model.columns, np.int32)
    action = np.ascontiguousarray(model.event_action, np.int32)
    initially = np.array([event.initially for event in model.flat.events], np.int32)
    scale = np.array(model.flat.scale, float)

    head = np.zeros(at.FRAME_SIZE, np.int64)
    counts = {
        at.STATES: states,
        at.STRIDE: stride,
        at.PARAMETERS: model.parameters,
        at.WIDTH: model.width,
        at.NONZEROS: model.nonzeros,
        at.OUTPUTS: model.outputs,
        at.EVENTS: events,
        at.ROOTS: model.roots,
        at.ALGEBRAIC: int((mass[:states] == 0.0).sum()),
        at.ROW_INDEX: _address(rows),
        at.COLUMN_INDEX: _address(columns),
        at.MASS: _address(mass),
        at.EVENT_ACTION: _address(action),
        at.EVENT_INITIALLY: _address(initially),
        at.AIM: -1,
        at.WORST: -1,
        at.EVENT: -1,
    }
    counts |= {slot: getattr(model.functions, name) for slot, name in FUNCTIONS.items()}
    for slot, value in counts.items():
        head[slot] = value

    # Vectors of states first: all of them then begin at the boundary of a vector register.
    lengths = {at.STATE: stride, at.ABSOLUTE: stride}
    lengths |= {slot: number * stride for slot, number in at.ROWS.items()}
    lengths |= {
        at.NUMBERS: at.NUMBERS_SIZE,
        at.VALUES: model.width,
        at.KEPT: model.parameters,
        at.JACOBIAN: model.nonzeros + stride + PADDING,
        at.LU: max(model.factor_size, states),
        at.MATRIX: states * states,
        at.ROOT_BEFORE: model.roots,
        at.ROOT_AFTER: model.roots,
        at.ROOT_HERE: model.roots,
        at.PIVOTS: states,
        at.SIGNS: model.roots,
        at.FIRED: model.roots,
    }
    places, size = _lay_out(lengths)
    values, mark = places[at.VALUES], places[at.NUMBERS]
    places[at.SLOPE] = places[at.JACOBIAN] + model.nonzeros
    return _Layout(
        head=head,
        scale=scale,
        slots=np.array(list(places), np.int64),
        places=8 * np.array(list(places.values()), np.int64),
        size=size + at.FRAME_SIZE,
        values=values,
        mark=mark,
        frame=size,
        arrays=(mass, rows, columns, action, initially),
    )


def _lay_out(lengths: dict[int, int]) -> tuple[dict[int, int], int]:
    """Places one after the other, and the whole length."""
    places, size = {}, 0
    for slot, length in lengths.items():
        places[slot] = size
        size += length
    return places, size


def _address(array: NDArray[Any]) -> int:
    memory: Any = array
    try:
        return addressof(c_char.from_buffer(memory))  # six times quicker than asking numpy
    except (TypeError, ValueError):  # an array that is empty or must not be written
        return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def solve(
    model: NativeModel,
    start: ArrayLike | None,
    parameters: ArrayLike,
    *,
    span: tuple[float, float],
    save: ArrayLike,
    schedule: Schedule | None = None,
    rtol: float = 1e-6,
    atol: ArrayLike | None = None,
    method: Literal["stiff", "explicit", "fixed"] = "stiff",
    step: float | None = None,
    maximum_steps: int = 1_000_000,
    watch: Watch | None = None,
    keep_states: bool = True,
) -> Outcome:
    """A whole run.

    Parameters
    ----------
    model : machine code and sizes, see `NativeModel`.
    start : value of every state at the beginning, or None for the model's own start.
    parameters : value of every parameter.
    span : first and last time.
    save : times to record, rising, within the span. They never change the steps.
    schedule : what happens when; every time in it is a hard stop.
    rtol, atol : tolerances of the error of a step, state by state. atol is rtol / 100 of the model's scales if None.
    method : "stiff" (Rodas5P), "explicit" (DOP853) or "fixed" (stabilised Runge-Kutta of order 4 with equal steps from
        stop to stop and no look at the error); the last two for ordinary differential equations only.
    step : the longest step of the fixed method.
    maximum_steps : how many steps may be tried.
    watch : a level of an output that ends the run.
    keep_states : whether the states are recorded beside the outputs.
    """
    layout = _layout(model)
    states = model.states
    save = np.ascontiguousarray(save, float)
    begin, end = float(span[0]), float(span[1])
    schedule = Schedule.empty() if schedule is None else schedule
    _check(model, begin, end, save, rtol, method, step)
    rows = len(save)
    outputs_size = rows * model.outputs
    record = np.empty(outputs_size + (rows * states if keep_states else 0))
    recorded = _address(record)

    store = np.zeros(layout.size + at.LANES)
    base = _address(store)
    skip = (-base % 64) // 8  # the rows of the work space begin where vector registers like it
    base += 8 * skip
    work = store[skip:]
    frame = work[layout.frame : layout.size].view(np.int64)
    frame[:] = layout.head
    frame[layout.slots] = layout.places + base

    stride = at.stride_of(states)
    if start is None:
        work[:states] = np.nan
    else:
        work[:states] = start
        frame[at.START] = 0
    work[stride : 2 * stride] = 1.0
    work[stride : stride + states] = layout.scale * (0.01 * rtol) if atol is None else atol
    values = work[layout.values : layout.values + model.parameters]
    values[:] = parameters
    numbers = work[layout.mark : layout.mark + at.NUMBERS_SIZE]
    numbers[: at.WATCH_LEVEL + 1] = begin, end, rtol, 0.0 if watch is None else watch.level
    if step is not None:
        numbers[at.STEP] = step
    frame[at.METHOD] = METHODS[method]
    frame[at.SAVE] = _address(save)
    frame[at.SAVES] = rows
    frame[at.SAVED_OUTPUTS] = recorded
    frame[at.SAVED_STATES] = recorded + 8 * outputs_size if keep_states else 0
    frame[at.STOPS : at.STOP_AMOUNTS + 1] = schedule.head
    frame[at.MAXIMUM_STEPS] = maximum_steps
    frame[at.WATCH_OUTPUT] = -1 if watch is None else watch.output
    frame[at.WATCH_DIRECTION] = 1 if watch is None else watch.direction

    # The result and numba's unused slot for exceptions stand in the frame too.
    own = base + 8 * layout.frame
    driver()(own + 8 * at.RESULT, own + 8 * at.EXCEPTION, own)

    done = int(frame[at.ROW])
    kept = record[outputs_size : outputs_size + done * states].reshape(done, states) if keep_states else None
    reason = Reason(int(frame[at.RESULT]))
    return Outcome(
        reason=reason,
        time=float(numbers[at.TIME]),
        times=save[:done],
        states=kept,
        outputs=record[: done * model.outputs].reshape(done, model.outputs),
        state=work[:states].copy(),
        parameters=values.copy(),
        counts=Counts(*frame[at.STEPS : at.UNLOCATED + 1].tolist()),
        event=int(frame[at.EVENT]) if reason is Reason.TERMINAL else -1,
        worst=int(frame[at.WORST]) if reason.failed else -1,
    )


def _check(
    model: NativeModel,
    begin: float,
    end: float,
    save: NDArray[np.float64],
    rtol: float,
    method: str,
    step: float | None,
) -> None:
    """Arguments that could not be meant so."""
    if not (math.isfinite(begin) and begin <= end < math.inf):
        raise ValueError(f"span {begin}, {end}: the end must be finite and not before the beginning")
    if len(save) and not (save.item(0) >= begin and save.item(-1) <= end and (save[1:] >= save[:-1]).all()):
        raise ValueError("save must rise and lie within the span")
    if not 0.0 < rtol < 1.0:
        raise ValueError(f"rtol = {rtol}: must lie between 0 and 1")
    if method not in METHODS:
        raise ValueError(f'method "{method}": is neither "stiff" nor "explicit" nor "fixed"')
    if (step is None) == (method == "fixed"):
        raise ValueError("the fixed method needs a step, and the others have none")
    if step is not None and not (0.0 < step < np.inf and end - begin <= LONGEST_COUNT * step):
        raise ValueError(f"step = {step}: must be positive, and not too short for the span")
    if method != "stiff" and _layout(model).head[at.ALGEBRAIC]:
        unknowns = ", ".join(name for name, free in zip(model.flat.states, model.flat.algebraic, strict=True) if free)
        raise ValueError(f"the {method} method cannot solve for algebraic unknowns ({unknowns}); use the stiff one")
