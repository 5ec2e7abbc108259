"""A flat model with two clocks becomes two: the day, and the life with a bridge between them.

The day reads life values as parameters that are constant for that day (`down`). The life reads daily summaries (`up`);
in the life model each summary is a local function of what the day reads,

    s = s0 + f(u, r),    u = J (v - v0) + (e theta + c) (time - t0),    theta = w . (v - v0),

whose coefficients are parameters: the stepper revises them from real days, and no step compiles anything. With r = 0,
f is u itself; with r = 1 / (s0 - bound), effects are shares of what lies between s0 and a bound that s never crosses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from isletsim.composition.order import ordered
from isletsim.composition.stack import Summary
from isletsim.flat import TIME, FlatModel
from isletsim.language import Name, Number, Tree, apply, names

__all__ = ["Clocks", "split"]

INTEGRAL = "integral({})"
THETA = "bridge.theta"
ORIGIN = "bridge.time"
CHANGE = "bridge.u[{}]"


@dataclass(frozen=True)
class Clocks:
    """The two flat models of a composition with two clocks.

    Attributes
    ----------
    day : its parameters are those of the whole composition, then one for each name of `down` that is not among them.
        One more state for the integral of each mean.
    life : its parameters are those of the whole composition, then those of the bridge. Its outputs end with the
        values of `down` and of `up`.
    down : what the day reads of the life, in order: states, quantities, rates, inputs and held values.
    sizes : a size that matters for each of them.
    up : names of the summaries; `summaries` says what each is.
    tolerances : a hundredth of the size of what is summarised. felt : whether more than reports reads the summary.
    """

    day: FlatModel
    life: FlatModel
    down: tuple[str, ...]
    sizes: tuple[float, ...]
    up: tuple[str, ...]
    tolerances: tuple[float, ...]
    felt: tuple[bool, ...]
    summaries: tuple[Summary, ...]
    day_actions: Mapping[int, int]  # from the actions of the whole composition to those of the day
    life_actions: Mapping[int, int]

    def place(self, kind: str, row: int = 0, column: int = 0) -> int:
        """Index of a bridge coefficient among the life's parameters."""
        ups, downs = len(self.up), len(self.down)
        first = len(self.life.parameters) - _bridge_size(ups, downs)
        starts = {
            "time": 0,
            "v0": 1,
            "w": 1 + downs,
            "s0": 1 + 2 * downs,
            "e": 1 + 2 * downs + ups,
            "c": 1 + 2 * downs + 2 * ups,
            "r": 1 + 2 * downs + 3 * ups,
            "J": 1 + 2 * downs + 4 * ups,
        }
        return first + starts[kind] + (row * downs + column if kind == "J" else row)


def _bridge_size(ups: int, downs: int) -> int:
    return 1 + 2 * downs + 4 * ups + ups * downs


def split(
    flat: FlatModel,
    clock_of: Mapping[str, str],
    summaries: Mapping[str, Summary],
    sizes: Mapping[str, float],
    changing: frozenset[str],
) -> Clocks:
    """The two models of a merged one.

    Parameters
    ----------
    clock_of : "day" or "years" for every state, expression and parameter of the flat model.
    summaries : the names that stand for daily summaries in it.
    sizes : a size that matters, for anything the day may read.
    changing : parameters that change during a run (inputs and held values).
    """
    trees = dict(flat.expressions)
    day_states = [name for name in flat.states if clock_of[name] == "day"]
    derivative = dict(zip(flat.states, flat.derivatives, strict=True))
    used = {summary.of: None for summary in summaries.values()}
    day_wanted = [derivative[name] for name in day_states] + [Name(name) for name in used]
    day_actions = [
        index
        for index, action in enumerate(flat.actions)
        if any(clock_of[name] == "day" for name, _ in action.assignments)
    ]
    day_wanted += [tree for index in day_actions for _, tree in flat.actions[index].assignments]
    asked = [name for name in flat.outputs if clock_of.get(name) == "day"]
    day_wanted += [Name(name) for name in asked]
    inside, down = _reach(day_wanted, trees, clock_of, flat, changing)
    up = tuple(sorted(summaries))
    extra = tuple(name for name in down if name not in flat.parameters)
    means = sorted({summary.of for summary in summaries.values() if summary.kind == "mean"})
    every_day = [name for name, _ in flat.expressions if clock_of[name] == "day" or name in inside]
    index_of = {name: index for index, name in enumerate(flat.states)}
    day = replace(
        flat,
        name=f"{flat.name}:day",
        states=(*day_states, *(INTEGRAL.format(name) for name in means)),
        parameters=(*flat.parameters, *extra),
        values=(*flat.values, *(0.0 for _ in extra)),
        expressions=tuple((name, trees[name]) for name in every_day if name in inside),
        derivatives=(*(derivative[name] for name in day_states), *(Name(name) for name in means)),
        algebraic=(*(flat.algebraic[index_of[name]] for name in day_states), *(False for _ in means)),
        start=(*(flat.start[index_of[name]] for name in day_states), *(Number(0.0) for _ in means)),
        scale=(*(flat.scale[index_of[name]] for name in day_states), *(sizes.get(name, 1.0) for name in means)),
        actions=tuple(flat.actions[index] for index in day_actions),
        outputs=tuple(dict.fromkeys([*used, *asked])),
    )
    return Clocks(
        day=day,
        life=_life(flat, clock_of, trees, derivative, day_states, down, up, day_actions),
        down=down,
        sizes=tuple(sizes.get(name, 1.0) for name in down),
        up=up,
        tolerances=tuple(
            0.01 * (1.0 if summaries[name].kind == "fraction" else sizes.get(summaries[name].of, 1.0)) for name in up
        ),
        felt=_felt(flat, clock_of, trees, derivative, up),
        summaries=tuple(summaries[name] for name in up),
        day_actions={whole: part for part, whole in enumerate(day_actions)},
        life_actions={
            whole: part
            for part, whole in enumerate(each for each in range(len(flat.actions)) if each not in day_actions)
        },
    )


def _reach(
    wanted: list[Tree],
    trees: Mapping[str, Tree],
    clock_of: Mapping[str, str],
    flat: FlatModel,
    changing: frozenset[str],
) -> tuple[set[str], tuple[str, ...]]:
    """The day's expressions that are needed, and the names of the life that they read."""
    inside: set[str] = set()
    down: dict[str, None] = {}
    waiting = sorted({name for tree in wanted for name in names(tree)})
    while waiting:
        name = waiting.pop()
        if name in inside or name in down:
            continue
        if name in trees and clock_of.get(name, "day") == "day":
            inside.add(name)
            waiting.extend(sorted(names(trees[name])))
        elif name in trees or (name in flat.states and clock_of[name] == "years") or name in changing:
            down[name] = None
    return inside, tuple(sorted(down))


def _felt(
    flat: FlatModel,
    clock_of: Mapping[str, str],
    trees: Mapping[str, Tree],
    derivative: Mapping[str, Tree],
    up: tuple[str, ...],
) -> tuple[bool, ...]:
    """Which summaries the life's rates or actions read."""
    wanted = [tree for name, tree in derivative.items() if clock_of[name] == "years"]
    wanted += [tree for action in flat.actions for _, tree in action.assignments]
    seen: set[str] = set()
    waiting = [name for tree in wanted for name in names(tree)]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(names(trees[name]) if name in trees else ())
    return tuple(name in seen for name in up)


def _life(
    flat: FlatModel,
    clock_of: Mapping[str, str],
    trees: Mapping[str, Tree],
    derivative: Mapping[str, Tree],
    day_states: list[str],
    down: tuple[str, ...],
    up: tuple[str, ...],
    day_actions: list[int],
) -> FlatModel:
    """The life model: summaries have become local functions of what the day reads."""
    states = [name for name in flat.states if name not in day_states]
    index_of = {name: index for index, name in enumerate(flat.states)}
    moved = [apply("subtract", Name(name), Name(f"bridge.v0[{j}]")) for j, name in enumerate(down)]
    theta: Tree = Number(0.0)
    for j, difference in enumerate(moved):
        theta = apply("add", theta, apply("multiply", Name(f"bridge.w[{j}]"), difference))
    bridge = {THETA: theta}
    for k, name in enumerate(up):
        bend = apply("add", apply("multiply", Name(f"bridge.e[{k}]"), Name(THETA)), Name(f"bridge.c[{k}]"))
        change: Tree = apply("multiply", bend, apply("subtract", Name(TIME), Name(ORIGIN)))
        for j, difference in enumerate(moved):
            change = apply("add", change, apply("multiply", Name(f"bridge.J[{k},{j}]"), difference))
        bridge[CHANGE.format(k)] = change
        bridge[name] = apply("add", Name(f"bridge.s0[{k}]"), _curved(CHANGE.format(k), f"bridge.r[{k}]"))
    parameters = [ORIGIN, *(f"bridge.v0[{j}]" for j in range(len(down))), *(f"bridge.w[{j}]" for j in range(len(down)))]
    parameters += [f"bridge.{kind}[{k}]" for kind in ("s0", "e", "c", "r") for k in range(len(up))]
    parameters += [f"bridge.J[{k},{j}]" for k in range(len(up)) for j in range(len(down))]
    life_trees = {name: tree for name, tree in trees.items() if clock_of.get(name, "years") != "day"} | bridge
    recorded = [name for name in flat.outputs if clock_of.get(name, "years") != "day"]
    return replace(
        flat,
        name=f"{flat.name}:life",
        states=tuple(states),
        parameters=(*flat.parameters, *parameters),
        values=(*flat.values, *(0.0 for _ in parameters)),
        expressions=tuple(ordered(life_trees)),
        derivatives=tuple(derivative[name] for name in states),
        algebraic=tuple(flat.algebraic[index_of[name]] for name in states),
        start=tuple(flat.start[index_of[name]] for name in states),
        scale=tuple(flat.scale[index_of[name]] for name in states),
        actions=tuple(action for index, action in enumerate(flat.actions) if index not in day_actions),
        outputs=(*recorded, *down, *up),
    )


def _curved(change: str, curve: str) -> Tree:
    """What `isletsim.multiscale.surrogate.curved` computes: u (1 + y / (1 + sqrt(1 + y^2))) with y = r u."""
    share = apply("multiply", Name(curve), Name(change))
    root = apply("sqrt", apply("add", Number(1.0), apply("multiply", share, share)))
    turn = apply("divide", share, apply("add", Number(1.0), root))
    return apply("multiply", Name(change), apply("add", Number(1.0), turn))
