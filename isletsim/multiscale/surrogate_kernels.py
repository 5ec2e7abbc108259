"""Days near a real one, in native code: what is expected of them, and how their slopes follow what a day has shown.

Between real days the summaries s of the day, and the midnight x it begins with, are local functions of what the day
reads of the life, v; `isletsim.composition.clocks` has their form in the life model. The functions here
work on the row of one life (`layout`); every sum runs over that life alone.
"""

from __future__ import annotations

import math

from isletsim.multiscale import state_layout as at
from isletsim.solver.kernels import INTEGERS, REALS, Integers, Reals, compiled, offset, reals, types

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


@compiled(types.float64(REALS, REALS, REALS, types.int64))
def along(slopes: Reals, v: Reals, origin: Reals, count: int) -> float:
    """The change along the way from an origin, by one row of slopes."""
    total = 0.0
    for j in range(count):
        total += slopes[j] * (v[j] - origin[j])
    return total


@compiled(types.float64(types.float64, types.float64))
def curved(change: float, curve: float) -> float:
    """How far a summary moves for a first-order change u, with curve r.

    For r = 1 / B it is B (exp(u / B) - 1) to second order; but a rise grows to 2 u at most, and a fall never exceeds B.
    """
    share = curve * change
    return change * (1.0 + share / (1.0 + math.sqrt(1.0 + share * share)))


@compiled(types.float64(types.float64, types.float64))
def shifted(x: float, change: float) -> float:
    """A number of a midnight and its change; what would have changed its sign stays where it is known."""
    changed = x + change
    return x if changed <= 0.0 and x > 0.0 else changed


@compiled(types.float64(INTEGERS, types.int64, types.float64))
def matters(frame: Integers, k: int, s: float) -> float:
    """A change of a summary that asks for good slopes; none of one with kinks, whose slopes say little.

    Where only reports read it, it is a hundredth of the summary itself, down to a tenth of its size.
    """
    size = reals(frame[at.SIZES])[k]
    if reals(frame[at.SMOOTH])[k] == 0.0:
        return math.inf
    return size if reals(frame[at.FELT])[k] != 0.0 else max(0.01 * math.fabs(s), 0.1 * size)


@compiled(types.float64(INTEGERS, REALS, REALS))
def moves(frame: Integers, real: Reals, v: Reals) -> float:
    """How far the summaries move from the base to a day that reads v, to first order, in tolerances."""
    downs = frame[at.DOWNS]
    far = 0.0
    for k in range(frame[at.UPS]):
        change = along(offset(real, frame[at.AT_JACOBIAN] + k * downs), v, offset(real, frame[at.AT_V]), downs)
        far = max(far, math.fabs(change) / reals(frame[at.TOLERANCES])[k])
    return far


@compiled(types.float64(INTEGERS, REALS))
def surprise(frame: Integers, real: Reals) -> float:
    """How far the summaries of the day that was looked at are from those expected, in tolerances."""
    downs, target, origin = frame[at.DOWNS], offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_V])
    missed = 0.0
    for k in range(frame[at.UPS]):
        change = along(offset(real, frame[at.AT_JACOBIAN] + k * downs), target, origin, downs)
        expected = real[frame[at.AT_S] + k] + curved(change, real[frame[at.AT_CURVE] + k])
        missed = max(missed, math.fabs(real[frame[at.AT_DAY] + k] - expected) / reals(frame[at.TOLERANCES])[k])
    return missed


@compiled(types.float64(INTEGERS, REALS))
def shown(frame: Integers, real: Reals) -> float:
    """How far those that only reports read are, over what matters there."""
    downs, target, origin = frame[at.DOWNS], offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_V])
    missed = 0.0
    for k in range(frame[at.UPS]):
        if reals(frame[at.FELT])[k] == 0.0:
            change = along(offset(real, frame[at.AT_JACOBIAN] + k * downs), target, origin, downs)
            expected = real[frame[at.AT_S] + k] + curved(change, real[frame[at.AT_CURVE] + k])
            off = math.fabs(real[frame[at.AT_DAY] + k] - expected)
            missed = max(missed, off / matters(frame, k, real[frame[at.AT_DAY] + k]))
    return missed


@compiled(types.void(INTEGERS, REALS, REALS, REALS))
def midnight_near(frame: Integers, real: Reals, v: Reals, out: Reals) -> None:
    """The midnight of a day that reads v."""
    downs = frame[at.DOWNS]
    for m in range(frame[at.MIDNIGHT]):
        change = along(offset(real, frame[at.AT_ORBIT] + m * downs), v, offset(real, frame[at.AT_V]), downs)
        out[m] = shifted(real[frame[at.AT_X] + m], change)


@compiled(types.boolean(INTEGERS, types.int64, types.float64, types.float64))
def apart(frame: Integers, j: int, v: float, other: float) -> bool:
    """Whether two readings differ."""
    return math.fabs(v - other) > 1e-7 * reals(frame[at.WIDTHS])[j]


@compiled(types.boolean(INTEGERS, REALS, types.int64))
def worth(frame: Integers, real: Reals, j: int) -> bool:
    """Whether a tenth of a size of what is read moves some summary by as much as a tenth of what matters there."""
    for k in range(frame[at.UPS]):
        effect = math.fabs(real[frame[at.AT_JACOBIAN] + k * frame[at.DOWNS] + j] * reals(frame[at.WIDTHS])[j])
        if effect > 0.1 * matters(frame, k, real[frame[at.AT_S] + k]):
            return True
    return False


@compiled(types.float64(INTEGERS, types.int64, types.float64))
def room(frame: Integers, k: int, s: float) -> float:
    """The r with which a summary keeps within its bounds, seen from the nearer one; 0 for one outside."""
    low, high, size = reals(frame[at.LOW])[k], reals(frame[at.HIGH])[k], reals(frame[at.SIZES])[k]
    if not low <= s <= high:
        return 0.0
    return 1.0 / (max(s - low, 1e-6 * size) if s - low <= high - s else min(s - high, -1e-6 * size))


# --- slopes that follow ---


@compiled(types.float64(INTEGERS, REALS, types.int64))
def bend_curve(frame: Integers, real: Reals, k: int) -> float:
    """The curve of a summary on the way to the day that was looked at: 0 where that lies beyond a bound."""
    curve = real[frame[at.AT_CURVE] + k]
    return curve if 1.0 + curve * (real[frame[at.AT_DAY] + k] - real[frame[at.AT_S] + k]) > 1e-9 else 0.0


@compiled(types.float64(INTEGERS, REALS, types.int64))
def error_of(frame: Integers, real: Reals, k: int) -> float:
    """What the first-order change of a summary to the day that was looked at lacks."""
    downs, curve = frame[at.DOWNS], bend_curve(frame, real, k)
    move = real[frame[at.AT_DAY] + k] - real[frame[at.AT_S] + k]
    change = 0.5 * move * (1.0 + 1.0 / (1.0 + curve * move))  # the inverse of `curved`
    slopes, target = offset(real, frame[at.AT_JACOBIAN] + k * downs), offset(real, frame[at.AT_TARGET])
    return change - along(slopes, target, offset(real, frame[at.AT_V]), downs)


@compiled(types.void(INTEGERS, REALS, REALS, types.float64, types.float64))
def owe(frame: Integers, real: Reals, slopes: Reals, error: float, slope: float) -> None:
    """Change a row of slopes as an error on the way asks for: most of large slopes, which may be wrong by more.

    A Broyden update, weighted; then all of the row is multiplied by `slope`.
    """
    downs, widths = frame[at.DOWNS], reals(frame[at.WIDTHS])
    origin, target = offset(real, frame[at.AT_V]), offset(real, frame[at.AT_TARGET])
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


@compiled(types.void(INTEGERS, REALS))
def follow(frame: Integers, real: Reals) -> None:
    """The slopes at the day that was looked at: they follow the bend that was seen on the way there."""
    downs = frame[at.DOWNS]
    for k in range(frame[at.UPS]):
        error, curve = error_of(frame, real, k), bend_curve(frame, real, k)
        share = 1.0 + curve * (real[frame[at.AT_DAY] + k] - real[frame[at.AT_S] + k])
        slope = 2.0 * share * share / (1.0 + share * share)  # of `curved`, there
        owe(frame, real, offset(real, frame[at.AT_JACOBIAN] + k * downs), error, slope)
    for m in range(frame[at.MIDNIGHT]):
        slopes = offset(real, frame[at.AT_ORBIT] + m * downs)
        change = along(slopes, offset(real, frame[at.AT_TARGET]), offset(real, frame[at.AT_V]), downs)
        lacking = real[frame[at.AT_EVENING] + m] - real[frame[at.AT_X] + m] - change
        owe(frame, real, slopes, lacking, 1.0)


@compiled(types.int64(INTEGERS, REALS, INTEGERS))
def stale(frame: Integers, real: Reals, whole: Integers) -> int:
    """Flags the directions worth another look: those that moved, where one of them has moved a summary far since the
    last. Returns how many.
    """
    downs, wanted, farthest, count = frame[at.DOWNS], frame[at.AT_WANTED], 0.0, 0
    for j in range(downs):
        way = real[frame[at.AT_V] + j] - real[frame[at.AT_SEEN] + j]
        effect = 0.0
        for k in range(frame[at.UPS]):
            far = reals(frame[at.RULES])[at.STALE] * matters(frame, k, real[frame[at.AT_S] + k])
            effect = max(effect, math.fabs(real[frame[at.AT_JACOBIAN] + k * downs + j] * way) / far)
        farthest = max(farthest, effect)
        whole[wanted + j] = 1 if effect > 0.1 else 0
        count += whole[wanted + j]
    if farthest > 1.0:
        return count
    for j in range(downs):
        whole[wanted + j] = 0
    return 0


# --- what the life model is told ---


@compiled(types.void(INTEGERS, REALS))
def tell(frame: Integers, real: Reals) -> None:
    """Write into a life's parameters: the days are those near the base."""
    parameters, downs = offset(real, frame[at.AT_PARAMETERS]), frame[at.DOWNS]
    for j in range(downs):
        parameters[frame[at.P_V0] + j] = real[frame[at.AT_V] + j]
        parameters[frame[at.P_W] + j] = 0.0
    for k in range(frame[at.UPS]):
        parameters[frame[at.P_S0] + k] = real[frame[at.AT_S] + k]
        parameters[frame[at.P_R] + k] = real[frame[at.AT_CURVE] + k]
        parameters[frame[at.P_E] + k] = 0.0
        parameters[frame[at.P_C] + k] = 0.0
        for j in range(downs):
            parameters[frame[at.P_J] + k * downs + j] = real[frame[at.AT_JACOBIAN] + k * downs + j]


@compiled(types.void(INTEGERS, REALS, REALS))
def hold(frame: Integers, real: Reals, v: Reals) -> None:
    """Write into a life's parameters: whatever they read, the days are those that read v."""
    parameters, downs = offset(real, frame[at.AT_PARAMETERS]), frame[at.DOWNS]
    for k in range(frame[at.UPS]):
        change = along(offset(real, frame[at.AT_JACOBIAN] + k * downs), v, offset(real, frame[at.AT_V]), downs)
        now = real[frame[at.AT_S] + k] + curved(change, real[frame[at.AT_CURVE] + k])
        parameters[frame[at.P_S0] + k] = now
        parameters[frame[at.P_R] + k] = 0.0
        parameters[frame[at.P_E] + k] = 0.0
        parameters[frame[at.P_C] + k] = 0.0
        for j in range(downs):
            parameters[frame[at.P_J] + k * downs + j] = 0.0


@compiled(types.void(INTEGERS, REALS, types.float64, types.float64))
def tell_bend(frame: Integers, real: Reals, begin: float, end: float) -> None:
    """Write into them besides: within a span of time the days are bent to the one that was looked at, at its end.

    The bend grows with time and along the way: on a straight way as a parabola, and on a winding one never far beyond.
    """
    parameters, downs, widths = offset(real, frame[at.AT_PARAMETERS]), frame[at.DOWNS], reals(frame[at.WIDTHS])
    parameters[frame[at.P_TIME]] = begin
    size = 0.0
    for j in range(downs):
        way = (real[frame[at.AT_TARGET] + j] - real[frame[at.AT_V] + j]) / widths[j]
        size += way * way
    for j in range(downs):
        way = (real[frame[at.AT_TARGET] + j] - real[frame[at.AT_V] + j]) / widths[j]
        parameters[frame[at.P_W] + j] = way / widths[j] / size if size > 1e-8 else 0.0
    for k in range(frame[at.UPS]):
        parameters[frame[at.P_E] + k] = error_of(frame, real, k) / (end - begin)
        parameters[frame[at.P_R] + k] = bend_curve(frame, real, k)
