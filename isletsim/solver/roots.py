"""Where a trigger changes its sign: signs of all roots, and the earliest crossing within a step.

Events come first, then kinks. An event matters when its trigger becomes positive; a kink matters both ways.
"""

from __future__ import annotations

import math

from isletsim.solver import frame as at
from isletsim.solver.kernels import INTEGERS, REALS, Integers, Reals, call_at, compiled, integers, reals, types
from isletsim.solver.method import interpolate

__all__ = ["crossing", "look", "note_signs", "pass_roots", "settle_signs", "smallest_step"]

NONE = 0
INSIDE = 1
AT_END = 2
PATIENCE = 20  # kinks in a row before they are passed over without being located
KINK_CLOSE = 1e-6  # a kink this near the end of a step, as a fraction of it, counts as met
EVENT_CLOSE = 1e-12
SEARCH = 100


@compiled(types.float64(INTEGERS, types.float64))
def smallest_step(frame: Integers, t: float) -> float:
    """The shortest step that still moves the time."""
    numbers = reals(frame[at.NUMBERS])
    return 3.6e-15 * max(math.fabs(t), 1e-6 * (numbers[at.END] - numbers[at.BEGIN]))


@compiled(types.void(INTEGERS, types.float64, REALS, REALS))
def look(frame: Integers, t: float, state: Reals, out: Reals) -> None:
    """The triggers at a state."""
    call_at(frame[at.TRIGGERS], t, state, reals(frame[at.VALUES]), out)


@compiled(types.int64(INTEGERS, types.int64, types.float64, types.float64))
def changed(frame: Integers, root: int, before: float, after: float) -> int:
    """1 where a root crosses between two values in a way that matters."""
    was = integers(frame[at.SIGNS])[root]
    now = 1 if after > 0.0 else -1
    if now == was or (before > 0.0) == (after > 0.0):
        return 0
    if root < frame[at.EVENTS]:
        return 1 if now > 0 else 0
    return 0 if frame[at.CROWDED] > PATIENCE else 1


@compiled(types.float64(INTEGERS, types.int64, types.float64, types.float64, types.float64))
def locate(frame: Integers, root: int, t: float, h: float, limit: float) -> float:
    """The fraction of the step just past the crossing of one root: bisection guarded regula falsi (Illinois)."""
    here = reals(frame[at.ROOT_HERE])
    argument = reals(frame[at.ARGUMENT])
    spacing = max(1e-14, 2.3e-16 * math.fabs(t) / h)
    left, right = 0.0, limit
    low, high = reals(frame[at.ROOT_BEFORE])[root], reals(frame[at.ROOT_AFTER])[root]
    if limit < 1.0:
        interpolate(frame, t, h, limit, argument)
        look(frame, t + limit * h, argument, here)
        high = here[root]
        if (high > 0.0) == (low > 0.0):
            return 2.0  # this one comes later
    positive = high > 0.0
    side = 0
    for turn in range(SEARCH):
        if right - left <= spacing:
            break
        middle = 0.5 * (left + right)
        if turn % 4 != 3 and high != low:
            middle = right - high * (right - left) / (high - low)
            middle = min(max(middle, left + 0.5 * spacing), right - 0.5 * spacing)
        interpolate(frame, t, h, middle, argument)
        look(frame, t + middle * h, argument, here)
        value = here[root]
        if (value > 0.0) == positive:
            right, high = middle, value
            if side == 1:
                low *= 0.5
            side = 1
        else:
            left, low = middle, value
            if side == -1:
                high *= 0.5
            side = -1
    return right


@compiled(types.int64(INTEGERS, types.float64, types.float64))
def crossing(frame: Integers, t: float, h: float) -> int:
    """Whether a root crosses within the step, and whether it does so at its very end.

    ROOT_AFTER holds the triggers at the new state. The fraction goes to CROSSING, the root to AIM.
    """
    numbers = reals(frame[at.NUMBERS])
    before, after = reals(frame[at.ROOT_BEFORE]), reals(frame[at.ROOT_AFTER])
    earliest, chosen = 2.0, -1
    for root in range(frame[at.ROOTS]):
        if changed(frame, root, before[root], after[root]) != 0:
            place = locate(frame, root, t, h, min(earliest, 1.0))
            if place < earliest:
                earliest, chosen = place, root
    if chosen < 0:
        return NONE
    frame[at.AIM] = chosen
    numbers[at.CROSSING] = earliest
    close = KINK_CLOSE * h
    if chosen < frame[at.EVENTS]:
        close = max(EVENT_CLOSE * h, 4.5e-16 * math.fabs(t + h))
    return AT_END if (1.0 - earliest) * h <= close or h <= smallest_step(frame, t) else INSIDE


@compiled(types.int64(INTEGERS))
def note_signs(frame: Integers) -> int:
    """Takes over the signs of ROOT_AFTER and marks events that begin. Returns how many do."""
    signs, fired = integers(frame[at.SIGNS]), integers(frame[at.FIRED])
    before, after = reals(frame[at.ROOT_BEFORE]), reals(frame[at.ROOT_AFTER])
    count = 0
    for root in range(frame[at.ROOTS]):
        now = 1 if after[root] > 0.0 else -1
        if root < frame[at.EVENTS] and now > 0 and signs[root] < 0:
            fired[root] = 1
            count += 1
        signs[root] = now
        before[root] = after[root]
    return count


@compiled(types.void(INTEGERS, types.float64, types.float64))
def settle_signs(frame: Integers, t: float, h: float) -> None:
    """After a restart: a kink that is exactly zero, or an event that has just happened, takes the sign just ahead.

    A ball that has bounced is still at the floor; only a look ahead tells that it has left it. Needs FIRST fresh.
    """
    signs, fired = integers(frame[at.SIGNS]), integers(frame[at.FIRED])
    before, here = reals(frame[at.ROOT_BEFORE]), reals(frame[at.ROOT_HERE])
    state, first, mass = reals(frame[at.STATE]), reals(frame[at.FIRST]), reals(frame[at.MASS])
    argument = reals(frame[at.ARGUMENT])
    look(frame, t, state, before)
    ahead = max(1e-3 * h, 100.0 * smallest_step(frame, t))
    for index in range(frame[at.STATES]):
        argument[index] = state[index] + ahead * mass[index] * first[index]
    look(frame, t + ahead, argument, here)
    for root in range(frame[at.ROOTS]):
        if (fired[root] != 0 and before[root] > 0.0) or (root >= frame[at.EVENTS] and before[root] == 0.0):
            signs[root] = 1 if here[root] > 0.0 else -1
            before[root] = here[root]
        fired[root] = 0


@compiled(types.int64(INTEGERS, types.int64, types.int64))
def pass_roots(frame: Integers, met: int, aimed: int) -> int:
    """Books the roots at the end of an accepted step. Returns how many events begin there.

    `aimed` is the root this step was shortened for. A kink that lies a hair beyond the end counts as met, and takes
    its new sign at once, so that it is not found again; an event is found again, a hair after the next start.
    """
    signs = integers(frame[at.SIGNS])
    before, after = reals(frame[at.ROOT_BEFORE]), reals(frame[at.ROOT_AFTER])
    passed_over = 0
    for root in range(frame[at.EVENTS], frame[at.ROOTS]):
        if (before[root] > 0.0) != (after[root] > 0.0):
            passed_over = 1
    begun = note_signs(frame)
    kink = frame[at.AIM] if met == AT_END else aimed
    if met == AT_END:
        frame[at.ROOTS_FOUND] = frame[at.ROOTS_FOUND] + 1
    elif aimed >= frame[at.EVENTS]:
        frame[at.ROOTS_FOUND] = frame[at.ROOTS_FOUND] + 1
        signs[aimed] = -signs[aimed]
    if kink >= frame[at.EVENTS]:
        frame[at.CROWDED] = frame[at.CROWDED] + 1
    elif passed_over != 0 and frame[at.CROWDED] > PATIENCE:
        frame[at.UNLOCATED] = frame[at.UNLOCATED] + 1
    elif passed_over == 0:
        frame[at.CROWDED] = 0
    frame[at.AIM] = -1
    return begun
