"""Stacks by name, and their memory: every edit is noticed, damage is mended, and nothing needs a cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from example_models import DRUG, POOL, SUGAR, write, write_study

import isletsim
from isletsim import cache
from isletsim.composition import model_library
from isletsim.composition.model_library import compose_stack, read_stack, remembered
from isletsim.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
USER = """
title = "Uses sugar"
assumed = "for tests"
[uses]
sugar = ["sugar"]
[quantities]
twice = "2 * sugar.sugar"
"""


@pytest.fixture
def counted(monkeypatch):
    """How often a stack was composed."""
    made = []

    def counting(files, *arguments):
        made.append([file.name for file in files])
        return superpose(files, *arguments)

    superpose = model_library.superpose
    monkeypatch.setattr(model_library, "superpose", counting)
    return made


# --- reading ----------------------------------------------------------------------------------------------------------


def test_files_that_are_announced_come_along_from_beside(tmp_path):
    paths = write(tmp_path, sugar=SUGAR, user=USER)
    assert [file.name for file in read_stack([paths["user"]])] == ["user", "sugar"]
    assert [file.name for file in read_stack([paths["user"]], follow=False)] == ["user"]
    assert [file.name for file in read_stack(["topp2000", "topp2000"])] == ["topp2000"]


def test_all_that_is_missing_or_wrong_is_told_together(tmp_path):
    paths = write(tmp_path, user=USER, wrong="title = 3\n")
    with pytest.raises(InputError) as wrong:
        read_stack([paths["user"], paths["wrong"], "topp2001"])
    said = str(wrong.value)
    assert 'user.toml:4, [uses] sugar\nThere is no model "sugar".' in said
    assert 'Did you mean "topp2000"?' in said
    assert "wrong.toml" in said


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [write(tmp_path, sugar=SUGAR)["sugar"], write(tmp_path / "other", sugar=SUGAR)["sugar"]]
    with pytest.raises(InputError, match='another file of the stack is called "sugar" too'):
        read_stack(paths)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_cache")
def test_a_stack_is_composed_once(tmp_path, counted):
    paths = list(write(tmp_path, sugar=SUGAR, drug=DRUG).values())
    first, second = compose_stack(paths), compose_stack(paths)
    assert len(counted) == 1
    assert first.flat == second.flat
    compose_stack(paths, outputs=["sugar.rise"])
    assert len(counted) == 2


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("edited", ["sugar", "user"])
def test_an_edit_in_any_file_is_noticed(tmp_path, counted, edited):
    paths = write(tmp_path, sugar=SUGAR, user=USER)
    compose_stack([paths["user"]])
    text = paths[edited].read_text()
    stamp = paths[edited].stat()
    paths[edited].write_text(text.replace("sugar", "sugar", 1).replace('"', '"', 1).replace("for tests", "for texts"))
    os.utime(paths[edited], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # content counts, not the clock
    compose_stack([paths["user"]])
    assert len(counted) == 2
    paths[edited].write_text(text)
    compose_stack([paths["user"]])
    assert len(counted) == 3  # one entry an answer: the memory holds the last one


@pytest.mark.usefixtures("own_cache")
def test_a_file_that_comes_to_stand_nearer_is_noticed(tmp_path, counted):
    user = write(tmp_path, user=USER.replace("sugar", "topp2000").replace("topp2000.topp2000", "topp2000.mass"))
    text = user["user"].read_text().replace('["topp2000"]', '["mass"]')
    user["user"].write_text(text)
    compose_stack([user["user"]])
    own = (REPOSITORY / "models" / "published" / "topp2000.toml").read_text(encoding="utf-8")
    (tmp_path / "topp2000.toml").write_text(own.replace("300 mg", "200 mg"), encoding="utf-8")
    assert compose_stack([user["user"]]).symbols["topp2000.mass"].value == 200
    assert len(counted) == 2


def test_an_edit_of_a_scenario_its_patient_or_a_layer_is_noticed(tmp_path):
    study = write_study(tmp_path)

    def end(**settings):
        return isletsim.load_scenario(study, set={"cohort.size": 0, **settings}).run().values[3, 0, -1, 0]

    before = end()
    assert end() == before
    for name, old, new in (
        ("study", '"0.5 mg"', '"0.6 mg"'),
        ("eater", '"1.1 mg/day"', '"1.2 mg/day"'),
        ("drug", '"0.3"', '"0.31"'),
        ("sugar", '"0.2 1/day"', '"0.19 1/day"'),
    ):
        path = tmp_path / f"{name}.toml"
        path.write_text(path.read_text().replace(old, new))
        after = end()
        assert after != before, name
        before = after


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("damage", [b"", b"not an entry", b"[]\n[[],[]]", b'[["x", ""]]\n{}'])
def test_a_damaged_entry_is_made_anew(tmp_path, counted, damage):
    paths = list(write(tmp_path, sugar=SUGAR).values())
    whole = compose_stack(paths)
    (entry,) = (cache.folder() / "plan").iterdir()
    good = entry.read_bytes()
    for bad in (damage, good[: len(good) // 2]):
        entry.write_bytes(bad)
        assert compose_stack(paths).flat == whole.flat
    assert len(counted) == 3
    assert entry.read_bytes() == good


@pytest.mark.usefixtures("own_cache")
def test_what_cannot_be_made_is_not_remembered(tmp_path):
    path = write(tmp_path, sugar=SUGAR.replace("gain * (1", "gian * (1"))["sugar"]
    for _ in range(2):
        with pytest.raises(InputError, match='Did you mean "gain"'):
            compose_stack([path])
    path.write_text(SUGAR)
    assert compose_stack([path])


@pytest.mark.usefixtures("own_cache")
def test_a_thing_that_depends_on_a_file_that_may_come_is_made_again_when_it_comes(tmp_path):
    made = []

    def make():
        made.append(1)
        return len(made), [tmp_path / "later"]

    assert [remembered("count", "x", make) for _ in range(2)] == [1, 1]
    (tmp_path / "later").write_text("here")
    assert [remembered("count", "x", make) for _ in range(2)] == [2, 2]
    assert remembered("count", "y", make) == 3


# --- caches that are of no use ----------------------------------------------------------------------------------------

RUN = """
import sys, isletsim
doses = [{"into": "bolus", "amount": "2 mg"}]
print(isletsim.load_model(sys.argv[1]).simulate(until="10 day", doses=doses)["pool"][-1])
"""


def simulate(path):
    doses = [{"into": "bolus", "amount": "2 mg"}]
    return isletsim.load_model(path).simulate(until="10 day", doses=doses)["pool"][-1]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A cache folder of its own that has the compiled solver already, which takes long to make."""
    simulate(write(tmp_path, pool=POOL)["pool"])
    folder = tmp_path / "cache"
    shutil.copytree(cache.folder() / "driver", folder / "driver")
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(folder))
    cache.folder.cache_clear()
    yield folder
    cache.folder.cache_clear()


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, monkeypatch):
    path = write(tmp_path, pool=POOL)["pool"]
    simulate(path)
    blocked = tmp_path / "file"
    blocked.write_text("a file is no folder, for nobody")
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(blocked / "cache"))
    cache.folder.cache_clear()
    with pytest.warns(UserWarning, match="Set ISLETSIM_CACHE_DIR") as told:
        assert [simulate(path) for _ in range(2)] == [2.0, 2.0]
    cache.folder.cache_clear()
    assert len(told) == 1


def test_a_folder_that_has_become_read_only_is_read(tmp_path, place, monkeypatch):
    path = write(tmp_path, pool=POOL)["pool"]
    assert simulate(path) == 2.0

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(cache.tempfile, "mkstemp", refuse)
    before = sorted(place.rglob("*"))
    assert simulate(path) == 2.0
    path.write_text(POOL.replace('share = { value = "1"', 'share = { value = "3"'))
    assert simulate(path) == 6.0
    assert sorted(place.rglob("*")) == before


def test_two_processes_at_once_make_one_sound_cache(tmp_path, place):
    path = write(tmp_path, pool=POOL)["pool"]
    surroundings = os.environ | {"ISLETSIM_CACHE_DIR": str(place), "PYTHONPATH": str(REPOSITORY)}

    def begin():
        command = [sys.executable, "-W", "error", "-c", RUN, str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings)

    runs = [begin(), begin()]
    assert [run.communicate(timeout=120)[0] for run in runs] == ["2.0\n", "2.0\n"]
    names = [entry.name for kind in place.iterdir() for entry in kind.iterdir()]
    assert all(len(name) == 32 for name in names)  # nothing half-written is left
    assert begin().communicate(timeout=120)[0] == "2.0\n"
