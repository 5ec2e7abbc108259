"""What is known of the days near a real one, and how the life model is told of it.

Between real days the summaries s of the day, and the midnight x it begins with, are local linear functions of what the
day reads of the life, v; `isletsim.layers.clocks` has the form in which they stand in the life model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.layers.clocks import Clocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = [
    "Base",
    "Places",
    "Today",
    "bent",
    "direction_to",
    "midnight_near",
    "places_of",
    "summaries_near",
    "tell",
    "tell_drift",
]


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


@dataclass(frozen=True)
class Base:
    """A real day and its neighbourhood: what it read, its summaries, its midnight, and their slopes.

    Attributes
    ----------
    jacobian, orbit : ds/dv and dx/dv; `fresh` where they were measured at this very day.
    pace : the fixed step of such days, chosen where they read `paced`.
    today : the latest day, where it is not this one.
    """

    v: Vector
    s: Vector
    x: Vector
    jacobian: Vector
    orbit: Vector
    pace: float
    paced: Vector
    fresh: bool = False
    today: Today | None = None


def summaries_near(base: Base, v: Vector) -> Vector:
    """The summaries of a day that reads v."""
    near: Vector = base.s + base.jacobian @ (v - base.v)
    return near


def midnight_near(base: Base, v: Vector) -> Vector:
    """The midnight of a day that reads v; what would have changed its sign stays where it is known."""
    x = base.x + base.orbit @ (v - base.v)
    return np.where((x <= 0.0) & (base.x > 0.0), base.x, x)


def direction_to(base: Base, v: Vector, width: Vector) -> Vector | None:
    """The row w that is 1 at v and 0 at the base, w . (v - base.v); None where they are the same."""
    weighted = (v - base.v) / width**2
    size = float(np.dot(weighted, v - base.v))
    return weighted / size if size > 1e-8 else None


def bent(base: Base, v: Vector, s: Vector, x: Vector, error: Vector, direction: Vector | None) -> Base:
    """The base moved to a real day at v, with slopes that follow the bend seen on the way (a Broyden update).

    The factor 2 makes them the slopes at the end of the way, not its mean: they are those of the parabola.

    Parameters
    ----------
    error : how far the summaries lie from `summaries_near`. direction : see `direction_to`.
    """
    jacobian, orbit = base.jacobian, base.orbit
    if direction is not None:
        jacobian = jacobian + 2.0 * (error[:, None] * direction)
        orbit = orbit + 2.0 * ((x - base.x - orbit @ (v - base.v))[:, None] * direction)
    return Base(v, s, x, jacobian, orbit, base.pace, base.paced)


@dataclass(frozen=True)
class Places:
    """Where the coefficients of the bridge stand among the parameters of the life."""

    time: int
    v0: slice
    w: slice
    s0: slice
    e: slice
    c: slice
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
        J=span("J", ups * downs),
    )


def tell(places: Places, parameters: Vector, base: Base, bend: Vector | None = None, way: Vector | None = None) -> None:
    """Write into a life's parameters: the days are those near the base, bent along the way by an error at its end."""
    parameters[places.v0] = base.v
    parameters[places.s0] = base.s
    parameters[places.J] = base.jacobian.ravel()
    parameters[places.w] = 0.0 if way is None else way
    parameters[places.e] = 0.0 if bend is None or way is None else bend
    parameters[places.c] = 0.0


def tell_drift(places: Places, parameters: Vector, time: float, s: Vector, drift: Vector | None) -> None:
    """Write into a life's parameters: whatever they read, the days have summaries s at a time and drift from there."""
    parameters[places.time] = time
    parameters[places.s0] = s
    parameters[places.J] = 0.0
    parameters[places.e] = 0.0
    parameters[places.c] = 0.0 if drift is None else drift
