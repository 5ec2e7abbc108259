"""From a flat model to machine code.

`compile_model` gives the addresses that the solver calls; `reference` gives the same functions in plain NumPy, for tests;
`llvm_source` and `numpy_source` are what was written. See docs/engine.md for the signatures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isletsim.compiler import emit, native
from isletsim.compiler.fingerprint import fingerprint_of
from isletsim.flat import FlatModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from isletsim.compiler.program import Program, Routine

__all__ = [
    "CompiledModel",
    "Functions",
    "Reference",
    "compile_model",
    "fingerprint_of",
    "llvm_source",
    "numpy_source",
    "reference",
]


@dataclass(frozen=True)
class Functions:
    """Addresses of the nine functions of docs/engine.md; `factor` and `solve` are 0 where the solver must do it itself."""

    prepare: int
    start: int
    rhs: int
    jac: int
    factor: int
    solve: int
    observe: int
    roots: int
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
    event_action : the action of every event, -1 to stop the run (int32).
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
    event_action: NDArray[np.int32]
    fingerprint: str
    engine: Any = field(repr=False, compare=False)  # keeps the machine code in memory


@dataclass(frozen=True)
class Reference:
    """The same functions in plain NumPy, with the signatures of docs/engine.md (arrays instead of pointers).

    `dense` gives the Jacobian as a square array. `factor` and `solve` are None where none was made.
    """

    flat: FlatModel
    source: str
    prepare: Callable[..., None]
    start: Callable[..., None]
    rhs: Callable[..., None]
    jac: Callable[..., None]
    observe: Callable[..., None]
    roots: Callable[..., None]
    act: Callable[..., None]
    factor: Callable[..., int] | None
    solve: Callable[..., None] | None
    dense: Callable[..., NDArray[np.float64]]
    width: int
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    factor_size: int
    root_count: int
    kinks: int


def compile_model(flat: FlatModel) -> CompiledModel:
    """The machine code of a flat model, from the cache when it was made before."""
    import numpy as np

    name = fingerprint_of(flat)
    entry = native.read_entry(name)
    if entry is None:
        program, more, size = _program(flat)
        data = native.make_object(emit.llvm_text(program, more))
        sizes: dict[str, Any] = {
            "width": program.width,
            "rows": program.rows,
            "columns": program.columns,
            "factor_size": size,
            "roots": program.roots,
            "kinks": program.kinks,
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
        event_action=np.array([event.action for event in flat.events], np.int32),
        fingerprint=name,
        engine=loaded.engine,
    )


def llvm_source(flat: FlatModel) -> str:
    """The LLVM IR of a flat model."""
    program, more, _ = _program(flat)
    return emit.llvm_text(program, more)


def numpy_source(flat: FlatModel) -> str:
    """The same equations as plain NumPy, with the names of the model as comments."""
    program, more, _ = _program(flat)
    printable = {
        "y": flat.states,
        "p": flat.parameters,
        "dy": tuple(f"d {name} / dt" for name in flat.states),
        "out": flat.outputs,
    }
    titles = {array: [" ".join(name.split()) for name in names] for array, names in printable.items()}
    return emit.numpy_text(program, more, titles)


def reference(flat: FlatModel) -> Reference:
    """The equations of a flat model as NumPy functions, made from our own generated source."""
    import numpy as np

    program, more, size = _program(flat)
    source = emit.numpy_text(program, more)
    space: dict[str, Any] = {}
    exec(compile(source, "<equations as NumPy>", "exec"), space)
    rows, columns = np.array(program.rows, np.int32), np.array(program.columns, np.int32)
    count = len(flat.states)

    def quiet(name: str) -> Callable[..., Any]:
        function = space[name]

        def called(*arguments: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*[np.float64(each) if isinstance(each, float) else each for each in arguments])

        return called

    jac = quiet("jac")

    def dense(t: float, y: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
        entries = np.empty(len(rows) + count)
        jac(t, y, p, entries)
        matrix = np.zeros((count, count))
        matrix[rows, columns] = entries[: len(rows)]
        return matrix

    return Reference(
        flat=flat,
        source=source,
        prepare=quiet("prepare"),
        start=quiet("start"),
        rhs=quiet("rhs"),
        jac=jac,
        observe=quiet("observe"),
        roots=quiet("roots"),
        act=quiet("act"),
        factor=quiet("factor") if more else None,
        solve=quiet("solve") if more else None,
        dense=dense,
        width=program.width,
        rows=rows,
        columns=columns,
        factor_size=size,
        root_count=program.roots,
        kinks=program.kinks,
    )


def _program(flat: FlatModel) -> tuple[Program, tuple[Routine, ...], int]:
    """The routines of a flat model, those of its factorisation, and the length of the LU array."""
    from isletsim.compiler.program import assemble
    from isletsim.compiler.sparse import factorisation

    program = assemble(flat)
    more, size = factorisation(program.rows, program.columns, flat.algebraic, flat.scale)
    return program, more, size
