"""Equations as trees: parsed from text by our own small grammar, never evaluated as code."""

from isletsim.expressions.parse import parse
from isletsim.expressions.tree import Apply, Name, Number, Table, Tree, names, substitute

__all__ = ["Apply", "Name", "Number", "Table", "Tree", "names", "parse", "substitute"]
