"""Files of risk engines (``models/outcomes/*.toml``) to records; every fault of a file is reported with its place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from isletsim.data_files import data_folder
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import Equation, KeyPath, TomlDocument, names, read_document
from isletsim.outcomes.records import FORMS, Average, Engine, OutcomeEvent, Progression, RiskRow, Transition

__all__ = ["engine_file", "engine_files", "load_engine", "read_engine"]

_TABLES = (
    "title", "source", "assumed", "about", "population", "validity", "defaults", "transforms", "averages", "groups",
    "events", "death", "causes", "scores", "progression", "transitions", "ageing",
)  # fmt: skip
_ROW = (
    "form", "constant", "coefficients", "shape", "log_shape", "clock", "baseline", "horizon", "probability", "powers",
    "when", "calibration", "means", "about", "assumed", "source",
)  # fmt: skip


def engine_files() -> dict[str, Path]:
    """Return the path of every risk engine of the package by name, in alphabetical order."""
    return {path.stem: path for path in sorted((data_folder("models") / "outcomes").glob("*.toml"))}


def engine_file(wanted: str | Path) -> Path:
    """Return the file of an engine by name or path; raises `InputError` with the nearest known name."""
    known = engine_files()
    if str(wanted) in known:
        return known[str(wanted)]
    path = Path(wanted)
    if path.suffix == ".toml" and path.is_file():
        return path
    cure = did_you_mean(str(wanted), list(known)) or f"Known are: {', '.join(known)}."
    raise InputError(Fault(str(wanted), f'There is no risk engine "{wanted}".', cure))


@cache
def load_engine(wanted: str | Path) -> Engine:
    """Return a risk engine by name ("ukpds_om2") or by the path of a file.

    Raises
    ------
    InputError : there is no such engine, or its file has faults.
    """
    return read_engine(engine_file(wanted))


def read_engine(path: Path) -> Engine:
    """Return the engine that a file describes; raises `InputError` with every fault."""
    document = read_document(path)
    data = document.data
    document.only(data, _TABLES, ())
    if not (data.get("source") or data.get("assumed")):
        document.fault((), "An engine needs a source or the reason of an assumption.", 'Write source = "Hayes2013".')
    engine = Engine(
        name=path.stem,
        title=document.word(data, "title", ()),
        source=document.word(data, "source", ()),
        assumed=document.word(data, "assumed", ()),
        about=document.word(data, "about", ()),
        population=document.word(data, "population", ()),
        defaults=_numbers(document, data, "defaults", ()),
        valid={
            name: _pair(document, pair, ("validity", name))
            for name, pair in document.table(data, "validity", ()).items()
        },
        transforms=_equations(document, data),
        averages={
            name: Average(str(each.get("of", "")), float(each.get("memory", 0.0)))
            for name, each in document.table(data, "averages", ()).items()
        },
        groups={
            name: document.names(document.table(data, "groups", ()), name, ("groups",))
            for name in document.table(data, "groups", ())
        },
        events=tuple(_events(document, data, "events")),
        causes=_causes(document, data),
        ageing=bool(data.get("ageing", True)),
        scores={each.name: each for each in _events(document, data, "scores")},
        progression=_progressions(document, data),
        transitions=_transitions(document, data),
    )
    _check_groups(document, engine)
    document.finish()
    return engine


def _numbers(document: TomlDocument, holder: Mapping[str, Any], key: str, keys: KeyPath) -> dict[str, float]:
    table = document.table(holder, key, keys)
    return {name: _number(document, table, name, (*keys, key), 0.0) for name in table}


def _number(document: TomlDocument, holder: Mapping[str, Any], key: str, keys: KeyPath, default: float) -> float:
    value = holder.get(key, default)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    document.fault((*keys, key), f"expected a number, found {value!r}.")
    return default


def _pair(document: TomlDocument, value: Any, keys: KeyPath) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, (int, float)) for each in value):
        return float(value[0]), float(value[1])
    document.fault(keys, f"expected two numbers, found {value!r}.")
    return 0.0, 0.0


def _equations(document: TomlDocument, data: Mapping[str, Any]) -> dict[str, Equation]:
    table = document.table(data, "transforms", ())
    read = {name: document.equation(text, ("transforms", name)) for name, text in table.items()}
    return {name: equation for name, equation in read.items() if equation is not None}


def _causes(document: TomlDocument, data: Mapping[str, Any]) -> dict[str, tuple[RiskRow, ...]]:
    """Return the equations of death by cause; those of [death] are of any cause."""
    found = {}
    if "death" in data:
        found["any"] = _rows(document, document.table(data, "death", ()), ("death",))
    for name, table in document.table(data, "causes", ()).items():
        found[name] = _rows(document, table, ("causes", name))
    return found


def _events(document: TomlDocument, data: Mapping[str, Any], kind: str) -> list[OutcomeEvent]:
    found = []
    for name, table in document.table(data, kind, ()).items():
        keys = (kind, name)
        document.only(table, ("about", "rows", "at_most", "frail"), keys)
        found.append(
            OutcomeEvent(
                name=name,
                about=document.word(table, "about", keys),
                rows=_rows(document, table, keys),
                at_most=document.integer(table, "at_most", keys, 1, 1, 1000),
                frail=bool(table.get("frail", True)),
            )
        )
    return found


def _rows(document: TomlDocument, holder: Mapping[str, Any], keys: KeyPath) -> tuple[RiskRow, ...]:
    return tuple(
        _row(document, row, (*keys, "rows", place)) for place, row in enumerate(document.listing(holder, "rows", keys))
    )


def _row(document: TomlDocument, table: Mapping[str, Any], keys: KeyPath) -> RiskRow:
    from math import exp

    document.only(table, _ROW, keys)
    coefficients = _numbers(document, table, "coefficients", keys)
    means = _numbers(document, table, "means", keys)
    log_shape = _number(document, table, "log_shape", keys, 0.0)
    constant = _number(document, table, "constant", keys, 0.0)
    return RiskRow(
        form=document.one_of(table, "form", keys, FORMS),
        constant=constant - sum(coefficients[name] * mean for name, mean in means.items() if name in coefficients),
        coefficients=coefficients,
        shape=exp(log_shape) if "log_shape" in table else _number(document, table, "shape", keys, 1.0),
        clock=document.word(table, "clock", keys, "duration"),
        baseline=_number(document, table, "baseline", keys, 1.0),
        horizon=_number(document, table, "horizon", keys, 1.0),
        probability=_number(document, table, "probability", keys, 0.0),
        powers={
            name: _pair(document, pair, (*keys, "powers", name))
            for name, pair in document.table(table, "powers", keys).items()
        },
        when=document.equation(table["when"], (*keys, "when")) if "when" in table else None,
        calibration={
            name: _pair(document, pair, (*keys, "calibration", name))
            for name, pair in document.table(table, "calibration", keys).items()
        },
    )


def _progressions(document: TomlDocument, data: Mapping[str, Any]) -> dict[str, Progression]:
    found = {}
    for name, table in document.table(data, "progression", ()).items():
        keys = ("progression", name)
        document.only(table, ("constant", "lag", "log_time", "initial", "coefficients", "every", "spread"), keys)
        found[name] = Progression(
            of=name,
            constant=_number(document, table, "constant", keys, 0.0),
            lag=_number(document, table, "lag", keys, 0.0),
            log_time=_number(document, table, "log_time", keys, 0.0),
            initial=_number(document, table, "initial", keys, 0.0),
            coefficients=_numbers(document, table, "coefficients", keys),
            every=document.integer(table, "every", keys, 1, 1, 10),
            spread=_numbers(document, table, "spread", keys),
        )
    return found


def _transitions(document: TomlDocument, data: Mapping[str, Any]) -> tuple[Transition, ...]:
    found = []
    for chain, rows in document.table(data, "transitions", ()).items():
        for place, table in enumerate(rows):
            keys = ("transitions", chain, place)
            row = _row(document, {key: value for key, value in table.items() if key not in ("from", "to")}, keys)
            found.append(Transition(chain, document.word(table, "from", keys), document.word(table, "to", keys), row))
    return tuple(found)


def _check_groups(document: TomlDocument, engine: Engine) -> None:
    known = {event.name for event in engine.events}
    for group, members in engine.groups.items():
        for member in members:
            if member not in known:
                document.fault(
                    ("groups", group), f'"{member}" is no event of this engine.', did_you_mean(member, list(known))
                )
    flags = {
        f"{prefix}_{name}" for prefix in ("had", "before", "now", "last", "since") for name in (*known, *engine.groups)
    } | set(engine.transforms)
    rows = [("events", event.name, row) for event in engine.events for row in event.rows]
    rows += [("causes", cause, row) for cause, own in engine.causes.items() for row in own]
    for kind, name, row in rows:
        asked = set(row.coefficients) | (set(names(row.when.tree)) if row.when else set())
        for each in asked:
            if each.partition("_")[0] in ("had", "before", "now", "last", "since") and each not in flags:
                document.fault((kind, name), f'"{each}" asks for an unknown event.', did_you_mean(each, list(flags)))
