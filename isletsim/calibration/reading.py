"""`seeds/calibration.toml`, read: which numbers are fitted to which rows; every fault with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isletsim.calibration.records import PEOPLE, STATISTICS, Comparison, Free, Group, Study
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import data_folder, find
from isletsim.dosing import read_time
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.evidence import Evidence, Measured, interval, read_evidence
from isletsim.language import Keys, Page, read_page
from isletsim.units import Unit, convert, quantity

__all__ = ["own_table", "read_calibration"]

NORMAL = 1.959963984540054
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
    page = read_page(path or own_table())
    page.only(page.data, ("title", "about", "groups"), ())
    evidence = read_evidence()
    groups = page.table(page.data, "groups", ())
    if only and only not in groups:
        raise InputError(Fault(page.shown, f'there is no group "{only}".', did_you_mean(only, groups)))
    wanted = {name: table for name, table in groups.items() if not only or name == only}
    found = tuple(_group(page, name, table, evidence) for name, table in wanted.items())
    page.finish()
    return found


def by_hand(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """What was chosen by hand beside a fit, group by group; raises `InputError`."""
    page = read_page(path or own_table())
    groups = page.table(page.data, "groups", ())
    found = {name: page.names(table, "by_hand", ("groups", name)) for name, table in groups.items()}
    page.finish()
    return found


def _group(page: Page, name: str, table: Mapping[str, Any], evidence: Evidence) -> Group:
    keys: Keys = ("groups", name)
    page.only(table, ("about", "by_hand", "parameters", "rows", "cohort"), keys)
    free = [_free(page, (*keys, "parameters", each), each, entry)
            for each, entry in page.table(table, "parameters", keys).items()]  # fmt: skip
    rows = [_row(page, (*keys, "rows", index), row, evidence)
            for index, row in enumerate(page.listing(table, "rows", keys))]  # fmt: skip
    kept = tuple(row for row in rows if row is not None)
    return Group(
        name=name,
        about=" ".join(page.word(table, "about", keys).split()),
        free=tuple(each for some in free for each in some),
        comparisons=kept,
        cohort=page.integer(table, "cohort", keys, 0, 0, 100_000),
        reasons={row.target: row.why for row in kept},
    )


# --- numbers that may move --------------------------------------------------------------------------------------------


def _free(page: Page, keys: Keys, name: str, table: Mapping[str, Any]) -> tuple[Free, ...]:
    """A number, and how far it differs between people where the table says within what that may move."""
    page.only(table, FREE, keys)
    file, _, key = name.partition(".")
    try:
        holder = read_page(find("model", file)).data
        symbol = compose_stack([find("model", file)], (), follow=True).symbols[name]
    except (InputError, KeyError):
        page.fault(keys, f'there is no number "{name}".', "Write FILE.PARAMETER.")
        return ()
    entry = holder.get("parameters", {}).get(key)
    patients = page.names(table, "patients", keys)
    held = [read_page(find("patient", each)).data.get("set", {}).get(name) for each in patients]
    wrong = next((each for each, value in zip(patients, held, strict=True) if not isinstance(value, dict)), "")
    if wrong or not isinstance(entry, dict):
        page.fault(keys, f'"{wrong or file}" does not set it with a reason.')
        return ()
    entries = held or [entry]
    if any(each.get("source") for each in entries) or (not patients and symbol.source):
        page.fault(keys, "has a published source; such a number is not fitted.")
        return ()
    values = {quantity(each["value"], symbol.unit.dimension, symbol.of).value for each in entries}
    if len(values) > 1:
        page.fault(keys, "its patients do not agree on it.", "Fit them apart, or write the same value into each.")
        return ()
    ends = table.get("bounds") or entry.get("uncertain")
    if not isinstance(ends, list) or len(ends) != 2:
        page.fault(keys, "has no range that says how far it may move.", 'Write bounds = ["low", "high"].')
        return ()
    low, high = (page.quantity(end, keys, symbol.unit.dimension, symbol.of) for end in ends)
    value = values.pop()
    if low is None or high is None or not 0 < low.value <= value <= high.value:
        page.fault(keys, "its value does not lie within its bounds, or they are not positive.")
        return ()
    found = Free(name, patients, symbol.unit, value, low.value, high.value, page.place(keys))
    return (found, *_free_spread(page, keys, found, table, [each.get("varies") for each in entries]))


def _free_spread(page: Page, keys: Keys, free: Free, table: Mapping[str, Any], varies: list[Any]) -> tuple[Free, ...]:
    """How far a number differs between people, as the factor either way that 95 % lie within."""
    if "spread" not in table:
        return ()
    ends = [page.quantity(end, (*keys, "spread")) for end in page.listing(table, "spread", keys)]
    factors = set()
    for each in varies:
        if isinstance(each, list) and len(each) == 2:
            low, high = (quantity(end, free.unit.dimension).value for end in each)
            factors.add(round(math.sqrt(high / low), 2))
    if len(factors) != 1 or (len(varies) > 1 and None in varies):
        page.fault(keys, "has no range between people, or its patients do not agree on it.", "Write varies there.")
        return ()
    value = factors.pop()
    if len(ends) != 2 or None in ends or not 1 < ends[0].value <= value <= ends[1].value:  # type: ignore[union-attr]
        page.fault((*keys, "spread"), f"its spread, {value:g}, does not lie within.", 'Write spread = ["2", "5"].')
        return ()
    pure = quantity("1").unit
    low, high = (each.value for each in ends if each is not None)
    return (replace(free, unit=pure, value=value, low=low, high=high, spread=True),)


# --- rows -------------------------------------------------------------------------------------------------------------


def _row(page: Page, keys: Keys, row: Mapping[str, Any], evidence: Evidence) -> Comparison | None:
    page.only(row, ROW, keys)
    faults = len(page.faults)
    statistic = page.one_of(row, "statistic", keys, STATISTICS, "value")
    people = page.one_of(row, "people", keys, PEOPLE, "reference")
    if statistic == "share" and people == "reference":
        page.fault((*keys, "people"), "a share is one of a cohort.", 'Write people = "mean".')
    if statistic == "lasting" and people != "reference":
        page.fault((*keys, "people"), "a mean course has no stretch that lasts.", 'Write people = "reference".')
    weight = float(row.get("weight", 1.0))
    wanted = _wanted(page, keys, row, evidence, weight)
    times = _times(page, keys, row, statistic)
    side = "above" if "above" in row else "below"
    level = page.quantity(row[side], (*keys, side)) if side in row else None
    for key in ("scenario", "arm", "variable"):
        if not page.word(row, key, keys):
            page.fault(keys, f"has no {key}.")
    changed = page.table(row, "change", keys)
    if len(page.faults) > faults or wanted is None:
        return None
    middle, spread, low, high, unit = wanted
    target = page.word(row, "target", keys)
    name = page.word(row, "value", keys)
    described = evidence.targets[target].quantity if target else page.word(row, "wanted", keys)
    return Comparison(
        target=target or f"issue {row['issue']}",
        label=f"{described}: {name}" if name else described,
        study=Study(row["scenario"], tuple(sorted((key, str(value)) for key, value in changed.items()))),
        arm=row["arm"],
        against=page.word(row, "against", keys),
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
        why=page.word(row, "why", keys),
        place=page.place(keys),
    )


def _wanted(
    page: Page, keys: Keys, row: Mapping[str, Any], evidence: Evidence, weight: float
) -> tuple[float, float, float, float, Unit] | None:
    """The middle, one standard deviation, the two ends of agreement, and the unit; base units."""
    if "target" not in row:
        return _asked(page, keys, row)
    target = evidence.targets.get(row["target"])
    if target is None:
        page.fault((*keys, "target"), f'there is no "{row["target"]}".', did_you_mean(row["target"], evidence.targets))
        return None
    if target.use != "cal" and not (weight == 0 and row.get("shown")):
        message = f"{target.id} is {target.use}, not cal: it is only predicted."
        page.fault((*keys, "target"), message, 'A row that an issue wants shown has weight = 0 and shown = "why".')
        return None
    measured = target.value(page.word(row, "value", keys))
    if measured is None or measured.number is None or measured.unit is None:
        names = ", ".join(each.name for each in target.values)
        page.fault((*keys, "value"), "is no number of this row.", f"Its values: {names}.")
        return None
    spread, low, high = _agreement(page, keys, row, measured)
    unit = measured.unit
    middle = unit.factor * measured.number + unit.offset
    return middle, unit.factor * spread, unit.factor * low + unit.offset, unit.factor * high + unit.offset, unit


def _agreement(page: Page, keys: Keys, row: Mapping[str, Any], measured: Measured) -> tuple[float, float, float]:
    """One standard deviation and two ends, in the unit of the row: as published, else as the table tolerates."""
    assert measured.number is not None
    ends = interval(measured)
    if "tolerance" in row or ends is None or measured.spread is None:
        half = row.get("tolerance")
        if not isinstance(half, (int, float)) or half <= 0:
            page.fault(keys, "no spread was published.", "Write tolerance = ..., in the unit of the value.")
            half = 1.0
        return half / NORMAL, measured.number - half, measured.number + half
    half = (ends.high - ends.low) / 2
    scale = {"sd": 1.0, "iqr": QUARTILE}.get(measured.spread.kind, NORMAL)
    return half / scale, ends.low, ends.high


def _asked(page: Page, keys: Keys, row: Mapping[str, Any]) -> tuple[float, float, float, float, Unit] | None:
    """A range that an issue asks for."""
    ends = [page.quantity(end, (*keys, "within")) for end in page.listing(row, "within", keys)]
    if "issue" not in row or not row.get("wanted") or len(ends) != 2:
        page.fault(keys, "needs a target, or an issue with wanted and within.", 'Write target = "T001".')
        return None
    low, high = ends
    if low is None or high is None or not low.value < high.value:
        page.fault((*keys, "within"), "the range does not rise.")
        return None
    return (low.value + high.value) / 2, (high.value - low.value) / (2 * NORMAL), low.value, high.value, low.unit


def _times(page: Page, keys: Keys, row: Mapping[str, Any], statistic: str) -> tuple[float, ...]:
    wanted = ("from", "until") if statistic in ("slope", "yearly", "lasting") else ("at",)
    found = [read_time(page, row.get(key), (*keys, key), whole=True) for key in wanted]
    return tuple(each for each in found if each is not None)


def printed(value: float, unit: Unit, digits: int = 4) -> str:
    """A base value as a text of the files: number and unit."""
    return f"{float(f'{convert(value, unit):.{digits}g}'):g} {unit.text}".strip()
