"""The cache never changes a number: damaged, renamed, forged or foreign entries are made again."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from example_models import POOL, SUGAR, write
from machine_code import observed, small_model

import isletsim
from isletsim import cache, units
from isletsim.codegen import compile_lanes, compile_model, native
from isletsim.composition import RECORDS
from isletsim.composition.model_library import compose_stack
from isletsim.language import Apply, Name, Number, Table
from isletsim.serialization import decode, encode

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("model", "plan", "units", "driver")


@pytest.fixture
def filled(tmp_path, own_cache):
    """A cache folder with an entry of every kind, and the paths of these entries."""
    compile_lanes(compile_model(small_model()))
    compose_stack(write(tmp_path, sugar=SUGAR).values())
    units._memory.cache_clear()
    units.unit.cache_clear()
    units.unit("mg/dL")
    cache.save("driver", "compiled", random.Random(1).randbytes(5000))
    yield {kind: sorted((cache.folder() / kind).iterdir()) for kind in KINDS}
    units._memory.cache_clear()
    units.unit.cache_clear()


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def no_flipped_bit_is_used(filled, kind, count):
    path = filled[kind][0]
    data, choose = path.read_bytes(), random.Random(kind)
    assert cache.load(kind, path.name) is not None
    for bit in choose.sample(range(8 * len(data)), min(count, 8 * len(data))):
        path.write_bytes(flipped(data, bit))
        assert cache.load(kind, path.name) is None, f"bit {bit}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_entry_with_a_flipped_bit_is_used(filled, kind):
    no_flipped_bit_is_used(filled, kind, 200)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_entry_with_one_of_many_flipped_bits_is_used(filled, kind):
    no_flipped_bit_is_used(filled, kind, 2500)


def test_a_model_with_a_flipped_bit_gives_the_same_numbers(filled):
    expected = observed(compile_model(small_model()), np.array([1.0]))[0]
    path = next(each for each in filled["model"] if "-" not in each.name)
    data, choose = path.read_bytes(), random.Random(3)
    for _ in range(25):
        path.write_bytes(flipped(data, choose.randrange(8 * len(data))))
        assert observed(compile_model(small_model()), np.array([1.0]))[0] == expected


def test_a_plan_with_a_flipped_bit_gives_the_same_numbers(filled, tmp_path):
    files = [tmp_path / "sugar.toml"]
    expected = compose_stack(files)
    (path,) = filled["plan"]
    data, choose = path.read_bytes(), random.Random(4)
    for _ in range(25):
        path.write_bytes(flipped(data, choose.randrange(8 * len(data))))
        assert compose_stack(files) == expected


def test_an_entry_under_another_name_or_kind_is_not_used(filled, tmp_path):
    (plan,) = filled["plan"]
    sugar = compose_stack([tmp_path / "sugar.toml"])
    pool = compose_stack(write(tmp_path, pool=POOL).values())
    (other,) = set((cache.folder() / "plan").iterdir()) - {plan}
    shutil.copy(plan, other)
    assert compose_stack([tmp_path / "pool.toml"]) == pool != sugar
    shutil.copy(plan, cache.folder() / "model" / plan.name)
    assert cache.load("model", plan.name) is None


def test_sizes_that_cannot_be_those_of_the_model_are_refused_even_with_a_checksum(own_cache):
    compiled = compile_model(small_model())
    expected = observed(compiled, np.array([1.0]))[0]
    sizes, data = native.read_entry(compiled.fingerprint)
    for wrong in ({"roots": 1_000_000}, {"rows": [7]}, {"columns": [-1]}, {"width": 0}, {"kinks": -1}):
        native.write_entry(compiled.fingerprint, sizes | wrong, data)
        again = compile_model(small_model())
        assert (again.roots, again.width, len(again.rows)) == (compiled.roots, compiled.width, len(compiled.rows))
        assert observed(again, np.array([1.0]))[0] == expected


def test_a_header_that_was_changed_is_refused(own_cache):
    compiled = compile_model(small_model())
    path = cache.folder() / "model" / compiled.fingerprint
    path.write_bytes(path.read_bytes().replace(b'"roots": 0', b'"roots": 1000000'))
    assert native.read_entry(compiled.fingerprint) is None


# --- whose entries ----------------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_may_write_to_is_not_used_and_costs_one_warning(own_cache, mode):
    place = cache.folder()
    cache.save("plan", "x", b"data")
    place.chmod(mode)
    cache.folder.cache_clear()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [cache.load("plan", "x") for _ in range(3)] == [None] * 3
        cache.save("plan", "y", b"data")
    assert "may be written by other users" in str(told[0].message)
    assert len(told) == 1
    assert "chmod go-w" in str(told[0].message)
    assert not (place / "plan" / "y").exists()


@posix
def test_a_file_or_an_inner_folder_that_others_may_write_to_is_not_loaded(own_cache):
    cache.save("plan", "x", b"data")
    path = cache.folder() / "plan" / "x"
    path.chmod(0o666)
    assert cache.load("plan", "x") is None
    path.chmod(0o600)
    assert cache.load("plan", "x") == b"data"
    path.parent.chmod(0o777)
    assert cache.load("plan", "x") is None


@posix
def test_what_another_user_owns_is_not_loaded(own_cache, monkeypatch):
    cache.save("plan", "x", b"data")
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert cache.load("plan", "x") is None
    cache.folder.cache_clear()
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert cache.folder() is None


@posix
def test_the_folder_is_made_for_its_owner_alone(own_cache):
    cache.save("plan", "x", b"data")
    made = [cache.folder(), cache.folder() / "plan", cache.folder() / "plan" / "x"]
    assert [each.stat().st_mode & 0o077 for each in made] == [0, 0, 0]


# --- how much is kept -------------------------------------------------------------------------------------------------


def test_the_least_recently_used_entries_go_first_when_the_cache_is_full(own_cache, monkeypatch):
    monkeypatch.setenv("ISLETSIM_CACHE_MB", "0.05")
    for number in range(100):
        cache.save("plan", f"{number:03}", bytes(1000))
        os.utime(cache.folder() / "plan" / f"{number:03}", (number, number))
    kept = sorted(each.name for each in (cache.folder() / "plan").iterdir())
    assert sum(each.stat().st_size for each in (cache.folder() / "plan").iterdir()) <= 55_000
    assert len(kept) > 30
    assert kept[-1] == "099"
    assert kept == [f"{number:03}" for number in range(100 - len(kept), 100)]


def test_a_part_file_that_a_killed_process_left_is_removed(own_cache, monkeypatch):
    cache.save("plan", "x", b"data")
    old, new = (cache.folder() / "plan" / f"{cache.PART}{name}" for name in ("old", "new"))
    for each in (old, new):
        each.write_bytes(b"half")
    os.utime(old, (1, 1))
    monkeypatch.setattr(cache._Written, "count", -1)
    cache.save("plan", "y", b"data")
    assert not old.exists()
    assert new.exists()
    assert cache.load("plan", "x") == b"data"


def test_a_write_that_fails_leaves_no_part_file(own_cache, monkeypatch):
    cache.save("plan", "x", b"data")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.save("plan", "y", b"data")
    assert [each.name for each in (cache.folder() / "plan").iterdir()] == ["x"]


KILLED = """
import time
from isletsim.solver import native
native.make_ahead((*native.RUN, 1), (*native.RUN, 8))
print(*(each.pid for each in native._MAKING.values()), flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    """Whether a process is there that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="nothing is compiled ahead on one core")
def test_a_compiling_process_ends_with_the_run_that_was_killed(tmp_path):
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(tmp_path / "empty"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True) as run:
        pids = [int(each) for each in run.stdout.readline().split()]
        assert pids
        assert all(map(runs, pids))
        run.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while any(map(runs, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(runs, pids))


# --- records as data --------------------------------------------------------------------------------------------------


def test_a_composition_comes_back_equal_and_shared_pieces_stay_shared():
    composition = compose_stack(["topp2000"])
    again = decode(encode(composition, RECORDS), RECORDS)
    assert again == composition
    piece = Apply("add", (Name("x"), Number(float("inf"))))
    tree = Apply("multiply", (piece, piece))
    for _ in range(200):  # written out it would have 2 ** 200 nodes
        tree = Apply("multiply", (tree, tree))
    back = decode(encode(tree, (Apply, Name, Number, Table)), (Apply, Name, Number, Table))
    assert back.arguments[0] is back.arguments[1]


def test_only_named_records_are_kept_and_made():
    with pytest.raises(TypeError, match="Number"):
        encode(Number(1.0), (Name,))
    for data in (b"", b"[]", b"[[],[[9]]]", b"[[],[[0,[3]]]]", b"{}", b"[[],[[1,1]]]", b"[[],[[2,1]]]", b"[[],[]]"):
        with pytest.raises(ValueError, match="cannot be read"):
            decode(data, ())
    rows = json.loads(encode(Number(1.0), (Number,)))
    rows[0][0][1] = "amount"
    with pytest.raises(ValueError, match="other classes"):
        decode(json.dumps(rows).encode(), (Number,))


def test_no_module_reads_or_writes_pickles():
    for path in Path(isletsim.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path
        assert "marshal" not in text, path


def test_warnings_of_the_cache_are_none_in_an_ordinary_folder(own_cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.save("plan", "x", b"data")
        assert cache.load("plan", "x") == b"data"
