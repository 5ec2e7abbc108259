"""One model file as a listing for people: states, balances, laws, doses, numbers with their sources.

A listing knows the whole stack: borrowed names appear as the paper's letters, and what other files add to a law or
scale it by stands beside it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from isletsim.composition import Composition
from isletsim.flat import AMOUNT
from isletsim.language import Entry, Equation, ModelFile, Name, Number, Spread, Term, apply, signed_terms
from isletsim.typesetting import Namer, inline, letters, number, powers, symbol_namer, typeset
from isletsim.units import Unit, convert, show

__all__ = ["WIDTH", "Ink", "Shelf", "columns", "listing", "paragraph", "unit_label"]

WIDTH = 100  # columns of a page
NARROW = 26  # a last column narrower than this moves to lines of its own


@dataclass(frozen=True)
class Ink:
    """How things are emphasised; without colour every text stays as it is."""

    colour: bool

    def heading(self, text: str) -> str:
        """The head of a section."""
        return click.style(text, bold=True, fg="cyan") if self.colour else text

    def name(self, text: str) -> str:
        """The name of a thing."""
        return click.style(text, bold=True) if self.colour else text

    def aside(self, text: str) -> str:
        """What may be read last: units, sources."""
        return click.style(text, dim=True) if self.colour else text


@dataclass(frozen=True)
class Shelf:
    """The stack that a listing is read in: its files by name, and its composition."""

    files: Mapping[str, ModelFile]
    composition: Composition
    ink: Ink


def listing(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    """The lines of one file, below its head."""
    equations = (_states, _inputs, _balances, _rates, _quantities, _derived, _unknowns, _held)
    for part in (*equations, _joined, _doses, _reports, _numbers):
        lines = list(part(shelf, file))
        yield from ["", *lines] if lines else []


# --- text in columns --------------------------------------------------------------------------------------------------


def paragraph(text: str, indent: int = 2) -> list[str]:
    """A text in lines that fit the page."""
    return textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def columns(ink: Ink, titles: Sequence[str], cells: Sequence[Sequence[str]], indent: int = 2) -> Iterator[str]:
    """A table whose empty columns are left out and whose last column wraps."""
    kept = [index for index in range(len(titles)) if any(row[index] for row in cells) or index == 0]
    heads, rows = [titles[index] for index in kept], [[row[index] for index in kept] for row in cells]
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads) - 1)]
    start = indent + sum(width + 2 for width in widths)
    below = WIDTH - start < NARROW and any(start + len(row[-1]) > WIDTH for row in rows)
    yield ink.aside(_row(heads[: -1 if below else None], widths, indent))
    for row in rows:
        first, room = (" " * (indent + 4), WIDTH - indent - 4) if below else (" " * start, WIDTH - start)
        wrapped = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        line = _row(row[:-1], widths, indent)
        if not below:
            line = f"{line:<{start}}{wrapped.pop(0)}".rstrip()
        yield line[:indent] + ink.name(line[indent : indent + len(row[0])]) + line[indent + len(row[0]) :]
        yield from (first + piece for piece in wrapped if piece)


def _row(cells: Sequence[str], widths: Sequence[int], indent: int) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return (" " * indent + "  ".join([*padded, *cells[len(widths) :]])).rstrip()


def unit_label(unit: Unit | None) -> str:
    """A unit as it is printed; "%" for an HbA1c in percent."""
    if unit is None:
        return ""
    return powers(show(unit.offset, unit).partition(" ")[2])


def _amount(value: float | None, unit: Unit | None) -> str:
    if value is None or unit is None:
        return ""
    return f"{number(convert(value, unit))} {unit_label(unit)}".strip()


# --- names ------------------------------------------------------------------------------------------------------------


def _width(shelf: Shelf, file: ModelFile, name: str) -> int:
    """How many classes a name has."""
    known = shelf.composition.symbols
    whole = name if "." in name else f"{file.name}.{name}"
    return known[whole].classes if whole in known else 0


def _unit_of(shelf: Shelf, file: ModelFile, entry: Entry) -> Unit | None:
    symbol = shelf.composition.symbols.get(f"{file.name}.{entry.name}")
    return symbol.unit if symbol else entry.unit


def _meaning(entry: Entry, file: ModelFile) -> str:
    """What a thing is, and why it was assumed where that is not the reason of the whole file."""
    own = entry.note.assumed if entry.note.assumed != file.assumed else ""
    return "; ".join(each for each in (entry.note.about, f"assumed: {own}" if own else "") if each)


# --- sections ---------------------------------------------------------------------------------------------------------


def _kind(file: ModelFile, *kinds: str) -> list[Entry]:
    return [entry for entry in file.entries.values() if entry.kind in kinds]


def _states(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    yield from _levels(shelf, file, "States", "state", "start")


def _inputs(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    yield from _levels(shelf, file, "Inputs", "input", "default")


def _levels(shelf: Shelf, file: ModelFile, title: str, kind: str, head: str) -> Iterator[str]:
    """What has a value to begin with."""
    rows = []
    for entry in _kind(file, kind):
        start = _amount(entry.value, entry.unit)
        if entry.equation is not None:
            unit = unit_label(entry.unit)
            start = inline(entry.equation.tree, symbol_namer(shelf.files, file)) + (f" [{unit}]" if unit else "")
        chain = f"{entry.classes} classes" if entry.classes else ""
        about = "; ".join(each for each in (_meaning(entry, file), chain, _range(entry)) if each)
        rows.append((entry.name, letters(entry.note.symbol), start, about))
    if rows:
        yield shelf.ink.heading(title)
        yield from columns(shelf.ink, ("name", "symbol", head, "meaning"), rows)


def _balances(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    named = symbol_namer(shelf.files, file)
    if file.balance:
        yield shelf.ink.heading("Balances")
    for state, terms in file.balance.items():
        written = [(file, term) for term in terms]
        for other in shelf.files.values():
            for target, equation in other.adds:
                if target == f"{file.name}.{state}":
                    written += [(other, term) for term in signed_terms(other.document, equation)]
        index = "[k]" if _width(shelf, file, state) else ""
        letter = named(state)
        left = f"  d{' ' if letter == state and len(letter) > 1 else ''}{letter}{index}/dt = "
        pieces = [_signed(shelf, owner, term, bool(index), owner is not file) for owner, term in written]
        total = " ".join(pieces).removeprefix("+ ") or "0"
        total = "−" + total[2:] if total.startswith("− ") else total
        yield from textwrap.wrap(total, WIDTH, initial_indent=left, subsequent_indent=" " * len(left))


def _signed(shelf: Shelf, file: ModelFile, term: Term, chain: bool, foreign: bool) -> str:
    text = symbol_namer(shelf.files, file)(term.name)
    width = _width(shelf, file, term.name)
    if term.boundary is not None:
        first = "" if term.boundary == "0" else f" (k = 1: {symbol_namer(shelf.files, file)(term.boundary)})"
        text += f"[k−1]{first}"
    elif term.last and width:
        text += f"[{width}]"
    elif chain and width:
        text += "[k]"
    return f"{'−' if term.sign < 0 else '+'} {text}{f' (of {file.name})' if foreign else ''}"


def _rates(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    yield from _laws(shelf, file, "Rates", "rate")


def _quantities(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    yield from _laws(shelf, file, "Quantities", "quantity")


def _derived(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    yield from _laws(shelf, file, "Computed once, from parameters", "derived")


def _laws(shelf: Shelf, file: ModelFile, title: str, kind: str) -> Iterator[str]:
    entries = _kind(file, kind)
    if entries:
        yield shelf.ink.heading(title)
    for entry in entries:
        yield from _head(shelf, file, entry, unit_label(_unit_of(shelf, file, entry)))
        yield from _equation(shelf, file, entry)


def _head(shelf: Shelf, file: ModelFile, entry: Entry, unit: str, more: str = "") -> Iterator[str]:
    """Name, symbol, unit and meaning of what an equation gives."""
    symbol = letters(entry.note.symbol)
    spelled = f"{entry.name}{f', {symbol}' if symbol else ''}{f'  [{unit}]' if unit else ''}"
    lines = textwrap.wrap(
        "; ".join(each for each in (_meaning(entry, file), more) if each), WIDTH - 4 - len(spelled)
    ) or [""]
    head = f"  {shelf.ink.name(entry.name)}{spelled[len(entry.name) :]}"
    yield f"{head}  {lines[0]}".rstrip()
    yield from (" " * (len(spelled) + 4) + line for line in lines[1:])


def _equation(shelf: Shelf, file: ModelFile, entry: Entry) -> Iterator[str]:
    """The own law of a rate or quantity, and what other files of the stack make of it."""
    assert entry.equation is not None
    yield from _marked("= ", entry.equation, symbol_namer(shelf.files, file))
    whole = f"{file.name}.{entry.name}"
    for other in shelf.files.values():
        for mark, contributions in (("+ ", other.adds), ("× ", other.scales)):
            for equation in (equation for target, equation in contributions if target == whole):
                yield from _marked(mark, equation, symbol_namer(shelf.files, other), f"   of {other.name}")


def _marked(mark: str, equation: Equation, named: Namer, more: str = "") -> Iterator[str]:
    box = typeset(equation.tree, named, WIDTH - len(mark) - 6 - len(more), factor=mark == "× ")
    for index, line in enumerate(box.lines):
        level = index == box.level
        yield (" " * 6 + (mark if level else " " * len(mark)) + line + (more if level else "")).rstrip()


def _unknowns(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    entries = _kind(file, "unknown")
    if entries:
        yield shelf.ink.heading("Solved for")
    for entry in entries:
        yield from _head(shelf, file, entry, unit_label(entry.unit), f"first guess {_amount(entry.value, entry.unit)}")
        if entry.equation is not None:
            yield from _marked("0 = ", entry.equation, symbol_namer(shelf.files, file))


def _held(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    entries = _kind(file, "held")
    if entries:
        yield shelf.ink.heading("Held, and revised")
    for entry in entries:
        when = "at each visit" if entry.at == "visit" else f"after each {entry.at}"
        yield from _head(shelf, file, entry, unit_label(entry.unit), f"starts at {_amount(entry.value, entry.unit)}")
        if entry.equation is not None:
            yield from _marked("becomes ", entry.equation, symbol_namer(shelf.files, file), f"   {when}")


def _joined(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    named = symbol_namer(shelf.files, file)
    if file.adds or file.scales:
        yield shelf.ink.heading("Acts on other files")
    for verb, mark, contributions in (("adds to", "+ ", file.adds), ("scales", "× ", file.scales)):
        for target, equation in contributions:
            absent = "" if target.partition(".")[0] in shelf.files else "   (not in this stack)"
            yield f"  {verb} {shelf.ink.name(target)}{absent}"
            yield from _marked(mark, equation, named)


def _doses(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    named = symbol_namer(shelf.files, file)
    if file.ports:
        yield shelf.ink.heading("Doses")
    for port in file.ports.values():
        unit = unit_label(shelf.composition.ports[f"{file.name}.{port.name}"].unit)
        head = f"  {shelf.ink.name(port.name)}{f'  [{unit}]' if unit else ''}"
        plain = len(port.name) + (len(unit) + 6 if unit else 2)
        if plain + 2 + len(port.about) <= WIDTH:
            yield f"{head}  {port.about}".rstrip()
        else:
            yield head
            yield from paragraph(port.about, 6)
        for state, equation in port.multiply.items():
            yield f"      {named(state)} → {inline(apply('multiply', Name(state), equation.tree), named)}"
        for state, equation in port.add.items():
            given = Name(AMOUNT) if equation.tree == Number(1.0) else apply("multiply", Name(AMOUNT), equation.tree)
            yield f"      {named(state)} → {named(state)} + {inline(given, named)}"


def _reports(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    named = symbol_namer(shelf.files, file)
    rows = []
    for name, report in file.reports.items():
        label = unit_label(shelf.composition.reports[name].unit)
        text = inline(report.equation.tree, named)
        rows.append((name, label, f"{text}  ({report.about})" if report.about else text))
    if rows:
        yield shelf.ink.heading("Reports")
        yield from columns(shelf.ink, ("name", "unit", "is"), rows)


def _numbers(shelf: Shelf, file: ModelFile) -> Iterator[str]:
    entries = _kind(file, "parameter")
    if not entries:
        return
    grade = f"; grade {file.grade} unless said" if file.grade else ""
    yield shelf.ink.heading("Parameters") + shelf.ink.aside(grade)
    rows = []
    for entry in entries:
        note = entry.note
        value = _amount(entry.value, entry.unit) if entry.table is None else _data(entry)
        source = note.source or "assumed"
        graded = note.grade if note.grade not in ("", file.grade, "assumed") else ""
        about = "; ".join(each for each in (note.about, note.assumed) if each)
        people, itself = _ends(entry.varies, entry.unit), _ends(entry.uncertain, entry.unit)
        rows.append((entry.name, letters(note.symbol), value, people, itself, source, graded, about))
    titles = ("name", "symbol", "value", "among people", "uncertain", "source", "grade", "meaning")
    yield from columns(shelf.ink, titles, rows)


def _range(entry: Entry) -> str:
    """The 95 % ranges of a number in words: between people, and of the value itself."""
    said = ((entry.varies, "among people"), (entry.uncertain, "uncertain"))
    return ", ".join(f"{_ends(spread, entry.unit)} {word}" for spread, word in said if spread is not None)


def _ends(spread: Spread | None, unit: Unit | None) -> str:
    """The ends of a 95 % range."""
    if spread is None:
        return ""
    assert unit is not None
    return "–".join(number(convert(end, unit)) for end in (spread.low, spread.high))


def _data(entry: Entry) -> str:
    assert entry.table is not None
    assert entry.table_units is not None
    across, up = entry.table_units
    first, last = (number(convert(entry.table[0][index], across)) for index in (0, -1))
    return f"{len(entry.table[0])} points in {unit_label(up)} over {first}–{last} {unit_label(across)}"
