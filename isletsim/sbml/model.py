"""SBML model and its trajectory: every quantity by its identifier, in the units of the file."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.codegen import CompiledModel, compile_model
from isletsim.codegen.evaluate_at import derivatives, initial
from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.flat import FlatModel
from isletsim.sbml.event_plan import EventPlan, plan_events
from isletsim.sbml.flatten import flatten
from isletsim.sbml.flattened import Flattened
from isletsim.sbml.reading import read_document
from isletsim.sbml.records import Document, UnitPart, flat_name
from isletsim.sbml.running import Recorded, Settings, run
from isletsim.sbml.safe_powers import NEGLIGIBLE
from isletsim.sbml.unit_text import time_of, unit_text, value_of
from isletsim.solver import ADVICE, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SbmlModel", "SbmlTrajectory", "load_sbml"]

MOST_LOOKS = 100  # at rows in which the base of a power is negative
ROWS = 200  # records of a run for which nothing else is asked
_COMPILING = threading.Lock()
_KEPT = re.compile(r"^(?:(?:slow|amount|extent)\()*")  # how names of states begin that keep a quantity of the file


@dataclass(frozen=True)
class SbmlTrajectory:
    """Simulated trajectory: `trajectory["S1"]` is the value of the identifier in the file's mathematics, over `time`.

    `amount` and `concentration` give a species either way. `events` lists what happened when; `warnings` says which
    constraints of the file did not hold.
    """

    model: SbmlModel = field(repr=False)
    time: NDArray[np.float64]
    states: NDArray[np.float64] = field(repr=False)
    outputs: NDArray[np.float64] = field(repr=False)
    numbers: Mapping[str, float] = field(repr=False)
    events: tuple[tuple[float, str], ...]
    counts: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.column(flat_name(self.model.known(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self.model.names)

    def amount(self, name: str) -> NDArray[np.float64]:
        """Return a species as an amount of substance."""
        pool = self.model.flattened.pools[flat_name(self.model.known(name, "species"))]
        values = self.column(pool.value)
        return values if pool.is_amount else values * self.column(pool.compartment)

    def concentration(self, name: str) -> NDArray[np.float64]:
        """Return a species as an amount per size of its compartment."""
        pool = self.model.flattened.pools[flat_name(self.model.known(name, "species"))]
        values = self.column(pool.value)
        return values / self.column(pool.compartment) if pool.is_amount else values

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a quantity by its name in the flat model."""
        flat = self.model.flattened.flat
        if name in flat.states:
            return self.states[:, flat.states.index(name)]
        if name in flat.outputs:
            return self.outputs[:, flat.outputs.index(name)]
        return np.full(len(self.time), self.numbers[name])

    def unit(self, name: str) -> str:
        """Return the unit of `trajectory[name]` as text."""
        return self.model.unit(name)

    def to_pandas(self) -> Any:
        """Return a table with one column per quantity; needs the extra `pandas`."""
        import pandas as pd

        return pd.DataFrame({"time": self.time, **{name: self[name] for name in self}})


@dataclass(frozen=True)
class SbmlModel:
    """Model of an SBML file."""

    document: Document = field(repr=False)
    flattened: Flattened = field(repr=False)
    plan: EventPlan = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """The equations alone: another process takes the machine code from the cache, or compiles it again."""
        return {"document": self.document, "flattened": self.flattened, "plan": self.plan}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __hash__(self) -> int:
        flat = self.flattened.flat
        return hash((self.document.id, flat.states, flat.parameters, flat.values))

    @property
    def name(self) -> str:
        """Identifier of the model."""
        return self.document.id

    @property
    def flat(self) -> FlatModel:
        """Flat model with the events of the solver."""
        return self.plan.flat

    @cached_property
    def compiled(self) -> CompiledModel:
        """Machine code, compiled when first needed."""
        with _COMPILING:
            return compile_model(self.plan.flat)

    @cached_property
    def probe(self) -> CompiledModel | None:
        """Machine code of the probe, which is evaluated at events."""
        with _COMPILING:
            return None if self.plan.probe is None else compile_model(self.plan.probe)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Identifiers of all quantities."""
        document = self.document
        listed = (document.species, document.compartments, document.parameters, document.reactions)
        return tuple(each.id for kind in listed for each in kind)

    def known(self, name: str, kind: str = "") -> str:
        """Return the identifier if the file has it (among species only, when `kind` says so)."""
        names = [each.id for each in self.document.species] if kind == "species" else self.names
        if name not in names:
            what = kind or "quantity"
            raise InputError(Fault(name, f'The model {self.name} has no {what} "{name}".', did_you_mean(name, names)))
        return name

    def unit(self, name: str) -> str:
        """Return the unit of a quantity as text; empty for pure numbers and when the file gives none."""
        return unit_text(self.unit_parts(self.known(name)))

    def unit_parts(self, name: str) -> tuple[UnitPart, ...]:
        """Return the unit of a quantity as the file gives it."""
        document = self.document
        known = {each.id: each.unit for each in document.compartments}
        known |= {each.id: each.unit for each in document.parameters}
        if name in known:
            return known[name]
        for species in document.species:
            if species.id == name:
                pool = self.flattened.pools[flat_name(name)]
                return species.unit if pool.is_amount else (*species.unit, *_inverse(known[species.compartment]))
        return (*document.extent_unit, *_inverse(document.time_unit))

    def simulate(
        self,
        until: float | str,
        *,
        save: float | str | Sequence[float] | NDArray[np.float64] | None = None,
        start: Mapping[str, float | str] | None = None,
        set: Mapping[str, float | str] | None = None,  # noqa: A002 - the word of scenario files and of the command line
        method: str = "stiff",
        rtol: float = 1e-6,
        atol: float | None = None,
        maximum_steps: int = 1_000_000,
        seed: int = 0,
    ) -> SbmlTrajectory:
        """Simulate from time 0.

        Parameters
        ----------
        until : a time with its unit ("10 day"), or a number in the file's unit of time.
        save : a spacing, or a list of times; 200 even records when not given.
        start : initial values of what changes in time, in the meaning of the file's mathematics.
        set : values of what is constant. Numbers are in the units of the file; "5 mmol/L" is converted.
        rtol, atol : tolerances of the solver; atol is rtol / 100 of each state's own size when not given.
        seed : of the order of events that happen at once with equal priority.

        Raises
        ------
        InputError : anything given that is not understood.
        RunError : the run failed; `partial` holds the trajectory until then.
        """
        end = time_of(until, self.document, "until")
        if not (math.isfinite(end) and end >= 0):
            raise InputError(Fault("until", f"{until!r} is no time after the beginning."))
        if isinstance(save, str):
            save = time_of(save, self.document, "save")
        parameters = self._parameters(start or {}, set or {})
        state = initial(self.compiled, parameters)
        size = rtol * 0.01 * np.array(self.flat.scale) if atol is None else np.full(len(state), atol)
        settings = Settings(end, _records(save, end), rtol, size, method, maximum_steps, seed)
        recorded = run(self.plan, self.compiled, self.probe, parameters, state, settings)
        trajectory = self._trajectory(recorded, parameters)
        if recorded.failure is not None:
            raise RunError(self._said(recorded), partial=trajectory)
        self._check_signs(trajectory, parameters)
        return trajectory

    def _parameters(self, start: Mapping[str, float | str], settings: Mapping[str, float | str]) -> NDArray[np.float64]:
        flat, pools = self.flat, self.flattened.pools
        place = {name: index for index, name in enumerate(flat.parameters)}
        values = np.array(flat.values, dtype=np.float64)
        for name, given in {**settings, **start}.items():
            inner = flat_name(self.known(name))
            value = value_of(given, self.unit_parts(name), name)
            for candidate in (inner, f"start({inner})"):
                if candidate in place:
                    values[place[candidate]] = value
                    break
            else:
                pool = pools.get(inner)
                amount = f"amount({inner})"
                found = [each for each in (amount, f"start({amount})") if each in place]
                if pool is None or not found:
                    raise InputError(Fault(name, "The file computes this value; it cannot be set."))
                values[place[found[0]]] = value * self._begun(pool.compartment, values)
        return values

    def _begun(self, name: str, parameters: NDArray[np.float64]) -> float:
        """Return the initial size of a compartment."""
        flat = self.flat
        if name in flat.states:
            return float(initial(self.compiled, parameters)[flat.states.index(name)])
        numbers = self._numbers(parameters)
        return numbers.get(f"start({name})", numbers.get(name, math.nan))

    def _numbers(self, parameters: NDArray[np.float64]) -> dict[str, float]:
        """Return all constants by their names in the flat model."""
        from isletsim.language import evaluate

        known = dict(zip(self.flat.parameters, parameters.tolist(), strict=True))
        for name, tree in self.flat.constants:
            known[name] = evaluate(tree, known)
        return known

    def _trajectory(self, recorded: Recorded, parameters: NDArray[np.float64]) -> SbmlTrajectory:
        return SbmlTrajectory(
            model=self,
            time=recorded.times,
            states=recorded.states,
            outputs=recorded.outputs,
            numbers=self._numbers(parameters),
            events=recorded.events,
            counts=recorded.counts,
            warnings=(*self.document.warnings, *self._broken(recorded)),
        )

    def _check_signs(self, trajectory: SbmlTrajectory, parameters: NDArray[np.float64]) -> None:
        """Refuse negative amounts in fast reactions and negative bases of powers."""
        fast = {name: trajectory.column(name) for name in self.flattened.fast}
        most = max((float(np.abs(values).max(initial=0.0)) for values in fast.values()), default=0.0)
        for name, values in fast.items():
            rows = _below_zero(values, most)  # one of them may be nothing but rounding
            if len(rows):
                message = (
                    f"{name} is negative at time {trajectory.time[rows[0]]:g}: fast reactions have another balance."
                )
                raise RunError(message, partial=trajectory)
        for name in self.flattened.bases:
            values = trajectory.column(name)
            for row in _below_zero(values, float(np.abs(values).max(initial=0.0)))[:MOST_LOOKS]:
                strictly = derivatives(self._strict, trajectory.time[row], trajectory.states[row], parameters)
                if np.isnan(strictly).any():
                    message = f"{name} is negative at time {trajectory.time[row]:g}, and raised to a power that is no"
                    raise RunError(f"{message} whole number.", partial=trajectory)

    @cached_property
    def _strict(self) -> CompiledModel:
        with _COMPILING:
            return compile_model(self.flattened.strict)

    def _broken(self, recorded: Recorded) -> Iterator[str]:
        """Yield the constraints that are violated in some record."""
        for index, constraint in enumerate(self.document.constraints):
            column = recorded.outputs[:, self.flat.outputs.index(f"constraint({index})")]
            if (column == 0.0).any():
                time = recorded.times[int(np.argmin(column))]
                said = f": {constraint.message}" if constraint.message else ""
                yield f"constraint {index + 1} does not hold at time {time:g}{said}"

    def _said(self, recorded: Recorded) -> str:
        """Return the reason of a failed run."""
        outcome = recorded.failure
        assert outcome is not None
        name = self.flat.states[outcome.worst] if outcome.worst >= 0 else "the solution"
        missing = self.flattened.valueless
        if outcome.reason is Reason.NOT_FINITE and missing:
            listed = ", ".join(missing[:5]) + (" and others" if len(missing) > 5 else "")
            return f"{name} is undefined at time {outcome.time:g}: the file gives no value to {listed}."
        words = outcome.reason.name.lower().replace("_", " ")
        said = f"{_KEPT.sub('', name).rstrip(')')}: {words} at time {outcome.time:.6g}."
        fast = [each.id for each in self.document.reactions if each.fast]
        if outcome.reason is Reason.SINGULAR and fast:
            return f"{said} The fast reactions ({', '.join(fast)}) determine no single balance here."
        return f"{said} {ADVICE[outcome.reason]}"


def _below_zero(values: NDArray[np.float64], most: float) -> NDArray[np.int64]:
    """Return the rows in which a quantity is more negative than rounding explains."""
    return np.flatnonzero(values < -NEGLIGIBLE * most)


def _inverse(parts: tuple[UnitPart, ...]) -> tuple[UnitPart, ...]:
    return tuple((kind, -exponent, scale, multiplier) for kind, exponent, scale, multiplier in parts)


def load_sbml(path: str | Path) -> SbmlModel:
    """Load the model of an SBML file.

    Raises
    ------
    InputError : all faults and unsupported parts of the file, by name and place.
    """
    flattened = flatten(read_document(Path(path)))
    return SbmlModel(flattened.document, flattened, plan_events(flattened))


def _records(save: float | Sequence[float] | NDArray[np.float64] | None, until: float) -> NDArray[np.float64]:
    if save is None:
        return np.linspace(0.0, until, ROWS + 1)
    if isinstance(save, int | float):
        if not save > 0 or until / save > 50_000_000:
            raise InputError(Fault("save", f"a spacing of {save:g} cannot be recorded."))
        count = int(until / save * (1 + 1e-12) + 1e-9)
        times = np.minimum(save * np.arange(count + 1), until)
        return times if until - times[-1] < 1e-9 * max(1.0, until) else np.append(times, until)
    times = np.array(save, dtype=np.float64)
    if len(times) == 0 or times[0] < 0 or times[-1] > until * (1 + 1e-12) or (np.diff(times) < 0).any():
        raise InputError(Fault("save", "must rise, from 0 to until."))
    return np.asarray(np.minimum(times, until))
