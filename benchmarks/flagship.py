"""The flagship as a file for everybody: ten days of meals and one infusion, both clocks in one, as SBML.

Its meals are events of the file, so only tools that read SBML are asked. No record falls on an event, where tools
disagree whether they show what was before or what is after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import FLOOR
from isletsim.sbml import load_sbml
from isletsim.sbml.export_scenario import export_arm
from isletsim.sbml.writing import sbml_text
from isletsim.study import load_scenario

__all__ = ["FileProblem", "file_problem", "file_reference"]

SCENARIO = Path(__file__).resolve().parent / "models" / "flagship_decade.toml"
DAYS, INTERVALS = 10, 251  # a prime number of intervals: none ends at a full hour but the last


@dataclass(frozen=True)
class FileProblem:
    """A problem that is a file: its text, the end of the run, the times of records, and the states to be recorded."""

    name: str
    title: str
    text: str
    until: float
    save: NDArray[np.float64]
    states: tuple[str, ...]

    def single_error(self, states: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
        """The largest error of any state at any record but the first and last, beside the state's own size."""
        size = np.maximum(np.abs(exact), FLOOR * np.abs(exact).max(axis=0))
        inside = (slice(1, -1), size.max(axis=0) > 0)
        return float((np.abs(states - exact)[inside] / size[inside]).max())


@cache
def file_problem(name: str) -> FileProblem:
    """The one problem of this kind, "flagship"."""
    scenario = load_scenario(SCENARIO, {"until": f"{DAYS} day", "save": "1 day"})
    exchange = export_arm(scenario).exchange
    states = tuple(each.id for each in exchange.variables if each.kind == "state")
    title = f"the flagship as SBML, {len(states)} states, {DAYS} days of meals"
    return FileProblem(name, title, sbml_text(exchange), float(DAYS), np.linspace(0.0, DAYS, INTERVALS + 1), states)


def file_reference(given: FileProblem, folder: Path, rtol: float = 1e-12) -> NDArray[np.float64]:
    """All states at all records."""
    path = folder / f"{given.name}.xml"
    path.write_text(given.text)
    trajectory = load_sbml(path).simulate(given.until, save=given.save, rtol=rtol)
    return np.array([trajectory[name] for name in given.states]).T
