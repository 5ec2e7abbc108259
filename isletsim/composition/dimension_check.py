"""What only a whole stack can tell: that every dimension fits, and that every name can be read where it is written."""

from __future__ import annotations

from isletsim.composition.stack import PER_TIME, Stack
from isletsim.flat import AMOUNT, TIME, FlatModel
from isletsim.language import ANY, Equation, ModelFile, Name, Port, Term, names, same
from isletsim.units import PURE, Dimension, base_unit, describe, times

__all__ = ["check_dimensions", "check_names"]


def check_dimensions(stack: Stack) -> None:
    """Note a fault at every equation whose pieces do not fit together."""
    for name, entry in stack.entries.items():
        file = stack.files[stack.owner[name]]
        wanted = stack.dimension(name)
        if entry.kind == "state" and entry.equation is not None:
            stack.demand(file, entry.equation, wanted, f"The start of {entry.name} is {describe(wanted)}.")
        elif entry.kind == "held" and entry.equation is not None:
            stack.demand(file, entry.equation, wanted, f"{entry.name} is {describe(wanted)}.")
        elif entry.kind == "unknown" and entry.equation is not None:
            stack.measure(file, entry.equation)
    for target, whole in stack.wholes.items():
        wanted = stack.dimension(target)
        for contributor, equation, _ in whole.adds:
            rule = f"What joins {target} is {describe(wanted)}."
            stack.demand(stack.files[contributor], equation, wanted, rule)
        for contributor, equation, _ in whole.scales:
            stack.demand(stack.files[contributor], equation, PURE, "A scale must be a pure number.")
    for state, terms in stack.balances.items():
        for contributor, term in terms:
            _check_term(stack, state, stack.files[contributor], term)
    for file in stack.files.values():
        for port in file.ports.values():
            _check_port(stack, file, port)
        for report in file.reports.values():
            stack.report_unit(file, report)


def _check_term(stack: Stack, state: str, file: ModelFile, term: Term) -> None:
    entry_law = Equation(Name(term.name, term.span), _term_text(stack, file, term), term.keys)
    name = stack.qualify(file, term.name, entry_law, term.span)
    if not name:
        return
    kind = stack.entries[name].kind if name in stack.entries else "clock"
    if kind not in ("rate", "quantity"):
        message = f'"{term.name}" is a {kind}; a balance is a sum of rates.'
        file.document.fault(term.keys, message, "", entry_law.text, term.span)
        return
    wanted, found = times(stack.dimension(state), PER_TIME), stack.dimension(name)
    if not same(found, wanted):
        message = f"{term.name} is {describe(found)}; what changes {state} is {describe(wanted)}."
        file.document.fault(term.keys, message, "", entry_law.text, term.span)


def _term_text(stack: Stack, file: ModelFile, term: Term) -> str:
    value: object = file.document.data
    for key in term.keys:
        value = value.get(key, "") if isinstance(value, dict) else ""
    return value if isinstance(value, str) else ""


def _check_port(stack: Stack, file: ModelFile, port: Port) -> None:
    amount: Dimension | None = port.unit.dimension if port.unit is not None else None
    for target, equation in port.add.items():
        found, state = stack.measure(file, equation), stack.dimension(f"{file.name}.{target}")
        if ANY in (found, state):
            continue
        needed = times(state, found, -1.0)
        if amount is None:
            amount = needed
        elif amount != needed:
            message = f"{target} is {describe(state)}, so the amount is {describe(needed)}, not {describe(amount)}."
            file.document.fault(equation.keys, message, "", equation.text, (0, len(equation.text)))
    for equation in port.multiply.values():
        stack.demand(file, equation, PURE, "A multiplier is a pure number.")
    stack.port_units[f"{file.name}.{port.name}"] = port.unit or base_unit(amount or PURE)


def check_names(stack: Stack, flat: FlatModel) -> None:
    """Note a fault where a chain is read as one value, data as a number, or what changes in a start."""
    early = {*flat.parameters, *(name for name, _ in flat.constants)}
    known = {*early, *flat.states, *stack.summaries, *(name for name, _ in flat.expressions), TIME, AMOUNT}
    once = [*flat.constants, *zip(flat.states, flat.start, strict=True)]
    always = [*flat.expressions, *zip(flat.states, flat.derivatives, strict=True)]
    always += [(action.name, tree) for action in flat.actions for _, tree in action.assignments]
    for place, tree in once:
        for name in sorted(names(tree) - early):
            if name in known or stack.entries[name.partition("[")[0]].table is None:
                message = f'"{name}" changes in time; what is computed once knows parameters and derived values only.'
                stack.fault_at(place, message)
            else:
                _misread(stack, place, name)
    for place, tree in always:
        for name in sorted(names(tree) - known):
            _misread(stack, place, name)


def _misread(stack: Stack, place: str, name: str) -> None:
    base = name.partition("[")[0]
    width = stack.width(base)
    if width:
        message = f'"{base}" has {width} classes, and is read as if it had none or others.'
        stack.fault_at(place, message, f"Write sum({base}) or last({base}), or give both as many classes.")
    elif base in stack.entries and stack.entries[base].table is not None:
        stack.fault_at(place, f'"{base}" holds data, not a number.', f"Write table(time, {base}).")
    else:
        stack.fault_at(place, f'"{base}" has no classes, and is read as if it had.')
