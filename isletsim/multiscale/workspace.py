"""Where lives are on their way: a frame and its tables for each thread, and cards for days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.codegen import CompiledModel, compile_lanes
from isletsim.codegen.native import LANES
from isletsim.composition.clocks import Clocks
from isletsim.ensemble import MAXIMUM_STEPS, tolerances_of
from isletsim.ensemble.lanes import address_of, make_bench, of_its_own
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day import Day
from isletsim.multiscale.step_control import Rules
from isletsim.multiscale.surrogate import places_of
from isletsim.solver import Schedule
from isletsim.solver import lane_frame as lane
from isletsim.solver.native import driver_of, lane_driver, where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["DRIVER", "LOOK_AGAIN", "Card", "Hall", "Pair", "card_of", "make_hall"]

DRIVER = ("isletsim.multiscale.batch_driver", "run_macro")  # module and function of the machine's loop
ROOM = 64  # questions that are answered side by side
RECORDS = 4096  # of lives, that there is room for at least
# A day's fixed step is looked at again where what it reads has moved so far, in tenths of sizes. By as much the longest
# stable step of the flagship changes by 3 % at most, and the one taken is 17 % shorter than that.
LOOK_AGAIN = 5.0
_KINDS = {"mean": at.MEAN, "at": at.AT, "max": at.MAX, "min": at.MIN, "fraction": at.FRACTION}
_LIVES = np.array([at.LIVES, at.ROWS_WHOLE, at.ROWS_REAL, at.FEWEST])


class Pair:
    """The two models of a composition, how its lives are looked at, and where everything stands in the row of one.

    Attributes
    ----------
    width : a tenth of a size that matters of what the day reads. size : a hundredth of that of each summary.
    tolerances : how far each summary may be off; infinite where only reports read it. bounds : what it keeps within.
    """

    def __init__(self, clocks: Clocks, rules: Rules, life: CompiledModel, day: CompiledModel, rtol: float) -> None:
        self.clocks, self.rules, self.life, self.day, self.rtol = clocks, rules, life, day, rtol
        self.downs, self.ups = len(clocks.down), len(clocks.up)
        self.shared = len(clocks.life.parameters) - (1 + 2 * self.downs + 4 * self.ups + self.ups * self.downs)
        means = {summary.of for summary in clocks.summaries if summary.kind == "mean"}
        self.midnight = day.states - len(means)
        self.places = places_of(clocks)
        self.width = 0.1 * np.array(clocks.sizes)
        self.size = np.array(clocks.tolerances)
        self.tolerances = np.where(clocks.felt, rules.tolerance * self.size, np.inf)
        high = [1.0 if summary.kind == "fraction" else np.inf for summary in clocks.summaries]
        self.bounds = np.zeros(self.ups), np.array(high)
        place = {name: index for index, name in enumerate(clocks.day.parameters)}
        self.day_places = np.array([place[name] for name in clocks.down], dtype=np.int64)
        self.most = max(1, self.downs)  # days that a life asks for at a time
        self.room = max(ROOM, self.most)
        self.row, self.length = self._rows()

    def _rows(self) -> tuple[SimpleNamespace, int]:
        """Where in its row of real numbers everything of a life stands, in the words of `layout`; and their number."""
        downs, ups, midnight = self.downs, self.ups, self.midnight
        lengths = {
            "state": self.life.states,
            "parameters": self.life.parameters,
            "v": downs,
            "s": ups,
            "x": midnight,
            "dawn": midnight,
            "jacobian": ups * downs,
            "orbit": midnight * downs,
            "curve": ups,
            "seen": downs,
            "paced": downs,
            "target": downs,
            "morning": midnight,
            "day": ups,
            "evening": midnight,
            "expected": midnight,
            "gaps": ups,
            "asked_v": self.most * downs,
            "asked_x": self.most * midnight,
        }
        found, place = {}, at.REALS
        for name, length in lengths.items():
            found[name] = slice(place, place + length)
            place += length
        return SimpleNamespace(**found), place


@dataclass(frozen=True)
class Card:
    """The card of a day; `kept` holds the arrays whose addresses stand in it."""

    whole: Integers
    records: int
    kept: tuple[Any, ...]


@dataclass
class Hall:
    """The frame of a thread, what there is room for, and the tables and lists that its addresses lead to."""

    frame: Integers
    records: int
    day_records: int
    kept: tuple[Any, ...]

    def run(self, rows: Sequence[tuple[Integers, Numbers]], fewest: int) -> None:
        """Let the machine move rows on, until so few wait for the lanes."""
        whole = np.array([address_of(each) for each, _ in rows])
        real = np.array([address_of(each) for _, each in rows])
        self.frame[_LIVES] = len(rows), address_of(whole), address_of(real), fewest
        own = address_of(self.frame)
        driver_of(*DRIVER)(own + 8 * at.RESULT, own + 8 * at.EXCEPTION, own)


def card_of(day: Day) -> Card:
    """The card of a day."""
    reading = day.reading
    whole = np.zeros(at.CARD_SIZE, np.int64)
    save = np.append(reading.save, np.inf)
    kinds = np.array([_KINDS[kind] for kind in reading.kinds], np.int64)
    limits = np.array([(*each, 0.0, 0.0)[:2] for each in day.limits], float)
    whole[at.CARD_HEAD : at.CARD_HEAD + len(day.schedule.head)] = day.schedule.head
    for slot, value in {
        at.CARD_SAVE: address_of(save),
        at.CARD_ROWS: len(reading.save),
        at.CARD_SAMPLES: len(reading.sampled),
        at.CARD_SAMPLED: address_of(reading.sampled),
        at.CARD_KINDS: address_of(kinds),
        at.CARD_PLACES: address_of(reading.places),
        at.CARD_LIMITS: address_of(limits),
        at.CARD_COLUMNS: address_of(reading.columns),
    }.items():
        whole[slot] = value
    return Card(whole, len(reading.save), (day, save, kinds, limits))


def make_hall(pair: Pair, records: int, day_records: int) -> Hall:
    """A hall with room for so many records of lives, and of days."""
    clocks, rules, life, day, room = pair.clocks, pair.rules, pair.life, pair.day, pair.room
    records = max(RECORDS, records)
    frame = of_its_own(at.FRAME_SIZE)
    kept: list[Any] = []

    def stand(slot: int, array: NDArray[Any]) -> None:
        kept.append(array)
        frame[slot] = address_of(array)

    smooth = [summary.kind in ("mean", "at") for summary in clocks.summaries]
    numbers = np.zeros(at.RULES_SIZE)
    numbers[[at.TOLERANCE, at.SHORTEST, at.LONGEST, at.GAP]] = (
        rules.tolerance,
        rules.shortest,
        rules.longest,
        rules.gap,
    )
    numbers[[at.BEND, at.TRUST, at.LOOKED, at.STALE]] = rules.bend, rules.trust, rules.looked, rules.stale
    numbers[[at.JUMP, at.LIVED, at.STRANGE, at.DOUBT, at.WORTHWHILE, at.SHOWN, at.LOOK_AGAIN]] = (
        rules.jump,
        rules.lived,
        rules.strange,
        rules.doubt,
        rules.worthwhile,
        rules.shown,
        LOOK_AGAIN,
    )
    stand(at.RULES, numbers)
    stand(at.SCALES, np.array(day.flat.scale[: pair.midnight]))
    stand(at.DAY_PLACES, pair.day_places)
    for slot, values in {
        at.WIDTHS: pair.width,
        at.SIZES: pair.size,
        at.TOLERANCES: pair.tolerances,
        at.SMOOTH: np.array(smooth, float),
        at.FELT: np.array(clocks.felt, float),
        at.LOW: pair.bounds[0],
        at.HIGH: pair.bounds[1],
        at.PREPARED: np.zeros(max(1, life.width)),
        at.OBSERVED: np.zeros(max(1, life.outputs)),
        at.STARTS: np.empty(room * max(life.states, day.states)),
        at.VALUES: np.empty(room * max(life.parameters, day.parameters)),
        at.SPANS: np.empty(2 * room),
        at.SAVE: np.empty(records + room),
        at.STEPS: np.empty(room),
        at.TIMES: np.empty(room),
        at.ENDS: np.empty(room * max(life.states, day.states)),
        at.KEPT: np.empty(max(records * life.outputs, day_records * day.outputs)),
    }.items():
        stand(slot, values)
    for slot, length in {
        at.CHOSEN: room,
        at.FIRST_SAVES: room,
        at.FIRST_ROWS: room,
        at.HEADS: 6 * room,
        at.REASONS: room,
        at.REACHED: room,
        at.COUNTS: 2 * room,
        at.COUNTER: 1,
    }.items():
        stand(slot, of_its_own(length))
    places = pair.places
    for slot, value in {
        at.DOWNS: pair.downs,
        at.UPS: pair.ups,
        at.STATES: life.states,
        at.PARAMETERS: life.parameters,
        at.OUTPUTS: life.outputs,
        at.SHARED: pair.shared,
        at.MIDNIGHT: pair.midnight,
        at.DAY_STATES: day.states,
        at.DAY_PARAMETERS: day.parameters,
        at.DAY_OUTPUTS: day.outputs,
        at.P_TIME: places.time,
        at.P_V0: places.v0.start,
        at.P_W: places.w.start,
        at.P_S0: places.s0.start,
        at.P_E: places.e.start,
        at.P_C: places.c.start,
        at.P_R: places.r.start,
        at.P_J: places.J.start,
        at.PREPARE: life.functions.prepare,
        at.OBSERVE: life.functions.observe,
        at.ACT: life.functions.act,
        at.ROOM: room,
        at.RECORDS: records,
        at.DAY_RECORDS: day_records,
        at.AT_KNOWN: at.WHOLES,
        at.AT_WANTED: at.WHOLES + pair.downs,
    }.items():
        frame[slot] = value
    for name, span in vars(pair.row).items():
        frame[getattr(at, f"AT_{name.upper()}")] = span.start
    _lanes(pair, frame, kept)
    return Hall(frame, records, day_records, tuple(kept))


def _lanes(pair: Pair, frame: Integers, kept: list[Any]) -> None:
    """The frames of the lanes, which know their model and where the tables of this frame stand."""
    empty = Schedule.empty().head
    for lanes, drive, slots in (
        (1, at.DRIVE_ONE, (at.LIFE_ONE, at.DAY_ONE)),
        (LANES, at.DRIVE_MANY, (at.LIFE_MANY, at.DAY_MANY)),
    ):
        for model, slot in ((pair.life, slots[0]), (pair.day, slots[1])):
            functions = compile_lanes(model, lanes)
            if functions is None:
                continue
            bench = make_bench(functions, model)
            of_day = model is pair.day
            numbers, absolute = np.array([pair.rtol]), tolerances_of(model, pair.rtol)
            kept += [bench, numbers, absolute, empty]
            for place, value in {
                lane.COUNTER: frame[at.COUNTER],
                lane.STARTS: frame[at.STARTS],
                lane.STARTS_STEP: model.states,
                lane.VALUES: frame[at.VALUES],
                lane.VALUES_STEP: model.parameters,
                lane.SCHEDULES: frame[at.HEADS] if of_day else address_of(empty),
                lane.SCHEDULES_STEP: 48 if of_day else 0,
                lane.FIRST_SAVES: frame[at.FIRST_SAVES],  # counted from address 0
                lane.FIRST_SAVES_STEP: 1,
                lane.FIRST_ROWS: frame[at.FIRST_ROWS],
                lane.SPANS: frame[at.SPANS],
                lane.SPANS_STEP: 2,
                lane.MAXIMUM_STEPS: MAXIMUM_STEPS,
                lane.WATCH_OUTPUT: -1,
                lane.WATCH_DIRECTION: 1,
                lane.WATCH_LEVELS: address_of(numbers),
                lane.NUMBERS: address_of(numbers),
                lane.ABSOLUTE: address_of(absolute),
                lane.SAVED_OUTPUTS: frame[at.KEPT],
                lane.ROWS_WRITTEN: frame[at.REACHED],
                lane.LAST_TIMES: frame[at.TIMES],
                lane.LAST_STATES: frame[at.ENDS],
                lane.REASONS: frame[at.REASONS],
                lane.COUNTS: frame[at.COUNTS],
                lane.SEEN: len(functions.seen),
                lane.SEEN_ROWS: address_of(functions.seen),
                lane.FIXED: of_day,
                lane.STEPS: frame[at.STEPS],
                lane.STEPS_STEP: 1,
            }.items():
                bench.frame[place] = value
            frame[slot] = address_of(bench.frame)
            frame[drive] = where(lane_driver(lanes))
