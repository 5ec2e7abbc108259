"""Direct physiological experiments: who, what was done, what was measured, and what a run has to be compared with.

One file a module (`seeds/experiments/*.toml`), protocols as virtual tests beside them (`tests/`), what people live
through before a test (`preparations.toml`), and which experiments no fit may use (`draw.toml`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from isletsim.bibliography import everything
from isletsim.data_files import data_folder
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language import ANY, KeyPath, TomlDocument, Tree, names, read_document
from isletsim.units import Dimension, Unit, convert

__all__ = ["Experiment", "ExperimentValue", "Experiments", "Preparation", "Trial", "read_experiments"]

HEAD = ("title", "module", "about")
_ROW = "about people protocol source mark runs values shown missed note"
ROW = _ROW.split()
_VALUE = "name value se sd n range of measure along where mark direction says shown missed note"
VALUE = _VALUE.split()
RUN = ("patient", "test", "levels", "replays", "preparation", "at")
PREPARATION = ("about", "layers", "courses", "doses")
MARKS = ("text", "memory")
DIRECTIONS = ("up", "down", "none")
USES = ("fitted", "set aside", "shown")
NORMAL = 1.96  # standard errors on either side
LEAST = 0.1  # of a value read in a text: no interval is narrower
RECALLED = 0.25  # of a recalled value without a range
_ID = re.compile(r"P\d{3}")


@dataclass(frozen=True)
class Trial:
    """A test given to a patient: levels that replace those of the test, the trial it replays, and what came before."""

    name: str
    patient: str
    test: str
    levels: tuple[tuple[str, str], ...]
    replays: str
    preparation: str
    at: str


@dataclass(frozen=True)
class Preparation:
    """What people live through before a test: layers, courses and doses as in an arm of a scenario."""

    name: str
    layers: tuple[str, ...]
    courses: tuple[Mapping[str, Any], ...]
    doses: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ExperimentValue:
    """One printed number, its interval, and how it is measured in the runs of its experiment.

    Attributes
    ----------
    number, low, high : in `unit`; None and NaN where no number was printed.
    measure : an expression of the runs' reports. With `along`, many: the value is read off the curve through
        (along, measure) at `where`.
    shown : why it is not scored; empty where it is. missed : why the present model does not reach it.
    """

    name: str
    number: float | None
    unit: Unit | None
    of: str
    low: float
    high: float
    recalled: bool
    says: str
    measure: tuple[Tree, ...]
    along: tuple[Tree, ...]
    where: Tree | float | None
    where_dimension: Dimension
    shown: str
    missed: str
    texts: tuple[str, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class Experiment:
    """A row: what was done with whom, and what was measured."""

    id: str
    module: str
    about: str
    people: str
    protocol: str
    sources: tuple[str, ...]
    recalled: bool
    trials: Mapping[str, Trial]
    values: tuple[ExperimentValue, ...]
    use: str
    note: str
    place: str = field(repr=False)


@dataclass(frozen=True)
class Experiments:
    """All of them, by id."""

    rows: Mapping[str, Experiment]
    preparations: Mapping[str, Preparation]
    folder: Path

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that have rows, in alphabetical order."""
        return tuple(sorted({row.module for row in self.rows.values()}))


@cache
def read_experiments(folder: Path | None = None) -> Experiments:
    """The experiments of a folder, those of the package when none is given; raises `InputError` with every fault."""
    folder = folder or data_folder("seeds") / "experiments"
    special = {"draw", "preparations"}
    pages = [read_document(path) for path in sorted(folder.glob("*.toml")) if path.stem not in special]
    draw, prepared = read_document(folder / "draw.toml"), read_document(folder / "preparations.toml")
    aside = set(draw.names(draw.data, "set_aside", ()))
    preparations = {each.name: each for each in _preparations(prepared)}
    rows: dict[str, Experiment] = {}
    for document in pages:
        document.only(document.data, [*HEAD, *(name for name in document.data if _ID.fullmatch(name))], ())
        module = document.word(document.data, "module", ())
        if module != document.path.stem:
            document.fault(("module",), f'is not "{document.path.stem}", as the file is called.')
        for name in document.data:
            table = document.table(document.data, name, ()) if _ID.fullmatch(name) else {}
            if not table:
                continue
            if name in rows:
                document.fault((name,), f"is also in {rows[name].place}.", "Give it an id of its own.")
            rows[name] = _ExperimentReader(document, name, table, module, name in aside, preparations, folder).read()
    for name in sorted(aside - rows.keys()):
        draw.fault(("set_aside",), f'there is no experiment "{name}".', did_you_mean(name, rows))
    faults: list[Fault] = [fault for document in (*pages, draw, prepared) for fault in document.faults]
    if faults:
        raise InputError(faults)
    return Experiments(dict(sorted(rows.items())), preparations, folder)


def _preparations(document: TomlDocument) -> Iterator[Preparation]:
    for name, table in document.data.items():
        if name in ("title", "about"):
            continue
        if not isinstance(table, dict):
            document.fault((name,), "expected a table.")
            continue
        document.only(table, PREPARATION, (name,))
        lists = [tuple(each for each in document.listing(table, key, (name,))) for key in ("courses", "doses")]
        yield Preparation(name, document.names(table, "layers", (name,)), *lists)


class _ExperimentReader:
    """One experiment as it is read."""

    def __init__(
        self,
        document: TomlDocument,
        name: str,
        table: Mapping[str, Any],
        module: str,
        aside: bool,
        preparations: Mapping[str, Preparation],
        folder: Path,
    ) -> None:
        self.document, self.name, self.table, self.module, self.aside = document, name, table, module, aside
        self.preparations, self.folder = preparations, folder
        self.keys: KeyPath = (name,)

    def read(self) -> Experiment:
        """The experiment; its faults are noted on the document."""
        document, table, keys = self.document, self.table, self.keys
        document.only(table, ROW, keys)
        for key in ("about", "people", "protocol", "mark", "values"):
            if not table.get(key):
                document.fault(keys, f"has no {key}.")
        recalled = document.one_of(table, "mark", keys, MARKS) == "memory"
        sources = self._sources(recalled)
        trials = {name: self._trial(name, each) for name, each in document.table(table, "runs", keys).items()}
        for trial in trials.values():
            if trial.replays and trial.replays not in trials:
                document.fault((*keys, "runs", trial.name), f'replays "{trial.replays}", which is no run of this row.')
        shown = document.word(table, "shown", keys)
        missed = document.word(table, "missed", keys)
        listed = document.listing(table, "values", keys)
        values = tuple(
            value
            for index, each in enumerate(listed)
            if (value := self._value((*keys, "values", index), each, recalled, shown, missed, trials)) is not None
        )
        seen = [value.name for value in values]
        if len(set(seen)) < len(seen):
            document.fault((*keys, "values"), "two values have the same name.")
        use = "shown" if all(value.shown for value in values) else "set aside" if self.aside else "fitted"
        return Experiment(
            id=self.name,
            module=self.module,
            about=document.word(table, "about", keys),
            people=document.word(table, "people", keys),
            protocol=document.word(table, "protocol", keys),
            sources=sources,
            recalled=recalled,
            trials=trials,
            values=values,
            use=use,
            note=" ".join(document.word(table, "note", keys).split()),
            place=document.place(keys),
        )

    def _sources(self, recalled: bool) -> tuple[str, ...]:
        written = self.table.get("source", [])
        sources = (written,) if isinstance(written, str) else self.document.names(self.table, "source", self.keys)
        for source in sources:
            if source not in everything():
                cure = did_you_mean(source, everything())
                self.document.fault((*self.keys, "source"), f'"{source}" is in no bibliography.', cure)
        if not sources and not recalled:
            self.document.fault(self.keys, "has no source.", 'Write source = "Key2012", a key of seeds/references.bib.')
        return sources

    def _trial(self, name: str, table: Any) -> Trial:
        document, keys = self.document, (*self.keys, "runs", name)
        if not isinstance(table, dict):
            document.fault(keys, "expected a table.", 'Write { patient = "healthy_lean", test = "morning" }.')
            table = {}
        document.only(table, RUN, keys)
        levels = document.table(table, "levels", keys)
        test = document.word(table, "test", keys)
        if not (self.folder / "tests" / f"{test}.toml").is_file():
            known = [path.stem for path in self.folder.glob("tests/*.toml")]
            document.fault((*keys, "test"), f'there is no test "{test}".', did_you_mean(test, known))
        preparation = document.word(table, "preparation", keys)
        if bool(preparation) != ("at" in table):
            document.fault(keys, "preparation and at stand together.", 'Write preparation = "...", at = "7 day".')
        return Trial(
            name=name,
            patient=document.word(table, "patient", keys),
            test=test,
            levels=tuple((each, document.word(levels, each, (*keys, "levels"))) for each in levels),
            replays=document.word(table, "replays", keys),
            preparation=preparation,
            at=document.word(table, "at", keys, "0 day"),
        )

    def _value(
        self, keys: KeyPath, table: Any, recalled: bool, shown: str, missed: str, trials: Mapping[str, Trial]
    ) -> ExperimentValue | None:
        document = self.document
        if not isinstance(table, dict):
            document.fault(keys, "expected a table.", 'Write { name = "healthy", value = "5 mmol/L" }.')
            return None
        document.only(table, VALUE, keys)
        mark = document.one_of(table, "mark", keys, MARKS)
        recalled = mark == "memory" if mark else recalled
        number, unit = None, None
        if "value" in table and (found := document.quantity(table["value"], (*keys, "value"))) is not None:
            number, unit = float(f"{convert(found.value, found.unit):.12g}"), found.unit
        direction = document.one_of(table, "direction", keys, DIRECTIONS)
        says = document.word(table, "says", keys) or {"up": "rises", "down": "falls", "none": "no change"}.get(
            direction, ""
        )
        if number is None and not says:
            document.fault(keys, "says nothing.", "Write value, direction or says.")
        low, high = self._interval(table, keys, number, recalled)
        measure, along = self._laws(table, "measure", keys, trials), self._laws(table, "along", keys, trials)
        where: Tree | float | None = None
        dimension: Dimension = ANY
        if "where" in table:
            text = document.word(table, "where", keys)
            if any(name in text for name in (f"{each}." for each in trials)):
                laws = self._laws(table, "where", keys, trials)
                where = laws[0] if laws else None
            elif (level := document.quantity(text, (*keys, "where"))) is not None:
                where, dimension = level.value, level.unit.dimension
        if bool(along) != ("where" in table) or (along and len(along) != len(measure)):
            document.fault(keys, "along, measure and where belong together.", "Write as many of one as of the other.")
        reason = document.word(table, "shown", keys) or shown
        if not reason and number is None:
            reason = "no number was printed"
        if not reason and not measure:
            document.fault(keys, "is neither measured nor shown.", 'Write measure = "run.report", or shown = "why".')
        texts = tuple(str(each) for each in (table.get("measure"), table.get("along")) if each)
        return ExperimentValue(
            name=document.word(table, "name", keys),
            number=number,
            unit=unit,
            of=document.word(table, "of", keys),
            low=low,
            high=high,
            recalled=recalled,
            says=says,
            measure=measure,
            along=along,
            where=where,
            where_dimension=dimension,
            shown=reason,
            missed=document.word(table, "missed", keys) or missed,
            texts=texts,
        )

    def _laws(self, table: Mapping[str, Any], key: str, keys: KeyPath, trials: Mapping[str, Trial]) -> tuple[Tree, ...]:
        written = table.get(key, [])
        found = []
        for text in written if isinstance(written, list) else [written]:
            law = self.document.equation(text, (*keys, key))
            if law is None:
                continue
            found.append(law.tree)
            for name in sorted(names(law.tree)):
                run = name.partition(".")[0]
                if run not in trials:
                    cure = did_you_mean(run, trials) or 'A report of a run is written "run.report".'
                    self.document.fault((*keys, key), f'"{run}" is no run of this row.', cure)
        return tuple(found)

    def _interval(
        self, table: Mapping[str, Any], keys: KeyPath, number: float | None, recalled: bool
    ) -> tuple[float, float]:
        """Within 1.96 standard errors or a tenth, whichever is more; a quarter of what is recalled; a printed range."""
        document = self.document
        if number is None:
            return float("nan"), float("nan")
        if "range" in table:
            ends = document.listing(table, "range", keys)
            if len(ends) != 2 or not all(isinstance(each, (int, float)) for each in ends) or ends[0] > ends[1]:
                document.fault((*keys, "range"), "expected two ends in the unit of the value.")
                return float("nan"), float("nan")
            return float(ends[0]), float(ends[1])
        half = (RECALLED if recalled else LEAST) * abs(number)
        error = self._error(table, keys)
        if not recalled and error is not None:
            half = max(half, NORMAL * error)
        return number - half, number + half

    def _error(self, table: Mapping[str, Any], keys: KeyPath) -> float | None:
        """The standard error: printed, or worked out from the standard deviation and the number of people."""
        size = table.get("se", table.get("sd"))
        if size is None:
            return None
        if not isinstance(size, (int, float)) or size <= 0:
            self.document.fault(keys, "expected a positive size in the unit of the value.")
            return None
        if "se" in table:
            return float(size)
        people = table.get("n")
        if people is None:
            return None
        if not isinstance(people, int) or people < 2:
            self.document.fault((*keys, "n"), "expected a number of people.")
            return None
        return float(size / math.sqrt(people))
