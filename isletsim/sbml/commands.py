"""Command-line actions on SBML: run a file, run a test suite, import, export."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isletsim import __version__
from isletsim.data_files import find_any
from isletsim.errors import Fault, InputError
from isletsim.machine import cores
from isletsim.results.files import publish
from isletsim.sbml.antimony import antimony_text
from isletsim.sbml.archive import archive_of
from isletsim.sbml.export_scenario import export_arm, export_model
from isletsim.sbml.model import SbmlModel, SbmlTrajectory, load_sbml
from isletsim.sbml.suite import run_suite, summary, support_page, write_json
from isletsim.sbml.to_toml import model_file
from isletsim.sbml.writing import sbml_text
from isletsim.study import load_scenario

if TYPE_CHECKING:
    from isletsim.sbml.suite import CaseVerdict

__all__ = ["export_file", "import_file", "judge_folder", "run_file", "table", "write_run"]

SHOWN = 40  # quantities of the table that is printed
PANELS = 12  # of the figure
TITLE = 36  # letters of a line above a panel


def run_file(path: Path, until: str | None, changes: Mapping[str, str], save: str | None = None) -> SbmlTrajectory:
    """Run of an SBML file from the command line.

    Raises
    ------
    InputError : no `until`, or anything that is not understood.
    """
    model = load_sbml(path)
    if until is None:
        unit = model.document.time_unit
        cure = 'Add --until "10 day".' if unit else "Add --until 100: the file does not say in which unit."
        raise InputError(Fault(str(path), "An SBML file does not say how long to run it.", cure))
    return model.simulate(_number(until), save=None if save is None else _number(save), set=changes)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def table(trajectory: SbmlTrajectory) -> str:
    """Return a table with the first and last value of every quantity that changes."""
    moving = _moving(trajectory)
    width = max((len(name) for name in moving[:SHOWN]), default=4)
    lines = [f"{'':<{width}}  {'begin':>13}  {'end':>13}  unit"]
    for name in moving[:SHOWN]:
        values = trajectory[name]
        lines.append(f"{name:<{width}}  {values[0]:>13.6g}  {values[-1]:>13.6g}  {trajectory.unit(name)}".rstrip())
    if len(moving) > SHOWN:
        lines.append(f"and {len(moving) - SHOWN} more")
    lines += [f"at {time:g}: {name}" for time, name in trajectory.events[:SHOWN]]
    return "\n".join([*lines, *(f"warning: {each}" for each in trajectory.warnings)])


def _moving(trajectory: SbmlTrajectory) -> list[str]:
    """Return the quantities that change, in file order; those that only change at events come last."""
    changes = {name: np.count_nonzero(np.diff(trajectory[name])) for name in trajectory}
    steady = (len(trajectory.time) - 1) / 2
    return sorted((name for name in changes if changes[name]), key=lambda name: changes[name] < steady)


def write_run(path: Path, trajectory: SbmlTrajectory, folder: Path, figures: bool = True) -> list[Path]:
    """Write `results.csv` (tidy), `run.json` and a figure."""
    model = trajectory.model
    said = {
        "isletsim": __version__,
        "model": model.name,
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "counts": dict(trajectory.counts),
        "events": [{"time": time, "event": name} for time, name in trajectory.events],
        "warnings": list(trajectory.warnings),
    }
    texts: dict[Path, Iterable[bytes]] = {
        folder / "results.csv": _rows(trajectory),
        folder / "run.json": [json.dumps(said, indent=1).encode() + b"\n"],
    }
    return publish(texts | (_draw(model, trajectory, folder / "figures") if figures else {}))


def _rows(trajectory: SbmlTrajectory) -> Iterator[bytes]:
    """`results.csv`, a quantity at a time."""
    yield b"model,time,variable,value,unit\r\n"
    for name in trajectory:
        text = io.StringIO(newline="")
        unit = trajectory.unit(name)
        rows = zip(trajectory.time.tolist(), trajectory[name].tolist(), strict=True)
        csv.writer(text).writerows([trajectory.model.name, repr(time), name, repr(value), unit] for time, value in rows)
        yield text.getvalue().encode()


def _draw(model: SbmlModel, trajectory: SbmlTrajectory, folder: Path) -> dict[Path, Iterable[bytes]]:
    """Draw one panel for each of the first quantities that change."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from isletsim.sbml.unit_text import unit_text

    moving = _moving(trajectory)[:PANELS]
    if not moving:
        return {}
    columns = min(3, len(moving))
    rows = -(-len(moving) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    clock = unit_text(model.document.time_unit)
    for index, name in enumerate(moving):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.plot(trajectory.time, trajectory[name], color="#0072b2", linewidth=1.2)
        title = textwrap.shorten(model.document.titles.get(name, name), 2 * TITLE, placeholder=" ...")
        axes.set_title("\n".join(textwrap.wrap(title, TITLE)).replace("$", r"\$"), fontsize=8)
        axes.set_ylabel(trajectory.unit(name), fontsize=8)
        axes.set_xlabel(f"time ({clock})" if clock else "time", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.yaxis.get_offset_text().set_fontsize(7)
    made: dict[Path, Iterable[bytes]] = {}
    for kind in ("png", "svg"):
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=150)
        made[folder / f"trajectory.{kind}"] = [file.getvalue()]
    return made


def judge_folder(
    folder: Path,
    write: Path | None,
    report: Path | None,
    page: Path | None,
    jobs: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[str, bool]:
    """Return the verdicts on a folder of cases as text, and whether none is wrong."""
    verdicts: list[CaseVerdict] = run_suite(folder, write, jobs or cores(), progress)
    if report is not None:
        write_json(verdicts, report)
    if page is not None:
        publish({page: [support_page(verdicts).encode()]})
    return summary(verdicts), all(each.verdict not in ("wrong", "crashed") for each in verdicts)


def import_file(path: Path, output: Path | None) -> tuple[str, Path | None]:
    """Convert an SBML file to a model file; return its text and path.

    Raises
    ------
    InputError : what the language has no words for.
    """
    name = output.stem if output is not None and output.suffix == ".toml" else path.stem
    text, stem = model_file(load_sbml(path), name)
    if output is None:
        return text, None
    if output.suffix == ".toml" and output.stem != stem:
        raise InputError(Fault(f"-o {output}", "Names of models are lower-case words.", f"Call it {stem}.toml."))
    place = output if output.suffix == ".toml" else output / f"{stem}.toml"
    return text, _written(place, text)


def export_file(name: str, arm: str, form: str, algebraic: bool, output: Path | None) -> tuple[str, Path | None]:
    """Export a model or an arm of a scenario; return the text and the path.

    Parameters
    ----------
    form : sbml, antimony or omex; the last needs an output.
    """
    kind, path = find_any(name)
    if kind == "scenario":
        exported = export_arm(load_scenario(path), arm, algebraic)
    elif kind == "model":
        if arm:
            raise InputError(Fault(f"--arm {arm}", f"{name} is a model; only scenarios have arms."))
        exported = export_model(path, algebraic)
    else:
        raise InputError(Fault(name, f"This is a {kind}.", "Export a model, or an arm of a scenario."))
    if form == "omex":
        if output is None:
            raise InputError(Fault("export", "An archive is no text.", "Say where to write it: -o model.omex"))
        return "", _written(output, archive_of(exported.exchange, exported.until, exported.records))
    text = antimony_text(exported.exchange) if form == "antimony" else sbml_text(exported.exchange)
    return text, None if output is None else _written(output, text)


def _written(path: Path, text: str | bytes) -> Path:
    try:
        publish({path: [text.encode() if isinstance(text, str) else text]})
    except OSError as reason:
        raise InputError(Fault(f"-o {path}", f"This file cannot be written: {reason}.")) from None
    return path
