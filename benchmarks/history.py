"""`python -m benchmarks.history`: the stored measurements over commits, as one plot.

`python -m benchmarks.history --add benchmark-peers/data.json` stores a measurement first.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from benchmarks.compare import OWN
from benchmarks.peers.report import ENSEMBLES, TITLES, costs

__all__ = ["add", "stored"]

FOLDER = Path(__file__).resolve().parent / "measured"


def stored() -> list[dict[str, Any]]:
    """All stored measurements, oldest first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")]
    return sorted(found, key=lambda each: each["made"])


def add(data: dict[str, Any]) -> Path:
    """Stores a measurement under its day and commit."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{data['made'][:10]}-{data['commit'].rstrip('+') or 'unknown'}.json"
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return path


def draw(measurements: list[dict[str, Any]], path: Path) -> None:
    """Cost at equal error over commits: isletsim and the best peer, a panel a problem."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = [(kind, name) for kind in ("single", "ensemble") for name in TITLES]
    figure, axes = plt.subplots(2, len(TITLES), figsize=(4.2 * len(TITLES), 6.5), sharex=True, layout="constrained")
    labels = [f"{each['commit']}\n{each['made'][5:10]}" for each in measurements]
    for (kind, name), axis in zip(panels, axes.flat, strict=True):
        rows: dict[str, list[float]] = {}
        for each in measurements:
            known = costs(each, kind, name) if name in each.get(kind, {}) else {}
            plain = {row: cost for row, (cost, _) in known.items() if not math.isnan(cost)}
            best = min((cost for row, cost in plain.items() if row not in OWN), default=math.nan)
            for row, cost in {**{own: plain.get(own, math.nan) for own in OWN}, "best peer": best}.items():
                rows.setdefault(row, []).append(1e3 * cost)
        for row, values in rows.items():
            axis.plot(labels, values, marker="o", label=row, color="black" if row in OWN else "C1")
        axis.set_yscale("log")
        axis.set_title((TITLES if kind == "single" else ENSEMBLES)[name], fontsize=8)
        axis.tick_params(axis="x", labelsize=7)
    axes[0, 0].set_ylabel("CPU ms a run at equal error")
    axes[1, 0].set_ylabel("CPU ms a subject at equal error")
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    ask = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    ask.add_argument("--add", type=Path, help="a data.json of `python -m benchmarks.peers` to be stored first")
    ask.add_argument("-o", "--output", type=Path, default=Path("benchmark-history.png"))
    chosen = ask.parse_args()
    if chosen.add:
        print(add(json.loads(chosen.add.read_text(encoding="utf-8"))))
    draw(stored(), chosen.output)
    print(chosen.output)


if __name__ == "__main__":
    main()
