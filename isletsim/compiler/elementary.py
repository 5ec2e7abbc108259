"""Elementary functions for eight lanes, in LLVM IR: no branches, no C library, right to about a unit in the last place.

Every lane is worked alike whatever its neighbours hold, so a number has one answer at any place. What no lane can do
well (a sine beyond `FARTHEST`) becomes no number, and the solver does that subject again on its scalar path.

The reductions are the usual ones: Cody and Waite for exp, sin and cos; s = f / (2 + f) for logarithms, in two doubles
where `pow` needs them (Muller et al., Handbook of Floating-Point Arithmetic, Birkhäuser 2018, chapter 10). The
polynomials are minimax fits of our own; the rational function of tanh is that of Cephes (Moshier 1989).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

__all__ = ["LANES", "VECTOR", "elementary", "splat"]

LANES = 8
VECTOR = f"<{LANES} x double>"
_WORDS = f"<{LANES} x i64>"
_TRUTHS = f"<{LANES} x i1>"

FARTHEST = 1e9  # sin and cos beyond this are left to the scalar path

_LOG2E = 1.4426950408889634
_LN2 = (0.6931471803691238, 1.9082149292705877e-10)  # the first part has 32 bits: its multiples are exact
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_TWO_BY_PI = 0.6366197723675814
_THIRD = (0.6666666666666666, 3.700743415417188e-17)  # 2/3
_SHIFT = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer and shows it in the lowest bits
_SHIFT_BITS = 0x4338000000000000
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_FRACTION_BITS = 0x000FFFFFFFFFFFFF
_POWER_52_BITS = 0x4330000000000000

# (exp r - 1 - r) / r^2 on |r| <= ln 2 / 2
_EXP = (
    0.5,
    0.1666666666666667,
    0.041666666666666685,
    0.008333333333326136,
    0.0013888888888874437,
    0.00019841269874819355,
    2.480158734724473e-05,
    2.755725540181768e-06,
    2.755725300613961e-07,
    2.510521636341031e-08,
    2.0921557182331115e-09,
)
# (log((1 + s) / (1 - s)) / s - 2) / z with z = s^2, for 1 + f within sqrt(1/2) and sqrt(2)
_LOG = (
    0.666666666666667,
    0.3999999999989845,
    0.28571428626398937,
    0.2222221107282332,
    0.1818289322139974,
    0.15331596867570693,
    0.1461787369127031,
)
# the same without its first term 2/3, again over z
_LOG_TAIL = (
    0.4,
    0.28571428571429375,
    0.2222222222165134,
    0.181818183363187,
    0.15384594872739984,
    0.13334809162964234,
    0.11706126012838454,
    0.11724248705447093,
)
# (sin r / r - 1) / z and (cos r - 1 + z / 2) / z^2 with z = r^2, on |r| <= pi / 4
_SIN = (
    -0.16666666666666666,
    0.00833333333333095,
    -0.00019841269836759135,
    2.7557316102700763e-06,
    -2.5051131852505074e-08,
    1.5918128461975127e-10,
)
_COS = (
    0.041666666666666664,
    -0.0013888888888887398,
    2.480158729876587e-05,
    -2.755731727174606e-07,
    2.0876146258920914e-09,
    -1.1382630985385937e-11,
)
_TANH_ABOVE = (-1614.6876844170845, -99.28772310019185, -0.964399179425052)
_TANH_BELOW = (4844.063053251255, 2235.4883906010045, 112.81167849163293, 1.0)

Value = str  # the name of a value, or a constant
Operand = Value | float


def splat(value: float) -> str:
    """A constant with the same number in every lane."""
    number = "0x" + struct.pack(">d", value).hex().upper()
    return f"<{', '.join([f'double {number}'] * LANES)}>"


def _words(value: int) -> str:
    return f"<{', '.join([f'i64 {value}'] * LANES)}>"


class _Code:
    """The lines of one function under construction; every method writes one instruction and gives its name."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def put(self, text: str) -> Value:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def _two(self, operation: str, a: Operand, b: Operand) -> Value:
        return self.put(f"{operation} {VECTOR} {_text(a)}, {_text(b)}")

    def add(self, a: Operand, b: Operand) -> Value:
        return self._two("fadd", a, b)

    def sub(self, a: Operand, b: Operand) -> Value:
        return self._two("fsub", a, b)

    def mul(self, a: Operand, b: Operand) -> Value:
        return self._two("fmul", a, b)

    def div(self, a: Operand, b: Operand) -> Value:
        return self._two("fdiv", a, b)

    def neg(self, a: Value) -> Value:
        return self.put(f"fneg {VECTOR} {a}")

    def fma(self, a: Operand, b: Operand, c: Operand) -> Value:
        """a * b + c with one rounding"""
        listed = ", ".join(f"{VECTOR} {_text(each)}" for each in (a, b, c))
        return self.put(f"call {VECTOR} @llvm.fma.v{LANES}f64({listed})")

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        total: Operand = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, coefficient)
        return _text(total)

    def one(self, name: str, a: Value) -> Value:
        return self.put(f"call {VECTOR} @llvm.{name}.v{LANES}f64({VECTOR} {a})")

    def sign_of(self, size: Value, sign: Value) -> Value:
        return self.put(f"call {VECTOR} @llvm.copysign.v{LANES}f64({VECTOR} {size}, {VECTOR} {sign})")

    def compare(self, how: str, a: Operand, b: Operand) -> Value:
        return self.put(f"fcmp {how} {VECTOR} {_text(a)}, {_text(b)}")

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        return self.put(f"select {_TRUTHS} {condition}, {VECTOR} {_text(a)}, {VECTOR} {_text(b)}")

    def logic(self, operation: str, a: Value, b: Value) -> Value:
        return self.put(f"{operation} {_TRUTHS} {a}, {b}")

    def word(self, operation: str, a: Value, b: Value | int) -> Value:
        return self.put(f"{operation} {_WORDS} {a}, {_words(b) if isinstance(b, int) else b}")

    def odd(self, word: Value, bit: int) -> Value:
        """Whether a bit of a word is set."""
        return self.put(f"icmp ne {_WORDS} {self.word('and', word, bit)}, zeroinitializer")

    def bits(self, a: Value) -> Value:
        return self.put(f"bitcast {VECTOR} {a} to {_WORDS}")

    def real(self, word: Value) -> Value:
        return self.put(f"bitcast {_WORDS} {word} to {VECTOR}")

    def nearest(self, a: Value) -> tuple[Value, Value]:
        """The nearest integer, and a word with it in the lowest bits (small numbers only)."""
        shown = self.add(a, _SHIFT)
        return self.sub(shown, _SHIFT), self.bits(shown)


def _text(operand: Operand) -> str:
    return splat(operand) if isinstance(operand, float) else operand


def _exp(c: _Code, x: Value, tail: Value | None = None) -> Value:
    """exp(x + tail) for a tail that is tiny beside 1."""
    x = c.select(c.compare("ogt", x, 710.0), 710.0, x)
    x = c.select(c.compare("olt", x, -750.0), -750.0, x)
    count, word = c.nearest(c.mul(x, _LOG2E))
    minus = c.neg(count)
    r = c.fma(minus, _LN2[1], c.fma(minus, _LN2[0], x))
    if tail is not None:
        r = c.add(r, tail)
    value = c.add(c.fma(c.mul(r, r), c.polynomial(r, _EXP), r), 1.0)
    # 2^count in two factors, so that the smallest and the largest results are rounded once.
    biased = c.word("sub", word, _SHIFT_BITS - 2048)
    half = c.word("lshr", biased, 1)
    for part in (half, c.word("sub", biased, half)):
        value = c.mul(value, c.real(c.word("shl", c.word("sub", part, 1), 52)))
    return value


def _parts(c: _Code, x: Value) -> tuple[Value, Value, Value]:
    """The exponent e, the fraction f and a word of the exponent: x = 2^e (1 + f), |f| smallest; x > 0 and finite."""
    small = c.compare("olt", x, 2.2250738585072014e-308)
    x = c.select(small, c.mul(x, 2.0**54), x)
    word = c.word("add", c.bits(x), _ONE_BITS - _ROOT_HALF_BITS)
    exponent = c.word("lshr", word, 52)
    e = c.sub(c.real(c.word("or", exponent, _POWER_52_BITS)), 2.0**52 + 1023.0)
    e = c.sub(e, c.select(small, 54.0, 0.0))
    m = c.real(c.word("add", c.word("and", word, _FRACTION_BITS), _ROOT_HALF_BITS))
    return e, c.sub(m, 1.0), exponent


def _log_sum(c: _Code, e: Value, f: Value, s: Value, tail: Value | None = None) -> Value:
    """e ln 2 + log(1 + f) + tail, with s = f / (2 + f)."""
    z = c.mul(s, s)
    rest = c.mul(z, c.polynomial(z, _LOG))
    half = c.mul(c.mul(f, f), 0.5)
    low = c.mul(e, _LN2[1]) if tail is None else c.fma(e, _LN2[1], tail)
    inner = c.sub(half, c.fma(s, c.add(half, rest), low))
    return c.sub(c.mul(e, _LN2[0]), c.sub(inner, f))


def _log_bounds(c: _Code, x: Value, result: Value, zero: float, argument: Value) -> Value:
    """The logarithm where its argument is 0, negative, infinite or no number."""
    result = c.select(c.compare("oeq", x, zero), float("-inf"), result)
    result = c.select(c.compare("olt", x, zero), float("nan"), result)
    usual = c.compare("olt", argument, float("inf"))
    return c.select(usual, result, x)


def _write_exp(c: _Code) -> Value:
    return _exp(c, "%x")


def _write_log(c: _Code) -> Value:
    e, f, _ = _parts(c, "%x")
    return _log_bounds(c, "%x", _log_sum(c, e, f, c.div(f, c.add(f, 2.0))), 0.0, "%x")


def _write_log1p(c: _Code) -> Value:
    u = c.add("%x", 1.0)
    large = c.compare("ogt", c.one("fabs", "%x"), 1.0)
    lost = c.select(large, c.sub(1.0, c.sub(u, "%x")), c.sub("%x", c.sub(u, 1.0)))
    e, f, exponent = _parts(c, u)
    near = c.logic("and", c.compare("ogt", "%x", -0.2928), c.compare("olt", "%x", 0.4142))
    f = c.select(near, "%x", f)
    s = c.div(f, c.add(f, 2.0))
    # What rounding lost of 1 + x, over 1 + x. Half a percent is near enough for 1 / m = (1 - s) / (1 + s).
    scale = c.real(c.word("shl", c.word("sub", _words(2046), exponent), 52))
    one_less = c.sub(1.0, s)
    tail = c.mul(c.mul(c.mul(lost, scale), one_less), c.fma(s, s, one_less))
    tail = c.select(near, 0.0, tail)
    return _log_bounds(c, "%x", _log_sum(c, e, f, s, tail), -1.0, u)


def _write_tanh(c: _Code) -> Value:
    a = c.one("fabs", "%x")
    small = c.compare("olt", a, 0.625)
    z = c.mul(a, a)
    above = c.select(small, c.mul(c.mul(a, z), c.polynomial(z, _TANH_ABOVE)), -2.0)
    below = c.select(small, c.polynomial(z, _TANH_BELOW), c.add(_exp(c, c.add(a, a)), 1.0))
    return c.sign_of(c.add(c.select(small, a, 1.0), c.div(above, below)), "%x")


def _turn(c: _Code, quarters: int) -> Value:
    """The sine of x plus so many quarter turns."""
    count, word = c.nearest(c.mul("%x", _TWO_BY_PI))
    minus = c.neg(count)
    first = c.fma(minus, _HALF_PI[0], "%x")
    taken = c.mul(count, _HALF_PI[1])
    r = c.sub(first, taken)
    lost = c.fma(count, _HALF_PI[1], c.neg(taken))
    low = c.sub(c.sub(c.sub(first, r), taken), c.fma(count, _HALF_PI[2], lost))
    z = c.mul(r, r)
    half = c.mul(z, 0.5)
    cube = c.mul(z, r)
    # sin(r + low) and cos(r + low); the low part weighs as the derivative of each
    rest = c.polynomial(z, _SIN[1:])
    inner = c.sub(c.mul(z, c.sub(c.mul(low, 0.5), c.mul(cube, rest))), low)
    sine = c.sub(r, c.sub(inner, c.mul(cube, _SIN[0])))
    top = c.sub(1.0, half)
    cosine = c.sub(c.mul(c.mul(z, z), c.polynomial(z, _COS)), c.mul(r, low))
    cosine = c.add(top, c.add(c.sub(c.sub(1.0, top), half), cosine))
    word = c.word("add", word, quarters)
    value = c.select(c.odd(word, 1), cosine, sine)
    value = c.select(c.odd(word, 2), c.neg(value), value)
    inside = c.compare("ole", c.one("fabs", "%x"), FARTHEST)
    return c.select(inside, value, float("nan"))


def _write_sin(c: _Code) -> Value:
    # The sine of -0 is -0.
    return c.select(c.compare("oeq", "%x", 0.0), "%x", _turn(c, 0))


def _write_cos(c: _Code) -> Value:
    return _turn(c, 1)


def _log_in_two(c: _Code, x: Value) -> tuple[Value, Value]:
    """log x as the sum of two doubles, for x > 0 and finite."""
    e, f, _ = _parts(c, x)
    d = c.add(f, 2.0)
    inverse = c.div(1.0, d)
    s = c.mul(f, inverse)
    minus = c.neg(s)
    low = c.fma(minus, c.sub(f, c.sub(d, 2.0)), c.fma(minus, d, f))
    s_low = c.mul(low, inverse)
    z = c.mul(s, s)
    z_low = c.fma(c.add(s, s), s_low, c.fma(s, s, c.neg(z)))
    tail = c.mul(z, c.polynomial(z, _LOG_TAIL))
    q = c.add(tail, _THIRD[0])
    q_low = c.add(c.add(c.sub(_THIRD[0], q), tail), c.fma(z_low, _LOG_TAIL[0], _THIRD[1]))
    cube = c.mul(s, z)
    cube_low = c.fma(s_low, z, c.fma(s, z_low, c.fma(s, z, c.neg(cube))))
    w = c.mul(cube, q)
    w_low = c.fma(cube_low, q, c.fma(cube, q_low, c.fma(cube, q, c.neg(w))))
    # e ln 2 + 2 s + w, largest first
    whole = c.mul(e, _LN2[0])
    twice = c.add(s, s)
    high = c.add(whole, twice)
    lost = c.add(c.sub(whole, high), twice)
    total = c.add(high, w)
    lost = c.add(lost, c.add(c.sub(high, total), w))
    lost = c.add(lost, c.fma(e, _LN2[1], c.fma(s_low, 2.0, w_low)))
    return total, lost


def _write_pow(c: _Code) -> Value:
    size = c.one("fabs", "%x")
    high, low = _log_in_two(c, size)
    product = c.mul("%y", high)
    usual = c.compare("olt", c.one("fabs", product), 800.0)
    tail = c.fma("%y", low, c.fma("%y", high, c.neg(product)))
    value = _exp(c, product, c.select(usual, tail, 0.0))
    rising = c.compare("ogt", "%y", 0.0)
    value = c.select(c.compare("oeq", size, 0.0), c.select(rising, 0.0, float("inf")), value)
    value = c.select(c.compare("oeq", size, float("inf")), c.select(rising, float("inf"), 0.0), value)
    whole = c.compare("oeq", c.one("floor", "%y"), "%y")
    half = c.mul("%y", 0.5)
    uneven = c.logic("and", whole, c.compare("une", c.one("floor", half), half))
    below = c.select(whole, c.select(uneven, c.neg(value), value), float("nan"))
    value = c.select(c.compare("olt", "%x", 0.0), below, value)
    value = c.select(c.compare("uno", "%x", "%y"), float("nan"), value)
    one = c.logic("or", c.compare("oeq", "%x", 1.0), c.compare("oeq", "%y", 0.0))
    return c.select(one, 1.0, value)


_WRITERS: dict[str, Callable[[_Code], Value]] = {
    "exp": _write_exp,
    "log": _write_log,
    "log1p": _write_log1p,
    "tanh": _write_tanh,
    "sin": _write_sin,
    "cos": _write_cos,
    "pow": _write_pow,
}


def elementary(name: str) -> str:
    """The definition of one function: exp, log, log1p, tanh, sin, cos or pow."""
    code = _Code()
    result = _WRITERS[name](code)
    arguments = f"{VECTOR} %x" + (f", {VECTOR} %y" if name == "pow" else "")
    head = f"define private {VECTOR} @{name}({arguments}) nounwind {{"
    return "\n".join([head, *code.lines, f"  ret {VECTOR} {result}", "}"])
