"""Elementary functions of one subject side by side: those of a routine that do not wait for each other share a vector.

A function of eight numbers takes hardly longer than one of a single number. So the functions of one name whose
operands need equally many functions before them are computed together, up to eight at once.
"""

from __future__ import annotations

from isletsim.codegen.elementary import inlined
from isletsim.codegen.fewer_divisions import live
from isletsim.codegen.native import LANES
from isletsim.codegen.routine import Routine
from isletsim.codegen.tape import arguments_of

__all__ = ["PACKED", "far_pack_text", "pack_text", "packs_of"]

PACKED = frozenset({"exp", "log", "log1p", "tanh", "pow", "sin", "cos"})

Pack = tuple[int, ...]


def packs_of(routine: Routine) -> dict[int, Pack]:
    """For every packed instruction of a routine, all instructions of its pack."""
    code = routine.tape.code
    depth: dict[int, int] = {}
    alike: dict[tuple[str, int], list[int]] = {}
    for place in _in_order(routine):
        before = max((depth.get(each, 0) for each in arguments_of(code[place])), default=0)
        operation = code[place][0]
        if operation in PACKED:
            alike.setdefault((operation, before), []).append(place)
            before += 1
        depth[place] = before
    packs: dict[int, Pack] = {}
    for places in alike.values():
        for first in range(0, len(places), LANES):
            pack = tuple(places[first : first + LANES])
            packs |= dict.fromkeys(pack, pack)
    return packs


def _in_order(routine: Routine) -> list[int]:
    """What a routine computes, operands before what reads them."""
    code, needed, ordered = routine.tape.code, set(live(routine)), dict[int, None]()
    stack = sorted(needed, reverse=True)
    while stack:
        place = stack[-1]
        waiting = [each for each in arguments_of(code[place]) if each in needed and each not in ordered]
        if waiting and place not in ordered:
            stack.extend(waiting)
        else:
            ordered.setdefault(stack.pop())
    return list(ordered)


def far_pack_text(operation: str, names: list[str], operands: list[tuple[str, ...]]) -> str:
    """The same where a sine or cosine may go farther than a lane: those two are called."""
    return pack_text(operation, names, operands, called=operation in ("sin", "cos"))


def pack_text(operation: str, names: list[str], operands: list[tuple[str, ...]], called: bool = False) -> str:
    """The instructions that give the named results of one function for several operands."""
    count = len(names)
    if called and count == 1:
        return f"  {names[0]} = call double @own_{operation}(double {operands[0][0]})"
    if count == 1:
        return inlined(operation).format(names[0], *operands[0])
    lanes = 1 << (count - 1).bit_length()
    lines: list[str] = []
    given = [list(each) for each in zip(*operands, strict=True)]
    gathered = [_gathered(lines, f"{names[0]}g{place}_", each, lanes) for place, each in enumerate(given)]
    together = f"{names[0]}all"
    kind = f"<{lanes} x double>"
    if called:
        lines.append(f"  {together} = call {kind} @own_{operation}_{lanes}({kind} {gathered[0]})")
    else:
        lines.append(inlined(operation, lanes).format(together, *gathered))
    lines += [f"  {name} = extractelement {kind} {together}, i32 {lane}" for lane, name in enumerate(names)]
    return "\n".join(lines)


def _gathered(lines: list[str], prefix: str, operands: list[str], lanes: int) -> str:
    """A vector of the operands, filled up with the last: pairs, pairs of pairs, ..."""
    vectors: list[str] = []
    for first in range(0, len(operands), 2):
        name, last = f"{prefix}{first}", min(first + 1, len(operands) - 1)
        lines.append(f"  {name}a = insertelement <2 x double> poison, double {operands[first]}, i32 0")
        lines.append(f"  {name} = insertelement <2 x double> {name}a, double {operands[last]}, i32 1")
        vectors.append(name)
    size = 2
    while size < lanes:
        vectors += vectors[-1:] * (len(vectors) % 2)
        chosen = ", ".join(f"i32 {each}" for each in range(2 * size))
        for place in range(0, len(vectors), 2):
            name, (low, high), kind = f"{prefix}{size}_{place}", vectors[place : place + 2], f"<{size} x double>"
            lines.append(f"  {name} = shufflevector {kind} {low}, {kind} {high}, <{2 * size} x i32> <{chosen}>")
            vectors[place] = name
        vectors = vectors[::2]
        size *= 2
    return vectors[0]
