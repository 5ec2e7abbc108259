"""Which panels a result is shown in: those the scenario asks for, else those that belong together.

The words for people (titles of clinical names, levels that clinicians use) stand here, since no model owns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from isletsim.figures import Curve, FigureSpec, Panel, Ticks
from isletsim.figures.figure_spec import Threshold
from isletsim.results.evidence_labels import evidence_label, must_know
from isletsim.results.record import NOTICE, FigureRequest, StudyData
from isletsim.results.table import dose_phrase, provenance
from isletsim.results.variables import shown_unit, unit_label
from isletsim.statistics import quantiles

__all__ = ["sheet"]

MOST_PANELS = 9
INNER = (25.0, 75.0)
RUNAWAY = 1e30  # larger than anything in a body, in any unit
FIRST = ("hba1c", "cpeptide_fasting", "cpeptide_stimulated", "insulin_dose", "beta_mass")
TITLES = {
    "hba1c": "HbA1c",
    "glucose_fasting": "Glucose, fasting",
    "glucose_mean": "Glucose, mean",
    "insulin_fasting": "Insulin, fasting",
    "cpeptide_fasting": "C-peptide, fasting",
    "cpeptide_stimulated": "C-peptide, stimulated",
    "insulin_dose": "Insulin dose",
    "homa_ir": "HOMA-IR",
    "homa_b": "HOMA-B",
    "beta_mass": "Beta-cell mass",
    "beta_function": "Beta-cell function",
    "tir": "Time in range",
    "crp": "CRP",
    "il6": "IL-6",
    "tnf": "TNF-α",
    "il1b": "IL-1β",
    "il10": "IL-10",
    "body_weight": "Body weight",
    "egfr": "eGFR",
    "uacr": "UACR",
}
FEW = 20  # people, of whom a band of 5 to 95 % leaves out less than one at either end
LEVELS = {  # diagnosis and target of HbA1c; what is left of the beta cells when it hardly matters any more
    ("hba1c", "%"): (6.5, 7.0),
    ("cpeptide_fasting", "nmol/L"): (0.2,),
    ("cpeptide_stimulated", "nmol/L"): (0.2,),
}


def sheet(result: StudyData) -> FigureSpec:
    """The overview figure of a result, ready to be drawn."""
    positions = {variable.name: place for place, variable in enumerate(result.variables)}
    asked = list(result.figures) or [FigureRequest(name, name) for name in _choice(result)]
    ranks = _ranks(result)
    known = [spec for spec in asked if spec.show in positions]
    panels = [panel for spec in known if (panel := _panel(result, spec, positions[spec.show], ranks)).curves]
    missing = sorted({spec.show for spec in asked} - {spec.show for spec in known})
    inside = [[time for time in arm.dose_times if result.time[0] <= time <= result.time[-1]] for arm in result.arms]
    return FigureSpec(
        title=result.title or result.scenario,
        panels=tuple(panels),
        span=(float(result.time[0]), float(result.time[-1])),
        ticks=tuple(Ticks(rank, tuple(times)) for rank, times in zip(ranks, inside, strict=True) if times),
        notes=tuple(_notes(result, known, panels, missing)),
    )


def _ranks(result: StudyData) -> list[int]:
    """The style of each arm: the control is 0, the others follow in file order."""
    others = [place for place in range(len(result.arms)) if place != result.control]
    return [0 if place == result.control else 1 + others.index(place) for place in range(len(result.arms))]


def _recorded(result: StudyData, place: int) -> bool:
    return bool(np.isfinite(result.values[..., place]).any())


def _choice(result: StudyData) -> list[str]:
    """What is shown when the scenario does not say: the usual five, then clinical names, then the rest."""
    names = [variable.name for variable in result.variables]
    ranked = sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), "." in name))
    places = {name: names.index(name) for name in ranked}
    there = [name for name in ranked if _recorded(result, places[name])]
    telling = [name for name in there if np.nan_to_num(result.values[..., places[name]]).any()]
    return (telling or there)[:MOST_PANELS]


def _panel(result: StudyData, spec: FigureRequest, place: int, ranks: Sequence[int]) -> Panel:
    variable = result.variables[place]
    unit = unit_label(variable)
    if spec.thresholds:
        short = unit if unit != "%" else ""  # the unit stands in the title
        named = [(value, text.removesuffix(short).rstrip()) for value, text in spec.thresholds]
        thresholds = tuple(Threshold(value, text, asked=True) for value, text in named)
    else:
        mark = " %" if unit == "%" else ""
        thresholds = tuple(Threshold(value, f"{value:g}{mark}") for value in LEVELS.get((spec.show, unit), ()))
    curves = [_curve(result, spec, place, arm, rank) for arm, rank in enumerate(ranks)]
    return Panel(
        title=spec.title or TITLES.get(variable.name) or variable.name.replace("_", " ").replace(".", ": "),
        unit=spec.unit or shown_unit(variable),
        curves=tuple(curve for curve in curves if len(curve.time)),
        thresholds=thresholds,
    )


def _curve(result: StudyData, spec: FigureRequest, place: int, arm: int, rank: int) -> Curve:
    """Median and bands of the cohort; without one the reference patient. What has run away ends the line."""
    values = result.values[arm, :, :, place]
    label = result.arms[arm].name
    levels = quantiles(values[1:], (50.0, *spec.band, *INNER)) if result.cohort else values[:1]
    there = (np.abs(levels) < RUNAWAY).all(axis=0)
    middle, *edges = levels[:, there]
    bands = ((edges[0], edges[1]), (edges[2], edges[3])) if edges else ()
    recorded = np.flatnonzero(np.isfinite(result.values[..., place]).any(axis=(0, 1)))
    ended = bool(there.any()) and int(np.flatnonzero(there)[-1]) < int(recorded[-1])
    failed = any(failure.arm == label for failure in result.failures)
    return Curve(label, rank, result.time[there], middle, bands, broken=failed and ended)


def _notes(
    result: StudyData, known: Sequence[FigureRequest], panels: Sequence[Panel], missing: Sequence[str]
) -> list[str]:
    """The footer: how to read it, what was given, on which evidence it stands, and where it comes from."""
    if result.cohort:
        outer = sorted({spec.band for spec in known}) or [(5.0, 95.0)]
        bands = " or ".join(f"{low:g}–{high:g} %" for low, high in outer)
        few = " (of so few, nearly all)" if result.cohort < FEW else ""
        reading = [f"Lines: median of {result.cohort} virtual patients; bands: 25–75 % and {bands} of them{few}."]
    else:
        reading = ["Lines: the reference patient."]
    given = _together((arm.name, dose_phrase(arm)) for arm in result.arms)
    if given:
        reading.append("Ticks: doses (" + "; ".join(given) + ").")
    if any(curve.broken for panel in panels for curve in panel.curves):
        reading.append("A cross: the run ended there.")
    notes = [" ".join(reading)]
    abouts = [f"{arm.name}: {arm.about}" for arm in result.arms if arm.about]
    if abouts:
        notes.insert(0, "Arms. " + " · ".join(abouts) + ".")
    evidence_labels = _together((arm.name, evidence_label(arm)) for arm in result.arms)
    if evidence_labels:
        notes.append("Evidence: " + "; ".join(evidence_labels) + ".")
    statements = [statement.partition(":")[0] for statement in must_know(result)]
    if statements:
        kind = "statement" if len(statements) == 1 else "statements"
        notes.append(f"To be known with it: {kind} {', '.join(statements)} in run.json.")
    if missing:
        notes.append("Asked for and not recorded: " + ", ".join(missing) + ".")
    return [*notes, " · ".join([*provenance(result), NOTICE])]


def _together(said: Iterable[tuple[str, str]]) -> list[str]:
    """What is said of arms, once for all arms of which the same is said; nothing of those of which nothing is."""
    names: dict[str, list[str]] = {}
    for name, phrase in said:
        if phrase:
            names.setdefault(phrase, []).append(name)
    return [f"{', '.join(each)}: {phrase}" for phrase, each in names.items()]
