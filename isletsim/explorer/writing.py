"""Turn choices into a scenario: the same data that a scenario file holds, and its text as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from isletsim.explorer.choices import Choices, Given, number_and_unit
from isletsim.explorer.records import Controls, PatientChoice, Slider, Therapy, fits
from isletsim.units import days

__all__ = ["TREATED", "USUAL", "kinds_of", "scenario_data", "toml_text"]

USUAL, TREATED = "usual", "treated"
MONTH = 365.25 / 12
SEED = 20261201


def kinds_of(controls: Controls, choices: Choices) -> tuple[str, ...]:
    """Return the kinds of the chosen patient; those of every patient when a scenario is explored."""
    chosen = [each for each in controls.patients if each.file == choices.patient]
    patients: Iterable[PatientChoice] = chosen or controls.patients
    return tuple(dict.fromkeys(kind for each in patients for kind in each.kinds))


def scenario_data(
    controls: Controls,
    choices: Choices,
    base: Mapping[str, Any] | None,
    known: Callable[[str], bool],
    terms: Iterable[str],
) -> dict[str, Any]:
    """Return the data of the scenario that the choices mean.

    Parameters
    ----------
    base : the data of the explored scenario; None for a patient.
    known : tells whether the model has a name; controls for which it has none are left out.
    terms : rates to record for the balances.
    """
    data = deepcopy(dict(base)) if base is not None else _of_patient(controls, choices)
    if choices.years:
        data["until"] = _span(choices.years)
    sliders = [each for each in controls.sliders if each.name in choices.sliders and known(each.target)]
    lasting = [each for each in sliders if not each.is_input and (choices.again or each.acts == "history")]
    if lasting:
        data["set"] = {**data.get("set", {}), **{each.target: _value(each, choices) for each in lasting}}
    for name, arm in data["arms"].items():
        data["arms"][name] = _with_sliders(dict(arm), [each for each in sliders if each not in lasting], choices)
    if choices.therapies:
        control = data.get("control") or next(iter(data["arms"]))
        data.setdefault("control", control)
        data["arms"][_free(data["arms"])] = _with_therapies(data["arms"][control], controls, choices)
    _observe(data, controls, choices, known, terms)
    if choices.cohort:
        data["cohort"] = {**data.get("cohort", {"seed": SEED}), "size": choices.cohort}
    elif base is not None:
        data.pop("cohort", None)
    return data


def _of_patient(controls: Controls, choices: Choices) -> dict[str, Any]:
    patient = next(each for each in controls.patients if each.file == choices.patient)
    labels = [each.label for each in controls.therapies if any(given.name == each.name for given in choices.therapies)]
    title = patient.label + (f": {', '.join(labels)}" if labels else "")
    return {
        "title": title,
        "about": "Written by the explorer. Run it with: isletsim run FILE -o out",
        "patient": patient.file,
        "until": patient.until,
        "save": controls.save,
        "visits": {"every": controls.visits},
        "arms": {USUAL: {"about": "usual care"}},
    }


def _free(arms: Mapping[str, Any]) -> str:
    """Return a name for the treated arm that no arm has yet."""
    return next(name for name in (TREATED, "explored", "explored_2") if name not in arms)


def _span(years: float) -> str:
    return f"{years:g} year"


def _value(slider: Slider, choices: Choices) -> str:
    return f"{choices.sliders[slider.name]:g} {number_and_unit(slider.low)[1]}".strip()


def _with_sliders(arm: dict[str, Any], sliders: Iterable[Slider], choices: Choices) -> dict[str, Any]:
    for each in sliders:
        value = _value(each, choices)
        if each.is_input:
            courses = [course for course in arm.get("courses", []) if course.get("input") != each.target]
            arm["courses"] = [*courses, {"input": each.target, "level": value}]
        else:
            arm["set"] = {**arm.get("set", {}), each.target: value}
    return arm


# --- therapies --------------------------------------------------------------------------------------------------------


def _with_therapies(control: Mapping[str, Any], controls: Controls, choices: Choices) -> dict[str, Any]:
    """Return the control arm with the chosen therapies on top."""
    arm = deepcopy(dict(control))
    given = {each.name: each for each in choices.therapies}
    chosen = [each for each in controls.therapies if each.name in given]
    arm["about"] = ", ".join(each.label for each in chosen)
    layers = [layer for each in chosen for layer in each.layers]
    arm["layers"] = list(dict.fromkeys([*arm.get("layers", []), *layers]))
    for each in chosen:
        doses, courses = _adjusted(each, given[each.name])
        arm["doses"] = [*arm.get("doses", []), *doses]
        taken = {course["input"] for course in courses}
        kept = [course for course in arm.get("courses", []) if course.get("input") not in taken]
        arm["courses"] = [*kept, *courses]
    if len(chosen) > 1:
        arm["assumed"] = "how these therapies interact was not measured; their effects join as their files say"
    return {key: value for key, value in arm.items() if value not in ([], {})}


def _adjusted(therapy: Therapy, given: Given) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return doses and courses with the values of the knobs, and later by the start."""
    entries: dict[str, list[dict[str, Any]]] = {
        "doses": [dict(each) for each in therapy.doses],
        "courses": [dict(each) for each in therapy.courses],
    }
    for place, value in given.knobs.items():
        knob = therapy.knobs[place]
        unit = number_and_unit(knob.low)[1]
        for table, index, key in knob.sets:
            whole = key == "times"
            entries[table][index][key] = int(value) if whole else f"{value:g} {unit}".strip()
    late = round(given.start * MONTH)
    if late:
        for table, key in (("doses", "at"), ("courses", "from")):
            for entry in entries[table]:
                entry[key] = f"{round(days(entry.get(key, '0 day')) + late)} day"
        for entry in entries["courses"]:
            if "until" in entry:
                entry["until"] = f"{round(days(entry['until']) + late)} day"
    return entries["doses"], entries["courses"]


# --- what is recorded -------------------------------------------------------------------------------------------------


def _observe(
    data: dict[str, Any], controls: Controls, choices: Choices, known: Callable[[str], bool], terms: Iterable[str]
) -> None:
    """Add what the panels show: the planned test, records and, for a patient, figures."""
    kinds = kinds_of(controls, choices)
    panels = [panel for panel in controls.panels if fits(panel.kinds, (), kinds)]
    shows = [shown for panel in panels for shown in panel.shows]
    wanted = [each.show for each in shows if "." in each.show and known(each.show)]
    data["record"] = sorted({*data.get("record", []), *wanted, *(each for each in terms if known(each))})
    test = controls.test
    if test.name and known(f"test:{test.name}") and test.name not in data.get("challenges", {}):
        until = days(data["until"])
        moments = {*test.at, *(test.early if until <= days(test.within) else ())}
        at = sorted((time for time in moments if days(time) <= until), key=days)
        data["challenges"] = {**data.get("challenges", {}), test.name: {"at": at}}
    if "figures" in data:
        return
    figures: dict[str, Any] = {}
    for panel in panels:
        for shown in panel.shows:
            if shown.figure and (known(shown.show)):
                title = f"{panel.title}, {shown.label[:1].lower()}{shown.label[1:]}" if shown.label else panel.title
                entry: dict[str, Any] = {"show": shown.show, "title": title}
                if shown.thresholds:
                    entry["thresholds"] = list(shown.thresholds)
                figures[re.sub(r"\W", "_", shown.show)] = entry
    data["figures"] = dict(list(figures.items())[:9])


# --- TOML -------------------------------------------------------------------------------------------------------------


def toml_text(data: Mapping[str, Any]) -> str:
    """Return scenario data as TOML; the same data give the same bytes."""
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    width = max((len(key) for key in plain), default=0)
    lines = [f"{_key(key):{width}} = {_inline(value)}" for key, value in plain.items()]
    for key, table in data.items():
        if isinstance(table, dict):
            lines += _table((key,), table)
    return "\n".join(lines) + "\n"


def _table(keys: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """Return a table; tables of tables (arms, challenges) get headers of their own, the rest is one line each."""
    nested = keys == ("arms",)
    lines = [] if nested else ["", f"[{'.'.join(map(_key, keys))}]"]
    width = max((len(_key(key)) for key in table), default=0)
    for key, value in table.items():
        if nested and isinstance(value, dict):
            lines += _table((*keys, key), value)
        elif keys[0] == "arms" and isinstance(value, dict):
            continue
        else:
            lines.append(f"{_key(key):{width}} = {_inline(value)}")
    for key, value in table.items():
        if not nested and keys[0] == "arms" and isinstance(value, dict):
            lines += _table((*keys, key), value)
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(each)}" for key, each in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        parts = [_inline(each) for each in value]
        if any(isinstance(each, dict) for each in value) and len(parts) > 1:
            return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"
        return "[" + ", ".join(parts) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """Return a basic TOML string; JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
