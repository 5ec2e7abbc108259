"""Every study that checks speak of is run once, and each check gets its verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isletsim.errors import Fault, InputError, RunError
from isletsim.evidence import Evidence, Target, read_evidence
from isletsim.results import Result
from isletsim.study import load_scenario
from isletsim.validate.checks import Check, Checks, ValidationStudy, read_checks, select
from isletsim.validate.measure import Simulated, measure
from isletsim.validate.verdict import Verdict, judge

__all__ = ["Row", "RunFacts", "Score", "ValidationReport", "validate", "without_check"]

Tell = Callable[[str, int, int], None]
Simulate = Callable[[ValidationStudy], "Result | Verdict"]


@dataclass(frozen=True)
class Row:
    """A check with what the run said; `grade` is the worst evidence grade of the arm's own layers."""

    check: Check
    simulated: Simulated | None
    verdict: Verdict
    grade: str


@dataclass(frozen=True)
class RunFacts:
    """What is worth knowing of a run: people in the cohort, seed, share of assumed parameters, failures, seconds."""

    cohort: int
    seed: int | None
    assumed: float | None
    failures: int
    seconds: float | None


@dataclass(frozen=True)
class Score:
    """How often the verdicts were which, of the rows of one use in studies of one standing.

    Attributes
    ----------
    by_direction : of those inside or outside, how many were judged by a direction alone.
    by_ours : how many by a tolerance of ours.
    """

    standing: str
    use: str
    inside: int
    outside: int
    by_direction: int
    by_ours: int
    shown: int
    awaited: int
    failed: int

    @property
    def judged(self) -> int:
        """How many were judged at all."""
        return self.inside + self.outside


@dataclass(frozen=True)
class ValidationReport:
    """The verdicts on all checks that were asked for, and the evidence they stand on.

    Attributes
    ----------
    unexpressed : why a target has no check, by id. `unchecked` : the targets without one, in a report on everything.
    asked : the claims that were asked for by name.
    """

    rows: tuple[Row, ...]
    runs: Mapping[str, RunFacts]
    evidence: Evidence = field(repr=False)
    studies: Mapping[str, ValidationStudy] = field(repr=False)
    unexpressed: Mapping[str, str] = field(repr=False)
    unchecked: tuple[Target, ...] = ()
    asked: tuple[str, ...] = ()
    whole: bool = True

    def scores(self) -> tuple[Score, ...]:
        """The counts, flagship first, and within a standing by use."""
        from isletsim.evidence.records import USES
        from isletsim.validate.checks import STANDINGS

        kinds = [(standing, use) for standing in STANDINGS for use in USES]
        found = ((kind, [row for row in self.rows if _kind(row) == kind]) for kind in kinds)
        return tuple(_score(*kind, rows) for kind, rows in found if rows)

    def table(self, width: int = 118) -> str:
        """The report as plain text."""
        from isletsim.validate.report import render_report

        return render_report(self, width)

    def record(self) -> dict[str, Any]:
        """The report as a mapping for JSON."""
        from isletsim.validate.report import report_record

        return report_record(self)

    def plot(self) -> Any:
        """The simulated against the published values, a matplotlib ``Figure``."""
        from isletsim.validate.picture import draw_report

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


def _kind(row: Row) -> tuple[str, str]:
    return row.check.study.standing, row.check.target.use


def _score(standing: str, use: str, rows: Collection[Row]) -> Score:
    from isletsim.validate.verdict import OURS

    outcomes = [row.verdict.outcome for row in rows]
    bases = [row.verdict.basis for row in rows if row.verdict.judged]
    return Score(
        standing=standing,
        use=use,
        inside=outcomes.count("inside"),
        outside=outcomes.count("outside"),
        by_direction=bases.count("direction"),
        by_ours=bases.count(OURS),
        shown=outcomes.count("shown") + outcomes.count("recalled"),
        awaited=outcomes.count("not yet modelled"),
        failed=outcomes.count("failed"),
    )
