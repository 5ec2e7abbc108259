"""The dense block at the end of a sparse factorisation, as loops: in LLVM IR, and in NumPy.

The block is stored by columns, `stride` numbers apart, with at least eight numbers of room after each column, so that
the loops can take eight rows at once and run over a column's end. It holds A = -W; a pivot's place keeps -1 / pivot,
and below the diagonal stand the multipliers (see `sparse`).

In `block_solve` the array x has two halves of `stride` numbers: the second holds the right-hand side, the first
receives the solution. Eights always begin at multiples of eight, so that what was just stored can be read at once.
"""

from __future__ import annotations

__all__ = ["LLVM_BLOCK", "NUMPY_BLOCK", "SMALLEST_PIVOT"]

SMALLEST_PIVOT = 1e-10  # beside the largest entry of what remains of its row, in units of the states' sizes

LLVM_BLOCK = """define private void @add_multiple(ptr %z, ptr %a, double %w, i64 %from, i64 %until) nounwind {
entry:
  %one = insertelement <8 x double> poison, double %w, i32 0
  %all = shufflevector <8 x double> %one, <8 x double> poison, <8 x i32> zeroinitializer
  br label %head
head:
  %i = phi i64 [ %from, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %until
  br i1 %more, label %body, label %done
body:
  %pa = getelementptr double, ptr %a, i64 %i
  %pz = getelementptr double, ptr %z, i64 %i
  %va = load <8 x double>, ptr %pa, align 8
  %vz = load <8 x double>, ptr %pz, align 8
  %sum = call <8 x double> @llvm.fma.v8f64(<8 x double> %va, <8 x double> %all, <8 x double> %vz)
  store <8 x double> %sum, ptr %pz, align 8
  %next = add i64 %i, 8
  br label %head
done:
  ret void
}
define private i1 @block_clear(ptr %a, i64 %m, i64 %stride) nounwind {
entry:
  %count = mul i64 %m, %stride
  br label %clear
clear:
  %i = phi i64 [ 0, %entry ], [ %next, %clear ]
  %place = getelementptr double, ptr %a, i64 %i
  store <8 x double> zeroinitializer, ptr %place, align 8
  %next = add i64 %i, 8
  %more = icmp slt i64 %next, %count
  br i1 %more, label %clear, label %done
done:
  ret i1 true
}
define private i1 @block_factor(ptr %a, i64 %m, i64 %stride, ptr %sizes) nounwind {
entry:
  br label %pivots
pivots:
  %k = phi i64 [ 0, %entry ], [ %k2, %eights ]
  %good = phi i1 [ true, %entry ], [ %good2, %eights ]
  %left = icmp slt i64 %k, %m
  br i1 %left, label %pivot, label %done
pivot:
  %k0 = mul i64 %k, %stride
  %k2 = add i64 %k, 1
  %line = getelementptr double, ptr %a, i64 %k0
  %place = getelementptr double, ptr %line, i64 %k
  %value = load double, ptr %place
  %reciprocal = fdiv double -1.0, %value
  store double %reciprocal, ptr %place
  br label %search
search:
  %j = phi i64 [ %k2, %pivot ], [ %j2, %look ]
  %max = phi double [ 0.0, %pivot ], [ %max2, %look ]
  %right = icmp slt i64 %j, %m
  br i1 %right, label %look, label %judge
look:
  %j0 = mul i64 %j, %stride
  %j1 = add i64 %j0, %k
  %j2 = add i64 %j, 1
  %pu = getelementptr double, ptr %a, i64 %j1
  %u = load double, ptr %pu
  %pj = getelementptr double, ptr %sizes, i64 %j
  %sj = load double, ptr %pj
  %weight = fmul double %u, %sj
  %weight2 = call double @llvm.fabs.f64(double %weight)
  %above = fcmp ogt double %weight2, %max
  %max2 = select i1 %above, double %weight2, double %max
  br label %search
judge:
  %pk = getelementptr double, ptr %sizes, i64 %k
  %sk = load double, ptr %pk
  %scaled = fmul double %value, %sk
  %size = call double @llvm.fabs.f64(double %scaled)
  %least = fmul double %max, SMALLEST
  %enough = fcmp ogt double %size, %least
  %finite = fcmp olt double %size, 0x7FF0000000000000
  %sound = and i1 %enough, %finite
  %good2 = and i1 %good, %sound
  %one = insertelement <8 x double> poison, double %reciprocal, i32 0
  %all = shufflevector <8 x double> %one, <8 x double> poison, <8 x i32> zeroinitializer
  br label %eights
eights:
  %i = phi i64 [ %k2, %judge ], [ %i2, %columns ]
  %below = icmp slt i64 %i, %m
  br i1 %below, label %eight, label %pivots
eight:
  %pi = getelementptr double, ptr %line, i64 %i
  %entries = load <8 x double>, ptr %pi, align 8
  %multipliers = fmul <8 x double> %entries, %all
  store <8 x double> %multipliers, ptr %pi, align 8
  %i2 = add i64 %i, 8
  br label %columns
columns:
  %c = phi i64 [ %k2, %eight ], [ %c2, %column ]
  %inside = icmp slt i64 %c, %m
  br i1 %inside, label %column, label %eights
column:
  %c0 = mul i64 %c, %stride
  %c2 = add i64 %c, 1
  %other = getelementptr double, ptr %a, i64 %c0
  %pc = getelementptr double, ptr %other, i64 %k
  %pv = getelementptr double, ptr %other, i64 %i
  %w = load double, ptr %pc
  %w1 = insertelement <8 x double> poison, double %w, i32 0
  %w8 = shufflevector <8 x double> %w1, <8 x double> poison, <8 x i32> zeroinitializer
  %v = load <8 x double>, ptr %pv, align 8
  %sum = call <8 x double> @llvm.fma.v8f64(<8 x double> %multipliers, <8 x double> %w8, <8 x double> %v)
  store <8 x double> %sum, ptr %pv, align 8
  br label %columns
done:
  ret i1 %good
}
define private i1 @block_solve(ptr %a, ptr %x, i64 %m, i64 %stride) nounwind {
entry:
  %z = getelementptr double, ptr %x, i64 %stride
  br label %forward
forward:
  %k = phi i64 [ 0, %entry ], [ %k2, %forward ]
  %pk = getelementptr double, ptr %z, i64 %k
  %value = load double, ptr %pk
  %px = getelementptr double, ptr %x, i64 %k
  store double %value, ptr %px
  %k0 = mul i64 %k, %stride
  %k2 = add i64 %k, 1
  %line = getelementptr double, ptr %a, i64 %k0
  %from = and i64 %k2, -8
  call void @add_multiple(ptr %z, ptr %line, double %value, i64 %from, i64 %m)
  %more = icmp slt i64 %k2, %m
  br i1 %more, label %forward, label %copy
copy:
  %c = phi i64 [ 0, %forward ], [ %c2, %copy ]
  %pa = getelementptr double, ptr %x, i64 %c
  %pb = getelementptr double, ptr %z, i64 %c
  %eight = load <8 x double>, ptr %pa, align 8
  store <8 x double> %eight, ptr %pb, align 8
  %c2 = add i64 %c, 8
  %again = icmp slt i64 %c2, %m
  br i1 %again, label %copy, label %backward
backward:
  %n = phi i64 [ %m, %copy ], [ %l, %backward ]
  %l = sub i64 %n, 1
  %l0 = mul i64 %l, %stride
  %column = getelementptr double, ptr %a, i64 %l0
  %pl = getelementptr double, ptr %z, i64 %l
  %total = load double, ptr %pl
  %pd = getelementptr double, ptr %column, i64 %l
  %reciprocal = load double, ptr %pd
  %result = fmul double %total, %reciprocal
  %pr = getelementptr double, ptr %x, i64 %l
  store double %result, ptr %pr
  call void @add_multiple(ptr %z, ptr %column, double %result, i64 0, i64 %l)
  %left = icmp sgt i64 %l, 0
  br i1 %left, label %backward, label %done
done:
  ret i1 true
}"""

NUMPY_BLOCK = '''

def block_clear(block, count, stride):
    """Zeros everywhere, before the entries are stored."""
    block[: count * stride] = 0.0
    return True


def block_factor(block, count, stride, sizes):
    """LU of the dense block in place; whether every pivot is finite and large enough beside its row."""
    rows = block[: count * stride].reshape(count, stride)[:, :count].T
    good = True
    for k in range(count):
        line = rows[k, k + 1 :]
        size = np.abs(rows[k, k] * sizes[k])
        good = good and size > SMALLEST * np.max(np.abs(line * sizes[k + 1 :]), initial=0.0) and size < np.inf
        rows[k, k] = -1.0 / rows[k, k]
        rows[k + 1 :, k] *= rows[k, k]
        rows[k + 1 :, k + 1 :] += np.outer(rows[k + 1 :, k], line)
    return bool(good)


def block_solve(block, x, count, stride):
    """Both substitutions: the second half of x is the right-hand side, the first half receives the solution."""
    rows = block[: count * stride].reshape(count, stride)[:, :count].T
    x[:count] = x[stride : stride + count]
    for k in range(count):
        x[k] += rows[k, :k] @ x[:k]
    for k in reversed(range(count)):
        x[k] = (x[k] + rows[k, k + 1 :] @ x[k + 1 : count]) * rows[k, k]
    return True
'''
