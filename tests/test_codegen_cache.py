"""Machine code is kept under a name made of its equations."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from machine_code import observed, small_model

from isletsim.codegen import compile_model, fingerprint_of, program
from isletsim.flat import Action, Event
from isletsim.language import Name, Number, apply

ROOT = Path(__file__).resolve().parents[1]


pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_changed_parameter_changes_no_code_and_a_changed_equation_does():
    flat = small_model()
    assert fingerprint_of(replace(flat, values=(0.9,), name="other")) == fingerprint_of(flat)
    changed = [
        small_model(3.0),
        replace(flat, outputs=()),
        replace(flat, algebraic=(True,)),
        replace(flat, parameters=("l",), values=(1.0,)),
        replace(flat, start=(Number(2.0),)),
        replace(flat, actions=(Action("a", (("x", Number(0.0)),)),)),
        replace(flat, events=(Event("e", Name("x")),)),
        replace(flat, derivatives=(apply("negate", flat.derivatives[0]),)),
    ]
    assert len({fingerprint_of(each) for each in [flat, *changed]}) == 1 + len(changed)


def test_a_kept_model_is_loaded_without_being_assembled_again(monkeypatch):
    first = compile_model(small_model())
    monkeypatch.setattr(program, "assemble", lambda flat: pytest.fail("assembled again"))
    second = compile_model(small_model())
    assert second.width == first.width
    assert (second.rows == first.rows).all()
    assert observed(second, np.array([1.0]))[0] == observed(first, np.array([1.0]))[0]


def test_a_damaged_entry_of_the_cache_is_made_anew(tmp_path):
    compile_model(small_model())
    (entry,) = (tmp_path / "cache" / "model").iterdir()
    for damaged in (b"", b"{}\n", entry.read_bytes()[:-5] + b"wrong"):
        entry.write_bytes(damaged)
        assert observed(compile_model(small_model()), np.array([1.0]))[0] == pytest.approx(2 * math.exp(-0.5))


SCRIPT = """
import sys, numpy, ctypes, warnings
sys.path.insert(0, "tests")
from machine_code import observed, random_model, small_model
from isletsim.codegen import compile_model
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for flat in (random_model(8), small_model(), small_model()):
        compiled = compile_model(flat)
print(observed(compiled, numpy.array([1.0]))[0], len(caught), "numba" in sys.modules)
"""


def start_process(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT
    )


def test_two_processes_compiling_at_once_both_work_and_need_no_numba(tmp_path):
    running = [start_process(tmp_path / "shared") for _ in range(2)]
    said = [each.communicate(timeout=60)[0].split() for each in running]
    assert said[0] == said[1] == [repr(2 * math.exp(-0.5)), "0", "False"]


def test_a_cache_folder_that_cannot_be_written_costs_one_warning(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    said = start_process(tmp_path / "file" / "cache").communicate(timeout=60)[0].split()
    assert said == [repr(2 * math.exp(-0.5)), "1", "False"]
