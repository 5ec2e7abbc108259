"""The flagship with both its clocks: a decade of meals and twelve infusions, alone, in lanes, and in two threads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import isletsim
from isletsim.results import Result
from isletsim.study import Scenario

SCENARIO = Path(__file__).resolve().parent / "models" / "flagship_decade.toml"
SUBJECTS = 32


def flagship(subjects: int, histories: bool = False) -> Scenario:
    """The problem for some subjects besides the reference patient, without the years before t = 0 or with them."""
    scenario = isletsim.load_scenario(SCENARIO, {"cohort.size": subjects})
    return scenario if histories else replace(scenario, patient=replace(scenario.patient, history=()))


def failures(result: Result) -> int:
    """How many lives could not be lived."""
    return len(result.failures)


class Flagship:
    """Default tolerances. What one subject costs in company is the difference of two runs over that of their sizes."""

    timeout = 600

    def setup(self) -> None:
        flagship(1).run(jobs=1)

    def time_one_subject(self) -> None:
        flagship(0).run(jobs=1)

    def time_eight_subjects(self) -> None:
        flagship(7).run(jobs=1)

    def time_cohort(self) -> None:
        flagship(SUBJECTS).run(jobs=1)

    def time_cohort_in_two_threads(self) -> None:
        flagship(SUBJECTS).run(jobs=2)

    def time_cohort_with_histories(self) -> None:
        flagship(SUBJECTS, histories=True).run(jobs=1)

    def track_failures(self) -> int:
        return failures(flagship(SUBJECTS).run(jobs=2))
