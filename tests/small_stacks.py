"""Small files to compose, and the value of everything in a flat model: what the tests of layers share."""

from __future__ import annotations

from collections.abc import Iterable

from isletsim.composition import Composition
from isletsim.flat import AMOUNT, TIME, FlatModel
from isletsim.language import evaluate, names

HEAD = 'title = "{name}"\nassumed = "made for a test"\n'

TISSUE = """
[states]
mass  = { start = "300 mg", symbol = "B" }
waste = { start = "1 mg" }
[parameters]
growth = { value = "0.5 1/day", assumed = "test" }
death  = { value = "0.1 1/day", assumed = "test" }
[quantities]
capacity = "mass / (300 * unit_mass)"
[derived]
unit_mass = "10 * tenth"
[rates]
gain = "growth * mass * capacity"
loss = "death * mass"
[balance]
mass  = "gain - loss"
waste = "loss"
""".replace("[quantities]", 'tenth = { value = "0.1 mg", assumed = "test" }\n[quantities]')


def values_at(flat: FlatModel, **given: float) -> dict[str, float]:
    """Every value of a flat model where states stand at their start, unless given; open names too."""
    known = dict(zip(flat.parameters, flat.values, strict=True)) | {TIME: 0.0} | given
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    for name, tree in zip(flat.states, flat.start, strict=True):
        known[name] = given.get(name, evaluate(tree, known))
    for name, tree in flat.expressions:
        known[name] = evaluate(tree, known)
    return known


def derivatives_at(flat: FlatModel, **given: float) -> dict[str, float]:
    known = values_at(flat, **given)
    return {name: evaluate(tree, known) for name, tree in zip(flat.states, flat.derivatives, strict=True)}


def after(composition: Composition, action: int, amount: float, **given: float) -> dict[str, float]:
    """What an action assigns."""
    known = values_at(composition.flat, **given) | {AMOUNT: amount}
    return {name: evaluate(tree, known) for name, tree in composition.flat.actions[action].assignments}


def unresolved(flat: FlatModel, open_names: Iterable[str] = ()) -> set[str]:
    """Names that nobody defines, or that are read before they are computed."""
    known = set(flat.parameters)
    missing: set[str] = set()
    for name, tree in flat.constants:
        missing |= names(tree) - known
        known.add(name)
    for tree in flat.start:
        missing |= names(tree) - known
    known |= {*flat.states, TIME, *open_names}
    for name, tree in flat.expressions:
        missing |= names(tree) - known
        known.add(name)
    for tree in flat.derivatives:
        missing |= names(tree) - known
    for action in flat.actions:
        for target, tree in action.assignments:
            missing |= (names(tree) - known - {AMOUNT}) | ({target} - {*flat.states, *flat.parameters})
    return missing | (set(flat.outputs) - known)


def open_names(composition: Composition) -> tuple[str, ...]:
    """Daily summaries: names that a life model reads and a bridge fills."""
    return composition.clocks.up if composition.clocks else ()
