"""Trees become instructions: the only place that knows what the operators of the language mean.

`hill`, `softplus`, `sigmoid`, `mod`, `min`, `max` and the like are written with the few operations of the tape, in
forms that do not overflow; their derivatives are given in closed form where that is safer or shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isletsim.codegen.tape import AMOUNT, STATE, TIME, Tape
from isletsim.language import Apply, Name, Number, Table, Tree

__all__ = ["lower", "margin"]


def lower(tape: Tape, tree: Tree, scope: Mapping[str, int], memo: dict[int, int]) -> int:
    """The instruction that gives the value of a tree; `scope` knows the names.

    `memo` keeps what was written for every node, so that a node that stands in many trees is visited once.
    """
    stack: list[Tree] = [tree]
    while stack:
        node = stack[-1]
        if id(node) in memo:
            stack.pop()
        elif isinstance(node, Apply):
            operands = [each for each in node.arguments if not isinstance(each, Table)]
            waiting = [each for each in operands if id(each) not in memo]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            memo[id(node)] = _apply(tape, node, [memo[id(each)] for each in operands])
        else:
            stack.pop()
            memo[id(node)] = _leaf(tape, node, scope)
    return memo[id(tree)]


def _leaf(tape: Tape, node: Tree, scope: Mapping[str, int]) -> int:
    if isinstance(node, Number):
        return tape.number(node.value)
    if isinstance(node, Name):
        if node.name not in scope:
            raise ValueError(f"the flat model refers to {node.name}, which is not defined before its use")
        return scope[node.name]
    raise ValueError("a table of data stands where a number is needed")


def _apply(tape: Tape, node: Apply, operands: list[int]) -> int:
    operator = node.operator
    if operator == "table":
        data = node.arguments[1]
        assert isinstance(data, Table)
        return _table(tape, tape.as_number(operands[0]), data)
    if operator in _LOGIC:
        return _LOGIC[operator](tape, *[tape.as_truth(each) for each in operands])
    if operator == "where":
        return _where(tape, *operands)
    numbers = [tape.as_number(each) for each in operands]
    if operator in ("min", "max"):
        result = numbers[0]
        for each in numbers[1:]:
            result = _extreme(tape, operator, result, each)
        return result
    if operator not in _NUMERIC:
        raise ValueError(f"the compiler does not know the operator {operator}")
    return _NUMERIC[operator](tape, *numbers)


def _varies(tape: Tape, a: int) -> bool:
    return bool(tape.depends[a] & (STATE | TIME | AMOUNT))


def _bend(tape: Tape, instruction: int, a: int, b: int) -> int:
    """The instruction, marked as a place where an equation bends when a = b."""
    if _varies(tape, instruction):
        tape.kinks.setdefault(instruction, (a, b))
    return instruction


def _less(tape: Tape, a: int, b: int) -> int:
    return _bend(tape, tape.less(a, b), a, b)


def _less_equal(tape: Tape, a: int, b: int) -> int:
    return _bend(tape, tape.less_equal(a, b), a, b)


def _where(tape: Tape, condition: int, a: int, b: int) -> int:
    condition = tape.as_truth(condition)
    if tape.is_truth(a) and tape.is_truth(b):
        return tape.either(tape.both(condition, a), tape.both(tape.negation(condition), b))
    return tape.select(condition, tape.as_number(a), tape.as_number(b))


def _extreme(tape: Tape, operator: str, a: int, b: int) -> int:
    """The smaller or the larger of two numbers; NaN if one of them is, whichever comes first."""
    if a == b or _is_nan(tape, a):
        return a
    if _is_nan(tape, b):
        return b
    if tape.constant(a) is not None:
        a, b = b, a
    # A comparison with NaN never holds: what is chosen then must be the operand that may be NaN.
    first = _less(tape, b, a) if operator == "min" else _less(tape, a, b)
    return tape.select(first, b, a if tape.constant(b) is not None else tape.select(tape.equal(b, b), a, b))


def _is_nan(tape: Tape, a: int) -> bool:
    value = tape.constant(a)
    return value is not None and value != value


def _abs(tape: Tape, a: int) -> int:
    return _bend(tape, tape.unary("abs", a), a, tape.zero)


def _floor(tape: Tape, a: int) -> int:
    # The jumps are where sin(pi a) = 0; those of the time alone are hard stops (`FlatModel.periods`).
    result = tape.unary("floor", a)
    if tape.depends[a] & STATE:
        wave = tape.unary("sin", tape.mul(tape.number(3.141592653589793), a))
        tape.kinks.setdefault(result, (wave, tape.zero))
    return result


def _mod(tape: Tape, a: int, b: int) -> int:
    return tape.sub(a, tape.mul(b, _floor(tape, tape.div(a, b))))


def _hill(tape: Tape, x: int, half: int, n: int) -> int:
    """x^n / (half^n + x^n) = 1 / (1 + (half / x)^n), where an overflow is harmless; 0 for x <= 0."""
    none = tape.less_equal(x, tape.zero)

    def unless_none(value: int) -> int:
        return tape.select(none, tape.zero, value)

    if n == tape.one:
        total = tape.add(half, x)
        result = unless_none(tape.div(x, total))
        square = tape.mul(total, total)
        by_x = (x, lambda: unless_none(tape.div(half, square)))
        return _closed(tape, result, by_x, (half, lambda: unless_none(tape.neg(tape.div(x, square)))))
    share = tape.div(tape.one, tape.add(tape.one, tape.pow(tape.div(half, x), n)))

    def slope() -> int:
        return tape.mul(share, tape.sub(tape.one, share))

    def unless_full(value: int) -> int:
        # With half = 0 the share is 1 for every x > 0: 0 / 0 stands for 0 here.
        return tape.select(tape.either(none, tape.equal(half, tape.zero)), tape.zero, value)

    return _closed(
        tape,
        unless_none(share),
        (x, lambda: unless_none(tape.div(tape.mul(n, slope()), x))),
        (half, lambda: unless_full(tape.neg(tape.div(tape.mul(n, slope()), half)))),
        (n, lambda: unless_full(tape.mul(slope(), tape.unary("log", tape.div(x, half))))),
    )


def _power_from_zero(tape: Tape, a: int, b: int) -> int:
    """a ** b, and 0 for a < 0 < b: no kink, since both sides meet at a = 0."""
    below = tape.both(tape.less(a, tape.zero), tape.less(tape.zero, b))
    return tape.select(below, tape.zero, tape.pow(a, b))


def _sigmoid(tape: Tape, a: int) -> int:
    """1 / (1 + exp(-a)) through exp(-|a|)."""
    small = tape.unary("exp", tape.neg(tape.unary("abs", a)))
    one_more = tape.add(tape.one, small)
    result = tape.div(tape.select(tape.less(a, tape.zero), small, tape.one), one_more)
    return _closed(tape, result, (a, lambda: tape.div(small, tape.mul(one_more, one_more))))


def _softplus(tape: Tape, x: int, width: int) -> int:
    """width log(1 + exp(r)) with r = x / width, as width log1p(exp(-|r|)), plus x where r > 0."""
    ratio = tape.div(x, width)
    tail = tape.unary("log1p", tape.unary("exp", tape.neg(tape.unary("abs", ratio))))
    result = tape.add(tape.select(tape.less(ratio, tape.zero), tape.zero, x), tape.mul(width, tail))

    def by_width() -> int:
        return tape.div(tape.sub(result, tape.mul(x, _sigmoid(tape, ratio))), width)

    return _closed(tape, result, (x, lambda: _sigmoid(tape, ratio)), (width, by_width))


def _table(tape: Tape, a: int, data: Table) -> int:
    if len(data.abscissae) == 1 or all(each == data.ordinates[0] for each in data.ordinates):
        return tape.number(data.ordinates[0])
    return tape.value(tape.table(data.abscissae, data.ordinates), a)


def _closed(tape: Tape, result: int, *partials: tuple[int, Callable[[], int]]) -> int:
    """The result, with the closed form of its derivatives kept (one operand may stand twice)."""
    if _varies(tape, result):
        tape.partials.setdefault(result, partials)
    return result


def margin(tape: Tape, a: int) -> int:
    """A number that is positive while a condition holds and crosses zero where it begins to."""
    code = tape.code[a]
    operation = code[0]
    if operation in ("less", "less_equal"):
        return tape.sub(code[2], code[1])
    if operation == "equal":
        return tape.neg(tape.unary("abs", tape.sub(code[1], code[2])))
    if operation == "not":
        return tape.neg(margin(tape, code[1]))
    if operation in ("and", "or"):
        first, second = margin(tape, code[1]), margin(tape, code[2])
        smaller = tape.less(first, second)
        return tape.select(smaller, first, second) if operation == "and" else tape.select(smaller, second, first)
    if operation in ("true", "false"):
        return tape.number(1.0 if operation == "true" else -1.0)
    if operation == "select" and code[2:] == (tape.one, tape.zero):
        return margin(tape, code[1])
    if operation == "select" and code[2:] == (tape.zero, tape.one):
        return tape.neg(margin(tape, code[1]))
    return a


_LOGIC: dict[str, Callable[..., int]] = {"and": Tape.both, "or": Tape.either, "not": Tape.negation}

_NUMERIC: dict[str, Callable[..., int]] = {
    "add": Tape.add,
    "subtract": Tape.sub,
    "multiply": Tape.mul,
    "divide": Tape.div,
    "negate": Tape.neg,
    "power": Tape.pow,
    "power from zero": _power_from_zero,
    "less": _less,
    "less_equal": _less_equal,
    "greater": lambda tape, a, b: _less(tape, b, a),
    "greater_equal": lambda tape, a, b: _less_equal(tape, b, a),
    "equal": Tape.equal,
    "not_equal": lambda tape, a, b: tape.negation(tape.equal(a, b)),
    "abs": _abs,
    "exp": lambda tape, a: tape.unary("exp", a),
    "log": lambda tape, a: tape.unary("log", a),
    "sqrt": lambda tape, a: tape.unary("sqrt", a),
    "tanh": lambda tape, a: tape.unary("tanh", a),
    "sin": lambda tape, a: tape.unary("sin", a),
    "cos": lambda tape, a: tape.unary("cos", a),
    "arcsin": lambda tape, a: tape.unary("asin", a),
    "arccos": lambda tape, a: tape.unary("acos", a),
    "arctan": lambda tape, a: tape.unary("atan", a),
    "sinh": lambda tape, a: tape.unary("sinh", a),
    "cosh": lambda tape, a: tape.unary("cosh", a),
    "arcsinh": lambda tape, a: tape.unary("asinh", a),
    "arccosh": lambda tape, a: tape.unary("acosh", a),
    "arctanh": lambda tape, a: tape.unary("atanh", a),
    "floor": _floor,
    "mod": _mod,
    "hill": _hill,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
}
