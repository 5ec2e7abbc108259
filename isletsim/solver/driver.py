"""The driver: steps in all lanes at once, after which each lane goes its own way.

Every lane has its own time, step, stops and records, and takes subject after subject; nothing that one lane meets
reaches another. A single lane can do more: algebraic unknowns, pivoting, events, kinks and DOP853.

    next stop -> integrate there -> actions of that instant -> prepare -> record

Nothing is printed, clamped or allocated. What goes wrong ends the run with a reason; the record up to there stays.
"""

from __future__ import annotations

import math

from isletsim.solver.dense_output import interpolate
from isletsim.solver.events import (
    AT_END,
    INSIDE,
    crossing,
    evaluate_triggers,
    pass_roots,
    settle_signs,
    smallest_step,
    step_to_root,
)
from isletsim.solver.frame import EXPLICIT, FIXED, NOT_FINITE, RETRY, STIFF, TOO_MANY_STEPS, WATCHED, Frame
from isletsim.solver.happenings import happen
from isletsim.solver.intrinsics import call_at, compiled, keep_apart, merged, one_lane
from isletsim.solver.norms import add_product, copy_rows, take_lanes
from isletsim.solver.rosenbrock import rosenbrock_step
from isletsim.solver.rows import record_instant, take_column, write_row
from isletsim.solver.runge_kutta import (
    EXPLICIT_STAGES,
    FIXED_STAGES,
    explicit_step,
    first_stage,
    fixed_step,
    keep_last_stage,
    last_fixed_stage,
)
from isletsim.solver.start import first_step
from isletsim.solver.step_size import choose_ends, choose_equal_ends, judge, judge_equal, record_moments
from isletsim.solver.subjects import failure, first_not_finite, go_on, open_lane, replace

__all__ = ["run"]

REPEATS = 12  # attempts to end a step at one root
NEAREST = 1e-3  # a kink that seems nearer than this, as a fraction of a failed step, is left to a shorter step
REPEATED = -1  # in place of a verdict: the step is tried again


# Beginning a step


@compiled
def linearise(frame: Frame) -> None:
    """The Jacobian, the explicit time derivative, and the derivatives as the first stage."""
    call_at(frame.jac, frame.time, frame.state, frame.parameter, frame.jacobian)
    frame.jacobians += 1


@one_lane
def repair_jacobian(frame: Frame) -> None:
    """A Jacobian that is not finite at the state is taken half a step ahead, and what is still not finite there is 0.

    The right-hand side may be finite where its derivative is not, as sqrt(x) at 0. The error estimate judges the step.
    """
    keep_apart()
    entries = frame.nonzeros + frame.states
    doubt = 0.0
    for entry in range(entries):
        doubt += 0.0 * frame.jacobian[entry]
    if doubt == 0.0:
        return
    copy_rows(frame, frame.states, frame.spare, frame.stages)
    frame.trial[0] = 0.5 * frame.h[0]
    frame.moment[0] = frame.time[0] + frame.trial[0]
    add_product(frame, frame.point, frame.state, frame.stages)
    call_at(frame.jac, frame.moment, frame.point, frame.parameter, frame.jacobian)
    frame.jacobians += 1
    copy_rows(frame, frame.states, frame.stages, frame.spare)
    for entry in range(entries):
        if not math.fabs(frame.jacobian[entry]) < math.inf:
            frame.jacobian[entry] = 0.0


@merged
def begin_interval(frame: Frame) -> int:
    """A cautious first step in the lanes in which anything changed. Return 1, or 0 if a lane got another subject."""
    ready = 1
    if frame.method != FIXED:
        first_step(frame)
        for lane in range(frame.lanes):
            if frame.changed & (1 << lane) != 0 and not frame.size[lane] + frame.speed[lane] < math.inf:
                if frame.lanes == 1:
                    frame.worst = max(first_not_finite(frame, frame.state), first_not_finite(frame, frame.stages))
                replace(frame, lane, NOT_FINITE if frame.lanes == 1 else RETRY)
                ready = 0
    if ready != 0:
        frame.changed = 0
        if frame.lanes == 1 and frame.roots > 0:
            settle_signs(frame)
    return ready


# Roots within a step of one lane


@one_lane
def aim_at_kink(frame: Frame) -> int:
    """A step that failed may have failed at a kink: then the next attempt ends near it. Return 1 if it does."""
    error = frame.error[0]
    frame.aim = -1
    if frame.roots == frame.events or frame.forced > 0.0 or not (error > 1.0 and error < math.inf):
        return 0
    evaluate_triggers(frame, frame.step_end, frame.next, frame.root_after)
    met = crossing(frame)
    kink = frame.aim
    frame.aim = -1
    if met != INSIDE or kink < frame.events:
        return 0
    # A step that failed may place a kink of states just ahead again and again: steps of no length would never reach it.
    if frame.crossing < NEAREST and frame.time_roots[kink] == 0:
        return 0
    # Only near it: a step that failed tells roughly where the kink is, so it is not yet counted as met.
    frame.rejected[0] += 1.0
    frame.forced = max(frame.crossing * frame.h[0], smallest_step(frame))
    return 1


@one_lane
def look_for_roots(frame: Frame) -> int:
    """Look for events and kinks within the step. Return 1 if it is tried again, up to the first of them."""
    keep_apart()
    if not frame.error[0] <= 1.0:
        again = aim_at_kink(frame)
        if again == 0:
            frame.forced = 0.0
        return again
    frame.aimed = frame.aim
    evaluate_triggers(frame, frame.step_end, frame.next, frame.root_after)
    met = crossing(frame)
    if met == INSIDE and frame.attempts < REPEATS:
        # The step is done again up to the root, so that the state there is as good as any other.
        frame.forced = step_to_root(frame)
        frame.repeated += 1
        frame.attempts += 1
        return 1
    frame.met = AT_END if met == INSIDE else met
    frame.attempts = 0
    return 0


# A step


@compiled
def try_step(frame: Frame) -> int:
    """Try a step in all lanes. Return the verdict, with lanes that have small pivots << 24, or REPEATED."""
    if frame.method == STIFF:
        linearise(frame)
    elif frame.method == EXPLICIT or (frame.changed != 0 and frame.lanes == 1):
        first_stage(frame)
    if frame.changed != 0 and begin_interval(frame) == 0:
        return REPEATED
    bad = 0
    if frame.method == FIXED:
        choose_equal_ends(frame)
        fixed_step(frame)
    else:
        choose_ends(frame)
        if frame.method == STIFF:
            if frame.lanes == 1:
                repair_jacobian(frame)
            bad = rosenbrock_step(frame) & frame.active
        elif frame.lanes == 1:
            explicit_step(frame)
    if frame.lanes == 1:
        frame.singular = bad
        if bad != 0:
            frame.error[0] = math.nan
            bad = 0
        if frame.roots > 0:
            if frame.method == FIXED:
                last_fixed_stage(frame)
            if look_for_roots(frame) != 0:
                return REPEATED
    verdict: int = judge_equal(frame) if frame.method == FIXED else judge(frame)
    return verdict | bad << 24


@compiled
def record_due(frame: Frame, due: int) -> int:
    """Write rows within the accepted step of the lanes in `due`. Return those whose watched output passed its level."""
    ended = 0
    if frame.method == FIXED and (frame.lanes > 1 or frame.roots == 0):
        last_fixed_stage(frame)
    while due != 0:
        record_moments(frame, due)
        interpolate(frame, frame.seen, frame.seen_rows)
        call_at(frame.observe, frame.moment, frame.point, frame.parameter, frame.out)
        for lane in range(frame.lanes):
            bit = 1 << lane
            if due & bit == 0:
                continue
            if write_row(frame, lane, frame.point) != 0:
                interpolate(frame, frame.states, frame.all_rows)
                take_column(frame, frame.state, frame.point, lane, frame.states)
                frame.time[lane] = frame.moment[lane]
                ended |= bit
                due &= ~bit
            elif not frame.next_save[lane] < frame.step_end[lane]:
                due &= ~bit
    return ended


@merged
def take_over(frame: Frame, accepted: int, due: int, attention: int) -> None:
    """The new states of the lanes whose step is accepted."""
    if frame.method != EXPLICIT:
        frame.ready = 0
    if accepted != frame.active:
        take_lanes(frame, frame.states, frame.state, frame.next, accepted)
    else:
        frame.state, frame.next = frame.next, frame.state
        # The derivatives at the end of the step, if known, are those that the next one begins with.
        if frame.method == FIXED and (due != 0 or (frame.lanes == 1 and frame.roots > 0)) and attention == 0:
            keep_last_stage(frame, FIXED_STAGES)
        elif frame.lanes == 1 and frame.method == EXPLICIT and accepted != 0:
            keep_last_stage(frame, EXPLICIT_STAGES)
    take_lanes(frame, 1, frame.time, frame.step_end, accepted)


@merged
def attend(frame: Frame, attention: int, bad: int, ended: int, begun: int) -> None:
    """The lanes that are at their target, at an event, have ended, or cannot go on."""
    arrived = begun
    for lane in range(frame.lanes):
        if frame.time[lane] >= frame.target[lane]:
            arrived |= 1 << lane
    arrived &= attention & ~bad & ~ended
    reason = happen(frame, arrived) if arrived != 0 else -1
    for lane in range(frame.lanes):
        bit = 1 << lane
        if attention & bit == 0:
            continue
        if ended & bit != 0:
            replace(frame, lane, WATCHED)
        elif arrived & bit == 0:
            replace(frame, lane, failure(frame))
        elif reason >= 0:
            record_instant(frame, lane)
            replace(frame, lane, reason)
        else:
            last = go_on(frame, lane)
            if last >= 0:
                replace(frame, lane, last)


@compiled
def run(frame: Frame) -> int:
    """Take subjects until none are left, or until the budget of steps is spent."""
    if frame.paused == 0:
        frame.ready, frame.active, frame.changed = 0, 0, 0
        for lane in range(frame.lanes):
            open_lane(frame, lane)
    frame.paused = 0
    while frame.active != 0:
        frame.budget -= 1
        if frame.budget < 0:
            frame.paused = 1
            return 0
        verdict = try_step(frame)
        if verdict == REPEATED:
            if frame.lanes == 1 and frame.active != 0 and tired(frame) != 0:
                replace(frame, 0, TOO_MANY_STEPS)
            continue
        bad = verdict >> 24
        accepted = verdict & 255 & ~bad
        attention = ((verdict >> 8) & 255) | bad
        due = (verdict >> 16) & 255 & ~bad
        ended = record_due(frame, due) if due != 0 else 0
        accepted &= ~ended
        take_over(frame, accepted, due, attention)
        begun = 0
        if frame.lanes == 1:
            if accepted != 0 and frame.roots > 0:
                begun = 1 if pass_roots(frame, frame.met, frame.aimed) > 0 else 0
            frame.forced = 0.0
        if attention | ended | begun != 0:
            attend(frame, attention | ended | begun, bad, ended, begun)
    return 0


@one_lane
def tired(frame: Frame) -> int:
    """1 if as many steps have been tried as may be; one lane only."""
    return 1 if frame.accepted[0] + frame.rejected[0] + frame.repeated >= frame.maximum_steps else 0
