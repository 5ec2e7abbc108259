"""Export as SBML Level 3 Version 2: units on every number, sources as annotations, doses as events.

The text is written directly: SBML of parameters, rules and events is a short list of elements, and so the export needs
no library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from isletsim.flat import TIME
from isletsim.language import Apply, Name, Number, Tree
from isletsim.sbml.dimension_inference import Dimensions
from isletsim.sbml.exchange import CLOCK, Exchange, ExchangeVariable, TimedEvent, number_of
from isletsim.units import PURE, Dimension, times

__all__ = ["BASE_UNITS", "CORE", "MATHML", "SBO_TERMS", "sbml_text", "unit_identifier"]

CORE = "http://www.sbml.org/sbml/level3/version2/core"
MATHML = "http://www.w3.org/1998/Math/MathML"
XHTML = "http://www.w3.org/1999/xhtml"
TIME_SYMBOL = f'<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">{TIME}</csymbol>'
LONGEST_PLAIN = 20  # a number of more zeros is written with an exponent

# The coherent units of isletsim: a short name, and kind, scale and multiplier of SBML.
BASE_UNITS: dict[str, tuple[str, str, int, float]] = {
    "[time]": ("day", "second", 0, 86400.0),
    "[mass]": ("mg", "gram", -3, 1.0),
    "[length]": ("dm", "metre", -1, 1.0),
    "[substance]": ("pmol", "mole", -12, 1.0),
    "[cells]": ("Mcell", "item", 6, 1.0),
    "[islet_equivalents]": ("IEQ", "item", 0, 1.0),
    "[particles]": ("particle", "item", 0, 1.0),
    "[glycation]": ("percent_NGSP", "dimensionless", 0, 1.0),
    "[energy]": ("kcal", "joule", 0, 4184.0),
    "[pressure]": ("mmHg", "pascal", 0, 133.322387415),
}
# Terms of the Systems Biology Ontology.
SBO_TERMS = {"parameter": "SBO:0000002", "constant": "SBO:0000002", "state": "SBO:0000002", "expression": "SBO:0000002"}
SBO_TERMS |= {"unknown": "SBO:0000002", "model": "SBO:0000293", "rule": "SBO:0000064", "rate": "SBO:0000064"}
_CONCENTRATION, _RATE = "SBO:0000196", "SBO:0000009"

_OPERATORS = {
    "add": "plus",
    "subtract": "minus",
    "multiply": "times",
    "divide": "divide",
    "negate": "minus",
    "power": "power",
    "less": "lt",
    "less_equal": "leq",
    "greater": "gt",
    "greater_equal": "geq",
    "equal": "eq",
    "not_equal": "neq",
    "and": "and",
    "or": "or",
    "not": "not",
    "abs": "abs",
    "exp": "exp",
    "log": "ln",
    "sqrt": "root",
    "floor": "floor",
} | {name: name for name in ("sin", "cos", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan")}
_OPERATORS |= {name: name for name in ("arcsinh", "arccosh", "arctanh")}


def sbml_text(exchange: Exchange) -> str:
    """Return the model as an SBML file."""
    return _Writer(exchange).text()


def unit_identifier(dimension: Dimension) -> str:
    """The identifier of the coherent unit of a dimension: ``mg_per_dm3``."""
    if not dimension:
        return "dimensionless"
    above = "_".join(_powered(name, power) for name, power in dimension if power > 0)
    below = "_".join(_powered(name, -power) for name, power in dimension if power < 0)
    return (above or "one") + (f"_per_{below}" if below else "")


def _powered(name: str, power: float) -> str:
    return BASE_UNITS[name][0] + ("" if power == 1 else f"{power:g}".replace(".", "p").replace("-", "m"))


class _Writer:
    """Writer of one model that collects the units it uses."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.dimensions = Dimensions({each.id: each.dimension for each in exchange.variables})
        self.units: dict[Dimension, None] = {CLOCK: None}

    def text(self) -> str:
        exchange = self.exchange
        variables = exchange.variables
        parameters = [self._parameter(each) for each in variables]
        initials = [self._initial(each) for each in variables if each.initial is not None]
        rules = [self._rule(each) for each in variables if each.rule is not None]
        events = [self._event(each) for each in exchange.events]
        units = [self._unit(dimension) for dimension in self.units if dimension != PURE]
        notes = "".join(f"<p>{escape(_clean(line))}</p>" for line in (exchange.title, *exchange.notes))
        named = f"metaid={quoteattr('meta_' + exchange.id)} id={quoteattr(exchange.id)}"
        head = f'name={quoteattr(_clean(exchange.title))} sboTerm="{SBO_TERMS["model"]}" timeUnits="{self._use(CLOCK)}"'
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<sbml xmlns="{CORE}" level="3" version="2">',
            f"<model {named} {head}>",
            f'<notes><body xmlns="{XHTML}">{notes}</body></notes>',
            _annotation(exchange.id, exchange.sources, "model"),
            *_listed("UnitDefinitions", units),
            *_listed("Parameters", parameters),
            *_listed("InitialAssignments", initials),
            *_listed("Rules", rules),
            *_listed("Events", events),
            "</model>",
            "</sbml>",
        ]
        return "\n".join(line for line in lines if line) + "\n"

    # --- elements ---

    def _use(self, dimension: Dimension) -> str:
        self.units[dimension] = None
        return unit_identifier(dimension)

    def _unit(self, dimension: Dimension) -> str:
        parts = []
        for name, power in dimension:
            _, kind, scale, multiplier = BASE_UNITS[name]
            parts.append(
                f'<unit kind="{kind}" exponent="{number_of(power)}" scale="{scale}" '
                f'multiplier="{number_of(multiplier)}"/>'
            )
        identifier = unit_identifier(dimension)
        return f'<unitDefinition id="{identifier}"><listOfUnits>{"".join(parts)}</listOfUnits></unitDefinition>'

    def _parameter(self, each: ExchangeVariable) -> str:
        value = "" if each.value is None else f' value="{_attribute(each.value)}"'
        term = SBO_TERMS[each.kind]
        if each.kind == "state" and any(name == "[length]" and power < 0 for name, power in each.dimension):
            term = _CONCENTRATION
        elif each.kind == "parameter" and any(name == "[time]" and power < 0 for name, power in each.dimension):
            term = _RATE
        about = f'<notes><p xmlns="{XHTML}">{escape(_clean(each.about))}</p></notes>' if each.about else ""
        inside = about + _annotation(each.id, each.sources, "biology")
        meta = f" metaid={quoteattr('meta_' + each.id)}" if each.sources else ""
        head = (
            f"<parameter{meta} id={quoteattr(each.id)} name={quoteattr(_clean(each.name))}{value} "
            f'units="{self._use(each.dimension)}" constant="{_truth(each.fixed)}" sboTerm="{term}"'
        )
        return f"{head}>{inside}</parameter>" if inside else f"{head}/>"

    def _initial(self, each: ExchangeVariable) -> str:
        assert each.initial is not None
        return (
            f"<initialAssignment symbol={quoteattr(each.id)}>{self._math(each.initial, each.dimension)}"
            "</initialAssignment>"
        )

    def _rule(self, each: ExchangeVariable) -> str:
        assert each.rule is not None
        if each.kind == "unknown":
            known = self.dimensions.of(each.rule)
            return f'<algebraicRule sboTerm="{SBO_TERMS["rule"]}">{self._math(each.rule, known)}</algebraicRule>'
        kind = "rate" if each.kind == "state" else "assignment"
        dimension = times(each.dimension, CLOCK, -1.0) if each.kind == "state" else each.dimension
        return (
            f'<{kind}Rule variable={quoteattr(each.id)} sboTerm="{SBO_TERMS["rule"]}">'
            f"{self._math(each.rule, dimension)}</{kind}Rule>"
        )

    def _event(self, each: TimedEvent) -> str:
        dimension = {measure.id: measure.dimension for measure in self.exchange.variables}
        begun = _truth(each.time > 0)
        when = f"<ci>{each.clock}</ci>" if each.clock else self._number(each.time, CLOCK)
        trigger = f"<apply><geq/>{TIME_SYMBOL}{when}</apply>"
        made = "".join(
            f"<eventAssignment variable={quoteattr(target)}>{self._math(tree, dimension[target])}</eventAssignment>"
            for target, tree in each.assignments
        )
        return (
            f"<event id={quoteattr(each.id)} name={quoteattr(_clean(each.name))} "
            f'useValuesFromTriggerTime="false"><trigger initialValue="{begun}" persistent="true">{_wrapped(trigger)}'
            f"</trigger><priority>{_wrapped(self._number(each.priority, PURE))}</priority>"
            f"<listOfEventAssignments>{made}</listOfEventAssignments></event>"
        )

    # --- mathematics ---

    def _math(self, tree: Tree, expected: Dimension) -> str:
        return _wrapped(self._content(tree, self.dimensions.settled(tree, expected)))

    def _content(self, tree: Tree, own: Dimension) -> str:
        if isinstance(tree, Number):
            return self._number(tree.value, own)
        if isinstance(tree, Name):
            return TIME_SYMBOL if tree.name == TIME else f"<ci>{escape(tree.name)}</ci>"
        assert isinstance(tree, Apply)
        if tree.operator == "where":
            return self._choice(tree, own)
        inside = self.dimensions.inside(tree, own)
        written = [
            self._content(each, self.dimensions.settled(each, side))
            for each, side in zip(tree.arguments, inside, strict=True)
        ]
        return f"<apply><{_OPERATORS[tree.operator]}/>{''.join(written)}</apply>"

    def _choice(self, tree: Tree, own: Dimension) -> str:
        """Pieces in a row, however they are nested."""
        pieces = []
        while isinstance(tree, Apply) and tree.operator == "where":
            condition, chosen, tree = tree.arguments
            value = self._content(chosen, self.dimensions.settled(chosen, own))
            pieces.append(f"<piece>{value}{self._content(condition, PURE)}</piece>")
        last = self._content(tree, self.dimensions.settled(tree, own))
        return f"<piecewise>{''.join(pieces)}<otherwise>{last}</otherwise></piecewise>"

    def _number(self, value: float, dimension: Dimension) -> str:
        if math.isnan(value):
            return "<notanumber/>"
        if math.isinf(value):
            return "<infinity/>" if value > 0 else "<apply><minus/><infinity/></apply>"
        known = dimension if all(name in BASE_UNITS for name, _ in dimension) else PURE
        unit = f'sbml:units="{self._use(known)}"'
        text = number_of(value)
        if "e" not in text:
            return f"<cn {unit}>{text}</cn>"
        mantissa, _, power = text.partition("e")
        if abs(int(power)) <= LONGEST_PLAIN:
            return f"<cn {unit}>{format(Decimal(text), 'f')}</cn>"
        return f'<cn {unit} type="e-notation">{mantissa}<sep/>{int(power)}</cn>'


def _wrapped(content: str) -> str:
    return f'<math xmlns="{MATHML}" xmlns:sbml="{CORE}">{content}</math>'


def _attribute(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return number_of(value) if math.isfinite(value) else "INF" if value > 0 else "-INF"


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _clean(text: str) -> str:
    """Text without what XML does not allow."""
    return "".join(letter for letter in text if letter >= " " and letter not in "\ufffe\uffff")


def _listed(what: str, made: list[str]) -> Iterable[str]:
    return [f"<listOf{what}>", *made, f"</listOf{what}>"] if made else []


def _annotation(identifier: str, links: Iterable[str], kind: str) -> str:
    listed = "".join(f"<rdf:li rdf:resource={quoteattr(link)}/>" for link in links)
    if not listed:
        return ""
    qualifier = "bqmodel" if kind == "model" else "bqbiol"
    return (
        '<annotation><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        f'xmlns:{qualifier}="http://biomodels.net/{kind}-qualifiers/">'
        f"<rdf:Description rdf:about={quoteattr('#meta_' + identifier)}><{qualifier}:isDescribedBy><rdf:Bag>{listed}"
        f"</rdf:Bag></{qualifier}:isDescribedBy></rdf:Description></rdf:RDF></annotation>"
    )
