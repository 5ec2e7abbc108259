"""The verdicts of a validation as data: rows, facts of runs, and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from isletsim.evidence import Evidence, Target
from isletsim.evidence.records import USES
from isletsim.units import Unit, unit_label
from isletsim.validation.checks import STANDINGS, Check, ValidationStudy
from isletsim.validation.measure import Simulated
from isletsim.validation.verdict import OURS, Verdict

__all__ = ["Row", "RunFacts", "Score", "Verdicts", "unit_text"]


def unit_text(unit: Unit | None) -> str:
    """Return a unit as people write it; an empty text for no unit."""
    return "" if unit is None else unit_label(unit.text)


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
class Verdicts:
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
        kinds = [(standing, use) for standing in STANDINGS for use in USES]
        found = ((kind, [row for row in self.rows if _kind(row) == kind]) for kind in kinds)
        return tuple(_score(*kind, rows) for kind, rows in found if rows)


def _kind(row: Row) -> tuple[str, str]:
    return row.check.study.standing, row.check.target.use


def _score(standing: str, use: str, rows: Collection[Row]) -> Score:
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
