"""A small model with two clocks: sugar in the blood through the day, cells and their memory through the life."""

from __future__ import annotations

from typing import Any

import numpy as np

from isletsim.composition import Composition
from isletsim.dosing import Dose, scheduled_events
from isletsim.ensemble import run_task
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.simulator import MultiscaleSimulator, Segment, SimulationState

# Sugar of the blood follows meals and what the cells make of it; some of it is hormone that lags behind.
SUGAR = """
clock = "day"
[uses]
cells = ["mass", "rest"]
[states]
gut     = { start = "0 mg", scale = "10 mg" }
blood   = { start = "20 mg", scale = "10 mg" }
hormone = { start = "1", scale = "1" }
[parameters]
uptake  = { value = "20 1/day", assumed = "test" }
release = { value = "60 mg/day", assumed = "test" }
burning = { value = "1 1/day", assumed = "test" }
action  = { value = "16 1/day", assumed = "test" }
answer  = { value = "100 1/day", assumed = "test" }
normal  = { value = "20 mg", assumed = "test" }
[quantities]
plasma = { law = "blood", scale = "20 mg" }
[rates]
absorption = "uptake * gut"
made       = "release"
burnt      = "(burning * (1 + cells.rest) + action * cells.mass * hormone) * blood"
secretion  = "answer * hill(blood, normal, 2)"
clearance  = "answer * hormone"
[balance]
gut     = "-absorption"
blood   = "absorption + made - burnt"
hormone = "secretion - clearance"
[doses.meal]
unit = "mg"
add  = { gut = "1" }
"""

CELLS = """
clock = "years"
[uses]
sugar = ["plasma"]
[inputs]
rest = { default = "0", unit = "", about = "idleness" }
[states]
mass   = { start = "1", scale = "1", about = "their mass" }
memory = { start = "20 mg", scale = "20 mg" }
given  = { start = "0", scale = "1" }
[parameters]
one_day  = { value = "1 day", assumed = "test" }
speed    = { value = "0.01 1/day", assumed = "test" }
tolerated = { value = "20 mg", assumed = "test" }
morning  = { value = "7 hour", assumed = "test" }
low      = { value = "10 mg", assumed = "test" }
high     = { value = "25 mg", assumed = "test" }
[rates]
tracking = "(mean(sugar.plasma) - memory) / one_day"
death    = "speed * mass * memory / tolerated"
birth    = "0.8 * speed"
[balance]
mass   = "birth - death"
memory = "tracking"
given  = ""
[doses.graft]
unit = ""
add  = { mass = "1", given = "1" }
[reports]
mass      = { value = "mass", unit = "" }
memory    = { value = "memory", unit = "mg" }
given     = { value = "given", unit = "" }
mean_day  = { value = "mean(sugar.plasma)", unit = "mg" }
breakfast = { value = "at(sugar.plasma, morning)", unit = "mg" }
highest   = { value = "max(sugar.plasma)", unit = "mg" }
lowest    = { value = "min(sugar.plasma)", unit = "mg" }
in_range  = { value = "fraction(sugar.plasma, low, high)", unit = "%" }
"""

MEALS = (Dose("sugar.meal", 30.0, 0.3), Dose("sugar.meal", 40.0, 0.5), Dose("sugar.meal", 50.0, 0.8))
REPORTS = ("mass", "memory", "given", "mean_day", "breakfast", "highest", "lowest", "in_range")


def simulator_of(composition: Composition, **control: Any) -> MultiscaleSimulator:
    return MultiscaleSimulator(composition, 1e-6, StepControl(**control))


def born(simulator: MultiscaleSimulator, **changes: float) -> SimulationState:
    """A life's beginning, with other values of some parameters."""
    flat = simulator.composition.flat
    values = np.array(flat.values)
    for name, value in changes.items():
        values[flat.parameters.index(name.replace("__", "."))] = value
    return simulator.initial_state(values, {}, MEALS)


def lived(simulator: MultiscaleSimulator, until: float, doses: Any = (), courses: Any = (), **more: Any) -> Segment:
    """A life from its beginning, with a record at every midnight."""
    neutral = dict(zip(simulator.composition.flat.parameters, simulator.composition.flat.values, strict=True))
    stops = scheduled_events(simulator.composition, doses, courses, neutral=neutral)
    current = more.pop("current", None) or born(simulator)
    return run_task(simulator.simulate(current, until, more.pop("save", np.arange(0.0, until + 0.5)), stops, **more))


def column(simulator: MultiscaleSimulator, name: str) -> int:
    return simulator.outputs.index(f"report.{name}")
