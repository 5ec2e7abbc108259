"""Runner for folders in the layout of the SBML test suite; each case is judged at its own tolerances.

A case is a folder that holds a model, `settings.txt` and `results.csv`. Its verdict is *pass*, *refused* (with the
name of what is not supported, or why the run could not go on), *wrong* (a value is off) or *crashed*. A case that
raises or ends its process never ends the run of the others.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isletsim.errors import Fault, InputError, RunError
from isletsim.sbml.model import SbmlModel, SbmlTrajectory, load_sbml

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Case", "CaseVerdict", "find_cases", "judge", "run_suite", "summary", "support_page", "write_json"]

RELATIVE = 1e-10  # tolerances of the solver: far below what a case asks for
VERDICTS = ("pass", "refused", "wrong", "crashed")
MARGIN = 1e-5  # the absolute one, as a share of the case's own


@dataclass(frozen=True)
class Case:
    """Case of the suite, from its `settings.txt`."""

    name: str
    model: Path
    results: Path
    start: float
    duration: float
    steps: int
    variables: tuple[str, ...]
    absolute: float
    relative: float
    amount: frozenset[str]
    concentration: frozenset[str]
    fault: str = ""


@dataclass(frozen=True)
class CaseVerdict:
    """Verdict on a case; `reason` names what was refused, or the first value that is off."""

    case: str
    verdict: str
    reason: str = ""
    tags: tuple[str, ...] = ()
    level: str = ""


def find_cases(folder: Path) -> list[Case]:
    """Return the cases of a folder in the order of their names.

    Raises
    ------
    InputError : the folder has none.
    """
    found = [_read_case(path.parent, path) for path in sorted(folder.glob("*/*settings.txt"))]
    cases = [each for each in found if each is not None]
    if not cases:
        message = "This folder has no cases: folders with a model, settings.txt and results.csv."
        raise InputError(Fault(str(folder), message))
    return cases


def _read_case(folder: Path, settings: Path) -> Case | None:
    said = {}
    for line in settings.read_text(encoding="utf-8", errors="replace").splitlines():
        key, found, value = line.partition(":")
        if found:
            said[key.strip()] = value.strip()
    results = next(iter(sorted(folder.glob("*results.csv"))), None)
    model = _model_of(folder)
    if results is None or model is None or "duration" not in said:
        return None
    fault, numbers = "", dict.fromkeys(("start", "duration", "steps", "absolute", "relative"), 0.0)
    for key in numbers:
        try:
            numbers[key] = float(said.get(key) or 0) if key == "start" else float(said[key])
        except (KeyError, ValueError):
            fault = fault or f"settings.txt: {key} is no number"
    return Case(
        name=folder.name,
        model=model,
        results=results,
        start=numbers["start"],
        duration=numbers["duration"],
        steps=int(numbers["steps"]) if math.isfinite(numbers["steps"]) else 0,
        variables=_listed(said.get("variables", "")),
        absolute=numbers["absolute"],
        relative=numbers["relative"],
        amount=frozenset(_listed(said.get("amount", ""))),
        concentration=frozenset(_listed(said.get("concentration", ""))),
        fault=fault,
    )


def _model_of(folder: Path) -> Path | None:
    """`model.xml`, or the model of the highest level and version as the suite itself names them."""
    if (folder / "model.xml").is_file():
        return folder / "model.xml"
    levels = [path for path in folder.glob(f"{folder.name}-sbml-l*v*.xml") if re.search(r"-l[23]v\d\.xml$", path.name)]
    return max(levels, default=None, key=lambda path: path.name)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


# --- one case ---------------------------------------------------------------------------------------------------------


def judge(case: Case, write: Path | None = None) -> CaseVerdict:
    """Run one case and return its verdict.

    `write` is a folder for the computed values (`NAME.csv`).
    """
    if case.fault:
        return CaseVerdict(case.name, "refused", case.fault)
    try:
        expected = _expected(case)
        trajectory = _simulate(case, load_sbml(case.model))
        found = np.column_stack([_wanted(case, trajectory, name) for name in case.variables])
    except InputError as refusal:
        return CaseVerdict(case.name, "refused", _first(refusal))
    except RunError as failure:
        return CaseVerdict(case.name, "refused", str(failure))
    except Exception as defect:  # noqa: BLE001 - a defect of one case must not hide the verdict on the others
        return CaseVerdict(case.name, "crashed", f"{type(defect).__name__}: {defect}")
    if write is not None:
        _write_results(write / f"{case.name}.csv", case.variables, trajectory.time, found)
    off = _off(case, expected, found)
    return CaseVerdict(case.name, "wrong", off) if off else CaseVerdict(case.name, "pass")


def _first(refusal: InputError) -> str:
    fault = refusal.faults[0]
    place = fault.place.replace(os.sep, "/").rpartition("/")[2]
    return f"{place}: {fault.message}"


def _simulate(case: Case, model: SbmlModel) -> SbmlTrajectory:
    if case.start != 0:
        raise InputError(Fault("settings.txt, start", f"A run that begins at {case.start:g} is not supported."))
    times = np.linspace(0.0, case.duration, case.steps + 1)
    return model.simulate(case.duration, save=times, rtol=RELATIVE, atol=case.absolute * MARGIN)


def _wanted(case: Case, trajectory: SbmlTrajectory, name: str) -> NDArray[np.float64]:
    if name not in {species.id for species in trajectory.model.document.species}:
        return trajectory[name]
    if name in case.amount:
        return trajectory.amount(name)
    return trajectory.concentration(name) if name in case.concentration else trajectory[name]


def _expected(case: Case) -> NDArray[np.float64]:
    with case.results.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    columns = {name.strip(): index for index, name in enumerate(rows[0])}
    values = [[float(row[columns[name]]) for name in case.variables] for row in rows[1:]]
    return np.array(values).reshape(len(values), len(case.variables))


def _off(case: Case, expected: NDArray[np.float64], found: NDArray[np.float64]) -> str:
    """Return the first value that is off, as text; empty when all agree."""
    if expected.shape != found.shape:
        return f"{found.shape[0]} rows instead of {expected.shape[0]}"
    with np.errstate(invalid="ignore"):
        close = np.abs(found - expected) <= case.absolute + case.relative * np.abs(expected)
    close |= (found == expected) | (np.isnan(found) & np.isnan(expected))
    if close.all():
        return ""
    row, column = (int(each[0]) for each in np.nonzero(~close))
    time = case.duration * row / max(1, case.steps)
    return f"{case.variables[column]} at {time:g} is {found[row, column]:.9g}, expected {expected[row, column]:.9g}"


def _write_results(path: Path, names: Sequence[str], times: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *names])
        for time, row in zip(times.tolist(), values.tolist(), strict=True):
            writer.writerow([repr(time), *map(repr, row)])


# --- all of them ------------------------------------------------------------------------------------------------------


def run_suite(
    folder: Path,
    write: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[CaseVerdict]:
    """Return the verdict on every case of a folder; tags come from its `index.json`."""
    cases = find_cases(folder)
    tags = _tags(folder)
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
    verdicts = []
    for done, verdict in enumerate(_judged(cases, write, jobs), start=1):
        known = tags.get(verdict.case, {})
        verdicts.append(
            CaseVerdict(
                verdict.case, verdict.verdict, verdict.reason, tuple(known.get("tags", ())), str(known.get("level", ""))
            )
        )
        if progress is not None:
            progress(done, len(cases))
    return verdicts


def _judged(cases: Sequence[Case], write: Path | None, jobs: int) -> Iterable[CaseVerdict]:
    if jobs <= 1:
        yield from (judge(case, write) for case in cases)
        return
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(judge, case, write) for case in cases]
        for case, future in zip(cases, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:  # this case or a neighbour ended its process
                yield _judged_alone(case, write)


def _judged_alone(case: Case, write: Path | None) -> CaseVerdict:
    """Judge a case in a process of its own."""
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(judge, case, write).result()
        except BrokenProcessPool:
            return CaseVerdict(case.name, "crashed", "its process ended")


def _tags(folder: Path) -> Mapping[str, Mapping[str, Sequence[str]]]:
    path = folder / "index.json"
    if not path.is_file():
        return {}
    known: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return known


def summary(verdicts: Sequence[CaseVerdict]) -> str:
    """The counts, and one line for every case that did not pass."""
    lines = [f"{each.case}  {each.verdict:<8} {each.reason}".rstrip() for each in verdicts if each.verdict != "pass"]
    total = len(verdicts)
    counts = {kind: sum(each.verdict == kind for each in verdicts) for kind in VERDICTS}
    shares = ", ".join(f"{count} {kind} ({count / total:.1%})" for kind, count in counts.items())
    return "\n".join([*lines, f"{total} cases: {shares}"])


def write_json(verdicts: Sequence[CaseVerdict], path: Path) -> None:
    """The verdicts as JSON, case by case."""
    data = {each.case: {key: value for key, value in asdict(each).items() if key != "case"} for each in verdicts}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def support_page(verdicts: Sequence[CaseVerdict]) -> str:
    """Return a Markdown page of the supported parts of SBML, tag by tag."""
    total = len(verdicts)
    passed = sum(each.verdict == "pass" for each in verdicts)
    failed = [each for kind in reversed(VERDICTS[1:]) for each in verdicts if each.verdict == kind]
    counts = {kind: sum(each.verdict == kind for each in verdicts) for kind in VERDICTS}
    said = f"{counts['refused']} refused by name, {counts['wrong']} wrong, {counts['crashed']} crashed"
    lines = [
        "# What of SBML is supported",
        "",
        "Made by `isletsim sbml-suite DIR --page FILE` from a run of cases of the SBML test suite; do not edit.",
        "",
        f"{total} cases: {passed} pass ({passed / total:.1%}), {said}.",
        "",
        "| tag of the suite | cases | pass | refused | wrong | crashed |",
        "|---|---|---|---|---|---|",
    ]
    for tag in sorted({tag for each in verdicts for tag in each.tags}):
        having = [each.verdict for each in verdicts if tag in each.tags]
        lines.append(f"| {tag} | {len(having)} | " + " | ".join(str(having.count(kind)) for kind in VERDICTS) + " |")
    if failed:
        lines += ["", "## Cases that do not pass", "", "| case | verdict | why |", "|---|---|---|"]
        lines += [f"| {each.case} | {each.verdict} | {each.reason.replace('|', '/')} |" for each in failed]
    return "\n".join(lines) + "\n"
