"""What carries the effect of a therapy: each number of its own files, lowered in turn, for the reference patient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from isletsim.composition import Composition
from isletsim.ensemble import run_task
from isletsim.language import GRADES
from isletsim.results import EffectDriver, own_layers
from isletsim.scenario import ArmPlan
from isletsim.study.subject import StudyContext, simulate_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["effect_drivers_of", "own_numbers", "worst"]

LOWERED = 0.8  # far enough from 1 to stand out of the tolerance of the runs, and fractions stay fractions
TELLING = 0.1  # what carries less of the effect than this decides no badge
FIRST = 400.0  # days: the effect of the first year, so that a decade is not lived once a number
SMALLEST = 1e-3  # of the control's value: a smaller effect is none, and nothing carries it


def own_numbers(composition: Composition, layers: Sequence[str]) -> list[str]:
    """The parameters of some files, by name."""
    return [
        symbol.name
        for symbol in composition.symbols.values()
        if symbol.kind == "parameter" and symbol.name.partition(".")[0] in layers
    ]


def worst(grades: Sequence[str]) -> str:
    """The weakest of some evidence grades; empty where there is none."""
    return max((grade for grade in grades if grade in GRADES), key=GRADES.index, default="")


def effect_drivers_of(context: StudyContext) -> list[tuple[EffectDriver, ...]]:
    """For each arm the numbers that carry more than a tenth of its effect, the strongest first.

    The effect is the difference from the control in what the study shows first, over the records of its first year.
    A number's share is how much of it goes when the number is a fifth lower, beside a fifth of the effect: 1 for a
    number that the effect is proportional to. So shares need not add up to 1.
    """
    plan, headline = context.plan, _headline(context)
    asked = [
        (number, name)
        for number, arm in enumerate(plan.arms)
        for name in own_numbers(context.composition, own_layers(arm.layers, plan.arms[plan.control].layers))
        if name in context.places
    ]
    if not asked:
        return [() for _ in plan.arms]
    # Who had the therapy before t = 0 goes on with it in the control, so there the number is lowered too.
    before = {name for _, name in asked if name.partition(".")[0] in context.patient.layers}
    varied = [*asked, *((plan.control, name) for name in sorted(before))]
    courses = _courses(context, varied, headline)
    control = courses.get((plan.control, ""))
    found: list[list[EffectDriver]] = [[] for _ in plan.arms]
    for number, name in asked:
        full, less = courses.get((number, "")), courses.get((number, name))
        beside = courses.get((plan.control, name)) if name in before else control
        if control is None or full is None or less is None or beside is None:
            continue  # a run failed, which is told elsewhere
        share = _share(full - control, less - beside, float(np.linalg.norm(control)))
        if share > TELLING:
            on = context.simulator.outputs[headline].removeprefix("report.")
            found[number].append(EffectDriver(name, on, share, context.composition.symbols[name].grade))
    return [tuple(sorted(each, key=lambda carrier: -carrier.share)) for each in found]


def _courses(
    context: StudyContext, varied: Sequence[tuple[int, str]], output: int
) -> dict[tuple[int, str], NDArray[np.float64]]:
    """The course of an output in every arm, and in arms with one number lowered; without those that failed."""
    plan = context.plan
    until = min(plan.until, FIRST)
    save = context.save[context.save <= until]
    arms = {(number, ""): arm for number, arm in enumerate(plan.arms)}
    arms |= {(number, name): _lowered(context, plan.arms[number], name) for number, name in varied}
    shortened = replace(plan, arms=tuple(arms.values()), until=until, save=tuple(save), cohort=0, challenges=())
    subject_result = run_task(
        simulate_subject(replace(context, plan=shortened, save=save, challenges=(), events={}, seen=None), 0)
    )
    failed = {failure.arm for failure in subject_result.failures}
    return {
        key: subject_result.rows[place][:, output]
        for place, (key, arm) in enumerate(arms.items())
        if place in subject_result.rows and arm.name not in failed
    }


def _headline(context: StudyContext) -> int:
    """The output that the study shows first; virtual tests, which cost a day each, are passed over."""
    outputs = context.simulator.outputs
    for panel in context.plan.figures:
        for output in (f"report.{panel.show}", panel.show):
            if output in outputs:
                return outputs.index(output)
    return 0


def _lowered(context: StudyContext, arm: ArmPlan, name: str) -> ArmPlan:
    value = arm.parameters.get(name, context.plan.parameters.get(name))
    if value is None:
        setting = context.patient.parameters.get(name)
        value = setting.value if setting else float(context.composition.flat.values[context.places[name]])
    return replace(arm, name=f"{arm.name} with less {name}", parameters={**arm.parameters, name: LOWERED * value})


def _share(effect: NDArray[np.float64], less: NDArray[np.float64], level: float) -> float:
    size = float(np.linalg.norm(effect))
    return float(np.linalg.norm(effect - less)) / size / (1.0 - LOWERED) if size > SMALLEST * level else 0.0
