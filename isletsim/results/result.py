"""The result of a study: its data, with the table, files and figure that are functions of them as methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isletsim.arguments import optional_class
from isletsim.figures import draw
from isletsim.results.figure import sheet
from isletsim.results.files import columns, write, write_figure
from isletsim.results.html import html_of
from isletsim.results.record import NOTICE, StudyData
from isletsim.results.summary import summarise
from isletsim.results.table import render_table
from isletsim.results.variables import unit_label

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

    def __repr__(self) -> str:
        arms = ", ".join(arm.name for arm in self.arms)
        people = f"the reference patient and {self.cohort} subjects" if self.cohort else "one patient"
        return f"<Result of {self.scenario}: arms {arms}; {people}; {len(self.time)} times to day {self.time[-1]:g}>"

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_pandas(self, keep: str = "full") -> Any:
        """Return a tidy pandas ``DataFrame`` with the columns of results.csv.

        Parameters
        ----------
        keep : ``"full"`` for all subjects, ``"summary"`` for the reference patient.

        Raises
        ------
        InputError : pandas, an extra of the package, is not installed.
        """
        return optional_class("pandas", "DataFrame", "to_pandas()")(columns(self, keep))

    def to_xarray(self) -> Any:
        """Return an xarray ``Dataset`` with the dimensions arm, subject and time; subject 0 is the reference patient.

        Raises
        ------
        InputError : xarray, an extra of the package, is not installed.
        """
        dataset = optional_class("xarray", "Dataset", "to_xarray()")
        dimensions = ("arm", "subject", "time")
        found = {
            variable.name: (
                dimensions,
                self.values[..., place],
                {"units": unit_label(variable), "about": variable.about},
            )
            for place, variable in enumerate(self.variables)
        }
        places = {"arm": [arm.name for arm in self.arms], "subject": range(self.values.shape[1])}
        attributes = {"scenario": self.scenario, "title": self.title, "notice": NOTICE}
        return dataset(found, coords=places | {"time": ("time", self.time, {"units": "day"})}, attrs=attributes)

    def to_parquet(self, path: str | Path, keep: str = "full") -> Path:
        """Write the rows of `to_pandas` as a Parquet file, and return its path.

        Raises
        ------
        InputError : pyarrow or pandas, extras of the package, are not installed.
        """
        optional_class("pyarrow", "Table", "to_parquet()")
        self.to_pandas(keep).to_parquet(path, engine="pyarrow", index=False)
        return Path(path)
