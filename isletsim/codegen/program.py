"""The program of a flat model: every routine of docs/engine.md as values and stores on a tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from isletsim.codegen.bounds import depends_on_time_alone, time_bounds
from isletsim.codegen.derivative import gradients
from isletsim.codegen.lower import lower, margin
from isletsim.codegen.routine import Routine, Step
from isletsim.codegen.sparse import factorisation
from isletsim.codegen.tape import AMOUNT, PARAMETER, STATE, TIME, Tape, arguments_of, reachable
from isletsim.flat import AMOUNT as AMOUNT_NAME
from isletsim.flat import TIME as TIME_NAME
from isletsim.flat import FlatModel

__all__ = ["Program", "assemble"]


@dataclass(frozen=True)
class Program:
    """All that is compiled, and the sizes that the solver must know.

    `rows` and `columns` are the places of the Jacobian's nonzeros, sorted by row, then column; `width` is the length
    of `p`, `factor_size` that of `LU`; `roots` counts the triggers and kinks together, `kinks` the kinks alone.
    `time_roots` tells which roots depend on time alone; `bounds` gives their bounds over an interval of time.
    `tables` are the data that routines interpolate, `names` the values that have a name in the flat model.
    """

    routines: tuple[Routine, ...]
    actions: tuple[Routine, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    width: int
    factor_size: int
    roots: int
    kinks: int
    time_roots: tuple[bool, ...]
    tables: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    names: Mapping[int, str]


def assemble(flat: FlatModel) -> Program:
    """The program of a flat model. `factor` and `solve` are left out where no order of pivots is sensible."""
    tape = Tape()
    time = tape.scalar("t", TIME)
    states = [tape.load("y", index, STATE) for index in range(len(flat.states))]
    parameters = [tape.load("p", index, PARAMETER) for index in range(len(flat.parameters))]
    scope = dict(zip(flat.states, states, strict=True)) | {TIME_NAME: time}
    scope |= dict(zip(flat.parameters, parameters, strict=True))
    memo: dict[int, int] = {}
    number = tape.as_number

    for name, tree in flat.constants + flat.expressions:
        scope[name] = lower(tape, tree, scope, memo)
    rates = [number(lower(tape, tree, scope, memo)) for tree in flat.derivatives]
    triggers = [margin(tape, lower(tape, event.trigger, scope, memo)) for event in flat.events]
    kinks = _kinks(tape, rates)
    outputs = [number(scope[name]) for name in flat.outputs]
    starts = [number(lower(tape, tree, scope, memo)) for tree in flat.start]
    actions = _actions(flat, tape, scope)

    variables = {leaf: index for index, leaf in enumerate([*states, time])}
    count = len(states)
    slopes = gradients(tape, rates, variables)
    places = sorted((row, column) for row, slope in enumerate(slopes) for column in slope if column < count)
    jacobian = [("J", index, slopes[row][column]) for index, (row, column) in enumerate(places)]
    jacobian += [("J", len(places) + row, slope.get(count, tape.zero)) for row, slope in enumerate(slopes)]

    roots = [*triggers, *kinks]
    timed = tuple(depends_on_time_alone(tape, each) for each in roots)
    bounds = time_bounds(tape, [each for each, alone in zip(roots, timed, strict=True) if alone])
    stores = {
        "rhs": [("dy", index, each) for index, each in enumerate(rates)],
        "jac": jacobian,
        "observe": [("out", index, each) for index, each in enumerate(outputs)],
        "roots": [("g", index, each) for index, each in enumerate(roots)],
        "bounds": [
            ("g", 2 * index + side, bounds[each][side])
            for index, each in enumerate(roots)
            if timed[index]
            for side in (0, 1)
        ],
    }
    hoisted = _hoist(tape, [each for listed in stores.values() for _, _, each in listed], len(parameters))
    prepare = [("p", slot, tape.as_number(each)) for each, slot in hoisted.items()]
    arguments = {"rhs": "dy", "jac": "J", "observe": "out", "roots": "g", "bounds": "g"}
    routines = [
        Routine("prepare", ("p",), tape, (Step(stores=tuple(prepare)),)),
        Routine("start", ("p", "y"), tape, (Step(stores=tuple(("y", i, each) for i, each in enumerate(starts))),)),
    ]
    routines += [
        Routine(name, ("t", "y", "p", arguments[name]), tape, (Step(stores=tuple(listed)),), hoisted)
        for name, listed in stores.items()
    ]
    rows, columns = tuple(row for row, _ in places), tuple(column for _, column in places)
    factors, factor_size = factorisation(rows, columns, flat.algebraic, flat.scale)
    return Program(
        routines=(*routines, *factors),
        actions=actions,
        rows=rows,
        columns=columns,
        width=len(parameters) + len(hoisted),
        factor_size=factor_size,
        roots=len(roots),
        kinks=len(kinks),
        time_roots=timed,
        tables=tuple(tape.tables),
        names={scope[name]: name for name, _ in reversed(flat.constants + flat.expressions)},
    )


def _kinks(tape: Tape, rates: Sequence[int]) -> list[int]:
    """The numbers whose zeros are the bends of the right-hand side, each once whatever its sign."""
    found: dict[frozenset[int], int] = {}
    for place in reachable(tape, rates):
        if place in tape.kinks:
            difference = tape.sub(*tape.kinks[place])
            operation, *operands = tape.code[difference]
            found.setdefault(frozenset(operands if operation in ("sub", "neg") else [difference]), difference)
    return list(found.values())


def _actions(flat: FlatModel, tape: Tape, scope: Mapping[str, int]) -> tuple[Routine, ...]:
    """One routine per action, from parameters themselves: `prepare` runs only after the last action of an instant."""
    inner = {**scope, AMOUNT_NAME: tape.scalar("amount", AMOUNT)}
    memo: dict[int, int] = {}
    place = {name: ("y", index) for index, name in enumerate(flat.states)}
    place |= {name: ("p", index) for index, name in enumerate(flat.parameters)}
    routines = []
    for index, action in enumerate(flat.actions):
        stores = []
        for target, tree in action.assignments:
            if target not in place:
                raise ValueError(f"action {action.name} assigns {target}, which is neither a state nor a parameter")
            stores.append((*place[target], tape.as_number(lower(tape, tree, inner, memo))))
        step = Step(first=tuple(each for _, _, each in stores), stores=tuple(stores))
        routines.append(Routine(f"act_{index}", ("amount", "t", "y", "p"), tape, (step,)))
    return tuple(routines)


def _hoist(tape: Tape, roots: Iterable[int], first: int) -> dict[int, int]:
    """The instructions that depend on parameters only and are read at run time, each with its place in `p`."""
    moving = STATE | TIME
    hoisted: dict[int, int] = {}

    def consider(place: int) -> None:
        if tape.depends[place] == PARAMETER and tape.code[place][0] != "load" and place not in hoisted:
            hoisted[place] = first + len(hoisted)

    roots = list(roots)
    for place in roots:
        consider(place)
    for place in reachable(tape, roots):
        if tape.depends[place] & moving:
            for operand in arguments_of(tape.code[place]):
                consider(operand)
    return hoisted
