"""Small multiples on one sheet: what is drawn (`FigureSpec`), how (`draw`), and as which file (`render`).

It knows curves, bands, ticks and labels, and neither arms nor biology; `results` says what stands on a sheet.
"""

from __future__ import annotations

from isletsim.figures.draw import draw, render
from isletsim.figures.figure_spec import Curve, FigureSpec, Panel, Ticks

__all__ = ["Curve", "FigureSpec", "Panel", "Ticks", "draw", "render"]
