"""Controls for any model: what its own file says gives the sliders, panels and balances that no data file declares."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isletsim.composition import Composition, Symbol
from isletsim.data_files import title
from isletsim.explorer.records import Balance, ControlGroup, Controls, CurvePanel, PlannedTest, Shown, Slider
from isletsim.typesetting import letters
from isletsim.units import convert

__all__ = ["automatic_controls", "model_scenario"]

FACTOR = 3.0  # how far a slider goes to either side where the file gives no range
MOST_SLIDERS, MOST_PANELS, MOST_BALANCES = 40, 12, 3
RECORDS = 250
SPANS = (("min", "1 day", 1), ("hour", "7 day", 7))  # how long models are run whose numbers are in such units of time


def model_scenario(path: Path) -> dict[str, Any]:
    """Return a scenario of one arm over a model file, as long as its units of time suggest."""
    text = path.read_text(encoding="utf-8")
    times = [(len(re.findall(rf"1/{unit}\b|/{unit}\b", text)), until, span) for unit, until, span in SPANS]
    often = len(re.findall(r"/day\b", text))
    until, span = next(((until, span) for count, until, span in times if count > often), ("1 year", 365))
    return {
        "title": title(path) or path.stem,
        "core": [path.stem],
        "until": until,
        "save": f"{span / RECORDS:.4g} day",
        "arms": {"model": {"about": "the model"}},
    }


def automatic_controls(composition: Composition, offered: Controls) -> Controls:
    """Return controls made of a composition; `offered` lends what does not depend on the model."""
    files = [ControlGroup(name, info.title) for name, info in composition.files.items()]
    states = [each for each in composition.symbols.values() if each.kind == "state" and not each.classes]
    states = [each for each in states if "[" not in each.name]
    shown = [*composition.reports.values(), *states][:MOST_PANELS]
    return replace(
        offered,
        first="",
        patients=(),
        slider_groups=tuple(files),
        sliders=tuple(_sliders(composition))[:MOST_SLIDERS],
        therapies=(),
        panels=tuple(
            CurvePanel(each.name, _titled(each), (Shown(_shown(each), "", "", (), figure=True),), ()) for each in shown
        ),
        test=PlannedTest("", (), (), "0 day"),
        days=(),
        balances=tuple(Balance(each.name, _titled(each), "", "", "", "years") for each in states)[:MOST_BALANCES],
    )


def _shown(symbol: Symbol) -> str:
    return symbol.name.removeprefix("report.")


def _titled(symbol: Symbol) -> str:
    """Return a title for people: what a thing is, or its name in words."""
    text = symbol.about or _shown(symbol).rpartition(".")[2].replace("_", " ")
    return text[:1].upper() + text[1:]


def _sliders(composition: Composition) -> Iterator[Slider]:
    for symbol in composition.symbols.values():
        if symbol.kind != "parameter" or symbol.value is None or symbol.classes:
            continue
        value = convert(symbol.value, symbol.unit)
        if not (math.isfinite(value) and value > 0 and symbol.unit.offset == 0):
            continue
        unit = symbol.unit.text
        spread = symbol.varies or symbol.uncertain
        ends = None
        if spread is not None:
            low, high = (f"{convert(end, symbol.unit):.3g} {unit}".strip() for end in (spread.low, spread.high))
            ends = (low, high)
        yield Slider(
            name=symbol.name.replace(".", "__"),
            target=symbol.name,
            is_input=False,
            group=symbol.name.partition(".")[0],
            label=_labelled(symbol),
            about=symbol.about or symbol.name,
            low=f"{value / FACTOR:.3g} {unit}".strip(),
            high=f"{value * FACTOR:.3g} {unit}".strip(),
            healthy=ends,
            diseased=None,
            logarithmic=True,
            acts="now",
            kinds=(),
        )


def _labelled(symbol: Symbol) -> str:
    words = symbol.name.partition(".")[2].replace("_", " ")
    return f"{words} ({letters(symbol.symbol)})" if symbol.symbol else words


def with_units(controls: Controls, terms: Mapping[str, Any], composition: Composition) -> Controls:
    """Return the controls with balances in the units of their first terms, without those that have none."""
    balances = []
    for balance in controls.balances:
        found = terms.get(balance.of, ())
        if len(found) > 1:
            unit = composition.symbols[found[0].name].unit.text
            balances.append(replace(balance, unit=unit, label=unit))
    return replace(controls, balances=tuple(balances))
