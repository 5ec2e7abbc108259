"""The simulator held against the evidence: every check run, with published value, simulated value and verdict."""

from __future__ import annotations

from isletsim.validate.checks import Check, Checks, Study, read_checks
from isletsim.validate.experiments import ExperimentReport, validate_experiments
from isletsim.validate.measure import Simulated, measure
from isletsim.validate.run import Report, Row, Score, validate
from isletsim.validate.verdict import Verdict, judge

__all__ = [
    "Check",
    "Checks",
    "ExperimentReport",
    "Report",
    "Row",
    "Score",
    "Simulated",
    "Study",
    "Verdict",
    "judge",
    "measure",
    "read_checks",
    "validate",
    "validate_experiments",
]
