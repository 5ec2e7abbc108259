"""A scenario that is ready to run: its files found, put together and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from isletsim.arguments import whole_argument
from isletsim.challenges import ChallengeFile, bind_challenge, read_challenge
from isletsim.cohort import collect
from isletsim.composition import Composition
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import find, in_room_of, own_file
from isletsim.errors import Fault, InputError
from isletsim.language import read_document
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.patient import NO_PATIENT, BoundPatient, PatientFile, bind_patient, read_patient
from isletsim.results import Result
from isletsim.scenario import Plan, ScenarioFile, plan_scenario, printed, scenario_of
from isletsim.study.prepared import PreparedStudy
from isletsim.study.run import run_study

__all__ = ["Scenario", "load_scenario", "prepared_scenario"]


class Scenario(PreparedStudy):
    """A scenario that is ready to run: its plan, its patient, and the one model that all arms share."""

    def __repr__(self) -> str:
        arms = ", ".join(arm.name for arm in self.plan.arms)
        people = f"cohort of {self.plan.cohort}" if self.plan.cohort else "one patient"
        return f"<Scenario {self.name}: arms {arms}; {people}; {self.plan.until:g} days>"

    def _repr_html_(self) -> str:
        """Return the plan, for notebooks."""
        return f"<pre>{escape(self.describe())}</pre>"

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
        explain: bool = True,
    ) -> Result:
        """Every arm for the reference patient (subject 0) and the cohort.

        Parameters
        ----------
        jobs : threads; as many as cores when not given. The numbers do not depend on it.
        progress : is told how many subjects of how many are done.
        every_day : simulate every day of a model with two clocks, the slow reference of the default scheme.
        explain : find out which numbers carry the effect of each arm, which takes a short run a number.

        Raises
        ------
        RunError : the reference patient could not be simulated; `partial` is the result as far as it came.
        """
        plan = self.plan if seed is None else replace(self.plan, seed=whole_argument(seed, "seed"))
        jobs = None if jobs is None else whole_argument(jobs, "jobs", 1)
        return run_study(replace(self, plan=plan), jobs, progress, StepControl(every_day=every_day), explain=explain)


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
    if not isinstance(wanted, str | Path):
        raise InputError(Fault("load_scenario", f"expected a name or a path, found {wanted!r}."))
    path = find("scenario", wanted)
    overrides = [f"{key}={value}" for key, value in set.items()] if isinstance(set, Mapping) else list(set)
    scenario = prepared_scenario(scenario_of(read_document(path), overrides))
    return (
        scenario if seed is None else replace(scenario, plan=replace(scenario.plan, seed=whole_argument(seed, "seed")))
    )


def prepared_scenario(file: ScenarioFile) -> Scenario:
    """A scenario with its patient, tests and model; raises `InputError` with every fault, also those of its page."""
    noted = tuple(file.document.faults)
    try:
        scenario = _prepared(file)
    except InputError as reason:
        raise InputError(dict.fromkeys([*noted, *reason.faults])) from None
    if noted:
        raise InputError(noted)
    return scenario


def _prepared(file: ScenarioFile) -> Scenario:
    patient, tests = _companions(file)
    if not file.core and patient is not None:
        file = replace(file, core=patient.core)
    model_paths = _model_paths(file, patient, tests)
    composition = compose_stack(model_paths, (), follow=False)
    faults: list[Fault] = []
    bound = NO_PATIENT
    try:
        bound = bind_patient(patient, composition) if patient is not None else NO_PATIENT
        collect(composition, bound)  # says what is wrong with ranges and correlations before anything runs
    except InputError as reason:
        faults.extend(reason.faults)
    try:
        challenges = tuple(bind_challenge(test, composition) for test in tests)
        found = {report.name: report.unit for test in challenges for report in test.reports}
        plan = plan_scenario(file, composition, bound, found)
    except InputError as reason:
        raise InputError([*faults, *reason.faults]) from None
    if faults:
        raise InputError(faults)
    recorded = _recorded(plan, bound, tests, composition)
    if recorded:
        composition = compose_stack(model_paths, recorded, follow=False)
    paths = [file.path, *model_paths, *([patient.path] if patient is not None else []), *(test.path for test in tests)]
    return Scenario(plan, composition, bound, tuple(paths), challenges)


def _companions(file: ScenarioFile) -> tuple[PatientFile | None, list[ChallengeFile]]:
    """The patient and the virtual tests of a scenario."""
    document = file.document
    patient = None
    if file.patient:
        patient = read_patient(_beside(file, "patient", file.patient, document.place(("patient",))))
    tests = [
        read_challenge(_beside(file, "challenge", name, document.place(("challenges", name))))
        for name in file.challenges
    ]
    return patient, tests


def _model_paths(file: ScenarioFile, patient: PatientFile | None, tests: Iterable[ChallengeFile]) -> list[Path]:
    """The model files that somebody asks for, each once; raises `InputError` with all that are not there."""
    document = file.document
    wanted = [(name, document.place(("core",))) for name in file.core]
    arms = document.table(document.data, "arms", ())
    for arm in arms:
        layers = document.names(document.table(arms, arm, ("arms",)), "layers", ("arms", arm))
        wanted += [(layer, document.place(("arms", arm, "layers"))) for layer in layers]
    legs = patient.document.data.get("history", []) if patient is not None else []
    for number, leg in enumerate(legs):
        assert patient is not None
        wanted += [(layer, patient.document.place(("history", number, "layers"))) for layer in leg.get("layers", ())]
    wanted += [(layer, test.document.place(("layers",))) for test in tests for layer in test.layers]
    asked: dict[str, str] = {}
    for name, place in wanted:
        asked.setdefault(name, place)
    found: list[Path] = []
    faults: list[Fault] = []
    for name, place in asked.items():
        try:
            found.append(_beside(file, "model", in_room_of(name, file.core), place))
        except InputError as reason:
            faults.extend(reason.faults)
    if faults:
        raise InputError(faults)
    return list(dict.fromkeys(found))


def _beside(file: ScenarioFile, kind: str, name: str, place: str) -> Path:
    """A file of the user's own beside the scenario, else one of the package's."""
    own = own_file(name, file.path.parent)
    if own is not None and own.resolve() != file.path.resolve():
        return own
    try:
        return find(kind, name, file.path.parent)
    except InputError as reason:
        raise InputError([Fault(place, fault.message, fault.cure) for fault in reason.faults]) from None


def _recorded(
    plan: Plan, patient: BoundPatient, tests: Iterable[ChallengeFile], composition: Composition
) -> tuple[str, ...]:
    """What has to be recorded besides reports, by whole names (a chain is recorded whole)."""
    names = {*plan.record, *(leg.watch.output for leg in patient.history if leg.watch is not None)}
    names |= {name for test in tests for name in test.recorded}
    return tuple(sorted({name.partition("[")[0] for name in names if not name.startswith("report.")}))
