"""Conversion of a libSBML document to plain records, with a list of everything unsupported."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isletsim.errors import Fault, InputError
from isletsim.language import Number, Tree
from isletsim.sbml.mathml import Function, Translator, Untranslatable
from isletsim.sbml.nodes import function_parts, plain
from isletsim.sbml.open_document import library, open_document
from isletsim.sbml.records import (
    Compartment,
    Constraint,
    Document,
    Parameter,
    Reaction,
    Rule,
    SbmlEvent,
    Species,
    SpeciesReference,
    UnitPart,
)

__all__ = ["read_document"]

MOST_FAULTS = 20
# What a size is called by the dimensions of space, and what Level 2 means by its predefined units.
_SIZES = {3.0: "volume", 2.0: "area", 1.0: "length"}
_PREDEFINED: dict[str, tuple[UnitPart, ...]] = {
    "substance": (("mole", 1.0, 0, 1.0),),
    "time": (("second", 1.0, 0, 1.0),),
    "volume": (("litre", 1.0, 0, 1.0),),
    "area": (("metre", 2.0, 0, 1.0),),
    "length": (("metre", 1.0, 0, 1.0),),
}


def read_document(path: Path) -> Document:
    """Return the content of an SBML file as records.

    Raises
    ------
    InputError : all faults and unsupported parts, by name and place.
    """
    document, warnings = open_document(path)
    return _DocumentReader(document, path, warnings).read()


class _DocumentReader:
    """Reader of one document; faults are collected and raised together."""

    def __init__(self, document: Any, path: Path, warnings: tuple[str, ...] = ()) -> None:
        self.document, self.path = document, path
        self.warnings = list(warnings)
        self.model = document.getModel()
        self.level = document.getLevel()
        self.faults: list[Fault] = []
        self.titles: dict[str, str] = {}
        self.annotations: dict[str, tuple[str, ...]] = {}
        self.stoichiometries: list[Parameter] = []
        self.locals: list[Parameter] = []
        self.rules: list[Rule] = []
        self.translator = Translator(self._identifiers(), self._functions())

    def read(self) -> Document:
        model = self.model
        compartments = tuple(self._compartment(each) for each in _each(model, "Compartments", "Compartment"))
        species = tuple(self._species(each) for each in _each(model, "Species", "Species"))
        parameters = [self._parameter(each) for each in _each(model, "Parameters", "Parameter")]
        reactions = tuple(self._reaction(each) for each in _each(model, "Reactions", "Reaction"))
        self._read_rules()
        written = enumerate(_each(model, "Events", "Event"), start=1)
        events = tuple(filter(None, (self._event(each, number) for number, each in written)))
        constraints = tuple(filter(None, map(self._constraint, _each(model, "Constraints", "Constraint"))))
        if self.faults:
            raise InputError(self.faults[:MOST_FAULTS])
        return Document(
            id=model.getId() or self.path.stem,
            level=self.level,
            version=self.document.getVersion(),
            compartments=compartments,
            species=species,
            parameters=(*parameters, *self.stoichiometries, *self.locals),
            reactions=reactions,
            rules=tuple(self.rules),
            events=events,
            constraints=constraints,
            factor=model.getConversionFactor() if self.level > 2 else "",
            time_unit=self._model_unit("Time"),
            extent_unit=self._model_unit("Extent" if self.level > 2 else "Substance"),
            title=model.getName(),
            titles=self.titles,
            annotations=self.annotations,
            warnings=tuple(self.warnings),
            delays=tuple(self.translator.delays),
        )

    # --- mathematics ---

    def _identifiers(self) -> frozenset[str]:
        model = self.model
        found = {each.getId() for kind in _QUANTITIES for each in _each(model, *kind)}
        for reaction in _each(model, "Reactions", "Reaction"):
            found.add(reaction.getId())
            found |= {each.getId() for each in _references(reaction)}
        return frozenset(found - {""})

    def _functions(self) -> dict[str, Function]:
        functions = {}
        for each in _each(self.model, "FunctionDefinitions", "FunctionDefinition"):
            functions[each.getId()] = Function(*function_parts(each))
        return functions

    def _math(self, element: Any, place: str, local: dict[str, str] | None = None) -> Tree | None:
        """The tree of an element's mathematics, None where it has none; what is not supported is a fault."""
        if element is None or not element.isSetMath():
            return None
        try:
            return self.translator.tree(plain(element.getMath()), local)
        except Untranslatable as reason:
            line = element.getLine()
            self.faults.append(Fault(f"{self.path}:{line}, {place}" if line else f"{self.path}, {place}", f"{reason}."))
            return None

    # --- quantities ---

    def _note(self, element: Any) -> None:
        name = element.getName() if element.isSetName() else ""
        if name and name != element.getId():
            self.titles[element.getId()] = name
        links = _links(element)
        if links:
            self.annotations[element.getId()] = links

    def _compartment(self, each: Any) -> Compartment:
        self._note(each)
        return Compartment(
            id=each.getId(),
            size=self._size(each),
            dimensions=each.getSpatialDimensionsAsDouble() if each.isSetSpatialDimensions() else 3.0,
            constant=each.getConstant(),
            unit=self._size_unit(each),
        )

    def _size(self, compartment: Any) -> float | None:
        """The initial size; 1 with a warning when neither the file nor a rule gives it."""
        name = compartment.getId()
        if compartment.isSetSize():
            return float(compartment.getSize())
        without = compartment.isSetSpatialDimensions() and compartment.getSpatialDimensionsAsDouble() == 0
        ruled = self.model.getInitialAssignment(name) or self.model.getRule(name)
        algebraic = not compartment.getConstant() and any(rule.isAlgebraic() for rule in _each(self.model, *_RULES))
        if without or ruled is not None or algebraic:
            return None
        self.warnings.append(f"compartment {name} has no size: 1 is used.")
        return 1.0

    def _size_unit(self, compartment: Any) -> tuple[UnitPart, ...]:
        """Units are read as they are written: working out what they would have to be can take for ever."""
        dimensions = compartment.getSpatialDimensionsAsDouble() if compartment.isSetSpatialDimensions() else 3.0
        which = _SIZES.get(dimensions, "")
        name = compartment.getUnits()
        if not name and which:
            name = getattr(self.model, f"get{which.capitalize()}Units")() if self.level > 2 else which
        return self._named_unit(name)

    def _species(self, each: Any) -> Species:
        self._note(each)
        return Species(
            id=each.getId(),
            compartment=each.getCompartment(),
            amount=each.getInitialAmount() if each.isSetInitialAmount() else None,
            concentration=each.getInitialConcentration() if each.isSetInitialConcentration() else None,
            only_amount=each.getHasOnlySubstanceUnits(),
            boundary=each.getBoundaryCondition(),
            constant=each.getConstant(),
            factor=each.getConversionFactor() if self.level > 2 else "",
            unit=self._substance(each),
        )

    def _substance(self, species: Any) -> tuple[UnitPart, ...]:
        kind = species.getSubstanceUnits() or (self.model.getSubstanceUnits() if self.level > 2 else "substance")
        return self._named_unit(kind)

    def _parameter(self, each: Any) -> Parameter:
        self._note(each)
        value = each.getValue() if each.isSetValue() else None
        return Parameter(each.getId(), value, each.getConstant(), self._named_unit(each.getUnits()))

    def _named_unit(self, name: str) -> tuple[UnitPart, ...]:
        definition = self.model.getUnitDefinition(name) if name else None
        if definition is not None:
            return _unit(definition)
        if self.level == 2 and name in _PREDEFINED:
            return _PREDEFINED[name]
        return ((name, 1.0, 0, 1.0),) if name else ()

    def _model_unit(self, which: str) -> tuple[UnitPart, ...]:
        name = getattr(self.model, f"get{which}Units")() if self.level > 2 else which.lower()
        return self._named_unit(name)

    # --- processes ---

    def _reaction(self, each: Any) -> Reaction:
        self._note(each)
        name = each.getId()
        place = f"reaction {name}"
        law = each.getKineticLaw()
        local: dict[str, str] = {}
        for parameter in _local_parameters(law):
            if parameter.getId() not in local:  # Level 3 shows its local parameters under both names
                local[parameter.getId()] = f"{name}.{parameter.getId()}"
                value = parameter.getValue() if parameter.isSetValue() else None
                unit = self._named_unit(parameter.getUnits())
                self.locals.append(Parameter(f"{name}.{parameter.getId()}", value, True, unit))  # noqa: FBT003
        references = [
            *(self._reference(reference, -1, place) for reference in _each(each, "Reactants", "Reactant")),
            *(self._reference(reference, 1, place) for reference in _each(each, "Products", "Product")),
        ]
        return Reaction(
            id=name,
            references=tuple(references),
            law=self._math(law, f"{place}, kineticLaw", local),
            fast=each.getFast(),
            reversible=each.getReversible(),
        )

    def _reference(self, each: Any, sign: int, place: str) -> SpeciesReference:
        species, name = each.getSpecies(), each.getId()
        math_element = each.getStoichiometryMath() if self.level == 2 else None
        if math_element is not None and math_element.isSetMath():
            tree = self._math(math_element, f"{place}, stoichiometryMath of {species}")
            if name:
                # The identifier means the stoichiometry wherever it stands.
                self.stoichiometries.append(Parameter(name, None, False))  # noqa: FBT003
                self.rules.append(Rule("assignment", name, tree or Number(math.nan), place))
            return SpeciesReference(species, sign, tree or Number(math.nan))
        value: float | None = each.getStoichiometry() if each.isSetStoichiometry() or self.level == 2 else None
        if self.level == 2 and each.getDenominator() != 1:
            value = each.getStoichiometry() / each.getDenominator()
        if not name:
            return SpeciesReference(species, sign, Number(math.nan if value is None else value))
        constant = each.getConstant() if self.level > 2 else False
        self.stoichiometries.append(Parameter(name, value, constant))
        return SpeciesReference(species, sign, self.translator.name(name))

    def _read_rules(self) -> None:
        for each in _each(self.model, "InitialAssignments", "InitialAssignment"):
            place = f"initialAssignment of {each.getSymbol()}"
            self._rule("initial", each.getSymbol(), each, place)
        for each in _each(self.model, "Rules", "Rule"):
            kind = "algebraic" if each.isAlgebraic() else "rate" if each.isRate() else "assignment"
            variable = "" if kind == "algebraic" else each.getVariable()
            self._rule(kind, variable, each, f"{kind}Rule of {variable}" if variable else "algebraicRule")

    def _rule(self, kind: str, variable: str, element: Any, place: str) -> None:
        tree = self._math(element, place)
        if tree is not None:
            line = element.getLine()
            self.rules.append(Rule(kind, variable, tree, f"{self.path}:{line}, {place}" if line else place))

    def _event(self, each: Any, number: int) -> SbmlEvent | None:
        name = each.getId() or f"number {number}"
        place = f"event {name}"
        self._note(each)
        trigger = self._math(each.getTrigger(), f"{place}, trigger")
        if trigger is None:
            return None  # without mathematics it never becomes true
        assignments = []
        for assignment in _each(each, "EventAssignments", "EventAssignment"):
            tree = self._math(assignment, f"{place}, assignment of {assignment.getVariable()}")
            if tree is not None:
                assignments.append((assignment.getVariable(), tree))
        levels = self.level > 2
        return SbmlEvent(
            id=name,
            trigger=trigger,
            initially=each.getTrigger().getInitialValue() if levels else True,
            persistent=each.getTrigger().getPersistent() if levels else True,
            at_trigger=each.getUseValuesFromTriggerTime(),
            delay=self._math(each.getDelay(), f"{place}, delay"),
            priority=self._math(each.getPriority(), f"{place}, priority") if levels else None,
            assignments=tuple(assignments),
        )

    def _constraint(self, each: Any) -> Constraint | None:
        tree = self._math(each, "constraint")
        if tree is None:
            return None
        said = each.getMessage().toXMLString() if each.isSetMessage() else ""
        return Constraint(tree, " ".join(_without_tags(said).split()))


_RULES = ("Rules", "Rule")
_QUANTITIES = (("Compartments", "Compartment"), ("Species", "Species"), ("Parameters", "Parameter"))


def _each(owner: Any, many: str, one: str) -> list[Any]:
    """The members of a list of libSBML."""
    count: Callable[[], int] = getattr(owner, f"getNum{many}")
    get: Callable[[int], Any] = getattr(owner, f"get{one}")
    return [get(index) for index in range(count())]


def _local_parameters(law: Any) -> list[Any]:
    if law is None:
        return []
    return [*_each(law, "LocalParameters", "LocalParameter"), *_each(law, "Parameters", "Parameter")]


def _references(reaction: Any) -> list[Any]:
    return [*_each(reaction, "Reactants", "Reactant"), *_each(reaction, "Products", "Product")]


def _unit(definition: Any) -> tuple[UnitPart, ...]:
    if definition is None:
        return ()
    return tuple(
        (
            str(library().UnitKind_toString(unit.getKind())),
            unit.getExponentAsDouble(),
            unit.getScale(),
            unit.getMultiplier(),
        )
        for unit in _each(definition, "Units", "Unit")
        if unit.getExponentAsDouble() != 0
    )


def _links(element: Any) -> tuple[str, ...]:
    """What the element's annotations point to."""
    found: list[str] = []
    for index in range(element.getNumCVTerms()):
        term = element.getCVTerm(index)
        found += [term.getResourceURI(number) for number in range(term.getNumResources())]
    return tuple(found)


def _without_tags(text: str) -> str:
    pieces, rest = [], text
    while rest:
        before, _, rest = rest.partition("<")
        pieces.append(before)
        _, _, rest = rest.partition(">")
    return " ".join(pieces)
