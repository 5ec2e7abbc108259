"""Runs that are interrupted, forked, too fine, or without a number: each ends soon and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isletsim import load_model
from isletsim.errors import InputError, RunError

ROOT = Path(__file__).resolve().parent.parent

WAVE = """
title = "A pulse of every day"
assumed = "a test"
[states]
x = { start = "0", unit = "", about = "time above" }
y = { start = "1", unit = "", about = "falls" }
[parameters]
turn = { value = "6.283185307179586 1/day", assumed = "a day" }
fall = { value = "0.1 1/day", assumed = "a test" }
least = { value = "0.5", assumed = "a test" }
[quantities]
wave = "sin(turn * time)"
depth = "log(y - least)"
[rates]
above = "where(wave > 0.9, fall, 0 * fall)"
falling = "fall * y"
[balance]
x = "above"
y = "-falling"
"""

ENDLESS = """
import signal
from isletsim import load_model
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have been told to ignore it
model = load_model("fast.toml")
model.simulate(until="1 second")
print("running", flush=True)
try:
    model.simulate(until="1000 day", save=["1000 day"], maximum_steps=2_000_000_000)
except KeyboardInterrupt:
    print("stopped")
"""

FAST = """
title = "A fast oscillator"
assumed = "a test"
[states]
x = { start = "1", unit = "", about = "x" }
v = { start = "0", unit = "", about = "v" }
[parameters]
w = { value = "1e6 1/day", assumed = "a test" }
[rates]
there = "w * v"
back = "w * x"
[balance]
x = "there"
v = "-back"
"""

FORKED = """
import os, threading, time
from isletsim import load_model
from isletsim.codegen import compile_model
ready = load_model("wave.toml")
ready.simulate(until="1 day")
other, large = load_model("fast.toml"), load_model("dallaman2007")
started = threading.Event()
def work():
    started.set()
    for _ in range(20):
        from isletsim.codegen import native
        from isletsim.codegen.lanes import lane_program
        from isletsim.codegen.program import assemble
        native.make_object(lane_program(assemble(large.composition.flat), 1).text)
thread = threading.Thread(target=work, daemon=True)
thread.start()
started.wait()
time.sleep(0.3)
child = os.fork()
if child == 0:
    other.simulate(until="1 second")
    os._exit(7)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), flush=True)
os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wave.toml").write_text(WAVE, encoding="utf-8")
    (tmp_path / "fast.toml").write_text(FAST, encoding="utf-8")
    return tmp_path


def started(script: str, folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)


def said(run: subprocess.Popen[str], seconds: float) -> str:
    """The rest of what a process prints; one that does not end in time is killed, so that no test waits for ever."""
    try:
        return run.communicate(timeout=seconds)[0].strip()
    finally:
        run.kill()


def test_ctrl_c_interrupts_a_run(folder: Path) -> None:
    with started(ENDLESS, folder) as run:
        assert run.stdout is not None
        assert run.stdout.readline().strip() == "running"
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        assert said(run, 20) == "stopped"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only some systems fork")
def test_a_fork_while_another_thread_compiles_runs_in_the_child(folder: Path) -> None:
    with started(FORKED, folder) as run:
        assert said(run, 120) == "7"


def test_a_pulse_of_every_day_is_seen_without_a_longest_step(folder: Path) -> None:
    model = load_model(folder / "wave.toml")
    found = model.simulate(until="10 day", save=["10 day"], set={"least": "0"})
    assert found["x"][-1] == pytest.approx(0.143566, rel=1e-5)


def test_no_step_of_a_run_is_longer_than_asked_for(folder: Path) -> None:
    model = load_model(folder / "fast.toml")
    free, bound = (model.simulate(until="1 second", max_step=each).counts["steps"] for each in (None, "1 ms"))
    assert free < 1000 <= bound < 1100


@pytest.mark.parametrize("wrong", ["0 day", "-1 hour", "1 kg", "1e-12 second", float("nan")])
def test_a_longest_step_that_is_none_is_refused(folder: Path, wrong: str) -> None:
    with pytest.raises(InputError, match="max_step"):
        load_model(folder / "wave.toml").simulate(until="1 day", max_step=wrong)


def test_an_output_that_becomes_undefined_ends_as_a_failure_with_its_name_and_time(folder: Path) -> None:
    with pytest.raises(RunError, match=r"depth is undefined \(NaN\) at day 7") as failure:
        load_model(folder / "wave.toml").simulate(until="10 day", save="1 day")
    assert failure.value.partial is not None
