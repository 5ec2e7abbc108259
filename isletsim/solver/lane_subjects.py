"""The life of a lane between steps: records, stops, the end of one subject and the start of the next.

What a lane cannot do (a pivot that is too small, a number that is none, too many steps) ends its subject with RETRY,
and the scalar driver does that subject again.
"""

from __future__ import annotations

import math

from isletsim.solver import lane_frame as at
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_one,
    call_two,
    compiled,
    integers,
    offset,
    reals,
    types,
)
from isletsim.solver.lane_kernels import call_lane_act, call_lanes, copy_rows, next_subject, renew_lanes

__all__ = ["do_stops", "go_on", "open_lane", "replace", "take_column", "write_row"]

LANES = at.LANES
NEVER = math.inf


@compiled(types.int64(INTEGERS, types.int64, types.int64))
def of_lane(frame: Integers, row: int, lane: int) -> int:
    """An integer of a lane."""
    return integers(frame[at.OF_LANE])[row * LANES + lane]


@compiled(types.void(INTEGERS, types.int64, types.int64, types.int64))
def set_of_lane(frame: Integers, row: int, lane: int, value: int) -> None:
    """Sets an integer of a lane."""
    integers(frame[at.OF_LANE])[row * LANES + lane] = value


@compiled(types.void(REALS, types.int64, types.int64, REALS))
def store_column(vectors: Reals, lane: int, count: int, out: Reals) -> None:
    """One lane of some vectors, as a plain array."""
    for index in range(count):
        out[index] = vectors[index * LANES + lane]


@compiled(types.void(REALS, types.int64, types.int64, REALS))
def load_column(vectors: Reals, lane: int, count: int, source: Reals) -> None:
    """A plain array into one lane of some vectors."""
    for index in range(count):
        vectors[index * LANES + lane] = source[index]


@compiled(types.int64(REALS, REALS, types.int64, types.int64))
def take_column(vectors: Reals, source: Reals, lane: int, count: int) -> int:
    """One lane of other vectors into the same lane. 1 where that changed anything."""
    touched = 0
    for index in range(count):
        place = index * LANES + lane
        if vectors[place] != source[place]:
            touched = 1
        vectors[place] = source[place]
    return touched


# Records and ends


@compiled(types.int64(INTEGERS, types.int64, REALS))
def write_row(frame: Integers, lane: int, point: Reals) -> int:
    """Writes the row of a lane for which OUT and the state `point` are ready. 1 where the watched output has passed."""
    mine = integers(frame[at.OF_LANE] + 8 * lane)
    outputs, states = frame[at.OUTPUTS], frame[at.STATES]
    out = reals(frame[at.OUT] + 8 * lane)
    address = mine[at.NEXT_OUTPUTS * LANES]
    if address != 0:
        kept = reals(address)
        for index in range(outputs):
            kept[index] = out[index * LANES]
        mine[at.NEXT_OUTPUTS * LANES] = address + 8 * outputs
    address = mine[at.NEXT_STATES * LANES]
    if address != 0:
        store_column(point, lane, states, reals(address))
        mine[at.NEXT_STATES * LANES] = address + 8 * states
    row = mine[at.ROW * LANES] + 1
    mine[at.ROW * LANES] = row
    address = mine[at.NEXT_TIME * LANES] + 8
    mine[at.NEXT_TIME * LANES] = address
    reals(frame[at.CONTROL])[at.NEXT_SAVE * LANES + lane] = reals(address)[0]
    if frame[at.WATCH_OUTPUT] < 0:
        return 0
    level = reals(frame[at.WATCH_LEVELS])[mine[at.SUBJECT * LANES] * frame[at.WATCH_STEP]]
    beyond = out[frame[at.WATCH_OUTPUT] * LANES] - level
    return 1 if beyond * frame[at.WATCH_DIRECTION] >= 0.0 else 0


@compiled(types.int64(INTEGERS, types.int64))
def record_instant(frame: Integers, lane: int) -> int:
    """Writes the rows of a lane that are due at its very time. 1 where the watched output has passed."""
    control = reals(frame[at.CONTROL])
    t = control[at.TIME * LANES + lane]
    while control[at.NEXT_SAVE * LANES + lane] <= t:
        state = reals(frame[at.STATE])
        time = offset(control, at.TIME * LANES)
        call_lanes(frame[at.OBSERVE], time, state, reals(frame[at.PARAMETER]), reals(frame[at.OUT]))
        if write_row(frame, lane, state) != 0:
            return 1
    return 0


@compiled(types.void(INTEGERS, types.int64, types.int64))
def close_lane(frame: Integers, lane: int, reason: int) -> None:
    """Writes what a subject leaves behind; the lane is free."""
    subject = of_lane(frame, at.SUBJECT, lane)
    control = reals(frame[at.CONTROL])
    states, parameters = frame[at.STATES], frame[at.PARAMETERS]
    integers(frame[at.REASONS])[subject] = reason
    integers(frame[at.ROWS_WRITTEN])[subject] = of_lane(frame, at.ROW, lane)
    integers(frame[at.COUNTS])[2 * subject] = types.int64(control[at.ACCEPTED * LANES + lane])
    integers(frame[at.COUNTS])[2 * subject + 1] = types.int64(control[at.REJECTED * LANES + lane])
    reals(frame[at.LAST_TIMES])[subject] = control[at.TIME * LANES + lane]
    if frame[at.LAST_STATES] != 0:
        store_column(reals(frame[at.STATE]), lane, states, offset(reals(frame[at.LAST_STATES]), subject * states))
    if frame[at.LAST_VALUES] != 0:
        out = offset(reals(frame[at.LAST_VALUES]), subject * parameters)
        store_column(reals(frame[at.PARAMETER]), lane, parameters, out)
    frame[at.ACTIVE] = frame[at.ACTIVE] & ~(1 << lane)
    frame[at.RESTART] = frame[at.RESTART] & ~(1 << lane)


# Stops


@compiled(types.int64(INTEGERS, types.int64, types.int64, types.int64))
def give(frame: Integers, lanes: int, kind: int, index: int) -> int:
    """Does the same entry of the schedules of some lanes, each with its AMOUNT. Returns where it changed anything."""
    state, values, control = reals(frame[at.STATE]), reals(frame[at.PARAMETER]), reals(frame[at.CONTROL])
    states, parameters = frame[at.STATES], frame[at.PARAMETERS]
    amounts, times = offset(control, at.AMOUNT * LANES), offset(control, at.TIME * LANES)
    if kind == 2:
        revised: int = renew_lanes(1, offset(values, index * LANES), amounts, lanes)
        if revised != 0:
            call_one(frame[at.PREPARE], values)
        return revised
    if kind != 1:
        return 0
    point, kept = reals(frame[at.POINT]), reals(frame[at.VALUES_COPY])
    copy_rows(states, point, state)
    copy_rows(parameters, kept, values)
    call_lane_act(frame[at.ACT], types.int32(index), amounts, times, point, kept)
    changed: int = renew_lanes(parameters, values, kept, lanes)
    if changed != 0:
        call_one(frame[at.PREPARE], values)
    changed |= renew_lanes(states, state, point, lanes)
    return changed


@compiled(types.float64(INTEGERS, types.int64, types.float64))
def next_stop(frame: Integers, lane: int, end: float) -> float:
    """The time of a lane's next stop, or the end of its run."""
    schedule = integers(frame[at.SCHEDULES] + of_lane(frame, at.SUBJECT, lane) * frame[at.SCHEDULES_STEP])
    stop = of_lane(frame, at.STOP, lane)
    return min(end, reals(schedule[1])[stop]) if stop < schedule[0] else end


@compiled(types.int64(INTEGERS, types.int64))
def find_entries(frame: Integers, lanes: int) -> int:
    """Looks up the entries of the stops at the very time of some lanes. Returns the lanes that have any."""
    control = reals(frame[at.CONTROL])
    found = 0
    for lane in range(LANES):
        if lanes & (1 << lane) == 0:
            continue
        schedule = integers(frame[at.SCHEDULES] + of_lane(frame, at.SUBJECT, lane) * frame[at.SCHEDULES_STEP])
        stop = of_lane(frame, at.STOP, lane)
        if stop >= schedule[0] or reals(schedule[1])[stop] > control[at.TIME * LANES + lane]:
            continue
        set_of_lane(frame, at.STOP, lane, stop + 1)
        first = integers(schedule[2])
        set_of_lane(frame, at.ENTRY, lane, first[stop])
        set_of_lane(frame, at.LAST_ENTRY, lane, first[stop + 1])
        if first[stop] < first[stop + 1]:
            found |= 1 << lane
    return found


@compiled(types.int64(INTEGERS, types.int64))
def do_stops(frame: Integers, lanes: int) -> int:
    """Does the entries of the stops at the very time of some lanes. Returns the lanes where that changed anything.

    Subjects often have the same plan: what stands next in several lanes is done in all of them at once.
    """
    control = reals(frame[at.CONTROL])
    waiting = find_entries(frame, lanes)
    touched = 0
    while waiting != 0:
        kind, index, together = -1, -1, 0
        for lane in range(LANES):
            bit = 1 << lane
            if waiting & bit == 0:
                continue
            schedule = integers(frame[at.SCHEDULES] + of_lane(frame, at.SUBJECT, lane) * frame[at.SCHEDULES_STEP])
            entry = of_lane(frame, at.ENTRY, lane)
            if together == 0:
                kind, index = integers(schedule[3])[entry], integers(schedule[4])[entry]
            elif kind != integers(schedule[3])[entry] or index != integers(schedule[4])[entry]:
                continue
            together |= bit
            control[at.AMOUNT * LANES + lane] = reals(schedule[5])[entry]
            set_of_lane(frame, at.ENTRY, lane, entry + 1)
            if entry + 1 >= of_lane(frame, at.LAST_ENTRY, lane):
                waiting &= ~bit
        touched |= give(frame, together, kind, index)
    return touched


@compiled(types.int64(INTEGERS, types.int64))
def go_on(frame: Integers, lane: int) -> int:
    """A lane whose stop is done: records, and the next target. Returns -1, or why its subject ends here."""
    control = reals(frame[at.CONTROL])
    if record_instant(frame, lane) != 0:
        return at.WATCHED
    end = control[at.LAST * LANES + lane]
    if control[at.TIME * LANES + lane] >= end:
        return at.DONE
    control[at.TARGET * LANES + lane] = next_stop(frame, lane, end)
    return -1


# Subjects


@compiled(types.int64(INTEGERS, types.int64))
def begin_subject(frame: Integers, lane: int) -> int:
    """The start of a lane's new subject. Returns -1, or why the subject ends at once."""
    subject = of_lane(frame, at.SUBJECT, lane)
    control, state, values = reals(frame[at.CONTROL]), reals(frame[at.STATE]), reals(frame[at.PARAMETER])
    span = offset(reals(frame[at.SPANS]), subject * frame[at.SPANS_STEP])
    begin, end = span[0], span[1]
    given = offset(reals(frame[at.VALUES]), subject * frame[at.VALUES_STEP])
    load_column(values, lane, frame[at.PARAMETERS], given)
    call_one(frame[at.PREPARE], values)
    if frame[at.STARTS] != 0:
        load_column(state, lane, frame[at.STATES], offset(reals(frame[at.STARTS]), subject * frame[at.STARTS_STEP]))
    else:
        call_two(frame[at.START], values, reals(frame[at.POINT]))
        take_column(state, reals(frame[at.POINT]), lane, frame[at.STATES])
    control[at.TIME * LANES + lane] = begin
    control[at.LAST * LANES + lane] = end
    control[at.FLOOR * LANES + lane] = 1e-6 * (end - begin)
    control[at.STEP * LANES + lane] = reals(frame[at.STEPS])[subject * frame[at.STEPS_STEP]]
    control[at.ACCEPTED * LANES + lane] = 0.0
    control[at.REJECTED * LANES + lane] = 0.0
    save = frame[at.SAVE] + 8 * integers(frame[at.FIRST_SAVES])[subject * frame[at.FIRST_SAVES_STEP]]
    set_of_lane(frame, at.NEXT_TIME, lane, save)
    control[at.NEXT_SAVE * LANES + lane] = reals(save)[0]
    row = integers(frame[at.FIRST_ROWS])[subject]
    outputs, trajectories = frame[at.SAVED_OUTPUTS], frame[at.SAVED_STATES]
    set_of_lane(frame, at.ROW, lane, 0)
    set_of_lane(frame, at.NEXT_OUTPUTS, lane, outputs + 8 * row * frame[at.OUTPUTS] if outputs != 0 else 0)
    set_of_lane(frame, at.NEXT_STATES, lane, trajectories + 8 * row * frame[at.STATES] if trajectories != 0 else 0)
    set_of_lane(frame, at.STOP, lane, 0)
    while next_stop(frame, lane, begin) < begin:
        set_of_lane(frame, at.STOP, lane, of_lane(frame, at.STOP, lane) + 1)
    for index in range(frame[at.STATES]):
        if not math.fabs(state[index * LANES + lane]) < math.inf:
            return at.RETRY
    if record_instant(frame, lane) != 0:
        return at.WATCHED
    do_stops(frame, 1 << lane)
    frame[at.RESTART] = frame[at.RESTART] | (1 << lane)
    return go_on(frame, lane)


@compiled(types.void(INTEGERS, types.int64))
def open_lane(frame: Integers, lane: int) -> None:
    """The next subject that lasts, where there is one; else the lane stands still."""
    control = reals(frame[at.CONTROL])
    while True:
        subject = next_subject(integers(frame[at.COUNTER]))
        if subject >= frame[at.SUBJECTS]:
            break
        frame[at.ACTIVE] = frame[at.ACTIVE] | (1 << lane)
        set_of_lane(frame, at.SUBJECT, lane, subject)
        reason = begin_subject(frame, lane)
        if reason < 0:
            return
        close_lane(frame, lane, reason)
    control[at.TIME * LANES + lane] = 0.0
    control[at.TARGET * LANES + lane] = 1.0
    control[at.STEP * LANES + lane] = 1.0
    control[at.NEXT_SAVE * LANES + lane] = NEVER


@compiled(types.void(INTEGERS, types.int64, types.int64))
def replace(frame: Integers, lane: int, reason: int) -> None:
    """Ends the subject of a lane and begins the next."""
    close_lane(frame, lane, reason)
    open_lane(frame, lane)
