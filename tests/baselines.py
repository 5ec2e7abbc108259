"""Key numbers of every study, stored: `python -m tests.baselines [STUDY...]` writes them anew, on purpose.

A baseline holds, per arm, the reference patient at the times people ask for and the mean of a small cohort at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from isletsim import load_scenario
from isletsim.data_files import listing
from isletsim.results import Result
from isletsim.results.summary import marks
from isletsim.results.variables import clinical

FOLDER = Path(__file__).resolve().parent / "baselines"
SUBJECTS = 2  # of the cohort, where a study has one
DIGITS = 12


def processor() -> str:
    """The processor this runs on: another one rounds differently, and a history may then end a day beside."""
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_name())


def short_run(name: str) -> Result:
    """A study with the first few of its cohort."""
    size = min(SUBJECTS, load_scenario(name).plan.cohort)
    return load_scenario(name, set={"cohort.size": size}).run()


def key_numbers(result: Result) -> dict[str, dict[str, dict[str, float]]]:
    """Per arm and clinical name: the reference patient at each time, and the mean of the cohort at the end."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for arm, values in zip(result.arms, result.values, strict=True):
        numbers = found[arm.name] = {}
        for index in clinical(result):
            chosen = marks(result, index)
            entry = {mark.at: _rounded(values[0, mark.row, index]) for mark in chosen}
            if result.cohort:
                entry["cohort at the end"] = _rounded(np.mean(values[1:, chosen[-1].row, index]))
            numbers[result.variables[index].name] = entry
    return found


def _rounded(value: Any) -> float:
    return float(f"{value:.{DIGITS}g}")


def path_of(name: str) -> Path:
    """The file of a study's baseline."""
    return FOLDER / f"{name}.json"


def read(name: str) -> dict[str, Any]:
    """A stored baseline; empty where there is none."""
    path = path_of(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(name: str) -> Path:
    """Run a study and store its key numbers."""
    record = {"study": name, "processor": processor(), "numbers": key_numbers(short_run(name))}
    FOLDER.mkdir(exist_ok=True)
    path_of(name).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path_of(name)


def main(names: list[str]) -> None:
    """Write the baselines of some studies, or of all, and forget those of studies that are gone."""
    studies = [name for name, _ in listing("scenario")]
    for name in names or studies:
        print(write(name))
    for path in FOLDER.glob("*.json"):
        if path.stem not in studies:
            path.unlink()
            print(f"{path}: removed")


if __name__ == "__main__":
    main(sys.argv[1:])
