"""The result of a study: its data, with the table, files and figure that are functions of them as methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isletsim.errors import Fault, InputError
from isletsim.figures import draw
from isletsim.results.figure import sheet
from isletsim.results.files import columns, write, write_figure
from isletsim.results.html import html_of
from isletsim.results.record import StudyData
from isletsim.results.summary import summarise
from isletsim.results.table import render_table

__all__ = ["Result"]


class Result(StudyData):
    """A finished study; see `StudyData` for its attributes."""

    def summary(self) -> dict[str, Any]:
        """The numbers of summary.json: each arm and clinical name at the times people ask for, and the differences."""
        return summarise(self)

    def table(self, width: int = 100, everything: bool = False) -> str:
        """The summary as plain text, `width` columns wide: what the study's figures show, or `everything`."""
        return render_table(self, width, everything)

    def write(self, folder: str | Path, figures: bool = True, keep: str = "summary") -> list[Path]:
        """Write results.csv, summary.json, run.json and the figure; see `isletsim.results.write`."""
        return write(self, folder, figures=figures, keep=keep)

    def plot(self, folder: str | Path | None = None) -> Any:
        """The overview figure, a matplotlib ``Figure``; with a folder it is also saved there as png and svg."""
        picture = draw(sheet(self))
        if folder is not None:
            write_figure(picture, self.scenario, folder)
        return picture

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_pandas(self, keep: str = "full") -> Any:
        """A tidy pandas ``DataFrame`` with the columns of results.csv.

        Parameters
        ----------
        keep : ``"full"`` for all subjects, ``"summary"`` for the reference patient.

        Raises
        ------
        InputError : pandas, an extra of the package, is not installed.
        """
        from importlib import import_module

        try:
            frame = import_module("pandas").DataFrame
        except ImportError:
            cure = "Install it with: pip install 'isletsim[pandas]'"
            raise InputError(Fault("to_pandas()", "pandas is not installed.", cure)) from None
        return frame(columns(self, keep))
