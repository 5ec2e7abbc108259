"""A TOML file as a page that remembers where everything stands, and collects the faults that are found on it.

tomllib gives values without places; a light scan of the lines gives each key its line, which is all a message needs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import category

from isletsim.data_files import toml_tables
from isletsim.errors import Fault, InputError, did_you_mean
from isletsim.language.parser import ExpressionError, constant_value, parse
from isletsim.language.tree import Apply, Tree, walk
from isletsim.units import Dimension, Quantity, Unit, UnitError, quantity, unit

__all__ = ["Equation", "KeyPath", "TomlDocument", "read_document"]

KeyPath = tuple[str | int, ...]
LARGEST = 1_000_000  # bytes of one file
MOST = 100  # faults of one file; more help nobody
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # categories of Unicode

_HEADER = re.compile(r"\s*(\[\[?)([^\]]+)\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True)
class Equation:
    """An equation with the place where it stands, so that later checks can point into it."""

    tree: Tree
    text: str
    keys: KeyPath


@dataclass
class TomlDocument:
    """One file: its data, the line of each key, and the faults found so far (`finish` raises them together)."""

    path: Path
    shown: str
    data: dict[str, Any]
    text: str
    lines: dict[KeyPath, int]
    faults: list[Fault] = field(default_factory=list)

    # --- places ---

    def place(self, keys: KeyPath) -> str:
        """``models/msc.toml:14, [scales] beta.apoptosis``."""
        line = 0
        for length in range(len(keys), 0, -1):
            line = self.lines.get(keys[:length], 0)
            if line:
                break
        where = f"{self.shown}:{line}" if line else self.shown
        if not keys:
            return where
        table, rest = str(keys[0]), ".".join(str(key) for key in keys[1:] if not isinstance(key, int))
        return f"{where}, [{table}] {rest}" if rest else f"{where}, {table}"

    def fault(
        self, keys: KeyPath, message: str, cure: str = "", text: str = "", span: tuple[int, int] | None = None
    ) -> None:
        """Note one mistake and go on, unless there are too many."""
        if len(self.faults) >= MOST:
            self.faults.append(Fault(self.shown, f"More than {MOST} problems; the rest is not listed."))
            self.finish()
        shown = f'"{text}"' if text else ""
        moved = (span[0] + 1, span[1] + 1) if span and text else None
        self.faults.append(Fault(self.place(keys), message, cure, shown, moved))

    def finish(self) -> None:
        """Raise what was found, if anything was."""
        if self.faults:
            raise InputError(self.faults)

    # --- typed access; each returns a usable default after noting a fault ---

    def table(self, holder: Mapping[str, Any], key: str, keys: KeyPath) -> dict[str, Any]:
        """The sub-table `key` of a table, empty when absent."""
        value = holder.get(key, {})
        if isinstance(value, dict):
            return value
        self.fault((*keys, key), f"expected a table, found {_kind(value)}.")
        return {}

    def listing(self, holder: Mapping[str, Any], key: str, keys: KeyPath) -> list[Any]:
        """The list `key` of a table, empty when absent."""
        value = holder.get(key, [])
        if isinstance(value, list):
            return value
        self.fault((*keys, key), f"expected a list, found {_kind(value)}.", f"Write {key} = [...].")
        return []

    def names(self, holder: Mapping[str, Any], key: str, keys: KeyPath) -> tuple[str, ...]:
        """A list of names."""
        found = []
        for index, each in enumerate(self.listing(holder, key, keys)):
            if isinstance(each, str) and each:
                found.append(each)
            else:
                self.fault((*keys, key, index), f"expected a name, found {_kind(each)}.")
        return tuple(found)

    def word(self, holder: Mapping[str, Any], key: str, keys: KeyPath, default: str = "") -> str:
        """A text."""
        value = holder.get(key, default)
        if isinstance(value, str):
            return value
        self.fault((*keys, key), f"expected a text, found {_kind(value)}.")
        return default

    def one_of(
        self, holder: Mapping[str, Any], key: str, keys: KeyPath, known: Iterable[str], default: str = ""
    ) -> str:
        """A text out of a few."""
        value = self.word(holder, key, keys, default)
        choices = list(known)
        if value == default or value in choices:
            return value
        cure = did_you_mean(value, choices) or f"Write one of: {', '.join(choices)}."
        self.fault((*keys, key), f'"{value}" is not known here.', cure)
        return default

    def integer(self, holder: Mapping[str, Any], key: str, keys: KeyPath, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = holder.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault((*keys, key), f"expected a whole number from {least} to {most}, found {value!r}.")
        return default

    def only(self, holder: Mapping[str, Any], allowed: Iterable[str], keys: KeyPath) -> None:
        """Note every key of a table that nobody reads."""
        known = list(allowed)
        for key in holder:
            if key not in known:
                cure = did_you_mean(key, known) or f"Known keys: {', '.join(known)}."
                self.fault((*keys, key), f'unknown key "{key}".', cure)

    def quantity(self, value: Any, keys: KeyPath, like: Dimension | None = None, of: str = "") -> Quantity | None:
        """A quantity text."""
        try:
            return quantity(value, like, of)
        except UnitError as reason:
            self.fault(keys, reason.message, reason.cure)
            return None

    def unit(self, text: str, keys: KeyPath) -> Unit | None:
        """A unit text."""
        try:
            return unit(text)
        except UnitError as reason:
            self.fault(keys, reason.message, reason.cure)
            return None

    def equation(self, text: Any, keys: KeyPath) -> Equation | None:
        """An equation."""
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            text = repr(text)
        if not isinstance(text, str) or not text.strip():
            self.fault(keys, f"expected an equation, found {_kind(text)}.")
            return None
        try:
            tree = parse(text)
            for node in walk(tree):
                if isinstance(node, Apply) and node.operator == "divide" and constant_value(node.arguments[1]) == 0:
                    self.fault(keys, "divides by zero; no number comes of it.", "", text, node.span)
            return Equation(tree, text, keys)
        except ExpressionError as reason:
            self.fault(keys, reason.message + ".", reason.cure, text, reason.span)
            return None


def read_document(path: Path, shown: str = "") -> TomlDocument:
    """Read a TOML file; what cannot be read at all is raised at once as `InputError`."""
    shown = shown or _shown(path)
    try:
        raw = path.read_bytes()
        if len(raw) > LARGEST:
            raise InputError(Fault(shown, f"{len(raw)} bytes; a file of this kind has at most {LARGEST}."))
        text = raw.decode("utf-8-sig")  # editors on Windows begin a text with a byte-order mark
        data = toml_tables(text)
    except OSError as reason:
        raise InputError(Fault(shown, f"cannot be read: {reason.strerror or reason}.")) from None
    except UnicodeDecodeError as reason:
        raise InputError(Fault(shown, f"is not UTF-8 text (byte {reason.start}).")) from None
    except tomllib.TOMLDecodeError as reason:
        raise InputError(Fault(_toml_place(shown, str(reason)), f"is not TOML: {reason}")) from None
    except RecursionError:
        raise InputError(Fault(shown, "is nested too deeply.")) from None
    except ValueError as reason:  # a key of many parts, an integer of thousands of digits, a date that does not exist
        raise InputError(Fault(shown, f"cannot be read: {reason}.")) from None
    document = TomlDocument(path, shown, data, text, _line_of_each_key(text))
    _note_invisible(document, data, ())
    return document


def _note_invisible(document: TomlDocument, value: Any, keys: KeyPath) -> None:
    """Note letters that nobody sees: they steer terminals, and make one word look like another."""
    if isinstance(value, str) and not value.isprintable():
        found = next((each for each in value if category(each) in INVISIBLE and each not in "\n\t\r"), "")
        if found:
            document.fault(keys, f"holds an invisible character, U+{ord(found):04X}.", "Write the text anew.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _note_invisible(document, key, keys)
            _note_invisible(document, inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _note_invisible(document, inner, (*keys, index))


def _toml_place(shown: str, message: str) -> str:
    line = re.search(r"line (\d+)", message)
    return f"{shown}:{line.group(1)}" if line else shown


def _shown(path: Path) -> str:
    """The last two parts of a path: enough to find the file, the same on every machine."""
    return "/".join(path.parts[-2:])


def _line_of_each_key(text: str) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    prefix: KeyPath = ()
    quoted = ""  # the mark that ends a text of many lines
    for number, line in enumerate(text.split("\n"), start=1):
        if quoted:
            quoted = "" if quoted in line else quoted
            continue
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            prefix = _parts(header.group(2))
            if header.group(1) == "[[":
                counts[prefix] = counts.get(prefix, -1) + 1
                prefix = (*prefix, counts[prefix])
            lines.setdefault(prefix, number)
        elif key:
            lines.setdefault((*prefix, *_parts(key.group(1))), number)
        quoted = next((mark for mark in ('"""', "'''") if line.count(mark) == 1), "")
    return lines


def _parts(text: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {dict: "a table", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "a text"}
    name = names.get(type(value), type(value).__name__)
    return f'"{value}"' if isinstance(value, str) and len(value) < 60 else name
