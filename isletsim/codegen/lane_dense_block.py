"""The dense block at the end of a sparse factorisation, for eight lanes: plain loops, every entry is a vector.

The block has the form that `block` describes, without the eights: a column is `stride` vectors apart from the next.
"""

from __future__ import annotations

__all__ = ["LANE_BLOCK"]

LANE_BLOCK = """define private void @add_multiple(ptr %z, ptr %a, <8 x double> %w, i64 %from, i64 %until) nounwind {
entry:
  br label %head
head:
  %i = phi i64 [ %from, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %until
  br i1 %more, label %body, label %done
body:
  %pa = getelementptr <8 x double>, ptr %a, i64 %i
  %pz = getelementptr <8 x double>, ptr %z, i64 %i
  %va = load <8 x double>, ptr %pa, align 64
  %vz = load <8 x double>, ptr %pz, align 64
  %sum = call <8 x double> @llvm.fma.v8f64(<8 x double> %va, <8 x double> %w, <8 x double> %vz)
  store <8 x double> %sum, ptr %pz, align 64
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
define private <8 x i1> @block_clear(ptr %a, i64 %m, i64 %stride) nounwind {
entry:
  %count = mul i64 %m, %stride
  br label %clear
clear:
  %i = phi i64 [ 0, %entry ], [ %next, %clear ]
  %place = getelementptr <8 x double>, ptr %a, i64 %i
  store <8 x double> zeroinitializer, ptr %place, align 64
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %clear, label %done
done:
  %none = fcmp oeq <8 x double> zeroinitializer, zeroinitializer
  ret <8 x i1> %none
}
define private <8 x i1> @block_factor(ptr %a, i64 %m, i64 %stride, ptr %sizes) nounwind {
entry:
  %all = fcmp oeq <8 x double> zeroinitializer, zeroinitializer
  br label %pivots
pivots:
  %k = phi i64 [ 0, %entry ], [ %k2, %columns ]
  %good = phi <8 x i1> [ %all, %entry ], [ %good2, %columns ]
  %left = icmp slt i64 %k, %m
  br i1 %left, label %pivot, label %done
pivot:
  %k0 = mul i64 %k, %stride
  %k2 = add i64 %k, 1
  %line = getelementptr <8 x double>, ptr %a, i64 %k0
  %place = getelementptr <8 x double>, ptr %line, i64 %k
  %value = load <8 x double>, ptr %place, align 64
  %minus = fneg <8 x double> %value
  %one = uitofp <8 x i1> %all to <8 x double>
  %reciprocal = fdiv <8 x double> %one, %minus
  store <8 x double> %reciprocal, ptr %place, align 64
  br label %search
search:
  %j = phi i64 [ %k2, %pivot ], [ %j2, %look ]
  %max = phi <8 x double> [ zeroinitializer, %pivot ], [ %max2, %look ]
  %right = icmp slt i64 %j, %m
  br i1 %right, label %look, label %judge
look:
  %j0 = mul i64 %j, %stride
  %j1 = add i64 %j0, %k
  %j2 = add i64 %j, 1
  %pu = getelementptr <8 x double>, ptr %a, i64 %j1
  %u = load <8 x double>, ptr %pu, align 64
  %pj = getelementptr <8 x double>, ptr %sizes, i64 %j
  %sj = load <8 x double>, ptr %pj, align 64
  %weight = fmul <8 x double> %u, %sj
  %weight2 = call <8 x double> @llvm.fabs.v8f64(<8 x double> %weight)
  %above = fcmp ogt <8 x double> %weight2, %max
  %max2 = select <8 x i1> %above, <8 x double> %weight2, <8 x double> %max
  br label %search
judge:
  %pk = getelementptr <8 x double>, ptr %sizes, i64 %k
  %sk = load <8 x double>, ptr %pk, align 64
  %scaled = fmul <8 x double> %value, %sk
  %size = call <8 x double> @llvm.fabs.v8f64(<8 x double> %scaled)
  %least = fmul <8 x double> %max, SMALLEST
  %enough = fcmp ogt <8 x double> %size, %least
  %zero = fsub <8 x double> %size, %size
  %finite = fcmp oeq <8 x double> %zero, zeroinitializer
  %sound = and <8 x i1> %enough, %finite
  %good2 = and <8 x i1> %good, %sound
  br label %divide
divide:
  %i = phi i64 [ %k2, %judge ], [ %i2, %row ]
  %below = icmp slt i64 %i, %m
  br i1 %below, label %row, label %columns
row:
  %pi = getelementptr <8 x double>, ptr %line, i64 %i
  %entry2 = load <8 x double>, ptr %pi, align 64
  %multiplier = fmul <8 x double> %entry2, %reciprocal
  store <8 x double> %multiplier, ptr %pi, align 64
  %i2 = add i64 %i, 1
  br label %divide
columns:
  %c = phi i64 [ %k2, %divide ], [ %c2, %column ]
  %inside = icmp slt i64 %c, %m
  br i1 %inside, label %column, label %pivots
column:
  %c0 = mul i64 %c, %stride
  %c2 = add i64 %c, 1
  %other = getelementptr <8 x double>, ptr %a, i64 %c0
  %pc = getelementptr <8 x double>, ptr %other, i64 %k
  %w = load <8 x double>, ptr %pc, align 64
  call void @add_multiple(ptr %other, ptr %line, <8 x double> %w, i64 %k2, i64 %m)
  br label %columns
done:
  ret <8 x i1> %good
}
define private <8 x i1> @block_solve(ptr %a, ptr %x, i64 %m, i64 %stride) nounwind {
entry:
  %z = getelementptr <8 x double>, ptr %x, i64 %stride
  br label %forward
forward:
  %k = phi i64 [ 0, %entry ], [ %k2, %forward ]
  %pk = getelementptr <8 x double>, ptr %z, i64 %k
  %value = load <8 x double>, ptr %pk, align 64
  %k0 = mul i64 %k, %stride
  %k2 = add i64 %k, 1
  %line = getelementptr <8 x double>, ptr %a, i64 %k0
  call void @add_multiple(ptr %z, ptr %line, <8 x double> %value, i64 %k2, i64 %m)
  %more = icmp slt i64 %k2, %m
  br i1 %more, label %forward, label %backward
backward:
  %n = phi i64 [ %m, %forward ], [ %l, %backward ]
  %l = sub i64 %n, 1
  %l0 = mul i64 %l, %stride
  %column = getelementptr <8 x double>, ptr %a, i64 %l0
  %pl = getelementptr <8 x double>, ptr %z, i64 %l
  %total = load <8 x double>, ptr %pl, align 64
  %pd = getelementptr <8 x double>, ptr %column, i64 %l
  %reciprocal = load <8 x double>, ptr %pd, align 64
  %result = fmul <8 x double> %total, %reciprocal
  %pr = getelementptr <8 x double>, ptr %x, i64 %l
  store <8 x double> %result, ptr %pr, align 64
  call void @add_multiple(ptr %z, ptr %column, <8 x double> %result, i64 0, i64 %l)
  %left = icmp sgt i64 %l, 0
  br i1 %left, label %backward, label %done
done:
  %good = fcmp oeq <8 x double> zeroinitializer, zeroinitializer
  ret <8 x i1> %good
}"""
