"""The dimension of an equation, worked out from the dimensions of its names; a mismatch points at its piece of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isletsim.language.parser import constant_value
from isletsim.language.tree import OPERATORS, Apply, Name, Number, Table, Tree
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
    return _DimensionReader(of_name, text).visit(tree)


@dataclass(frozen=True)
class _DimensionReader:
    """One walk over one tree; a method for every dimension rule of `OPERATORS`."""

    of_name: Callable[[str], Dimension]
    text: str

    def visit(self, node: Tree) -> Dimension:
        """The dimension of a node."""
        match node:
            case Number(value):
                return ANY if value == 0 else PURE
            case Name(name):
                return self.of_name(name)
            case Table():
                return ANY
        rule = OPERATORS[node.operator].dimension if node.operator in OPERATORS else "same"
        method: Callable[[Apply], Dimension] = getattr(self, f"_{rule}")
        return method(node)

    def _said(self, node: Tree) -> str:
        return self.text[node.span[0] : node.span[1]] if node.span else "it"

    def _demand_pure(self, node: Tree, why: str) -> None:
        found = self.visit(node)
        if not same(found, PURE):
            raise Mismatch(f"{self._said(node)} is {describe(found)}. {why}", node.span)

    def _alike(self, nodes: tuple[Tree, ...]) -> Dimension:
        known, first = ANY, nodes[0]
        for node in nodes:
            found = self.visit(node)
            if not same(known, found):
                message = f"{self._said(first)} is {describe(known)}, {self._said(node)} is {describe(found)}."
                raise Mismatch(message, node.span)
            if known == ANY:
                known, first = found, node
        return known

    def _same(self, node: Apply) -> Dimension:
        return self._alike(node.arguments)

    def _smooth(self, node: Apply) -> Dimension:
        return self._alike(node.arguments)

    def _product(self, node: Apply, power: float = 1.0) -> Dimension:
        left, right = (self.visit(each) for each in node.arguments)
        return ANY if ANY in (left, right) else times(left, right, power)

    def _quotient(self, node: Apply) -> Dimension:
        return self._product(node, -1.0)

    def _power(self, node: Apply) -> Dimension:
        base, exponent = node.arguments
        self._demand_pure(exponent, "An exponent is a pure number.")
        found = self.visit(base)
        if found in (PURE, ANY):
            return found
        value = constant_value(exponent)
        if value is None:
            message = f"{self._said(base)} is {describe(found)}; only a literal number may be its exponent."
            raise Mismatch(message + " Divide it by a reference parameter first.", exponent.span)
        return raised(found, value)

    def _root(self, node: Apply) -> Dimension:
        found = self.visit(node.arguments[0])
        return found if found == ANY else raised(found, 0.5)

    def _compare(self, node: Apply) -> Dimension:
        self._alike(node.arguments)
        return PURE

    def _where(self, node: Apply) -> Dimension:
        self.visit(node.arguments[0])
        return self._alike(node.arguments[1:])

    def _ratio(self, node: Apply) -> Dimension:
        self._alike(node.arguments[:2])
        self._demand_pure(node.arguments[2], "The exponent of hill is a pure number.")
        return PURE

    def _table(self, node: Apply) -> Dimension:
        self.visit(node.arguments[0])
        return self.visit(node.arguments[1])

    def _logic(self, node: Apply) -> Dimension:
        for each in node.arguments:
            self.visit(each)
        return PURE

    def _pure(self, node: Apply) -> Dimension:
        for each in node.arguments:
            self._demand_pure(each, f"{node.operator} takes a pure number.")
        return PURE
