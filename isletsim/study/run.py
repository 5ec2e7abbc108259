"""All subjects of a scenario, on as many threads as there are cores; the machine code runs without Python's lock."""

from __future__ import annotations

import gc
import time as clock
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

from isletsim.challenges import Finding
from isletsim.codegen.native import LANES
from isletsim.cohort import collect
from isletsim.ensemble import WIDTH, Task, run_task, run_tasks
from isletsim.errors import RunError
from isletsim.machine import cores
from isletsim.multiscale import DRIVER
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.simulator import simulator_for
from isletsim.results import Covariate, EffectDriver, Failure, Result
from isletsim.solver import RUN, make_ahead
from isletsim.study.covariates import covariates_of, covariates_row
from isletsim.study.effect_drivers import effect_drivers_of
from isletsim.study.record import Columns, Work, columns_of, make_result
from isletsim.study.subject import StudyContext, SubjectResult, simulate_subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.study.prepared import PreparedStudy

__all__ = ["run_study", "study_context"]

Progress = Callable[[int, int], None]
PATIENCE = 0.1  # seconds between two looks at the progress


@dataclass
class _Gathered:
    """What has been computed so far; NaN where nothing has."""

    values: NDArray[np.float64]
    columns: Columns
    covariates: tuple[Covariate, ...]
    people: NDArray[np.float64]
    failures: list[Failure] = field(default_factory=list)
    work: Work = field(default_factory=Work)
    effect_drivers: list[tuple[EffectDriver, ...]] = field(default_factory=list)

    def take(self, subject_result: SubjectResult) -> None:
        """Put a subject's life in its place."""
        for arm, rows in subject_result.rows.items():
            mine = self.values[arm, subject_result.subject]
            mine[: len(rows), self.columns.outputs] = rows
            mine[:, self.columns.tests] = subject_result.found[arm]
        self.people[subject_result.subject] = covariates_row(self.covariates, subject_result)
        self.failures += subject_result.failures
        self.work.redrawn += subject_result.redrawn
        self.work.steps += subject_result.steps
        self.work.days += subject_result.days


def run_study(
    scenario: PreparedStudy, jobs: int | None, progress: Progress | None, control: StepControl, *, explain: bool = True
) -> Result:
    """Every arm of a scenario for the reference patient and the cohort; see `Scenario.run`."""
    began = clock.perf_counter()
    macro = [(*DRIVER, 1)] if scenario.composition.clocks is not None else []
    make_ahead((*RUN, 1), *macro, (*RUN, LANES))  # the reference patient alone, the cohort
    plan, context = scenario.plan, study_context(scenario, control)
    shape = (len(plan.arms), plan.cohort + 1, len(plan.save))
    columns = columns_of(scenario, context.simulator)
    covariates = covariates_of(scenario.patient, context.draws)
    gathered = _Gathered(
        np.full((*shape, len(columns.variables)), np.nan),
        columns,
        covariates,
        np.full((plan.cohort + 1, len(covariates)), np.nan),
    )

    def result() -> Result:
        gathered.work.wall = clock.perf_counter() - began
        made = make_result(
            scenario,
            context.simulator,
            columns,
            gathered.values,
            gathered.failures,
            gathered.work,
            gathered.effect_drivers,
        )
        return replace(made, covariates=covariates, people=gathered.people, response=plan.response)

    try:
        gathered.take(run_task(simulate_subject(context, 0)))
        if gathered.failures:
            told = dict.fromkeys(failure.message for failure in gathered.failures)
            raise RunError("\n".join(told), partial=result())
        if explain:
            gathered.effect_drivers = effect_drivers_of(context)
        _cohort(context, gathered, jobs or cores(), progress)
    except KeyboardInterrupt as stop:
        simulated = int(np.isfinite(gathered.values[:, 1:]).any(axis=(0, 2, 3)).sum())
        message = f"interrupted: {simulated} of {plan.cohort} subjects were simulated, and the others are left out"
        made = result()
        warned = {**made.run, "warnings": [message, *(made.run.get("warnings") or ())]}
        stop.partial = replace(made, run=warned)  # type: ignore[attr-defined]
        raise
    return result()


def study_context(
    scenario: PreparedStudy, control: StepControl, seen: Callable[[int, float, Finding], None] | None = None
) -> StudyContext:
    """What all subjects of a scenario share; `seen` is told of every virtual test."""
    plan = scenario.plan
    return StudyContext(
        plan=plan,
        composition=scenario.composition,
        patient=scenario.patient,
        challenges=scenario.challenges,
        simulator=simulator_for(scenario.composition, plan.tolerance, plan.method, control),
        draws=collect(scenario.composition, scenario.patient),
        save=np.array(plan.save),
        seen=seen,
    )


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


def _cohort(context: StudyContext, gathered: _Gathered, jobs: int, progress: Progress | None) -> None:
    """The lives of all subjects, side by side in each thread."""
    total, done = context.plan.cohort, 0
    subjects, giving, taking, stop = iter(range(1, total + 1)), Lock(), Lock(), Event()
    width = max(1, min(WIDTH, -(-total // jobs)))

    def lives() -> Iterator[Task[SubjectResult]]:
        while True:
            with giving:
                subject = next(subjects, 0)
            if subject == 0:
                return
            yield simulate_subject(context, subject)

    def work() -> None:
        nonlocal done
        began = clock.perf_counter()
        for subject_result in run_tasks(lives(), width, stop.is_set):
            with taking:
                gathered.take(subject_result)
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
