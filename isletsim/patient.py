"""A patient: what is set, what varies between people, and the history that made it so.

A patient file is read on its own (`read_patient`) and then bound to a composition (`bind_patient`), where its names and
units can be checked. Nothing here is drawn or run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isletsim.composition import Composition, Symbol
from isletsim.composition.names import SETTABLE, STARTABLE, dotted, file_word, find_symbol, flat_names
from isletsim.dosing import Course, Dose, read_courses, read_doses, read_time
from isletsim.errors import InputError
from isletsim.language import KeyPath, Note, Spread, TomlDocument, read_document

__all__ = [
    "BoundPatient",
    "Correlation",
    "EndCondition",
    "Leg",
    "PatientFile",
    "Setting",
    "bind_patient",
    "read_patient",
]

LONGEST_HISTORY = 120 * 365.25
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|>|<)\s*(.+?)\s*")
_SETTING = ("value", "varies", "uncertain", "distribution", "source", "assumed", "grade", "about", "note")
_FIXED = ("parameter", "derived")  # kinds of symbols that do not change in time
_LEG = ("about", "layers", "courses", "doses", "until", "after", "within", "for", "visits")


@dataclass(frozen=True)
class Setting:
    """A number a patient brings: the base value, and how it varies between people or is uncertain."""

    name: str
    value: float
    note: Note
    varies: Spread | None = None
    uncertain: Spread | None = None


@dataclass(frozen=True)
class Correlation:
    """How two varying numbers go together (of the normal scores behind them)."""

    first: str
    second: str
    value: float


@dataclass(frozen=True)
class EndCondition:
    """The end of a leg: an output of the flat model reaches a level from below (+1) or above (-1)."""

    output: str
    level: float
    direction: int
    text: str


@dataclass(frozen=True)
class Leg:
    """One stretch of a history: its courses and doses counted from its beginning, and when it ends.

    Who gets there sooner than `earliest`, in days, is another kind of patient, and is drawn again.
    """

    about: str
    layers: tuple[str, ...]
    courses: tuple[Course, ...]
    doses: tuple[Dose, ...]
    longest: float  # days: `for`, or `within`
    visits: tuple[float, ...]
    watch: EndCondition | None
    earliest: float = 0.0


@dataclass(frozen=True)
class PatientFile:
    """A patient file as it was written."""

    name: str
    path: Path
    title: str
    about: str
    core: tuple[str, ...]  # the files it was made for
    covariates: Mapping[str, str]
    layers: tuple[str, ...]
    named: tuple[str, ...]  # what it sets
    watched: tuple[str, ...]  # what its history waits for
    document: TomlDocument = field(repr=False, compare=False)


@dataclass(frozen=True)
class BoundPatient:
    """A patient whose names are those of a composition. `parameters` and `starts` are by qualified name."""

    name: str
    title: str
    covariates: Mapping[str, str]
    parameters: Mapping[str, Setting]
    starts: Mapping[str, Setting]
    correlations: tuple[Correlation, ...]
    history: tuple[Leg, ...]
    day: tuple[Dose, ...] = ()  # what every day brings; times since midnight

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of its history, and the files whose inputs its history sets or doses."""
        named = [name for leg in self.history for name in leg.layers]
        named += [course.input.partition(".")[0] for leg in self.history for course in leg.courses]
        named += [dose.port.partition(".")[0] for leg in self.history for dose in leg.doses]
        return tuple(dict.fromkeys(named))


def read_patient(path: Path) -> PatientFile:
    """A patient file; raises `InputError` with every fault that can be seen in the file alone."""
    document = read_document(path)
    data = document.data
    document.only(
        data, ("title", "about", "source", "note", "core", "covariates", "set", "day", "correlations", "history"), ()
    )
    title = document.word(data, "title", ())
    if not title:
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    covariates = {}
    for name, value in document.table(data, "covariates", ()).items():
        covariates[name] = value if isinstance(value, str) else repr(value)
    layers: list[str] = []
    watched: list[str] = []
    for index, leg in enumerate(_tables(document, "history")):
        keys: KeyPath = ("history", index)
        document.only(leg, _LEG, keys)
        layers += [layer for layer in document.names(leg, "layers", keys) if layer not in layers]
        match = _CONDITION.fullmatch(leg["until"]) if isinstance(leg.get("until"), str) else None
        watched += [match.group(1)] if match else []
    about = document.word(data, "about", ())
    core = document.names(data, "core", ())
    named = tuple(name for name, _ in dotted(document.table(data, "set", ()), _SETTING))
    document.finish()
    return PatientFile(path.stem, path, title, about, core, covariates, tuple(layers), named, tuple(watched), document)


def _tables(document: TomlDocument, key: str) -> list[Mapping[str, Any]]:
    found = document.listing(document.data, key, ())
    for index, item in enumerate(found):
        if not isinstance(item, Mapping):
            document.fault((key, index), "expected a table.", f"Write [[{key}]].")
    return [item for item in found if isinstance(item, Mapping)]


def bind_patient(patient: PatientFile, composition: Composition) -> BoundPatient:
    """The patient in terms of a composition; raises `InputError` with every fault of the file."""
    document = patient.document
    document.faults.clear()
    parameters: dict[str, Setting] = {}
    starts: dict[str, Setting] = {}
    for name, value in dotted(document.table(document.data, "set", ()), _SETTING):
        setting, symbol = _setting(document, name, value, composition)
        if setting is None or symbol is None:
            continue
        target = starts if symbol.kind in STARTABLE else parameters
        for each in flat_names(symbol):
            if each in target:
                document.fault(("set", name), f'"{each}" is set twice.')
            target[each] = replace(setting, name=each)
    bound = BoundPatient(
        name=patient.name,
        title=patient.title,
        covariates=patient.covariates,
        parameters=parameters,
        starts=starts,
        correlations=_correlations(document, composition),
        history=tuple(
            _leg(document, leg, index, composition) for index, leg in enumerate(_tables(document, "history"))
        ),
        day=_day(document, composition),
    )
    document.finish()
    return bound


def _setting(
    document: TomlDocument, name: str, value: Any, composition: Composition
) -> tuple[Setting | None, Symbol | None]:
    keys: KeyPath = ("set", name)
    table = value if isinstance(value, dict) else {"value": value}
    document.only(table, _SETTING, keys)
    note = Note(
        about=document.word(table, "about", keys),
        source=document.word(table, "source", keys),
        assumed=document.word(table, "assumed", keys),
    )
    if bool(note.source) == bool(note.assumed):
        document.fault(keys, "needs a source, or assumed, and not both.", 'Write assumed = "the reason".')
    try:
        symbol = find_symbol(composition, name, (*SETTABLE, *STARTABLE), document.place(keys))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None, None
    found = document.quantity(table.get("value"), (*keys, "value"), symbol.unit.dimension, symbol.of)
    if found is None:
        return None, None
    spreads: dict[str, Spread | None] = {}
    for kind in ("varies", "uncertain"):
        spreads[kind] = _spread(document, table, kind, keys, symbol) if kind in table else None
        spread = spreads[kind]
        if spread is not None and symbol.classes:
            document.fault((*keys, kind), f'"{symbol.name}" is a chain; it cannot vary.', "Let a parameter vary.")
        elif spread is not None and not spread.low < found.value < spread.high:
            document.fault((*keys, kind), "the value lies outside its own range.", "The range holds 95 % of people.")
    return Setting(symbol.name, found.value, note, spreads["varies"], spreads["uncertain"]), symbol


def _spread(document: TomlDocument, table: Mapping[str, Any], key: str, keys: KeyPath, symbol: Symbol) -> Spread | None:
    ends = table[key]
    if not isinstance(ends, list) or len(ends) != 2:
        document.fault((*keys, key), "expected a 95 % range.", f'Write {key} = ["low", "high"].')
        return None
    low, high = (document.quantity(end, (*keys, key), symbol.unit.dimension, symbol.of) for end in ends)
    distribution = document.one_of(table, "distribution", keys, ("lognormal", "normal"), "lognormal")
    if low is None or high is None:
        return None
    if not low.value < high.value or (distribution == "lognormal" and low.value <= 0):
        document.fault((*keys, key), "the range does not rise, or is not positive.")
        return None
    return Spread(low.value, high.value, distribution)


def _correlations(document: TomlDocument, composition: Composition) -> tuple[Correlation, ...]:
    found = []
    for index, item in enumerate(_tables(document, "correlations")):
        keys: KeyPath = ("correlations", index)
        document.only(item, ("between", "value", "source", "assumed", "note"), keys)
        if not item.get("source") and not item.get("assumed"):
            document.fault(keys, "needs a source, or assumed.", 'Write assumed = "the reason".')
        names = document.names(item, "between", keys)
        value: Any = item.get("value")
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if len(names) != 2 or names[0] == names[1] or not good:
            document.fault(keys, "expected between = [two names] and a value between -1 and 1.", "Write value = 0.4.")
            continue
        if not -1 < value < 1:
            document.fault((*keys, "value"), "a correlation lies between -1 and 1.", "Write value = 0.4.")
            continue
        try:
            first, second = (
                find_symbol(composition, name, (*SETTABLE, *STARTABLE), document.place(keys)) for name in names
            )
        except InputError as reason:
            document.faults.extend(reason.faults)
            continue
        found.append(Correlation(first.name, second.name, float(value)))
    return tuple(found)


def _day(document: TomlDocument, composition: Composition) -> tuple[Dose, ...]:
    """What every day brings; each entry has its time of day."""
    entries = _tables(document, "day")
    for index, entry in enumerate(entries):
        document.only(entry, ("into", "amount", "at", "about"), ("day", index))
    doses = read_doses(document, entries, ("day",), composition, whole=False)
    for index, dose in enumerate(doses):
        if not 0.0 <= dose.time < 1.0:
            document.fault(("day", index, "at"), "is not a time of day.", 'Write at = "07:00".')
    return tuple(doses)


def _leg(document: TomlDocument, leg: Mapping[str, Any], index: int, composition: Composition) -> Leg:
    keys: KeyPath = ("history", index)
    watch, longest = None, LONGEST_HISTORY
    if ("for" in leg) == ("until" in leg):
        document.fault(keys, "needs either for or until.", 'Write for = "5 year", or until = "hba1c >= 7 %".')
    if "until" in leg:
        watch = read_watch(document, leg["until"], (*keys, "until"), composition)
    if ("within" in leg) != ("until" in leg):
        document.fault(keys, "until and within stand together.", 'Write until = "hba1c >= 7 %", within = "30 year".')
    span = read_time(document, leg.get("for", leg.get("within", "1 day")), keys, whole=True)
    if span is not None:
        longest = span
        if not 0 < span <= LONGEST_HISTORY:
            document.fault(keys, "a leg lasts from one day to 120 years.")
    earliest = 0.0
    if "after" in leg:
        earliest = read_time(document, leg["after"], (*keys, "after"), whole=True) or 0.0
        if "until" not in leg or not 0 < earliest <= longest:
            document.fault((*keys, "after"), "stands beside until, and lies within.", 'Write after = "6 month".')
    return Leg(
        about=document.word(leg, "about", keys),
        layers=tuple(file_word(layer) for layer in document.names(leg, "layers", keys)),
        courses=tuple(read_courses(document, leg.get("courses", []), (*keys, "courses"), composition)),
        doses=tuple(read_doses(document, leg.get("doses", []), (*keys, "doses"), composition)),
        longest=longest,
        visits=_visits(document, leg, keys, longest),
        watch=watch,
        earliest=earliest,
    )


def _visits(document: TomlDocument, leg: Mapping[str, Any], keys: KeyPath, longest: float) -> tuple[float, ...]:
    if "visits" not in leg:
        return ()
    every = read_time(document, leg["visits"], (*keys, "visits"), whole=True)
    if every is None or every < 1:
        document.fault((*keys, "visits"), "visits are at least a day apart.", 'Write visits = "3 month".')
        return ()
    return tuple(number * every for number in range(1, int(longest / every) + 1))


def read_watch(document: TomlDocument, text: Any, keys: KeyPath, composition: Composition) -> EndCondition | None:
    """A condition on an output, such as ``hba1c >= 7.5 %``."""
    match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        document.fault(keys, f"expected a condition, found {text!r}.", 'Write "hba1c >= 7.5 %".')
        return None
    name, relation, level = match.groups()
    try:
        symbol = find_symbol(composition, name, place=document.place(keys))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None
    found = document.quantity(level, keys, symbol.unit.dimension, symbol.of)
    if symbol.kind in _FIXED or symbol.classes:
        document.fault(keys, f'"{name}" is not one number that changes in time.')
        return None
    return EndCondition(symbol.name, found.value, 1 if ">" in relation else -1, str(text)) if found else None


NO_PATIENT = BoundPatient("", "", {}, {}, {}, (), ())
