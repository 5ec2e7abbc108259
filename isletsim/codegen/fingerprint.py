"""The name of a flat model: the same for the same equations, whatever the values of its parameters."""

from __future__ import annotations

from isletsim import cache as store
from isletsim.codegen.native import surroundings
from isletsim.flat import FlatModel
from isletsim.language import Apply, Name, Number, Table, Tree

__all__ = ["fingerprint_of"]


def fingerprint_of(flat: FlatModel) -> str:
    """A name that changes when the machine code of a model would: with its equations, the compiler, the processor."""
    pieces: list[str] = [repr((flat.states, flat.parameters, flat.algebraic, flat.scale, flat.outputs))]
    for name, tree in flat.constants + flat.expressions:
        pieces.append(repr(name))
        _write(tree, pieces)
    for tree in flat.derivatives + flat.start:
        _write(tree, pieces)
    for event in flat.events:
        pieces.append(f"event {event.action}")
        _write(event.trigger, pieces)
    for action in flat.actions:
        pieces.append("action")
        for target, tree in action.assignments:
            pieces.append(repr(target))
            _write(tree, pieces)
    return store.fingerprint("\n".join(pieces), surroundings())


def _write(tree: Tree, pieces: list[str]) -> None:
    """The tree, parents before children; an operator with its number of arguments leaves no doubt where it ends."""
    stack: list[Tree] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply):
            pieces.append(f"({node.operator} {len(node.arguments)}")
            stack.extend(reversed(node.arguments))
        elif isinstance(node, Name):
            pieces.append(repr(node.name))
        elif isinstance(node, Number):
            pieces.append(float(node.value).hex())
        elif isinstance(node, Table):
            pieces.append(repr((node.abscissae, node.ordinates)))
