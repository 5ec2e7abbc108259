"""A patient, ranges and a seed become rows of numbers.

Every number has its own random stream, keyed by seed, subject, attempt, purpose and the number's name. Neither another
layer nor another number of workers changes any other draw. A renamed number keeps its draws through `stream`, its
earlier name. Subject 0 is the reference patient, without draws.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from isletsim.composition import Composition, Symbol
from isletsim.errors import Fault, InputError
from isletsim.language import Spread
from isletsim.patient import BoundPatient, Setting
from isletsim.statistics import NORMAL_95

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Draws", "Varying", "collect", "draw", "score", "spread_value"]

PURPOSES = ("varies", "uncertain")  # between people, and of the value itself
BITS = 52  # of a uniform number; half a step more is still below 1


@dataclass(frozen=True)
class Varying:
    """A number that differs between subjects: its middle value (base units), its range, and why (see `PURPOSES`).

    `stream` keys its random draws: its name, or the name that it had before it was renamed.
    """

    name: str
    middle: float
    spread: Spread
    purpose: str
    stream: str

    @cached_property
    def words(self) -> bytes:
        """The part of the key of its random stream that follows the subject."""
        return _words(self.purpose, self.stream)

    @cached_property
    def sides(self) -> tuple[bool, float, float]:
        """See `_sides`."""
        return _sides(self.middle, self.spread)


@dataclass(frozen=True)
class Draws:
    """What differs between subjects, and how some of it goes together.

    `correlated` are places in `varying`; `mixing` is the lower triangle that makes their scores correlated.
    """

    varying: tuple[Varying, ...]
    correlated: tuple[int, ...]
    mixing: NDArray[np.float64]


def collect(composition: Composition, patient: BoundPatient) -> Draws:
    """Everything that varies in a composition for a patient.

    Raises
    ------
    InputError : a computed start varies, or correlations that cannot be.
    """
    settings = {**patient.parameters, **patient.starts}
    varying: list[Varying] = []
    for name, symbol in composition.symbols.items():
        setting = settings.get(name)
        for purpose in PURPOSES:
            spread = _spread(symbol, setting, purpose)
            if spread is None or "[" in name:  # the whole of a chain stands for its classes
                continue
            middle = setting.value if setting is not None else symbol.value
            if middle is None or symbol.classes:
                message = "is computed or a chain; it cannot vary by itself."
                raise InputError(Fault(name, message, "Let the parameters it is computed from vary."))
            varying.append(Varying(name, middle, spread, purpose, symbol.stream or name))
    varying.sort(key=lambda each: (each.purpose, each.stream))
    _check_streams(varying)
    return Draws(tuple(varying), *_mixing(varying, patient))


def _check_streams(varying: list[Varying]) -> None:
    owners: dict[str, str] = {}
    for each in varying:
        other = owners.setdefault(each.stream, each.name)
        if other != each.name:
            message = f'"{other}" and "{each.name}" share the random stream "{each.stream}".'
            raise InputError(Fault(each.name, message, "Take stream out of one of them."))


def _spread(symbol: Symbol, setting: Setting | None, purpose: str) -> Spread | None:
    """The range of a number; where a patient sets another value without a range, that of the model moves along."""
    own: Spread | None = getattr(setting, purpose, None)
    spread: Spread | None = getattr(symbol, purpose)
    if own is not None or spread is None or setting is None or symbol.value is None:
        return own or spread
    if spread.distribution == "normal":
        shift = setting.value - symbol.value
        return replace(spread, low=spread.low + shift, high=spread.high + shift)
    if setting.value > 0 and symbol.value > 0:
        ratio = setting.value / symbol.value
        return replace(spread, low=spread.low * ratio, high=spread.high * ratio)
    return spread


def _mixing(varying: list[Varying], patient: BoundPatient) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    places = {each.name: index for index, each in enumerate(varying) if each.purpose == "varies"}
    streams = {each.name: each.stream for each in varying}
    correlated = {name for pair in patient.correlations for name in (pair.first, pair.second)}
    names = sorted(correlated, key=lambda name: streams.get(name, name))
    for name in names:
        if name not in places:
            raise InputError(Fault(f"patient {patient.name}", f'"{name}" is correlated but does not vary.'))
    matrix = np.eye(len(names))
    for pair in patient.correlations:
        first, second = names.index(pair.first), names.index(pair.second)
        matrix[first, second] = matrix[second, first] = pair.value
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        cure = "Make some of them weaker."
        raise InputError(Fault(f"patient {patient.name}", "its correlations contradict each other.", cure)) from None
    return tuple(places[name] for name in names), np.asarray(lower, dtype=np.float64)


# --- drawing ----------------------------------------------------------------------------------------------------------


@cache
def _inverse_normal() -> Callable[[float], float]:
    """The quantile function of the standard normal distribution (Wichura 1988, AS 241)."""
    from statistics import NormalDist

    return NormalDist().inv_cdf


def score(seed: int, subject: int, attempt: int, purpose: str, name: str) -> float:
    """A standard normal number that depends on these words and on nothing else."""
    return _score(_stream(seed, subject, attempt), _words(purpose, name), _inverse_normal())


def _stream(seed: int, subject: int, attempt: int) -> hashlib.blake2b:
    """What all numbers of a subject's draw begin with."""
    return hashlib.blake2b(f"{seed} {subject} {attempt} ".encode(), digest_size=8)


def _words(purpose: str, name: str) -> bytes:
    return f"{purpose} {name}".encode()


def _score(stream: hashlib.blake2b, words: bytes, inverse: Callable[[float], float]) -> float:
    mine = stream.copy()
    mine.update(words)
    number = int.from_bytes(mine.digest(), "little") >> (64 - BITS)
    return inverse((number + 0.5) / 2.0**BITS)


def draw(draws: Draws, seed: int, subject: int, attempt: int = 0, fixed: Collection[str] = ()) -> dict[str, float]:
    """The numbers of one subject, by name; none for subject 0.

    Parameters
    ----------
    attempt : which draw of the subject, where an earlier one was of no use.
    fixed : names that somebody has set; they do not vary, and no other draw changes by that.
    """
    if subject == 0:
        return {}
    stream, inverse = _stream(seed, subject, attempt), _inverse_normal()
    scores = [_score(stream, each.words, inverse) for each in draws.varying]
    if draws.correlated:
        mixed = draws.mixing @ np.array([scores[place] for place in draws.correlated])
        for place, value in zip(draws.correlated, mixed.tolist(), strict=True):
            scores[place] = value
    values: dict[str, float] = {}
    for each, standard in zip(draws.varying, scores, strict=True):
        if each.name not in fixed:
            start = values.get(each.name, each.middle)
            values[each.name] = _moved(start, each.sides, standard)
    return values


def spread_value(start: float, middle: float, spread: Spread, standard: float) -> float:
    """A value `standard` standard deviations from the middle; the 95 % range is met on both sides.

    `start` differs from `middle` when another spread moved the value before; a lognormal one then multiplies it.
    """
    return _moved(start, _sides(middle, spread), standard)


def _sides(middle: float, spread: Spread) -> tuple[bool, float, float]:
    """Whether a spread multiplies (by the exponential of a number) or adds; and how much above and below the middle."""
    inside = spread.low < middle < spread.high
    if spread.distribution == "normal":
        half = (spread.high - spread.low) / 2
        return (False, spread.high - middle, middle - spread.low) if inside else (False, half, half)
    if inside:
        return True, math.log(spread.high / middle), math.log(middle / spread.low)
    half = math.log(math.sqrt(spread.high / spread.low))
    return True, half, half


def _moved(start: float, sides: tuple[bool, float, float], standard: float) -> float:
    multiplies, above, below = sides
    far = standard / NORMAL_95 * (above if standard > 0 else below)
    return start * math.exp(far) if multiplies else start + far
