"""Records of what the explorer offers: patients, sliders, therapies, panels, tests and balances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Balance",
    "ControlGroup",
    "Controls",
    "CurvePanel",
    "DayTest",
    "Knob",
    "PatientChoice",
    "PlannedTest",
    "Shown",
    "Slider",
    "Therapy",
    "fits",
]


@dataclass(frozen=True)
class ControlGroup:
    """A heading under which sliders or therapies are listed."""

    name: str
    label: str


@dataclass(frozen=True)
class PatientChoice:
    """A patient of the chooser; `kinds` select the sliders, therapies and panels that suit them."""

    file: str
    label: str
    group: str
    kinds: tuple[str, ...]
    until: str


@dataclass(frozen=True)
class Slider:
    """A parameter, or the level of an input, with the quantities that bound it as texts.

    Attributes
    ----------
    acts : "now" for a number that acts from day 0, "history" for one that matters only in the patient's history.
    """

    name: str
    target: str
    is_input: bool
    group: str
    label: str
    about: str
    low: str
    high: str
    healthy: tuple[str, str] | None
    diseased: tuple[str, str] | None
    logarithmic: bool
    acts: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Knob:
    """A number of a therapy that users may change; `sets` are places in its doses and courses."""

    label: str
    sets: tuple[tuple[str, int, str], ...]
    low: str
    high: str
    logarithmic: bool
    step: float


@dataclass(frozen=True)
class Therapy:
    """A switch: layers, doses and courses as a scenario writes them, and the knobs that change them."""

    name: str
    label: str
    group: str
    about: str
    layers: tuple[str, ...]
    doses: tuple[Mapping[str, Any], ...]
    courses: tuple[Mapping[str, Any], ...]
    kinds: tuple[str, ...]
    without: tuple[str, ...]
    knobs: tuple[Knob, ...]


@dataclass(frozen=True)
class Shown:
    """A quantity that a panel can show: a clinical name, FILE.NAME, or a report of the planned test."""

    show: str
    label: str
    unit: str
    thresholds: tuple[str, ...]
    figure: bool


@dataclass(frozen=True)
class CurvePanel:
    """One plot over the years, with one or several quantities to switch between."""

    name: str
    title: str
    shows: tuple[Shown, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class PlannedTest:
    """The virtual test given during the years, and when; at `early` moments too where a run ends `within` a time."""

    name: str
    at: tuple[str, ...]
    early: tuple[str, ...]
    within: str


@dataclass(frozen=True)
class DayTest:
    """A virtual test of the day tab; the name is empty for an ordinary day, whose reports are written here."""

    name: str
    label: str
    about: str
    show: tuple[str, ...]
    reports: Mapping[str, Any]


@dataclass(frozen=True)
class Balance:
    """A balance whose terms are drawn as stacked areas, over "years" or over one "day".

    `net` holds labels and the rates, nearly cancelling one another, that are drawn as one area.
    """

    of: str
    title: str
    about: str
    unit: str
    label: str
    per: str
    net: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Controls:
    """Everything the explorer offers; `units` say in which unit a curve of a day is drawn."""

    first: str
    patients: tuple[PatientChoice, ...]
    slider_groups: tuple[ControlGroup, ...]
    sliders: tuple[Slider, ...]
    therapy_groups: tuple[ControlGroup, ...]
    therapies: tuple[Therapy, ...]
    panels: tuple[CurvePanel, ...]
    test: PlannedTest
    days: tuple[DayTest, ...]
    units: Mapping[str, str]
    balances: tuple[Balance, ...]
    save: str
    visits: str


def fits(kinds: tuple[str, ...], without: tuple[str, ...], patient: tuple[str, ...]) -> bool:
    """Tell whether something that is meant for some kinds of patients suits a patient of these kinds."""
    return (not kinds or bool(set(kinds) & set(patient))) and not set(without) & set(patient)
