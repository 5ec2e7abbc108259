"""Assignment of a variable to each algebraic rule; rules that are linear in it are solved symbolically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isletsim.errors import Fault, InputError
from isletsim.language import Number, Tree, apply, names
from isletsim.sbml.algebra import dependents, linear, matched, needed
from isletsim.sbml.records import Rule

__all__ = ["Determined", "determine"]


@dataclass
class Determined:
    """Variables of algebraic rules: explicit expressions, and residuals that must be zero."""

    written: dict[str, Tree] = field(default_factory=dict)
    residuals: dict[str, Tree] = field(default_factory=dict)


def determine(rules: Sequence[Rule], definitions: Mapping[str, Tree], free: set[str], assigned: set[str]) -> Determined:
    """Return the variable of every algebraic rule.

    Parameters
    ----------
    definitions : named expressions that rules look through.
    free : quantities that may change and that nothing else determines.
    assigned : quantities that events assign; they are chosen last, and refused.

    Raises
    ------
    InputError : a rule without a free variable, or whose variable an event assigns too.
    """
    candidates = []
    for rule in rules:
        used, near = needed(definitions, rule.tree) & free, names(rule.tree)
        candidates.append(sorted(used, key=lambda name, near=near: (name in assigned, name not in near, name)))  # type: ignore[misc]
    variables = matched(candidates)
    faults = []
    for rule, variable in zip(rules, variables, strict=True):
        if variable is None:
            message = "This rule determines nothing: every quantity in it is determined elsewhere."
            faults.append(Fault(rule.place, message))
        elif variable in assigned:
            faults.append(Fault(rule.place, f'This rule determines "{variable}", which an event assigns too.'))
    if faults:
        raise InputError(faults)
    found = Determined()
    known = dict(definitions)
    for rule, variable in zip(rules, variables, strict=True):
        assert variable is not None
        line = linear(rule.tree, variable, known, dependents(known, [variable]))
        if line is None or line[0] in (None, Number(0.0)) or _circular(known, line, variable):
            found.residuals[variable] = rule.tree
        else:
            assert line[0] is not None
            found.written[variable] = known[variable] = apply("divide", apply("negate", line[1]), line[0])
    return found


def _circular(definitions: Mapping[str, Tree], line: tuple[Tree | None, Tree], variable: str) -> bool:
    return any(variable in needed(definitions, tree) for tree in line if tree is not None)
