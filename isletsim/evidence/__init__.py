"""The evidence: what the literature measured, what the source documents claim, and what users must know.

It is data (`seeds/`); `read_evidence` reads all of it, `read_flags` what users must know, `concerning`
picks what concerns a run.
"""

from __future__ import annotations

from isletsim.evidence.intervals import Interval, interval
from isletsim.evidence.reading import read_evidence, read_flags
from isletsim.evidence.records import Claim, Evidence, Flag, Measured, MeasuredSpread, Target, concerning

__all__ = [
    "Claim",
    "Evidence",
    "Flag",
    "Interval",
    "Measured",
    "MeasuredSpread",
    "Target",
    "concerning",
    "interval",
    "read_evidence",
    "read_flags",
]
