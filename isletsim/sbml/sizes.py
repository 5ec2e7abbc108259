"""Typical sizes of states, from which absolute tolerances follow; SBML does not give them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from isletsim.language import Tree, evaluate

__all__ = ["typical_sizes"]

SPREAD = 1e-6  # an amount further below the largest in its compartment says nothing of the others


def typical_sizes(
    states: Sequence[str],
    begin: Mapping[str, Tree],
    constants: Sequence[tuple[str, Tree]],
    parameters: Mapping[str, float],
    place: Mapping[str, str],
) -> tuple[float, ...]:
    """Return the size of every state: its initial value, or that of comparable states when it is zero.

    Of amounts in one compartment (`place` names it) the smallest, within limits, or what a concentration of 1 would be;
    of other states the geometric mean, since they may have nothing in common.
    """
    known = dict(parameters)
    for name, tree in constants:
        known[name] = evaluate(tree, known)
    sizes = {name: abs(evaluate(begin[name], known)) for name in states}
    kinds: dict[str, list[float]] = {place.get(name, ""): [] for name in states}
    for name, size in sizes.items():
        if 0.0 < size < math.inf:
            kinds[place.get(name, "")].append(size)
    typical: dict[str, float] = {}
    for kind, found in kinds.items():
        if not kind:
            typical[kind] = math.exp(sum(map(math.log, found)) / len(found)) if found else 1.0
        elif found:
            typical[kind] = max(min(found), SPREAD * max(found))
        else:
            whole = evaluate(begin[kind], known) if kind in begin else known.get(kind, 1.0)
            typical[kind] = whole if 0.0 < whole < math.inf else 1.0
    return tuple(size if 0.0 < size < math.inf else typical[place.get(name, "")] for name, size in sizes.items())
