"""A scenario as it was written, with the overrides of ``--set``, and the files it needs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isletsim.composition.names import dotted
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import TomlDocument, read_document

__all__ = ["ScenarioFile", "read_scenario", "scenario_of"]

_KEYS = "title about note core patient until save method tolerance control visits set arms cohort figures record"
KEYS = (*_KEYS.split(), "challenges", "response")
ARM = ("about", "layers", "doses", "courses", "day", "stop", "set", "assumed", "note")


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario as it was written; `overrides` are numbers of models, by the name that was given."""

    name: str
    path: Path
    title: str
    core: tuple[str, ...]
    patient: str
    challenges: tuple[str, ...]
    overrides: Mapping[str, str]
    document: TomlDocument = field(repr=False, compare=False)


def read_scenario(path: Path, overrides: Iterable[str] = ()) -> ScenarioFile:
    """A scenario file with overrides ("PATH=VALUE") applied; raises `InputError` with every fault of the file.

    A path that begins with a key of scenario files ("cohort.size") changes the file; any other sets a model's number.
    """
    scenario = scenario_of(read_document(path), overrides)
    scenario.document.finish()
    return scenario


def scenario_of(document: TomlDocument, overrides: Iterable[str] = ()) -> ScenarioFile:
    """The scenario that a page holds, whoever wrote it; its faults stay noted on the page."""
    settings = _override(document.data, overrides)
    data, path = document.data, document.path
    settings = {**_own_settings(document), **settings}
    document.only(data, KEYS, ())
    title = document.word(data, "title", ())
    if not title:
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    core = document.names(data, "core", ())
    if not core and not data.get("patient"):
        document.fault((), "has no core, and no patient who would bring one.", 'Write core = ["topp2000"].')
    arms = document.table(data, "arms", ())
    if not arms:
        document.fault((), "has no arms.", "Write [arms.usual].")
    for name in arms:
        arm = document.table(arms, name, ("arms",))
        document.only(arm, ARM, ("arms", name))
        document.names(arm, "layers", ("arms", name))
    return ScenarioFile(
        name=path.stem,
        path=path,
        title=title,
        core=core,
        patient=document.word(data, "patient", ()),
        challenges=tuple(document.table(data, "challenges", ())),
        overrides=settings,
        document=document,
    )


def _own_settings(document: TomlDocument) -> dict[str, str]:
    """Return the numbers that the scenario's own `[set]` gives every arm, history included; texts as of ``--set``."""
    settings = {}
    for name, value in dotted(document.table(document.data, "set", ())):
        if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            settings[name] = str(value)
        else:
            document.fault(("set", name), "expected a quantity.", 'Write "file.name" = "0.5".')
    return settings


# --- overrides --------------------------------------------------------------------------------------------------------

_INDEX = re.compile(r"\[(\d+)\]")  # courses[0] is the same as courses.0


def _override(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, str]:
    """Changes the data of a scenario, and gives back what belongs to models; all faults together."""
    settings: dict[str, str] = {}
    faults: list[Fault] = []
    for text in overrides:
        name, mark, value = text.partition("=")
        parts = [part.strip() for part in _INDEX.sub(r".\1", name).split(".")]
        try:
            if not mark or not all(parts):
                raise InputError(Fault(f"--set {text}", "is not PATH=VALUE.", 'For example --set "msc.potency=0.5".'))
            if parts[0] in KEYS:
                _holder(data, parts, f"--set {text}")[parts[-1]] = _toml_value(value.strip())
            else:
                settings[name.strip()] = value.strip()
        except InputError as reason:
            faults.extend(reason.faults)
    if faults:
        raise InputError(faults)
    return settings


def _holder(data: dict[str, Any], parts: list[str], place: str) -> dict[str, Any]:
    """The table in which the last part of a path stands; tables of one name may be new, arms and entries not."""
    holder: Any = data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(holder, list) and part.isascii() and part.isdigit() and int(part) < len(holder):
            holder = holder[int(part)]
        elif isinstance(holder, dict) and (part in holder or parts[0] != "arms" or depth > 1):
            holder = holder.setdefault(part, {})
        else:
            cure = did_you_mean(part, holder) if isinstance(holder, dict) else ""
            raise InputError(Fault(place, f'there is no "{part}" in the scenario.', cure))
    if not isinstance(holder, dict):
        raise InputError(Fault(place, "does not lead to a key of the scenario."))
    return holder


def _toml_value(text: str) -> Any:
    """A number, list or truth value where the text is one, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text
