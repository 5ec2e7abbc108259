"""The life between two events as a machine: from the answer to one question it goes on to the next question.

A macro step is predicted with the linear day, one real day is looked at at its end, and the step is done again with the
summaries bent to what that day showed; the base then moves to that day. Phases follow one another in this order;
days that open a life, or follow an event, enter at the phase they need.
"""

from __future__ import annotations

import math

from isletsim.macro import layout as at
from isletsim.macro.near import (
    apart,
    follow,
    midnight_near,
    moves,
    room,
    shifted,
    shown,
    stale,
    surprise,
    tell,
    tell_bend,
    worth,
)
from isletsim.solver import lane_frame as lane
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
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

FOUND = types.void(INTEGERS, INTEGERS, REALS)


@compiled(types.void(REALS, REALS, types.int64))
def copy(out: Reals, source: Reals, count: int) -> None:
    """``out = source``."""
    for index in range(count):
        out[index] = source[index]


# --- days ---


@compiled(types.float64(types.float64, types.float64, types.float64, types.float64))
def between(first: float, last: float, low: float, high: float) -> float:
    """The share of a straight line that is between two levels; of a level one all or nothing."""
    inside = min(max(last, low), high)
    if first == last:
        return 1.0 if inside == last else 0.0
    return (inside - min(max(first, low), high)) / (last - first)


@compiled(types.void(INTEGERS, INTEGERS, REALS, REALS, REALS, REALS))
def summarise(frame: Integers, card: Integers, rows: Reals, state: Reals, day: Reals, gaps: Reals) -> None:
    """The summaries of a day that is over, and how far the source of each is from closing."""
    outputs, records, samples = frame[at.DAY_OUTPUTS], card[at.CARD_ROWS], card[at.CARD_SAMPLES]
    sampled = integers(card[at.CARD_SAMPLED])
    for k in range(frame[at.UPS]):
        kind, place = integers(card[at.CARD_KINDS])[k], integers(card[at.CARD_PLACES])[k]
        column = integers(card[at.CARD_COLUMNS])[k]
        limits = offset(reals(card[at.CARD_LIMITS]), 2 * k)
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


@compiled(FOUND)
def take_day(frame: Integers, whole: Integers, real: Reals) -> None:
    """Read the day that was looked at."""
    day, state, gaps = offset(real, frame[at.AT_DAY]), reals(whole[at.ANSWER_STATE]), offset(real, frame[at.AT_GAPS])
    summarise(frame, integers(whole[at.CARD]), reals(whole[at.ANSWER_ROWS]), state, day, gaps)
    copy(offset(real, frame[at.AT_EVENING]), state, frame[at.MIDNIGHT])
    gap = 0.0
    for k in range(frame[at.UPS]):
        gap = max(gap, gaps[k] / reals(frame[at.TOLERANCES])[k])
    real[at.DAY_GAP] = gap


@compiled(FOUND)
def look_at_pace(frame: Integers, whole: Integers, real: Reals) -> None:
    """Whether the fixed step still suits days that read the target; looked at only where they have become others."""
    far = 0.0
    for j in range(frame[at.DOWNS]):
        way = (real[frame[at.AT_TARGET] + j] - real[frame[at.AT_PACED] + j]) / reals(frame[at.WIDTHS])[j]
        far += way * way
    whole[at.NUMBER] = 0
    whole[at.PHASE] = at.LOOK
    if math.sqrt(far) > reals(frame[at.RULES])[at.LOOK_AGAIN]:
        whole[at.STATUS] = at.PACED


@compiled(FOUND)
def look(frame: Integers, whole: Integers, real: Reals) -> None:
    """Ask for a real day."""
    whole[at.NUMBER] += 1
    whole[at.DAYS] += 1
    whole[at.ASKED] = 1
    copy(offset(real, frame[at.AT_ASKED_V]), offset(real, frame[at.AT_TARGET]), frame[at.DOWNS])
    copy(offset(real, frame[at.AT_ASKED_X]), offset(real, frame[at.AT_MORNING]), frame[at.MIDNIGHT])
    whole[at.STATUS] = at.DAY
    whole[at.PHASE] = at.LOOKED_AT


@compiled(types.float64(INTEGERS, REALS))
def strangeness(frame: Integers, real: Reals) -> float:
    """How far the day that was looked at ends from the midnight expected there, in sizes of its states."""
    far = 0.0
    for m in range(frame[at.MIDNIGHT]):
        off = real[frame[at.AT_EVENING] + m] - real[frame[at.AT_EXPECTED] + m]
        far = max(far, math.fabs(off) / reals(frame[at.SCALES])[m])
    return far


@compiled(FOUND)
def looked_at(frame: Integers, whole: Integers, real: Reals) -> None:
    """The day that was asked for; another follows it where it does not close.

    The day at the end of a step never does where life moves on, since it begins with what the day before it left: it
    should end in the midnight that was expected. Where it does not, its morning was as wrong.
    """
    take_day(frame, whole, real)
    rules, passing = reals(frame[at.RULES]), whole[at.THEN] == at.JUDGE
    closed = real[at.DAY_GAP] < rules[at.GAP]
    if passing:
        closed = strangeness(frame, real) < rules[at.STRANGE] * rules[at.TOLERANCE]
    if (closed and whole[at.NUMBER] >= whole[at.LEAST]) or whole[at.NUMBER] >= whole[at.MOST]:
        whole[at.PHASE] = whole[at.THEN]
        return
    morning, evening = offset(real, frame[at.AT_MORNING]), offset(real, frame[at.AT_EVENING])
    expected = offset(real, frame[at.AT_EXPECTED])
    for m in range(frame[at.MIDNIGHT]):
        lag = morning[m] - expected[m] if passing else 0.0
        expected[m] = evening[m]
        morning[m] = shifted(evening[m], lag)
    whole[at.PHASE] = at.LOOK


# --- slopes ---


@compiled(types.void(INTEGERS))
def ask_for_slopes(whole: Integers) -> None:
    """Ask for the days of the directions, where there are any."""
    count = whole[at.ASKED]
    whole[at.PHASE] = whole[at.AFTER]
    if count > 0:
        whole[at.BATCHES] += (count + lane.LANES - 1) // lane.LANES
        whole[at.DAYS] += count
        whole[at.PERTURBED] += count
        whole[at.STATUS] = at.DAY
        whole[at.PHASE] = at.RENEWED


@compiled(FOUND)
def renew(frame: Integers, whole: Integers, real: Reals) -> None:
    """Ask for a day in every wanted direction; for two, one after the other, where a direction is new.

    Every perturbed day begins as far from the base's dawn as the slopes of midnights say, so that what the base's own
    day lacks of being periodic is in both, and in no slope.
    """
    downs, midnight, known, wanted = frame[at.DOWNS], frame[at.MIDNIGHT], frame[at.AT_KNOWN], frame[at.AT_WANTED]
    count, new = 0, 0
    for j in range(downs):
        if whole[wanted + j] == 0:
            continue
        new |= 1 - whole[known + j]
        whole[known + j] = 1
        step = 0.01 * reals(frame[at.WIDTHS])[j]
        v = offset(real, frame[at.AT_ASKED_V] + count * downs)
        x = offset(real, frame[at.AT_ASKED_X] + count * midnight)
        copy(v, offset(real, frame[at.AT_V]), downs)
        v[j] += step
        for m in range(midnight):
            x[m] = shifted(real[frame[at.AT_DAWN] + m], real[frame[at.AT_ORBIT] + m * downs + j] * step)
        count += 1
    whole[at.ASKED] = count
    whole[at.ROUNDS] = new
    whole[at.FRESH] = 1
    ask_for_slopes(whole)


@compiled(FOUND)
def renewed(frame: Integers, whole: Integers, real: Reals) -> None:
    """The slopes from the days that were asked for, or the mornings of the next ones."""
    downs, ups, midnight, wanted = frame[at.DOWNS], frame[at.UPS], frame[at.MIDNIGHT], frame[at.AT_WANTED]
    card = integers(whole[at.CARD])
    wide, states = frame[at.DAY_OUTPUTS] * card[at.CARD_ROWS], frame[at.DAY_STATES]
    day, gaps = offset(real, frame[at.AT_DAY]), offset(real, frame[at.AT_GAPS])
    number = 0
    for j in range(downs):
        if whole[wanted + j] == 0:
            continue
        state = offset(reals(whole[at.ANSWER_STATE]), number * states)
        if whole[at.ROUNDS] > 0:
            for m in range(midnight):
                change = state[m] - real[frame[at.AT_X] + m]
                real[frame[at.AT_ASKED_X] + number * midnight + m] = shifted(real[frame[at.AT_DAWN] + m], change)
        else:
            step = 0.01 * reals(frame[at.WIDTHS])[j]
            summarise(frame, card, offset(reals(whole[at.ANSWER_ROWS]), number * wide), state, day, gaps)
            for k in range(ups):
                real[frame[at.AT_JACOBIAN] + k * downs + j] = (day[k] - real[frame[at.AT_S] + k]) / step
            for m in range(midnight):
                real[frame[at.AT_ORBIT] + m * downs + j] = (state[m] - real[frame[at.AT_X] + m]) / step
            real[frame[at.AT_SEEN] + j] = real[frame[at.AT_V] + j]
        number += 1
    if whole[at.ROUNDS] > 0:
        whole[at.ROUNDS] -= 1
        ask_for_slopes(whole)
    else:
        whole[at.PHASE] = whole[at.AFTER]


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
    whole[at.TODAY] = 0
    prepared, observed = reals(frame[at.PREPARED]), reals(frame[at.OBSERVED])
    copy(prepared, offset(real, frame[at.AT_PARAMETERS]), frame[at.PARAMETERS])
    call_one(frame[at.PREPARE], prepared)
    call_at(frame[at.OBSERVE], real[at.TIME], offset(real, frame[at.AT_STATE]), prepared, observed)
    target = offset(real, frame[at.AT_TARGET])
    copy(target, offset(observed, frame[at.OUTPUTS] - frame[at.UPS] - frame[at.DOWNS]), frame[at.DOWNS])
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
    elif phase == at.ARRIVED:
        arrived(frame, whole, real)
    elif phase == at.LENGTHEN:
        lengthen(frame, whole, real)
    elif phase == at.AHEAD:
        ahead(frame, whole, real)
    else:
        tell(frame, real)
        whole[at.STATUS] = at.DONE


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
