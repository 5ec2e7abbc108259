"""Names of earlier versions are met with the present name, and a renamed number keeps its random draws."""

import pytest
from example_models import SUGAR, write

from isletsim.cohort import collect, draw
from isletsim.composition.model_library import compose_stack, read_stack
from isletsim.composition.names import find_symbol
from isletsim.data_files import find, renames
from isletsim.errors import InputError
from isletsim.patient import NO_PATIENT

PRESENT = renames()
QUANTITIES = [old for old in PRESENT if "." in old]
FILES = [old for old in PRESENT if "." not in old]
READER = 'title = "Mine"\nassumed = "a test"\n{clock}[uses]\n{file} = ["{name}"]\n[quantities]\nx = "{file}.{name}"\n'


@pytest.mark.parametrize("old", QUANTITIES)
def test_a_renamed_quantity_is_met_with_its_present_name(old):
    file, _, name = old.partition(".")
    (model,) = read_stack([file], follow=False)
    assert name not in model.entries
    present_file, _, present = PRESENT[old].partition(".")
    (model,) = read_stack([present_file], follow=False)
    assert present in model.entries


def test_every_use_of_a_renamed_quantity_names_the_present_one(tmp_path):
    composition = compose_stack(["msc"])
    for typed in ("msc.priming", "priming"):
        with pytest.raises(InputError, match=r'renamed to "msc\.reprogramming_rate"'):
            find_symbol(composition, typed)
    reader = READER.format(clock='clock = "years"\n', file="msc", name="priming")
    layer = 'title = "Mine"\nassumed = "a test"\nclock = "years"\n[parameters]\nz = { value = "1", assumed = "x" }\n'
    adds, scales = f'{layer}[adds]\nimmunity.help = "z"\n', f'{layer}[scales]\nimmunity.help = "z"\n'
    paths = write(tmp_path, reader=reader, adds=adds, scales=scales)
    for path, present in ((paths["reader"], "reprogramming_rate"), (paths["adds"], "t_cell_help")):
        with pytest.raises(InputError, match=f'renamed to "{present}"'):
            compose_stack([path, "immunity"])
    with pytest.raises(InputError, match='renamed to "t_cell_help"'):
        compose_stack([paths["scales"], "immunity"])


@pytest.mark.parametrize("old", FILES)
def test_a_renamed_file_is_met_with_its_present_name(old, tmp_path):
    assert find("model", PRESENT[old]).is_file()
    with pytest.raises(InputError, match=f'renamed to "{PRESENT[old]}"'):
        find("model", old)
    layer = 'title = "Mine"\nassumed = "a test"\n[parameters]\nz = { value = "1", assumed = "x" }\n'
    paths = write(tmp_path, layer=f'{layer}[scales]\n{old}.infusion = "z"\n')
    with pytest.raises(InputError, match=f'renamed to "{PRESENT[old]}.infusion"'):
        compose_stack([paths["layer"]])


def test_a_renamed_number_keeps_its_random_draws(tmp_path):
    text = SUGAR.replace("gain", "appearance")
    line = next(each for each in text.splitlines() if each.startswith("appearance ") and "varies" in each)
    keyed = text.replace(line, line.replace(" }", ', stream = "sugar.gain" }'))
    folders = {"old": SUGAR, "new": text, "kept": keyed}
    found = {}
    for name, model in folders.items():
        (tmp_path / name).mkdir()
        path = write(tmp_path / name, sugar=model)["sugar"]
        found[name] = draw(collect(compose_stack([path]), NO_PATIENT), 5, 7)
    assert found["kept"]["sugar.appearance"] == found["old"]["sugar.gain"]
    assert found["new"]["sugar.appearance"] != found["old"]["sugar.gain"]
    assert found["kept"]["sugar.loss"] == found["new"]["sugar.loss"] == found["old"]["sugar.loss"]


def test_two_numbers_never_share_a_random_stream(tmp_path):
    line = next(each for each in SUGAR.splitlines() if each.startswith("gain ") and "varies" in each)
    text = SUGAR.replace(line, line.replace(" }", ', stream = "sugar.loss" }'))
    path = write(tmp_path, sugar=text)["sugar"]
    with pytest.raises(InputError, match=r'share the random stream "sugar\.loss"'):
        collect(compose_stack([path]), NO_PATIENT)
    wrong = SUGAR.replace(line, line.replace(" }", ', stream = "the old one" }'))
    with pytest.raises(InputError, match="is not the earlier name of a number"):
        compose_stack([write(tmp_path, sugar=wrong)["sugar"]])
