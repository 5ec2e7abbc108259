"""A stack of model files becomes one flat model.

Names are qualified, adds are summed, scales are multiplied (contributions in the order of file names, so that the order
of the stack never matters), balances become derivatives, chains of classes are written out, and every dimension is
checked. All faults of all files are reported together.
"""

from __future__ import annotations

from collections.abc import Iterable

from isletsim.composition.clocks import Clocks
from isletsim.composition.compose import Composition, FileInfo, PortPlan, Symbol, compose
from isletsim.composition.dimension_check import check_dimensions
from isletsim.composition.stack import Stack, Summary
from isletsim.flat import Action, Event, FlatModel
from isletsim.language import Apply, ModelFile, Name, Number, Spread, Table
from isletsim.units import Unit

__all__ = ["RECORDS", "Composition", "FileInfo", "PortPlan", "Symbol", "superpose"]

# The records that a composition is made of, for keeping it as data.
RECORDS: tuple[type, ...] = (Composition, Clocks, FlatModel, Action, Event, Symbol, FileInfo, PortPlan, Summary)
RECORDS += (Spread, Unit, Apply, Name, Number, Table)


def superpose(files: Iterable[ModelFile], outputs: Iterable[str] | None = None, name: str = "") -> Composition:
    """The composition of a stack.

    Parameters
    ----------
    files : core and therapies alike, in any order.
    outputs : qualified names to record besides reports and states; None records every rate and quantity.

    Raises
    ------
    InputError : every fault of every file: unknown names, dimensions, cycles.
    """
    stack = Stack({file.name: file for file in sorted(files, key=lambda file: file.name)})
    for file in stack.files.values():
        stack.read(file)
    stack.combine()
    check_dimensions(stack)
    stack.finish()
    return compose(stack, outputs, name or "+".join(stack.files))
