"""Read the data files that declare the explorer's controls.

Nothing here knows a model: names, ranges and labels are data, and tests hold them against the models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from isletsim.data_files import data_folder
from isletsim.explorer.records import (
    Balance,
    ControlGroup,
    Controls,
    CurvePanel,
    DayTest,
    Knob,
    PatientChoice,
    PlannedTest,
    Shown,
    Slider,
    Therapy,
)
from isletsim.language import KeyPath, TomlDocument, read_document

__all__ = ["controls_folder", "read_controls"]

_PLACE = re.compile(r"(doses|courses)\.(\d+)\.(\w+)")
_HEAD = ("title", "about")
_SLIDER = (
    "name",
    "parameter",
    "input",
    "group",
    "label",
    "about",
    "range",
    "healthy",
    "diseased",
    "scale",
    "acts",
    "kinds",
)
_THERAPY = ("name", "label", "group", "about", "layers", "doses", "courses", "kinds", "without", "knobs")


def controls_folder() -> Path:
    """Return the folder of the explorer's data files."""
    return data_folder("models") / "explorer"


@cache
def read_controls(folder: Path | None = None) -> Controls:
    """Read every control of the explorer.

    Raises
    ------
    InputError : every fault of a file.
    """
    place = folder or controls_folder()
    first, patients = _patients(place / "patients.toml")
    slider_groups, sliders = _sliders(place / "sliders.toml")
    therapy_groups, therapies = _therapies(place / "therapies.toml")
    units, days = _days(place / "days.toml")
    document = read_document(place / "plots.toml")
    document.only(document.data, (*_HEAD, "save", "visits", "test", "panels"), ())
    test = document.table(document.data, "test", ())
    panels = tuple(
        _panel(document, entry, index) for index, entry in enumerate(document.listing(document.data, "panels", ()))
    )
    early = document.table(test, "early", ("test",))
    planned = PlannedTest(
        name=document.word(test, "name", ("test",)),
        at=document.names(test, "at", ("test",)),
        early=document.names(early, "at", ("test", "early")),
        within=document.word(early, "within", ("test", "early"), "0 day"),
    )
    save, visits = (document.word(document.data, key, ()) for key in ("save", "visits"))
    document.finish()
    return Controls(
        first=first,
        patients=patients,
        slider_groups=slider_groups,
        sliders=sliders,
        therapy_groups=therapy_groups,
        therapies=therapies,
        panels=panels,
        test=planned,
        days=days,
        units=units,
        balances=_balances(place / "why.toml"),
        save=save,
        visits=visits,
    )


def _patients(path: Path) -> tuple[str, tuple[PatientChoice, ...]]:
    document = read_document(path)
    document.only(document.data, (*_HEAD, "first", "patients"), ())
    found = []
    for index, entry in enumerate(document.listing(document.data, "patients", ())):
        keys: KeyPath = ("patients", index)
        document.only(entry, ("file", "label", "group", "kinds", "until"), keys)
        texts = [_required(document, entry, key, keys) for key in ("file", "label", "group", "until")]
        found.append(PatientChoice(texts[0], texts[1], texts[2], document.names(entry, "kinds", keys), texts[3]))
    first = document.one_of(document.data, "first", (), [each.file for each in found])
    document.finish()
    return first, tuple(found)


def _groups(document: TomlDocument) -> tuple[ControlGroup, ...]:
    return tuple(
        ControlGroup(
            _required(document, entry, "name", ("groups", index)),
            _required(document, entry, "label", ("groups", index)),
        )
        for index, entry in enumerate(document.listing(document.data, "groups", ()))
    )


def _sliders(path: Path) -> tuple[tuple[ControlGroup, ...], tuple[Slider, ...]]:
    document = read_document(path)
    document.only(document.data, (*_HEAD, "groups", "sliders"), ())
    groups = _groups(document)
    found = []
    for index, entry in enumerate(document.listing(document.data, "sliders", ())):
        keys: KeyPath = ("sliders", index)
        document.only(entry, _SLIDER, keys)
        if ("parameter" in entry) == ("input" in entry):
            document.fault(keys, "needs either a parameter or an input.", 'Write parameter = "file.name".')
        low, high = _ends(document, entry, "range", keys) or ("0", "1")
        found.append(
            Slider(
                name=_required(document, entry, "name", keys),
                target=document.word(entry, "parameter", keys) or document.word(entry, "input", keys),
                is_input="input" in entry,
                group=document.one_of(entry, "group", keys, [each.name for each in groups]),
                label=_required(document, entry, "label", keys),
                about=_required(document, entry, "about", keys),
                low=low,
                high=high,
                healthy=_ends(document, entry, "healthy", keys),
                diseased=_ends(document, entry, "diseased", keys),
                logarithmic=document.one_of(entry, "scale", keys, ("linear", "log"), "linear") == "log",
                acts=document.one_of(entry, "acts", keys, ("now", "history"), "now"),
                kinds=document.names(entry, "kinds", keys),
            )
        )
    document.finish()
    return groups, tuple(found)


def _therapies(path: Path) -> tuple[tuple[ControlGroup, ...], tuple[Therapy, ...]]:
    document = read_document(path)
    document.only(document.data, (*_HEAD, "groups", "therapies"), ())
    groups = _groups(document)
    found = []
    for index, entry in enumerate(document.listing(document.data, "therapies", ())):
        keys: KeyPath = ("therapies", index)
        document.only(entry, _THERAPY, keys)
        found.append(
            Therapy(
                name=_required(document, entry, "name", keys),
                label=_required(document, entry, "label", keys),
                group=document.one_of(entry, "group", keys, [each.name for each in groups]),
                about=_required(document, entry, "about", keys),
                layers=document.names(entry, "layers", keys),
                doses=tuple(document.listing(entry, "doses", keys)),
                courses=tuple(document.listing(entry, "courses", keys)),
                kinds=document.names(entry, "kinds", keys),
                without=document.names(entry, "without", keys),
                knobs=tuple(
                    _knob(document, knob, entry, (*keys, "knobs", place))
                    for place, knob in enumerate(document.listing(entry, "knobs", keys))
                ),
            )
        )
    document.finish()
    return groups, tuple(found)


def _knob(document: TomlDocument, knob: Mapping[str, Any], therapy: Mapping[str, Any], keys: KeyPath) -> Knob:
    document.only(knob, ("label", "sets", "range", "scale", "step"), keys)
    sets: list[tuple[str, int, str]] = []
    for text in document.names(knob, "sets", keys):
        match = _PLACE.fullmatch(text)
        there = match is not None and int(match[2]) < len(therapy.get(match[1], []))
        if match is None or not there or match[3] not in therapy[match[1]][int(match[2])]:
            document.fault((*keys, "sets"), f'"{text}" is not an entry of this therapy.', 'Write "doses.0.amount".')
        else:
            sets.append((match[1], int(match[2]), match[3]))
    low, high = _ends(document, knob, "range", keys) or ("0", "1")
    step = knob.get("step", 0)
    return Knob(
        label=_required(document, knob, "label", keys),
        sets=tuple(sets),
        low=low,
        high=high,
        logarithmic=document.one_of(knob, "scale", keys, ("linear", "log"), "linear") == "log",
        step=float(step) if isinstance(step, (int, float)) else 0.0,
    )


def _panel(document: TomlDocument, entry: Mapping[str, Any], index: int) -> CurvePanel:
    keys: KeyPath = ("panels", index)
    document.only(entry, ("name", "title", "shows", "kinds"), keys)
    shows = []
    for place, shown in enumerate(document.listing(entry, "shows", keys)):
        inner: KeyPath = (*keys, "shows", place)
        document.only(shown, ("show", "label", "unit", "thresholds", "figure"), inner)
        shows.append(
            Shown(
                show=_required(document, shown, "show", inner),
                label=document.word(shown, "label", inner),
                unit=document.word(shown, "unit", inner),
                thresholds=document.names(shown, "thresholds", inner),
                figure=shown.get("figure") is True,
            )
        )
    title = _required(document, entry, "title", keys)
    return CurvePanel(
        _required(document, entry, "name", keys), title, tuple(shows), document.names(entry, "kinds", keys)
    )


def _days(path: Path) -> tuple[Mapping[str, str], tuple[DayTest, ...]]:
    document = read_document(path)
    document.only(document.data, (*_HEAD, "units", "tests"), ())
    found = []
    for index, entry in enumerate(document.listing(document.data, "tests", ())):
        keys: KeyPath = ("tests", index)
        document.only(entry, ("name", "label", "about", "show", "reports"), keys)
        label, about = (_required(document, entry, key, keys) for key in ("label", "about"))
        shows, reports = document.names(entry, "show", keys), document.table(entry, "reports", keys)
        found.append(DayTest(document.word(entry, "name", keys), label, about, shows, reports))
    units = document.table(document.data, "units", ())
    document.finish()
    return units, tuple(found)


def _balances(path: Path) -> tuple[Balance, ...]:
    document = read_document(path)
    document.only(document.data, (*_HEAD, "balances"), ())
    found = []
    for index, entry in enumerate(document.listing(document.data, "balances", ())):
        keys: KeyPath = ("balances", index)
        document.only(entry, ("of", "title", "about", "unit", "label", "per", "net"), keys)
        of, title, about, unit, label = (
            _required(document, entry, key, keys) for key in ("of", "title", "about", "unit", "label")
        )
        per = document.one_of(entry, "per", keys, ("years", "day"), "years")
        net = tuple(
            (_required(document, each, "label", (*keys, "net")), document.names(each, "terms", (*keys, "net")))
            for each in document.listing(entry, "net", keys)
        )
        found.append(Balance(of, title, about, unit, label, per, net))
    document.finish()
    return tuple(found)


def _required(document: TomlDocument, entry: Mapping[str, Any], key: str, keys: KeyPath) -> str:
    text = document.word(entry, key, keys)
    if not text:
        document.fault(keys, f"has no {key}.", f'Write {key} = "...".')
    return text


def _ends(document: TomlDocument, entry: Mapping[str, Any], key: str, keys: KeyPath) -> tuple[str, str] | None:
    if key not in entry:
        return None
    ends = document.names(entry, key, keys)
    if len(ends) == 2:
        return ends[0], ends[1]
    document.fault((*keys, key), "expected two quantities.", f'Write {key} = ["0", "1"].')
    return None
