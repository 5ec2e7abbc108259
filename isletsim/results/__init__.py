"""What a scenario run gives, and everything that is made of it: summary, table, files and figures.

`write` puts a result into a folder, `render_table` into a terminal, `summarise` into a mapping, `sheet` into a figure.
"""

from __future__ import annotations

from isletsim.results.figure import sheet
from isletsim.results.files import write
from isletsim.results.record import (
    ArmInfo,
    Covariate,
    EffectDriver,
    Failure,
    FigureRequest,
    Response,
    Variable,
    own_layers,
)
from isletsim.results.result import Result
from isletsim.results.summary import summarise
from isletsim.results.table import render_table

__all__ = [
    "ArmInfo",
    "Covariate",
    "EffectDriver",
    "Failure",
    "FigureRequest",
    "Response",
    "Result",
    "Variable",
    "own_layers",
    "render_table",
    "sheet",
    "summarise",
    "write",
]
