"""Arguments of the public functions: checked by kind, so that a wrong one is an `InputError` that names it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError
from isletsim.units import Quantity, UnitError, days, grid_times, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "list_argument",
    "mapping_argument",
    "name_argument",
    "optional_class",
    "records_argument",
    "step_argument",
    "time_argument",
    "whole_argument",
]

MOST_STEPS = 1e9  # of the longest length, in a run
ROWS = 200  # records of a run for which nothing else is asked
MOST_ROWS = 50_000_000
LARGEST = 2**63 - 1  # of whole numbers


def mapping_argument(value: Any, place: str, example: str) -> Mapping[str, Any]:
    """Return a mapping from names; None counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(Fault(place, f"expected a mapping from names, found {value!r}.", f"Write {example}."))
    return value


def list_argument(value: Any, place: str, example: str) -> list[Any]:
    """Return a list; a text, a mapping or a single value is none."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InputError(Fault(place, f"expected a list, found {value!r}.", f"Write {example}."))
    return list(value)


def name_argument(value: Any, place: str, example: str) -> str | Path:
    """Return a name or a path."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise InputError(Fault(place, f"expected a name or a path, found {value!r}.", f"Write {example}."))
    return value


def whole_argument(value: Any, place: str, least: int = 0) -> int:
    """Return a whole number, also one of NumPy, that is not below a bound."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= LARGEST:
        message = f"expected a whole number from {least} to {LARGEST}, found {value!r}."
        raise InputError(Fault(place, message, f"Write {least + 1}."))
    return int(value)


def optional_class(library: str, name: str, place: str) -> Any:
    """Return a class of a library that is an extra of the package.

    Raises
    ------
    InputError : the library is not installed.
    """
    from importlib import import_module

    try:
        return getattr(import_module(library), name)
    except ImportError:
        cure = f"Install it with: pip install 'isletsim[{library}]'"
        raise InputError(Fault(place, f"{library} is not installed.", cure)) from None


def time_argument(value: Any, place: str) -> float:
    """A time in days from what a person gave; `InputError` where it is none."""
    try:
        time = value.value if isinstance(value, Quantity) else days(value) if isinstance(value, str) else float(value)
    except (UnitError, TypeError, ValueError) as reason:
        raise InputError(Fault(place, str(reason), 'Write a time such as "30 min" or "2 year".')) from None
    if not math.isfinite(time):
        raise InputError(Fault(place, f"{value!r} is not a finite time."))
    return on_grid(time)


def step_argument(max_step: Any, length: float) -> float | None:
    """Return the longest step of a run of so many days; None for no limit."""
    if max_step is None:
        return None
    longest = time_argument(max_step, "max_step")
    if not (longest > 0.0 and length <= MOST_STEPS * longest):
        message = f"{max_step!r} is not a longest step for a run of {length:g} days."
        raise InputError(Fault("max_step", message, 'Give a positive time such as "1 hour".'))
    return longest


def records_argument(save: Any, begin: float, end: float) -> NDArray[np.float64]:
    """The times to record."""
    if save is None:
        return np.linspace(begin, end, ROWS + 1)
    if isinstance(save, (str, float, int, Quantity)):
        spacing = time_argument(save, "save")
        if not spacing > 0 or (end - begin) / spacing > MOST_ROWS:
            raise InputError(Fault("save", f"a spacing of {spacing:g} days cannot be recorded."))
        return np.array(grid_times(spacing, begin, end), dtype=np.float64)
    return _listed(save, begin, end)


def _listed(save: Any, begin: float, end: float) -> NDArray[np.float64]:
    times = np.array(
        [
            time_argument(each, "save")
            for each in list_argument(save, "save", 'save="1 day", or save=["0 day", "1 day"]')
        ],
        dtype=np.float64,
    )
    falls = np.flatnonzero(np.diff(times) <= 0)
    if len(falls):
        before, after = times[falls[0]], times[falls[0] + 1]
        message = f"the times are not in increasing order: {after:g} day follows {before:g} day."
        raise InputError(Fault("save", message, "Give each time once, the earliest first."))
    slack = 1e-12 * max(1.0, abs(begin), abs(end))
    if len(times) == 0 or times[0] < begin - slack or times[-1] > end + slack:
        raise InputError(Fault("save", "lies outside the run.", "Give times from begin to until."))
    return np.clip(times, begin, end)
