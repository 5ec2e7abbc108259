"""What a scenario counts as an answer to a therapy: its table `[response]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isletsim.composition import Composition
from isletsim.composition.names import find_symbol
from isletsim.errors import InputError
from isletsim.language import KeyPath, TomlDocument
from isletsim.results import Response
from isletsim.units import Unit

__all__ = ["read_response"]


def read_response(
    document: TomlDocument, data: Mapping[str, Any], composition: Composition, found: Mapping[str, Unit]
) -> Response | None:
    """The table `[response]` of a scenario, None where there is none; faults go to the page.

    Parameters
    ----------
    found : what virtual tests report, with units.
    """
    if "response" not in data:
        return None
    keys: KeyPath = ("response",)
    table = document.table(data, "response", ())
    document.only(table, ("of", "least", "by", "note"), keys)
    of = document.word(table, "of", keys)
    if not of:
        document.fault(keys, "does not say what is looked at.", 'Write of = "hba1c".')
        return None
    meant = _meant(document, of, (*keys, "of"), composition, found)
    by = [_meant(document, each, (*keys, "by"), composition, found) for each in document.names(table, "by", keys)]
    least = None
    if "least" in table and meant is not None:
        _, unit, substance = meant
        level = document.quantity(table["least"], (*keys, "least"), unit.dimension, substance)
        if level is not None and (level.unit.offset or unit.offset or not level.value):
            document.fault((*keys, "least"), "is a difference: not zero, in a unit that starts at zero.")
        elif level is not None:
            least = level.value / unit.factor
    name = meant[0] if meant is not None else of
    return Response(name, least, tuple(each[0] for each in by if each is not None))


def _meant(
    document: TomlDocument, word: str, keys: KeyPath, composition: Composition, found: Mapping[str, Unit]
) -> tuple[str, Unit, str] | None:
    """How a number is called in results, its unit, and of which substance it is."""
    if word in found:
        return word, found[word], ""
    try:
        symbol = find_symbol(composition, word, place=document.place(keys))
    except InputError as reason:
        document.faults.extend(reason.faults)
        return None
    if symbol.classes or symbol.kind in ("parameter", "derived"):
        document.fault(keys, f'"{word}" is not one number that changes in time.')
        return None
    return (word if symbol.kind == "report" else symbol.name), symbol.unit, symbol.of
