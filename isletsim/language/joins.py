"""What joins the named things of a file to one another and to other files: balances, adds, scales, ports, reports."""

from __future__ import annotations

import re
from typing import Any

from isletsim.language.records import ModelFile, Port, Report, Term
from isletsim.language.toml_document import Keys, Law, Page
from isletsim.language.tree import Apply, Name, Number, Tree

__all__ = ["NAME", "check_held", "read_balances", "read_ports", "read_reports", "read_targets", "signed_terms"]

NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


def read_balances(page: Page) -> dict[str, tuple[Term, ...]]:
    """One signed sum of rates for each state."""
    written = page.table(page.data, "balance", ())
    states = page.table(page.data, "states", ())
    for name in written:
        if name not in states:
            page.fault(("balance", name), f'"{name}" is not a state of this file.')
    for name in states:
        if name not in written:
            page.fault(("states", name), "has no balance.", f'Write {name} = "..." under [balance]; "" if none.')
    balances: dict[str, tuple[Term, ...]] = dict.fromkeys(states, ())
    for name in states:
        text = written.get(name, "")
        keys: Keys = ("balance", name)
        if isinstance(text, str) and not text.strip():
            continue
        law = page.law(text, keys)
        balances[name] = tuple(signed_terms(page, law)) if law else ()
    return balances


def signed_terms(page: Page, law: Law) -> list[Term]:
    """A balance as a signed sum of names; anything else is a fault."""
    terms: list[Term] = []

    def visit(tree: Tree, sign: float) -> None:
        match tree:
            case Name(name, span):
                terms.append(Term(sign, name, law.keys, span))
            case Apply("add", (left, right)):
                visit(left, sign)
                visit(right, sign)
            case Apply("subtract", (left, right)):
                visit(left, sign)
                visit(right, -sign)
            case Apply("negate", (inner,)):
                visit(inner, -sign)
            case Apply("previous", (Name(name), Name(boundary)), span):
                terms.append(Term(sign, name, law.keys, span, boundary))
            case Apply("previous", (Name(name), Number(0.0)), span):
                terms.append(Term(sign, name, law.keys, span, "0"))
            case Apply("last", (Name(name),), span):
                terms.append(Term(sign, name, law.keys, span, last=True))
            case Number(0.0):
                pass
            case _:
                message = "a balance is a signed sum of rate names."
                page.fault(law.keys, message, "Give this piece a name under [rates].", law.text, tree.span)

    visit(law.tree, 1.0)
    return terms


def read_targets(page: Page, verb: str) -> tuple[tuple[str, Law], ...]:
    """What this file adds to, or scales, in other files."""
    found: list[tuple[str, Law]] = []

    def collect(name: str, value: Any, keys: Keys) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{name}.{key}", inner, (*keys, key))
            return
        if not _TARGET.fullmatch(name):
            page.fault(keys, f'"{name}" is not a target.', 'Write it as file.name, for example beta.apoptosis = "...".')
            return
        law = page.law(value, keys)
        if law is not None:
            found.append((name, law))

    for file, inner in page.table(page.data, verb, ()).items():
        collect(file, inner, (verb, file))
    return tuple(found)


def read_ports(page: Page) -> dict[str, Port]:
    """What doses do to this file's own states."""
    ports = {}
    states = page.table(page.data, "states", ())
    for name, value in page.table(page.data, "doses", ()).items():
        keys: Keys = ("doses", name)
        if not NAME.fullmatch(name):
            page.fault(keys, f'"{name}" cannot be the name of a port.')
        if not isinstance(value, dict):
            page.fault(keys, "expected a table.", f'Write [doses.{name}] and add = {{ state = "1" }}.')
            continue
        page.only(value, ("add", "multiply", "unit", "about", "note"), keys)
        unit = page.unit(page.word(value, "unit", keys), (*keys, "unit")) if "unit" in value else None
        laws: dict[str, dict[str, Law]] = {"add": {}, "multiply": {}}
        for verb, found in laws.items():
            for target, text in page.table(value, verb, keys).items():
                place: Keys = (*keys, verb, target)
                if target not in states:
                    page.fault(place, f'"{target}" is not a state of this file.', "A port acts on its own states.")
                law = page.law(text, place)
                if law is not None:
                    found[target] = law
        if not any(page.table(value, verb, keys) for verb in laws):
            page.fault(keys, "the port does nothing.", 'Write add = { state = "1" }.')
        ports[name] = Port(name, page.word(value, "about", keys), unit, laws["add"], laws["multiply"], keys)
    return ports


def read_reports(page: Page) -> dict[str, Report]:
    """The clinical names that this file owes."""
    reports = {}
    for name, value in page.table(page.data, "reports", ()).items():
        keys: Keys = ("reports", name)
        unit, text, about, place, of = None, value, "", keys, ""
        if not NAME.fullmatch(name):
            page.fault(keys, f'"{name}" cannot be the name of a report.')
        if isinstance(value, dict):
            page.only(value, ("value", "unit", "of", "about", "assumed", "source", "note"), keys)
            of = page.word(value, "of", keys)
            text, about, place = value.get("value"), page.word(value, "about", keys), (*keys, "value")
            if "unit" in value:
                spelled = page.word(value, "unit", keys)
                known = {"%": "percent_NGSP", "mmol/mol": "mmol_per_mol_IFCC"} if name.startswith("hba1c") else {}
                unit = page.unit(known.get(spelled, spelled), (*keys, "unit"))
        law = page.law(text, place)
        if law is not None:
            reports[name] = Report(name, law, unit, about, of)
    return reports


def check_held(page: Page, model: ModelFile) -> None:
    """Note a fault where a held value waits for a port that is not there."""
    for entry in model.entries.values():
        if entry.kind == "held" and entry.at and entry.at != "visit" and entry.at not in model.ports:
            known = ", ".join(["visit", *model.ports])
            page.fault((*entry.keys, "at"), f'"{entry.at}" is not a port of this file.', f"Known: {known}.")
