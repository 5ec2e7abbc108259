"""What joins the named things of a file to one another and to other files: balances, adds, scales, ports, reports."""

from __future__ import annotations

import re
from typing import Any

from isletsim.language.records import ModelFile, Port, Report, Term
from isletsim.language.toml_document import Equation, KeyPath, TomlDocument
from isletsim.language.tree import Apply, Name, Number, Tree

__all__ = ["NAME", "check_held", "read_balances", "read_ports", "read_reports", "read_targets", "signed_terms"]

NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


def read_balances(document: TomlDocument) -> dict[str, tuple[Term, ...]]:
    """One signed sum of rates for each state."""
    written = document.table(document.data, "balance", ())
    states = document.table(document.data, "states", ())
    for name in written:
        if name not in states:
            document.fault(("balance", name), f'"{name}" is not a state of this file.')
    for name in states:
        if name not in written:
            document.fault(("states", name), "has no balance.", f'Write {name} = "..." under [balance]; "" if none.')
    balances: dict[str, tuple[Term, ...]] = dict.fromkeys(states, ())
    for name in states:
        text = written.get(name, "")
        keys: KeyPath = ("balance", name)
        if isinstance(text, str) and not text.strip():
            continue
        equation = document.equation(text, keys)
        balances[name] = tuple(signed_terms(document, equation)) if equation else ()
    return balances


def signed_terms(document: TomlDocument, equation: Equation) -> list[Term]:
    """A balance as a signed sum of names; anything else is a fault."""
    terms: list[Term] = []

    def visit(tree: Tree, sign: float) -> None:
        match tree:
            case Name(name, span):
                terms.append(Term(sign, name, equation.keys, span))
            case Apply("add", (left, right)):
                visit(left, sign)
                visit(right, sign)
            case Apply("subtract", (left, right)):
                visit(left, sign)
                visit(right, -sign)
            case Apply("negate", (inner,)):
                visit(inner, -sign)
            case Apply("previous", (Name(name), Name(boundary)), span):
                terms.append(Term(sign, name, equation.keys, span, boundary))
            case Apply("previous", (Name(name), Number(0.0)), span):
                terms.append(Term(sign, name, equation.keys, span, "0"))
            case Apply("last", (Name(name),), span):
                terms.append(Term(sign, name, equation.keys, span, last=True))
            case Number(0.0):
                pass
            case _:
                message = "a balance is a signed sum of rate names."
                document.fault(
                    equation.keys, message, "Give this piece a name under [rates].", equation.text, tree.span
                )

    visit(equation.tree, 1.0)
    return terms


def read_targets(document: TomlDocument, verb: str) -> tuple[tuple[str, Equation], ...]:
    """What this file adds to, or scales, in other files."""
    found: list[tuple[str, Equation]] = []

    def collect(name: str, value: Any, keys: KeyPath) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{name}.{key}", inner, (*keys, key))
            return
        if not _TARGET.fullmatch(name):
            document.fault(
                keys, f'"{name}" is not a target.', 'Write it as file.name, for example beta.apoptosis = "...".'
            )
            return
        equation = document.equation(value, keys)
        if equation is not None:
            found.append((name, equation))

    for file, inner in document.table(document.data, verb, ()).items():
        collect(file, inner, (verb, file))
    return tuple(found)


def read_ports(document: TomlDocument) -> dict[str, Port]:
    """What doses do to this file's own states."""
    ports = {}
    states = document.table(document.data, "states", ())
    for name, value in document.table(document.data, "doses", ()).items():
        keys: KeyPath = ("doses", name)
        if not NAME.fullmatch(name):
            document.fault(keys, f'"{name}" cannot be the name of a port.')
        if not isinstance(value, dict):
            document.fault(keys, "expected a table.", f'Write [doses.{name}] and add = {{ state = "1" }}.')
            continue
        document.only(value, ("add", "multiply", "unit", "about", "note"), keys)
        unit = document.unit(document.word(value, "unit", keys), (*keys, "unit")) if "unit" in value else None
        equations: dict[str, dict[str, Equation]] = {"add": {}, "multiply": {}}
        for verb, found in equations.items():
            for target, text in document.table(value, verb, keys).items():
                place: KeyPath = (*keys, verb, target)
                if target not in states:
                    document.fault(place, f'"{target}" is not a state of this file.', "A port acts on its own states.")
                equation = document.equation(text, place)
                if equation is not None:
                    found[target] = equation
        if not any(document.table(value, verb, keys) for verb in equations):
            document.fault(keys, "the port does nothing.", 'Write add = { state = "1" }.')
        ports[name] = Port(
            name, document.word(value, "about", keys), unit, equations["add"], equations["multiply"], keys
        )
    return ports


def read_reports(document: TomlDocument) -> dict[str, Report]:
    """The clinical names that this file owes."""
    reports = {}
    for name, value in document.table(document.data, "reports", ()).items():
        keys: KeyPath = ("reports", name)
        unit, text, about, place, of = None, value, "", keys, ""
        if not NAME.fullmatch(name):
            document.fault(keys, f'"{name}" cannot be the name of a report.')
        if isinstance(value, dict):
            document.only(value, ("value", "unit", "of", "about", "assumed", "source", "note"), keys)
            of = document.word(value, "of", keys)
            text, about, place = value.get("value"), document.word(value, "about", keys), (*keys, "value")
            if "unit" in value:
                spelled = document.word(value, "unit", keys)
                known = {"%": "percent_NGSP", "mmol/mol": "mmol_per_mol_IFCC"} if name.startswith("hba1c") else {}
                unit = document.unit(known.get(spelled, spelled), (*keys, "unit"))
        equation = document.equation(text, place)
        if equation is not None:
            reports[name] = Report(name, equation, unit, about, of)
    return reports


def check_held(document: TomlDocument, model: ModelFile) -> None:
    """Note a fault where a held value waits for a port that is not there."""
    for entry in model.entries.values():
        if entry.kind == "held" and entry.at and entry.at != "visit" and entry.at not in model.ports:
            known = ", ".join(["visit", *model.ports])
            document.fault((*entry.keys, "at"), f'"{entry.at}" is not a port of this file.', f"Known: {known}.")
