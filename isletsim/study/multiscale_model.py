"""A fast and a slow model together, simulated from Python: years of a patient, and any day of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.arguments import list_argument, mapping_argument, name_argument, optional_class, time_argument
from isletsim.challenges.morning import morning_of, run_challenge
from isletsim.composition import Composition
from isletsim.composition.names import find_symbol
from isletsim.ensemble import Task, run_task
from isletsim.errors import Fault, InputError, RunError
from isletsim.language import TomlDocument
from isletsim.model import failure_message
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.results import Result
from isletsim.scenario import scenario_of
from isletsim.study.load import Scenario, prepared_scenario
from isletsim.study.run import study_context
from isletsim.study.subject import arm_start
from isletsim.units import convert, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.solver import Outcome

__all__ = ["DayCurves", "MultiscaleModel", "Years", "simulate_patient"]

ARM = "simulation"
DOSES = 'doses=[{"into": "msc.infusion", "amount": "1e6 cell/kg", "at": "0 day"}]'
COURSES = 'courses=[{"input": "metformin.dose", "level": "2 g/day"}]'
SAMPLES = 288  # of a day: every five minutes


@dataclass(frozen=True)
class DayCurves:
    """One simulated day: ``day["glucose.plasma"]`` is an array over `hours` since midnight, in the declared unit."""

    composition: Composition = field(repr=False)
    at: float
    hours: NDArray[np.float64] = field(repr=False)
    values: Mapping[str, NDArray[np.float64]] = field(repr=False)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        symbol = find_symbol(self.composition, name)
        if symbol.name not in self.values:
            raise InputError(Fault(name, "is not a quantity of the fast model.", "Ask the years for it."))
        return np.asarray(convert(self.values[symbol.name], symbol.unit))

    def unit(self, name: str) -> str:
        """Return the unit of ``day[name]``."""
        return find_symbol(self.composition, name).unit.text

    def __repr__(self) -> str:
        return f"<Day {self.at:g}: {len(self.values)} quantities, every 5 minutes>"

    def to_pandas(self) -> Any:
        """Return a ``DataFrame`` with a row for every five minutes and a column for every quantity.

        Raises
        ------
        InputError : pandas, an extra of the package, is not installed.
        """
        frame = optional_class("pandas", "DataFrame", "to_pandas()")
        return frame({"hour": self.hours, **{name: self[name] for name in self.values}})


@dataclass(frozen=True)
class Years:
    """Years of one patient: ``years["hba1c"]`` is an array over `time` in days.

    Attributes
    ----------
    result : the same as the `Result` of a study with one arm, with table, figure and files.
    """

    scenario: Scenario = field(repr=False)
    result: Result = field(repr=False)
    every_day: bool = False

    @property
    def time(self) -> NDArray[np.float64]:
        """The times of the records, in days since the end of the patient's history."""
        return self.result.time

    def _place(self, name: str) -> int:
        names = [variable.name for variable in self.result.variables]
        if name in names:
            return names.index(name)
        symbol = find_symbol(self.scenario.composition, name)
        if symbol.name not in names:
            message = f"was not recorded; recorded are {', '.join(names)}."
            raise InputError(Fault(name, message, f'Write record=["{symbol.name}"] in simulate().'))
        return names.index(symbol.name)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.result.values[0, 0, :, self._place(name)])

    def unit(self, name: str) -> str:
        """Return the unit of ``years[name]``."""
        return self.result.variables[self._place(name)].unit

    def __repr__(self) -> str:
        plan = self.scenario.plan
        who = self.scenario.patient.name or "the models' own start"
        return (
            f"<Years of {who}: {len(self.time)} times to day {plan.until:g}, {self.result.values.shape[-1]} quantities>"
        )

    def _repr_html_(self) -> str:
        return self.result._repr_html_()

    def day(self, at: str | float = 0.0) -> DayCurves:
        """Simulate the day of a moment, with all that the patient's days bring.

        Parameters
        ----------
        at : a time within the years, such as "6 month"; a bare number is days.

        Raises
        ------
        InputError : the time is outside of the years.
        RunError : the patient could not be simulated until then.
        """
        moment = on_grid(np.floor(time_argument(at, "at")))
        if not 0.0 <= moment <= self.scenario.plan.until:
            message = f"{at!r} is not within the {self.scenario.plan.until:g} days that were simulated."
            raise InputError(Fault("at", message, 'Write at="6 month".'))
        context = study_context(self.scenario, StepControl(every_day=self.every_day))
        simulator = context.simulator
        assert isinstance(simulator, MultiscaleSimulator)
        begun, events = arm_start(context, 0)
        times, seen = np.linspace(0.0, 1.0, SAMPLES + 1), []

        def look(current: SimulationState) -> Task[None]:
            morning = yield from morning_of(simulator, current, 0.0)
            seen.append(run_challenge(simulator, morning, times, (), (), usual=True))

        until = max(1.0, moment)
        segment = run_task(simulator.simulate(begun, until, np.empty(0), events, None, {moment: look}))
        failed = segment.failed or (seen[0] if seen[0].reason.failed else None)
        if failed is not None:
            raise RunError(failure_message(self.scenario.composition, failed, "the day", segment.flat_states))
        outcome: Outcome = seen[0]
        flat = simulator.day_model.flat
        assert outcome.states is not None
        recorded = {**dict(zip(flat.states, outcome.states.T, strict=True))}
        recorded |= dict(zip(flat.outputs, outcome.outputs.T, strict=True))
        known = self.scenario.composition.symbols
        values = {name: curve for name, curve in recorded.items() if name in known}
        return DayCurves(self.scenario.composition, moment, 24.0 * times, values)


@dataclass(frozen=True)
class MultiscaleModel:
    """A stack with fast models (a day) and slow models (years), ready to simulate patients."""

    files: tuple[str, ...]
    composition: Composition = field(repr=False)

    @property
    def name(self) -> str:
        """The names of its files, joined."""
        return self.composition.flat.name

    def __repr__(self) -> str:
        clocks = self.composition.clocks
        assert clocks is not None
        fast, slow = len(clocks.day.states), len(clocks.life.states)
        return f"<MultiscaleModel of {len(self.files)} files: {fast} fast states, {slow} slow states>"

    def simulate(self, until: str | float, *, patient: str | Path | None = None, **settings: Any) -> Years:
        """Simulate years of a patient; the other arguments are those of `simulate_patient`."""
        return simulate_patient(until, patient=patient, models=self.files, **settings)

    def day(self, at: str | float = 0.0, *, patient: str | Path | None = None, **settings: Any) -> DayCurves:
        """Simulate one day of a patient: today, or `at` a later time such as "6 month"."""
        until = max(1.0, float(np.ceil(time_argument(at, "at"))))
        return self.simulate(until, patient=patient, save=until, **settings).day(at)


def simulate_patient(
    until: str | float,
    *,
    patient: str | Path | None = None,
    models: Sequence[str | Path] = (),
    save: str | float = "1 week",
    set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of scenario files and of the command line
    layers: Sequence[str] = (),
    doses: Sequence[Mapping[str, Any]] = (),
    courses: Sequence[Mapping[str, Any]] = (),
    visits: str | float | None = "3 month",
    record: Iterable[str] = (),
    tolerance: float = 1e-6,
    every_day: bool = False,
) -> Years:
    """Simulate a patient's history, and years from there.

    Parameters
    ----------
    until : how long, such as "2 year"; a bare number is days.
    patient : name or path of a patient. models : the stack; the patient's own core when empty.
    save : spacing of the records.
    set : parameters by name ("msc.potency").
    layers, doses, courses : therapies and what is given, as in an arm of a scenario.
    visits : how often a doctor looks at the patient; None for never.
    record : quantities to record besides the reports.
    tolerance : relative tolerance of the solver.
    every_day : simulate every day, the slow reference of the scheme.

    Raises
    ------
    InputError : anything given that is not understood.
    RunError : the patient could not be simulated.
    """
    example = 'simulate("1 year", patient="early_t2d")'
    given = list_argument(doses, "doses", DOSES)
    data: dict[str, Any] = {
        "title": "simulate(...)",
        "until": _text(until, "until"),
        "save": _text(save, "save"),
        "tolerance": tolerance,
        "record": list_argument(record, "record", 'record=["glucose.plasma"]'),
        "arms": {
            ARM: {
                "layers": list_argument(layers, "layers", 'layers=["msc"]'),
                "doses": [dict(mapping_argument(each, "doses", DOSES)) for each in given],
                "courses": list_argument(courses, "courses", COURSES),
            }
        },
    }
    if models:
        data["core"] = [str(name_argument(each, "models", example)) for each in models]
    if patient is not None:
        path = Path(name_argument(patient, "patient", example))
        data["patient"] = str(path.resolve()) if path.suffix == ".toml" else str(patient)
    if visits is not None:
        data["visits"] = {"every": _text(visits, "visits")}
    document = TomlDocument(Path("simulate"), "simulate(...)", data, "", {})
    settings = [f"{name}={value}" for name, value in mapping_argument(set, "set", 'set={"msc.potency": 0.5}').items()]
    scenario = prepared_scenario(scenario_of(document, settings))
    if scenario.composition.clocks is None:
        message = "these models have one time scale."
        raise InputError(Fault("simulate", message, "Use load_model(...).simulate(...), or a scenario."))
    return Years(scenario, scenario.run(every_day=every_day, explain=False), every_day)


def _text(time: Any, place: str) -> str:
    """Return a time as scenarios write it."""
    return time if isinstance(time, str) else f"{time_argument(time, place):.17g} day"
