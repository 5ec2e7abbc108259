"""The run: from stop to stop, with actions, records, events and kinks, inside one native call.

    next stop -> integrate there -> actions of that instant -> prepare -> record

Nothing is printed, clamped or allocated. What goes wrong ends the run with a name; the record up to there stays.
"""

from __future__ import annotations

import math

from isletsim.solver import frame as at
from isletsim.solver.begin import finite, first_step, make_consistent
from isletsim.solver.kernels import (
    INTEGERS,
    REALS,
    Integers,
    Reals,
    call_act,
    call_at,
    call_one,
    call_two,
    compiled,
    integers,
    merged,
    offset,
    reals,
    short_integers,
    types,
)
from isletsim.solver.method import attempt, exponent, finish, interpolate, refresh
from isletsim.solver.roots import (
    AT_END,
    INSIDE,
    NONE,
    crossing,
    look,
    note_signs,
    pass_roots,
    settle_signs,
    smallest_step,
)

__all__ = ["run"]

SAFETY = 0.9
LONGEST = 6.0  # a step grows at most so many times
SHORTEST = 0.2
STRETCH = 1.01  # a step that nearly reaches its target goes there
REPEATS = 12  # attempts to land on one root
NEAREST = 1e-3  # a kink that seems nearer than this, as a fraction of a failed step, is left to a shorter step
CASCADE = 1000  # events that set each other off at one instant


@compiled(types.int64(INTEGERS, types.float64, REALS))
def record(frame: Integers, t: float, state: Reals) -> int:
    """Writes one row. 1 where the watched output has passed its level."""
    row = frame[at.ROW]
    frame[at.ROW] = row + 1
    outputs = frame[at.OUTPUTS]
    if frame[at.SAVED_STATES] != 0:
        kept = offset(reals(frame[at.SAVED_STATES]), row * frame[at.STATES])
        for index in range(frame[at.STATES]):
            kept[index] = state[index]
    if outputs == 0:
        return 0
    out = offset(reals(frame[at.SAVED_OUTPUTS]), row * outputs)
    call_at(frame[at.OBSERVE], t, state, reals(frame[at.VALUES]), out)
    if frame[at.WATCH_OUTPUT] < 0:
        return 0
    beyond = out[frame[at.WATCH_OUTPUT]] - reals(frame[at.NUMBERS])[at.WATCH_LEVEL]
    return 1 if beyond * frame[at.WATCH_DIRECTION] >= 0.0 else 0


@compiled(types.int64(INTEGERS, types.float64))
def record_instant(frame: Integers, t: float) -> int:
    """Writes the rows that are due at this very time, from the present state."""
    save = reals(frame[at.SAVE])
    while frame[at.ROW] < frame[at.SAVES] and save[frame[at.ROW]] <= t:
        if record(frame, t, reals(frame[at.STATE])) != 0:
            return 1
    return 0


@compiled(types.int64(INTEGERS, types.float64, types.float64, types.float64))
def record_within(frame: Integers, t: float, h: float, end: float) -> int:
    """Writes the rows that are due before the end of an accepted step, by dense output."""
    save = reals(frame[at.SAVE])
    point = reals(frame[at.ARGUMENT])
    inverse = 1.0 / h
    while frame[at.ROW] < frame[at.SAVES] and save[frame[at.ROW]] < end:
        moment = save[frame[at.ROW]]
        interpolate(frame, t, h, (moment - t) * inverse, point)
        if record(frame, moment, point) != 0:
            reals(frame[at.NUMBERS])[at.TIME] = moment
            state = reals(frame[at.STATE])
            for index in range(frame[at.STATES]):
                state[index] = point[index]
            return 1
    return 0


@compiled(types.void(INTEGERS))
def blame(frame: Integers) -> None:
    """Finds the state that weighed most in the error of the step that failed."""
    stride = frame[at.STRIDE]
    error = reals(frame[at.ERROR])
    if frame[at.METHOD] == at.STIFF:
        error = offset(reals(frame[at.STAGES]), 7 * stride)
    state, absolute = reals(frame[at.STATE]), reals(frame[at.ABSOLUTE])
    relative = reals(frame[at.NUMBERS])[at.RELATIVE]
    worst = -1.0
    for index in range(frame[at.STATES]):
        weight = math.fabs(error[index]) / (absolute[index] + relative * math.fabs(state[index]))
        if not weight < math.inf:
            frame[at.WORST] = index
            return
        if weight > worst:
            worst = weight
            frame[at.WORST] = index


@compiled(types.int64(INTEGERS, types.float64, types.float64, types.float64))
def reject(frame: Integers, t: float, h: float, error: float) -> int:
    """Shortens the step after a failure; a code where it cannot become shorter."""
    numbers = reals(frame[at.NUMBERS])
    frame[at.REJECTED] = frame[at.REJECTED] + 1
    frame[at.REJECTED_LAST] = 1
    numbers[at.FORCED] = 0.0
    frame[at.AIM] = -1
    factor = 0.1
    if error > 1.0 and error < math.inf:
        factor = max(SHORTEST, SAFETY * error ** -exponent(frame))
    numbers[at.STEP] = h * factor
    if h * factor < smallest_step(frame, t):
        blame(frame)
        if error < 0.0:
            return at.SINGULAR
        return at.STEP_TOO_SMALL if error < math.inf else at.NOT_FINITE
    return 0


@compiled(types.void(INTEGERS, types.float64, types.float64))
def adapt(frame: Integers, h: float, error: float) -> None:
    """Chooses the next step after an accepted one."""
    if frame[at.METHOD] == at.FIXED:
        return
    numbers = reals(frame[at.NUMBERS])
    factor = SAFETY * max(error, 1e-10) ** -exponent(frame)
    if h < 0.999 * numbers[at.STEP] - smallest_step(frame, numbers[at.TIME]):
        # A step shortened for a stop or a root says little about a long one unless its error is sizable.
        # (What the rounding of the time takes from a very short step is no shortening.)
        if error > 1e-3:
            numbers[at.STEP] = min(numbers[at.STEP], h * factor)
        return
    factor = min(LONGEST, max(SHORTEST, factor))
    if frame[at.REJECTED_LAST] != 0:
        factor = min(factor, 1.0)
    frame[at.REJECTED_LAST] = 0
    numbers[at.STEP] = h * factor


@compiled(types.float64(INTEGERS, types.float64, types.float64))
def step_end(frame: Integers, t: float, target: float) -> float:
    """Where the next step ends: at a root, at the target, half-way to it, or where the error allows."""
    numbers = reals(frame[at.NUMBERS])
    h, remaining = numbers[at.STEP], target - t
    if numbers[at.FORCED] > 0.0:
        return min(t + numbers[at.FORCED], target)
    if frame[at.METHOD] == at.FIXED:  # equal steps to the target
        count = int(remaining / h - 1e-9) + 1
        return t + remaining / count if count > 1 else target
    if h * STRETCH >= remaining:
        return target
    return t + 0.5 * remaining if 2.0 * h > remaining else t + h


@compiled(types.int64(INTEGERS, types.float64, types.float64, types.float64, types.float64))
def aim_at_kink(frame: Integers, t: float, h: float, end: float, error: float) -> int:
    """A step that failed may have failed at a kink: then the next attempt ends near it. 1 where it does."""
    numbers = reals(frame[at.NUMBERS])
    if frame[at.ROOTS] == frame[at.EVENTS] or numbers[at.FORCED] > 0.0 or not (error > 1.0 and error < math.inf):
        return 0
    look(frame, end, reals(frame[at.NEXT]), reals(frame[at.ROOT_AFTER]))
    met = crossing(frame, t, h)
    # A step that failed may place a kink just ahead again and again: steps of no length would never reach it.
    if met != INSIDE or frame[at.AIM] < frame[at.EVENTS] or numbers[at.CROSSING] < NEAREST:
        frame[at.AIM] = -1
        return 0
    # Only near it: a step that failed tells roughly where the kink is, so it is not yet counted as met.
    frame[at.AIM] = -1
    frame[at.REJECTED] = frame[at.REJECTED] + 1
    numbers[at.FORCED] = max(numbers[at.CROSSING] * h, smallest_step(frame, t))
    return 1


@merged
def advance(frame: Integers, target: float) -> int:
    """Integrates to the target, or until an event happens."""
    numbers = reals(frame[at.NUMBERS])
    repeated = 0
    while True:
        t = numbers[at.TIME]
        if frame[at.STEPS] + frame[at.REJECTED] + frame[at.REPEATED] >= frame[at.MAXIMUM_STEPS]:
            return at.TOO_MANY_STEPS
        refresh(frame, t)
        end = step_end(frame, t, target)
        h = end - t
        error = attempt(frame, t, h)
        if frame[at.METHOD] == at.FIXED and finite(frame, reals(frame[at.NEXT])) == 0:
            return at.NOT_FINITE
        if not (error >= 0.0 and error <= 1.0):
            if aim_at_kink(frame, t, h, end, error) != 0:
                continue
            code = reject(frame, t, h, error)
            if code != 0:
                return code
            continue

        met, aimed = NONE, frame[at.AIM]
        if frame[at.ROOTS] > 0:
            look(frame, end, reals(frame[at.NEXT]), reals(frame[at.ROOT_AFTER]))
            met = crossing(frame, t, h)
            if met == INSIDE and repeated < REPEATS:
                # The step is done again up to the root, so that the state there is as good as any other.
                numbers[at.FORCED] = max(numbers[at.CROSSING] * h, smallest_step(frame, t))
                frame[at.REPEATED] = frame[at.REPEATED] + 1
                repeated += 1
                continue
            met = AT_END if met == INSIDE else met
        repeated = 0
        frame[at.STEPS] = frame[at.STEPS] + 1
        adapt(frame, h, error)
        if record_within(frame, t, h, end) != 0:
            return at.WATCHED
        finish(frame)
        numbers[at.TIME] = end
        numbers[at.FORCED] = 0.0
        if frame[at.ROOTS] > 0 and pass_roots(frame, met, aimed) > 0:
            return at.HAPPENED
        if end >= target:
            return at.REACHED
        if record_instant(frame, end) != 0:
            return at.WATCHED


@compiled(types.int64(INTEGERS, types.float64))
def fire(frame: Integers, t: float) -> int:
    """Does the actions of the events that begin now. Returns how many, or -1 where one of them ends the run."""
    fired, actions = integers(frame[at.FIRED]), short_integers(frame[at.EVENT_ACTION])
    state, values = reals(frame[at.STATE]), reals(frame[at.VALUES])
    count = 0
    for event in range(frame[at.EVENTS]):
        if fired[event] == 1:
            if actions[event] < 0:
                frame[at.EVENT] = event
                return -1
            call_act(frame[at.ACT], actions[event], 0.0, t, state, values)
            call_one(frame[at.PREPARE], values)
            fired[event] = 2
            count += 1
    return count


@compiled(types.int64(INTEGERS, types.int64, types.float64))
def give(frame: Integers, entry: int, t: float) -> int:
    """Does one entry of the schedule. 1 where it changed anything."""
    state, values = reals(frame[at.STATE]), reals(frame[at.VALUES])
    before, kept = reals(frame[at.ARGUMENT]), reals(frame[at.KEPT])
    kind = integers(frame[at.STOP_KINDS])[entry]
    index = integers(frame[at.STOP_INDICES])[entry]
    amount = reals(frame[at.STOP_AMOUNTS])[entry]
    states, parameters = frame[at.STATES], frame[at.PARAMETERS]
    for place in range(states):
        before[place] = state[place]
    for place in range(parameters):
        kept[place] = values[place]
    if kind == 1:
        call_act(frame[at.ACT], types.int32(index), amount, t, state, values)
    elif kind == 2:
        values[index] = amount
    touched = 0
    for place in range(parameters):
        if values[place] != kept[place]:
            touched = 1
    if touched != 0:
        call_one(frame[at.PREPARE], values)
    for place in range(states):
        if state[place] != before[place]:
            touched = 1
    return touched


@compiled(types.int64(INTEGERS, types.float64))
def do_stop(frame: Integers, t: float) -> int:
    """Does the entries of a stop that stands at this very time. Returns how many changed anything."""
    stop = frame[at.STOP]
    if stop >= frame[at.STOPS] or reals(frame[at.STOP_TIMES])[stop] > t:
        return 0
    frame[at.STOP] = stop + 1
    first = integers(frame[at.STOP_FIRST])
    touched = 0
    for entry in range(first[stop], first[stop + 1]):
        touched += give(frame, entry, t)
    return touched


@merged
def instant(frame: Integers) -> int:
    """All that happens at the present time, until nothing more follows from it. A code where the run ends."""
    t = reals(frame[at.NUMBERS])[at.TIME]
    for _ in range(CASCADE):
        happened = fire(frame, t)
        if happened < 0:
            return at.TERMINAL
        happened += do_stop(frame, t)
        if happened == 0:
            return 0
        frame[at.FRESH] = 0
        frame[at.RESTART] = 1
        if make_consistent(frame, t) != 0:
            return at.NO_CONSISTENT_START
        if frame[at.ROOTS] > 0:
            look(frame, t, reals(frame[at.STATE]), reals(frame[at.ROOT_AFTER]))
            note_signs(frame)
    return at.STEP_TOO_SMALL


@compiled(types.void(INTEGERS, types.float64))
def first_signs(frame: Integers, t: float) -> None:
    """Signs at the start; an event that is not `initially` true happens at once if its trigger is positive."""
    signs, fired = integers(frame[at.SIGNS]), integers(frame[at.FIRED])
    initially = short_integers(frame[at.EVENT_INITIALLY])
    after = reals(frame[at.ROOT_AFTER])
    look(frame, t, reals(frame[at.STATE]), after)
    for root in range(frame[at.ROOTS]):
        fired[root] = 0
        signs[root] = 1 if after[root] > 0.0 else -1
        if root < frame[at.EVENTS] and initially[root] == 0:
            signs[root] = -1
    note_signs(frame)


@merged
def begin(frame: Integers) -> int:
    """Start values and the rows at the start. A code where the run ends."""
    numbers = reals(frame[at.NUMBERS])
    t = numbers[at.BEGIN]
    numbers[at.TIME] = t
    call_one(frame[at.PREPARE], reals(frame[at.VALUES]))
    if frame[at.START] != 0:
        call_two(frame[at.START], reals(frame[at.VALUES]), reals(frame[at.STATE]))
    while frame[at.STOP] < frame[at.STOPS] and reals(frame[at.STOP_TIMES])[frame[at.STOP]] < t:
        frame[at.STOP] = frame[at.STOP] + 1
    if finite(frame, reals(frame[at.STATE])) == 0:
        return at.NOT_FINITE
    if make_consistent(frame, t) != 0:
        return at.NO_CONSISTENT_START
    if frame[at.ROOTS] > 0:
        first_signs(frame, t)
    if record_instant(frame, t) != 0:
        return at.WATCHED
    frame[at.RESTART] = 1
    return 0


@merged
def prepare_interval(frame: Integers, target: float) -> int:
    """A cautious first step after anything has changed. A code where the run ends."""
    numbers = reals(frame[at.NUMBERS])
    t = numbers[at.TIME]
    frame[at.RESTART] = 0
    refresh(frame, t)
    if finite(frame, reals(frame[at.STATE])) == 0 or finite(frame, reals(frame[at.FIRST])) == 0:
        return at.NOT_FINITE
    if frame[at.METHOD] != at.FIXED:
        numbers[at.STEP] = max(first_step(frame, t, target - t), 4.0 * smallest_step(frame, t))
    frame[at.REJECTED_LAST] = 0
    if frame[at.ROOTS] > 0:
        settle_signs(frame, t, numbers[at.STEP])
    return 0


@compiled(types.int64(INTEGERS))
def run(frame: Integers) -> int:
    """A whole run. Returns why it stopped."""
    numbers = reals(frame[at.NUMBERS])
    code = begin(frame)
    while code == 0:
        code = instant(frame)
        if record_instant(frame, numbers[at.TIME]) != 0 and code == 0:
            return at.WATCHED
        if code != 0:
            return code
        if numbers[at.TIME] >= numbers[at.END]:
            return at.DONE
        target = numbers[at.END]
        if frame[at.STOP] < frame[at.STOPS]:
            target = min(target, reals(frame[at.STOP_TIMES])[frame[at.STOP]])
        if frame[at.RESTART] != 0:
            code = prepare_interval(frame, target)
            if code != 0:
                return code
        code = advance(frame, target)
        code = 0 if code == at.REACHED or code == at.HAPPENED else code
    return code
