"""The direct experiments run: each trial once, each value measured, inside its interval or not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isletsim.challenges import Challenge, ChallengeFile, Finding, bind_challenge, challenge, read_challenge
from isletsim.challenges.morning import known_values, morning_of
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import find, in_room_of
from isletsim.dosing import Course, ScheduledEvents, read_courses, read_doses, read_time, resolved
from isletsim.ensemble import Task, run_task
from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.evidence.experiments import Experiment, Experiments, ExperimentValue, Trial, read_experiments
from isletsim.language import ANY, Mismatch, TomlDocument, Tree, dimension_of, evaluate
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.multiscale.step_control import StepControl
from isletsim.patient import PatientFile, bind_patient, read_patient
from isletsim.scenario import scenario_of
from isletsim.study.load import Scenario, prepared_scenario
from isletsim.study.run import study_context
from isletsim.study.subject import StudyContext, arm_start
from isletsim.units import PURE, Dimension, Unit, UnitError, convert, through

__all__ = ["ExperimentOutcome", "ExperimentReport", "validate_experiments"]

LONGEST_EVERY_DAY = 120.0  # days before a test that are simulated one by one
NOTHING = ""  # the name of no preparation


@dataclass(frozen=True)
class ExperimentOutcome:
    """A value with what the runs gave, in its unit; `fault` says why nothing was measured."""

    experiment: Experiment
    value: ExperimentValue
    simulated: float
    fault: str = ""

    @property
    def scored(self) -> bool:
        """Whether it counts."""
        return not self.value.shown

    @property
    def inside(self) -> bool:
        """Whether it lies in its interval; what could not be measured does not."""
        return bool(self.value.low <= self.simulated <= self.value.high)


@dataclass(frozen=True)
class ExperimentReport:
    """All values that were asked for, in order of modules and rows."""

    measured: tuple[ExperimentOutcome, ...]
    seconds: float

    def share(self, wanted: Callable[[ExperimentOutcome], bool]) -> tuple[int, int]:
        """How many of the scored values that are wanted lie inside, and how many there are."""
        counted = [each for each in self.measured if each.scored and wanted(each)]
        return sum(each.inside for each in counted), len(counted)


def validate_experiments(
    wanted: Collection[str] = (), module: str = "", folder: Path | None = None
) -> ExperimentReport:
    """Hold the simulator against direct physiological experiments.

    Parameters
    ----------
    wanted : ids of experiments ("P031"); all when empty.
    module : only experiments that test this module ("insulin").

    Raises
    ------
    InputError : an id or a module that is not there, and every fault of the data.
    """
    known = read_experiments(folder)
    for each in wanted:
        if each not in known.rows:
            raise InputError(Fault(each, f'there is no experiment "{each}".', did_you_mean(each, known.rows)))
    if module and module not in known.modules:
        cure = did_you_mean(module, known.modules) or f"Modules: {', '.join(known.modules)}."
        raise InputError(Fault("--module", f'there are no experiments of "{module}".', cure))
    rows = [row for row in known.rows.values() if not wanted or row.id in wanted]
    rows = [row for row in rows if not module or row.module == module]
    rows.sort(key=lambda row: (row.module, row.id))
    began = time.perf_counter()
    measured = _TrialRunner(known).measure(rows)
    return ExperimentReport(tuple(measured), time.perf_counter() - began)


@dataclass
class _TrialRunner:
    """Gives every trial once, and measures."""

    known: Experiments
    findings: dict[tuple[object, ...], Finding | str] = field(default_factory=dict)

    def measure(self, rows: Iterable[Experiment]) -> list[ExperimentOutcome]:
        """Every value of every row."""
        rows = list(rows)
        trials = [(row, trial) for row in rows for trial in row.trials.values()]
        for shared in self._models([trial for _, trial in trials]):
            self._run(shared, [(row, trial) for row, trial in trials if trial.patient in shared.patients])
        return [self._measured(row, value) for row in rows for value in row.values]

    def _models(self, trials: list[Trial]) -> list[_SharedModel]:
        """The models that are needed: one for all patients of the same core."""
        faults: dict[str, str] = {}
        files: dict[tuple[str, ...], dict[str, PatientFile]] = {}
        for name in sorted({trial.patient for trial in trials}):
            try:
                patient = read_patient(find("patient", name))
                files.setdefault(patient.core, {})[name] = patient
            except InputError as reason:
                faults[name] = _first(reason)
        for trial in trials:
            if trial.patient in faults:
                self.findings[_key(trial, {})] = faults[trial.patient]
        asked = {name: trial for trial in trials for name in [trial.test]}
        tests = {name: read_challenge(self.known.folder / "tests" / f"{name}.toml") for name in asked}
        wanted = {trial.preparation for trial in trials}
        return [_SharedModel(self.known, core, patients, tests, wanted) for core, patients in files.items()]

    def _run(self, shared: _SharedModel, trials: list[tuple[Experiment, Trial]]) -> None:
        """Every trial of the patients of a shared, those of one segment of life together."""
        segments: dict[tuple[str, str], dict[float, dict[tuple[object, ...], tuple[Experiment, Trial]]]] = {}
        for row, trial in trials:
            key = _key(trial, row.trials)
            fault = shared.missing(trial)
            if fault:
                self.findings[key] = fault
            elif key not in self.findings:
                at = shared.day(trial)
                segments.setdefault((trial.patient, trial.preparation), {}).setdefault(at, {})[key] = (row, trial)
        for (patient, preparation), moments in segments.items():
            try:
                run_task(self._simulate(shared, patient, preparation, moments))
            except (InputError, RunError) as reason:
                fault = _first(reason) if isinstance(reason, InputError) else str(reason)
                for given in moments.values():
                    for key in given:
                        self.findings.setdefault(key, fault)

    def _simulate(
        self,
        shared: _SharedModel,
        patient: str,
        preparation: str,
        moments: Mapping[float, Mapping[tuple[object, ...], tuple[Experiment, Trial]]],
    ) -> Task[None]:
        """One segment of a life, with the tests that are given on its way."""
        last = max(moments)
        context = shared.context(patient, every_day=last <= LONGEST_EVERY_DAY)
        simulator = context.simulator
        assert isinstance(simulator, MultiscaleSimulator)
        current, events = shared.opened(context, preparation)

        def look(at: float) -> Callable[[SimulationState], Task[None]]:
            def give(here: SimulationState) -> Task[None]:
                for key, (row, trial) in moments[at].items():
                    try:
                        self.findings[key] = yield from challenge(
                            shared.test(trial, row.trials), simulator, here, context.composition
                        )
                    except (InputError, RunError) as reason:
                        self.findings[key] = _first(reason) if isinstance(reason, InputError) else str(reason)

            return give

        segment = yield from simulator.simulate(
            current, max(last, 1.0), np.empty(0), events, None, {at: look(at) for at in moments}
        )
        if segment.failed is not None:
            raise RunError(f"{patient}, {preparation or 'untreated'}: {segment.reason.name.lower()} on the way.")

    # --- values ---

    def _measured(self, row: Experiment, value: ExperimentValue) -> ExperimentOutcome:
        if not value.measure:
            return ExperimentOutcome(row, value, math.nan)
        numbers: dict[str, float] = {}
        dimensions: dict[str, Dimension] = {}
        for trial in row.trials.values():
            found = self.findings.get(_key(trial, row.trials), "was not run")
            if isinstance(found, str):
                if any(f"{trial.name}." in text for text in value.texts):
                    return ExperimentOutcome(row, value, math.nan, found)
                continue
            for report in found.challenge.reports:
                unit = report.unit
                name = f"{trial.name}.{report.name}"
                numbers[name] = found.reports[report.name] * unit.factor + unit.offset
                dimensions[name] = unit.dimension
        try:
            base, dimension = _worked_out(value, numbers, dimensions)
            simulated = base if value.unit is None else convert(base, _unit(value, dimension))
        except (Mismatch, KeyError, UnitError) as reason:
            return ExperimentOutcome(row, value, math.nan, f"cannot be measured: {reason}")
        return ExperimentOutcome(
            row, value, float(simulated), "" if math.isfinite(simulated) else "never reached in the test"
        )


def _unit(value: ExperimentValue, dimension: Dimension) -> Unit:
    assert value.unit is not None
    return value.unit if dimension == value.unit.dimension else through(value.unit, dimension, value.of)


def _worked_out(
    value: ExperimentValue, numbers: Mapping[str, float], dimensions: Mapping[str, Dimension]
) -> tuple[float, Dimension]:
    """The number in base units, and its dimension."""

    def of(tree: Tree) -> float:
        return evaluate(tree, numbers)

    found = [dimension_of(tree, lambda name: dimensions[name], "") for tree in value.measure]
    dimension = next((each for each in found if each != ANY), PURE)
    if not value.along:
        return of(value.measure[0]), dimension
    points = sorted((of(x), of(y)) for x, y in zip(value.along, value.measure, strict=True))
    where = value.where if isinstance(value.where, float) else of(value.where)  # type: ignore[arg-type]
    xs, ys = zip(*points, strict=True)
    if not xs[0] <= where <= xs[-1]:
        return math.nan, dimension
    return float(np.interp(where, xs, ys)), dimension


def _key(trial: Trial, trials: Mapping[str, Trial]) -> tuple[object, ...]:
    """What makes two trials the same."""
    source = _key(trials[trial.replays], trials) if trial.replays in trials else None
    return trial.patient, trial.test, trial.levels, trial.preparation, trial.at, source


def _first(reason: InputError) -> str:
    """The first fault, in one line."""
    fault = reason.faults[0]
    return f"{fault.place}: {fault.message}"


# --- one model for many patients --------------------------------------------------------------------------------------


@dataclass
class _SharedModel:
    """The patients of one core, and every test and preparation in terms of its model."""

    known: Experiments
    core: tuple[str, ...]
    patients: Mapping[str, PatientFile]
    files: Mapping[str, ChallengeFile]
    wanted: Collection[str]
    faults: dict[str, str] = field(default_factory=dict)
    contexts: dict[tuple[str, bool], StudyContext] = field(default_factory=dict)
    simulators: dict[bool, MultiscaleSimulator] = field(default_factory=dict)
    scenario: Scenario | None = None

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layers that are there, of tests and preparations; those that are not are noted."""
        asked: dict[str, set[str]] = {}
        for name, file in self.files.items():
            for layer in file.layers:
                asked.setdefault(layer, set()).add(f"test {name}")
        for name in self.wanted:
            if name and name not in self.known.preparations:
                self.faults[f"preparation {name}"] = f'there is no preparation "{name}"'
            for layer in self.known.preparations[name].layers if name in self.known.preparations else ():
                asked.setdefault(layer, set()).add(f"preparation {name}")
        there = []
        for layer, who in sorted(asked.items()):
            try:
                find("model", in_room_of(layer, self.core))
                there.append(layer)
            except InputError as reason:
                self.faults |= dict.fromkeys(who, _first(reason))
        return tuple(there)

    @cached_property
    def bound(self) -> Mapping[str, Challenge]:
        """Every test that this model can express; the others are noted."""
        first = compose_stack(
            [*self._paths(), *(str(find("model", in_room_of(layer, self.core))) for layer in self.layers)],
            (),
            follow=False,
        )
        bound = {}
        for name, file in self.files.items():
            try:
                bound[name] = bind_challenge(file, first)
            except InputError as reason:
                self.faults.setdefault(f"test {name}", _first(reason))
        return bound

    def _paths(self) -> list[str]:
        return [str(find("model", name)) for name in self.core]

    def missing(self, trial: Trial) -> str:
        """Why a trial cannot be given; empty when it can."""
        if trial.test not in self.bound:
            return self.faults.get(f"test {trial.test}", "cannot be expressed")
        return self.faults.get(f"preparation {trial.preparation}", "") if trial.preparation else ""

    def day(self, trial: Trial) -> float:
        """The day of a trial since the beginning of its preparation."""
        document = TomlDocument(self.known.folder / "trial", f"run {trial.name}", {}, "", {})
        at = read_time(document, trial.at, ("at",), whole=True)
        document.finish()
        assert at is not None
        return at

    def context(self, name: str, every_day: bool) -> StudyContext:
        """What a patient's trials share."""
        known = self.contexts.get((name, every_day))
        if known is not None:
            return known
        if self.scenario is None:
            recorded = sorted({each for test in self.bound for each in self.files[test].recorded})
            data: dict[str, Any] = {
                "title": "experiments",
                "core": list(self.core),
                "patient": str(self.patients[name].path.resolve()),
                "until": "1 day",
                "arms": {"trial": {"layers": list(self.layers)}},
                "record": recorded,
                "cohort": {"size": 0},
            }
            document = TomlDocument(self.patients[name].path, "the experiments", data, "", {})
            self.scenario = prepared_scenario(scenario_of(document))
        bound = bind_patient(self.patients[name], self.scenario.composition)
        scenario = replace(self.scenario, patient=bound)
        context = study_context(scenario, StepControl(every_day=every_day))
        simulator = self.simulators.setdefault(every_day, context.simulator)  # type: ignore[arg-type]
        context = replace(context, simulator=simulator)
        self.contexts[name, every_day] = context
        return context

    def opened(self, context: StudyContext, preparation: str) -> tuple[SimulationState, ScheduledEvents]:
        """Where a patient stands before a preparation, and what happens from there."""
        if not preparation:
            return arm_start(context, 0)
        prepared = self.known.preparations[preparation]
        document = TomlDocument(self.known.folder / "preparations.toml", f"preparation {preparation}", {}, "", {})
        composition = context.composition
        courses = read_courses(document, list(prepared.courses), ("courses",), composition, whole=True, at_start=True)
        doses = read_doses(document, list(prepared.doses), ("doses",), composition, whole=True)
        document.finish()
        simulator = context.simulator
        assert isinstance(simulator, MultiscaleSimulator)
        current, _ = arm_start(context, 0)
        known = known_values(simulator, run_task(morning_of(simulator, current, 0.0)))
        arm = context.plan.arms[0]
        given = tuple(each for each in resolved(courses, known) if isinstance(each, Course))
        arm = replace(arm, name=preparation, courses=(*arm.courses, *given), doses=(*arm.doses, *doses))
        return arm_start(replace(context, plan=replace(context.plan, arms=(arm,)), events={}), 0)

    def test(self, trial: Trial, trials: Mapping[str, Trial]) -> Challenge:
        """The test of a trial, with its own levels and the trial it replays."""
        test = self.bound[trial.test]
        document = TomlDocument(self.known.folder / "trial", f"run {trial.name}", {}, "", {})
        items = [{"input": name, "level": level} for name, level in trial.levels]
        assert self.scenario is not None
        own = read_courses(document, items, ("levels",), self.scenario.composition, whole=False, at_start=True)
        document.finish()
        names = {course.input for course in own}
        kept = tuple(course for course in test.courses if course.input not in names)
        replays = self.test(trials[trial.replays], trials) if trial.replays else test.replays
        return replace(test, courses=(*kept, *own), replays=replays)
