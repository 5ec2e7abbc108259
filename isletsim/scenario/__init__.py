"""A scenario file becomes a visible plan of arms, doses, courses and visits; nothing is run here.

`read_scenario` checks what can be seen in the file alone and says which files it needs; `plan_scenario` checks the rest
against their composition. A plan can be printed: it is what will be run.
"""

from __future__ import annotations

from isletsim.scenario.plan import ArmPlan, Plan, plan_scenario, printed
from isletsim.scenario.reading import ScenarioFile, read_scenario, scenario_of

__all__ = ["ArmPlan", "Plan", "ScenarioFile", "plan_scenario", "printed", "read_scenario", "scenario_of"]
