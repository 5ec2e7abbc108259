"""The real days that a life asks for, in native code: at the end of a step, until one closes, or to measure slopes.

The functions work on the rows of one life (`layout`), its integers and its real numbers.
"""

from __future__ import annotations

import math

from isletsim.multiscale import state_layout as at
from isletsim.multiscale.state_layout import BatchFrame, DayDescriptor, JobState
from isletsim.multiscale.surrogate_kernels import shifted
from isletsim.solver.frame import LANES
from isletsim.solver.intrinsics import compiled, offset, struct_at
from isletsim.solver.struct import Reals

__all__ = ["between", "copy", "look", "look_at_pace", "looked_at", "renew", "renewed"]

day_at = struct_at(DayDescriptor)


@compiled
def copy(out: Reals, source: Reals, count: int) -> None:
    """``out = source``."""
    for index in range(count):
        out[index] = source[index]


# --- days ---


@compiled
def between(first: float, last: float, low: float, high: float) -> float:
    """The share of a straight line that is between two levels; of a level one all or nothing."""
    inside = min(max(last, low), high)
    if first == last:
        return 1.0 if inside == last else 0.0
    return (inside - min(max(first, low), high)) / (last - first)


@compiled
def summarise(frame: BatchFrame, card: DayDescriptor, rows: Reals, state: Reals, day: Reals, gaps: Reals) -> None:
    """The summaries of a day that is over, and how far the source of each is from closing."""
    outputs, records, samples = frame.day_outputs, card.rows, card.samples
    sampled = card.sampled
    for k in range(frame.summary_count):
        kind, place = card.kinds[k], card.places[k]
        column = card.columns[k]
        limits = offset(card.limits, 2 * k)
        gaps[k] = math.fabs(rows[(records - 1) * outputs + column] - rows[column])
        if kind == at.MEAN:
            day[k] = state[place]
        elif kind == at.AT:
            day[k] = rows[place * outputs + column]
        else:
            first = rows[sampled[0] * outputs + column]
            found = 0.0 if kind == at.FRACTION else first
            for sample in range(1, samples):
                value = rows[sampled[sample] * outputs + column]
                if kind == at.MAX:
                    found = max(found, value)
                elif kind == at.MIN:
                    found = min(found, value)
                else:
                    found += between(first, value, limits[0], limits[1])
                    first = value
            day[k] = found / (samples - 1) if kind == at.FRACTION else found


@compiled
def take_day(frame: BatchFrame, job: JobState) -> None:
    """Read the day that was looked at."""
    day, state, gaps = job.day_summaries, job.answer_state, job.gaps
    summarise(frame, day_at(job.day), job.answer_rows, state, day, gaps)
    copy(job.end_midnight, state, frame.midnight)
    gap = 0.0
    for k in range(frame.summary_count):
        gap = max(gap, gaps[k] / frame.tolerances[k])
    job.day_gap = gap


@compiled
def look_at_pace(frame: BatchFrame, job: JobState) -> None:
    """Whether the fixed step still suits days that read the target; looked at only where they have become others."""
    far = 0.0
    for j in range(frame.input_count):
        way = (job.target[j] - job.step_chosen_at[j]) / frame.widths[j]
        far += way * way
    job.number = 0
    job.phase = at.LOOK
    if math.sqrt(far) > frame.recheck_change:
        job.status = at.NEEDS_STEP


@compiled
def look(frame: BatchFrame, job: JobState) -> None:
    """Ask for a real day."""
    job.number += 1
    job.days += 1
    job.asked = 1
    copy(job.asked_inputs, job.target, frame.input_count)
    copy(job.asked_midnights, job.start_midnight, frame.midnight)
    job.status = at.DAYS
    job.phase = at.LOOKED_AT


@compiled
def strangeness(frame: BatchFrame, job: JobState) -> float:
    """How far the day that was looked at ends from the midnight expected there, in sizes of its states."""
    far = 0.0
    for m in range(frame.midnight):
        off = job.end_midnight[m] - job.expected_midnight[m]
        far = max(far, math.fabs(off) / frame.scales[m])
    return far


@compiled
def looked_at(frame: BatchFrame, job: JobState) -> None:
    """The day that was asked for; another follows it where it does not close.

    The day at the end of a step never does where life moves on, since it begins with what the day before it left: it
    should end in the midnight that was expected. Where it does not, its morning was as wrong.
    """
    take_day(frame, job)
    passing = job.then == at.JUDGE
    closed = job.day_gap < frame.gap
    if passing:
        closed = strangeness(frame, job) < frame.periodicity_tol * frame.tolerance
    if (closed and job.number >= job.least) or job.number >= job.most:
        job.phase = job.then
        return
    morning, evening = job.start_midnight, job.end_midnight
    expected = job.expected_midnight
    for m in range(frame.midnight):
        lag = morning[m] - expected[m] if passing else 0.0
        expected[m] = evening[m]
        morning[m] = shifted(evening[m], lag)
    job.phase = at.LOOK


# --- slopes ---


@compiled
def ask_for_slopes(job: JobState) -> None:
    """Ask for the days of the directions, where there are any."""
    count = job.asked
    job.phase = job.after
    if count > 0:
        job.batches += (count + LANES - 1) // LANES
        job.days += count
        job.perturbed += count
        job.status = at.DAYS
        job.phase = at.MEASURED


@compiled
def renew(frame: BatchFrame, job: JobState) -> None:
    """Ask for a day in every wanted direction; for two, one after the other, where a direction is new.

    Every perturbed day begins as far from the base's dawn as the slopes of midnights say, so that what the base's own
    day lacks of being periodic is in both, and in no slope.
    """
    downs, midnight = frame.input_count, frame.midnight
    count, new = 0, 0
    for j in range(downs):
        if job.wanted[j] == 0:
            continue
        new |= 1 - job.known[j]
        job.known[j] = 1
        step = 0.01 * frame.widths[j]
        v = offset(job.asked_inputs, count * downs)
        x = offset(job.asked_midnights, count * midnight)
        copy(v, job.day_inputs, downs)
        v[j] += step
        for m in range(midnight):
            x[m] = shifted(job.initial_midnight[m], job.midnight_jacobian[m * downs + j] * step)
        count += 1
    job.asked = count
    job.rounds = new
    job.fresh = 1
    ask_for_slopes(job)


@compiled
def renewed(frame: BatchFrame, job: JobState) -> None:
    """The slopes from the days that were asked for, or the mornings of the next ones."""
    downs, ups, midnight = frame.input_count, frame.summary_count, frame.midnight
    card = day_at(job.day)
    wide, states = frame.day_outputs * card.rows, frame.day_states
    day, gaps = job.day_summaries, job.gaps
    number = 0
    for j in range(downs):
        if job.wanted[j] == 0:
            continue
        state = offset(job.answer_state, number * states)
        if job.rounds > 0:
            for m in range(midnight):
                change = state[m] - job.midnight_state[m]
                job.asked_midnights[number * midnight + m] = shifted(job.initial_midnight[m], change)
        else:
            step = 0.01 * frame.widths[j]
            summarise(frame, card, offset(job.answer_rows, number * wide), state, day, gaps)
            for k in range(ups):
                job.jacobian[k * downs + j] = (day[k] - job.summaries[k]) / step
            for m in range(midnight):
                job.midnight_jacobian[m * downs + j] = (state[m] - job.midnight_state[m]) / step
            job.measured_at[j] = job.day_inputs[j]
        number += 1
    if job.rounds > 0:
        job.rounds -= 1
        ask_for_slopes(job)
    else:
        job.phase = job.after
