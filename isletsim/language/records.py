"""What a model file says, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from isletsim.language.toml_document import Equation, KeyPath, TomlDocument
from isletsim.units import Unit

__all__ = ["GRADES", "Entry", "ModelFile", "Note", "Port", "Report", "Spread", "Term"]

GRADES = ("human trial", "human observation", "animal", "cell", "assumed")


@dataclass(frozen=True)
class Note:
    """What a reader wants to know of a number or law: the paper's letter, its meaning, where it comes from."""

    symbol: str = ""
    about: str = ""
    source: str = ""
    assumed: str = ""
    grade: str = ""


@dataclass(frozen=True)
class Spread:
    """A 95 % range of a number, between people or of the value itself; base units."""

    low: float
    high: float
    distribution: str = "lognormal"


@dataclass(frozen=True)
class Entry:
    """One named thing of a file.

    `kind` is one of: state, parameter, input, held, unknown (algebraic), derived, quantity, rate.
    `value` is the start, value or default in base units; None where `equation` gives it or where it is data (`table`).
    `equation` gives derived values, quantities and rates, the start of a state that is computed, the residual of an
    unknown, or the revision of a held value. `at` says when a held value is revised.
    `stream` names the random stream of a parameter or start that was renamed; empty for its own qualified name.
    """

    name: str
    kind: str
    note: Note
    keys: KeyPath
    value: float | None = None
    unit: Unit | None = None
    equation: Equation | None = None
    of: str = ""
    classes: int = 0
    scale: float | None = None
    varies: Spread | None = None
    uncertain: Spread | None = None
    table: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    table_units: tuple[Unit, Unit] | None = None
    at: str = ""
    stream: str = ""


@dataclass(frozen=True)
class Term:
    """One signed name of a balance; `boundary` is set for `previous(name, boundary)`."""

    sign: float
    name: str
    keys: KeyPath
    span: tuple[int, int] | None
    boundary: str | None = None
    last: bool = False


@dataclass(frozen=True)
class Port:
    """What one instant does to this file's own states, per unit of the amount."""

    name: str
    about: str
    unit: Unit | None
    add: Mapping[str, Equation]
    multiply: Mapping[str, Equation]
    keys: KeyPath


@dataclass(frozen=True)
class Report:
    """A clinical name this file owes: its law, the unit it is shown in, and the substance (for mass against amount)."""

    name: str
    equation: Equation
    unit: Unit | None
    about: str
    of: str = ""


@dataclass(frozen=True)
class ModelFile:
    """One model file as records. `entries` holds every named thing in file order; `document` knows the places."""

    name: str
    path: Path
    title: str
    source: str
    assumed: str
    about: str
    clock: str
    grade: str
    uses: Mapping[str, tuple[str, ...]]
    entries: Mapping[str, Entry]
    balance: Mapping[str, tuple[Term, ...]]
    adds: tuple[tuple[str, Equation], ...]
    scales: tuple[tuple[str, Equation], ...]
    ports: Mapping[str, Port]
    reports: Mapping[str, Report]
    document: TomlDocument = field(compare=False, repr=False)
