"""The new day, whatever happens in it: no state turns negative or explodes, and people survive what people survive."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from isletsim import load_scenario
from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import initial
from isletsim.composition import Composition, superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import find
from isletsim.language import evaluate
from isletsim.language.tree import substitute
from isletsim.multiscale.day import schedule_of
from isletsim.solver import solve
from isletsim.units import quantity

MEALS = ((8.0, "gut.share", "0.25"), (13.0, "gut.share", "0.35"), (19.0, "gut.share", "0.40"))
DRUGS = {
    "metformin": "20 g/day",
    "sglt2_inhibitor": "250 mg/day",
    "dpp4_inhibitor": "1000 mg/day",
    "pioglitazone": "450 mg/day",
    "prednisolone": "250 mg/day",
    "semaglutide": "10 mg/week",
    "dulaglutide": "15 mg/week",
    "liraglutide": "18 mg/day",
    "tirzepatide": "150 mg/week",
}


@dataclass(frozen=True)
class Course:
    """What a stretch of days gave: minutes, glucose in mmol/L, and every state."""

    states: Mapping[str, np.ndarray]
    failed: bool

    def of(self, name: str, unit: str) -> np.ndarray:
        return self.states[name] / quantity(f"1 {unit}").value

    @property
    def glucose(self) -> np.ndarray:
        return self.of("glucose.plasma_mass", "mg/kg") / 1.6 / 18.016


@cache
def _composition() -> Composition:
    core = tomllib.loads(find("patient", "healthy_lean").read_text())["core"]
    return superpose(read_stack([*core, "day/infusions"]))


@cache
def _compiled():
    clocks = _composition().clocks
    assert clocks is not None
    return clocks, compile_model(clocks.day)


def _numbers(patient: str, changes: Mapping[str, str]) -> dict[str, float]:
    """Every parameter of a patient, and what the day reads of the years at their start."""
    flat = _composition().flat
    known = dict(zip(flat.parameters, flat.values, strict=True))
    settings = tomllib.loads(find("patient", patient).read_text())["set"]
    given = {name: entry["value"] for name, entry in settings.items()} | changes
    known |= {name: quantity(text).value for name, text in given.items()}
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    for name, tree in zip(flat.states, flat.start, strict=True):
        known[name] = evaluate(tree, known)
    clocks, _ = _compiled()
    for name, tree in flat.expressions:
        if name in clocks.down:
            known[name] = evaluate(_resolved(tree), known)
    return known


def _resolved(tree):
    """A tree in which every expression of the years stands in place of its name."""
    flat = _composition().flat
    trees = dict(flat.expressions)
    return substitute(tree, lambda name: _resolved(trees[name.name]) if name.name in trees else name)


def _live(
    patient: str,
    days: float,
    meals: Sequence[tuple[float, str, str]] = (),
    changes: Mapping[str, str] | None = None,
    numbers: Mapping[str, float] | None = None,
    start: np.ndarray | None = None,
    method: str = "explicit",
) -> Course:
    """Days of a patient; `meals` are hours since the first midnight, ports and amounts."""
    clocks, model = _compiled()
    known = numbers or _numbers(patient, changes or {})
    parameters = np.array([known[name] for name in clocks.day.parameters])
    ports = _composition().ports
    entries = [
        (hour / 24.0, 1, clocks.day_actions[ports[port].add], quantity(amount).value) for hour, port, amount in meals
    ]
    run = solve(
        model,
        initial(model, parameters) if start is None else start,
        parameters,
        span=(0.0, days),
        save=np.linspace(0.0, days, round(days * 288) + 1),
        schedule=schedule_of(entries),
        rtol=1e-6,
        atol=1e-8 * np.array(clocks.day.scale),
        method=method,
        keep_states=True,
    )
    assert run.states is not None
    return Course(dict(zip(clocks.day.states, run.states.T, strict=True)), run.reason.failed)


def _usual(days: int) -> list[tuple[float, str, str]]:
    return [(24.0 * day + hour, port, amount) for day in range(days) for hour, port, amount in MEALS]


def _end(course: Course) -> np.ndarray:
    return np.array([values[-1] for values in course.states.values()])


def _check(course: Course) -> None:
    assert not course.failed
    for name, values in course.states.items():
        assert np.isfinite(values).all(), name
        assert values.min() >= -1e-7 * max(1.0, np.abs(values).max()), (name, values.min())


def _draw(generator: np.random.Generator) -> dict[str, float]:
    """Every rate and constant of the day between a third and three times itself; shares and powers as they are."""
    known = _numbers("healthy_lean", {})
    symbols = _composition().symbols
    clocks, _ = _compiled()
    for name in clocks.day.parameters:
        symbol = symbols.get(name)
        if symbol is None or symbol.kind != "parameter" or not symbol.unit.dimension or known[name] == 0.0:
            continue
        if name.rpartition(".")[2] in ("one_day", "peak", "volume", "morning"):
            continue
        known[name] *= float(np.exp(generator.uniform(-np.log(3.0), np.log(3.0))))
    return known


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(each, marks=pytest.mark.slow) for each in range(10, 300))])
def test_nothing_turns_negative_or_explodes_whatever_the_constants(seed: int) -> None:
    numbers = _draw(np.random.default_rng(seed))
    meals = [*_usual(2), (32.0, "insulin_depots.bolus", "60 U")]
    course = _live("healthy_lean", 2.0, meals, numbers=numbers, method="stiff")
    _check(course)
    assert course.glucose.max() < 200.0


@pytest.mark.parametrize(
    "patient", ["healthy_lean", "obese_normal", "impaired_tolerance", "early_t2d_8", "early_t2d_9", "type1"]
)
def test_a_tenfold_bolus_is_survived_with_every_state_positive(patient: str) -> None:
    course = _live(patient, 2.0, [*_usual(1), (32.0, "insulin_depots.bolus", "60 U")])
    _check(course)
    assert 0.0 < course.glucose.min() < 3.0


def test_a_healthy_adult_who_fasts_for_three_days_stays_above_three_and_makes_ketones() -> None:
    course = _live("healthy_lean", 4.8, _usual(2))
    _check(course)
    fasting = course.glucose[2 * 288 :]
    assert fasting.min() > 3.0
    assert fasting[-1] < 4.8
    ketones = course.of("ketones.plasma", "mmol/L")
    assert ketones[2 * 288] < 0.4
    assert 1.5 < ketones[-1] < 6.0
    assert course.of("liver.glycogen", "mg/kg")[-1] < 60.0


def test_without_insulin_type_1_diabetes_becomes_ketoacidosis_within_two_days() -> None:
    before = _live(
        "type1",
        2.0,
        [
            *_usual(2),
            *(
                (24.0 * day + hour, "insulin_depots.bolus", dose)
                for day in (0, 1)
                for hour, dose in ((8.0, "6 U"), (13.0, "8 U"), (19.0, "9 U"))
            ),
        ],
    )
    assert 5.0 < before.glucose[-1] < 12.0
    course = _live("type1", 2.0, _usual(1), {"insulin_depots.basal_rate": "0 U/kg/day"}, start=_end(before))
    _check(course)
    ketones = course.of("ketones.plasma", "mmol/L")
    assert course.glucose[0] < course.glucose[144] < course.glucose[288]
    assert course.glucose[288] > 15.0
    assert ketones[288] > 3.0
    assert 5.0 < ketones[-1] < 15.0
    assert course.of("fatty_acids.plasma", "umol/L")[-1] > 1200.0
    assert course.states["ketoacidosis.stress"][-1] > 0.3


def test_ten_times_the_dose_of_no_drug_but_insulin_and_sulfonylureas_makes_a_healthy_adult_hypoglycaemic(
    tmp_path,
) -> None:
    arms = "".join(
        f'[arms.{name}]\nabout = "ten times the usual dose"\nlayers = ["day/{name}"]\n'
        f'courses = [{{ input = "{name}.dose", level = "{dose}", from = "0 day" }}]\n'
        for name, dose in DRUGS.items()
    )
    head = 'title = "Tenfold doses"\npatient = "healthy_lean"\nuntil = "12 week"\nsave = "1 week"\n'
    path = tmp_path / "tenfold.toml"
    path.write_text(f'{head}[arms.none]\nabout = "no drug"\n{arms}')
    table = load_scenario(path).run().to_pandas()
    lowest = table[table["variable"] == "glucose_lowest"].groupby("arm")["value"].min()
    assert set(lowest.index) == {"none", *DRUGS}
    assert lowest.min() >= 3.9, lowest.to_dict()


def test_a_sulfonylurea_lowers_a_healthy_fasting_glucose_and_no_further_at_ten_times_its_dose(tmp_path) -> None:
    arms = "".join(
        f'[arms.{name}]\nabout = "{dose}"\nlayers = ["sulfonylurea"]\n'
        f'courses = [{{ input = "sulfonylurea.dose", level = "{dose}", from = "0 day" }}]\n'
        for name, dose in (("usual", "4 mg/day"), ("tenfold", "40 mg/day"))
    )
    path = tmp_path / "sulfonylurea.toml"
    path.write_text(f'title = "Sulfonylurea"\npatient = "healthy_lean"\nuntil = "2 week"\nsave = "1 week"\n{arms}')
    table = load_scenario(path).run().to_pandas()
    lowest = table[table["variable"] == "glucose_lowest"].groupby("arm")["value"].min()
    assert 3.5 < lowest["tenfold"] < lowest["usual"] < 4.8
