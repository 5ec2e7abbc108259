"""Many jobs at once: what most of them wait for is laid out for the lanes and answered, round by round."""

from __future__ import annotations

import math

from isletsim.ensemble import FEW
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day_kernels import copy, day_at
from isletsim.multiscale.macro_step import proceed
from isletsim.multiscale.state_layout import BatchFrame, JobState
from isletsim.solver.frame import DONE, LANES, Frame, ScheduleHead
from isletsim.solver.intrinsics import call_driver, compiled, integers, merged, offset, struct_at
from isletsim.solver.struct import layout_of

__all__ = ["run_macro"]

job_at = struct_at(JobState)
frame_at = struct_at(Frame)  # single fields are at the same places for any number of lanes
HEAD = len(layout_of(ScheduleHead).fields)
RESULT, EXCEPTION = (layout_of(Frame).fields[name].offset for name in ("result", "exception"))


@compiled
def job_of(frame: BatchFrame, number: int) -> JobState:
    """Return a job under way."""
    return job_at(frame.job_states[number])  # type: ignore[no-any-return]


@merged
def lay_out_slow_run(frame: BatchFrame, count: int) -> int:
    """Lay out the run of the slow model that a job asks for, at the place `count` of the tables."""
    job = job_of(frame, frame.chosen[count])
    copy(offset(frame.starts, count * frame.states), job.state, frame.states)
    copy(offset(frame.values, count * frame.parameters), job.parameters, frame.parameters)
    begin, end = job.run_begin, job.run_end
    frame.spans[2 * count], frame.spans[2 * count + 1] = begin, end
    first = frame.first_rows[count]
    saves = offset(frame.save, first + count)  # behind each list is one number more
    if job.phase == at.LOOKED_AHEAD:
        saves[0], saves[1], saves[2], saves[3] = begin, begin + 0.5 * (end - begin), max(begin, end - 1.0), end
    else:
        for index in range(job.asked):
            saves[index] = min(job.save[job.done_rows + index], end)
    saves[job.asked] = math.inf
    frame.first_saves[count] = frame.save_address // 8 + first + count  # counted from address 0
    return first + job.asked


@merged
def lay_out_days(frame: BatchFrame, count: int) -> int:
    """Lay out the days that a job asks for, from the place `count` of the tables."""
    job = job_of(frame, frame.chosen[count])
    day = day_at(job.day)
    downs, midnight, parameters = frame.input_count, frame.midnight, frame.day_parameters
    row = frame.first_rows[count]
    for number in range(job.asked):
        place = count + number
        start = offset(frame.starts, place * frame.day_states)
        copy(start, offset(job.asked_midnights, number * midnight), midnight)
        for index in range(midnight, frame.day_states):
            start[index] = 0.0  # integrals
        values = offset(frame.values, place * parameters)
        copy(values, job.parameters, frame.shared)
        for j in range(downs):
            values[frame.day_places[j]] = job.asked_inputs[number * downs + j]
        for index in range(HEAD):
            frame.heads[HEAD * place + index] = integers(day.schedule)[index]
        frame.spans[2 * place], frame.spans[2 * place + 1] = 0.0, 1.0
        frame.steps[place] = job.day_step
        frame.first_saves[place] = day.save // 8
        frame.first_rows[place] = row
        row += day.rows
    return row


@merged
def lay_out(frame: BatchFrame, kind: int) -> int:
    """Lay out what is asked by all that wait for slow runs, or for days, as far as there is room.

    Return how many runs that are.
    """
    count, row = 0, 0
    room = frame.day_record_room if kind == at.DAYS else frame.record_room
    for number in range(frame.jobs):
        job = job_of(frame, number)
        if job.status != kind or job.needs_python != 0:
            continue
        runs, records = 1, job.asked
        if kind == at.DAYS:
            runs, records = job.asked, job.asked * day_at(job.day).rows
            if not job.day_step > 0.0:
                job.needs_python = 1  # days whose steps follow the error
                continue
        if count + runs > frame.room or row + records > room:
            break
        frame.chosen[count] = number
        frame.first_rows[count] = row
        row = lay_out_days(frame, count) if kind == at.DAYS else lay_out_slow_run(frame, count)
        count += runs
    return count


@merged
def take(frame: BatchFrame, kind: int, count: int, done: int) -> None:
    """Give the answers to so many runs to their jobs; what lanes could not do is left to Python."""
    outputs, states = frame.outputs, frame.states
    if kind == at.DAYS:
        outputs, states = frame.day_outputs, frame.day_states
    place = 0
    while place < count:
        job = job_of(frame, frame.chosen[place])
        job.answer_rows = offset(frame.kept, outputs * frame.first_rows[place])
        job.answer_state = offset(frame.ends, states * place)
        job.answer_steps = 0
        job.answer_failed = 0
        job.needs_python = 1 - done
        for number in range(place, place + (job.asked if kind == at.DAYS else 1)):
            if done == 0 or frame.reasons[number] != DONE:
                job.needs_python = 1
            else:
                job.answer_steps += frame.counts[2 * number]
            place += 1
        if job.needs_python == 0:
            job.status = at.GOING


@merged
def behind(frame: BatchFrame) -> int:
    """Return what the job waits for that is furthest behind in time."""
    kind, time = at.SLOW_RUN, math.inf
    for number in range(frame.jobs):
        job = job_of(frame, number)
        waiting = job.status == at.SLOW_RUN or job.status == at.DAYS
        if waiting and job.needs_python == 0 and job.time < time:
            kind, time = job.status, job.time
    return kind


@compiled
def run_macro(frame: BatchFrame) -> int:
    """Advance jobs until no more than `fewest` wait for the lanes."""
    while True:
        slow, days = 0, 0
        for number in range(frame.jobs):
            job = job_of(frame, number)
            proceed(frame, job)
            if job.needs_python == 0:
                slow += 1 if job.status == at.SLOW_RUN else 0
                days += 1 if job.status == at.DAYS else 0
        if slow + days <= frame.fewest:
            return 0
        kind = at.SLOW_RUN if slow >= days else at.DAYS
        if slow + days <= LANES:
            kind = behind(frame)
        one, many = frame.day_one, frame.day_many
        if kind == at.SLOW_RUN:
            one, many = frame.slow_one, frame.slow_many
        count = lay_out(frame, kind)
        chosen, drive = (one, frame.drive_one) if count <= FEW else (many, frame.drive_many)
        if chosen != 0 and count > 0:
            frame.counter[0] = 0
            frame_at(chosen).subjects = count
            call_driver(drive, chosen + RESULT, chosen + EXCEPTION, chosen)
        take(frame, kind, count, 1 if chosen != 0 else 0)
