"""Piecewise linear data in generated code: in LLVM IR, and in NumPy. Outside its knots a table is constant."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LLVM_TABLE", "NUMPY_TABLE", "slopes"]

# One table: k is its number, n its length, and xs, ys, ss list knots, values and slopes. The segment is bisected.
LLVM_TABLE = """@x_{k} = private constant [{n} x double] [{xs}]
@y_{k} = private constant [{n} x double] [{ys}]
@s_{k} = private constant [{n} x double] [{ss}]
define private i64 @segment_{k}(double %x) nounwind {{
entry:
  br label %halve
halve:
  %low = phi i64 [ -1, %entry ], [ %low2, %step ]
  %high = phi i64 [ {n}, %entry ], [ %high2, %step ]
  %gap = sub i64 %high, %low
  %more = icmp sgt i64 %gap, 1
  br i1 %more, label %step, label %found
step:
  %half = sdiv i64 %gap, 2
  %middle = add i64 %low, %half
  %a = getelementptr double, ptr @x_{k}, i64 %middle
  %knot = load double, ptr %a
  %right = fcmp ole double %knot, %x
  %low2 = select i1 %right, i64 %middle, i64 %low
  %high2 = select i1 %right, i64 %high, i64 %middle
  br label %halve
found:
  ret i64 %low
}}
define private double @slope_{k}(double %x) nounwind {{
  %i = call i64 @segment_{k}(double %x)
  %before = icmp slt i64 %i, 0
  %j = select i1 %before, i64 {last}, i64 %i
  %a = getelementptr double, ptr @s_{k}, i64 %j
  %s = load double, ptr %a
  ret double %s
}}
define private double @value_{k}(double %x) nounwind {{
  %i = call i64 @segment_{k}(double %x)
  %before = icmp slt i64 %i, 0
  %j = select i1 %before, i64 0, i64 %i
  %a = getelementptr double, ptr @x_{k}, i64 %j
  %b = getelementptr double, ptr @y_{k}, i64 %j
  %c = getelementptr double, ptr @s_{k}, i64 %j
  %x0 = load double, ptr %a
  %y0 = load double, ptr %b
  %s = load double, ptr %c
  %from = fsub double %x, %x0
  %rise = fmul double %s, %from
  %sum = fadd double %y0, %rise
  %last = icmp eq i64 %j, {last}
  %flat = or i1 %before, %last
  %nan = fcmp uno double %x, %x
  %inner = xor i1 %flat, true
  %use = or i1 %nan, %inner
  %v = select i1 %use, double %sum, double %y0
  ret double %v
}}"""

NUMPY_TABLE = '''

def value(x, knots, values, slopes):
    """Piecewise linear data, constant outside."""
    segment = np.searchsorted(knots, x, side="right") - 1
    place = np.maximum(segment, 0)
    outside = (segment < 0) | (segment == len(knots) - 1)
    return np.where(outside & (x == x), values[place], values[place] + slopes[place] * (x - knots[place]))


def slope(x, knots, slopes):
    """The slope of piecewise linear data after x."""
    return slopes[np.searchsorted(knots, x, side="right") - 1]
'''


def slopes(abscissae: Sequence[float], ordinates: Sequence[float]) -> list[float]:
    """The slope after every knot; 0 after the last."""
    inner = [(ordinates[i + 1] - ordinates[i]) / (abscissae[i + 1] - abscissae[i]) for i in range(len(abscissae) - 1)]
    return [*inner, 0.0]
