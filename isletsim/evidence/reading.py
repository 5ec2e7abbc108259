"""The evidence read from `seeds/`: every fault of every file together, with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from isletsim.bibliography import everything
from isletsim.data_files import data_folder, listing
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.evidence.records import (
    DIRECTIONS,
    MARKS,
    SEVERITIES,
    SPREADS,
    STATUSES,
    USES,
    Claim,
    Disagreement,
    Evidence,
    Flag,
    Grading,
    Measured,
    MeasuredSpread,
    SourceDocument,
    Target,
)
from isletsim.language import KeyPath, TomlDocument, read_document
from isletsim.units import Unit, convert

__all__ = ["read_evidence", "read_text"]

TARGET = ["quantity", "population", "arm", "time", "values", "n", "use", "was", "issues", "source", "mark", "note"]
VALUE = ("name", "value", "says", "direction", "p", "mark", "note", *SPREADS)
CLAIM = ["said_by", "claim", "quantity", "status", "where", "reason", "targets", "flags"]
FLAG = ["severity", "text", "basis", "targets", "applies_to"]
_IDS = {"target": re.compile(r"T\d{3}[a-z]?"), "claim": re.compile(r"C\d{3}"), "flag": re.compile(r"F\d{2}")}
ENDS = {"ci": 2, "iqr": 2, "range": 2, "count": 2, "se": 1, "sd": 1}


@cache
def read_evidence(folder: Path | None = None) -> Evidence:
    """The evidence of a folder, that of the package when none is given; raises `InputError` with every fault."""
    seeds = folder or data_folder("seeds")
    faults: list[Fault] = []
    sections = [read_document(path) for path in sorted(seeds.glob("targets/*.toml"))]
    claims, flags, remarks = (read_document(seeds / f"{name}.toml") for name in ("claims", "flags", "remarks"))
    targets: dict[str, Target] = {}
    for document in sections:
        for target in _entries(document, "target", ("title", "about"), _target):
            if target.id in targets:
                document.fault((target.id,), f"is also in {targets[target.id].place}.", "Give it an id of its own.")
            targets[target.id] = target
    awaited = claims.names(claims.data, "awaited", ())
    documents = _documents(claims)
    read_claims = _entries(claims, "claim", ("title", "about", "awaited", "sources"), partial(_claim, awaited))
    known = Evidence(
        targets=targets,
        claims={claim.id: claim for claim in read_claims},
        flags=_flags(flags),
        documents=documents,
        disagreements=tuple(_disagreements(flags)),
        gradings=tuple(_gradings(flags)),
        cross_checks=read_text(remarks, "cross_checks"),
        gaps=read_text(remarks, "gaps"),
    )
    remarks.only(remarks.data, ("title", "cross_checks", "gaps"), ())
    _hold_together(claims, flags, known, awaited)
    for document in (*sections, claims, flags, remarks):
        faults += document.faults
    if faults:
        raise InputError(faults)
    return known


@cache
def read_flags(folder: Path | None = None) -> Mapping[str, Flag]:
    """Only the statements that users must know, for a run that has no use for the rest; raises `InputError`."""
    document = read_document((folder or data_folder("seeds")) / "flags.toml")
    flags = _flags(document)
    if document.faults:
        raise InputError(document.faults)
    return flags


def _flags(document: TomlDocument) -> Mapping[str, Flag]:
    return {
        flag.id: flag for flag in _entries(document, "flag", ("title", "about", "disagreements", "arm_grades"), _flag)
    }


def read_text(
    document: TomlDocument, key: str, holder: Mapping[str, Any] | None = None, keys: KeyPath = ()
) -> tuple[str, ...]:
    """One text, or a list of texts."""
    value = (document.data if holder is None else holder).get(key, [])
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, list) and all(isinstance(each, str) and each for each in listed):
        return tuple(listed)
    document.fault((*keys, key), "expected a text, or a list of texts.")
    return ()


def _entries(
    document: TomlDocument, kind: str, head: Iterable[str], read: Callable[[TomlDocument, str, dict[str, Any]], Any]
) -> list[Any]:
    """The entries of a page: every key that is not of its head is an id."""
    if not document.word(document.data, "title", ()):
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    found = []
    for name, table in document.data.items():
        if name in head:
            continue
        if not _IDS[kind].fullmatch(name):
            cure = did_you_mean(name, head) or f"Ids of this kind match {_IDS[kind].pattern}."
            document.fault((name,), f'"{name}" is no id of a {kind}.', cure)
        elif not isinstance(table, dict):
            document.fault((name,), "expected a table.")
        else:
            found.append(read(document, name, table))
    return found


# --- targets ----------------------------------------------------------------------------------------------------------


def _target(document: TomlDocument, name: str, table: dict[str, Any]) -> Target:
    keys: KeyPath = (name,)
    document.only(table, TARGET, keys)
    mark = document.one_of(table, "mark", keys, MARKS)
    use = document.one_of(table, "use", keys, USES)
    listed = document.listing(table, "values", keys)
    values = tuple(_measured(document, (name, "values", index), each, mark) for index, each in enumerate(listed))
    target = Target(
        id=name,
        quantity=document.word(table, "quantity", keys),
        population=document.word(table, "population", keys),
        arm=document.word(table, "arm", keys),
        time=document.word(table, "time", keys),
        values=tuple(each for each in values if each is not None),
        people=_people(document, table, keys),
        use=use,
        was=document.one_of(table, "was", keys, USES),
        issues=_issues(document, table, keys),
        sources=read_text(document, "source", table, keys),
        mark=mark,
        note=" ".join(document.word(table, "note", keys).split()),
        section=document.word(document.data, "title", ()),
        place=document.place(keys),
    )
    _sound(document, target, table)
    return target


def _sound(document: TomlDocument, target: Target, table: Mapping[str, Any]) -> None:
    """Note what does not go together in a target."""
    keys: KeyPath = (target.id,)
    for key in ("quantity", "population", "use", "mark"):
        if not table.get(key):
            document.fault(keys, f"has no {key}.")
    if not target.values:
        document.fault(keys, "has no values.", 'Write values = [{ value = "5 mmol/L", ci = [4, 6] }].')
    names = [each.name for each in target.values]
    if len(set(names)) < len(names):
        document.fault((*keys, "values"), "two values have the same name.")
    if target.mark == "memory" and target.use not in ("context", "seen"):
        document.fault((*keys, "use"), "a recalled row is context.", 'Write use = "context".')
    if target.use == "cal" and target.was in ("val", "context") and not target.issues:
        document.fault((*keys, "was"), "says no issue that made it one to be reached.", "Write issues = [3].")
    known = everything()
    for source in target.sources:
        if source not in known:
            document.fault((*keys, "source"), f'"{source}" is in no bibliography.', did_you_mean(source, known))
    if not target.sources and target.mark not in ("none", "memory"):
        document.fault(keys, "has no source.", 'Write source = "Key2012", a key of seeds/references.bib.')


def _people(document: TomlDocument, table: Mapping[str, Any], keys: KeyPath) -> str:
    value = table.get("n", "")
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return str(value)
    document.fault((*keys, "n"), "expected a number of people, or words.")
    return ""


def _issues(document: TomlDocument, table: Mapping[str, Any], keys: KeyPath) -> tuple[int, ...]:
    numbers = document.listing(table, "issues", keys)
    if all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
        return tuple(numbers)
    document.fault((*keys, "issues"), "expected numbers of issues.")
    return ()


def _measured(document: TomlDocument, keys: KeyPath, table: Any, mark: str) -> Measured | None:
    if not isinstance(table, dict):
        document.fault(keys, "expected a table.", 'Write { value = "5 mmol/L", ci = [4, 6] }.')
        return None
    document.only(table, VALUE, keys)
    number, unit = _number(document, table, keys)
    direction = document.one_of(table, "direction", keys, DIRECTIONS)
    says = document.word(table, "says", keys)
    if number is None and not direction and not says and "value" not in table:
        document.fault(keys, "says nothing.", "Write value, direction or says.")
    return Measured(
        name=document.word(table, "name", keys),
        number=number,
        unit=unit,
        spread=_spread(document, table, keys, number),
        direction=direction,
        says=says,
        probability=document.word(table, "p", keys),
        mark=document.one_of(table, "mark", keys, MARKS, mark),
        note=document.word(table, "note", keys),
        keys=keys,
    )


def _number(document: TomlDocument, table: Mapping[str, Any], keys: KeyPath) -> tuple[float | None, Unit | None]:
    if "value" not in table:
        return None, None
    found = document.quantity(table["value"], (*keys, "value"))
    if found is None:
        return None, None
    # Back in the printed unit; the way to base units and back costs the last digit.
    return float(f"{convert(found.value, found.unit):.12g}"), found.unit


def _spread(
    document: TomlDocument, table: Mapping[str, Any], keys: KeyPath, number: float | None
) -> MeasuredSpread | None:
    kinds = [kind for kind in SPREADS if kind in table]
    if not kinds:
        return None
    kind = kinds[0]
    written = table[kind] if isinstance(table[kind], list) else [table[kind]]
    numbers = tuple(float(each) for each in written if isinstance(each, (int, float)) and not isinstance(each, bool))
    if len(kinds) > 1 or len(numbers) != ENDS[kind] or len(written) != ENDS[kind]:
        document.fault((*keys, kind), f"expected one spread, {ENDS[kind]} numbers in the unit of the value.")
        return None
    if number is None:
        document.fault((*keys, kind), "stands beside no value.")
        return None
    wrong = _unsound(kind, numbers, number)
    if wrong:
        document.fault((*keys, kind), wrong)
        return None
    return MeasuredSpread(kind, numbers)


def _unsound(kind: str, numbers: tuple[float, ...], number: float) -> str:
    """What is wrong with a spread; empty when nothing is."""
    if not all(math.isfinite(each) for each in numbers):
        return "is not finite."
    if kind in ("se", "sd"):
        return "" if numbers[0] > 0 else "expected a positive size."
    if kind == "count":
        return "" if 0 <= numbers[0] <= numbers[1] and numbers[1] > 0 else "expected so many out of so many."
    return "" if numbers[0] <= number <= numbers[1] else "does not hold its value."


# --- claims and flags -------------------------------------------------------------------------------------------------


def _documents(document: TomlDocument) -> dict[str, SourceDocument]:
    found = {}
    for name, table in document.table(document.data, "sources", ()).items():
        if not isinstance(table, dict):
            document.fault(("sources", name), "expected a table.")
            continue
        document.only(table, ("about", "promotional"), ("sources", name))
        about = document.word(table, "about", ("sources", name))
        found[name] = SourceDocument(name, about, table.get("promotional") is True)
    return found


def _claim(awaited: Collection[str], document: TomlDocument, name: str, table: dict[str, Any]) -> Claim:
    keys: KeyPath = (name,)
    document.only(table, CLAIM, keys)
    for key in ("said_by", "claim", "quantity", "status"):
        if not table.get(key):
            document.fault(keys, f"has no {key}.")
    where = document.names(table, "where", keys)
    claim = Claim(
        id=name,
        said_by=document.names(table, "said_by", keys),
        claim=document.word(table, "claim", keys),
        quantity=document.word(table, "quantity", keys),
        status=document.one_of(table, "status", keys, STATUSES),
        where=where,
        reason=document.word(table, "reason", keys),
        targets=document.names(table, "targets", keys),
        flags=document.names(table, "flags", keys),
        awaits=_missing(document, where, (*keys, "where"), awaited),
        place=document.place(keys),
    )
    documents = document.table(document.data, "sources", ())
    for source in claim.said_by:
        if source not in documents:
            cure = did_you_mean(source, documents)
            document.fault((*keys, "said_by"), f'"{document}" is not among the sources of this file.', cure)
    if claim.status in ("modelled", "predicted") and not where:
        document.fault(keys, f"is {claim.status} and does not say where.", 'Write where = ["beta_cells.apoptosis"].')
    if claim.status not in ("modelled", "predicted") and not claim.reason and not claim.flags:
        document.fault(keys, f"is {claim.status} without a reason.", 'Write reason = "...".')
    return claim


def _flag(document: TomlDocument, name: str, table: dict[str, Any]) -> Flag:
    keys: KeyPath = (name,)
    document.only(table, FLAG, keys)
    for key in ("severity", "text"):
        if not table.get(key):
            document.fault(keys, f"has no {key}.")
    return Flag(
        id=name,
        severity=document.one_of(table, "severity", keys, SEVERITIES),
        text=document.word(table, "text", keys),
        basis=document.word(table, "basis", keys),
        targets=document.names(table, "targets", keys),
        applies_to=document.names(table, "applies_to", keys),
        place=document.place(keys),
    )


def _missing(document: TomlDocument, names: Iterable[str], keys: KeyPath, awaited: Collection[str]) -> tuple[str, ...]:
    """The names that are not there yet; a fault for one that nobody awaits."""
    there = _there()
    missing = [each for each in names if each.partition(".")[0] not in there]
    for each in missing:
        if each not in awaited:
            cure = did_you_mean(each, [*there, *awaited])
            document.fault(keys, f'"{each}" is no model, patient or scenario, and not awaited.', cure)
    return tuple(missing)


@cache
def _there() -> frozenset[str]:
    return frozenset(name for kind in ("model", "patient", "scenario") for name, _ in listing(kind))


def _disagreements(document: TomlDocument) -> Iterable[Disagreement]:
    for topic, table in document.table(document.data, "disagreements", ()).items():
        keys: KeyPath = ("disagreements", topic)
        document.only(table, ("positions", "handling"), keys)
        yield Disagreement(topic, document.word(table, "positions", keys), document.word(table, "handling", keys))


def _gradings(document: TomlDocument) -> Iterable[Grading]:
    for arm, table in document.table(document.data, "arm_grades", ()).items():
        keys: KeyPath = ("arm_grades", arm)
        document.only(table, ("grade", "why"), keys)
        yield Grading(arm, document.word(table, "grade", keys), document.word(table, "why", keys))


def _hold_together(claims: TomlDocument, flags: TomlDocument, known: Evidence, awaited: Collection[str]) -> None:
    """Note what points to what is not there."""
    for flag in known.flags.values():
        _missing(flags, [each for each in flag.applies_to if each != "*"], (flag.id, "applies_to"), awaited)
    for document, entries in ((claims, known.claims), (flags, known.flags)):
        for entry in entries.values():
            _refer(document, (entry.id, "targets"), entry.targets, known.targets)
    for claim in known.claims.values():
        _refer(claims, (claim.id, "flags"), claim.flags, known.flags)


def _refer(document: TomlDocument, keys: KeyPath, wanted: Iterable[str], known: Mapping[str, Any]) -> None:
    for each in wanted:
        if each not in known:
            document.fault(keys, f'there is no "{each}".', did_you_mean(each, known))
