"""Many subjects of one model: their parameters and starts by name, and the recorded values of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.arguments import optional_class
from isletsim.composition import Composition, Symbol
from isletsim.composition.names import find_symbol, flat_names, read_value
from isletsim.errors import Fault, InputError
from isletsim.solver import Reason
from isletsim.units import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["Ensemble", "columns_of"]


@dataclass(frozen=True)
class Ensemble:
    """Runs of many subjects of one model.

    `ensemble["G"]` is an array (subjects, times) in the unit that the file declares; NaN after a run that failed. A
    chain of classes adds a last axis.

    Attributes
    ----------
    time : times of the records, in days.
    states, outputs : arrays (subjects, times, columns) in base units.
    parameters : array (subjects, parameters) in base units, as each run began.
    reasons : why each run ended ("done" or the failure).
    """

    composition: Composition = field(repr=False)
    time: Numbers = field(repr=False)
    states: Numbers = field(repr=False)
    outputs: Numbers = field(repr=False)
    parameters: Numbers = field(repr=False)
    reasons: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.reasons)

    def __repr__(self) -> str:
        return (
            f"<Ensemble of {self.composition.flat.name}: {len(self)} subjects, {len(self.time)} times from "
            f"{self.time[0]:g} to {self.time[-1]:g} days, {int(self.failed.sum())} failed>"
        )

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which runs ended before their end."""
        return np.array([reason != Reason.DONE.name.lower() for reason in self.reasons], dtype=bool)

    def __getitem__(self, name: str) -> Numbers:
        symbol = find_symbol(self.composition, name)
        columns = [self._column(each) for each in flat_names(symbol)]
        values = np.stack(columns, axis=-1) if symbol.classes else columns[0]
        return np.asarray(convert(values, symbol.unit))

    def _column(self, name: str) -> Numbers:
        flat = self.composition.flat
        if name in flat.states:
            return self.states[..., flat.states.index(name)]
        if name in flat.outputs:
            return self.outputs[..., flat.outputs.index(name)]
        if name in flat.parameters:
            column = self.parameters[:, flat.parameters.index(name)]
            return np.repeat(column[:, None], len(self.time), axis=1)
        raise InputError(Fault(name, "was not recorded in this ensemble."))

    def unit(self, name: str) -> str:
        """Return the unit of ``ensemble[name]``."""
        return find_symbol(self.composition, name).unit.text

    def _names(self) -> list[str]:
        flat = self.composition.flat
        names = [name.removeprefix("report.") for name in (*flat.states, *flat.outputs)]
        return list(dict.fromkeys(name for name in names if not name.startswith("change(") and "[" not in name))

    def to_pandas(self, names: Iterable[str] = ()) -> Any:
        """Return a ``DataFrame`` with a row for every subject and time, and a column for every name.

        Raises
        ------
        InputError : pandas, an extra of the package, is not installed; or a name is unknown.
        """
        frame = optional_class("pandas", "DataFrame", "to_pandas()")
        subjects = np.repeat(np.arange(len(self)), len(self.time))
        columns = {name: self[name].ravel() for name in names or self._names()}
        return frame({"subject": subjects, "time_day": np.tile(self.time, len(self)), **columns})

    def to_xarray(self, names: Iterable[str] = ()) -> Any:
        """Return an xarray ``Dataset`` with the dimensions subject and time; each variable has its unit.

        Raises
        ------
        InputError : xarray, an extra of the package, is not installed; or a name is unknown.
        """
        dataset = optional_class("xarray", "Dataset", "to_xarray()")
        found = {name: (("subject", "time"), self[name], {"units": self.unit(name)}) for name in names or self._names()}
        return dataset(found, coords={"subject": np.arange(len(self)), "time": ("time", self.time, {"units": "day"})})


def columns_of(
    composition: Composition, given: Any, kinds: Iterable[str], place: str
) -> tuple[dict[str, Numbers], int | None]:
    """Return columns of base values by flat name, and their length (None where all are single values).

    Parameters
    ----------
    given : a mapping or a DataFrame from names or symbols to an array with one number a subject, in the unit that the
        file declares, or to one quantity for all ("5 mmol/L"). None for nothing.
    """
    if given is None:
        return {}, None
    if not isinstance(given, Mapping) and not hasattr(given, "columns"):
        message = f"expected a mapping or a DataFrame from names to arrays, found {type(given).__name__}."
        raise InputError(Fault(place, message, f'Write {place}={{"NAME": [1.0, 2.0]}}, one number a subject.'))
    columns: dict[str, Numbers] = {}
    faults: list[Fault] = []
    length: int | None = None
    for name in given if isinstance(given, Mapping) else given.columns:
        where = f"{place} {name}"
        try:
            symbol = find_symbol(composition, name, tuple(kinds), where)
            column = _column_of(given[name], symbol, where)
        except InputError as reason:
            faults.extend(reason.faults)
            continue
        if len(column) != 1:
            if length is not None and length != len(column):
                faults.append(Fault(where, f"has {len(column)} subjects, and the columns before it have {length}."))
            length = len(column)
        columns |= dict.fromkeys(flat_names(symbol), column)
    if faults:
        raise InputError(faults)
    return columns, length


def _column_of(value: Any, symbol: Symbol, where: str) -> Numbers:
    if isinstance(value, str) or np.ndim(value) == 0:
        return np.array([read_value(value, symbol, where)])
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(Fault(where, "expected numbers, one a subject.", "Write [1.0, 2.0].")) from None
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise InputError(Fault(where, f"expected finite numbers, one a subject; found an array {numbers.shape}."))
    return numbers * symbol.unit.factor + symbol.unit.offset
