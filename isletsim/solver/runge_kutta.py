"""One step of an explicit Runge-Kutta method: DOP853 (one lane only), or the stabilised method of equal steps.

The right-hand side at the state is the first stage. It is kept while steps are rejected; that of an accepted step's
end becomes the next first stage if it is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from isletsim.solver import tables
from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import (
    INT64,
    INTEGERS,
    REALS,
    Codegen,
    call_at,
    compiled,
    constants,
    keep_apart,
    offset,
    one_lane,
    types,
)
from isletsim.solver.norms import blend, clear_rows, copy_rows, weighted_rest
from isletsim.solver.rosenbrock import stage_time
from isletsim.solver.vectors import Lanes, kernel

__all__ = [
    "explicit_dense",
    "explicit_step",
    "first_stage",
    "fixed_step",
    "interpolate_explicit",
    "interpolate_fixed",
    "keep_last_stage",
    "last_explicit_stage",
    "last_fixed_stage",
]

FIXED_STAGES = tables.STABILISED_STAGES
EXPLICIT_STAGES = tables.DOP853_STAGES
DENSE_STAGES = 16  # stages of DOP853 with those of its dense output
DENSE_ROWS = 7
fixed_node = constants(tables.STABILISED_NODES)
explicit_node = constants(tables.DOP853_NODES)


def sums(table: Sequence[Mapping[int, float]], numbers: Sequence[int], out: str, from_state: bool = True) -> Codegen:
    """Return a kernel for ``out = state + h sum_j table[number][j] stages[j]`` that also sets stage `number` to 0.

    Without `from_state` the sum alone goes to row `number` of `out`, and no stage is cleared.
    """

    @kernel(types.int64)
    def add_up(lanes: Lanes, number: Any) -> None:
        builder, rows, h = lanes.builder, lanes.stages(), lanes.row("h")
        count, state, target = lanes.number("states"), lanes.number("state"), lanes.number(out)

        def write(row: int) -> None:
            factors = [(each, lanes.mul(h, weight)) for each, weight in table[row].items()]
            with lanes.each(count) as index:
                total = lanes.load(state, index) if from_state else None
                for each, factor in factors:
                    total = lanes.sum(total, lanes.stage(rows, each, index), factor)
                place = builder.add(index, builder.mul(rows[1], INT64(row)))
                if from_state:
                    lanes.store(total, target, index)
                    lanes.store(0.0, rows[0], place)
                else:
                    lanes.store(total, target, place)

        lanes.cases(number, numbers, write)

    return add_up


fixed_argument = sums(tables.STABILISED_ARGUMENT, range(1, FIXED_STAGES), "next")
explicit_argument = sums(tables.DOP853_ARGUMENT, range(1, EXPLICIT_STAGES + 1), "next")
dense_argument = sums(tables.DOP853_ARGUMENT, range(EXPLICIT_STAGES + 1, DENSE_STAGES), "point")
dense_row = sums(tables.DOP853_DENSE, range(DENSE_ROWS), "dense", from_state=False)
error_row = sums(tables.DOP853_ERROR, range(2), "errors", from_state=False)


@compiled
def first_stage(frame: Frame) -> None:
    """Evaluate the right-hand side at the state, unless it is known."""
    if frame.ready == 0:
        clear_rows(frame, frame.states, frame.stages)
        call_at(frame.rhs, frame.time, frame.state, frame.parameter, frame.stages)
        frame.rhs_calls += 1
        frame.ready = 1


@compiled
def last_stage(frame: Frame, number: int) -> None:
    """Evaluate the right-hand side at the new state, as the stage of this number."""
    stage = offset(frame.stages, number * frame.stride * frame.lanes)
    clear_rows(frame, frame.states, stage)
    call_at(frame.rhs, frame.step_end, frame.next, frame.parameter, stage)
    frame.rhs_calls += 1


@compiled
def last_fixed_stage(frame: Frame) -> None:
    """Evaluate the right-hand side at the end of an equal step."""
    last_stage(frame, FIXED_STAGES)


@one_lane
def last_explicit_stage(frame: Frame) -> None:
    """Evaluate the right-hand side at the end of a step of DOP853."""
    last_stage(frame, EXPLICIT_STAGES)


@compiled
def keep_last_stage(frame: Frame, number: int) -> None:
    """Take the derivatives at the end of the step as those at the beginning of the next."""
    copy_rows(frame, frame.states, frame.stages, offset(frame.stages, number * frame.stride * frame.lanes))
    frame.ready = 1


# Equal steps


@kernel()
def fixed_end(lanes: Lanes) -> None:
    """The new state in NEXT; ERROR is 0 if it is finite, else NaN."""
    builder, rows, h = lanes.builder, lanes.stages(), lanes.row("h")
    weights = [lanes.mul(h, weight) for weight in tables.STABILISED_ARGUMENT[FIXED_STAGES].values()]
    state, following, doubt = lanes.number("state"), lanes.number("next"), lanes.variable(0.0)
    with lanes.each(lanes.number("states")) as index:
        total = lanes.load(state, index)
        for stage, weight in enumerate(weights):
            total = lanes.sum(total, lanes.stage(rows, stage, index), weight)
        lanes.store(total, following, index)
        builder.store(lanes.sum(builder.load(doubt), total, 0.0), doubt)
    lanes.put("error", builder.load(doubt))


@compiled
def fixed_step(frame: Frame) -> None:
    """A step of given length in all lanes; the new states are in NEXT."""
    keep_apart()
    first_stage(frame)
    for stage in range(1, FIXED_STAGES):
        fixed_argument(frame, stage)
        stage_time(frame, fixed_node(stage))
        increment = offset(frame.stages, stage * frame.stride * frame.lanes)
        call_at(frame.rhs, frame.stage_time, frame.next, frame.parameter, increment)
    frame.rhs_calls += FIXED_STAGES - 1
    fixed_end(frame)


@kernel(types.int64, INTEGERS, REALS)
def interpolate_fixed(lanes: Lanes, count: Any, listed: Any, out: Any) -> None:
    """The listed states at FRACTION of an equal step; needs the derivatives at its end behind the stages."""
    h, x = lanes.row("h"), lanes.row("fraction")
    z = lanes.sub(1.0, x)
    square = lanes.mul(lanes.mul(x, x), h)
    risen = lanes.mul(square, lanes.sum(lanes.full(1.0), z, 2.0))
    weights = [lanes.mul(risen, weight) for weight in tables.STABILISED_ARGUMENT[FIXED_STAGES].values()]
    weights[0] = lanes.sum(weights[0], lanes.mul(lanes.mul(h, x), z), z)
    weights.append(lanes.mul(lanes.mul(square, z), -1.0))
    blend(lanes, count, listed, out, lanes.stages(), weights)


# DOP853


@one_lane
def explicit_step(frame: Frame) -> None:
    """Try a step of DOP853; the new state is in NEXT, the error over its tolerance in ERROR."""
    keep_apart()
    first_stage(frame)
    frame.dense_ready = 0
    for stage in range(1, EXPLICIT_STAGES):
        explicit_argument(frame, stage)
        stage_time(frame, explicit_node(stage))
        increment = offset(frame.stages, stage * frame.stride)
        call_at(frame.rhs, frame.stage_time, frame.next, frame.parameter, increment)
    frame.rhs_calls += EXPLICIT_STAGES - 1
    explicit_argument(frame, EXPLICIT_STAGES)
    error_row(frame, 0)
    error_row(frame, 1)
    third = weighted_rest(frame, frame.errors, frame.next)
    fifth = weighted_rest(frame, offset(frame.errors, frame.stride), frame.next)
    both = math.sqrt(fifth * fifth + 0.01 * third * third)
    frame.error[0] = fifth * fifth / both if both != 0.0 else 0.0
    if frame.error[0] <= 1.0 or frame.roots > 0:
        last_explicit_stage(frame)


@one_lane
def explicit_dense(frame: Frame) -> None:
    """Make the rows of DOP853's dense output; takes three more right-hand sides."""
    keep_apart()
    for stage in range(EXPLICIT_STAGES + 1, DENSE_STAGES):
        dense_argument(frame, stage)
        stage_time(frame, explicit_node(stage))
        increment = offset(frame.stages, stage * frame.stride)
        call_at(frame.rhs, frame.stage_time, frame.point, frame.parameter, increment)
    frame.rhs_calls += DENSE_STAGES - EXPLICIT_STAGES - 1
    for row in range(DENSE_ROWS):
        dense_row(frame, row)
    frame.dense_ready = 1


@kernel(types.int64, INTEGERS, REALS)
def interpolate_explicit(lanes: Lanes, count: Any, listed: Any, out: Any) -> None:
    """The listed states at FRACTION of a step of DOP853, from the rows of its dense output."""
    x = lanes.row("fraction")
    a = lanes.mul(x, lanes.sub(1.0, x))
    square, cube = lanes.mul(a, a), lanes.mul(lanes.mul(a, a), a)
    weights = [x, a, lanes.mul(a, x), square, lanes.mul(square, x), cube, lanes.mul(cube, x)]
    blend(lanes, count, listed, out, lanes.stages("dense"), weights)
