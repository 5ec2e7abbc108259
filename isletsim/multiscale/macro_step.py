"""A life as a machine: from the answer to one question it goes on to the next question.

A macro step is predicted with the linear day, one real day is looked at at its end, and the step is done again with the
summaries bent to what that day showed; the base then moves to that day. Phases follow one another in this order;
days that open a life enter at the phase they need. Where something happens, the way there ends and another begins.
"""

from __future__ import annotations

import math

from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day_kernels import copy, look, look_at_pace, looked_at, renew, renewed
from isletsim.multiscale.state_layout import BatchFrame, JobState
from isletsim.multiscale.surrogate_kernels import (
    along,
    apart,
    follow,
    hold,
    midnight_near,
    moves,
    room,
    shown,
    stale,
    surprise,
    tell,
    tell_bend,
    worth,
)
from isletsim.solver.frame import ScheduleHead
from isletsim.solver.intrinsics import call_act, call_at, call_one, compiled, merged, offset, struct_at, types
from isletsim.solver.struct import Reals

__all__ = ["proceed"]

schedule_at = struct_at(ScheduleHead)


@compiled
def move(frame: BatchFrame, job: JobState) -> None:
    """The base at the day that was looked at: slopes are fresh where it came as a surprise, else bent."""
    downs, ups = frame.input_count, frame.summary_count
    job.missed = surprise(frame, job)
    surprised = 1 if job.missed > 0.5 else 0
    for j in range(downs):
        moved = apart(frame, j, job.target[j], job.day_inputs[j])
        job.wanted[j] = 1 if moved or job.known[j] != 0 else 0
        surprised |= job.wanted[j] & ~job.known[j]
    if surprised == 0:
        follow(frame, job)
    copy(job.day_inputs, job.target, downs)
    copy(job.summaries, job.day_summaries, ups)
    copy(job.midnight_state, job.end_midnight, frame.midnight)
    copy(job.initial_midnight, job.start_midnight, frame.midnight)
    for k in range(ups):
        job.curvature[k] = room(frame, k, job.summaries[k])
    job.fresh = 0
    job.phase = job.next
    if surprised != 0:
        count = 0
        for j in range(downs):
            if job.wanted[j] != 0 and job.known[j] != 0 and not worth(frame, job, j):
                job.wanted[j] = 0
            count += job.wanted[j]
    else:
        count = stale(frame, job)
    if count > 0:
        job.after = job.next
        renew(frame, job)


# --- what happens ---


@compiled
def read(frame: BatchFrame, job: JobState, out: Reals) -> None:
    """What the day reads of the life as it is; all its outputs are left in the work space."""
    prepared, observed = frame.prepared, frame.observed
    copy(prepared, job.parameters, frame.parameters)
    call_one(frame.prepare, prepared)
    frame.instant[0] = job.time
    call_at(frame.observe, frame.instant, job.state, prepared, observed)
    copy(out, offset(observed, frame.outputs - frame.summary_count - frame.input_count), frame.input_count)


@compiled
def give(frame: BatchFrame, job: JobState, agenda: ScheduleHead, stop: int) -> None:
    """Does the entries of a stop of the agenda; the work space has the life's prepared parameters."""
    state, prepared = job.state, frame.prepared
    for entry in range(agenda.first[stop], agenda.first[stop + 1]):
        kind, index, amount = agenda.kinds[entry], agenda.indices[entry], agenda.amounts[entry]
        if kind == 1:
            frame.instant[0], frame.instant[1] = job.time, amount
            call_act(frame.act, types.int32(index), offset(frame.instant, 1), frame.instant, state, prepared)
        elif kind == 2:
            prepared[index] = amount
        call_one(frame.prepare, prepared)
    copy(job.parameters, prepared, frame.parameters)


@compiled
def note_jump(frame: BatchFrame, job: JobState) -> None:
    """Whether what happened has moved what the day reads, and so far that it is not foreseen."""
    downs, widths = frame.input_count, frame.widths
    before, after = job.target, job.asked_inputs
    moved, unforeseen, far = 0, 0.0, 0.0
    for j in range(downs):
        moved |= 1 if apart(frame, j, after[j], before[j]) else 0
        if job.known[j] == 0:
            way = (after[j] - before[j]) / widths[j]
            unforeseen += way * way
    for k in range(frame.summary_count):
        change = along(offset(job.jacobian, k * downs), after, before, downs)
        far = max(far, math.fabs(change) / frame.tolerances[k])
    job.moved = moved
    job.settle = (
        1 if moved != 0 and (math.sqrt(unforeseen) > frame.unforeseen_input or far > frame.unforeseen_summary) else 0
    )


@compiled
def set_out(frame: BatchFrame, job: JobState) -> None:
    """The end of the way to the next event, or to the end of all."""
    agenda = schedule_at(job.agenda)
    job.end = job.last
    if job.stops_done < agenda.count:
        job.end = min(agenda.times[job.stops_done], job.last)


@compiled
def happen(frame: BatchFrame, job: JobState) -> None:
    """What happens at one instant; what is recorded then is what it leaves behind.

    Where it moves what the day reads, the days are held where they were until one has been looked at.
    """
    agenda, stop = schedule_at(job.agenda), job.stops_done
    before, after = job.target, job.asked_inputs
    job.time = agenda.times[stop]
    read(frame, job, before)
    give(frame, job, agenda, stop)
    job.stops_done = stop + 1
    read(frame, job, after)
    note_jump(frame, job)
    if job.moved != 0:
        hold(frame, job, before)
        read(frame, job, after)
    done, wide = job.done_rows, frame.outputs
    if done > 0 and job.save[done - 1] == job.time:
        copy(offset(job.records, wide * (done - 1)), frame.observed, wide)
    set_out(frame, job)
    if job.settle != 0 or job.time >= job.last - 1e-9:
        job.status = at.DONE
    elif job.moved != 0:
        job.phase = at.ARRIVED
    else:
        job.phase = at.LENGTHEN


# --- macro steps ---


@compiled
def settle(job: JobState, then: int) -> None:
    """Days like the target until one closes, three at most."""
    job.least = 1
    job.most = 3
    job.then = then
    job.phase = at.CHECK_STEP


@compiled
def arrived(frame: BatchFrame, job: JobState) -> None:
    """Where something has just happened: a look at the day that reads what it made of the life, if it is worth one."""
    job.moved = 0
    target = job.target
    read(frame, job, target)
    job.phase = at.LENGTHEN
    if moves(frame, job, target) > frame.probe_change:
        midnight_near(frame, job, target, job.start_midnight)
        settle(job, at.MOVE)
        job.next = at.LENGTHEN


@compiled
def rounded(length: float) -> float:
    """The nearest whole number; of two the even one."""
    below = math.floor(length)
    above = length - below
    odd = below - 2.0 * math.floor(0.5 * below)
    return below + 1.0 if above > 0.5 or (above == 0.5 and odd != 0.0) else below


@compiled
def lengthen(frame: BatchFrame, job: JobState) -> None:
    """The length of the next step."""
    rest, step = job.end - job.time, job.step
    length = rest / 2.0 if step < rest and rest < 2.0 * step else min(step, rest)
    job.length = rest if rest < 1.5 else max(1.0, min(rounded(length), math.floor(rest)))
    job.phase = at.AHEAD


@compiled
def ahead(frame: BatchFrame, job: JobState) -> None:
    """Ask how the step goes with the linear day: at its beginning, in the middle, a day before its end, and there."""
    if job.length < min(frame.min_macro_days, job.end - job.time):
        job.daily_run = 1
        job.phase = at.OVER
        return
    tell(frame, job)
    job.run_begin = job.time
    job.run_end = job.time + job.length
    job.asked = 4
    job.status = at.SLOW_RUN
    job.phase = at.LOOKED_AHEAD


@compiled
def shorten(frame: BatchFrame, job: JobState, factor: float) -> None:
    """Try again with a shorter step."""
    job.rejected += 1
    job.length = max(frame.shortest, math.floor(job.length * factor))
    job.phase = at.AHEAD


@compiled
def looked_ahead(frame: BatchFrame, job: JobState) -> None:
    """What the way ahead says: directions that are new, a step that is too long, or the day at its end."""
    downs, ups, widths = frame.input_count, frame.summary_count, frame.widths
    shortest = job.length <= frame.shortest
    job.inner_steps += job.answer_steps
    if job.answer_failed != 0:
        if shortest:
            job.status = at.FAILED
        else:
            shorten(frame, job, 0.25)
        return
    first = job.answer_rows
    wide, start = frame.outputs, frame.outputs - ups - downs
    middle, before, last = offset(first, wide), offset(first, 2 * wide), offset(first, 3 * wide)
    new, bend = 0, 0.0
    for j in range(downs):
        begun, v = first[start + j], last[start + j]
        moving = apart(frame, j, v, begun) or apart(frame, j, v, job.day_inputs[j])
        job.wanted[j] = 1 if moving and job.known[j] == 0 else 0
        new |= job.wanted[j]
        curvature = (middle[start + j] - 0.5 * (begun + v)) / widths[j]
        bend += curvature * curvature
        job.target[j] = v
    if new != 0:
        job.after = at.AHEAD
        renew(frame, job)
        return
    bend = math.sqrt(bend)
    far = 0.0
    for k in range(ups):
        place, expected = start + downs + k, job.summaries[k]
        change = max(math.fabs(middle[place] - expected), math.fabs(last[place] - expected))
        far = max(far, change / frame.tolerances[k])
    trusted = frame.max_summary_change / frame.tolerance
    if not shortest and bend > frame.max_curvature:
        shorten(frame, job, max(0.3, 0.9 * frame.max_curvature / bend))
    elif not shortest and far > trusted:
        shorten(frame, job, max(0.25, 0.8 * trusted / far))
    else:
        midnight_near(frame, job, job.target, job.expected_midnight)
        midnight_near(frame, job, offset(before, start), job.start_midnight)
        settle(job, at.JUDGE)


@compiled
def judge(frame: BatchFrame, job: JobState) -> None:
    """Whether the day at the end of the step is near enough to what was expected of it."""
    missed = max(surprise(frame, job), shown(frame, job) / frame.report_tol)
    job.judged = missed
    job.phase = at.CORRECT
    if missed <= (1.0 if job.fresh != 0 else frame.refresh_error) or job.length <= frame.shortest:
        return
    if job.fresh != 0:
        shorten(frame, job, max(0.25, 0.9 / math.sqrt(missed)))
        return
    job.rejected += 1
    for j in range(frame.input_count):
        wanted = job.known[j] != 0 and worth(frame, job, j)
        job.wanted[j] = 1 if wanted else 0
    job.after = at.AHEAD
    renew(frame, job)


@compiled
def correct(frame: BatchFrame, job: JobState) -> None:
    """Ask for the step once more, with the summaries bent to what the real day showed."""
    job.macro_steps += 1
    end = job.time + job.length
    tell_bend(frame, job, job.time, end)
    saves, count = job.save, job.done_rows
    while count < job.saves and saves[count] <= end + 1e-9:
        count += 1
    job.run_begin = job.time
    job.run_end = end
    job.asked = count - job.done_rows
    job.status = at.SLOW_RUN
    job.phase = at.RECORDED


@compiled
def recorded(frame: BatchFrame, job: JobState) -> None:
    """The life at the end of the step."""
    job.inner_steps += job.answer_steps
    wide = frame.outputs
    rows = offset(job.records, wide * job.done_rows)
    copy(rows, job.answer_rows, wide * job.asked)
    job.done_rows += job.asked
    if job.answer_failed != 0:
        job.status = at.FAILED
        return
    copy(job.state, job.answer_state, frame.states)
    job.next = at.STEPPED
    job.phase = at.MOVE


@compiled
def stepped(frame: BatchFrame, job: JobState) -> None:
    """The time at the end of the step, and how long the next one may be."""
    growth = min(3.0, 0.9 / math.sqrt(max(job.judged, 1e-12)))
    job.step = min(frame.longest, max(frame.shortest, job.length * growth))
    job.time += job.length
    job.phase = at.LENGTHEN if job.time < job.end - 1e-9 else at.OVER


@compiled
def over(frame: BatchFrame, job: JobState) -> None:
    """The end of a way: what happens there, if the life came there and something does."""
    tell(frame, job)
    agenda, stop = schedule_at(job.agenda), job.stops_done
    due = job.daily_run == 0 and stop < agenda.count and agenda.times[stop] <= job.end
    job.phase = at.HAPPEN
    if not due:
        job.status = at.DONE


@merged
def step(frame: BatchFrame, job: JobState) -> None:
    """A phase of a macro step."""
    phase = job.phase
    if phase == at.LOOKED_AHEAD:
        looked_ahead(frame, job)
    elif phase == at.JUDGE:
        judge(frame, job)
    elif phase == at.CORRECT:
        correct(frame, job)
    elif phase == at.RECORDED:
        recorded(frame, job)
    elif phase == at.STEPPED:
        stepped(frame, job)
    elif phase == at.HAPPEN:
        happen(frame, job)
    elif phase == at.ARRIVED:
        arrived(frame, job)
    elif phase == at.LENGTHEN:
        lengthen(frame, job)
    elif phase == at.AHEAD:
        ahead(frame, job)
    else:
        over(frame, job)


@merged
def proceed(frame: BatchFrame, job: JobState) -> None:
    """A life, until it must know something more."""
    while job.status == at.GOING:
        phase = job.phase
        if phase == at.CHECK_STEP:
            look_at_pace(frame, job)
        elif phase == at.LOOK:
            look(frame, job)
        elif phase == at.LOOKED_AT:
            looked_at(frame, job)
        elif phase == at.MOVE:
            move(frame, job)
        elif phase == at.MEASURED:
            renewed(frame, job)
        else:
            step(frame, job)
