"""Lessons as notebooks, and the explorer inside of one."""

from __future__ import annotations

import html
import json
import threading
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isletsim.errors import Fault, InputError, RunError, did_you_mean
from isletsim.explorer.choices import read_choices
from isletsim.explorer.controls import read_controls
from isletsim.explorer.days import day_view
from isletsim.explorer.lessons import Answer, Lesson, LessonStep, answer, read_lessons
from isletsim.explorer.runs import Simulations
from isletsim.figures import Curve, FigureSpec, Panel, draw, render
from isletsim.results.record import NOTICE

if TYPE_CHECKING:
    import matplotlib.figure

    from isletsim.explorer.server import Server

__all__ = ["Figure", "OpenLesson", "Picture", "copy_notebooks", "framed", "open_lesson"]


@dataclass(frozen=True)
class Figure:
    """A frame with the explorer's page, for notebooks."""

    address: str
    height: int
    server: Server = field(repr=False)

    def _repr_html_(self) -> str:
        source = html.escape(self.address, quote=True)
        frame = f'<iframe src="{source}" width="100%" height="{self.height}" style="border:1px solid #d9dde3"></iframe>'
        return f'{frame}<p>The explorer is at <a href="{source}" target="_blank">{source}</a> on this machine.</p>'

    def close(self) -> None:
        """Stop serving the page."""
        self.server.shutdown()
        self.server.server_close()


@dataclass(frozen=True)
class Picture:
    """A figure that notebooks display; `figure` is matplotlib's."""

    figure: matplotlib.figure.Figure = field(repr=False)

    def _repr_png_(self) -> bytes:
        return render(self.figure, "png")


def framed(server: Server, height: int) -> Figure:
    """Return a server's page as a frame; it is served from a thread of this process."""
    server.in_frames = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Figure(server.address, height, server)


# --- lessons ----------------------------------------------------------------------------------------------------------


@cache
def _simulations() -> Simulations:
    return Simulations(read_controls())


@dataclass(frozen=True)
class OpenLesson:
    """A lesson in a notebook: its figures, and the computed answers of its questions."""

    lesson: Lesson

    def show(self, step: int) -> Picture:
        """Return the figure of a step, counted from 1: the years, or a virtual test."""
        wanted = self._step(step)
        return Picture(self._test(wanted) if wanted.tab == "day" else self._years(wanted))

    def answer(self, step: int, question: int = 1) -> str:
        """Return the answer of a question of a step, both counted from 1, computed from the model."""
        asked = self._step(step).questions
        if not 1 <= question <= len(asked):
            raise InputError(Fault(f"step {step}", f"It has {len(asked)} questions; {question} is none of them."))
        found: Answer = answer(_simulations(), self.lesson, asked[question - 1])
        options = asked[question - 1].options
        said = options[found.option][0] if options else f"{found.value:.3g} {asked[question - 1].unit}".strip()
        return f"{said}. {found.because}"

    def _step(self, number: int) -> LessonStep:
        if not 1 <= number <= len(self.lesson.steps):
            message = f"It has {len(self.lesson.steps)} steps; {number} is none of them."
            raise InputError(Fault(self.lesson.name, message))
        return self.lesson.steps[number - 1]

    def _years(self, step: LessonStep) -> matplotlib.figure.Figure:
        simulations = _simulations()
        run = simulations.run(read_choices(simulations.controls, self.lesson.runs[step.run]))
        shown = [(panel, each) for panel in simulations.controls.panels for each in panel.shows]
        wanted = step.show or tuple(each.show for panel, each in shown if each is panel.shows[0])
        panels = []
        for panel, each in shown:
            column = run.column(each.show)
            if each.show not in wanted or column < 0:
                continue
            title = f"{panel.title}, {each.label}" if each.label else panel.title
            curves = []
            for rank, arm in enumerate(run.plan.arms):
                values = run.values[rank, :, column]
                there = values == values
                curves.append(Curve(arm.about or arm.name, rank, run.time[there], values[there]))
            panels.append(Panel(title, each.unit or run.variables[column].label, tuple(curves)))
        notes = (f"Lines: the reference patient. {NOTICE}",)
        return draw(FigureSpec(self.lesson.title, tuple(panels), (0.0, float(run.time[-1])), (), notes))

    def _test(self, step: LessonStep) -> matplotlib.figure.Figure:
        import numpy as np

        simulations = _simulations()
        choices = read_choices(simulations.controls, self.lesson.runs[step.run])
        healthy = next(each.file for each in simulations.controls.patients if "healthy" in each.kinds)
        view = day_view(simulations, choices, step.day.get("test", ""), float(step.day.get("years", 0)), healthy)
        time = np.array(view["minutes"]) / 1440.0
        people = [*view["arms"], *([view["reference"]] if "reference" in view else [])]
        panels = []
        for name, first in view["arms"][0]["curves"].items():
            curves = tuple(
                Curve(each["label"], rank, time, np.array(each["curves"][name]["values"]))
                for rank, each in enumerate(people)
                if name in each["curves"]
            )
            panels.append(Panel(first["about"].capitalize() or name, first["unit"], curves))
        return draw(FigureSpec(view["title"], tuple(panels), (0.0, float(time[-1])), (), (NOTICE,)))


def open_lesson(name: str) -> OpenLesson:
    """Return a lesson by name; raises `InputError` where there is none."""
    known = {each.name: each for each in read_lessons()}
    if name not in known:
        raise InputError(Fault(name, "There is no lesson of this name.", did_you_mean(name, known)))
    return OpenLesson(known[name])


# --- files ------------------------------------------------------------------------------------------------------------


def copy_notebooks(folder: Path, execute: bool | None = None) -> list[Path]:
    """Write every lesson as a notebook; a file that exists already is kept.

    Parameters
    ----------
    execute : run the notebooks, so that they hold figures and numbers; None where nbclient is installed.

    Raises
    ------
    InputError : the folder cannot be written, or nbclient is missing.
    """
    wanted = find_spec("nbclient") is not None if execute is None else execute
    if wanted and find_spec("nbclient") is None:
        cure = "Install it with: pip install 'isletsim[explore]'"
        raise InputError(Fault("--execute", "nbclient is not installed.", cure))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(Fault(str(folder), f"This folder cannot be written: {reason.strerror}.")) from None
    written = []
    for lesson in read_lessons():
        path = folder / f"{lesson.name}.ipynb"
        written.append(path)
        if not path.exists():
            notebook = _notebook(lesson)
            text = json.dumps(_executed(notebook, path) if wanted else notebook, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    return written


def _notebook(lesson: Lesson) -> dict[str, Any]:
    cells = [_words(f"# {lesson.title}\n\n{lesson.goal}")]
    cells.append(_code(f'from isletsim.explorer.notebooks import open_lesson\n\nlesson = open_lesson("{lesson.name}")'))
    for number, step in enumerate(lesson.steps, start=1):
        cells.append(_words(f"## {number}. {step.title}\n\n{step.text}"))
        cells.append(_code(f"lesson.show({number})"))
        for place, question in enumerate(step.questions, start=1):
            options = "".join(f"\n- {text}" for text, _ in question.options)
            cells.append(_words(f"**{question.ask}**\n{options}\n\nThink first, then run the next cell."))
            cells.append(_code(f"print(lesson.answer({number}, {place}))"))
    for number, cell in enumerate(cells):
        cell["id"] = f"{lesson.name}-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text}


def _executed(notebook: dict[str, Any], path: Path) -> dict[str, Any]:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    made: Any = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    try:
        NotebookClient(made, timeout=600, kernel_name="python3").execute(cwd=str(path.parent))
    except CellExecutionError as reason:
        raise RunError(f"{path.name}: a cell failed: {reason.ename} {reason.evalue}") from None
    return dict(made)
