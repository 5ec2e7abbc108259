"""What was measured, as a table, as data, and as work-precision plots."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.measure import EQUAL_ERROR, Point, at_error

__all__ = ["costs", "digest", "table", "write_report"]

TITLES = {
    "topp2000": "topp2000 (3 states, ten years, 3650 records)",
    "invented27": "27 states, ten years, 12 doses, 3650 records",
    "three_meals": "27 states, 90 days of three meals, 2160 records",
}
FILES = {"flagship": "The flagship as SBML: ten days of meals, 252 records"}
ENSEMBLES = {
    "topp2000": "topp2000, an ensemble (121 records of one output)",
    "invented27": "27 states, an ensemble (121 records of one output)",
    "three_meals": "27 states with meals, an ensemble (91 records of one output)",
}


SHORT = {
    ("single", "topp2000"): "topp2000",
    ("single", "invented27"): "27 states",
    ("single", "three_meals"): "with meals",
    ("file", "flagship"): "flagship as SBML",
    ("ensemble", "topp2000"): "topp2000, many",
    ("ensemble", "invented27"): "27 states, many",
    ("ensemble", "three_meals"): "with meals, many",
}
KINDS = (("single", TITLES), ("file", FILES), ("ensemble", ENSEMBLES))


def costs(data: dict[str, Any], kind: str, name: str) -> dict[str, tuple[float, bool]]:
    """CPU seconds of every row at equal error, and whether its points enclose that error; cheapest first."""
    points = data[kind][name]["points"]
    found = {peer: at_error([Point(**each) for each in listed]) for peer, listed in points.items()}
    return dict(sorted(found.items(), key=lambda item: (math.isnan(item[1][0]), item[1][0])))


def table(data: dict[str, Any]) -> str:
    """Everything as Markdown."""
    about = data["machine"]
    day, rounds = data["made"][:10], data["settings"]["rounds"]
    where = f"{about['processor']} ({about['kind']}, {about['vectors']}, {about['cores']} cores), {about['system']}"
    words = (
        f"Measured {day} at commit `{data['commit']}` on {where}, Python {about['python']}. One core, CPU time, median "
        f"of {rounds} interleaved rounds. *At equal error* is the cost at an error of {EQUAL_ERROR:g}, interpolated "
        "between work-precision points (~ where they do not enclose it); *times* is that over isletsim's."
    )
    lines = [words, ""]
    for name, difference in data["reference"].items():
        if difference is not None:
            other = "libRoadRunner's CVODE at 1e-11" if name in FILES else "CVODE at 1e-12"
            lines.append(f"Reference of {name}: rtol 1e-12; {other} differs by {difference:.1e}.")
    for kind, titles in KINDS:
        for name in data.get(kind, {}):
            lines += ["", f"### {titles[name]}", "", *_rows(data, kind, name)]
    lines += ["", "### Cold start: from launch to the first result, wall clock", "", *_cold(data)]
    listed = {package: number for each in data["versions"].values() for package, number in each.items()}
    lines += ["", "Versions: " + ", ".join(f"{package} {number}" for package, number in sorted(listed.items())) + "."]
    for peer, reason in data["absent"].items():
        lines.append(f"Not measured: {peer} ({reason.splitlines()[0]}).")
    return "\n".join(lines) + "\n"


def digest(data: dict[str, Any]) -> str:
    """How many times the cost of isletsim's solver each peer needs at equal error, problem by problem, as Markdown."""
    problems = [(kind, name) for kind, titles in KINDS for name in titles if name in data.get(kind, {})]
    known = {each: costs(data, *each) for each in problems}
    own = {each: found["isletsim" if each[0] == "file" else "isletsim solver"][0] for each, found in known.items()}
    peers = {peer for found in known.values() for peer in found} - {"isletsim", "isletsim solver"}

    def nearest(peer: str) -> float:
        ratios = [found[peer][0] / own[each] for each, found in known.items() if peer in found]
        return min((each for each in ratios if math.isfinite(each)), default=math.inf)

    lines = ["| | " + " | ".join(SHORT[each] for each in problems) + " |", "|---" * (len(problems) + 1) + "|"]
    costs_own = [
        f"{_three(1 / own[each])} /s" if each[0] == "ensemble" else f"{_three(1e3 * own[each])} ms" for each in problems
    ]
    lines.append("| isletsim: cost, or runs per s | " + " | ".join(costs_own) + " |")
    for peer in sorted(sorted(peers), key=nearest):
        cells = []
        for each in problems:
            cost, enclosed = known[each].get(peer, (math.nan, False))
            cells.append("" if math.isnan(cost) else f"{'' if enclosed else '~'}{_three(cost / own[each])}")
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _three(value: float) -> str:
    """A number with three digits that count and no power of ten."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _rows(data: dict[str, Any], kind: str, name: str) -> list[str]:
    points = data[kind][name]["points"]
    known = costs(data, kind, name)
    own = known.get("isletsim" if kind == "file" else "isletsim solver", (math.nan, False))[0]
    tolerances = sorted({each["rtol"] for listed in points.values() for each in listed}, reverse=True)
    unit = "runs per s" if kind == "ensemble" else "ms"
    head = ["", *(f"{rtol:.0e}".replace("e-0", "e-") for rtol in tolerances), f"at equal error, {unit}", "times"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for peer, (cost, enclosed) in known.items():
        cells = {each["rtol"]: f"{_amount(each['seconds'], kind)} / {each['error']:.0e}" for each in points[peer]}
        equal = ("" if enclosed else "~") + _amount(cost, kind)
        times = "" if math.isnan(cost) or math.isnan(own) else f"{cost / own:.3g}"
        row = [peer, *(cells.get(rtol, "") for rtol in tolerances), equal, times]
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", f"Cells: {unit} / error, by relative tolerance (the absolute one is a hundredth of it)."]
    gaps = data[kind][name]["gaps"]
    lines += [f"Gap: {peer}, {reason.splitlines()[0]}." for peer, reason in gaps.items() if peer not in data["absent"]]
    return lines


def _amount(seconds: float, kind: str) -> str:
    return f"{1 / seconds:.4g}" if kind == "ensemble" else f"{1e3 * seconds:.3g}"


def _cold(data: dict[str, Any]) -> list[str]:
    names = list(data["cold"])
    peers = list(dict.fromkeys(peer for each in data["cold"].values() for peer in each))
    lines = ["| | " + " | ".join(f"{name}, s / MB" for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for peer in peers:
        cells = []
        for name in names:
            each = data["cold"][name].get(peer)
            cells.append(f"{each['seconds']:.2f} / {each['megabytes']:.0f}" if each else "")
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return lines


def write_report(data: dict[str, Any], folder: Path) -> None:
    """Table, data and plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(table(data), encoding="utf-8")
    for kind, titles in KINDS:
        for name, measured in data.get(kind, {}).items():
            _plot(measured["points"], kind, titles[name], folder / f"{kind}-{name}.png")


def _plot(points: dict[str, list[dict[str, float]]], kind: str, title: str, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    for number, (peer, listed) in enumerate(points.items()):
        ours = peer.startswith("isletsim")
        style = {"color": "black", "linewidth": 2.0} if ours else {"color": f"C{number % 10}", "linewidth": 1.0}
        dashes = "--" if peer == "isletsim" or number >= 10 else "-"
        errors, seconds = [each["error"] for each in listed], [1e3 * each["seconds"] for each in listed]
        axes.loglog(errors, seconds, marker="o", markersize=3, linestyle=dashes, label=peer, **style)
    axes.axvline(EQUAL_ERROR, color="0.7", linewidth=0.8)
    axes.invert_xaxis()
    axes.set(title=title, xlabel="largest error", ylabel=f"CPU ms a {'subject' if kind == 'ensemble' else 'run'}")
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=130)
    plt.close(figure)
