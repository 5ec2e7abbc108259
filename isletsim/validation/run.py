"""Every study that checks speak of is run once, and each check gets its verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from isletsim.errors import Fault, InputError, RunError
from isletsim.evidence import Target, read_evidence
from isletsim.results import Result
from isletsim.study import load_scenario
from isletsim.validation.checks import Check, Checks, ValidationStudy, read_checks, select
from isletsim.validation.measure import measure
from isletsim.validation.picture import draw_report
from isletsim.validation.records import Row, RunFacts, Verdicts
from isletsim.validation.report import render_report, report_record
from isletsim.validation.verdict import Verdict, judge

__all__ = ["ValidationReport", "validate", "without_check"]

Tell = Callable[[str, int, int], None]
Simulate = Callable[[ValidationStudy], "Result | Verdict"]


class ValidationReport(Verdicts):
    """The verdicts of a validation, with their table, record and figure; see `Verdicts` for its attributes."""

    def table(self, width: int = 118) -> str:
        """The report as plain text."""
        return render_report(self, width)

    def record(self) -> dict[str, Any]:
        """The report as a mapping for JSON."""
        return report_record(self)

    def plot(self) -> Any:
        """The simulated against the published values, a matplotlib ``Figure``."""
        return draw_report(self)


def validate(
    wanted: Collection[str] = (),
    *,
    jobs: int | None = None,
    patients: int | None = None,
    progress: Tell | None = None,
    checks: Checks | None = None,
) -> ValidationReport:
    """Hold the simulator against the evidence.

    Parameters
    ----------
    wanted : ids of targets or claims, or names of studies; everything when empty.
    jobs : threads; as many as cores when not given.
    patients : size of every cohort instead of the study's own; 0 leaves the reference patient.
    progress : is told the name of a study, and how many of its subjects of how many are done.
    """
    evidence, checks = read_evidence(), checks or read_checks()
    chosen = select(checks, evidence, wanted)
    simulated = _once(lambda study: _simulated(study, jobs, patients, progress), [each.beside for each in chosen])
    rows: list[Row] = []
    runs: dict[str, RunFacts] = {}
    faults: list[Fault] = []
    for study in dict.fromkeys(check.study for check in chosen):
        mine = [check for check in chosen if check.study == study]
        try:
            found, facts = _held(study, mine, simulated)
        except InputError as wrong:
            faults.extend(wrong.faults)
            continue
        rows += found
        if facts is not None:
            runs[study.name] = facts
    if faults:
        raise InputError(faults)
    return ValidationReport(
        rows=tuple(rows),
        runs=runs,
        evidence=evidence,
        studies=checks.studies,
        unexpressed=checks.unexpressed,
        unchecked=tuple(without_check(checks, evidence.targets.values())) if not wanted else (),
        asked=tuple(name for name in wanted if name in evidence.claims),
        whole=not wanted,
    )


def without_check(checks: Checks, targets: Iterable[Target]) -> Iterable[Target]:
    """The targets that no check speaks of."""
    spoken_of = {check.target.id for check in checks.checks}
    return (target for target in targets if target.id not in spoken_of)


def _held(study: ValidationStudy, checks: Iterable[Check], simulated: Simulate) -> tuple[list[Row], RunFacts | None]:
    """A study held against its checks; what cannot be run says why."""
    result = simulated(study)
    if isinstance(result, Verdict):
        return [Row(check, None, result, "") for check in checks], None
    rows: list[Row] = []
    faults: list[Fault] = []
    for check in checks:
        beside = simulated(check.beside) if check.beside is not None else None
        if isinstance(beside, Verdict):
            rows.append(Row(check, None, beside, ""))
            continue
        try:
            value = measure(check, result, beside)
        except InputError as wrong:
            faults.extend(wrong.faults)
            continue
        grade = next(arm.grade for arm in result.arms if arm.name == check.arm)
        rows.append(Row(check, value, judge(check, value), grade))
    if faults:
        raise InputError(faults)
    return rows, _facts(result)


def _simulated(
    study: ValidationStudy, jobs: int | None, patients: int | None, progress: Tell | None
) -> Result | Verdict:
    """What a study gave, or why it gave nothing; without a file there is nothing to run yet."""
    if study.path is None:
        return Verdict("not yet modelled", why=f"there is no scenario {study.name} yet")
    scenario = load_scenario(study.path, set=study.changes)
    if patients is not None and scenario.plan.cohort:
        scenario = load_scenario(study.path, set=(*study.changes, f"cohort.size={patients}"))

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(study.name, done, total)

    try:
        return scenario.run(jobs=jobs, progress=tell)
    except RunError as failure:
        return Verdict("failed", why=str(failure))


def _once(simulate: Simulate, kept: Collection[ValidationStudy | None]) -> Simulate:
    """The same runs; those that are to be kept, since others are compared with them, are run once."""
    found: dict[ValidationStudy, Result | Verdict] = {}

    def simulated(study: ValidationStudy) -> Result | Verdict:
        if study not in kept:
            return simulate(study)
        if study not in found:
            found[study] = simulate(study)
        return found[study]

    return simulated


def _facts(result: Result) -> RunFacts:
    assumed = result.run.get("assumed")
    share = assumed.get("share") if isinstance(assumed, Mapping) else None
    seed, seconds = result.run.get("seed"), result.run.get("wall_seconds")
    return RunFacts(result.cohort, seed, share, len(result.failures), seconds)
