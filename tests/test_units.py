"""Quantities are read, converted and shown as clinics and papers write them; a wrong one is refused with its cure."""

import contextlib
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isletsim import units
from isletsim.data_files import data_folder
from isletsim.units import (
    BASE,
    DAY,
    GLYCATION,
    PURE,
    UnitError,
    base_unit,
    convert,
    days,
    describe,
    quantity,
    raised,
    show,
    through,
    unit,
)
from isletsim.units import times as product

REPOSITORY = Path(__file__).resolve().parent.parent


def value(text, shown: str, **how) -> float:
    """A quantity text as a number in another unit."""
    return convert(quantity(text, unit(shown).dimension, **how).value, unit(shown))


def refusal(text, *like, **how) -> UnitError:
    with pytest.raises(UnitError) as caught:
        quantity(text, *like, **how)
    assert caught.value.message
    return caught.value


# --- what clinics write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ngsp", "ifcc"), [(5.0, 31), (6.0, 42), (6.5, 48), (7.0, 53), (8.0, 64), (10.0, 86)])
def test_hba1c_in_percent_and_in_mmol_per_mol_are_joined_by_the_master_equation(ngsp, ifcc):
    in_percent = quantity(f"{ngsp} %", GLYCATION)
    assert convert(in_percent.value, unit("mmol_per_mol_IFCC")) == pytest.approx(ifcc, abs=0.5)
    assert convert(quantity(f"{ifcc} mmol/mol", GLYCATION).value, unit("percent_NGSP")) == pytest.approx(ngsp, abs=0.05)
    assert in_percent.value == pytest.approx(0.09148 * convert(in_percent.value, unit("mmol_per_mol_IFCC")) + 2.152)


def test_percent_is_hba1c_only_where_an_hba1c_is_expected():
    assert quantity("7 %").unit.dimension == PURE
    assert quantity("7 %").value == pytest.approx(0.07)
    assert quantity("7 %", PURE).value == pytest.approx(0.07)
    assert quantity("7 %", GLYCATION).value == pytest.approx(7.0)
    assert "a pure number" in refusal("0.07", GLYCATION).message + refusal("7 percent", GLYCATION).message
    assert describe(GLYCATION) in refusal("7 percent_NGSP", PURE).message
    assert quantity("53 mmol/mol").unit.dimension == PURE


def test_a_rise_of_hba1c_has_no_offset():
    assert unit("mmol_per_mol_IFCC").offset == pytest.approx(2.152)
    assert unit("mmol_per_mol_IFCC/day").offset == 0.0
    assert unit("percent_NGSP/day").dimension == (("[glycation]", 1.0), ("[time]", -1.0))


def test_glucose_as_mass_and_as_amount_meet_through_its_molar_mass():
    assert value("5 mmol/L", "mg/dL", of="glucose") == pytest.approx(90.08)
    assert value("180.16 mg/dL", "mmol/L", of="glucose") == pytest.approx(10.0)
    assert value("75 g", "mmol", of="glucose") == pytest.approx(416.3, abs=0.05)
    assert value("1 mg/kg/min", "umol/kg/min", of="glucose") == pytest.approx(5.551, abs=0.001)
    assert value("1 dL/mg", "L/mmol", of="glucose") == pytest.approx(18.016)


def test_without_of_mass_and_amount_never_meet():
    wrong = refusal("5 mmol/L", unit("mg/dL").dimension)
    assert "[substance]/[length]**3" in wrong.message
    assert "[mass]/[length]**3" in wrong.message
    assert wrong.cure


def test_of_bridges_mass_and_amount_and_nothing_else():
    refusal("5 min", unit("mg/dL").dimension, of="glucose")
    refusal("5 mmol", unit("mg/dL").dimension, of="glucose")
    assert "molar_mass_unobtainium" in refusal("5 mmol/L", unit("mg/dL").dimension, of="unobtainium").message


def test_units_of_insulin_are_amounts_of_substance():
    assert value("1 U", "nmol") == pytest.approx(6.0)
    assert value("1 IU", "U") == 1.0
    assert value("10 uU/mL", "pmol/L") == pytest.approx(60.0)
    assert value("10 mU/L", "uU/mL") == pytest.approx(10.0)
    assert value("10 µU/mL", "uU/mL") == pytest.approx(10.0)
    assert value("0.5 U/kg/day", "pmol/kg/min") == pytest.approx(2.0833, abs=1e-4)
    assert value("1 mg", "U", of="insulin") == pytest.approx(28.7, abs=0.05)


def test_a_unit_of_insulin_is_no_enzyme_unit():
    assert unit("uU/mL").dimension == (("[length]", -3.0), ("[substance]", 1.0))
    assert unit("U").factor == pytest.approx(6000.0)
    for other in ["kat", "enzyme_unit", "units"]:
        with pytest.raises(UnitError):
            unit(other)


def test_cpeptide_meets_through_its_molar_mass():
    assert value("1 ng/mL", "nmol/L", of="cpeptide") == pytest.approx(0.331, abs=0.0005)
    assert value("0.2 nmol/L", "ng/mL", of="cpeptide") == pytest.approx(0.604, abs=0.0005)


def test_cells_islets_and_particles_are_not_mixed():
    assert value("2e6 cell/kg", "Mcell/kg") == pytest.approx(2.0)
    assert value("10000 IEQ/kg", "kIEQ/kg") == pytest.approx(10.0)
    for text in ["1 IEQ", "1 particle", "1 mg", "1"]:
        refusal(text, unit("cell").dimension)


def test_time_runs_in_days_and_a_month_is_a_twelfth_of_a_year():
    assert days("24 hour") == pytest.approx(1.0)
    assert days("90 min") == pytest.approx(0.0625)
    assert days("1 week") == 7.0
    assert days("1 year") == 365.25
    assert days("1 month") == 30.4375
    for text in ["5", 5, "5 mg", "soon", ""]:
        with pytest.raises(UnitError):
            days(text)


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("0.76", 0.76),
        (0.76, 0.76),
        (3, 3.0),
        ("-1.5e-3", -0.0015),
        ("+2", 2.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("20 %", 0.2),
        ("20%", 0.2),
        ("5 /day", 5.0),
        ("5 1/day", 5.0),
        ("5/day", 5.0),
        ("  5   mg ", 5.0),
        ("0.84e-3 dL/mg/day", 0.84e-4),
        ("0.24e-5 dL**2/mg**2/day", 0.24e-7),
        ("0.24e-5 dL^2/mg^2/day", 0.24e-7),
        ("51.2e-4 1/min/(mU/L)", 51.2e-4 * 1440 / 6),
        ("1 m**0.5", 10**0.5),
        ("1 m**-1", 0.1),
        ("1 m**(-1)", 0.1),
        ("1 mg dL", 0.1),
    ],
)
def test_quantities_are_read_as_papers_print_them(text, base):
    assert quantity(text).value == pytest.approx(base, rel=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "mg",
        "mg 5",
        "five mg",
        "5 5",
        "5 mg 5",
        "1,5 mg",
        "1 000 mg",
        "0x10 mg",
        "1_0 mg",
        "nan",
        "inf mg",
        "-inf",
        "1e999",
        "1e308 Gyear",
        "٣ mg",
        "1e5e5",
        "5 mg; x",
        "5 __import__('os')",
        "5 m.__class__",
        "5 lambda",
        "5 [mass]",
        "5 m**m",
        "5 m**9**9**9",
        "5 m^9^9^9",
        "5 m**1000",
        "5 m**1e5",
        "5 m**(2*3)",
        "5 m**1.2.3",
        "5 (m",
        "5 m)",
        "5 *",
        "5 **2",
        "5 2*m",
        "5 1.73 m**2",
        "5 %%",
        "5 kkg",
        "5 m2",
        "5 degC",
        "5 " + "m" * 79 + "!",
        "5 " + "m " * 39 + "!",
        "5 " + "(" * 60,
        "5 " + "m**1 " * 15 + "!",
        "5 " + "mg*" * 40 + "mg",
        "1" * 100_000 + "x",
        "1 " + " " * 500_000 + "x",
        True,
        None,
        [],
        {},
        b"5 mg",
        5j,
        math.nan,
        math.inf,
        10**400,
    ],
    ids=lambda text: str(text)[:20],
)
def test_what_is_no_quantity_is_refused_at_once(text):
    started = time.perf_counter()
    wrong = refusal(text)
    assert time.perf_counter() - started < 2
    assert len(str(wrong)) < 600


def test_a_number_without_unit_is_told_what_was_expected():
    wrong = refusal("5", unit("mg/dL").dimension)
    assert wrong.message == '"5" has no unit.'
    assert wrong.cure == 'Expected [mass]/[length]**3, for example "1 mg/dm**3".'


def test_a_wrong_dimension_is_told_both():
    wrong = refusal("5 min", unit("mg").dimension)
    assert wrong.message == '"5 min" is [time]; expected [mass].'


@pytest.mark.parametrize(
    ("text", "meant"), [("5 mmoll/L", "mmol"), ("5 mg/dl2", ""), ("5 weak", "week"), ("5 parcticle", "particle")]
)
def test_a_misspelled_unit_is_recognised(text, meant):
    wrong = refusal(text)
    assert meant in wrong.cure
    assert "is not a unit" in wrong.message


def test_a_power_without_stars_is_told_how_powers_are_written():
    assert refusal("5 kg/m2").cure == 'Write a power as "m**2".'


# --- dimensions and showing -------------------------------------------------------------------------------------------


def test_dimensions_multiply_and_cancel():
    mass, volume = unit("mg").dimension, unit("L").dimension
    assert product(mass, volume, -1.0) == unit("mg/L").dimension
    assert product(product(mass, volume), volume, -1.0) == mass
    assert raised(volume, 1 / 3) == unit("m").dimension
    assert raised(mass, 0.0) == PURE
    assert product(mass, mass, -1.0) == PURE


def test_dimensions_are_said_in_words():
    assert describe(PURE) == "a pure number"
    assert describe(unit("mg/dL").dimension) == "[mass]/[length]**3"
    assert describe(unit("1/day").dimension) == "1/[time]"


@pytest.mark.parametrize("dimension", [*BASE, "[mass]/[length]**3", "1/[time]"])
def test_the_coherent_unit_of_a_dimension_has_factor_one(dimension):
    texts = {"[mass]/[length]**3": "mg/L", "1/[time]": "1/day"}
    wanted = unit(texts.get(dimension, BASE.get(dimension, ""))).dimension
    found = base_unit(wanted)
    assert found.factor == 1.0
    assert unit(found.text).factor == pytest.approx(1.0)
    assert unit(found.text).dimension == wanted


def test_values_are_shown_in_the_unit_of_people():
    assert show(quantity("7 %", GLYCATION).value, unit("percent_NGSP")) == "7 %"
    assert show(quantity("7 %", GLYCATION).value, unit("mmol_per_mol_IFCC")) == "52.9952 mmol/mol"
    assert show(0.25, unit("")) == "0.25"
    assert show(quantity("5.5 mmol/L").value, unit("mmol/L")) == "5.5 mmol/L"


def test_a_report_may_show_mass_as_amount_through_its_substance():
    shown = through(unit("mmol/L"), unit("mg/dL").dimension, "glucose")
    assert convert(quantity("90.08 mg/dL").value, shown) == pytest.approx(5.0)
    assert through(unit("mg/L"), unit("mg/dL").dimension, "") == unit("mg/L")
    with pytest.raises(UnitError):
        through(unit("mmol/L"), unit("mg/dL").dimension, "")


def test_a_day_is_the_unit_of_time():
    assert unit("day").factor == DAY.factor == 1.0
    assert unit("day").dimension == DAY.dimension


# --- pint stays away --------------------------------------------------------------------------------------------------

WARM = """
import sys
from isletsim.units import quantity
quantity("5 mmol/L"); quantity("0.84e-3 dL/mg/day")
print("pint" in sys.modules)
"""


def python(code: str, folder: Path) -> str:
    environment = {**os.environ, "ISLETSIM_CACHE_DIR": str(folder), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_pint_is_not_imported_when_every_unit_text_is_remembered(tmp_path):
    assert python(WARM, tmp_path) == "True"
    assert python(WARM, tmp_path) == "False"


def test_a_damaged_memory_of_units_is_made_anew(tmp_path):
    assert python(WARM, tmp_path) == "True"
    kept = list((tmp_path / "units").iterdir())
    assert len(kept) == 1
    for damage in [b"", b"{", b"[]", b'{"mg": 5}', b'{"mmol/L": ["x", 0, []]}', b"\xff\xfe"]:
        kept[0].write_bytes(damage)
        assert python(WARM, tmp_path) == "True", damage
        entry = kept[0].read_bytes()  # a header with a checksum, and then the texts
        assert all(text in entry for text in (b'"mmol/L"', b'"dL/mg/day"'))


def test_memory_and_pint_say_the_same():
    for text in ["mg/dL", "mmol_per_mol_IFCC", "%", "1/min/(mU/L)", ""]:
        assert unit(text) == units._ask_pint(text)


def test_an_edit_of_the_registry_forgets_what_was_remembered(monkeypatch, tmp_path):
    name, _ = units._memory.__wrapped__()
    (tmp_path / "units.txt").write_text(
        (data_folder("models") / "units.txt").read_text("utf-8") + "\nfurlong = 201 * meter\n", encoding="utf-8"
    )
    monkeypatch.setattr(units, "data_folder", lambda _: tmp_path)
    assert units._memory.__wrapped__()[0] != name


# --- properties -------------------------------------------------------------------------------------------------------

sizes = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-12)
written = st.sampled_from(["mg/dL", "mmol/L", "uU/mL", "1/day", "U/kg/day", "cell/kg", "%", "mmol_per_mol_IFCC", ""])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(sizes, written)
def test_a_quantity_that_is_shown_in_its_own_unit_is_the_number_that_was_written(number, text):
    found = quantity(f"{number!r} {text}")
    assert convert(found.value, found.unit) == pytest.approx(number, rel=1e-12, abs=1e-9)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(st.sampled_from("5.e-+ mgdLUl/*^()123%µ٣_[]{}'\"\n\t\x00kx"), max_size=30))
def test_any_text_is_a_quantity_or_is_refused(text):
    with contextlib.suppress(UnitError):
        found = quantity(text)
        assert math.isfinite(found.value)
        assert found.unit.factor > 0
