"""Bounds of what depends on time alone, over an interval of time: interval arithmetic written on the tape.

The solver proves with them that a condition of time keeps its sign within a step, however long that is (Moore, Kearfott
and Cloud, Introduction to Interval Analysis, SIAM 2009, chapters 2 and 5). Sines and cosines are bounded by their value
and slope in the middle, so that bounds become close with the square of the interval's length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isletsim.codegen.tables import slopes
from isletsim.codegen.tape import STATE, TIME, Tape, reachable

__all__ = ["Interval", "depends_on_time_alone", "time_bounds"]

Interval = tuple[int, int]
UNKNOWN = 1e300  # in place of infinity, whose product with 0 is NaN
RISING = frozenset({"exp", "log", "log1p", "sqrt", "tanh", "floor", "asin", "atan", "sinh", "asinh", "acosh", "atanh"})


def depends_on_time_alone(tape: Tape, place: int) -> bool:
    """Whether a number changes with time but with no state."""
    return tape.depends[place] & (STATE | TIME) == TIME


def time_bounds(tape: Tape, roots: Iterable[int]) -> dict[int, Interval]:
    """Return the lower and upper bound of numbers that depend on time alone; the routine's `y` is the time interval."""
    span = tape.load("y", 0, STATE), tape.load("y", 1, STATE)
    known: dict[int, Interval] = {}
    for place in reachable(tape, list(roots)):
        if not tape.is_truth(place):
            known[place] = _bounds(tape, place, known, span) if tape.depends[place] & TIME else (place, place)
    return known


def _bounds(tape: Tape, place: int, known: dict[int, Interval], span: Interval) -> Interval:
    operation, *operands = tape.code[place]
    if operation == "scalar":
        return span
    if operation == "select":
        return _select(tape, operands, known)
    if operation == "value":
        return _table(tape, operands[0], known[operands[1]])
    if operation == "slope":
        steep = slopes(*tape.tables[operands[0]])
        return tape.number(min(steep)), tape.number(max(steep))
    given = [known[each] for each in operands]
    (low, high), *others = given
    if operation == "neg":
        return tape.neg(high), tape.neg(low)
    if operation == "add":
        return tape.add(low, others[0][0]), tape.add(high, others[0][1])
    if operation == "sub":
        return tape.sub(low, others[0][1]), tape.sub(high, others[0][0])
    if operation == "mul":
        return _square(tape, given[0]) if operands[0] == operands[1] else _product(tape, given[0], others[0])
    if operation == "div":
        return _product(tape, given[0], _inverse(tape, others[0]))
    return _of_function(tape, operation, given)


def _of_function(tape: Tape, operation: str, given: Sequence[Interval]) -> Interval:
    (low, high), *others = given
    if operation in RISING:
        return tape.unary(operation, low), tape.unary(operation, high)
    if operation == "acos":
        return tape.unary("acos", high), tape.unary("acos", low)
    if operation == "abs":
        return _size(tape, given[0])
    if operation in ("sin", "cos"):
        return _wave(tape, operation, low, high)
    if operation == "pow" and others[0][0] == others[0][1]:
        ends = [tape.pow(each, others[0][0]) for each in (low, high)]
        return _if_positive(tape, low, _hull(tape, ends))
    return tape.number(-UNKNOWN), tape.number(UNKNOWN)


def _least(tape: Tape, a: int, b: int) -> int:
    return tape.select(tape.less(a, b), a, b)


def _most(tape: Tape, a: int, b: int) -> int:
    return tape.select(tape.less(a, b), b, a)


def _hull(tape: Tape, values: Sequence[int]) -> Interval:
    """The smallest and the largest of some numbers."""
    low = high = values[0]
    for value in values[1:]:
        low, high = _least(tape, low, value), _most(tape, high, value)
    return low, high


def _if_positive(tape: Tape, condition: int, interval: Interval) -> Interval:
    """An interval if a number is positive, else no bounds."""
    positive = tape.less(tape.zero, condition)
    low, high = tape.number(-UNKNOWN), tape.number(UNKNOWN)
    return tape.select(positive, interval[0], low), tape.select(positive, interval[1], high)


def _size(tape: Tape, a: Interval) -> Interval:
    low, high = (tape.unary("abs", each) for each in a)
    crosses = tape.less(tape.mul(*a), tape.zero)
    return tape.select(crosses, tape.zero, _least(tape, low, high)), _most(tape, low, high)


def _square(tape: Tape, a: Interval) -> Interval:
    low, high = _size(tape, a)
    return tape.mul(low, low), tape.mul(high, high)


def _product(tape: Tape, a: Interval, b: Interval) -> Interval:
    return _hull(tape, list(dict.fromkeys(tape.mul(x, y) for x in a for y in b)))


def _inverse(tape: Tape, a: Interval) -> Interval:
    low, high = a
    ends = tape.div(tape.one, high), tape.div(tape.one, low)
    return ends if low == high else _if_positive(tape, tape.mul(low, high), ends)


def _wave(tape: Tape, operation: str, low: int, high: int) -> Interval:
    """|f(x) - f(m)| <= |f'(m)| r + r^2 / 2 within r of m, for a sine or a cosine."""
    half = tape.number(0.5)
    middle, radius = tape.mul(half, tape.add(low, high)), tape.mul(half, tape.sub(high, low))
    value = tape.unary(operation, middle)
    steep = tape.unary("abs", tape.unary("cos" if operation == "sin" else "sin", middle))
    far = tape.mul(radius, tape.add(steep, tape.mul(half, radius)))
    least = _most(tape, tape.number(-1.0), tape.sub(value, far))
    return least, _least(tape, tape.one, tape.add(value, far))


def _select(tape: Tape, operands: Sequence[int], known: dict[int, Interval]) -> Interval:
    """Both branches; of a minimum or a maximum, that of their bounds."""
    condition, first, second = operands[0], *(_number_of(tape, each) for each in operands[1:])
    (low, high), (low2, high2) = known[first], known[second]
    if tape.code[condition][0] == "less":
        compared = tape.code[condition][1:]
        if compared == (first, second):
            return _least(tape, low, low2), _least(tape, high, high2)
        if compared == (second, first):
            return _most(tape, low, low2), _most(tape, high, high2)
    return _least(tape, low, low2), _most(tape, high, high2)


def _number_of(tape: Tape, place: int) -> int:
    """Return the first operand of ``b if a == a else a``, which only tells whether a is NaN."""
    operation, *operands = tape.code[place]
    guard = operation == "select" and tape.code[operands[0]] == ("equal", operands[2], operands[2])
    return int(operands[1]) if guard else place


def _table(tape: Tape, table: int, a: Interval) -> Interval:
    """The value in the middle, the steepest slope, and the smallest and largest value of all."""
    abscissae, ordinates = tape.tables[table]
    half, steepest = tape.number(0.5), max(abs(each) for each in slopes(abscissae, ordinates))
    value = tape.value(table, tape.mul(half, tape.add(*a)))
    far = tape.mul(tape.number(0.5 * steepest), tape.sub(a[1], a[0]))
    low = _most(tape, tape.number(min(ordinates)), tape.sub(value, far))
    return low, _least(tape, tape.number(max(ordinates)), tape.add(value, far))
