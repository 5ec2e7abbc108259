"""Sparse LU of W = d * M - J as instructions, in the order of a `EliminationPlan`.

The instructions work on A = J - d * M = -W, which needs no negation of J: with the stored reciprocals -1 / pivot of A
and the stored multipliers, elimination and both substitutions are additions of products only. Elimination goes row by
row and reads earlier rows from memory, so that few values are alive at once; the rows are dealt out to functions of
moderate length, since LLVM's time grows with the square of it. The array LU holds the dense block (`block`), then
row by row the multipliers, the reciprocal and the rest of the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from isletsim.codegen.dense_block import SMALLEST_PIVOT
from isletsim.codegen.ordering import EliminationPlan, plan_of
from isletsim.codegen.routine import Routine, Step
from isletsim.codegen.tape import STATE, Tape

__all__ = ["factorisation"]

ALIKE = 100.0  # sizes within this ratio count as equal: the test of a pivot is a rough one
LONGEST_PART = 600  # instructions

Lines = list[tuple[int, int]]  # pairs of a column (or of a pivot) and a place in LU


def factorisation(
    rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool], sizes: Sequence[float]
) -> tuple[tuple[Routine, ...], int]:
    """The routines `factor` and `solve` and the length of their LU array.

    Parameters
    ----------
    rows, columns : places of the Jacobian's nonzeros, in the order of the array J.
    algebraic : which rows have no d on their diagonal.
    sizes : a typical size of every state; pivots are judged in these units.

    Without a plan there are no routines, and the length leaves room for the solver's own scratch.
    """
    plan = plan_of(rows, columns, algebraic)
    if plan is None:
        return (), len(algebraic)
    entries: list[dict[int, int]] = [{} for _ in algebraic]
    for index, (row, column) in enumerate(zip(rows, columns, strict=True)):
        entries[row][column] = index
    block_columns = {column: index for index, (_, column) in enumerate(plan.pivots[plan.sparse :])}
    multipliers: list[Lines] = []
    upper: list[tuple[int, Lines]] = []  # per sparse pivot: the place of its reciprocal, and the rest of its row
    part = _Part(plan.block * plan.stride)
    if plan.block:
        part.first.append(part.tape.block("block_clear", 0, plan.block, plan.stride))
    parts: list[Routine] = []
    for index, (row, pivot_column) in enumerate(plan.pivots):
        line = part.load_row(entries[row], row, algebraic[row])
        multipliers.append(part.eliminate(line, plan, upper, index))
        if index < plan.sparse:
            upper.append(part.keep_row(line, pivot_column, sizes))
        else:
            for column, value in line.items():
                place = block_columns[column] * plan.stride + index - plan.sparse
                part.stores.append(("LU", place, value))
        part.end_row()
        if len(part.tape.code) > LONGEST_PART or index == len(plan.pivots) - 1:
            parts.append(part.routine(len(parts)))
            part = _Part(part.used)
    if plan.block:
        tape = Tape()
        good = tape.block("block_factor", 0, plan.block, plan.stride)
        block_sizes = tuple(sizes[column] for _, column in plan.pivots[plan.sparse :])
        steps = (Step(first=(good,)),)
        parts.append(Routine("factor_block", ("J", "d", "LU"), tape, steps, check=good, sizes=block_sizes))
    factor = Routine("factor", ("J", "d", "LU"), Tape(), (), parts=tuple(parts))
    return (factor, _solution(plan, multipliers, upper)), part.used


class _Part:
    """Some rows of the factorisation under construction; `used` is the next free place in LU."""

    def __init__(self, used: int) -> None:
        self.tape = Tape()
        self.used = used
        self.good = self.tape.true
        self.first: list[int] = []
        self.stores: list[tuple[str, int, int]] = []
        self.steps: list[Step] = []

    def keep(self, value: int) -> int:
        """Store a value at the next free place."""
        self.stores.append(("LU", self.used, value))
        self.used += 1
        return self.used - 1

    def load_row(self, entries: dict[int, int], row: int, free: bool) -> dict[int, int]:
        """The row of A = J - d M by column."""
        tape = self.tape
        line = {column: tape.load("J", index, STATE) for column, index in entries.items()}
        if not free:
            line[row] = tape.sub(line.get(row, tape.zero), tape.scalar("d", STATE))
        return line

    def eliminate(
        self, line: dict[int, int], plan: EliminationPlan, upper: Sequence[tuple[int, Lines]], index: int
    ) -> Lines:
        """Subtract the earlier pivots' rows from a line; the multipliers are kept."""
        tape, kept = self.tape, []
        for earlier in range(min(index, plan.sparse)):
            entry = line.pop(plan.pivots[earlier][1], None)
            if entry is None:
                continue
            reciprocal, rest = upper[earlier]
            multiplier = tape.mul(entry, tape.load("LU", reciprocal, STATE, index))
            kept.append((earlier, self.keep(multiplier)))
            for column, place in rest:
                term = tape.mul(multiplier, tape.load("LU", place, STATE, index))
                line[column] = tape.add(line[column], term) if column in line else term
        return kept

    def keep_row(self, line: dict[int, int], pivot_column: int, sizes: Sequence[float]) -> tuple[int, Lines]:
        """Judge and keep the pivot of a line and what stands right of it."""
        tape = self.tape
        pivot = line.pop(pivot_column)
        self.good = tape.both(self.good, _sound(tape, pivot, pivot_column, line, sizes))
        self.first.append(self.good)
        place = self.keep(tape.div(tape.number(-1.0), pivot))
        return place, [(column, self.keep(line[column])) for column in sorted(line)]

    def end_row(self) -> None:
        """Everything of this row is computed and stored before the next is begun."""
        self.steps.append(Step(tuple(self.first), tuple(self.stores)))
        self.first, self.stores = [], []

    def routine(self, number: int) -> Routine:
        """The rows as one function."""
        return Routine(f"factor_{number}", ("J", "d", "LU"), self.tape, tuple(self.steps), check=self.good)


def _sound(tape: Tape, pivot: int, pivot_column: int, line: dict[int, int], sizes: Sequence[float]) -> int:
    """Whether a pivot is finite and not too small beside the rest of its row."""
    size = tape.unary("abs", pivot)
    largest = tape.zero
    for column, value in line.items():
        ratio = sizes[column] / sizes[pivot_column]
        weight = tape.unary("abs", value)
        if not 1 / ALIKE < ratio < ALIKE:
            weight = tape.mul(tape.number(ratio), weight)
        largest = weight if largest == tape.zero else tape.select(tape.less(largest, weight), weight, largest)
    enough = tape.less(tape.mul(tape.number(SMALLEST_PIVOT), largest), size)
    return tape.both(enough, tape.less(size, tape.number(float("inf"))))


def _solution(plan: EliminationPlan, multipliers: Sequence[Lines], upper: Sequence[tuple[int, Lines]]) -> Routine:
    """Forward and backward substitution: everything is read from b before anything is stored there."""
    tape = Tape()
    side: list[int] = []
    for (row, _), below in zip(plan.pivots, multipliers, strict=True):
        total = tape.load("b", row, STATE)
        for earlier, place in below:
            total = tape.add(total, tape.mul(tape.load("LU", place, STATE), side[earlier]))
        side.append(total)
    unknown: dict[int, int] = {}
    steps = []
    if plan.block:
        given = [("x", plan.stride + index, each) for index, each in enumerate(side[plan.sparse :])]
        steps.append(Step(first=tuple(side), stores=tuple(given)))
        steps.append(Step(first=(tape.block("block_solve", 0, plan.block, plan.stride),)))
        for index, (_, column) in enumerate(plan.pivots[plan.sparse :]):
            unknown[column] = tape.load("x", index, STATE)
    stores = [("b", column, each) for column, each in unknown.items()]
    for (_, pivot), (reciprocal, rest), total in reversed(list(zip(plan.pivots, upper, side, strict=False))):
        for column, place in rest:
            total = tape.add(total, tape.mul(tape.load("LU", place, STATE), unknown[column]))
        unknown[pivot] = tape.mul(total, tape.load("LU", reciprocal, STATE))
        stores.append(("b", pivot, unknown[pivot]))
    steps.append(Step(first=tuple(side), stores=tuple(stores)))
    return Routine("solve", ("LU", "b"), tape, tuple(steps), scratch=2 * plan.stride if plan.block else 0)
