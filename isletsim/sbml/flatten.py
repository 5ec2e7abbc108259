"""Conversion of the records of an SBML file to a flat model: rules, initial values and derivatives.

A species that is read as a concentration is an amount inside (`amount(S)`), so that reactions conserve matter while
compartments change; where a rate or algebraic rule gives its concentration, that concentration is the state.
Initial values given as numbers are parameters `start(x)`: changing one compiles nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from isletsim.errors import Fault, InputError
from isletsim.flat import TIME, FlatModel
from isletsim.language import Name, Number, Tree, apply, names
from isletsim.sbml.algebra import Cycle, dependents, ordered, renamed
from isletsim.sbml.delays import delay_expressions, delay_outputs, delay_parameters, delayed_name, early_values
from isletsim.sbml.determine import determine
from isletsim.sbml.flattened import Flattened, Pool
from isletsim.sbml.mathml import product_of, sum_of
from isletsim.sbml.records import Document, Reaction, Species, flat_name, rate_name
from isletsim.sbml.safe_powers import Powers
from isletsim.sbml.sizes import typical_sizes

__all__ = ["flatten"]

NOTHING = Number(0.0)


def flatten(document: Document) -> Flattened:
    """Return the flat model of a document.

    Raises
    ------
    InputError : rules that need each other, determine nothing, or too much.
    """
    return _Builder(document).build()


def _gain(sign: int, stoichiometry: Tree, factor: str, extent: Tree) -> Tree:
    """What an extent of a reaction does to an amount."""
    pieces: list[Tree] = []
    negative = sign < 0
    if isinstance(stoichiometry, Number):
        weight = sign * stoichiometry.value
        negative = weight == -1.0
        pieces += [] if abs(weight) == 1.0 else [Number(weight)]
    else:
        pieces.append(stoichiometry)
    if factor:
        pieces.append(Name(flat_name(factor)))
    gain = product_of([*pieces, extent])
    return apply("negate", gain) if negative else gain


@dataclass
class _Builder:
    """The parts of a flat model under construction."""

    document: Document
    parameters: dict[str, float] = field(default_factory=dict)
    constants: dict[str, Tree] = field(default_factory=dict)  # of names that keep their initial value
    expressions: dict[str, Tree] = field(default_factory=dict)
    derivatives: dict[str, Tree] = field(default_factory=dict)
    residuals: dict[str, Tree] = field(default_factory=dict)
    first: dict[str, Tree] = field(default_factory=dict)  # what a state is at the start
    pools: dict[str, Pool] = field(default_factory=dict)
    solved: set[str] = field(default_factory=set)
    fast: dict[str, str] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
    early: list[Tree] = field(default_factory=list)  # of every delay: what is delayed, before time 0

    def __post_init__(self) -> None:
        document = self.document
        self.rules: dict[str, dict[str, Tree]] = {"assignment": {}, "rate": {}, "initial": {}}
        for rule in document.rules:
            if rule.kind == "algebraic":
                continue
            name = flat_name(rule.variable)
            if name in self.rules[rule.kind]:
                raise InputError(Fault(rule.place, f'"{rule.variable}" has a rule of this kind already.'))
            self.rules[rule.kind][name] = rule.tree
        self.assigned = {flat_name(name) for event in document.events for name, _ in event.assignments}
        self.place = {flat_name(each.id): each for each in document.compartments}
        self.species = {flat_name(each.id): each for each in document.species}
        self.reacting: dict[str, list[tuple[Reaction, int, Tree]]] = {}
        for reaction in document.reactions:
            if reaction.law is None:
                continue
            for reference in reaction.references:
                species = self.species[flat_name(reference.species)]
                if not species.boundary and not species.constant:
                    name = flat_name(reference.species)
                    self.reacting.setdefault(name, []).append((reaction, reference.sign, reference.stoichiometry))

    def build(self) -> Flattened:
        document = self.document
        for reaction in document.reactions:
            self.expressions[flat_name(reaction.id)] = Number(math.nan) if reaction.law is None else reaction.law
        self.expressions.update(self.rules["assignment"])
        self._species_as_defined()
        self._solve()
        for compartment in document.compartments:
            self._plain(flat_name(compartment.id), compartment.size)
        for parameter in document.parameters:
            self._plain(flat_name(parameter.id), parameter.value)
        for species in document.species:
            self._pool(species)
        self._balance_fast()
        self._delay()
        for name in sorted(self._rates_asked()):
            self._rate(name)
        self._make_powers_safe()
        flat = self._flat()
        states = [name for name, tree in self.derivatives.items() if tree != NOTHING]
        moving = dependents(self.expressions, [TIME, *states, *self.residuals])
        valueless = tuple(name for name, value in self.parameters.items() if math.isnan(value))
        return Flattened(
            document=document,
            flat=flat,
            pools=self.pools,
            moving=frozenset(moving),
            solved=frozenset(self.solved),
            fast=self.fast,
            bases=self.bases,
            strict=self._strictly(flat),
            valueless=valueless,
            early=tuple(self.early),
        )

    # --- quantities ---

    def _is_amount(self, species: Species) -> bool:
        return species.only_amount or self.place[flat_name(species.compartment)].dimensions == 0

    def _by_amount(self, species: Species) -> bool:
        """Whether it is a concentration in mathematics and an amount inside."""
        name = flat_name(species.id)
        ruled = name in self.rules["assignment"] or name in self.rules["rate"] or name in self.solved
        return not self._is_amount(species) and not ruled

    def _plain(self, name: str, value: float | None) -> None:
        """A quantity whose value is one number: a compartment, a parameter, a stoichiometry."""
        if name in self.expressions:
            return
        given = math.nan if value is None else value
        if name in self.rules["rate"]:
            self._state(name, self.rules["rate"][name], given)
        elif name in self.residuals:
            self._start(name, given)
        elif name in self.assigned:
            self._state(name, NOTHING, given)
        elif name in self.rules["initial"]:
            self.constants[name] = self.rules["initial"][name]
        else:
            self.parameters[name] = given

    def _state(self, name: str, derivative: Tree, value: float) -> None:
        self.derivatives[name] = derivative
        self._start(name, value)

    def _start(self, name: str, value: float) -> None:
        """The value at the start: its initial assignment, else a number that can be changed."""
        if name in self.rules["initial"]:
            self.first[name] = self.rules["initial"][name]
        else:
            self.parameters[f"start({name})"] = value
            self.first[name] = Name(f"start({name})")

    def _species_as_defined(self) -> None:
        """Concentrations as amounts over sizes, so that algebraic rules can look through them."""
        for name, species in self.species.items():
            if self._by_amount(species) and name in self.reacting:
                self.expressions[name] = apply("divide", Name(f"amount({name})"), self._size(species))

    def _size(self, species: Species) -> Tree:
        return Name(flat_name(species.compartment))

    def _pool(self, species: Species) -> None:
        name = flat_name(species.id)
        size = self._size(species)
        place = flat_name(species.compartment)
        if self._is_amount(species):
            value = species.amount
            if value is None and species.concentration is not None:
                value = self._number(species, species.concentration)
            derivative = self._reactions(name)
            if derivative is not None and name not in self.expressions and name not in self.residuals:
                self._state(name, derivative, math.nan if value is None else value)
            else:
                self._plain(name, value)
            self.pools[name] = Pool(name, place, is_amount=True, amount=name if name in self.derivatives else "")
            return
        if not self._by_amount(species):
            if name not in self.expressions:
                self._ruled_concentration(species, name, size)
            self.pools[name] = Pool(name, place, is_amount=False, amount="")
            return
        inner = f"amount({name})"
        derivative = self._reactions(name)
        self.expressions[name] = apply("divide", Name(inner), size)
        changes = derivative is not None or name in self.assigned
        if changes:
            self.derivatives[inner] = derivative or NOTHING
            self.first[inner] = apply("multiply", Name(name), size)
        else:
            self.constants[inner] = apply("multiply", Name(name), size)
        if name in self.rules["initial"]:
            self.first[name] = self.rules["initial"][name]
        elif species.concentration is not None:
            self.parameters[f"start({name})"] = species.concentration
            self.first[name] = Name(f"start({name})")
        else:
            given = math.nan if species.amount is None else species.amount
            if changes:
                self.parameters[f"start({inner})"] = given
                self.first[inner] = Name(f"start({inner})")
            else:
                del self.constants[inner]
                self.parameters[inner] = given
        self.pools[name] = Pool(name, place, is_amount=False, amount=inner if changes else "")

    def _number(self, species: Species, concentration: float) -> float:
        """An amount from a concentration: only where the size of the compartment is a number from the start on."""
        place = self.place[flat_name(species.compartment)]
        named = {flat_name(place.id)} & {*self.rules["initial"], *self.rules["assignment"], *self.solved}
        if named:
            self.rules["initial"].setdefault(
                flat_name(species.id), apply("multiply", Number(concentration), self._size(species))
            )
        return math.nan if place.size is None else concentration * place.size

    def _ruled_concentration(self, species: Species, name: str, size: Tree) -> None:
        """A species whose concentration a rate or algebraic rule determines."""
        if name in self.rules["rate"]:
            self.derivatives[name] = self.rules["rate"][name]
        if name in self.rules["initial"]:
            self.first[name] = self.rules["initial"][name]
        elif species.amount is not None:
            self.parameters[f"start(amount({name}))"] = species.amount
            self.first[name] = apply("divide", Name(f"start(amount({name}))"), size)
        else:
            self._start(name, math.nan if species.concentration is None else species.concentration)

    def _reactions(self, name: str) -> Tree | None:
        """What reactions do to an amount; None where none does."""
        if name not in self.reacting:
            return None
        species = self.species[name]
        factor = species.factor or self.document.factor
        terms: list[Tree] = []
        for reaction, sign, stoichiometry in self.reacting[name]:
            if not reaction.fast:
                terms.append(_gain(sign, stoichiometry, factor, Name(flat_name(reaction.id))))
        return sum_of(terms)

    def _balance_fast(self) -> None:
        """Fast reactions are in balance at all times: each law is zero, by an extent that is an algebraic unknown.

        The amount of a species is then what slow reactions and events left, plus what the extents convert.
        """
        gains: dict[str, list[Tree]] = {}
        for name, listed in self.reacting.items():
            species = self.species[name]
            factor = species.factor or self.document.factor
            for reaction, sign, stoichiometry in listed:
                if reaction.fast:
                    place = f"reaction {reaction.id}, fast"
                    if not isinstance(stoichiometry, Number) and self._varies(stoichiometry):
                        raise InputError(Fault(place, "A fast reaction of variable stoichiometry is not supported."))
                    extent = f"extent({flat_name(reaction.id)})"
                    self.residuals[extent] = Name(flat_name(reaction.id))
                    self.first[extent] = NOTHING
                    amount = name if self._is_amount(species) else f"amount({name})"
                    gains.setdefault(amount, []).append(_gain(sign, stoichiometry, factor, Name(extent)))
        for amount, terms in gains.items():
            slow = f"slow({amount})"
            self.derivatives[slow] = self.derivatives.pop(amount)
            self.first[slow] = self.first.pop(amount)
            self.first[amount] = Name(slow)
            self.expressions[amount] = sum_of([Name(slow), *terms])
            self.fast[amount] = slow

    def _delay(self) -> None:
        """Delayed quantities as polynomials of the time; at the start they have the value from before it."""
        delays, initially = self.document.delays, self.rules["initial"]
        self.parameters |= delay_parameters(len(delays))
        self.early = early_values(delays, self.expressions, initially)
        for number, (early, (_, lag)) in enumerate(zip(self.early, delays, strict=True)):
            self.first[delayed_name(number)] = renamed(early, {TIME: apply("negate", lag)})
        self.expressions |= delay_expressions(delays)

    def _varies(self, tree: Tree) -> bool:
        return not names(tree) <= self.parameters.keys() | self.constants.keys()

    # --- algebraic rules ---

    def _solve(self) -> None:
        """Gives every algebraic rule the variable it determines."""
        rules = [rule for rule in self.document.rules if rule.kind == "algebraic"]
        if rules:
            found = determine(rules, self.expressions, self._undetermined(), self.assigned)
            self.expressions.update(found.written)
            self.residuals.update(found.residuals)
            self.solved |= found.written.keys() | found.residuals.keys()

    def _undetermined(self) -> set[str]:
        """Quantities that may change and that no other rule or reaction determines."""
        document = self.document
        free = {flat_name(each.id) for each in document.compartments if not each.constant}
        free |= {flat_name(each.id) for each in document.parameters if not each.constant}
        free |= {flat_name(each.id) for each in document.species if not each.constant} - self.reacting.keys()
        return free - self.rules["assignment"].keys() - self.rules["rate"].keys()

    # --- rates of change ---

    def _rates_asked(self) -> set[str]:
        trees = [*self.expressions.values(), *self.derivatives.values(), *self.residuals.values()]
        trees += [*self.constants.values(), *self.first.values(), *self.rules["initial"].values(), *self.early]
        for event in self.document.events:
            trees += [event.trigger, *(tree for _, tree in event.assignments)]
            trees += [tree for tree in (event.delay, event.priority) if tree is not None]
        trees += [each.tree for each in self.document.constraints]
        return {name for tree in trees for name in names(tree) if name.startswith("rateOf(")}

    def _rate(self, asked: str) -> None:
        name = asked[len("rateOf(") : -1]
        if name in self.derivatives:
            self.expressions[asked] = self.derivatives[name]
        elif name in self.parameters or name in self.constants:
            self.expressions[asked] = NOTHING
        elif name in self.pools and name not in self.solved and name not in self.rules["assignment"]:
            self.expressions[asked] = self._rate_of_concentration(asked, name, self.pools[name])
        else:
            self._no_rate(asked, "it is determined by an assignment or algebraic rule, or by a reaction's law")

    def _rate_of_concentration(self, asked: str, name: str, pool: Pool) -> Tree:
        """What reactions bring, less what a growing compartment dilutes."""
        if pool.amount in self.fast:
            self._no_rate(asked, "fast reactions determine it")
        change = self.derivatives.get(pool.amount, NOTHING)
        if self.derivatives.get(pool.compartment, NOTHING) != NOTHING:
            self.expressions.setdefault(rate_name(pool.compartment), self.derivatives[pool.compartment])
            change = apply("subtract", change, apply("multiply", Name(name), Name(rate_name(pool.compartment))))
        elif pool.compartment in self.expressions or pool.compartment in self.residuals:
            self._no_rate(asked, f'the size of "{pool.compartment}" is determined by a rule')
        return apply("divide", change, Name(pool.compartment))

    def _no_rate(self, asked: str, why: str) -> None:
        raise InputError(Fault(asked, f"The rate of change of this quantity is not defined: {why}."))

    # --- the flat model ---

    def _make_powers_safe(self) -> None:
        """Powers of what moves; their bases are recorded, so that a run can be held to their sign."""
        states = [name for name, tree in self.derivatives.items() if tree != NOTHING]
        self.strict = dict(self.expressions), {**self.derivatives, **self.residuals}
        powers = Powers(dict(self.expressions), dependents(self.expressions, [TIME, *states, *self.residuals]))
        for table in (self.expressions, self.derivatives, self.residuals):
            table.update({name: powers.safe(tree) for name, tree in table.items()})
        self.bases = tuple(powers.bases.values())
        self.expressions |= {name: tree for tree, name in powers.bases.items() if not isinstance(tree, Name)}

    def _flat(self) -> FlatModel:
        for index, constraint in enumerate(self.document.constraints):
            self.expressions[f"constraint({index})"] = apply("where", constraint.tree, Number(1.0), Number(0.0))
        for name, tree in self.expressions.items():
            self.first.setdefault(name, tree)
        states = [*self.derivatives, *self.residuals]
        begin, constants = self._beginnings(states)
        try:
            order = ordered(self.expressions, self.expressions)
        except Cycle as cycle:
            raise InputError(Fault(f"{self.document.id}, rules", f"These need each other: {cycle}.")) from None
        expressions = tuple((name, self.expressions[name]) for name in order)
        return FlatModel(
            name=self.document.id,
            states=tuple(states),
            parameters=tuple(self.parameters),
            values=tuple(self.parameters.values()),
            constants=tuple(constants),
            expressions=expressions,
            derivatives=(*self.derivatives.values(), *self.residuals.values()),
            algebraic=(*(False for _ in self.derivatives), *(True for _ in self.residuals)),
            start=tuple(begin[name] for name in states),
            scale=self._sizes(states, begin, constants),
            outputs=tuple(self._outputs()),
        )

    def _sizes(
        self, states: list[str], begin: Mapping[str, Tree], constants: list[tuple[str, Tree]]
    ) -> tuple[float, ...]:
        """The size that matters of every state."""
        place = {pool.amount: pool.compartment for pool in self.pools.values() if pool.amount and not pool.is_amount}
        place |= {slow: place.get(amount, "") for amount, slow in self.fast.items()}
        return typical_sizes(states, begin, constants, self.parameters, place)

    def _strictly(self, flat: FlatModel) -> FlatModel:
        """The flat model before its powers were made safe."""
        expressions, derivatives = self.strict
        order = ordered(expressions, expressions)
        return replace(
            flat,
            name=f"{flat.name} strict",
            expressions=tuple((name, expressions[name]) for name in order),
            derivatives=tuple(derivatives[name] for name in flat.states),
            outputs=(),
        )

    def _outputs(self) -> Iterable[str]:
        """Identifiers whose values are neither states nor numbers."""
        document = self.document
        listed = (document.species, document.compartments, document.parameters, document.reactions)
        found = [flat_name(each.id) for kind in listed for each in kind if flat_name(each.id) in self.expressions]
        found += [each for each in self.fast if each not in found]
        found += delay_outputs(len(document.delays))
        found += [name for name in self.bases if name in self.expressions and name not in found]
        return [*found, *(f"constraint({index})" for index in range(len(document.constraints)))]

    def _beginnings(self, states: list[str]) -> tuple[dict[str, Tree], list[tuple[str, Tree]]]:
        """What states are at the start, through constants; and all constants, each after what it needs."""
        definitions = {**self.first, **self.constants}
        try:
            order = ordered(definitions, [*self.constants, *states])
        except Cycle as cycle:
            message = f"These initial values need each other: {cycle}."
            raise InputError(Fault(f"{self.document.id}, initial values", message)) from None
        begin: dict[str, Tree] = {TIME: NOTHING}
        constants: list[tuple[str, Tree]] = []
        for name in order:
            for used in names(definitions[name]) & self.residuals.keys():
                message = "An initial value depends on this quantity, which an algebraic rule has yet to determine."
                raise InputError(Fault(used, message))
            tree = renamed(definitions[name], begin)
            if name in self.constants:
                constants.append((name, tree))
                begin[name] = Name(name)
            elif isinstance(tree, Name | Number):
                begin[name] = tree
            else:
                constants.append((f"start({name})", tree))
                begin[name] = Name(f"start({name})")
        return begin, constants
