"""All subjects of a scenario, on as many threads as there are cores; the machine code runs without Python's lock."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenge import Finding
from isletsim.clocks import Rules
from isletsim.cohort import collect
from isletsim.faults import RunError
from isletsim.lives import liver_for
from isletsim.results import Carrier, Failure, Result
from isletsim.study.carriers import carriers_of
from isletsim.study.record import Work, make_result
from isletsim.study.subject import Ground, Lived, live

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.study.load import Scenario

__all__ = ["ground_of", "run_study"]

Progress = Callable[[int, int], None]
BATCH = 16  # subjects that one thread takes at a time, at most


@dataclass
class _Gathered:
    """What has been computed so far; NaN where nothing has."""

    values: NDArray[np.float64]
    found: NDArray[np.float64]
    failures: list[Failure] = field(default_factory=list)
    work: Work = field(default_factory=Work)
    carriers: list[tuple[Carrier, ...]] = field(default_factory=list)

    def take(self, lived: Lived) -> None:
        """Put a subject's life in its place."""
        for arm, rows in lived.rows.items():
            self.values[arm, lived.subject, : len(rows)] = rows
            self.found[arm, lived.subject] = lived.found[arm]
        self.failures += lived.failures
        self.work.redrawn += lived.redrawn
        self.work.steps += lived.steps
        self.work.days += lived.days
        self.work.seconds += lived.seconds


def run_study(scenario: Scenario, jobs: int | None, progress: Progress | None, rules: Rules) -> Result:
    """Every arm of a scenario for the reference patient and the cohort; see `Scenario.run`."""
    began = clock.perf_counter()
    plan, ground = scenario.plan, ground_of(scenario, rules)
    shape = (len(plan.arms), plan.cohort + 1, len(plan.save))
    reports = sum(len(test.reports) for test in scenario.challenges)
    gathered = _Gathered(np.full((*shape, len(ground.liver.outputs)), np.nan), np.full((*shape, reports), np.nan))

    def result() -> Result:
        gathered.work.wall = clock.perf_counter() - began
        return make_result(
            scenario, ground.liver, gathered.values, gathered.found, gathered.failures, gathered.work, gathered.carriers
        )

    try:
        gathered.take(live(ground, 0))
        if gathered.failures:
            told = dict.fromkeys(failure.message for failure in gathered.failures)
            raise RunError("\n".join(told), partial=result())
        gathered.carriers = carriers_of(ground)
        _cohort(ground, gathered, jobs or _cores(), progress)
    except KeyboardInterrupt as stop:
        stop.partial = result()  # type: ignore[attr-defined]
        raise
    return result()


def ground_of(scenario: Scenario, rules: Rules, seen: Callable[[int, float, Finding], None] | None = None) -> Ground:
    """What all subjects of a scenario share; `seen` is told of every virtual test."""
    plan = scenario.plan
    return Ground(
        plan=plan,
        composition=scenario.composition,
        patient=scenario.patient,
        challenges=scenario.challenges,
        liver=liver_for(scenario.composition, plan.tolerance, plan.method, rules),
        draws=collect(scenario.composition, scenario.patient),
        save=np.array(plan.save),
        seen=seen,
    )


def _cores() -> int:
    """The cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _cohort(ground: Ground, gathered: _Gathered, jobs: int, progress: Progress | None) -> None:
    total = ground.plan.cohort
    size = max(1, min(BATCH, total // (4 * jobs)))
    batches = [range(first, min(first + size, total + 1)) for first in range(1, total + 1, size)]

    def batch(subjects: Sequence[int]) -> list[Lived]:
        return [live(ground, subject) for subject in subjects]

    def take(lives: list[Lived]) -> None:
        for lived in lives:
            gathered.take(lived)
        if progress is not None:
            progress(lives[-1].subject, total)

    if jobs == 1:
        for subjects in batches:
            take(batch(subjects))
        return
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for lives in pool.map(batch, batches):
                take(lives)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
