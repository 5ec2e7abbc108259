"""Many subjects side by side in vector lanes: of one question (`solve_many`), or of many (`answer`, `together`)."""

from isletsim.ensemble.many import EnsembleOutcome, Keep, Method, People, solve_in_blocks, solve_many
from isletsim.ensemble.together import WIDTH, Run, Steps, abreast, alone, answer, together

__all__ = [
    "WIDTH",
    "EnsembleOutcome",
    "Keep",
    "Method",
    "People",
    "Run",
    "Steps",
    "abreast",
    "alone",
    "answer",
    "solve_in_blocks",
    "solve_many",
    "together",
]
