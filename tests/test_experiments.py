"""The direct experiments as data: which no fit may use, how wide an interval is, what is refused, what a run gives."""

import math
import tomllib

import numpy as np
import pytest

from isletsim.data_files import data_folder
from isletsim.errors import InputError
from isletsim.evidence.experiments import read_experiments
from isletsim.validation import validate_experiments
from isletsim.validation.experiments_report import experiments_record, experiments_table

FOLDER = data_folder("seeds") / "experiments"

ROWS = """
title  = "Test"
module = "water"

[P001]
about    = "water"
people   = "nobody"
protocol = "none"
source   = "Rizza1981"
mark     = "text"
runs     = { day = { patient = "healthy_lean", test = "still" } }
values   = [{ name = "glucose", value = "5 mmol/L", of = "glucose", measure = "day.glucose" }]
"""
STILL = """
title   = "Nothing"
assumed = "test"
start   = "07:30"
length  = "1 min"
sample  = "1 min"
[reports]
glucose = { value = "glucose.plasma", at = "0 min" }
"""


@pytest.fixture
def folder(tmp_path):
    """Writes a folder of experiments with one row, whose text may be changed."""

    def write(*changes):
        text = ROWS
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "still.toml").write_text(STILL)
        (tmp_path / "water.toml").write_text(text)
        (tmp_path / "draw.toml").write_text("set_aside = []")
        (tmp_path / "preparations.toml").write_text('title = "none"')
        read_experiments.cache_clear()
        return tmp_path

    return write


def test_the_experiments_set_aside_are_those_of_the_seeded_draw():
    draw = tomllib.loads((FOLDER / "draw.toml").read_text(encoding="utf-8"))
    groups = sorted([*map(tuple, draw["together"]), *((name,) for name in draw["alone"])])
    count = sum(map(len, groups))
    drawn = []
    for place in np.random.default_rng(draw["seed"]).permutation(len(groups)):
        if len(drawn) < count / 3:
            drawn += groups[place]
    assert sorted(drawn) == draw["set_aside"]


def test_every_scored_experiment_took_part_in_the_draw_once():
    draw = tomllib.loads((FOLDER / "draw.toml").read_text(encoding="utf-8"))
    drawn = [*(name for group in draw["together"] for name in group), *draw["alone"]]
    rows = read_experiments().rows
    assert len(drawn) == len(set(drawn))
    assert {name for name, row in rows.items() if row.use != "shown"} <= set(drawn)


def test_all_rows_are_there_and_every_value_is_measured_or_says_why_not():
    rows = read_experiments().rows
    assert len(rows) == 106
    for row in rows.values():
        for value in row.values:
            assert value.measure or value.shown, row.id
            if not value.shown:
                assert value.low <= value.number <= value.high, f"{row.id} {value.name}"


INTERVALS = {
    "nothing printed": ("", (4.5, 5.5)),
    "a small error": (", se = 0.1", (4.5, 5.5)),
    "a large error": (", se = 0.5", (4.02, 5.98)),
    "a deviation of sixteen people": (", sd = 2, n = 16", (4.02, 5.98)),
    "a printed range": (", range = [4.9, 5.2]", (4.9, 5.2)),
    "recalled": (', mark = "memory"', (3.75, 6.25)),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_an_interval_is_the_standard_error_or_a_tenth_and_a_quarter_of_what_is_recalled(folder, name):
    more, wanted = INTERVALS[name]
    known = read_experiments(folder(('of = "glucose"', f'of = "glucose"{more}')))
    (value,) = known.rows["P001"].values
    assert (value.low, value.high) == pytest.approx(wanted)


REFUSED = {
    ('source   = "Rizza1981"', 'source = "Nobody1900"'): "in no bibliography",
    ('source   = "Rizza1981"', ""): "has no source",
    ('test = "still"', 'test = "stil"'): 'no test "stil"',
    ('measure = "day.glucose"', 'measure = "night.glucose"'): "no run of this row",
    (', measure = "day.glucose"', ""): "neither measured nor shown",
    ('measure = "day.glucose"', 'measure = "day.glucose", range = [6, 4]'): "two ends",
    ('value = "5 mmol/L"', 'value = "5 litres of beer"'): "not a unit",
    ('test = "still" }', 'test = "still", at = "7 day" }'): "preparation and at",
    ('test = "still" }', 'test = "still", replays = "night" }'): "no run of this row",
    ('module = "water"', 'module = "wine"'): 'is not "water"',
    ('mark     = "text"', 'mark = "hearsay"'): "not known here",
}


@pytest.mark.parametrize(("change", "said"), REFUSED.items())
def test_a_row_that_makes_no_sense_is_refused_with_its_reason(folder, change, said):
    with pytest.raises(InputError) as caught:
        read_experiments(folder(change))
    assert said in str(caught.value)


def test_a_value_is_measured_in_its_own_unit_and_told_with_its_interval(folder):
    report = validate_experiments(folder=folder())
    (measured,) = report.measured
    assert 4 < measured.simulated < 6
    assert measured.inside == (4.5 <= measured.simulated <= 5.5)
    assert report.share(lambda each: True)[1] == 1
    (record,) = experiments_record(report)
    assert record["simulated"] == pytest.approx(measured.simulated)
    assert "5 mmol/L (4.5 to 5.5)" in experiments_table(report)


def test_what_the_model_cannot_express_is_a_miss_that_says_why(folder):
    changed = folder()
    (changed / "tests" / "still.toml").write_text(STILL.replace("glucose.plasma", "glucose.sweetness"))
    (measured,) = validate_experiments(folder=changed).measured
    assert math.isnan(measured.simulated)
    assert not measured.inside
    assert "sweetness" in measured.fault


def test_a_patient_who_is_not_there_is_a_miss_that_says_why(folder):
    changed = folder(('patient = "healthy_lean"', 'patient = "nobody"'))
    (measured,) = validate_experiments(folder=changed).measured
    assert "nobody" in measured.fault


def test_experiments_and_modules_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="P999"):
        validate_experiments(["P999"])
    with pytest.raises(InputError, match="livre"):
        validate_experiments(module="livre")


def test_suppression_in_a_clamp_and_a_replayed_drink_give_numbers_of_their_kind():
    report = validate_experiments(["P041", "P017"])
    found = {each.value.name: each.simulated for each in report.measured}
    assert 0 < found["type 2 diabetes"] < found["controls"] < 100
    assert 1 < found["25 g"] < found["75 g"] < found["125 g"] < 4
