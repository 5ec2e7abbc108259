"""The entries of schedules: doses, switched parameters, and bare stops, done in all lanes that are at one."""

from __future__ import annotations

from isletsim.solver.frame import Frame, ScheduleHead
from isletsim.solver.intrinsics import call_act, call_one, compiled, keep_apart, offset, struct_at, types
from isletsim.solver.norms import copy_rows, replace_rows

__all__ = ["do_actions", "do_stops", "next_stop"]

schedule_at = struct_at(ScheduleHead)
NOTHING, ACTION, PARAMETER = 0, 1, 2  # kinds of entries


@compiled
def schedule_of(frame: Frame, lane: int) -> ScheduleHead:
    """The schedule of a lane's subject."""
    return schedule_at(frame.schedules + frame.subject[lane] * frame.schedules_step)  # type: ignore[no-any-return]


@compiled
def next_stop(frame: Frame, lane: int, end: float) -> float:
    """The time of a lane's next stop, or the end of its run."""
    schedule, stop = schedule_of(frame, lane), frame.stop[lane]
    return min(end, schedule.times[stop]) if stop < schedule.count else end


@compiled
def do_actions(frame: Frame, lanes: int, index: int) -> int:
    """Do one of the model's actions in some lanes, each with its AMOUNT. Return the lanes in which anything changed."""
    keep_apart()
    copy_rows(frame, frame.states, frame.point, frame.state)
    copy_rows(frame, frame.parameters, frame.values_copy, frame.parameter)
    call_act(frame.act, types.int32(index), frame.amount, frame.time, frame.point, frame.values_copy)
    changed: int = replace_rows(frame, frame.parameters, frame.parameter, frame.values_copy, lanes)
    if changed != 0:
        call_one(frame.prepare, frame.parameter)
    changed |= replace_rows(frame, frame.states, frame.state, frame.point, lanes)
    return changed


@compiled
def do_entry(frame: Frame, lanes: int, kind: int, index: int) -> int:
    """Do the same entry of the schedules of some lanes. Return the lanes in which anything changed."""
    if kind == PARAMETER:
        changed: int = replace_rows(frame, 1, offset(frame.parameter, index * frame.lanes), frame.amount, lanes)
        if changed != 0:
            call_one(frame.prepare, frame.parameter)
        return changed
    return do_actions(frame, lanes, index) if kind == ACTION else 0


@compiled
def find_entries(frame: Frame, lanes: int) -> int:
    """Look up the entries of the stops at the very time of some lanes. Return the lanes that have any."""
    found = 0
    for lane in range(frame.lanes):
        if lanes & (1 << lane) == 0:
            continue
        schedule, stop = schedule_of(frame, lane), frame.stop[lane]
        if stop >= schedule.count or schedule.times[stop] > frame.time[lane]:
            continue
        frame.stop[lane] = stop + 1
        frame.entry[lane] = schedule.first[stop]
        frame.last_entry[lane] = schedule.first[stop + 1]
        if schedule.first[stop] < schedule.first[stop + 1]:
            found |= 1 << lane
    return found


@compiled
def do_stops(frame: Frame, lanes: int) -> int:
    """Do the entries of the stops at the very time of some lanes. Return the lanes in which that changed anything.

    Subjects often have the same plan: what comes next in several lanes is done in all of them at once.
    """
    waiting = find_entries(frame, lanes)
    changed = 0
    while waiting != 0:
        kind, index, together = -1, -1, 0
        for lane in range(frame.lanes):
            if waiting & (1 << lane) == 0:
                continue
            schedule, entry = schedule_of(frame, lane), frame.entry[lane]
            if together == 0:
                kind, index = schedule.kinds[entry], schedule.indices[entry]
            elif kind != schedule.kinds[entry] or index != schedule.indices[entry]:
                continue
            together |= 1 << lane
            frame.amount[lane] = schedule.amounts[entry]
            frame.entry[lane] = entry + 1
            if entry + 1 >= frame.last_entry[lane]:
                waiting &= ~(1 << lane)
        changed |= do_entry(frame, together, kind, index)
    return changed
