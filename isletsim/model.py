"""One model, run from Python: `load_model("topp2000").simulate(until="100 day")["G"]`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
    to_schedule,
    without_given,
)
from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.language import TomlDocument
from isletsim.patient import BoundPatient, bind_patient, read_patient
from isletsim.solver import ADVICE, Outcome, Reason, solve
from isletsim.trajectory import Moment, Trajectory
from isletsim.units import Quantity, UnitError, convert, days, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Model", "breakpoints", "constant_values", "failure_message", "load_model"]

ROWS = 200  # records of a run for which nothing else is asked
MOST_ROWS = 50_000_000
MOST_CYCLES = 2_000  # intervals between doses until a steady state
METHODS = ("stiff", "explicit")
_COMPILING = threading.Lock()

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

    @cached_property
    def compiled(self) -> CompiledModel:
        """The machine code, made when first needed."""
        if self.composition.clocks is not None:
            cure = "Write a scenario over it and use load_scenario."
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

        Raises
        ------
        InputError : anything given that is not understood.
        RunError : the run failed; `partial` holds the trajectory until then.
        """
        _check_tables(start, set, doses, courses)
        opening, closing = _time(begin, "begin"), _time(until, "until")
        if not closing > opening:
            raise InputError(Fault("until", f"{until!r} is not after the beginning."))
        self._check(method, rtol, maximum_steps)
        records = _records(save, opening, closing)
        repeated, doses = _steady_doses(doses, opening)
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
            maximum_steps=maximum_steps,
        )
        given = given_at(events, self.composition, closing)
        trajectory = self._trajectory(outcome, records, parameters, given)
        if outcome.reason.failed:
            raise RunError(failure_message(self.composition, outcome), partial=trajectory)
        return trajectory

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
        begun = values_by_symbol(self.composition, start or {}, (*STARTABLE, "held"), "start")
        chosen = values_by_symbol(self.composition, set or {}, SETTABLE, "set")
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
        every = _time(repeated[0]["every"], "every")
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
        if not isinstance(maximum_steps, int) or maximum_steps < 1:
            raise InputError(Fault("maximum_steps", f"{maximum_steps!r} is not a positive whole number."))

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
        met = [_time(each, "visits") for each in visits]
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
    wanted = [names] if isinstance(names, (str, Path)) else list(names)
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


def _steady_doses(
    doses: Sequence[Mapping[str, Any]], opening: float
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Split off the regimens that are in steady state at the beginning; all doses, without that word, come second."""
    plain: list[Mapping[str, Any]] = [
        {key: value for key, value in dose.items() if key != "steady_state"} for dose in doses
    ]
    repeated = [
        bare for dose, bare in zip(doses, plain, strict=True) if _flag(dose.get("steady_state", False), "steady_state")
    ]
    intervals = {_time(dose.get("every", math.nan), "every") for dose in repeated if "every" in dose}
    if len(intervals) > 1 or any("every" not in dose for dose in repeated):
        message = "a steady state needs one interval: every dose with steady_state has the same `every`."
        raise InputError(Fault("steady_state", message, 'Write every = "12 hour".'))
    if any(_time(dose.get("at", 0.0), "at") != opening for dose in repeated):
        message = "a dose in steady state is not at the beginning of the run."
        raise InputError(Fault("steady_state", message, f'Write at = "{opening:g} day".'))
    return repeated, plain


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(Fault(place, f"{value!r} is neither true nor false."))
    return value


# --- times ------------------------------------------------------------------------------------------------------------


def _check_tables(start: Any, values: Any, doses: Any, courses: Any) -> None:
    """Refuse what is no table, or no list of tables."""
    for place, given in (("start", start), ("set", values)):
        if given is not None and not isinstance(given, Mapping | Moment):
            raise InputError(Fault(place, f"expected a table of values by name, found {given!r}."))
    for place, given in (("doses", doses), ("courses", courses)):
        if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(x, Mapping) for x in given):
            raise InputError(Fault(place, f"expected a list of tables, found {given!r}."))


def _time(value: Any, place: str) -> float:
    """A time in days from what a person gave; `InputError` where it is none."""
    try:
        time = value.value if isinstance(value, Quantity) else days(value) if isinstance(value, str) else float(value)
    except (UnitError, TypeError, ValueError) as reason:
        raise InputError(Fault(place, str(reason), 'Write a time such as "30 min" or "2 year".')) from None
    if not math.isfinite(time):
        raise InputError(Fault(place, f"{value!r} is not a finite time."))
    return on_grid(time)


def _records(save: Any, begin: float, end: float) -> NDArray[np.float64]:
    """The times to record."""
    if save is None:
        return np.linspace(begin, end, ROWS + 1)
    if isinstance(save, (str, float, int, Quantity)):
        spacing = _time(save, "save")
        if not spacing > 0 or (end - begin) / spacing > MOST_ROWS:
            raise InputError(Fault("save", f"a spacing of {spacing:g} days cannot be recorded."))
        count = math.floor((end - begin) / spacing * (1 + 1e-12) + 1e-9)
        times = np.array([on_grid(begin + spacing * number) for number in range(count + 1)], dtype=np.float64)
        if abs(times[-1] - end) <= 1e-9 * max(1.0, abs(end)):
            times[-1] = end
            return times
        return np.append(times, end)
    return _listed(save, begin, end)


def _listed(save: Iterable[Any], begin: float, end: float) -> NDArray[np.float64]:
    times = np.array([_time(each, "save") for each in save], dtype=np.float64)
    falls = np.flatnonzero(np.diff(times) <= 0)
    if len(falls):
        before, after = times[falls[0]], times[falls[0] + 1]
        message = f"the times are not in increasing order: {after:g} day follows {before:g} day."
        raise InputError(Fault("save", message, "Give each time once, the earliest first."))
    slack = 1e-12 * max(1.0, abs(begin), abs(end))
    if len(times) == 0 or times[0] < begin - slack or times[-1] > end + slack:
        raise InputError(Fault("save", "lies outside the run.", "Give times from begin to until."))
    return np.clip(times, begin, end)
