"""Delay equations by the method of steps (Bellen and Zennaro, Numerical Methods for Delay Equations, Oxford 2003).

A run is divided into windows. Within a window every delayed quantity is a polynomial of the time, interpolated at
Chebyshev points from the recorded history; its coefficients are parameters of the machine code, so that the stiff
solver, its events and its Jacobian need no change. A window ends before the history does, at events, and at
breakpoints, where discontinuities of the past arrive. It is shortened until the polynomials resolve the history to
tolerance. Delays that are shorter than any window, or depend on the state, are iterated within the window.

Before time 0 states keep their initial values, formulas of time are evaluated at the past time, and rates are zero.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from isletsim.errors import RunError
from isletsim.flat import TIME
from isletsim.language import Name, Number, Tree, apply, names
from isletsim.sbml.algebra import needed, renamed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BEGIN", "MOST_SWEEPS", "POINTS", "SCALE", "Delayed", "History", "Window"]
__all__ += ["delay_expressions", "delay_outputs", "delay_parameters", "delayed_name", "early_values", "nodes_of"]

POINTS = 12  # of a window: polynomials of degree 11
BEGIN, SCALE = "window begin", "window scale"  # parameters: phase = (time - begin) * scale - 1, from -1 to 1
PHASE = "window phase"
ORDERS = 6  # a discontinuity is one order smoother each time it has passed a delay
MOST_BREAKPOINTS = 100_000
SHORTEST = 1e-7  # window, as a share of the run: a discontinuity that nothing announced is passed over
SAME = 1e-3  # of the shortest window: breakpoints that are nearer are one
ROUNDING = 64 * np.finfo(float).eps
MOST_SWEEPS = 40  # iterations of a window

_ANGLES = np.pi * np.arange(POINTS) / (POINTS - 1)
_NODES = -np.cos(_ANGLES)
_WEIGHTS = np.array([(-1.0) ** index * (0.5 if index in (0, POINTS - 1) else 1.0) for index in range(POINTS)])
_TO_CHEBYSHEV = np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, POINTS - 1))
_TO_POWERS = np.linalg.inv(np.polynomial.polynomial.polyvander(_NODES, POINTS - 1))


# --- in the flat model ------------------------------------------------------------------------------------------------


def delayed_name(number: int) -> str:
    """Return the name of a delayed quantity in the flat model."""
    return f"delayed({number})"


def delayed_names(count: int) -> set[str]:
    """Return the names of `count` delayed quantities."""
    return {delayed_name(number) for number in range(count)}


def _coefficient(number: int, power: int) -> str:
    return f"{delayed_name(number)} power {power}"


def delay_parameters(count: int) -> dict[str, float]:
    """Return the parameters that `count` delayed quantities need."""
    if count == 0:
        return {}
    found = {BEGIN: 0.0, SCALE: 1.0}
    return found | {_coefficient(number, power): 0.0 for number in range(count) for power in range(POINTS)}


def delay_expressions(delays: tuple[tuple[Tree, Tree], ...]) -> dict[str, Tree]:
    """Return named expressions: every delayed quantity as a polynomial, its source, and its lag."""
    if not delays:
        return {}
    passed = apply("multiply", apply("subtract", Name(TIME), Name(BEGIN)), Name(SCALE))
    found: dict[str, Tree] = {PHASE: apply("subtract", passed, Number(1.0))}
    for number, (source, lag) in enumerate(delays):
        name = delayed_name(number)
        tree: Tree = Name(_coefficient(number, POINTS - 1))
        for power in reversed(range(POINTS - 1)):
            tree = apply("add", Name(_coefficient(number, power)), apply("multiply", Name(PHASE), tree))
        found |= {name: tree, f"{name} source": source, f"{name} lag": lag}
    return found


def delay_outputs(count: int) -> list[str]:
    """Return the names that a run records for the history: sources and lags."""
    return [f"{delayed_name(number)} {kind}" for number in range(count) for kind in ("source", "lag")]


def early_values(
    delays: tuple[tuple[Tree, Tree], ...], definitions: Mapping[str, Tree], initially: Mapping[str, Tree]
) -> list[Tree]:
    """Return what every delayed quantity is before time 0; an initial assignment of the time goes on into the past."""
    known: dict[str, Tree] = {}
    for name, tree in initially.items():
        if TIME in needed(initially, tree):
            known[name] = _before_start(tree, delays, definitions, known)
    return [_before_start(source, delays, definitions, known) for source, _ in delays]


def _before_start(
    tree: Tree, delays: tuple[tuple[Tree, Tree], ...], definitions: Mapping[str, Tree], known: dict[str, Tree]
) -> Tree:
    """Return what a tree is before time 0, as a tree of the time: rates are zero, what is delayed is earlier still.

    Parameters
    ----------
    definitions : named expressions.
    known : names that are done; filled here.
    """
    for name in sorted(names(tree) - known.keys()):
        known[name] = Name(name)  # also for a definition that needs itself, which is refused elsewhere
        if name.startswith("rateOf("):
            known[name] = Number(0.0)
        elif name in delayed_names(len(delays)):
            source, lag = delays[int(name[len("delayed(") : -1])]
            past = _before_start(source, delays, definitions, known)
            known[name] = renamed(past, {TIME: apply("subtract", Name(TIME), lag)})
        elif name in definitions:
            past = _before_start(definitions[name], delays, definitions, known)
            if past is not definitions[name]:
                known[name] = past
    inside = {name: known[name] for name in names(tree) if known[name] != Name(name)}
    return renamed(tree, inside) if inside else tree


# --- in a run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delayed:
    """A delayed quantity, as indices.

    Attributes
    ----------
    first : of its first coefficient among the parameters.
    source, lag : among the outputs of the model.
    early, early_lag : among the outputs of the probe: the source before time 0, and the lag.
    fixed : whether the lag changes at events at most; `timed`: whether it depends on nothing else than the time.
    """

    first: int
    source: int
    lag: int
    early: int
    early_lag: int
    fixed: bool
    timed: bool


@dataclass
class Window:
    """A stretch of the run, and the delayed quantities in it at its nodes, shape (delays, nodes)."""

    begin: float
    end: float
    values: NDArray[np.float64]
    certain: bool  # nothing was guessed, so the values need no iteration

    @property
    def nodes(self) -> NDArray[np.float64]:
        """Times of the nodes, the ends included."""
        return nodes_of(self.begin, self.end)


def nodes_of(begin: float, end: float) -> NDArray[np.float64]:
    """Return the Chebyshev-Lobatto points of an interval, both ends exact."""
    times = begin + (end - begin) * 0.5 * (_NODES + 1.0)
    times[0], times[-1] = begin, end
    return times


@dataclass
class History:
    """The past of a run, and the windows into its future.

    Attributes
    ----------
    probe : evaluates the probe at a time, at the state of the beginning or of now.
    end : of the run.
    rtol : the polynomials resolve the past to this share of its largest values.
    """

    delays: tuple[Delayed, ...]
    probe: Callable[[float, bool], NDArray[np.float64]]
    end: float
    rtol: float
    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    pieces: list[NDArray[np.float64]] = field(default_factory=list)
    breakpoints: list[tuple[float, int]] = field(default_factory=list)
    length: float = float("inf")

    def __post_init__(self) -> None:
        self.sizes = np.full(len(self.delays), np.finfo(float).tiny)  # the largest values so far

    # --- windows ---

    def open(self, now: float, target: float) -> Window:
        """Return the next window: from now to a time not after the target."""
        self._arrive(now)
        limit = max(target, now + self._shortest(now))
        later = bisect_right(self.breakpoints, (now + self._shortest(now), ORDERS))
        if later < len(self.breakpoints):
            limit = min(limit, self.breakpoints[later][0])
        begun = self.probe(now, False)  # noqa: FBT003
        lags = begun[[each.early_lag for each in self.delays]]
        if not (lags >= 0.0).all():
            raise RunError(f"at time {now:.6g}: a delay is {lags.min():g}; it must not be negative.")
        reach = now + min(lags[lags > self._shortest(now)].tolist(), default=np.inf)
        end = min(limit, reach, now + self.length)
        if limit <= reach and limit - end < 0.1 * (end - now):  # a remainder would need a window of its own
            end = limit
        while True:
            window = self._fitted(now, end, lags)
            if self.resolved(window.values) or end - now <= self._shortest(now):
                return window
            end = now + 0.5 * (end - now)

    def shorten(self, window: Window) -> bool:
        """Halve the next window beside this one; return False when it is as short as any may be."""
        size = window.end - window.begin
        self.length = 0.5 * size
        return size > self._shortest(window.begin)

    def _shortest(self, now: float) -> float:
        return max(SHORTEST * self.end, ROUNDING * abs(now))

    def _arrive(self, now: float) -> None:
        """Discontinuities that are here send their images ahead by every constant delay."""
        while self.breakpoints and self.breakpoints[0][0] <= now + SAME * self._shortest(now):
            _, order = self.breakpoints.pop(0)
            if order < ORDERS and len(self.breakpoints) < MOST_BREAKPOINTS:
                self.discontinuity(now, order)

    def discontinuity(self, now: float, order: int = 0) -> None:
        """Note that something jumps now, so that windows end where its images arrive."""
        lags = self.probe(now, False)[[each.early_lag for each in self.delays]]  # noqa: FBT003
        for each, lag in zip(self.delays, lags.tolist(), strict=True):
            time, same = now + lag, SAME * self._shortest(now + lag)
            if each.fixed and lag > 0.0 and time < self.end:
                place = bisect_left(self.breakpoints, (time - same, 0))
                near = place < len(self.breakpoints) and self.breakpoints[place][0] <= time + same
                if not near:
                    insort(self.breakpoints, (time, order + 1))

    def _fitted(self, begin: float, end: float, lags: NDArray[np.float64]) -> Window:
        times = nodes_of(begin, end)
        values = np.empty((len(self.delays), POINTS))
        certain = True
        for number, (each, lag) in enumerate(zip(self.delays, lags.tolist(), strict=True)):
            along = np.full(POINTS, lag)
            if each.timed and not each.fixed:
                along = np.array([self.probe(time, False)[each.early_lag] for time in times.tolist()])  # noqa: FBT003
            certain = certain and each.timed and bool((times - along <= begin + ROUNDING * abs(begin)).all())
            values[number] = self._past(number, times - along)
        return Window(begin, end, values, certain)

    def resolved(self, values: NDArray[np.float64]) -> bool:
        """Return whether polynomials through these values, shape (delays, nodes), are exact to tolerance."""
        self.sizes = np.maximum(self.sizes, np.abs(values).max(axis=1))
        tail = np.abs(values @ _TO_CHEBYSHEV.T[:, -2:]).max(axis=1)
        return bool((tail <= self.rtol * self.sizes).all())

    def again(self, window: Window, sources: NDArray[np.float64], lags: NDArray[np.float64]) -> tuple[Window, float]:
        """Return the window with values from its own solution, and their largest change beside the tolerance.

        Parameters
        ----------
        sources, lags : of all delayed quantities at the nodes, shape (nodes, delays).
        """
        times, values = window.nodes, window.values.copy()
        for number in range(len(self.delays)):
            past = times - np.maximum(lags[:, number], 0.0)
            inside = past > window.begin
            values[number, ~inside] = self._past(number, past[~inside])
            values[number, inside] = _interpolated(window.begin, window.end, sources[:, number], past[inside])
        self.sizes = np.maximum(self.sizes, np.abs(values).max(axis=1))
        change = np.abs(values - window.values) / (self.rtol * self.sizes[:, None])
        return Window(window.begin, window.end, values, window.certain), float(change.max(initial=0.0))

    def coefficients(self, window: Window) -> NDArray[np.float64]:
        """Return the powers of the phase, shape (delays, powers)."""
        powers: NDArray[np.float64] = window.values @ _TO_POWERS.T
        return powers

    # --- the past ---

    def keep(self, begin: float, end: float, sources: NDArray[np.float64]) -> None:
        """Add a piece of the past: values at its nodes, shape (nodes, delays)."""
        self.begins.append(begin)
        self.ends.append(end)
        self.pieces.append(sources)
        self.length = max(self.length, 2.0 * (end - begin))

    def _past(self, number: int, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of a source at rising times: at the first from the right, at the last from the left."""
        found = np.empty(len(times))
        if len(times) == 0:
            return found
        inner = 0.5 * (times[0] + times[-1])
        pieces = [self._piece(time, from_left=time > inner) for time in times.tolist()]
        for piece in set(pieces):
            here = [place for place, each in enumerate(pieces) if each == piece]
            if piece < 0:
                early = self.delays[number].early
                found[here] = [self.probe(min(time, 0.0), True)[early] for time in times[here].tolist()]  # noqa: FBT003
            else:
                begin, end, values = self.begins[piece], self.ends[piece], self.pieces[piece][:, number]
                found[here] = _interpolated(begin, end, values, np.clip(times[here], begin, end))
        return found

    def _piece(self, time: float, from_left: bool) -> int:
        """The piece of the past that a time is in; -1 before the beginning."""
        near = ROUNDING * abs(time)
        if time < -near or (from_left and time <= near) or not self.pieces:
            return -1
        if from_left:
            return max(bisect_left(self.begins, time - near) - 1, 0)
        return max(bisect_right(self.begins, time + near) - 1, 0)


def _interpolated(
    begin: float, end: float, values: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Barycentric interpolation at Chebyshev-Lobatto points (Berrut and Trefethen, SIAM Review 46, 2004)."""
    gaps = (times - begin) / (end - begin) * 2.0 - 1.0
    distance = gaps[:, None] - _NODES
    exact = distance == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = _WEIGHTS / distance
        found = (weights @ values) / weights.sum(axis=1)
    hit = exact.any(axis=1)
    found[hit] = values[exact[hit].argmax(axis=1)]
    return np.asarray(found)
