"""The simulators that are measured: one module each, behind one small interface.

Every peer runs in a process of its own, so that none disturbs another, and its memory is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.flagship import FileProblem
from benchmarks.problems import Problem

__all__ = ["PEERS", "Late", "Peer", "Run", "open_file", "open_peer"]

Late = Callable[[], NDArray[np.float64]]  # records that are read after the clock has stopped
Run = Callable[[float], NDArray[np.float64] | Late]  # a relative tolerance to what was recorded


class Peer(Protocol):
    """One way to solve the problems. A peer that reads SBML has `file` too: a run of a `FileProblem`."""

    packages: tuple[str, ...]  # whose versions are told

    def single(self, given: Problem) -> Run | None:
        """One run: records x states. None where the peer cannot."""

    def ensemble(self, given: Problem, draws: NDArray[np.float64]) -> Run | None:
        """A run for every row of parameters: subjects x records of the output. None where the peer cannot."""


# Name of a row, and module:factory. Ours come first: "isletsim" is what a user types, "isletsim solver" the bare call.
PEERS = {
    "isletsim": "own:Api",
    "isletsim solver": "own:Solver",
    "numbalsoda LSODA": "numbalsoda_:Lsoda",
    "numbalsoda DOP853": "numbalsoda_:Dop853",
    "libRoadRunner": "roadrunner_:RoadRunner",
    "scikit-sundae CVODE": "sundae:Cvode",
    "COPASI": "copasi:Copasi",
    "scipy odeint": "scipy_:Odeint",
    "scipy LSODA": "scipy_:Lsoda",
    "scipy BDF": "scipy_:Bdf",
    "scipy Radau": "scipy_:Radau",
    "AMICI": "amici_:Amici",
    "diffrax Kvaerno3": "diffrax_:Kvaerno3",
    "diffrax Kvaerno5": "diffrax_:Kvaerno5",
}


def open_peer(name: str) -> Peer:
    """A peer by its name.

    Raises
    ------
    ImportError : it is not installed.
    """
    module, _, factory = PEERS[name].partition(":")
    peer: Peer = getattr(import_module(f"benchmarks.peers.{module}"), factory)()
    return peer


def open_file(peer: Peer, given: FileProblem) -> Run | None:
    """A run of a file, records x states; None where the peer reads no SBML."""
    read: Callable[[FileProblem], Run] | None = getattr(peer, "file", None)
    return None if read is None else read(given)
