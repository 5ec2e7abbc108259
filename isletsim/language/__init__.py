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
from isletsim.language.toml_document import Equation, KeyPath, TomlDocument, read_document
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
    "Equation",
    "ExpressionError",
    "KeyPath",
    "Mismatch",
    "ModelFile",
    "Name",
    "Note",
    "Number",
    "Operator",
    "Port",
    "Report",
    "Spread",
    "Table",
    "Term",
    "TomlDocument",
    "Tree",
    "apply",
    "constant_value",
    "dimension_of",
    "evaluate",
    "names",
    "parse",
    "read_document",
    "read_model",
    "same",
    "signed_terms",
    "substitute",
    "walk",
]
