"""All subjects of a scenario, on as many threads as there are cores; the machine code runs without Python's lock."""

from __future__ import annotations

import gc
import os
import time as clock
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenge import Finding
from isletsim.codegen.native import LANES
from isletsim.cohort import collect
from isletsim.ensemble import WIDTH, Steps, alone, together
from isletsim.errors import RunError
from isletsim.multiscale import DRIVER
from isletsim.multiscale.daily_stepper import Rules
from isletsim.multiscale.simulator import liver_for
from isletsim.results import Carrier, Failure, Result, Trait
from isletsim.solver import make_ahead
from isletsim.study.covariates import traits_of, traits_row
from isletsim.study.effect_drivers import carriers_of
from isletsim.study.record import Columns, Work, columns_of, make_result
from isletsim.study.subject import Ground, Lived, live

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.study.load import Scenario

__all__ = ["ground_of", "run_study"]

Progress = Callable[[int, int], None]
PATIENCE = 0.1  # seconds between two looks at the progress


@dataclass
class _Gathered:
    """What has been computed so far; NaN where nothing has."""

    values: NDArray[np.float64]
    columns: Columns
    traits: tuple[Trait, ...]
    people: NDArray[np.float64]
    failures: list[Failure] = field(default_factory=list)
    work: Work = field(default_factory=Work)
    carriers: list[tuple[Carrier, ...]] = field(default_factory=list)

    def take(self, lived: Lived) -> None:
        """Put a subject's life in its place."""
        for arm, rows in lived.rows.items():
            mine = self.values[arm, lived.subject]
            mine[: len(rows), self.columns.outputs] = rows
            mine[:, self.columns.tests] = lived.found[arm]
        self.people[lived.subject] = traits_row(self.traits, lived)
        self.failures += lived.failures
        self.work.redrawn += lived.redrawn
        self.work.steps += lived.steps
        self.work.days += lived.days


def run_study(
    scenario: Scenario, jobs: int | None, progress: Progress | None, rules: Rules, *, explain: bool = True
) -> Result:
    """Every arm of a scenario for the reference patient and the cohort; see `Scenario.run`."""
    began = clock.perf_counter()
    macro = [DRIVER] if scenario.composition.clocks is not None else []
    make_ahead(1, *macro, LANES, 0)  # the reference patient alone, the cohort, virtual tests
    plan, ground = scenario.plan, ground_of(scenario, rules)
    shape = (len(plan.arms), plan.cohort + 1, len(plan.save))
    columns = columns_of(scenario, ground.liver)
    traits = traits_of(scenario.patient, ground.draws)
    gathered = _Gathered(
        np.full((*shape, len(columns.variables)), np.nan),
        columns,
        traits,
        np.full((plan.cohort + 1, len(traits)), np.nan),
    )

    def result() -> Result:
        gathered.work.wall = clock.perf_counter() - began
        made = make_result(
            scenario, ground.liver, columns, gathered.values, gathered.failures, gathered.work, gathered.carriers
        )
        return replace(made, traits=traits, people=gathered.people, response=plan.response)

    try:
        gathered.take(alone(live(ground, 0)))
        if gathered.failures:
            told = dict.fromkeys(failure.message for failure in gathered.failures)
            raise RunError("\n".join(told), partial=result())
        if explain:
            gathered.carriers = carriers_of(ground)
        _cohort(ground, gathered, jobs or _cores(), progress)
    except KeyboardInterrupt as stop:
        lived = int(np.isfinite(gathered.values[:, 1:]).any(axis=(0, 2, 3)).sum())
        message = f"interrupted: {lived} of {plan.cohort} people were lived, and the others are left out"
        made = result()
        warned = {**made.run, "warnings": [message, *(made.run.get("warnings") or ())]}
        stop.partial = replace(made, run=warned)  # type: ignore[attr-defined]
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


@contextmanager
def _left_alone() -> Iterator[None]:
    """What there is when a cohort begins stays until it ends: to look through it for garbage would take an eighth of
    the time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _cohort(ground: Ground, gathered: _Gathered, jobs: int, progress: Progress | None) -> None:
    """The lives of all subjects, side by side in each thread."""
    total, done = ground.plan.cohort, 0
    subjects, giving, taking, stop = iter(range(1, total + 1)), Lock(), Lock(), Event()
    width = max(1, min(WIDTH, -(-total // jobs)))

    def lives() -> Iterator[Steps[Lived]]:
        while True:
            with giving:
                subject = next(subjects, 0)
            if subject == 0:
                return
            yield live(ground, subject)

    def work() -> None:
        nonlocal done
        began = clock.perf_counter()
        for lived in together(lives(), width, stop.is_set):
            with taking:
                gathered.take(lived)
                done += 1
        with taking:
            gathered.work.seconds += clock.perf_counter() - began

    with _left_alone(), ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting: set[Future[None]] = {pool.submit(work) for _ in range(jobs if total else 0)}
        try:
            while waiting:
                ready, waiting = wait(waiting, PATIENCE, FIRST_COMPLETED)
                for each in ready:
                    each.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            stop.set()
            raise
