"""Events and kinks of one lane: the signs of their triggers, and the earliest crossing within a step.

Events come first among the roots, then kinks. An event matters when its trigger becomes positive, a kink both ways.

A root that depends on time alone is isolated with bounds (`isletsim.codegen.bounds`): no step passes over any change of
its sign, however short the time between two of them. The trigger of any other event is also evaluated within the step.
"""

from __future__ import annotations

import math

from isletsim.solver.dense_output import interpolate_at
from isletsim.solver.frame import Frame
from isletsim.solver.intrinsics import call_at, compiled, keep_apart, one_lane, types
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
    "step_to_root",
]

NONE = 0
INSIDE = 1
AT_END = 2
PATIENCE = 20  # kinks in a row before they are passed over without being located
KINK_CLOSE = 1e-6  # a kink this near the end of a step, as a fraction of it, counts as met
EVENT_CLOSE = 1e-12
SEARCH = 100
NARROWEST = 1e-12  # of a step: nearer to each other two changes of sign of a condition of time are not told apart
MOST_BOUNDS = 20000  # evaluations of bounds within a step
SAMPLES = 4  # parts of a step at whose borders the triggers of other events are evaluated
REFINEMENTS = 3
ASIDE = 256.0  # shortest steps between a kink of time and the ends of the steps before and after it
NUDGE = 4.0  # a step that was to end at an event and stopped short of it is followed by one so many times longer


@one_lane
def smallest_step(frame: Frame) -> float:
    """The shortest step that still moves the time."""
    return 3.6e-15 * max(math.fabs(frame.time[0]), frame.floor[0])


@one_lane
def evaluate_triggers(frame: Frame, time: Reals, state: Reals, out: Reals) -> None:
    """The triggers at a state."""
    call_at(frame.triggers, time, state, frame.parameter, out)


@compiled
def sign_of(value: float) -> int:
    """1 if positive, else -1."""
    return 1 if value > 0.0 else -1


@one_lane
def matters(frame: Frame, root: int, before: float, after: float) -> int:
    """1 if a root crosses between two values in a way that matters."""
    now = sign_of(after)
    if now == frame.signs[root] or (before > 0.0) == (after > 0.0):
        return 0
    if root < frame.events:
        return 1 if now > 0 else 0
    return 0 if frame.crowded > PATIENCE else 1


@one_lane
def trigger_at(frame: Frame, root: int, x: float) -> float:
    """The trigger of a root at the fraction x of the step."""
    keep_apart()
    interpolate_at(frame, x)
    evaluate_triggers(frame, frame.moment, frame.point, frame.root_here)
    return frame.root_here[root]


@one_lane
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


# Conditions of time alone


@one_lane
def timed_trigger(frame: Frame, root: int, x: float) -> float:
    """A trigger that depends on time alone, at the fraction x of the step."""
    frame.moment[0] = frame.step_end[0] if x >= 1.0 else frame.time[0] + x * frame.h[0]
    evaluate_triggers(frame, frame.moment, frame.state, frame.root_here)
    return frame.root_here[root]


@one_lane
def keeps_sign(frame: Frame, root: int, positive: int, left: float, right: float) -> int:
    """1 if a trigger of time alone is proven to keep its sign between two fractions of the step."""
    frame.interval[0] = frame.time[0] + left * frame.h[0]
    frame.interval[1] = frame.time[0] + right * frame.h[0]
    call_at(frame.bounds, frame.time, frame.interval, frame.parameter, frame.root_bounds)
    if positive > 0:
        return 1 if frame.root_bounds[2 * root] > 0.0 else 0
    return 1 if frame.root_bounds[2 * root + 1] <= 0.0 else 0


@one_lane
def first_change(frame: Frame, root: int, limit: float) -> float:
    """The fraction of the step just past the first change of sign of a trigger of time alone; 2 without any."""
    keep_apart()
    positive = sign_of(frame.root_before[root])
    left, width = 0.0, limit
    for _ in range(MOST_BOUNDS):
        if left >= limit:
            return 2.0
        right = min(limit, left + width)
        if keeps_sign(frame, root, positive, left, right) != 0:
            left = right
            width *= 2.0
        elif width > NARROWEST:
            width *= 0.5
        elif sign_of(timed_trigger(frame, root, right)) != positive:
            return bisect(frame, root, positive, left, right)
        else:
            left = right
    return 2.0 if sign_of(timed_trigger(frame, root, limit)) == positive else bisect(frame, root, positive, left, limit)


@one_lane
def bisect(frame: Frame, root: int, positive: int, left: float, right: float) -> float:
    """The fraction just past the change of sign of a trigger of time alone between two others.

    A kink is met from the side before it, where the right-hand side is still smooth, and passed by the shortest step;
    both a little further, since the right-hand side may round the condition otherwise.
    """
    spacing = max(1e-16, 1.2e-16 * math.fabs(frame.time[0]) / frame.h[0])
    for _ in range(SEARCH):
        middle = 0.5 * (left + right)
        if right - left <= spacing or middle <= left or middle >= right:
            break
        if sign_of(timed_trigger(frame, root, middle)) == positive:
            left = middle
        else:
            right = middle
    if root < frame.events:
        return right
    aside = ASIDE * smallest_step(frame) / frame.h[0]
    return left - aside if left > 4.0 * aside else min(right + aside, 1.0)


# Other events


@one_lane
def inner_change(frame: Frame, root: int, limit: float) -> float:
    """A fraction of the step at which an event's trigger has the other sign though it has not at the end; 2 if none.

    It is looked for at samples, and where a parabola through three of them comes near zero.
    """
    positive = sign_of(frame.root_before[root])
    part, samples = limit / SAMPLES, frame.samples
    nearest, samples[0] = 0, math.fabs(frame.root_before[root])
    for sample in range(1, SAMPLES + 1):
        value = trigger_at(frame, root, sample * part)
        if sign_of(value) != positive:
            return sample * part
        samples[sample] = math.fabs(value)
        if samples[sample] < samples[nearest]:
            nearest = sample
    centre = min(max(nearest, 1), SAMPLES - 1)
    place = float(centre)
    left, middle, right = samples[centre - 1], samples[centre], samples[centre + 1]
    width = 1.0
    for _ in range(REFINEMENTS):
        bend = left - 2.0 * middle + right
        if not bend > 0.0 or middle - 0.125 * (left - right) ** 2 / bend > 0.5 * middle:
            return 2.0
        place += width * 0.5 * (left - right) / bend
        width *= 0.25
        if place <= 0.0 or place >= SAMPLES:
            return 2.0  # that is the matter of another step
        value = trigger_at(frame, root, place * part)
        if sign_of(value) != positive:
            return place * part
        left, middle = math.fabs(trigger_at(frame, root, (place - width) * part)), math.fabs(value)
        right = math.fabs(trigger_at(frame, root, (place + width) * part))
    return 2.0


@one_lane
def place_of(frame: Frame, root: int, limit: float) -> float:
    """The fraction of the step just past the first crossing of a root that matters; 2 without any before a limit."""
    if frame.time_roots[root] != 0:
        return first_change(frame, root, limit)
    if matters(frame, root, frame.root_before[root], frame.root_after[root]) != 0:
        return locate(frame, root, limit)
    if root < frame.events and sign_of(frame.root_after[root]) == sign_of(frame.root_before[root]):
        inside = inner_change(frame, root, limit)
        if inside <= 1.0 and frame.root_before[root] <= 0.0:
            return locate(frame, root, inside)
        return inside
    return 2.0


@one_lane
def crossing(frame: Frame) -> int:
    """Whether a root crosses within the step, and whether it does so at its very end.

    `root_after` holds the triggers at the new state. The fraction goes to `crossing`, the root to `aim`.
    """
    keep_apart()
    earliest, chosen = 2.0, -1
    for root in range(frame.roots):
        place = place_of(frame, root, min(earliest, 1.0))
        if place < earliest:
            earliest, chosen = place, root
    if chosen < 0:
        return NONE
    frame.aim = chosen
    frame.crossing = earliest
    h = frame.h[0]
    close = KINK_CLOSE * h
    if chosen < frame.events or frame.time_roots[chosen] != 0:
        close = max(EVENT_CLOSE * h, 4.5e-16 * math.fabs(frame.step_end[0]))
    shortest = h <= 1.5 * smallest_step(frame)  # the rounding of the time may lengthen it
    return AT_END if (1.0 - earliest) * h <= close or shortest else INSIDE


@one_lane
def step_to_root(frame: Frame) -> float:
    """The length of the step that ends at the root found.

    Rounding may have the state just before an event, and the next step too short to move it: then steps become longer.
    """
    return max(frame.crossing * frame.h[0], smallest_step(frame) * NUDGE**frame.nudges)


@one_lane
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


@one_lane
def first_signs(frame: Frame) -> None:
    """Signs at the start; an event that is not `initially` true happens at once if its trigger is positive."""
    evaluate_triggers(frame, frame.time, frame.state, frame.root_after)
    for root in range(frame.roots):
        frame.fired[root] = 0
        frame.signs[root] = sign_of(frame.root_after[root])
        if root < frame.events and types.int64(frame.event_initially[root]) == 0:
            frame.signs[root] = -1
    note_signs(frame)


@one_lane
def settle_signs(frame: Frame) -> None:
    """After a restart: a kink that is exactly zero, or an event that has just happened, takes the sign just ahead.

    A ball that has bounced is still at the floor; only a look ahead tells that it has left it. Needs the first stage.
    """
    keep_apart()
    evaluate_triggers(frame, frame.time, frame.state, frame.root_before)
    ahead = max(1e-3 * frame.step[0], 100.0 * smallest_step(frame))
    for index in range(frame.states):
        frame.point[index] = frame.state[index] + ahead * frame.mass[index] * frame.stages[index]
    frame.moment[0] = frame.time[0] + ahead
    evaluate_triggers(frame, frame.moment, frame.point, frame.root_here)
    for root in range(frame.roots):
        before = frame.root_before[root]
        if frame.time_roots[root] != 0:
            frame.signs[root] = sign_of(before)
        elif (frame.fired[root] != 0 and before > 0.0) or (root >= frame.events and before == 0.0):
            frame.signs[root] = sign_of(frame.root_here[root])
            frame.root_before[root] = frame.root_here[root]
        frame.fired[root] = 0


@one_lane
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
    missed = 0 <= kink < frame.events and begun == 0 and frame.time_roots[kink] == 0
    frame.nudges = frame.nudges + 1 if missed else 0
    if met == AT_END and not missed:
        frame.roots_found += 1
    elif met != AT_END and aimed >= frame.events and frame.time_roots[aimed] == 0:
        frame.roots_found += 1
        frame.signs[aimed] = -frame.signs[aimed]
    if kink >= 0 and frame.time_roots[kink] != 0:
        frame.crowded = 0
    elif kink >= frame.events:
        frame.crowded += 1
    elif passed_over != 0 and frame.crowded > PATIENCE:
        frame.unlocated += 1
    elif passed_over == 0:
        frame.crowded = 0
    frame.aim = -1
    return begun
