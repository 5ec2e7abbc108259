"""Complications, life expectancy, quality of life and costs from a course of risk factors; read-only.

>>> from isletsim.outcomes import load_engine, load_economics, risk, simulate_events, value
>>> engine = load_engine("ukpds_om2")
>>> man = {"age": 66, "duration": 8, "female": 0, "hba1c": 7.5, "sbp": 145, "hdl": 1.3, "ldl": 3.0, "bmi": 28,
...        "egfr": 70, "wbc": 7, "heart_rate": 79, "haemoglobin": 14}
>>> probability = risk(engine, "stroke", man, years=10)
>>> history = simulate_events(engine, man, size=10_000, years=40, seed=1)
>>> life_years = value(history, load_economics("mt_hood")).life_years.mean()
"""

from __future__ import annotations

from isletsim.outcomes.economics import Economics, Worth, draw_economics, load_economics, therapy_cost, value
from isletsim.outcomes.hazards import risk
from isletsim.outcomes.microsimulation import LifeCourse, simulate_events
from isletsim.outcomes.occupancy import ever, occupancy
from isletsim.outcomes.progression import next_value
from isletsim.outcomes.reading import engine_files, load_engine
from isletsim.outcomes.records import Engine

__all__ = [
    "Economics",
    "Engine",
    "LifeCourse",
    "Worth",
    "draw_economics",
    "engine_files",
    "ever",
    "load_economics",
    "load_engine",
    "next_value",
    "occupancy",
    "risk",
    "simulate_events",
    "therapy_cost",
    "value",
]
