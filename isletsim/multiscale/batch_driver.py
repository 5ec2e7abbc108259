"""Many lives at once: what most of them wait for is laid out for the lanes and answered, round by round."""

from __future__ import annotations

import math

from isletsim.ensemble import FEW
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day_kernels import copy
from isletsim.multiscale.macro_step import proceed
from isletsim.solver import lane_frame as lane
from isletsim.solver.kernels import INTEGERS, Integers, call_driver, compiled, integers, merged, offset, reals, types
from isletsim.solver.lane_frame import LANES

__all__ = ["run_macro"]


@merged
def lay_out_life(frame: Integers, count: int) -> int:
    """Lays out what a life asks: a run of the life, at the place `count` of the tables."""
    real = reals(integers(frame[at.ROWS_REAL])[integers(frame[at.CHOSEN])[count]])
    whole = integers(integers(frame[at.ROWS_WHOLE])[integers(frame[at.CHOSEN])[count]])
    states, parameters = frame[at.STATES], frame[at.PARAMETERS]
    copy(offset(reals(frame[at.STARTS]), count * states), offset(real, frame[at.AT_STATE]), states)
    copy(offset(reals(frame[at.VALUES]), count * parameters), offset(real, frame[at.AT_PARAMETERS]), parameters)
    begin, end = real[at.RUN_BEGIN], real[at.RUN_END]
    spans = offset(reals(frame[at.SPANS]), 2 * count)
    spans[0], spans[1] = begin, end
    first = integers(frame[at.FIRST_ROWS])[count]
    saves = offset(reals(frame[at.SAVE]), first + count)  # behind each list stands one number more
    if whole[at.PHASE] == at.LOOKED_AHEAD:
        saves[0], saves[1], saves[2], saves[3] = begin, begin + 0.5 * (end - begin), max(begin, end - 1.0), end
    else:
        wanted = offset(reals(whole[at.SAVE_AT]), whole[at.DONE_ROWS])
        for index in range(whole[at.ASKED]):
            saves[index] = min(wanted[index], end)
    saves[whole[at.ASKED]] = math.inf
    integers(frame[at.FIRST_SAVES])[count] = frame[at.SAVE] // 8 + first + count  # counted from address 0
    return first + whole[at.ASKED]


@merged
def lay_out_days(frame: Integers, count: int) -> int:
    """Lays out what a life asks: days, from the place `count` of the tables."""
    real = reals(integers(frame[at.ROWS_REAL])[integers(frame[at.CHOSEN])[count]])
    whole = integers(integers(frame[at.ROWS_WHOLE])[integers(frame[at.CHOSEN])[count]])
    card = integers(whole[at.CARD])
    downs, midnight, parameters = frame[at.DOWNS], frame[at.MIDNIGHT], frame[at.DAY_PARAMETERS]
    row = integers(frame[at.FIRST_ROWS])[count]
    for number in range(whole[at.ASKED]):
        place = count + number
        start = offset(reals(frame[at.STARTS]), place * frame[at.DAY_STATES])
        copy(start, offset(real, frame[at.AT_ASKED_X] + number * midnight), midnight)
        for index in range(midnight, frame[at.DAY_STATES]):
            start[index] = 0.0  # integrals
        values = offset(reals(frame[at.VALUES]), place * parameters)
        copy(values, offset(real, frame[at.AT_PARAMETERS]), frame[at.SHARED])
        for j in range(downs):
            values[integers(frame[at.DAY_PLACES])[j]] = real[frame[at.AT_ASKED_V] + number * downs + j]
        for index in range(6):
            integers(frame[at.HEADS])[6 * place + index] = card[at.CARD_HEAD + index]
        spans = offset(reals(frame[at.SPANS]), 2 * place)
        spans[0], spans[1] = 0.0, 1.0
        reals(frame[at.STEPS])[place] = real[at.PACE]
        integers(frame[at.FIRST_SAVES])[place] = card[at.CARD_SAVE] // 8
        integers(frame[at.FIRST_ROWS])[place] = row
        row += card[at.CARD_ROWS]
    return row


@merged
def lay_out(frame: Integers, kind: int) -> int:
    """Lays out what is asked by all who wait for runs of the life, or for days, as far as there is room.

    Returns how many runs that are.
    """
    count, row = 0, 0
    room = frame[at.DAY_RECORDS] if kind == at.DAY else frame[at.RECORDS]
    for life in range(frame[at.LIVES]):
        whole = integers(integers(frame[at.ROWS_WHOLE])[life])
        if whole[at.STATUS] != kind or whole[at.ASKS_PYTHON] != 0:
            continue
        runs, records = 1, whole[at.ASKED]
        if kind == at.DAY:
            runs, records = whole[at.ASKED], whole[at.ASKED] * integers(whole[at.CARD])[at.CARD_ROWS]
            if not reals(integers(frame[at.ROWS_REAL])[life])[at.PACE] > 0.0:
                whole[at.ASKS_PYTHON] = 1  # days whose steps follow the error
                continue
        if count + runs > frame[at.ROOM] or row + records > room:
            break
        integers(frame[at.CHOSEN])[count] = life
        integers(frame[at.FIRST_ROWS])[count] = row
        row = lay_out_days(frame, count) if kind == at.DAY else lay_out_life(frame, count)
        count += runs
    return count


@merged
def take(frame: Integers, kind: int, count: int, done: int) -> None:
    """The answers to so many runs; what lanes could not do is left to Python."""
    outputs, states = frame[at.OUTPUTS], frame[at.STATES]
    if kind == at.DAY:
        outputs, states = frame[at.DAY_OUTPUTS], frame[at.DAY_STATES]
    place = 0
    while place < count:
        whole = integers(integers(frame[at.ROWS_WHOLE])[integers(frame[at.CHOSEN])[place]])
        whole[at.ANSWER_ROWS] = frame[at.KEPT] + 8 * outputs * integers(frame[at.FIRST_ROWS])[place]
        whole[at.ANSWER_STATE] = frame[at.ENDS] + 8 * states * place
        whole[at.ANSWER_STEPS] = 0
        whole[at.ANSWER_FAILED] = 0
        whole[at.ASKS_PYTHON] = 1 - done
        for number in range(place, place + (whole[at.ASKED] if kind == at.DAY else 1)):
            if done == 0 or integers(frame[at.REASONS])[number] != lane.DONE:
                whole[at.ASKS_PYTHON] = 1
            else:
                whole[at.ANSWER_STEPS] += integers(frame[at.COUNTS])[2 * number]
            place += 1
        if whole[at.ASKS_PYTHON] == 0:
            whole[at.STATUS] = at.GOING


@merged
def behind(frame: Integers) -> int:
    """What the life waits for that is furthest behind."""
    kind, time = at.LIFE, math.inf
    for life in range(frame[at.LIVES]):
        whole, real = integers(integers(frame[at.ROWS_WHOLE])[life]), reals(integers(frame[at.ROWS_REAL])[life])
        waiting = whole[at.STATUS] == at.LIFE or whole[at.STATUS] == at.DAY
        if waiting and whole[at.ASKS_PYTHON] == 0 and real[at.TIME] < time:
            kind, time = whole[at.STATUS], real[at.TIME]
    return kind


@compiled(types.int64(INTEGERS))
def run_macro(frame: Integers) -> int:
    """Lives go on until so few wait for the lanes as may be left."""
    while True:
        lives, days = 0, 0
        for life in range(frame[at.LIVES]):
            whole = integers(integers(frame[at.ROWS_WHOLE])[life])
            proceed(frame, whole, reals(integers(frame[at.ROWS_REAL])[life]))
            if whole[at.ASKS_PYTHON] == 0:
                lives += 1 if whole[at.STATUS] == at.LIFE else 0
                days += 1 if whole[at.STATUS] == at.DAY else 0
        if lives + days <= frame[at.FEWEST]:
            return 0
        kind = at.LIFE if lives >= days else at.DAY
        if lives + days <= LANES:
            kind = behind(frame)
        one, many = frame[at.DAY_ONE], frame[at.DAY_MANY]
        if kind == at.LIFE:
            one, many = frame[at.LIFE_ONE], frame[at.LIFE_MANY]
        count = lay_out(frame, kind)
        chosen, drive = (one, frame[at.DRIVE_ONE]) if count <= FEW else (many, frame[at.DRIVE_MANY])
        if chosen != 0 and count > 0:
            integers(frame[at.COUNTER])[0] = 0
            integers(chosen)[lane.SUBJECTS] = count
            call_driver(drive, chosen + 8 * lane.RESULT, chosen + 8 * lane.EXCEPTION, chosen)
        take(frame, kind, count, 1 if chosen != 0 else 0)
