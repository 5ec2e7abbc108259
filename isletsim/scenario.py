"""A scenario file becomes a visible plan of arms, doses, courses and visits; nothing is run here.

`read_scenario` checks what can be seen in the file alone and says which files it needs; `plan_scenario` checks the rest
against their composition. A plan can be printed: it is what will be run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isletsim.faults import Fault, InputError, did_you_mean
from isletsim.layers import Composition
from isletsim.lookup import SETTABLE, find_symbol
from isletsim.regimen import Course, Dose, describe_dose, read_courses, read_doses, read_time
from isletsim.results import FigureSpec
from isletsim.source import Keys, Page, read_page
from isletsim.units import convert

__all__ = ["ArmPlan", "Plan", "ScenarioFile", "plan_scenario", "printed", "read_scenario"]

_KEYS = "title about note core patient until save method tolerance control visits arms cohort figures record challenges"
KEYS = tuple(_KEYS.split())
METHODS = ("stiff", "explicit")
MOST_RECORDS = 200_000
LARGEST_COHORT = 10_000_000


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario as it was written, and the files it needs."""

    name: str
    path: Path
    title: str
    core: tuple[str, ...]
    layers: tuple[str, ...]
    patient: str
    record: tuple[str, ...]
    challenges: tuple[str, ...]
    overrides: tuple[tuple[str, str], ...]
    page: Page = field(repr=False, compare=False)


@dataclass(frozen=True)
class ArmPlan:
    """One arm: its explicit doses and courses, what it sets, and the history layers it stops."""

    name: str
    about: str
    layers: tuple[str, ...]
    doses: tuple[Dose, ...]
    courses: tuple[Course, ...]
    stop: tuple[str, ...]
    parameters: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """All that will be run, in days and base units."""

    name: str
    title: str
    about: str
    arms: tuple[ArmPlan, ...]
    control: int
    until: float
    save: tuple[float, ...]
    visits: tuple[float, ...]
    method: str
    tolerance: float
    cohort: int
    seed: int
    parameters: Mapping[str, float]
    figures: tuple[FigureSpec, ...]
    challenges: tuple[tuple[str, tuple[float, ...]], ...] = ()  # virtual tests and their times


def read_scenario(path: Path, overrides: Iterable[str] = ()) -> ScenarioFile:
    """A scenario file with overrides ("PATH=VALUE") applied; raises `InputError` with every fault of the file.

    A path that begins with a key of scenario files ("cohort.size") changes the file; any other sets a model's number.
    """
    page = read_page(path)
    settings = _override(page, overrides)
    data = page.data
    page.only(data, KEYS, ())
    title = page.word(data, "title", ())
    if not title:
        page.fault((), "has no title.", 'Write title = "..." in its first line.')
    core = page.names(data, "core", ())
    if not core:
        page.fault((), "has no core.", 'Write core = ["topp2000"].')
    arms = page.table(data, "arms", ())
    if not arms:
        page.fault((), "has no arms.", "Write [arms.usual].")
    layers: list[str] = []
    for name in arms:
        arm = page.table(arms, name, ("arms",))
        page.only(arm, ("about", "layers", "doses", "courses", "stop", "set", "note"), ("arms", name))
        layers += [layer for layer in page.names(arm, "layers", ("arms", name)) if layer not in layers]
    record = list(page.names(data, "record", ()))
    for name, panel in page.table(data, "figures", ()).items():
        shown = panel.get("show") if isinstance(panel, dict) else None
        if isinstance(shown, str) and "." in shown and shown not in record:
            record.append(shown)
        elif shown is None:
            page.fault(("figures", name), "does not say what to show.", f'Write {name} = {{ show = "hba1c" }}.')
    patient = page.word(data, "patient", ())
    challenges = tuple(page.table(data, "challenges", ()))
    page.finish()
    return ScenarioFile(
        path.stem, path, title, core, tuple(layers), patient, tuple(record), challenges, tuple(settings), page
    )


def _override(page: Page, overrides: Iterable[str]) -> list[tuple[str, str]]:
    settings: list[tuple[str, str]] = []
    for text in overrides:
        name, mark, value = text.partition("=")
        parts = [part.strip() for part in name.split(".")]
        if not mark or not all(parts):
            raise InputError(Fault(f"--set {text}", "is not PATH=VALUE.", 'For example --set "msc.potency=0.5".'))
        if parts[0] not in KEYS:
            settings.append((name.strip(), value.strip()))
            continue
        holder: Any = page.data
        for part in parts[:-1]:
            if isinstance(holder, list) and part.isdigit() and int(part) < len(holder):
                holder = holder[int(part)]
            elif isinstance(holder, dict):
                holder = holder.setdefault(part, {})
            else:
                raise InputError(Fault(f"--set {text}", f'there is no "{part}" in the scenario.'))
        if not isinstance(holder, dict):
            raise InputError(Fault(f"--set {text}", "does not lead to a key of the scenario."))
        holder[parts[-1]] = _toml_value(value.strip())
    return settings


def _toml_value(text: str) -> Any:
    """A number, list or truth value where the text is one, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text


def plan_scenario(scenario: ScenarioFile, composition: Composition) -> Plan:
    """The plan of a scenario over a composition; raises `InputError` with every fault of the file."""
    page, data = scenario.page, scenario.page.data
    page.faults.clear()
    until = read_time(page, data.get("until", "1 year"), ("until",), whole=True) or 365.0
    if not 0 < until <= 200 * 365.25:
        page.fault(("until",), "a run lasts from one day to 200 years.")
        until = 1.0
    arms = page.table(data, "arms", ())
    plans = tuple(_arm(page, name, page.table(arms, name, ("arms",)), composition) for name in arms)
    control = page.word(data, "control", ())
    if control and control not in arms:
        page.fault(
            ("control",), f'"{control}" is not an arm.', did_you_mean(control, arms) or f"Arms: {', '.join(arms)}."
        )
    cohort = page.table(data, "cohort", ())
    page.only(cohort, ("size", "seed", "note"), ("cohort",))
    challenges = _challenges(page, until)
    tested = {time for _, times in challenges for time in times}
    plan = Plan(
        name=scenario.name,
        title=scenario.title,
        about=page.word(data, "about", ()),
        arms=plans,
        control=list(arms).index(control) if control in arms else 0,
        until=until,
        save=tuple(sorted({*_records(page, until), *tested})),
        challenges=challenges,
        visits=_visits(page, until),
        method=page.one_of(data, "method", (), METHODS, "stiff"),
        tolerance=_tolerance(page),
        cohort=page.integer(cohort, "size", ("cohort",), 0, 0, LARGEST_COHORT),
        seed=page.integer(cohort, "seed", ("cohort",), 1, 0, 2**63 - 1),
        parameters=_overridden(page, scenario.overrides, composition),
        figures=tuple(_figure(page, name, value, composition) for name, value in data.get("figures", {}).items()),
    )
    page.finish()
    return plan


def _arm(page: Page, name: str, arm: Mapping[str, Any], composition: Composition) -> ArmPlan:
    keys: Keys = ("arms", name)
    layers = page.names(arm, "layers", keys)
    doses = read_doses(page, arm.get("doses", []), (*keys, "doses"), composition)
    courses = read_courses(page, arm.get("courses", []), (*keys, "courses"), composition)
    for what, used in [("doses", dose.port) for dose in doses] + [("courses", course.input) for course in courses]:
        file = used.partition(".")[0]
        if file not in layers and file not in page.data.get("core", []):
            cure = f'Write layers = ["{file}"].'
            page.fault((*keys, what), f'"{used}" is in {file}, which is not a layer of this arm.', cure)
    parameters: dict[str, float] = {}
    for target, value in page.table(arm, "set", keys).items():
        parameters.update(_set(page, target, value, (*keys, "set", target), composition))
    unique = tuple(dict.fromkeys(doses)) if len(set(doses)) == len(doses) else tuple(doses)
    return ArmPlan(
        name, page.word(arm, "about", keys), layers, unique, tuple(courses), page.names(arm, "stop", keys), parameters
    )


def _set(page: Page, target: str, value: Any, keys: Keys, composition: Composition) -> dict[str, float]:
    try:
        symbol = find_symbol(composition, target, SETTABLE, page.place(keys))
    except InputError as reason:
        page.faults.extend(reason.faults)
        return {}
    found = page.quantity(value, keys, symbol.unit.dimension, symbol.of)
    return {symbol.name: found.value} if found else {}


def _overridden(page: Page, overrides: Iterable[tuple[str, str]], composition: Composition) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, text in overrides:
        values.update(_set(page, name, text, ("--set", name), composition))
    return values


def _records(page: Page, until: float) -> tuple[float, ...]:
    spacing = read_time(page, page.data.get("save", "1 week"), ("save",), whole=False)
    if spacing is None or spacing <= 0 or until / spacing > MOST_RECORDS:
        page.fault(
            ("save",), f"expected a spacing that gives at most {MOST_RECORDS} records.", 'Write save = "1 week".'
        )
        return (0.0, until)
    count = int(until / spacing + 1e-9)
    times = [number * spacing for number in range(count + 1)]
    return tuple(times if abs(times[-1] - until) < 1e-9 else [*times, until])


def _challenges(page: Page, until: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
    found = []
    table = page.table(page.data, "challenges", ())
    for name in table:
        keys: Keys = ("challenges", name)
        test = page.table(table, name, ("challenges",))
        page.only(test, ("at", "note"), keys)
        times = [read_time(page, each, (*keys, "at"), whole=True) for each in page.listing(test, "at", keys)]
        if not times or any(time is not None and not 0 <= time <= until for time in times):
            page.fault(keys, "expected times within the run.", 'Write at = ["0 day", "1 year"].')
        found.append((name, tuple(sorted({time for time in times if time is not None}))))
    return tuple(found)


def _visits(page: Page, until: float) -> tuple[float, ...]:
    visits = page.table(page.data, "visits", ())
    page.only(visits, ("every", "first", "note"), ("visits",))
    if not visits:
        return ()
    every = read_time(page, visits.get("every", "3 month"), ("visits", "every"), whole=True)
    first = read_time(page, visits["first"], ("visits", "first"), whole=True) if "first" in visits else every
    if not every or every < 1 or first is None or first < 0:
        page.fault(("visits",), "visits are at least a day apart.", 'Write every = "3 month".')
        return ()
    return tuple(first + number * every for number in range(int((until - first) / every) + 1))


def _tolerance(page: Page) -> float:
    value = page.data.get("tolerance", 1e-6)
    if isinstance(value, float) and 1e-13 <= value <= 1e-2:
        return value
    page.fault(("tolerance",), "expected a relative tolerance between 1e-13 and 1e-2.", "Write tolerance = 1e-6.")
    return 1e-6


def _figure(page: Page, name: str, value: Any, composition: Composition) -> FigureSpec:
    keys: Keys = ("figures", name)
    if not isinstance(value, dict):
        page.fault(keys, "expected a table.", f'Write {name} = {{ show = "hba1c", band = [5, 95] }}.')
        return FigureSpec(name, name)
    page.only(value, ("show", "band", "thresholds", "title"), keys)
    shown = page.word(value, "show", keys)
    try:
        symbol = find_symbol(composition, shown, place=page.place(keys))
    except InputError as reason:
        page.faults.extend(reason.faults)
        return FigureSpec(name, shown)
    band = value.get("band", [5, 95])
    good = isinstance(band, list) and len(band) == 2 and all(isinstance(end, (int, float)) for end in band)
    if not good or not 0 <= band[0] < band[1] <= 100:
        page.fault((*keys, "band"), "expected two percentiles.", "Write band = [5, 95].")
        band = [5, 95]
    thresholds = []
    for text in page.names(value, "thresholds", keys):
        found = page.quantity(text, (*keys, "thresholds"), symbol.unit.dimension, symbol.of)
        if found is not None:
            thresholds.append((float(convert(found.value, symbol.unit)), text))
    variable = shown if symbol.kind == "report" else symbol.name
    return FigureSpec(
        name, variable, (float(band[0]), float(band[1])), tuple(thresholds), page.word(value, "title", keys)
    )


def printed(plan: Plan, composition: Composition) -> str:
    """The plan as text: what will be run, arm by arm, dose by dose."""
    lines = [plan.title, f"{plan.until:g} days, {len(plan.save)} records, {len(plan.visits)} visits"]
    lines.append(
        f"{plan.cohort} subjects besides the reference patient, seed {plan.seed}" if plan.cohort else "one patient"
    )
    for index, arm in enumerate(plan.arms):
        mark = " (control)" if index == plan.control else ""
        lines.append(f"arm {arm.name}{mark}: {', '.join(arm.layers) or 'no layers of its own'}")
        for dose in arm.doses:
            lines.append(f"  day {dose.time:<8g} {dose.port}  {describe_dose(dose, composition)}")
        for course in arm.courses:
            symbol = composition.symbols[course.input]
            level = f"{convert(course.level, symbol.unit):g} {symbol.unit.text}".strip()
            lines.append(f"  day {course.start:g} to {course.stop:g}  {course.input} = {level}")
    return "\n".join(lines)
