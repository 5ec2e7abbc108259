"""Cold starts: a process of nothing but the peer, from its launch to its first result; and the memory it took."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from benchmarks.equations import sbml_text
from benchmarks.problems import MODELS, Problem
from isletsim.codegen import numpy_source

__all__ = ["COLD_PEERS", "ColdStart", "cold_starts"]

COLD_PEERS = ("isletsim", "libRoadRunner", "COPASI", "scipy odeint", "numbalsoda LSODA", "scikit-sundae CVODE")
REPOSITORY = Path(__file__).resolve().parent.parent.parent

OWN = """
import isletsim
model = isletsim.load_model({stack!r})
print(model.simulate(until={until}, save="{spacing} min", start={start!r}, doses={doses!r}).states[-1])
"""
ROADRUNNER = """
import roadrunner
roadrunner.Logger.disableLogging()
model = roadrunner.RoadRunner("model.xml")
model.integrator.relative_tolerance, model.integrator.absolute_tolerance = 1e-6, 1e-8
print(model.simulate(0, {until}, {rows})[-1])
"""
COPASI = """
import basico
basico.load_model("model.xml")
print(basico.run_time_course(start_time=0, duration={until}, intervals={intervals}, r_tol=1e-6, a_tol=1e-8,
                             automatic=False, max_steps=10**8).iloc[-1])
"""
LEGS = """
import numpy as np
import equations
state, edges = np.array({start}), [0.0, *{doses}, {until}]
p = equations.prepared()
for number, (begin, end) in enumerate(zip(edges[:-1], edges[1:])):
    if number:
        state[{dosed}] += {amount}
    times = np.unique([begin, *np.arange(begin, end, {step}), end])
    state = np.array({solve})
print(state)
"""
ODEINT = "from scipy.integrate import odeint\n" + LEGS.replace(
    "{solve}", "odeint(equations.rhs, state, times, (p,), rtol=1e-6, atol=1e-8, tfirst=True, mxstep=10**6)[-1]"
)
NUMBALSODA = "from numbalsoda import lsoda\n" + LEGS.replace(
    "{solve}", "lsoda(equations.pointer(), state, times, data=p, rtol=1e-6, atol=1e-8, mxstep=10**6)[0][-1]"
)
SUNDAE = "from sksundae.cvode import CVODE\n" + LEGS.replace(
    "{solve}",
    "CVODE(lambda t, y, yp: equations.inner(t, y, p, yp), rtol=1e-6, atol=1e-8, max_num_steps=10**7)"
    ".solve(times, state).y[-1]",
)
# The peak of a child counts its parent's memory from before it became another program; its own status does not.
MEMORY = """
try:
    status = open("/proc/self/status").read()
    open("memory", "w").write(status.partition("VmHWM:")[2].split()[0])
except OSError:
    import resource
    open("memory", "w").write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""
# The generated source, as a user would have written it by hand.
EQUATIONS = """
{source}
import numba
inner = numba.njit(rhs)
values = {values}
def prepared():
    p = np.zeros({width})
    p[:len(values)] = values
    prepare(p)
    return p
@numba.njit
def called(t, y, p):
    dy = np.empty({states})
    inner(t, y, p, dy)
    return dy
rhs = called
def pointer(made=[]):
    if not made:
        from numbalsoda import lsoda_sig
        @numba.cfunc(lsoda_sig)
        def c(t, u, du, p):
            inner(t, numba.carray(u, ({states},)), numba.carray(p, ({width},)), numba.carray(du, ({states},)))
        made.append(c)
    return made[0].address
"""


@dataclass(frozen=True)
class ColdStart:
    """Wall-clock seconds from launch to the end of the process, and the largest memory in megabytes; best of some."""

    seconds: float
    megabytes: float


def cold_starts(given: Problem, folder: Path, rounds: int, peers: Container[str] = COLD_PEERS) -> dict[str, ColdStart]:
    """Cold starts of all peers that can be asked by a short script; those that fail are left out.

    isletsim stands there three times: with nothing compiled at all, with its drivers compiled (once for all models)
    but the model never seen, and with the model seen.
    """
    _write_files(given, folder)
    scripts = _scripts(given)
    empty, drivers, warm = folder / "empty", folder / "drivers", folder / "warm"
    found: dict[str, list[ColdStart]] = {}

    def launch(name: str, script: str, place: Path) -> None:
        result = _launch(script, folder, place)
        if result is not None:
            found.setdefault(name, []).append(result)

    launch("isletsim, very first start", scripts["isletsim"], warm)
    shutil.copytree(warm / "driver", drivers / "driver")
    for _ in range(rounds):
        for name, script in scripts.items():
            if name not in peers or name not in COLD_PEERS:
                continue
            if name == "isletsim":
                shutil.rmtree(empty, ignore_errors=True)
                shutil.copytree(drivers, empty)
                launch("isletsim, model never seen", script, empty)
                launch("isletsim, model seen", script, warm)
            else:
                launch(name, script, warm)
    return {
        name: ColdStart(min(each.seconds for each in listed), min(each.megabytes for each in listed))
        for name, listed in found.items()
    }


def _write_files(given: Problem, folder: Path) -> None:
    from isletsim.codegen import reference

    (folder / "model.xml").write_text(sbml_text(given))
    text = EQUATIONS.format(
        source=numpy_source(given.flat),
        values=list(given.flat.values),
        width=reference(given.flat).width,
        states=len(given.flat.states),
    )
    (folder / "equations.py").write_text(text)


def _scripts(given: Problem) -> dict[str, str]:
    stack = {
        "topp2000": "topp2000",
        "invented27": str(MODELS / "invented27.toml"),
        "three_meals": [str(MODELS / "invented27.toml"), str(MODELS / "three_meals.toml")],
    }[given.name]
    step = float(given.save[1] - given.save[0])
    own = {
        "stack": stack,
        "until": given.until,
        "spacing": round(step * 1440),
        "start": {"G": "180 mg/dL", "I": "8 uU/mL", "B": "180 mg"} if given.name == "topp2000" else {},
        "doses": [{"into": "invented27.bolus", "amount": given.amount, "at": f"{at} day"} for at in given.doses],
    }
    legs = {
        "start": given.start.tolist(),
        "doses": list(given.doses),
        "until": given.until,
        "dosed": given.dosed,
        "amount": given.amount,
        "step": step,
    }
    rows = len(given.save)
    texts = (
        OWN.format(**own),
        ROADRUNNER.format(until=given.until, rows=rows),
        COPASI.format(until=given.until, intervals=rows - 1),
        ODEINT.format(**legs),
        NUMBALSODA.format(**legs),
        SUNDAE.format(**legs),
    )
    return dict(zip(COLD_PEERS, texts, strict=True))


def _launch(script: str, folder: Path, place: Path) -> ColdStart | None:
    place.mkdir(exist_ok=True)
    (folder / "script.py").write_text(script + MEMORY)
    paths = [str(REPOSITORY), str(folder)]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "ISLETSIM_CACHE_DIR": str(place)}
    began = time.perf_counter()
    silence = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ended = subprocess.run([sys.executable, "script.py"], cwd=folder, env=surroundings, check=False, **silence)
    seconds = time.perf_counter() - began
    return ColdStart(seconds, int((folder / "memory").read_text()) / 1024) if ended.returncode == 0 else None
