"""The equations as NumPy functions: slow, plain, and written by the same walk as the machine code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isletsim.codegen import emit
from isletsim.codegen.program import assemble
from isletsim.flat import FlatModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["NumpyReference", "reference"]


@dataclass(frozen=True)
class NumpyReference:
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


def reference(flat: FlatModel) -> NumpyReference:
    """The equations of a flat model as NumPy functions, made from our own generated source."""
    import numpy as np

    program = assemble(flat)
    source = emit.numpy_text(program)
    space: dict[str, Any] = {}
    # The text is ours from end to end: names are v1, v2, ..., numbers are written by repr.
    exec(compile(source, "<equations as NumPy>", "exec"), space)  # noqa: S102
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

    return NumpyReference(
        flat=flat,
        source=source,
        prepare=quiet("prepare"),
        start=quiet("start"),
        rhs=quiet("rhs"),
        jac=jac,
        observe=quiet("observe"),
        roots=quiet("roots"),
        act=quiet("act"),
        factor=quiet("factor") if "factor" in space else None,
        solve=quiet("solve") if "solve" in space else None,
        dense=dense,
        width=program.width,
        rows=rows,
        columns=columns,
        factor_size=program.factor_size,
        root_count=program.roots,
        kinks=program.kinks,
    )
