"""More of a therapy does more to its clinical target: every port and input of every therapy in `dose_response.toml`."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from test_promises import LAYERS

from isletsim.data_files import listing
from isletsim.language import read_model
from isletsim.study import load_scenario

ROWS = tomllib.loads(Path(__file__).with_name("dose_response.toml").read_text(encoding="utf-8"))["rows"]
GIVEN = sorted(name for name, row in ROWS.items() if "none" not in row)
NOISE = 1e-4  # of the largest effect: the tolerance of a run

SCENARIO = """
title   = "Five doses of one therapy"
patient = "{patient}"
until   = "{days} day"
save    = "{days} day"
record  = {record}
[visits]
every = "1 month"
[arms.none]
layers  = {layers}
doses   = {other}
courses = {others}
"""
ARM = """
[arms.dose_{number}]
layers  = {layers}
doses   = {doses}
courses = {courses}
"""


def inline(entries):
    """A list of flat tables as TOML."""
    return "[" + ", ".join("{ " + ", ".join(f'{k} = "{v}"' for k, v in each.items()) + " }" for each in entries) + "]"


def row_of(name):
    row = ROWS[name]
    return row | ROWS[row["same"]] if "same" in row else row


def scenario_text(name):
    """A scenario with an arm without the therapy and one for each amount; all else is the same."""
    row = row_of(name)
    known = {"patient": row["patient"], "days": row["days"], "layers": row["layers"]}
    other, others = row.get("doses", []), row.get("with", [])
    record = [row["target"]] if "." in row["target"] else []
    text = SCENARIO.format(**known, record=record, other=inline(other), others=inline(others))
    file, _, key = name.partition(".")
    port = key in read_model(dict(listing("model"))[file]).ports
    for number, amount in enumerate(row["amounts"]):
        known_as = name.rpartition("/")[2]  # in its own room a name needs no room
        dose = [{"into": known_as, "amount": amount, "at": "14 day"}] if port else []
        course = [] if port else [{"input": known_as, "level": amount}]
        arms = {"doses": inline([*other, *dose]), "courses": inline([*others, *course])}
        text += ARM.format(number=number, layers=row["layers"], **arms)
    return text


def ports_and_inputs():
    found = set()
    for name in LAYERS:
        file = read_model(dict(listing("model"))[name])
        found |= {f"{name}.{port}" for port in file.ports}
        found |= {f"{name}.{entry.name}" for entry in file.entries.values() if entry.kind == "input"}
    return found


def test_every_port_and_input_of_a_therapy_has_a_row():
    assert set(ROWS) == ports_and_inputs()


@pytest.mark.slow
@pytest.mark.parametrize("name", GIVEN)
def test_a_larger_dose_does_more_to_the_clinical_target(name, tmp_path):
    row = row_of(name)
    path = tmp_path / "doses.toml"
    path.write_text(scenario_text(name), encoding="utf-8")
    result = load_scenario(path).run()
    assert result.failures == ()
    column = [each.name for each in result.variables].index(row["target"])
    reached = result.values[:, 0, -1, column]
    sign = {"up": 1.0, "down": -1.0}[row["direction"]]
    effect = sign * (reached - reached[0])
    rising = row.get("turns_after", len(effect) - 1)
    steps = np.diff(effect)[:rising]
    assert effect[rising] > 0
    assert (steps > -NOISE * np.abs(effect).max()).all(), dict(zip(["none", *row["amounts"]], reached, strict=True))
    assert ("turns_after" in row) == ("why" in row)
