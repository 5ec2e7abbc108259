"""What a run leaves: values in people's units, and what run.json says of how they were made."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim import __version__, cache
from isletsim.composition import Composition
from isletsim.dosing import describe_dose
from isletsim.evidence import concerning, read_flags
from isletsim.multiscale.simulator import Simulator
from isletsim.patient import BoundPatient
from isletsim.results import ArmInfo, EffectDriver, Failure, Result, Variable, own_layers
from isletsim.scenario import ArmPlan
from isletsim.study.effect_drivers import own_numbers, worst
from isletsim.units import Unit, convert, unit_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.study.prepared import PreparedStudy

__all__ = ["Columns", "Work", "columns_of", "make_result"]

DRAWS = "every cohort member has its own draw of what varies between people and of what is uncertain"


@dataclass
class Work:
    """The work of a run; `seconds` is the time of all threads together, `wall` that of the clock."""

    redrawn: int = 0
    steps: int = 0
    days: int = 0
    seconds: float = 0.0
    wall: float = 0.0


@dataclass(frozen=True)
class Columns:
    """The variables of a result in their order, with the units of outputs and where each stands.

    Attributes
    ----------
    units : of the outputs, in the order of the model. outputs, tests : the places of outputs and of reports of tests.
    """

    variables: tuple[Variable, ...]
    units: tuple[Unit, ...]
    outputs: NDArray[np.int64]
    tests: NDArray[np.int64]


def columns_of(scenario: PreparedStudy, simulator: Simulator) -> Columns:
    """What figures show comes first, in their order: that is what the study is about."""
    shown = [_shown(scenario.composition, name) for name in simulator.outputs]
    variables = [variable for variable, _ in shown]
    variables += [
        _variable(report.name, report.unit, report.about) for test in scenario.challenges for report in test.reports
    ]
    asked = {panel.show: place for place, panel in reversed(list(enumerate(scenario.plan.figures)))}
    order = sorted(range(len(variables)), key=lambda column: asked.get(variables[column].name, len(asked)))
    places = np.argsort(np.array(order, np.int64))
    return Columns(
        variables=tuple(variables[column] for column in order),
        units=tuple(unit for _, unit in shown),
        outputs=places[: len(shown)],
        tests=places[len(shown) :],
    )


def make_result(
    scenario: PreparedStudy,
    simulator: Simulator,
    columns: Columns,
    values: NDArray[np.float64],
    failures: Iterable[Failure],
    work: Work,
    effect_drivers: Sequence[tuple[EffectDriver, ...]],
) -> Result:
    """The result of a run, finished or not.

    Parameters
    ----------
    values : recorded outputs and reports of tests by arm, subject, time and column, outputs in base units; they become
        the result's own, in people's units, without a copy.
    carriers : which numbers carry the effect of each arm; empty while nobody has looked.
    """
    plan, composition = scenario.plan, scenario.composition
    for place, unit in zip(columns.outputs, columns.units, strict=True):
        values[..., place] = convert(values[..., place], unit)
    return Result(
        scenario=plan.name,
        title=plan.title,
        arms=tuple(
            _arm_info(
                arm,
                composition,
                own_layers(arm.layers, plan.arms[plan.control].layers),
                effect_drivers[number] if effect_drivers else (),
            )
            for number, arm in enumerate(plan.arms)
        ),
        control=plan.control,
        time=np.array(plan.save),
        variables=columns.variables,
        values=values,
        figures=plan.figures,
        failures=tuple(sorted(failures, key=lambda each: (each.subject, each.arm))),
        run=_record(scenario, simulator, work),
    )


def _shown(composition: Composition, output: str) -> tuple[Variable, Unit]:
    """How people see an output of the model."""
    report = output.removeprefix("report.")
    symbol = composition.reports[report] if output.startswith("report.") else composition.symbols[output]
    return _variable(report, symbol.unit, symbol.about), symbol.unit


def _variable(name: str, unit: Unit, about: str) -> Variable:
    return Variable(name, unit.text, unit_label(unit.text), about)


def _arm_info(
    arm: ArmPlan, composition: Composition, own: Sequence[str], effect_drivers: tuple[EffectDriver, ...]
) -> ArmInfo:
    numbers = [composition.symbols[name] for name in own_numbers(composition, own)]
    doses = sorted(arm.doses, key=lambda dose: dose.time)
    return ArmInfo(
        name=arm.name,
        about=arm.about,
        layers=arm.layers,
        dose_times=tuple(dose.time for dose in doses),
        dose_names=tuple(dose.port for dose in doses),
        dose_amounts=tuple(describe_dose(dose, composition) for dose in doses),
        evidence=worst([composition.files[name].grade for name in own if name in composition.files]),
        grade=worst([each.grade for each in effect_drivers or numbers]),
        effect_drivers=effect_drivers,
        assumed=(sum(1 for number in numbers if number.assumed), len(numbers)),
    )


def _record(scenario: PreparedStudy, simulator: Simulator, work: Work) -> dict[str, Any]:
    """What run.json says besides the summary."""
    plan, composition, patient = scenario.plan, scenario.composition, scenario.patient
    assumed, numbers = _assumed(composition, patient)
    return {
        "isletsim": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "seed": plan.seed,
        "cohort": plan.cohort,
        "tolerance": plan.tolerance,
        "method": plan.method,
        "inputs": {path.name: cache.fingerprint(path.read_bytes()) for path in scenario.files if path.is_file()},
        "model": simulator.fingerprint,
        "patient": {"name": patient.name, "title": patient.title, **dict(patient.covariates)},
        "draws": DRAWS,
        "layers": {name: info.title for name, info in composition.files.items()},
        "assumed": {"numbers": assumed, "of": numbers, "share": round(assumed / max(1, numbers), 4)},
        "flags": [
            {"id": flag.id, "severity": flag.severity, "text": flag.text}
            for flag in concerning(read_flags(), [plan.name, patient.name, *_therapies(scenario)])
        ],
        "skipped": list(composition.skipped),
        "warnings": list(plan.warnings),
        "redrawn": work.redrawn,
        "solver": {"steps": work.steps, "days": work.days, "thread_seconds": round(work.seconds, 6)},
        "wall_seconds": round(work.wall, 6),
    }


def _therapies(scenario: PreparedStudy) -> list[str]:
    """What somebody was given, in the history or in an arm."""
    return [*scenario.patient.layers, *(layer for arm in scenario.plan.arms for layer in arm.layers)]


def _assumed(composition: Composition, patient: BoundPatient) -> tuple[int, int]:
    """How many numbers are assumed, and of how many; what the patient sets counts instead of what the file says."""
    notes = {name: symbol.assumed for name, symbol in composition.symbols.items() if symbol.kind == "parameter"}
    notes |= {name: setting.note.assumed for name, setting in {**patient.parameters, **patient.starts}.items()}
    return sum(1 for reason in notes.values() if reason), len(notes)
