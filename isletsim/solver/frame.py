"""The frame of a driver: all that one thread's runs read and write, for one lane or eight.

Python fills in the model, the task and the results' places; the driver keeps the rest. Rows hold one number per lane.
A lane is a place that subjects pass through one after the other; what a subject leaves is written to its own rows of
arrays that threads share. Fields marked "one lane" are used by the driver of width 1 only.
"""

from __future__ import annotations

from isletsim.solver.struct import Constant, IntegerRow, Integers, RealRow, Reals, ShortIntegers

__all__: list[str] = []

LANES = 8  # of the driver for many subjects
COUNTS = 11  # integers that a subject leaves: `Counts`, then the event and the state of a failure

# Why a run stopped.
DONE = 0
WATCHED = 1
TERMINAL = 2
NOT_FINITE = 3
STEP_TOO_SMALL = 4
TOO_MANY_STEPS = 5
SINGULAR = 6
NO_CONSISTENT_START = 7
RETRY = 100  # one of several lanes could not do it; the driver of width 1 repeats the run

STIFF = 0
EXPLICIT = 1
FIXED = 2


class ScheduleHead:
    """The arrays of a schedule (`isletsim.solver.records.Schedule`)."""

    count: int
    times: Reals
    first: Integers
    kinds: Integers
    indices: Integers
    amounts: Reals


class Frame:
    """The frame; a `..._step` is how many numbers lie between two subjects, 0 if all share one row."""

    lanes: Constant  # how many

    # The model: sizes, addresses of its functions, and arrays.
    states: int
    parameters: int
    outputs: int
    nonzeros: int
    events: int
    roots: int  # events and kinks
    algebraic: int  # how many unknowns are algebraic
    prepare: int
    start: int
    rhs: int
    jac: int
    factor: int  # 0 without sparse factors
    solve: int
    observe: int
    triggers: int
    bounds: int
    act: int
    row_index: ShortIntegers
    column_index: ShortIntegers
    mass: Reals
    event_action: ShortIntegers
    event_initially: ShortIntegers
    time_roots: Integers  # 1 for a root that depends on time alone
    timed: int  # states whose derivative depends on time itself: how many,
    timed_rows: Integers  # and which
    seen: int  # states that a record needs
    seen_rows: Integers
    all_rows: Integers

    # The task.
    method: int
    subjects: int
    counter: Integers  # the next subject, shared by all threads
    starts: Reals  # 0 for the model's own start
    starts_step: int
    values: Reals
    values_step: int
    schedules: int  # address of the first head
    schedules_step: int  # in bytes
    save: int  # address of the times of records, list after list, with infinity behind the last of each
    first_saves: Integers  # where a subject's list begins
    first_saves_step: int
    first_rows: Integers  # the row that a subject's records begin with
    spans: Reals
    spans_step: int
    steps: Reals  # the longest step of every subject
    steps_step: int
    maximum_steps: int
    watch_output: int  # -1 without a watch
    watch_direction: int
    watch_levels: Reals
    watch_step: int
    relative: float
    absolute: Reals

    # The results; addresses are 0 for what is not kept.
    saved_outputs: int
    saved_states: int
    rows_written: Integers
    last_times: Reals
    last_states: Reals
    last_values: Reals
    reasons: Integers
    counts: Integers
    counts_step: int  # 2 for accepted and rejected steps, or COUNTS

    # The work space: arrays with one number per lane for every element.
    state: Reals
    parameter: Reals  # parameters, then what `prepare` fills in
    next: Reals
    jacobian: Reals  # nonzeros, then explicit time derivatives; `jac` writes the derivatives behind them,
    stages: Reals  # which is the first stage
    stride: int  # elements between two stages
    lu: Reals
    point: Reals  # a state that is no part of the solution: a record, a trial, a copy
    spare: Reals
    values_copy: Reals
    out: Reals
    dense: Reals  # one lane: the rows of DOP853's dense output
    errors: Reals  # one lane: the two error estimates of DOP853
    matrix: Reals  # one lane: dense LU, row by row
    pivots: Integers
    root_before: Reals  # one lane: triggers at the beginning of the step,
    root_after: Reals  # at its end,
    root_here: Reals  # and at a place within
    root_bounds: Reals  # two numbers per root
    interval: Reals  # two times
    samples: Reals  # sizes of a trigger within the step
    nudges: int  # steps that were to end at an event and did not reach it
    signs: Integers  # 1 positive, -1 not
    fired: Integers  # events that happen at this instant

    # What the driver keeps.
    budget: int  # steps that may be tried before the driver returns to its caller for a moment
    paused: int  # 1 if it did, and goes on when it is called again
    active: int  # lanes that hold a subject, as bits
    changed: int  # lanes that begin with a cautious step, as bits
    ready: int  # 1 if the derivatives at the state are known from the end of the step before
    dense_ready: int
    pivoted_now: int
    singular: int  # 1 if the last linear system had no solution
    aim: int  # the root that the present step is shortened for, or -1
    aimed: int  # the root that the accepted step was shortened for, or -1
    met: int  # whether the accepted step ends at a root
    attempts: int  # to end a step at one root
    crowded: int  # kinks met in a row
    forced: float  # a shorter step that ends at a root, or 0
    crossing: float  # where in the step the root is, 0 to 1
    repeated: int
    rhs_calls: int
    jacobians: int
    factorizations: int
    pivoted: int
    roots_found: int
    unlocated: int
    event: int
    worst: int
    result: int
    exception: int  # numba's slot, never used

    # One number per lane.
    time: RealRow
    step: RealRow  # as long as the error allows; the longest one if steps are equal
    longest: RealRow  # the longest step that is allowed
    growth: RealRow  # how much a step may grow: less after a rejection
    target: RealRow
    next_save: RealRow
    h: RealRow
    step_end: RealRow
    inverse: RealRow  # 1 / h
    shift: RealRow  # 1 / (h gamma)
    stage_time: RealRow
    error: RealRow
    moment: RealRow
    fraction: RealRow
    amount: RealRow
    accepted: RealRow
    rejected: RealRow
    size: RealRow
    speed: RealRow
    curvature: RealRow
    trial: RealRow
    run_end: RealRow
    floor: RealRow  # what counts as a small time of the run
    subject: IntegerRow
    row: IntegerRow
    stop: IntegerRow
    next_outputs: IntegerRow  # addresses of the next row of records
    next_states: IntegerRow
    next_time: IntegerRow  # address of its time
    entry: IntegerRow  # of the schedule, while those of a stop are done
    last_entry: IntegerRow
