"""Products that are only added to something become one instruction with it, of one rounding."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from isletsim.codegen.fewer_divisions import live
from isletsim.codegen.routine import Routine
from isletsim.codegen.tape import arguments_of

__all__ = ["joined"]


def joined(routine: Routine) -> Routine:
    """The routine with ``fma`` (a, b, c: a b + c) in place of sums and differences with a product of their own."""
    tape = routine.tape.copy()
    alive = live(routine)
    uses = Counter(each for place in alive for each in arguments_of(tape.code[place]))
    stored = {place for step in routine.steps for _, _, place in step.stores}

    def own(place: int) -> bool:
        single = tape.code[place][0] == "mul" and uses[place] == 1
        return single and place not in stored and place not in routine.hoisted

    for place in alive:
        operation, *operands = tape.code[place]
        if operation not in ("add", "sub"):
            continue
        a, b = operands
        if own(b):
            _, x, y = tape.code[b]
            tape.code[place] = ("fma", x if operation == "add" else tape.neg(x), y, a)
        elif own(a):
            _, x, y = tape.code[a]
            tape.code[place] = ("fma", x, y, b if operation == "add" else tape.neg(b))
    return replace(routine, tape=tape)
