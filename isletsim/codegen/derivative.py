"""Exact sparse derivatives on the tape: every instruction carries {variable: derivative}."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isletsim.codegen.tape import STATE, TIME, Tape, reachable

__all__ = ["gradients"]

Gradient = dict[int, int]  # variable to the instruction that is the derivative with respect to it


def gradients(tape: Tape, roots: Sequence[int], variables: dict[int, int]) -> list[Gradient]:
    """The gradient of every root.

    Parameters
    ----------
    tape : where the roots stand and the derivatives are written.
    roots : the instructions to differentiate.
    variables : the leaf instruction of each variable, and the variable's number.
    """
    known: dict[int, Gradient] = {leaf: {number: tape.one} for leaf, number in variables.items()}
    nothing: Gradient = {}
    for place in reachable(tape, roots):
        if place in known:
            continue
        if not tape.depends[place] & (STATE | TIME):
            known[place] = nothing
            continue
        closed = tape.partials.get(place)
        if closed is None and tape.code[place][0] == "select":
            known[place] = _selected(tape, place, known, nothing)
            continue
        total = known[place] = {}
        for operand, partial in closed if closed is not None else _partials(tape, place):
            inner = known.get(operand, nothing)
            if inner:
                _accumulate(tape, total, inner, partial())
    return [{variable: each for variable, each in known[root].items() if each != tape.zero} for root in roots]


def _accumulate(tape: Tape, total: Gradient, inner: Gradient, factor: int) -> None:
    for variable, derivative in inner.items():
        term = tape.mul(factor, derivative)
        total[variable] = tape.add(total[variable], term) if variable in total else term


def _selected(tape: Tape, place: int, known: dict[int, Gradient], nothing: Gradient) -> Gradient:
    _, condition, a, b = tape.code[place]
    first, second = known.get(a, nothing), known.get(b, nothing)
    return {
        variable: tape.select(condition, first.get(variable, tape.zero), second.get(variable, tape.zero))
        for variable in first | second
    }


def _partials(tape: Tape, place: int) -> list[tuple[int, Callable[[], int]]]:
    """The operands of an instruction, each with a function that writes the derivative with respect to it."""
    operation, *operands = tape.code[place]
    if operation in ("value", "slope"):
        return [(operands[1], lambda: tape.slope(operands[0], operands[1]))] if operation == "value" else []
    if operation in _ONE:
        a = operands[0]
        return [(a, lambda: _ONE[operation](tape, a, place))]
    if operation in _TWO:
        a, b = operands
        by_a, by_b = _TWO[operation]
        return [(a, lambda: by_a(tape, a, b, place)), (b, lambda: by_b(tape, a, b, place))]
    return []  # select is done apart; floor and truths are flat


def _power_by_base(tape: Tape, a: int, b: int, place: int) -> int:
    return tape.mul(b, tape.pow(a, tape.sub(b, tape.one)))


def _power_by_exponent(tape: Tape, a: int, b: int, place: int) -> int:
    rise = tape.mul(place, tape.unary("log", a))
    return tape.select(tape.equal(a, tape.zero), tape.zero, rise)


def _root(tape: Tape, a: int) -> int:
    return tape.unary("sqrt", a)


_ONE: dict[str, Callable[[Tape, int, int], int]] = {
    "neg": lambda tape, a, self: tape.number(-1.0),
    "abs": lambda tape, a, self: tape.select(tape.less(a, tape.zero), tape.number(-1.0), tape.one),
    "sqrt": lambda tape, a, self: tape.div(tape.number(0.5), self),
    "exp": lambda tape, a, self: self,
    "log": lambda tape, a, self: tape.div(tape.one, a),
    "log1p": lambda tape, a, self: tape.div(tape.one, tape.add(tape.one, a)),
    "tanh": lambda tape, a, self: tape.sub(tape.one, tape.mul(self, self)),
    "sin": lambda tape, a, self: tape.unary("cos", a),
    "cos": lambda tape, a, self: tape.neg(tape.unary("sin", a)),
    "asin": lambda tape, a, self: tape.div(tape.one, _root(tape, tape.sub(tape.one, tape.mul(a, a)))),
    "acos": lambda tape, a, self: tape.div(tape.number(-1.0), _root(tape, tape.sub(tape.one, tape.mul(a, a)))),
    "atan": lambda tape, a, self: tape.div(tape.one, tape.add(tape.one, tape.mul(a, a))),
    "sinh": lambda tape, a, self: tape.unary("cosh", a),
    "cosh": lambda tape, a, self: tape.unary("sinh", a),
    "asinh": lambda tape, a, self: tape.div(tape.one, _root(tape, tape.add(tape.one, tape.mul(a, a)))),
    "acosh": lambda tape, a, self: tape.div(tape.one, _root(tape, tape.sub(tape.mul(a, a), tape.one))),
    "atanh": lambda tape, a, self: tape.div(tape.one, tape.sub(tape.one, tape.mul(a, a))),
}

_TWO: dict[str, tuple[Callable[[Tape, int, int, int], int], Callable[[Tape, int, int, int], int]]] = {
    "add": (lambda tape, a, b, self: tape.one, lambda tape, a, b, self: tape.one),
    "sub": (lambda tape, a, b, self: tape.one, lambda tape, a, b, self: tape.number(-1.0)),
    "mul": (lambda tape, a, b, self: b, lambda tape, a, b, self: a),
    "div": (
        lambda tape, a, b, self: tape.div(tape.one, b),
        lambda tape, a, b, self: tape.neg(tape.mul(self, tape.div(tape.one, b))),
    ),
    "pow": (_power_by_base, _power_by_exponent),
}
