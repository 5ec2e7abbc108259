"""The simulator held against the evidence: every check run, with published value, simulated value and verdict."""

from __future__ import annotations

from isletsim.validation.checks import Check, Checks, ValidationStudy, read_checks
from isletsim.validation.experiments import ExperimentReport, validate_experiments
from isletsim.validation.measure import Simulated, measure
from isletsim.validation.records import Row, Score
from isletsim.validation.run import ValidationReport, validate
from isletsim.validation.verdict import Verdict, judge

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
