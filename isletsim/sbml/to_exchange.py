"""Conversion of a composition to an exchange model: identifiers, dimensions, sources, timed events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isletsim.bibliography import read as read_references
from isletsim.composition import Composition
from isletsim.errors import Fault, InputError
from isletsim.flat import AMOUNT, TIME, FlatModel
from isletsim.language import Name, Number, Tree, apply, names
from isletsim.sbml.algebra import renamed
from isletsim.sbml.dimension_inference import Simplifier
from isletsim.sbml.exchange import CLOCK, Exchange, ExchangeVariable, TimedEvent
from isletsim.sbml.merging import Daily, Merged
from isletsim.units import PURE, Dimension, times

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from isletsim.dosing import ScheduledEvent

__all__ = ["exchange_of"]

# Words that other tools keep for themselves: an identifier gets an underscore.
RESERVED = frozenset(
    {"time", "amount", "pi", "e", "avogadro", "model", "end", "at", "in", "unit", "const", "var", "species", "is"}
    | {"compartment", "has", "import", "function", "delete", "after", "formula", "reaction", "event", "ext", "or"}
    | {"substance", "volume", "area", "length", "true", "false", "infinity", "nan", "delay", "piecewise", "and", "not"}
)
_NO_PARAMETER, _ACTION, _SET = range(3)  # kinds of entries of a schedule


def exchange_of(
    composition: Composition,
    *,
    name: str = "",
    title: str = "",
    values: NDArray[np.float64] | None = None,
    start: NDArray[np.float64] | None = None,
    stops: Iterable[ScheduledEvent] = (),
    until: float = float("inf"),
    merged: Merged | None = None,
    daily: Iterable[Daily] = (),
) -> Exchange:
    """Convert a composition to an exchange model.

    Parameters
    ----------
    values : of the parameters; the composition's own when not given.
    start : of the states; from the composition's own laws when not given.
    stops : what happens when, from `isletsim.dosing`; what lies after `until` is left out.
    merged : of a composition with two clocks, its two models as one; `values` and `start` are those of its flat model.
    daily : what happens every day.

    Raises
    ------
    InputError : the composition has open names (two clocks that were not merged).
    """
    flat = composition.flat if merged is None else merged.flat
    given = {} if values is None else dict(zip(flat.parameters, map(float, values), strict=True))
    maker = _Maker(composition, flat, {} if merged is None else merged.dimensions, given)
    happening = [stop for stop in stops if stop.time <= until]
    return maker.make(name or flat.name, title, start, happening, list(daily))


@dataclass
class _Maker:
    """Export in progress."""

    composition: Composition
    flat: FlatModel
    added: Mapping[str, Dimension]  # of names the composition does not know
    given: Mapping[str, float]
    ids: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    dimensions: dict[str, Dimension] = field(default_factory=dict)  # of identifiers

    def make(
        self, name: str, title: str, start: NDArray[np.float64] | None, stops: list[ScheduledEvent], daily: list[Daily]
    ) -> Exchange:
        flat = self.flat
        known = {*flat.states, *flat.parameters, *(each for each, _ in flat.constants + flat.expressions), TIME, AMOUNT}
        for tree in (*flat.derivatives, *(tree for _, tree in flat.expressions)):
            if names(tree) - known:
                message = f"{sorted(names(tree) - known)[0]} is a daily summary; the two clocks must be merged first."
                raise InputError(Fault(flat.name, message))
        for each in (*flat.states, *flat.parameters, *(each for each, _ in flat.constants + flat.expressions)):
            self.ids[each] = self._identifier(each)
            self.dimensions[self.ids[each]] = self._dimension(each)
        simplifier = Simplifier(self.dimensions, lambda: self._identifier("piece"))
        events, doses = self._timed_events(stops, simplifier)
        repeated, clocks = self._repeated(daily, simplifier)
        events += repeated
        doses += clocks
        changed = {target for each in events for target, _ in each.assignments}
        variables = [*self._parameters(changed), *doses, *self._constants(simplifier)]
        variables += self._expressions(simplifier)
        variables += self._states(simplifier, start)
        pieces = [
            ExchangeVariable(each.id, each.id, "expression", each.dimension, rule=each.tree)
            for each in simplifier.bound
        ]
        return Exchange(
            id=_spelled(name) or "model",
            title=title or name,
            notes=tuple(f"{file.name}: {file.title}" for file in self.composition.files.values()),
            variables=tuple(_in_order([*variables, *pieces])),
            events=tuple(events),
            sources=_links(file.source for file in self.composition.files.values()),
        )

    # --- names ---

    def _identifier(self, name: str) -> str:
        """An identifier like a name, that nothing else has."""
        base = _spelled(name)
        if not base or base in RESERVED or base[0].isdigit():
            base = f"{base}_" if base in RESERVED else f"x_{base}"
        made, number = base, 1
        while made.lower() in self.taken:
            number += 1
            made = f"{base}_{number}"
        self.taken.add(made.lower())
        return made

    def _dimension(self, name: str) -> Dimension:
        """The dimension of a name of the flat model."""
        composition = self.composition
        if name in self.added:
            return self.added[name]
        if name in composition.symbols:
            return composition.symbols[name].unit.dimension
        if name.startswith("change("):
            return times(self._dimension(name[7:-1]), CLOCK, -1.0)
        if name.startswith("report."):
            return composition.reports[name.removeprefix("report.")].unit.dimension
        if name.endswith(":flow"):
            return times(composition.ports[name.removesuffix(":flow")].unit.dimension, CLOCK, -1.0)
        return PURE

    def _tree(self, tree: Tree, expected: Dimension, simplifier: Simplifier) -> Tree:
        """A tree of the flat model, over identifiers and simple operators."""
        replaced = renamed(tree, {name: Name(self.ids[name]) for name in names(tree) if name in self.ids})
        return simplifier.simple(replaced, expected)

    def _note(self, name: str) -> tuple[str, tuple[str, ...]]:
        """What people say about a name, and where its number comes from."""
        symbol = self.composition.symbols.get(name)
        if symbol is None:
            return "", ()
        assumed = f" (assumed: {symbol.assumed})" if symbol.assumed else ""
        return f"{symbol.about}{assumed}", _links([symbol.source])

    # --- variables ---

    def _parameters(self, changed: set[str]) -> list[ExchangeVariable]:
        flat = self.flat
        made = []
        for name, value in zip(flat.parameters, flat.values, strict=True):
            about, sources = self._note(name)
            id_ = self.ids[name]
            number = float(self.given.get(name, value))
            fixed = id_ not in changed
            made.append(
                ExchangeVariable(
                    id_, name, "parameter", self.dimensions[id_], number, fixed=fixed, about=about, sources=sources
                )
            )
        return made

    def _constants(self, simplifier: Simplifier) -> list[ExchangeVariable]:
        flat = self.flat
        made = []
        for name, tree in flat.constants:
            about, sources = self._note(name)
            dimension = self.dimensions[self.ids[name]]
            law = self._tree(tree, dimension, simplifier)
            made.append(
                ExchangeVariable(
                    self.ids[name], name, "constant", dimension, initial=law, fixed=True, about=about, sources=sources
                )
            )
        return made

    def _expressions(self, simplifier: Simplifier) -> list[ExchangeVariable]:
        made = []
        for name, tree in self.flat.expressions:
            about, sources = self._note(name)
            dimension = self.dimensions[self.ids[name]]
            law = self._tree(tree, dimension, simplifier)
            made.append(
                ExchangeVariable(self.ids[name], name, "expression", dimension, rule=law, about=about, sources=sources)
            )
        return made

    def _states(self, simplifier: Simplifier, start: NDArray[np.float64] | None) -> list[ExchangeVariable]:
        flat = self.flat
        made = []
        for index, (name, law, free, begin) in enumerate(
            zip(flat.states, flat.derivatives, flat.algebraic, flat.start, strict=True)
        ):
            about, sources = self._note(name)
            id_ = self.ids[name]
            dimension = self.dimensions[id_]
            value, initial = self._begin(begin, None if start is None else float(start[index]), dimension, simplifier)
            residual = simplifier.known.of(
                renamed(law, {each: Name(self.ids[each]) for each in names(law) if each in self.ids})
            )
            expected = residual if free else times(dimension, CLOCK, -1.0)
            made.append(
                ExchangeVariable(
                    id=id_,
                    name=name,
                    kind="unknown" if free else "state",
                    dimension=dimension,
                    value=value,
                    initial=initial,
                    rule=self._tree(law, expected, simplifier),
                    about=about,
                    sources=sources,
                )
            )
        return made

    def _begin(
        self, tree: Tree, given: float | None, dimension: Dimension, simplifier: Simplifier
    ) -> tuple[float | None, Tree | None]:
        if given is not None:
            return given, None
        if isinstance(tree, Number):
            return tree.value, None
        return None, self._tree(tree, dimension, simplifier)

    # --- what happens ---

    def _timed_events(
        self, stops: list[ScheduledEvent], simplifier: Simplifier
    ) -> tuple[list[TimedEvent], list[ExchangeVariable]]:
        """Every dose, course and visit as one thing that happens, in the order of the schedule."""
        flat = self.flat
        made: list[TimedEvent] = []
        doses: dict[tuple[str, float], ExchangeVariable] = {}
        for index, stop in enumerate(stops):
            if stop.kind == _ACTION:
                action = flat.actions[stop.index]
                amount = self._dose(action.name, stop.amount, doses)
                assignments = [
                    (target, self._given(tree, target, amount, simplifier)) for target, tree in action.assignments
                ]
                said = action.name.replace(":add", "").replace(":multiply", "").replace(":revise", " revised")
            elif stop.kind == _SET:
                target = flat.parameters[stop.index]
                assignments, said = [(target, Number(stop.amount))], f"{target} set"
            else:
                continue
            listed = tuple((self.ids[target], tree) for target, tree in assignments)
            id_ = self._identifier(f"at_{index + 1}_{said}")
            made.append(TimedEvent(id_, f"{said} at day {stop.time:g}", stop.time, len(stops) - index, listed))
        return made, list(doses.values())

    def _repeated(self, daily: list[Daily], simplifier: Simplifier) -> tuple[list[TimedEvent], list[ExchangeVariable]]:
        """What happens every day: an event that winds its own clock."""
        made: list[TimedEvent] = []
        clocks: list[ExchangeVariable] = []
        for each in daily:
            clock = self._identifier(f"next {each.name}")
            self.dimensions[clock] = CLOCK
            clocks.append(ExchangeVariable(clock, f"next time of {each.name}", "parameter", CLOCK, each.first))
            listed = [
                (self.ids[target], self._tree(tree, self.dimensions[self.ids[target]], simplifier))
                for target, tree in each.assignments
            ]
            listed.append((clock, apply("add", Name(clock), Number(each.every))))
            id_ = self._identifier(f"every day {each.name}")
            made.append(TimedEvent(id_, each.name, each.first, each.rank, tuple(listed), each.every, clock))
        return made, clocks

    def _dose(self, action: str, amount: float, doses: dict[tuple[str, float], ExchangeVariable]) -> str:
        """The parameter that holds an amount; the same for the same amount into the same port."""
        port = action.rpartition(":")[0]
        if port not in self.composition.ports or not action.endswith(":add"):
            return ""
        if (port, amount) not in doses:
            id_ = self._identifier(f"{port}_amount")
            dimension = self.composition.ports[port].unit.dimension
            self.dimensions[id_] = dimension
            said = f"amount given into {port}"
            doses[port, amount] = ExchangeVariable(id_, said, "parameter", dimension, amount, fixed=True)
        return doses[port, amount].id

    def _given(self, tree: Tree, target: str, amount: str, simplifier: Simplifier) -> Tree:
        tree = renamed(tree, {AMOUNT: Name(amount) if amount else Number(0.0)})
        return self._tree(tree, self.dimensions[self.ids[target]], simplifier)


def _spelled(name: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", name)).strip("_")


def _links(keys: Iterable[str]) -> tuple[str, ...]:
    """Where references can be found: their DOI, PubMed number or address."""
    known = read_references()
    found: dict[str, None] = {}
    for key in keys:
        fields = known[key].fields if key in known else {}
        if "doi" in fields:
            found[f"https://identifiers.org/doi:{fields['doi']}"] = None
        elif "pmid" in fields:
            found[f"https://identifiers.org/pubmed:{fields['pmid']}"] = None
        elif fields.get("url", "").startswith("http"):
            found[fields["url"]] = None
    return tuple(found)


def _in_order(variables: list[ExchangeVariable]) -> list[ExchangeVariable]:
    """Parameters, constants, states, then expressions, each after those it needs."""
    from isletsim.sbml.algebra import ordered

    by_id = {each.id: each for each in variables}
    rules = {each.id: each.rule for each in variables if each.kind == "expression" and each.rule is not None}
    rest = [each for each in variables if each.kind != "expression"]
    return [*rest, *(by_id[each] for each in ordered(rules, rules))]
