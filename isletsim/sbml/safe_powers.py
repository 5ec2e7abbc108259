"""Non-integer powers of quantities that rounding may make slightly negative.

A pool that starts at exactly zero is zero plus or minus nothing after a step of the solver, and (-1e-30) ** 1.5 is no
number at any step size. So such a power is 0 below zero; and a run whose records show a base that is negative by more
than rounding has failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from isletsim.flat import TIME
from isletsim.language import Apply, Name, Number, Tree, apply
from isletsim.sbml.algebra import needed
from isletsim.sbml.infix import formula

__all__ = ["BASE", "NEGLIGIBLE", "Powers"]

BASE = "base {}: "  # begins the name of a base that has none of its own
LONGEST = 80  # letters of a base in that name
NEGLIGIBLE = 1e-6  # of the largest value a base has in a run


class Powers:
    """Rewriter of non-integer powers that collects their bases.

    Parameters
    ----------
    moving : names that change while time flows; a power of anything else stays as it is.
    definitions : named trees that are looked through.
    """

    def __init__(self, definitions: Mapping[str, Tree], moving: set[str]) -> None:
        self.definitions, self.moving = definitions, moving
        self.bases: dict[Tree, str] = {}
        self._done: dict[int, tuple[Tree, Tree]] = {}  # keeps the tree: its id stays its own

    def safe(self, tree: Tree) -> Tree:
        """The tree with its powers made safe; a piece that stands in many places stays one piece."""
        stack = [tree]
        while stack:
            node = stack[-1]
            if id(node) in self._done:
                stack.pop()
                continue
            waiting = [each for each in node.arguments if id(each) not in self._done] if isinstance(node, Apply) else []
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            self._done[id(node)] = node, self._made(node)
        return self._done[id(tree)][1]

    def _made(self, node: Tree) -> Tree:
        if not isinstance(node, Apply):
            return node
        arguments = tuple(self._done[id(each)][1] for each in node.arguments)
        same = all(new is old for new, old in zip(arguments, node.arguments, strict=True))
        made = node if same else Apply(node.operator, arguments)
        if node.operator == "sqrt":
            exponent: Tree = Number(0.5)
        elif node.operator == "power":
            exponent = arguments[1]
        else:
            return made
        whole = isinstance(exponent, Number) and exponent.value == int(exponent.value)
        if whole or not needed(self.definitions, node.arguments[0]) & self.moving:
            return made
        base = arguments[0]
        if not isinstance(base, Name):
            self.bases.setdefault(base, BASE.format(len(self.bases)) + _said(base))
        elif base.name != TIME:  # a run begins at time 0
            self.bases.setdefault(base, base.name)
        return apply("power from zero", base, exponent)


def _said(tree: Tree) -> str:
    try:
        return formula(tree)[:LONGEST]
    except RecursionError:
        return "a long formula"
