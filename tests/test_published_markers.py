"""Published models of HbA1c, IL-1beta, C-peptide and insulin action, against the numbers their authors left.

Some numbers stand in the authors' own or curated files; the others were computed once from the same equations by an
independent solver. Tolerances: half the last printed digit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import isletsim


@cache
def model(name: str) -> Any:
    return isletsim.load_model(name)


# --- HbA1c chain ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glucose", "hba1c"),
    [("5", 5.0388), ("5.5", 5.3940), ("7", 6.4031), ("8", 7.0365), ("10", 8.2288), ("10.8", 8.6821), ("12", 9.3405)],
)
def test_hba1c_chain_rests_at_the_value_of_its_glucose(glucose: str, hba1c: float) -> None:
    settings = {"reference_glucose": f"{glucose} mmol/L"}
    assert model("hba1c_chain").values(set=settings)["hba1c_chain.hba1c"] == pytest.approx(hba1c, abs=6e-5)
    change = model("hba1c_chain").derivatives(set=settings)
    assert all(abs(value) < 1e-12 for value in change.values())


def test_hba1c_chain_holds_the_compartments_of_the_curated_file() -> None:
    run = model("hba1c_chain").simulate(until="1 day", save="1 day")
    native, glycated = run["native"][0], run["glycated"][0]
    found = [native[0], glycated[0], native[-1], glycated[-1]]
    assert found == pytest.approx([8.62700, 0.122997, 7.38296, 1.36704], rel=6e-6)
    assert native.sum() + glycated.sum() == pytest.approx(105, rel=1e-12)


@pytest.mark.parametrize(
    ("before", "after", "fractions"),
    [
        ("7", "10.8", {7: 0.130, 14: 0.250, 30: 0.486, 42: 0.628, 90: 0.937, 120: 0.986, 180: 0.9997}),
        ("10.8", "7", {7: 0.127, 14: 0.245, 30: 0.478, 42: 0.620, 60: 0.783, 90: 0.934, 120: 0.985}),
    ],
)
def test_hba1c_chain_answers_a_step_of_glucose_over_a_red_cell_life(
    before: str, after: str, fractions: dict[int, float]
) -> None:
    chain = model("hba1c_chain")
    first = chain.simulate(until="1 day", save="1 day", set={"reference_glucose": f"{before} mmol/L"})
    step = chain.simulate(
        until="180 day",
        save=list(dict.fromkeys(["0 day", *(f"{day} day" for day in fractions), "180 day"])),
        start=first.last,
        set={"reference_glucose": f"{after} mmol/L"},
        rtol=1e-8,
    )
    final = chain.values(set={"reference_glucose": f"{after} mmol/L"})["hba1c_chain.hba1c"]
    begin = step["hba1c"][0]
    for day, fraction in fractions.items():
        digits = 6e-5 if fraction > 0.999 else 6e-4
        assert (step.at(f"{day} day")["hba1c"] - begin) / (final - begin) == pytest.approx(fraction, abs=digits), day


def test_hba1c_depends_on_how_long_red_cells_live() -> None:
    short, long = (
        model("hba1c_chain").values(set={"lifespan": span})["hba1c_chain.hba1c"] for span in ("80 day", "125 day")
    )
    assert short < 8.0 < 9.5 < long


# --- Palmér 2014 ------------------------------------------------------------------------------------------------------

HEALTH = {
    "il1b0": "0.05 ng/mL",
    "IL1Ra": "25 ng/mL",
    "Kxgi": "1e-4 L/pmol/min",
    "kplacebo": "0 ng/mL/day",
    "reference_glucose": "5 mmol/L",
}
HEALTHY_START = {"TigB": "0.2874399139619204 pmol/L/min/percent", "f": "0.013000003374670832", "B": "100 percent"}
DIABETIC_START = {"TigB": "0.18360798945536985 pmol/L/min/percent", "f": "0.0430531864083004", "B": "40 percent"}
DIABETIC_GLUCOSE = {"reference_glucose": "10.842415986955684 mmol/L"}


@pytest.mark.parametrize(
    ("settings", "start", "published"),
    [
        (
            HEALTH,
            HEALTHY_START,
            {"IL1R": (3.743916e-4, 5e-11), "I": (50.000, 6e-4), "PI": (6.500, 6e-4), "PI_I": (0.13000, 6e-6),
             "replication_per_mass": (2.740001e-4, 6e-11), "apoptosis_per_mass": (2.740002e-4, 6e-11)},
        ),
        (
            {},
            DIABETIC_START,
            {"IL1R": (0.02341920375, 6e-12), "I": (99.601, 6e-4), "PI": (42.881, 6e-4), "PI_I": (0.43053, 6e-6),
             "replication_per_mass": (5.12314779e-4, 6e-13), "apoptosis_per_mass": (7.543653797e-4, 6e-14)},
        ),
    ],
    ids=["healthy", "type 2 diabetes"],
)  # fmt: skip
def test_palmer_is_in_the_published_balance(
    settings: dict[str, str], start: dict[str, str], published: dict[str, tuple[float, float]]
) -> None:
    run = model("palmer2014").simulate(until="1 min", save="1 min", start=start, set=settings, rtol=1e-10)
    for name, (value, digits) in published.items():
        assert run[name][0] == pytest.approx(value, abs=digits), name
    assert run["G"][0] == pytest.approx(5.0000 if settings else 10.8424, abs=6e-5)
    assert run["TigB"][0] == pytest.approx(run["capacity_target"][0], rel=1e-9)
    assert run["f"][0] == pytest.approx(run["proinsulin_target"][0], rel=1e-7)


def test_palmer_keeps_a_healthy_person_healthy() -> None:
    run = model("palmer2014").simulate(until="10 year", save="1 year", start=HEALTHY_START, set=HEALTH, rtol=1e-8)
    assert run["B"] == pytest.approx(100, abs=0.001)
    assert run["G"] == pytest.approx(5, abs=0.001)
    assert run["hba1c"] == pytest.approx(5.0388, abs=6e-4)


def test_palmer_placebo_loses_control_over_a_year() -> None:
    run = model("palmer2014").simulate(
        until="364 day", save="91 day", start=DIABETIC_START, set=DIABETIC_GLUCOSE, rtol=1e-8
    )
    rows = {
        0: (None, 8.7058, 40.0),
        91: (10.979, 8.7509, 39.111),
        182: (None, 8.8288, None),
        364: (11.443, 9.0002, 36.363),
    }
    for day, (glucose, hba1c, mass) in rows.items():
        row = run.at(f"{day} day")
        assert row["hba1c"] == pytest.approx(hba1c, abs=6e-5), day
        assert glucose is None or row["G"] == pytest.approx(glucose, abs=6e-4), day
        assert mass is None or row["B"] == pytest.approx(mass, abs=6e-4), day


def test_palmer_anakinra_lowers_hba1c_and_its_effect_outlasts_it() -> None:
    run = model("palmer2014").simulate(
        until="364 day",
        save="91 day",
        start=DIABETIC_START,
        set=DIABETIC_GLUCOSE,
        doses=[
            {"into": "palmer2014_receptor.anakinra", "amount": "100 mg", "at": "0.5 day", "every": "1 day", "times": 91}
        ],
        courses=[
            {"input": "palmer2014_receptor.anakinra_course", "level": "1", "from": "0 day", "until": "91 day"},
            {"input": "palmer2014_receptor.after_anakinra", "level": "1", "from": "91 day"},
        ],
        rtol=1e-8,
    )
    hba1c = run["hba1c"]
    assert hba1c[1] - hba1c[0] == pytest.approx(-0.894, abs=1e-3)  # "about 0.9 points at 13 weeks"
    assert hba1c[1] - 8.7509 == pytest.approx(-0.94, abs=6e-3)  # against placebo
    assert hba1c[-1] < 8.7058
    assert run["IL1b"][1] == pytest.approx(0.05, abs=1e-3)


def test_palmer_receptor_alone_is_neutral_in_health() -> None:
    healthy = {"il1b0": "0.05 ng/mL", "IL1Ra": "25 ng/mL"}
    values = isletsim.load_model("palmer2014_receptor").values(set=healthy)
    for name in ("secretion", "proinsulin", "replication", "apoptosis"):
        assert values[f"palmer2014_receptor.relative_{name}"] == pytest.approx(1, rel=1e-15), name


# --- Van Cauter 1992 --------------------------------------------------------------------------------------------------


def test_van_cauter_constants_of_a_man_of_35_years() -> None:
    values = model("vancauter1992").values()
    published = {
        "body_surface": (1.95912, 6e-6), "volume": (4.40151, 6e-6), "long_half_life": (34.06, 6e-3),
        "tissue_to_plasma": (0.04907, 6e-6), "loss": (0.05807, 6e-6), "plasma_to_tissue": (0.05324, 6e-6),
        "clearance": (0.2556, 6e-5),
    }  # fmt: skip
    for name, (value, digits) in published.items():
        assert values[f"vancauter1992.{name}"] == pytest.approx(value, abs=digits), name


@pytest.mark.parametrize(
    ("secretion", "fasting"), [("127.80 pmol/min", 500), ("131.6 pmol/min", 515), ("82.2 pmol/min", 322)]
)
def test_van_cauter_turns_secretion_into_fasting_c_peptide(secretion: str, fasting: float) -> None:
    run = model("vancauter1992").simulate(until="1 day", save="1 hour", set={"basal_secretion": secretion})
    assert run["C1"] == pytest.approx(fasting, abs=0.51)
    assert run["C1"] == pytest.approx(run["C1"][0], rel=1e-9)
    assert run["C2"][0] / run["C1"][0] == pytest.approx(0.05324 / 0.04907, rel=2e-4)


def test_van_cauter_knows_sex_age_and_class() -> None:
    def constants(**changed: str) -> Any:
        return model("vancauter1992").values(set=changed)

    woman, old = constants(male="0"), constants(age="65 year")
    assert woman["vancauter1992.volume"] == pytest.approx(1.11 * 1.95912 + 2.04, rel=1e-5)
    assert old["vancauter1992.long_half_life"] == pytest.approx(0.14 * 65 + 29.16, rel=1e-12)
    diabetic, obese = constants(diabetic="1", obese="1"), constants(obese="1")
    for found, half_life in ((diabetic, 4.52), (obese, 4.55)):
        assert found["vancauter1992.short_half_life"] == pytest.approx(half_life, rel=1e-12)
        assert found["vancauter1992.fast_fraction"] == 0.78


# --- Bergman 1979 -----------------------------------------------------------------------------------------------------

SAMPLES = {
    2: 350, 4: 287, 6: 251, 8: 240, 10: 216, 12: 211, 14: 205, 16: 196, 19: 192, 22: 172, 27: 163, 32: 142, 42: 124,
    52: 105, 62: 92, 72: 84, 82: 77, 92: 82, 102: 81, 122: 82, 142: 82, 162: 85, 182: 90,
}  # fmt: skip
MIXED = [minute for minute in SAMPLES if minute >= 8]


def _residuals(values: np.ndarray) -> Any:
    """Model minus measured glucose from 8 min on, for (SG, p2, SI, G0)."""
    units = {"SG": "1/min", "p2": "1/min", "SI": "mL/uU/min", "G0": "mg/dL"}
    settings = {name: f"{value:.17g} {unit}" for (name, unit), value in zip(units.items(), values, strict=True)}
    run = model("bergman1979").simulate(
        until="182 min", save=["0 min", *(f"{minute} min" for minute in MIXED)], set=settings, rtol=1e-9
    )
    return run["G"][1:] - np.array([SAMPLES[minute] for minute in MIXED])


def test_bergman_nominal_curve() -> None:
    curve = {6: 250.05, 12: 219.99, 19: 189.32, 32: 147.18, 62: 99.98, 92: 87.98, 142: 89.11}
    times = [f"{minute} min" for minute in curve]
    run = model("bergman1979").simulate(until="142 min", save=times, rtol=1e-8)
    assert [run.at(time)["G"] for time in times] == pytest.approx(list(curve.values()), abs=6e-3)


def test_bergman_fit_to_the_worked_example_is_a_true_minimum() -> None:
    from scipy.optimize import least_squares

    recorded = np.array([0.026598, 0.019244, 6.3314e-4, 272.86])
    error = float((_residuals(recorded) ** 2).sum())
    assert error == pytest.approx(401.03, abs=6e-3)
    nominal = np.array([0.026, 0.025, 5.0e-4, 279.0])
    fit = least_squares(lambda scaled: _residuals(scaled * nominal), np.ones(4), diff_step=1e-4)
    # The recorded fit had stopped early along SI; the minimum lies lower.
    assert 2 * fit.cost == pytest.approx(262.122, abs=1e-3)
    assert fit.x * nominal == pytest.approx([0.018879, 0.021423, 8.0706e-4, 261.215], rel=2e-4)
