"""Export of a model, a stack of models, or an arm of a scenario with its patient, doses and courses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isletsim.codegen import CompiledModel, compile_model
from isletsim.codegen.evaluate_at import constant_values, initial, observe
from isletsim.composition import Composition
from isletsim.composition.model_library import compose_stack
from isletsim.dosing import Dose, ScheduledEvents
from isletsim.ensemble import Task, run_task
from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.simulator import MultiscaleSimulator, SimulationState, SingleScaleSimulator
from isletsim.sbml.differentiate import without_algebra
from isletsim.sbml.exchange import Exchange
from isletsim.sbml.merging import every_day, merge
from isletsim.sbml.to_exchange import exchange_of
from isletsim.solver import ADVICE, solve
from isletsim.study import Scenario
from isletsim.study.run import study_context
from isletsim.study.subject import arm_start

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Exported", "export_arm", "export_model"]

MODEL_DAYS = 100.0  # how long the simulation of an archive is where only a model is given


@dataclass(frozen=True)
class Exported:
    """Exported model, with the duration (days) and the number of records of its simulation."""

    exchange: Exchange
    until: float
    records: int


def export_model(names: str | Path | Sequence[str | Path], algebraic: bool = True) -> Exported:
    """A model, or a stack of several, from its own start; files with two clocks live days without meals.

    Parameters
    ----------
    algebraic : keep algebraic rules; else unknowns become states that follow the rules' derivatives.
    """
    wanted = [names] if isinstance(names, str | Path) else list(names)
    composition = compose_stack(wanted)
    titles = [file.title for file in composition.files.values()]
    title = titles[0] if len(titles) == 1 else composition.flat.name
    if composition.clocks is not None:
        simulator = MultiscaleSimulator(composition, 1e-6, StepControl())
        current = simulator.initial_state(np.array(composition.flat.values), {}, ())
        slow = _Lives(composition, simulator, current, ScheduledEvents(()), ())
        return Exported(_two_clocks(slow, composition.flat.name, f"{title}, fasting", MODEL_DAYS), MODEL_DAYS, 1000)
    exchange = exchange_of(composition, title=title)
    if not algebraic and any(composition.flat.algebraic):
        compiled = compile_model(composition.flat)
        values = np.array(composition.flat.values)
        exchange = _without(exchange, compiled, values, initial(compiled, values))
    return Exported(exchange, MODEL_DAYS, 1000)


def _without(
    exchange: Exchange, compiled: CompiledModel, values: NDArray[np.float64], state: NDArray[np.float64]
) -> Exchange:
    """The model without algebraic rules, from a start that satisfies them."""
    outcome = solve(compiled, state, values, span=(0.0, 0.0), save=[], rtol=1e-12)
    if outcome.reason.failed:
        raise RunError(f"{exchange.title}: {ADVICE[outcome.reason]}")
    found = dict(zip(compiled.flat.states, outcome.state.tolist(), strict=True))
    unknowns = [each for each in exchange.variables if each.kind == "unknown"]
    return without_algebra(exchange, {each.id: found[each.name] for each in unknowns})


def export_arm(scenario: Scenario, arm: str = "", algebraic: bool = True) -> Exported:
    """An arm for the reference patient, from where its history ended; the first arm when none is named.

    Parameters
    ----------
    algebraic : keep algebraic rules; else unknowns become states that follow the rules' derivatives.

    Raises
    ------
    InputError : no such arm. RunError : the history failed.
    """
    plan = scenario.plan
    names = [each.name for each in plan.arms]
    if arm and arm not in names:
        cure = did_you_mean(arm, names) or f"Arms: {', '.join(names)}."
        raise InputError(Fault(f"--arm {arm}", f"{scenario.name} has no such arm.", cure))
    number = names.index(arm) if arm else 0
    if plan.arms[number].days:
        message = "days of an arm's own ([[arms.NAME.day]]) are not exported."
        raise InputError(Fault(f"{scenario.name} {names[number]}", message, "Export an arm without them."))
    context = study_context(scenario, StepControl())
    current, stops = arm_start(context, number)
    label = f"{scenario.name} {names[number]}"
    title = f"{plan.title}: {names[number]}"
    records = max(1, len(plan.save) - 1)
    if not isinstance(context.simulator, MultiscaleSimulator):
        exchange = exchange_of(
            scenario.composition,
            name=label,
            title=title,
            values=current.parameters,
            start=current.state,
            stops=stops.entries,
            until=plan.until,
        )
        if not algebraic and any(scenario.composition.flat.algebraic):
            assert isinstance(context.simulator, SingleScaleSimulator)
            exchange = _without(exchange, context.simulator.compiled, current.parameters, current.state)
        return Exported(exchange, plan.until, records)
    slow = _Lives(scenario.composition, context.simulator, current, stops, scenario.patient.day)
    return Exported(_two_clocks(slow, label, title, plan.until), plan.until, records)


@dataclass(frozen=True)
class _Lives:
    """A composition with two clocks, where its patient stands, what happens from there, and what every day brings."""

    composition: Composition
    simulator: MultiscaleSimulator
    current: SimulationState
    stops: ScheduledEvents
    day: Sequence[Dose]


def _two_clocks(lives: _Lives, label: str, title: str, until: float) -> Exchange:
    """A model with two clocks, merged, from the midnight where its patient stands."""
    composition, simulator, current = lives.composition, lives.simulator, lives.current
    clocks = composition.clocks
    assert clocks is not None
    looked: list[SimulationState] = []

    def look(stands: SimulationState) -> Task[None]:
        looked.append(stands)
        yield from ()

    run_task(simulator.simulate(current, 1.0, np.array([0.0]), ScheduledEvents(()), None, {0.0: look}))
    slow = looked[0].slow
    assert slow is not None
    assert slow.stepper is not None
    _, midnight = run_task(slow.stepper.today(slow))
    seen = observe(simulator.life_model, 0.0, slow.state, slow.parameters)[-len(clocks.up) :]
    known = constant_values(composition.flat, current.parameters)
    merged = merge(composition, dict(zip(clocks.up, seen.tolist(), strict=True)), known)
    begin = dict(zip(clocks.life.states, slow.state.tolist(), strict=True))
    begin |= dict(zip(clocks.day.states, midnight.tolist(), strict=False))
    begin |= merged.begins
    values = [*current.parameters.tolist(), *merged.flat.values[len(current.parameters) :]]
    return exchange_of(
        composition,
        name=label,
        title=title,
        values=np.array(values),
        start=np.array([begin.get(name, 0.0) for name in merged.flat.states]),
        stops=lives.stops.entries,
        until=until,
        merged=merged,
        daily=[*merged.daily, *every_day(composition, lives.day)],
    )
