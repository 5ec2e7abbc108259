"""Calibration of the flagship as a script: `python -m isletsim.calibration`.

`seeds/calibration.toml` says which numbers are fitted to which rows of the evidence; `fit` does it, `write_into` puts
the numbers into the model and patient files, and `as_page` tells people.
"""

from __future__ import annotations

from isletsim.calibration.fit import fit
from isletsim.calibration.reading import own_table, read_calibration
from isletsim.calibration.records import Comparison, FitOutcome, Free, Group, Reached
from isletsim.calibration.report import as_data, as_page, kept_result, merge, result_file
from isletsim.calibration.writing import changes, write_into

__all__ = [
    "Comparison",
    "FitOutcome",
    "Free",
    "Group",
    "Reached",
    "as_data",
    "as_page",
    "changes",
    "fit",
    "kept_result",
    "merge",
    "own_table",
    "read_calibration",
    "result_file",
    "write_into",
]
