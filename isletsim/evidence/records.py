"""What the evidence is made of: measured rows, claims of the source documents, and what users must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from isletsim.language import KeyPath
from isletsim.units import Unit

__all__ = [
    "DIRECTIONS",
    "MARKS",
    "SEVERITIES",
    "SPREADS",
    "STATUSES",
    "USES",
    "Claim",
    "Disagreement",
    "Evidence",
    "Flag",
    "Grading",
    "Measured",
    "MeasuredSpread",
    "SourceDocument",
    "Target",
    "concerning",
]

# What a row may be used for: to calibrate, to be predicted, neither since it was seen early, or as a background.
USES = ("cal", "val", "seen", "context")
# Where a number was read: the paper, another text that has it, recalled, computed from cited numbers, nowhere.
MARKS = ("text", "text_2", "memory", "derived", "none")
DIRECTIONS = ("up", "down", "none")
# Confidence interval, standard error, standard deviation, quartiles, range, and so many out of so many.
SPREADS = ("ci", "se", "sd", "iqr", "range", "count")
SEVERITIES = ("high", "middle", "low")
STATUSES = ("modelled", "predicted", "contested", "out_of_scope", "not_modelled")


@dataclass(frozen=True)
class MeasuredSpread:
    """How sure a value is: two ends (ci, iqr, range), one size (se, sd), or two counts (count), in the value's unit."""

    kind: str
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """One published value of a row: a number with its unit, or a direction, or words where there is neither."""

    name: str
    number: float | None
    unit: Unit | None
    spread: MeasuredSpread | None
    direction: str
    says: str
    probability: str
    mark: str
    note: str
    keys: KeyPath = field(repr=False)

    @property
    def recalled(self) -> bool:
        """Whether nobody has seen it in a text: then it is shown and never judged."""
        return self.mark == "memory"


@dataclass(frozen=True)
class Target:
    """A row of the literature: what was measured in whom, when, and what it may be used for."""

    id: str
    quantity: str
    population: str
    arm: str
    time: str
    values: tuple[Measured, ...]
    people: str
    use: str
    was: str
    issues: tuple[int, ...]
    sources: tuple[str, ...]
    mark: str
    note: str
    section: str
    place: str = field(repr=False)

    def value(self, name: str) -> Measured | None:
        """The value of a name; the only one where there is one."""
        if not name and len(self.values) == 1:
            return self.values[0]
        return next((each for each in self.values if each.name == name), None)


@dataclass(frozen=True)
class SourceDocument:
    """A document that makes claims; `promotional` where it ends in an offer."""

    name: str
    about: str
    promotional: bool


@dataclass(frozen=True)
class Claim:
    """What a source document claims, in our words, where it lives in the simulator, and what becomes of it."""

    id: str
    said_by: tuple[str, ...]
    claim: str
    quantity: str
    status: str
    where: tuple[str, ...]
    reason: str
    targets: tuple[str, ...]
    flags: tuple[str, ...]
    awaits: tuple[str, ...]
    place: str = field(repr=False)

    @property
    def standing(self) -> str:
        """The status as of now: `planned` where something it lives in is not there yet."""
        return "planned" if self.awaits and self.status in ("modelled", "predicted") else self.status


@dataclass(frozen=True)
class Flag:
    """A statement that users must see with what it concerns."""

    id: str
    severity: str
    text: str
    basis: str
    targets: tuple[str, ...]
    applies_to: tuple[str, ...]
    place: str = field(repr=False)


@dataclass(frozen=True)
class Disagreement:
    """Where source documents contradict each other, and what is done about it."""

    topic: str
    positions: str
    handling: str


@dataclass(frozen=True)
class Grading:
    """How good the evidence for an arm is, from A to E."""

    arm: str
    grade: str
    why: str


@dataclass(frozen=True)
class Evidence:
    """All of it, by id."""

    targets: Mapping[str, Target]
    claims: Mapping[str, Claim]
    flags: Mapping[str, Flag]
    documents: Mapping[str, SourceDocument]
    disagreements: tuple[Disagreement, ...]
    gradings: tuple[Grading, ...]
    cross_checks: tuple[str, ...]
    gaps: tuple[str, ...]

    @cached_property
    def claims_by_target(self) -> Mapping[str, tuple[str, ...]]:
        """The claims that each target is about."""
        found: dict[str, list[str]] = {}
        for claim in self.claims.values():
            for target in claim.targets:
                found.setdefault(target, []).append(claim.id)
        return {target: tuple(claims) for target, claims in found.items()}


def concerning(flags: Mapping[str, Flag], names: Iterable[str]) -> tuple[Flag, ...]:
    """The flags that concern any of these models, patients or scenarios, the gravest first."""
    wanted = {"*", *names}
    found = [flag for flag in flags.values() if wanted & set(flag.applies_to)]
    return tuple(sorted(found, key=lambda flag: SEVERITIES.index(flag.severity)))
