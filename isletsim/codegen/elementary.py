"""Elementary functions in LLVM IR: no branches, no C library, right to about a unit in the last place.

The same instructions serve one number and eight. Every lane is worked alike whatever its neighbours hold, so a number
has one answer at any place. Sines and cosines beyond `FARTHEST` become no number; then a single number is left to the C
library, and a subject in a lane to the scalar path of the solver.

The reductions are the usual ones: Cody and Waite for exp, sin and cos; s = f / (2 + f) for logarithms, in two doubles
where `pow` needs them (Muller et al., Handbook of Floating-Point Arithmetic, Birkhäuser 2018, chapter 10). The
polynomials are minimax fits of our own; the rational function of tanh is that of Cephes (Moshier 1989).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache

from isletsim.codegen.native import LANES

__all__ = ["FARTHEST", "INTRINSICS", "OWN", "VECTOR", "VECTORS", "elementary", "inlined", "number", "splat"]

VECTOR = f"<{LANES} x double>"
# The types that functions are written for, and what LLVM calls them.
VECTORS = (("double", "f64"), *((f"<{lanes} x double>", f"v{lanes}f64") for lanes in (2, 4, LANES)))

FARTHEST = 1e9  # how far sin and cos go

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
# the same for s <= 1/3
_LOG1P = (
    0.6666666666666666,
    0.40000000000014585,
    0.2857142856710876,
    0.22222222717427864,
    0.18181789436132859,
    0.15385570064958623,
    0.13314144209654935,
    0.12001072809590713,
    0.08800738486144674,
    0.16164045611943534,
)
# the first of them without its first term 2/3, again over z
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


def number(value: float) -> str:
    """A constant number."""
    return "0x" + struct.pack(">d", value).hex().upper()


def splat(value: float, lanes: int = LANES) -> str:
    """A constant with the same number in every lane."""
    return f"<{', '.join([f'double {number(value)}'] * lanes)}>"


class _Code:
    """The lines of one function under construction; every method writes one instruction and gives its name.

    `lanes` is 1 or `LANES`; names begin with `prefix`.
    """

    def __init__(self, lanes: int, prefix: str) -> None:
        self.lines: list[str] = []
        self.prefix = prefix
        self.lanes, self.single = lanes, lanes == 1
        self.real_type, self.word_type, self.truth_type = (
            kind if self.single else f"<{lanes} x {kind}>" for kind in ("double", "i64", "i1")
        )
        self.suffix = "f64" if self.single else f"v{lanes}f64"

    def put(self, text: str) -> Value:
        name = f"{self.prefix}{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def text(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return operand
        return number(operand) if self.single else splat(operand, self.lanes)

    def integer(self, value: int) -> str:
        return str(value) if self.single else f"<{', '.join([f'i64 {value}'] * self.lanes)}>"

    def _two(self, operation: str, a: Operand, b: Operand) -> Value:
        return self.put(f"{operation} {self.real_type} {self.text(a)}, {self.text(b)}")

    def add(self, a: Operand, b: Operand) -> Value:
        return self._two("fadd", a, b)

    def sub(self, a: Operand, b: Operand) -> Value:
        return self._two("fsub", a, b)

    def mul(self, a: Operand, b: Operand) -> Value:
        return self._two("fmul", a, b)

    def div(self, a: Operand, b: Operand) -> Value:
        return self._two("fdiv", a, b)

    def neg(self, a: Value) -> Value:
        return self.put(f"fneg {self.real_type} {a}")

    def fma(self, a: Operand, b: Operand, c: Operand) -> Value:
        """a * b + c with one rounding"""
        listed = ", ".join(f"{self.real_type} {self.text(each)}" for each in (a, b, c))
        return self.put(f"call {self.real_type} @llvm.fma.{self.suffix}({listed})")

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Pairs, pairs of pairs, ...: a third of the waiting that one coefficient after the other costs."""
        terms: list[Operand] = list(coefficients)
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [*(self.fma(high, x, low) for low, high in pairs), *terms[len(terms) & ~1 :]]
            x = self.mul(x, x) if len(terms) > 1 else x
        return self.text(terms[0])

    def one(self, name: str, a: Value) -> Value:
        return self.put(f"call {self.real_type} @llvm.{name}.{self.suffix}({self.real_type} {a})")

    def sign_of(self, size: Value, sign: Value) -> Value:
        return self.put(
            f"call {self.real_type} @llvm.copysign.{self.suffix}({self.real_type} {size}, {self.real_type} {sign})"
        )

    def compare(self, how: str, a: Operand, b: Operand) -> Value:
        return self.put(f"fcmp {how} {self.real_type} {self.text(a)}, {self.text(b)}")

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        return self.put(
            f"select {self.truth_type} {condition}, {self.real_type} {self.text(a)}, {self.real_type} {self.text(b)}"
        )

    def logic(self, operation: str, a: Value, b: Value) -> Value:
        return self.put(f"{operation} {self.truth_type} {a}, {b}")

    def word(self, operation: str, a: Value, b: Value | int) -> Value:
        return self.put(f"{operation} {self.word_type} {a}, {self.integer(b) if isinstance(b, int) else b}")

    def odd(self, word: Value, bit: int) -> Value:
        """Whether a bit of a word is set."""
        return self.put(f"icmp ne {self.word_type} {self.word('and', word, bit)}, {self.integer(0)}")

    def bits(self, a: Value) -> Value:
        return self.put(f"bitcast {self.real_type} {a} to {self.word_type}")

    def real(self, word: Value) -> Value:
        return self.put(f"bitcast {self.word_type} {word} to {self.real_type}")

    def nearest(self, a: Value) -> tuple[Value, Value]:
        """The nearest integer, and a word with it in the lowest bits (small numbers only)."""
        shown = self.add(a, _SHIFT)
        return self.sub(shown, _SHIFT), self.bits(shown)


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


def _parts(c: _Code, x: Value) -> tuple[Value, Value]:
    """The exponent e and the fraction f: x = 2^e (1 + f), |f| smallest; x > 0 and finite."""
    small = c.compare("olt", x, 2.2250738585072014e-308)
    x = c.select(small, c.mul(x, 2.0**54), x)
    word = c.word("add", c.bits(x), _ONE_BITS - _ROOT_HALF_BITS)
    exponent = c.word("lshr", word, 52)
    e = c.sub(c.real(c.word("or", exponent, _POWER_52_BITS)), 2.0**52 + 1023.0)
    e = c.sub(e, c.select(small, 54.0, 0.0))
    m = c.real(c.word("add", c.word("and", word, _FRACTION_BITS), _ROOT_HALF_BITS))
    return e, c.sub(m, 1.0)


def _write_exp(c: _Code, x: Value) -> Value:
    return _exp(c, x)


def _write_log(c: _Code, x: Value) -> Value:
    e, f = _parts(c, x)
    s = c.div(f, c.add(f, 2.0))
    z = c.mul(s, s)
    half = c.mul(c.mul(f, f), 0.5)
    inner = c.add(half, c.mul(z, c.polynomial(z, _LOG)))
    inner = c.sub(half, c.fma(s, inner, c.mul(e, _LN2[1])))
    result = c.sub(c.mul(e, _LN2[0]), c.sub(inner, f))
    result = c.select(c.compare("oeq", x, 0.0), float("-inf"), result)
    result = c.select(c.compare("olt", x, 0.0), float("nan"), result)
    return c.select(c.compare("olt", x, float("inf")), result, x)


def _write_log1p(c: _Code, x: Value) -> Value:
    # From 0 to 1 only: log1p x = 2 artanh s with s = x / (2 + x) <= 1/3.
    s = c.div(x, c.add(x, 2.0))
    z = c.mul(s, s)
    half = c.mul(c.mul(x, x), 0.5)
    return c.sub(x, c.sub(half, c.mul(s, c.fma(z, c.polynomial(z, _LOG1P), half))))


def _write_tanh(c: _Code, x: Value) -> Value:
    a = c.one("fabs", x)
    small = c.compare("olt", a, 0.625)
    z = c.mul(a, a)
    above = c.select(small, c.mul(c.mul(a, z), c.polynomial(z, _TANH_ABOVE)), -2.0)
    below = c.select(small, c.polynomial(z, _TANH_BELOW), c.add(_exp(c, c.add(a, a)), 1.0))
    return c.sign_of(c.add(c.select(small, a, 1.0), c.div(above, below)), x)


def _turn(c: _Code, x: Value, quarters: int) -> Value:
    """The sine of x plus so many quarter turns."""
    count, word = c.nearest(c.mul(x, _TWO_BY_PI))
    minus = c.neg(count)
    first = c.fma(minus, _HALF_PI[0], x)
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
    inside = c.compare("ole", c.one("fabs", x), FARTHEST)
    return c.select(inside, value, float("nan"))


def _write_sin(c: _Code, x: Value) -> Value:
    # The sine of -0 is -0.
    return c.select(c.compare("oeq", x, 0.0), x, _turn(c, x, 0))


def _write_cos(c: _Code, x: Value) -> Value:
    return _turn(c, x, 1)


def _log_in_two(c: _Code, x: Value) -> tuple[Value, Value]:
    """log x as the sum of two doubles, for x > 0 and finite."""
    e, f = _parts(c, x)
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


def _write_pow(c: _Code, x: Value, y: Value) -> Value:
    size = c.one("fabs", x)
    high, low = _log_in_two(c, size)
    product = c.mul(y, high)
    usual = c.compare("olt", c.one("fabs", product), 800.0)
    tail = c.fma(y, low, c.fma(y, high, c.neg(product)))
    value = _exp(c, product, c.select(usual, tail, 0.0))
    rising = c.compare("ogt", y, 0.0)
    value = c.select(c.compare("oeq", size, 0.0), c.select(rising, 0.0, float("inf")), value)
    value = c.select(c.compare("oeq", size, float("inf")), c.select(rising, float("inf"), 0.0), value)
    whole = c.compare("oeq", c.one("floor", y), y)
    half = c.mul(y, 0.5)
    uneven = c.logic("and", whole, c.compare("une", c.one("floor", half), half))
    below = c.select(whole, c.select(uneven, c.neg(value), value), float("nan"))
    value = c.select(c.compare("olt", x, 0.0), below, value)
    value = c.select(c.compare("uno", x, y), float("nan"), value)
    one = c.logic("or", c.compare("oeq", x, 1.0), c.compare("oeq", y, 0.0))
    return c.select(one, 1.0, value)


_WRITERS: dict[str, Callable[..., Value]] = {
    "exp": _write_exp,
    "log": _write_log,
    "log1p": _write_log1p,
    "tanh": _write_tanh,
    "sin": _write_sin,
    "cos": _write_cos,
    "pow": _write_pow,
}
OWN = tuple(_WRITERS)
INTRINSICS = (("fabs", 1), ("floor", 1), ("sqrt", 1), ("copysign", 2), ("fma", 3))  # of LLVM, with their operands


def elementary(name: str, lanes: int = LANES, farther: bool = False) -> str:
    """The definition of one of the functions `OWN`, called `own_` and its name.

    One number may go `farther` than a lane: beyond `FARTHEST` the C library is asked.
    """
    code = _Code(lanes, "%v")
    kind = code.real_type
    given = ["%x", "%y"] if name == "pow" else ["%x"]
    result = _WRITERS[name](code, *given)
    lines = [*code.lines, f"  ret {kind} {result}"]
    if farther and name in ("sin", "cos"):
        lines[-1:] = _beyond(name, lanes, kind, result)
    suffix = f"_{lanes}" if farther and lanes > 1 else ""
    listed = ", ".join(f"{kind} {each}" for each in given)
    return "\n".join([f"define private {kind} @own_{name}{suffix}({listed}) nounwind {{", *lines, "}"])


def _beyond(name: str, lanes: int, kind: str, result: Value) -> list[str]:
    """The end of a function that asks the C library about what lies beyond."""
    bits = f"bitcast {'i1' if lanes == 1 else f'<{lanes} x i1>'} %far to i{lanes}"
    suffix = "f64" if lanes == 1 else f"v{lanes}f64"
    bound = number(FARTHEST) if lanes == 1 else splat(FARTHEST, lanes)
    lines = [
        f"  %size = call {kind} @llvm.fabs.{suffix}({kind} %x)",
        f"  %far = fcmp ogt {kind} %size, {bound}",
        f"  %any = {bits}",
        f"  %some = icmp ne i{lanes} %any, 0",
        "  br i1 %some, label %beyond, label %within",
        "within:",
        f"  ret {kind} {result}",
        "beyond:",
    ]
    if lanes == 1:
        return [*lines, f"  %other = call double @{name}(double %x)", "  ret double %other"]
    total = result
    for lane in range(lanes):
        lines += [
            f"  %x{lane} = extractelement {kind} %x, i32 {lane}",
            f"  %near{lane} = extractelement {kind} {result}, i32 {lane}",
            f"  %far{lane} = extractelement <{lanes} x i1> %far, i32 {lane}",
            f"  %other{lane} = call double @{name}(double %x{lane})",
            f"  %best{lane} = select i1 %far{lane}, double %other{lane}, double %near{lane}",
            f"  %total{lane} = insertelement {kind} {total}, double %best{lane}, i32 {lane}",
        ]
        total = f"%total{lane}"
    return [*lines, f"  ret {kind} {total}"]


@cache
def inlined(name: str, lanes: int = 1) -> str:
    """The instructions of a function as a template: {0} is the name of the result, {1} and {2} are the operands."""
    code = _Code(lanes, "{0}_")
    given = ["{1}", "{2}"] if name == "pow" else ["{1}"]
    result = _WRITERS[name](code, *given)
    last = f"  {result} = "
    assert code.lines[-1].startswith(last)
    return "\n".join([*code.lines[:-1], "  {0} = " + code.lines[-1].removeprefix(last)])
