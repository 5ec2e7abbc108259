"""The value of a tree at one point, by walking it: for the few numbers that are needed before anything is compiled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from isletsim.language.tree import Apply, Name, Number, Table, Tree

__all__ = ["evaluate"]


def evaluate(tree: Tree, values: Mapping[str, float]) -> float:
    """The value of a tree; NaN where it is undefined."""
    match tree:
        case Number(value):
            return value
        case Name(name):
            return values[name]
        case Apply("where", (condition, chosen, other)):
            return evaluate(chosen if evaluate(condition, values) else other, values)
        case Apply("table", (argument, Table(abscissae, ordinates))):
            return _interpolated(evaluate(argument, values), abscissae, ordinates)
        case Apply(operator, arguments):
            try:
                return float(_MEANINGS[operator](*(evaluate(each, values) for each in arguments)))
            except (ArithmeticError, ValueError, TypeError):  # a complex power is no number of ours
                return math.nan
    return math.nan


def _interpolated(x: float, abscissae: tuple[float, ...], ordinates: tuple[float, ...]) -> float:
    if x <= abscissae[0]:
        return ordinates[0]
    for left, right, low, high in zip(abscissae, abscissae[1:], ordinates, ordinates[1:], strict=False):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return ordinates[-1]


def _softplus(x: float, width: float) -> float:
    ratio = x / width
    return x if ratio > 40 else width * math.log1p(math.exp(ratio))


def _hill(x: float, half: float, n: float) -> float:
    if x <= 0:
        return 0.0
    try:
        return float(1.0 / (1.0 + (half / x) ** n))
    except OverflowError:  # far below half
        return 0.0


_MEANINGS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negate": lambda a: -a,
    "power": lambda a, b: a**b,
    "power from zero": lambda a, b: 0.0 if a < 0 < b else a**b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": lambda a: not a,
    "min": lambda *given: math.nan if any(map(math.isnan, given)) else min(given),
    "max": lambda *given: math.nan if any(map(math.isnan, given)) else max(given),
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "arcsinh": math.asinh,
    "arccosh": math.acosh,
    "arctanh": math.atanh,
    "floor": math.floor,
    "mod": lambda a, b: a - b * math.floor(a / b),
    "hill": _hill,
    "softplus": _softplus,
    "sigmoid": lambda a: 1.0 / (1.0 + math.exp(-a)) if a > -700 else 0.0,
}
