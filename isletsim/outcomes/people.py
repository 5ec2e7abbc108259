"""People as covariates: files of ``models/outcomes/people``, and changes of their risk factors."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isletsim.data_files import data_folder
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import read_document

__all__ = ["changed", "load_person", "numbers_of", "people_files"]


def people_files() -> dict[str, Path]:
    """Return the people of the package by name."""
    return {path.stem: path for path in sorted((data_folder("models") / "outcomes" / "people").glob("*.toml"))}


def load_person(wanted: str | Path) -> dict[str, Any]:
    """Return covariates of a person by name ("mt_hood_man") or from a file with a table ``[person]``.

    A covariate is a number, or a list of numbers over years (a course).

    Raises
    ------
    InputError : there is no such person or file, or a value is no number.
    """
    known = people_files()
    path = known.get(str(wanted), Path(wanted))
    if str(wanted) not in known and not (path.suffix == ".toml" and path.is_file()):
        cure = did_you_mean(str(wanted), list(known)) or f"Known are: {', '.join(known)}; or give a file .toml."
        raise InputError(Fault(str(wanted), f'There is no person "{wanted}".', cure))
    document = read_document(path)
    table = document.table(document.data, "person", ())
    found = {}
    for name, value in table.items():
        if name in ("source", "assumed", "title"):
            continue
        parts = value if isinstance(value, list) and value else [value]
        if not all(isinstance(each, (int, float)) for each in parts):
            document.fault(("person", name), f"expected a number, or a list of numbers over years; found {value!r}.")
            continue
        found[name] = [float(each) for each in parts] if isinstance(value, list) else float(value)
    document.finish()
    return found


def numbers_of(texts: Iterable[str], option: str) -> dict[str, Any]:
    """Return names and numbers of texts such as "hba1c=7.5", or "hba1c=[8, 7.5, 7]" for a course over years."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = tomllib.loads(f"x = {value.strip()}")["x"]
            found[name.strip()] = [float(each) for each in number] if isinstance(number, list) else float(number)
        except (tomllib.TOMLDecodeError, TypeError, ValueError):
            cure = f"For example {option} hba1c=7.5 or {option} 'hba1c=[8, 7.5, 7]'."
            raise InputError(Fault(f"{option} {text}", "Expected NAME=NUMBER.", cure)) from None
    return found


def changed(person: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return a person with risk factors moved, as in "hba1c-0.5,sbp-10" or "smoker=0".

    Raises
    ------
    InputError : a risk factor that the person does not have, or no number.
    """
    import re

    found = dict(person)
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z_0-9]*[a-z_])\s*([-+=])\s*([\d.]+)\s*", part) or re.fullmatch(
            r"\s*(hba1c)\s*([-+=])\s*([\d.]+)\s*", part
        )
        if match is None or (match[2] != "=" and match[1] not in found):
            cure = f"Write hba1c-0.5 or smoker=1; the person has: {', '.join(found)}."
            raise InputError(Fault(f'arm "{text}"', f'"{part.strip()}" is no change of a risk factor.', cure))
        size = float(match[3]) * (-1.0 if match[2] == "-" else 1.0)
        old = found.get(match[1], 0.0)
        if match[2] == "=":
            found[match[1]] = size
        else:
            found[match[1]] = [each + size for each in old] if isinstance(old, list) else old + size
    return found
