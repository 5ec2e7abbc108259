"""The way of subjects through a lane: the beginning of one, its end, and the next.

What one of several lanes cannot do (a pivot that is too small, a number that is not finite, too many steps) ends its
subject with RETRY; the driver of width 1 repeats that run and names the reason of a failure.
"""

from __future__ import annotations

import math

from isletsim.solver.events import first_signs, smallest_step
from isletsim.solver.frame import (
    COUNTS,
    DONE,
    FIXED,
    NO_CONSISTENT_START,
    NOT_FINITE,
    RETRY,
    SINGULAR,
    STEP_TOO_SMALL,
    STIFF,
    TOO_MANY_STEPS,
    WATCHED,
    Frame,
)
from isletsim.solver.happenings import happen
from isletsim.solver.intrinsics import (
    call_one,
    call_two,
    compiled,
    given,
    keep_apart,
    next_number,
    offset,
    one_lane,
    reals,
    types,
)
from isletsim.solver.rows import load_column, record_instant, store_column, take_column
from isletsim.solver.start import make_consistent
from isletsim.solver.stops import next_stop
from isletsim.solver.struct import Integers, Reals

__all__ = ["failure", "first_not_finite", "go_on", "open_lane", "replace"]

NEVER = math.inf


# Failures


@one_lane
def first_not_finite(frame: Frame, vector: Reals) -> int:
    """The first number of a vector that is not finite, or -1; one lane only."""
    for state in range(frame.states):
        if not math.fabs(vector[state]) < math.inf:
            return state
    return -1


@one_lane
def blame(frame: Frame) -> None:
    """Find the state that weighed most in the error of the step that failed; one lane only."""
    keep_apart()
    frame.worst = first_not_finite(frame, frame.next)
    error = offset(frame.errors, frame.stride)
    if frame.method == STIFF:
        error = offset(frame.stages, 7 * frame.stride)
    largest = -1.0
    if frame.worst >= 0 or frame.method == FIXED:
        return
    for index in range(frame.states):
        weight = math.fabs(error[index]) / (frame.absolute[index] + frame.relative * math.fabs(frame.state[index]))
        if not weight < math.inf:
            frame.worst = index
            return
        if weight > largest:
            largest = weight
            frame.worst = index


@compiled
def failure(frame: Frame) -> int:
    """Why the step of a lane that cannot go on failed."""
    if frame.lanes > 1:
        return RETRY
    if frame.error[0] == 0.0 or (frame.method != FIXED and frame.step[0] >= smallest_step(frame)):
        return TOO_MANY_STEPS
    blame(frame)
    if frame.singular != 0:
        return SINGULAR
    return STEP_TOO_SMALL if frame.error[0] < math.inf else NOT_FINITE


# Ends and beginnings


@compiled
def leave_counts(frame: Frame, lane: int, counts: Integers) -> None:
    """The work of a run; a single lane tells all of it."""
    counts[0] = types.int64(frame.accepted[lane])
    counts[1] = types.int64(frame.rejected[lane])
    if frame.lanes == 1 and frame.counts_step == COUNTS:
        counts[2] = frame.repeated
        counts[3] = frame.rhs_calls
        counts[4] = frame.jacobians
        counts[5] = frame.factorizations
        counts[6] = frame.pivoted
        counts[7] = frame.roots_found
        counts[8] = frame.unlocated
        counts[9] = frame.event
        counts[10] = frame.worst


@compiled
def close_lane(frame: Frame, lane: int, reason: int) -> None:
    """Write what a subject leaves behind; the lane is free."""
    subject, states, parameters = frame.subject[lane], frame.states, frame.parameters
    frame.reasons[subject] = reason
    frame.rows_written[subject] = frame.row[lane]
    leave_counts(frame, lane, offset(frame.counts, frame.counts_step * subject))
    frame.last_times[subject] = frame.time[lane]
    if given(frame.last_states):
        store_column(frame, frame.state, lane, states, offset(frame.last_states, subject * states))
    if given(frame.last_values):
        store_column(frame, frame.parameter, lane, parameters, offset(frame.last_values, subject * parameters))
    frame.active &= ~(1 << lane)
    frame.changed &= ~(1 << lane)


@compiled
def go_on(frame: Frame, lane: int) -> int:
    """A lane at whose time all is done: its records, and the next target. Return -1, or why its subject ends here."""
    if record_instant(frame, lane) != 0:
        return WATCHED
    end = frame.run_end[lane]
    if frame.time[lane] >= end:
        return DONE
    frame.target[lane] = next_stop(frame, lane, end)
    return -1


@one_lane
def reset_counts(frame: Frame) -> None:
    """What a single lane counts begins at zero."""
    frame.pivoted_now, frame.singular, frame.dense_ready = 0, 0, 0
    frame.aim, frame.crowded, frame.event, frame.worst = -1, 0, -1, -1
    frame.forced, frame.attempts, frame.nudges = 0.0, 0, 0
    frame.repeated, frame.rhs_calls, frame.jacobians, frame.factorizations = 0, 0, 0, 0
    frame.pivoted, frame.roots_found, frame.unlocated = 0, 0, 0


@compiled
def load_subject(frame: Frame, lane: int) -> None:
    """The arrays and numbers of a lane's new subject."""
    subject = frame.subject[lane]
    span = offset(frame.spans, subject * frame.spans_step)
    begin, end = span[0], span[1]
    load_column(frame, frame.parameter, lane, frame.parameters, offset(frame.values, subject * frame.values_step))
    call_one(frame.prepare, frame.parameter)
    if given(frame.starts):
        load_column(frame, frame.state, lane, frame.states, offset(frame.starts, subject * frame.starts_step))
    else:
        call_two(frame.start, frame.parameter, frame.point)
        take_column(frame, frame.state, frame.point, lane, frame.states)
    frame.time[lane] = begin
    frame.run_end[lane] = end
    frame.floor[lane] = 1e-6 * (end - begin)
    frame.step[lane] = frame.steps[subject * frame.steps_step]
    frame.longest[lane] = frame.steps[subject * frame.steps_step]
    frame.accepted[lane] = 0.0
    frame.rejected[lane] = 0.0
    frame.next_time[lane] = frame.save + 8 * frame.first_saves[subject * frame.first_saves_step]
    frame.next_save[lane] = reals(frame.next_time[lane])[0]
    row = frame.first_rows[subject]
    outputs, states = frame.saved_outputs, frame.saved_states
    frame.row[lane] = 0
    frame.next_outputs[lane] = outputs + 8 * row * frame.outputs if outputs != 0 else 0
    frame.next_states[lane] = states + 8 * row * frame.states if states != 0 else 0
    frame.stop[lane] = 0
    while next_stop(frame, lane, begin) < begin:
        frame.stop[lane] += 1


@compiled
def begin_subject(frame: Frame, lane: int) -> int:
    """The start of a lane's new subject. Return -1, or why the subject ends at once."""
    load_subject(frame, lane)
    if frame.lanes == 1:
        reset_counts(frame)
        frame.ready = 0
    for index in range(frame.states):
        if not math.fabs(frame.state[index * frame.lanes + lane]) < math.inf:
            frame.worst = index
            return NOT_FINITE if frame.lanes == 1 else RETRY
    if frame.lanes == 1:
        if make_consistent(frame) != 0:
            return NO_CONSISTENT_START
        if frame.roots > 0:
            first_signs(frame)
    if record_instant(frame, lane) != 0:
        return WATCHED
    frame.changed |= 1 << lane
    reason = happen(frame, 1 << lane)
    if reason >= 0:
        record_instant(frame, lane)
        return reason
    return go_on(frame, lane)


@compiled
def open_lane(frame: Frame, lane: int) -> None:
    """Begin the next subject that lasts, if there is one; else the lane stays empty."""
    keep_apart()
    while True:
        subject = next_number(frame.counter)
        if subject >= frame.subjects:
            break
        frame.active |= 1 << lane
        frame.subject[lane] = subject
        reason = begin_subject(frame, lane)
        if reason < 0:
            return
        close_lane(frame, lane, reason)
    frame.time[lane] = 0.0
    frame.target[lane] = 1.0
    frame.step[lane], frame.longest[lane] = 1.0, 1.0
    frame.next_save[lane] = NEVER


@compiled
def replace(frame: Frame, lane: int, reason: int) -> None:
    """End the subject of a lane and begin the next."""
    close_lane(frame, lane, reason)
    open_lane(frame, lane)
