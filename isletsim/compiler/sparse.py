"""Sparse LU of W = d * M - J as straight-line instructions, in an order chosen once from the pattern alone.

The instructions work on A = J - d * M = -W, which needs no negation of J: with the stored reciprocals -1 / pivot of A
and the stored multipliers, elimination and both substitutions are additions of products only.

The rows are first matched to columns so that no pivot is structurally zero (algebraic rows have no d on their diagonal;
Duff 1981, ACM TOMS 7:315), then pivots are taken in order of least fill (Markowitz 1957, Management Science 3:255).
"""

from __future__ import annotations

from collections.abc import Sequence

from isletsim.compiler.program import Routine, Step
from isletsim.compiler.tape import STATE, Tape

__all__ = ["factorisation", "matching", "elimination_order"]

MOST_PRODUCTS = 40_000  # beyond this many products the solver's own dense path is used
SMALLEST_PIVOT = 1e-10  # beside the largest entry of what remains of its row, in units of the states' sizes
ALIKE = 100.0  # sizes within this ratio count as equal: the test above is a rough one

Pattern = list[set[int]]  # the columns of every row


def pattern_of(rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool]) -> Pattern:
    """Where W may differ from zero."""
    pattern: Pattern = [set() if free else {row} for row, free in enumerate(algebraic)]
    for row, column in zip(rows, columns):
        pattern[row].add(column)
    return pattern


def matching(pattern: Pattern) -> list[int] | None:
    """The column whose pivot each row gives, the diagonal where it can; None when W is singular whatever its values."""
    owner: dict[int, int] = {row: row for row, columns in enumerate(pattern) if row in columns}
    for row in range(len(pattern)):
        if owner.get(row) != row and not _augment(pattern, row, owner):
            return None
    columns_of = [0] * len(pattern)
    for column, row in owner.items():
        columns_of[row] = column
    return columns_of


def _augment(pattern: Pattern, row: int, owner: dict[int, int]) -> bool:
    """Give `row` a column, moving the owners of others along an alternating path (breadth first: no deep calls)."""
    reached: dict[int, int] = {}  # column to the row that wants it
    queue = [row]
    for wanting in queue:
        for column in sorted(pattern[wanting], key=lambda each: each in owner):
            if column in reached:
                continue
            reached[column] = wanting
            if column not in owner:
                while True:
                    wanting = reached[column]
                    previous = next((each for each, held in owner.items() if held == wanting), None)
                    owner[column] = wanting
                    if wanting == row:
                        return True
                    assert previous is not None
                    column = previous
            queue.append(owner[column])
    return False


def elimination_order(pattern: Pattern, columns_of: Sequence[int]) -> list[int]:
    """Rows in the order in which they give their pivots: always the one that can fill least."""
    rows = {row: set(columns) for row, columns in enumerate(pattern)}
    users: dict[int, set[int]] = {column: set() for column in range(len(pattern))}
    for row, columns in rows.items():
        for column in columns:
            users[column].add(row)
    order = []
    while rows:
        row = min(rows, key=lambda each: ((len(rows[each]) - 1) * (len(users[columns_of[each]]) - 1), each))
        order.append(row)
        rest = rows.pop(row)
        pivot = columns_of[row]
        for column in rest:
            users[column].discard(row)
        rest.discard(pivot)
        for other in users.pop(pivot):
            rows[other].discard(pivot)
            for column in rest - rows[other]:
                rows[other].add(column)
                users[column].add(other)
    return order


def factorisation(
    rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool], sizes: Sequence[float]
) -> tuple[tuple[Routine, ...], int]:
    """The routines `factor` and `solve` and the length of their LU array; no routines when they would be too long."""
    pattern = pattern_of(rows, columns, algebraic)
    columns_of = matching(pattern)
    if columns_of is None:
        return (), 0
    order = elimination_order(pattern, columns_of)
    tape = Tape()
    entries = _entries(tape, rows, columns, algebraic)
    stores: list[tuple[str, int, int]] = []
    lower: list[list[tuple[int, int]]] = []  # per pivot: row below, place of its multiplier
    upper: list[tuple[int, list[tuple[int, int]]]] = []  # per pivot: place of its reciprocal, columns and places
    good = tape.true
    products = 0

    def keep(value: int) -> int:
        stores.append(("LU", len(stores), value))
        return len(stores) - 1

    waiting = set(order)
    for row in order:
        waiting.discard(row)
        pivot_column = columns_of[row]
        line = entries.pop(row)
        pivot = line.pop(pivot_column)
        good = tape.both(good, _sound(tape, pivot, pivot_column, line, sizes))
        reciprocal = tape.div(tape.number(-1.0), pivot)
        upper.append((keep(reciprocal), [(column, keep(value)) for column, value in sorted(line.items())]))
        multipliers = []
        for other in sorted(waiting):
            below = entries[other].pop(pivot_column, None)
            if below is None:
                continue
            multiplier = tape.mul(below, reciprocal)
            multipliers.append((other, keep(multiplier)))
            for column, value in line.items():
                products += 1
                term = tape.mul(multiplier, value)
                old = entries[other].get(column)
                entries[other][column] = term if old is None else tape.add(old, term)
        lower.append(multipliers)
        if products > MOST_PRODUCTS:
            return (), 0
    factor = Routine("factor", ("J", "d", "LU"), tape, (Step(stores=tuple(stores)),), check=good)
    return (factor, _solution(order, columns_of, lower, upper)), len(stores)


def _entries(
    tape: Tape, rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool]
) -> dict[int, dict[int, int]]:
    """The instructions of A = J - d M by row and column."""
    shift = tape.scalar("d", STATE)
    entries: dict[int, dict[int, int]] = {row: {} for row in range(len(algebraic))}
    for index, (row, column) in enumerate(zip(rows, columns)):
        entries[row][column] = tape.load("J", index, STATE)
    for row, free in enumerate(algebraic):
        if not free:
            entries[row][row] = tape.sub(entries[row].get(row, tape.zero), shift)
    return entries


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


def _solution(
    order: Sequence[int],
    columns_of: Sequence[int],
    lower: Sequence[Sequence[tuple[int, int]]],
    upper: Sequence[tuple[int, Sequence[tuple[int, int]]]],
) -> Routine:
    """Forward and backward substitution: everything is read from b before anything is stored there."""
    tape = Tape()
    side = {row: tape.load("b", row, STATE) for row in order}
    for row, multipliers in zip(order, lower):
        for other, place in multipliers:
            side[other] = tape.add(side[other], tape.mul(tape.load("LU", place, STATE), side[row]))
    unknown: dict[int, int] = {}
    stores = []
    for row, (reciprocal, line) in zip(reversed(order), reversed(upper)):
        total = side[row]
        for column, place in line:
            total = tape.add(total, tape.mul(tape.load("LU", place, STATE), unknown[column]))
        result = tape.mul(total, tape.load("LU", reciprocal, STATE))
        unknown[columns_of[row]] = result
        stores.append(("b", columns_of[row], result))
    step = Step(first=tuple(side[row] for row in order), stores=tuple(stores))
    return Routine("solve", ("LU", "b"), tape, (step,))
