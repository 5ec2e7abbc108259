"""The lane flavour of the emitter: the same routines for eight subjects side by side, as vector LLVM IR.

Element k of an array is a vector, one number a lane; so are the time, d and the amount of an action, which come as
addresses too. Nothing crosses from lane to lane. Some routines differ from the scalar flavour, for the stepping loop:
`rhs` adds its result to `dy`; `jac` leaves out explicit time derivatives that vanish, and writes behind the others the
derivatives themselves, whose common terms cost nothing there; `factor` answers with one bit a lane, set where a pivot
is too small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from isletsim.compiler.block import SMALLEST_PIVOT
from isletsim.compiler.division import live, with_fewer_divisions
from isletsim.compiler.elementary import INTRINSICS, LANES, OWN, VECTOR, elementary, inlined, splat
from isletsim.compiler.emit import SCALARS, Dialect, block_sizes, body, table_text
from isletsim.compiler.lane_block import LANE_BLOCK
from isletsim.compiler.native import LIBRARY
from isletsim.compiler.program import Program
from isletsim.compiler.routine import HOT, Routine, Step, Store

__all__ = ["LANE_FUNCTIONS", "LaneProgram", "lane_program"]

# What the stepping loop of the lanes calls.
LANE_FUNCTIONS = ("prepare", "start", "rhs", "jac", "factor", "solve", "observe", "act")

TRUTHS = f"<{LANES} x i1>"
_TRUE = f"<{', '.join(['i1 true'] * LANES)}>"
_PLACE = "  {0}a = getelementptr " + VECTOR + ", ptr %{1}, i64 {2}\n"
_STORED = "  %s{3} = getelementptr " + VECTOR + ", ptr %{0}, i64 {1}\n"

LANE = Dialect(
    operations={
        "add": f"  {{0}} = fadd contract {VECTOR} {{1}}, {{2}}",
        "sub": f"  {{0}} = fsub contract {VECTOR} {{1}}, {{2}}",
        "mul": f"  {{0}} = fmul contract {VECTOR} {{1}}, {{2}}",
        "div": f"  {{0}} = fdiv {VECTOR} {{1}}, {{2}}",
        "neg": f"  {{0}} = fneg {VECTOR} {{1}}",
        "pow": f"  {{0}} = call {VECTOR} @own_pow({VECTOR} {{1}}, {VECTOR} {{2}})",
        "abs": f"  {{0}} = call {VECTOR} @llvm.fabs.v{LANES}f64({VECTOR} {{1}})",
        "floor": f"  {{0}} = call {VECTOR} @llvm.floor.v{LANES}f64({VECTOR} {{1}})",
        "sqrt": f"  {{0}} = call {VECTOR} @llvm.sqrt.v{LANES}f64({VECTOR} {{1}})",
        "select": f"  {{0}} = select {TRUTHS} {{1}}, {VECTOR} {{2}}, {VECTOR} {{3}}",
        "less": f"  {{0}} = fcmp olt {VECTOR} {{1}}, {{2}}",
        "less_equal": f"  {{0}} = fcmp ole {VECTOR} {{1}}, {{2}}",
        "equal": f"  {{0}} = fcmp oeq {VECTOR} {{1}}, {{2}}",
        "and": f"  {{0}} = and {TRUTHS} {{1}}, {{2}}",
        "or": f"  {{0}} = or {TRUTHS} {{1}}, {{2}}",
        "not": f"  {{0}} = xor {TRUTHS} {{1}}, {_TRUE}",
        "value": f"  {{0}} = call {VECTOR} @lanes_value_{{1}}({VECTOR} {{2}})",
        "slope": f"  {{0}} = call {VECTOR} @lanes_slope_{{1}}({VECTOR} {{2}})",
        "block_clear": f"  {{0}}p = getelementptr {VECTOR}, ptr %LU, i64 {{1}}\n"
        f"  {{0}} = call {TRUTHS} @block_clear(ptr {{0}}p, i64 {{2}}, i64 {{3}})",
        "block_factor": f"  {{0}}p = getelementptr {VECTOR}, ptr %LU, i64 {{1}}\n"
        f"  {{0}} = call {TRUTHS} @block_factor(ptr {{0}}p, i64 {{2}}, i64 {{3}}, ptr @sizes)",
        "block_solve": f"  {{0}}p = getelementptr {VECTOR}, ptr %LU, i64 {{1}}\n"
        f"  {{0}} = call {TRUTHS} @block_solve(ptr {{0}}p, ptr %x, i64 {{2}}, i64 {{3}})",
    }
    | {name: f"  {{0}} = call {VECTOR} @own_{name}({VECTOR} {{1}})" for name in OWN if name != "pow"}
    | {name: f"  {{0}} = call {VECTOR} @lanes_{name}({VECTOR} {{1}})" for name in LIBRARY if name not in OWN},
    number=splat,
    name="%v{0}",
    scalar="%{0}",
    load=_PLACE + "  {0} = load " + VECTOR + ", ptr {0}a, align 64",
    store=_STORED + "  store " + VECTOR + " {2}, ptr %s{3}, align 64",
    truth=f"  {{0}} = fcmp une {VECTOR} {{1}}, zeroinitializer",
    constants=(_TRUE, "zeroinitializer"),
)

# What runs all the time has the instructions of elementary functions inside: a call would save all registers.
_HOT = replace(LANE, operations=LANE.operations | {name: inlined(name, LANES) for name in OWN})

_ADDING = replace(
    _HOT,
    store=f"{_STORED}  %o{{3}} = load {VECTOR}, ptr %s{{3}}, align 64\n"
    f"  %n{{3}} = fadd contract {VECTOR} %o{{3}}, {{2}}\n  store {VECTOR} %n{{3}}, ptr %s{{3}}, align 64",
)


@dataclass(frozen=True)
class LaneProgram:
    """A program for lanes: its LLVM IR and the length of `p`.

    `timed` are the states whose derivative depends on time itself, `seen` those that outputs depend on.
    """

    text: str
    width: int
    timed: tuple[int, ...]
    seen: tuple[int, ...]


def lane_program(program: Program) -> LaneProgram:
    """A program as a module of LLVM IR for eight lanes; it needs `factor` and `solve`."""
    known = {routine.name: routine for routine in program.routines}
    count, nonzeros = len(known["rhs"].steps[0].stores), len(program.rows)
    stores = known["jac"].steps[0].stores
    kept = [store for store in stores if store[1] < nonzeros or store[2] != known["jac"].tape.zero]
    known["jac"] = _linearisation(known["jac"], kept, known["rhs"], nonzeros + count)
    program = with_fewer_divisions(replace(program, routines=tuple(known.values())))
    timed = tuple(index - nonzeros for _, index, _ in kept if index >= nonzeros)
    return LaneProgram(_text(program), program.width, timed, _seen(program))


def _seen(program: Program) -> tuple[int, ...]:
    observe = next(routine for routine in program.routines if routine.name == "observe")
    code = observe.tape.code
    loads = {code[place][1:3] for place in live(observe) if code[place][0] == "load"}
    return tuple(sorted(index for array, index in loads if array == "y"))


def _text(program: Program) -> str:
    known = {routine.name: routine for routine in program.routines}
    chosen = [known[name] for name in LANE_FUNCTIONS if name != "act"]
    functions = [_function(routine) for routine in (*chosen, *program.actions)]
    functions.append(_act(len(program.actions)))
    sizes = block_sizes(program.routines)
    if sizes:
        listed = ", ".join(f"{VECTOR} {splat(each)}" for each in sizes)
        functions.append(f"@sizes = private constant [{len(sizes)} x {VECTOR}] [{listed}]")
        functions.append(LANE_BLOCK.replace("SMALLEST", splat(SMALLEST_PIVOT)))
    text = "\n".join(functions)
    return "\n".join([*_declarations(text), *table_text(program), *_helpers(program, text), text]) + "\n"


def _linearisation(jac: Routine, kept: Sequence[Store], rhs: Routine, first: int) -> Routine:
    """The Jacobian, and from the place `first` on the derivatives."""
    more = [("J", first + index, place) for _, index, place in rhs.steps[0].stores]
    return replace(jac, steps=(Step(stores=(*kept, *more)),))


def _declarations(text: str) -> Iterator[str]:
    for name, count in INTRINSICS:
        yield f"declare {VECTOR} @llvm.{name}.v{LANES}f64({', '.join([VECTOR] * count)})"
    for name in LIBRARY:
        if f"@lanes_{name}(" in text:
            yield f"declare double @{name}(double) nounwind memory(none)"


def _helpers(program: Program, text: str) -> Iterator[str]:
    """The functions that the routines call: our own, and those that take the lanes one by one."""
    yield from (elementary(name) for name in OWN if f"@own_{name}(" in text)
    singles = [name for name in LIBRARY if name not in OWN]
    singles += [f"{kind}_{index}" for index in range(len(program.tables)) for kind in ("value", "slope")]
    for name in singles:
        if f"@lanes_{name}(" in text:
            yield _lane_by_lane(name)


def _lane_by_lane(name: str) -> str:
    lines = [f"define private {VECTOR} @lanes_{name}({VECTOR} %x) nounwind {{"]
    total = "poison"
    for lane in range(LANES):
        lines.append(f"  %a{lane} = extractelement {VECTOR} %x, i32 {lane}")
        lines.append(f"  %b{lane} = call double @{name}(double %a{lane})")
        lines.append(f"  %c{lane} = insertelement {VECTOR} {total}, double %b{lane}, i32 {lane}")
        total = f"%c{lane}"
    return "\n".join([*lines, f"  ret {VECTOR} {total}", "}"])


def _function(routine: Routine) -> str:
    if routine.parts:
        return "\n".join([*map(_function, routine.parts), _parts(routine)])
    lines, written = body(routine, _ADDING if routine.name == "rhs" else _HOT if routine.name in HOT else LANE)
    head = []
    if routine.scratch:
        head.append(f"  %x = alloca [{routine.scratch} x {VECTOR}], align 64")
    numbers = [each for each in routine.arguments if each in SCALARS]
    head += [f"  %{each} = load {VECTOR}, ptr %at_{each}, align 64" for each in numbers]
    if routine.check is None:
        kind, last = "void", ["  ret void"]
    else:
        kind = "i32"
        last = [f"  %good = bitcast {TRUTHS} {written[routine.check]} to i{LANES}"]
        last += [f"  %small = xor i{LANES} %good, -1", f"  %bad = zext i{LANES} %small to i32", "  ret i32 %bad"]
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
