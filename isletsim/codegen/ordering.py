"""The order in which W = d * M - J is eliminated, chosen once from the pattern alone.

The rows are first matched to columns so that no pivot is structurally zero (algebraic rows have no d on their diagonal;
Duff 1981, ACM TOMS 7:315), then pivots are taken in order of least fill (Markowitz 1957, Management Science 3:255).
Where what is left has filled up, it is treated as a dense block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["EliminationPlan", "elimination_order", "matching", "pattern_of", "plan_of"]

MOST_PRODUCTS = 40_000  # beyond this many products in straight-line code the solver's own dense path is used
LANES = 8  # numbers that the loops over the block take at once

Pattern = list[set[int]]  # the columns of every row


@dataclass(frozen=True)
class EliminationPlan:
    """How W will be eliminated.

    `pivots` are (row, column) in order; the first `sparse` of them are straight-line code, the others form the dense
    block. `products` counts the multiplications of the straight-line part.
    """

    pivots: tuple[tuple[int, int], ...]
    sparse: int
    products: int

    @property
    def block(self) -> int:
        """The size of the dense block."""
        return len(self.pivots) - self.sparse

    @property
    def stride(self) -> int:
        """The length of a column of the block in memory: room for whole lanes after its end."""
        return -(-self.block // LANES) * LANES + LANES


def pattern_of(rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool]) -> Pattern:
    """Where W may differ from zero."""
    pattern: Pattern = [set() if free else {row} for row, free in enumerate(algebraic)]
    for row, column in zip(rows, columns, strict=True):
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
    """Give `row` a column, moving the owners of others along an alternating path, the shortest there is."""
    held = {each: column for column, each in owner.items()}
    wanted_by: dict[int, int] = {}
    queue = [row]
    for wanting in queue:
        for column in sorted(pattern[wanting]):
            if column in wanted_by:
                continue
            wanted_by[column] = wanting
            if column in owner:
                queue.append(owner[column])
                continue
            while True:
                taker = wanted_by[column]
                owner[column] = taker
                if taker == row:
                    return True
                column = held[taker]
    return False


def elimination_order(pattern: Pattern, columns_of: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows in the order in which they give their pivots, always the one that can fill least, and what each costs."""
    rows = {row: set(columns) for row, columns in enumerate(pattern)}
    users: dict[int, set[int]] = {column: set() for column in range(len(pattern))}
    for row, columns in rows.items():
        for column in columns:
            users[column].add(row)
    order, costs = [], []
    while rows:
        row = min(rows, key=lambda each: ((len(rows[each]) - 1) * (len(users[columns_of[each]]) - 1), each))
        order.append(row)
        rest = rows.pop(row)
        pivot = columns_of[row]
        for column in rest:
            users[column].discard(row)
        rest.discard(pivot)
        below = users.pop(pivot)
        costs.append(len(rest) * len(below))
        for other in below:
            rows[other].discard(pivot)
            for column in rest - rows[other]:
                rows[other].add(column)
                users[column].add(other)
    return order, costs


def plan_of(rows: Sequence[int], columns: Sequence[int], algebraic: Sequence[bool]) -> EliminationPlan | None:
    """The plan of least work; None when no order works or the straight-line part is too long.

    A product in straight-line code counts 2 (it must be compiled, too), one in the block's loops 1/4, and every row of
    the block 25 more. Measured on random systems of 27 and 70 states.
    """
    pattern = pattern_of(rows, columns, algebraic)
    columns_of = matching(pattern)
    if columns_of is None:
        return None
    order, costs = elimination_order(pattern, columns_of)
    work = []
    products = 0
    for sparse, cost in enumerate([*costs, 0]):
        size = len(order) - sparse
        work.append((2 * products + size**3 / 12 + 25 * size, sparse, products))
        products += cost
    _, sparse, products = min(work)
    if products > MOST_PRODUCTS:
        return None
    return EliminationPlan(tuple((row, columns_of[row]) for row in order), sparse, products)
