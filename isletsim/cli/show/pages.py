"""One page for each kind of file: models with their equations, patients, virtual tests, and studies of all these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isletsim.bibliography import read, short
from isletsim.challenges import read_challenge
from isletsim.cli.show.listing import Ink, Shelf, columns, listing, paragraph
from isletsim.composition import superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import find, kind_of
from isletsim.evidence import read_flags
from isletsim.language import ModelFile, TomlDocument
from isletsim.patient import read_patient
from isletsim.results.evidence_labels import in_words
from isletsim.study import load_scenario
from isletsim.study.check import files_of_challenge, files_of_patient, surroundings

__all__ = ["PAGES", "model_pages", "models_of"]


def models_of(kind: str, path: Path) -> list[Path]:
    """The models that a file speaks of."""
    if kind == "model":
        return [path]
    if kind == "scenario":
        return [each for each in load_scenario(path).files if kind_of(each) == "model"]
    names = files_of_patient(read_patient(path)) if kind == "patient" else files_of_challenge(read_challenge(path))
    return [find("model", name) for name in names]


def model_pages(wanted: Sequence[Path], ink: Ink, alone: bool = False) -> Iterator[str]:
    """Who feeds whom, then file by file; `alone`: the files are a whole stack, and nothing is added to it."""
    files = {file.name: file for file in (read_stack(wanted, follow=False) if alone else surroundings(wanted))}
    shelf = Shelf(files, superpose(files.values()), ink)
    shown = [files[path.stem] for path in wanted]
    yield from _map(shelf, {file.name for file in shown})
    for file in shown:
        yield from _head(file, ink)
        yield from listing(shelf, file)
        yield ""


def _map(shelf: Shelf, shown: set[str]) -> Iterator[str]:
    """Which file feeds which, through what."""
    feeds: dict[tuple[str, str], list[str]] = {}
    for file in shelf.files.values():
        for other, borrowed in file.uses.items():
            feeds.setdefault((other, file.name), []).extend(borrowed)
        for mark, contributions in (("+~", file.adds), ("×~", file.scales)):
            for target, _ in contributions:
                other, _, name = target.partition(".")
                feeds.setdefault((file.name, other), []).append(mark + name)
    feeds = {pair: names for pair, names in feeds.items() if shown & set(pair) and set(pair) <= set(shelf.files)}
    if not feeds:
        return
    yield shelf.ink.heading("Who feeds whom") + shelf.ink.aside("   (read;  + joins a law;  × scales one)")
    widths = [max(len(pair[side]) for pair in feeds) for side in (0, 1)]
    for (giver, taker), names in feeds.items():
        left = f"  {giver:<{widths[0]}} → {taker:<{widths[1]}}  "
        first, *rest = [line.replace("~", " ") for line in paragraph(", ".join(names), len(left))]
        yield from (left + first.lstrip(), *rest)
    yield from (
        "",
        shelf.ink.aside("  One thing by itself: isletsim show FILE.THING, such as beta_cells.apoptosis"),
        "",
    )


def _title(ink: Ink, name: str, title: str) -> Iterator[str]:
    lines = paragraph(f"{name}: {title}", 0)
    yield from (ink.heading(line) for line in [*lines, "━" * len(lines[0])])


def _head(file: ModelFile, ink: Ink) -> Iterator[str]:
    yield from _title(ink, file.name, file.title)
    clock = f"clock: {file.clock}" if file.clock else ""
    graded = f"evidence: {in_words(file.grade)}" if file.grade else ""
    yield from paragraph("; ".join(each for each in (_origin(file.source, file.assumed), graded, clock) if each))
    yield from paragraph(file.about)
    for flag in read_flags().values():
        if file.name in flag.applies_to and flag.severity == "high":
            yield from paragraph(f"{flag.id}: {flag.text}")


def _origin(source: str, assumed: str) -> str:
    known = read()
    if not source:
        return f"assumed: {assumed}" if assumed else ""
    return f"{short(known[source])} [{source}]" if source in known else f"[{source}]"


# --- patients, virtual tests, studies ---------------------------------------------------------------------------------


def _patient(path: Path, ink: Ink) -> Iterator[str]:
    """Who somebody is: covariates, what is set and why, the days, and the history."""
    patient = read_patient(path)
    page = patient.document
    yield from _title(ink, patient.name, patient.title)
    yield from paragraph(patient.about)
    if patient.core:
        yield from paragraph(f"made for {', '.join(patient.core)}")
    yield from _table(ink, "Covariates", ("name", "value"), list(patient.covariates.items()))
    rows = []
    for name, value in _leaves(page.table(page.data, "set", ())):
        table = value if isinstance(value, dict) else {"value": value}
        ends = table.get("varies") or table.get("uncertain") or ()
        spread = " to ".join(str(end) for end in ends)
        reason = _origin(str(table.get("source", "")), str(table.get("assumed", "")))
        rows.append((name, str(table.get("value", "")), spread, reason))
    yield from _table(ink, "Set", ("name", "value", "95 % range", "from"), rows)
    yield from _entries(ink, page, "day", "Every day")
    yield from _entries(ink, page, "history", "History")
    yield ""


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a table, by dotted name."""
    for key, value in table.items():
        if isinstance(value, dict) and "value" not in value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _challenge(path: Path, ink: Ink) -> Iterator[str]:
    """What a virtual test gives, samples and reports."""
    test = read_challenge(path)
    data = test.document.data
    yield from _title(ink, test.name, test.title)
    yield from paragraph(_origin(str(data.get("source", "")), str(data.get("assumed", ""))))
    yield from paragraph(test.about)
    course: list[tuple[str, str]] = [
        (key, _said(data[key])) for key in ("start", "length", "sample", "layers", "show") if key in data
    ]
    yield from _table(ink, "Course", ("what", "is"), course)
    yield from _entries(ink, test.document, "doses", "Given")
    yield from _entries(ink, test.document, "courses", "Held")
    rows = [(name, _said(report)) for name, report in test.document.table(data, "reports", ()).items()]
    yield from _table(ink, "Reports", ("name", "is"), rows)
    yield ""


def _scenario(path: Path, ink: Ink) -> Iterator[str]:
    """The plan of a study, its patient and tests, and the equations of everything in it."""
    scenario = load_scenario(path)
    yield from _title(ink, scenario.name, scenario.plan.title)
    yield from paragraph(scenario.plan.about)
    yield ""
    for line in scenario.describe().splitlines()[1:]:
        yield from paragraph(line, 2 + len(line) - len(line.lstrip())) if len(line) > 98 else [f"  {line}"]
    yield ""
    for each in scenario.files:
        if kind_of(each) in ("patient", "challenge"):
            yield from PAGES[kind_of(each)](each, ink)
    yield from model_pages(models_of("scenario", path), ink, alone=True)


def _table(ink: Ink, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", ink.heading(title), *columns(ink, heads, rows))


def _entries(ink: Ink, page: TomlDocument, key: str, title: str) -> Iterator[str]:
    """A list of tables, numbered, with what each says."""
    entries = [entry for entry in page.listing(page.data, key, ()) if isinstance(entry, dict)]
    if entries:
        yield from ("", ink.heading(title))
    for number, entry in enumerate(entries, start=1):
        said = ", ".join(f"{name} {_said(value)}" for name, value in entry.items() if name != "about")
        first, *rest = paragraph("; ".join(each for each in (str(entry.get("about", "")), said) if each), 5)
        yield from (f"  {number}. {first.lstrip()}", *rest)


def _said(value: Any) -> str:
    """A value of a file in words."""
    if isinstance(value, list):
        return ", ".join(_said(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    return str(value)


PAGES: dict[str, Callable[[Path, Ink], Iterator[str]]] = {
    "model": lambda path, ink: model_pages([path], ink),
    "patient": _patient,
    "challenge": _challenge,
    "scenario": _scenario,
}
