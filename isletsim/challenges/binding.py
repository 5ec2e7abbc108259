"""A test file in terms of a composition: names, units and times checked, everything given as explicit lists."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from isletsim.challenges.module_alone import read_given
from isletsim.challenges.records import STATISTICS, Challenge, ChallengeFile, ChallengeReport, Crossing, Replay
from isletsim.composition import Composition
from isletsim.composition.names import file_word, find_symbol
from isletsim.dosing import Course, Dose, read_courses, read_doses, read_time, whole_names
from isletsim.errors import InputError
from isletsim.language import KeyPath, Mismatch, Name, TomlDocument, Tree, dimension_of
from isletsim.units import DAY, PURE, Dimension, Unit, UnitError, base_unit, through, times

__all__ = ["bind_challenge"]

LONGEST = 60.0  # days of one test
MOST_SAMPLES = 200_000


def bind_challenge(file: ChallengeFile, composition: Composition) -> Challenge:
    """The test in terms of a composition with two clocks; raises `InputError` with every fault of the file."""
    document, data = file.document, file.document.data
    document.faults.clear()
    if composition.clocks is None:
        document.fault(
            (), "needs a model with a day clock, and this one has none.", "Give it to healthy_adult, for example."
        )
        document.finish()
    start = read_time(document, data.get("start", "07:00"), ("start",), whole=False)
    length = read_time(document, data.get("length", "3 hour"), ("length",), whole=False)
    sample, samples = _samples(document, data.get("sample", "5 min"))
    if start is None or length is None or sample is None or not 0 <= start < 1 or not 0 < sample <= length <= LONGEST:
        document.fault((), f"a test starts within a day, lasts at most {LONGEST:g} days, and samples within that.")
        document.finish()
    assert start is not None
    assert length is not None
    assert sample is not None
    if samples and samples[-1] > length:
        document.fault(("sample",), "a sample is taken after the test.")
    if length / sample > MOST_SAMPLES:
        document.fault(("sample",), f"more than {MOST_SAMPLES} samples.", "Sample less often.")
    doses = tuple(read_doses(document, data.get("doses", []), ("doses",), composition, whole=False, at_start=True))
    replayed, courses = _courses(document, data, composition)
    module, given, followed = read_given(document, data, composition)
    replayed = (*replayed, *followed)
    if bool(replayed) != (file.replays is not None):
        cure = 'Write replays = "ogtt" and a course { input = "clamp.aim", replay = "glucose.plasma" }.'
        document.fault(("replays",), "a test that replays another says so, and which inputs follow which curves.", cure)
    day = _day(document, data.get("day", []), composition)
    reports = []
    for name, report in document.table(data, "reports", ()).items():
        found = _Report(document, ("reports", name), report, composition, length).read()
        if found is not None:
            reports.append(found)
    units: dict[str, Unit] = {}
    for each in reports:
        if isinstance(each.value, Name) and each.statistic in ("at", "mean", "highest", "lowest", "change"):
            units.setdefault(each.value.name, each.unit)
    shown = []
    for name in file.shown:
        try:
            symbol = find_symbol(composition, name, place=document.place(("show",)))
            shown.append((symbol, units.get(symbol.name, symbol.unit)))
        except InputError as reason:
            document.faults.extend(reason.faults)
    replays = None
    if file.replays is not None:
        try:
            replays = bind_challenge(file.replays, composition)
        except InputError as reason:
            document.faults.extend(reason.faults)
    document.finish()
    return Challenge(
        name=file.name,
        title=file.title,
        start=start,
        length=length,
        sample=sample,
        samples=samples,
        doses=doses,
        courses=courses,
        shown=tuple(shown),
        reports=tuple(reports),
        usual=data.get("day") == "usual",
        day=day,
        replays=replays,
        replayed=replayed,
        layers=tuple(file_word(layer) for layer in file.layers),
        module=module,
        given=given,
    )


def _samples(document: TomlDocument, written: Any) -> tuple[float | None, tuple[float, ...]]:
    """The time between samples, and the times of samples where these are listed."""
    if not isinstance(written, list):
        return read_time(document, written, ("sample",), whole=False), ()
    times = [read_time(document, each, ("sample",), whole=False) for each in written]
    found = [time for time in times if time is not None]
    if len(found) < len(times):
        return None, ()
    if len(found) < 2 or found[0] < 0 or any(later <= earlier for earlier, later in pairwise(found)):
        document.fault(("sample",), "the times of samples do not go up from 0.", 'Write ["0 min", "30 min"].')
        return None, ()
    return min(later - earlier for earlier, later in pairwise(found)), tuple(found)


def _courses(
    document: TomlDocument, data: Mapping[str, Any], composition: Composition
) -> tuple[tuple[Replay, ...], tuple[Course, ...]]:
    """The inputs that follow another test, and the courses that are written out."""
    items = data.get("courses", [])
    replayed, plain = [], []
    for index, item in enumerate(items if isinstance(items, list) else []):
        if not isinstance(item, dict) or "replay" not in item:
            plain.append(item)
            continue
        keys: KeyPath = ("courses", index)
        document.only(item, ("input", "replay", "about"), keys)
        law = document.equation(item["replay"], (*keys, "replay"))
        value = whole_names(document, law, composition) if law is not None else None
        try:
            symbol = find_symbol(composition, document.word(item, "input", keys), ("input",), document.place(keys))
        except InputError as reason:
            document.faults.extend(reason.faults)
            continue
        if value is None or law is None:
            continue
        found = _dimension(document, value, law.text, (*keys, "replay"), composition)
        if found is not None and found != symbol.unit.dimension:
            document.fault((*keys, "replay"), f"{law.text} has not the dimension of {symbol.name}.")
        replayed.append(Replay(symbol.name, value))
    listed = plain if isinstance(items, list) else items
    return tuple(replayed), tuple(read_courses(document, listed, ("courses",), composition, whole=False, at_start=True))


def _day(document: TomlDocument, items: Any, composition: Composition) -> tuple[Dose, ...]:
    """What every day of the test brings; nothing where it is the patient's own."""
    if items == "usual":
        return ()
    if not isinstance(items, list):
        document.fault(("day",), 'expected "usual" or [[day]] entries.', 'Write day = "usual".')
        return ()
    doses = read_doses(document, items, ("day",), composition, whole=False, at_start=True)
    for index, item in enumerate(items):
        if isinstance(item, Mapping) and ({"every", "times", "over"} & item.keys() or "at" not in item):
            document.fault(("day", index), "has into, amount and a time of day.", 'Write at = "07:00".')
    if any(not 0 <= dose.time < 1 for dose in doses):
        document.fault(("day",), "has a time that is no time of day.", 'Write at = "07:00".')
    return tuple(doses)


def _dimension(
    document: TomlDocument, tree: Tree, text: str, keys: KeyPath, composition: Composition
) -> Dimension | None:
    """The dimension of a tree over whole names."""

    def of_name(name: str) -> Dimension:
        return DAY.dimension if name == "time" else _symbol_unit(composition, name).dimension

    try:
        return dimension_of(tree, of_name, text)
    except Mismatch as wrong:
        document.fault(keys, wrong.message, "", text, wrong.span)
        return None


def _symbol_unit(composition: Composition, name: str) -> Unit:
    """The unit of a whole name."""
    return find_symbol(composition, name).unit


class _Report:
    """One report as it is read."""

    def __init__(
        self, document: TomlDocument, keys: KeyPath, report: Mapping[str, Any], composition: Composition, length: float
    ) -> None:
        self.document, self.keys, self.report = document, keys, report
        self.composition, self.length = composition, length

    def read(self) -> ChallengeReport | None:
        """The report; None after a fault."""
        value = self._curve(self.report, "value", self.keys)
        if value is None:
            return None
        tree, dimension = value
        statistic = next((key for key in STATISTICS if key in self.report), "at")
        against = self._curve(self.report, "against", self.keys) if "against" in self.report else None
        crossing = None
        if statistic == "at" and isinstance(self.report["at"], dict):
            crossing = self._crossing(self.report["at"])
            span = (0.0, self.length) if crossing is not None else None
        else:
            span = self._span(statistic)
        unit = self._unit(_made(statistic, dimension, against[1] if against else DAY.dimension), tree)
        if span is None or unit is None or ("against" in self.report and against is None):
            return None
        about = self.document.word(self.report, "about", self.keys)
        other = against[0] if against else None
        return ChallengeReport(str(self.keys[-1]), tree, unit, *span, about, statistic, other, crossing)

    def _curve(self, holder: Mapping[str, Any], key: str, keys: KeyPath) -> tuple[Tree, Dimension] | None:
        law = self.document.equation(holder.get(key), (*keys, key))
        tree = whole_names(self.document, law, self.composition) if law is not None else None
        if tree is None or law is None:
            return None
        dimension = _dimension(self.document, tree, law.text, (*keys, key), self.composition)
        return None if dimension is None else (tree, dimension)

    def _span(self, statistic: str) -> tuple[float, float] | None:
        written = self.report[statistic]
        ends = [written, written] if statistic == "at" else written
        if not isinstance(ends, list) or len(ends) != 2:
            self.document.fault(
                (*self.keys, statistic), "expected two times.", f'Write {statistic} = ["0 min", "2 hour"].'
            )
            return None
        begin, end = (read_time(self.document, each, self.keys, whole=False) for each in ends)
        if begin is None or end is None:
            return None
        if not 0 <= begin <= end <= self.length or (statistic != "at" and begin == end):
            self.document.fault(self.keys, "the times lie outside the test.")
            return None
        return begin, end

    def _crossing(self, table: Mapping[str, Any]) -> Crossing | None:
        keys: KeyPath = (*self.keys, "at")
        curve = self._curve(table, "when", keys)
        rises = "rises_to" in table
        written = table.get("rises_to" if rises else "falls_to")
        since = read_time(self.document, table.get("since", "0 min"), keys, whole=False)
        if curve is None or since is None:
            return None
        share = isinstance(written, str) and written.rstrip().endswith("%") and curve[1] != PURE
        of = find_symbol(self.composition, curve[0].name).of if isinstance(curve[0], Name) else ""
        level = self.document.quantity(written, keys, PURE if share else curve[1], of)
        return None if level is None else Crossing(curve[0], rises, level.value, share, since)

    def _unit(self, dimension: Dimension, tree: Tree) -> Unit | None:
        """The unit of the number, its own where none is written."""
        plain = find_symbol(self.composition, tree.name) if isinstance(tree, Name) and tree.name != "time" else None
        if "unit" not in self.report:
            return plain.unit if plain is not None and plain.unit.dimension == dimension else base_unit(dimension)
        named = self.document.unit(self.document.word(self.report, "unit", self.keys), (*self.keys, "unit"))
        if named is None:
            return None
        of = self.document.word(self.report, "of", self.keys) or (plain.of if plain is not None else "")
        try:
            return through(named, dimension, of)
        except UnitError as reason:
            self.document.fault((*self.keys, "unit"), reason.message, reason.cure)
            return None


def _made(statistic: str, value: Dimension, against: Dimension) -> Dimension:
    """The dimension of a statistic."""
    if statistic.startswith("area"):
        return times(value, DAY.dimension)
    if statistic.startswith("time_of"):
        return DAY.dimension
    if statistic == "slope":
        return times(value, against, -1.0)
    if statistic == "decay":
        return times(PURE, DAY.dimension, -1.0)
    return value
