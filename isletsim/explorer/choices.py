"""The state of the explorer's controls: read from untrusted JSON, checked against what the data files offer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.explorer.records import Controls, Knob, Slider, Therapy
from isletsim.units import UnitError, days, quantity

__all__ = ["Choices", "Given", "first_choices", "number_and_unit", "read_choices", "written"]

LONGEST = 30.0  # years
LARGEST_COHORT = 60
LARGEST_TEXT = 200_000  # letters of an opened scenario
DIGITS = 4  # significant digits of a slider's value, so that a scenario file is pleasant to read


@dataclass(frozen=True)
class Given:
    """A therapy that is switched on: when it starts, in months, and the values of its knobs, in their units."""

    name: str
    start: int = 0
    knobs: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What a user has chosen.

    Attributes
    ----------
    patient : the file of a patient; empty where a scenario is explored.
    scenario : the name under which a scenario is known; empty for a patient.
    text : a scenario that the user opened in the page, as text.
    sliders : the values of the sliders that were moved, each in its own unit.
    years : length of the simulation; 0 keeps that of the patient or scenario.
    again : whether the history is simulated again with the sliders' values.
    cohort : virtual patients of the band; 0 for none.
    """

    patient: str = ""
    scenario: str = ""
    text: str = ""
    sliders: Mapping[str, float] = field(default_factory=dict)
    therapies: tuple[Given, ...] = ()
    years: float = 0.0
    again: bool = False
    cohort: int = 0


def first_choices(controls: Controls, patient: str = "", scenario: str = "") -> Choices:
    """Return what the page shows first."""
    return Choices(patient="" if scenario else patient or controls.first, scenario=scenario)


def read_choices(controls: Controls, data: Any) -> Choices:
    """Read choices from JSON data that anybody may have sent.

    Raises
    ------
    InputError : every choice that is not offered.
    """
    faults: list[Fault] = []
    table = data if isinstance(data, dict) else {}
    if not isinstance(data, dict):
        faults.append(Fault("choices", "Expected a JSON object."))
    patients = [each.file for each in controls.patients]
    scenario, text = _text(table, "scenario", faults, 200), _text(table, "text", faults, LARGEST_TEXT)
    patient = _text(table, "patient", faults, 200) or ("" if scenario or text else controls.first)
    if patient and patient not in patients:
        faults.append(Fault("patient", f'"{patient[:60]}" is not offered.', did_you_mean(patient[:60], patients)))
    if not (patient or scenario or text):
        faults.append(Fault("patient", "Nothing is chosen."))
    choices = Choices(
        patient=patient,
        scenario=scenario,
        text=text,
        sliders=_sliders(controls, table.get("sliders", {}), faults),
        therapies=_therapies(controls, table.get("therapies", []), faults),
        years=round(_number(table, "years", 0.0, LONGEST, faults), 2),
        again=table.get("again") is True,
        cohort=int(_number(table, "cohort", 0, LARGEST_COHORT, faults)),
    )
    if faults:
        raise InputError(faults)
    return choices


def written(choices: Choices) -> dict[str, Any]:
    """Return choices as JSON data; what is not chosen is left out, so that a link stays short."""
    data: dict[str, Any] = {
        "patient": choices.patient,
        "scenario": choices.scenario,
        "text": choices.text,
        "sliders": dict(choices.sliders),
        "therapies": [
            {"name": each.name, "start": each.start, "knobs": {str(key): value for key, value in each.knobs.items()}}
            for each in choices.therapies
        ],
        "years": choices.years,
        "again": choices.again,
        "cohort": choices.cohort,
    }
    return {key: value for key, value in data.items() if value}


def number_and_unit(text: str) -> tuple[float, str]:
    """Return the number and the unit text of a quantity such as "1e6 cell/kg"."""
    number, _, unit = text.strip().partition(" ")
    return float(number), unit.strip()


# --- parts ------------------------------------------------------------------------------------------------------------


def _text(table: Mapping[str, Any], key: str, faults: list[Fault], most: int) -> str:
    value = table.get(key, "")
    if isinstance(value, str) and len(value) <= most:
        return value
    faults.append(Fault(key, f"Expected a text of at most {most} letters."))
    return ""


def _number(table: Mapping[str, Any], key: str, low: float, high: float, faults: list[Fault]) -> float:
    value = table.get(key, low)
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    ):
        return float(value)
    faults.append(Fault(key, f"Expected a number from {low:g} to {high:g}, found {str(value)[:40]}."))
    return float(low)


def _sliders(controls: Controls, data: Any, faults: list[Fault]) -> dict[str, float]:
    known: dict[str, Slider] = {each.name: each for each in controls.sliders}
    found: dict[str, float] = {}
    for name, value in sorted(data.items()) if isinstance(data, dict) else ():
        if name not in known:
            faults.append(
                Fault("sliders", f'There is no slider "{str(name)[:60]}".', did_you_mean(str(name)[:60], known))
            )
            continue
        low, high = number_and_unit(known[name].low)[0], number_and_unit(known[name].high)[0]
        found[name] = _rounded(_number({known[name].label: value}, known[name].label, low, high, faults))
    if not isinstance(data, dict):
        faults.append(Fault("sliders", "Expected an object of names and numbers."))
    return found


def _therapies(controls: Controls, data: Any, faults: list[Fault]) -> tuple[Given, ...]:
    known = {each.name: each for each in controls.therapies}
    found: dict[str, Given] = {}
    for entry in data if isinstance(data, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in known or name in found:
            faults.append(Fault("therapies", f'"{str(name)[:60]}" is not a therapy, or is given twice.'))
            continue
        start = int(_number(entry, "start", 0, 12 * LONGEST, faults))
        found[name] = Given(name, start, _knobs(known[name], entry.get("knobs", {}), faults))
    if not isinstance(data, list):
        faults.append(Fault("therapies", "Expected a list."))
    return tuple(found[name] for name in known if name in found)  # in the order of the data file: one state, one text


def _knobs(therapy: Therapy, data: Any, faults: list[Fault]) -> dict[int, float]:
    found: dict[int, float] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        if not str(key).isdigit() or int(key) >= len(therapy.knobs):
            faults.append(Fault(therapy.label, f'There is no knob "{str(key)[:20]}".'))
            continue
        knob: Knob = therapy.knobs[int(key)]
        low, high = number_and_unit(knob.low)[0], number_and_unit(knob.high)[0]
        number = _number({knob.label: value}, knob.label, low, high, faults)
        found[int(key)] = float(round(number)) if knob.step >= 1 else _rounded(number)
    return dict(sorted(found.items()))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def base_value(text: str) -> float:
    """Return a quantity text in base units; for ranges, whose texts tests have checked."""
    try:
        return quantity(text).value
    except UnitError as reason:
        raise InputError(Fault(text, str(reason))) from None


def years_of(text: str) -> float:
    """Return a time text in years."""
    return days(text) / 365.25
