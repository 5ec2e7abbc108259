"""Eight runs side by side: every lane has its own time, step, stops and records, and takes subject after subject.

A step is tried in all lanes at once; then each lane goes its own way. Nothing that one lane meets reaches another.
"""

from __future__ import annotations

import math

from isletsim.solver import lane_frame as at
from isletsim.solver import tables
from isletsim.solver.kernels import (
    INTEGERS,
    Integers,
    call_two,
    compiled,
    constants,
    integers,
    merged,
    offset,
    reals,
    types,
)
from isletsim.solver.lane_kernels import (
    add_point,
    add_slopes,
    call_lane_factor,
    call_lanes,
    clear_rows,
    copy_rows,
    difference,
    estimate,
    fixed_end,
    fixed_point,
    fixed_stage,
    interpolate_lanes,
    later_stage,
    stage_time,
    take_lanes,
    weighted,
)
from isletsim.solver.lane_steps import (
    choose_ends,
    choose_equal_ends,
    judge,
    judge_equal,
    longer_step,
    record_moments,
    short_step,
)
from isletsim.solver.lane_subjects import do_stops, go_on, open_lane, replace, take_column, write_row

__all__ = ["run_lanes"]

LANES = at.LANES
STAGES = tables.RODAS5P_STAGES
node = constants(tables.RODAS5P_NODES)
slope_weight = constants(tables.RODAS5P_SLOPES)
FIXED_STAGES = tables.STABILISED_STAGES
fixed_node = constants(tables.STABILISED_NODES)


@merged
def restart(frame: Integers) -> int:
    """A cautious first step in the lanes that need one. 1 where all is ready, 0 where a lane got another subject."""
    count = frame[at.STATES]
    control, state, values = reals(frame[at.CONTROL]), reals(frame[at.STATE]), reals(frame[at.PARAMETER])
    point, spare, absolute = reals(frame[at.POINT]), reals(frame[at.SPARE]), reals(frame[at.ABSOLUTE])
    first = reals(frame[at.STAGES])  # where `jac` leaves the derivatives
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    weighted(count, state, state, control, at.SIZE, absolute, relative)
    weighted(count, first, state, control, at.SPEED, absolute, relative)
    ready = 1
    for lane in range(LANES):
        if frame[at.RESTART] & (1 << lane) != 0:
            size = control[at.SIZE * LANES + lane] + control[at.SPEED * LANES + lane]
            if not size < math.inf:
                replace(frame, lane, at.RETRY)
                ready = 0
    if ready == 0:
        return 0
    short_step(control)
    add_point(count, point, state, offset(control, at.TRIAL * LANES), first)
    clear_rows(count, spare)
    call_lanes(frame[at.RHS], offset(control, at.STAGE_TIME * LANES), point, values, spare)
    difference(count, spare, first)
    weighted(count, spare, state, control, at.CURVATURE, absolute, relative)
    longer_step(control, frame[at.RESTART])
    frame[at.RESTART] = 0
    return 1


@merged
def attempt_lanes(frame: Integers) -> int:
    """Tries a step in all lanes; the new states stand in NEXT, the errors in ERROR. Returns lanes with small pivots."""
    count, stride = frame[at.STATES], frame[at.STRIDE]
    control, state, values = reals(frame[at.CONTROL]), reals(frame[at.STATE]), reals(frame[at.PARAMETER])
    argument, stages = reals(frame[at.NEXT]), reals(frame[at.STAGES])
    slope = offset(reals(frame[at.JACOBIAN]), frame[at.NONZEROS] * LANES)
    timed, rows = frame[at.TIMED], integers(frame[at.TIMED_ROWS])
    factors = reals(frame[at.LU])
    bad = call_lane_factor(frame[at.FACTOR], reals(frame[at.JACOBIAN]), offset(control, at.SHIFT * LANES), factors)
    add_slopes(timed, rows, stages, slope, control, slope_weight(0))
    call_two(frame[at.SOLVE], factors, stages)
    for stage in range(1, STAGES):
        increment = offset(stages, stage * stride * LANES)
        later_stage(count, stage, argument, state, stages, stride, control)
        add_slopes(timed, rows, increment, slope, control, slope_weight(stage))
        stage_time(control, node(stage))
        call_lanes(frame[at.RHS], offset(control, at.STAGE_TIME * LANES), argument, values, increment)
        call_two(frame[at.SOLVE], factors, increment)
    last = offset(stages, (STAGES - 1) * stride * LANES)
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    estimate(count, state, argument, last, control, reals(frame[at.ABSOLUTE]), relative)
    small: int = types.int64(bad)
    return small


@merged
def attempt_fixed(frame: Integers) -> None:
    """A step of a given length in all lanes; the new states stand in NEXT."""
    count, stride = frame[at.STATES], frame[at.STRIDE]
    control, state, values = reals(frame[at.CONTROL]), reals(frame[at.STATE]), reals(frame[at.PARAMETER])
    argument, stages = reals(frame[at.NEXT]), reals(frame[at.STAGES])
    if frame[at.READY] == 0:
        clear_rows(count, stages)
        call_lanes(frame[at.RHS], offset(control, at.TIME * LANES), state, values, stages)
    for stage in range(1, FIXED_STAGES):
        fixed_stage(count, stage, argument, state, stages, stride, control)
        stage_time(control, fixed_node(stage))
        increment = offset(stages, stage * stride * LANES)
        call_lanes(frame[at.RHS], offset(control, at.STAGE_TIME * LANES), argument, values, increment)
    fixed_end(count, argument, state, stages, stride, control)


@merged
def attend(frame: Integers, attention: int, bad: int, ended: int) -> None:
    """The lanes that are at their target, have ended, or cannot go on."""
    control = reals(frame[at.CONTROL])
    arrived = 0
    for lane in range(LANES):
        if control[at.TIME * LANES + lane] >= control[at.TARGET * LANES + lane]:
            arrived |= 1 << lane
    arrived &= attention & ~bad & ~ended
    frame[at.RESTART] = frame[at.RESTART] | do_stops(frame, arrived)
    for lane in range(LANES):
        bit = 1 << lane
        if attention & bit == 0:
            continue
        if ended & bit != 0:
            replace(frame, lane, at.WATCHED)
        elif arrived & bit == 0:
            replace(frame, lane, at.RETRY)
        else:
            reason = go_on(frame, lane)
            if reason >= 0:
                replace(frame, lane, reason)


@compiled(types.void(INTEGERS, types.int64, types.int64))
def interpolate(frame: Integers, count: int, listed: int) -> None:
    """The listed states at the FRACTION of the step, in POINT."""
    point, state, stages = reals(frame[at.POINT]), reals(frame[at.STATE]), reals(frame[at.STAGES])
    rows, control = integers(listed), reals(frame[at.CONTROL])
    if frame[at.FIXED] != 0:
        fixed_point(count, rows, point, state, stages, frame[at.STRIDE], control)
    else:
        interpolate_lanes(count, rows, point, state, stages, frame[at.STRIDE], control)


@compiled(types.int64(INTEGERS, types.int64))
def record_due(frame: Integers, due: int) -> int:
    """Writes rows within the accepted step of all lanes in `due`. Returns the lanes where the watched output passed."""
    control = reals(frame[at.CONTROL])
    point, count = reals(frame[at.POINT]), frame[at.STATES]
    ended = 0
    if frame[at.FIXED] != 0:
        last = offset(reals(frame[at.STAGES]), FIXED_STAGES * frame[at.STRIDE] * LANES)
        clear_rows(count, last)
        ends = offset(control, at.END_OF_STEP * LANES)
        call_lanes(frame[at.RHS], ends, reals(frame[at.NEXT]), reals(frame[at.PARAMETER]), last)
    while due != 0:
        record_moments(control, due)
        interpolate(frame, frame[at.SEEN], frame[at.SEEN_ROWS])
        moments = offset(control, at.MOMENT * LANES)
        call_lanes(frame[at.OBSERVE], moments, point, reals(frame[at.PARAMETER]), reals(frame[at.OUT]))
        for lane in range(LANES):
            bit = 1 << lane
            if due & bit == 0:
                continue
            if write_row(frame, lane, point) != 0:
                interpolate(frame, count, frame[at.ALL_ROWS])
                take_column(reals(frame[at.STATE]), point, lane, count)
                control[at.TIME * LANES + lane] = control[at.MOMENT * LANES + lane]
                ended |= bit
                due &= ~bit
            elif not control[at.NEXT_SAVE * LANES + lane] < control[at.END_OF_STEP * LANES + lane]:
                due &= ~bit
    return ended


@compiled(types.int64(INTEGERS, types.float64))
def step(frame: Integers, maximum: float) -> int:
    """A step in all lanes. Returns what `judge` says, and lanes with small pivots << 24; -1 where there was none."""
    control = reals(frame[at.CONTROL])
    if frame[at.FIXED] != 0:
        frame[at.RESTART] = 0
        choose_equal_ends(control)
        attempt_fixed(frame)
        good: int = judge_equal(control, frame[at.ACTIVE], maximum)
        return good
    time = offset(control, at.TIME * LANES)
    call_lanes(frame[at.JAC], time, reals(frame[at.STATE]), reals(frame[at.PARAMETER]), reals(frame[at.JACOBIAN]))
    if frame[at.RESTART] != 0 and restart(frame) == 0:
        return -1
    choose_ends(control)
    bad = attempt_lanes(frame) & frame[at.ACTIVE]
    verdict: int = judge(control, frame[at.ACTIVE], maximum) | bad << 24
    return verdict


@compiled(types.int64(INTEGERS))
def run_lanes(frame: Integers) -> int:
    """Takes subjects until none are left."""
    control = reals(frame[at.CONTROL])
    maximum = types.float64(frame[at.MAXIMUM_STEPS])
    frame[at.READY] = 0
    for lane in range(LANES):
        open_lane(frame, lane)
    while frame[at.ACTIVE] != 0:
        verdict = step(frame, maximum)
        if verdict < 0:
            continue
        bad = verdict >> 24
        accepted = verdict & 255 & ~bad
        attention = ((verdict >> 8) & 255) | bad
        due = (verdict >> 16) & 255 & ~bad
        ended = record_due(frame, due) if due != 0 else 0
        accepted &= ~ended
        frame[at.READY] = 0
        if accepted == frame[at.ACTIVE]:
            frame[at.STATE], frame[at.NEXT] = frame[at.NEXT], frame[at.STATE]
            if frame[at.FIXED] != 0 and due != 0 and attention == 0:
                # The derivatives at the end of the step, found for its records, are those that the next begins with.
                stages = reals(frame[at.STAGES])
                copy_rows(frame[at.STATES], stages, offset(stages, FIXED_STAGES * frame[at.STRIDE] * LANES))
                frame[at.READY] = 1
        else:
            take_lanes(frame[at.STATES], reals(frame[at.STATE]), reals(frame[at.NEXT]), accepted)
        take_lanes(1, offset(control, at.TIME * LANES), offset(control, at.END_OF_STEP * LANES), accepted)
        if attention | ended != 0:
            attend(frame, attention | ended, bad, ended)
    return 0
