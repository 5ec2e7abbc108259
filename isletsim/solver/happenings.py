"""All that happens at one instant: stops of several lanes, or stops and events of one lane."""

from __future__ import annotations

from isletsim.solver.events import evaluate_triggers, note_signs
from isletsim.solver.frame import NO_CONSISTENT_START, STEP_TOO_SMALL, TERMINAL, Frame
from isletsim.solver.intrinsics import compiled, keep_apart, one_lane, types
from isletsim.solver.start import make_consistent
from isletsim.solver.stops import do_actions, do_stops

__all__ = ["happen"]

CASCADE = 1000  # events that set each other off at one instant


@one_lane
def fire(frame: Frame) -> int:
    """Do the actions of the events that begin now. Return how many, or -1 if one of them ends the run."""
    count = 0
    for event in range(frame.events):
        if frame.fired[event] == 1:
            action = types.int64(frame.event_action[event])
            if action < 0:
                frame.event = event
                return -1
            frame.amount[0] = 0.0
            do_actions(frame, 1, action)
            frame.fired[event] = 2
            count += 1
    return count


@one_lane
def happen_alone(frame: Frame) -> int:
    """All that happens at the present time of one lane. Return -1, or why the run ends."""
    keep_apart()
    for _ in range(CASCADE):
        happened = fire(frame)
        if happened < 0:
            return TERMINAL
        happened += do_stops(frame, 1)
        if happened == 0:
            return -1
        frame.ready = 0
        frame.changed = 1
        if make_consistent(frame) != 0:
            return NO_CONSISTENT_START
        if frame.roots > 0:
            evaluate_triggers(frame, frame.time, frame.state, frame.root_after)
            note_signs(frame)
    return STEP_TOO_SMALL


@compiled
def happen(frame: Frame, lanes: int) -> int:
    """Do what happens at the present time of some lanes. Return -1, or why a single lane's run ends."""
    if frame.lanes == 1:
        return happen_alone(frame)
    frame.changed |= do_stops(frame, lanes)
    return -1
