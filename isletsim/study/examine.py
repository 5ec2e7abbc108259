"""A virtual test given to a patient, or to the reference patient of every arm of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isletsim.challenges import Finding
from isletsim.data_files import find_any
from isletsim.dosing import read_time
from isletsim.ensemble import run_task
from isletsim.errors import Fault, InputError, RunError
from isletsim.language import TomlDocument, read_document
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.scenario import scenario_of
from isletsim.study.load import prepared_scenario
from isletsim.study.run import study_context
from isletsim.study.subject import simulate_subject
from isletsim.units import unit_label

__all__ = ["Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """What a test found in one arm of a study (of a patient alone: in that patient), and the unit of every curve."""

    study: str
    arm: str
    day: float
    finding: Finding
    units: dict[str, str]


def examine(wanted: str, test: str, at: str = "0 day") -> list[Examination]:
    """Give a test to a patient, or to the reference patient of every arm of a scenario.

    Parameters
    ----------
    wanted : name or path of a patient or a scenario.
    test : name or path of a test file.
    at : when, counted from the end of the history; the patient is seen by a doctor every three months until then.

    Raises
    ------
    InputError : anything that is not understood.
    RunError : the patient could not be simulated until then.
    """
    kind, path = find_any(wanted)
    if kind not in ("patient", "scenario"):
        cure = "isletsim list patients, or isletsim list scenarios, says whom there is."
        raise InputError(Fault(wanted, f"This is a {kind}; a test is given to a patient or in a scenario.", cure))
    document = read_document(path)
    asked = TomlDocument(path, f"--at {at}", {}, "", {})
    day = read_time(asked, at, (), whole=True)
    if day is not None and day < 0:
        asked.fault((), "No test is given before the end of the history.", 'Write --at "12 month".')
    asked.finish()
    data: dict[str, Any] = document.data
    if kind != "scenario":
        data = {"title": document.data.get("title", wanted), "patient": str(path.resolve()), "arms": {path.stem: {}}}
        data |= {"visits": {"every": "3 month"}, "until": "1 day"}
    own = Path(test)  # a path starts from where the user is, not from where the patient stands
    named = str(own.resolve()) if own.suffix == ".toml" and own.is_file() else test
    data["challenges"] = {named: {"at": [at]}}
    if day:
        data["until"] = at
    data["cohort"] = {"size": 0}
    data.pop("figures", None)
    scenario = prepared_scenario(scenario_of(TomlDocument(path, document.shown, data, document.text, document.lines)))
    seen: list[Examination] = []

    def note(arm: int, day: float, finding: Finding) -> None:
        units = {symbol.name: unit_label(unit.text) for symbol, unit in finding.challenge.shown}
        seen.append(Examination(path.stem, scenario.plan.arms[arm].name, day, finding, units))

    subject_result = run_task(simulate_subject(study_context(scenario, StepControl(), note), 0))
    if subject_result.failures:
        raise RunError("\n".join(dict.fromkeys(failure.message for failure in subject_result.failures)))
    arms = [arm.name for arm in scenario.plan.arms]
    return sorted(seen, key=lambda each: arms.index(each.arm))
