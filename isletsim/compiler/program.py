"""The program of a flat model: every routine of docs/engine.md as values and stores on a tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from isletsim.compiler.derivative import gradients
from isletsim.compiler.lower import lower, margin
from isletsim.compiler.tape import AMOUNT, PARAMETER, STATE, TIME, Tape, arguments_of, reachable
from isletsim.flat import AMOUNT as AMOUNT_NAME
from isletsim.flat import TIME as TIME_NAME
from isletsim.flat import FlatModel

__all__ = ["Program", "Routine", "Step", "assemble"]

Store = tuple[str, int, int]  # array, index, instruction


@dataclass(frozen=True)
class Step:
    """Part of a routine: values needed before any store, then stores in order."""

    first: tuple[int, ...] = ()
    stores: tuple[Store, ...] = ()


@dataclass(frozen=True)
class Routine:
    """One function: its arguments, the tape it reads and what it does in order.

    `hoisted` gives the place in `p` of values that `prepare` has computed. `check` is a truth on the tape: the
    routine returns 0 when it holds, 1 otherwise. `scratch` is the length of the local array `x`, `sizes` are the sizes
    by which a dense block judges its pivots. In a `fused` routine a product and a sum may share one rounding. A routine
    that is long is made of `parts`, called in turn with the same arguments; it is good when all of them are.
    """

    name: str
    arguments: tuple[str, ...]
    tape: Tape
    steps: tuple[Step, ...]
    hoisted: Mapping[int, int] = field(default_factory=dict)
    check: int | None = None
    scratch: int = 0
    sizes: tuple[float, ...] = ()
    fused: bool = False
    parts: tuple[Routine, ...] = ()


@dataclass(frozen=True)
class Program:
    """All that is compiled, and the sizes that the solver must know.

    `rows` and `columns` are the places of the Jacobian's nonzeros, sorted by row, then column; `width` is the length
    of `p`; `roots` counts the triggers and kinks together, `kinks` the kinks alone.
    """

    routines: tuple[Routine, ...]
    actions: tuple[Routine, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    width: int
    roots: int
    kinks: int


def assemble(flat: FlatModel) -> Program:
    """The program of a flat model (without the factorisation, which needs `rows` and `columns` only)."""
    tape = Tape()
    time = tape.scalar("t", TIME)
    states = [tape.load("y", index, STATE) for index in range(len(flat.states))]
    parameters = [tape.load("p", index, PARAMETER) for index in range(len(flat.parameters))]
    scope = dict(zip(flat.states, states, strict=True)) | dict(zip(flat.parameters, parameters, strict=True)) | {TIME_NAME: time}
    memo: dict[int, int] = {}

    def number(tree_index: int) -> int:
        return tape.as_number(tree_index)

    for name, tree in flat.constants + flat.expressions:
        scope[name] = lower(tape, tree, scope, memo)
    rates = [number(lower(tape, tree, scope, memo)) for tree in flat.derivatives]
    triggers = [margin(tape, lower(tape, event.trigger, scope, memo)) for event in flat.events]
    kinks = _kinks(tape, rates)
    outputs = [number(scope[name]) for name in flat.outputs]
    starts = [number(lower(tape, tree, scope, memo)) for tree in flat.start]
    actions = _actions(flat, tape, scope)

    variables = {leaf: number for number, leaf in enumerate([*states, time])}
    count = len(states)
    slopes = gradients(tape, rates, variables)
    places = sorted((row, column) for row, slope in enumerate(slopes) for column in slope if column < count)
    jacobian = [("J", index, slopes[row][column]) for index, (row, column) in enumerate(places)]
    jacobian += [("J", len(places) + row, slope.get(count, tape.zero)) for row, slope in enumerate(slopes)]

    stores = {
        "rhs": [("dy", index, each) for index, each in enumerate(rates)],
        "jac": jacobian,
        "observe": [("out", index, each) for index, each in enumerate(outputs)],
        "roots": [("g", index, each) for index, each in enumerate([*triggers, *kinks])],
    }
    hoisted = _hoist(tape, [each for listed in stores.values() for _, _, each in listed], len(parameters))
    prepare = [("p", slot, tape.as_number(each)) for each, slot in hoisted.items()]
    arguments = {"rhs": "dy", "jac": "J", "observe": "out", "roots": "g"}
    routines = [
        Routine("prepare", ("p",), tape, (Step(stores=tuple(prepare)),)),
        Routine("start", ("p", "y"), tape, (Step(stores=tuple(("y", i, each) for i, each in enumerate(starts))),)),
    ]
    routines += [
        Routine(name, ("t", "y", "p", arguments[name]), tape, (Step(stores=tuple(listed)),), hoisted)
        for name, listed in stores.items()
    ]
    return Program(
        routines=tuple(routines),
        actions=actions,
        rows=tuple(row for row, _ in places),
        columns=tuple(column for _, column in places),
        width=len(parameters) + len(hoisted),
        roots=len(triggers) + len(kinks),
        kinks=len(kinks),
    )


def _kinks(tape: Tape, rates: Sequence[int]) -> list[int]:
    """The numbers whose zeros are the bends of the right-hand side, each once whatever its sign."""
    found: dict[frozenset[int], int] = {}
    for place in reachable(tape, rates):
        if place in tape.kinks:
            a, b = tape.kinks[place]
            found.setdefault(frozenset((a, b)), tape.sub(a, b))
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
