"""The solver: steps a compiled model through time. It sees arrays and addresses, no names, units or biology.

`solve` makes one run (docs/engine.md); what goes in and comes out is in `records`. The loops are plain Python that
numba compiles once for all models and that later starts load from the cache, without numba.
"""

from isletsim.solver.native import RUN, make_ahead
from isletsim.solver.records import ADVICE, Counts, NativeFunctions, NativeModel, Outcome, Reason, Schedule, Watch
from isletsim.solver.runs import solve
from isletsim.solver.stability import longest_stable_step

__all__ = [
    "ADVICE",
    "RUN",
    "Counts",
    "NativeFunctions",
    "NativeModel",
    "Outcome",
    "Reason",
    "Schedule",
    "Watch",
    "longest_stable_step",
    "make_ahead",
    "solve",
]
