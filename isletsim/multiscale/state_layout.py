"""The layout of macro steps in native code: what Python fills in, and where everything of a life stands.

Each life is a row of its own, integers and real numbers, that goes on from a question to its answer (`PHASE` and
`STATUS`). A frame belongs to one thread and one composition: it says how large everything is and what the rules are,
lists the rows that are under way, and has the tables on which their questions are laid out for the lanes. A day has a
card, which says what is given in it and how its summaries are read.
"""

from __future__ import annotations

__all__: list[str] = []

# --- the frame: integers ---

(
    DOWNS,  # how much the day reads of the life
    UPS,  # summaries
    STATES,
    PARAMETERS,
    OUTPUTS,
    SHARED,  # parameters of the life that the day has too
    MIDNIGHT,  # states of a midnight
    DAY_STATES,
    DAY_PARAMETERS,
    DAY_OUTPUTS,
    DAY_PLACES,  # address: where what the day reads stands among its parameters
    P_TIME,  # places of the bridge among the parameters of the life
    P_V0,
    P_W,
    P_S0,
    P_E,
    P_C,
    P_R,
    P_J,
    WIDTHS,  # addresses of real numbers, one a reading or one a summary
    SIZES,
    TOLERANCES,
    SMOOTH,
    FELT,
    LOW,
    HIGH,
    RULES,
    SCALES,  # one a state of a midnight
    PREPARE,  # scalar functions of the life
    OBSERVE,
    ACT,
    PREPARED,  # addresses of work space
    OBSERVED,
    SPARE,
    # who is under way
    LIVES,
    ROWS_WHOLE,  # addresses of the addresses of their rows
    ROWS_REAL,
    FEWEST,  # how many may be left waiting
    # tables
    ROOM,  # how many questions there is room for
    RECORDS,  # and how many records of a life,
    DAY_RECORDS,  # and of a day
    CHOSEN,
    STARTS,
    VALUES,
    SPANS,
    SAVE,
    FIRST_SAVES,
    FIRST_ROWS,
    HEADS,
    STEPS,
    REASONS,
    TIMES,
    REACHED,
    COUNTS,
    ENDS,
    KEPT,
    COUNTER,
    # frames of the lanes, 0 where lanes cannot do it, and the drivers
    LIFE_ONE,
    LIFE_MANY,
    DAY_ONE,
    DAY_MANY,
    DRIVE_ONE,
    DRIVE_MANY,
    # where the numbers of a life begin in its real row; readings, summaries and midnights
    AT_STATE,
    AT_PARAMETERS,
    AT_V,
    AT_S,
    AT_X,
    AT_DAWN,
    AT_JACOBIAN,
    AT_ORBIT,
    AT_CURVE,
    AT_SEEN,
    AT_PACED,
    AT_TARGET,  # what the day at the end of a step reads,
    AT_MORNING,  # the midnight it begins with,
    AT_DAY,  # its summaries,
    AT_EVENING,  # the midnight at its end,
    AT_EXPECTED,  # and the one expected there
    AT_GAPS,
    AT_ASKED_V,  # days that are asked for: what they read, and their mornings
    AT_ASKED_X,
    # where flags stand in its row of integers
    AT_KNOWN,
    AT_WANTED,
    RESULT,
    EXCEPTION,
    FRAME_SIZE,
) = range(87)

# --- rules ---

(
    TOLERANCE,
    SHORTEST,
    LONGEST,
    GAP,
    STRANGE,
    DOUBT,
    BEND,
    TRUST,
    WORTHWHILE,
    SHOWN,
    LOOKED,
    STALE,
    JUMP,
    LIVED,
    LOOK_AGAIN,
    RULES_SIZE,
) = range(16)

# --- the row of a life: real numbers first ---

TIME, END, LAST, LENGTH, STEP, PACE, JUDGED, MISSED, DAY_GAP, RUN_BEGIN, RUN_END, REALS = range(
    12
)  # END: of the way to the next event, LAST: of all

# --- and integers ---

(
    PHASE,
    STATUS,
    ASKS_PYTHON,  # 1 where Python must answer
    THEN,  # what follows when the day has settled,
    NEXT,  # when the base has moved,
    AFTER,  # and when slopes are new
    AGENDA,  # address of the six integers of a schedule: what happens on the way,
    HAPPENED,  # and how many of its times are past
    MOVED,  # 1 where what happened last moved what the day reads,
    SETTLE,  # and 1 where so far that days have to be lived one by one
    SPELL,  # 1 where it ended before its time, since days one by one are cheaper than short steps
    FRESH,
    NUMBER,  # of the settling day
    LEAST,
    MOST,
    ROUNDS,  # that are left for new slopes
    DAYS,  # the work done
    PERTURBED,
    BATCHES,
    MACRO,
    REJECTED,
    INNER,
    SAVES,  # how many times are to be recorded, and their address
    SAVE_AT,
    DONE_ROWS,  # how many of them are
    RECORDS_AT,  # address of the rows
    CARD,  # address of the day's card
    ASKED,  # how many days, or records of a run, are asked for
    ANSWER_ROWS,  # addresses of the answer: records, and last states
    ANSWER_STATE,
    ANSWER_STEPS,
    ANSWER_FAILED,
    WHOLES,
) = range(33)

# STATUS.
GOING, LIFE, DAY, PACED, DONE, FAILED = range(6)

# PHASE.
(
    HAPPEN,
    ARRIVED,
    LENGTHEN,
    AHEAD,
    LOOKED_AHEAD,
    LOOK_AT_PACE,
    LOOK,
    LOOKED_AT,
    JUDGE,
    CORRECT,
    RECORDED,
    MOVE,
    RENEWED,
    STEPPED,
    OVER,
) = range(15)

# --- the card of a day ---

(
    CARD_HEAD,  # six integers: its schedule
    CARD_SAVE,
    CARD_ROWS,
    CARD_SAMPLES,
    CARD_SAMPLED,
    CARD_KINDS,
    CARD_PLACES,
    CARD_LIMITS,
    CARD_COLUMNS,
    CARD_SIZE,
) = (0, 6, 7, 8, 9, 10, 11, 12, 13, 14)

# Kinds of summaries.
MEAN, AT, MAX, MIN, FRACTION = range(5)
