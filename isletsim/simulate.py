"""One model, run from Python: `load_model("topp2000").simulate(until="100 day")["G"]`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.compiler import CompiledModel, compile_model
from isletsim.expressions.evaluate import evaluate
from isletsim.faults import Fault, InputError, RunError
from isletsim.flat import FlatModel
from isletsim.layers import Composition
from isletsim.library import compose_stack
from isletsim.lookup import SETTABLE, STARTABLE, values_by_symbol
from isletsim.patient import BoundPatient, bind_patient, read_patient
from isletsim.places import find
from isletsim.point import dense_jacobian, derivatives, initial, observe
from isletsim.regimen import read_courses, read_doses, stops_of, to_schedule
from isletsim.solver import ADVICE, Outcome, Reason, solve
from isletsim.source import Page
from isletsim.trajectory import Moment, Trajectory
from isletsim.units import Quantity, UnitError, convert, days

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Model", "bare_stops", "failure_message", "load_model"]

ROWS = 200  # records of a run for which nothing else is asked
_COMPILING = threading.Lock()


@dataclass(frozen=True)
class Model:
    """A stack of model files, ready to run. Looked up by file name, by name or by the paper's symbol."""

    composition: Composition = field(repr=False)

    @property
    def name(self) -> str:
        """The names of its files, joined."""
        return self.composition.flat.name

    @cached_property
    def compiled(self) -> CompiledModel:
        """The machine code, made when first needed."""
        with _COMPILING:
            return compile_model(self.composition.flat)

    def simulate(
        self,
        until: str | float,
        *,
        save: str | Sequence[str | float] | None = None,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of scenario files and of the command line
        patient: str | Path | None = None,
        doses: Sequence[Mapping[str, Any]] = (),
        courses: Sequence[Mapping[str, Any]] = (),
        visits: Sequence[str] = (),
        begin: str | float = 0.0,
        method: str = "stiff",
        rtol: float = 1e-6,
        maximum_steps: int = 1_000_000,
    ) -> Trajectory:
        """A run from its start (or from where another ended) until a time.

        Parameters
        ----------
        until, begin : times such as "400 day" or "30 min"; a bare number is days.
        save : a spacing ("1 day"), or a list of times; 200 even records when not given.
        start : start values by name or symbol ("100 mg/dL"), or `trajectory.last` of an earlier leg.
        set : parameters by name or symbol.
        patient : a patient file whose settings apply (its history is not lived here; scenarios do that).
        doses, courses : as in scenario files; times are not rounded.
        visits : times at which held values of the kind "visit" are revised.
        method : "stiff" (Rosenbrock, order 5) or "explicit" (Runge-Kutta, order 8).

        Raises
        ------
        InputError : anything given that is not understood.
        RunError : the run failed; `partial` holds the trajectory until then.
        """
        if method not in ("stiff", "explicit"):
            raise InputError(Fault("method", f'"{method}" is not a method.', 'Use "stiff" or "explicit".'))
        opening, closing = _time(begin, "begin"), _time(until, "until")
        if not closing > opening:
            raise InputError(Fault("until", f"{until!r} is not after the beginning."))
        parameters, state = self.start(start, set, patient)
        page = Page(Path("simulate"), "simulate(...)", {}, "", {})
        given = read_doses(page, doses, ("doses",), self.composition, whole=False)
        levels = read_courses(page, courses, ("courses",), self.composition, whole=False)
        page.finish()
        flat = self.composition.flat
        defaults = dict(zip(flat.parameters, parameters, strict=True))
        times = [_time(each, "visits") for each in visits]
        stops = stops_of(self.composition, given, levels, times, closing, defaults)
        bare = bare_stops(self.compiled, parameters, opening, closing)
        outcome = solve(
            self.compiled,
            state,
            parameters,
            span=(opening, closing),
            save=_records(save, opening, closing),
            schedule=to_schedule(stops, bare, opening, closing),
            rtol=rtol,
            atol=rtol * 0.01 * np.array(flat.scale),
            method=method,  # type: ignore[arg-type]
            maximum_steps=maximum_steps,
        )
        trajectory = self._trajectory(outcome, parameters)
        if outcome.reason.failed:
            raise RunError(failure_message(self.composition, outcome), partial=trajectory)
        return trajectory

    def start(
        self, start: Mapping[str, Any] | None, settings: Mapping[str, Any] | None, patient: str | Path | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Parameters and states at the beginning, base units."""
        composition = self.composition
        place = {name: index for index, name in enumerate(composition.flat.parameters)}
        parameters = np.array(composition.flat.values, dtype=np.float64)
        bound = self.patient(patient) if patient is not None else None
        if bound is not None:
            for name, setting in bound.parameters.items():
                parameters[place[name]] = setting.value
        begun = values_by_symbol(composition, start or {}, (*STARTABLE, "held"), "start")
        chosen = values_by_symbol(composition, settings or {}, SETTABLE, "set")
        held = {name: value for name, value in begun.items() if name in place}
        for name, value in {**held, **chosen}.items():
            parameters[place[name]] = value
        state = initial(self.compiled, parameters)
        if bound is not None:
            for name, setting in bound.starts.items():
                state[composition.flat.states.index(name)] = setting.value
        for name, value in begun.items():
            if name not in held:
                state[composition.flat.states.index(name)] = value
        return parameters, state

    def patient(self, name: str | Path) -> BoundPatient:
        """A patient file in terms of this model."""
        return bind_patient(read_patient(find("patient", name)), self.composition)

    def derivatives(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,
        **more: Any,  # noqa: A002
    ) -> dict[str, float]:
        """What changes each state at time 0, in the state's unit per day (residuals of unknowns in base units)."""
        parameters, state = self.start(start, set, more.get("patient"))
        values = derivatives(self.compiled, 0.0, state, parameters)
        flat, symbols = self.composition.flat, self.composition.symbols
        factors = [
            1.0 if free else symbols[name].unit.factor for name, free in zip(flat.states, flat.algebraic, strict=True)
        ]
        return {name: float(v / f) for name, v, f in zip(flat.states, values, factors, strict=True)}

    def values(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,
        **more: Any,  # noqa: A002
    ) -> Mapping[str, float]:
        """Every state, parameter, rate and quantity at time 0, in its own unit; looked up by name or symbol."""
        parameters, state = self.start(start, set, more.get("patient"))
        outputs = observe(self.compiled, 0.0, state, parameters)
        moment = Moment(self.composition, 0.0, state, parameters)
        counts: dict[str, int] = {}
        constants = self._constants(parameters)
        whole = Trajectory(
            self.composition, np.zeros(1), state[None, :], outputs[None, :], parameters, constants, moment, counts
        )
        return whole.at(0.0)

    def jacobian(
        self,
        start: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,
        **more: Any,  # noqa: A002
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the states and the exact Jacobian, in the states' units per day."""
        parameters, state = self.start(start, set, more.get("patient"))
        matrix = dense_jacobian(self.compiled, 0.0, state, parameters)
        factors = np.array([self.composition.symbols[name].unit.factor for name in self.composition.flat.states])
        return self.composition.flat.states, matrix * factors[None, :] / factors[:, None]

    def _trajectory(self, outcome: Outcome, parameters: NDArray[np.float64]) -> Trajectory:
        moment = Moment(self.composition, outcome.time, outcome.state, outcome.parameters)
        assert outcome.states is not None
        return Trajectory(
            composition=self.composition,
            time=outcome.times,
            states=outcome.states,
            outputs=outcome.outputs,
            parameters=parameters,
            constants=self._constants(parameters),
            last=moment,
            counts=vars(outcome.counts),
            reason=outcome.reason.name.lower().replace("_", " "),
        )

    def _constants(self, parameters: NDArray[np.float64]) -> dict[str, float]:
        """The derived values for these parameters."""
        return _constant_values(self.composition.flat, parameters)


def load_model(names: str | Path | Sequence[str | Path]) -> Model:
    """A model by name or path, or a stack of several; files announced under `[uses]` come along.

    Raises
    ------
    InputError : every fault of every file.
    """
    wanted = [names] if isinstance(names, (str, Path)) else list(names)
    return Model(compose_stack(wanted))


def bare_stops(model: CompiledModel, parameters: NDArray[np.float64], begin: float, end: float) -> list[float]:
    """Times at which a run stops although nothing is done: periods of `mod(time, ...)` and knots of tables."""
    times = {knot for knot in model.flat.knots if begin < knot < end}
    if model.flat.periods:
        known = _constant_values(model.flat, parameters)
        for offset_tree, period_tree in model.flat.periods:
            offset, period = evaluate(offset_tree, known), evaluate(period_tree, known)
            if not period > 0 or (end - begin) / period > 10_000_000:
                raise InputError(Fault("mod(time, period)", f"a period of {period:g} days cannot be followed."))
            first, last = np.ceil((begin - offset) / period), np.floor((end - offset) / period)
            times.update((offset + period * np.arange(first, last + 1)).tolist())
    return sorted(time for time in times if begin < time < end)


def _constant_values(flat: FlatModel, parameters: NDArray[np.float64]) -> dict[str, float]:
    """Parameters and derived values by name."""
    known = dict(zip(flat.parameters, parameters.tolist(), strict=True))
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    return known


def failure_message(composition: Composition, outcome: Outcome, who: str = "") -> str:
    """What a failed run says: what happened, to which state, when, to whom, and what to try."""
    words = {
        Reason.NOT_FINITE: "became infinite or undefined",
        Reason.STEP_TOO_SMALL: "changed faster than time can be divided",
        Reason.TOO_MANY_STEPS: "needed more steps than allowed",
        Reason.SINGULAR: "is not determined by its equation",
        Reason.NO_CONSISTENT_START: "has no consistent start",
    }
    name = composition.flat.states[outcome.worst] if outcome.worst >= 0 else "the solution"
    shown = ""
    if outcome.worst >= 0:
        unit = composition.symbols[name].unit
        shown = f" ({convert(outcome.state[outcome.worst], unit):.4g} {unit.text})".replace(" )", ")")
    subject = f"{who}: " if who else ""
    return f"{subject}{name}{shown} {words[outcome.reason]} at day {outcome.time:.6g}. {ADVICE[outcome.reason]}"


def _time(value: str | float | Quantity, place: str) -> float:
    try:
        if isinstance(value, Quantity):
            return value.value
        return days(value) if isinstance(value, str) else float(value)
    except (UnitError, TypeError, ValueError) as reason:
        raise InputError(Fault(place, str(reason), 'Write a time such as "30 min" or "2 year".')) from None


def _records(save: str | Iterable[str | float] | None, begin: float, end: float) -> NDArray[np.float64]:
    if save is None:
        return np.linspace(begin, end, ROWS + 1)
    if isinstance(save, (str, float, int)):
        spacing = _time(save, "save")
        if not spacing > 0 or (end - begin) / spacing > 50_000_000:
            raise InputError(Fault("save", f"a spacing of {spacing:g} days cannot be recorded."))
        count = int((end - begin) / spacing * (1 + 1e-12) + 1e-9)
        times = begin + spacing * np.arange(count + 1)
        times[-1] = min(times[-1], end)
        return times if end - times[-1] < 1e-9 * max(1.0, abs(end)) else np.append(times, end)
    times = np.unique(np.array([_time(each, "save") for each in save], dtype=np.float64))
    if len(times) == 0 or times[0] < begin or times[-1] > end * (1 + 1e-12):
        raise InputError(Fault("save", "lies outside the run.", "Give times from begin to until."))
    return np.minimum(times, end)
