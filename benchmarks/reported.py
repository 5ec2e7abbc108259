"""`python -m benchmarks.reported`: is everything that studies report possible, and near every day simulated?

Every study with two clocks is run with a cohort. At every record of every subject in every arm:

- shares of time lie between 0 and 100 %, and time below, in and above range add to 100 %;
- concentrations, masses and doses are not negative;
- with ``--reference``, time in range, severe lows and fasting C-peptide are those of a run in which every day is
  simulated, within 1 point, 0.05 a year and 1 % (plus 20 pmol/L).

The worst value of each kind is printed with its study, arm, subject and day. The exit status is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isletsim import load_scenario
from isletsim.data_files import listing
from isletsim.results import Result

SHARES = ("tir", "time_below_range", "time_far_below_range", "time_above_range", "time_far_above_range")
PARTS = ("tir", "time_below_range", "time_above_range")
SIGNED = ("hba1c",)  # reports that are not looked at for signs: none of today's is negative either
# What a run may miss of every day simulated: absolute, or relative to the value plus a little.
TOLERANCES = {"tir": (1.0, None), "severe_lows": (0.05, None), "cpeptide_fasting": (0.01, 0.02)}


@dataclass(frozen=True)
class Worst:
    """The worst value of one kind: how far it is from what is allowed, in units of what is allowed, and where."""

    kind: str
    size: float
    place: str

    @property
    def met(self) -> bool:
        """Whether it is allowed."""
        return self.size <= 1.0


def _worst(kind: str, excess: np.ndarray, result: Result) -> Worst:
    """The largest of an array (arm, subject, time), in units of what is allowed."""
    if not np.isfinite(excess).any():
        return Worst(kind, 0.0, "")
    arm, subject, row = np.unravel_index(int(np.nanargmax(excess)), excess.shape)
    place = f"{result.scenario}, arm {result.arms[arm].name}, subject {subject}, day {result.time[row]:g}"
    return Worst(kind, float(excess[arm, subject, row]), place)


def possible(result: Result) -> Iterator[Worst]:
    """What is impossible in a result, each kind in units of rounding (1e-9 of its scale)."""
    column = {each.name: result.values[..., index] for index, each in enumerate(result.variables)}
    for name in SHARES:
        if name in column:
            beyond = np.maximum(-column[name], column[name] - 100.0)
            yield _worst(f"{name} beyond 0 to 100 %", beyond / 1e-9, result)
    if all(name in column for name in PARTS):
        total = sum(column[name] for name in PARTS)
        yield _worst("TIR + TBR + TAR away from 100 %", np.abs(total - 100.0) / 1e-9, result)
    for name, values in column.items():
        if name not in SHARES and name not in SIGNED:
            yield _worst(f"{name} below zero", np.where(values < 0, np.inf, 0.0), result)


def compared(default: Result, reference: Result) -> Iterator[Worst]:
    """How far a result is from every day simulated, each kind in units of its tolerance."""
    names = [each.name for each in default.variables]
    for name, (tolerance, little) in TOLERANCES.items():
        if name in names:
            found, exact = (each.values[..., names.index(name)] for each in (default, reference))
            difference = np.abs(found - exact)
            scaled = difference if little is None else difference / (np.abs(exact) + little)
            yield _worst(f"{name} away from every day simulated", scaled / tolerance, default)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studies and print the worst of each kind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reported", description=__doc__)
    parser.add_argument("studies", nargs="*", help="names of scenarios; all with two clocks when not given")
    parser.add_argument("--size", type=int, default=24, help="virtual patients of each cohort")
    parser.add_argument("--reference", action="store_true", help="compare with every day simulated (hours)")
    given = parser.parse_args(arguments)
    worst: dict[str, Worst] = {}
    for name in given.studies or [name for name, _ in listing("scenario")]:
        scenario = load_scenario(name, set={"cohort.size": given.size})
        if scenario.composition.clocks is None:
            continue
        result = scenario.run()
        found = list(possible(result))
        if given.reference:
            found += compared(result, scenario.run(every_day=True))
        print(f"{name}: {len(result.failures)} failures", file=sys.stderr)
        for each in found:
            if each.kind not in worst or each.size > worst[each.kind].size:
                worst[each.kind] = each
    for each in sorted(worst.values(), key=lambda one: -one.size):
        if each.size > 0:
            print(
                f"{'met' if each.met else 'MISSED':6}  {each.kind}: {each.size:.3g} of what is allowed ({each.place})"
            )
    print(f"{sum(each.met for each in worst.values())} of {len(worst)} kinds of values are as they should be")
    return 0 if all(each.met for each in worst.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
