"""Where the data stand: the folders ``models``, ``scenarios`` and ``seeds``, and the files in them by name.

An installed package carries the folders inside itself; a checkout, and an editable install of it, reads its own.
A file is asked for by its bare name (``topp2000``) or by a path (``my/therapy.toml``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from isletsim.errors import Fault, InputError, did_you_mean

_LONG_KEY = re.compile(r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')\s*\.\s*){30}""")

__all__ = [
    "KINDS",
    "bibliography",
    "data_folder",
    "find",
    "find_any",
    "kind_of",
    "listing",
    "own_file",
    "renamed",
    "title",
    "toml_tables",
]

ROOMS = ("physiology", "drugs", "therapies", "published", "day")  # the folders of models
# Where the files of a kind are, nearest first: a folder of data and a pattern inside it.
KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "model": tuple(("models", f"{room}/*.toml") for room in ROOMS),
    "patient": (("models", "patients/*.toml"),),
    "challenge": (("models", "challenges/*.toml"),),
    "scenario": (("scenarios", "*.toml"), ("scenarios", "*/*.toml")),
}


def data_folder(name: str) -> Path:
    """The folder ``models``, ``scenarios`` or ``seeds``: inside an installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent
    carried = package / "data" / name
    return carried if carried.is_dir() else package.parent / name


def bibliography() -> Path:
    """The file of references that the sources of the package's own numbers stand in."""
    return data_folder("models") / "references.bib"


def listing(kind: str) -> list[tuple[str, Path]]:
    """Every file of a kind that the package has, as (name, path), in alphabetical order.

    A model whose name an earlier room has too goes by its room and its name ("day/insulin"), by which `find` knows any.
    """
    paths = [path for folder, pattern in KINDS[kind] for path in sorted(data_folder(folder).glob(pattern))]
    found: dict[str, Path] = {}
    for path in paths:
        taken = kind == "model" and path.stem in found
        found[f"{path.parent.name}/{path.stem}" if taken else path.stem] = path
    return sorted(found.items())


def toml_tables(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises
    ------
    ValueError : not TOML, or a key of more than 30 parts, for which tomllib needs the square of the key's length.
    RecursionError : nested too deeply.
    """
    if _LONG_KEY.search(text):
        raise ValueError("has a name of more than 30 parts")
    return tomllib.loads(text)


@cache
def renames() -> Mapping[str, str]:
    """Return the present name of every renamed file ("clamp") and of every renamed quantity ("msc.priming")."""
    tables = tomllib.loads((data_folder("models") / "renamed.toml").read_text(encoding="utf-8"))
    present = dict(tables["files"])
    for file, names in tables["names"].items():
        present |= {f"{file}.{old}": new if "." in new else f"{file}.{new}" for old, new in names.items()}
    return present


def renamed(text: str, file: str = "") -> str:
    """Return the advice for a name of an earlier version, or an empty text.

    Parameters
    ----------
    text : the name of a file, or a qualified name; with `file`, a name within that file.
    """
    old = f"{file}.{text}" if file else text
    owner, _, name = old.partition(".")
    present = renames().get(old, "")
    if not present and name and owner in renames():
        present = f"{renames()[owner]}.{name}"
    if not present:
        return ""
    return f'It was renamed to "{present.removeprefix(f"{file}.")}".'


def find(kind: str, wanted: str | Path, beside: Path | None = None) -> Path:
    """The file that a name or a path means.

    Parameters
    ----------
    kind : ``"model"``, ``"patient"`` or ``"scenario"``.
    wanted : a bare name is one of the package's own files; a text with a separator or ``.toml`` is a path.
    beside : the folder that a relative path starts from; the working folder when not given.

    Returns
    -------
    path : a file that exists; an `InputError` names the nearest known one otherwise.
    """
    text = str(wanted)
    known = dict(listing(kind))
    if text in known:
        return known[text]
    in_room = {f"{path.parent.name}/{path.stem}": path for path in known.values()}
    if kind == "model" and text in in_room:
        return in_room[text]
    if _is_path(wanted):
        return _existing(text, beside or Path(), list(known))
    _refuse_other_kinds(text, beside or Path())
    if kind == "model" and renamed(text):
        raise InputError(Fault(text, f'There is no model "{text}".', renamed(text)))
    other = next((each for each in KINDS if text in dict(listing(each))), "")
    message = f'"{text}" is a {other}, and a {kind} is expected.' if other else f'There is no {kind} "{text}".'
    raise InputError(Fault(text, message, _cure(text, known, beside or Path())))


def in_room_of(name: str, others: Collection[str]) -> str:
    """Return a model's name in the room of others ("day/metformin" beside "day/liver") where that room has it."""
    rooms = dict.fromkeys(other.partition("/")[0] for other in others if other.count("/") == 1)
    known = {f"{path.parent.name}/{path.stem}" for _, path in listing("model")} if rooms and "/" not in name else set()
    return next((f"{room}/{name}" for room in rooms if f"{room}/{name}" in known), name)


def _refuse_other_kinds(text: str, folder: Path) -> None:
    """Raise for a file that is there, and is of no kind that can be read."""
    try:
        there = bool(Path(text).suffix) and (folder / text).is_file()
    except (OSError, ValueError):
        return
    if there:
        message = f'{text} is a file, and its ending "{Path(text).suffix}" is none of .toml, .xml and .sbml.'
        raise InputError(Fault(text, message, "Give the file the ending of what it holds."))


def own_file(name: str, folder: Path) -> Path | None:
    """The file of a bare name in a folder of the user's own, if there is one."""
    path = folder / f"{name}.toml"
    try:
        return path if not _is_path(name) and path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def find_any(wanted: str | Path) -> tuple[str, Path]:
    """The kind and the file that a name or a path means, when any kind will do."""
    if _is_path(wanted):
        path = find("model", wanted)
        return kind_of(path), path
    found = {kind: path for kind in KINDS for name, path in listing(kind) if name == str(wanted)}
    if found:
        return next(iter(found.items()))
    _refuse_other_kinds(str(wanted), Path())
    names = [name for kind in KINDS for name, _ in listing(kind)]
    raise InputError(
        Fault(str(wanted), f'There is no model, patient or scenario "{wanted}".', _near(str(wanted), names))
    )


def kind_of(path: Path) -> str:
    """Whether a file is a model, a patient, a virtual test or a scenario, judged by the tables it has."""
    try:
        tables = toml_tables(path.read_text(encoding="utf-8-sig")).keys()
    except (OSError, ValueError, RecursionError):
        return "model"  # the model's reader will say what is wrong with it
    if tables & {"arms", "patient"}:
        return "scenario"
    if tables & {"sample", "length"}:
        return "challenge"
    if tables & {"set", "history", "covariates", "correlations", "day"}:
        return "patient"
    return "scenario" if tables & {"core", "until"} else "model"


def title(path: Path) -> str:
    """The title of a file, without reading the rest of it; empty when it has none."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("["):
                break
            if line.partition("=")[0].strip() == "title":
                try:
                    return str(tomllib.loads(line)["title"])
                except tomllib.TOMLDecodeError:
                    break
    return ""


def _is_path(wanted: str | Path) -> bool:
    text = str(wanted)
    return isinstance(wanted, Path) or text.endswith(".toml") or "/" in text or "\\" in text


def _existing(text: str, folder: Path, names: list[str]) -> Path:
    try:
        path = folder / Path(text).expanduser()
        if path.is_file():
            return path
        message = f"{path} is a folder, not a file." if path.is_dir() else f"There is no file {path}."
    except (OSError, RuntimeError, ValueError) as reason:  # too long, an unknown ~user, a null byte
        message = f"This is no path of a file: {reason}."
    raise InputError(Fault(text, message, _near(Path(text).stem, names)))


def _cure(text: str, names: Collection[str], folder: Path) -> str:
    if own_file(text, folder):
        return f'There is a file {text}.toml: give it as "./{text}.toml".'
    return _near(text, names)


def _near(text: str, names: Collection[str]) -> str:
    known = ", ".join(names)
    return did_you_mean(text, names) or (f"Known are: {known}." if known else "")
