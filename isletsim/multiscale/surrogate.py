"""What is known of the days near a real one, and how the life model is told of it.

Between real days the summaries s of the day, and the midnight x it begins with, are local functions of what the day
reads of the life, v; `isletsim.composition.clocks` has the form in which they stand in the life model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.composition.clocks import Clocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = [
    "DailySurrogate",
    "LastDay",
    "Places",
    "curves",
    "midnight_near",
    "places_of",
    "summaries_near",
    "tell",
    "tell_drift",
    "within_bounds",
]


@dataclass(frozen=True)
class LastDay:
    """Where days are simulated one after the other: the latest of them.

    Attributes
    ----------
    summaries, midnight_state : its summaries, and the midnight at its end.
    initial_midnight : the midnight at its beginning.
    ago : how long before the present the middle of what was lived of it lies.
    drift : how the summaries move in time, per day; None where something has just happened.
    left : how many such days may still follow before the next macro step.
    """

    summaries: Vector
    midnight_state: Vector
    initial_midnight: Vector
    ago: float = 0.5
    drift: Vector | None = None
    left: int = 0

    @property
    def now(self) -> Vector:
        """The summaries of the present."""
        return self.summaries if self.drift is None else self.summaries + self.ago * self.drift


@dataclass(frozen=True)
class DailySurrogate:
    """A real day and its neighbourhood: what it read, its summaries, its midnight, and their slopes.

    Attributes
    ----------
    initial_midnight : the midnight at its beginning; `midnight_state` is the one at its end.
    jacobian, midnight_jacobian : derivatives of summaries and midnight by the inputs; `fresh` where they were measured
        at this very day.
    curve : r of each summary, 0 where it is linear. seen : what was read when each slope was last measured.
    pace : the fixed step of such days, chosen where they read `paced`.
    today : the latest day, where it is not this one.
    """

    day_inputs: Vector
    summaries: Vector
    midnight_state: Vector
    initial_midnight: Vector
    jacobian: Vector
    midnight_jacobian: Vector
    curve: Vector
    seen: Vector
    pace: float
    paced: Vector
    fresh: bool = False
    today: LastDay | None = None


def _along(slopes: Vector, way: Vector) -> Vector:
    """The change along a way; each sum in the same order, however many there are."""
    change: Vector = (slopes * way[..., None, :]).sum(axis=-1)
    return change


def within_bounds(drift: Vector, s: Vector, bounds: tuple[Vector, Vector]) -> Vector:
    """Limit the daily change of summaries so that they stay within their bounds until the middle of the next day.

    Summaries are extrapolated for up to one day. After a sudden fall, such as that of insulin when injections stop, a
    straight line would lead below zero; a slope limiter keeps it at or above the bound.
    """
    low, high = bounds
    known = (low <= s) & (s <= high)
    return np.where(known, np.clip(drift, low - s, high - s), drift)


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


def summaries_near(base: DailySurrogate, v: Vector) -> Vector:
    """The summaries of a day that reads v."""
    return base.summaries + curved(_along(base.jacobian, v - base.day_inputs), base.curve)


def midnight_near(base: DailySurrogate, v: Vector) -> Vector:
    """The midnight of a day that reads v."""
    return shifted(base.midnight_state, _along(base.midnight_jacobian, v - base.day_inputs))


def shifted(x: Vector, change: Vector) -> Vector:
    """A midnight and a change of it; what would have changed its sign stays where it is known."""
    changed = x + change
    midnight: Vector = np.where((changed <= 0.0) & (x > 0.0), x, changed)
    return midnight


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


def tell(places: Places, parameters: Vector, base: DailySurrogate) -> None:
    """Write into a life's parameters: the days are those near the base."""
    parameters[places.v0] = base.day_inputs
    parameters[places.s0] = base.summaries
    parameters[places.r] = base.curve
    parameters[places.J] = base.jacobian.ravel()
    parameters[places.w] = 0.0
    parameters[places.e] = 0.0
    parameters[places.c] = 0.0


def tell_drift(places: Places, parameters: Vector, time: float, s: Vector, drift: Vector | None) -> None:
    """Write into a life's parameters: whatever they read, the days have summaries s at a time and drift from there."""
    parameters[places.time] = time
    parameters[places.s0] = s
    parameters[places.r] = 0.0
    parameters[places.J] = 0.0
    parameters[places.e] = 0.0
    parameters[places.c] = 0.0 if drift is None else drift
