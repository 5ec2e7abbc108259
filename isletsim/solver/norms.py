"""Errors and sizes in units of the tolerance, and plain loops over states, as kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from isletsim.solver.intrinsics import INT32, INT64, REALS, Codegen, types
from isletsim.solver.vectors import Lanes, kernel

__all__ = [
    "add_product",
    "blend",
    "clear_rows",
    "copy_rows",
    "difference",
    "replace_rows",
    "take_lanes",
    "weighted",
    "weighted_ratio",
    "weighted_rest",
]


@kernel(types.int64, REALS)
def clear_rows(lanes: Lanes, count: Any, out: Any) -> None:
    """``out = 0``."""
    with lanes.each(count) as index:
        lanes.store(0.0, out, index)


@kernel(types.int64, REALS, REALS)
def copy_rows(lanes: Lanes, count: Any, out: Any, source: Any) -> None:
    """``out = source``."""
    with lanes.each(count) as index:
        lanes.store(lanes.load(source, index), out, index)


@kernel(types.int64, REALS, REALS, types.int64)
def take_lanes(lanes: Lanes, count: Any, out: Any, source: Any, bits: Any) -> None:
    """``out = source`` in the lanes whose bit is set."""
    chosen = lanes.mask(bits)
    with lanes.each(count) as index:
        lanes.store(lanes.pick(chosen, lanes.load(source, index), lanes.load(out, index)), out, index)


@kernel(types.int64, REALS, REALS, types.int64, result=types.int64)
def replace_rows(lanes: Lanes, count: Any, out: Any, source: Any, bits: Any) -> Any:
    """``out = source`` in the lanes whose bit is set. Return those of them in which anything changed."""
    builder, chosen = lanes.builder, lanes.mask(bits)
    changed = lanes.builder.alloca(lanes.truths)
    builder.store(lanes.mask(INT64(0)), changed)
    with lanes.each(count) as index:
        before, after = lanes.load(out, index), lanes.load(source, index)
        other = builder.and_(chosen, builder.fcmp_unordered("!=", before, after))
        builder.store(builder.or_(builder.load(changed), other), changed)
        lanes.store(lanes.pick(chosen, after, before), out, index)
    return lanes.bits(builder.load(changed))


@kernel(REALS, REALS, REALS)
def add_product(lanes: Lanes, out: Any, base: Any, slope: Any) -> None:
    """``out = base + TRIAL * mass * slope`` for all states."""
    masses, trial = lanes.masses(), lanes.row("trial")
    with lanes.each(lanes.number("states")) as index:
        change = lanes.masked(lanes.load(slope, index), masses, index)
        lanes.store(lanes.sum(lanes.load(base, index), trial, change), out, index)


@kernel(REALS, REALS)
def difference(lanes: Lanes, out: Any, a: Any) -> None:
    """``out = mass * (out - a)`` for all states."""
    masses = lanes.masses()
    with lanes.each(lanes.number("states")) as index:
        change = lanes.sub(lanes.load(out, index), lanes.load(a, index))
        lanes.store(lanes.masked(change, masses, index), out, index)


def weighted_ratio(lanes: Lanes, terms: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Return the largest |error| / (absolute + relative * size) of every lane; NaN if any term is NaN or infinite.

    `terms` gives error and size for an index. Ratios are compared by cross-multiplication, so one division is enough.
    """
    builder = lanes.builder
    above, below, doubt = lanes.variable(0.0), lanes.variable(1.0), lanes.variable(0.0)
    absolute, relative = lanes.number("absolute"), lanes.spread(lanes.number("relative"))
    with lanes.each(lanes.number("states")) as index:
        error, size = terms(index)
        least = lanes.spread(builder.load(builder.gep(absolute, [index])))
        error, scale = lanes.abs(error), lanes.sum(least, relative, size)
        best, of = builder.load(above), builder.load(below)
        larger = lanes.test(">", builder.fmul(error, of), builder.fmul(best, scale))
        builder.store(lanes.pick(larger, error, best), above)
        builder.store(lanes.pick(larger, scale, of), below)
        # Infinity and NaN times zero are NaN, and stay NaN in the sum.
        builder.store(lanes.sum(builder.load(doubt), lanes.add(error, scale), 0.0), doubt)
    return builder.fadd(lanes.div(builder.load(above), builder.load(below)), builder.load(doubt))


def weighted(name: str, differential: bool = False) -> Codegen:
    """Return a kernel that stores the size of a vector, in units of the tolerance at the state, in a row of the frame.

    With `differential` the rows of algebraic unknowns are left out.
    """

    @kernel(REALS)
    def size_of(lanes: Lanes, vector: Any) -> None:
        masses, state = lanes.masses() if differential else None, lanes.number("state")

        def terms(index: Any) -> tuple[Any, Any]:
            value = lanes.masked(lanes.load(vector, index), masses, index)
            return value, lanes.abs(lanes.load(state, index))

        lanes.put(name, weighted_ratio(lanes, terms))

    return size_of


def _larger(lanes: Lanes, state: Any, other: Any, index: Any) -> Any:
    """Return the larger of the sizes of an element in two states."""
    return lanes.most(lanes.abs(lanes.load(other, index)), lanes.abs(lanes.load(state, index)))


@kernel(REALS, REALS, result=types.float64)
def weighted_rest(lanes: Lanes, vector: Any, other: Any) -> Any:
    """Return the size of a vector in units of the tolerance at the larger of the state and another; one lane only."""
    state = lanes.number("state")
    ratio = weighted_ratio(lanes, lambda index: (lanes.load(vector, index), _larger(lanes, state, other, index)))
    return ratio if lanes.single else lanes.builder.extract_element(ratio, INT32(0))


def blend(lanes: Lanes, count: Any, listed: Any, out: Any, rows: Any, weights: Sequence[Any]) -> None:
    """``out = state + sum_j weights[j] rows[j]`` in the listed rows; `rows` is what `Lanes.stages` returned."""
    builder, state = lanes.builder, lanes.number("state")
    with lanes.each(count) as number:
        index = builder.load(builder.gep(listed, [number]))
        total = lanes.load(state, index)
        for stage, weight in enumerate(weights):
            total = lanes.sum(total, lanes.stage(rows, stage, index), weight)
        lanes.store(total, out, index)
