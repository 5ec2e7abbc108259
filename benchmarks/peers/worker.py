"""A process in which one peer lives. It answers questions that come as lines of JSON.

What libraries print goes nowhere, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.flagship import file_problem
from benchmarks.measure import cpu_seconds, versions
from benchmarks.peers import Peer, Run, open_file, open_peer
from benchmarks.problems import problem

WARM = 1e-4  # the tolerance of the first run, which is not measured


class Worker:
    """The peer, and the runs that are ready."""

    def __init__(self, name: str) -> None:
        self.peer: Peer = open_peer(name)
        self.runs: dict[str, tuple[Run, int, NDArray[np.float64]]] = {}

    def open(self, key: str, name: str, kind: str, draws: int, reference: str) -> dict[str, Any]:
        """Makes a run ready; says how long its first call took."""
        exact = np.load(reference)
        run = self._opened(name, kind, draws)
        if run is None:
            return {"missing": "reads no SBML" if kind == "file" else "cannot, or would take minutes"}
        began = time.perf_counter()
        found = run(WARM)
        values = found() if callable(found) else found
        subjects = len(values) if kind == "ensemble" else 1
        self.runs[key] = (run, subjects, exact)
        return {"first": time.perf_counter() - began, "subjects": subjects}

    def _opened(self, name: str, kind: str, draws: int) -> Run | None:
        if kind == "file":
            return open_file(self.peer, file_problem(name))
        given = problem(name)
        return self.peer.single(given) if kind == "single" else self.peer.ensemble(given, given.draws(draws))

    def run(self, key: str, name: str, kind: str, rtol: float, seconds: float) -> dict[str, Any]:
        """One measurement."""
        run, subjects, exact = self.runs[key]
        spent, found = cpu_seconds(lambda: run(rtol), seconds)
        values = found() if callable(found) else found
        if kind == "ensemble":
            error = problem(name).ensemble_error(values, exact[: len(values)])
        else:
            error = (file_problem(name) if kind == "file" else problem(name)).single_error(values, exact)
        return {"seconds": spent / subjects, "error": error}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def answer(given: dict[str, Any]) -> None:
        answers.write(json.dumps(given) + "\n")
        answers.flush()

    try:
        worker = Worker(sys.argv[1])
    except Exception as reason:  # noqa: BLE001 - whatever keeps a peer from starting is told
        answer({"missing": f"{type(reason).__name__}: {reason}"})
        return
    answer({"versions": versions(worker.peer.packages)})
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer(getattr(worker, question.pop("do"))(**question))
        except Exception as reason:  # noqa: BLE001 - a run that fails is told, and the next one tried
            answer({"missing": f"{type(reason).__name__}: {reason}"})


if __name__ == "__main__":
    main()
