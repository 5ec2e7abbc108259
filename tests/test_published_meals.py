"""The published models of meals and insulin treatment, held to the numbers that go with them.

Where a number is not printed in a paper it was computed from the printed equations by an independent program.
"""

import numpy as np
import pytest

import isletsim

DAY = 1440.0  # minutes


def curve(trajectory, name, minutes):
    """A variable at some minutes after the start."""
    return [float(trajectory.at(f"{minute} min")[name]) for minute in minutes]


def area(trajectory, name, level):
    """The area of a variable above a level, in its unit times days."""
    return float(np.trapezoid(trajectory[name] - level, trajectory.time))


def meal(model, amount, minutes):
    """One meal of carbohydrate at the start."""
    return {"into": f"{model}.meal", "amount": amount, "at": f"{minutes} min"}


@pytest.fixture(scope="module")
def dallaman():
    return isletsim.load_model("dallaman2007")


@pytest.fixture(scope="module")
def hovorka():
    return isletsim.load_model("hovorka2004")


@pytest.fixture(scope="module")
def padova():
    return isletsim.load_model("uva_padova2008")


@pytest.fixture(scope="module")
def edes():
    return isletsim.load_model("edes2015")


# --- Dalla Man, Rizza and Cobelli 2007 --------------------------------------------------------------------------------


def test_dalla_man_normal_subject_starts_at_91_8_mg_per_dl(dallaman):
    values = dallaman.values()
    assert values["dallaman2007.basal_secretion"] == pytest.approx(1.5493, abs=5e-5)
    assert values["dallaman2007.basal_insulin"] == pytest.approx(25.588, abs=5e-4)
    assert values["dallaman2007.basal_plasma_glucose"] == pytest.approx(172.583, abs=5e-4)
    assert values["dallaman2007.basal_tissue_glucose"] == pytest.approx(130.407, abs=5e-4)
    assert values["dallaman2007.glucose"] == pytest.approx(91.800, abs=5e-4)
    assert values["dallaman2007.production"] == pytest.approx(1.9158, abs=5e-5)


def test_dalla_man_subject_with_type_2_diabetes_starts_at_159_2_mg_per_dl(dallaman):
    start = dallaman.simulate(until="1 min", save="1 min", patient="dallaman2007_t2d")
    assert start["basal_secretion"][0] == pytest.approx(4.0266, abs=5e-5)
    assert start["I"][0] == pytest.approx(59.849, abs=5e-4)
    assert start["G"][0] == pytest.approx(159.231, abs=5e-4)


@pytest.mark.parametrize("patient", [None, "dallaman2007_t2d"])
def test_dalla_man_subjects_rest_until_they_eat(dallaman, patient):
    fasting = dallaman.simulate(until="1 day", save="1 hour", patient=patient)
    assert np.ptp(fasting["G"]) < 1e-6
    assert np.ptp(fasting["I"]) < 1e-6


def test_dalla_man_insulin_rates_of_the_table_follow_from_the_basal_relations(dallaman):
    for patient, m2, m4 in ((None, 0.484, 0.194), ("dallaman2007_t2d", 0.673, 0.269)):
        start = dallaman.simulate(until="1 min", save="1 min", patient=patient)
        clearance = start["Sb"][0] / start["Ip"][0]
        extraction = start["HE"][0]
        peripheral = 2 / 5 * clearance * (1 - extraction)
        assert extraction == pytest.approx(0.6, abs=1e-9)
        assert peripheral == pytest.approx(m4, abs=5e-4)
        uptake = (clearance - peripheral / (1 - extraction)) * (1 - extraction) / extraction
        assert uptake == pytest.approx(m2, abs=5e-4)


def test_dalla_man_normal_subject_eats_78_g_of_glucose(dallaman):
    eaten = dallaman.simulate(until="300 min", save="0.5 min", doses=[meal("dallaman2007", "78 g", 0)])
    glucose = curve(eaten, "G", (30, 60, 90, 120, 180, 240, 300))
    assert glucose == pytest.approx([138.26, 157.01, 151.46, 132.93, 98.20, 89.22, 89.79], abs=0.0055)
    assert curve(eaten, "I", (30, 60, 90, 120, 180)) == pytest.approx([191.8, 209.4, 250.4, 227.6, 78.3], abs=0.055)
    assert eaten["G"].max() == pytest.approx(157.35, abs=0.005)
    assert eaten.time[eaten["G"].argmax()] * DAY == pytest.approx(65.5, abs=0.05)


def test_dalla_man_subject_with_type_2_diabetes_eats_78_g_of_glucose(dallaman):
    eaten = dallaman.simulate(
        until="300 min", save="1 min", patient="dallaman2007_t2d", doses=[meal("dallaman2007", "78 g", 0)]
    )
    glucose = curve(eaten, "G", (30, 60, 90, 120, 180, 240, 300))
    assert glucose == pytest.approx([192.810, 241.666, 268.615, 278.063, 256.646, 210.644, 184.307], abs=0.01)


def test_dalla_man_meal_reaches_plasma_but_for_the_tenth_that_is_never_absorbed(dallaman):
    eaten = dallaman.simulate(until="2 day", save="1 min", doses=[meal("dallaman2007", "78 g", 0)])
    appeared = area(eaten, "Ra", 0.0) * DAY * 78.0  # mg/kg/min over minutes, times 78 kg
    assert appeared == pytest.approx(0.9 * 78_000, rel=1e-3)


# --- UVA/Padova S2008 -------------------------------------------------------------------------------------------------


def test_uva_padova_subject_rests_under_its_basal_infusion(padova):
    values = padova.values()
    assert values["uva_padova2008.glucose"] == pytest.approx(138.56, abs=1e-9)
    assert values["uva_padova2008.insulin"] == pytest.approx(100.25, abs=1e-9)
    assert values["uva_padova2008.production"] == pytest.approx(2.275800, abs=1e-9)
    per_minute = {name: change / DAY for name, change in padova.derivatives().items()}
    assert max(abs(change) for change in per_minute.values()) < 1e-10


@pytest.mark.parametrize(
    ("name", "printed", "half_digit"),
    [
        ("kp1", 4.73140582528, 5e-12),
        ("Vm0", 3.2667306607, 5e-10),
        ("m30", 0.23169, 5e-6),
        ("Gpb", 265.370112, 5e-7),
        ("Gtb", 162.457097269, 5e-10),
        ("Ipb", 5.5043265, 5e-8),
        ("Ilb", 3.20762505142, 5e-12),
        ("u2ss", 1.2386244136, 5e-10),
        ("isc1ss", 72.4341762342, 5e-10),
        ("isc2ss", 141.153779328, 5e-10),
    ],
)
def test_uva_padova_derived_numbers_equal_those_of_the_subjects_table(padova, name, printed, half_digit):
    start = padova.simulate(until="1 min", save="1 min")
    assert start[name][0] == pytest.approx(printed, abs=2 * half_digit)


def test_uva_padova_bolus_of_one_unit_is_degraded_whole(padova):
    given = padova.simulate(
        until="3 day", save="1 min", doses=[{"into": "uva_padova2008.bolus", "amount": "1 U", "at": "0 day"}]
    )
    degraded = sum(area(given, name, given[name][0]) for name in ("liver_degradation", "peripheral_loss"))
    assert degraded * DAY * 102.32 == pytest.approx(6000.0, rel=1e-4)  # pmol


def test_uva_padova_stomach_is_steered_by_what_it_holds_after_the_last_meal(padova):
    eaten = padova.simulate(
        until="2 hour",
        save="1 min",
        doses=[meal("uva_padova2008", "30 g", 0), meal("uva_padova2008", "20 g", 60)],
    )
    assert eaten.at("59 min")["D"] == pytest.approx(30_000)
    assert eaten.at("60 min")["D"] == pytest.approx(eaten.at("60 min")["Qsto"])
    assert 20_000 < eaten.at("120 min")["D"] < 50_000


def test_uva_padova_meal_eaten_slowly_steers_the_stomach_as_far_as_it_is_eaten(padova):
    slowly = {**meal("uva_padova2008", "60 g", 0), "over": "20 min"}
    eaten = padova.simulate(until="1 hour", save="1 min", doses=[slowly])
    assert curve(eaten, "D", (5, 10, 20, 60)) == pytest.approx([15_000, 30_000, 60_000, 60_000])
    at_once = padova.simulate(until="1 hour", save="1 min", doses=[meal("uva_padova2008", "60 g", 0)])
    assert eaten.at("20 min")["G"] < at_once.at("20 min")["G"]


def test_uva_padova_pump_switched_off_lets_glucose_rise(padova):
    course = {"input": "uva_padova2008.basal", "level": "0", "from": "0 day", "until": "1 day"}
    off = padova.simulate(until="6 hour", save="1 hour", courses=[course])
    assert np.all(np.diff(off["G"]) > 0)
    assert off["infusion"][1] == 0.0


# --- Hovorka 2004 -----------------------------------------------------------------------------------------------------


def test_hovorka_basal_infusion_for_100_mg_per_dl_is_0_42_units_per_hour(hovorka):
    start = hovorka.simulate(until="1 min", save="1 min")
    assert start["basal_infusion"][0] == pytest.approx(0.42023, abs=5e-6)  # U/hour
    assert start["u"][0] == pytest.approx(7.00385, abs=6e-6)  # mU/min; 7.0038447
    assert start["G"][0] == pytest.approx(5.5506, abs=5e-5)
    assert start["I"][0] == pytest.approx(5.63917, abs=5e-6)
    assert start["x1"][0] == pytest.approx(0.0288726, abs=1e-7)
    assert start["x2"][0] == pytest.approx(0.00462412, abs=5e-9)
    assert start["x3"][0] == pytest.approx(0.293237, abs=5e-7)
    assert start["Q1"][0] == pytest.approx(66.6072, abs=3e-4)
    assert start["Q2"][0] == pytest.approx(27.23036, abs=1e-4)


def test_hovorka_subject_rests_under_its_basal_infusion(hovorka):
    fasting = hovorka.simulate(until="2 day", save="1 hour")
    assert np.ptp(fasting["G"]) < 1e-6


def test_hovorka_subject_eats_60_g_without_a_bolus(hovorka):
    eaten = hovorka.simulate(until="8 hour", save="1 min", doses=[meal("hovorka2004", "60 g", 0)])
    glucose = curve(eaten, "G", (30, 60, 90, 120, 180, 240, 360, 480))
    assert glucose == pytest.approx([8.718, 12.760, 15.361, 16.604, 16.687, 15.534, 13.014, 11.197], abs=5.5e-4)


def test_hovorka_bolus_of_one_unit_is_cleared_whole(hovorka):
    given = hovorka.simulate(
        until="2 day", save="1 min", doses=[{"into": "hovorka2004.bolus", "amount": "1 U", "at": "0 day"}]
    )
    cleared = area(given, "insulin_clearance", given["insulin_clearance"][0]) * DAY
    assert cleared * 0.12 * 75 == pytest.approx(1000.0, rel=1e-4)  # mU


# --- EDES -------------------------------------------------------------------------------------------------------------


def test_edes_glucose_tolerance_test_of_75_g(edes):
    drunk = edes.simulate(until="240 min", save="1 min", doses=[meal("edes2015", "75 g", 0)])
    glucose = curve(drunk, "G", (15, 30, 45, 60, 90, 120, 180, 240))
    assert glucose == pytest.approx([6.470, 7.989, 8.382, 8.156, 7.212, 6.304, 5.183, 4.798], abs=5.5e-4)


def test_edes_stomach_empties_along_the_weibull_curve_of_the_article(edes):
    drunk = edes.simulate(until="240 min", save="1 min", doses=[meal("edes2015", "75 g", 0)])
    minutes = drunk.time[1:] * DAY
    assert drunk["stomach"][1:] == pytest.approx(75_000 * np.exp(-((0.0135 * minutes) ** 1.4)), rel=1e-4, abs=1.0)


def test_edes_test_may_start_later_and_gives_the_same_curve(edes):
    early = edes.simulate(until="240 min", save="1 min", doses=[meal("edes2015", "75 g", 0)])
    late = edes.simulate(until="300 min", save="1 min", doses=[meal("edes2015", "75 g", 60)])
    minutes = (15, 30, 60, 120, 240)
    assert curve(late, "G", [60 + minute for minute in minutes]) == pytest.approx(curve(early, "G", minutes), abs=1e-4)


def test_edes_subject_rests_until_the_drink(edes):
    fasting = edes.simulate(until="1 day", save="1 hour")
    assert np.ptp(fasting["G"]) < 1e-9
    assert np.ptp(fasting["I"]) < 1e-9
