"""From a flat model to machine code.

`compile_model` gives the addresses that the solver calls; `reference` gives the same functions in plain NumPy, for
tests; `llvm_source` and `numpy_source` are what was written. See docs/engine.md for the signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isletsim.codegen import native
from isletsim.codegen.fingerprint import fingerprint_of
from isletsim.codegen.native import LANES
from isletsim.flat import FlatModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from isletsim.codegen.numpy_reference import NumpyReference

__all__ = [
    "CompiledModel",
    "Functions",
    "LaneFunctions",
    "compile_lanes",
    "compile_model",
    "fingerprint_of",
    "llvm_source",
    "numpy_source",
    "reference",
]


@dataclass(frozen=True)
class Functions:
    """Addresses of the functions of docs/engine.md; `factor` and `solve` are 0 if the solver must do it itself."""

    prepare: int
    start: int
    rhs: int
    jac: int
    factor: int
    solve: int
    observe: int
    roots: int
    bounds: int
    act: int


@dataclass(frozen=True)
class CompiledModel:
    """Machine code of a flat model and the sizes of its arrays.

    Attributes
    ----------
    flat : what was compiled.
    functions : where the machine code is.
    states, parameters, outputs : lengths of `y`, of the first part of `p`, and of `out`.
    width : the whole length of `p`, hoisted values included.
    rows, columns : places of the `nonzeros` of the Jacobian, sorted by row, then column (int32).
    mass : 1 for a differential and 0 for an algebraic state.
    factor_size : length of `LU`.
    roots, kinks : length of `g`, and how many of its last entries are kinks.
    time_roots : 1 for every root that depends on time alone, else 0 (int64).
    event_action : the action of every event, -1 to stop the run (int32).
    timed, seen : the states whose derivative depends on time itself, and those that outputs depend on (int64).
    fingerprint : the name of the machine code.
    """

    flat: FlatModel
    functions: Functions
    states: int
    parameters: int
    outputs: int
    width: int
    nonzeros: int
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    mass: NDArray[np.float64]
    factor_size: int
    roots: int
    kinks: int
    time_roots: NDArray[np.int64]
    event_action: NDArray[np.int32]
    timed: NDArray[np.int64]
    seen: NDArray[np.int64]
    fingerprint: str
    engine: Any = field(repr=False, compare=False)  # keeps the machine code in memory


def compile_model(flat: FlatModel) -> CompiledModel:
    """Return the machine code of a flat model for one lane, from the cache if it was made before."""
    import numpy as np

    name = fingerprint_of(flat)
    entry = native.read_entry(name)
    if entry is None or not _sound(entry[0], flat):
        from isletsim.codegen.lanes import lane_program
        from isletsim.codegen.program import assemble

        program = assemble(flat)
        written = lane_program(program, 1)
        data = native.make_object(written.text)
        sizes: dict[str, Any] = {
            "width": written.width,
            "rows": program.rows,
            "columns": program.columns,
            "factor_size": program.factor_size,
            "roots": program.roots,
            "kinks": program.kinks,
            "time_roots": program.time_roots,
            "timed": written.timed,
            "seen": written.seen,
        }
        native.write_entry(name, sizes, data)
    else:
        sizes, data = entry
    loaded = native.load_object(data)
    return CompiledModel(
        flat=flat,
        functions=Functions(**loaded.addresses),
        states=len(flat.states),
        parameters=len(flat.parameters),
        outputs=len(flat.outputs),
        width=sizes["width"],
        nonzeros=len(sizes["rows"]),
        rows=np.array(sizes["rows"], np.int32),
        columns=np.array(sizes["columns"], np.int32),
        mass=np.array([0.0 if free else 1.0 for free in flat.algebraic]),
        factor_size=sizes["factor_size"],
        roots=sizes["roots"],
        kinks=sizes["kinks"],
        time_roots=np.array(sizes["time_roots"], np.int64),
        event_action=np.array([event.action for event in flat.events], np.int32),
        timed=np.array(sizes["timed"], np.int64),
        seen=np.array(sizes["seen"], np.int64),
        fingerprint=name,
        engine=loaded.engine,
    )


def _sound(sizes: Mapping[str, Any], flat: FlatModel) -> bool:
    """Return whether sizes can be those of a model; arrays of other sizes would be written beyond their end."""
    rows, columns, states = sizes["rows"], sizes["columns"], len(flat.states)
    inside = all(0 <= each < states for each in (*rows, *columns, *sizes["timed"], *sizes["seen"]))
    events = sizes["roots"] - sizes["kinks"] == len(flat.events) and sizes["kinks"] >= 0
    return inside and events and len(rows) == len(columns) and sizes["width"] >= len(flat.parameters)


@dataclass(frozen=True)
class LaneFunctions:
    """The same functions for several lanes; they live as long as `engine`."""

    functions: Functions
    lanes: int
    engine: Any = field(repr=False, compare=False)


_LANES: dict[str, LaneFunctions] = {}


def compile_lanes(model: CompiledModel, lanes: int = LANES) -> LaneFunctions | None:
    """Return the functions of a model for several lanes, from the cache if they were made before.

    None for a model that one lane alone can do: with algebraic unknowns, events or kinks, or without sparse factors.
    """
    name = f"{model.fingerprint}-{lanes}"
    known = _LANES.get(name)
    if known is None:
        if model.roots or model.functions.factor == 0 or not model.mass.all():
            return None
        entry = native.read_entry(name)
        if entry is None:
            from isletsim.codegen.lanes import lane_program
            from isletsim.codegen.program import assemble

            data = native.make_object(lane_program(assemble(model.flat), lanes).text)
            native.write_entry(name, {}, data)
        else:
            _, data = entry
        loaded = native.load_object(data)
        known = _LANES[name] = LaneFunctions(Functions(**loaded.addresses), lanes, loaded.engine)
    return known


def reference(flat: FlatModel) -> NumpyReference:
    """The functions of a flat model in plain NumPy."""
    from isletsim.codegen.numpy_reference import reference as made

    return made(flat)


def llvm_source(flat: FlatModel, lanes: int = 1) -> str:
    """Return the LLVM IR of a flat model for one lane or eight."""
    from isletsim.codegen.lanes import lane_program
    from isletsim.codegen.program import assemble

    return lane_program(assemble(flat), lanes).text


def numpy_source(flat: FlatModel) -> str:
    """The same equations as plain NumPy, with the names of the model as comments."""
    from isletsim.codegen import emit
    from isletsim.codegen.program import assemble

    program = assemble(flat)
    arrays = {"y": flat.states, "p": flat.parameters, "out": flat.outputs}
    titles = {f"v{value}": name for value, name in program.names.items()}
    titles |= {f"{array}[{index}]": name for array, names in arrays.items() for index, name in enumerate(names)}
    titles |= {f"dy[{index}]": f"d {name} / dt" for index, name in enumerate(flat.states)}
    return emit.numpy_text(program, {piece: " ".join(title.split()) for piece, title in titles.items()})
