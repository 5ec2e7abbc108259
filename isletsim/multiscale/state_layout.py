"""The structs of macro steps in native code: the frame of a thread, the state of a job, and the description of a day.

Each job is a slow model on its way, or some of its days; `phase` and `status` say what it goes on with and what it
waits for. A frame belongs to one thread and one composition: it holds the sizes and the settings, lists the jobs that
are under way, and has the tables on which their runs are laid out for the lanes.
"""

from __future__ import annotations

from isletsim.solver.struct import Integers, Reals

__all__: list[str] = []

# Status of a job.
GOING, SLOW_RUN, DAYS, NEEDS_STEP, DONE, FAILED = range(6)

# Phase of a job.
(
    HAPPEN,
    ARRIVED,
    LENGTHEN,
    AHEAD,
    LOOKED_AHEAD,
    CHECK_STEP,
    LOOK,
    LOOKED_AT,
    JUDGE,
    CORRECT,
    RECORDED,
    MOVE,
    MEASURED,
    STEPPED,
    OVER,
) = range(15)

# Kinds of summaries.
MEAN, AT, MAX, MIN, FRACTION = range(5)


class DayDescriptor:
    """What is given in a day, and how its summaries are read."""

    schedule: int  # address of its `ScheduleHead`
    save: int  # address of the times of records
    rows: int  # how many records
    samples: int
    sampled: Integers
    kinds: Integers
    places: Integers
    limits: Reals
    columns: Integers


class JobState:
    """The state of a job: where it is, what it waits for, and the surrogate of its days."""

    # Numbers.
    time: float
    end: float  # of the way to the next event
    last: float  # of all
    length: float  # of the macro step
    step: float  # proposed for the next
    day_step: float  # the fixed step of days
    judged: float
    missed: float
    day_gap: float
    run_begin: float
    run_end: float

    phase: int
    status: int
    needs_python: int  # 1 if Python must answer
    then: int  # the phase that follows when the day has settled,
    next: int  # when the surrogate has moved,
    after: int  # and when slopes are new
    agenda: int  # address of the `ScheduleHead` of what happens on the way,
    stops_done: int  # and how many of its times are past
    moved: int  # 1 if what happened last moved the inputs of the day,
    settle: int  # and 1 if so far that days have to be simulated one by one
    daily_run: int  # 1 if it ended before its time, since days one by one are cheaper than short steps
    fresh: int
    number: int  # of the settling day
    least: int
    most: int
    rounds: int  # that are left for new slopes
    days: int  # the work done
    perturbed: int
    batches: int
    macro_steps: int
    rejected: int
    inner_steps: int
    saves: int  # how many times are to be recorded, and which
    save: Reals
    done_rows: int  # how many of them are
    records: Reals
    day: int  # address of the `DayDescriptor`
    asked: int  # how many days, or records of a run, are asked for
    answer_rows: Reals  # the answer: records, and last states
    answer_state: Reals
    answer_steps: int
    answer_failed: int

    # The slow model, and the surrogate of its days.
    state: Reals
    parameters: Reals
    day_inputs: Reals
    summaries: Reals
    midnight_state: Reals
    initial_midnight: Reals
    jacobian: Reals
    midnight_jacobian: Reals
    curvature: Reals
    measured_at: Reals  # inputs at which each slope was last measured
    step_chosen_at: Reals  # inputs for which `day_step` was chosen
    known: Integers  # directions that have slopes
    wanted: Integers  # directions that need new ones

    # The day at the end of a step.
    target: Reals  # its inputs,
    start_midnight: Reals  # the midnight it begins with,
    day_summaries: Reals  # its summaries,
    end_midnight: Reals  # the midnight at its end,
    expected_midnight: Reals  # and the one expected there
    gaps: Reals
    asked_inputs: Reals  # days that are asked for: their inputs and first midnights
    asked_midnights: Reals


class BatchFrame:
    """The frame of a thread."""

    input_count: int  # inputs of the day from the slow model
    summary_count: int
    states: int
    parameters: int
    outputs: int
    shared: int  # parameters of the slow model that the day has too
    midnight: int  # states of a midnight
    day_states: int
    day_parameters: int
    day_outputs: int
    day_places: Integers  # places of the inputs among the parameters of the day
    at_time: int  # places of the surrogate's coefficients among the parameters of the slow model
    at_v0: int
    at_w: int
    at_s0: int
    at_e: int
    at_c: int
    at_r: int
    at_j: int
    widths: Reals  # one number per input, or per summary
    sizes: Reals
    tolerances: Reals
    smooth: Reals
    felt: Reals
    low: Reals
    high: Reals
    scales: Reals  # one per state of a midnight
    prepare: int  # functions of the slow model
    observe: int
    act: int
    prepared: Reals
    observed: Reals
    instant: Reals  # a time and an amount for the functions

    # Settings (`isletsim.multiscale.step_control`).
    tolerance: float
    shortest: float
    longest: float
    gap: float
    periodicity_tol: float
    refresh_error: float
    max_curvature: float
    max_summary_change: float
    min_macro_days: float
    report_tol: float
    probe_change: float
    jacobian_age: float
    unforeseen_input: float
    unforeseen_summary: float
    recheck_change: float

    # Jobs under way.
    jobs: int
    job_states: Integers  # addresses
    fewest: int  # how many may be left waiting

    # Tables of runs.
    room: int  # how many runs there is room for,
    record_room: int  # how many records of slow models,
    day_record_room: int  # and of days
    chosen: Integers
    starts: Reals
    values: Reals
    spans: Reals
    save: Reals
    save_address: int
    first_saves: Integers
    first_rows: Integers
    heads: Integers
    steps: Reals
    reasons: Integers
    times: Reals
    reached: Integers
    counts: Integers
    ends: Reals
    kept: Reals
    counter: Integers

    # Addresses of frames of lanes, 0 if lanes cannot do it, and of the drivers.
    slow_one: int
    slow_many: int
    day_one: int
    day_many: int
    drive_one: int
    drive_many: int
    result: int
    exception: int  # numba's slot, never used
