"""The plan of a scenario: what will be run, in days and base units, and how it is printed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isletsim.composition import Composition, Symbol
from isletsim.composition.names import SETTABLE, STARTABLE, dotted, file_word, find_symbol, flat_names, values_by_symbol
from isletsim.dosing import Course, Dose, describe_dose, read_courses, read_doses, read_time
from isletsim.errors import InputError, did_you_mean
from isletsim.language import KeyPath, TomlDocument
from isletsim.patient import NO_PATIENT, BoundPatient
from isletsim.results import FigureRequest, Response
from isletsim.scenario.days import read_days
from isletsim.scenario.reading import ScenarioFile
from isletsim.scenario.response import read_response
from isletsim.units import Unit, convert, grid_times

__all__ = ["ArmPlan", "Plan", "plan_scenario", "printed"]

METHODS = ("stiff", "explicit")
MOST_RECORDS = 200_000
LARGEST_COHORT = 10_000_000
LONGEST = 200 * 365.25  # days
FIXED = ("parameter", "derived")  # kinds of symbols that do not change in time


@dataclass(frozen=True)
class ArmPlan:
    """One arm: its explicit doses and courses, what it sets, and the history layers it stops.

    `days` is what every day brings from a midnight on, where that is not what the patient's days bring.
    """

    name: str
    about: str
    layers: tuple[str, ...]
    doses: tuple[Dose, ...]
    courses: tuple[Course, ...]
    stop: tuple[str, ...]
    parameters: Mapping[str, float]
    days: Mapping[float, tuple[Dose, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All that will be run, in days and base units.

    Attributes
    ----------
    parameters, starts : what ``--set`` gives every subject, by name in the flat model; it does not vary.
    record : flat or whole names of what is recorded besides reports.
    challenges : virtual tests and their times.
    response : what counts as an answer to a therapy.
    warnings : what a person might not expect, in sentences.
    """

    name: str
    title: str
    about: str
    core: tuple[str, ...]
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
    starts: Mapping[str, float]
    record: tuple[str, ...]
    figures: tuple[FigureRequest, ...]
    challenges: tuple[tuple[str, tuple[float, ...]], ...] = ()
    warnings: tuple[str, ...] = ()
    response: Response | None = None


def plan_scenario(
    scenario: ScenarioFile,
    composition: Composition,
    patient: BoundPatient = NO_PATIENT,
    found: Mapping[str, Unit] | None = None,
) -> Plan:
    """The plan of a scenario over a composition; raises `InputError` with every fault of the file.

    Parameters
    ----------
    found : what virtual tests report, with units; figures may show it.
    """
    document, data = scenario.document, scenario.document.data
    document.faults.clear()
    until = _until(document)
    core = tuple(file_word(name) for name in scenario.core)
    arms = document.table(data, "arms", ())
    plans = tuple(
        _arm(document, name, document.table(arms, name, ("arms",)), composition, patient, core) for name in arms
    )
    control = document.word(data, "control", ())
    if control and control not in arms:
        cure = did_you_mean(control, arms) or f"Arms: {', '.join(arms)}."
        document.fault(("control",), f'"{control}" is not an arm.', cure)
    cohort = document.table(data, "cohort", ())
    document.only(cohort, ("size", "seed", "note"), ("cohort",))
    challenges = _challenges(document, until)
    tested = {time for _, times in challenges for time in times}
    figures = document.table(data, "figures", ())
    panels = tuple(_figure(document, name, value, composition, found or {}) for name, value in figures.items())
    response = read_response(document, data, composition, found or {})
    shown = [*(panel.show for panel in panels), *((response.of, *response.by) if response is not None else ())]
    parameters, starts = _overridden(document, scenario.overrides, composition)
    plan = Plan(
        name=scenario.name,
        title=scenario.title,
        about=document.word(data, "about", ()),
        core=core,
        arms=plans,
        control=list(arms).index(control) if control in arms else 0,
        until=until,
        save=tuple(sorted({*_records(document, until), *tested})),
        visits=_visits(document, until),
        method=_method(document, composition),
        tolerance=_tolerance(document),
        cohort=document.integer(cohort, "size", ("cohort",), 0, 0, LARGEST_COHORT),
        seed=document.integer(cohort, "seed", ("cohort",), 1, 0, 2**63 - 1),
        parameters=parameters,
        starts=starts,
        record=_recorded(document, shown, composition),
        figures=panels,
        challenges=challenges,
        warnings=(
            *_warnings(plans, until),
            *_assumptions(document, arms),
            *_inputs_set(scenario.overrides, composition, plans),
        ),
        response=response,
    )
    document.finish()
    return plan


# --- arms -------------------------------------------------------------------------------------------------------------


def _arm(
    document: TomlDocument,
    name: str,
    arm: Mapping[str, Any],
    composition: Composition,
    patient: BoundPatient,
    core: tuple[str, ...],
) -> ArmPlan:
    keys: KeyPath = ("arms", name)
    layers = tuple(file_word(layer) for layer in document.names(arm, "layers", keys))
    for layer in dict.fromkeys(each for each in layers if layers.count(each) > 1):
        message = f'the layer "{layer}" is there {layers.count(layer)} times; it counts once.'
        document.fault((*keys, "layers"), message, "Write it once; more of a therapy is a larger dose.")
    doses = read_doses(document, arm.get("doses", []), (*keys, "doses"), composition)
    courses = read_courses(document, arm.get("courses", []), (*keys, "courses"), composition)
    own = {*layers, *core, *patient.layers}
    used = {("doses", dose.port) for dose in doses} | {("courses", course.input) for course in courses}
    for what, target in sorted(used):
        file = target.partition(".")[0]
        if file not in own:
            cure = f'Write layers = ["{file}"].'
            document.fault((*keys, what), f'"{target}" is in {file}, which is not a layer of this arm.', cure)
    stop = document.names(arm, "stop", keys)
    for layer in stop:
        if layer not in patient.layers:
            cure = did_you_mean(layer, patient.layers) or f"Known: {', '.join(patient.layers) or 'none'}."
            document.fault((*keys, "stop"), f'no history of the patient gives "{layer}".', cure)
    parameters: dict[str, float] = {}
    for target, value in dotted(document.table(arm, "set", keys)):
        parameters.update(_set(document, target, value, (*keys, "set", target), composition))
    about = document.word(arm, "about", keys)
    days = read_days(document, arm.get("day", []), (*keys, "day"), composition, patient)
    return ArmPlan(name, about, layers, tuple(doses), tuple(courses), stop, parameters, days)


def _set(document: TomlDocument, target: str, value: Any, keys: KeyPath, composition: Composition) -> dict[str, float]:
    symbol = _meant(document, target, keys, composition, SETTABLE)
    found = document.quantity(value, keys, symbol.unit.dimension, symbol.of) if symbol is not None else None
    return dict.fromkeys(flat_names(symbol), found.value) if symbol is not None and found is not None else {}


def _meant(
    document: TomlDocument, text: str, keys: KeyPath, composition: Composition, kinds: Iterable[str] = ()
) -> Symbol | None:
    """What a name means; None after noting a fault."""
    try:
        return find_symbol(composition, text, kinds, document.place(keys))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None


def _overridden(
    document: TomlDocument, overrides: Mapping[str, str], composition: Composition
) -> tuple[dict[str, float], dict[str, float]]:
    """Parameters and start values that ``--set`` gives."""
    try:
        values = values_by_symbol(composition, overrides, (*SETTABLE, *STARTABLE), "--set")
    except InputError as reason:
        document.faults.extend(reason.faults)
        return {}, {}
    states = set(composition.flat.states)
    parameters = {name: value for name, value in values.items() if name not in states}
    return parameters, {name: value for name, value in values.items() if name in states}


def _warnings(arms: Iterable[ArmPlan], until: float) -> Iterable[str]:
    for arm in arms:
        late = sum(1 for dose in arm.doses if dose.time > until)
        cut = sum(1 for dose in arm.doses if dose.time <= until < dose.time + dose.over)
        if late:
            yield f"{arm.name}: {late} of {len(arm.doses)} doses lie after the end of the run and are not given"
        if cut:
            yield f"{arm.name}: {cut} infusions go on after the end of the run and are given in part"


def _inputs_set(overrides: Iterable[str], composition: Composition, arms: Iterable[ArmPlan]) -> Iterable[str]:
    """Warn that ``--set`` of an input acts where no course does, and name the path that changes an arm's course."""
    for text in overrides:
        name = find_symbol(composition, text).name
        if composition.symbols[name].kind != "input":
            continue
        warning = f"--set {text} is the level of an input while no course sets it, in histories and in every arm"
        paths = [
            f"arms.{arm.name}.courses[{number}].level"
            for arm in arms
            for number, course in enumerate(arm.courses)
            if course.input == name
        ]
        yield f"{warning}; courses go on as written. To change a course: --set {paths[0]}=VALUE" if paths else warning


def _assumptions(document: TomlDocument, arms: Mapping[str, Any]) -> Iterable[str]:
    """What an arm takes for granted and says so: that therapies nobody has given together join as their files say."""
    for name, arm in arms.items():
        reason = document.word(arm, "assumed", ("arms", name)) if isinstance(arm, dict) else ""
        if reason:
            yield f"{name}: assumed: {reason}"


# --- times ------------------------------------------------------------------------------------------------------------


def _until(document: TomlDocument) -> float:
    until = read_time(document, document.data.get("until", "1 year"), ("until",), whole=True)
    if until is not None and 0 < until <= LONGEST:
        return until
    if until is not None:
        document.fault(("until",), "a run lasts from one day to 200 years.", 'Write until = "3 year".')
    return 1.0


def _records(document: TomlDocument, until: float) -> tuple[float, ...]:
    spacing = read_time(document, document.data.get("save", "1 week"), ("save",), whole=False)
    if spacing is None or spacing <= 0 or until / spacing > MOST_RECORDS:
        message = f"expected a spacing that gives at most {MOST_RECORDS} records."
        document.fault(("save",), message, 'Write save = "1 week".')
        return (0.0, until)
    return tuple(grid_times(spacing, 0.0, until))


def _challenges(document: TomlDocument, until: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
    found = []
    table = document.table(document.data, "challenges", ())
    for name in table:
        keys: KeyPath = ("challenges", name)
        test = document.table(table, name, ("challenges",))
        document.only(test, ("at", "note"), keys)
        times = [read_time(document, each, (*keys, "at"), whole=True) for each in document.listing(test, "at", keys)]
        if not times or any(time is not None and not 0 <= time <= until for time in times):
            document.fault(keys, "expected times within the run.", 'Write at = ["0 day", "1 year"].')
        found.append((name, tuple(sorted({time for time in times if time is not None}))))
    return tuple(found)


def _visits(document: TomlDocument, until: float) -> tuple[float, ...]:
    visits = document.table(document.data, "visits", ())
    document.only(visits, ("every", "first", "note"), ("visits",))
    if not visits:
        return ()
    every = read_time(document, visits.get("every", "3 month"), ("visits", "every"), whole=True)
    first = read_time(document, visits["first"], ("visits", "first"), whole=True) if "first" in visits else every
    if every is None or first is None:
        return ()
    if every < 1 or first < 0:
        document.fault(("visits",), "visits are at least a day apart.", 'Write every = "3 month".')
        return ()
    return tuple(first + number * every for number in range(math.floor((until - first) / every) + 1))


# --- solver and records -----------------------------------------------------------------------------------------------


def _method(document: TomlDocument, composition: Composition) -> str:
    method = document.one_of(document.data, "method", (), METHODS, "stiff")
    if method == "explicit" and any(composition.flat.algebraic):
        cure = 'Write method = "stiff".'
        document.fault(("method",), "the explicit method cannot solve for algebraic unknowns.", cure)
    return method


def _tolerance(document: TomlDocument) -> float:
    value = document.data.get("tolerance", 1e-6)
    if isinstance(value, float) and 1e-13 <= value <= 1e-2:
        return value
    document.fault(("tolerance",), "expected a relative tolerance between 1e-13 and 1e-2.", "Write tolerance = 1e-6.")
    return 1e-6


def _recorded(document: TomlDocument, shown: Iterable[str], composition: Composition) -> tuple[str, ...]:
    """What is to be recorded besides reports: what `record` names, and what figures show."""
    names: dict[str, None] = {name: None for name in shown if name in composition.symbols}
    for index, text in enumerate(document.names(document.data, "record", ())):
        symbol = _meant(document, text, ("record", index), composition)
        if symbol is not None and symbol.kind in FIXED:
            document.fault(("record", index), f'"{text}" does not change in time.')
        elif symbol is not None and symbol.kind != "report":
            names[symbol.name] = None
    return tuple(sorted(names))


def _figure(
    document: TomlDocument, name: str, value: Any, composition: Composition, found: Mapping[str, Unit]
) -> FigureRequest:
    keys: KeyPath = ("figures", name)
    if not isinstance(value, dict):
        document.fault(keys, "expected a table.", f'Write {name} = {{ show = "hba1c", band = [5, 95] }}.')
        return FigureRequest(name, name)
    document.only(value, ("show", "band", "thresholds", "title", "unit"), keys)
    shown = document.word(value, "show", keys)
    if not shown:
        document.fault(keys, "does not say what to show.", f'Write {name} = {{ show = "hba1c" }}.')
        return FigureRequest(name, name)
    if shown in found:
        variable, unit, of = shown, found[shown], ""
    else:
        symbol = _meant(document, shown, keys, composition)
        if symbol is None:
            return FigureRequest(name, shown)
        if symbol.classes or symbol.kind in FIXED:
            document.fault(
                keys, f'"{shown}" is not one number that changes in time.', "Show a state, a rate or a report."
            )
        variable, unit, of = shown if symbol.kind == "report" else symbol.name, symbol.unit, symbol.of
    thresholds = []
    for text in document.names(value, "thresholds", keys):
        level = document.quantity(text, (*keys, "thresholds"), unit.dimension, of)
        if level is not None:
            thresholds.append((float(convert(level.value, unit)), text))
    counts = document.word(value, "unit", keys)
    if counts and unit.text:
        document.fault(
            (*keys, "unit"), f'"{shown}" has a unit, {unit.text}.', "Only a pure number is told what it counts."
        )
    title = document.word(value, "title", keys)
    return FigureRequest(name, variable, _band(document, value, keys), tuple(thresholds), title, counts)


def _band(document: TomlDocument, value: Mapping[str, Any], keys: KeyPath) -> tuple[float, float]:
    band = value.get("band", [5, 95])
    good = isinstance(band, list) and len(band) == 2
    if good and all(isinstance(end, (int, float)) for end in band) and 0 <= band[0] < band[1] <= 100:
        return float(band[0]), float(band[1])
    document.fault((*keys, "band"), "expected two percentiles.", "Write band = [5, 95].")
    return 5.0, 95.0


# --- for people -------------------------------------------------------------------------------------------------------


def printed(plan: Plan, composition: Composition) -> str:
    """The plan as text: what will be run, arm by arm, dose by dose."""
    lines = [plan.title, f"{plan.until:g} days, {len(plan.save)} records, {len(plan.visits)} visits"]
    people = f"{plan.cohort} subjects besides the reference patient, seed {plan.seed}"
    lines.append(people if plan.cohort else "one patient")
    lines += [f"test {name} on day {', '.join(f'{time:g}' for time in times)}" for name, times in plan.challenges]
    for index, arm in enumerate(plan.arms):
        mark = " (control)" if index == plan.control else ""
        layers = ", ".join(arm.layers) or "no layers of its own"
        lines.append(f"arm {arm.name}{mark}: {arm.about or layers}")
        if arm.about:
            lines.append(f"  layers: {layers}" if arm.layers else f"  {layers}")
        lines += [
            f"  day {dose.time:<8g} {dose.port}  {describe_dose(dose, composition)}"
            for dose in sorted(arm.doses, key=lambda dose: dose.time)
        ]
        for course in arm.courses:
            symbol = composition.symbols[course.input]
            level = f"{convert(course.level, symbol.unit):g} {symbol.unit.text}".strip()
            stop = f"day {course.stop:g}" if math.isfinite(course.stop) else "the end"
            lines.append(f"  day {course.start:g} to {stop}  {course.input} = {level}")
        for time, day in arm.days.items():
            brought = [f"{dose.port} {describe_dose(dose, composition)} at {24 * dose.time:.4g} h" for dose in day]
            lines.append(f"  every day from day {time:g}: {', '.join(brought) or 'nothing'}")
        lines += [f"  {layer} ends" for layer in arm.stop]
        for name, value in arm.parameters.items():
            symbol = composition.symbols[name]
            lines.append(f"  {name} = {convert(value, symbol.unit):g} {symbol.unit.text}".rstrip())
    lines += [f"warning: {each}" for each in plan.warnings]
    return "\n".join(lines)
