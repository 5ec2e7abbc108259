"""A life as a machine: from the answer to one question it goes on to the next question.

A macro step is predicted with the linear day, one real day is looked at at its end, and the step is done again with the
summaries bent to what that day showed; the base then moves to that day. Phases follow one another in this order;
days that open a life enter at the phase they need. Where something happens, the way there ends and another begins.
"""

from __future__ import annotations

import math

from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day_kernels import FOUND, copy, look, look_at_pace, looked_at, renew, renewed
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
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_act,
    call_at,
    call_one,
    compiled,
    integers,
    merged,
    offset,
    reals,
    types,
)

__all__ = ["proceed"]


@compiled(FOUND)
def move(frame: Integers, whole: Integers, real: Reals) -> None:
    """The base at the day that was looked at: slopes are fresh where it came as a surprise, else bent."""
    downs, ups, known, wanted = frame[at.DOWNS], frame[at.UPS], frame[at.AT_KNOWN], frame[at.AT_WANTED]
    real[at.MISSED] = surprise(frame, real)
    surprised = 1 if real[at.MISSED] > 0.5 else 0
    for j in range(downs):
        moved = apart(frame, j, real[frame[at.AT_TARGET] + j], real[frame[at.AT_V] + j])
        whole[wanted + j] = 1 if moved or whole[known + j] != 0 else 0
        surprised |= whole[wanted + j] & ~whole[known + j]
    if surprised == 0:
        follow(frame, real)
    copy(offset(real, frame[at.AT_V]), offset(real, frame[at.AT_TARGET]), downs)
    copy(offset(real, frame[at.AT_S]), offset(real, frame[at.AT_DAY]), ups)
    copy(offset(real, frame[at.AT_X]), offset(real, frame[at.AT_EVENING]), frame[at.MIDNIGHT])
    copy(offset(real, frame[at.AT_DAWN]), offset(real, frame[at.AT_MORNING]), frame[at.MIDNIGHT])
    for k in range(ups):
        real[frame[at.AT_CURVE] + k] = room(frame, k, real[frame[at.AT_S] + k])
    whole[at.FRESH] = 0
    whole[at.PHASE] = whole[at.NEXT]
    if surprised != 0:
        count = 0
        for j in range(downs):
            if whole[wanted + j] != 0 and whole[known + j] != 0 and not worth(frame, real, j):
                whole[wanted + j] = 0
            count += whole[wanted + j]
    else:
        count = stale(frame, real, whole)
    if count > 0:
        whole[at.AFTER] = whole[at.NEXT]
        renew(frame, whole, real)


# --- what happens ---


@compiled(types.void(INTEGERS, REALS, REALS))
def read(frame: Integers, real: Reals, out: Reals) -> None:
    """What the day reads of the life as it is; all its outputs are left in the work space."""
    prepared, observed = reals(frame[at.PREPARED]), reals(frame[at.OBSERVED])
    copy(prepared, offset(real, frame[at.AT_PARAMETERS]), frame[at.PARAMETERS])
    call_one(frame[at.PREPARE], prepared)
    call_at(frame[at.OBSERVE], real[at.TIME], offset(real, frame[at.AT_STATE]), prepared, observed)
    copy(out, offset(observed, frame[at.OUTPUTS] - frame[at.UPS] - frame[at.DOWNS]), frame[at.DOWNS])


@compiled(types.void(INTEGERS, REALS, INTEGERS, types.int64))
def give(frame: Integers, real: Reals, agenda: Integers, stop: int) -> None:
    """Does the entries of a stop of the agenda; the work space has the life's prepared parameters."""
    state, prepared = offset(real, frame[at.AT_STATE]), reals(frame[at.PREPARED])
    for entry in range(integers(agenda[2])[stop], integers(agenda[2])[stop + 1]):
        kind, index, amount = integers(agenda[3])[entry], integers(agenda[4])[entry], reals(agenda[5])[entry]
        if kind == 1:
            call_act(frame[at.ACT], types.int32(index), amount, real[at.TIME], state, prepared)
        elif kind == 2:
            prepared[index] = amount
        call_one(frame[at.PREPARE], prepared)
    copy(offset(real, frame[at.AT_PARAMETERS]), prepared, frame[at.PARAMETERS])


@compiled(FOUND)
def note_jump(frame: Integers, whole: Integers, real: Reals) -> None:
    """Whether what happened has moved what the day reads, and so far that it is not foreseen."""
    rules, downs, widths = reals(frame[at.RULES]), frame[at.DOWNS], reals(frame[at.WIDTHS])
    before, after = offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_ASKED_V])
    moved, unforeseen, far = 0, 0.0, 0.0
    for j in range(downs):
        moved |= 1 if apart(frame, j, after[j], before[j]) else 0
        if whole[frame[at.AT_KNOWN] + j] == 0:
            way = (after[j] - before[j]) / widths[j]
            unforeseen += way * way
    for k in range(frame[at.UPS]):
        change = along(offset(real, frame[at.AT_JACOBIAN] + k * downs), after, before, downs)
        far = max(far, math.fabs(change) / reals(frame[at.TOLERANCES])[k])
    whole[at.MOVED] = moved
    whole[at.SETTLE] = 1 if moved != 0 and (math.sqrt(unforeseen) > rules[at.JUMP] or far > rules[at.LIVED]) else 0


@compiled(FOUND)
def set_out(frame: Integers, whole: Integers, real: Reals) -> None:
    """The end of the way to the next event, or to the end of all."""
    agenda = integers(whole[at.AGENDA])
    real[at.END] = real[at.LAST]
    if whole[at.HAPPENED] < agenda[0]:
        real[at.END] = min(reals(agenda[1])[whole[at.HAPPENED]], real[at.LAST])


@compiled(FOUND)
def happen(frame: Integers, whole: Integers, real: Reals) -> None:
    """What happens at one instant; what is recorded then is what it leaves behind.

    Where it moves what the day reads, the days are held where they were until one has been looked at.
    """
    agenda, stop = integers(whole[at.AGENDA]), whole[at.HAPPENED]
    before, after = offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_ASKED_V])
    real[at.TIME] = reals(agenda[1])[stop]
    read(frame, real, before)
    give(frame, real, agenda, stop)
    whole[at.HAPPENED] = stop + 1
    read(frame, real, after)
    note_jump(frame, whole, real)
    if whole[at.MOVED] != 0:
        hold(frame, real, before)
        read(frame, real, after)
    done, wide = whole[at.DONE_ROWS], frame[at.OUTPUTS]
    if done > 0 and reals(whole[at.SAVE_AT])[done - 1] == real[at.TIME]:
        copy(offset(reals(whole[at.RECORDS_AT]), wide * (done - 1)), reals(frame[at.OBSERVED]), wide)
    set_out(frame, whole, real)
    if whole[at.SETTLE] != 0 or real[at.TIME] >= real[at.LAST] - 1e-9:
        whole[at.STATUS] = at.DONE
    elif whole[at.MOVED] != 0:
        whole[at.PHASE] = at.ARRIVED
    else:
        whole[at.PHASE] = at.LENGTHEN


# --- macro steps ---


@compiled(types.void(INTEGERS, types.int64))
def settle(whole: Integers, then: int) -> None:
    """Days like the target until one closes, three at most."""
    whole[at.LEAST] = 1
    whole[at.MOST] = 3
    whole[at.THEN] = then
    whole[at.PHASE] = at.LOOK_AT_PACE


@compiled(FOUND)
def arrived(frame: Integers, whole: Integers, real: Reals) -> None:
    """Where something has just happened: a look at the day that reads what it made of the life, if it is worth one."""
    whole[at.MOVED] = 0
    target = offset(real, frame[at.AT_TARGET])
    read(frame, real, target)
    whole[at.PHASE] = at.LENGTHEN
    if moves(frame, real, target) > reals(frame[at.RULES])[at.LOOKED]:
        midnight_near(frame, real, target, offset(real, frame[at.AT_MORNING]))
        settle(whole, at.MOVE)
        whole[at.NEXT] = at.LENGTHEN


@compiled(types.float64(types.float64))
def rounded(length: float) -> float:
    """The nearest whole number; of two the even one."""
    below = math.floor(length)
    above = length - below
    odd = below - 2.0 * math.floor(0.5 * below)
    return below + 1.0 if above > 0.5 or (above == 0.5 and odd != 0.0) else below


@compiled(FOUND)
def lengthen(frame: Integers, whole: Integers, real: Reals) -> None:
    """The length of the next step."""
    rest, step = real[at.END] - real[at.TIME], real[at.STEP]
    length = rest / 2.0 if step < rest and rest < 2.0 * step else min(step, rest)
    real[at.LENGTH] = rest if rest < 1.5 else max(1.0, min(rounded(length), math.floor(rest)))
    whole[at.PHASE] = at.AHEAD


@compiled(FOUND)
def ahead(frame: Integers, whole: Integers, real: Reals) -> None:
    """Ask how the step goes with the linear day: at its beginning, in the middle, a day before its end, and there."""
    if real[at.LENGTH] < min(reals(frame[at.RULES])[at.WORTHWHILE], real[at.END] - real[at.TIME]):
        whole[at.SPELL] = 1
        whole[at.PHASE] = at.OVER
        return
    tell(frame, real)
    real[at.RUN_BEGIN] = real[at.TIME]
    real[at.RUN_END] = real[at.TIME] + real[at.LENGTH]
    whole[at.ASKED] = 4
    whole[at.STATUS] = at.LIFE
    whole[at.PHASE] = at.LOOKED_AHEAD


@compiled(types.void(INTEGERS, INTEGERS, REALS, types.float64))
def shorten(frame: Integers, whole: Integers, real: Reals, factor: float) -> None:
    """Try again with a shorter step."""
    whole[at.REJECTED] += 1
    real[at.LENGTH] = max(reals(frame[at.RULES])[at.SHORTEST], math.floor(real[at.LENGTH] * factor))
    whole[at.PHASE] = at.AHEAD


@compiled(FOUND)
def looked_ahead(frame: Integers, whole: Integers, real: Reals) -> None:
    """What the way ahead says: directions that are new, a step that is too long, or the day at its end."""
    rules, downs, ups = reals(frame[at.RULES]), frame[at.DOWNS], frame[at.UPS]
    known, wanted, widths = frame[at.AT_KNOWN], frame[at.AT_WANTED], reals(frame[at.WIDTHS])
    shortest = real[at.LENGTH] <= rules[at.SHORTEST]
    whole[at.INNER] += whole[at.ANSWER_STEPS]
    if whole[at.ANSWER_FAILED] != 0:
        if shortest:
            whole[at.STATUS] = at.FAILED
        else:
            shorten(frame, whole, real, 0.25)
        return
    first = reals(whole[at.ANSWER_ROWS])
    wide, start = frame[at.OUTPUTS], frame[at.OUTPUTS] - ups - downs
    middle, before, last = offset(first, wide), offset(first, 2 * wide), offset(first, 3 * wide)
    new, bend = 0, 0.0
    for j in range(downs):
        begun, v = first[start + j], last[start + j]
        moving = apart(frame, j, v, begun) or apart(frame, j, v, real[frame[at.AT_V] + j])
        whole[wanted + j] = 1 if moving and whole[known + j] == 0 else 0
        new |= whole[wanted + j]
        curvature = (middle[start + j] - 0.5 * (begun + v)) / widths[j]
        bend += curvature * curvature
        real[frame[at.AT_TARGET] + j] = v
    if new != 0:
        whole[at.AFTER] = at.AHEAD
        renew(frame, whole, real)
        return
    bend = math.sqrt(bend)
    far = 0.0
    for k in range(ups):
        place, expected = start + downs + k, real[frame[at.AT_S] + k]
        change = max(math.fabs(middle[place] - expected), math.fabs(last[place] - expected))
        far = max(far, change / reals(frame[at.TOLERANCES])[k])
    trusted = rules[at.TRUST] / rules[at.TOLERANCE]
    if not shortest and bend > rules[at.BEND]:
        shorten(frame, whole, real, max(0.3, 0.9 * rules[at.BEND] / bend))
    elif not shortest and far > trusted:
        shorten(frame, whole, real, max(0.25, 0.8 * trusted / far))
    else:
        midnight_near(frame, real, offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_EXPECTED]))
        midnight_near(frame, real, offset(before, start), offset(real, frame[at.AT_MORNING]))
        settle(whole, at.JUDGE)


@compiled(FOUND)
def judge(frame: Integers, whole: Integers, real: Reals) -> None:
    """Whether the day at the end of the step is near enough to what was expected of it."""
    rules = reals(frame[at.RULES])
    missed = max(surprise(frame, real), shown(frame, real) / rules[at.SHOWN])
    real[at.JUDGED] = missed
    whole[at.PHASE] = at.CORRECT
    if missed <= (1.0 if whole[at.FRESH] != 0 else rules[at.DOUBT]) or real[at.LENGTH] <= rules[at.SHORTEST]:
        return
    if whole[at.FRESH] != 0:
        shorten(frame, whole, real, max(0.25, 0.9 / math.sqrt(missed)))
        return
    whole[at.REJECTED] += 1
    for j in range(frame[at.DOWNS]):
        wanted = whole[frame[at.AT_KNOWN] + j] != 0 and worth(frame, real, j)
        whole[frame[at.AT_WANTED] + j] = 1 if wanted else 0
    whole[at.AFTER] = at.AHEAD
    renew(frame, whole, real)


@compiled(FOUND)
def correct(frame: Integers, whole: Integers, real: Reals) -> None:
    """Ask for the step once more, with the summaries bent to what the real day showed."""
    whole[at.MACRO] += 1
    end = real[at.TIME] + real[at.LENGTH]
    tell_bend(frame, real, real[at.TIME], end)
    saves, count = reals(whole[at.SAVE_AT]), whole[at.DONE_ROWS]
    while count < whole[at.SAVES] and saves[count] <= end + 1e-9:
        count += 1
    real[at.RUN_BEGIN] = real[at.TIME]
    real[at.RUN_END] = end
    whole[at.ASKED] = count - whole[at.DONE_ROWS]
    whole[at.STATUS] = at.LIFE
    whole[at.PHASE] = at.RECORDED


@compiled(FOUND)
def recorded(frame: Integers, whole: Integers, real: Reals) -> None:
    """The life at the end of the step."""
    whole[at.INNER] += whole[at.ANSWER_STEPS]
    wide = frame[at.OUTPUTS]
    rows = offset(reals(whole[at.RECORDS_AT]), wide * whole[at.DONE_ROWS])
    copy(rows, reals(whole[at.ANSWER_ROWS]), wide * whole[at.ASKED])
    whole[at.DONE_ROWS] += whole[at.ASKED]
    if whole[at.ANSWER_FAILED] != 0:
        whole[at.STATUS] = at.FAILED
        return
    copy(offset(real, frame[at.AT_STATE]), reals(whole[at.ANSWER_STATE]), frame[at.STATES])
    whole[at.NEXT] = at.STEPPED
    whole[at.PHASE] = at.MOVE


@compiled(FOUND)
def stepped(frame: Integers, whole: Integers, real: Reals) -> None:
    """The time at the end of the step, and how long the next one may be."""
    rules = reals(frame[at.RULES])
    growth = min(3.0, 0.9 / math.sqrt(max(real[at.JUDGED], 1e-12)))
    real[at.STEP] = min(rules[at.LONGEST], max(rules[at.SHORTEST], real[at.LENGTH] * growth))
    real[at.TIME] += real[at.LENGTH]
    whole[at.PHASE] = at.LENGTHEN if real[at.TIME] < real[at.END] - 1e-9 else at.OVER


@compiled(FOUND)
def over(frame: Integers, whole: Integers, real: Reals) -> None:
    """The end of a way: what happens there, if the life came there and something does."""
    tell(frame, real)
    agenda, stop = integers(whole[at.AGENDA]), whole[at.HAPPENED]
    due = whole[at.SPELL] == 0 and stop < agenda[0] and reals(agenda[1])[stop] <= real[at.END]
    whole[at.PHASE] = at.HAPPEN
    if not due:
        whole[at.STATUS] = at.DONE


@merged
def step(frame: Integers, whole: Integers, real: Reals) -> None:
    """A phase of a macro step."""
    phase = whole[at.PHASE]
    if phase == at.LOOKED_AHEAD:
        looked_ahead(frame, whole, real)
    elif phase == at.JUDGE:
        judge(frame, whole, real)
    elif phase == at.CORRECT:
        correct(frame, whole, real)
    elif phase == at.RECORDED:
        recorded(frame, whole, real)
    elif phase == at.STEPPED:
        stepped(frame, whole, real)
    elif phase == at.HAPPEN:
        happen(frame, whole, real)
    elif phase == at.ARRIVED:
        arrived(frame, whole, real)
    elif phase == at.LENGTHEN:
        lengthen(frame, whole, real)
    elif phase == at.AHEAD:
        ahead(frame, whole, real)
    else:
        over(frame, whole, real)


@merged
def proceed(frame: Integers, whole: Integers, real: Reals) -> None:
    """A life, until it must know something more."""
    while whole[at.STATUS] == at.GOING:
        phase = whole[at.PHASE]
        if phase == at.LOOK_AT_PACE:
            look_at_pace(frame, whole, real)
        elif phase == at.LOOK:
            look(frame, whole, real)
        elif phase == at.LOOKED_AT:
            looked_at(frame, whole, real)
        elif phase == at.MOVE:
            move(frame, whole, real)
        elif phase == at.RENEWED:
            renewed(frame, whole, real)
        else:
            step(frame, whole, real)
