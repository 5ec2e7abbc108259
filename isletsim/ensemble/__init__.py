"""Many subjects side by side in vector lanes: of one question (`solve_many`), or of many (`answer`, `together`)."""

from isletsim.ensemble.many import EnsembleOutcome, Keep, Method, People, solve_in_blocks, solve_many
from isletsim.ensemble.questions import (
    FEW,
    MAXIMUM_STEPS,
    WIDTH,
    Errand,
    Run,
    Steps,
    abreast,
    alone,
    answer,
    together,
    tolerances_of,
)

__all__ = [
    "FEW",
    "MAXIMUM_STEPS",
    "WIDTH",
    "EnsembleOutcome",
    "Errand",
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
    "tolerances_of",
]
