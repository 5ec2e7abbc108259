"""The evidence: what the literature measured, what the source documents claim, and what users must know.

It is data (`seeds/`); `read_evidence` reads all of it, `Evidence.flags_for` finds the statements that concern a run.
"""

from __future__ import annotations

from isletsim.evidence.intervals import Interval, exact_share, interval
from isletsim.evidence.reading import read_evidence
from isletsim.evidence.records import Claim, Evidence, Flag, Measured, Spread, Target

__all__ = [
    "Claim",
    "Evidence",
    "Flag",
    "Interval",
    "Measured",
    "Spread",
    "Target",
    "exact_share",
    "interval",
    "read_evidence",
]
