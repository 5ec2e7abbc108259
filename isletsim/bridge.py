"""What is known of the days near a real one, and how the life model is told of it.

Between real days the summaries s of the day, and the midnight x it begins with, are local linear functions of what the
day reads of the life, v; `isletsim.layers.clocks` has the form in which they stand in the life model.
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
    "bent",
    "direction_to",
    "midnight_near",
    "neighbourhood",
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


class Neighbourhood(NamedTuple):
    """What of a base says how days near it are; of one, or of many with one row each."""

    v: Vector
    s: Vector
    x: Vector
    jacobian: Vector
    orbit: Vector


def neighbourhood(bases: Sequence[Base]) -> Neighbourhood:
    """Those of many bases."""
    return Neighbourhood(
        np.array([base.v for base in bases]),
        np.array([base.s for base in bases]),
        np.array([base.x for base in bases]),
        np.array([base.jacobian for base in bases]),
        np.array([base.orbit for base in bases]),
    )


def _along(slopes: Vector, way: Vector) -> Vector:
    """The change along a way; each sum in the same order, however many there are."""
    change: Vector = (slopes * way[..., None, :]).sum(axis=-1)
    return change


def summaries_near(base: Base | Neighbourhood, v: Vector) -> Vector:
    """The summaries of a day that reads v."""
    return base.s + _along(base.jacobian, v - base.v)


def midnight_near(base: Base | Neighbourhood, v: Vector) -> Vector:
    """The midnight of a day that reads v; what would have changed its sign stays where it is known."""
    x = base.x + _along(base.orbit, v - base.v)
    midnight: Vector = np.where((x <= 0.0) & (base.x > 0.0), base.x, x)
    return midnight


def direction_to(base: Base | Neighbourhood, v: Vector, width: Vector) -> Vector:
    """The row w that is 1 at v and 0 at the base, w . (v - base.v); zero where they are the same."""
    weighted = (v - base.v) / width**2
    size = (weighted * (v - base.v)).sum(axis=-1, keepdims=True)
    direction: Vector = np.divide(weighted, size, out=np.zeros_like(weighted), where=size > 1e-8)
    return direction


def bent(base: Base | Neighbourhood, v: Vector, x: Vector, error: Vector, direction: Vector) -> tuple[Vector, Vector]:
    """The slopes at a real day at v, which follow the bend seen on the way there (a Broyden update).

    The factor 2 makes them the slopes at the end of the way, not its mean: they are those of the parabola.

    Parameters
    ----------
    x : the midnight of that day. error : how far its summaries lie from `summaries_near`.
    direction : see `direction_to`.
    """
    row = 2.0 * direction[..., None, :]
    missed = x - base.x - _along(base.orbit, v - base.v)
    return base.jacobian + error[..., :, None] * row, base.orbit + missed[..., :, None] * row


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
