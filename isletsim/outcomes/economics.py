"""Economic settings from files: perspective, horizon, discounting, unit costs, utilities; the worth of a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isletsim.data_files import data_folder
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import KeyPath, TomlDocument, read_document
from isletsim.outcomes.draws import generator
from isletsim.statistics import NORMAL_95

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isletsim.outcomes.microsimulation import LifeCourse

__all__ = [
    "Economics", "Item", "Worth", "discount_factors", "draw_economics", "economics_files", "load_economics",
    "therapy_cost", "value",
]  # fmt: skip

RULES = ("add", "multiply", "minimum")
_KEYS = (
    "title", "source", "assumed", "about", "perspective", "country", "horizon", "discount", "currency", "year", "rule",
    "willingness_to_pay", "background", "utilities", "costs", "half_cycle",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A cost or decrement of utility in the year of an event, in each later year, and at a fatal event; with its range.

    `spread` is the standard error of `first`, 0 where none was published.
    """

    first: float
    later: float
    fatal: float | None = None
    spread: float = 0.0
    source: str = ""
    assumed: str = ""


@dataclass(frozen=True)
class Economics:
    """The settings of an economic evaluation, as a file says; `utilities` are negative decrements by event.

    Attributes
    ----------
    rule : how decrements combine: they add, multiply (as factors of the base), or the worst one counts.
    discount_costs, discount_effects : yearly rates. half_cycle : whether the year of death counts for half.
    base : utility without complications; base_age adds a slope per year of age above base_age_from.
    """

    name: str
    title: str
    perspective: str
    country: str
    horizon: int
    currency: str
    year: int
    discount_costs: float
    discount_effects: float
    rule: str
    half_cycle: bool
    willingness_to_pay: tuple[float, ...]
    base: Item
    base_age: tuple[float, float]
    bmi_above_25: Item
    background: Item
    background_age: tuple[float, float]
    utilities: Mapping[str, Item]
    costs: Mapping[str, Item]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worth:
    """What each person's history is worth: arrays (people,)."""

    life_years: NDArray[np.float64]
    discounted_life_years: NDArray[np.float64]
    qalys: NDArray[np.float64]
    undiscounted_qalys: NDArray[np.float64]
    costs: NDArray[np.float64]
    undiscounted_costs: NDArray[np.float64]


def economics_files() -> dict[str, Path]:
    """Return the economic settings of the package by name."""
    return {path.stem: path for path in sorted((data_folder("models") / "outcomes" / "economics").glob("*.toml"))}


@cache
def load_economics(wanted: str | Path) -> Economics:
    """Return economic settings by name ("uk") or by the path of a file; raises `InputError` with every fault."""
    known = economics_files()
    path = known.get(str(wanted), Path(wanted))
    if str(wanted) not in known and not (path.suffix == ".toml" and path.is_file()):
        cure = did_you_mean(str(wanted), list(known)) or f"Known are: {', '.join(known)}."
        raise InputError(Fault(str(wanted), f'There are no economic settings "{wanted}".', cure))
    document = read_document(path)
    found = _read(document, document.table(document.data, "economics", ()))
    document.finish()
    return found


def _read(document: TomlDocument, data: Mapping[str, Any]) -> Economics:
    document.only(document.data, ("economics",), ())
    keys: KeyPath = ("economics",)
    document.only(data, _KEYS, keys)
    for key in ("perspective", "horizon", "discount", "currency", "year", "utilities", "costs"):
        if key not in data:
            document.fault(
                keys, f'"{key}" is missing.', "An evaluation states perspective, horizon, discounting, currency, year."
            )
    utilities, costs = document.table(data, "utilities", keys), document.table(data, "costs", keys)
    discount = document.table(data, "discount", keys)
    base, background = document.table(utilities, "base", keys), document.table(costs, "background", keys)
    items = {
        kind: {
            name: _item(document, each, (*keys, kind, name))
            for name, each in table.items()
            if name not in ("base", "background", "bmi_above_25")
        }
        for kind, table in (("utilities", utilities), ("costs", costs))
    }
    return Economics(
        name=document.path.stem,
        title=document.word(data, "title", keys),
        perspective=document.word(data, "perspective", keys),
        country=document.word(data, "country", keys),
        horizon=document.integer(data, "horizon", keys, 40, 1, 100),
        currency=document.word(data, "currency", keys),
        year=document.integer(data, "year", keys, 0, 0, 2100),
        discount_costs=float(discount.get("costs", 0.0)),
        discount_effects=float(discount.get("effects", 0.0)),
        rule=document.one_of(data, "rule", keys, RULES, "add"),
        half_cycle=bool(data.get("half_cycle", True)),
        willingness_to_pay=tuple(float(each) for each in document.listing(data, "willingness_to_pay", keys)),
        base=_item(document, base or 1.0, (*keys, "utilities", "base")),
        base_age=_slope(base),
        bmi_above_25=_item(document, utilities.get("bmi_above_25", 0.0), (*keys, "utilities", "bmi_above_25")),
        background=_item(document, background or 0.0, (*keys, "costs", "background")),
        background_age=_slope(background),
        utilities=items["utilities"],
        costs=items["costs"],
        sources=tuple(str(data[key]) for key in ("source", "assumed") if key in data),
    )


def _slope(table: Mapping[str, Any]) -> tuple[float, float]:
    """Return the change per year of age, and the age from which it counts."""
    return float(table.get("per_year_of_age", 0.0)), float(table.get("at_age", 0.0))


def _item(document: TomlDocument, value: Any, keys: KeyPath) -> Item:
    if isinstance(value, (int, float)):
        return Item(float(value), float(value))
    if not isinstance(value, dict):
        document.fault(keys, f"expected a number or a table, found {value!r}.")
        return Item(0.0, 0.0)
    document.only(
        value,
        ("first", "later", "fatal", "low", "high", "spread", "source", "assumed", "per_year_of_age", "at_age"),
        keys,
    )
    first = float(value.get("first", 0.0))
    spread = float(value.get("spread", 0.0))
    if "low" in value and "high" in value:
        spread = (float(value["high"]) - float(value["low"])) / (2.0 * NORMAL_95)
    fatal = float(value["fatal"]) if "fatal" in value else None
    source, assumed = str(value.get("source", "")), str(value.get("assumed", ""))
    return Item(first, float(value.get("later", first)), fatal, spread, source, assumed)


def discount_factors(rate: float, years: int) -> NDArray[np.float64]:
    """Return (1 + rate)**-k for the years k = 0 ... years - 1."""
    return np.asarray((1.0 + rate) ** -np.arange(years, dtype=float), float)


def value(history: LifeCourse, economics: Economics) -> Worth:
    """Return life years, quality-adjusted life years and costs of each person.

    An event counts from the year in which it happens: costs with the cost of the first year and then of later years,
    utilities likewise. The year of death counts for half where `half_cycle` says so.
    """
    years = min(history.years, economics.horizon)
    alive, died = history.alive[:years], history.died[:years]
    lived = alive - 0.5 * died if economics.half_cycle else alive.astype(float)
    age = np.asarray(history.covariates["age"], float) + np.arange(years, dtype=float).reshape(
        -1, *([1] * np.ndim(history.covariates["age"]))
    )
    quality = _quality(history, economics, years, age)
    spent = _spent(history, economics, years, age, alive, died)
    effects = discount_factors(economics.discount_effects, years)[:, None]
    later = discount_factors(economics.discount_costs, years)[:, None]
    return Worth(
        life_years=lived.sum(axis=0),
        discounted_life_years=(lived * effects).sum(axis=0),
        qalys=(lived * quality * effects).sum(axis=0),
        undiscounted_qalys=(lived * quality).sum(axis=0),
        costs=(spent * later).sum(axis=0),
        undiscounted_costs=spent.sum(axis=0),
    )


def _per_age(item: Item, slope: tuple[float, float], age: NDArray[np.float64], people: int) -> NDArray[np.float64]:
    return np.broadcast_to(
        (item.first + slope[0] * (age - slope[1] if slope[0] else 0.0 * age)).reshape(len(age), -1), (len(age), people)
    )


def _column(value: Any, years: int, people: int) -> NDArray[np.float64]:
    """Return a covariate as (year, people)."""
    array = np.asarray(value, float)
    if array.ndim == 1 and len(array) != people:
        array = array[:years, None]
    return np.broadcast_to(array[:years] if array.ndim == 2 else array, (years, people))


def _quality(history: LifeCourse, economics: Economics, years: int, age: NDArray[np.float64]) -> NDArray[np.float64]:
    people = history.people
    base = _per_age(economics.base, economics.base_age, age, people)
    total = np.zeros((years, people))
    factor, worst = np.ones((years, people)), np.zeros((years, people))
    if economics.bmi_above_25.first and "bmi" in history.covariates:
        total += economics.bmi_above_25.first * np.maximum(
            _column(history.covariates["bmi"], years, people) - 25.0, 0.0
        )
    for name, item in economics.utilities.items():
        had, now = _had(history, name, years)
        if had is None:
            continue
        decrement = np.where(had, np.where(now, item.first, item.later), 0.0)
        if economics.rule == "add":
            total += decrement
        elif economics.rule == "multiply":
            factor *= 1.0 + decrement / economics.base.first
        else:
            worst = np.minimum(worst, decrement)
    return np.asarray((base + total + worst) * factor, float)


def _had(history: LifeCourse, name: str, years: int) -> tuple[Any, Any]:
    """Return whether an event, or a class such as albuminuria, had happened by each year, and whether in it."""
    if name in history.occurred:
        return history.count(name)[:years] > 0, history.occurred[name][:years]
    if name in history.covariates:
        had = _column(history.covariates[name], years, history.people) > 0
        return had, np.zeros_like(had)
    return None, None


def _spent(
    history: LifeCourse,
    economics: Economics,
    years: int,
    age: NDArray[np.float64],
    alive: NDArray[np.bool_],
    died: NDArray[np.bool_],
) -> NDArray[np.float64]:
    people = history.people
    share = alive - 0.5 * died if economics.half_cycle else alive.astype(float)
    spent = share * _per_age(economics.background, economics.background_age, age, people)
    for name, item in economics.costs.items():
        had, now = _had(history, name, years)
        if had is None:
            continue
        first = np.where(died, item.first if item.fatal is None else item.fatal, item.first)
        spent = spent + np.where(now, first, np.where(had, item.later * share, 0.0)) * alive
    return np.asarray(spent, float)


def therapy_cost(price: Any, times: int = 1, every: float = 1.0, rate: float = 0.0) -> float:
    """Return the discounted cost of a therapy that is given `times` times, `every` so many years.

    Raises
    ------
    InputError : no price was given. There is no default, since none of the sources of this project names one.
    """
    if price is None:
        cure = "Give it in the currency of the economic settings, for example --price msc=20000."
        raise InputError(Fault("price of the therapy", "The price is the user's and was not given.", cure))
    moments = np.arange(times) * every
    return float(price) * float(((1.0 + rate) ** -moments).sum())


def draw_economics(economics: Economics, draw: int, seed: int = 0) -> Economics:
    """Return settings with drawn values: utilities normal within their published range, costs gamma.

    A number without a published spread gets a standard error of a tenth of it for costs (assumed), none for utilities.
    """

    def utility(name: str, item: Item) -> Item:
        shift = item.spread * float(generator(seed, "utility", name, draw).standard_normal())
        return replace(item, first=item.first + shift, later=item.later + shift)

    def cost(name: str, item: Item) -> Item:
        share = item.spread / item.first if item.spread and item.first else 0.1
        factor = float(generator(seed, "cost", name, draw).gamma(1.0 / share**2, share**2))
        fatal = None if item.fatal is None else item.fatal * factor
        return replace(item, first=item.first * factor, later=item.later * factor, fatal=fatal)

    return replace(
        economics,
        base=utility("base", economics.base),
        bmi_above_25=utility("bmi_above_25", economics.bmi_above_25),
        background=cost("background", economics.background),
        utilities={name: utility(name, item) for name, item in economics.utilities.items()},
        costs={name: cost(name, item) for name, item in economics.costs.items()},
    )
