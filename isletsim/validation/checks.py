"""Checks: which number of which run belongs to a published value. Data in `seeds/checks.toml`, so a scenario adds rows.

A check names a target and one of its values, a scenario and an arm, a measure (a clinical name, or an expression of
such), a time, a statistic of each subject's course, and how subjects and arms are put together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from isletsim.composition.names import dotted
from isletsim.data_files import data_folder, find
from isletsim.dosing import read_time
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.evidence import Evidence, Measured, Target, read_evidence
from isletsim.language import KeyPath, TomlDocument, Tree, read_document
from isletsim.units import Unit

__all__ = ["COMPARES", "OVERS", "STANDINGS", "STATISTICS", "Check", "Checks", "ValidationStudy", "read_checks"]

# What is made of one subject's course between `since` and `at`.
STATISTICS = (
    "level",  # at one time
    "change",  # since the baseline
    "relative_change",
    "retained",  # over the baseline
    "progress",  # since the baseline, as a share of the change until the end of the run
    "slope",  # of a straight line through the window, per time
    "mean",  # over the window
    "highest",
    "lowest",
    "always",  # whether a condition holds throughout
    "ever",
    "until",  # days from `since` until a condition holds
)
OVERS = ("patient", "mean", "median", "geometric_mean", "share", "association")
COMPARES = ("difference", "ratio")
STANDINGS = ("flagship", "published", "teaching")

_KEYS = (
    *("target", "value", "scenario", "arm", "measure", "unit", "of", "at", "since", "statistic", "over"),
    *("against", "compare", "within", "least", "because", "note", "missed", "per", "fold"),
)
_STUDY = ("about", "standing", "file", "scenario", "set")


@dataclass(frozen=True)
class ValidationStudy:
    """A scenario that targets are held against; `path` is None where it is not there yet.

    Attributes
    ----------
    changes : what is set in the scenario for this purpose, as of ``--set``.
    standing : a model that is meant to agree (flagship), one taken from a paper (published), or one for teaching that
        is fitted to nothing here.
    """

    name: str
    about: str
    standing: str
    path: Path | None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A number of a run that belongs to a published value; times in days, `at` infinite for the end of the run.

    Attributes
    ----------
    within : half-width of what agrees, in the unit of the value, where none was published; `because` says why.
    least : the smallest departure from no change that counts, in the unit of the measure, for a direction.
    per, fold : an association across people is what goes with `fold` times as much of `per` at `since`.
    against, beside : an arm to compare with, as it was written, and its study where that is another one.
    """

    name: str
    target: Target
    value: Measured
    study: ValidationStudy
    arm: str
    measure: Tree
    text: str
    unit: Unit | None
    of: str
    at: float
    since: float
    when: str
    statistic: str
    over: str
    against: str
    compare: str
    within: float | None
    least: float | None
    because: str
    note: str
    missed: str
    place: str = field(repr=False)
    per: str = ""
    fold: float = math.nan
    beside: ValidationStudy | None = None

    @property
    def other_arm(self) -> str:
        """The name of the arm to compare with, in its own study."""
        return self.against.rpartition(".")[2]

    def wrong(self, key: str, message: str, cure: str = "") -> InputError:
        """The fault of this check that only a run shows."""
        return InputError(Fault(f"{self.place} {key}".strip(), message, cure))


@dataclass(frozen=True)
class Checks:
    """All checks, the studies they are made in, and why targets without a check have none."""

    studies: Mapping[str, ValidationStudy]
    checks: tuple[Check, ...]
    unexpressed: Mapping[str, str]


@cache
def read_checks(path: Path | None = None) -> Checks:
    """The checks of a file, those of the package when none is given; raises `InputError` with every fault."""
    document = read_document(path or data_folder("seeds") / "checks.toml")
    evidence = read_evidence()
    document.only(document.data, ("title", "about", "studies", "checks", "unexpressed"), ())
    studies = _studies(document)
    found = []
    for name in document.table(document.data, "checks", ()):
        keys: KeyPath = ("checks", name)
        table = document.table(document.data["checks"], name, ("checks",))
        document.only(table, _KEYS, keys)
        check = _check(document, name, table, keys, studies, evidence)
        if check is not None:
            _sound(document, check, keys)
            found.append(check)
    unexpressed = _unexpressed(document, found, evidence)
    document.finish()
    return Checks(studies, tuple(found), unexpressed)


def _unexpressed(document: TomlDocument, checks: Iterable[Check], evidence: Evidence) -> dict[str, str]:
    """Why targets have no check, by id."""
    spoken_of = {check.target.id for check in checks}
    found: dict[str, str] = {}
    table = document.table(document.data, "unexpressed", ())
    for why in table:
        for name in document.names(table, why, ("unexpressed",)):
            if name not in evidence.targets:
                cure = did_you_mean(name, evidence.targets)
                document.fault(("unexpressed", why), f'there is no target "{name}".', cure)
            elif name in spoken_of or name in found:
                document.fault(("unexpressed", why), f"{name} has a check, or a reason already.")
            found[name] = why
    return found


def _studies(document: TomlDocument) -> dict[str, ValidationStudy]:
    found = {}
    for name in document.table(document.data, "studies", ()):
        keys: KeyPath = ("studies", name)
        table = document.table(document.data["studies"], name, ("studies",))
        document.only(table, _STUDY, keys)
        standing = document.one_of(table, "standing", keys, STANDINGS)
        if not standing:
            document.fault(keys, "has no standing.", f"Write one of: {', '.join(STANDINGS)}.")
        path = _path(document.word(table, "scenario", keys, name), document.word(table, "file", keys))
        changes = tuple(f"{path}={value}" for path, value in dotted(document.table(table, "set", keys)))
        found[name] = ValidationStudy(name, document.word(table, "about", keys), standing, path, changes)
    return found


def _path(scenario: str, file: str) -> Path | None:
    """The file of a study: one of its own beside the checks, or a scenario; None while there is none."""
    if file:
        own = data_folder("seeds") / file
        return own if own.is_file() else None
    try:
        return find("scenario", scenario)
    except InputError:
        return None


def _check(
    document: TomlDocument,
    name: str,
    table: Mapping[str, Any],
    keys: KeyPath,
    studies: Mapping[str, ValidationStudy],
    evidence: Evidence,
) -> Check | None:
    target = _named(document, table, "target", keys, evidence.targets)
    study = _named(document, table, "scenario", keys, studies)
    equation = document.equation(table.get("measure"), (*keys, "measure"))
    if target is None or study is None or equation is None:
        return None
    measured = target.value(document.word(table, "value", keys))
    if measured is None:
        names = [each.name for each in target.values]
        wanted = document.word(table, "value", keys)
        cure = did_you_mean(wanted, names) or f"Values of {target.id}: {', '.join(names)}."
        document.fault((*keys, "value"), f'{target.id} has no value "{wanted}".', cure)
        return None
    unit = document.unit(document.word(table, "unit", keys), (*keys, "unit")) if "unit" in table else None
    against = document.word(table, "against", keys)
    elsewhere = against.rpartition(".")[0]
    beside = studies.get(elsewhere)
    if elsewhere and beside is None:
        document.fault((*keys, "against"), f'there is no scenario "{elsewhere}".', did_you_mean(elsewhere, studies))
    return Check(
        name=name,
        target=target,
        value=measured,
        study=study,
        arm=document.word(table, "arm", keys),
        measure=equation.tree,
        text=equation.text,
        unit=unit,
        of=document.word(table, "of", keys),
        at=_time(document, table, "at", keys, 0.0),
        since=_time(document, table, "since", keys, 0.0),
        when=_when(table),
        statistic=document.one_of(table, "statistic", keys, STATISTICS, "level"),
        over=document.one_of(table, "over", keys, OVERS, "mean"),
        against=against,
        compare=document.one_of(table, "compare", keys, COMPARES, "difference" if "against" in table else ""),
        within=_size(document, table, "within", keys),
        least=_size(document, table, "least", keys),
        because=document.word(table, "because", keys),
        note=document.word(table, "note", keys),
        missed=document.word(table, "missed", keys),
        place=document.place(keys),
        per=document.word(table, "per", keys),
        fold=_size(document, table, "fold", keys) or math.nan,
        beside=beside,
    )


def _sound(document: TomlDocument, check: Check, keys: KeyPath) -> None:
    """Note what does not go together in a check."""
    if not check.arm:
        document.fault(keys, "has no arm.", 'Write arm = "msc".')
    if check.compare and not check.against:
        document.fault((*keys, "compare"), "has nothing to compare with.", 'Write against = "usual".')
    if check.beside is not None and check.compare != "ratio":
        message = "two studies have other people, so nothing is taken patient by patient."
        document.fault((*keys, "compare"), message, 'Write compare = "ratio".')
    if check.statistic != "level" and check.at <= check.since:
        document.fault((*keys, "at"), "lies not after since.", 'Write at = "1 year".')
    associated = check.over == "association"
    if (associated or check.per) and not (associated and check.per and check.fold > 1 and not check.compare):
        cure = 'Write over = "association", per = "NAME", fold = 1.5, and no arm against.'
        document.fault(keys, "is no whole association.", cure)
    if check.within is not None and check.value.spread is not None:
        document.fault((*keys, "within"), "an interval was published; that one counts.")
    if check.within is not None and not check.because:
        document.fault(keys, "says within and not why.", 'Write because = "...".')
    judged_by_direction = check.value.direction and check.value.spread is None and check.within is None
    if judged_by_direction and check.least is None:
        document.fault(keys, "a direction needs the smallest change that counts.", "Write least = 0.05.")
    if check.value.number is None and not check.value.direction:
        document.fault((*keys, "value"), "is in words; there is no number and no direction to hold a run against.")


def _named(document: TomlDocument, table: Mapping[str, Any], key: str, keys: KeyPath, known: Mapping[str, Any]) -> Any:
    name = document.word(table, key, keys)
    if name in known:
        return known[name]
    document.fault((*keys, key), f'there is no {key} "{name}".', did_you_mean(name, known))
    return None


def _time(document: TomlDocument, table: Mapping[str, Any], key: str, keys: KeyPath, default: float) -> float:
    if table.get(key) == "end":
        return math.inf
    if key not in table:
        return default
    found = read_time(document, table[key], (*keys, key), whole=True)
    return default if found is None else found


def _when(table: Mapping[str, Any]) -> str:
    """The time of a check in words."""
    at, since = str(table.get("at", "start")), table.get("since")
    return f"{since} to {at}" if since else at


def _size(document: TomlDocument, table: Mapping[str, Any], key: str, keys: KeyPath) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    document.fault((*keys, key), "expected a positive number, in the unit of the value.")
    return None


def select(checks: Checks, evidence: Evidence, wanted: Collection[str]) -> tuple[Check, ...]:
    """The checks of targets, claims or studies by id or name; all of them when none is asked for."""
    if not wanted:
        return checks.checks
    targets = _targets_of(checks, evidence, wanted)
    return tuple(check for check in checks.checks if check.target.id in targets or check.study.name in wanted)


def _targets_of(checks: Checks, evidence: Evidence, wanted: Iterable[str]) -> set[str]:
    known = [*evidence.targets, *evidence.claims, *checks.studies]
    found: set[str] = set()
    faults = []
    for name in wanted:
        if name in evidence.targets:
            found.add(name)
        elif name in evidence.claims:
            found.update(evidence.claims[name].targets)
        elif name not in checks.studies:
            cure = did_you_mean(name, known) or "Targets are T001 and so on, claims C001; studies have names."
            faults.append(Fault(name, f'There is no target, claim or study "{name}".', cure))
    if faults:
        raise InputError(faults)
    return found
