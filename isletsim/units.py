"""Quantity text in, plain number out, and back again.

Inside the engine every number is in one coherent set of units (`BASE`); a `Unit` carries the factor and offset that
lead there and its dimension. pint reads the unit texts against the project's own registry (`models/units.txt`); what
it found is remembered in the user's cache, so that a start that meets no new unit text never imports pint.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from isletsim import cache as store
from isletsim.data_files import data_folder
from isletsim.errors import did_you_mean

__all__ = [
    "BASE",
    "DAY",
    "GLYCATION",
    "PURE",
    "Dimension",
    "Quantity",
    "Unit",
    "UnitError",
    "base_unit",
    "convert",
    "days",
    "describe",
    "grid_times",
    "on_grid",
    "quantity",
    "raised",
    "show",
    "through",
    "times",
    "unit",
    "unit_label",
]

Dimension = tuple[tuple[str, float], ...]  # sorted (pint's dimension name, exponent), no zero exponents

# The coherent set: everything inside the engine is a product of powers of these.
BASE = {
    "[time]": "day",
    "[mass]": "mg",
    "[length]": "dm",
    "[substance]": "pmol",
    "[cells]": "Mcell",
    "[islet_equivalents]": "IEQ",
    "[particles]": "particle",
    "[glycation]": "percent_NGSP",
    "[energy]": "kcal",
    "[pressure]": "mmHg",
}
PURE: Dimension = ()
GLYCATION: Dimension = (("[glycation]", 1.0),)
TIME: Dimension = (("[time]", 1.0),)
GRID = 86_400_000_000  # instants of a day on the grid of times: microseconds
FINEST = 1e-6  # days; shorter spans are left as they are: a microsecond is no longer small beside them


class UnitError(ValueError):
    """A quantity or unit text that cannot be read, or a value of the wrong dimension; `cure` says what to write."""

    def __init__(self, message: str, cure: str = "") -> None:
        self.message, self.cure = message, cure
        super().__init__(f"{message} {cure}".strip())


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it was written: base value = factor * value + offset."""

    text: str
    factor: float
    offset: float
    dimension: Dimension


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written: its value in `BASE` units and the unit it was written in."""

    value: float
    unit: Unit


# --- dimensions -------------------------------------------------------------------------------------------------------


def times(left: Dimension, right: Dimension, power: float = 1.0) -> Dimension:
    """The dimension of left * right ** power."""
    if not right:
        return left
    exponents = dict(left)
    for name, exponent in right:
        exponents[name] = exponents.get(name, 0.0) + exponent * power
    return tuple(sorted((name, exponent) for name, exponent in exponents.items() if abs(exponent) > 1e-12))


def raised(dimension: Dimension, power: float) -> Dimension:
    """The dimension of a quantity raised to a power."""
    return times(PURE, dimension, power)


def describe(dimension: Dimension) -> str:
    """A dimension in words, for messages: ``[mass]/[length]**3``, or ``a pure number``."""
    if not dimension:
        return "a pure number"
    above = [_powered(name, exponent) for name, exponent in dimension if exponent > 0]
    below = [_powered(name, -exponent) for name, exponent in dimension if exponent < 0]
    return ("*".join(above) or "1") + "".join(f"/{each}" for each in below)


def _powered(name: str, exponent: float) -> str:
    return name if exponent == 1 else f"{name}**{exponent:g}"


@cache
def base_unit(dimension: Dimension) -> Unit:
    """The coherent unit of a dimension: factor 1."""
    above = [_powered(BASE[name], exponent) for name, exponent in dimension if exponent > 0]
    below = [_powered(BASE[name], -exponent) for name, exponent in dimension if exponent < 0]
    text = "*".join(above) + "".join(f"/{each}" for each in below)
    return Unit(f"1{text}" if text.startswith("/") else text, 1.0, 0.0, dimension)


# --- reading units ----------------------------------------------------------------------------------------------------

# What a unit text may hold: names, 1, products, quotients, brackets, and literal powers that are no towers.
_POWER = r"(?:\*\*|\^)\s*(?:\(\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\)|(-?[0-9]+(?:\.[0-9]+)?))(?!\s*(?:\*\*|\^)|[\w.])"
_SAFE = re.compile(rf"(?:(?<![\w%])(?:[A-Za-z_µμ%][A-Za-z0-9_µμ]*|1(?![\w.%]))|[\s/()]|(?<!\*)\*(?!\*)|{_POWER})*")
LONGEST = 80  # characters of a unit
HIGHEST = 12  # largest power in a unit


@cache
def _memory() -> tuple[str, dict[str, Any]]:
    text = (data_folder("models") / "units.txt").read_text(encoding="utf-8")
    name = store.fingerprint("units", text, Path(__file__).read_bytes())
    try:
        known = json.loads(store.load("units", name) or b"{}")
    except ValueError:
        known = {}
    return name, known if isinstance(known, dict) else {}


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(str(data_folder("models") / "units.txt"))


@cache
def unit(text: str) -> Unit:
    """The unit a text names; ``""`` is the unit of pure numbers. Raises `UnitError` for what the registry lacks."""
    name, known = _memory()
    found = _remembered(text, known.get(text))
    if found is None:
        found = _ask_pint(text)
        known[text] = [found.factor, found.offset, list(found.dimension)]
        store.save("units", name, json.dumps(known).encode())
    return found


def _remembered(text: str, kept: Any) -> Unit | None:
    try:
        factor, offset, dimension = kept
        return Unit(text, float(factor), float(offset), tuple((str(key), float(power)) for key, power in dimension))
    except (TypeError, ValueError):
        return None


def _ask_pint(text: str) -> Unit:
    if len(text) > LONGEST:
        raise UnitError(f'"{text[:LONGEST]}..." is not a unit.', 'Write it as "mg/dL" or "1/day".')
    spelled = text.strip().replace("%", " percent ").strip()
    if spelled.startswith("/"):
        spelled = "1" + spelled
    powers = [float(first or second) for first, second in re.findall(_POWER, spelled)]
    if not _SAFE.fullmatch(text) or any(abs(power) > HIGHEST for power in powers):
        raise UnitError(f'"{text}" is not a unit.', 'Write it as "mg/dL" or "1/day".')
    registry = _registry()
    try:
        parsed = registry.parse_units(spelled)
        alone = list(dict(parsed._units).values()) == [1]
        offset = float(registry.Quantity(0.0, parsed).to_base_units().magnitude) if alone else 0.0
        steps = registry.parse_units(f"delta_{spelled}") if offset else parsed
        factor = float(registry.get_base_units(steps)[0])
        dimensions = registry.get_dimensionality(parsed)
    except Exception:  # noqa: BLE001 - pint raises many kinds for a bad text, all mean the same here
        raise _unknown(text, spelled) from None
    dimension = tuple(sorted((str(key), float(power)) for key, power in dimensions.items() if power))
    try:
        for key, power in dimension:
            factor /= float(registry.get_base_units(registry.parse_units(BASE[key]))[0]) ** power
    except ArithmeticError:
        factor = math.inf
    if not (math.isfinite(factor) and factor > 0):
        raise UnitError(f'"{text}" is beyond the range of numbers.')
    return Unit(text, float(f"{factor:.15g}"), offset, dimension)


def _unknown(text: str, spelled: str) -> UnitError:
    words = re.findall(r"[A-Za-z_µμ]+", spelled)
    wrong = next((word for word in words if not _is_known(word)), "")
    if wrong:
        shown = f'"{wrong}" in "{text}"' if wrong != text else f'"{text}"'
        return UnitError(f"{shown} is not a unit of the registry.", did_you_mean(wrong, _common_units()))
    power = re.search(r"([A-Za-z])(\d)", spelled)
    cure = f'Write a power as "{power.group(1)}**{power.group(2)}".' if power else 'Write it as "mg/dL" or "1/day".'
    return UnitError(f'"{text}" is not a unit.', cure)


def _is_known(word: str) -> bool:
    try:
        return word in _registry()
    except Exception:  # noqa: BLE001 - a word that pint takes for a number, such as nan
        return False


def _common_units() -> list[str]:
    spelled = "mg kg g dL mL L mmol nmol pmol umol uU mU U IU day min hour week month year cell Mcell IEQ kIEQ particle"
    return [*spelled.split(), "percent", "percent_NGSP", "mmol_per_mol_IFCC", "kcal", "mmHg", "kDa", "pg", "ng", "ug"]


# --- reading quantities -----------------------------------------------------------------------------------------------

_QUANTITY = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.])\s*(.*?)\s*", re.DOTALL)


def quantity(text: Any, like: Dimension | None = None, of: str = "") -> Quantity:
    """The quantity a text (or bare number) says.

    Parameters
    ----------
    text : ``"5 mmol/L"``, ``"0.76"`` or a number. A bare number is a pure number.
    like : the dimension that is expected; None accepts any. Where it is HbA1c, "%" means NGSP
        and "mmol/mol" IFCC.
    of : the substance, so that mass and amount may stand for each other (through its molar mass).

    Raises
    ------
    UnitError : unreadable, not finite, or of another dimension.
    """
    if isinstance(text, bool) or not isinstance(text, (str, Real)):
        raise UnitError(f"expected a quantity such as {_example(like)}, found {text!r}.")
    if isinstance(text, Real):  # of NumPy too, whose text is no number
        text = int(text) if isinstance(text, Integral) else float(text)
    spelled_out = text if isinstance(text, str) else repr(text)
    match = _QUANTITY.fullmatch(spelled_out) if len(spelled_out) <= 2 * LONGEST else None
    if match is None:
        shown = spelled_out if len(spelled_out) <= LONGEST else f"{spelled_out[:LONGEST]}..."
        raise UnitError(f'"{shown}" is not a quantity.', f"Write a number and a unit, for example {_example(like)}.")
    number, spelled = float(match.group(1)), match.group(2)
    if not math.isfinite(number):
        raise UnitError(f'"{text}" is beyond the range of numbers.')
    if like == GLYCATION:
        spelled = {"%": "percent_NGSP", "mmol/mol": "mmol_per_mol_IFCC"}.get(spelled, spelled)
    if not spelled and like:
        raise UnitError(f'"{text}" has no unit.', f"Expected {describe(like)}, for example {_example(like)}.")
    found = unit(spelled)
    value = found.factor * number + found.offset
    if like is not None and found.dimension != like:
        value *= _bridge(found.dimension, like, of, str(text))
    if not math.isfinite(value):
        raise UnitError(f'"{text}" is beyond the range of numbers.')
    return Quantity(value, found)


def _bridge(found: Dimension, like: Dimension, of: str, text: str) -> float:
    """The factor from one dimension to another through the molar mass of a substance; `UnitError` where none leads."""
    wrong = UnitError(f'"{text}" is {describe(found)}; expected {describe(like)}.', f"For example {_example(like)}.")
    if not of:
        raise wrong
    molar = unit(f"molar_mass_{of}")
    for power in (1.0, -1.0):
        if times(found, molar.dimension, power) == like:
            return float(molar.factor**power)
    raise wrong


def through(shown: Unit, like: Dimension, of: str) -> Unit:
    """A unit that shows values of another dimension through the molar mass of a substance; raises `UnitError`."""
    if shown.dimension == like:
        return shown
    return Unit(shown.text, shown.factor * _bridge(shown.dimension, like, of, shown.text), 0.0, like)


def _example(like: Dimension | None) -> str:
    return f'"1 {base_unit(like).text}"'.replace("1 1/", "1 /") if like else '"1.5" or "5 mmol/L"'


def grid_times(spacing: float, begin: float, end: float) -> list[float]:
    """Return times at a spacing from a first one on, on the grid of `on_grid`; the last one is the end itself."""
    count = int((end - begin) / spacing * (1 + 1e-12) + 1e-9)
    times = [on_grid(begin + spacing * number) for number in range(count + 1)]
    if abs(times[-1] - end) <= 1e-9 * max(1.0, abs(end)):
        times.pop()
    return [*times, end]


def convert(value: Any, target: Unit) -> Any:
    """A value (or array) in base units, as a number in the target unit."""
    return (value - target.offset) / target.factor


def show(value: float, target: Unit) -> str:
    """A base value as text in a unit, for people."""
    label = {"percent_NGSP": "%", "mmol_per_mol_IFCC": "mmol/mol"}.get(target.text, target.text)
    return f"{convert(value, target):.6g} {label}".strip()


def days(text: Any) -> float:
    """A span of time in days, on the grid of times: ``"3 month"``, ``"30 min"``. Months are 30.4375 d."""
    return on_grid(quantity(text, TIME).value)


def on_grid(time: float) -> float:
    """Return the number of days that all spellings of one time share.

    "24 hour", "1440 min" and "1 day" differ in their last bits; so do 0.1 + 0.2 and 0.3. Each is moved to the nearest
    microsecond, whose number of days is always the same floating-point number, so that times can be compared exactly.

    Parameters
    ----------
    time : days; infinite, and shorter than 0.1 s, it is returned as it is.
    """
    return round(time * GRID) / GRID if FINEST <= abs(time) < math.inf else time


DAY = Unit("day", 1.0, 0.0, TIME)


LABELS = {"percent_NGSP": "%", "percent": "%", "mmol_per_mol_IFCC": "mmol/mol"}
_LABELLED = re.compile(r"\b(?:" + "|".join(LABELS) + r")\b")


def unit_label(text: str) -> str:
    """Return a unit text as people write it: "%" for `percent_NGSP`."""
    return _LABELLED.sub(lambda found: LABELS[found[0]], text)
