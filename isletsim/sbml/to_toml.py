"""Conversion of an SBML model to a model file (TOML).

With units, if the file gives units to everything and they agree; else in pure numbers, with one parameter `tempo` that
carries the file's unit of time. What the language has no words for (events) is refused by name.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from isletsim.composition.model_library import compose_stack
from isletsim.errors import Fault, InputError
from isletsim.flat import TIME
from isletsim.language import RESERVED, Apply, Name, Number, Table, Tree, names
from isletsim.language.joins import NAME
from isletsim.sbml.model import SbmlModel
from isletsim.sbml.records import UnitPart, flat_name
from isletsim.sbml.unit_text import factor_and_dimension, unit_text

__all__ = ["model_file"]

TEMPO = "tempo"
_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "and": "and", "or": "or"}
_INFIX |= {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}


def model_file(model: SbmlModel, name: str = "") -> tuple[str, str]:
    """Return the model as TOML, and the name its file must have.

    Raises
    ------
    InputError : what the language has no words for, by name.
    """
    faults = [
        Fault(f"event {each.id}", "The language has no events.", "Run the SBML file itself; events are done there.")
        for each in model.document.events
    ]
    if model.document.delays:
        faults.append(Fault("delay", "The language has no delays.", "Run the SBML file itself; delays are done there."))
    if faults:
        raise InputError(faults)
    stem = _word(name or model.name) or "model"
    known = all(factor_and_dimension(parts) is not None for parts in _units(model).values() if parts)
    if known and model.document.time_unit:
        text = _Author(model, pure=False).text()
        try:
            _read_back(text, stem)
        except InputError:
            pass  # the units of the file are missing or do not agree: pure numbers always do
        else:
            return text, stem
    text = _Author(model, pure=True).text()
    _read_back(text, stem)
    return text, stem


def _read_back(text: str, stem: str) -> None:
    """Raises what the language has against a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{stem}.toml"
        path.write_text(text, encoding="utf-8")
        compose_stack([path])


def _units(model: SbmlModel) -> dict[str, tuple[UnitPart, ...]]:
    """The unit of every name of the flat model."""
    document = model.document
    found = {flat_name(name): model.unit_parts(name) for name in model.names}
    substance = {flat_name(each.id): each.unit for each in document.species}
    for name, parts in list(found.items()):
        found[f"amount({name})"] = substance.get(name, parts)
        found[f"slow(amount({name}))"] = found[f"slow({name})"] = substance.get(name, parts)
        found[f"extent({name})"] = document.extent_unit
    for name, parts in list(found.items()):
        found[f"start({name})"] = parts
        found[f"rateOf({name})"] = (
            *parts,
            *((kind, -power, scale, size) for kind, power, scale, size in document.time_unit),
        )
    return found


def _word(text: str) -> str:
    """A name of the language that is like a text; empty where nothing is left of it."""
    spelled = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return f"x_{spelled}" if spelled[:1].isdigit() else spelled


@dataclass
class _Author:
    """Writer of one model file."""

    model: SbmlModel
    pure: bool
    given: dict[str, str] = field(default_factory=dict)  # names of the flat model in the language
    rates: dict[str, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.flat = self.model.flattened.flat
        self.units = _units(self.model)
        self.taken = {*RESERVED, TEMPO, TIME}
        flat = self.flat
        for name in (*flat.states, *flat.parameters, *(each for each, _ in flat.constants + flat.expressions)):
            self._name(name)
        self.laws = dict(flat.expressions)
        self.reactions = {flat_name(each.id) for each in self.model.document.reactions}

    def _name(self, name: str) -> str:
        if name not in self.given:
            base = _word(name) or "x"
            made, number = base, 1
            while made in self.taken or not NAME.fullmatch(made):
                number += 1
                made = f"{base}_{number}"
            self.taken.add(made)
            self.given[name] = made
        return self.given[name]

    def text(self) -> str:
        """The whole file."""
        document, flat = self.model.document, self.flat
        balances = {
            name: self._balance(name, tree)
            for name, tree, free in zip(flat.states, flat.derivatives, flat.algebraic, strict=True)
            if not free
        }
        said = f"as in the SBML model {document.id}"
        lines = [
            f"title   = {_quoted(document.title or document.id)}",
            f"assumed = {_quoted('imported ' + said)}",
            *self._section("states", self._states()),
            *self._section("parameters", self._parameters(said)),
            *self._section("derived", [(name, self._shown(name, self._law(tree))) for name, tree in flat.constants]),
            *self._section("quantities", self._quantities()),
            *self._section("rates", [(name, self._shown(name, self._rate(tree))) for name, tree in self.rates.items()]),
            *self._section("balance", [(name, _quoted(text)) for name, text in balances.items()]),
            *self._section("solve", self._solved()),
        ]
        return "\n".join(lines) + "\n"

    def _section(self, title: str, entries: Iterable[tuple[str, str]]) -> list[str]:
        made = [f"{self._name(name)} = {text}" for name, text in entries]
        return ["", f"[{title}]", *made] if made else []

    # --- tables ---

    def _states(self) -> list[tuple[str, str]]:
        flat = self.flat
        made = []
        values = dict(zip(flat.parameters, flat.values, strict=True))
        for name, tree, free in zip(flat.states, flat.start, flat.algebraic, strict=True):
            if free:
                continue
            unit = self._unit(name)
            begin = _quoted(self._formula(tree))
            if isinstance(tree, Number):
                begin = self._quantity(tree.value, unit, name)
            elif isinstance(tree, Name) and tree.name in values and tree.name not in self._used():
                begin = self._quantity(values[tree.name], unit, name)
            made.append((name, f"{{ start = {begin}, unit = {_quoted(unit)}, {self._about(name)} }}"))
        return made

    def _used(self) -> set[str]:
        """Names that laws and derived values read, starts apart."""
        flat = self.flat
        trees = [*flat.derivatives, *(tree for _, tree in flat.constants + flat.expressions)]
        return {name for tree in trees for name in names(tree)}

    def _parameters(self, said: str) -> list[tuple[str, str]]:
        flat = self.flat
        begins = {tree.name for tree in flat.start if isinstance(tree, Name)} - self._used()
        made = []
        if self.pure:
            clock = unit_text(self.model.document.time_unit)
            second = clock if clock.isalpha() else "day"
            made.append((TEMPO, f'{{ value = "1 1/{second}", assumed = "the unit of time of the file" }}'))
            self.given[TEMPO] = TEMPO
        for name, value in zip(flat.parameters, flat.values, strict=True):
            if name not in begins:
                number = self._quantity(value, self._unit(name), name)
                made.append((name, f"{{ value = {number}, {self._about(name)}, assumed = {_quoted(said)} }}"))
        return made

    def _quantities(self) -> list[tuple[str, str]]:
        kept = [name for name, _ in self.flat.expressions if name not in self.rates]
        kept = [name for name in kept if not name.startswith(("constraint(", "base "))]
        return [(name, self._shown(name, self._law(self.laws[name]))) for name in kept]

    def _shown(self, name: str, law: str) -> str:
        """A law with the unit it is shown in, where the file says one."""
        unit = self._unit(name)
        return f"{{ law = {law}, unit = {_quoted(unit)} }}" if unit else law

    def _rate(self, tree: Tree) -> str:
        law = self._formula(tree)
        return _quoted(f"{TEMPO} * {law}" if self.pure else _bare(law))

    def _law(self, tree: Tree) -> str:
        return _quoted(_bare(self._formula(tree)))

    def _solved(self) -> list[tuple[str, str]]:
        flat = self.flat
        values = dict(zip(flat.parameters, flat.values, strict=True))
        made = []
        for name, tree, begin, free in zip(flat.states, flat.derivatives, flat.start, flat.algebraic, strict=True):
            if free:
                value = begin.value if isinstance(begin, Number) else values.get(getattr(begin, "name", ""), math.nan)
                start = self._quantity(value if math.isfinite(value) else 1.0, self._unit(name), name)
                made.append((name, f"{{ start = {start}, residual = {self._law(tree)}, {self._about(name)} }}"))
        return made

    def _balance(self, state: str, tree: Tree) -> str:
        """A signed sum of rates; what is no rate gets a name and becomes one."""
        terms: list[tuple[int, str]] = []
        waiting = [(1, tree)]
        while waiting:
            sign, each = waiting.pop()
            if isinstance(each, Apply) and each.operator == "add":
                waiting += [(sign, piece) for piece in reversed(each.arguments)]
            elif isinstance(each, Apply) and each.operator == "subtract":
                waiting += [(-sign, each.arguments[1]), (sign, each.arguments[0])]
            elif isinstance(each, Apply) and each.operator == "negate":
                waiting.append((-sign, each.arguments[0]))
            elif each != Number(0.0):
                terms.append((sign, self._as_rate(state, each)))
        written = [f"{'+' if sign > 0 else '-'} {name}" for sign, name in terms]
        return (
            " ".join(written).removeprefix("+ ").replace("- ", "-", 1)
            if terms and terms[0][0] < 0
            else " ".join(written).removeprefix("+ ")
        )

    def _as_rate(self, state: str, tree: Tree) -> str:
        if isinstance(tree, Name) and tree.name in self.reactions:
            self.rates.setdefault(tree.name, self.laws[tree.name])
            return self._name(tree.name)
        base = f"change of {state}"
        made, number = base, 1
        while made in self.rates:
            number += 1
            made = f"{base} {number}"
        self.rates[made] = tree
        return self._name(made)

    # --- words ---

    def _unit(self, name: str) -> str:
        return "" if self.pure else unit_text(self.units.get(name, ()))

    def _quantity(self, value: float, unit: str, name: str) -> str:
        if not math.isfinite(value):
            raise InputError(Fault(name, "The file gives no finite value; the language needs one."))
        return _quoted(f"{value!r} {unit}".strip())

    def _about(self, name: str) -> str:
        inner = re.sub(r"^(?:start|slow|amount|extent)\((.*)\)$", r"\1", re.sub(r"^start\((.*)\)$", r"\1", name))
        title = self.model.document.titles.get(inner, "")
        about = f", about = {_quoted(title)}" if title else ""
        return f"symbol = {_quoted(name)}{about}"

    def _formula(self, tree: Tree) -> str:
        if isinstance(tree, Number):
            if not math.isfinite(tree.value):
                raise InputError(Fault("a formula", "The language has no infinite or undefined numbers."))
            return repr(tree.value) if tree.value >= 0 else f"({tree.value!r})"
        if isinstance(tree, Name):
            return self._mention(tree.name)
        if isinstance(tree, Table) or tree.operator == "table":
            raise InputError(Fault("factorial", "The language has no factorial."))
        written = [self._formula(each) for each in tree.arguments]
        if tree.operator == "power from zero":
            return f"where({written[0]} > 0, {written[0]} ** {written[1]}, 0)"
        if tree.operator in _INFIX:
            return f"({f' {_INFIX[tree.operator]} '.join(written)})"
        if tree.operator == "negate":
            return f"(-{written[0]})"
        return f"(not {written[0]})" if tree.operator == "not" else f"{tree.operator}({', '.join(written)})"

    def _mention(self, name: str) -> str:
        """A name inside a law. In pure numbers the time, and rates, are counted in the file's unit of time."""
        if name == TIME:
            return f"({TIME} * {TEMPO})" if self.pure else TIME
        if self.pure and name in self.rates:
            return f"({self._name(name)} / {TEMPO})"
        return self._name(name)


def _bare(law: str) -> str:
    """A law without the brackets around the whole of it."""
    depth = 0
    for place, letter in enumerate(law):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(law) - 1:
            return law
    return law[1:-1] if law.startswith("(") else law


def _quoted(text: str) -> str:
    cleaned = "".join(letter if letter >= " " else " " for letter in text)
    return '"' + cleaned.replace("\\", "\\\\").replace('"', '\\"') + '"'
