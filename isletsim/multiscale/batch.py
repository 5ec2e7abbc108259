"""What lives have to do from one time to another, laid out for the machine; what the machine cannot do is done here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.ensemble import Run, alone, answer
from isletsim.ensemble.lanes import address_of, of_its_own
from isletsim.multiscale import state_layout as at
from isletsim.multiscale.day import Day, DayFailed
from isletsim.multiscale.step_control import ClockCounts
from isletsim.multiscale.surrogate import Base, curves
from isletsim.multiscale.workspace import Card, Hall, Pair, card_of, make_hall
from isletsim.solver import Outcome, Schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Desk", "Errand"]

MOST_CARDS = 1000  # that are remembered, since most subjects live alike
_ANSWER = np.array([at.ANSWER_ROWS, at.ANSWER_STATE, at.ANSWER_STEPS, at.ANSWER_FAILED, at.ASKS_PYTHON, at.STATUS])
_NONE = np.empty(0)
_NOTHING = Schedule.empty()
_TALLY = np.array([at.DAYS, at.PERTURBED, at.BATCHES, at.MACRO, at.REJECTED, at.INNER])


@dataclass(slots=True, eq=False)
class Errand:
    """A life on its way, or some days of it: its row in the machine, and what the addresses in that row lead to.

    Attributes
    ----------
    save, rows : times of records, and the records. answer : what Python answered last.
    agenda : what happens on the way.
    failed : the run that failed, if the errand ended with one.
    """

    desk: Desk
    day: Day
    card: Card
    whole: Integers
    real: Numbers
    save: Numbers
    rows: Numbers
    agenda: Schedule
    answer: tuple[Numbers, ...] = ()
    done: bool = False
    failed: Outcome | None = None


class Desk:
    """Where the lives of one composition are sent on their way; threads share it, and each has a hall of its own."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.downs, self.ups, self.width = pair.downs, pair.ups, pair.width
        self.tolerances, self.places, self.row = pair.tolerances, pair.places, pair.row
        self._cards: dict[int, tuple[Day, Card]] = {}
        self._of_thread = threading.local()

    # --- errands ---

    def stretch(
        self,
        day: Day,
        state: Numbers,
        parameters: Numbers,
        base: Base,
        known: Flags,
        step: float,
        span: tuple[float, float],
        save: Numbers,
        agenda: Schedule,
        happened: int,
    ) -> Errand:
        """The life from one time to another, with records between them, and what happens until then; `happened` stops
        of the agenda are past.
        """
        errand = self._errand(day, parameters, base, agenda)
        whole, real, row = errand.whole, errand.real, self.row
        real[row.state] = state
        time, last = span
        following = agenda.times.item(happened) if happened < len(agenda.times) else np.inf
        real[at.TIME], real[at.LAST], real[at.END], real[at.STEP] = time, last, min(following, last), step
        if following <= time:
            phase = at.HAPPEN
        else:
            phase = at.ARRIVED if base.today is not None and base.today.drift is None else at.LENGTHEN
        whole[at.WHOLES : at.WHOLES + self.downs] = known
        errand.save, errand.rows = np.ascontiguousarray(save), np.full((len(save), self.pair.life.outputs), np.nan)
        whole[[at.PHASE, at.HAPPENED, at.SAVES, at.SAVE_AT, at.RECORDS_AT]] = (
            phase,
            happened,
            len(save),
            address_of(errand.save),
            address_of(errand.rows),
        )
        return errand

    def settling(
        self, day: Day, parameters: Numbers, base: Base, v: Numbers, x: Numbers, least: int, most: int
    ) -> Errand:
        """Real days that read v until one closes, from a midnight x."""
        errand = self._errand(day, parameters, base)
        errand.real[self.row.target], errand.real[self.row.morning] = v, x
        places = [at.PHASE, at.THEN, at.LEAST, at.MOST]
        errand.whole[places] = (at.LOOK, at.OVER, least, most)
        return errand

    def moving(
        self, day: Day, parameters: Numbers, base: Base, known: Flags, v: Numbers, s: Numbers, x: Numbers, dawn: Numbers
    ) -> Errand:
        """The base to a real day that read v, with summaries s, from the midnight `dawn` to x."""
        errand = self._errand(day, parameters, base)
        real, row = errand.real, self.row
        real[row.target], real[row.morning], real[row.day], real[row.evening] = v, dawn, s, x
        errand.whole[at.WHOLES : at.WHOLES + self.downs] = known
        errand.whole[[at.PHASE, at.NEXT]] = at.MOVE, at.OVER
        return errand

    def _errand(self, day: Day, parameters: Numbers, base: Base, agenda: Schedule = _NOTHING) -> Errand:
        whole, real, row = of_its_own(at.WHOLES + 2 * self.downs), np.zeros(self.pair.length), self.row
        real[row.parameters] = parameters
        real[row.v], real[row.s], real[row.x], real[row.dawn] = base.v, base.s, base.x, base.dawn
        real[row.jacobian], real[row.orbit] = base.jacobian.ravel(), base.orbit.ravel()
        real[row.curve], real[row.seen], real[row.paced] = base.curve, base.seen, base.paced
        real[at.PACE] = base.pace
        card = self._card(day)
        whole[[at.CARD, at.FRESH, at.AGENDA]] = address_of(card.whole), base.fresh, address_of(agenda.head)
        return Errand(self, day, card, whole, real, _NONE, _NONE, agenda)

    def _card(self, day: Day) -> Card:
        known = self._cards.get(id(day))
        if known is None:
            if len(self._cards) >= MOST_CARDS:
                self._cards.clear()
            known = self._cards[id(day)] = day, card_of(day)
        return known[1]

    def known(self, errand: Errand) -> Flags:
        """Which directions have slopes."""
        return np.asarray(errand.whole[at.WHOLES : at.WHOLES + self.downs] != 0)

    def base(self, errand: Errand) -> Base:
        """The base that an errand came to."""
        real, row = errand.real, self.row
        return Base(
            real[row.v],
            real[row.s],
            real[row.x],
            real[row.dawn],
            real[row.jacobian].reshape(self.ups, self.downs),
            real[row.orbit].reshape(self.pair.midnight, self.downs),
            real[row.curve],
            real[row.seen],
            real.item(at.PACE),
            real[row.paced],
            bool(errand.whole[at.FRESH]),
        )

    def count(self, counts: ClockCounts, errand: Errand) -> None:
        """Adds the work of an errand."""
        days, perturbed, batches, steps, rejected, inner = errand.whole[_TALLY].tolist()
        counts.days += days
        counts.perturbed += perturbed
        counts.batches += batches
        counts.steps += steps
        counts.rejected += rejected
        counts.inner += inner

    def seen(self, errand: Errand) -> tuple[Numbers, Numbers, Numbers, float]:
        """The day that was looked at last: its summaries, the midnights at its end and at its beginning, and how far
        it is from closing, in tolerances.
        """
        real, row = errand.real, self.row
        return real[row.day], real[row.evening], real[row.morning], real.item(at.DAY_GAP)

    def life(self, errand: Errand) -> tuple[Numbers, Numbers, float, float]:
        """Where an errand's life stands: its state, its parameters, the length of its next step, and when that is."""
        real, row = errand.real, self.row
        return real[row.state], real[row.parameters], real.item(at.STEP), real.item(at.TIME)

    def spell(self, errand: Errand) -> bool:
        """Whether days one by one are cheaper than the steps that an errand would have gone on with."""
        return bool(errand.whole[at.SPELL])

    def happened(self, errand: Errand) -> tuple[int, Numbers | None, bool]:
        """How many stops of the agenda are past; what the day read before the last of them, if that moved it; and
        whether so far that days have to be lived one by one.
        """
        whole = errand.whole
        before = errand.real[self.row.target] if whole[at.MOVED] else None
        return whole.item(at.HAPPENED), before, bool(whole[at.SETTLE])

    def records(self, errand: Errand) -> Numbers:
        """The records that an errand's life came to."""
        return errand.rows[: errand.whole.item(at.DONE_ROWS)]

    # --- on their way ---

    def advance(self, errands: Sequence[Errand], fewest: int = 0) -> None:
        """Lets errands go on until so few are not done."""
        going = [each for each in errands if not each.done]
        while len(going) > fewest:
            self._hall(going).run([(each.whole, each.real) for each in going], fewest)
            asking = []
            for each in going:
                status = each.whole.item(at.STATUS)
                if status == at.PACED:
                    self._pace(each)
                elif status == at.DONE:
                    each.done, each.failed = True, None
                elif status == at.FAILED:
                    each.done = True
                elif each.whole.item(at.ASKS_PYTHON):
                    asking.append(each)
            self._answered([each for each in asking if each.whole.item(at.STATUS) == at.LIFE])
            for each in asking:
                if each.whole.item(at.STATUS) == at.DAY:
                    self._live_days(each)
            going = [each for each in going if not each.done]

    def split(self, outputs: Numbers) -> tuple[Numbers, Numbers]:
        """What the day reads, and the summaries, out of rows of outputs."""
        return outputs[..., -self.downs - self.ups : -self.ups], outputs[..., -self.ups :]

    def curves(self, s: Numbers) -> Numbers:
        """The curves of a base with these summaries."""
        return curves(s, self.pair.bounds, self.pair.size)

    def reads(self, parameters: Numbers, v: Numbers) -> Numbers:
        """The day's parameters, from those of the life and what the day reads of it."""
        found = np.empty(self.pair.day.parameters)
        found[: self.pair.shared] = parameters[: self.pair.shared]
        found[self.pair.day_places] = v
        return found

    def paced(self, day: Day, parameters: Numbers, v: Numbers, x: Numbers, pace: float) -> float:
        """A pace that suits days that read v; the present one where it does."""
        suited = day.pace(self.reads(parameters, v), x)
        return pace if 0.8 * suited <= pace <= 1.08 * suited else suited

    def _pace(self, errand: Errand) -> None:
        """The machine asks for the pace of days that read the target."""
        real, row = errand.real, self.row
        target, morning = real[row.target], real[row.morning]
        real[at.PACE] = self.paced(errand.day, real[row.parameters], target, morning, real.item(at.PACE))
        real[row.paced] = target
        errand.whole[at.STATUS] = at.GOING

    def _answered(self, errands: Sequence[Errand]) -> None:
        """Runs of the life that lanes could not do."""
        runs = [self._run(each) for each in errands]
        for errand, outcome in zip(errands, answer(runs), strict=True):
            if outcome.reason.failed:
                errand.failed = outcome
            self._tell(errand, outcome.outputs, outcome.state, outcome.counts.steps, failed=outcome.reason.failed)

    def _run(self, errand: Errand) -> Run:
        real, whole, row = errand.real, errand.whole, self.row
        begin, end = real.item(at.RUN_BEGIN), real.item(at.RUN_END)
        if whole[at.PHASE] == at.LOOKED_AHEAD:
            save = np.array([begin, begin + 0.5 * (end - begin), max(begin, end - 1.0), end])
        else:
            done = whole.item(at.DONE_ROWS)
            save = np.minimum(errand.save[done : done + whole.item(at.ASKED)], end)
        return Run(self.pair.life, real[row.state], real[row.parameters], begin, end, save, self.pair.rtol)

    def _live_days(self, errand: Errand) -> None:
        """Days that lanes could not do, or whose steps follow the error."""
        real, row, count = errand.real, self.row, errand.whole.item(at.ASKED)
        v = real[row.asked_v].reshape(self.pair.most, -1)[:count]
        x = real[row.asked_x].reshape(self.pair.most, -1)[:count]
        parameters, pace = real[row.parameters], real.item(at.PACE)
        reads = [self.reads(parameters, each) for each in v]
        days = [errand.day.asked(each, start, pace) for each, start in zip(reads, x, strict=True)]
        try:
            outcomes = alone(errand.day.finished(days))
        except DayFailed as failure:
            errand.failed, errand.done = failure.outcome, True
            return
        steps = sum(each.counts.steps for each in outcomes)
        outputs = np.concatenate([each.outputs for each in outcomes])
        self._tell(errand, outputs, np.concatenate([each.state for each in outcomes]), steps)

    def _tell(self, errand: Errand, outputs: Numbers, state: Numbers, steps: int, *, failed: bool = False) -> None:
        """Gives an errand the answer it waits for."""
        rows, ends = errand.answer = np.ascontiguousarray(outputs), np.ascontiguousarray(state)
        whole = errand.whole
        whole[_ANSWER] = address_of(rows), address_of(ends), steps, failed, 0, at.GOING
        if failed:
            whole[at.ASKED] = len(rows)

    def _hall(self, errands: Sequence[Errand]) -> Hall:
        """The hall of this thread, with room for what these errands may ask."""
        hall: Hall | None = getattr(self._of_thread, "hall", None)
        records = max(max((len(each.save) for each in errands), default=0), 4)
        days = max((each.card.records for each in errands), default=0)
        if hall is None or hall.records < records or hall.day_records < days * self.pair.room:
            hall = self._of_thread.hall = make_hall(self.pair, 2 * records, days * self.pair.room)
        return hall
