"""The flat model: a plain ODE system in general form, between composition and compilation.

It knows nothing of TOML, of units or of biology. Every number in it is in one coherent set of units (`units.BASE`,
time in days), so trees are pure arithmetic. The TOML path makes it, an SBML importer can make it too; the code
generator, the NumPy reference and exporters read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from isletsim.language import Tree

__all__ = ["AMOUNT", "TIME", "Action", "Event", "FlatModel"]

TIME = "time"  # the independent variable inside any tree
AMOUNT = "amount"  # inside the trees of an action: how much was given


@dataclass(frozen=True)
class Action:
    """What one instant does: every right-hand side is evaluated first, then all targets are assigned together.

    A target is a state, an algebraic unknown or a parameter (a held value, an input).
    """

    name: str
    assignments: tuple[tuple[str, Tree], ...]


@dataclass(frozen=True)
class Event:
    """A state-triggered event: when `trigger` crosses zero from below, `action` (an index into `actions`) happens.

    `trigger` is positive while the condition holds. `action` of -1 stops the run there. `delay`, `priority` and
    `persistent` have the meaning of SBML; the solver itself knows delay 0 only.
    """

    name: str
    trigger: Tree
    action: int = -1
    delay: float = 0.0
    priority: float = 0.0
    persistent: bool = True
    initially: bool = True


@dataclass(frozen=True)
class FlatModel:
    """States y, parameters p, named expressions and their derivatives, for dy/dt = f(t, y, p) or 0 = g(t, y, p).

    Attributes
    ----------
    states : differential states first, then algebraic unknowns, in the order of the solver's array.
    parameters : names of run-time numbers (constants, inputs, held values). Changing one compiles nothing.
    values : default value of every parameter, same order; NaN where a run has to give one.
    constants : name and tree, in order of use; depend on parameters and earlier constants only; computed once.
    expressions : name and tree, in order of use; rates, quantities and whatever outputs need.
    derivatives : one tree per state; for an algebraic unknown it is the residual that must be zero.
    algebraic : which states are algebraic.
    start : one tree per state over parameters and constants: the value at the start of a run.
    scale : one positive size per state; the absolute tolerance is the relative one times a hundredth of it.
    actions, events : see the classes.
    outputs : names that are recorded besides the states; each is a state, parameter, constant or expression.
    periods : (offset, period) trees over parameters: the run stops at every offset + k * period (`mod` of time).
    knots : times at which some table of the time bends; the run stops there.
    """

    name: str
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    values: tuple[float, ...]
    constants: tuple[tuple[str, Tree], ...]
    expressions: tuple[tuple[str, Tree], ...]
    derivatives: tuple[Tree, ...]
    algebraic: tuple[bool, ...]
    start: tuple[Tree, ...]
    scale: tuple[float, ...]
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    outputs: tuple[str, ...] = ()
    periods: tuple[tuple[Tree, Tree], ...] = ()
    knots: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.states)
        assert len(self.derivatives) == len(self.algebraic) == len(self.start) == len(self.scale) == count
        assert len(self.values) == len(self.parameters)
        assert all(scale > 0 and math.isfinite(scale) for scale in self.scale)
