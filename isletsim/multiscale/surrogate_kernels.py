"""Days near a real one, in native code: what is expected of them, and how their slopes follow what a day has shown.

Between real days the summaries s of the day, and the midnight x it begins with, are local functions of what the day
reads of the life, v; `isletsim.composition.clocks` has their form in the life model. The functions here
work on the row of one life (`layout`); every sum runs over that life alone.
"""

from __future__ import annotations

import math

from isletsim.multiscale.state_layout import BatchFrame, JobState
from isletsim.solver.intrinsics import compiled, offset
from isletsim.solver.struct import Reals

__all__ = [
    "along",
    "apart",
    "follow",
    "hold",
    "matters",
    "midnight_near",
    "moves",
    "room",
    "shifted",
    "shown",
    "stale",
    "surprise",
    "tell",
    "tell_bend",
    "worth",
]

# How far slopes follow what a day showed. With 1 they become the mean slopes of the way, and with 2 those at its end if
# they were exact at its beginning. But with 2, what was wrong in them only changes sign at every step and never fades.
FOLLOWED = 1.5


@compiled
def along(slopes: Reals, v: Reals, origin: Reals, count: int) -> float:
    """The change along the way from an origin, by one row of slopes."""
    total = 0.0
    for j in range(count):
        total += slopes[j] * (v[j] - origin[j])
    return total


@compiled
def curved(change: float, curve: float) -> float:
    """How far a summary moves for a first-order change u, with curve r.

    For r = 1 / B it is B (exp(u / B) - 1) to second order; but a rise grows to 2 u at most, and a fall never exceeds B.
    """
    share = curve * change
    return change * (1.0 + share / (1.0 + math.sqrt(1.0 + share * share)))


@compiled
def shifted(x: float, change: float) -> float:
    """A number of a midnight and its change; what would have changed its sign stays where it is known."""
    changed = x + change
    return x if changed <= 0.0 and x > 0.0 else changed


@compiled
def matters(frame: BatchFrame, k: int, s: float) -> float:
    """A change of a summary that asks for good slopes; none of one with kinks, whose slopes say little.

    Where only reports read it, it is a hundredth of the summary itself, down to a tenth of its size.
    """
    size = frame.sizes[k]
    if frame.smooth[k] == 0.0:
        return math.inf
    return size if frame.felt[k] != 0.0 else max(0.01 * math.fabs(s), 0.1 * size)


@compiled
def moves(frame: BatchFrame, job: JobState, v: Reals) -> float:
    """How far the summaries move from the base to a day that reads v, to first order, in tolerances."""
    downs = frame.input_count
    far = 0.0
    for k in range(frame.summary_count):
        change = along(offset(job.jacobian, k * downs), v, job.day_inputs, downs)
        far = max(far, math.fabs(change) / frame.tolerances[k])
    return far


@compiled
def surprise(frame: BatchFrame, job: JobState) -> float:
    """How far the summaries of the day that was looked at are from those expected, in tolerances."""
    downs, target, origin = frame.input_count, job.target, job.day_inputs
    missed = 0.0
    for k in range(frame.summary_count):
        change = along(offset(job.jacobian, k * downs), target, origin, downs)
        expected = job.summaries[k] + curved(change, job.curvature[k])
        missed = max(missed, math.fabs(job.day_summaries[k] - expected) / frame.tolerances[k])
    return missed


@compiled
def shown(frame: BatchFrame, job: JobState) -> float:
    """How far those that only reports read are, over what matters there."""
    downs, target, origin = frame.input_count, job.target, job.day_inputs
    missed = 0.0
    for k in range(frame.summary_count):
        if frame.felt[k] == 0.0:
            change = along(offset(job.jacobian, k * downs), target, origin, downs)
            expected = job.summaries[k] + curved(change, job.curvature[k])
            off = math.fabs(job.day_summaries[k] - expected)
            missed = max(missed, off / matters(frame, k, job.day_summaries[k]))
    return missed


@compiled
def midnight_near(frame: BatchFrame, job: JobState, v: Reals, out: Reals) -> None:
    """The midnight of a day that reads v."""
    downs = frame.input_count
    for m in range(frame.midnight):
        change = along(offset(job.midnight_jacobian, m * downs), v, job.day_inputs, downs)
        out[m] = shifted(job.midnight_state[m], change)


@compiled
def apart(frame: BatchFrame, j: int, v: float, other: float) -> bool:
    """Whether two readings differ."""
    return math.fabs(v - other) > 1e-7 * frame.widths[j]


@compiled
def worth(frame: BatchFrame, job: JobState, j: int) -> bool:
    """Whether a tenth of a size of what is read moves some summary by as much as a tenth of what matters there."""
    for k in range(frame.summary_count):
        effect = math.fabs(job.jacobian[k * frame.input_count + j] * frame.widths[j])
        if effect > 0.1 * matters(frame, k, job.summaries[k]):
            return True
    return False


@compiled
def room(frame: BatchFrame, k: int, s: float) -> float:
    """The r with which a summary keeps within its bounds, seen from the nearer one; 0 for one outside."""
    low, high, size = frame.low[k], frame.high[k], frame.sizes[k]
    if not low <= s <= high:
        return 0.0
    return 1.0 / (max(s - low, 1e-6 * size) if s - low <= high - s else min(s - high, -1e-6 * size))


# --- slopes that follow ---


@compiled
def bend_curve(frame: BatchFrame, job: JobState, k: int) -> float:
    """The curve of a summary on the way to the day that was looked at: 0 where that lies beyond a bound."""
    curve = job.curvature[k]
    return curve if 1.0 + curve * (job.day_summaries[k] - job.summaries[k]) > 1e-9 else 0.0


@compiled
def error_of(frame: BatchFrame, job: JobState, k: int) -> float:
    """What the first-order change of a summary to the day that was looked at lacks."""
    downs, curve = frame.input_count, bend_curve(frame, job, k)
    move = job.day_summaries[k] - job.summaries[k]
    change = 0.5 * move * (1.0 + 1.0 / (1.0 + curve * move))  # the inverse of `curved`
    slopes, target = offset(job.jacobian, k * downs), job.target
    return change - along(slopes, target, job.day_inputs, downs)


@compiled
def owe(frame: BatchFrame, job: JobState, slopes: Reals, error: float, slope: float) -> None:
    """Change a row of slopes as an error on the way asks for: most of large slopes, which may be wrong by more.

    A Broyden update, weighted; then all of the row is multiplied by `slope`.
    """
    downs, widths = frame.input_count, frame.widths
    origin, target = job.day_inputs, job.target
    largest, size, total = 0.0, 0.0, 0.0
    for j in range(downs):
        largest = max(largest, math.fabs(slopes[j] * widths[j]))
    for j in range(downs):
        way = (target[j] - origin[j]) / widths[j]
        trust = math.fabs(slopes[j] * widths[j]) + 0.05 * largest if largest > 0.0 else 1.0
        size += way * way
        total += trust * trust * way * way
    for j in range(downs):
        owed = 0.0
        if total > 0.0 and size > 1e-8:
            way = (target[j] - origin[j]) / widths[j]
            trust = math.fabs(slopes[j] * widths[j]) + 0.05 * largest if largest > 0.0 else 1.0
            owed = FOLLOWED * error * trust * trust * way / total
        slopes[j] = (slopes[j] + owed / widths[j]) * slope


@compiled
def follow(frame: BatchFrame, job: JobState) -> None:
    """The slopes at the day that was looked at: they follow the bend that was seen on the way there."""
    downs = frame.input_count
    for k in range(frame.summary_count):
        error, curve = error_of(frame, job, k), bend_curve(frame, job, k)
        share = 1.0 + curve * (job.day_summaries[k] - job.summaries[k])
        slope = 2.0 * share * share / (1.0 + share * share)  # of `curved`, there
        owe(frame, job, offset(job.jacobian, k * downs), error, slope)
    for m in range(frame.midnight):
        slopes = offset(job.midnight_jacobian, m * downs)
        change = along(slopes, job.target, job.day_inputs, downs)
        lacking = job.end_midnight[m] - job.midnight_state[m] - change
        owe(frame, job, slopes, lacking, 1.0)


@compiled
def stale(frame: BatchFrame, job: JobState) -> int:
    """Flags the directions worth another look: those that moved, where one of them has moved a summary far since the
    last. Returns how many.
    """
    downs, farthest, count = frame.input_count, 0.0, 0
    for j in range(downs):
        way = job.day_inputs[j] - job.measured_at[j]
        effect = 0.0
        for k in range(frame.summary_count):
            far = frame.jacobian_age * matters(frame, k, job.summaries[k])
            effect = max(effect, math.fabs(job.jacobian[k * downs + j] * way) / far)
        farthest = max(farthest, effect)
        job.wanted[j] = 1 if effect > 0.1 else 0
        count += job.wanted[j]
    if farthest > 1.0:
        return count
    for j in range(downs):
        job.wanted[j] = 0
    return 0


# --- what the life model is told ---


@compiled
def tell(frame: BatchFrame, job: JobState) -> None:
    """Write into a life's parameters: the days are those near the base."""
    parameters, downs = job.parameters, frame.input_count
    for j in range(downs):
        parameters[frame.at_v0 + j] = job.day_inputs[j]
        parameters[frame.at_w + j] = 0.0
    for k in range(frame.summary_count):
        parameters[frame.at_s0 + k] = job.summaries[k]
        parameters[frame.at_r + k] = job.curvature[k]
        parameters[frame.at_e + k] = 0.0
        parameters[frame.at_c + k] = 0.0
        for j in range(downs):
            parameters[frame.at_j + k * downs + j] = job.jacobian[k * downs + j]


@compiled
def hold(frame: BatchFrame, job: JobState, v: Reals) -> None:
    """Write into a life's parameters: whatever they read, the days are those that read v."""
    parameters, downs = job.parameters, frame.input_count
    for k in range(frame.summary_count):
        change = along(offset(job.jacobian, k * downs), v, job.day_inputs, downs)
        now = job.summaries[k] + curved(change, job.curvature[k])
        parameters[frame.at_s0 + k] = now
        parameters[frame.at_r + k] = 0.0
        parameters[frame.at_e + k] = 0.0
        parameters[frame.at_c + k] = 0.0
        for j in range(downs):
            parameters[frame.at_j + k * downs + j] = 0.0


@compiled
def tell_bend(frame: BatchFrame, job: JobState, begin: float, end: float) -> None:
    """Write into them besides: within a span of time the days are bent to the one that was looked at, at its end.

    The bend grows with time and along the way: on a straight way as a parabola, and on a winding one never far beyond.
    """
    parameters, downs, widths = job.parameters, frame.input_count, frame.widths
    parameters[frame.at_time] = begin
    size = 0.0
    for j in range(downs):
        way = (job.target[j] - job.day_inputs[j]) / widths[j]
        size += way * way
    for j in range(downs):
        way = (job.target[j] - job.day_inputs[j]) / widths[j]
        parameters[frame.at_w + j] = way / widths[j] / size if size > 1e-8 else 0.0
    for k in range(frame.summary_count):
        parameters[frame.at_e + k] = error_of(frame, job, k) / (end - begin)
        parameters[frame.at_r + k] = bend_curve(frame, job, k)
