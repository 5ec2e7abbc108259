"""A scenario is lived: every subject its history and then every arm, with the same draws in all arms."""

from __future__ import annotations

import math
import os
import platform
import time as clock
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim import __version__, cache
from isletsim.challenge import Challenge, bind_challenge, challenge, read_challenge
from isletsim.clocks import Rules
from isletsim.cohort import Draws, collect, draw
from isletsim.faults import RunError
from isletsim.layers import Composition, superpose
from isletsim.library import read_stack, remembered
from isletsim.lives import Liver, Pauses, Standing, Stretch, TwoClocks, liver_for
from isletsim.model import GRADES
from isletsim.patient import NO_PATIENT, BoundPatient, Leg, bind_patient, read_patient
from isletsim.places import find
from isletsim.regimen import Course, Stops, describe_dose, stops_of
from isletsim.results import ArmInfo, Failure, Result, Variable
from isletsim.scenario import ArmPlan, Plan, plan_scenario, printed, read_scenario
from isletsim.simulate import failure_message
from isletsim.solver import Reason, Watch
from isletsim.units import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scenario", "load_scenario"]

MONTH = 30.0  # days between the looks at a condition before it is looked at day by day
MOST_ATTEMPTS = 20  # redraws of a subject whose history never arrives
LABELS = {"percent_NGSP": "%", "mmol_per_mol_IFCC": "mmol/mol"}


@dataclass(frozen=True)
class Scenario:
    """A scenario that is ready to run: its plan, its patient, and the one model that all arms share."""

    plan: Plan
    composition: Composition = field(repr=False)
    patient: BoundPatient = field(repr=False)
    files: tuple[Path, ...] = field(repr=False)
    challenges: tuple[Challenge, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of the scenario file."""
        return self.plan.name

    def describe(self) -> str:
        """The plan as text."""
        return printed(self.plan, self.composition)

    def run(
        self,
        *,
        seed: int | None = None,
        jobs: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        every_day: bool = False,
    ) -> Result:
        """Every arm for the reference patient (subject 0) and the cohort.

        `every_day` simulates every day of a model with two clocks, the slow reference of the default scheme.

        Raises
        ------
        RunError : the reference patient could not be simulated; `partial` is the result as far as it came.
        """
        plan = self.plan if seed is None else replace(self.plan, seed=seed)
        liver = liver_for(self.composition, plan.tolerance, plan.method, Rules(every_day=every_day))
        return _Run(self, plan, liver, clock.perf_counter()).live(jobs or os.cpu_count() or 1, progress)


def load_scenario(
    wanted: str | Path,
    set: Mapping[str, Any] | Iterable[str] = (),  # noqa: A002 - the word of the command line
    seed: int | None = None,
) -> Scenario:
    """A scenario by name or path, with overrides as of ``--set``.

    Parameters
    ----------
    set : "PATH=VALUE" texts or a mapping; a path is a key of the scenario ("cohort.size") or a model's number
        ("msc.potency").

    Raises
    ------
    InputError : every fault of the scenario, its patient and its model files.
    """
    path = find("scenario", wanted)
    overrides = [f"{key}={value}" for key, value in set.items()] if isinstance(set, Mapping) else list(set)

    def make() -> tuple[Scenario, list[Path]]:
        return _load(path, overrides)

    scenario = remembered("study", repr((str(path.resolve()), overrides)), make)
    return scenario if seed is None else replace(scenario, plan=replace(scenario.plan, seed=seed))


def _load(path: Path, overrides: list[str]) -> tuple[Scenario, list[Path]]:
    file = read_scenario(path, overrides)
    patient_path = _beside(path, "patient", file.patient) if file.patient else None
    patient = read_patient(patient_path) if patient_path is not None else None
    tests = [read_challenge(_beside(path, "challenge", name)) for name in file.challenges]
    layers = [*file.core, *file.layers, *(patient.layers if patient else ())]
    layers += [layer for test in tests for layer in test.layers]
    model_paths = [_beside(path, "model", name) for name in dict.fromkeys(layers)]
    models = read_stack(model_paths, follow=False)
    recorded = [
        *file.record,
        *(name for test in tests for name in test.shown),
        *(name for name in (patient.watched if patient else ()) if "." in name),
    ]
    composition = superpose(models, list(dict.fromkeys(recorded)), "+".join(sorted(model.name for model in models)))
    bound = bind_patient(patient, composition) if patient else NO_PATIENT
    plan = plan_scenario(file, composition)
    paths = [path, *model_paths, *([patient_path] if patient_path else [])]
    paths += [test.path for test in tests]
    challenges = tuple(bind_challenge(test, composition) for test in tests)
    scenario = Scenario(plan, composition, bound, tuple(paths), challenges)
    collect(composition, bound)  # says what is wrong with correlations before anything runs
    return scenario, paths


def _beside(scenario: Path, kind: str, name: str) -> Path:
    """A file of the user's own beside the scenario, else one of the package's."""
    own = scenario.parent / f"{name}.toml"
    return own if own.is_file() and own.resolve() != scenario.resolve() else find(kind, name)


@dataclass(frozen=True)
class _Arrival:
    """Where a history ended: where life stands at t = 0, and the courses that go on."""

    standing: Standing
    open_courses: tuple[tuple[str, Course], ...]  # with the layer they belong to
    failed: Stretch | None = None


@dataclass
class _Run:
    """One run of a scenario in progress."""

    scenario: Scenario
    plan: Plan
    liver: Liver
    began: float
    values: NDArray[np.float64] = field(init=False)
    failures: list[Failure] = field(default_factory=list)
    redrawn: int = 0
    steps: int = 0
    days: int = 0
    solver_seconds: float = 0.0
    stops: dict[Any, Stops] = field(default_factory=dict)

    def live(self, jobs: int, progress: Callable[[int, int], None] | None) -> Result:
        plan, flat = self.plan, self.scenario.composition.flat
        subjects = plan.cohort + 1
        shape = (len(plan.arms), subjects, len(plan.save))
        self.values = np.full((*shape, len(self.liver.outputs)), np.nan)
        self.found = np.full((*shape, sum(len(test.reports) for test in self.scenario.challenges)), np.nan)
        self.fixed = {*plan.parameters, *(name for arm in plan.arms for name in arm.parameters)}
        self.draws: Draws = collect(self.scenario.composition, self.scenario.patient)
        self.place = {name: index for index, name in enumerate(flat.parameters)}
        self.neutral = dict(zip(flat.parameters, flat.values, strict=True))
        self.save = np.array(plan.save)
        try:
            self._subject(0)
            if self.failures:
                raise RunError("\n".join(failure.message for failure in self.failures), partial=self._result())
            if plan.cohort:
                self._cohort(jobs, progress)
        except KeyboardInterrupt as stop:
            stop.partial = self._result()  # type: ignore[attr-defined]
            raise
        return self._result()

    def _cohort(self, jobs: int, progress: Callable[[int, int], None] | None) -> None:
        total = self.plan.cohort
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            try:
                for done, _ in enumerate(pool.map(self._subject, range(1, total + 1)), start=1):
                    if progress is not None and (done % 16 == 0 or done == total):
                        progress(done, total)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    # --- one subject ---

    def _subject(self, subject: int) -> None:
        for attempt in range(MOST_ATTEMPTS):
            arrival = self._history(draw(self.draws, self.plan.seed, subject, attempt, self.fixed))
            if arrival is not None or subject == 0:
                break
            self.redrawn += 1
        if arrival is None or arrival.failed is not None:
            self._lost(subject, arrival)
            return
        for number, arm in enumerate(self.plan.arms):
            self._arm(subject, number, arm, arrival)

    def _lost(self, subject: int, arrival: _Arrival | None) -> None:
        who = _who(subject)
        if arrival is not None and arrival.failed is not None:
            message = self._said(arrival.failed, f"{who}, history")
        else:
            ends = " then ".join(leg.watch.text for leg in self.scenario.patient.history if leg.watch)
            message = (
                f"{who}: the history never arrives ({ends}); give it longer (within), or a patient who gets there."
            )
        self.failures += [Failure(arm.name, subject, 0.0, message) for arm in self.plan.arms]

    def _history(self, drawn: Mapping[str, float]) -> _Arrival | None:
        """A subject's life until t = 0; None where it never arrives."""
        patient, flat = self.scenario.patient, self.scenario.composition.flat
        parameters = np.array(flat.values, dtype=np.float64)
        chosen = {name: setting.value for name, setting in patient.parameters.items()} | self.plan.parameters
        for name, value in {**chosen, **drawn}.items():
            if name in self.place:
                parameters[self.place[name]] = value
        starts = {name: setting.value for name, setting in patient.starts.items()} | dict(drawn)
        standing = self.liver.begin(parameters, starts, patient.day)
        running: list[tuple[str, Course]] = []
        for leg in patient.history:
            running += [(course.input.partition(".")[0], course) for course in leg.courses]
            stretch = self._leg(leg, standing, [course for _, course in running])
            if stretch.failed is not None:
                return _Arrival(standing, (), stretch)
            if leg.watch is not None and stretch.reason is not Reason.WATCH:
                return None
            standing = stretch.standing
            running = [
                (layer, replace(course, start=course.start - stretch.time, stop=course.stop - stretch.time))
                for layer, course in running
                if course.stop > stretch.time
            ]
        return _Arrival(standing, tuple(running))

    def _leg(self, leg: Leg, standing: Standing, courses: list[Course]) -> Stretch:
        stops = stops_of(self.scenario.composition, leg.doses, courses, leg.visits, self.neutral)
        if leg.watch is None:
            return self._live(standing, leg.longest, np.empty(0), stops, None)
        watch = Watch(self.liver.outputs.index(leg.watch.output), leg.watch.level, leg.watch.direction)
        return self._live(standing, leg.longest, np.empty(0), stops, watch)

    def _arm(self, subject: int, number: int, arm: ArmPlan, arrival: _Arrival) -> None:
        parameters = arrival.standing.parameters.copy()
        for name, value in arm.parameters.items():
            parameters[self.place[name]] = value
        stopped = [course for layer, course in arrival.open_courses if layer in arm.stop]
        going = [course for layer, course in arrival.open_courses if layer not in arm.stop and course.stop < math.inf]
        key = (number, tuple(stopped), tuple(going))
        if key not in self.stops:
            ended = [Course(course.input, self.neutral[course.input], 0.0) for course in stopped]
            courses = [*going, *ended, *arm.courses]
            self.stops[key] = stops_of(self.scenario.composition, arm.doses, courses, self.plan.visits, self.neutral)
        standing = replace(arrival.standing, parameters=parameters)
        pauses = self._pauses(number, subject)
        stretch = self._live(standing, self.plan.until, self.save, self.stops[key], None, pauses)
        self.values[number, subject, : len(stretch.rows)] = stretch.rows
        if stretch.failed is not None:
            message = self._said(stretch, f"{_who(subject)}, arm {arm.name}")
            self.failures.append(Failure(arm.name, subject, stretch.time, message))

    def _live(
        self,
        standing: Standing,
        until: float,
        save: NDArray[np.float64],
        stops: Stops,
        watch: Watch | None,
        pauses: Pauses | None = None,
    ) -> Stretch:
        began = clock.perf_counter()
        stretch = self.liver.live(standing, until, save, stops, watch, pauses)
        self.solver_seconds += clock.perf_counter() - began
        self.steps += stretch.steps
        self.days += stretch.days
        return stretch

    def _pauses(self, number: int, subject: int) -> Pauses:
        """The virtual tests of an arm: each writes its reports into the row of its time."""
        if not self.scenario.challenges:
            return {}
        assert isinstance(self.liver, TwoClocks)
        liver = self.liver
        given: dict[float, list[tuple[int, Challenge]]] = {}
        column = 0
        for test, (_, times) in zip(self.scenario.challenges, self.plan.challenges, strict=True):
            for time in times:
                given.setdefault(time, []).append((column, test))
            column += len(test.reports)

        def look(time: float) -> Callable[[Standing], None]:
            row = int(np.searchsorted(self.save, time))

            def run(standing: Standing) -> None:
                for first, test in given[time]:
                    found = challenge(test, liver, standing, self.scenario.composition)
                    self.found[number, subject, row, first : first + len(found.reports)] = list(found.reports.values())

            return run

        return {time: look(time) for time in given}

    def _said(self, stretch: Stretch, who: str) -> str:
        assert stretch.failed is not None
        return failure_message(self.scenario.composition, stretch.failed, who, stretch.flat_states)

    # --- the result ---

    def _result(self) -> Result:
        composition, plan = self.scenario.composition, self.plan
        variables, units = [], []
        for name in self.liver.outputs:
            report = name.removeprefix("report.")
            symbol = composition.reports[report] if name.startswith("report.") else composition.symbols[name]
            label = LABELS.get(symbol.unit.text, symbol.unit.text)
            variables.append(Variable(report, symbol.unit.text, label, symbol.about))
            units.append(symbol.unit)
        values = np.concatenate([self.values, self.found], axis=-1)
        for column, unit in enumerate(units):
            values[..., column] = convert(self.values[..., column], unit)
        for found in (each for test in self.scenario.challenges for each in test.reports):
            label = LABELS.get(found.unit.text, found.unit.text)
            variables.append(Variable(found.name, found.unit.text, label, found.about))
        return Result(
            scenario=plan.name,
            title=plan.title,
            arms=tuple(_arm_info(arm, composition) for arm in plan.arms),
            control=plan.control,
            time=self.save,
            variables=tuple(variables),
            values=values,
            figures=plan.figures,
            failures=tuple(sorted(self.failures, key=lambda each: (each.subject, each.arm))),
            run=self._record(),
        )

    def _record(self) -> dict[str, Any]:
        """What run.json says besides the summary."""
        composition, patient = self.scenario.composition, self.scenario.patient
        numbers = [symbol for symbol in composition.symbols.values() if symbol.kind == "parameter"]
        assumed = sum(1 for symbol in numbers if symbol.assumed)
        settings = [*patient.parameters.values(), *patient.starts.values()]
        assumed += sum(1 for setting in settings if setting.note.assumed)
        share = assumed / max(1, len(numbers) + len(settings))
        return {
            "isletsim": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
            "seed": self.plan.seed,
            "cohort": self.plan.cohort,
            "tolerance": self.plan.tolerance,
            "method": self.plan.method,
            "inputs": {path.name: cache.fingerprint(path.read_bytes()) for path in self.scenario.files},
            "model": self.liver.fingerprint,
            "patient": {"name": patient.name, "title": patient.title, **dict(patient.covariates)},
            "draws": "every cohort member has its own draw of what varies between people and of what is uncertain",
            "layers": {name: info.title for name, info in composition.files.items()},
            "assumed": {"numbers": assumed, "of": len(numbers) + len(settings), "share": round(share, 4)},
            "skipped": list(composition.skipped),
            "redrawn": self.redrawn,
            "solver": {"steps": self.steps, "days": self.days, "seconds": round(self.solver_seconds, 6)},
            "wall_seconds": round(clock.perf_counter() - self.began, 6),
        }


def _who(subject: int) -> str:
    return "the reference patient" if subject == 0 else f"subject {subject}"


def _arm_info(arm: ArmPlan, composition: Composition) -> ArmInfo:
    grades = [
        symbol.grade
        for symbol in composition.symbols.values()
        if symbol.kind == "parameter" and symbol.name.partition(".")[0] in arm.layers and symbol.grade in GRADES
    ]
    return ArmInfo(
        name=arm.name,
        about=arm.about,
        layers=arm.layers,
        dose_times=tuple(dose.time for dose in arm.doses),
        dose_names=tuple(dose.port for dose in arm.doses),
        dose_amounts=tuple(describe_dose(dose, composition) for dose in arm.doses),
        grade=max(grades, key=GRADES.index, default=""),
    )
