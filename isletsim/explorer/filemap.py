"""The map of a stack: which model file feeds which, and what one file says, down to equations, units and sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isletsim.bibliography import citation, read
from isletsim.composition import Composition
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.explorer.runs import Prepared
from isletsim.explorer.terms import model_files
from isletsim.figures.layout import printed_unit
from isletsim.language import Entry, ModelFile
from isletsim.results.evidence_labels import in_words
from isletsim.typesetting import inline, letters, number, symbol_namer
from isletsim.units import Unit, convert

__all__ = ["file_view", "map_view"]

LAWS = ("derived", "quantity", "rate", "unknown", "held")


def map_view(prepared: Prepared) -> dict[str, Any]:
    """Return the files of a stack and the links between them."""
    scenario = prepared.scenario
    files = model_files(scenario)
    arms = [layer for arm in scenario.plan.arms for layer in arm.layers]
    therapies = {*scenario.patient.layers, *arms} - set(scenario.plan.core)
    nodes = [
        {
            "name": file.name,
            "title": file.title.partition(":")[0],
            "clock": "therapy" if file.name in therapies else file.clock or "years",
            "grade": in_words(file.grade),
            **_count(file),
        }
        for file in files.values()
    ]
    links = [{"from": other, "to": file.name, "how": "reads"} for file in files.values() for other in file.uses]
    for file in files.values():
        for how, contributions in (("adds to", file.adds), ("scales", file.scales)):
            targets = dict.fromkeys(target.partition(".")[0] for target, _ in contributions)
            links += [{"from": file.name, "to": target, "how": how} for target in targets]
    return {"nodes": nodes, "links": [link for link in links if {link["from"], link["to"]} <= files.keys()]}


def _count(file: ModelFile) -> dict[str, int]:
    numbers = [entry for entry in file.entries.values() if entry.kind == "parameter"]
    return {"numbers": len(numbers), "assumed": sum(1 for entry in numbers if entry.note.assumed)}


def file_view(prepared: Prepared, name: str) -> dict[str, Any]:
    """Return what a model file of the stack says.

    Raises
    ------
    InputError : a file that is not in the stack.
    """
    files = model_files(prepared.scenario)
    if name not in files:
        raise InputError(Fault(name[:60], "This file is not in the model.", did_you_mean(name[:60], files)))
    file = files[name]
    composition = prepared.scenario.composition
    keys = dict.fromkeys([file.source, *(entry.note.source for entry in file.entries.values())])
    known = read()
    return {
        "name": name,
        "title": file.title,
        "about": " ".join(file.about.split()),
        "grade": in_words(file.grade),
        "assumed": file.assumed,
        "balances": list(_balances(files, file)),
        "laws": [_law(composition, files, file, entry) for entry in file.entries.values() if entry.kind in LAWS],
        "states": [_number(files, file, each) for each in file.entries.values() if each.kind in ("state", "input")],
        "parameters": [_number(files, file, each) for each in file.entries.values() if each.kind == "parameter"],
        "effects": list(_effects(files, file)),
        "references": {key: citation(known[key]) for key in keys if key in known},
    }


def _balances(files: Mapping[str, ModelFile], file: ModelFile) -> Iterable[dict[str, str]]:
    named = symbol_namer(files, file)
    for state, terms in file.balance.items():
        text = " ".join(f"{'−' if term.sign < 0 else '+'} {named(term.name)}" for term in terms).removeprefix("+ ")
        yield {"name": state, "text": f"d{named(state)}/dt = {text or '0'}"}


def _law(composition: Composition, files: Mapping[str, ModelFile], file: ModelFile, entry: Entry) -> dict[str, str]:
    symbol = composition.symbols.get(f"{file.name}.{entry.name}")
    own = symbol.unit if symbol is not None else entry.unit
    text = inline(entry.equation.tree, symbol_namer(files, file)) if entry.equation is not None else ""
    return {**_head(entry), "text": text, "unit": _unit(own), "kind": entry.kind}


def _head(entry: Entry) -> dict[str, str]:
    return {"name": entry.name, "symbol": letters(entry.note.symbol), "about": entry.note.about}


def _number(files: Mapping[str, ModelFile], file: ModelFile, entry: Entry) -> dict[str, str]:
    value = ""
    if entry.value is not None and entry.unit is not None:
        value = number(convert(entry.value, entry.unit))
    elif entry.equation is not None:
        value = inline(entry.equation.tree, symbol_namer(files, file))
    note = entry.note
    grade = note.grade or ("assumed" if note.assumed else file.grade)
    spread = entry.varies or entry.uncertain
    ends = ""
    if spread is not None and entry.unit is not None:
        ends = " to ".join(number(convert(end, entry.unit)) for end in (spread.low, spread.high))
    origin = {"source": note.source, "assumed": note.assumed, "grade": in_words(grade), "range": ends}
    return {**_head(entry), "value": value, "unit": _unit(entry.unit), **origin}


def _unit(own: Unit | None) -> str:
    return printed_unit(own.text) if own is not None else ""


def _effects(files: Mapping[str, ModelFile], file: ModelFile) -> Iterable[dict[str, str]]:
    """Return what the file does to others, and what others do to it."""
    for other in files.values():
        for verb, sign, contributions in (("adds to", "+", other.adds), ("scales", "×", other.scales)):
            for target, law in contributions:
                if other.name == file.name or target.startswith(f"{file.name}."):
                    text = f"{sign} {inline(law.tree, symbol_namer(files, other))}"
                    yield {"from": other.name, "how": verb, "to": target, "text": text}
