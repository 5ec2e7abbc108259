"""Infix formula of an expression tree."""

from __future__ import annotations

from collections.abc import Callable

from isletsim.language import Name, Number, Table, Tree
from isletsim.sbml.exchange import number_of

__all__ = ["formula"]

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "^",
    "power from zero": "^",
    "and": "&&",
    "or": "||",
}
_INFIX |= {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
_CALLED = {"log": "ln"}
_PREFIX: dict[str, Callable[[str], str]] = {"negate": lambda a: f"-({a})", "not": lambda a: f"!({a})"}


def formula(tree: Tree) -> str:
    """Return a tree as text, with every operator in brackets."""
    if isinstance(tree, Number):
        text = number_of(tree.value)
        return f"({text})" if text.startswith("-") else text
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Table):
        return "data"
    operator = tree.operator
    if operator == "where":
        condition, chosen, other = (formula(each) for each in tree.arguments)
        return f"piecewise({chosen}, {condition}, {other})"
    written = [formula(each) for each in tree.arguments]
    if operator in _INFIX:
        return f"({f' {_INFIX[operator]} '.join(written)})"
    if operator in _PREFIX:
        return _PREFIX[operator](written[0])
    return f"{_CALLED.get(operator, operator)}({', '.join(written)})"
