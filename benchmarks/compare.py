"""`python -m benchmarks.compare old.json new.json`: has isletsim become slower, larger or less accurate?

Costs at equal error are compared, each beside the best peer of its own measurement where the machines differ. A change
counts where it is beyond `LIMIT` and beyond three times the noise of both measurements. Exit 1 when anything is worse.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.report import costs

__all__ = ["Change", "changes"]

LIMIT = 0.10
COLD_LIMIT = 0.25
MEMORY_LIMIT = 0.10
ACCURACY_LIMIT = 2.0  # an error this many times as large is a loss
OWN = ("isletsim", "isletsim solver")


@dataclass(frozen=True)
class Change:
    """A number before and after, and how much of a change is taken for noise (a fraction)."""

    what: str
    old: float
    new: float
    noise: float

    @property
    def ratio(self) -> float:
        """After over before: above 1 is worse."""
        return self.new / self.old

    @property
    def worse(self) -> bool:
        """Beyond noise."""
        return self.ratio > 1.0 + self.noise

    def __str__(self) -> str:
        verdict = "WORSE" if self.worse else "better" if self.ratio < 1.0 / (1.0 + self.noise) else "same"
        return f"{verdict:7}{self.what}: {self.old:.4g} to {self.new:.4g} (x{self.ratio:.2f}, noise {self.noise:.0%})"


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Everything of isletsim that both measurements hold."""
    alike = old["machine"]["processor"] == new["machine"]["processor"]
    for kind in ("single", "file", "ensemble"):
        for name in old.get(kind, {}):
            if name in new.get(kind, {}):
                yield from _costs(old, new, kind, name, alike)
                yield from _errors(old, new, kind, name)
    if alike:
        yield from _cold(old, new)


def _costs(old: dict[str, Any], new: dict[str, Any], kind: str, name: str, alike: bool) -> Iterator[Change]:
    before, after = (_beside_peers(data, kind, name, alike) for data in (old, new))
    for row in OWN:
        if row in before and row in after and not math.isnan(before[row] + after[row]):
            noise = max(LIMIT, 3.0 * max(_spread(old, kind, name, row), _spread(new, kind, name, row)))
            unit = "CPU s" if alike else "of the best peer"
            yield Change(f"{kind} {name}, {row} at equal error, {unit}", before[row], after[row], noise)


def _beside_peers(data: dict[str, Any], kind: str, name: str, alike: bool) -> dict[str, float]:
    known = {row: cost for row, (cost, _) in costs(data, kind, name).items() if not math.isnan(cost)}
    if alike:
        return known
    best = min((cost for row, cost in known.items() if row not in OWN), default=math.nan)
    return {row: cost / best for row, cost in known.items()}


def _spread(data: dict[str, Any], kind: str, name: str, row: str) -> float:
    return max((point["spread"] for point in data[kind][name]["points"].get(row, [])), default=0.0)


def _errors(old: dict[str, Any], new: dict[str, Any], kind: str, name: str) -> Iterator[Change]:
    for row in OWN:
        before, after = (
            {point["rtol"]: point["error"] for point in data[kind][name]["points"].get(row, [])} for data in (old, new)
        )
        for rtol in before.keys() & after.keys():
            if before[rtol] > 0:
                what = f"{kind} {name}, {row}: error at {rtol:g}"
                yield Change(what, before[rtol], after[rtol], ACCURACY_LIMIT - 1.0)


def _cold(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name in old.get("cold", {}).keys() & new.get("cold", {}).keys():
        for row in old["cold"][name].keys() & new["cold"][name].keys():
            if row.startswith("isletsim"):
                before, after = old["cold"][name][row], new["cold"][name][row]
                yield Change(f"cold start {name}, {row}, s", before["seconds"], after["seconds"], COLD_LIMIT)
                yield Change(f"memory {name}, {row}, MB", before["megabytes"], after["megabytes"], MEMORY_LIMIT)


def main() -> int:
    ask = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    ask.add_argument("old", type=Path)
    ask.add_argument("new", type=Path)
    chosen = ask.parse_args()
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (chosen.old, chosen.new))
    found = sorted(changes(old, new), key=lambda change: change.what)
    for change in found:
        print(change)
    if not found:
        print("The two measurements have nothing in common.", file=sys.stderr)
        return 2
    worse = sum(change.worse for change in found)
    print(f"{worse} of {len(found)} worse than before" if worse else f"nothing of {len(found)} is worse than before")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
