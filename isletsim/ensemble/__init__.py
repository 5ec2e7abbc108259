"""Many subjects in vector lanes: runs of one model (`solve_many`), or tasks that need many (`run_tasks`)."""

from isletsim.ensemble.many import EnsembleOutcome, Keep, Method, People, solve_in_blocks, solve_many
from isletsim.ensemble.tasks import (
    FEW,
    MAXIMUM_STEPS,
    WIDTH,
    BatchJob,
    SolveRequest,
    Task,
    gather,
    run_task,
    run_tasks,
    solve_batch,
    tolerances_of,
)

__all__ = [
    "FEW",
    "MAXIMUM_STEPS",
    "WIDTH",
    "BatchJob",
    "EnsembleOutcome",
    "Keep",
    "Method",
    "People",
    "SolveRequest",
    "Task",
    "gather",
    "run_task",
    "run_tasks",
    "solve_batch",
    "solve_in_blocks",
    "solve_many",
    "tolerances_of",
]
