"""The layout of one run in memory: what the Python side fills in and the compiled driver reads.

A frame is an array of 64-bit integers: counts, flags and addresses; two of the addresses lead to the real numbers and
to the work space. Everything a run touches hangs on its frame, so runs in many threads never meet. Vectors of states
in the work space are `stride` long, states rounded up to whole vector registers; the padding stays zero.
"""

from __future__ import annotations

__all__ = ["FRAME_SIZE", "LANES", "NUMBERS_SIZE", "ROWS", "stride_of", "work_size"]

LANES = 8  # doubles handled side by side in the loops over states

# What a model is: counts, and addresses of its functions (0 where it has none).
STATES = 0
STRIDE = 1
PARAMETERS = 2
WIDTH = 3
NONZEROS = 4
OUTPUTS = 5
EVENTS = 6
ROOTS = 7  # events and kinks together
ALGEBRAIC = 8  # how many unknowns are algebraic
PREPARE = 9
START = 10  # 0 where the run gives its own start
RHS = 11
JAC = 12
FACTOR = 13
SOLVE = 14
OBSERVE = 15
TRIGGERS = 16
ACT = 17
ROW_INDEX = 18  # addresses of arrays from here on
COLUMN_INDEX = 19
MASS = 20
EVENT_ACTION = 21
EVENT_INITIALLY = 22
MODEL_END = 23

# What a run is asked to do.
METHOD = 23
NUMBERS = 24
ABSOLUTE = 25
VALUES = 26  # parameters, then what `prepare` fills in
STATE = 27
SAVE = 28
SAVES = 29
SAVED_STATES = 30  # 0 where states are not kept
SAVED_OUTPUTS = 31
STOPS = 32
STOP_TIMES = 33
STOP_FIRST = 34
STOP_KINDS = 35
STOP_INDICES = 36
STOP_AMOUNTS = 37
MAXIMUM_STEPS = 38
WATCH_OUTPUT = 39  # -1 where nothing is watched
WATCH_DIRECTION = 40

# Places in the work space.
NEXT = 41  # the state at the end of the step
ARGUMENT = 42  # where the right-hand side is evaluated
FIRST = 43  # the right-hand side at the beginning of the step
STAGES = 44  # rows, one a stage
ERROR = 45  # estimated error of every state; two rows for DOP853
DENSE = 46  # rows of the dense output
SPARE = 47
JACOBIAN = 48
SLOPE = 49  # explicit time derivative, the tail of the Jacobian
LU = 50
MATRIX = 51  # dense LU, row by row
PIVOTS = 52
ROOT_BEFORE = 53
ROOT_AFTER = 54
ROOT_HERE = 55
SIGNS = 56  # what is known of each root: 1 positive, -1 not
FIRED = 57  # which events happen at this instant

# What the driver keeps and reports.
ROW = 58  # records written
STOP = 59  # stops done
FRESH = 60  # FIRST and JACOBIAN belong to the present state
READY = 61  # DENSE belongs to the present step
PIVOTED_NOW = 62
REJECTED_LAST = 63
AIM = 64  # root the present step was shortened for, or -1
CROWDED = 65  # kinks met in a row
WORST = 66  # state that weighed most when the run failed
EVENT = 67  # event that ended the run
STEPS = 68
REJECTED = 69
REPEATED = 70  # steps done again to land on a root
RHS_CALLS = 71
JACOBIANS = 72
FACTORIZATIONS = 73
PIVOTED = 74
ROOTS_FOUND = 75
UNLOCATED = 76
KEPT = 77  # copy of the parameters, to see whether an action changed any
RESTART = 78  # something has changed: begin with a cautious step
RESULT = 79  # why the run stopped
EXCEPTION = 80  # numba's slot for exceptions, never used
ZERO = 81  # a row of zeros
FRAME_SIZE = 82

# The real numbers of a run.
BEGIN = 0
END = 1
RELATIVE = 2
WATCH_LEVEL = 3
TIME = 4
STEP = 5  # as long as the error allows; for the fixed method the longest one
FORCED = 6  # a shorter step that lands on a root, or 0
CROSSING = 7  # where in the step the root lies, 0 to 1
NUMBERS_SIZE = 8

# Why a run stopped.
DONE = 0
WATCHED = 1
TERMINAL = 2
NOT_FINITE = 3
STEP_TOO_SMALL = 4
TOO_MANY_STEPS = 5
SINGULAR = 6
NO_CONSISTENT_START = 7
# Inner codes of the driver, never reported.
REACHED = 20
HAPPENED = 21

STIFF = 0
EXPLICIT = 1
FIXED = 2

# Rows of `stride` numbers in the work space, by the slot that holds their address.
ROWS = {NEXT: 1, ARGUMENT: 1, FIRST: 1, STAGES: 16, ERROR: 2, DENSE: 7, SPARE: 2, ZERO: 1}


def stride_of(states: int) -> int:
    """How long a vector of states is in the work space."""
    return -(-states // LANES) * LANES


def work_size(states: int) -> int:
    """How many numbers the rows of the work space take."""
    return sum(ROWS.values()) * stride_of(states)
