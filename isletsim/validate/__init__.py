"""The simulator held against the evidence: every check run, with published value, simulated value and verdict."""

from __future__ import annotations

from isletsim.validate.checks import Check, Checks, ValidationStudy, read_checks
from isletsim.validate.experiments import ExperimentReport, validate_experiments
from isletsim.validate.measure import Simulated, measure
from isletsim.validate.records import Row, Score
from isletsim.validate.run import ValidationReport, validate
from isletsim.validate.verdict import Verdict, judge

__all__ = [
    "Check",
    "Checks",
    "ExperimentReport",
    "Row",
    "Score",
    "Simulated",
    "ValidationReport",
    "ValidationStudy",
    "Verdict",
    "judge",
    "measure",
    "read_checks",
    "validate",
    "validate_experiments",
]
