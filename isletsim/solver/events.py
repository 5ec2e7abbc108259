"""Events and kinks of one lane: the signs of their triggers, and the earliest crossing within a step.

Events come first among the roots, then kinks. An event matters when its trigger becomes positive, a kink both ways.
"""

from __future__ import annotations

import math

from isletsim.solver.dense_output import interpolate_at
from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import call_at, compiled, types
from isletsim.solver.struct import Reals

__all__ = [
    "AT_END",
    "INSIDE",
    "NONE",
    "crossing",
    "evaluate_triggers",
    "first_signs",
    "note_signs",
    "pass_roots",
    "settle_signs",
    "smallest_step",
]

NONE = 0
INSIDE = 1
AT_END = 2
PATIENCE = 20  # kinks in a row before they are passed over without being located
KINK_CLOSE = 1e-6  # a kink this near the end of a step, as a fraction of it, counts as met
EVENT_CLOSE = 1e-12
SEARCH = 100


@compiled
def smallest_step(frame: Frame) -> float:
    """The shortest step that still moves the time."""
    return 3.6e-15 * max(math.fabs(frame.time[0]), frame.floor[0])


@compiled
def evaluate_triggers(frame: Frame, time: Reals, state: Reals, out: Reals) -> None:
    """The triggers at a state."""
    call_at(frame.triggers, time, state, frame.parameter, out)


@compiled
def sign_of(value: float) -> int:
    """1 if positive, else -1."""
    return 1 if value > 0.0 else -1


@compiled
def matters(frame: Frame, root: int, before: float, after: float) -> int:
    """1 if a root crosses between two values in a way that matters."""
    now = sign_of(after)
    if now == frame.signs[root] or (before > 0.0) == (after > 0.0):
        return 0
    if root < frame.events:
        return 1 if now > 0 else 0
    return 0 if frame.crowded > PATIENCE else 1


@compiled
def trigger_at(frame: Frame, root: int, x: float) -> float:
    """The trigger of a root at the fraction x of the step."""
    interpolate_at(frame, x)
    evaluate_triggers(frame, frame.moment, frame.point, frame.root_here)
    return frame.root_here[root]


@compiled
def locate(frame: Frame, root: int, limit: float) -> float:
    """The fraction of the step just past the crossing of one root: regula falsi (Illinois) guarded by bisection."""
    spacing = max(1e-14, 2.3e-16 * math.fabs(frame.time[0]) / frame.h[0])
    left, right = 0.0, limit
    low, high = frame.root_before[root], frame.root_after[root]
    if limit < 1.0:
        high = trigger_at(frame, root, limit)
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
        value = trigger_at(frame, root, middle)
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


@compiled
def crossing(frame: Frame) -> int:
    """Whether a root crosses within the step, and whether it does so at its very end.

    `root_after` holds the triggers at the new state. The fraction goes to `crossing`, the root to `aim`.
    """
    earliest, chosen = 2.0, -1
    for root in range(frame.roots):
        if matters(frame, root, frame.root_before[root], frame.root_after[root]) != 0:
            place = locate(frame, root, min(earliest, 1.0))
            if place < earliest:
                earliest, chosen = place, root
    if chosen < 0:
        return NONE
    frame.aim = chosen
    frame.crossing = earliest
    h = frame.h[0]
    close = KINK_CLOSE * h
    if chosen < frame.events:
        close = max(EVENT_CLOSE * h, 4.5e-16 * math.fabs(frame.step_end[0]))
    return AT_END if (1.0 - earliest) * h <= close or h <= smallest_step(frame) else INSIDE


@compiled
def note_signs(frame: Frame) -> int:
    """Take over the signs of `root_after` and mark events that begin. Return how many do."""
    count = 0
    for root in range(frame.roots):
        after = frame.root_after[root]
        now = sign_of(after)
        if root < frame.events and now > 0 and frame.signs[root] < 0:
            frame.fired[root] = 1
            count += 1
        frame.signs[root] = now
        frame.root_before[root] = after
    return count


@compiled
def first_signs(frame: Frame) -> None:
    """Signs at the start; an event that is not `initially` true happens at once if its trigger is positive."""
    evaluate_triggers(frame, frame.time, frame.state, frame.root_after)
    for root in range(frame.roots):
        frame.fired[root] = 0
        frame.signs[root] = sign_of(frame.root_after[root])
        if root < frame.events and types.int64(frame.event_initially[root]) == 0:
            frame.signs[root] = -1
    note_signs(frame)


@compiled
def settle_signs(frame: Frame) -> None:
    """After a restart: a kink that is exactly zero, or an event that has just happened, takes the sign just ahead.

    A ball that has bounced is still at the floor; only a look ahead tells that it has left it. Needs the first stage.
    """
    evaluate_triggers(frame, frame.time, frame.state, frame.root_before)
    ahead = max(1e-3 * frame.step[0], 100.0 * smallest_step(frame))
    for index in range(frame.states):
        frame.point[index] = frame.state[index] + ahead * frame.mass[index] * frame.stages[index]
    frame.moment[0] = frame.time[0] + ahead
    evaluate_triggers(frame, frame.moment, frame.point, frame.root_here)
    for root in range(frame.roots):
        before = frame.root_before[root]
        if (frame.fired[root] != 0 and before > 0.0) or (root >= frame.events and before == 0.0):
            frame.signs[root] = sign_of(frame.root_here[root])
            frame.root_before[root] = frame.root_here[root]
        frame.fired[root] = 0


@compiled
def pass_roots(frame: Frame, met: int, aimed: int) -> int:
    """Book the roots at the end of an accepted step. Return how many events begin there.

    `aimed` is the root this step was shortened for. A kink that lies a hair beyond the end counts as met, and takes
    its new sign at once, so that it is not found again; an event is found again, a hair after the next start.
    """
    passed_over = 0
    for root in range(frame.events, frame.roots):
        if (frame.root_before[root] > 0.0) != (frame.root_after[root] > 0.0):
            passed_over = 1
    begun = note_signs(frame)
    kink = frame.aim if met == AT_END else aimed
    if met == AT_END:
        frame.roots_found += 1
    elif aimed >= frame.events:
        frame.roots_found += 1
        frame.signs[aimed] = -frame.signs[aimed]
    if kink >= frame.events:
        frame.crowded += 1
    elif passed_over != 0 and frame.crowded > PATIENCE:
        frame.unlocated += 1
    elif passed_over == 0:
        frame.crowded = 0
    frame.aim = -1
    return begun
