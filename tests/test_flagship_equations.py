"""The equations of the flagship, day and life, against a worked composition that was run in an independent prototype.

The numbers are those the prototype printed: a frozen life and the tenth of ten equal days, and the derivatives of the
life at one crowded point with every therapy at work. Neogenesis, which the prototype lacked, is set to zero, and what
glucose and fat do to the prototype's sizes; incretins and fatty acids, which it lacked too, are left out of the stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from composite_therapies import LAYER

from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import initial
from isletsim.composition import Composition, superpose
from isletsim.composition.model_library import read_stack
from isletsim.language import evaluate, names, read_model
from isletsim.multiscale.day import schedule_of
from isletsim.solver import solve
from isletsim.units import quantity

CORE = (
    *("person", "gut", "glucose", "insulin", "secretion", "cpeptide", "insulin_depots", "counterregulation"),
    "glucose_variability",
    *("glycaemia", "body_weight", "inflammation", "sensitivity", "oxidative_stress", "beta_cells", "immunity"),
    *("red_cells", "insulin_plan", "kidney", "hypoglycaemia"),
)
MEALS = ((7.0, 50.0), (12.5, 75.0), (19.0, 80.0))  # hour of the day, grams


@cache
def _composition(*layers: Path) -> Composition:
    return superpose([*read_stack(CORE, follow=False), *(read_model(path) for path in layers)])


# --- the day ----------------------------------------------------------------------------------------------------------

LEAN = {
    "beta_cells.capacity": "1",
    "body_weight.weight": "70 kg",
    "body_weight.liver_fat": "2 %",
    "hypoglycaemia.answer": "1",
    "insulin_plan.planned": "0 U/kg/day",
    "kidney.egfr": "112.328969 mL/min",  # filters 120 mL/min at a body surface of 1.84814 m2, as the prototype did
    "sensitivity.hepatic": "1",
    "sensitivity.peripheral": "1",
}


def _tenth_day(frozen: Mapping[str, str]) -> tuple[float, float, float, float, float]:
    """Mean glucose; at 06:40 to 06:55 glucose, insulin (uU/mL), C-peptide (nmol/L); urinary glucose (g/day)."""
    composition = _composition()
    assert composition.clocks is not None
    clocks = composition.clocks
    model = compile_model(clocks.day)
    parameters = np.array(clocks.day.values)
    for name, text in {**LEAN, **frozen}.items():
        parameters[clocks.day.parameters.index(name)] = quantity(text).value
    entries: list[tuple[float, int, int, float]] = []
    total = sum(grams for _, grams in MEALS)
    for hour, grams in MEALS:
        for port, amount in (("gut.meal", f"{grams} g"), ("insulin_depots.bolus", f"{grams / total}")):
            plan = composition.ports[port]
            if plan.multiply >= 0:
                entries.append((hour / 24, 1, clocks.day_actions[plan.multiply], 0.0))
            entries.append((hour / 24, 1, clocks.day_actions[plan.add], quantity(amount).value))
    state = initial(model, parameters)
    for _ in range(10):
        state[[name.startswith("integral(") for name in clocks.day.states]] = 0.0
        day = solve(
            model,
            state,
            parameters,
            span=(0.0, 1.0),
            save=np.array([400.0, 405.0, 410.0, 415.0]) / 1440.0,
            schedule=schedule_of(entries),
            rtol=1e-8,
            atol=1e-10 * np.array(clocks.day.scale),
            method="explicit",
            keep_states=True,
        )
        state, parameters = day.state.copy(), day.parameters
    early = {name: day.outputs[:, column].mean() for column, name in enumerate(clocks.day.outputs)}
    sums = dict(zip(clocks.day.states, day.state, strict=True))
    assert day.states is not None
    cpeptide = day.states[:, clocks.day.states.index("cpeptide.plasma")].mean()
    shown = (
        (sums["integral(glucose.plasma)"], "mg/dL"),
        (early["glucose.plasma"], "mg/dL"),
        (early["insulin.plasma"], "pmol/L"),
        (cpeptide, "nmol/L"),
        (sums["integral(glucose.urinary_loss)"], "g/day"),
    )
    mean, fasting, insulin, found, urine = (float(value / quantity(f"1 {unit}").value) for value, unit in shown)
    return mean, fasting, insulin / 6.0, found, urine


@pytest.mark.parametrize(
    ("frozen", "wanted"),
    [
        ({}, (105.7910, 90.3144, 3.7734, 0.41218, None)),
        (
            {"sensitivity.peripheral": "0.5", "sensitivity.hepatic": "0.4", "beta_cells.capacity": "0.6"},
            (164.235, 126.390, 10.4320, 0.94261, 17.028),
        ),
        ({"beta_cells.capacity": "0.3"}, (158.195, 109.587, 2.7632, 0.31583, 14.612)),
        (
            {
                "beta_cells.capacity": "0.02",
                "sensitivity.peripheral": "0.7",
                "sensitivity.hepatic": "0.7",
                "insulin_plan.planned": "0.5 U/kg/day",
            },
            (184.745, 138.069, 7.1848, 0.04135, 28.752),
        ),
    ],
    ids=["lean", "resistant", "few beta cells", "insulin for hardly any beta cells"],
)
def test_the_tenth_of_ten_equal_days(frozen: dict[str, str], wanted: tuple[float | None, ...]) -> None:
    for found, expected in zip(_tenth_day(frozen), wanted, strict=True):
        if expected is not None:
            digits = len(f"{expected}".split(".")[1])
            assert found == pytest.approx(expected, abs=max(0.6 * 10.0**-digits, 2e-5 * expected))


# --- the life ---------------------------------------------------------------------------------------------------------

PARAMETERS = {
    "immunity.susceptible": "1",
    "immunity.largest_presentation": "1",
    "immunity.half_antigen": "1",
    "immunity.half_memory": "0.055",
    "beta_cells.neogenesis_share": "0",
    "beta_cells.glucotoxicity": "0.6",
    "beta_cells.glucotoxic_half": "60 mg/dL",
    "body_weight.overeating": "300 kcal/day",
    "composite_therapies.immunosuppression": "1",
    "beta_cells.lipotoxicity": "0.25",
    "body_weight.fat_steepness": "8",
}
POINT = {
    "body_weight.weight": "98 kg",
    "body_weight.liver_fat": "9 %",
    "inflammation.m1": "1",
    "inflammation.m2": "2",
    "inflammation.tnf": "2.5 pg/mL",
    "inflammation.il6": "2.3 pg/mL",
    "inflammation.il1b": "0.2 pg/mL",
    "inflammation.il10": "3.5 pg/mL",
    "inflammation.crp": "0.8 mg/L",
    "inflammation.islet_il1b": "2 ng/mL",
    "sensitivity.peripheral": "0.5",
    "sensitivity.hepatic": "0.4",
    "beta_cells.native": "0.6",
    "beta_cells.dedifferentiated": "0.05",
    "beta_cells.function": "0.6",
    "beta_cells.workload": "1.5",
    "immunity.presenting": "0.12",
    "immunity.effector": "0.1",
    "immunity.regulatory": "1.3",
    "immunity.memory": "0.08",
    "immunity.reservoir": "1",
    "glycaemia.mean_glucose": "165 mg/dL",
    "glycaemia.urinary_glucose": "10 g/day",
    "composite_therapies.cells": "0.5 Mcell/kg",
    "composite_therapies.host": "0.4",
    "composite_therapies.vesicles_plasma": "0.2",
    "composite_therapies.vesicles_tissue": "0.1",
    "composite_therapies.vesicle_effect": "0.3",
    "composite_therapies.anti_cd3": "0.2",
    "composite_therapies.suppressed": "0.7",
    "composite_therapies.graft_young": "0.1",
    "composite_therapies.graft": "0.2",
}
# Per day, in the unit of the state.
DERIVATIVES = {
    "body_weight.weight": -2.542182e-02,
    "body_weight.liver_fat": -2.745548e-02,
    "inflammation.m1": -1.186626e-02,
    "inflammation.m2": 1.268624e-02,
    "inflammation.tnf": -5.537307e00,
    "inflammation.il6": -3.658087e00,
    "inflammation.il1b": 1.409654e01,
    "inflammation.il10": 5.676000e00,
    "inflammation.crp": 1.743532e00,
    "inflammation.islet_il1b": 1.956391e-02,
    "sensitivity.peripheral": 6.320855e-03,
    "sensitivity.hepatic": 9.287294e-03,
    "beta_cells.native": -9.591075e-04,
    "beta_cells.dedifferentiated": -1.226509e-05,
    "beta_cells.function": -2.549075e-03,
    "beta_cells.workload": 3.664312e-02,
    "immunity.presenting": 4.126984e-03,
    "immunity.effector": -2.969000e-03,
    "immunity.regulatory": 7.222222e-03,
    "immunity.memory": -5.192857e-04,
    "immunity.reservoir": 0.0,
    "composite_therapies.graft_young": -1.039323e-02,
    "composite_therapies.graft": 6.124904e-03,
    "red_cells.glycated[1]": 4.203070e-04,
    "red_cells.glycated[12]": 3.831288e-04,
}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Composition, dict[str, float]]:
    """Every value of the life at the point, oxidative stress at its own rest; each summary of the day is 1."""
    path = tmp_path_factory.mktemp("layers") / "composite_therapies.toml"
    path.write_text(LAYER)
    composition = _composition(path)
    assert composition.clocks is not None
    flat = composition.flat
    values = dict(zip(flat.parameters, flat.values, strict=True)) | dict.fromkeys(composition.clocks.up, 1.0)
    values |= {name: quantity(text).value for name, text in PARAMETERS.items()}
    for name, tree in flat.constants:
        values[name] = evaluate(tree, values)
    values |= {name: evaluate(tree, values) for name, tree in zip(flat.states, flat.start, strict=True)}
    values |= {name: quantity(text).value for name, text in POINT.items()}
    trees = dict(flat.expressions)

    def fill(name: str) -> None:
        if name not in values:
            for each in names(trees[name]):
                fill(each)
            values[name] = evaluate(trees[name], values)

    values["time"] = 0.0
    fill("oxidative_stress.source")
    values["oxidative_stress.stress"] = values["oxidative_stress.source"]
    for name in trees:
        fill(name)
    return composition, values


@pytest.mark.parametrize("state", DERIVATIVES)
def test_the_derivatives_of_the_life_at_a_crowded_point(
    crowded: tuple[Composition, dict[str, float]], state: str
) -> None:
    composition, values = crowded
    tree = composition.flat.derivatives[composition.flat.states.index(state)]
    found = evaluate(tree, values) / composition.symbols[state.partition("[")[0]].unit.factor
    assert found == pytest.approx(DERIVATIVES[state], rel=2e-5, abs=1e-12)


def test_capacity_of_the_crowded_point(crowded: tuple[Composition, dict[str, float]]) -> None:
    assert crowded[1]["beta_cells.capacity"] == pytest.approx(0.80857322, rel=1e-7)
