"""The real days that a life asks for, in native code: at the end of a step, until one closes, or to measure slopes.

The functions work on the rows of one life (`layout`), its integers and its real numbers.
"""

from __future__ import annotations

import math

from isletsim.multiscale import state_layout as at
from isletsim.multiscale.surrogate_kernels import shifted
from isletsim.solver import lane_frame as lane
from isletsim.solver.kernels import INTEGERS, REALS, Integers, Reals, compiled, integers, offset, reals, types

__all__ = ["FOUND", "between", "copy", "look", "look_at_pace", "looked_at", "renew", "renewed"]

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
