"""A scenario whose files were found, composed and checked, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from isletsim.challenges import Challenge
from isletsim.composition import Composition
from isletsim.patient import BoundPatient
from isletsim.scenario import Plan

__all__ = ["PreparedStudy"]


@dataclass(frozen=True)
class PreparedStudy:
    """What a run of a scenario needs: its plan, its patient, and the one model that all arms share."""

    plan: Plan
    composition: Composition = field(repr=False)
    patient: BoundPatient = field(repr=False)
    files: tuple[Path, ...] = field(repr=False)
    challenges: tuple[Challenge, ...] = field(default=(), repr=False)

    def __hash__(self) -> int:
        return hash((self.plan.name, self.files))

    @property
    def name(self) -> str:
        """The name of the scenario file."""
        return self.plan.name
