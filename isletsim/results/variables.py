"""The variables of a study: which are clinical names, and their units as people write them."""

from __future__ import annotations

from isletsim import units
from isletsim.figures.layout import printed_unit
from isletsim.results.record import StudyData, Variable

__all__ = ["clinical", "shown_unit", "unit_label"]


def clinical(result: StudyData) -> list[int]:
    """The positions of the clinical names; of all variables where a study records no clinical name."""
    found = [index for index, variable in enumerate(result.variables) if "." not in variable.name]
    return found or list(range(len(result.variables)))


def unit_label(variable: Variable) -> str:
    """Return the unit of a variable as people write it."""
    return units.unit_label(variable.label or variable.unit)


# What pure numbers count, for people; files of numbers leave it out.
COUNTS = {"beta_mass": "fraction of healthy", "beta_function": "fraction of healthy", "homa_b": "%"}


def shown_unit(variable: Variable) -> str:
    """The unit above a panel and in a table: ``kg/m²``, and of some pure numbers what they count."""
    return printed_unit(unit_label(variable)) or COUNTS.get(variable.name, "")
