"""What the page is sent: curves, controls and caveats as JSON data, with numbers that are short but true to the eye."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from isletsim.challenges import Finding
from isletsim.composition import Composition
from isletsim.composition.model_library import read_stack
from isletsim.evidence import concerning, read_flags
from isletsim.explorer.choices import Choices, number_and_unit
from isletsim.explorer.records import Balance, Controls, Knob, Slider, Therapy, fits
from isletsim.explorer.runs import Prepared, Run
from isletsim.explorer.terms import ExplainedTerm
from isletsim.explorer.writing import kinds_of
from isletsim.figures.layout import printed_unit
from isletsim.language import ModelFile
from isletsim.results import Result
from isletsim.results.evidence_labels import in_words
from isletsim.units import UnitError, convert, quantity, through, unit, unit_label

__all__ = [
    "balances_view",
    "band_view",
    "concerning_texts",
    "controls_view",
    "curves_view",
    "finding_view",
    "settings_view",
    "short",
]

DIGITS = 5
BAND = (5.0, 50.0, 95.0)


def short(values: Any) -> list[Any]:
    """Return numbers with five significant digits; null where there is none."""
    array = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(np.isfinite(array) & (array != 0), np.floor(np.log10(np.abs(array))), 0.0)
    scale = 10.0 ** (DIGITS - 1 - size)
    rounded = np.round(array * scale) / scale
    if np.isfinite(array).all():
        return list(rounded.tolist())
    return [value if math.isfinite(value) else None for value in rounded.tolist()]


# --- controls ---------------------------------------------------------------------------------------------------------


def controls_view(controls: Controls) -> dict[str, Any]:
    """Return what does not depend on the patient: the chooser, groups, panels and tests."""
    return {
        "patients": [
            {"file": each.file, "label": each.label, "group": each.group, "years": _years(each.until)}
            for each in controls.patients
        ],
        "slider_groups": [vars(each) for each in controls.slider_groups],
        "therapy_groups": [vars(each) for each in controls.therapy_groups],
        "days": [{"name": each.name, "label": each.label, "about": each.about} for each in controls.days],
        "balances": [
            {"of": each.of, "title": each.title, "about": each.about, "unit": each.label, "per": each.per}
            for each in controls.balances
        ],
    }


def _years(text: str) -> float:
    return round(quantity(text).value / 365.25, 2)


def settings_view(controls: Controls, choices: Choices, prepared: Prepared) -> dict[str, Any]:
    """Return what depends on the patient: sliders with their own values, therapies with evidence, panels, caveats."""
    kinds = kinds_of(controls, choices)
    scenario = prepared.scenario
    sliders = [
        _slider_view(each, prepared)
        for each in controls.sliders
        if fits(each.kinds, (), kinds) and each.target in scenario.composition.symbols
    ]
    therapies = [each for each in controls.therapies if fits(each.kinds, each.without, kinds)]
    return {
        "sliders": sliders,
        "therapies": [_therapy_view(each) for each in therapies],
        "panels": [_panel_view(panel, prepared) for panel in controls.panels if fits(panel.kinds, (), kinds)],
        "years": round(scenario.plan.until / 365.25, 5 if scenario.plan.until < 90 else 2),
        "patient": scenario.patient.title or scenario.plan.title,
        "title": scenario.plan.title,
    }


def _slider_view(slider: Slider, prepared: Prepared) -> dict[str, Any]:
    own = number_and_unit(slider.low)[1]
    low, high = number_and_unit(slider.low)[0], number_and_unit(slider.high)[0]
    return {
        "name": slider.name,
        "group": slider.group,
        "label": slider.label,
        "about": slider.about,
        "path": slider.target,
        "unit": _label(own),
        "low": low,
        "high": high,
        "log": slider.logarithmic,
        "healthy": _numbers(slider.healthy),
        "diseased": _numbers(slider.diseased),
        "history": slider.acts == "history",
        "value": _own_value(slider, own, prepared),
    }


def _numbers(ends: tuple[str, str] | None) -> list[float] | None:
    return None if ends is None else [number_and_unit(each)[0] for each in ends]


def _own_value(slider: Slider, own: str, prepared: Prepared) -> float:
    """Return what a number is without the slider: what the patient has, or what its history leaves running."""
    scenario = prepared.scenario
    symbol = scenario.composition.symbols[slider.target]
    setting = scenario.patient.parameters.get(slider.target)
    value = setting.value if setting is not None else symbol.value if symbol.value is not None else 0.0
    if slider.is_input:
        for leg in scenario.patient.history:
            for course in leg.courses:
                if course.input == slider.target:
                    value = course.level if math.isinf(course.stop) else value
    return float(f"{convert(value, unit(own)):.4g}")


def _therapy_view(therapy: Therapy) -> dict[str, Any]:
    return {
        "name": therapy.name,
        "group": therapy.group,
        "label": therapy.label,
        "about": therapy.about,
        "path": ", ".join([*therapy.layers, *(str(each["input"]) for each in therapy.courses)]),
        "knobs": [_knob_view(knob, therapy) for knob in therapy.knobs],
        "evidence": dict(_evidence(therapy.layers)),
    }


def _knob_view(knob: Knob, therapy: Therapy) -> dict[str, Any]:
    table, index, key = knob.sets[0]
    entry = (therapy.doses if table == "doses" else therapy.courses)[index][key]
    own = number_and_unit(knob.low)[1]
    value = float(entry) if isinstance(entry, (int, float)) else convert(quantity(entry).value, unit(own))
    return {
        "label": knob.label,
        "unit": _label(own) if key != "times" else "",
        "low": number_and_unit(knob.low)[0],
        "high": number_and_unit(knob.high)[0],
        "log": knob.logarithmic,
        "step": knob.step,
        "value": float(f"{value:.4g}"),
    }


@cache
def _evidence(layers: tuple[str, ...]) -> Mapping[str, Any]:
    """Return how good the evidence of a therapy is, and how many of its numbers are assumed."""
    files: list[ModelFile] = list(read_stack(layers, follow=False)) if layers else []
    grades = [file.grade for file in files if file.grade]
    numbers = [entry for file in files for entry in file.entries.values() if entry.kind == "parameter"]
    assumed = sum(1 for entry in numbers if entry.note.assumed)
    worst = max(grades, key=_badness, default="")
    flags = concerning_texts(layers)
    return {"grade": worst, "words": in_words(worst), "assumed": assumed, "numbers": len(numbers), "flags": flags}


def _badness(grade: str) -> int:
    order = ("human trial", "human observation", "animal", "cell", "assumed")
    return order.index(grade) if grade in order else len(order)


def concerning_texts(names: Iterable[str]) -> list[dict[str, str]]:
    """Return the statements that concern models or patients, the gravest first."""
    wanted = set(names)
    return [
        {"id": flag.id, "severity": flag.severity, "text": flag.text}
        for flag in concerning(read_flags(), wanted)
        if flag.severity in ("high", "middle") and wanted & set(flag.applies_to)
    ]


def _panel_view(panel: Any, prepared: Prepared) -> dict[str, Any]:
    composition = prepared.scenario.composition
    reports = {report.name: report.unit for test in prepared.scenario.challenges for report in test.reports}
    shows = []
    for shown in panel.shows:
        if shown.show in composition.reports:
            own = composition.reports[shown.show].unit
        elif shown.show in composition.symbols:
            own = composition.symbols[shown.show].unit
        elif shown.show in reports:
            own = reports[shown.show]
        else:
            continue
        levels = []
        for text in shown.thresholds:
            level = quantity(text, own.dimension, "")
            levels.append({"value": float(f"{convert(level.value, own):.5g}"), "label": text})
        shows.append(
            {
                "show": shown.show,
                "label": shown.label,
                "unit": shown.unit or _label(own.text),
                "thresholds": levels,
            }
        )
    return {"name": panel.name, "title": panel.title, "shows": shows}


def _label(text: str) -> str:
    return printed_unit(unit_label(text))


# --- curves -----------------------------------------------------------------------------------------------------------


def curves_view(run: Run, wanted: Iterable[str]) -> dict[str, Any]:
    """Return the curves of a run, of the variables that are wanted and recorded."""
    plan = run.plan
    arms = [
        {
            "name": arm.name,
            "label": arm.about or arm.name.replace("_", " "),
            "control": number == plan.control,
            "doses": sorted({dose.time for dose in arm.doses if dose.time <= plan.until}),
        }
        for number, arm in enumerate(plan.arms)
    ]
    variables: dict[str, Any] = {}
    for name in dict.fromkeys(wanted):
        place = run.column(name)
        if place < 0:
            continue
        values = run.values[:, :, place]
        there = np.isfinite(values).any(axis=0)
        entry: dict[str, Any] = {"about": run.variables[place].about}
        if not there.all():
            entry["time"] = short(run.time[there] / 365.25)
        entry["arms"] = [short(each[there]) for each in values]
        variables[name] = entry
    return {
        "time": short(run.time / 365.25),
        "arms": arms,
        "variables": variables,
        "warnings": list(plan.warnings),
        "solved": run.solved,
        "seconds": round(run.seconds, 4),
        "until": plan.until / 365.25,
    }


def balances_view(run: Run, balances: Iterable[Balance]) -> list[dict[str, Any]]:
    """Return the terms of the balances over the years, in every arm."""
    found = []
    for balance in balances:
        terms = run.prepared.stack.terms.get(balance.of, ())
        columns = [(term, run.column(term.name)) for term in terms]
        recorded = [(term, column) for term, column in columns if column >= 0]
        if not recorded:
            continue
        found.append(_balance_view(balance, recorded, run))
    return found


def _balance_view(balance: Balance, recorded: Sequence[tuple[ExplainedTerm, int]], run: Run) -> dict[str, Any]:
    composition = run.prepared.scenario.composition
    factor = _factor(composition, recorded[0][0].name, balance.unit)
    values = {term: factor * run.values[:, :, column] for term, column in recorded}
    arms = [_joined(balance, {term: each[arm] for term, each in values.items()}) for arm in range(len(run.values))]
    return {
        "of": balance.of,
        "terms": [{"label": label, "arms": [short(arm[label]) for arm in arms]} for label in arms[0]],
    }


def _joined(balance: Balance, values: Mapping[ExplainedTerm, Any]) -> dict[str, Any]:
    """Return signed values by label, with the rates of each net joined."""
    found: dict[str, Any] = {}
    for term, each in values.items():
        label = next((label for label, names in balance.net if term.name in names), term.label)
        found[label] = found.get(label, 0.0) + term.sign * each
    return found


def _factor(composition: Composition, name: str, text: str) -> float:
    """Return what a value in a symbol's own unit is multiplied by to be in another one."""
    own, wanted = composition.symbols[name].unit, unit(text)
    if own.dimension != wanted.dimension:
        raise UnitError(f"{name} is not in {text}.")
    return own.factor / wanted.factor


def band_view(result: Result, wanted: Iterable[str]) -> dict[str, Any]:
    """Return the 5th, 50th and 95th percentile of the virtual patients of a result."""
    names = {variable.name: place for place, variable in enumerate(result.variables)}
    found: dict[str, Any] = {}
    for name in dict.fromkeys(wanted):
        if name not in names:
            continue
        values = result.values[:, 1:, :, names[name]]
        there = np.isfinite(values).any(axis=(0, 1))
        if not there.any():
            continue
        levels = np.nanpercentile(values[:, :, there], BAND, axis=1)
        found[name] = {
            "arms": [[short(levels[rank, arm]) for rank in range(len(BAND))] for arm in range(len(result.arms))]
        }
    return {"size": result.cohort, "failures": len(result.failures), "variables": found}


def finding_view(
    finding: Finding,
    names: Iterable[str],
    units: Mapping[str, str],
    balances: Iterable[tuple[Balance, tuple[ExplainedTerm, ...]]] = (),
) -> dict[str, Any]:
    """Return the curves and numbers of a virtual test, and the terms of the balances of the day.

    Parameters
    ----------
    units : in which unit a curve is shown, by its name; that of the finding where nothing is said.
    """
    shown = {symbol.name: (symbol, own) for symbol, own in finding.challenge.shown}
    curves = {}
    for name in names:
        if name in shown:
            symbol, own = shown[name]
            wanted = through(unit(units[name]), symbol.unit.dimension, symbol.of) if name in units else own
            values = finding.courses[name] * (own.factor / wanted.factor)
            curves[name] = {"unit": _label(wanted.text), "about": symbol.about, "values": short(values)}
    reports = [
        {
            "name": report.name,
            "about": report.about,
            "unit": _label(report.unit.text),
            "value": short([finding.reports[report.name]])[0],
        }
        for report in finding.challenge.reports
    ]
    terms = {}
    for balance, each in balances:
        recorded = {term: finding.courses[term.name] for term in each if term.name in finding.courses}
        joined = _joined(balance, recorded)
        terms[balance.of] = [{"label": label, "values": short(values)} for label, values in joined.items()]
    return {"curves": curves, "reports": reports, "terms": terms}
