"""Risk factors of a finished study, year by year, read through its clinical names; the study itself stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError

if TYPE_CHECKING:
    from isletsim.results.record import StudyData

__all__ = ["courses_of_study", "people_of_study", "study_of_folder"]

YEAR = 365.25
REPORTS = ("hba1c", "egfr", "uacr", "sbp", "ldl", "hdl")  # reports that have the name and unit of a risk factor


def people_of_study(study: StudyData, others: Mapping[str, float]) -> dict[str, float]:
    """Return covariates at the start: age and sex of the patient, and `others` for what a study does not simulate."""
    patient = study.run.get("patient", {})
    found = dict(others)
    age = re.match(r"[\d.]+", str(patient.get("age", "")))
    if age:
        found["age"] = float(age[0])
    if "sex" in patient:
        found["female"] = float(patient["sex"] == "female")
    return found


def courses_of_study(study: StudyData, years: int, copies: int = 1) -> dict[str, dict[str, Any]]:
    """Return risk factors over time by arm, (year, people): the cohort, or the reference patient where there is none.

    After the end of the study the last value holds. Each person appears `copies` times.

    Raises
    ------
    InputError : the study reports no HbA1c.
    """
    names = [variable.name for variable in study.variables]
    if "hba1c" not in names:
        raise InputError(Fault(study.scenario, "This study reports no hba1c.", "Give its core a file that reports it."))
    subjects = list(range(1, study.values.shape[1])) or [0]
    rows = np.minimum(np.arange(years) * YEAR, study.time[-1])
    found: dict[str, dict[str, Any]] = {}
    for place, arm in enumerate(study.arms):
        courses = {name: _yearly(study, place, subjects, names.index(name), rows) for name in REPORTS if name in names}
        height = re.match(r"[\d.]+", str(study.run.get("patient", {}).get("height", "")))
        if "body_weight" in names and height:
            weight = _yearly(study, place, subjects, names.index("body_weight"), rows)
            courses["bmi"] = weight / float(height[0]) ** 2
        found[arm.name] = {name: np.repeat(values, copies, axis=1) for name, values in courses.items()}
    return found


def _yearly(study: StudyData, arm: int, subjects: list[int], column: int, days: Any) -> Any:
    values = study.values[arm, subjects, :, column]
    found = np.empty((len(days), len(subjects)))
    for place, series in enumerate(values):
        there = np.isfinite(series)
        if not there.any():
            raise InputError(Fault(study.scenario, f"Subject {subjects[place]} has no values; its run failed."))
        found[:, place] = np.interp(days, study.time[there], series[there])
    return found


def study_of_folder(folder: Path) -> StudyData:
    """Return the study whose results.csv and run.json are in a folder; raises `InputError` where they are not."""
    import csv
    import json

    from isletsim.results.record import ArmInfo, StudyData, Variable

    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        times = sorted({float(row["time_day"]) for row in rows})
        labels = {row["variable"]: row["unit"] for row in rows}
        subjects = sorted({int(row["subject"]) for row in rows})
        arms = list(dict.fromkeys(row["arm"] for row in rows))
        values = np.full((len(arms), len(subjects), len(times), len(labels)), np.nan)
        places = [{each: place for place, each in enumerate(every)} for every in (arms, subjects, times, list(labels))]
        for row in rows:
            keys = (row["arm"], int(row["subject"]), float(row["time_day"]), row["variable"])
            values[tuple(known[key] for known, key in zip(places, keys, strict=True))] = float(row["value"])
    except (OSError, ValueError, KeyError, TypeError) as reason:
        cure = "It is what isletsim run STUDY -o FOLDER writes."
        raise InputError(Fault(str(folder), f"holds no readable results.csv and run.json: {reason}.", cure)) from None
    return StudyData(
        scenario=str(run.get("scenario", folder.name)),
        title=str(run.get("title", "")),
        arms=tuple(ArmInfo(name, "", (), (), (), ()) for name in arms),
        control=arms.index(run["control"]) if run.get("control") in arms else 0,
        time=np.array(times),
        variables=tuple(Variable(name, unit, unit) for name, unit in labels.items()),
        values=values,
        run=run,
    )
