"""From choices to curves: prepared stacks, histories and arms are remembered, so that only what changed is solved.

This is the one module of the explorer that knows how studies are run. Everything it remembers is bounded.
"""

from __future__ import annotations

import json
import threading
import time as clock
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from isletsim.challenges import Finding
from isletsim.data_files import find
from isletsim.errors import InputError, RunError
from isletsim.explorer.bases import Bases, PatientBase
from isletsim.explorer.choices import Choices
from isletsim.explorer.records import Controls
from isletsim.explorer.terms import ExplainedTerm, terms_of
from isletsim.explorer.writing import scenario_data, toml_text
from isletsim.language import TomlDocument, read_document
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.results import Result, Variable
from isletsim.scenario import ArmPlan, Plan, plan_scenario, scenario_of
from isletsim.study import Scenario, prepared_scenario
from isletsim.study.record import Columns, columns_of
from isletsim.study.run import study_context
from isletsim.study.subject import Arrival, StudyContext, SubjectResult, arrive, simulate_arms
from isletsim.units import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Prepared", "Run", "Simulations"]

NAME = "explored"  # the name of the scenario that is written; its results carry it
FEW, SOME, MANY = 4, 12, 32  # how many stacks, histories and arms are remembered

Key = TypeVar("Key")
Made = TypeVar("Made")


@dataclass(frozen=True)
class LayerStack:
    """A prepared scenario whose plan is replaced from run to run, with what depends on its files alone."""

    scenario: Scenario
    context: StudyContext
    columns: Columns
    terms: Mapping[str, tuple[ExplainedTerm, ...]]


@dataclass(frozen=True)
class Prepared:
    """What choices mean: the scenario, its data and text, and the stack it runs on."""

    scenario: Scenario
    data: Mapping[str, Any]
    stack: LayerStack
    key: str

    @property
    def text(self) -> str:
        """The scenario as a file."""
        return toml_text(self.data)


@dataclass(frozen=True)
class Run:
    """Curves of the reference patient in every arm: values (arm, time, variable) in the units of `variables`."""

    prepared: Prepared
    time: NDArray[np.float64]
    variables: tuple[Variable, ...]
    values: NDArray[np.float64]
    solved: int
    seconds: float

    @property
    def plan(self) -> Plan:
        """The plan that was run."""
        return self.prepared.scenario.plan

    def column(self, name: str) -> int:
        """Return the place of a variable, -1 where it is not recorded."""
        return next((place for place, each in enumerate(self.variables) if each.name == name), -1)


class _Memory:
    """The most recent results of something that is costly to make."""

    def __init__(self, most: int) -> None:
        self._most, self._made = most, OrderedDict[Any, Any]()

    def __contains__(self, key: Any) -> bool:
        return key in self._made

    def keep(self, key: Any, made: Any) -> None:
        """Remember a result, and forget the ones that were not used for longest."""
        self._made[key] = made
        self._made.move_to_end(key)
        while len(self._made) > self._most:
            self._made.popitem(last=False)

    def get(self, key: Any, make: Callable[[], Made]) -> tuple[Made, bool]:
        """Return what a key stands for, and whether it had to be made."""
        new = key not in self._made
        self.keep(key, make() if new else self._made[key])
        return self._made[key], new


class Simulations:
    """Runs choices, one at a time; may be used by many threads."""

    def __init__(self, controls: Controls, bases: Bases | None = None) -> None:
        self.controls, self.bases = controls, bases or Bases()
        self._lock = threading.RLock()
        self._outlines, self._stacks = _Memory(MANY), _Memory(FEW)
        self._histories, self._arms = _Memory(SOME), _Memory(MANY)

    # --- scenarios ---

    def prepare(self, choices: Choices) -> Prepared:
        """Return the scenario that choices mean, ready to run.

        Raises
        ------
        InputError : choices that do not fit together, or faults of an opened scenario.
        """
        with self._lock:
            base = self.bases.base(choices)
            return self._prepared(base, self._data(base, choices))

    def _data(self, base: PatientBase, choices: Choices) -> dict[str, Any]:
        bare = scenario_data(self.controls, choices, base.data, lambda name: False, ())
        (names, terms), _ = self._outlines.get(
            self._key(base, {**bare, "record": []}), lambda: self._outline(base, bare)
        )
        flat = [term.name for balance in self.controls.balances if balance.per == "years" for term in terms[balance.of]]
        return scenario_data(self.controls, choices, base.data, lambda name: name in names, flat)

    def _outline(
        self, base: PatientBase, data: Mapping[str, Any]
    ) -> tuple[set[str], Mapping[str, tuple[ExplainedTerm, ...]]]:
        """Return the names a stack knows, before anything is recorded, and the terms of the balances."""
        scenario = prepared_scenario(scenario_of(_page(base, {**data, "figures": {}})))
        composition = scenario.composition
        names = {*composition.symbols, *composition.reports}
        test = self.controls.test.name
        if composition.clocks is not None and test:
            document = read_document(find("challenge", test))
            names |= {f"test:{test}", *document.table(document.data, "reports", ())}
        return names, terms_of(scenario, [each.of for each in self.controls.balances])

    def _key(self, base: PatientBase, data: Mapping[str, Any]) -> str:
        """Return a text that is the same for scenarios that share stack, records and tests."""
        layers = [arm.get("layers", []) for arm in data["arms"].values()]
        shared = [str(base.folder), data.get("core"), data.get("patient"), layers, data.get("record")]
        inputs = [course.get("input") for arm in data["arms"].values() for course in arm.get("courses", [])]
        return json.dumps([*shared, sorted(data.get("challenges", {})), data.get("figures"), inputs], default=str)

    def _prepared(self, base: PatientBase, data: dict[str, Any]) -> Prepared:
        key = self._key(base, data)
        stack, new = self._stacks.get(key, lambda: self._stack(base, data))
        if new:
            return Prepared(stack.scenario, data, stack, key)
        file = scenario_of(_page(base, data))
        if not file.core:
            file = replace(file, core=stack.scenario.plan.core)
        noted = tuple(file.document.faults)
        found = {report.name: report.unit for test in stack.scenario.challenges for report in test.reports}
        try:
            plan = plan_scenario(file, stack.scenario.composition, stack.scenario.patient, found)
        except InputError as reason:
            raise InputError(dict.fromkeys([*noted, *reason.faults])) from None
        return Prepared(replace(stack.scenario, plan=plan), data, stack, key)

    def _stack(self, base: PatientBase, data: Mapping[str, Any]) -> LayerStack:
        scenario = prepared_scenario(scenario_of(_page(base, data)))
        context = study_context(scenario, StepControl())
        terms = terms_of(scenario, [each.of for each in self.controls.balances])
        return LayerStack(scenario, context, columns_of(scenario, context.simulator), terms)

    # --- curves ---

    def run(self, choices: Choices) -> Run:
        """Return the curves of choices; only histories and arms that changed are solved.

        Raises
        ------
        RunError : an arm, or the history, that could not be simulated.
        """
        with self._lock:
            began = clock.perf_counter()
            prepared = self.prepare(choices)
            results, solved = self._results(prepared)
            return _curves(prepared, results, solved, clock.perf_counter() - began)

    def _results(
        self, prepared: Prepared, seen: Callable[[int, float, Finding], None] | None = None
    ) -> tuple[list[SubjectResult], int]:
        plan = prepared.scenario.plan
        context = replace(prepared.stack.context, plan=plan, save=np.array(plan.save), events={}, seen=seen)
        arrival, solved = self._arrival(prepared, context)

        def identity(arm: ArmPlan) -> tuple[object, ...]:
            return (prepared.key, _numbers(plan), repr(arm), plan.until, plan.save, plan.visits, plan.challenges)

        keys = [identity(arm) for arm in plan.arms]
        missing = [number for number, key in enumerate(keys) if seen is not None or key not in self._arms]
        made = dict(zip(missing, simulate_arms(context, missing, arrival), strict=True)) if missing else {}
        for lived in made.values():
            _check(lived)
        results = [
            made.get(number) or self._arms.get(key, lambda: SubjectResult(0))[0] for number, key in enumerate(keys)
        ]
        if seen is None:
            for number, lived in made.items():
                self._arms.keep(keys[number], lived)
        return results, int(solved) + len(missing)

    def _arrival(self, prepared: Prepared, context: StudyContext) -> tuple[Arrival, bool]:
        key = (prepared.key, _numbers(prepared.scenario.plan))
        return self._histories.get(key, lambda: arrive(context))

    # --- cohorts, virtual tests, files ---

    def cohort(self, choices: Choices) -> Result:
        """Return the result of the reference patient and the virtual patients of a band."""
        return _with_files(self.prepare(choices)).run(explain=False)

    def result(self, choices: Choices) -> Result:
        """Return what the command line would give for the scenario that the choices mean."""
        return _with_files(self.prepare(choices)).run()

    def tested(
        self, choices: Choices, test: str, data: Mapping[str, Any], day: float
    ) -> tuple[Prepared, list[Finding]]:
        """Return what a virtual test finds in every arm on a day.

        Parameters
        ----------
        data : the test as a file would hold it.
        """
        with self._lock:
            base = self.bases.base(choices)
            whole = self._data(base, replace(choices, cohort=0))
            folder = self.bases.folder / "tests"
            folder.mkdir(exist_ok=True)
            path = folder / f"{test}.toml"
            text = toml_text(data)
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
            whole |= {"challenges": {str(path): {"at": [f"{day:g} day"]}}, "until": f"{max(day, 1):g} day"}
            whole |= {"record": [], "figures": {}, "save": f"{max(day, 1):g} day"}
            whole.pop("response", None)
            prepared = self._prepared(base, whole)
            found: dict[int, Finding] = {}
            self._results(prepared, lambda arm, _, finding: found.update({arm: finding}))
            return prepared, [found[number] for number in sorted(found)]


def _with_files(prepared: Prepared) -> Scenario:
    """Return the scenario without its own file, which was never written."""
    return replace(prepared.scenario, files=tuple(path for path in prepared.scenario.files if path.is_file()))


def _page(base: PatientBase, data: Mapping[str, Any]) -> TomlDocument:
    """Return a scenario's data as a page; a file of this name need not be there."""
    return TomlDocument(base.folder / f"{NAME}.toml", "these choices", dict(data), "", {})


def _numbers(plan: Plan) -> str:
    """Return what the history depends on, besides the stack."""
    return repr((sorted(plan.parameters.items()), sorted(plan.starts.items()), plan.tolerance, plan.method))


def _check(lived: SubjectResult) -> None:
    """Raise what made an arm end early."""
    if lived.failures:
        raise RunError("\n".join(dict.fromkeys(failure.message for failure in lived.failures)))


def _curves(prepared: Prepared, results: list[SubjectResult], solved: int, seconds: float) -> Run:
    plan, columns = prepared.scenario.plan, prepared.stack.columns
    values = np.full((len(plan.arms), len(plan.save), len(columns.variables)), np.nan)
    for arm, lived in enumerate(results):
        rows, found = next(iter(lived.rows.values())), next(iter(lived.found.values()))
        for place, unit, column in zip(columns.outputs, columns.units, rows.T, strict=True):
            values[arm, : len(rows), place] = convert(column, unit)
        values[arm][:, columns.tests] = found
    return Run(prepared, np.array(plan.save), columns.variables, values, solved, seconds)
