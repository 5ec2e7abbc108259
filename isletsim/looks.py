"""What is seen of many lives at once: the way ahead of a macro step, and a real day beside what was expected of it.

Every life alone asks its questions; the arithmetic on the answers is done here for all that were answered together.
Sums run over one life at a time, in one order, so nobody's numbers depend on the company.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from isletsim.bridge import (
    Base,
    apart,
    bent,
    curves,
    direction_to,
    error_of,
    midnight_near,
    neighbourhood,
    places_of,
    stale,
    summaries_near,
)
from isletsim.days import Day
from isletsim.ensemble import Reader
from isletsim.layers.clocks import Clocks
from isletsim.rules import Rules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = ["Ahead", "Looks", "Seen"]


_NONE = np.empty(0)
_NOWHERE = np.empty(0, dtype=np.bool_)


class Ahead(NamedTuple):
    """The way of a macro step with the linear day.

    Attributes
    ----------
    steps : inner steps.
    v : what the day reads at its end. moving : which of it is another than at the beginning or at the base.
    bend : how far the path is curved, in sizes. far : how far the summaries go, in tolerances.
    x : the midnight expected at its end.
    """

    steps: int
    v: Vector
    moving: NDArray[np.bool_]
    bend: float
    far: float
    x: Vector


class Seen(NamedTuple):
    """A real day near a base.

    Attributes
    ----------
    s, x : its summaries, and the midnight at its end. gap : how far it is from closing, in tolerances.
    missed : how far its summaries are from those expected, in tolerances.
    error, curve : see `error_of`. direction : see `direction_to`. jacobian, orbit : slopes that follow (`bent`).
    room : the curve of a base at this day. moved : the directions in which it differs from the base's own day.
    stale : the directions in which slopes that follow are worth another look.
    """

    s: Vector
    x: Vector
    gap: float
    missed: float = 0.0
    error: Vector = _NONE
    curve: Vector = _NONE
    direction: Vector = _NONE
    jacobian: Vector = _NONE
    orbit: Vector = _NONE
    room: Vector = _NONE
    moved: NDArray[np.bool_] = _NOWHERE
    stale: NDArray[np.bool_] = _NOWHERE


class Looks:
    """How lives of one composition are looked at; days of the reference are held against nothing."""

    def __init__(self, clocks: Clocks, rules: Rules) -> None:
        self.expected = not rules.every_day
        self.downs, self.ups = len(clocks.down), len(clocks.up)
        self.width = 0.1 * np.array(clocks.sizes)
        self.size = np.array(clocks.tolerances)
        self.tolerances = np.where(clocks.felt, rules.tolerance * self.size, np.inf)
        self.felt, self.stale = np.array(clocks.felt), rules.stale
        self.smooth = np.array([summary.kind in ("mean", "at") for summary in clocks.summaries])
        high = [1.0 if summary.kind == "fraction" else np.inf for summary in clocks.summaries]
        self.bounds = np.zeros(self.ups), np.array(high)
        place = {name: index for index, name in enumerate(clocks.day.parameters)}
        self.day_places = np.array([place[name] for name in clocks.down], dtype=np.int64)
        self.places = places_of(clocks)
        self.reader: Reader = self.ahead
        self._real: dict[int, tuple[Day, Reader]] = {}

    def matters(self, s: Vector) -> Vector:
        """A change of each summary that asks for good slopes; none of one with kinks, whose slopes say little.

        Where only reports read it, it is a hundredth of the summary itself, down to a tenth of its size.
        """
        shown = np.maximum(0.01 * np.abs(s), 0.1 * self.size)
        return np.where(self.smooth, np.where(self.felt, self.size, shown), np.inf)

    def split(self, outputs: Vector) -> tuple[Vector, Vector]:
        """What the day reads, and the summaries, out of rows of outputs."""
        return outputs[..., -self.downs - self.ups : -self.ups], outputs[..., -self.ups :]

    def ahead(self, outputs: Vector, states: Vector, steps: Sequence[int], about: Sequence[Base]) -> list[Ahead]:
        """The ways of macro steps, from rows at their beginning, middle and end; `about` are their bases."""
        base = neighbourhood(about)
        read, summaries = self.split(outputs)
        start, middle, v = read[:, 0], read[:, 1], read[:, 2]
        moving = apart(v, start, self.width) | apart(v, base.v, self.width)
        bend = np.sqrt((((middle - 0.5 * (start + v)) / self.width) ** 2).sum(axis=-1))
        far = (np.abs(summaries[:, 1:] - base.s[:, None]) / self.tolerances).max(axis=(1, 2), initial=0.0)
        x = midnight_near(base, v)
        return list(map(Ahead, steps, v, moving, bend.tolist(), far.tolist(), x))

    def of(self, day: Day) -> Reader:
        """The reader of real days near a base; `about` of such a run is the base and what the day reads."""
        known = self._real.get(id(day))
        if known is None:

            def real(
                outputs: Vector, states: Vector, steps: Sequence[int], about: Sequence[tuple[Base, Vector]]
            ) -> list[Seen]:
                return self._seen(day.seen(outputs, states), about)

            known = self._real[id(day)] = day, real
        return known[1]

    def _seen(self, days: tuple[Vector, Vector, Vector], about: Sequence[tuple[Base, Vector]]) -> list[Seen]:
        s, x, gaps = days
        gap = (gaps / self.tolerances).max(axis=-1, initial=0.0)
        if not self.expected:
            return [Seen(s[row], x[row], gap.item(row)) for row in range(len(s))]
        base, v = neighbourhood([each for each, _ in about]), np.array([each for _, each in about])
        error, curve = error_of(base, v, s)
        missed = (np.abs(s - summaries_near(base, v)) / self.tolerances).max(axis=-1, initial=0.0)
        direction = direction_to(base, v, self.width)
        jacobian, orbit = bent(base, v, s, x, error, curve, self.width)
        room = curves(s, self.bounds, self.size)
        moved = apart(v, base.v, self.width)
        old = stale(jacobian, v - np.array([each.seen for each, _ in about]), self.stale * self.matters(s))
        numbers = gap.tolist(), missed.tolist()
        return list(map(Seen, s, x, *numbers, error, curve, direction, jacobian, orbit, room, moved, old))
