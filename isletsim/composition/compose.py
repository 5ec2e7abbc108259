"""From a checked stack to the flat model: balances become derivatives, ports become actions, laws are put in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from isletsim.composition.clocks import Clocks, split
from isletsim.composition.dimension_check import check_names
from isletsim.composition.order import Loop, ordered
from isletsim.composition.stack import Stack
from isletsim.errors import Fault, did_you_mean
from isletsim.flat import AMOUNT, TIME, Action, FlatModel
from isletsim.language import Apply, Entry, Name, Number, Spread, Table, Tree, apply, names, walk
from isletsim.units import Unit

__all__ = ["Composition", "FileInfo", "PortPlan", "Symbol", "compose"]


@dataclass(frozen=True)
class Symbol:
    """Something a user may ask for or set: its qualified name, what it is, and the unit it is shown in."""

    name: str
    kind: str  # state, unknown, parameter, input, held, derived, quantity, rate, report
    unit: Unit
    of: str = ""
    symbol: str = ""
    about: str = ""
    classes: int = 0
    value: float | None = None  # base units; None where a law gives it
    varies: Spread | None = None
    uncertain: Spread | None = None
    stream: str = ""  # keys its random draws; empty for its own name
    source: str = ""
    assumed: str = ""
    grade: str = ""


@dataclass(frozen=True)
class FileInfo:
    """What outputs say about a file of the stack."""

    name: str
    title: str
    source: str
    assumed: str
    grade: str


@dataclass(frozen=True)
class PortPlan:
    """A port in the flat model: its two actions (-1 where absent), the parameter of its infusion rate, its unit."""

    name: str
    unit: Unit
    add: int
    multiply: int
    flow: str


@dataclass(frozen=True)
class Composition:
    """One flat model and what is needed to talk about it in people's words.

    Attributes
    ----------
    flat : the plain ODE system.
    symbols : by qualified name; a chain appears whole and class by class.
    reports : clinical names, each an expression `report.NAME` of the flat model.
    ports : by qualified name.
    visits : actions that revise held values at a visit; `meals` those that follow a port's additions.
    skipped : adds and scales whose target file is not in the stack.
    clocks : the day and the life apart, where the files declare clocks; then `flat` is their union, with daily
        summaries as open names, and is never compiled.
    """

    flat: FlatModel
    files: Mapping[str, FileInfo]
    symbols: Mapping[str, Symbol]
    reports: Mapping[str, Symbol]
    ports: Mapping[str, PortPlan]
    visits: tuple[int, ...]
    after_port: Mapping[str, tuple[int, ...]]
    skipped: tuple[str, ...]
    clocks: Clocks | None = None


def _derivative(stack: Stack, state: str, index: int, flows: Mapping[str, list[Tree]]) -> Tree:
    total: Tree = Number(0.0)
    for contributor, term in stack.balances[state]:
        file = stack.files[contributor]
        name = term.name if "." in term.name else f"{contributor}.{term.name}"
        if term.boundary is not None and index <= 1:
            if term.boundary == "0":
                continue
            boundary = term.boundary if "." in term.boundary else f"{file.name}.{term.boundary}"
            piece: Tree = Name(boundary)
        elif term.boundary is not None:
            piece = Name(f"{name}[{index - 1}]")
        elif term.last:
            piece = stack.expand(apply("last", Name(name)), 0)
        else:
            piece = stack.expand(Name(name), index)
        if total == Number(0.0):
            total = piece if term.sign > 0 else apply("negate", piece)
        else:
            total = apply("add" if term.sign > 0 else "subtract", total, piece)
    for flow in flows.get(state, ()):
        total = apply("add", total, stack.expand(flow, index))
    return total


def compose(stack: Stack, outputs: Iterable[str] | None, name: str) -> Composition:
    """The composition of a stack whose names and dimensions have been checked."""
    ports, actions, flows, flow_names = _port_actions(stack)
    states = [each for each, entry in stack.entries.items() if entry.kind == "state"]
    unknowns = [each for each, entry in stack.entries.items() if entry.kind == "unknown"]
    flat_states: list[str] = []
    derivatives: list[Tree] = []
    starts: list[Tree] = []
    scales: list[float] = []
    for state in states:
        entry = stack.entries[state]
        for flat_name, index in stack.classes(state):
            flat_states.append(flat_name)
            derivatives.append(_derivative(stack, state, index, flows))
            starts.append(_start(stack, state, index))
            scales.append(_scale(stack, entry))
    for unknown in unknowns:
        entry = stack.entries[unknown]
        assert entry.equation is not None
        flat_states.append(unknown)
        derivatives.append(stack.expand(stack.tree_of(stack.files[stack.owner[unknown]], entry.equation), 0))
        starts.append(Number(entry.value or 0.0))
        scales.append(_scale(stack, entry))
    stack.derivative = dict(zip(flat_states, derivatives, strict=True))
    constants, expressions, reports = _expressions(stack)
    asked = [each for each, _ in expressions] if outputs is None else _asked(stack, outputs)
    asked += [symbol.name for symbol in reports.values() if symbol.name not in asked]
    visits, after_port = _revisions(stack, actions)
    settable = [(each, entry) for each, entry in stack.entries.items() if _settable(entry)]
    values = [entry.value if entry.value is not None else 0.0 for _, entry in settable] + [0.0] * len(flow_names)
    trees = [*derivatives, *(tree for _, tree in expressions)]
    stack.finish()
    flat = FlatModel(
        name=name,
        states=tuple(flat_states),
        parameters=(*(each for each, _ in settable), *flow_names),
        values=tuple(values),
        constants=tuple(constants),
        expressions=tuple(expressions),
        derivatives=tuple(derivatives),
        algebraic=tuple(each in unknowns for each in flat_states),
        start=tuple(starts),
        scale=tuple(scales),
        actions=tuple(actions),
        outputs=tuple(asked),
        periods=_periods(trees),
        knots=_knots(trees),
    )
    check_names(stack, flat)
    stack.finish()
    clocks = None
    if any(file.clock == "day" for file in stack.files.values()):
        try:
            clocks = _split(stack, flat)
        except Loop as loop:
            _cycle(stack, loop.members)
        stack.finish()
    return Composition(
        clocks=clocks,
        flat=flat,
        files={
            file.name: FileInfo(file.name, file.title, file.source, file.assumed, file.grade)
            for file in stack.files.values()
        },
        symbols=_symbols(stack),
        reports=reports,
        ports=ports,
        visits=tuple(visits),
        after_port=after_port,
        skipped=tuple(sorted(stack.skipped)),
    )


def _split(stack: Stack, flat: FlatModel) -> Clocks:
    """The two flat models of a stack whose files declare clocks."""
    for file in stack.files.values():
        if not file.clock and file.entries:
            file.document.fault(
                (), "has no clock, but another file of the stack has.", 'Write clock = "years" or "day".'
            )
        for report in file.reports.values():
            if file.clock == "day":
                message = "a day file has no reports; a life file reports what it reads of the day."
                file.document.fault(report.equation.keys, message)
    stack.finish()

    def owner(name: str) -> str:
        inner = name[7:-1] if name.startswith("change(") else name
        base = inner.partition("[")[0]
        return stack.clock(base) if base in stack.owner else "years"

    known = [*flat.states, *(name for name, _ in flat.expressions), *flat.parameters]
    sizes = {name: _size(stack, name) for name in known}
    changing = frozenset(
        name
        for name, entry in stack.entries.items()
        if entry.kind in ("input", "held") and stack.clock(name) == "years"
    )
    clock_of = {name: owner(name) for name in known}
    return split(flat, clock_of, stack.summaries, sizes, changing)


def _size(stack: Stack, name: str) -> float:
    """A size that matters for a quantity: its scale, else one of the unit it is shown in."""
    entry = stack.entries.get(name.partition("[")[0])
    if entry is None:
        return 1.0
    return entry.scale if entry.scale is not None else stack.shown_unit(name.partition("[")[0]).factor


def _asked(stack: Stack, outputs: Iterable[str]) -> list[str]:
    """The flat names of what is to be recorded."""
    found: list[str] = []
    for name in outputs:
        entry = stack.entries.get(name)
        if entry is None or entry.table is not None or entry.kind == "derived":
            stack.faults.append(Fault(name, "cannot be recorded: no such quantity.", did_you_mean(name, stack.entries)))
            continue
        found += [flat_name for flat_name, _ in stack.classes(name)]
    return found


def _start(stack: Stack, state: str, index: int) -> Tree:
    entry = stack.entries[state]
    if entry.equation is None:
        return Number(entry.value or 0.0)
    return stack.expand(stack.tree_of(stack.files[stack.owner[state]], entry.equation), index)


def _scale(stack: Stack, entry: Entry) -> float:
    if entry.scale is not None:
        return entry.scale
    return entry.unit.factor if entry.unit is not None else 1.0


def _port_actions(stack: Stack) -> tuple[dict[str, PortPlan], list[Action], dict[str, list[Tree]], list[str]]:
    plans: dict[str, PortPlan] = {}
    actions: list[Action] = []
    flows: dict[str, list[Tree]] = {}
    flow_names: list[str] = []
    for file in stack.files.values():
        for port in file.ports.values():
            whole = f"{file.name}.{port.name}"
            indices = {"add": -1, "multiply": -1}
            flow = ""
            for verb, equations in (("multiply", port.multiply), ("add", port.add)):
                assignments: list[tuple[str, Tree]] = []
                for target, equation in equations.items():
                    tree = stack.tree_of(file, equation)
                    for flat_name, index in stack.classes(f"{file.name}.{target}"):
                        effect = stack.expand(tree, index)
                        given = apply("multiply", Name(AMOUNT), effect)
                        changed = apply("add", Name(flat_name), given)
                        kept = apply("multiply", Name(flat_name), effect)
                        assignments.append((flat_name, changed if verb == "add" else kept))
                    if verb == "add":
                        flow = f"{whole}:flow"
                        flows.setdefault(f"{file.name}.{target}", []).append(apply("multiply", Name(flow), tree))
                if assignments:
                    indices[verb] = len(actions)
                    actions.append(Action(f"{whole}:{verb}", tuple(assignments)))
            if flow:
                flow_names.append(flow)
            unit = stack.port_units[whole]
            plans[whole] = PortPlan(whole, unit, indices["add"], indices["multiply"], flow)
    return plans, actions, flows, flow_names


def _revisions(stack: Stack, actions: list[Action]) -> tuple[list[int], dict[str, tuple[int, ...]]]:
    visits: list[int] = []
    after_port: dict[str, tuple[int, ...]] = {}
    for name, entry in stack.entries.items():
        if entry.kind != "held" or entry.equation is None:
            continue
        file = stack.files[stack.owner[name]]
        tree = stack.expand(stack.tree_of(file, entry.equation), 0)
        index = len(actions)
        actions.append(Action(f"{name}:revise", ((name, tree),)))
        if entry.at == "visit":
            visits.append(index)
        else:
            port = f"{file.name}.{entry.at}"
            after_port[port] = (*after_port.get(port, ()), index)
    return visits, after_port


def _expressions(stack: Stack) -> tuple[list[tuple[str, Tree]], list[tuple[str, Tree]], dict[str, Symbol]]:
    """Constants and expressions in order of use, and the reports (which are expressions too)."""
    trees: dict[str, Tree] = {}
    kinds: dict[str, str] = {}
    for name, whole in stack.wholes.items():
        for flat_name, index in stack.classes(name):
            trees[flat_name] = stack.expand(whole.tree, index)
            kinds[flat_name] = stack.entries[name].kind
    reports: dict[str, Symbol] = {}
    for file in stack.files.values():
        for name, report in file.reports.items():
            if name in reports:
                file.document.fault(report.equation.keys, f'"{name}" is reported by another file of the stack too.')
                continue
            unit, substance = stack.report_unit(file, report), stack.report_substance(file, report)
            reports[name] = Symbol(f"report.{name}", "report", unit, substance, about=report.about)
            trees[f"report.{name}"] = stack.expand(stack.tree_of(file, report.equation), 0)
            kinds[f"report.{name}"] = "report"
    for name in sorted({each for tree in [*trees.values(), *stack.derivative.values()] for each in names(tree)}):
        if name.startswith("change("):
            trees[name] = stack.derivative.get(name[7:-1], Number(0.0))
            kinds[name] = "change"
    ordered = _ordered(stack, trees)
    constant = [(name, tree) for name, tree in ordered if kinds[name] == "derived"]
    return constant, [(name, tree) for name, tree in ordered if kinds[name] != "derived"], reports


def _ordered(stack: Stack, trees: dict[str, Tree]) -> list[tuple[str, Tree]]:
    """Expressions so that each comes after those it needs; a cycle is a fault that names its members."""
    try:
        return ordered(trees)
    except Loop as loop:
        _cycle(stack, loop.members)
        return []


def _cycle(stack: Stack, members: list[str]) -> None:
    message = f"these laws need each other: {' -> '.join(members)}."
    cure = "Make one of them a state, or an algebraic unknown under [solve]."
    stack.fault_at(next((each for each in members if each.partition("[")[0] in stack.entries), ""), message, cure)


def _symbols(stack: Stack) -> dict[str, Symbol]:
    symbols: dict[str, Symbol] = {}
    for name, entry in stack.entries.items():
        if entry.table is not None:
            continue
        width = stack.width(name)
        note = entry.note
        whole = Symbol(
            name=name,
            kind=entry.kind,
            unit=stack.shown_unit(name),
            of=entry.of,
            symbol=note.symbol,
            about=note.about,
            classes=width,
            value=entry.value,
            varies=entry.varies,
            uncertain=entry.uncertain,
            stream=entry.stream,
            source=note.source,
            assumed=note.assumed,
            grade=note.grade or stack.files[stack.owner[name]].grade,
        )
        symbols[name] = whole
        for index in range(1, width + 1):
            letter = f"{note.symbol}[{index}]" if note.symbol else ""
            symbols[f"{name}[{index}]"] = replace(whole, name=f"{name}[{index}]", symbol=letter, classes=0)
    return symbols


def _settable(entry: Entry) -> bool:
    return entry.kind in ("parameter", "input", "held") and entry.table is None


def _periods(trees: Iterable[Tree]) -> tuple[tuple[Tree, Tree], ...]:
    """Offset and period of every `mod` of the time."""
    found: list[tuple[Tree, Tree]] = []
    for tree in trees:
        for node in walk(tree):
            if isinstance(node, Apply) and node.operator == "mod" and TIME in names(node.arguments[0]):
                offset = _offset(node.arguments[0])
                if offset is not None and (offset, node.arguments[1]) not in found:
                    found.append((offset, node.arguments[1]))
    return tuple(found)


def _offset(tree: Tree) -> Tree | None:
    """Where `mod` of this tree is zero first: the tree is time, time minus something, or again mod of such."""
    match tree:
        case Name("time"):
            return Number(0.0)
        case Apply("subtract", (inner, shift)) if TIME not in names(shift):
            before = _offset(inner)
            return None if before is None else apply("add", before, shift)
        case Apply("add", (inner, shift)) if TIME not in names(shift):
            before = _offset(inner)
            return None if before is None else apply("subtract", before, shift)
        case Apply("mod", (inner, _)):
            return _offset(inner)
    return None


def _knots(trees: Iterable[Tree]) -> tuple[float, ...]:
    found: set[float] = set()
    for tree in trees:
        for node in walk(tree):
            match node:
                case Apply("table", (Name("time"), Table(abscissae))):
                    found.update(abscissae)
    return tuple(sorted(found))
