"""Fewer divisions: each takes as long as several products, in the lanes ten, whatever stands beside it.

Three rewritings, none of which changes a value by more than a few roundings: a denominator of parameters only becomes a
product with its reciprocal, which `prepare` has computed; a denominator that stands under several numerators is
inverted once; and a chain such as a / b * c / d becomes (a c) / (b d). The last two are for the lanes alone: they may
overflow where the division itself does not, which the scalar path must not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from isletsim.codegen.program import Program
from isletsim.codegen.routine import HOT, Routine, Step
from isletsim.codegen.tape import PARAMETER, Tape, arguments_of

__all__ = ["live", "with_fewer_divisions", "with_reciprocals"]


def with_reciprocals(program: Program) -> Program:
    """The same program with reciprocals of parameters in `p`, and products with them where it divided."""
    known = {routine.name: routine for routine in program.routines}
    prepare, rhs = known["prepare"], known["rhs"]
    tape, hoisted = rhs.tape.copy(), dict(rhs.hoisted)
    stores = list(prepare.steps[0].stores)
    for name in HOT:
        for place in live(known[name]):
            operation, *operands = tape.code[place]
            if operation == "div" and tape.depends[operands[1]] == PARAMETER:
                inverse = tape.div(tape.one, operands[1])
                if inverse not in hoisted:
                    hoisted[inverse] = program.width + len(hoisted) - len(rhs.hoisted)
                    stores.append(("p", hoisted[inverse], inverse))
    known["prepare"] = replace(prepare, tape=tape, steps=(Step(stores=tuple(stores)),))
    for name in HOT:
        routine = known[name] = replace(known[name], tape=tape.copy(), hoisted=hoisted)
        for place in live(routine):
            operation, *operands = routine.tape.code[place]
            if operation == "div" and tape.depends[operands[1]] in (0, PARAMETER):
                inverse = routine.tape.div(tape.one, operands[1])
                routine.tape.code[place] = ("mul", operands[0], inverse)
    width = program.width + len(hoisted) - len(rhs.hoisted)
    return replace(program, routines=tuple(known.values()), width=width)


def with_fewer_divisions(program: Program) -> Program:
    """The same program with a few more values in `p` and as few divisions as possible in what runs all the time."""
    program = with_reciprocals(program)
    routines = [_rewritten(each) if each.name in HOT else each for each in program.routines]
    return replace(program, routines=tuple(routines))


def _roots(routine: Routine) -> Iterable[int]:
    return [place for step in routine.steps for _, _, place in step.stores]


def live(routine: Routine) -> list[int]:
    """The instructions that a routine computes, in the order of the tape."""
    code, seen = routine.tape.code, set[int]()
    stack = list(_roots(routine))
    while stack:
        place = stack.pop()
        if place not in seen and place not in routine.hoisted:
            seen.add(place)
            stack.extend(arguments_of(code[place]))
    return sorted(seen)


def _rewritten(routine: Routine) -> Routine:
    tape = routine.tape
    divisions = [place for place in live(routine) if tape.code[place][0] == "div"]
    under = Counter(tape.code[place][2] for place in divisions)
    for place in divisions:
        _, numerator, denominator = tape.code[place]
        if under[denominator] > 1 and numerator != tape.one:
            tape.code[place] = ("mul", numerator, tape.div(tape.one, denominator))
    _join_chains(routine)
    return routine


def _join_chains(routine: Routine) -> None:
    """Products and quotients that are used once only become one quotient, where that saves a division."""
    tape = routine.tape
    alive, stored = live(routine), set(_roots(routine))
    uses = Counter(each for place in alive for each in arguments_of(tape.code[place]))
    uses.update(_roots(routine))
    chained = {
        place for place in alive if tape.code[place][0] in ("mul", "div") and uses[place] == 1 and place not in stored
    }
    inside = {
        each
        for place in alive
        if tape.code[place][0] in ("mul", "div")
        for each in arguments_of(tape.code[place])
        if each in chained
    }
    for place in alive:
        if tape.code[place][0] not in ("mul", "div") or place in inside:
            continue
        above: list[int] = []
        below: list[int] = []
        if _factors(tape, place, inside, above, below) > 1:
            tape.code[place] = ("div", _product(tape, above), _product(tape, below))


def _factors(tape: Tape, place: int, inside: set[int], above: list[int], below: list[int]) -> int:
    """Collects what is multiplied and what is divided by; returns how many divisions that took."""
    operation, a, b = tape.code[place]
    count = 1 if operation == "div" else 0
    for operand, over, under in ((a, above, below), (b, above, below) if operation == "mul" else (b, below, above)):
        if operand in inside:
            count += _factors(tape, operand, inside, over, under)
        else:
            over.append(operand)
    return count


def _product(tape: Tape, factors: list[int]) -> int:
    total = tape.one
    for factor in factors:
        total = tape.mul(total, factor)
    return total
