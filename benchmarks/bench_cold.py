"""Cold starts: seconds from the launch of a process to its first result, best of three."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.peers.cold import cold_starts
from benchmarks.problems import problem


class ColdStart:
    """isletsim alone, with its drivers compiled."""

    params = (("topp2000", "invented27"), ("isletsim, model never seen", "isletsim, model seen"))
    param_names = ("problem", "state")
    timeout = 300
    unit = "s"

    def setup_cache(self) -> dict[str, dict[str, float]]:
        found = {}
        for name in ("topp2000", "invented27"):
            with tempfile.TemporaryDirectory() as place:
                starts = cold_starts(problem(name), Path(place), 3, ("isletsim",))
            found[name] = {state: each.seconds for state, each in starts.items()}
        return found

    def track_seconds(self, found: dict[str, dict[str, float]], name: str, state: str) -> float:
        return found[name][state]
