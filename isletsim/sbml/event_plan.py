"""Plan of the events of an SBML model, and of the times at which conditions on time alone change.

The solver stops where a trigger becomes true or false; all else is decided between two runs (`isletsim.sbml.running`)
from a second model, the *probe*, that only evaluates: triggers, delays, priorities, new values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from isletsim.errors import Fault, InputError, RunError
from isletsim.flat import TIME, Event, FlatModel
from isletsim.language import Apply, Name, Number, Tree, apply, walk
from isletsim.sbml.algebra import dependents, linear, needed
from isletsim.sbml.delays import Delayed, delayed_name
from isletsim.sbml.flattened import Flattened
from isletsim.sbml.records import SbmlEvent, flat_name

__all__ = ["NEVER", "SAME_TIME", "Break", "EventPlan", "EventTarget", "PlannedEvent"]
__all__ += ["all_times", "next_time", "plan_events"]

NEVER = -1
MOST_STOPS = 10_000_000
SAME_TIME = 1e-12  # beside 1 + |time|: an equality of the time holds this near to its instant
COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})


@dataclass(frozen=True)
class EventTarget:
    """State that an assignment sets; `size` is the probe index of the factor from concentration to amount."""

    state: int
    size: int = NEVER


@dataclass(frozen=True)
class PlannedEvent:
    """Event as indices into the output of the probe; -1 when a part is absent."""

    name: str
    trigger: int
    delay: int
    priority: int
    initially: bool
    persistent: bool
    at_trigger: bool
    targets: tuple[EventTarget, ...]
    values: tuple[int, ...]
    afterwards: int = NEVER  # the trigger right after an instant at which a condition of the time held


@dataclass(frozen=True)
class Break:
    """Condition on slope * time + rest: zero, or (periodic) an integer."""

    slope: int
    rest: int
    periodic: bool
    argument: int = NEVER  # of a whole part: what its argument is
    changing: bool = False  # whether slope and rest change where other conditions on the time do


@dataclass(frozen=True)
class EventPlan:
    """Flat model with its events.

    Attributes
    ----------
    flat : with two events of the solver for every condition in a trigger: it becomes true, it becomes false.
    probe : evaluates; None where nothing is to be evaluated.
    events : the events.
    breaks : conditions on the time.
    diluted : states that are concentrations by a rule, and the probe's index of the size of their compartment.
    absorbed : states that take over what fast reactions converted: state, the probe's index of the whole amount.
    extents : the states that are set to zero then.
    delays : delayed quantities.
    guarded : whether triggers depend on more than the time, so that no step may be too long to see them.
    """

    flat: FlatModel
    probe: FlatModel | None
    events: tuple[PlannedEvent, ...]
    breaks: tuple[Break, ...]
    diluted: tuple[tuple[int, int], ...]
    absorbed: tuple[tuple[int, int], ...]
    extents: tuple[int, ...]
    guarded: bool
    delays: tuple[Delayed, ...] = ()


class _Probe:
    """Named trees to be evaluated, each once."""

    def __init__(self) -> None:
        self.trees: dict[str, Tree] = {}
        self._known: dict[int, int] = {}

    def add(self, tree: Tree) -> int:
        """Return the index of a tree's value."""
        if id(tree) not in self._known:
            self._known[id(tree)] = len(self.trees)
            self.trees[f"probe({len(self.trees)})"] = tree
        return self._known[id(tree)]


def plan_events(flattened: Flattened) -> EventPlan:
    """Return the plan of the events of a flat model.

    Raises
    ------
    InputError : an event that cannot be executed as specified.
    """
    flat, document = flattened.flat, flattened.document
    definitions = dict(flat.expressions)
    probe = _Probe()
    place = {name: index for index, name in enumerate(flat.states)}
    planned = tuple(_planned_event(flattened, each, probe, place) for each in document.events)
    for event in document.events:
        _check_equalities(flattened, event, definitions)
    conditions = _watched(flattened, definitions)
    conditions_as_events = [
        Event(f"condition {index} {word}", tree)
        for index, condition in enumerate(conditions)
        for word, tree in (("begins", apply("not", apply("not", condition))), ("ends", apply("not", condition)))
    ]
    trees = [*flat.derivatives, *definitions.values(), *(each.trigger for each in document.events)]
    breaks = _breaks(trees, definitions, flattened, probe)
    diluted, absorbed, extents = [], [], []
    if planned:
        for name, pool in flattened.pools.items():
            if name in place and not pool.is_amount and pool.compartment not in flat.parameters:
                diluted.append((place[name], probe.add(Name(pool.compartment))))
        for amount, slow in flattened.fast.items():
            absorbed.append((place[slow], probe.add(Name(amount))))
        extents = [index for name, index in place.items() if name.startswith("extent(")]
    delays = tuple(_delayed(flattened, number, definitions, probe) for number in range(len(document.delays)))
    return EventPlan(
        flat=replace(flat, events=tuple(conditions_as_events)),
        probe=_probe_model(flat, probe) if probe.trees else None,
        events=planned,
        breaks=tuple(breaks),
        diluted=tuple(diluted),
        absorbed=tuple(absorbed),
        extents=tuple(extents),
        delays=delays,
        guarded=any(needed(definitions, each) & flattened.moving - {TIME} for each in conditions)
        or any(_line_of(each, definitions, flattened) is None for each in conditions),
    )


def _delayed(flattened: Flattened, number: int, definitions: Mapping[str, Tree], probe: _Probe) -> Delayed:
    flat, name = flattened.flat, delayed_name(number)
    changing = needed(definitions, Name(f"{name} lag")) & flattened.moving - {f"{name} lag"}
    return Delayed(
        first=flat.parameters.index(f"{name} power 0"),
        source=flat.outputs.index(f"{name} source"),
        lag=flat.outputs.index(f"{name} lag"),
        early=probe.add(flattened.early[number]),
        early_lag=probe.add(Name(f"{name} lag")),
        fixed=not changing,
        timed=not needed(definitions, Name(f"{name} lag")) & set(flat.states) & flattened.moving
        and not any(each.startswith("delayed(") for each in changing),
    )


def _watched(flattened: Flattened, definitions: Mapping[str, Tree]) -> list[Tree]:
    """Return the atomic conditions in triggers that change between events.

    A short pulse `a < x and x < b` begins and ends within one step; its two conditions do not.
    """
    found: dict[Tree, None] = {}
    stack = [event.trigger for event in reversed(flattened.document.events)]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.operator in ("and", "or", "not"):
            stack.extend(reversed(node.arguments))
        elif needed(definitions, node) & flattened.moving and not _is_momentary(node, flattened, definitions):
            found.setdefault(node)
    return list(found)


def _probe_model(flat: FlatModel, probe: _Probe) -> FlatModel:
    """Return a model with the same quantities and zero derivatives; only its outputs are used."""
    return replace(
        flat,
        name=f"{flat.name} probe",
        expressions=(*flat.expressions, *probe.trees.items()),
        derivatives=tuple(Number(0.0) for _ in flat.states),
        algebraic=tuple(False for _ in flat.states),
        outputs=tuple(probe.trees),
    )


def _momentary(tree: Tree, during: bool, flattened: Flattened, definitions: Mapping[str, Tree]) -> Tree:
    """Return a trigger whose equalities of the time hold to rounding (during), or not at all (right after)."""
    if not isinstance(tree, Apply):
        return tree
    if _is_momentary(tree, flattened, definitions):
        gap = apply("abs", apply("subtract", *tree.arguments))
        met: Tree = Number(0.0)
        if during:
            allowed = apply("multiply", Number(SAME_TIME), apply("add", Number(1.0), apply("abs", Name(TIME))))
            met = apply("where", apply("less_equal", gap, allowed), Number(1.0), Number(0.0))
        return apply("equal", met, Number(1.0 if tree.operator == "equal" else 0.0))
    return Apply(tree.operator, tuple(_momentary(each, during, flattened, definitions) for each in tree.arguments))


def _is_momentary(node: Tree, flattened: Flattened, definitions: Mapping[str, Tree]) -> bool:
    """Return whether a node is an equality of two piecewise straight lines of the time."""
    if not isinstance(node, Apply) or node.operator not in ("equal", "not_equal"):
        return False
    sides = [each for each in node.arguments if needed(definitions, each) & flattened.moving]
    return bool(sides) and sides != [Name(TIME)] and _line_of(node, definitions, flattened) is not None


def _planned_event(flattened: Flattened, event: SbmlEvent, probe: _Probe, place: Mapping[str, int]) -> PlannedEvent:
    definitions = dict(flattened.flat.expressions)
    trigger = event.trigger
    afterwards = NEVER
    if any(_is_momentary(node, flattened, definitions) for node in walk(trigger)):
        trigger = _momentary(event.trigger, True, flattened, definitions)  # noqa: FBT003
        after = _momentary(event.trigger, False, flattened, definitions)  # noqa: FBT003
        afterwards = probe.add(apply("where", after, Number(1.0), Number(0.0)))
    targets = [_target(flattened, event, flat_name(variable), probe, place) for variable, _ in event.assignments]
    return PlannedEvent(
        name=event.id,
        trigger=probe.add(apply("where", trigger, Number(1.0), Number(0.0))),
        afterwards=afterwards,
        delay=NEVER if event.delay is None else probe.add(event.delay),
        priority=NEVER if event.priority is None else probe.add(event.priority),
        initially=event.initially,
        persistent=event.persistent,
        at_trigger=event.at_trigger,
        targets=tuple(targets),
        values=tuple(probe.add(tree) for _, tree in event.assignments),
    )


def _target(flattened: Flattened, event: SbmlEvent, name: str, probe: _Probe, place: Mapping[str, int]) -> EventTarget:
    pool = flattened.pools.get(name)
    if pool is not None and not pool.is_amount and pool.amount:
        return EventTarget(place[flattened.fast.get(pool.amount, pool.amount)], probe.add(Name(pool.compartment)))
    state = flattened.fast.get(name, name)
    if state not in place:
        message = "This quantity is constant, or a rule determines it; an event cannot set it."
        raise InputError(Fault(f"event {event.id}, assignment of {name}", message))
    return EventTarget(place[state])


def _check_equalities(flattened: Flattened, event: SbmlEvent, definitions: Mapping[str, Tree]) -> None:
    """Refuse equality of continuous quantities; only `time == number` has a well-defined instant."""
    trees = [event.trigger, *(definitions[name] for name in needed(definitions, event.trigger) if name in definitions)]
    for node in (node for tree in trees for node in walk(tree)):
        if isinstance(node, Apply) and node.operator in ("equal", "not_equal"):
            sides = [each for each in node.arguments if needed(definitions, each) & flattened.moving]
            if sides and sides != [Name(TIME)] and not _is_momentary(node, flattened, definitions):
                message = "It asks whether quantities that change all the time are equal: no moment is certain."
                raise InputError(Fault(f"event {event.id}, trigger", message, "Ask for <= or >= instead."))


def _breaks(trees: Iterable[Tree], definitions: Mapping[str, Tree], flattened: Flattened, probe: _Probe) -> list[Break]:
    """Return the conditions linear in time, with coefficients that change at events, or where others of them do."""
    found: dict[tuple[Tree, Tree, bool], Break] = {}
    for node in _conditions(trees):
        line = _line_of(node, definitions, flattened)
        periodic = node.operator == "floor"
        if line is not None and (*line, periodic) not in found:
            argument = probe.add(node.arguments[0]) if periodic else NEVER
            changing = any(needed(definitions, each) & flattened.moving for each in line)
            found[(*line, periodic)] = Break(probe.add(line[0]), probe.add(line[1]), periodic, argument, changing)
    return list(found.values())


def _line_of(node: Tree, definitions: Mapping[str, Tree], flattened: Flattened) -> tuple[Tree, Tree] | None:
    """Return slope and rest of a condition that is piecewise linear in time, else None."""
    if not isinstance(node, Apply) or (node.operator != "floor" and node.operator not in COMPARISONS):
        return None
    tree = node.arguments[0] if node.operator == "floor" else apply("subtract", *node.arguments)
    used = needed(definitions, tree)
    if TIME not in used or used & flattened.moving & set(flattened.flat.states):
        return None
    if any(name.startswith("delayed(") for name in used):
        return None
    line = linear(tree, TIME, definitions, dependents(definitions, [TIME]), pieces=True)
    return None if line is None or line[0] is None else (line[0], line[1])


def _conditions(trees: Iterable[Tree]) -> Iterable[Apply]:
    """Yield every comparison and every floor in some trees, each subtree once."""
    seen: set[int] = set()
    stack = list(trees)
    while stack:
        node = stack.pop()
        if id(node) in seen or not isinstance(node, Apply):
            continue
        seen.add(id(node))
        stack.extend(node.arguments)
        if node.operator == "floor" or node.operator in COMPARISONS:
            yield node


# --- times of breaks -----------------------------------------------------------------------------------------------


def next_time(slope: float, rest: float, periodic: bool, now: float) -> float:
    """The next time after now at which slope * time + rest is 0, or (periodic) a whole number."""
    after = math.nextafter(now, math.inf)
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(rest):
        return math.inf
    if not periodic:
        time = -rest / slope
        return time if time > after else math.inf
    step = 1.0 if slope > 0 else -1.0
    whole = math.floor(slope * now + rest) if slope > 0 else math.ceil(slope * now + rest)
    for turn in range(1, 4):
        time = (whole + turn * step - rest) / slope
        if time > after:
            return time
    return math.inf


def all_times(slope: float, rest: float, periodic: bool, end: float) -> list[float]:
    """Every such time between the beginning and the end."""
    if not periodic:
        time = next_time(slope, rest, False, 0.0)  # noqa: FBT003
        return [time] if time < end else []
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(rest):
        return []
    if abs(slope) * end > MOST_STOPS:
        raise RunError(f"the mathematics changes every {1 / abs(slope):g} of the time: that cannot be followed.")
    low, high = sorted((rest, slope * end + rest))
    times = (np.arange(math.ceil(low), math.floor(high) + 1) - rest) / slope
    return [float(time) for time in times if 0.0 < time < end]
