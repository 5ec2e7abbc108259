"""Other simulators give the same curves from what we export: libRoadRunner and COPASI, for every model and arm."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sbml_text import write

from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import initial
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import listing
from isletsim.sbml import load_sbml
from isletsim.sbml.exchange import Exchange
from isletsim.sbml.export_scenario import Exported, export_arm, export_model
from isletsim.sbml.model import SbmlTrajectory
from isletsim.sbml.to_exchange import exchange_of
from isletsim.sbml.writing import sbml_text
from isletsim.study import load_scenario

pytest.importorskip("libsbml")
pytest.importorskip("roadrunner")
pytest.importorskip("COPASI")

Curves = Callable[[Path, float, int, dict[str, float], float], dict[str, np.ndarray]]
CLOSE = 1e-6  # of the largest value of a variable
TIGHT = 1e-11  # relative tolerance of the tools
# For arms: libRoadRunner looks for no change of a condition inside a law (glucose in range), and steps over it.
YEAR_LONG = {"roadrunner": 1e-12, "copasi": 1e-9}
NOTHING = 1e-14  # their absolute tolerance of what has no size
# Everything, and every arm for a year, takes hours: that is asked for by name. Otherwise a few of each kind.
EVERYTHING = os.environ.get("ISLETSIM_SBML_CROSS") == "all"
LISTED = listing("model")
PUBLISHED = [name for name, path in LISTED if path.parent.name == "published"]
CORE = [name for name, path in LISTED if path.parent.name != "published"]


def chosen(names: list[str], count: int) -> list[str]:
    """All of them, or as few as given, from end to end."""
    return names if EVERYTHING else names[:: -(-len(names) // count)]


SCENARIOS = chosen([name for name, _ in listing("scenario")], 2)
ARMS = [(name, arm.name) for name in SCENARIOS for arm in load_scenario(name).plan.arms[: None if EVERYTHING else 1]]


def roadrunner(path: Path, until: float, count: int, sizes: dict[str, float], rtol: float) -> dict[str, np.ndarray]:
    rr = pytest.importorskip("roadrunner")
    rr.Logger.disableLogging()
    model = rr.RoadRunner(str(path))
    model.integrator.relative_tolerance = rtol
    model.integrator.absolute_tolerance = NOTHING
    # It would take the absolute tolerance times where a state begins, and its artanh has no digits next to nothing:
    # counter-regulation that is all but off at the start would be followed into the rounding, for hours.
    for name in {*model.model.getRateRuleSymbols()} & {name for name, size in sizes.items() if size > 0}:
        model.integrator.setIndividualTolerance(name, rtol * sizes[name])
    model.integrator.maximum_num_steps = 1_000_000
    model.timeCourseSelections = ["time", *sizes]
    found = np.array(model.simulate(0, until, count + 1))
    return dict(zip(sizes, found[:, 1:].T, strict=True))


def copasi(path: Path, until: float, count: int, sizes: dict[str, float], rtol: float) -> dict[str, np.ndarray]:
    COPASI = pytest.importorskip("COPASI")
    data = COPASI.CRootContainer.addDatamodel()
    assert data.importSBML(str(path)), COPASI.CCopasiMessage.getAllMessageText()
    task = data.getTask("Time-Course")
    task.setMethodType(COPASI.CTaskEnum.Method_deterministic)
    problem, method = task.getProblem(), task.getMethod()
    problem.setDuration(until)
    problem.setStepNumber(count)
    problem.setTimeSeriesRequested(True)
    # Its absolute tolerance is that share of where each state begins, or of 1 where it begins at nothing.
    begin_with_the_start = True
    # Where a condition in a law changes its search for the root may take all its steps; at another tolerance it passes.
    for relative in (rtol, 3.0 * rtol, rtol / 3.0):
        steps = ("Max Internal Steps", 10**6)
        for name, value in (("Relative Tolerance", relative), ("Absolute Tolerance", NOTHING), steps):
            method.getParameter(name).setValue(value)
        if task.process(begin_with_the_start):
            break
    else:
        raise AssertionError(task.getProcessError())
    series = task.getTimeSeries()
    places = {series.getSBMLId(column, data): column for column in range(series.getNumVariables())}
    rows = range(series.getRecordedSteps())
    found = {name: np.array([series.getConcentrationData(row, places[name]) for row in rows]) for name in sizes}
    COPASI.CRootContainer.removeDatamodel(data)
    return found


TOOLS: list[Curves] = [roadrunner, copasi]
each_tool = pytest.mark.parametrize("tool", TOOLS)


def asked(exported: Exported, got: SbmlTrajectory) -> dict[str, float]:
    """Every state, report and kept value that moves, and the largest value it has."""
    kinds = {
        each.id: "report" if each.name.startswith("report.") else each.kind for each in exported.exchange.variables
    }
    kept = {target for each in exported.exchange.events for target, _ in each.assignments}
    names = [name for name, kind in kinds.items() if name in kept or kind in ("state", "report")]
    names = [name for name in names if np.ptp(got[name]) > 0]
    # Where nothing moves (a therapy of courses only), what its laws say.
    names = names or [name for name, kind in kinds.items() if kind in ("expression", "state") and got[name][0] != 0]
    assert names
    return {name: float(np.max(np.abs(got[name]))) for name in names}


def within(exchange: Exchange, until: float) -> Exchange:
    """Without what lies after the end: tools look at every event in every step."""
    return replace(exchange, events=tuple(each for each in exchange.events if each.time <= until))


def differences(
    tool: Curves, folder: Path, exported: Exported, until: float, count: int, rtol: float = TIGHT
) -> dict[str, float]:
    """Of all that moves, how far the tool is from us, over its largest value; at 0 a dose may be in or not."""
    path = write(folder, sbml_text(within(exported.exchange, until)))
    got = load_sbml(path).simulate(until, save=np.linspace(0.0, until, count + 1), rtol=1e-10)
    sizes = asked(exported, got)
    theirs = tool(path, until, count, sizes, rtol)
    return {name: float(np.max(np.abs(got[name][1:] - theirs[name][1:]))) / size for name, size in sizes.items()}


def beyond(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if not value <= CLOSE}


def displaced(name: str) -> Exported:
    """A file with all it uses, away from its rest; of two clocks from its rest, which no day leaves it in."""
    composition = compose_stack([name])
    if not composition.flat.states and not composition.flat.expressions:
        pytest.skip("numbers only: nothing to run")
    if composition.clocks is not None or any(composition.flat.algebraic):
        return export_model(name, algebraic=False)
    values = np.array(composition.flat.values)
    away = 1.2 * initial(compile_model(composition.flat), values) + 0.05 * np.array(composition.flat.scale)
    return Exported(exchange_of(composition, values=values, start=away), 5.0, 50)


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize("name", chosen(PUBLISHED, 4))
def test_published_models_agree(tmp_path, tool, name):
    if (tool, name) == (roadrunner, "dallaman2007"):
        pytest.skip("libRoadRunner gives up at a kink of this model after a million steps; COPASI is asked")
    assert beyond(differences(tool, tmp_path, displaced(name), 5.0, 50)) == {}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize("name", chosen(CORE, 2))
def test_every_file_of_the_core_and_every_therapy_agrees(tmp_path, tool, name):
    assert beyond(differences(tool, tmp_path, displaced(name), 1.5, 30)) == {}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_every_arm_agrees_for_a_year(tmp_path, tool, name, arm):
    # No record falls on a dose or a meal, before or after which a tool may take its row.
    until, count = (365.0, 501) if EVERYTHING else (2.6, 31)
    rtol = YEAR_LONG[tool.__name__]
    assert beyond(differences(tool, tmp_path, export_arm(load_scenario(name), arm), until, count, rtol)) == {}
