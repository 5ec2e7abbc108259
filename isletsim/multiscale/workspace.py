"""The workspace of a thread that advances jobs: a frame with its tables, and the description of days for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.codegen import CompiledModel, compile_lanes
from isletsim.composition.clocks import Clocks
from isletsim.ensemble import MAXIMUM_STEPS, tolerances_of
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day import Day
from isletsim.multiscale.state_layout import BatchFrame, DayDescriptor
from isletsim.multiscale.step_control import StepControl
from isletsim.multiscale.surrogate import places_of
from isletsim.solver import Schedule
from isletsim.solver.frame import FIXED, LANES, STIFF
from isletsim.solver.native import driver, run_driver, where
from isletsim.solver.struct import Record, address_of, aligned_zeros, new_record
from isletsim.solver.workspace import new_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["DRIVER", "LOOK_AGAIN", "CompiledPair", "Workspace", "describe_day", "make_workspace"]

DRIVER = ("isletsim.multiscale.batch_driver", "run_macro")  # module and function of the compiled loop
ROOM = 64  # runs that are answered side by side
RECORDS = 4096  # of slow models, that there is room for at least
# A day's fixed step is checked again when its inputs have moved so far, in tenths of sizes. By as much the longest
# stable step of the flagship changes by 3 % at most, and the one taken is 17 % shorter than that.
LOOK_AGAIN = 5.0
_KINDS = {"mean": at.MEAN, "at": at.AT, "max": at.MAX, "min": at.MIN, "fraction": at.FRACTION}


class CompiledPair:
    """The compiled slow and fast model of a composition, and the arrays of a job with both.

    Attributes
    ----------
    width : a tenth of a size that matters, of every input of the day. size : a hundredth of that, of every summary.
    tolerances : how far each summary may be off; infinite if only reports read it. bounds : what it keeps within.
    row, length : where in the array of a job its vectors are, by the names of `JobState`; and the length of that array.
    """

    def __init__(
        self, clocks: Clocks, control: StepControl, life: CompiledModel, day: CompiledModel, rtol: float
    ) -> None:
        self.clocks, self.control, self.life, self.day, self.rtol = clocks, control, life, day, rtol
        self.downs, self.ups = len(clocks.down), len(clocks.up)
        self.shared = len(clocks.life.parameters) - (1 + 2 * self.downs + 4 * self.ups + self.ups * self.downs)
        means = {summary.of for summary in clocks.summaries if summary.kind == "mean"}
        self.midnight = day.states - len(means)
        self.places = places_of(clocks)
        self.width = 0.1 * np.array(clocks.sizes)
        self.size = np.array(clocks.tolerances)
        self.tolerances = np.where(clocks.felt, control.tolerance * self.size, np.inf)
        high = [1.0 if summary.kind == "fraction" else np.inf for summary in clocks.summaries]
        self.bounds = np.zeros(self.ups), np.array(high)
        place = {name: index for index, name in enumerate(clocks.day.parameters)}
        self.day_places = np.array([place[name] for name in clocks.down], dtype=np.int64)
        self.most = max(1, self.downs)  # days that a job asks for at a time
        self.room = max(ROOM, self.most)
        self.row, self.length = self._rows()

    def _rows(self) -> tuple[SimpleNamespace, int]:
        """Return where in its array every vector of a job is, and the length of the array."""
        downs, ups, midnight = self.downs, self.ups, self.midnight
        lengths = {
            "state": self.life.states,
            "parameters": self.life.parameters,
            "day_inputs": downs,
            "summaries": ups,
            "midnight_state": midnight,
            "initial_midnight": midnight,
            "jacobian": ups * downs,
            "midnight_jacobian": midnight * downs,
            "curvature": ups,
            "measured_at": downs,
            "step_chosen_at": downs,
            "target": downs,
            "start_midnight": midnight,
            "day_summaries": ups,
            "end_midnight": midnight,
            "expected_midnight": midnight,
            "gaps": ups,
            "asked_inputs": self.most * downs,
            "asked_midnights": self.most * midnight,
        }
        found, place = {}, 0
        for name, length in lengths.items():
            found[name] = slice(place, place + length)
            place += length
        return SimpleNamespace(**found), place


@dataclass
class Workspace:
    """The frame of a thread, and how many records there is room for."""

    frame: Record
    records: int
    day_records: int

    def run(self, states: Sequence[Record], fewest: int) -> None:
        """Advance jobs until no more than `fewest` wait for the lanes."""
        addresses = np.array([each.address for each in states])
        self.frame.set(jobs=len(states), job_states=addresses, fewest=fewest)
        run_driver(self.frame, *DRIVER)


def describe_day(day: Day) -> Record:
    """Return the description of a day; it keeps the day alive."""
    reading = day.reading
    descriptor = new_record(
        DayDescriptor,
        schedule=day.schedule.head,
        save=np.append(reading.save, np.inf),
        rows=len(reading.save),
        samples=len(reading.sampled),
        sampled=reading.sampled,
        kinds=np.array([_KINDS[kind] for kind in reading.kinds], np.int64),
        places=reading.places,
        limits=np.array([(*each, 0.0, 0.0)[:2] for each in day.limits], float),
        columns=reading.columns,
    )
    descriptor.held["day_itself"] = day
    return descriptor


def make_workspace(pair: CompiledPair, records: int, day_records: int) -> Workspace:
    """Return a workspace with room for so many records of slow models, and of days."""
    clocks, control, life, day, room = pair.clocks, pair.control, pair.life, pair.day, pair.room
    records = max(RECORDS, records)
    places = pair.places
    save = np.empty(records + room)
    frame = new_record(
        BatchFrame,
        input_count=pair.downs,
        summary_count=pair.ups,
        states=life.states,
        parameters=life.parameters,
        outputs=life.outputs,
        shared=pair.shared,
        midnight=pair.midnight,
        day_states=day.states,
        day_parameters=day.parameters,
        day_outputs=day.outputs,
        day_places=pair.day_places,
        at_time=places.time,
        at_v0=places.v0.start,
        at_w=places.w.start,
        at_s0=places.s0.start,
        at_e=places.e.start,
        at_c=places.c.start,
        at_r=places.r.start,
        at_j=places.J.start,
        widths=pair.width,
        sizes=pair.size,
        tolerances=pair.tolerances,
        smooth=np.array([summary.kind in ("mean", "at") for summary in clocks.summaries], float),
        felt=np.array(clocks.felt, float),
        low=pair.bounds[0],
        high=pair.bounds[1],
        scales=np.array(day.flat.scale[: pair.midnight]),
        prepare=life.functions.prepare,
        observe=life.functions.observe,
        act=life.functions.act,
        prepared=np.zeros(max(1, life.width)),
        observed=np.zeros(max(1, life.outputs)),
        instant=np.zeros(2),
        tolerance=control.tolerance,
        shortest=control.shortest,
        longest=control.longest,
        gap=control.gap,
        periodicity_tol=control.periodicity_tol,
        refresh_error=control.refresh_error,
        max_curvature=control.max_curvature,
        max_summary_change=control.max_summary_change,
        min_macro_days=control.min_macro_days,
        report_tol=control.report_tol,
        probe_change=control.probe_change,
        jacobian_age=control.jacobian_age,
        unforeseen_input=control.unforeseen_input,
        unforeseen_summary=control.unforeseen_summary,
        recheck_change=LOOK_AGAIN,
        room=room,
        record_room=records,
        day_record_room=day_records,
        starts=np.empty(room * max(life.states, day.states)),
        values=np.empty(room * max(life.parameters, day.parameters)),
        spans=np.empty(2 * room),
        save=save,
        save_address=address_of(save),
        steps=np.empty(room),
        times=np.empty(room),
        ends=np.empty(room * max(life.states, day.states)),
        kept=np.empty(max(records * life.outputs, day_records * day.outputs)),
        chosen=aligned_zeros(room),
        first_saves=aligned_zeros(room),
        first_rows=aligned_zeros(room),
        heads=aligned_zeros(6 * room),
        reasons=aligned_zeros(room),
        reached=aligned_zeros(room),
        counts=aligned_zeros(2 * room),
        counter=aligned_zeros(1),
    )
    _set_lanes(pair, frame)
    return Workspace(frame, records, day_records)


def _set_lanes(pair: CompiledPair, frame: Record) -> None:
    """Make the frames of the lanes, whose tables are those of this frame."""
    endless, empty = np.array([np.inf]), Schedule.empty().head
    for lanes, size in ((1, "one"), (LANES, "many")):
        for model, slot in ((pair.life, f"slow_{size}"), (pair.day, f"day_{size}")):
            several = compile_lanes(model)
            if several is None:
                continue
            own: Any = new_frame(model) if lanes == 1 else new_frame(model, several.functions, lanes)
            fast = model is pair.day
            own.set(
                method=FIXED if fast else STIFF,
                counter=frame.counter,
                starts=frame.starts,
                starts_step=model.states,
                values=frame.values,
                values_step=model.parameters,
                schedules=frame.heads if fast else empty,
                schedules_step=48 if fast else 0,
                first_saves=frame.first_saves,  # counted from address 0
                first_saves_step=1,
                first_rows=frame.first_rows,
                spans=frame.spans,
                spans_step=2,
                steps=frame.steps if fast else endless,
                steps_step=1 if fast else 0,
                maximum_steps=MAXIMUM_STEPS,
                watch_output=-1,
                watch_direction=1,
                relative=pair.rtol,
                absolute=tolerances_of(model, pair.rtol),
                saved_outputs=frame.kept,
                rows_written=frame.reached,
                last_times=frame.times,
                last_states=frame.ends,
                reasons=frame.reasons,
                counts=frame.counts,
                counts_step=2,
            )
            own.held["code"] = several
            frame.set(**{slot: own, f"drive_{size}": where(driver(lanes))})
