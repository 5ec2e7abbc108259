"""One model, run from Python: `load_model("topp2000").simulate(until="100 day")["G"]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isletsim.arguments import (
    list_argument,
    mapping_argument,
    name_argument,
    records_argument,
    step_argument,
    time_argument,
    whole_argument,
)
from isletsim.codegen import CompiledModel, compile_model
from isletsim.codegen.evaluate_at import constant_values, dense_jacobian, derivatives, initial, observe
from isletsim.composition import Composition
from isletsim.composition.model_library import compose_stack
from isletsim.composition.names import SETTABLE, STARTABLE, values_by_symbol
from isletsim.data_files import find
from isletsim.dosing import (
    ScheduledEvents,
    at_instants,
    breakpoints,
    given_at,
    read_courses,
    read_doses,
    scheduled_events,
    steady_doses,
    to_schedule,
    without_given,
)
from isletsim.ensemble import solve_many
from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.language import TomlDocument
from isletsim.machine import ForkSafeLock
from isletsim.model_ensemble import Ensemble, columns_of
from isletsim.patient import BoundPatient, bind_patient, read_patient
from isletsim.solver import ADVICE, Outcome, Reason, solve
from isletsim.trajectory import Moment, Trajectory, undefined_output
from isletsim.units import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Model", "breakpoints", "constant_values", "failure_message", "load_model"]

MOST_CYCLES = 2_000  # intervals between doses until a steady state
METHODS = ("stiff", "explicit")
DOSES, COURSES = 'doses=[{"into": "PORT", "amount": "1 mg", "at": "1 day"}]', 'courses=[{"input": "NAME", "level": 1}]'
STARTS, SETTINGS = 'start={"NAME": "5 mmol/L"}', 'set={"NAME": "0.5 1/day"}'
_COMPILING = ForkSafeLock()

Method = Literal["stiff", "explicit"]
Arrays = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass(frozen=True)
class Model:
    """A stack of model files, ready to run. Looked up by file name, by name or by the paper's symbol."""

    composition: Composition = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """The equations alone: another process takes the machine code from the cache, or compiles it again."""
        return {"composition": self.composition}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __hash__(self) -> int:
        flat = self.composition.flat
        return hash((flat.name, flat.states, flat.parameters, flat.values))

    @property
    def name(self) -> str:
        """The names of its files, joined."""
        return self.composition.flat.name

    def __repr__(self) -> str:
        flat = self.composition.flat
        return f"<Model {self.name}: {len(flat.states)} states, {len(flat.parameters)} parameters>"

    @cached_property
    def compiled(self) -> CompiledModel:
        """The machine code, made when first needed."""
        if self.composition.clocks is not None:
            cure = "Use isletsim.load_model, or a scenario."
            raise InputError(Fault(self.name, "has a day and a life clock; it is not one system.", cure))
        with _COMPILING:
            return compile_model(self.composition.flat)

    def simulate(
        self,
        until: str | float,
        *,
        save: str | float | Sequence[str | float] | None = None,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of scenario files and of the command line
        patient: str | Path | None = None,
        doses: Sequence[Mapping[str, Any]] = (),
        courses: Sequence[Mapping[str, Any]] = (),
        visits: Sequence[str | float] = (),
        begin: str | float = 0.0,
        method: Method = "stiff",
        rtol: float = 1e-6,
        max_step: str | float | None = None,
        maximum_steps: int = 1_000_000,
    ) -> Trajectory:
        """A run from its start (or from where another ended) until a time.

        Parameters
        ----------
        until, begin : times such as "400 day" or "30 min"; a bare number is days.
        save : a spacing ("1 day"), or a list of times in increasing order, one row each; 200 even rows when not given.
        start : start values by name or symbol ("100 mg/dL"), or `trajectory.last` of an earlier leg, whose doses and
            visits at the border of the two legs are not repeated.
        set : parameters by name or symbol.
        patient : a patient file whose settings apply (its history is not lived here; scenarios do that).
        doses, courses : as in scenario files; times are not rounded. A dose with `every` and ``steady_state=True`` has
            been given at that interval for so long that the state repeats itself when the run begins.
        visits : times at which held values of the kind "visit" are revised.
        method : "stiff" (Rosenbrock, order 5) or "explicit" (Runge-Kutta, order 8).
        max_step : the longest step, such as "1 hour"; without limit when not given. Conditions of time need none.

        Raises
        ------
        InputError : anything given that is not understood.
        RunError : the run failed; `partial` holds the trajectory until then.
        """
        opening, closing = time_argument(begin, "begin"), time_argument(until, "until")
        doses = [mapping_argument(each, "doses", DOSES) for each in list_argument(doses, "doses", DOSES)]
        courses = [mapping_argument(each, "courses", COURSES) for each in list_argument(courses, "courses", COURSES)]
        if not closing > opening:
            raise InputError(Fault("until", f"{until!r} is not after the beginning."))
        self._check(method, rtol, maximum_steps)
        records = records_argument(save, opening, closing)
        repeated, doses = steady_doses(doses, opening)
        if repeated:
            start = self._steady_state(
                repeated, opening, start=start, set=set, patient=patient, method=method, rtol=rtol
            )
        parameters, state = self.start(start, set, patient)
        events = self._stops(parameters, doses, courses, visits, opening)
        if isinstance(start, Moment) and start.time == opening:
            events = without_given(events, self.composition, opening, start.given)
        bare = breakpoints(self.compiled, parameters, opening, closing)
        outcome = solve(
            self.compiled,
            state,
            parameters,
            span=(opening, closing),
            save=at_instants(records, events),
            schedule=to_schedule(events, bare, opening, closing),
            rtol=rtol,
            atol=rtol * 0.01 * np.array(self.composition.flat.scale),
            method=method,
            max_step=step_argument(max_step, closing - opening),
            maximum_steps=maximum_steps,
        )
        given = given_at(events, self.composition, closing)
        trajectory = self._trajectory(outcome, records, parameters, given)
        failed = (
            failure_message(self.composition, outcome)
            if outcome.reason.failed
            else undefined_output(self.composition, outcome)
        )
        if failed:
            raise RunError(failed, partial=trajectory)
        return trajectory

    def simulate_many(
        self,
        parameters: Any = None,
        starts: Any = None,
        *,
        until: str | float,
        save: str | float | Sequence[str | float] | None = None,
        doses: Sequence[Mapping[str, Any]] = (),
        courses: Sequence[Mapping[str, Any]] = (),
        visits: Sequence[str | float] = (),
        begin: str | float = 0.0,
        method: Method = "stiff",
        rtol: float = 1e-5,
        maximum_steps: int = 1_000_000,
        jobs: int | None = None,
    ) -> Ensemble:
        """Simulate many subjects, eight side by side in vector lanes and on all cores.

        Parameters
        ----------
        parameters, starts : a mapping or a DataFrame from names or symbols to one number a subject, in the unit that
            the file declares, or to one quantity for all ("5 mmol/L"). The model's own values for all others.
        until, save, doses, courses, visits, begin, method, rtol, maximum_steps : as in `simulate`, the same for all.
        jobs : threads; all cores when not given. The numbers do not depend on it.

        Returns
        -------
        ensemble : ``ensemble["G"]`` is an array (subjects, times). A run that fails is NaN from there on.

        Raises
        ------
        InputError : anything given that is not understood.
        """
        opening, closing = time_argument(begin, "begin"), time_argument(until, "until")
        if not closing > opening:
            raise InputError(Fault("until", f"{until!r} is not after the beginning."))
        self._check(method, rtol, maximum_steps)
        records, flat = records_argument(save, opening, closing), self.composition.flat
        chosen, count = columns_of(self.composition, parameters, SETTABLE, "parameters")
        begun, others = columns_of(self.composition, starts, (*STARTABLE, "held"), "starts")
        if count is not None and others is not None and count != others:
            raise InputError(Fault("starts", f"has {others} subjects, and parameters has {count}."))
        subjects = count or others or 1
        values, states = np.tile(np.array(flat.values, dtype=np.float64), (subjects, 1)), None
        for name, column in {
            **{name: column for name, column in begun.items() if name in flat.parameters},
            **chosen,
        }.items():
            values[:, flat.parameters.index(name)] = column
        own = {name: column for name, column in begun.items() if name in flat.states}
        if own:
            states = np.array([initial(self.compiled, row) for row in values])
            for name, column in own.items():
                states[:, flat.states.index(name)] = column
        alike = not flat.periods and not courses
        schedules = []
        for row in values[:1] if alike else values:
            events = self._stops(row, doses, courses, visits, opening)
            bare = breakpoints(self.compiled, row, opening, closing)
            schedules.append(to_schedule(events, bare, opening, closing))
        outcome = solve_many(
            self.compiled,
            states,
            values,
            span=(opening, closing),
            save=at_instants(records, events),
            schedules=schedules[0] if alike else schedules,
            rtol=rtol,
            keep="full",
            method=method,
            maximum_steps=maximum_steps,
            jobs=None if jobs is None else whole_argument(jobs, "jobs", 1),
        )
        assert outcome.trajectories is not None
        assert outcome.outputs is not None
        reasons = tuple(Reason(each).name.lower().replace("_", " ") for each in outcome.reasons.tolist())
        return Ensemble(self.composition, records, outcome.trajectories, outcome.outputs, values, reasons)

    def start(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002
        patient: str | Path | None = None,
    ) -> Arrays:
        """Parameters and states at the beginning, base units; the arguments are those of `simulate`."""
        flat = self.composition.flat
        place = {name: index for index, name in enumerate(flat.parameters)}
        bound = self.patient(patient) if patient is not None else None
        begun = values_by_symbol(
            self.composition, mapping_argument(start, "start", STARTS), (*STARTABLE, "held"), "start"
        )
        chosen = values_by_symbol(self.composition, mapping_argument(set, "set", SETTINGS), SETTABLE, "set")
        if bound is not None:
            chosen = {name: setting.value for name, setting in bound.parameters.items()} | chosen
            begun = {name: setting.value for name, setting in bound.starts.items()} | begun
        parameters = np.array(flat.values, dtype=np.float64)
        for name, value in {**{name: value for name, value in begun.items() if name in place}, **chosen}.items():
            parameters[place[name]] = value
        state = initial(self.compiled, parameters)
        for name, value in begun.items():
            if name not in place:
                state[flat.states.index(name)] = value
        return parameters, state

    def patient(self, name: str | Path) -> BoundPatient:
        """A patient file in terms of this model."""
        return bind_patient(read_patient(find("patient", name)), self.composition)

    def derivatives(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002
        patient: str | Path | None = None,
    ) -> dict[str, float]:
        """What changes each state at time 0, in the state's unit per day (residuals of unknowns in base units)."""
        parameters, state = self.start(start, set, patient)
        values = derivatives(self.compiled, 0.0, state, parameters)
        flat, symbols = self.composition.flat, self.composition.symbols
        factors = [
            1.0 if free else symbols[name].unit.factor for name, free in zip(flat.states, flat.algebraic, strict=True)
        ]
        return {name: float(v / f) for name, v, f in zip(flat.states, values, factors, strict=True)}

    def values(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002
        patient: str | Path | None = None,
    ) -> Mapping[str, float]:
        """Every state, parameter, rate and quantity at time 0, in its own unit; looked up by name or symbol."""
        parameters, state = self.start(start, set, patient)
        return Trajectory(
            composition=self.composition,
            time=np.zeros(1),
            states=state[None, :],
            outputs=observe(self.compiled, 0.0, state, parameters)[None, :],
            parameters=parameters,
            constants=constant_values(self.composition.flat, parameters),
            last=Moment(self.composition, 0.0, state, parameters),
            counts={},
        ).at(0.0)

    def jacobian(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002
        patient: str | Path | None = None,
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the states and the exact Jacobian, in the states' units per day."""
        parameters, state = self.start(start, set, patient)
        matrix = dense_jacobian(self.compiled, 0.0, state, parameters)
        factors = np.array([self.composition.symbols[name].unit.factor for name in self.composition.flat.states])
        return self.composition.flat.states, matrix * factors[None, :] / factors[:, None]

    def _steady_state(self, repeated: Sequence[Mapping[str, Any]], opening: float, **settings: Any) -> Moment:
        """Return the state that repeats itself from dose to dose: where the run begins, before its first dose."""
        every = time_argument(repeated[0]["every"], "every")
        cycle = [{key: value for key, value in dose.items() if key not in ("every", "times")} for dose in repeated]
        scale, rtol = np.array(self.composition.flat.scale), settings["rtol"]
        for _ in range(MOST_CYCLES):
            run = self.simulate(opening + every, begin=opening, save=[opening + every], doses=cycle, **settings)
            before = settings["start"]
            settings["start"] = moment = replace(run.last, time=opening, given=())
            if isinstance(before, Moment):
                allowed = 10.0 * rtol * (np.abs(moment.state) + scale)
                if np.all(np.abs(moment.state - before.state) <= allowed):
                    return moment
        message = f"no steady state after {MOST_CYCLES} intervals of {every:g} days."
        raise InputError(
            Fault("steady_state", message, "Does the model clear what is given? Else give the doses one by one.")
        )

    def _check(self, method: str, rtol: Any, maximum_steps: Any) -> None:
        """Arguments of the solver that cannot be meant so."""
        if method not in METHODS:
            cure = did_you_mean(str(method), METHODS) or f"Use one of: {', '.join(METHODS)}."
            raise InputError(Fault("method", f"{method!r} is not a method.", cure))
        if method == "explicit" and any(self.composition.flat.algebraic):
            cure = 'Use method="stiff".'
            raise InputError(Fault("method", "the explicit method cannot solve for algebraic unknowns.", cure))
        if not isinstance(rtol, (int, float)) or not 1e-14 <= rtol <= 0.1:
            raise InputError(Fault("rtol", f"{rtol!r} is not a relative tolerance.", "Give one from 1e-13 to 0.01."))
        whole_argument(maximum_steps, "maximum_steps", 1)

    def _stops(
        self,
        parameters: NDArray[np.float64],
        doses: Sequence[Mapping[str, Any]],
        courses: Sequence[Mapping[str, Any]],
        visits: Sequence[str | float],
        opening: float,
    ) -> ScheduledEvents:
        document = TomlDocument(Path("simulate"), "simulate(...)", {}, "", {})
        given = read_doses(document, doses, ("doses",), self.composition, whole=False)
        levels = read_courses(document, courses, ("courses",), self.composition, whole=False)
        document.finish()
        met = [time_argument(each, "visits") for each in list_argument(visits, "visits", 'visits=["3 month"]')]
        neutral = dict(zip(self.composition.flat.parameters, parameters.tolist(), strict=True))
        return scheduled_events(self.composition, given, levels, met, neutral, begin=opening)

    def _trajectory(
        self,
        outcome: Outcome,
        records: NDArray[np.float64],
        parameters: NDArray[np.float64],
        given: tuple[tuple[str, float], ...],
    ) -> Trajectory:
        assert outcome.states is not None
        return Trajectory(
            composition=self.composition,
            time=records[: len(outcome.times)],
            states=outcome.states,
            outputs=outcome.outputs,
            parameters=parameters,
            constants=constant_values(self.composition.flat, parameters),
            last=Moment(self.composition, outcome.time, outcome.state, outcome.parameters, given),
            counts=vars(outcome.counts),
            reason=outcome.reason.name.lower().replace("_", " "),
        )


def load_model(names: str | Path | Sequence[str | Path]) -> Model:
    """A model by name or path, or a stack of several; files announced under `[uses]` come along.

    Raises
    ------
    InputError : every fault of every file.
    """
    example = 'load_model("topp2000"), or load_model(["topp2000", "my/therapy.toml"])'
    wanted = [names] if isinstance(names, (str, Path)) else list_argument(names, "load_model", example)
    if not wanted:
        raise InputError(Fault("load_model", "expected at least one model.", f"Write {example}."))
    wanted = [name_argument(each, "load_model", example) for each in wanted]
    composition = compose_stack(wanted)
    if composition.clocks is None:  # inputs and held values change in time, so they are recorded with the rest
        flat = composition.flat
        moving = [name for name, symbol in composition.symbols.items() if symbol.kind in ("input", "held")]
        outputs = tuple(dict.fromkeys([*flat.outputs, *moving]))
        composition = replace(composition, flat=replace(flat, outputs=outputs))
    return Model(composition)


def failure_message(
    composition: Composition, outcome: Outcome, who: str = "", states: Sequence[str] | None = None
) -> str:
    """What a failed run says: what happened, to which state, when, to whom, and what to try.

    Parameters
    ----------
    states : names of the states of the run, where it was of a part of the composition.
    """
    words = {
        Reason.NOT_FINITE: "became infinite or undefined",
        Reason.STEP_TOO_SMALL: "changed faster than time can be divided",
        Reason.TOO_MANY_STEPS: "needed more steps than allowed",
        Reason.SINGULAR: "is not determined by its equation",
        Reason.NO_CONSISTENT_START: "has no consistent start",
    }
    name, shown = "the solution", ""
    if outcome.worst >= 0:
        name = (states or composition.flat.states)[outcome.worst]
        if name in composition.symbols:
            unit = composition.symbols[name].unit
            shown = f" ({convert(outcome.state[outcome.worst], unit):.4g} {unit.text})".replace(" )", ")")
    subject = f"{who}: " if who else ""
    return f"{subject}{name}{shown} {words[outcome.reason]} at day {outcome.time:.6g}. {ADVICE[outcome.reason]}"
