"""A routine: one function of the generated code, as values and stores on a tape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isletsim.codegen.tape import Tape

__all__ = ["HOT", "Routine", "Step", "Store"]

# What runs all the time, and may round a little otherwise. What is observed may not: an event is met where its root
# changes sign, and then its trigger is observed, which has to say the same to the last bit.
HOT = ("rhs", "jac")

Store = tuple[str, int, int]  # array, index, instruction


@dataclass(frozen=True)
class Step:
    """Part of a routine: values needed before any store, then stores in order."""

    first: tuple[int, ...] = ()
    stores: tuple[Store, ...] = ()


@dataclass(frozen=True)
class Routine:
    """One function: its arguments, the tape it reads and what it does in order.

    `hoisted` gives the place in `p` of values that `prepare` has computed. `check` is a truth on the tape: the
    routine returns 0 when it holds, 1 otherwise. `scratch` is the length of the local array `x`, `sizes` are the sizes
    by which a dense block judges its pivots. A routine
    that is long is made of `parts`, called in turn with the same arguments; it is good when all of them are.
    """

    name: str
    arguments: tuple[str, ...]
    tape: Tape
    steps: tuple[Step, ...]
    hoisted: Mapping[int, int] = field(default_factory=dict)
    check: int | None = None
    scratch: int = 0
    sizes: tuple[float, ...] = ()
    parts: tuple[Routine, ...] = ()
