"""The lane flavour of the emitter: the same routines for eight subjects side by side, as vector LLVM IR.

Element k of an array is a vector, one number a lane; so are the time, d and the amount of an action, which come as
addresses too. Nothing crosses from lane to lane. Some routines differ from the scalar flavour, for the stepping loop:
`rhs` adds its result to `dy`; `jac` leaves out explicit time derivatives that vanish, and writes behind the others the
derivatives themselves, whose common terms cost nothing there; `factor` answers with one bit a lane, set where a pivot
is too small. The same code for one lane serves a subject alone, to whom it gives the same numbers bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from isletsim.codegen.dense_block import LLVM_BLOCK, SMALLEST_PIVOT
from isletsim.codegen.elementary import INTRINSICS, OWN, VECTOR, VECTORS, elementary, inlined, number, splat
from isletsim.codegen.emit import SCALARS, Dialect, block_sizes, body, table_text
from isletsim.codegen.fewer_divisions import live, with_fewer_divisions
from isletsim.codegen.lane_dense_block import LANE_BLOCK
from isletsim.codegen.native import FUNCTIONS, LANES, LIBRARY
from isletsim.codegen.program import Program
from isletsim.codegen.routine import HOT, Routine, Step, Store
from isletsim.codegen.simd_math import far_pack_text

__all__ = ["LaneProgram", "lane_program"]


class _Shape:
    """How vectors of so many lanes are written; a vector of one lane is a number."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.single = lanes == 1
        self.kind, self.truths = (each if self.single else f"<{lanes} x {each}>" for each in ("double", "i1"))
        self.true = "true" if self.single else f"<{', '.join(['i1 true'] * lanes)}>"
        self.suffix = "f64" if self.single else f"v{lanes}f64"

    def number(self, value: float) -> str:
        """A constant with the same number in every lane."""
        return number(value) if self.single else splat(value, self.lanes)


@cache
def _dialects(shape: _Shape) -> tuple[Dialect, Dialect, Dialect]:
    """How routines are written: those that run now and then, those that run all the time, and `rhs`, which adds."""
    kind, truths, align = shape.kind, shape.truths, 8 * shape.lanes
    lanes_of = "" if shape.single else "lanes_"
    place = "  {0}a = getelementptr " + kind + ", ptr %{1}, i64 {2}\n"
    stored = "  %s{3} = getelementptr " + kind + ", ptr %{0}, i64 {1}\n"
    plain = Dialect(
        operations={name: f"  {{0}} = f{name} {kind} {{1}}, {{2}}" for name in ("add", "sub", "mul")}
        | {
            # Written as such, since LLVM joins products and sums one way in vectors and another way outside of them.
            "fma": f"  {{0}} = call {kind} @llvm.fma.{shape.suffix}({kind} {{1}}, {kind} {{2}}, {kind} {{3}})",
            "div": f"  {{0}} = fdiv {kind} {{1}}, {{2}}",
            "neg": f"  {{0}} = fneg {kind} {{1}}",
            "pow": f"  {{0}} = call {kind} @own_pow({kind} {{1}}, {kind} {{2}})",
            "abs": f"  {{0}} = call {kind} @llvm.fabs.{shape.suffix}({kind} {{1}})",
            "floor": f"  {{0}} = call {kind} @llvm.floor.{shape.suffix}({kind} {{1}})",
            "sqrt": f"  {{0}} = call {kind} @llvm.sqrt.{shape.suffix}({kind} {{1}})",
            "select": f"  {{0}} = select {truths} {{1}}, {kind} {{2}}, {kind} {{3}}",
            "less": f"  {{0}} = fcmp olt {kind} {{1}}, {{2}}",
            "less_equal": f"  {{0}} = fcmp ole {kind} {{1}}, {{2}}",
            "equal": f"  {{0}} = fcmp oeq {kind} {{1}}, {{2}}",
            "and": f"  {{0}} = and {truths} {{1}}, {{2}}",
            "or": f"  {{0}} = or {truths} {{1}}, {{2}}",
            "not": f"  {{0}} = xor {truths} {{1}}, {shape.true}",
            "value": f"  {{0}} = call {kind} @{lanes_of}value_{{1}}({kind} {{2}})",
            "slope": f"  {{0}} = call {kind} @{lanes_of}slope_{{1}}({kind} {{2}})",
            "block_clear": f"  {{0}}p = getelementptr {kind}, ptr %LU, i64 {{1}}\n"
            f"  {{0}} = call {truths} @block_clear(ptr {{0}}p, i64 {{2}}, i64 {{3}})",
            "block_factor": f"  {{0}}p = getelementptr {kind}, ptr %LU, i64 {{1}}\n"
            f"  {{0}} = call {truths} @block_factor(ptr {{0}}p, i64 {{2}}, i64 {{3}}, ptr @sizes)",
            "block_solve": f"  {{0}}p = getelementptr {kind}, ptr %LU, i64 {{1}}\n"
            f"  {{0}} = call {truths} @block_solve(ptr {{0}}p, ptr %x, i64 {{2}}, i64 {{3}})",
        }
        | {name: f"  {{0}} = call {kind} @own_{name}({kind} {{1}})" for name in OWN if name != "pow"}
        | {name: f"  {{0}} = call {kind} @{lanes_of}{name}({kind} {{1}})" for name in LIBRARY if name not in OWN},
        number=shape.number,
        name="%v{0}",
        scalar="%{0}",
        load=f"{place}  {{0}} = load {kind}, ptr {{0}}a, align {align}",
        store=f"{stored}  store {kind} {{2}}, ptr %s{{3}}, align {align}",
        truth=f"  {{0}} = fcmp une {kind} {{1}}, zeroinitializer",
        constants=(shape.true, "zeroinitializer"),
    )
    # What runs all the time has the instructions of elementary functions inside: a call would save all registers.
    within = {name: inlined(name, shape.lanes) for name in OWN}
    hot = replace(plain, operations=plain.operations | within, packs=far_pack_text if shape.single else None)
    adding = replace(
        hot,
        store=f"{stored}  %o{{3}} = load {kind}, ptr %s{{3}}, align {align}\n"
        f"  %n{{3}} = fadd {kind} %o{{3}}, {{2}}\n  store {kind} %n{{3}}, ptr %s{{3}}, align {align}",
    )
    return plain, hot, adding


_SHAPES = {lanes: _Shape(lanes) for lanes in (1, LANES)}


@dataclass(frozen=True)
class LaneProgram:
    """A program for lanes: its LLVM IR and the length of `p`.

    `timed` are the states whose derivative depends on time itself, `seen` those that outputs depend on.
    """

    text: str
    width: int
    timed: tuple[int, ...]
    seen: tuple[int, ...]


def lane_program(program: Program, lanes: int = LANES) -> LaneProgram:
    """A program as a module of LLVM IR for eight lanes or for one."""
    known = {routine.name: routine for routine in program.routines}
    count, nonzeros = len(known["rhs"].steps[0].stores), len(program.rows)
    stores = known["jac"].steps[0].stores
    kept = [store for store in stores if store[1] < nonzeros or store[2] != known["jac"].tape.zero]
    known["jac"] = _linearisation(known["jac"], kept, known["rhs"], nonzeros + count)
    program = with_fewer_divisions(replace(program, routines=tuple(known.values())))
    timed = tuple(index - nonzeros for _, index, _ in kept if index >= nonzeros)
    return LaneProgram(_text(program, _SHAPES[lanes]), program.width, timed, _seen(program))


def _seen(program: Program) -> tuple[int, ...]:
    observe = next(routine for routine in program.routines if routine.name == "observe")
    code = observe.tape.code
    loads = {code[place][1:3] for place in live(observe) if code[place][0] == "load"}
    return tuple(sorted(index for array, index in loads if array == "y"))


def _text(program: Program, shape: _Shape) -> str:
    known = {routine.name: routine for routine in program.routines}
    chosen = [known[name] for name in FUNCTIONS if name in known and (shape.single or name not in ("roots", "bounds"))]
    functions = [_function(routine, shape) for routine in (*chosen, *program.actions)]
    functions.append(_act(len(program.actions)))
    sizes = block_sizes(program.routines)
    if sizes:
        listed = ", ".join(f"{shape.kind} {shape.number(each)}" for each in sizes)
        functions.append(f"@sizes = private constant [{len(sizes)} x {shape.kind}] [{listed}]")
        block = LLVM_BLOCK if shape.single else LANE_BLOCK
        functions.append(block.replace("SMALLEST", shape.number(SMALLEST_PIVOT)))
    text = "\n".join(functions)
    if shape.single:
        wanted = [(name, 1) for name in OWN if f"@own_{name}(" in text]
        wanted += [(name, lanes) for name in OWN for lanes in (2, 4, LANES) if f"@own_{name}_{lanes}(" in text]
        helpers = [elementary(name, lanes, farther=True) for name, lanes in wanted]
    else:
        helpers = [elementary(name, shape.lanes) for name in OWN if f"@own_{name}(" in text]
    singles = [*LIBRARY, *(f"{kind}_{index}" for index in range(len(program.tables)) for kind in ("value", "slope"))]
    helpers += [_lane_by_lane(name) for name in singles if f"@lanes_{name}(" in text]
    return "\n".join([*_declarations(), *table_text(program), *helpers, text]) + "\n"


def _linearisation(jac: Routine, kept: Sequence[Store], rhs: Routine, first: int) -> Routine:
    """The Jacobian, and from the place `first` on the derivatives."""
    more = [("J", first + index, place) for _, index, place in rhs.steps[0].stores]
    return replace(jac, steps=(Step(stores=(*kept, *more)),))


def _declarations() -> Iterator[str]:
    for name, count in INTRINSICS:
        for kind, suffix in VECTORS:
            yield f"declare {kind} @llvm.{name}.{suffix}({', '.join([kind] * count)})"
    for name in LIBRARY:
        yield f"declare double @{name}(double) nounwind memory(none)"


def _lane_by_lane(name: str) -> str:
    lines = [f"define private {VECTOR} @lanes_{name}({VECTOR} %x) nounwind {{"]
    total = "poison"
    for lane in range(LANES):
        lines.append(f"  %a{lane} = extractelement {VECTOR} %x, i32 {lane}")
        lines.append(f"  %b{lane} = call double @{name}(double %a{lane})")
        lines.append(f"  %c{lane} = insertelement {VECTOR} {total}, double %b{lane}, i32 {lane}")
        total = f"%c{lane}"
    return "\n".join([*lines, f"  ret {VECTOR} {total}", "}"])


def _function(routine: Routine, shape: _Shape) -> str:
    if routine.parts:
        return "\n".join([*(_function(part, shape) for part in routine.parts), _parts(routine)])
    plain, hot, adding = _dialects(shape)
    lines, written = body(routine, adding if routine.name == "rhs" else hot if routine.name in HOT else plain)
    head, align = [], 8 * shape.lanes
    if routine.scratch:
        head.append(f"  %x = alloca [{routine.scratch} x {shape.kind}], align 64")
    numbers = [each for each in routine.arguments if each in SCALARS]
    head += [f"  %{each} = load {shape.kind}, ptr %at_{each}, align {align}" for each in numbers]
    if routine.check is None:
        kind, last = "void", ["  ret void"]
    else:
        kind = "i32"
        last = [f"  %good = bitcast {shape.truths} {written[routine.check]} to i{shape.lanes}"]
        last += [f"  %small = xor i{shape.lanes} %good, -1", f"  %bad = zext i{shape.lanes} %small to i32"]
        last.append("  ret i32 %bad")
    private = "private " if "_" in routine.name else ""
    stored = {array for step in routine.steps for array, _, _ in step.stores}
    listed = ", ".join(_argument(each, each in stored) for each in routine.arguments)
    return "\n".join([f"define {private}{kind} @{routine.name}({listed}) nounwind {{", *head, *lines, *last, "}"])


def _argument(name: str, stored: bool) -> str:
    if name in SCALARS:
        return f"ptr noalias readonly %at_{name}"
    return f"ptr noalias {'' if stored else 'readonly '}%{name}"


def _parts(routine: Routine) -> str:
    """A routine made of parts: all are called, and their answers joined."""
    listed = ", ".join(f"ptr %{each}" for each in routine.arguments)
    lines = [f"define i32 @{routine.name}({listed}) nounwind {{", "  %all0 = or i32 0, 0"]
    for index, part in enumerate(routine.parts):
        lines.append(f"  %r{index} = call i32 @{part.name}({listed})")
        lines.append(f"  %all{index + 1} = or i32 %all{index}, %r{index}")
    return "\n".join([*lines, f"  ret i32 %all{len(routine.parts)}", "}"])


def _act(count: int) -> str:
    cases = " ".join(f"i32 {index}, label %act{index}" for index in range(count))
    lines = [
        "define void @act(i32 %index, ptr %amount, ptr %t, ptr noalias %y, ptr noalias %p) nounwind {",
        f"  switch i32 %index, label %none [{cases}]",
    ]
    for index in range(count):
        call = f"  call void @act_{index}(ptr %amount, ptr %t, ptr %y, ptr %p)"
        lines += [f"act{index}:", call, "  ret void"]
    return "\n".join([*lines, "none:", "  ret void", "}"])
