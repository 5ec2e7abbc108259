"""A model file becomes frozen records: what the file says, checked on its own; composition comes later.

Reads the tables of docs/model-language.md. All faults of a file are reported together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from isletsim.expressions import Apply, Name, Number, Tree
from isletsim.expressions.parse import FUNCTIONS
from isletsim.source import Keys, Law, Page, read_page
from isletsim.units import PURE, Unit

__all__ = ["GRADES", "Entry", "ModelFile", "Note", "Port", "Report", "Spread", "Term", "read_model"]

GRADES = ("human trial", "human observation", "animal", "cell", "assumed")
CLOCKS = ("day", "life")
_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")
LARGEST = 1e300  # a number of a data table
RESERVED = {"time", "class", "amount", "and", "or", "not", *FUNCTIONS}


@dataclass(frozen=True)
class Note:
    """What a reader wants to know of a number or law: the paper's letter, its meaning, where it comes from."""

    symbol: str = ""
    about: str = ""
    source: str = ""
    assumed: str = ""
    grade: str = ""


@dataclass(frozen=True)
class Spread:
    """A 95 % range of a number, between people or of the value itself; base units."""

    low: float
    high: float
    distribution: str = "lognormal"


@dataclass(frozen=True)
class Entry:
    """One named thing of a file.

    `kind` is one of: state, parameter, input, held, unknown (algebraic), derived, quantity, rate.
    `value` is the start, value or default in base units; None where `law` gives it or where it is data (`table`).
    `law` is the equation of derived values, quantities and rates, the start of a state that is computed, the residual
    of an unknown, or the revision of a held value. `at` says when a held value is revised.
    """

    name: str
    kind: str
    note: Note
    keys: Keys
    value: float | None = None
    unit: Unit | None = None
    law: Law | None = None
    of: str = ""
    classes: int = 0
    scale: float | None = None
    varies: Spread | None = None
    uncertain: Spread | None = None
    table: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    table_units: tuple[Unit, Unit] | None = None
    at: str = ""


@dataclass(frozen=True)
class Term:
    """One signed name of a balance; `boundary` is set for `previous(name, boundary)`."""

    sign: float
    name: str
    keys: Keys
    span: tuple[int, int] | None
    boundary: str | None = None
    last: bool = False


@dataclass(frozen=True)
class Port:
    """What one instant does to this file's own states, per unit of the amount."""

    name: str
    about: str
    unit: Unit | None
    add: Mapping[str, Law]
    multiply: Mapping[str, Law]
    keys: Keys


@dataclass(frozen=True)
class Report:
    """A clinical name this file owes: its law, the unit it is shown in, and the substance (for mass against amount)."""

    name: str
    law: Law
    unit: Unit | None
    about: str
    of: str = ""


@dataclass(frozen=True)
class ModelFile:
    """One model file as records. `entries` holds every named thing in file order; `page` knows the places."""

    name: str
    path: Path
    title: str
    source: str
    assumed: str
    about: str
    clock: str
    grade: str
    uses: Mapping[str, tuple[str, ...]]
    entries: Mapping[str, Entry]
    balance: Mapping[str, tuple[Term, ...]]
    adds: tuple[tuple[str, Law], ...]
    scales: tuple[tuple[str, Law], ...]
    ports: Mapping[str, Port]
    reports: Mapping[str, Report]
    page: Page = field(compare=False, repr=False)


_TABLES = "uses inputs states parameters derived quantities rates balance solve adds scales doses held reports"
TABLES = tuple(_TABLES.split())
HEAD = ("title", "source", "assumed", "about", "clock", "grade", "note")
_NOTE = ("symbol", "about", "source", "assumed", "grade", "note")


def read_model(path: Path) -> ModelFile:
    """The records of a model file; raises `InputError` with every fault that can be seen in the file alone."""
    page = read_page(path)
    data = page.data
    page.only(data, (*HEAD, *TABLES), ())
    title = page.word(data, "title", ())
    if not title:
        page.fault((), "has no title.", 'Write title = "..." in its first line.')
    file_note = _note(page, data, ())
    if not file_note.source and not file_note.assumed:
        page.fault((), "says neither source nor assumed.", 'Write source = "Key of references.bib" or assumed = "why".')
    if not _NAME.fullmatch(path.stem):
        page.fault((), f'the file name "{path.stem}" is not a name.', "Use lower-case words with underscores.")
    entries: dict[str, Entry] = {}
    for table, reader in (
        ("inputs", _input),
        ("states", _state),
        ("parameters", _parameter),
        ("solve", _unknown),
        ("held", _held),
        ("derived", _law_of("derived")),
        ("quantities", _law_of("quantity")),
        ("rates", _law_of("rate")),
    ):
        for name, value in page.table(data, table, ()).items():
            keys: Keys = (table, name)
            if not _NAME.fullmatch(name) or name in RESERVED:
                page.fault(keys, f'"{name}" cannot be a name.', "Use words that are not functions of the language.")
            elif name in entries:
                page.fault(keys, f'"{name}" is defined twice, here and under [{entries[name].keys[0]}].')
            else:
                entry = reader(page, name, value, keys, file_note)
                if entry is not None:
                    entries[name] = entry
    model = ModelFile(
        name=path.stem,
        path=path,
        title=title,
        source=file_note.source,
        assumed=file_note.assumed,
        about=file_note.about,
        clock=page.one_of(data, "clock", (), CLOCKS),
        grade=file_note.grade,
        uses={key: page.names(page.table(data, "uses", ()), key, ("uses",)) for key in page.table(data, "uses", ())},
        entries=entries,
        balance=_balances(page, entries),
        adds=_targets(page, "adds"),
        scales=_targets(page, "scales"),
        ports=_ports(page, entries),
        reports=_reports(page),
        page=page,
    )
    _check_held(page, model)
    page.finish()
    return model


# --- entries ----------------------------------------------------------------------------------------------------------


def _note(page: Page, holder: Mapping[str, Any], keys: Keys) -> Note:
    words = {key: page.word(holder, key, keys) for key in ("symbol", "about", "source", "assumed")}
    grade = page.one_of(holder, "grade", keys, GRADES)
    if words["source"] and words["assumed"]:
        page.fault(keys, "says both source and assumed.", "A number has a source, or is assumed.")
    return Note(**words, grade="assumed" if words["assumed"] else grade)


def _as_table(page: Page, value: Any, keys: Keys, allowed: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        page.fault(keys, "expected a table.", f"Write {keys[-1]} = {{ {allowed[0]} = ..., about = ... }}.")
        return None
    page.only(value, (*allowed, *_NOTE), keys)
    return value


def _input(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    table = _as_table(page, value, keys, ("default", "unit", "of"))
    if table is None:
        return None
    return _numbered(page, name, "input", table, "default", keys, unit_key="unit")


def _numbered(
    page: Page, name: str, kind: str, table: dict[str, Any], key: str, keys: Keys, unit_key: str = ""
) -> Entry | None:
    """An entry whose value is a quantity text; `unit` may name the unit it is shown in."""
    if key not in table:
        page.fault(keys, f"has no {key}.", f'Write {key} = "1 mg/dL".')
        return None
    of = page.word(table, "of", keys)
    named = None
    if unit_key and unit_key in table:
        named = page.unit(page.word(table, unit_key, keys), (*keys, unit_key))
    bridged = named.dimension if named is not None and of else None
    found = page.quantity(table[key], (*keys, key), bridged, of)
    if found is None:
        return None
    value, shown = found.value, found.unit
    if named is not None:
        if shown.dimension != named.dimension and not of:
            if shown.dimension == PURE and found.value == 0.0:
                value = named.offset
            else:
                page.fault((*keys, unit_key), f"{key} and unit are of different dimensions.")
        shown = named
    return Entry(name, kind, _note(page, table, keys), keys, value, shown, of=of)


def _state(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    allowed = ("start", "unit", "classes", "scale", "of", "varies", "distribution")
    table = _as_table(page, value, keys, allowed)
    if table is None:
        return None
    classes = page.integer(table, "classes", keys, 0, 1, 500) if "classes" in table else 0
    note, of = _note(page, table, keys), page.word(table, "of", keys)
    start = table.get("start")
    number = start if isinstance(start, (int, float)) else None
    if isinstance(start, str) and _starts_with_number(start):
        number = start  # type: ignore[assignment]
    law, start_value, unit = None, None, None
    if number is not None and not isinstance(number, bool):
        found = page.quantity(number, (*keys, "start"))
        if found is None:
            return None
        start_value, unit = found.value, found.unit
    elif start is None:
        page.fault(keys, "has no start.", 'Write start = "5 mmol/L", or an equation over parameters.')
        return None
    else:
        law = page.law(start, (*keys, "start"))
        if law is None:
            return None
        if "unit" not in table:
            page.fault(keys, "a computed start needs a unit.", 'Write unit = "mg/dL".')
            return None
    if "unit" in table:
        named = page.unit(page.word(table, "unit", keys), (*keys, "unit"))
        if named is not None and unit is not None and named.dimension != unit.dimension:
            page.fault((*keys, "unit"), "start and unit are of different dimensions.")
        unit = named or unit
    if unit is None:
        return None
    varies = _spread(page, table, "varies", keys, unit)
    return Entry(
        name, "state", note, keys, start_value, unit, law, of, classes, _scale(page, table, keys, unit), varies
    )


def _scale(page: Page, table: dict[str, Any], keys: Keys, unit: Unit) -> float | None:
    """The size of a state that matters."""
    found = page.quantity(table["scale"], (*keys, "scale"), unit.dimension) if "scale" in table else None
    if found is not None and not found.value > 0:
        page.fault((*keys, "scale"), "a scale is positive.")
        return None
    return found.value if found else None


def _starts_with_number(text: str) -> bool:
    """Whether a start is a quantity text: a number, then perhaps a unit, but no arithmetic."""
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\s+[^-+\s].*|\s*%?|\s*/.*)", text) is not None


def _parameter(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    allowed = ("value", "unit", "varies", "uncertain", "distribution", "of", "table", "units")
    table = _as_table(page, value, keys, allowed)
    if table is None:
        return None
    note = _note(page, table, keys)
    if not note.source and not note.assumed:
        page.fault(keys, "has neither source nor assumed.", 'Write source = "Key" or assumed = "the reason".')
    if "table" in table:
        return _data(page, name, table, keys, note)
    entry = _numbered(page, name, "parameter", table, "value", keys, unit_key="unit")
    if entry is None or entry.unit is None:
        return None
    varies = _spread(page, table, "varies", keys, entry.unit)
    uncertain = _spread(page, table, "uncertain", keys, entry.unit)
    return Entry(
        name, "parameter", note, keys, entry.value, entry.unit, of=entry.of, varies=varies, uncertain=uncertain
    )


def _spread(page: Page, table: dict[str, Any], key: str, keys: Keys, unit: Unit) -> Spread | None:
    if key not in table:
        return None
    ends = table[key]
    if not isinstance(ends, list) or len(ends) != 2:
        page.fault((*keys, key), "expected a 95 % range.", f'Write {key} = ["0.5 1/day", "2 1/day"].')
        return None
    low, high = (page.quantity(end, (*keys, key), unit.dimension) for end in ends)
    if low is None or high is None:
        return None
    distribution = page.one_of(table, "distribution", keys, ("lognormal", "normal"), "lognormal")
    if not low.value < high.value:
        page.fault((*keys, key), "the lower end is not below the upper end.")
        return None
    if distribution == "lognormal" and low.value <= 0:
        page.fault(
            (*keys, key), "a lognormal range is positive.", 'Write distribution = "normal" if it may be negative.'
        )
        return None
    return Spread(low.value, high.value, distribution)


def _data(page: Page, name: str, table: dict[str, Any], keys: Keys, note: Note) -> Entry | None:
    rows, units = table["table"], table.get("units")
    if not isinstance(units, list) or len(units) != 2 or not all(isinstance(each, str) for each in units):
        page.fault(keys, "data need two units.", 'Write units = ["min", "uU/mL"].')
        return None
    first, second = (page.unit(each, (*keys, "units")) for each in units)
    good = isinstance(rows, list) and 2 <= len(rows) <= 2_000
    good = good and all(isinstance(row, list) and len(row) == 2 for row in rows)
    good = good and all(_is_number(x) for row in rows for x in row)
    if not good:
        page.fault((*keys, "table"), "expected rows of two numbers.", "Write table = [[0, 11], [2, 26]].")
        return None
    if first is None or second is None:
        return None
    abscissae = tuple(first.factor * float(row[0]) for row in rows)
    ordinates = tuple(second.factor * float(row[1]) for row in rows)
    if not all(math.isfinite(each) for each in (*abscissae, *ordinates)):
        page.fault((*keys, "table"), "holds a value beyond the range of numbers.")
        return None
    if any(later <= earlier for earlier, later in pairwise(abscissae)):
        page.fault((*keys, "table"), "the first column does not increase.")
        return None
    return Entry(name, "parameter", note, keys, table=(abscissae, ordinates), table_units=(first, second), unit=second)


def _is_number(value: Any) -> bool:
    """A finite number; whole numbers of a TOML file may be larger than any float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def _unknown(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    table = _as_table(page, value, keys, ("start", "residual", "of", "scale", "unit"))
    if table is None:
        return None
    entry = _numbered(page, name, "unknown", table, "start", keys, unit_key="unit")
    law = page.law(table.get("residual"), (*keys, "residual"))
    if entry is None or law is None or entry.unit is None:
        return None
    scale = _scale(page, table, keys, entry.unit)
    return Entry(name, "unknown", entry.note, keys, entry.value, entry.unit, law, entry.of, scale=scale)


def _held(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
    table = _as_table(page, value, keys, ("start", "revise", "at", "unit", "of"))
    if table is None:
        return None
    entry = _numbered(page, name, "held", table, "start", keys, unit_key="unit")
    law = page.law(table.get("revise"), (*keys, "revise"))
    if entry is None or law is None:
        return None
    at = page.word(table, "at", keys)
    if not at:
        page.fault(keys, "does not say when it is revised.", 'Write at = "visit", or the name of a port of this file.')
    return Entry(name, "held", entry.note, keys, entry.value, entry.unit, law, entry.of, at=at)


def _law_of(kind: str) -> Any:
    def reader(page: Page, name: str, value: Any, keys: Keys, file_note: Note) -> Entry | None:
        note, unit, text = Note(), None, value
        place = keys
        if isinstance(value, dict):
            page.only(value, ("law", "unit", *_NOTE), keys)
            note, text, place = _note(page, value, keys), value.get("law"), (*keys, "law")
            if "unit" in value:
                unit = page.unit(page.word(value, "unit", keys), (*keys, "unit"))
        law = page.law(text, place)
        if law is None:
            return None
        if not note.source and not note.assumed:
            note = Note(note.symbol, note.about, file_note.source, file_note.assumed, note.grade or file_note.grade)
        return Entry(name, kind, note, keys, unit=unit, law=law)

    return reader


# --- balances, targets, ports, reports --------------------------------------------------------------------------------


def _balances(page: Page, entries: Mapping[str, Entry]) -> dict[str, tuple[Term, ...]]:
    written = page.table(page.data, "balance", ())
    states = [name for name, entry in entries.items() if entry.kind == "state"]
    for name in written:
        if name not in states:
            page.fault(("balance", name), f'"{name}" is not a state of this file.')
    for name in states:
        if name not in written:
            page.fault(("states", name), "has no balance.", f'Write {name} = "..." under [balance]; "" if none.')
    balances: dict[str, tuple[Term, ...]] = dict.fromkeys(states, ())
    for name in states:
        text = written.get(name, "")
        keys: Keys = ("balance", name)
        if isinstance(text, str) and not text.strip():
            continue
        law = page.law(text, keys)
        balances[name] = tuple(signed_terms(page, law)) if law else ()
    return balances


def signed_terms(page: Page, law: Law) -> list[Term]:
    """A balance as a signed sum of names; anything else is a fault."""
    terms: list[Term] = []

    def visit(tree: Tree, sign: float) -> None:
        match tree:
            case Name(name, span):
                terms.append(Term(sign, name, law.keys, span))
            case Apply("add", (left, right)):
                visit(left, sign)
                visit(right, sign)
            case Apply("subtract", (left, right)):
                visit(left, sign)
                visit(right, -sign)
            case Apply("negate", (inner,)):
                visit(inner, -sign)
            case Apply("previous", (Name(name), Name(boundary)), span):
                terms.append(Term(sign, name, law.keys, span, boundary))
            case Apply("previous", (Name(name), Number(0.0)), span):
                terms.append(Term(sign, name, law.keys, span, "0"))
            case Apply("last", (Name(name),), span):
                terms.append(Term(sign, name, law.keys, span, last=True))
            case Number(0.0):
                pass
            case _:
                message = "a balance is a signed sum of rate names."
                page.fault(law.keys, message, "Give this piece a name under [rates].", law.text, tree.span)

    visit(law.tree, 1.0)
    return terms


def _targets(page: Page, verb: str) -> tuple[tuple[str, Law], ...]:
    found: list[tuple[str, Law]] = []

    def collect(name: str, value: Any, keys: Keys) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{name}.{key}", inner, (*keys, key))
            return
        if not _TARGET.fullmatch(name):
            page.fault(keys, f'"{name}" is not a target.', 'Write it as file.name, for example beta.apoptosis = "...".')
            return
        law = page.law(value, keys)
        if law is not None:
            found.append((name, law))

    for file, inner in page.table(page.data, verb, ()).items():
        collect(file, inner, (verb, file))
    return tuple(found)


def _ports(page: Page, entries: Mapping[str, Entry]) -> dict[str, Port]:
    ports = {}
    for name, value in page.table(page.data, "doses", ()).items():
        keys: Keys = ("doses", name)
        if not _NAME.fullmatch(name):
            page.fault(keys, f'"{name}" cannot be the name of a port.')
        if not isinstance(value, dict):
            page.fault(keys, "expected a table.", f'Write [doses.{name}] and add = {{ state = "1" }}.')
            continue
        page.only(value, ("add", "multiply", "unit", "about", "note"), keys)
        unit = page.unit(page.word(value, "unit", keys), (*keys, "unit")) if "unit" in value else None
        laws: dict[str, dict[str, Law]] = {"add": {}, "multiply": {}}
        for verb, found in laws.items():
            for target, text in page.table(value, verb, keys).items():
                place: Keys = (*keys, verb, target)
                if target not in entries or entries[target].kind not in ("state",):
                    page.fault(place, f'"{target}" is not a state of this file.', "A port acts on its own states.")
                law = page.law(text, place)
                if law is not None and target in entries:
                    found[target] = law
        if not laws["add"] and not laws["multiply"]:
            page.fault(keys, "the port does nothing.", 'Write add = { state = "1" }.')
        ports[name] = Port(name, page.word(value, "about", keys), unit, laws["add"], laws["multiply"], keys)
    return ports


def _reports(page: Page) -> dict[str, Report]:
    reports = {}
    for name, value in page.table(page.data, "reports", ()).items():
        keys: Keys = ("reports", name)
        unit, text, about, place, of = None, value, "", keys, ""
        if not _NAME.fullmatch(name):
            page.fault(keys, f'"{name}" cannot be the name of a report.')
        if isinstance(value, dict):
            page.only(value, ("value", "unit", "of", "about", "assumed", "source", "note"), keys)
            of = page.word(value, "of", keys)
            text, about, place = value.get("value"), page.word(value, "about", keys), (*keys, "value")
            if "unit" in value:
                spelled = page.word(value, "unit", keys)
                known = {"%": "percent_NGSP", "mmol/mol": "mmol_per_mol_IFCC"} if name.startswith("hba1c") else {}
                unit = page.unit(known.get(spelled, spelled), (*keys, "unit"))
        law = page.law(text, place)
        if law is not None:
            reports[name] = Report(name, law, unit, about, of)
    return reports


def _check_held(page: Page, model: ModelFile) -> None:
    for entry in model.entries.values():
        if entry.kind == "held" and entry.at and entry.at != "visit" and entry.at not in model.ports:
            known = ", ".join(["visit", *model.ports])
            page.fault((*entry.keys, "at"), f'"{entry.at}" is not a port of this file.', f"Known: {known}.")
