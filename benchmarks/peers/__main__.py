"""`python -m benchmarks.peers`: isletsim beside other simulators, round by round, at equal error.

Every peer lives in a process of its own. In a round each is asked once for every tolerance, one after the other, so
that all meet the same neighbours on the machine. Costs are CPU seconds, medians over the rounds; speed is compared at
an error of 1e-5 against a reference at a tolerance of 1e-12, which CVODE confirms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.flagship import FileProblem, file_problem, file_reference
from benchmarks.measure import Point, commit, machine, median_point
from benchmarks.peers import PEERS
from benchmarks.peers.cold import cold_starts
from benchmarks.peers.report import digest, table, write_report
from benchmarks.problems import PROBLEMS, Problem, ensemble_reference, problem, single_reference

CHECKED = 200  # subjects whose error is looked at
TOLERANCES = {
    "single": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
    "ensemble": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "file": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
}
FILES = ("flagship",)
OWN_SUBJECTS = {"topp2000": 10_000, "invented27": 10_000, "three_meals": 1_000}
PEER_SUBJECTS = {"topp2000": 200, "invented27": 200, "three_meals": 50}
# Seconds after which a peer is asked once, and for no tighter tolerance.
TOO_SLOW = {"single": 3.0, "ensemble": 20.0, "file": 10.0}


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 0.2
    share: float = 1.0  # of the subjects
    cold: int = 5
    tolerances: int = 1  # every so manieth


QUICK = Settings(rounds=1, seconds=0.02, share=0.1, cold=1, tolerances=2)


class Process:
    """A worker and the talk with it; `versions` is empty where the peer is not there."""

    def __init__(self, name: str) -> None:
        surroundings = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings,
            cwd=Path(__file__).resolve().parent.parent.parent,
        )
        greeting = self._listen()
        self.versions: dict[str, str] = greeting.get("versions", {})
        self.missing: str = greeting.get("missing", "")

    def ask(self, **question: Any) -> dict[str, Any]:
        """An answer; it says `missing` where there is none."""
        if self.missing:
            return {"missing": self.missing}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._listen()

    def _listen(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.missing = "the process ended"
            return {"missing": self.missing}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(60)


def references(names: Iterable[str], folder: Path, draws: int) -> dict[str, Any]:
    """The exact answers, stored for the workers; and how far CVODE at 1e-12 is from them."""
    confirmed = {}
    for name in names:
        if name in FILES:
            posed = file_problem(name)
            exact = file_reference(posed, folder)
            np.save(folder / f"file-{name}.npy", exact)
            confirmed[name] = _confirmed_by_roadrunner(posed, exact)
            continue
        given = problem(name)
        exact = single_reference(given)
        np.save(folder / f"single-{name}.npy", exact)
        np.save(folder / f"ensemble-{name}.npy", ensemble_reference(given, given.draws(min(CHECKED, draws))))
        confirmed[name] = _confirmation(given, exact)
    return confirmed


def _confirmation(given: Problem, exact: Any) -> float | None:
    try:
        from benchmarks.peers.sundae import Cvode

        run = Cvode().single(given)
    except ImportError:
        return None
    found = run(1e-12)
    return given.single_error(found() if callable(found) else found, exact)


def _confirmed_by_roadrunner(given: FileProblem, exact: Any) -> float | None:
    try:
        from benchmarks.peers.roadrunner_ import RoadRunner

        found: Any = RoadRunner().file(given)(1e-11)
    except ImportError:
        return None
    return given.single_error(found, exact)


def measure(
    kind: str, name: str, processes: dict[str, Process], folder: Path, settings: Settings
) -> tuple[dict[str, list[Point]], dict[str, str]]:
    """Points of every peer for one problem, and why some have none."""
    gaps: dict[str, str] = {}
    ready: list[str] = []
    reference = str(folder / f"{kind}-{name}.npy")
    for peer, process in processes.items():
        subjects = (OWN_SUBJECTS if peer.startswith("isletsim") else PEER_SUBJECTS).get(name, 0)
        draws = max(20, round(settings.share * subjects))
        key = f"{kind} {name}"
        answer = process.ask(do="open", key=key, name=name, kind=kind, draws=draws, reference=reference)
        _say(f"{kind} {name}: {peer} {answer.get('missing', 'ready')}")
        if "missing" in answer:
            gaps[peer] = answer["missing"]
        else:
            ready.append(peer)
    tolerances = TOLERANCES[kind][:: settings.tolerances]
    spent: dict[tuple[str, float], list[float]] = {}
    errors: dict[tuple[str, float], float] = {}
    slow: dict[str, float] = {}
    for number in range(settings.rounds):
        for rtol in tolerances:
            for peer in ready:
                known = spent.setdefault((peer, rtol), [])
                if peer in slow and (number or rtol < slow[peer]):
                    gaps.setdefault(peer, f"{TOO_SLOW[kind]:g} s and more at {slow[peer]:g}: no tighter, one round")
                    continue
                began = time.perf_counter()
                answer = processes[peer].ask(
                    do="run", key=f"{kind} {name}", name=name, kind=kind, rtol=rtol, seconds=settings.seconds
                )
                if "missing" in answer:
                    gaps[peer] = f"at {rtol:g}: {answer['missing']}"
                    continue
                if time.perf_counter() - began > TOO_SLOW[kind] and not peer.startswith("isletsim"):
                    slow.setdefault(peer, rtol)
                known.append(answer["seconds"])
                errors[peer, rtol] = answer["error"]
        _say(f"{kind} {name}: round {number + 1} of {settings.rounds}")
    points = {
        peer: [median_point(rtol, spent[peer, rtol], errors[peer, rtol]) for rtol in tolerances if spent[peer, rtol]]
        for peer in ready
    }
    return points, gaps


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    ask = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    ask.add_argument(
        "--quick", action="store_true", help="one round, fewer subjects and tolerances: to see that it works"
    )
    ask.add_argument("--problems", nargs="+", default=[*PROBLEMS, *FILES], choices=[*PROBLEMS, *FILES])
    ask.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    ask.add_argument(
        "-o", "--output", type=Path, default=Path("benchmark-peers"), help="a folder for table, data, plots"
    )
    ask.add_argument("--rounds", type=int, help="interleaved rounds, 5 if not given")
    ask.add_argument("--share", type=float, help="of the subjects of ensembles, 1 if not given")
    ask.add_argument("--table", type=Path, metavar="DATA", help="measure nothing: print the table of a data.json")
    ask.add_argument("--digest", type=Path, metavar="DATA", help="measure nothing: print the ratios of a data.json")
    chosen = ask.parse_args()
    if chosen.digest is not None:
        print(digest(json.loads(chosen.digest.read_text(encoding="utf-8"))))
        return
    if chosen.table is not None:
        print(table(json.loads(chosen.table.read_text(encoding="utf-8"))))
        return
    settings = QUICK if chosen.quick else Settings()
    wanted = {"rounds": chosen.rounds, "share": chosen.share}
    settings = replace(settings, **{name: value for name, value in wanted.items() if value is not None})
    data: dict[str, Any] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "settings": asdict(settings),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draws = round(settings.share * min(PEER_SUBJECTS.values()))
        data["reference"] = references(chosen.problems, folder, CHECKED if settings.share == 1.0 else max(20, draws))
        processes = {name: Process(name) for name in chosen.peers}
        data["versions"] = {name: process.versions for name, process in processes.items()}
        data["absent"] = {name: process.missing for name, process in processes.items() if process.missing}
        for kind in TOLERANCES:
            data[kind] = {}
            for name in chosen.problems:
                if (name in FILES) != (kind == "file"):
                    continue
                points, gaps = measure(kind, name, processes, folder, settings)
                listed = {peer: [point.plain() for point in each] for peer, each in points.items()}
                data[kind][name] = {"points": listed, "gaps": gaps}
                chosen.output.mkdir(parents=True, exist_ok=True)  # what is stopped half-way leaves what it has
                (chosen.output / "data.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
        for process in processes.values():
            process.close()
        data["cold"] = {}
        for name in chosen.problems:
            if name in FILES:
                continue
            own = folder / name
            own.mkdir()
            _say(f"cold starts: {name}")
            data["cold"][name] = {
                peer: asdict(each)
                for peer, each in cold_starts(problem(name), own, settings.cold, chosen.peers).items()
            }
    write_report(data, chosen.output)
    print((chosen.output / "table.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
