"""Stromal cells and their vesicles: gone within hours, remembered for weeks, and off where nothing is known."""

from functools import cache

import numpy as np
import pytest

from isletsim.data_files import find
from isletsim.language import read_model
from isletsim.study import load_scenario

SOURCES = ("infusion", "marrow", "adipose", "umbilical", "amniotic")
SHOWN = (
    *("msc.lung_cells", "msc.reprogramming", "msc.clotting", "msc.fevers", "inflammation.m1", "inflammation.m2"),
    *("immunity.regulatory", "exosomes.plasma", "exosomes.tissue", "exosomes.effect"),
)


@cache
def lived(tmp, patient, days, save, arms):
    """What some arms of the reference patient come to: a value by arm, variable and record."""
    text = f'title = "A test"\npatient = "{patient}"\nuntil = "{days} day"\nsave = "{save}"\n'
    text += f"record = {list(SHOWN)}\n[arms.none]\nlayers = {['msc', 'exosomes', 'exosome_cargo']}\n"
    for name, extra in arms:
        text += f"[arms.{name}]\nlayers = {['msc', 'exosomes', 'exosome_cargo']}\n{extra}\n"
    path = tmp / "study.toml"
    path.write_text(text, encoding="utf-8")
    result = load_scenario(path).run(explain=False)
    names = [variable.name for variable in result.variables]
    return result.time, {
        arm.name: {name: values[0, :, column] for column, name in enumerate(names)}
        for arm, values in zip(result.arms, result.values, strict=True)
    }


def dose(port, amount):
    return f'doses = [{{ into = "{port}", amount = "{amount}", at = "0 day" }}]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def cells(folder):
    arms = [("cells", dose("msc.infusion", "2e6 cell/kg"))]
    arms += [(source, dose(f"msc.{source}", "1e6 cell/kg")) for source in SOURCES if source != "infusion"]
    arms += [("many", dose("msc.marrow", "1e7 cell/kg"))]
    return lived(folder, "failing_metformin", 90, "1 day", tuple(arms))


def test_cells_die_within_a_day_and_the_host_remembers_for_weeks(cells):
    time, found = cells
    course = found["cells"]
    alive = 2 * 0.9 * 0.95  # Mcell/kg, of 2e6/kg on the label
    assert 0.04 * alive < course["msc.lung_cells"][1] < 0.05 * alive
    peak = course["msc.reprogramming"].max()
    assert course["msc.reprogramming"][time <= 3].max() > 0.95 * peak
    assert 0.2 * peak < course["msc.reprogramming"][-1] < 0.8 * peak


def test_inflammation_falls_on_every_axis(cells):
    _, found = cells
    for name, up in {"tnf": -1, "il6": -1, "il1b": -1, "crp": -1, "il10": 1}.items():
        assert up * (found["cells"][name][30] - found["none"][name][30]) > 0, name
    turned = {arm: found[arm]["inflammation.m1"][30] / found[arm]["inflammation.m2"][30] for arm in ("cells", "none")}
    assert turned["cells"] < turned["none"]
    assert found["cells"]["immunity.regulatory"][30] > found["none"]["immunity.regulatory"][30]


def test_sources_are_alike_in_effect_and_ranked_in_clotting(cells):
    _, found = cells
    effects = [found[source]["msc.reprogramming"][30] for source in ("marrow", "adipose", "umbilical", "amniotic")]
    np.testing.assert_allclose(effects, effects[0], rtol=1e-6)
    clots = {source: found[source]["msc.clotting"][-1] for source in ("marrow", "adipose", "umbilical", "amniotic")}
    assert min(clots, key=clots.get) == "marrow"
    assert set(sorted(clots, key=clots.get)[-2:]) == {"adipose", "umbilical"}


def test_clotting_grows_faster_than_the_dose_and_fever_with_it(cells):
    _, found = cells
    assert found["many"]["msc.clotting"][-1] > 20 * found["marrow"]["msc.clotting"][-1]
    assert found["many"]["msc.fevers"][-1] == pytest.approx(10 * found["marrow"]["msc.fevers"][-1])
    assert found["marrow"]["msc.fevers"][-1] == pytest.approx(0.04 * 1.48)  # the ratio of trials over the background


def test_who_meets_no_inflammation_or_is_marked_is_changed_less(folder, cells):
    given = dose("msc.infusion", "2e6 cell/kg")
    unmarked = given + '\nset = { "msc.half_exposure" = "1000 year" }'
    found = {"failing_metformin": cells[1]["cells"]["msc.reprogramming"][2]}
    for patient in ("healthy_adult", "early_t2d", "late_t2d"):
        place = folder / patient
        place.mkdir()
        _, other = lived(place, patient, 5, "1 day", (("cells", given), ("unmarked", unmarked)))
        found[patient] = other["cells"]["msc.reprogramming"][2]
        found[f"{patient}, unmarked"] = other["unmarked"]["msc.reprogramming"][2]
    assert found["healthy_adult"] < 0.9 * found["early_t2d, unmarked"]  # nothing licenses the cells
    assert found["late_t2d"] < 0.8 * found["failing_metformin"] < found["late_t2d, unmarked"]  # years leave a mark


def test_what_has_no_known_size_is_off_and_no_cell_becomes_a_beta_cell():
    model = read_model(find("model", "msc"))
    for name in ("mitochondria_effect", "kidney_protection", "islet_support"):
        assert model.entries[name].value == 0.0
    assert {target for target, _ in model.adds} == {"immunity.regulatory_source"}
    assert read_model(find("model", "exosomes")).entries["ferroptosis"].value == 0.0


# --- vesicles ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vesicles(folder):
    place = folder / "vesicles"
    place.mkdir()
    given = dose("exosomes.infusion", "1")
    old = dose("exosomes.infusion", "1") + '\nset = { "exosomes.storage_loss" = "0.03 1/day" }'
    twice = dose("exosomes.infusion", "1") + '\nset = { "exosomes.thaw_cycles" = "2" }'
    kidney = given + '\ncourses = [{ input = "exosome_cargo.mir486", level = "1" }]'
    cells = given + '\ncourses = [{ input = "exosome_cargo.mir21", level = "1" }]'
    arms = (("given", given), ("warm", old), ("twice", twice), ("mir486", kidney), ("mir21", cells))
    return lived(place, "failing_metformin", 30, "6 hour", arms)


def test_vesicles_leave_the_blood_within_hours_and_their_effect_within_weeks(vesicles):
    _, found = vesicles
    course = found["given"]
    assert course["exosomes.plasma"][1] < 0.2  # of a reference dose, after six hours
    assert course["exosomes.plasma"][4] < 0.01
    assert course["exosomes.effect"][-1] < 0.2 * course["exosomes.effect"].max()


def test_a_warm_store_and_a_second_thaw_cost_activity(vesicles):
    _, found = vesicles
    peak = {arm: found[arm]["exosomes.effect"].max() for arm in ("given", "warm", "twice")}
    assert peak["warm"] < 0.3 * peak["given"]
    assert 0.75 * peak["given"] < peak["twice"] < 0.9 * peak["given"]


def test_cargo_acts_where_it_was_seen_to_act(vesicles):
    _, found = vesicles
    assert found["mir486"]["egfr"][-1] > found["given"]["egfr"][-1]
    assert found["mir486"]["beta_mass"][-1] == pytest.approx(found["given"]["beta_mass"][-1], rel=1e-5)
    assert found["mir21"]["beta_mass"][-1] > found["given"]["beta_mass"][-1]
