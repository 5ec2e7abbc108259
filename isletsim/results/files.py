"""The files of a result: results.csv, summary.json, run.json and the figure, each whole or not there at all.

Every file is first written beside its place under another name and then renamed, all files at the very end; so an
interrupted run leaves what was there before. The same result gives the same bytes (run.json holds wall times).
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.errors import Fault, InputError
from isletsim.results.record import NOTICE, ArmInfo, StudyData
from isletsim.results.summary import failures_by_arm, summarise
from isletsim.results.variables import unit_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "columns", "files_of", "publish", "run_record", "write", "write_figure"]

COLUMNS = ("scenario", "arm", "subject", "time_day", "variable", "value", "unit")
KEEP = ("summary", "full")
NUMBER = "%.10g"


def write(result: StudyData, folder: str | Path, figures: bool = True, keep: str = "summary") -> list[Path]:
    """Write a result into a folder.

    Parameters
    ----------
    folder : made when it is not there; files of the same names are replaced.
    figures : whether to draw ``figures/<scenario>.png`` and ``.svg``.
    keep : subjects in results.csv: ``"summary"`` keeps the reference patient, ``"full"`` everybody.

    Returns
    -------
    paths : the files written, results.csv first.
    """
    place = Path(folder)
    return publish({place / name: pieces for name, pieces in _contents(result, figures, keep).items()})


def files_of(result: StudyData, figures: bool = True, keep: str = "summary") -> dict[str, bytes]:
    """Return the files that `write` would write, by their path in the folder."""
    return {str(name): b"".join(pieces) for name, pieces in _contents(result, figures, keep).items()}


def _contents(result: StudyData, figures: bool, keep: str) -> dict[PurePosixPath, Iterable[bytes]]:
    texts: dict[PurePosixPath, Iterable[bytes]] = {
        PurePosixPath("results.csv"): _csv(result, keep),
        PurePosixPath("summary.json"): [_json(summarise(result))],
        PurePosixPath("run.json"): [_json(run_record(result))],
    }
    if figures:
        from isletsim.figures import draw
        from isletsim.results.figure import sheet

        pictures = _pictures(draw(sheet(result)), result.scenario, Path("figures"))
        texts |= {PurePosixPath(path.as_posix()): pieces for path, pieces in pictures.items()}
    return texts


def write_figure(picture: Figure, name: str, folder: str | Path) -> list[Path]:
    """Write a picture into a folder under a name, as png and svg."""
    return publish(_pictures(picture, name, Path(folder)))


def _pictures(picture: Figure, name: str, folder: Path) -> dict[Path, Iterable[bytes]]:
    from isletsim.figures import render

    stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "figure"
    return {folder / f"{stem}.{kind}": [render(picture, kind)] for kind in ("png", "svg")}


def publish(texts: Mapping[Path, Iterable[bytes]]) -> list[Path]:
    """Write all files beside their places, then rename them; on any failure remove what was begun."""
    waiting: dict[Path, Path] = {}
    try:
        for path, pieces in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            begun = path.with_name(f".{path.name}.{os.getpid()}.part")
            waiting[begun] = path
            with begun.open("wb") as file:
                file.writelines(pieces)
        for begun, path in waiting.items():
            os.replace(begun, path)
    finally:
        for begun in waiting:
            begun.unlink(missing_ok=True)
    return list(texts)


# --- results.csv ------------------------------------------------------------------------------------------------------


def _subjects(result: StudyData, keep: str) -> range:
    if keep not in KEEP:
        raise InputError(Fault(f'keep = "{keep}"', 'Expected "summary" or "full".'))
    return range(int(result.values.shape[1]) if keep == "full" else min(1, int(result.values.shape[1])))


def _csv(result: StudyData, keep: str) -> Iterator[bytes]:
    """The lines of results.csv, one piece a subject. A value that is not there is no line, never NaN.

    All numbers of a subject are formatted by one template; it is made anew only where other values are missing.
    """
    subjects = _subjects(result, keep)
    names = [(_field(variable.name), _field(unit_label(variable))) for variable in result.variables]
    times = [NUMBER % time for time in result.time]
    yield (",".join(COLUMNS) + "\n").encode()
    known, template = b"", ""
    for arm, values in zip(result.arms, result.values, strict=True):
        for subject in subjects:
            finite = np.isfinite(values[subject])
            if finite.tobytes() != known:
                known, template = finite.tobytes(), _template(finite, times, names)
            head = f"{_field(result.scenario)},{_field(arm.name)},{subject},".replace("%", "%%")
            numbers = values[subject][finite] + 0.0  # no negative zero
            yield (template.replace("\0", head) % tuple(numbers.tolist())).encode()


def _template(finite: NDArray[np.bool_], times: list[str], names: list[tuple[str, str]]) -> str:
    ends = [f",{name},".replace("%", "%%") + NUMBER + f",{unit}\n".replace("%", "%%") for name, unit in names]
    rows = zip(times, finite.tolist(), strict=True)
    return "".join(f"\0{time}{end}" for time, there in rows for end, seen in zip(ends, there, strict=True) if seen)


def _field(text: str) -> str:
    """A text as a field of a csv line."""
    text = text.replace("\0", "")
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def columns(result: StudyData, keep: str) -> dict[str, list[Any] | NDArray[np.float64]]:
    """The columns of results.csv, in its order of lines."""
    values = result.values[:, list(_subjects(result, keep))]
    found = np.nonzero(np.isfinite(values))
    arms, subjects, rows, variables = found

    def texts(of: Iterable[str], places: NDArray[np.intp]) -> list[Any]:
        spelled: list[Any] = np.array(list(of), dtype=object)[places].tolist()
        return spelled

    return {
        "scenario": [result.scenario] * len(arms),
        "arm": texts((arm.name for arm in result.arms), arms),
        "subject": subjects.tolist(),
        "time_day": result.time[rows],
        "variable": texts((variable.name for variable in result.variables), variables),
        "value": values[found],
        "unit": texts((unit_label(variable) for variable in result.variables), variables),
    }


# --- summary.json and run.json ----------------------------------------------------------------------------------------


def run_record(result: StudyData) -> dict[str, Any]:
    """What goes into run.json: how the run was made, its arms and doses, and which subjects failed."""
    from isletsim import __version__

    return {
        "scenario": result.scenario,
        "title": result.title,
        "notice": NOTICE,
        "isletsim": __version__,
        **result.run,
        "control": result.arms[result.control].name,
        "arms": {arm.name: _arm(arm) for arm in result.arms},
        "cohort": result.cohort,
        "rows": len(result.time),
        "variables": {variable.name: unit_label(variable) for variable in result.variables},
        "failures": {
            "count": len(result.failures),
            "by_arm": failures_by_arm(result),
            "list": [
                {"arm": each.arm, "subject": each.subject, "time_day": each.time, "message": each.message}
                for each in result.failures
            ],
        },
    }


def _arm(arm: ArmInfo) -> dict[str, Any]:
    doses = zip(arm.dose_times, arm.dose_names, arm.dose_amounts, strict=True)
    return {
        "about": arm.about,
        "layers": list(arm.layers),
        "evidence": arm.evidence,
        "grade": arm.grade,
        "assumed": {"numbers": arm.assumed[0], "of": arm.assumed[1]},
        "carriers": [
            {"number": each.name, "effect_on": each.on, "share": each.share, "grade": each.grade}
            for each in arm.effect_drivers
        ],
        "doses": [{"time_day": time, "into": name, "amount": amount} for time, name, amount in doses],
    }


def _json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(_plain(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers of NumPy become numbers, what is not finite null, what is unknown its text."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value)
