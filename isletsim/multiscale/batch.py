"""Jobs of a composition: a slow model from one time to another, or some of its days, advanced many at a time.

Native code advances the jobs (`batch_driver`); what it cannot do is done here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.ensemble import SolveRequest, run_task, solve_batch
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day import Day, DayFailed
from isletsim.multiscale.state_layout import JobState
from isletsim.multiscale.step_control import WorkCounts
from isletsim.multiscale.surrogate import DailySurrogate, curves
from isletsim.multiscale.workspace import CompiledPair, Workspace, describe_day, make_workspace
from isletsim.solver import Outcome, Schedule
from isletsim.solver.struct import Record, address_of, new_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["BatchManager", "Job"]

MOST_DESCRIPTORS = 1000  # that are remembered, since most subjects have the same days
_NONE = np.empty(0)
_NOTHING = Schedule.empty()


@dataclass(slots=True, eq=False)
class Job:
    """A slow model on its way, or some of its days: its state in native code, and the arrays that this leads to.

    Attributes
    ----------
    numbers : its vectors, one after the other (`CompiledPair.row`).
    known : which directions have slopes.
    save, rows : times of records, and the records. answer : what Python answered last.
    agenda : what happens on the way.
    failed : the run that failed, if the job ended with one.
    """

    manager: BatchManager
    day: Day
    descriptor: Record
    state: Record
    numbers: Numbers
    save: Numbers
    rows: Numbers
    agenda: Schedule
    answer: tuple[Numbers, ...] = ()
    done: bool = False
    failed: Outcome | None = None


class BatchManager:
    """Advances the jobs of one composition; threads share it, and each has a workspace of its own."""

    def __init__(self, pair: CompiledPair) -> None:
        self.pair = pair
        self.downs, self.ups, self.width = pair.downs, pair.ups, pair.width
        self.tolerances, self.places, self.row = pair.tolerances, pair.places, pair.row
        self._descriptors: dict[int, tuple[Day, Record]] = {}
        self._of_thread = threading.local()

    # --- jobs ---

    def macro_steps(
        self,
        day: Day,
        state: Numbers,
        parameters: Numbers,
        base: DailySurrogate,
        known: Flags,
        step: float,
        span: tuple[float, float],
        save: Numbers,
        agenda: Schedule,
        happened: int,
    ) -> Job:
        """Return the job of a slow model from one time to another, with records between them and what happens then.

        `happened` stops of the agenda are past.
        """
        job = self._job(day, parameters, base, agenda)
        job.numbers[self.row.state] = state
        time, last = span
        following = agenda.times.item(happened) if happened < len(agenda.times) else np.inf
        if following <= time:
            phase = at.HAPPEN
        else:
            phase = at.ARRIVED if base.today is not None and base.today.drift is None else at.LENGTHEN
        self._set_known(job, known)
        job.save, job.rows = np.ascontiguousarray(save), np.full((len(save), self.pair.life.outputs), np.nan)
        job.state.set(
            time=time,
            last=last,
            end=min(following, last),
            step=step,
            phase=phase,
            stops_done=happened,
            saves=len(save),
            save=job.save,
            records=job.rows,
        )
        return job

    def settle(
        self, day: Day, parameters: Numbers, base: DailySurrogate, v: Numbers, x: Numbers, least: int, most: int
    ) -> Job:
        """Return the job of real days with inputs v until one closes, from a midnight x."""
        job = self._job(day, parameters, base)
        job.numbers[self.row.target], job.numbers[self.row.start_midnight] = v, x
        job.state.set(phase=at.LOOK, then=at.OVER, least=least, most=most)
        return job

    def move(
        self,
        day: Day,
        parameters: Numbers,
        base: DailySurrogate,
        known: Flags,
        v: Numbers,
        s: Numbers,
        x: Numbers,
        dawn: Numbers,
    ) -> Job:
        """Return the job that moves a surrogate to a day with inputs v and summaries s, from midnight `dawn` to x."""
        job = self._job(day, parameters, base)
        numbers, row = job.numbers, self.row
        numbers[row.target], numbers[row.start_midnight] = v, dawn
        numbers[row.day_summaries], numbers[row.end_midnight] = s, x
        self._set_known(job, known)
        job.state.set(phase=at.MOVE, next=at.OVER)
        return job

    def _job(self, day: Day, parameters: Numbers, base: DailySurrogate, agenda: Schedule = _NOTHING) -> Job:
        numbers, row = np.zeros(self.pair.length), self.row
        numbers[row.parameters] = parameters
        numbers[row.day_inputs], numbers[row.summaries] = base.day_inputs, base.summaries
        numbers[row.midnight_state], numbers[row.initial_midnight] = base.midnight_state, base.initial_midnight
        numbers[row.jacobian], numbers[row.midnight_jacobian] = base.jacobian.ravel(), base.midnight_jacobian.ravel()
        numbers[row.curvature], numbers[row.measured_at], numbers[row.step_chosen_at] = (
            base.curve,
            base.seen,
            base.paced,
        )
        descriptor, first = self._descriptor(day), address_of(numbers)
        state = new_record(
            JobState,
            day=descriptor,
            fresh=base.fresh,
            agenda=agenda.head,
            day_step=base.pace,
            known=np.zeros(self.downs, np.int64),
            wanted=np.zeros(self.downs, np.int64),
            **{name: first + 8 * place.start for name, place in vars(row).items()},
        )
        return Job(self, day, descriptor, state, numbers, _NONE, _NONE, agenda)

    def _set_known(self, job: Job, known: Flags) -> None:
        job.state.held["known"][:] = known

    def _descriptor(self, day: Day) -> Record:
        known = self._descriptors.get(id(day))
        if known is None:
            if len(self._descriptors) >= MOST_DESCRIPTORS:
                self._descriptors.clear()
            known = self._descriptors[id(day)] = day, describe_day(day)
        return known[1]

    # --- what a job came to ---

    def known(self, job: Job) -> Flags:
        """Return which directions have slopes."""
        return np.asarray(job.state.held["known"] != 0)

    def base(self, job: Job) -> DailySurrogate:
        """Return the surrogate that a job came to."""
        numbers, row = job.numbers, self.row
        return DailySurrogate(
            numbers[row.day_inputs],
            numbers[row.summaries],
            numbers[row.midnight_state],
            numbers[row.initial_midnight],
            numbers[row.jacobian].reshape(self.ups, self.downs),
            numbers[row.midnight_jacobian].reshape(self.pair.midnight, self.downs),
            numbers[row.curvature],
            numbers[row.measured_at],
            job.state.day_step,
            numbers[row.step_chosen_at],
            bool(job.state.fresh),
        )

    def count(self, counts: WorkCounts, job: Job) -> None:
        """Add the work of a job."""
        state = job.state
        counts.days += state.days
        counts.perturbed += state.perturbed
        counts.batches += state.batches
        counts.steps += state.macro_steps
        counts.rejected += state.rejected
        counts.inner += state.inner_steps

    def last_day(self, job: Job) -> tuple[Numbers, Numbers, Numbers, float]:
        """Return the last real day: its summaries, the midnights at its end and at its beginning, and how far it is
        from closing, in tolerances.
        """
        numbers, row = job.numbers, self.row
        return numbers[row.day_summaries], numbers[row.end_midnight], numbers[row.start_midnight], job.state.day_gap

    def slow_state(self, job: Job) -> tuple[Numbers, Numbers, float, float]:
        """Return the state and the parameters of the slow model, the length of its next step, and the time."""
        return job.numbers[self.row.state], job.numbers[self.row.parameters], job.state.step, job.state.time

    def needs_daily_run(self, job: Job) -> bool:
        """Return whether days one by one are cheaper than the steps that a job would have gone on with."""
        return bool(job.state.daily_run)

    def happened(self, job: Job) -> tuple[int, Numbers | None, bool]:
        """Return how many stops of the agenda are past; the inputs of the day before the last of them, if that moved
        them; and whether so far that days have to be simulated one by one.
        """
        before = job.numbers[self.row.target] if job.state.moved else None
        return job.state.stops_done, before, bool(job.state.settle)

    def records(self, job: Job) -> Numbers:
        """Return the records that a job came to."""
        return job.rows[: job.state.done_rows]

    # --- advancing ---

    def advance(self, jobs: Sequence[Job], fewest: int = 0) -> None:
        """Advance jobs until no more than `fewest` are not done."""
        going = [each for each in jobs if not each.done]
        while len(going) > fewest:
            self._workspace(going).run([each.state for each in going], fewest)
            asking = []
            for each in going:
                status = each.state.status
                if status == at.NEEDS_STEP:
                    self._choose_step(each)
                elif status == at.DONE:
                    each.done, each.failed = True, None
                elif status == at.FAILED:
                    each.done = True
                elif each.state.needs_python:
                    asking.append(each)
            self._run_slow([each for each in asking if each.state.status == at.SLOW_RUN])
            for each in asking:
                if each.state.status == at.DAYS:
                    self._run_days(each)
            going = [each for each in going if not each.done]

    def split(self, outputs: Numbers) -> tuple[Numbers, Numbers]:
        """Return the inputs of the day, and the summaries, out of rows of outputs."""
        return outputs[..., -self.downs - self.ups : -self.ups], outputs[..., -self.ups :]

    def curves(self, s: Numbers) -> Numbers:
        """Return the curvatures of a surrogate with these summaries."""
        return curves(s, self.pair.bounds, self.pair.size)

    def day_parameters(self, parameters: Numbers, v: Numbers) -> Numbers:
        """Return the day's parameters, from those of the slow model and the inputs of the day."""
        found = np.empty(self.pair.day.parameters)
        found[: self.pair.shared] = parameters[: self.pair.shared]
        found[self.pair.day_places] = v
        return found

    def day_step(self, day: Day, parameters: Numbers, v: Numbers, x: Numbers, pace: float) -> float:
        """Return a fixed step that suits days with inputs v; the present one if it does."""
        suited = day.pace(self.day_parameters(parameters, v), x)
        return pace if 0.8 * suited <= pace <= 1.08 * suited else suited

    def _choose_step(self, job: Job) -> None:
        """Choose the fixed step of days with the target's inputs."""
        numbers, row, state = job.numbers, self.row, job.state
        target, morning = numbers[row.target], numbers[row.start_midnight]
        state.day_step = self.day_step(job.day, numbers[row.parameters], target, morning, state.day_step)
        numbers[row.step_chosen_at] = target
        state.status = at.GOING

    def _run_slow(self, jobs: Sequence[Job]) -> None:
        """Run slow models that lanes could not do."""
        runs = [self._run(each) for each in jobs]
        for job, outcome in zip(jobs, solve_batch(runs), strict=True):
            if outcome.reason.failed:
                job.failed = outcome
            self._tell(job, outcome.outputs, outcome.state, outcome.counts.steps, failed=outcome.reason.failed)

    def _run(self, job: Job) -> SolveRequest:
        numbers, state, row = job.numbers, job.state, self.row
        begin, end = state.run_begin, state.run_end
        if state.phase == at.LOOKED_AHEAD:
            save = np.array([begin, begin + 0.5 * (end - begin), max(begin, end - 1.0), end])
        else:
            save = np.minimum(job.save[state.done_rows : state.done_rows + state.asked], end)
        return SolveRequest(
            self.pair.life, numbers[row.state], numbers[row.parameters], begin, end, save, self.pair.rtol
        )

    def _run_days(self, job: Job) -> None:
        """Run days that lanes could not do, or whose steps follow the error."""
        numbers, row, count = job.numbers, self.row, job.state.asked
        v = numbers[row.asked_inputs].reshape(self.pair.most, -1)[:count]
        x = numbers[row.asked_midnights].reshape(self.pair.most, -1)[:count]
        reads = [self.day_parameters(numbers[row.parameters], each) for each in v]
        days = [job.day.asked(each, start, job.state.day_step) for each, start in zip(reads, x, strict=True)]
        try:
            outcomes = run_task(job.day.finished(days))
        except DayFailed as failure:
            job.failed, job.done = failure.outcome, True
            return
        steps = sum(each.counts.steps for each in outcomes)
        outputs = np.concatenate([each.outputs for each in outcomes])
        self._tell(job, outputs, np.concatenate([each.state for each in outcomes]), steps)

    def _tell(self, job: Job, outputs: Numbers, state: Numbers, steps: int, *, failed: bool = False) -> None:
        """Give a job the answer it waits for."""
        rows, ends = job.answer = np.ascontiguousarray(outputs), np.ascontiguousarray(state)
        job.state.set(
            answer_rows=rows,
            answer_state=ends,
            answer_steps=steps,
            answer_failed=failed,
            needs_python=0,
            status=at.GOING,
        )
        if failed:
            job.state.asked = len(rows)

    def _workspace(self, jobs: Sequence[Job]) -> Workspace:
        """Return the workspace of this thread, with room for what these jobs may ask."""
        found: Workspace | None = getattr(self._of_thread, "workspace", None)
        records = max(max((len(each.save) for each in jobs), default=0), 4)
        days = max((each.descriptor.rows for each in jobs), default=0)
        if found is None or found.records < records or found.day_records < days * self.pair.room:
            found = self._of_thread.workspace = make_workspace(self.pair, 2 * records, days * self.pair.room)
        return found
