"""Export of a model as Antimony text."""

from __future__ import annotations

from isletsim.errors import Fault, InputError
from isletsim.sbml.exchange import CLOCK, Exchange, ExchangeVariable, TimedEvent, number_of
from isletsim.sbml.infix import formula
from isletsim.sbml.writing import BASE_UNITS, SBO_TERMS, unit_identifier
from isletsim.units import PURE, Dimension

__all__ = ["antimony_text"]


def antimony_text(exchange: Exchange) -> str:
    """Return the model as Antimony text.

    Raises
    ------
    InputError : the model has algebraic rules, for which Antimony has no words.
    """
    variables = exchange.variables
    unknowns = [each.name for each in variables if each.kind == "unknown"]
    if unknowns:
        message = f"{unknowns[0]} is determined by an algebraic rule, for which Antimony has no words."
        raise InputError(Fault(exchange.title, message, "Export with --no-algebraic."))
    dimensions = dict.fromkeys([CLOCK, *(each.dimension for each in variables)])
    lines = [f"// {_line(each)}" for each in (exchange.title, *exchange.notes)]
    lines += [f"model *{exchange.id}()", "", "  // units"]
    lines += [f"  unit {unit_identifier(each)} = {_unit(each)};" for each in dimensions if each != PURE]
    lines += [f"  unit time_unit = {_unit(CLOCK)};"]
    for title, kinds in _CHAPTERS:
        chosen = [each for each in variables if each.kind in kinds]
        if chosen:
            lines += ["", f"  // {title}"]
            for each in chosen:
                lines += _measure(each)
    if exchange.events:
        lines += ["", "  // what happens"]
        lines += [_event(each) for each in exchange.events]
    lines += ["", "  // names and sources"]
    for each in variables:
        lines += _notes(each)
    links = [f'{exchange.id} description "{link}"' for link in exchange.sources]
    return "\n".join([*lines, "end", "", f'{exchange.id} is "{_line(exchange.title)}"', *links]) + "\n"


_CHAPTERS = (
    ("parameters", ("parameter",)),
    ("computed once", ("constant",)),
    ("states", ("state",)),
    ("laws", ("expression",)),
)


def _measure(each: ExchangeVariable) -> list[str]:
    kind = "const" if each.fixed else "var"
    begin = "" if each.value is None else f" = {number_of(each.value)}"
    if each.initial is not None:
        begin = f" = {formula(each.initial)}"
    made = [f"  {kind} {each.id}{begin};"]
    if each.rule is not None:
        sign = "' =" if each.kind == "state" else " :="
        made.append(f"  {each.id}{sign} {formula(each.rule)};")
    return [*made, f"  {each.id} has {unit_identifier(each.dimension)};"]


def _notes(each: ExchangeVariable) -> list[str]:
    made = [f'  {each.id} is "{_line(each.name)}";'] if each.name != each.id else []
    made.append(f"  {each.id}.sboTerm = {int(SBO_TERMS[each.kind].rpartition(':')[2])};")
    return made + [f'  {each.id} description "{link}";' for link in each.sources]


def _event(each: TimedEvent) -> str:
    when = each.clock or number_of(each.time)
    begun = "true" if each.time > 0 else "false"
    made = ", ".join(f"{target} = {formula(tree)}" for target, tree in each.assignments)
    flags = f"priority = {each.priority}, t0 = {begun}, fromTrigger = false, persistent = true"
    return f"  {each.id}: at (time >= {when}), {flags}: {made};"


def _unit(dimension: Dimension) -> str:
    above: list[str] = []
    below: list[str] = []
    for name, power in dimension:
        _, kind, scale, multiplier = BASE_UNITS[name]
        size = multiplier * 10.0**scale
        one = kind if size == 1 else f"({number_of(size)} {kind})"
        written = one if abs(power) == 1 else f"{one}^{number_of(abs(power))}"
        (above if power > 0 else below).append(written)
    top = " * ".join(above) or "1 dimensionless"
    return " / ".join([top, *below])


def _line(text: str) -> str:
    """Return text that fits between quotation marks on one line."""
    return " ".join(text.split()).replace('"', "'").replace("\\", "/")
