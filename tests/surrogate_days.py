"""What is known of the days near a real one, written plainly with numpy: what the machine is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from isletsim.multiscale import CompiledPair
from isletsim.multiscale.surrogate import DailySurrogate, curved, summaries_near

FOLLOWED = 1.5


def straightened(move: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The first-order change that moves summaries so far; the inverse of `curved`."""
    return 0.5 * move * (1.0 + 1.0 / (1.0 + curve * move))


def matters(pair: CompiledPair, s: np.ndarray) -> np.ndarray:
    """A change of each summary that asks for good slopes."""
    smooth = [summary.kind in ("mean", "at") for summary in pair.clocks.summaries]
    shown = np.maximum(0.01 * np.abs(s), 0.1 * pair.size)
    return np.where(smooth, np.where(pair.clocks.felt, pair.size, shown), np.inf)


def surprise(pair: CompiledPair, base: DailySurrogate, v: np.ndarray, s: np.ndarray) -> float:
    """How far a day's summaries are from those expected, in tolerances."""
    return float((np.abs(s - summaries_near(base, v)) / pair.tolerances).max())


def owed(error: np.ndarray, slopes: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The change of slopes, for widths of 1, that errors on a way ask for."""
    trust = np.abs(slopes)
    weight = (trust + 0.05 * trust.max(axis=1, keepdims=True)) ** 2
    weight = np.where(weight.max(axis=1, keepdims=True) > 0.0, weight, 1.0)
    total = weight @ way**2
    row = np.divide(weight * way, total[:, None], out=np.zeros_like(weight), where=(total > 0.0)[:, None])
    return FOLLOWED * error[:, None] * row * (way @ way > 1e-8)


def followed(
    pair: CompiledPair, base: DailySurrogate, v: np.ndarray, s: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes at a real day at v, which follow the bend seen on the way there."""
    curve = np.where(1.0 + base.curve * (s - base.summaries) > 1e-9, base.curve, 0.0)
    error = straightened(s - base.summaries, curve) - base.jacobian @ (v - base.day_inputs)
    way = (v - base.day_inputs) / pair.width
    share = 1.0 + curve * (s - base.summaries)
    slope = 2.0 * share**2 / (1.0 + share**2)
    jacobian = (base.jacobian + owed(error, base.jacobian * pair.width, way) / pair.width) * slope[:, None]
    lacking = x - base.midnight_state - base.midnight_jacobian @ (v - base.day_inputs)
    return jacobian, base.midnight_jacobian + owed(lacking, base.midnight_jacobian * pair.width, way) / pair.width


def stale(pair: CompiledPair, base: DailySurrogate, factor: float) -> np.ndarray:
    """The directions worth another look."""
    effect = np.abs(base.jacobian * (base.day_inputs - base.seen)) / (factor * matters(pair, base.summaries))[:, None]
    effect = effect.max(axis=0)
    return (effect > 0.1) & bool((effect > 1.0).any())


def moved(
    pair: CompiledPair, base: DailySurrogate, v: np.ndarray, s: np.ndarray, x: np.ndarray, dawn: np.ndarray, **more: Any
) -> DailySurrogate:
    """The base at a real day that was no surprise."""
    jacobian, orbit = followed(pair, base, v, s, x)
    return replace(
        base,
        day_inputs=v,
        summaries=s,
        midnight_state=x,
        initial_midnight=dawn,
        jacobian=jacobian,
        midnight_jacobian=orbit,
        fresh=False,
        **more,
    )


__all__ = ["curved", "followed", "matters", "moved", "stale", "straightened", "surprise"]
