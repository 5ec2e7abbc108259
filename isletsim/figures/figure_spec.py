"""What stands on a sheet, before anybody decides how wide a line is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Curve", "FigureSpec", "Panel", "Threshold", "Ticks"]


@dataclass(frozen=True)
class Curve:
    """A line over time with its bands.

    Attributes
    ----------
    label : what the reader calls it; the same label has the same style in every panel.
    rank : 0 is the control, the others count up; it chooses colour and dashes.
    time, middle : days and values; finite.
    bands : (low, high) over the same days, widest first.
    broken : the run ended before the sheet does, which is marked.
    """

    label: str
    rank: int
    time: NDArray[np.float64]
    middle: NDArray[np.float64]
    bands: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...] = ()
    broken: bool = False


@dataclass(frozen=True)
class Threshold:
    """A level that people use; where it is not `asked` for it is drawn only if it lies near the curves."""

    value: float
    label: str
    asked: bool = False


@dataclass(frozen=True)
class Panel:
    """One quantity: all its curves, and the thresholds people hold them against."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class Ticks:
    """Moments on the time axis (doses), in the style of the curve of the same rank."""

    rank: int
    times: tuple[float, ...]


@dataclass(frozen=True)
class FigureSpec:
    """Panels that share one time axis, their title above and notes below."""

    title: str
    panels: tuple[Panel, ...]
    span: tuple[float, float]
    ticks: tuple[Ticks, ...] = ()
    notes: tuple[str, ...] = ()
