"""Other simulators give the same curves from what we export: libRoadRunner and COPASI, for every model and arm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sbml_text import write

from isletsim.places import listing
from isletsim.sbml import load_sbml
from isletsim.sbml.arms import Exported, export_arm, export_model
from isletsim.sbml.outgoing import exchange_of
from isletsim.sbml.writing import sbml_text
from isletsim.simulate import load_model
from isletsim.study import load_scenario

pytest.importorskip("libsbml")
pytest.importorskip("roadrunner")
pytest.importorskip("COPASI")

Curves = Callable[[Path, float, int, list[str]], dict[str, np.ndarray]]
CLOSE = 1e-6  # of the largest value of a variable
PUBLISHED = [name for name, path in listing("model") if path.parent.name == "published"]
THERAPIES = [name for name, path in listing("model") if path.parent.name != "published"]
ONE_CLOCK = [("t2d_msc_published", "usual"), ("t2d_msc_published", "msc")]
TWO_CLOCKS = [
    (name, arm.name)
    for name, _ in listing("scenario")
    if name not in dict(ONE_CLOCK)
    for arm in load_scenario(name).plan.arms
]


def roadrunner(path: Path, until: float, count: int, names: list[str]) -> dict[str, np.ndarray]:
    rr = pytest.importorskip("roadrunner")
    rr.Logger.disableLogging()
    model = rr.RoadRunner(str(path))
    model.integrator.relative_tolerance = 1e-11
    model.integrator.absolute_tolerance = 1e-14
    model.integrator.maximum_num_steps = 1_000_000
    model.timeCourseSelections = ["time", *names]
    found = np.array(model.simulate(0, until, count + 1))
    return dict(zip(names, found[:, 1:].T, strict=True))


def copasi(path: Path, until: float, count: int, names: list[str]) -> dict[str, np.ndarray]:
    COPASI = pytest.importorskip("COPASI")
    data = COPASI.CRootContainer.addDatamodel()
    assert data.importSBML(str(path)), COPASI.CCopasiMessage.getAllMessageText()
    task = data.getTask("Time-Course")
    task.setMethodType(COPASI.CTaskEnum.Method_deterministic)
    problem, method = task.getProblem(), task.getMethod()
    problem.setDuration(until)
    problem.setStepNumber(count)
    problem.setTimeSeriesRequested(True)
    for name, value in (("Relative Tolerance", 1e-11), ("Absolute Tolerance", 1e-14), ("Max Internal Steps", 10**7)):
        method.getParameter(name).setValue(value)
    begin_with_the_start = True
    assert task.process(begin_with_the_start), COPASI.CCopasiMessage.getAllMessageText()
    series = task.getTimeSeries()
    places = {series.getSBMLId(column, data): column for column in range(series.getNumVariables())}
    rows = range(series.getRecordedSteps())
    return {name: np.array([series.getConcentrationData(row, places[name]) for row in rows]) for name in names}


TOOLS: list[Curves] = [roadrunner, copasi]
each_tool = pytest.mark.parametrize("tool", TOOLS)


def differences(tool: Curves, folder: Path, exported: Exported, until: float, count: int) -> dict[str, float]:
    """Of every state and report, how far the tool is from us, over its largest value; at 0 a dose may be in or not."""
    path = write(folder, sbml_text(exported.exchange))
    got = load_sbml(path).simulate(until, save=np.linspace(0.0, until, count + 1), rtol=1e-10)
    names = [
        each.id
        for each in exported.exchange.measures
        if (each.kind == "state" or each.name.startswith("report.")) and np.ptp(got[each.id]) > 0
    ]
    theirs = tool(path, until, count, names)
    return {name: float(np.max(np.abs(got[name][1:] - theirs[name][1:])) / np.max(np.abs(got[name]))) for name in names}


def beyond(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if not value <= CLOSE}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in ("dallaman2007", "ha2020", "edes2015")])
def test_published_models_agree(tmp_path, tool, name):
    model = load_model(name)
    if any(model.composition.flat.algebraic):
        exported = export_model(name, algebraic=False)
    else:
        values, state = model.start(None, None)
        away = 1.2 * state + 0.05 * np.array(model.composition.flat.scale)
        exported = Exported(exchange_of(model.composition, values=values, start=away), 5.0, 50)
    assert beyond(differences(tool, tmp_path, exported, 5.0, 50)) == {}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize(("name", "arm"), ONE_CLOCK)
def test_arms_of_published_models_agree_over_three_years(tmp_path, tool, name, arm):
    exported = export_arm(load_scenario(name), arm)
    assert beyond(differences(tool, tmp_path, exported, exported.until, 100)) == {}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize("name", THERAPIES)
def test_every_file_of_the_core_and_every_therapy_agrees(tmp_path, tool, name):
    assert beyond(differences(tool, tmp_path, export_model(name), 1.5, 30)) == {}


@pytest.mark.slow
@each_tool
@pytest.mark.parametrize(("name", "arm"), TWO_CLOCKS)
def test_arms_with_two_clocks_agree_day_by_day(tmp_path, tool, name, arm):
    assert beyond(differences(tool, tmp_path, export_arm(load_scenario(name), arm), 3.0, 60)) == {}
