"""What the page may ask, as plain functions from JSON data to JSON data; the server only carries them."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from isletsim import __version__
from isletsim.errors import Fault, InputError
from isletsim.explorer.automatic import automatic_controls, with_units
from isletsim.explorer.choices import Choices, first_choices, read_choices, written
from isletsim.explorer.controls import read_controls
from isletsim.explorer.days import day_view
from isletsim.explorer.filemap import file_view, map_view
from isletsim.explorer.lessons import answers_view, lessons_view, read_lessons
from isletsim.explorer.runs import NAME, Prepared, Run, Simulations
from isletsim.explorer.views import (
    balances_view,
    band_view,
    concerning_texts,
    controls_view,
    curves_view,
    settings_view,
)
from isletsim.results.files import files_of
from isletsim.results.record import NOTICE

__all__ = ["Explorer", "Stale"]

COHORT = 24
HEALTHY = "healthy"


class Stale(Exception):
    """A request that a newer one of the same tab has overtaken; nothing was solved for it."""


class Explorer:
    """Answers the page. Tabs share what was solved, and nothing else: every request carries its whole state."""

    def __init__(self, patient: str = "", scenario: str = "") -> None:
        self.controls = read_controls()
        self.simulations = Simulations(self.controls)
        name = self.simulations.bases.admit(scenario) if scenario else ""
        self.first = first_choices(self.controls, patient, name)
        if self.simulations.bases.is_model(name):
            self._use_model()
        self._latest: dict[str, int] = {}
        self._turn = threading.Lock()
        self.actions: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "start": self.start,
            "run": self.run,
            "cohort": self.cohort,
            "day": self.day,
            "map": self.map,
            "file": self.file,
            "scenario": self.scenario,
            "open": self.open,
            "answers": self.answers,
        }

    def _use_model(self) -> None:
        """Take controls from the model itself, in place of those that are declared for the flagship."""
        bases = self.simulations.bases
        composition = self.simulations.prepare(self.first).scenario.composition
        controls = automatic_controls(composition, self.controls)
        prepared = Simulations(controls, bases).prepare(self.first)
        self.controls = with_units(controls, prepared.stack.terms, prepared.scenario.composition)
        self.simulations = Simulations(self.controls, bases)

    def check(self) -> None:
        """Prepare the first choices, so that a faulty scenario is refused before a page opens."""
        self.simulations.prepare(self.first)

    def start(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the page needs once: controls, lessons and the first choices."""
        del data
        return {
            "version": __version__,
            "notice": NOTICE,
            "controls": controls_view(self.controls),
            "choices": written(self.first),
            "lessons": lessons_view(read_lessons()) if self.controls.patients else [],
            "cohort": COHORT,
        }

    def run(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return curves, balances and settings of choices.

        Raises
        ------
        Stale : a newer request of the same tab has come.
        InputError, RunError : what is wrong with the choices, or what failed.
        """
        choices = self._choices(data)
        tab, number = str(data.get("tab", ""))[:40], data.get("number", 0)
        if not isinstance(number, int):
            raise InputError(Fault("number", "Expected a whole number."))
        self._register(tab, number)
        with self._turn:
            if self._latest.get(tab, number) > number:
                raise Stale
            run = self.simulations.run(choices)
        return self._run_view(choices, run)

    def _register(self, tab: str, number: int) -> None:
        self._latest[tab] = max(number, self._latest.get(tab, number))
        while len(self._latest) > 100:
            self._latest.pop(next(iter(self._latest)))

    def _run_view(self, choices: Choices, run: Run) -> dict[str, Any]:
        settings = settings_view(self.controls, choices, run.prepared)
        wanted = [shown["show"] for panel in settings["panels"] for shown in panel["shows"]]
        years = [each for each in self.controls.balances if each.per == "years"]
        return {
            **curves_view(run, wanted),
            "balances": balances_view(run, years),
            "settings": settings,
            "caveats": concerning_texts(_concerned(run.prepared)),
            "choices": written(choices),
        }

    def cohort(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bands of virtual patients."""
        choices = self._choices(data)
        result = self.simulations.cohort(replace(choices, cohort=choices.cohort or COHORT))
        return band_view(result, [variable.name for variable in result.variables])

    def day(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a day, or a virtual test, at a moment of the simulated years."""
        years = data.get("years", 0)
        if isinstance(years, bool) or not isinstance(years, (int, float)) or not 0 <= years <= 100:
            raise InputError(Fault("years", "Expected a time within the simulation."))
        healthy = next((each.file for each in self.controls.patients if HEALTHY in each.kinds), "")
        reference = healthy if data.get("reference") is True else ""
        return day_view(self.simulations, self._choices(data), str(data.get("test", "")), float(years), reference)

    def map(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return which file feeds which."""
        return map_view(self.simulations.prepare(self._choices(data)))

    def file(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what one file of the model says."""
        return file_view(self.simulations.prepare(self._choices(data)), str(data.get("name", "")))

    def scenario(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scenario file that the choices mean."""
        return {"name": f"{NAME}.toml", "text": self.simulations.prepare(self._choices(data)).text}

    def open(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return choices for a scenario that the user opened, after all checks of a file.

        Raises
        ------
        InputError : every fault of the text.
        """
        text = data.get("text", "")
        choices = read_choices(self.controls, {"text": text})
        if not choices.text:
            raise InputError(Fault("the opened file", "It is empty."))
        self.simulations.prepare(choices)
        return {"choices": written(choices)}

    def answers(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answers of a lesson's questions, computed from the model."""
        return answers_view(self.simulations, str(data.get("lesson", "")))

    def download(self, what: str, data: Mapping[str, Any]) -> tuple[str, str, bytes]:
        """Return the name, media type and bytes of a file to download.

        Parameters
        ----------
        what : "scenario", "data", "figure" (svg), "picture" (png) or "all" (a zip archive).
        """
        choices = self._choices(data)
        if what == "scenario":
            return f"{NAME}.toml", "application/toml", self.simulations.prepare(choices).text.encode()
        files = dict(files_of(self.simulations.result(choices), keep="full" if choices.cohort else "summary"))
        if what == "data":
            return "results.csv", "text/csv", files["results.csv"]
        if what in ("figure", "picture"):
            ending, media = (".svg", "image/svg+xml") if what == "figure" else (".png", "image/png")
            name = next(each for each in files if each.endswith(ending))
            return name.rpartition("/")[2], media, files[name]
        if what != "all":
            raise InputError(Fault(what[:40], "There is nothing of this name to download."))
        files[f"{NAME}.toml"] = self.simulations.prepare(choices).text.encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(f"{NAME}/{name}"), content)
        return f"{NAME}.zip", "application/zip", packed.getvalue()

    def _choices(self, data: Mapping[str, Any]) -> Choices:
        return read_choices(self.controls, data.get("choices", {}))


def _concerned(prepared: Prepared) -> list[str]:
    scenario = prepared.scenario
    layers = [layer for arm in scenario.plan.arms for layer in arm.layers]
    return [scenario.patient.name, *scenario.patient.layers, *layers]
