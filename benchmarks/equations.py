"""The same equations for the peers: numba functions, a JAX function, SBML. All come from our own generated source, so
peers have its common subexpressions and its exact Jacobian too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import Problem
from isletsim.codegen import reference
from isletsim.codegen.emit import NUMPY, body
from isletsim.codegen.program import assemble
from isletsim.flat import TIME, FlatModel
from isletsim.language import Apply, Name, Number, Tree

__all__ = ["NumbaFunctions", "jax_function", "numba_functions", "sbml_text", "short_name"]


class NumbaFunctions:
    """`rhs(t, y, p, dy)` and `jac(t, y, p, entries)` compiled by numba, and what is needed to use them.

    `prepared` fills the hoisted tail of the parameters, `dense` writes the Jacobian into a square array.
    """

    def __init__(self, flat: FlatModel) -> None:
        import numba

        plain = reference(flat)
        space: dict[str, Any] = {}
        exec(compile(plain.source, "<equations>", "exec"), space)  # noqa: S102 - our own generated text
        self.rhs = numba.njit(space["rhs"])
        self.jac = jac = numba.njit(space["jac"])
        self.width, self.prepare = plain.width, plain.prepare
        self.states, self.nonzeros = len(flat.states), len(plain.rows)
        rows, columns, entries_size = plain.rows, plain.columns, self.nonzeros + self.states

        @numba.njit
        def dense(t: float, y: Any, p: Any, out: Any) -> None:
            entries = np.empty(entries_size)
            jac(t, y, p, entries)
            out[:] = 0.0
            for index in range(len(rows)):
                out[rows[index], columns[index]] = entries[index]

        self.dense = dense

    def prepared(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Parameters with everything that depends on them alone."""
        values = np.zeros(self.width)
        values[: len(parameters)] = parameters
        self.prepare(values)
        return values


def numba_functions(given: Problem) -> NumbaFunctions:
    """The equations of a problem, compiled by numba."""
    return NumbaFunctions(given.flat)


def jax_function(given: Problem) -> Callable[..., Any]:
    """`f(t, y, p)` in JAX; `p` is prepared as for numba."""
    import jax.numpy as jnp

    program = assemble(given.flat)
    rhs = next(routine for routine in program.routines if routine.name == "rhs")
    lines, _ = body(rhs, replace(NUMPY, store="    {0}_{1} = {2}"))
    listed = ", ".join(f"dy_{index}" for index in range(len(given.flat.states)))
    text = "\n".join(["def f(t, y, p):", *lines, f"    return np.stack([{listed}])"])
    space: dict[str, Any] = {"np": jnp}
    exec(compile(text, "<equations for JAX>", "exec"), space)  # noqa: S102 - our own generated text
    function: Callable[..., Any] = space["f"]
    return function


# SBML

_OPERATORS = {
    "add": "plus",
    "subtract": "minus",
    "negate": "minus",
    "multiply": "times",
    "divide": "divide",
    "power": "power",
    "exp": "exp",
    "cos": "cos",
}
_SYMBOL_TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">time</csymbol>'
_MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'


def short_name(name: str) -> str:
    """The name of a state or parameter in SBML."""
    return re.sub(r"\W", "_", name)


def _mathml(tree: Tree) -> str:
    if isinstance(tree, Number):
        return f"<cn>{tree.value!r}</cn>"
    if isinstance(tree, Name):
        return _SYMBOL_TIME if tree.name == TIME else f"<ci>{short_name(tree.name)}</ci>"
    if isinstance(tree, Apply) and tree.operator in _OPERATORS:
        return f"<apply><{_OPERATORS[tree.operator]}/>{''.join(map(_mathml, tree.arguments))}</apply>"
    raise ValueError(f"no benchmark problem should need {tree}")


def sbml_text(given: Problem) -> str:
    """A problem as SBML Level 3: rate rules, assignment rules, and an event for every dose."""
    flat = given.flat
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append('<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">')
    lines += [f'<model id="{given.name}">', "<listOfParameters>"]
    values = dict(zip(flat.parameters, flat.values, strict=True))
    for name, value in values.items():
        lines.append(f'<parameter id={quoteattr(short_name(name))} value="{value!r}" constant="true"/>')
    for name, value in zip(flat.states, given.start.tolist(), strict=True):
        lines.append(f'<parameter id={quoteattr(short_name(name))} value="{value!r}" constant="false"/>')
    named = flat.constants + flat.expressions
    lines += [f'<parameter id="{short_name(name)}" constant="false"/>' for name, _ in named]
    lines += ["</listOfParameters>", "<listOfRules>"]
    for name, tree in named:
        lines.append(f'<assignmentRule variable="{short_name(name)}">{_MATH.format(_mathml(tree))}</assignmentRule>')
    for name, tree in zip(flat.states, flat.derivatives, strict=True):
        lines.append(f'<rateRule variable="{short_name(name)}">{_MATH.format(_mathml(tree))}</rateRule>')
    lines.append("</listOfRules>")
    if given.doses:
        lines.append("<listOfEvents>")
        target = short_name(flat.states[given.dosed])
        gain = _MATH.format(f"<apply><plus/><ci>{target}</ci><cn>{given.amount!r}</cn></apply>")
        for number, time in enumerate(given.doses):
            when = _MATH.format(f"<apply><geq/>{_SYMBOL_TIME}<cn>{time!r}</cn></apply>")
            lines.append(f'<event id="dose_{number}" useValuesFromTriggerTime="true">')
            lines.append(f'<trigger initialValue="true" persistent="true">{when}</trigger>')
            lines.append(f'<listOfEventAssignments><eventAssignment variable="{target}">{gain}</eventAssignment>')
            lines.append("</listOfEventAssignments></event>")
        lines.append("</listOfEvents>")
    return "\n".join([*lines, "</model>", "</sbml>"])
