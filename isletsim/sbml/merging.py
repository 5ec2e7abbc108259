"""Merge of the fast and the slow subsystem into one flat model, in which every day is simulated.

What the life reads of the day is kept and revised every day: a mean or a share of the time when the day ends, from an
integral over it; a value at a time of day at that time. The highest and lowest value are looked for twelve times an
hour. So the life reads the day before, which is the same up to one day's change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from isletsim.composition import Composition
from isletsim.composition.stack import Summary
from isletsim.dosing import Dose
from isletsim.errors import Fault, InputError
from isletsim.flat import AMOUNT, FlatModel
from isletsim.language import Name, Number, Tree, apply
from isletsim.sbml.algebra import renamed
from isletsim.sbml.exchange import CLOCK
from isletsim.units import PURE, Dimension, times

__all__ = ["Daily", "Merged", "every_day", "merge"]

SECONDS = 86_400  # of a day
LOOKS = 288  # a day, for the highest and lowest value
NIGHT, FIRST = 1_000_000, 900_000  # ranks: the end of a day comes before everything else of that instant


@dataclass(frozen=True)
class Daily:
    """What happens every so often (days), from a first time on; higher ranks come first. Targets are flat names."""

    name: str
    first: float
    every: float
    rank: int
    assignments: tuple[tuple[str, Tree], ...]


@dataclass(frozen=True)
class Merged:
    """One flat model, dimensions and beginnings of what is new in it, and what happens every day."""

    flat: FlatModel
    dimensions: Mapping[str, Dimension]
    begins: Mapping[str, float]
    daily: tuple[Daily, ...]


def merge(composition: Composition, summaries: Mapping[str, float], known: Mapping[str, float]) -> Merged:
    """The two clocks of a composition in one.

    Parameters
    ----------
    summaries : what the life has read of the day before, by name.
    known : parameters and derived values by name; the limits of summaries are among them.
    """
    flat, clocks = composition.flat, composition.clocks
    assert clocks is not None
    dimensions: dict[str, Dimension] = {}
    states: dict[str, Tree] = {}
    begins: dict[str, float] = {}
    night: list[tuple[str, Tree]] = []
    daily: list[Daily] = []
    held: dict[str, float] = {}
    for name, summary in zip(clocks.up, clocks.summaries, strict=True):
        own = _dimension(composition, summary)
        dimensions[name] = own
        held[name] = summaries[name]
        if summary.kind in ("mean", "fraction"):
            # The integral begins a day with the day before: from nothing, no tolerance of a solver would fit it.
            integral = f"integral of {name}"
            dimensions[integral] = times(own, CLOCK)
            states[integral] = _integrand(summary)
            begins[integral] = summaries[name]
            before = apply("multiply", Name(name), Name(ONE_DAY))
            mean = apply("subtract", apply("divide", Name(integral), Name(ONE_DAY)), Name(name))
            night += [(name, mean), (integral, apply("subtract", Name(integral), before))]
        elif summary.kind == "at":
            moment = _instant(known[summary.limits[0]] % 1.0)
            daily.append(Daily(name, moment or 1.0, 1.0, FIRST + 1, ((name, Name(summary.of)),)))
        else:
            sought = f"so far: {name}"
            dimensions[sought] = own
            held[sought] = summaries[name]
            found = apply(summary.kind, Name(sought), Name(summary.of))
            daily.append(Daily(f"look for {name}", 1.0 / LOOKS, 1.0 / LOOKS, NIGHT + 1, ((sought, found),)))
            night += [(name, Name(sought)), (sought, Name(summary.of))]
    if night:
        daily.insert(0, Daily("midnight", 1.0, 1.0, NIGHT, tuple(night)))
    dimensions[ONE_DAY] = CLOCK
    merged = replace(
        flat,
        states=(*flat.states, *states),
        derivatives=(*flat.derivatives, *states.values()),
        algebraic=(*flat.algebraic, *(False for _ in states)),
        start=(*flat.start, *(Number(begins[each]) for each in states)),
        scale=(*flat.scale, *(1.0 for _ in states)),
        parameters=(*flat.parameters, *held, ONE_DAY),
        values=(*flat.values, *held.values(), 1.0),
    )
    return Merged(merged, dimensions, begins, tuple(daily))


ONE_DAY = "one day"


def _dimension(composition: Composition, summary: Summary) -> Dimension:
    if summary.kind == "fraction":
        return PURE
    return composition.symbols[summary.of].unit.dimension


def _integrand(summary: Summary) -> Tree:
    if summary.kind == "mean":
        return Name(summary.of)
    low, high = (Name(name) for name in summary.limits)
    inside = apply("and", apply("less_equal", low, Name(summary.of)), apply("less_equal", Name(summary.of), high))
    return apply("where", inside, Number(1.0), Number(0.0))


def every_day(composition: Composition, doses: Sequence[Dose]) -> tuple[Daily, ...]:
    """What every day of a patient brings: meals and boluses, each with the held values it revises."""
    flat = composition.flat
    found: list[Daily] = []
    for number, dose in enumerate(doses):
        port = composition.ports[dose.port]
        if dose.over:
            raise InputError(Fault("[[day]]", f"{dose.port}: an infusion of every day is not exported."))
        amounts = [(port.multiply, 0.0), (port.add, dose.amount)]
        amounts += [(action, 0.0) for action in composition.after_port.get(dose.port, ())]
        for step, (action, amount) in enumerate(amounts):
            if action >= 0:
                given = {AMOUNT: Number(amount)}
                listed = tuple((target, renamed(tree, given)) for target, tree in flat.actions[action].assignments)
                rank = FIRST - 10 * number - step
                found.append(Daily(flat.actions[action].name, _instant(dose.time), 1.0, rank, listed))
    return tuple(found)


def _instant(time: float) -> float:
    """A time of day to a millisecond: what is meant for one instant is not one rounding apart.

    COPASI loses an event that is due so soon after another.
    """
    return round(time * SECONDS, 3) / SECONDS
