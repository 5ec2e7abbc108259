"""A model by name or path, whatever its form: the package's own TOML, or SBML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isletsim.errors import Fault, InputError

if TYPE_CHECKING:
    from isletsim.model import Model
    from isletsim.sbml import SbmlModel

__all__ = ["is_sbml", "load_model"]


def is_sbml(name: str | Path) -> bool:
    """Whether a name is the path of an SBML file."""
    return str(name).lower().endswith((".xml", ".sbml"))


def load_model(names: str | Path | Sequence[str | Path]) -> Model | SbmlModel:
    """A model by name or path, or a stack of several; files announced under `[uses]` come along.

    A path that ends in `.xml` or `.sbml` is an SBML file; it stands alone.

    Raises
    ------
    InputError : every fault of every file.
    """
    listed = [names] if isinstance(names, str | Path) else names
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(each, str | Path) for each in listed):
        raise InputError(Fault("load_model", f"expected a name, a path, or a list of them, found {names!r}."))
    if isinstance(names, str | Path) and is_sbml(names):
        from isletsim.sbml import load_sbml

        return load_sbml(Path(names))
    from isletsim.model import load_model as load_stack

    return load_stack(names)
