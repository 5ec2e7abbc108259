"""MathML nodes as plain records, so that no other module touches the libSBML objects.

libSBML's functions are called by their own names, not as methods: another library of the same family in the same
process (libSEDML) may have taken over the classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from isletsim.sbml.open_document import library

__all__ = ["Node", "function_parts", "plain"]


@dataclass(frozen=True, slots=True)
class Node:
    """MathML node: its kind (plus, name, real, function_sin, ...), a name or a number, and operands."""

    kind: str
    name: str = ""
    value: float = math.nan
    operands: tuple[Node, ...] = ()


@cache
def _kinds() -> dict[int, str]:
    libsbml = library()
    found: dict[int, str] = {}
    for name in dir(libsbml):
        if name.startswith("AST_"):
            found.setdefault(int(getattr(libsbml, name)), name[4:].lower())
    return found


def plain(node: Any) -> Node:
    """Return the record of a libSBML node and its descendants."""
    reader = library().ASTNode
    stack: list[tuple[Any, list[Any], list[Node]]] = [(node, _inside(reader, node), [])]
    while True:
        each, waiting, done = stack[-1]
        if len(done) < len(waiting):
            following = waiting[len(done)]
            stack.append((following, _inside(reader, following), []))
            continue
        stack.pop()
        made = _record(reader, each, tuple(done))
        if not stack:
            return made
        stack[-1][2].append(made)


def _inside(reader: Any, node: Any) -> list[Any]:
    return [reader.getChild(node, index) for index in range(reader.getNumChildren(node))]


def _record(reader: Any, node: Any, operands: tuple[Node, ...]) -> Node:
    kind = _kinds().get(int(reader.getType(node)), "unknown")
    value = math.nan
    if kind == "integer":
        value = float(reader.getInteger(node))
    elif kind == "rational":
        bottom = reader.getDenominator(node)
        value = reader.getNumerator(node) / bottom if bottom else math.nan
    elif kind in ("real", "real_e"):
        value = float(reader.getReal(node))
    return Node(kind, reader.getName(node) or "", value, operands)


def function_parts(definition: Any) -> tuple[tuple[str, ...], Node | None]:
    """Return the argument names of a function and its body (None without mathematics)."""
    reader = library().ASTNode
    names = [reader.getName(definition.getArgument(index)) for index in range(definition.getNumArguments())]
    return tuple(names), plain(definition.getBody()) if definition.isSetMath() else None
