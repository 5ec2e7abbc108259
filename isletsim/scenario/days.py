"""Days of an arm that bring something else than those of the patient: a fast, a diet of shakes, one more meal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isletsim.composition import Composition
from isletsim.dosing import Dose, read_doses, read_time
from isletsim.language import KeyPath, TomlDocument
from isletsim.patient import BoundPatient

__all__ = ["read_days"]

ENTRY = ("into", "amount", "at", "from", "until", "replace", "about")


@dataclass(frozen=True)
class _DayEntry:
    """What is given every day between two midnights, and which ports of the patient's own day are left out then."""

    doses: tuple[Dose, ...]
    start: float
    stop: float
    replaces: frozenset[str]


def read_days(
    document: TomlDocument, items: Any, keys: KeyPath, composition: Composition, patient: BoundPatient
) -> Mapping[float, tuple[Dose, ...]]:
    """What every day brings from each midnight at which that changes; empty where an arm has no days of its own."""
    if not isinstance(items, list):
        document.fault(keys, "expected [[arms.NAME.day]] entries.")
        return {}
    if items and composition.clocks is None:
        document.fault(keys, "no file of the stack has a day clock.", "Give the meals as doses.")
        return {}
    entries = [_entry(document, item, (*keys, index), composition, patient) for index, item in enumerate(items)]
    known = [entry for entry in entries if entry is not None]
    edges = sorted({edge for entry in known for edge in (entry.start, entry.stop) if edge < math.inf})
    return {edge: _day(edge, known, patient) for edge in edges}


def _day(time: float, entries: list[_DayEntry], patient: BoundPatient) -> tuple[Dose, ...]:
    """What a day that begins at a midnight brings."""
    opened = [entry for entry in entries if entry.start <= time < entry.stop]
    left_out = {port for entry in opened for port in entry.replaces}
    own = tuple(dose for dose in patient.day if dose.port not in left_out)
    given = tuple(dose for entry in opened for dose in entry.doses)
    return tuple(sorted((*own, *given), key=lambda dose: dose.time))


def _entry(
    document: TomlDocument, item: Any, keys: KeyPath, composition: Composition, patient: BoundPatient
) -> _DayEntry | None:
    if not isinstance(item, Mapping):
        document.fault(keys, "expected a table.", 'Write { into = "gut.meal", amount = "50 g", at = "07:00" }.')
        return None
    noted = len(document.faults)
    document.only(item, ENTRY, keys)
    start = read_time(document, item.get("from", "0 day"), (*keys, "from"), whole=True)
    stop = read_time(document, item["until"], (*keys, "until"), whole=True) if "until" in item else math.inf
    if start is not None and stop is not None and not 0 <= start < stop:
        document.fault(keys, "the days end before they begin.", 'Write from = "0 day", until = "8 week".')
    for time, key in ((start, "from"), (stop, "until")):
        if time is not None and math.isfinite(time) and time % 1:
            document.fault((*keys, key), "days change at midnight.", 'Write from = "7 day".')
    replaces = _replaced(document, item, keys, composition, patient)
    doses: tuple[Dose, ...] = ()
    if "into" in item or "amount" in item:
        given = {key: item[key] for key in ("into", "amount", "at") if key in item}
        doses = tuple(read_doses(document, [given], keys, composition, whole=False))
        if "at" not in item or any(not 0 <= dose.time < 1 for dose in doses):
            document.fault((*keys, "at"), "is not a time of day.", 'Write at = "07:00".')
    elif not replaces:
        document.fault(keys, "gives nothing and replaces nothing.", "Write into and amount, or replace = true.")
    if len(document.faults) > noted or start is None or stop is None:
        return None
    return _DayEntry(doses, start, stop, replaces)


def _replaced(
    document: TomlDocument, item: Mapping[str, Any], keys: KeyPath, composition: Composition, patient: BoundPatient
) -> frozenset[str]:
    """The ports of the patient's day that are left out: all of them, or those that are listed."""
    written = item.get("replace", False)
    if isinstance(written, bool):
        return frozenset(dose.port for dose in patient.day) if written else frozenset()
    names = document.names(item, "replace", keys)
    for name in names:
        if name not in composition.ports:
            document.fault((*keys, "replace"), f'there is no port "{name}".', 'Write true, or ["gut.meal"].')
    return frozenset(names)
