"""`seeds/calibration.toml`, read: which numbers are fitted to which rows; every fault with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isletsim.calibration.records import PEOPLE, STATISTICS, Comparison, FitStudy, Free, Group
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import data_folder, find
from isletsim.dosing import read_time
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.evidence import Evidence, Measured, interval, read_evidence
from isletsim.language import KeyPath, TomlDocument, read_document
from isletsim.statistics import NORMAL_95
from isletsim.units import Unit, convert, quantity

__all__ = ["own_table", "read_calibration"]

QUARTILE = 0.674489750196082
FREE = ("patients", "bounds", "spread", "note")
ROW = (
    "target", "value", "issue", "wanted", "tolerance", "within", "scenario", "change", "arm", "against", "variable",
    "statistic", "people", "at", "from", "until", "below", "above", "weight", "shown", "why",
)  # fmt: skip


def own_table() -> Path:
    """The table of the package."""
    return data_folder("seeds") / "calibration.toml"


def read_calibration(path: Path | None = None, only: str = "") -> tuple[Group, ...]:
    """The groups of a table, or one of them; raises `InputError` with every fault."""
    document = read_document(path or own_table())
    document.only(document.data, ("title", "about", "groups"), ())
    evidence = read_evidence()
    groups = document.table(document.data, "groups", ())
    if only and only not in groups:
        raise InputError(Fault(document.shown, f'there is no group "{only}".', did_you_mean(only, groups)))
    wanted = {name: table for name, table in groups.items() if not only or name == only}
    found = tuple(_group(document, name, table, evidence) for name, table in wanted.items())
    document.finish()
    return found


def by_hand(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """What was chosen by hand beside a fit, group by group; raises `InputError`."""
    document = read_document(path or own_table())
    groups = document.table(document.data, "groups", ())
    found = {name: document.names(table, "by_hand", ("groups", name)) for name, table in groups.items()}
    document.finish()
    return found


def _group(document: TomlDocument, name: str, table: Mapping[str, Any], evidence: Evidence) -> Group:
    keys: KeyPath = ("groups", name)
    document.only(table, ("about", "by_hand", "parameters", "rows", "cohort"), keys)
    free = [_free(document, (*keys, "parameters", each), each, entry)
            for each, entry in document.table(table, "parameters", keys).items()]  # fmt: skip
    rows = [_row(document, (*keys, "rows", index), row, evidence)
            for index, row in enumerate(document.listing(table, "rows", keys))]  # fmt: skip
    kept = tuple(row for row in rows if row is not None)
    return Group(
        name=name,
        about=" ".join(document.word(table, "about", keys).split()),
        free=tuple(each for some in free for each in some),
        comparisons=kept,
        cohort=document.integer(table, "cohort", keys, 0, 0, 100_000),
        reasons={row.target: row.why for row in kept},
    )


# --- numbers that may move --------------------------------------------------------------------------------------------


def _free(document: TomlDocument, keys: KeyPath, name: str, table: Mapping[str, Any]) -> tuple[Free, ...]:
    """A number, and how far it differs between people where the table says within what that may move."""
    document.only(table, FREE, keys)
    file, _, key = name.partition(".")
    try:
        holder = read_document(find("model", file)).data
        symbol = compose_stack([find("model", file)], (), follow=True).symbols[name]
    except (InputError, KeyError):
        document.fault(keys, f'there is no number "{name}".', "Write FILE.PARAMETER.")
        return ()
    entry = holder.get("parameters", {}).get(key)
    patients = document.names(table, "patients", keys)
    held = [read_document(find("patient", each)).data.get("set", {}).get(name) for each in patients]
    wrong = next((each for each, value in zip(patients, held, strict=True) if not isinstance(value, dict)), "")
    if wrong or not isinstance(entry, dict):
        document.fault(keys, f'"{wrong or file}" does not set it with a reason.')
        return ()
    entries = held or [entry]
    if any(each.get("source") for each in entries) or (not patients and symbol.source):
        document.fault(keys, "has a published source; such a number is not fitted.")
        return ()
    values = {quantity(each["value"], symbol.unit.dimension, symbol.of).value for each in entries}
    if len(values) > 1:
        document.fault(keys, "its patients do not agree on it.", "Fit them apart, or write the same value into each.")
        return ()
    ends = table.get("bounds") or entry.get("uncertain")
    if not isinstance(ends, list) or len(ends) != 2:
        document.fault(keys, "has no range that says how far it may move.", 'Write bounds = ["low", "high"].')
        return ()
    low, high = (document.quantity(end, keys, symbol.unit.dimension, symbol.of) for end in ends)
    value = values.pop()
    if low is None or high is None or not 0 < low.value <= value <= high.value:
        document.fault(keys, "its value does not lie within its bounds, or they are not positive.")
        return ()
    found = Free(name, patients, symbol.unit, value, low.value, high.value, document.place(keys))
    return (found, *_free_spread(document, keys, found, table, [each.get("varies") for each in entries]))


def _free_spread(
    document: TomlDocument, keys: KeyPath, free: Free, table: Mapping[str, Any], varies: list[Any]
) -> tuple[Free, ...]:
    """How far a number differs between people, as the factor either way that 95 % lie within."""
    if "spread" not in table:
        return ()
    ends = [document.quantity(end, (*keys, "spread")) for end in document.listing(table, "spread", keys)]
    factors = set()
    for each in varies:
        if isinstance(each, list) and len(each) == 2:
            low, high = (quantity(end, free.unit.dimension).value for end in each)
            factors.add(round(math.sqrt(high / low), 2))
    if len(factors) != 1 or (len(varies) > 1 and None in varies):
        document.fault(keys, "has no range between people, or its patients do not agree on it.", "Write varies there.")
        return ()
    value = factors.pop()
    if len(ends) != 2 or None in ends or not 1 < ends[0].value <= value <= ends[1].value:  # type: ignore[union-attr]
        document.fault((*keys, "spread"), f"its spread, {value:g}, does not lie within.", 'Write spread = ["2", "5"].')
        return ()
    pure = quantity("1").unit
    low, high = (each.value for each in ends if each is not None)
    return (replace(free, unit=pure, value=value, low=low, high=high, spread=True),)


# --- rows -------------------------------------------------------------------------------------------------------------


def _row(document: TomlDocument, keys: KeyPath, row: Mapping[str, Any], evidence: Evidence) -> Comparison | None:
    document.only(row, ROW, keys)
    faults = len(document.faults)
    statistic = document.one_of(row, "statistic", keys, STATISTICS, "value")
    people = document.one_of(row, "people", keys, PEOPLE, "reference")
    if statistic == "share" and people == "reference":
        document.fault((*keys, "people"), "a share is one of a cohort.", 'Write people = "mean".')
    if statistic == "lasting" and people != "reference":
        document.fault((*keys, "people"), "a mean course has no stretch that lasts.", 'Write people = "reference".')
    weight = float(row.get("weight", 1.0))
    wanted = _wanted(document, keys, row, evidence, weight)
    times = _times(document, keys, row, statistic)
    side = "above" if "above" in row else "below"
    level = document.quantity(row[side], (*keys, side)) if side in row else None
    for key in ("scenario", "arm", "variable"):
        if not document.word(row, key, keys):
            document.fault(keys, f"has no {key}.")
    changed = document.table(row, "change", keys)
    if len(document.faults) > faults or wanted is None:
        return None
    middle, spread, low, high, unit = wanted
    target = document.word(row, "target", keys)
    name = document.word(row, "value", keys)
    described = evidence.targets[target].quantity if target else document.word(row, "wanted", keys)
    return Comparison(
        target=target or f"issue {row['issue']}",
        label=f"{described}: {name}" if name else described,
        study=FitStudy(row["scenario"], tuple(sorted((key, str(value)) for key, value in changed.items()))),
        arm=row["arm"],
        against=document.word(row, "against", keys),
        variable=row["variable"],
        statistic=statistic,
        people=people,
        times=times,
        wanted=middle,
        spread=spread,
        low=low,
        high=high,
        level=level.value if level is not None else 0.0,
        above=side == "above",
        weight=weight,
        unit=unit,
        why=document.word(row, "why", keys),
        place=document.place(keys),
    )


def _wanted(
    document: TomlDocument, keys: KeyPath, row: Mapping[str, Any], evidence: Evidence, weight: float
) -> tuple[float, float, float, float, Unit] | None:
    """The middle, one standard deviation, the two ends of agreement, and the unit; base units."""
    if "target" not in row:
        return _asked(document, keys, row)
    target = evidence.targets.get(row["target"])
    if target is None:
        document.fault(
            (*keys, "target"), f'there is no "{row["target"]}".', did_you_mean(row["target"], evidence.targets)
        )
        return None
    if target.use != "cal" and not (weight == 0 and row.get("shown")):
        message = f"{target.id} is {target.use}, not cal: it is only predicted."
        document.fault((*keys, "target"), message, 'A row that an issue wants shown has weight = 0 and shown = "why".')
        return None
    measured = target.value(document.word(row, "value", keys))
    if measured is None or measured.number is None or measured.unit is None:
        names = ", ".join(each.name for each in target.values)
        document.fault((*keys, "value"), "is no number of this row.", f"Its values: {names}.")
        return None
    spread, low, high = _agreement(document, keys, row, measured)
    unit = measured.unit
    middle = unit.factor * measured.number + unit.offset
    return middle, unit.factor * spread, unit.factor * low + unit.offset, unit.factor * high + unit.offset, unit


def _agreement(
    document: TomlDocument, keys: KeyPath, row: Mapping[str, Any], measured: Measured
) -> tuple[float, float, float]:
    """One standard deviation and two ends, in the unit of the row: as published, else as the table tolerates."""
    assert measured.number is not None
    ends = interval(measured)
    if "tolerance" in row or ends is None or measured.spread is None:
        half = row.get("tolerance")
        if not isinstance(half, (int, float)) or half <= 0:
            document.fault(keys, "no spread was published.", "Write tolerance = ..., in the unit of the value.")
            half = 1.0
        return half / NORMAL_95, measured.number - half, measured.number + half
    half = (ends.high - ends.low) / 2
    scale = {"sd": 1.0, "iqr": QUARTILE}.get(measured.spread.kind, NORMAL_95)
    return half / scale, ends.low, ends.high


def _asked(
    document: TomlDocument, keys: KeyPath, row: Mapping[str, Any]
) -> tuple[float, float, float, float, Unit] | None:
    """A range that an issue asks for."""
    ends = [document.quantity(end, (*keys, "within")) for end in document.listing(row, "within", keys)]
    if "issue" not in row or not row.get("wanted") or len(ends) != 2:
        document.fault(keys, "needs a target, or an issue with wanted and within.", 'Write target = "T001".')
        return None
    low, high = ends
    if low is None or high is None or not low.value < high.value:
        document.fault((*keys, "within"), "the range does not rise.")
        return None
    return (low.value + high.value) / 2, (high.value - low.value) / (2 * NORMAL_95), low.value, high.value, low.unit


def _times(document: TomlDocument, keys: KeyPath, row: Mapping[str, Any], statistic: str) -> tuple[float, ...]:
    wanted = ("from", "until") if statistic in ("slope", "yearly", "lasting") else ("at",)
    found = [read_time(document, row.get(key), (*keys, key), whole=True) for key in wanted]
    return tuple(each for each in found if each is not None)


def printed(value: float, unit: Unit, digits: int = 4) -> str:
    """A base value as a text of the files: number and unit."""
    return f"{float(f'{convert(value, unit):.{digits}g}'):g} {unit.text}".strip()
