"""The emitter: one walk over a routine, written as LLVM IR to run and as NumPy to read and to check against.

A `Dialect` says how each operation of the tape is written; the walk knows nothing of the language it writes. Names in
the written code are our own (`v12`, `y`, `p`): no text of a user ever stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from isletsim.codegen.dense_block import NUMPY_BLOCK, SMALLEST_PIVOT
from isletsim.codegen.elementary import OWN, number
from isletsim.codegen.fuse_multiply_add import joined
from isletsim.codegen.native import LIBRARY
from isletsim.codegen.program import Program
from isletsim.codegen.routine import Routine
from isletsim.codegen.simd_math import packs_of
from isletsim.codegen.tables import LLVM_TABLE, NUMPY_TABLE, slopes
from isletsim.codegen.tape import BLOCKS, TRUTHS, arguments_of

__all__ = [
    "NUMPY",
    "SCALARS",
    "Dialect",
    "block_sizes",
    "body",
    "numpy_text",
    "table_text",
]

SCALARS = ("t", "d", "amount")  # arguments that are numbers; all others are arrays


@dataclass(frozen=True)
class Dialect:
    """How operations are written: templates with {0} for the result and {1}, {2}, {3} for operands.

    `name` writes the name of a value from its number on the tape, `scalar` the name of an argument.
    """

    operations: dict[str, str]
    number: Callable[[float], str]
    name: str
    scalar: str
    load: str  # result, array, index
    store: str  # array, index, value, a serial number
    truth: str  # a truth from a number that is 1 or 0
    constants: tuple[str, str]  # true and false
    packs: Callable[[str, list[str], list[tuple[str, ...]]], str] | None = None  # functions side by side


def body(routine: Routine, dialect: Dialect) -> tuple[list[str], dict[int, str]]:
    """The lines of a routine, and how every value that it computes is called."""
    lines: list[str] = []
    written: dict[int, str] = {}
    serial = 0
    packs = packs_of(routine) if dialect.packs is not None else {}
    if "fma" in dialect.operations:
        routine = joined(routine)
    for step in routine.steps:
        for place in step.first:
            _value(routine, dialect, place, lines, written, packs)
        for array, index, place in step.stores:
            text = _value(routine, dialect, place, lines, written, packs)
            lines.append(dialect.store.format(array, index, text, serial))
            serial += 1
    if routine.check is not None:
        _value(routine, dialect, routine.check, lines, written, packs)
    return lines, written


def _value(
    routine: Routine,
    dialect: Dialect,
    root: int,
    lines: list[str],
    written: dict[int, str],
    packs: Mapping[int, tuple[int, ...]],
) -> str:
    """The text of a value, after the lines that compute it: operands first, each once."""
    code, hoisted = routine.tape.code, routine.hoisted
    stack = [root]
    while stack:
        place = stack[-1]
        if place in written:
            stack.pop()
            continue
        instruction = code[place]
        operation = instruction[0]
        if operation == "number":
            written[place] = dialect.number(instruction[1])
        elif operation == "scalar":
            written[place] = dialect.scalar.format(instruction[1])
        elif operation in ("true", "false"):
            written[place] = dialect.constants[operation == "false"]
        elif operation == "load" or place in hoisted:
            name = written[place] = dialect.name.format(place)
            array, index = instruction[1:3] if operation == "load" else ("p", hoisted[place])
            if operation in TRUTHS:
                lines.append(dialect.load.format(name + "n", array, index))
                lines.append(dialect.truth.format(name, name + "n"))
            else:
                lines.append(dialect.load.format(name, array, index))
        else:
            pack = packs.get(place, (place,))
            waiting = [each for one in pack for each in arguments_of(code[one]) if each not in written]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            if place in packs:
                names = [dialect.name.format(one) for one in pack]
                given = [tuple(written[each] for each in code[one][1:]) for one in pack]
                lines.append(dialect.packs(operation, names, given))  # type: ignore[misc]
                written |= zip(pack, names, strict=True)
                continue
            name = dialect.name.format(place)
            if operation in ("value", "slope"):
                operands = [instruction[1], written[instruction[2]]]
            elif operation in BLOCKS:
                operands = list(instruction[1:])
            else:
                operands = [written[each] for each in instruction[1:]]
            lines.append(dialect.operations[operation].format(name, *operands))
            written[place] = name
        stack.pop()
    return written[root]


# LLVM IR


def table_text(program: Program) -> Iterator[str]:
    """The data that routines interpolate, with the functions that do it."""
    for index, (abscissae, ordinates) in enumerate(program.tables):
        row = [
            ", ".join(f"double {number(each)}" for each in values)
            for values in (abscissae, ordinates, slopes(abscissae, ordinates))
        ]
        count = len(abscissae)
        yield LLVM_TABLE.format(k=index, n=count, last=count - 1, xs=row[0], ys=row[1], ss=row[2])


def block_sizes(routines: Sequence[Routine]) -> tuple[float, ...]:
    """The sizes by which the dense block judges its pivots; empty where there is no block."""
    parts = [part for routine in routines for part in routine.parts]
    return next((part.sizes for part in parts if part.sizes), ())


# NumPy


def _python_number(value: float) -> str:
    text = repr(value)
    return f"np.{text.lstrip('-')}" if text in ("inf", "nan") else "-np.inf" if text == "-inf" else text


def _python_array(values: Sequence[float]) -> str:
    return f"np.array([{', '.join(_python_number(each) for each in values)}])"


NUMPY = Dialect(
    operations={
        "add": "    {0} = {1} + {2}",
        "sub": "    {0} = {1} - {2}",
        "mul": "    {0} = {1} * {2}",
        "div": "    {0} = {1} / {2}",
        "neg": "    {0} = -{1}",
        "pow": "    {0} = np.power({1}, {2})",
        "abs": "    {0} = np.abs({1})",
        "select": "    {0} = np.where({1}, {2}, {3})",
        "less": "    {0} = np.less({1}, {2})",
        "less_equal": "    {0} = np.less_equal({1}, {2})",
        "equal": "    {0} = np.equal({1}, {2})",
        "and": "    {0} = np.logical_and({1}, {2})",
        "or": "    {0} = np.logical_or({1}, {2})",
        "not": "    {0} = np.logical_not({1})",
        "value": "    {0} = value({2}, X{1}, Y{1}, S{1})",
        "slope": "    {0} = slope({2}, X{1}, S{1})",
        "block_clear": "    {0} = block_clear(LU[{1}:], {2}, {3})",
        "block_factor": "    {0} = block_factor(LU[{1}:], {2}, {3}, SIZES)",
        "block_solve": "    {0} = block_solve(LU[{1}:], x, {2}, {3})",
    }
    | {name: f"    {{0}} = np.{name}({{1}})" for name in {*OWN, *LIBRARY, "floor", "sqrt"} - {"pow"}},
    number=_python_number,
    name="v{0}",
    scalar="{0}",
    load="    {0} = {1}[{2}]",
    store="    {0}[{1}] = {2}",
    truth="    {0} = np.not_equal({1}, 0.0)",
    constants=("True", "False"),
)


def numpy_text(program: Program, titles: Mapping[str, str] | None = None) -> str:
    """The same program as a module of plain NumPy.

    `titles` gives comments for elements of arrays (`y[0]`) and for values (`v12`); code to be executed is written
    without any.
    """
    parts = ["import numpy as np"]
    if program.tables:
        parts.append(NUMPY_TABLE.rstrip("\n") + "\n\n")
    for index, (abscissae, ordinates) in enumerate(program.tables):
        for letter, values in (("X", abscissae), ("Y", ordinates), ("S", slopes(abscissae, ordinates))):
            parts.append(f"{letter}{index} = {_python_array(values)}")
    sizes = block_sizes(program.routines)
    if sizes:
        parts += [NUMPY_BLOCK.replace("SMALLEST", repr(SMALLEST_PIVOT)), f"\nSIZES = {_python_array(sizes)}"]
    for routine in (*program.routines, *program.actions):
        # The factorisation numbers its values anew.
        known = titles if titles and routine.tape is program.routines[0].tape else {}
        parts.append(_numpy_function(routine, known))
    chosen = f"[{', '.join(routine.name for routine in program.actions)}][index](amount, t, y, p)"
    parts.append(f"\n\ndef act(index, amount, t, y, p):\n    {chosen if program.actions else 'pass'}")
    return "\n".join(parts) + "\n"


def _numpy_function(routine: Routine, titles: Mapping[str, str]) -> str:
    arguments = ", ".join(routine.arguments)
    head = f"\n\ndef {routine.name}({arguments}):"
    if routine.parts:
        calls = " | ".join(f"{part.name}({arguments})" for part in routine.parts)
        return "\n".join([*(_numpy_function(part, titles) for part in routine.parts), head, f"    return {calls}"])
    lines, written = body(routine, NUMPY)
    if routine.check is not None:
        lines.append(f"    return 0 if {written[routine.check]} else 1")
    if routine.scratch:
        lines.insert(0, f"    x = np.zeros({routine.scratch})")
    lines = [_titled(line, titles) for line in lines]
    return "\n".join([head, *(lines or ["    pass"])])


def _titled(line: str, titles: Mapping[str, str]) -> str:
    """A line with the name of what it reads, computes or stores."""
    left, _, right = line.strip().partition(" = ")
    title = (titles.get(right) if "[" in right else None) or titles.get(left)
    return f"{line}  # {title}" if title else line
