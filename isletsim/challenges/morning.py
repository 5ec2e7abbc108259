"""The morning on which a test begins, and what the day brings from there on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.codegen.evaluate_at import observe
from isletsim.composition.clocks import Clocks
from isletsim.dosing import Course, Dose, breakpoints, scheduled_events
from isletsim.ensemble import Task
from isletsim.flat import TIME
from isletsim.language import Tree, evaluate
from isletsim.multiscale.daily_stepper import SlowState
from isletsim.multiscale.day import Day, DayFailed, schedule_of
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState
from isletsim.solver import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.codegen import CompiledModel

__all__ = ["Morning", "known_values", "morning_of", "run_challenge"]

PARAMETER = 2  # the kind of an entry of a schedule that sets a parameter


@dataclass(frozen=True)
class Morning:
    """Where a test begins: a patient's day, its parameters and its state at a time of day, and the years it is of."""

    day: Day
    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    start: float
    slow: SlowState | None = None


def _clocks(simulator: MultiscaleSimulator) -> Clocks:
    assert simulator.composition.clocks is not None
    return simulator.composition.clocks


def morning_of(simulator: MultiscaleSimulator, current: SimulationState, start: float) -> Task[Morning]:
    """A day like today until a time of day, at which a test may begin; raises `DayFailed`."""
    slow = current.slow
    assert slow is not None
    assert slow.stepper is not None
    stepper = slow.stepper.again()
    if slow.base is None:
        slow = yield from stepper.opened(slow, 0.0)
    parameters, midnight = yield from stepper.today(slow)
    begun = stepper.day.until(parameters, midnight, start)
    if begun.reason.failed:
        raise DayFailed(begun)
    return Morning(stepper.day, begun.parameters, begun.state, start, slow)


class _KnownValues(dict[str, float]):
    """Values by name; what an equation gives is computed when it is first read, since a test reads few of them."""

    def __init__(self, known: Mapping[str, float], trees: Mapping[str, Tree]) -> None:
        super().__init__({name: value for name, value in known.items() if name not in trees})
        self._trees = trees

    def __missing__(self, name: str) -> float:
        value = self[name] = evaluate(self._trees[name], self)
        return value

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._trees


def known_values(simulator: MultiscaleSimulator, morning: Morning) -> Mapping[str, float]:
    """The value of every name of the composition that has one at that time of the day, base units."""
    day = _clocks(simulator).day
    known: dict[str, float] = {}
    if morning.slow is not None:
        names = _clocks(simulator).life.outputs
        slow = observe(simulator.life_model, 0.0, morning.slow.state, morning.slow.parameters)
        known |= dict(zip(names, slow.tolist(), strict=True))
        known |= dict(zip(_clocks(simulator).life.states, morning.slow.state.tolist(), strict=False))
    known |= dict(zip(day.parameters, morning.parameters.tolist(), strict=True))
    known |= dict(zip(day.states, morning.state.tolist(), strict=False))
    known[TIME] = morning.start
    return _KnownValues(known, {**dict(day.constants), **dict(day.expressions)})


def run_challenge(
    simulator: MultiscaleSimulator,
    morning: Morning,
    times: NDArray[np.float64],
    doses: Sequence[Dose],
    courses: Sequence[Course],
    usual: bool,
    followed: Sequence[tuple[str, float, float]] = (),
    part: tuple[CompiledModel, Morning] | None = None,
) -> Outcome:
    """What a test gives from a morning on, instead of or besides what the day brings.

    Parameters
    ----------
    times : when to look, counted from the start of the test, as are doses and courses.
    usual : whether what every day brings goes on.
    followed : name of a parameter, time and level of the steps of curves that it follows.
    part : a part of the day's model with its own morning, in place of the whole.
    """
    model, begun = part or (simulator.day_model, morning)
    start, end = morning.start, morning.start + float(times[-1])
    places = {name: place for place, name in enumerate(model.flat.parameters)}
    neutral = {course.input: float(begun.parameters[places[course.input]]) for course in courses}
    events = scheduled_events(simulator.composition, doses, courses, neutral=neutral)
    inner = _clocks(simulator).day_actions
    entries = [
        (start + event.time, event.kind, inner[event.index] if event.kind == 1 else event.index, event.amount)
        for event in events.entries
    ]
    entries += [(start + time, PARAMETER, places[name], level) for name, time, level in followed]
    if usual:
        entries += morning.day.repeated(start, end)
    entries += [(time, 0, 0, 0.0) for time in breakpoints(model, begun.parameters, start, end)]
    return morning.day.test(model, begun.parameters, begun.state, start + times, schedule_of(entries))
