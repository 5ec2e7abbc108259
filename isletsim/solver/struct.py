"""Structs in memory that Python and compiled functions share; every field has a name and a type.

A struct is declared as a class whose annotations are its fields: `int` and `float` (64 bits), pointers to arrays
(`Reals`, `Integers`, `ShortIntegers`), and rows with one number per lane inside the struct (`RealRow`, `IntegerRow`).
The type checker reads the class, `layout_of` gives the offsets. Python reads and writes the fields through `ctypes`,
compiled functions through `isletsim.solver.intrinsics`. Nothing here imports numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import MutableSequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Constant",
    "IntegerRow",
    "Integers",
    "Layout",
    "RealRow",
    "Reals",
    "Record",
    "ShortIntegers",
    "address_of",
    "aligned_zeros",
    "layout_of",
    "new_record",
]

Reals: TypeAlias = MutableSequence[float]
Integers: TypeAlias = MutableSequence[int]
ShortIntegers: TypeAlias = MutableSequence[int]
RealRow: TypeAlias = MutableSequence[float]
IntegerRow: TypeAlias = MutableSequence[int]
Constant: TypeAlias = int  # known when a function is compiled, and not in memory

ROWS = ("RealRow", "IntegerRow")
LINE = 64  # bytes of a cache line, and of the widest vector register


class Field(NamedTuple):
    """A field: the annotation it was declared with, and its offset in bytes."""

    kind: str
    offset: int


class Layout(NamedTuple):
    """The fields of a struct for one number of lanes, and its size in bytes."""

    name: str
    lanes: int
    fields: dict[str, Field]
    size: int


def layout_of(declared: type, lanes: int = 1) -> Layout:
    """Return the layout of a declared struct: single fields first, at the same offsets for every width, then rows."""
    annotations: dict[str, str] = declared.__annotations__
    fields: dict[str, Field] = {}
    place = 0
    for name, kind in annotations.items():
        if kind not in (*ROWS, "Constant"):
            fields[name] = Field(kind, place)
            place += 8
    place = -(-place // LINE) * LINE
    for name, kind in annotations.items():
        if kind in ROWS:
            fields[name] = Field(kind, place)
            place += 8 * lanes
    return Layout(f"{declared.__name__}{lanes}", lanes, fields, -(-place // LINE) * LINE)


class Record(ctypes.Structure):
    """A struct in memory; the arrays whose addresses it holds are kept alive by it."""

    layout: Layout
    held: dict[str, Any]

    @property
    def address(self) -> int:
        """Address of the first byte."""
        return ctypes.addressof(self)

    def address_of(self, name: str) -> int:
        """Return the address of a field."""
        return ctypes.addressof(self) + self.layout.fields[name].offset

    def set(self, **values: Any) -> None:
        """Set fields by name: numbers, and the addresses of arrays and of other records; None is the address 0."""
        for name, value in values.items():
            if name not in self.layout.fields:
                raise AttributeError(f"{self.layout.name} has no field {name}")
            if isinstance(value, np.ndarray):
                self.held[name] = value
                value = address_of(value)
            elif isinstance(value, Record):
                self.held[name] = value
                value = value.address
            setattr(self, name, 0 if value is None else value)


@cache
def _record_class(declared: type, lanes: int) -> type[Record]:
    layout = layout_of(declared, lanes)
    fields: list[tuple[str, Any]] = []
    place = 0
    for name, field in sorted(layout.fields.items(), key=lambda each: each[1].offset):
        if field.offset > place:
            fields.append(("padding", ctypes.c_int64 * ((field.offset - place) // 8)))
        number = ctypes.c_double if field.kind in ("float", "RealRow") else ctypes.c_int64
        fields.append((name, number * lanes if field.kind in ROWS else number))
        place = field.offset + 8 * (lanes if field.kind in ROWS else 1)
    return type(layout.name, (Record,), {"_fields_": fields, "layout": layout})


def new_record(declared: type, lanes: int = 1, **values: Any) -> Record:
    """Return a struct with all fields 0 but those given, alone on its lines of the processor's cache."""
    kind = _record_class(declared, lanes)
    memory: Any = aligned_zeros(-(-kind.layout.size // 8))
    record = kind.from_buffer(memory)
    record.held = {}
    record.set(**values)
    return record


def aligned_zeros(count: int, dtype: type = np.int64) -> NDArray[Any]:
    """Return 64-bit zeros that begin on a line of the processor's cache and share none with other arrays."""
    memory: NDArray[Any] = np.zeros(count + 2 * LINE // 8, dtype)
    first = -address_of(memory) % LINE // 8
    return memory[first : first + count]


def address_of(array: NDArray[Any] | None) -> int:
    """Return the address of an array's first element; 0 for None."""
    if array is None:
        return 0
    memory: Any = array
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(memory))  # six times faster than array.ctypes
    except (TypeError, ValueError):  # an empty or a read-only array
        return array.ctypes.data
