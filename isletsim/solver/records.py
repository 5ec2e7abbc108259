"""What goes into a run and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np

from isletsim.solver import frame as at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.flat import FlatModel

__all__ = ["ADVICE", "Counts", "NativeFunctions", "NativeModel", "Outcome", "Reason", "Schedule", "Watch"]


class Reason(IntEnum):
    """Why a run stopped."""

    DONE = at.DONE
    WATCH = at.WATCHED
    TERMINAL = at.TERMINAL
    NOT_FINITE = at.NOT_FINITE
    STEP_TOO_SMALL = at.STEP_TOO_SMALL
    TOO_MANY_STEPS = at.TOO_MANY_STEPS
    SINGULAR = at.SINGULAR
    NO_CONSISTENT_START = at.NO_CONSISTENT_START

    @property
    def failed(self) -> bool:
        """Whether the run ended before it should."""
        return self >= Reason.NOT_FINITE


# What happened, and the next thing to try; for the people who show a failure.
ADVICE = {
    Reason.NOT_FINITE: "A number became infinite or undefined: look for a division by zero or a growth without limit.",
    Reason.STEP_TOO_SMALL: "The solution changes faster than time can be divided: it blows up, or events follow "
    "each other without end.",
    Reason.TOO_MANY_STEPS: "The run needs more steps than allowed: allow more, relax the tolerance, or look for an "
    "oscillation that is much faster than the run is long.",
    Reason.SINGULAR: "An algebraic unknown does not occur in its own equations (the index is above one).",
    Reason.NO_CONSISTENT_START: "No values of the algebraic unknowns satisfy their equations here: give start values "
    "nearer to the solution.",
}


class NativeFunctions(Protocol):
    """Addresses of the functions of docs/engine.md; 0 where `factor` and `solve` are left to the solver."""

    @property
    def prepare(self) -> int:
        """Fills the tail of the parameters."""

    @property
    def start(self) -> int:
        """The model's own start."""

    @property
    def rhs(self) -> int:
        """Derivatives and residuals."""

    @property
    def jac(self) -> int:
        """Jacobian and explicit time derivative."""

    @property
    def factor(self) -> int:
        """Sparse LU of d M - J."""

    @property
    def solve(self) -> int:
        """Solves with these factors."""

    @property
    def observe(self) -> int:
        """Outputs."""

    @property
    def roots(self) -> int:
        """Triggers of events, then kinks."""

    @property
    def bounds(self) -> int:
        """Bounds of the roots that depend on time alone."""

    @property
    def act(self) -> int:
        """One action."""


class NativeModel(Protocol):
    """Machine code of a model and the sizes of its arrays; `isletsim.codegen.CompiledModel` is one.

    `roots` counts events and kinks together, `kinks` the last of them. Of `flat` only the scale of every state and
    what events do `initially` are read.
    """

    @property
    def flat(self) -> FlatModel:
        """What was compiled."""

    @property
    def functions(self) -> NativeFunctions:
        """Where the machine code is."""

    @property
    def states(self) -> int:
        """Length of y."""

    @property
    def parameters(self) -> int:
        """Length of the first part of p."""

    @property
    def outputs(self) -> int:
        """Length of a recorded row."""

    @property
    def width(self) -> int:
        """Length of p."""

    @property
    def nonzeros(self) -> int:
        """Entries of the Jacobian."""

    @property
    def rows(self) -> NDArray[np.int32]:
        """Row of every entry."""

    @property
    def columns(self) -> NDArray[np.int32]:
        """Column of every entry."""

    @property
    def mass(self) -> NDArray[np.float64]:
        """1 for a differential, 0 for an algebraic state."""

    @property
    def factor_size(self) -> int:
        """Length of LU."""

    @property
    def roots(self) -> int:
        """Events and kinks."""

    @property
    def kinks(self) -> int:
        """How many of the roots are kinks, the last ones."""

    @property
    def time_roots(self) -> NDArray[np.int64]:
        """1 for every root that depends on time alone."""

    @property
    def timed(self) -> NDArray[np.int64]:
        """States whose derivative depends on time itself."""

    @property
    def seen(self) -> NDArray[np.int64]:
        """States that outputs depend on."""

    @property
    def event_action(self) -> NDArray[np.int32]:
        """Action of every event, -1 to end the run."""


@dataclass(frozen=True)
class Schedule:
    """What happens at which time.

    At ``times[k]`` (strictly increasing) the entries ``first[k] .. first[k + 1]`` are done in their order: kind 0
    nothing (a bare stop), kind 1 action `indices` of the model with `amounts`, kind 2 parameter `indices` becomes
    `amounts`. Both ends of a run belong to it: what stands at its first and at its last time is done.
    """

    times: NDArray[np.float64]
    first: NDArray[np.int64]
    kinds: NDArray[np.int64]
    indices: NDArray[np.int64]
    amounts: NDArray[np.float64]
    head: NDArray[np.int64] = field(init=False, repr=False, compare=False)  # a `ScheduleHead`

    @staticmethod
    def empty() -> Schedule:
        """The schedule on which nothing happens."""
        return _EMPTY

    def __post_init__(self) -> None:
        for name, kind in (("times", float), ("first", np.int64), ("kinds", np.int64), ("indices", np.int64)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), kind))
        object.__setattr__(self, "amounts", np.ascontiguousarray(self.amounts, float))
        entries = len(self.kinds)
        if len(self.first) != len(self.times) + 1 or len(self.indices) != entries or len(self.amounts) != entries:
            raise ValueError("the arrays of a schedule do not belong together")
        if self.first[0] != 0 or self.first[-1] != entries or (np.diff(self.first) < 0).any():
            raise ValueError("`first` of a schedule must rise from 0 to the number of entries")
        if not (np.diff(self.times) > 0).all() or not np.isfinite(self.times).all():
            raise ValueError("the times of a schedule must be finite and strictly increasing")
        arrays = (self.times, self.first, self.kinds, self.indices, self.amounts)
        head = [len(self.times), *(array.ctypes.data for array in arrays)]
        object.__setattr__(self, "head", np.array(head, np.int64))


_EMPTY = Schedule(np.empty(0), np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Watch:
    """Ends a run after the first recorded row in which an output is at or beyond a level.

    `direction` 1: at or above the level; -1: at or below it.
    """

    output: int
    level: float
    direction: int = 1


@dataclass(frozen=True)
class Counts:
    """The work of a run.

    `repeated` steps were done again to land on a root, `pivoted` of the `factorizations` needed the dense path, and
    `unlocated` kinks were passed over because they came one upon the other.
    """

    steps: int
    rejected: int
    repeated: int
    rhs: int
    jacobians: int
    factorizations: int
    pivoted: int
    roots: int
    unlocated: int


@dataclass(frozen=True)
class Outcome:
    """A finished run, whole or partial.

    Attributes
    ----------
    reason : why it stopped.
    time : how far it came; `state` and `parameters` belong to this time.
    times, states, outputs : one row for every record that was reached; `states` is None where they were not kept.
    event : index of the event that ended the run, or -1.
    worst : index of the state that weighed most in the error when the run failed, or -1.
    """

    reason: Reason
    time: float
    times: NDArray[np.float64] = field(repr=False)
    states: NDArray[np.float64] | None = field(repr=False)
    outputs: NDArray[np.float64] = field(repr=False)
    state: NDArray[np.float64] = field(repr=False)
    parameters: NDArray[np.float64] = field(repr=False)
    counts: Counts
    event: int
    worst: int
