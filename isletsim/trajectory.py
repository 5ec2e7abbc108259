"""A finished run of one model: every quantity over time, indexed by name, in the units the files declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.arguments import optional_class, time_argument
from isletsim.composition import Composition, Symbol
from isletsim.composition.names import find_symbol
from isletsim.errors import Fault, InputError
from isletsim.solver import ADVICE, Outcome, Reason
from isletsim.units import Quantity, convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Moment", "Trajectory", "undefined_output"]


@dataclass(frozen=True)
class Moment(Mapping[str, Quantity]):
    """All states, algebraic unknowns and held values at one time: the start of a next leg.

    `given` names the doses and visits of that instant with their amounts, all of which the state contains. A leg that
    starts here does not repeat them.
    """

    composition: Composition = field(repr=False)
    time: float
    state: NDArray[np.float64] = field(repr=False)
    parameters: NDArray[np.float64] = field(repr=False)
    given: tuple[tuple[str, float], ...] = ()

    def __getitem__(self, name: str) -> Quantity:
        symbol = find_symbol(self.composition, name, ("state", "unknown", "held"))
        flat = self.composition.flat
        source, names = (self.parameters, flat.parameters) if symbol.kind == "held" else (self.state, flat.states)
        return Quantity(float(source[names.index(symbol.name)]), symbol.unit)

    def __iter__(self) -> Iterator[str]:
        held = [name for name, symbol in self.composition.symbols.items() if symbol.kind == "held"]
        return iter([*self.composition.flat.states, *held])

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Trajectory:
    """A run of one model.

    `trajectory["G"]` is an array over `time` (days) in the unit the file declares; a chain of classes gives one column
    a class. `parameters` are those of the beginning. `last` starts a next leg. `counts` are the solver's.
    """

    composition: Composition = field(repr=False)
    time: NDArray[np.float64]
    states: NDArray[np.float64] = field(repr=False)
    outputs: NDArray[np.float64] = field(repr=False)
    parameters: NDArray[np.float64] = field(repr=False)
    constants: Mapping[str, float] = field(repr=False)
    last: Moment
    counts: Mapping[str, int]
    reason: str = "done"

    def __repr__(self) -> str:
        flat, span = (
            self.composition.flat,
            f"{self.time[0]:g} to {self.time[-1]:g} days" if len(self.time) else "no time",
        )
        return (
            f"<Trajectory of {flat.name}: {len(self.time)} times from {span}, {len(flat.states)} states, {self.reason}>"
        )

    def _repr_html_(self) -> str:
        """Return a table of the last record, for notebooks."""
        rows = [(name, self[name], self.unit(name)) for name in self.composition.flat.states if "[" not in name]
        cells = "".join(
            f"<tr><td>{escape(name)}</td><td>{values[0]:.5g}</td><td>{values[-1]:.5g}</td><td>{escape(unit)}</td></tr>"
            for name, values, unit in rows
            if len(values)
        )
        head = "<tr><th>state</th><th>first</th><th>last</th><th>unit</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{cells}</table>"

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        symbol = find_symbol(self.composition, name)
        if symbol.classes:
            columns = [self._column(symbol, f"{symbol.name}[{index}]") for index in range(1, symbol.classes + 1)]
            return np.stack(columns, axis=1)
        return self._column(symbol, symbol.name)

    def _column(self, symbol: Symbol, name: str) -> NDArray[np.float64]:
        flat = self.composition.flat
        if name in flat.states:
            values = self.states[:, flat.states.index(name)]
        elif name in flat.outputs:
            values = self.outputs[:, flat.outputs.index(name)]
        elif name in flat.parameters:
            values = np.full(len(self.time), self.parameters[flat.parameters.index(name)])
        elif name in self.constants:
            values = np.full(len(self.time), self.constants[name])
        else:
            raise InputError(Fault(name, "was not recorded in this run."))
        return np.asarray(convert(values, symbol.unit))

    def unit(self, name: str) -> str:
        """The unit that `trajectory[name]` is in."""
        return find_symbol(self.composition, name).unit.text

    def at(self, time: str | float) -> Mapping[str, Any]:
        """The values of one recorded time, as a mapping that is looked up by name.

        Raises
        ------
        InputError : the time was not recorded.
        """
        wanted = time_argument(time, "at")
        row = int(np.argmin(np.abs(self.time - wanted)))
        if abs(self.time[row] - wanted) > 1e-9 * max(1.0, abs(wanted)):
            cure = f"The nearest record is {self.time[row]:.6g} day; add this time to save."
            raise InputError(Fault(f"at({time!r})", "was not recorded.", cure))
        return _Row(self, row)

    def to_xarray(self) -> Any:
        """Return an xarray ``Dataset`` over time with every state and output; each variable has its unit.

        Raises
        ------
        InputError : xarray, an extra of the package, is not installed.
        """
        dataset = optional_class("xarray", "Dataset", "to_xarray()")
        found = {name: ("time", self[name], {"units": self.unit(name)}) for name in self._shown()}
        return dataset(found, coords={"time": ("time", self.time, {"units": "day"})})

    def _shown(self) -> list[str]:
        flat = self.composition.flat
        names = [name.removeprefix("report.") for name in (*flat.states, *flat.outputs)]
        return list(dict.fromkeys(name for name in names if not name.startswith("change(")))

    def to_pandas(self) -> Any:
        """A table with one column for every state and output.

        Raises
        ------
        InputError : pandas, an extra of the package, is not installed.
        """
        frame = optional_class("pandas", "DataFrame", "to_pandas()")
        return frame({"time_day": self.time, **{name: self[name] for name in self._shown()}})


@dataclass(frozen=True)
class _Row(Mapping[str, Any]):
    trajectory: Trajectory
    row: int

    def __getitem__(self, name: str) -> Any:
        value = self.trajectory[name][self.row]
        return float(value) if np.ndim(value) == 0 else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.trajectory.composition.flat.states)

    def __len__(self) -> int:
        return len(self.trajectory.composition.flat.states)


def undefined_output(composition: Composition, outcome: Outcome) -> str:
    """Return what to say of the first output that is not finite in a record; empty if all are."""
    finite = np.isfinite(outcome.outputs)
    if finite.all():
        return ""
    row = int(np.argmin(finite.all(axis=1)))
    column = int(np.argmin(finite[row]))
    value = "infinite" if np.isinf(outcome.outputs[row, column]) else "undefined (NaN)"
    name = composition.flat.outputs[column]
    return f"{name} is {value} at day {outcome.times[row]:.6g}. {ADVICE[Reason.NOT_FINITE]}"
