"""One module of the day alone: its own states move, what it borrows is given or stays as it was that morning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from isletsim.challenges.records import Replay
from isletsim.composition import Composition
from isletsim.composition.names import file_word, find_symbol
from isletsim.dosing import whole_names
from isletsim.errors import InputError, did_you_mean
from isletsim.flat import TIME, FlatModel
from isletsim.language import KeyPath, Name, Number, Table, TomlDocument, Tree, names, substitute
from isletsim.language.tree import apply
from isletsim.units import DAY, Dimension

__all__ = ["alone", "held_names", "read_given"]


def read_given(
    document: TomlDocument, data: Mapping[str, Any], composition: Composition
) -> tuple[tuple[str, ...], Mapping[str, Tree], tuple[Replay, ...]]:
    """The files a test is of, none where it is of all; and what they borrow, by whole names.

    A given curve is a tree of the time since the start of the test, or a `Replay` of another test's curve.
    """
    written = data.get("module", [])
    module = [written] if isinstance(written, str) else document.names(data, "module", ())
    for each in module:
        if each not in composition.files:
            document.fault(("module",), f'there is no file "{each}".', did_you_mean(each, composition.files))
    table = document.table(data, "given", ())
    if table and not module:
        document.fault(("given",), "belongs to a module.", 'Write module = "secretion".')
    given: dict[str, Tree] = {}
    replayed: list[Replay] = []
    for name, value in _flat(table):
        keys: KeyPath = ("given", name)
        try:
            symbol = find_symbol(composition, name, ("state", "quantity", "rate"), document.place(keys))
        except InputError as reason:
            document.faults.extend(reason.faults)
            continue
        if symbol.name.partition(".")[0] in module:
            document.fault(keys, "belongs to the module itself.", "Give what the module borrows.")
        elif isinstance(value, Mapping) and "replay" in value:
            document.only(value, ("replay", "about"), keys)
            law = document.equation(value["replay"], keys)
            curve = whole_names(document, law, composition) if law is not None else None
            replayed += [Replay(symbol.name, curve)] if curve is not None else []
        elif (tree := _curve(document, value, keys, symbol.unit.dimension, symbol.of)) is not None:
            given[symbol.name] = tree
    if not document.faults and module:
        assert composition.clocks is not None
        own = (*module, *(file_word(layer) for layer in document.names(data, "layers", ())))
        day = composition.clocks.day
        if not any(_file(state) in module for state in day.states):
            document.fault(("module",), "has no state that moves within the day.")
        borrowed = held_names(day, own)
        for name in (*given, *(each.input for each in replayed)):
            if name not in borrowed:
                cure = f"It borrows: {', '.join(sorted(borrowed)) or 'nothing'}."
                document.fault(("given", name), f"nothing of {' and '.join(module)} reads it.", cure)
    return tuple(module), given, tuple(replayed)


def _flat(table: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """`a.b = 1` and `"a.b" = 1` alike."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not {"table", "replay"} & value.keys():
            yield from ((f"{key}.{inner}", each) for inner, each in value.items())
        else:
            yield key, value


def _curve(document: TomlDocument, value: Any, keys: KeyPath, like: Dimension, of: str) -> Tree | None:
    """A constant, or a curve through points of the time since the start of the test."""
    if not isinstance(value, Mapping):
        found = document.quantity(value, keys, like, of)
        return None if found is None else Number(found.value)
    document.only(value, ("table", "units", "source", "assumed", "about"), keys)
    points, units = value.get("table"), value.get("units")
    shaped = isinstance(points, list) and len(points) > 1
    if not shaped or not all(isinstance(each, list) and len(each) == 2 for each in points):  # type: ignore[union-attr]
        document.fault(keys, "expected points.", 'Write { table = [[0, 90], [30, 140]], units = ["min", "mg/dL"] }.')
        return None
    if not isinstance(units, list) or len(units) != 2:
        document.fault(keys, "does not say its units.", 'Write units = ["min", "mg/dL"].')
        return None
    abscissae, ordinates = [], []
    for time, level in points:  # type: ignore[union-attr]
        at = document.quantity(f"{time} {units[0]}", keys, DAY.dimension)
        height = document.quantity(f"{level} {units[1]}".strip(), keys, like, of)
        if at is None or height is None:
            return None
        abscissae.append(at.value)
        ordinates.append(height.value)
    if abscissae != sorted(set(abscissae)):
        document.fault(keys, "the times do not go up.")
        return None
    return apply("table", Name(TIME), Table(tuple(abscissae), tuple(ordinates)))


def _file(name: str) -> str:
    return name.partition(".")[0]


def held_names(day: FlatModel, own: Collection[str]) -> set[str]:
    """What files of the day read of others: states and expressions."""
    trees = dict(day.expressions)
    wanted = [tree for state, tree in zip(day.states, day.derivatives, strict=True) if _file(state) in own]
    wanted += [tree for name, tree in day.expressions if _file(name) in own]
    known = {*trees, *day.states}
    return {name for tree in wanted for name in names(tree) if name in known and _file(name) not in own}


def alone(day: FlatModel, own: Collection[str], given: Mapping[str, Tree], start: float) -> tuple[FlatModel, list[str]]:
    """The day with only the states of some files.

    Parameters
    ----------
    given : curves of what they borrow, in the time since `start`, the time of the day at which they begin. What they
        borrow besides is held; where it follows another test, a schedule moves it.

    Returns
    -------
    flat : the model. held : names that have become parameters, in the order in which they follow those of the day.
    """
    later = {TIME: apply("subtract", Name(TIME), Number(start))}
    curves = {name: substitute(tree, later) for name, tree in given.items()}
    held = sorted((held_names(day, own) | {state for state in day.states if _file(state) not in own}) - curves.keys())
    kept = [place for place, state in enumerate(day.states) if _file(state) in own]
    trees = {name: tree for name, tree in day.expressions if name not in curves and name not in held}
    expressions = [*curves.items(), *((name, trees[name]) for name, _ in day.expressions if name in trees)]
    states = tuple(day.states[place] for place in kept)
    actions = tuple(
        replace(action, assignments=tuple(each for each in action.assignments if each[0] not in {*held, *curves}))
        for action in day.actions
    )
    knots = [
        start + x
        for tree in given.values()
        if not isinstance(tree, Number)
        for x in tree.arguments[1].abscissae  # type: ignore[union-attr]
    ]
    flat = replace(
        day,
        name=f"{day.name}:{'+'.join(sorted(own))}",
        states=states,
        parameters=(*day.parameters, *held),
        values=(*day.values, *(0.0 for _ in held)),
        expressions=tuple(expressions),
        derivatives=tuple(day.derivatives[place] for place in kept),
        algebraic=tuple(day.algebraic[place] for place in kept),
        start=tuple(Number(0.0) for _ in kept),
        scale=tuple(day.scale[place] for place in kept),
        actions=actions,
        knots=tuple(sorted({*day.knots, *knots})),
    )
    return flat, held
