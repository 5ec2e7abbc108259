"""The work table of a composition: whose names mean what, who adds to whom, and of which dimension everything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from isletsim.data_files import renamed
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.flat import AMOUNT, TIME
from isletsim.language import (
    ANY,
    SUMMARIES,
    Apply,
    Entry,
    Equation,
    Mismatch,
    ModelFile,
    Name,
    Number,
    Report,
    Table,
    Term,
    Tree,
    apply,
    dimension_of,
    names,
    same,
    signed_terms,
    walk,
)
from isletsim.units import DAY, PURE, Dimension, Unit, UnitError, base_unit, describe, through, times

__all__ = ["PER_TIME", "Stack", "Summary", "Whole"]

PER_TIME: Dimension = (("[time]", -1.0),)
CLASS = "class"  # in the start of a chain: the number of the class, from 1


@dataclass(frozen=True)
class Summary:
    """What a life file wants to know of a day: the mean, the value at a time, the extremes, or the share of the day
    between two levels, of a day's state, quantity or rate. `limits` are names of parameters.
    """

    kind: str
    of: str
    limits: tuple[str, ...]


@dataclass
class Whole:
    """A rate or quantity after composition: its own law, what others add, what others scale it by."""

    own: Equation
    file: str
    adds: list[tuple[str, Equation, Tree]] = field(default_factory=list)
    scales: list[tuple[str, Equation, Tree]] = field(default_factory=list)
    tree: Tree = field(default_factory=lambda: Number(0.0))


@dataclass
class Stack:
    """The work table of one composition."""

    files: dict[str, ModelFile]
    entries: dict[str, Entry] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    wholes: dict[str, Whole] = field(default_factory=dict)
    balances: dict[str, list[tuple[str, Term]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    widths: dict[str, int] = field(default_factory=dict)
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    port_units: dict[str, Unit] = field(default_factory=dict)
    derivative: dict[str, Tree] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    # --- names ---

    def read(self, file: ModelFile) -> None:
        """Take the entries of a file under their qualified names."""
        file.document.faults.clear()
        for name, entry in file.entries.items():
            self.entries[f"{file.name}.{name}"] = entry
            self.owner[f"{file.name}.{name}"] = file.name

    def finish(self) -> None:
        """Raise every fault found so far, of every file, as one `InputError`."""
        found = [fault for file in self.files.values() for fault in file.document.faults] + self.faults
        if found:
            raise InputError(dict.fromkeys(found))

    def fault_at(self, place: str, message: str, cure: str = "") -> None:
        """Note a mistake at a flat name: an entry, one class of it, a report, or an action of a port."""
        name = place.removeprefix("change(").partition("[")[0].partition(":")[0].rstrip(")")
        owner, _, rest = name.partition(".")
        if name in self.entries:
            self.files[self.owner[name]].document.fault(self.entries[name].keys, message, cure)
        elif owner == "report":
            file = next(file for file in self.files.values() if rest in file.reports)
            file.document.fault(file.reports[rest].equation.keys, message, cure)
        elif owner in self.files:
            self.files[owner].document.fault(("doses", rest), message, cure)
        else:
            self.faults.append(Fault("the stack", message, cure))

    def qualify(
        self, file: ModelFile, name: str, equation: Equation, span: tuple[int, int] | None, summary: bool = False
    ) -> str:
        """The qualified name that a text means, "" after noting a fault; `summary`: as what is summarised."""
        page = file.document
        if name == TIME or (
            name == CLASS and equation.keys[0] == "states" and file.entries[str(equation.keys[1])].classes
        ):
            return name
        if "." not in name:
            if name in file.entries:
                return f"{file.name}.{name}"
            elsewhere = [other.name for other in self.files.values() if name in other.entries]
            cure = renamed(name, file.name) or did_you_mean(name, file.entries)
            if not cure and elsewhere:
                cure = f"It is in {elsewhere[0]}: write {elsewhere[0]}.{name} and announce it under [uses]."
            page.fault(equation.keys, f'"{name}" is not defined in this file.', cure, equation.text, span)
            return ""
        other, _, rest = name.partition(".")
        if other == file.name and rest in file.entries:
            return name
        if other not in self.files:
            cure = renamed(other) or did_you_mean(other, self.files)
            page.fault(equation.keys, f'the file "{other}" is not in the stack.', cure, equation.text, span)
        elif rest not in self.files[other].entries:
            cure = renamed(rest, other) or did_you_mean(rest, self.files[other].entries)
            page.fault(equation.keys, f'"{other}" has no "{rest}".', cure, equation.text, span)
        elif rest not in file.uses.get(other, ()):
            cure = f'Write {other} = ["{rest}"] under [uses].'
            page.fault(equation.keys, f'"{name}" is borrowed but not announced.', cure, equation.text, span)
        elif not summary and file.clock == "years" and self._moves_within_a_day(name):
            cure = f"Write mean({name}), at({name}, ...), max, min or fraction."
            message = f'"{name}" changes within a day; a file with clock = "years" reads daily summaries.'
            page.fault(equation.keys, message, cure, equation.text, span)
        else:
            return name
        return ""

    def _moves_within_a_day(self, name: str) -> bool:
        return self.clock(name) == "day" and self.entries[name].kind in ("state", "unknown", "quantity", "rate")

    def tree_of(self, file: ModelFile, equation: Equation) -> Tree:
        """A law with qualified names, data in place, and `change(x)` as a name of its own."""

        def visit(node: Tree) -> Tree:
            match node:
                case Name(name, span):
                    return Name(self.qualify(file, name, equation, span), span)
                case Apply("table", (argument, Name(name, span)), whole):
                    data = self.qualify(file, name, equation, span)
                    if data and (data not in self.entries or self.entries[data].table is None):
                        cure = "Give it table = [[x, y], ...] under [parameters]."
                        file.document.fault(equation.keys, f'"{name}" holds no data.', cure, equation.text, span)
                        return Number(0.0)
                    return Apply("table", (visit(argument), Name(data, span)), whole)
                case Apply("change", (Name(name, span),), whole):
                    target = self.qualify(file, name, equation, span)
                    if target and (target not in self.entries or self.entries[target].kind != "state"):
                        file.document.fault(equation.keys, f'"{name}" is not a state.', "", equation.text, span)
                        return Number(0.0)
                    return Name(f"change({target})", whole)
                case Apply(operator, arguments, whole) if SUMMARIES.get(operator) == len(arguments):
                    return Name(self._summary(file, equation, node), whole)
                case Apply("change" | "sum" | "last" | "previous", arguments, whole) if not all(
                    isinstance(each, Name) for each in arguments
                ):
                    message = f"{node.operator} takes names; previous stands in a balance only."
                    file.document.fault(equation.keys, message, "", equation.text, whole)
                    return Number(0.0)
                case Apply("previous", _, whole):
                    file.document.fault(equation.keys, "previous stands in a balance only.", "", equation.text, whole)
                    return Number(0.0)
                case Apply(operator, arguments, whole):
                    return Apply(operator, tuple(visit(each) for each in arguments), whole)
            return node

        return visit(equation.tree)

    def _summary(self, file: ModelFile, equation: Equation, node: Apply) -> str:
        """The name of a daily summary, "" after noting a fault."""
        if not all(isinstance(each, Name) for each in node.arguments):
            message = f"{node.operator} of a day takes names: what is summarised, then parameters."
            file.document.fault(equation.keys, message, "Give this piece a name.", equation.text, node.span)
            return ""
        written = [each for each in node.arguments if isinstance(each, Name)]
        found = [self.qualify(file, each.name, equation, each.span, summary=True) for each in written]
        for each in written:
            if each.name == TIME:
                file.document.fault(equation.keys, "time itself has no daily summary.", "", equation.text, each.span)
        if not all(each in self.entries for each in found):
            return ""
        of, limits = found[0], found[1:]
        if self.clock(of) != "day" or file.clock != "years":
            message = f"{node.operator}(...) with {len(found)} name{'s' * (len(found) > 1)} is a daily summary."
            cure = 'It is for files with clock = "years" that look at one with clock = "day".'
            file.document.fault(equation.keys, message, cure, equation.text, node.span)
            return ""
        if any(self.entries[each].kind not in ("parameter", "derived") for each in limits):
            file.document.fault(equation.keys, "the limits of a summary are parameters.", "", equation.text, node.span)
            return ""
        name = f"{node.operator}({', '.join(found)})"
        self.summaries[name] = Summary(node.operator, of, tuple(limits))
        return name

    def clock(self, name: str) -> str:
        """The clock of the file that owns a name, "" where it has none."""
        return self.files[self.owner[name]].clock

    # --- adds and scales ---

    def combine(self) -> None:
        """Join adds and scales to the rates, quantities and balances they name."""
        for file in self.files.values():
            for name, entry in file.entries.items():
                if entry.kind in ("quantity", "rate", "derived") and entry.equation is not None:
                    whole = Whole(entry.equation, file.name)
                    self.wholes[f"{file.name}.{name}"] = whole
                if entry.kind == "state":
                    self.balances[f"{file.name}.{name}"] = [(file.name, term) for term in file.balance.get(name, ())]
            for other, borrowed in file.uses.items():
                for name in borrowed:
                    if other in self.files and name not in self.files[other].entries:
                        cure = renamed(name, other) or did_you_mean(name, self.files[other].entries)
                        file.document.fault(("uses", other), f'"{other}" has no "{name}".', cure)
        for file in self.files.values():
            for target, equation in file.adds:
                self._join(file, target, equation, adding=True)
            for target, equation in file.scales:
                self._join(file, target, equation, adding=False)
        for whole in self.wholes.values():
            total = self.tree_of(self.files[whole.file], whole.own)
            for _, _, tree in whole.adds:
                total = apply("add", total, tree)
            for _, _, tree in whole.scales:
                total = apply("multiply", total, tree)
            whole.tree = total

    def _join(self, file: ModelFile, target: str, equation: Equation, adding: bool) -> None:
        other, _, name = target.partition(".")
        if other == file.name:
            file.document.fault(equation.keys, f'"{target}" is in this very file.', "Write it into its own law.")
            return
        if other not in self.files and renamed(other):
            file.document.fault(equation.keys, f'there is no file "{other}".', renamed(target))
            return
        if other not in self.files:
            self.skipped.append(f"{file.name}: {'adds to' if adding else 'scales'} {target}")
            return
        entry = self.files[other].entries.get(name)
        verb = "add to" if adding else "scale"
        if entry is None:
            cure = renamed(name, other) or did_you_mean(name, self.files[other].entries)
            file.document.fault(equation.keys, f'"{other}" has no "{name}" to {verb}.', cure)
        elif entry.kind in ("rate", "quantity"):
            whole = self.wholes[target]
            (whole.adds if adding else whole.scales).append((file.name, equation, self.tree_of(file, equation)))
        elif entry.kind == "state" and adding:
            self.balances[target] += [(file.name, term) for term in signed_terms(file.document, equation)]
        else:
            kinds = "a rate, a quantity or a state's balance" if adding else "a rate or a quantity"
            file.document.fault(equation.keys, f'"{target}" is a {entry.kind}; one can {verb} {kinds}.')

    # --- dimensions ---

    def dimension(self, name: str) -> Dimension:
        """The dimension of a qualified name; ANY after a fault has been noted."""
        if name in self.dimensions:
            return self.dimensions[name]
        if name == TIME:
            return DAY.dimension
        if name == CLASS:
            return PURE
        if name in self.summaries:
            summary = self.summaries[name]
            return PURE if summary.kind == "fraction" else self.dimension(summary.of)
        if name.startswith("change("):
            inner = self.dimension(name[7:-1])
            return inner if inner == ANY else times(inner, PER_TIME)
        entry = self.entries.get(name)
        if entry is None:
            return ANY
        self.dimensions[name] = ANY  # a cycle ends here; it is reported when the laws are put in order
        if name in self.wholes:
            whole = self.wholes[name]
            found = self.measure(self.files[whole.file], whole.own)
            if entry.unit is not None and not same(found, entry.unit.dimension):
                text = f"the law is {describe(found)}; the unit {entry.unit.text} is {describe(entry.unit.dimension)}."
                self.files[whole.file].document.fault(entry.keys, text)
            self.dimensions[name] = entry.unit.dimension if entry.unit is not None else found
        elif entry.unit is not None:
            self.dimensions[name] = entry.unit.dimension
        return self.dimensions[name]

    def measure(self, file: ModelFile, equation: Equation, tree: Tree | None = None) -> Dimension:
        """The dimension of a law; ANY after a fault has been noted."""

        def of_name(name: str) -> Dimension:
            if name == AMOUNT:
                return ANY
            if name.startswith(("sum(", "last(")):
                return self.dimension(name.split("(")[1][:-1])
            return self.dimension(name)

        noted = len(file.document.faults)
        qualified = tree if tree is not None else self.tree_of(file, equation)
        if tree is None:  # names were checked when the law was read
            del file.document.faults[noted:]
        if any(name == "" for name in names(qualified)):
            return ANY
        for node in walk(qualified):
            match node:
                case Apply("table", (argument, Name(data))):
                    units = self.entries[data].table_units
                    found = self._measured(file, equation, argument, of_name)
                    if units is not None and not same(found, units[0].dimension):
                        message = f"the data run over {describe(units[0].dimension)}, not over {describe(found)}."
                        file.document.fault(equation.keys, message, "", equation.text, argument.span)
        return self._measured(file, equation, qualified, of_name)

    def _measured(self, file: ModelFile, equation: Equation, tree: Tree, of_name: object) -> Dimension:
        try:
            return dimension_of(tree, of_name, equation.text)  # type: ignore[arg-type]
        except Mismatch as wrong:
            file.document.fault(equation.keys, wrong.message, "", equation.text, wrong.span)
            return ANY

    def demand(
        self, file: ModelFile, equation: Equation, wanted: Dimension, rule: str, tree: Tree | None = None
    ) -> None:
        """Note a fault unless a law has the wanted dimension."""
        found = self.measure(file, equation, tree)
        if not same(found, wanted):
            page = file.document
            page.fault(
                equation.keys,
                f"{equation.text} is {describe(found)}. {rule}",
                "",
                equation.text,
                (0, len(equation.text)),
            )

    # --- the flat model ---

    def width(self, name: str) -> int:
        """How many classes a name has; 0 for none."""
        if name in self.widths:
            return self.widths[name]
        self.widths[name] = 0
        entry = self.entries.get(name)
        if entry is not None and entry.classes:
            self.widths[name] = entry.classes
        elif name in self.wholes:
            self.widths[name] = self._widest(self.wholes[name].tree, name)
        return self.widths[name]

    def _widest(self, tree: Tree, name: str) -> int:
        found = {self.width(each) for each in _bare_names(tree)} - {0}
        if len(found) > 1:
            entry = self.entries[name]
            page = self.files[self.owner[name]].document
            page.fault(entry.keys, f"mixes chains of {' and '.join(str(each) for each in sorted(found))} classes.")
        return max(found, default=0)

    def expand(self, tree: Tree, index: int) -> Tree:
        """A tree for one class (index from 1; 0 outside any chain): sums written out, chain names indexed."""
        match tree:
            case Name("class") if index:
                return Number(float(index))
            case Name(name):
                return Name(f"{name}[{index}]") if index and self.width(name) else tree
            case Apply("table", (argument, Name(data))):
                points = self.entries[data].table
                assert points is not None
                return Apply("table", (self.expand(argument, index), Table(*points)))
            case Apply("sum", (Name(name),)):
                return _total([Name(f"{name}[{each}]") for each in range(1, self.width(name) + 1)] or [Name(name)])
            case Apply("last", (Name(name),)):
                return Name(f"{name}[{self.width(name)}]") if self.width(name) else Name(name)
            case Apply(operator, arguments):
                return Apply(operator, tuple(self.expand(each, index) for each in arguments))
        return tree

    def classes(self, name: str) -> list[tuple[str, int]]:
        """The flat names of a qualified name with their class index."""
        width = self.width(name)
        return [(f"{name}[{each}]", each) for each in range(1, width + 1)] if width else [(name, 0)]

    def report_unit(self, file: ModelFile, report: Report) -> Unit:
        """The unit a report is shown in, after noting a fault where that cannot be."""
        found = self.measure(file, report.equation)
        tree = self.tree_of(file, report.equation)
        if report.unit is None:
            if isinstance(tree, Name) and tree.name in self.entries:
                return self.shown_unit(tree.name)
            return base_unit(found if found != ANY else PURE)
        if same(found, report.unit.dimension):
            return report.unit
        try:
            return through(report.unit, found, self.report_substance(file, report))
        except UnitError as reason:
            message = f"{report.name} is shown in {report.unit.text}. {reason.message}"
            file.document.fault(report.equation.keys, message, "", report.equation.text, (0, len(report.equation.text)))
            return report.unit

    def report_substance(self, file: ModelFile, report: Report) -> str:
        """The substance a report is about, by which levels of it may be written as mass or as amount."""
        tree = self.tree_of(file, report.equation)
        named = self.entries.get(tree.name) if isinstance(tree, Name) else None
        return report.of or (named.of if named is not None else "")

    def shown_unit(self, name: str) -> Unit:
        """The unit a name is shown in: its own, or for a rate that of the first state it changes, per day."""
        entry = self.entries[name]
        if entry.unit is not None:
            return entry.unit
        wanted = self.dimension(name)
        for state, terms in self.balances.items():
            unit = self.entries[state].unit
            for contributor, term in terms:
                named = {term.name, f"{contributor}.{term.name}", f"{contributor}.{term.boundary}"}
                if name in named and unit is not None:
                    return Unit(f"{unit.text}/day" if unit.text else "1/day", unit.factor, 0.0, wanted)
        return base_unit(wanted if wanted != ANY else PURE)


def _total(trees: Sequence[Tree]) -> Tree:
    """A sum by halves, so that a long chain makes no tall tree."""
    middle = len(trees) // 2
    return apply("add", _total(trees[:middle]), _total(trees[middle:])) if middle else trees[0]


def _bare_names(tree: Tree) -> set[str]:
    """Names outside `sum` and `last`."""
    if isinstance(tree, Name):
        return {tree.name}
    if isinstance(tree, Apply) and tree.operator not in ("sum", "last"):
        return set().union(*(_bare_names(each) for each in tree.arguments))
    return set()
