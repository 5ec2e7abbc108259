"""A patient, ranges and a seed become rows of numbers.

One stream of random numbers per (seed, subject, purpose): the purpose is a kind of spread in one file, so that a new layer
or another number of workers changes no other draw. Subject 0 is the reference patient, who has no draws.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isletsim.faults import Fault, InputError
from isletsim.layers import Composition
from isletsim.model import Spread
from isletsim.patient import BoundPatient

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Draws", "Varying", "collect", "draw"]

NORMAL_95 = 1.959963984540054  # half the width of a 95 % range in standard deviations


@dataclass(frozen=True)
class Varying:
    """A number that differs between subjects: its middle value (base units), its range, and why."""

    name: str
    middle: float
    spread: Spread
    purpose: str  # "varies" between people, "uncertain" of the value itself


@dataclass(frozen=True)
class Draws:
    """What differs between subjects, and how it goes together."""

    varying: tuple[Varying, ...]
    mixing: Mapping[str, NDArray[np.float64]]  # by purpose: the lower triangle that makes scores correlated


def collect(composition: Composition, patient: BoundPatient, fixed: Iterable[str] = ()) -> Draws:
    """Everything that varies in a composition for a patient; what a scenario fixes does not vary."""
    kept = set(fixed)
    varying: list[Varying] = []
    settings = {**patient.parameters, **patient.starts}
    for name, symbol in composition.symbols.items():
        setting = settings.get(name)
        if name in kept or "[" in name:
            continue
        for purpose in ("varies", "uncertain"):
            spread = getattr(setting, purpose) if setting is not None else None
            spread = spread or getattr(symbol, purpose)
            middle = setting.value if setting is not None else symbol.value
            if spread is not None and middle is not None:
                varying.append(Varying(name, middle, spread, purpose))
    varying.sort(key=lambda each: (each.purpose, each.name))
    return Draws(tuple(varying), {"varies": _mixing(varying, patient)})


def _mixing(varying: list[Varying], patient: BoundPatient) -> NDArray[np.float64]:
    names = [each.name for each in varying if each.purpose == "varies"]
    matrix = np.eye(len(names))
    for pair in patient.correlations:
        for name in (pair.first, pair.second):
            if name not in names:
                raise InputError(Fault(f"patient {patient.name}", f'"{name}" is correlated but does not vary.'))
        first, second = names.index(pair.first), names.index(pair.second)
        matrix[first, second] = matrix[second, first] = pair.value
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        cure = "Make some of them weaker."
        raise InputError(Fault(f"patient {patient.name}", "its correlations contradict each other.", cure)) from None


def draw(draws: Draws, seed: int, subject: int, attempt: int = 0) -> dict[str, float]:
    """The numbers of one subject, by name; none for subject 0."""
    if subject == 0:
        return {}
    files: dict[tuple[str, str], list[int]] = {}
    for index, each in enumerate(draws.varying):
        files.setdefault((each.purpose, each.name.partition(".")[0]), []).append(index)
    flat = np.empty(len(draws.varying))
    for (purpose, file), indices in files.items():
        key = (subject, attempt, zlib.crc32(f"{purpose} {file}".encode()))
        stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
        flat[indices] = stream.standard_normal(len(indices))
    between = [index for index, each in enumerate(draws.varying) if each.purpose == "varies"]
    if between:
        flat[between] = draws.mixing["varies"] @ flat[between]
    values: dict[str, float] = {}
    for each, score in zip(draws.varying, flat, strict=True):
        middle = values.get(each.name, each.middle)
        values[each.name] = spread_value(middle, each.middle, each.spread, float(score))
    return values


def spread_value(start: float, middle: float, spread: Spread, score: float) -> float:
    """A value `score` standard deviations from the middle; the 95 % range is met on both sides.

    `start` differs from `middle` when another spread moved the value before; a lognormal one then multiplies it.
    """
    if spread.distribution == "normal":
        if spread.low < middle < spread.high:
            half = (spread.high - middle) if score > 0 else (middle - spread.low)
        else:
            half = (spread.high - spread.low) / 2
        return start + score / NORMAL_95 * half
    if spread.low < middle < spread.high:
        ratio = spread.high / middle if score > 0 else middle / spread.low
    else:
        ratio = math.sqrt(spread.high / spread.low)
    return start * math.exp(score / NORMAL_95 * math.log(ratio))
