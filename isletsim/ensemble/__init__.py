"""Many subjects side by side in vector lanes: of one question (`solve_many`), or of many (`answer`, `together`)."""

from isletsim.ensemble.many import EnsembleOutcome, Keep, Method, People, solve_in_blocks, solve_many
from isletsim.ensemble.questions import WIDTH, Reader, Run, Steps, abreast, alone, answer, together

__all__ = [
    "WIDTH",
    "EnsembleOutcome",
    "Keep",
    "Method",
    "People",
    "Reader",
    "Run",
    "Steps",
    "abreast",
    "alone",
    "answer",
    "solve_in_blocks",
    "solve_many",
    "together",
]
