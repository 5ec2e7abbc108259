"""The model language: equation text to trees, dimensions, and TOML files to frozen records with located errors.

Equations are parsed by a small grammar and never evaluated as code. Composition of several files comes later.
"""

from __future__ import annotations

from isletsim.language.dimensions import ANY, Mismatch, dimension_of, same
from isletsim.language.evaluation import evaluate
from isletsim.language.joins import signed_terms
from isletsim.language.model_file import RESERVED, read_model
from isletsim.language.parser import FUNCTIONS, STRUCTURAL, SUMMARIES, ExpressionError, constant_value, parse
from isletsim.language.records import GRADES, Entry, ModelFile, Note, Port, Report, Spread, Term
from isletsim.language.toml_document import Keys, Law, Page, read_page
from isletsim.language.tree import OPERATORS, Apply, Name, Number, Operator, Table, Tree, apply, names, substitute, walk

__all__ = [
    "ANY",
    "FUNCTIONS",
    "GRADES",
    "OPERATORS",
    "RESERVED",
    "STRUCTURAL",
    "SUMMARIES",
    "Apply",
    "Entry",
    "ExpressionError",
    "Keys",
    "Law",
    "Mismatch",
    "ModelFile",
    "Name",
    "Note",
    "Number",
    "Operator",
    "Page",
    "Port",
    "Report",
    "Spread",
    "Table",
    "Term",
    "Tree",
    "apply",
    "constant_value",
    "dimension_of",
    "evaluate",
    "names",
    "parse",
    "read_model",
    "read_page",
    "same",
    "signed_terms",
    "substitute",
    "walk",
]
