"""What is known of the days near a real one, and how the life model is told of it.

Between real days the summaries s of the day, and the midnight x it begins with, are local functions of what the day
reads of the life, v; `isletsim.layers.clocks` has the form in which they stand in the life model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from isletsim.layers.clocks import Clocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = [
    "Base",
    "Neighbourhood",
    "Places",
    "Today",
    "apart",
    "bent",
    "curves",
    "direction_to",
    "error_of",
    "midnight_near",
    "neighbourhood",
    "places_of",
    "shifted",
    "stale",
    "summaries_near",
    "tell",
    "tell_bend",
    "tell_drift",
    "worth",
]

# How far slopes follow what a day showed. With 1 they become the mean slopes of the way, and with 2 those at its end if
# they were exact at its beginning. But with 2, what was wrong in them only changes sign at every step and never fades.
FOLLOWED = 1.5


@dataclass(frozen=True)
class Today:
    """Where days are simulated one after the other: the latest of them.

    Attributes
    ----------
    s, x : its summaries, and the midnight at its end.
    dawn : the midnight at its beginning.
    ago : how long before the present the middle of what was lived of it lies.
    drift : how the summaries move in time, per day; None where something has just happened.
    left : how many such days may still follow before the next macro step.
    """

    s: Vector
    x: Vector
    dawn: Vector
    ago: float = 0.5
    drift: Vector | None = None
    left: int = 0

    @property
    def now(self) -> Vector:
        """The summaries of the present."""
        return self.s if self.drift is None else self.s + self.ago * self.drift


@dataclass(frozen=True)
class Base:
    """A real day and its neighbourhood: what it read, its summaries, its midnight, and their slopes.

    Attributes
    ----------
    dawn : the midnight at its beginning; `x` is the one at its end.
    jacobian, orbit : ds/dv and dx/dv; `fresh` where they were measured at this very day.
    curve : r of each summary, 0 where it is linear. seen : what was read when each slope was last measured.
    pace : the fixed step of such days, chosen where they read `paced`.
    today : the latest day, where it is not this one.
    """

    v: Vector
    s: Vector
    x: Vector
    dawn: Vector
    jacobian: Vector
    orbit: Vector
    curve: Vector
    seen: Vector
    pace: float
    paced: Vector
    fresh: bool = False
    today: Today | None = None


class Neighbourhood(NamedTuple):
    """What of a base says how days near it are; of one, or of many with one row each."""

    v: Vector
    s: Vector
    x: Vector
    jacobian: Vector
    orbit: Vector
    curve: Vector


def neighbourhood(bases: Sequence[Base]) -> Neighbourhood:
    """Those of many bases."""
    return Neighbourhood(
        np.array([base.v for base in bases]),
        np.array([base.s for base in bases]),
        np.array([base.x for base in bases]),
        np.array([base.jacobian for base in bases]),
        np.array([base.orbit for base in bases]),
        np.array([base.curve for base in bases]),
    )


def _along(slopes: Vector, way: Vector) -> Vector:
    """The change along a way; each sum in the same order, however many there are."""
    change: Vector = (slopes * way[..., None, :]).sum(axis=-1)
    return change


def curves(s: Vector, bounds: tuple[Vector, Vector], size: Vector) -> Vector:
    """The r with which summaries keep within their bounds, each seen from the nearer one; 0 for those outside."""
    low, high = bounds
    room = np.where(s - low <= high - s, np.maximum(s - low, 1e-6 * size), np.minimum(s - high, -1e-6 * size))
    curve: Vector = np.where((s >= low) & (s <= high), 1.0 / room, 0.0)
    return curve


def curved(change: Vector, curve: Vector) -> Vector:
    """How far summaries move for a first-order change u, with curve r.

    For r = 1 / B it is B (exp(u / B) - 1) to second order; but a rise grows to 2 u at most, and a fall never exceeds B.
    """
    share = curve * change
    move: Vector = change * (1.0 + share / (1.0 + np.sqrt(1.0 + share * share)))
    return move


def straightened(move: Vector, curve: Vector) -> Vector:
    """The first-order change that moves summaries so far; the inverse of `curved`."""
    change: Vector = 0.5 * move * (1.0 + 1.0 / (1.0 + curve * move))
    return change


def summaries_near(base: Base | Neighbourhood, v: Vector) -> Vector:
    """The summaries of a day that reads v."""
    return base.s + curved(_along(base.jacobian, v - base.v), base.curve)


def error_of(base: Base | Neighbourhood, v: Vector, s: Vector) -> tuple[Vector, Vector]:
    """What the first-order change to a real day at v lacks; and the curve, 0 where that day lies beyond a bound."""
    curve: Vector = np.where(1.0 + base.curve * (s - base.s) > 1e-9, base.curve, 0.0)
    return straightened(s - base.s, curve) - _along(base.jacobian, v - base.v), curve


def midnight_near(base: Base | Neighbourhood, v: Vector) -> Vector:
    """The midnight of a day that reads v."""
    return shifted(base.x, _along(base.orbit, v - base.v))


def shifted(x: Vector, change: Vector) -> Vector:
    """A midnight and a change of it; what would have changed its sign stays where it is known."""
    changed = x + change
    midnight: Vector = np.where((changed <= 0.0) & (x > 0.0), x, changed)
    return midnight


def apart(v: Vector, other: Vector, width: Vector) -> NDArray[np.bool_]:
    """The directions in which two readings differ."""
    return np.asarray(np.abs(v - other) > 1e-7 * width)


def worth(base: Base, width: Vector, size: Vector) -> NDArray[np.bool_]:
    """The directions in which a tenth of a size moves some summary by as much as a tenth of its tolerance."""
    return np.asarray((np.abs(base.jacobian * width) > 0.1 * size[:, None]).any(axis=0))


def stale(jacobian: Vector, way: Vector, far: Vector) -> NDArray[np.bool_]:
    """The directions worth another look: those that moved, where one of them has moved a summary far since the last.

    `way` leads from where each slope was last measured.
    """
    effect = (np.abs(jacobian * way[..., None, :]) / far[..., :, None]).max(axis=-2, initial=0.0)
    return np.asarray((effect > 0.1) & (effect > 1.0).any(axis=-1, keepdims=True))


def direction_to(base: Base | Neighbourhood, v: Vector, width: Vector) -> Vector:
    """The row w that is 1 at v and 0 at the base, w . (v - base.v); zero where they are the same."""
    weighted = (v - base.v) / width**2
    size = (weighted * (v - base.v)).sum(axis=-1, keepdims=True)
    direction: Vector = np.divide(weighted, size, out=np.zeros_like(weighted), where=size > 1e-8)
    return direction


def bent(
    base: Base | Neighbourhood, v: Vector, s: Vector, x: Vector, error: Vector, curve: Vector, width: Vector
) -> tuple[Vector, Vector]:
    """The slopes at a real day at v, which follow the bend seen on the way there (a Broyden update).

    Parameters
    ----------
    s, x : the summaries of that day, and its midnight. error, curve : see `error_of`.
    """
    way = (v - base.v) / width
    lacking = x - base.x - _along(base.orbit, v - base.v)
    share = 1.0 + curve * (s - base.s)
    slope = 2.0 * share**2 / (1.0 + share**2)  # of `curved`, there
    jacobian = (base.jacobian + _owed(error, base.jacobian * width[None, :], way) / width) * slope[..., :, None]
    return jacobian, base.orbit + _owed(lacking, base.orbit * width[None, :], way) / width


def _owed(error: Vector, slopes: Vector, way: Vector) -> Vector:
    """The change of slopes that an error on a way asks for: most of large slopes, which may be wrong by more."""
    trust = np.abs(slopes)
    weight = (trust + 0.05 * trust.max(axis=-1, keepdims=True, initial=0.0)) ** 2
    weight = np.where(weight.max(axis=-1, keepdims=True, initial=0.0) > 0.0, weight, 1.0)
    size = (way**2).sum(axis=-1)[..., None, None]
    total = _along(weight, way**2)[..., :, None]
    row = np.divide(weight * way[..., None, :], total, out=np.zeros_like(weight), where=(total > 0.0) & (size > 1e-8))
    owed: Vector = FOLLOWED * error[..., :, None] * row
    return owed


@dataclass(frozen=True)
class Places:
    """Where the coefficients of the bridge stand among the parameters of the life."""

    time: int
    v0: slice
    w: slice
    s0: slice
    e: slice
    c: slice
    r: slice
    J: slice


def places_of(clocks: Clocks) -> Places:
    """The places of a composition."""
    ups, downs = len(clocks.up), len(clocks.down)

    def span(kind: str, length: int) -> slice:
        first = clocks.place(kind)
        return slice(first, first + length)

    return Places(
        time=clocks.place("time"),
        v0=span("v0", downs),
        w=span("w", downs),
        s0=span("s0", ups),
        e=span("e", ups),
        c=span("c", ups),
        r=span("r", ups),
        J=span("J", ups * downs),
    )


def tell(places: Places, parameters: Vector, base: Base) -> None:
    """Write into a life's parameters: the days are those near the base."""
    parameters[places.v0] = base.v
    parameters[places.s0] = base.s
    parameters[places.r] = base.curve
    parameters[places.J] = base.jacobian.ravel()
    parameters[places.w] = 0.0
    parameters[places.e] = 0.0
    parameters[places.c] = 0.0


def tell_bend(
    places: Places, parameters: Vector, span: tuple[float, float], error: Vector, curve: Vector, direction: Vector
) -> None:
    """Write into them besides: within a span of time the days are bent, by an error at its end; see `error_of`.

    The bend grows with time and along the way: on a straight way as a parabola, and on a winding one never far beyond.
    """
    begin, end = span
    parameters[places.time] = begin
    parameters[places.w] = direction
    parameters[places.e] = error / (end - begin)
    parameters[places.r] = curve


def tell_drift(places: Places, parameters: Vector, time: float, s: Vector, drift: Vector | None) -> None:
    """Write into a life's parameters: whatever they read, the days have summaries s at a time and drift from there."""
    parameters[places.time] = time
    parameters[places.s0] = s
    parameters[places.r] = 0.0
    parameters[places.J] = 0.0
    parameters[places.e] = 0.0
    parameters[places.c] = 0.0 if drift is None else drift
