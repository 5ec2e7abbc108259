"""One step of Rodas5P, for M dy/dt = f(t, y) with M of ones (differential) and zeros (algebraic; one lane only)."""

from __future__ import annotations

from typing import Any

from isletsim.solver import tables
from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import INT64, INTEGERS, REALS, call_at, constants, merged, offset, types
from isletsim.solver.linear import factorise, solve_in_place
from isletsim.solver.norms import blend, weighted_ratio
from isletsim.solver.vectors import Lanes, kernel

__all__ = ["interpolate_rosenbrock", "rosenbrock_step", "stage_time"]

STAGES = tables.RODAS5P_STAGES
node = constants(tables.RODAS5P_NODES)
slope_weight = constants(tables.RODAS5P_SLOPES)


@kernel(REALS, types.float64)
def add_slopes(lanes: Lanes, out: Any, weight: Any) -> None:
    """``out[row] += h weight slope[row]`` in the rows that depend on time itself."""
    builder = lanes.builder
    rows = lanes.number("timed_rows")
    slope = lanes.place(lanes.number("jacobian"), lanes.number("nonzeros"))
    gain = lanes.mul(lanes.row("h"), lanes.spread(weight))
    with lanes.each(lanes.number("timed")) as index:
        row = builder.load(builder.gep(rows, [index]))
        lanes.store(lanes.sum(lanes.load(out, row), gain, lanes.load(slope, row)), out, row)


@kernel(types.int64)
def later_stage(lanes: Lanes, number: Any) -> None:
    """From stage 1 on: the argument of a stage in NEXT, and ``stages[number] = mass * sum_j C_j stages[j] / h``."""
    builder, rows, masses = lanes.builder, lanes.stages(), lanes.masses()
    count, state, argument, inverse = (
        lanes.number("states"),
        lanes.number("state"),
        lanes.number("next"),
        lanes.row("inverse"),
    )

    def write(stage: int) -> None:
        moves, corrections = tables.RODAS5P_ARGUMENT[stage], tables.RODAS5P_CORRECTION[stage]
        base = argument if 1.0 in moves.values() else state
        with lanes.each(count) as index:
            point, total = lanes.load(base, index), None
            for each in range(stage):
                k = lanes.stage(rows, each, index)
                if moves.get(each) == 1.0:
                    point = lanes.add(point, k)
                elif each in moves:
                    point = lanes.sum(point, k, moves[each])
                total = lanes.sum(total, k, corrections[each])
            lanes.store(point, argument, index)
            place = builder.add(index, builder.mul(rows[1], INT64(stage)))
            lanes.store(lanes.masked(lanes.mul(total, inverse), masses, index), rows[0], place)

    lanes.cases(number, range(1, STAGES), write)


@kernel(types.float64)
def stage_time(lanes: Lanes, node: Any) -> None:
    """``STAGE_TIME = TIME + node H``."""
    lanes.put("stage_time", lanes.sum(lanes.row("time"), lanes.spread(node), lanes.row("h")))


@kernel()
def estimate(lanes: Lanes) -> None:
    """Add the last stage to NEXT, which makes it the new state; ERROR is the size of that stage over its tolerance."""
    rows, state, following = lanes.stages(), lanes.number("state"), lanes.number("next")

    def terms(index: Any) -> tuple[Any, Any]:
        error = lanes.stage(rows, STAGES - 1, index)
        value = lanes.add(lanes.load(following, index), error)
        lanes.store(value, following, index)
        return error, lanes.most(lanes.abs(value), lanes.abs(lanes.load(state, index)))

    lanes.put("error", weighted_ratio(lanes, terms))


@merged
def rosenbrock_step(frame: Frame) -> int:
    """Try a step in all lanes; the new states are in NEXT, the errors in ERROR. Return the lanes with small pivots."""
    bad = factorise(frame, frame.shift)
    add_slopes(frame, frame.stages, slope_weight(0))
    solve_in_place(frame, frame.stages)
    for stage in range(1, STAGES):
        increment = offset(frame.stages, stage * frame.stride * frame.lanes)
        later_stage(frame, stage)
        add_slopes(frame, increment, slope_weight(stage))
        stage_time(frame, node(stage))
        call_at(frame.rhs, frame.stage_time, frame.next, frame.parameter, increment)
        solve_in_place(frame, increment)
    frame.rhs_calls += STAGES - 1
    estimate(frame)
    return bad


@kernel(types.int64, INTEGERS, REALS)
def interpolate_rosenbrock(lanes: Lanes, count: Any, listed: Any, out: Any) -> None:
    """Store the listed states at FRACTION of the step, by dense output."""
    x = lanes.row("fraction")
    hump = lanes.mul(x, lanes.sub(1.0, x))
    weights = []
    for stage in range(STAGES):
        first, *others = [row.get(stage, 0.0) for row in tables.RODAS5P_DENSE]
        inner = lanes.full(others[-1])
        for coefficient in reversed(others[:-1]):
            inner = lanes.sum(lanes.full(coefficient), inner, x)
        weights.append(lanes.sum(lanes.mul(x, first), hump, inner))
    blend(lanes, count, listed, out, lanes.stages(), weights)
