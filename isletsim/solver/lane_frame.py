"""The layout of eight runs side by side: what the Python side fills in and the compiled lane driver reads.

One frame belongs to one thread. Every vector holds one number a lane; a lane is a place that subjects pass through,
one after the other. All that subjects leave behind is written to their own rows of arrays that threads share.
"""

from __future__ import annotations

__all__ = ["CONTROL_ROWS", "FRAME_SIZE", "LANES", "NUMBERS_SIZE", "PER_LANE"]

LANES = 8

# What a model is: counts, and addresses of its lane functions.
STATES = 0
PARAMETERS = 1
OUTPUTS = 3
NONZEROS = 4
PREPARE = 5
START = 6
RHS = 7
JAC = 8
FACTOR = 9
SOLVE = 10
OBSERVE = 11
ACT = 12

# What the ensemble is asked to do. A step is how many numbers lie between two subjects, 0 where all share one row.
SUBJECTS = 13
COUNTER = 14  # address of the next subject to be taken, shared by all threads
STARTS = 15  # 0 where the model gives its own start
STARTS_STEP = 16
VALUES = 17
VALUES_STEP = 18
SCHEDULES = 19  # rows of six: the number of stops and five addresses
SCHEDULES_STEP = 20  # in bytes
SAVE = 21  # times of records, list after list, with infinity behind the last of each
FIRST_ROWS = 22  # address: the row that each subject's records begin with
MAXIMUM_STEPS = 23
WATCH_OUTPUT = 24  # -1 where nothing is watched
WATCH_DIRECTION = 25
WATCH_LEVELS = 26
WATCH_STEP = 27
NUMBERS = 28
ABSOLUTE = 29

# Where the results go: addresses, 0 where something is not kept.
SAVED_OUTPUTS = 30
SAVED_STATES = 31
ROWS_WRITTEN = 32
LAST_TIMES = 33
LAST_STATES = 34
LAST_VALUES = 35
REASONS = 36
COUNTS = 37

# Work space: addresses of vectors.
STATE = 38
PARAMETER = 39  # parameters, then what `prepare` fills in
NEXT = 40
STAGES = 41  # right behind the nonzeros and the explicit time derivatives: `jac` writes the first row
STRIDE = 42  # vectors between two stages
JACOBIAN = 43
LU = 44
POINT = 45  # a state that is no part of the solution: a record, a trial, a copy
SPARE = 46
VALUES_COPY = 47
OUT = 48
CONTROL = 49

# What the driver keeps.
ACTIVE = 50  # lanes that hold a subject, as bits
RESTART = 51  # lanes that begin with a cautious step, as bits
OF_LANE = 52  # address of integers, `PER_LANE` rows of one number a lane
TIMED = 53  # how many states have a derivative that depends on time itself,
TIMED_ROWS = 54  # and which
FIXED = 55  # 1 for equal steps of the stabilised Runge-Kutta method, 0 for Rodas5P
STEPS = 56  # address of the longest of the equal steps,
STEPS_STEP = 57  # one for all (0) or one a subject (1)
SEEN = 58  # how many states a record needs,
SEEN_ROWS = 59  # and which
ALL_ROWS = 60  # address of the numbers of all states
FIRST_SAVES = 61  # address: where a subject's list of times begins,
FIRST_SAVES_STEP = 62  # one for all (0) or one a subject (1)
SPANS = 63  # address of first and last times, likewise
SPANS_STEP = 64
READY = 65  # 1 where the first of equal stages is known from the end of the step before
RESULT = 66
EXCEPTION = 67  # numba's slot for exceptions, never used
FRAME_SIZE = 68

# Rows of CONTROL.
TIME = 0
STEP = 1  # as long as the error allows; the longest one where steps are equal
GROWTH = 2  # how much a step may grow: less after a rejection
TARGET = 3
NEXT_SAVE = 4
H = 5
END_OF_STEP = 6
INVERSE = 7  # 1 / h
SHIFT = 8  # 1 / (h gamma)
STAGE_TIME = 9
ERROR = 10
MOMENT = 11
FRACTION = 12
AMOUNT = 13
ACCEPTED = 14  # counts
REJECTED = 15
SIZE = 16
SPEED = 17
CURVATURE = 18
TRIAL = 19
LAST = 20  # where the run ends
FLOOR = 21  # what counts as a small time of the run
CONTROL_ROWS = 22

# Rows of OF_LANE. The addresses of the next row, and of its time, lead on as rows are written.
SUBJECT = 0
ROW = 1
STOP = 2
NEXT_OUTPUTS = 3
NEXT_STATES = 4
NEXT_TIME = 5
ENTRY = 6  # of the schedule, while those of a stop are done
LAST_ENTRY = 7
PER_LANE = 8

# The real numbers of a run.
RELATIVE = 0
NUMBERS_SIZE = 1

# Why a subject ended. RETRY: a lane could not do it, the scalar path will.
DONE = 0
WATCHED = 1
RETRY = 100
