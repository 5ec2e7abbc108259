"""The dimension of an equation, worked out from the dimensions of its names; a mismatch points at its piece of text."""

from __future__ import annotations

from collections.abc import Callable

from isletsim.expressions import Apply, Name, Number, Table, Tree
from isletsim.expressions.parse import constant_value
from isletsim.expressions.tree import OPERATORS
from isletsim.units import PURE, Dimension, describe, raised, times

__all__ = ["ANY", "Mismatch", "dimension_of", "same"]

# A literal zero, or what is already reported wrong, agrees with every dimension.
ANY: Dimension = (("any", 1.0),)


class Mismatch(Exception):
    """Two pieces of an equation that cannot stand together: the message, and where."""

    def __init__(self, message: str, span: tuple[int, int] | None) -> None:
        self.message, self.span = message, span
        super().__init__(message)


def same(left: Dimension, right: Dimension) -> bool:
    """Whether two dimensions agree."""
    return left == right or ANY in (left, right)


def dimension_of(tree: Tree, of_name: Callable[[str], Dimension], text: str) -> Dimension:
    """The dimension of a tree.

    Parameters
    ----------
    of_name : gives the dimension of a name.
    text : the text the tree was parsed from, for messages.

    Raises
    ------
    Mismatch : at the first piece that does not fit.
    """

    def said(node: Tree) -> str:
        return text[node.span[0] : node.span[1]] if node.span else "it"

    def pure(node: Tree, why: str) -> None:
        found = visit(node)
        if not same(found, PURE):
            raise Mismatch(f"{said(node)} is {describe(found)}. {why}", node.span)

    def alike(nodes: tuple[Tree, ...]) -> Dimension:
        known = ANY
        for node in nodes:
            found = visit(node)
            if not same(known, found):
                first = next(each for each in nodes if visit(each) == known)
                message = f"{said(first)} is {describe(known)}, {said(node)} is {describe(found)}."
                raise Mismatch(message, node.span)
            known = found if known == ANY else known
        return known

    def visit(node: Tree) -> Dimension:
        match node:
            case Number(value):
                return ANY if value == 0 else PURE
            case Name(name):
                return of_name(name)
            case Table():
                return ANY
        assert isinstance(node, Apply)
        arguments = node.arguments
        rule = OPERATORS[node.operator].dimension if node.operator in OPERATORS else "same"
        match rule:
            case "same":
                return alike(arguments)
            case "product":
                left, right = visit(arguments[0]), visit(arguments[1])
                return ANY if ANY in (left, right) else times(left, right)
            case "quotient":
                left, right = visit(arguments[0]), visit(arguments[1])
                return ANY if ANY in (left, right) else times(left, right, -1.0)
            case "power":
                return _power(arguments[0], arguments[1])
            case "root":
                found = visit(arguments[0])
                return found if found == ANY else raised(found, 0.5)
            case "compare":
                alike(arguments)
                return PURE
            case "where":
                visit(arguments[0])
                return alike(arguments[1:])
            case "ratio":
                alike(arguments[:2])
                pure(arguments[2], "The exponent of hill is a pure number.")
                return PURE
            case "smooth":
                return alike(arguments)
            case "table":
                visit(arguments[0])
                return visit(arguments[1])
            case "logic":
                for each in arguments:
                    visit(each)
                return PURE
            case _:
                for each in arguments:
                    pure(each, f"{node.operator} takes a pure number.")
                return PURE

    def _power(base: Tree, exponent: Tree) -> Dimension:
        pure(exponent, "An exponent is a pure number.")
        found = visit(base)
        if found in (PURE, ANY):
            return found
        value = constant_value(exponent)
        if value is None:
            message = f"{said(base)} is {describe(found)}; only a literal number may be its exponent."
            raise Mismatch(message + " Divide it by a reference parameter first.", exponent.span)
        return raised(found, value)

    return visit(tree)
