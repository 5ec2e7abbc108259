"""A scenario is lived: every subject its history and then every arm, with the same draws in all arms."""

from __future__ import annotations

from isletsim.study.load import Scenario, load_scenario, prepared_scenario

__all__ = ["Scenario", "load_scenario", "prepared_scenario"]
