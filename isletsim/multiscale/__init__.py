"""Macro steps of many lives at once, in native code.

A life between two events is a row of numbers (`layout`) that a machine moves on from a question to its answer
(`machine`, and `near` for what is known of the days near a real one). The questions of all lives that are on their way
are laid into the lanes by native code (`drive`), without Python's lock; Python (`desk`) hears of a life again when it
has reached the next event, or when something happens that is rare: a day of which the fixed step must be looked at
again, a run that lanes cannot do, a model that has no lanes.
"""

from isletsim.multiscale.batch import BatchManager, Job
from isletsim.multiscale.workspace import DRIVER, LOOK_AGAIN, CompiledPair

__all__ = ["DRIVER", "LOOK_AGAIN", "BatchManager", "CompiledPair", "Job"]
