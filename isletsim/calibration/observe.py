"""What the simulator says of a comparison: the scenario is run with other numbers, and the statistic is taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from isletsim.calibration.records import Comparison, FitStudy, spread_key, widened
from isletsim.data_files import data_folder
from isletsim.errors import Fault, InputError, RunError
from isletsim.language import Note, Spread
from isletsim.patient import BoundPatient, Setting
from isletsim.study import load_scenario
from isletsim.units import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.composition import Symbol
    from isletsim.results import Result
    from isletsim.study import Scenario

__all__ = ["FitTarget", "patched"]

YEAR = 365.25


@dataclass
class FitTarget:
    """Scenarios that are loaded once and run with other numbers again and again; `runs` counts them."""

    scenarios: dict[FitStudy, Scenario] = field(default_factory=dict)
    runs: int = 0

    def observe(
        self, comparisons: Iterable[Comparison], values: Mapping[str, float], cohort: int = 0
    ) -> dict[Comparison, float]:
        """The statistic of every comparison, each scenario run once.

        Parameters
        ----------
        values : numbers by qualified name, base units.
        cohort : how many virtual patients stand for a population; 0 lets the reference patient stand for it.
        """
        found: dict[Comparison, float] = {}
        wanted = list(comparisons)
        for study in dict.fromkeys(each.study for each in wanted):
            arms = {arm for each in wanted if each.study == study for arm in (each.arm, each.against)}
            result = self.run(study, values, cohort, arms)
            for each in wanted:
                if each.study == study:
                    found[each] = statistic(each, result, cohort > 0)
        return found

    def run(self, study: FitStudy, values: Mapping[str, float], cohort: int, arms: Collection[str] = ()) -> Result:
        """A scenario with these numbers; only these arms of it, if it has them."""
        scenario = self.scenario(study)
        asked = tuple(each for each in scenario.plan.arms if each.name in arms) or scenario.plan.arms
        plan = replace(scenario.plan, cohort=cohort, arms=asked, control=0)
        self.runs += 1
        patient = patched(scenario.patient, values, scenario.composition.symbols)
        return replace(scenario, plan=plan, patient=patient).run(explain=False)

    def scenario(self, study: FitStudy) -> Scenario:
        """A scenario, loaded once; a name with an ending is a file beside the evidence."""
        if study not in self.scenarios:
            held = study.scenario.endswith(".toml")
            place = data_folder("seeds") / study.scenario if held else study.scenario
            self.scenarios[study] = load_scenario(place, dict(study.changed))
        return self.scenarios[study]


def patched(patient: BoundPatient, values: Mapping[str, float], symbols: Mapping[str, Symbol]) -> BoundPatient:
    """A patient with other numbers; how a number varies between people moves along with it.

    Parameters
    ----------
    values : by the keys of numbers that may move (`Free.key`); those of files that are not there change nothing.
    symbols : numbers of the model files, for spreads of what the patient does not set.
    """
    parameters = dict(patient.parameters)
    for name, value in values.items():
        if name not in symbols:
            continue
        known = parameters.get(name)
        if known is None:
            # As its model file would say it: the range between people moves along, that of the value itself stays.
            symbol = symbols[name]
            note = Note(assumed="under calibration")
            known = Setting(name, symbol.value or value, note, symbol.varies, symbol.uncertain)
        ratio = value / known.value
        varies = known.varies
        if varies is not None:
            varies = replace(varies, low=varies.low * ratio, high=varies.high * ratio)
        parameters[name] = replace(known, value=value, varies=varies)
    for name, symbol in symbols.items():
        factor = values.get(spread_key(name))
        if factor is not None and symbol.value is not None:
            held = parameters.get(name) or Setting(name, symbol.value, Note(assumed="under calibration"))
            middle, around = (held.value, held.varies) if held.varies else (symbol.value, symbol.varies)
            if around is not None:
                low, high = widened(around.low / middle, around.high / middle, factor)
                spread = Spread(held.value * low, held.value * high, around.distribution)
                parameters[name] = replace(held, varies=spread)
    return replace(patient, parameters=parameters)


def statistic(wanted: Comparison, result: Result, people: bool) -> float:
    """What a result says of a comparison, base units."""
    course = _course(wanted, result, wanted.arm, people)
    if wanted.statistic == "difference":
        return _at(course, wanted.times[0]) - _at(_course(wanted, result, wanted.against, people), wanted.times[0])
    if wanted.statistic == "kept":
        return _at(course, wanted.times[0]) / float(course[1][0])
    if wanted.statistic == "missing":
        return 1.0 - _at(course, wanted.times[0])
    if wanted.statistic in ("slope", "yearly", "lasting"):
        within = (course[0] >= wanted.times[0]) & (course[0] <= wanted.times[1])
        days, values = course[0][within], course[1][within]
        if wanted.statistic == "lasting":
            return _lasting(days, values - wanted.level if wanted.above else wanted.level - values)
        if wanted.statistic == "slope":
            return float(np.polyfit(days, values, 1)[0])
        return float(np.expm1(np.polyfit(days / YEAR, np.log(np.maximum(values, 1e-9)), 1)[0]))
    return _at(course, wanted.times[0])


def _lasting(days: NDArray[np.float64], beyond: NDArray[np.float64]) -> float:
    """How long the first stretch lasts in which a course is positive, its ends between two records, in days."""
    inside = beyond > 0
    if not inside.any():
        return 0.0
    first = int(inside.argmax())
    after = first + int((~inside[first:]).argmax())
    begin = days[0] if first == 0 else _crossing(days, beyond, first)
    return float((days[-1] if after == first else _crossing(days, beyond, after)) - begin)


def _crossing(days: NDArray[np.float64], beyond: NDArray[np.float64], place: int) -> float:
    """When a course passes zero between a record and the one before."""
    before, now = beyond[place - 1], beyond[place]
    return float(days[place - 1] + before / (before - now) * (days[place] - days[place - 1]))


def _share(people: NDArray[np.float64], level: float, above: bool) -> NDArray[np.float64]:
    """The share of people beyond a level at each time, between the steps of a count, so that a fit sees its slope."""
    ranks = (np.arange(len(people)) + 0.5) / len(people)
    below = np.array([np.interp(level, column, ranks, left=0.0, right=1.0) for column in np.sort(people, axis=0).T])
    return 1.0 - below if above else below


def _at(course: tuple[NDArray[np.float64], NDArray[np.float64]], time: float) -> float:
    return float(np.interp(time, *course))


def _course(
    wanted: Comparison, result: Result, arm: str, people: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and values of a variable in an arm, base units, over whom the comparison is about."""
    arms, variables = [each.name for each in result.arms], [each.name for each in result.variables]
    for word, known in ((arm, arms), (wanted.variable, variables)):
        if word not in known:
            raise InputError(
                Fault(wanted.place, f'"{word}" is not in {result.scenario}.', f"Known: {', '.join(known)}.")
            )
    column = variables.index(wanted.variable)
    found = unit(result.variables[column].unit)
    rows = result.values[arms.index(arm), :, :, column] * found.factor + found.offset
    recorded = np.isfinite(rows[0])
    if not recorded.any():
        raise RunError(f"{result.scenario}: {wanted.variable} was never recorded in arm {arm}")
    rows = rows[:, recorded]
    if wanted.people == "reference" or not people or rows.shape[0] == 1:
        course = rows[0]
    else:
        lived = rows[1:][np.isfinite(rows[1:]).all(axis=1)]
        if wanted.statistic == "share":
            course = _share(lived, wanted.level, wanted.above)
        elif wanted.people == "median":
            course = np.median(lived, axis=0)
        elif wanted.people == "geometric":
            course = np.exp(np.mean(np.log(np.maximum(lived, 1e-9)), axis=0))
        else:
            course = np.mean(lived, axis=0)
    return result.time[recorded], course
