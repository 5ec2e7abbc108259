"""What is explored: a patient of the list, a scenario by name, or the text of one that a user opened."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isletsim.data_files import find, find_any, listing
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.explorer.automatic import model_scenario
from isletsim.explorer.choices import Choices
from isletsim.language import TomlDocument, read_document
from isletsim.scenario import scenario_of
from isletsim.study import prepared_scenario

__all__ = ["Bases", "PatientBase"]

FEW = 8  # scenarios that are remembered
_BARE = re.compile(r"[\w-]{1,100}")


class PatientBase:
    """The data of a scenario and the folder that its own files are looked for in; no data for a patient."""

    def __init__(self, data: Mapping[str, Any] | None, folder: Path) -> None:
        self.data, self.folder = data, folder


class Bases:
    """Scenarios by name: those of the package, and those that the owner of this process named as files.

    A text that comes over the network may name known models, patients and tests only, never a path.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="isletsim-explore-")).resolve()
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._given: dict[str, Path] = {}
        self._models: dict[str, Path] = {}
        self._checked: dict[tuple[str, bytes], PatientBase] = {}

    def admit(self, wanted: str | Path) -> str:
        """Make a scenario, or a model, known by name or path, and return the name that choices use.

        Raises
        ------
        InputError : there is no such file, or it is of another kind.
        """
        kind, path = find_any(wanted)
        if kind == "model":
            self._models[path.stem] = path
        else:
            path = find("scenario", wanted)
            self._given[path.stem] = path
        return path.stem

    def is_model(self, name: str) -> bool:
        """Tell whether an admitted name is that of a model."""
        return name in self._models

    def base(self, choices: Choices) -> PatientBase:
        """Return what the choices explore.

        Raises
        ------
        InputError : an unknown scenario, or what is wrong with an opened one.
        """
        if choices.text:
            return self._once(("", choices.text.encode()), lambda: PatientBase(self._opened(choices.text), self.folder))
        if not choices.scenario:
            return PatientBase(None, self.folder)
        if choices.scenario in self._models:
            path = self._models[choices.scenario]
            return PatientBase(model_scenario(path), path.resolve().parent)
        known = {**dict(listing("scenario")), **self._given}
        if choices.scenario not in known:
            cure = did_you_mean(choices.scenario[:100], known)
            raise InputError(Fault("scenario", f'There is no scenario "{choices.scenario[:60]}".', cure))
        path = known[choices.scenario]
        return self._once((str(path), path.read_bytes()), lambda: _of_file(path))

    def _once(self, key: tuple[str, bytes], make: Callable[[], PatientBase]) -> PatientBase:
        if key not in self._checked:
            while len(self._checked) >= FEW:
                self._checked.pop(next(iter(self._checked)))
            self._checked[key] = make()
        return self._checked[key]

    def _opened(self, text: str) -> Mapping[str, Any]:
        path = self.folder / "opened.toml"
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".toml", encoding="utf-8", delete=False) as file:
            file.write(text)
        try:
            document = read_document(Path(file.name), "the opened file")
        finally:
            Path(file.name).unlink(missing_ok=True)
        document.path = path
        scenario_of(document)
        document.finish()
        _only_known_names(document.data)
        _check(document)
        return document.data


def _of_file(path: Path) -> PatientBase:
    document = read_document(path)
    _check(document)
    return PatientBase(document.data, path.resolve().parent)


def _check(document: TomlDocument) -> None:
    """Prepare a scenario as it is, so that everything in it is known to be well formed before it is changed."""
    document.data.setdefault("until", "1 year")
    prepared_scenario(scenario_of(document))


def _only_known_names(data: Mapping[str, Any]) -> None:
    """Refuse whatever could lead to a file outside of the package."""
    arms = data.get("arms", {})
    named = [("model", name) for name in data.get("core", ())]
    named += [("model", layer) for arm in arms.values() for layer in arm.get("layers", ())]
    named += [("challenge", name) for name in data.get("challenges", {})]
    named += [("patient", data["patient"])] if data.get("patient") else []
    faults = []
    for kind, name in named:
        known = dict(listing(kind))
        if not _BARE.fullmatch(str(name)) or name not in known:
            shown = str(name)[:60]
            cure = did_you_mean(shown, known) or "An opened scenario uses the files of the package only."
            faults.append(Fault("the opened file", f'There is no {kind} "{shown}".', cure))
    if faults:
        raise InputError(dict.fromkeys(faults))
