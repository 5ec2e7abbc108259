"""Time courses of SED-ML documents and COMBINE archives (OMEX), run on the SBML models that they name."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError
from isletsim.language import evaluate, names, parse
from isletsim.results.files import publish
from isletsim.sbml.model import SbmlModel, SbmlTrajectory, load_sbml
from isletsim.sbml.records import flat_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "TimeCourse", "TimeCourseReport", "run_time_courses", "write_reports"]

SUFFIXES = (".sedml", ".omex")
LARGEST = 64_000_000  # bytes of an archive, unpacked
MOST_ENTRIES = 1_000
MOST_STEPS = 1_000_000
TIME = "urn:sedml:symbol:time"
_IDENTIFIER = re.compile(r"\[@id=['\"]([A-Za-z_]\w*)['\"]\]")
_ATTRIBUTES = ("value", "initialConcentration", "initialAmount", "size")


@dataclass(frozen=True)
class TimeCourse:
    """A task of a SED-ML document: which model, with which changes, from when to when, in how many steps."""

    name: str
    path: Path
    changes: Mapping[str, tuple[str, float]]
    first: float
    end: float
    steps: int
    rtol: float | None


@dataclass(frozen=True)
class TimeCourseReport:
    """A report or the data of a plot: labels, and an array of shape (time, label) in the units of the SBML file."""

    name: str
    labels: tuple[str, ...]
    values: NDArray[np.float64] = field(repr=False)


def run_time_courses(path: Path) -> tuple[TimeCourseReport, ...]:
    """Run the time courses of a SED-ML document or of the master document of a COMBINE archive.

    Parameters
    ----------
    path : a file ending in .sedml or .omex. Models are SBML files in the same folder or archive.

    Returns
    -------
    One report for each report and each plot of the document, in its order.

    Raises
    ------
    InputError : unreadable, or a part that is not supported (other simulations, repeated tasks, other changes).
    RunError : a run failed.
    """
    if path.suffix.lower() == ".omex":
        with _unpacked(path) as document:
            return _run(document, path.name)
    return _run(path, path.name)


def write_reports(reports: tuple[TimeCourseReport, ...], folder: Path) -> list[Path]:
    """Write one CSV file for each report; return their paths."""
    texts: dict[Path, list[bytes]] = {}
    for report in reports:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(report.labels)
        writer.writerows([repr(value) for value in row] for row in report.values.tolist())
        texts[folder / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', report.name)}.csv"] = [text.getvalue().encode()]
    return publish(texts)


# --- archives ---------------------------------------------------------------------------------------------------------


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The master SED-ML document of an archive, unpacked into a temporary folder."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as reason:
        raise InputError(Fault(path.name, f"cannot be read as an archive: {reason}.")) from None
    with archive, tempfile.TemporaryDirectory(prefix="isletsim-omex-") as folder:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > LARGEST:
            limit = f"at most {MOST_ENTRIES} files and {LARGEST // 1_000_000} MB"
            raise InputError(Fault(path.name, f"is larger than an archive of models: {limit}."))
        for entry in entries:
            place = PurePosixPath(entry.filename)
            if place.is_absolute() or ".." in place.parts or "\\" in entry.filename:
                raise InputError(Fault(path.name, f'holds "{entry.filename}", which lies outside of the archive.'))
            try:
                content = archive.read(entry)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as reason:
                raise InputError(Fault(path.name, f'"{entry.filename}" cannot be unpacked: {reason}.')) from None
            target = Path(folder, *place.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield _master(path, Path(folder))


def _master(path: Path, folder: Path) -> Path:
    """The document that the manifest calls the master, else the only one."""
    found = sorted(folder.rglob("*.sedml"))
    manifest = folder / "manifest.xml"
    if manifest.is_file():
        text = manifest.read_text(encoding="utf-8", errors="replace")
        for element in re.findall(r"<content\b[^>]*>", text):
            location = re.search(r'location="(?:\./)?([^"]+)"', element)
            if location and 'master="true"' in element and location.group(1).endswith(".sedml"):
                named = [each for each in found if each.relative_to(folder).as_posix() == location.group(1)]
                if named:
                    return named[0]
    if len(found) == 1:
        return found[0]
    count = "no SED-ML document" if not found else f"{len(found)} SED-ML documents and none is the master"
    raise InputError(Fault(path.name, f"has {count}.", "Unpack it and run one .sedml file."))


# --- documents --------------------------------------------------------------------------------------------------------


def _library() -> Any:
    try:
        import libsedml
    except ImportError:
        cure = "Install it with: pip install 'isletsim[sbml]'"
        raise InputError(Fault("SED-ML", "python-libsedml is not installed.", cure)) from None
    return libsedml


def _run(path: Path, shown: str) -> tuple[TimeCourseReport, ...]:
    libsedml = _library()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        raise InputError(Fault(shown, f"cannot be read: {reason}.")) from None
    document = libsedml.readSedMLFromString(text)
    serious = [
        document.getError(index)
        for index in range(document.getNumErrors())
        if document.getError(index).getSeverity() >= libsedml.LIBSEDML_SEV_ERROR
    ]
    if serious:
        first = serious[0]
        said = " ".join((first.getMessage() or first.getShortMessage()).split())
        raise InputError(Fault(f"{shown}:{first.getLine()}", f"{said} [SED-ML {first.getErrorId()}]"))
    courses = {course.name: course for course in _courses(document, path, shown)}
    if not courses:
        raise InputError(Fault(shown, "has no task."))
    models: dict[Path, SbmlModel] = {}
    runs = {name: _simulate(course, models) for name, course in courses.items()}
    return tuple(_reports(libsedml, document, runs, shown))


def _courses(document: Any, path: Path, shown: str) -> Iterator[TimeCourse]:
    models = {document.getModel(index).getId(): document.getModel(index) for index in range(document.getNumModels())}
    simulations = {
        document.getSimulation(index).getId(): document.getSimulation(index)
        for index in range(document.getNumSimulations())
    }
    for index in range(document.getNumTasks()):
        task = document.getTask(index)
        if task.getElementName() != "task":
            message = f"{task.getElementName()} is not supported."
            raise InputError(Fault(f"{shown}, task {task.getId()}", message, "Plain tasks with a time course are."))
        simulation = simulations.get(task.getSimulationReference())
        if simulation is None or simulation.getElementName() != "uniformTimeCourse":
            kind = simulation.getElementName() if simulation is not None else "a missing simulation"
            message = f"refers to {kind}; only uniformTimeCourse is supported."
            raise InputError(Fault(f"{shown}, task {task.getId()}", message))
        if simulation.getInitialTime() != 0.0:
            message = f"starts at time {simulation.getInitialTime():g}; only 0 is supported."
            raise InputError(Fault(f"{shown}, simulation {simulation.getId()}", message))
        steps = simulation.getNumberOfSteps() if simulation.isSetNumberOfSteps() else simulation.getNumberOfPoints()
        if not 1 <= steps <= MOST_STEPS:
            message = f"has {steps} steps; expected 1 to {MOST_STEPS}."
            raise InputError(Fault(f"{shown}, simulation {simulation.getId()}", message))
        source, changes = _model(models, task.getModelReference(), path, shown)
        yield TimeCourse(
            name=task.getId(),
            path=source,
            changes=changes,
            first=simulation.getOutputStartTime(),
            end=simulation.getOutputEndTime(),
            steps=steps,
            rtol=_tolerance(simulation),
        )


def _tolerance(simulation: Any) -> float | None:
    """The relative tolerance that the document asks for, if it does."""
    algorithm = simulation.getAlgorithm()
    if algorithm is None:
        return None
    for index in range(algorithm.getNumAlgorithmParameters()):
        parameter = algorithm.getAlgorithmParameter(index)
        if parameter.getKisaoID() == "KISAO:0000209":
            try:
                return min(max(float(parameter.getValue()), 1e-12), 1e-3)
            except ValueError:
                return None
    return None


def _model(
    models: Mapping[str, Any], name: str, path: Path, shown: str, depth: int = 0
) -> tuple[Path, dict[str, tuple[str, float]]]:
    """The SBML file behind a model, and the changes of it and of the models that it is derived from."""
    model = models.get(name)
    if model is None or depth > len(models):
        raise InputError(Fault(shown, f'there is no model "{name}".'))
    source = model.getSource()
    if source.lstrip("#") in models and source.lstrip("#") != name:
        file, changes = _model(models, source.lstrip("#"), path, shown, depth + 1)
    else:
        place = PurePosixPath(source.removeprefix("./"))
        if ":" in source or place.is_absolute() or ".." in place.parts:
            message = f'the source "{source}" is not a file beside the document.'
            raise InputError(Fault(f"{shown}, model {name}", message, "Save the SBML file in the same folder."))
        file, changes = path.parent / Path(*place.parts), {}
        if not file.is_file():
            raise InputError(Fault(f"{shown}, model {name}", f'there is no file "{source}".'))
    for index in range(model.getNumChanges()):
        change = model.getChange(index)
        attribute = change.getTarget().rpartition("/@")[2] if change.getElementName() == "changeAttribute" else ""
        found = _IDENTIFIER.search(change.getTarget())
        if attribute not in _ATTRIBUTES or not found:
            message = f"{change.getElementName()} of {change.getTarget()} is not supported."
            cure = f"changeAttribute of {', '.join(_ATTRIBUTES)} is."
            raise InputError(Fault(f"{shown}, model {name}", message, cure))
        try:
            changes[found.group(1)] = (attribute, float(change.getNewValue()))
        except ValueError:
            message = f'"{change.getNewValue()}" is not a number.'
            raise InputError(Fault(f"{shown}, model {name}", message)) from None
    return file, changes


# --- runs and reports -------------------------------------------------------------------------------------------------


def _simulate(course: TimeCourse, models: dict[Path, SbmlModel]) -> SbmlTrajectory:
    model = models.setdefault(course.path, load_sbml(course.path))
    rows = np.linspace(course.first, course.end, course.steps + 1)
    start = {name: _as_written(model, name, *change) for name, change in course.changes.items()}
    return model.simulate(course.end, save=rows, start=start, rtol=course.rtol or 1e-6)


def _as_written(model: SbmlModel, name: str, attribute: str, value: float) -> float:
    """A changed attribute in the meaning that the identifier has in the mathematics of the file."""
    if attribute not in ("initialAmount", "initialConcentration"):
        return value
    pool = model.flattened.pools[flat_name(model.known(name, "species"))]
    if pool.is_amount == (attribute == "initialAmount"):
        return value
    size = float(model.simulate(0.0, save=[0.0]).column(pool.compartment)[0])
    return value * size if pool.is_amount else value / size


def _reports(
    libsedml: Any, document: Any, runs: Mapping[str, SbmlTrajectory], shown: str
) -> Iterator[TimeCourseReport]:
    data = {
        document.getDataGenerator(index).getId(): document.getDataGenerator(index)
        for index in range(document.getNumDataGenerators())
    }
    for index in range(document.getNumOutputs()):
        output = document.getOutput(index)
        wanted: dict[str, str] = {}
        if output.getElementName() == "report":
            for each in (output.getDataSet(place) for place in range(output.getNumDataSets())):
                wanted[each.getLabel() or each.getId()] = each.getDataReference()
        elif output.getElementName() == "plot2D":
            for each in (output.getCurve(place) for place in range(output.getNumCurves())):
                for reference in (each.getXDataReference(), each.getYDataReference()):
                    wanted.setdefault(reference, reference)
        else:
            continue
        columns = [_generated(libsedml, data, reference, runs, shown) for reference in wanted.values()]
        if len({len(column) for column in columns}) > 1:
            raise InputError(Fault(f"{shown}, output {output.getId()}", "joins time courses of different lengths."))
        if columns:
            yield TimeCourseReport(output.getId(), tuple(wanted), np.stack(columns, axis=1))


def _generated(
    libsedml: Any, data: Mapping[str, Any], reference: str, runs: Mapping[str, SbmlTrajectory], shown: str
) -> NDArray[np.float64]:
    """The values of a data generator over the records of its task."""
    generator = data.get(reference)
    if generator is None:
        raise InputError(Fault(shown, f'there is no data generator "{reference}".'))
    place = f"{shown}, data generator {reference}"
    values: dict[str, NDArray[np.float64]] = {}
    for index in range(generator.getNumVariables()):
        variable = generator.getVariable(index)
        run = runs.get(variable.getTaskReference())
        if run is None:
            raise InputError(Fault(place, f'there is no task "{variable.getTaskReference()}".'))
        found = _IDENTIFIER.findall(variable.getTarget())
        if variable.getSymbol() == TIME or variable.getSymbol().endswith(":time"):
            values[variable.getId()] = run.time
        elif found:
            values[variable.getId()] = run[found[-1]]
        else:
            message = f'the variable "{variable.getId()}" is neither the time nor an element with an id.'
            raise InputError(Fault(place, message))
    numbers = {
        generator.getParameter(index).getId(): generator.getParameter(index).getValue()
        for index in range(generator.getNumParameters())
    }
    text = libsedml.formulaToL3String(generator.getMath()) if generator.getMath() is not None else ""
    if text in values:
        return values[text]
    tree = parse(text.replace("^", "**"))
    missing = names(tree) - values.keys() - numbers.keys()
    if missing:
        raise InputError(Fault(place, f'its formula has "{min(missing)}", which is no variable of it.'))
    rows = len(next(iter(values.values()))) if values else 1
    return np.array(
        [
            evaluate(tree, {**numbers, **{name: float(column[row]) for name, column in values.items()}})
            for row in range(rows)
        ]
    )
