"""What is given: doses of a port, and levels of an input; base units, days."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isletsim.language import Tree

__all__ = ["Course", "Dose"]


@dataclass(frozen=True)
class Dose:
    """One instant (or, with `over`, one infusion) of one port.

    Where there is a `factor`, an expression of the model, the amount is multiplied with its value when a test begins.
    """

    port: str
    amount: float
    time: float
    over: float = 0.0
    factor: Tree | None = None


@dataclass(frozen=True)
class Course:
    """An input at a level from a time until a time (infinite: until the end); `factor` as that of a dose."""

    input: str
    level: float
    start: float
    stop: float = math.inf
    factor: Tree | None = None
