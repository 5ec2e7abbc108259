"""The published models of autoimmunity and inflammation, held to the numbers that go with them.

Where a number is not printed in a paper it was computed from the printed equations by an independent program.
"""

import numpy as np
import pytest

import isletsim

DIABETIC = 250.0  # mg/dL, when the mouse counts as diabetic

# Serum interleukin-6 [pg/mL] and C-reactive protein [mg/L] of the whole model, by how much both syntheses are scaled.
STEADY_MAP = {
    0.0: (0.0, 0.134),
    0.25: (0.266, 0.711),
    0.5: (0.526, 1.556),
    0.75: (0.776, 2.816),
    1.0: (1.014, 4.628),
    1.25: (1.237, 6.93),
    1.5: (1.451, 9.38),
    2.0: (1.870, 13.54),
    3.0: (2.714, 18.29),
    4.0: (3.569, 20.60),
    8.0: (7.03, 23.77),
    16.0: (14.0, 25.2),
}


def half_digit(printed):
    """Half of the last digit that a number was printed with, and a hair for binary rounding."""
    decimals = len(repr(printed).partition(".")[2]) if printed != 0.0 else 3
    return 0.505 * 10.0**-decimals


def onset(trajectory):
    """The day on which glucose passes the diabetic level for the first time, or None."""
    above = np.flatnonzero(trajectory["G"] > DIABETIC)
    if not len(above):
        return None
    last = above[0]
    low, high = trajectory["G"][last - 1 : last + 1]
    before, after = trajectory.time[last - 1 : last + 1]
    return float(before + (after - before) * (DIABETIC - low) / (high - low))


@pytest.fixture(scope="module")
def shtylla():
    return isletsim.load_model("shtylla2019")


@pytest.fixture(scope="module")
def maree():
    return isletsim.load_model("maree2006")


@pytest.fixture(scope="module")
def dwivedi():
    return isletsim.load_model("dwivedi2014")


@pytest.fixture(scope="module")
def surrogate():
    return isletsim.load_model("dwivedi2014_surrogate")


# --- Shtylla et al. 2019 ----------------------------------------------------------------------------------------------


def test_shtylla_nod_mouse_with_the_neonatal_wave_is_diabetic_at_20_weeks(shtylla):
    nod = shtylla.simulate(until="350 day", save="0.1 day", rtol=1e-7)
    assert onset(nod) == pytest.approx(141.81, abs=0.01)
    assert nod.at("200 day")["G"] == pytest.approx(543.62, abs=0.01)
    assert nod.at("200 day")["I"] == pytest.approx(0.204, abs=5e-4)
    assert nod.at("200 day")["B"] == pytest.approx(2.18, abs=5e-3)
    assert nod.at("350 day")["G"] == pytest.approx(590.04, abs=0.01)


def test_shtylla_nod_mouse_without_the_wave_falls_ill_later(shtylla):
    nod = shtylla.simulate(until="200 day", save="0.1 day", set={"wave": "0"}, rtol=1e-7)
    assert onset(nod) == pytest.approx(154.451, abs=0.01)


@pytest.mark.parametrize("wave", ["0", "0.75"])
def test_shtylla_wild_type_never_becomes_diabetic(shtylla, wave):
    mouse = shtylla.simulate(until="350 day", save="0.5 day", set={"wave": wave}, patient="shtylla2019_wild_type")
    assert onset(mouse) is None
    assert mouse["G"].max() < 180.0


def test_shtylla_mouse_in_two_legs_is_the_mouse_in_one(shtylla):
    whole = shtylla.simulate(until="200 day", save="50 day", rtol=1e-8)
    first = shtylla.simulate(until="100 day", save="50 day", rtol=1e-8)
    second = shtylla.simulate(until="100 day", save="50 day", start=first.last, rtol=1e-8)
    assert second["age"][-1] == pytest.approx(200.0)
    assert second["G"][-1] == pytest.approx(whole["G"][-1], rel=1e-5)


# --- Maree et al. 2006 ------------------------------------------------------------------------------------------------


def test_maree_nod_mouse_stays_inflamed(maree):
    end = maree.simulate(until="100 day", save="1 day", rtol=1e-8).at("100 day")
    assert end["M"] == pytest.approx(1.1776e6, abs=0.5e2)
    assert end["Ma"] == pytest.approx(5.0170e6, abs=0.5e2)
    assert end["Ba"] == pytest.approx(1.9681e5, abs=0.5e1)
    assert end["Bn"] == pytest.approx(1588.6, abs=0.05)
    assert end["Cy"] == pytest.approx(1.5939, abs=5e-5)


def test_maree_balbc_mouse_clears_the_wave(maree):
    mouse = maree.simulate(until="100 day", save="1 day", patient="maree2006_balbc")
    assert mouse["Ba"].max() > 1e4
    end = mouse.at("100 day")
    assert abs(end["Ba"]) < 1.0
    assert abs(end["Bn"]) < 1.0
    assert end["M"] == pytest.approx(4.77e5, rel=2e-3)


# --- Dwivedi et al. 2014 ----------------------------------------------------------------------------------------------


def test_dwivedi_healthy_volunteer_is_at_the_steady_state_of_the_file(dwivedi):
    healthy = dwivedi.simulate(until="100 day", save="100 day")
    for instant in (healthy.at("0 day"), healthy.at("100 day")):
        assert instant["IL6"] == pytest.approx(4.8283e-5, abs=5e-10)
        assert instant["CRP"] == pytest.approx(40.196, abs=5e-4)
        assert instant["pSTAT3"] == pytest.approx(0.93081, abs=5e-6)
        assert instant["sR"] == pytest.approx(1.05564, abs=5e-6)
        assert instant["il6"] == pytest.approx(1.01, abs=5e-3)
        assert instant["crp"] == pytest.approx(4.63, abs=5e-3)


def test_dwivedi_crohns_disease_raises_crp_to_25_mg_per_l(dwivedi):
    ill = dwivedi.simulate(until="100 day", save="10 day", patient="dwivedi2014_crohn").at("100 day")
    assert ill["IL6"] == pytest.approx(4.3563e-4, abs=5e-9)
    assert ill["CRP"] == pytest.approx(221.064, abs=5e-4)
    assert ill["il6"] == pytest.approx(9.1, abs=0.05)
    assert ill["crp"] == pytest.approx(25.5, abs=0.05)


def test_dwivedi_stat3_is_neither_made_nor_lost(dwivedi):
    ill = dwivedi.simulate(until="30 day", save="1 day", patient="dwivedi2014_crohn")
    assert ill["STAT3"] + ill["pSTAT3"] == pytest.approx(np.full(31, 10.0), abs=1e-9)


@pytest.mark.parametrize("scale", STEADY_MAP)
def test_dwivedi_steady_crp_follows_interleukin_6(dwivedi, scale):
    changed = {"ksynthIL6": f"{0.0011 * scale} nmol/L/hour", "ksynthIL6Gut": f"{0.0017 * scale} nmol/L/hour"}
    end = dwivedi.simulate(until="300 day", save="100 day", set=changed).at("300 day")
    il6, crp = STEADY_MAP[scale]
    assert end["il6"] == pytest.approx(il6, abs=half_digit(il6))
    assert end["crp"] == pytest.approx(crp, abs=half_digit(crp))


@pytest.mark.parametrize("scale", STEADY_MAP)
def test_dwivedi_surrogate_keeps_within_0_43_mg_per_l_of_the_whole_model_up_to_7_pg_per_ml(surrogate, scale):
    il6, crp = STEADY_MAP[scale]
    target = surrogate.values(set={"healthy_il6": f"{il6} pg/mL"})["dwivedi2014_surrogate.target"]
    assert target == pytest.approx(crp, abs=0.435 if il6 < 10 else 0.6)


def test_dwivedi_surrogate_rests_and_returns_with_a_half_life_of_19_hours(surrogate):
    rest = surrogate.simulate(until="1 day", save="1 hour")
    assert np.ptp(rest["crp"]) < 1e-9
    raised = surrogate.simulate(until="19 hour", save="1 hour", start={"crp": f"{rest['crp'][0] + 8.0} mg/L"})
    assert raised["crp"][-1] - rest["crp"][0] == pytest.approx(4.0, abs=1e-4)
