"""Checks of an untrusted file before libSBML reads it.

A file is read once into memory and checked by expat: that it is XML, is no larger and no deeper than any model, and
declares no document type (so no entities, inside or outside). External definitions may only be files in the same
folder or below it. Nothing here, and nothing after it, opens a connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from isletsim.errors import Fault, InputError

__all__ = ["LARGEST_FILE", "checked_text", "file_beside", "without_decoration"]

LARGEST_FILE = 64_000_000  # bytes
DEEPEST = 1_000  # elements one inside another
MOST_ELEMENTS = 1_000_000
LONGEST_ATTRIBUTE = 100_000  # letters
MOST_ATTRIBUTES = 1_000  # of one element
MOST_OPERANDS = 10_000  # of one operator; libSBML takes them one inside another
SPACES = {("1", version): "http://www.sbml.org/sbml/level1" for version in "12"}
SPACES |= {("2", "1"): "http://www.sbml.org/sbml/level2"}
SPACES |= {("2", version): f"http://www.sbml.org/sbml/level2/version{version}" for version in "2345"}
SPACES |= {("3", version): f"http://www.sbml.org/sbml/level3/version{version}/core" for version in "12"}
DECORATION = frozenset({"notes", "annotation"})
MATHML = "http://www.w3.org/1998/Math/MathML "


@dataclass
class _Scan:
    """Counts that expat collects from a file."""

    root: str = ""
    level: tuple[str, str] = ("", "")
    elements: int = 0
    path: list[list[int]] = field(default_factory=list)  # of every open element: how many it has inside

    def begin(self, name: str, attributes: Any) -> None:
        if not self.root:
            self.root = name
            self.level = (attributes.get("level", ""), attributes.get("version", ""))
        self.elements += 1
        if len(attributes) > MOST_ATTRIBUTES:
            raise _TooMuch(f"an element has more than {MOST_ATTRIBUTES} attributes")
        if any(len(value) > LONGEST_ATTRIBUTE for value in attributes.values()):
            raise _TooMuch(f"an attribute has more than {LONGEST_ATTRIBUTE} letters")
        if self.path:
            self.path[-1][0] += 1
            if self.path[-1][0] > MOST_OPERANDS and name.startswith(MATHML):
                raise _TooMuch(f"an operator has more than {MOST_OPERANDS} operands")
        self.path.append([0])
        if len(self.path) > DEEPEST:
            raise _TooMuch(f"elements stand more than {DEEPEST} deep one inside another")
        if self.elements > MOST_ELEMENTS:
            raise _TooMuch(f"there are more than {MOST_ELEMENTS} elements")

    def end(self, name: str) -> None:
        self.path.pop()

    def doctype(self, *parts: Any) -> None:
        raise _TooMuch("it declares a document type (<!DOCTYPE ...>), which SBML never does; entities are not read")


class _TooMuch(ValueError):
    """Limit that a file exceeds."""


def checked_text(path: Path) -> str:
    """Return the text of an SBML file, checked to be safe for libSBML.

    Raises
    ------
    InputError : the file cannot be read, is no XML, no SBML, or is made to do harm.
    """
    data = _bytes_of(path)
    scan = _Scan()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = scan.begin
    parser.EndElementHandler = scan.end
    parser.StartDoctypeDeclHandler = scan.doctype
    parser.buffer_text = True
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat knows no names of arguments
    except expat.ExpatError as reason:
        message = f"This is no well-formed XML: {expat.ErrorString(reason.code)} in column {reason.offset + 1}."
        raise InputError(Fault(f"{path}:{reason.lineno}", message)) from None
    except (_TooMuch, ValueError, LookupError) as reason:
        place = f"{path}:{parser.CurrentLineNumber}"
        raise InputError(Fault(place, f"This file is not read: {reason}.")) from None
    _check_root(scan, path)
    return _decoded(data, path)


def _check_root(scan: _Scan, path: Path) -> None:
    """Refuse anything but SBML of a supported level in its own namespace; libSBML may crash on it."""
    space, _, name = scan.root.rpartition(" ")
    if name != "sbml":
        message = f"The outermost element is <{name}>, not <sbml>."
        raise InputError(Fault(str(path), message, "Give a model in SBML."))
    level, version = scan.level
    if scan.level not in SPACES:
        message = f'SBML Level "{level}" Version "{version}" is not read; Levels 1 to 3 are.'
        cure = "Convert it to Level 3 Version 2, for example with libSBML's online converter."
        raise InputError(Fault(str(path), message, cure))
    if space != SPACES[scan.level]:
        message = f'The name space of Level {level} Version {version} is "{SPACES[scan.level]}", not "{space}".'
        raise InputError(Fault(str(path), message))


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():  # a folder, a pipe, a device
            kind = "is no plain file" if path.exists() else "does not exist"
            raise InputError(Fault(str(path), f"This path {kind}."))
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as reason:
        raise InputError(Fault(str(path), f"This file cannot be read: {reason}.")) from None
    if len(data) > LARGEST_FILE:
        raise InputError(Fault(str(path), f"This file is larger than {LARGEST_FILE // 1_000_000} MB."))
    return data


def _decoded(data: bytes, path: Path) -> str:
    """Return the file as text without its XML declaration."""
    encoding = "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif data[:5] == b"<?xml":
        head = data[: data.find(b"?>")].decode("ascii", "replace")
        _, found, rest = head.partition("encoding")
        quoted = rest.lstrip(" \t\r\n=")
        if found and quoted[:1] in ("'", '"'):
            named = quoted[1:].partition(quoted[0])[0]
            encoding = "utf-8-sig" if named.lower() in ("utf-8", "utf8") else named
    try:
        text = data.decode(encoding)
    except (LookupError, UnicodeError) as reason:
        raise InputError(Fault(str(path), f"This file is not in the encoding it declares: {reason}.")) from None
    return text[text.find("?>") + 2 :] if text.startswith("<?xml") else text


def without_decoration(text: str) -> str:
    """Return the text of an SBML file without notes, annotations, layout and render information."""
    data = text.encode()
    parser = expat.ParserCreate(namespace_separator=" ")
    parts: list[tuple[int, int]] = []  # first and last byte of what is left out
    depth = begun = 0

    def begin(name: str, attributes: Any) -> None:
        nonlocal depth, begun
        space, _, word = name.rpartition(" ")
        if depth == 0 and (word in DECORATION or any(f"/{each}/" in space for each in ("layout", "render"))):
            begun = parser.CurrentByteIndex
            depth = 1
        elif depth:
            depth += 1

    def end(name: str) -> None:
        nonlocal depth
        if depth == 0:
            return
        depth -= 1
        if depth == 0:
            last = parser.CurrentByteIndex  # of an empty element, where its only tag ends
            alone = _end_of_tag(data, begun) == last
            parts.append((begun, last if alone else _end_of_tag(data, last)))

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.Parse(data, True)  # noqa: FBT003 - expat knows no names of arguments
    kept, place = [], 0
    for first, last in parts:
        kept += [data[place:first], b"\n" * data.count(b"\n", first, last)]  # lines keep their numbers
        place = last
    return b"".join([*kept, data[place:]]).decode()


def _end_of_tag(data: bytes, place: int) -> int:
    """Return the byte after the tag that begins at a place; attributes may contain ``>``."""
    quote = b""
    for index in range(place, len(data)):
        letter = data[index : index + 1]
        if quote:
            quote = b"" if letter == quote else quote
        elif letter in (b'"', b"'"):
            quote = letter
        elif letter == b">":
            return index + 1
    return len(data)


def file_beside(path: Path, source: str) -> Path:
    """Return the file of an external definition, which must be in the model's folder or below it.

    Raises
    ------
    InputError : it is anywhere else, or there is none.
    """
    place = f"{path}, externalModelDefinition source = {source}"
    name = source.removeprefix("file:") if not source.startswith("file:/") else source
    folder = path.resolve().parent
    if not name or "://" in name or ":" in name or "\\" in name or Path(name).is_absolute():
        raise InputError(Fault(place, "External definitions are read from files beside the model only."))
    found = (folder / name).resolve()
    if not found.is_relative_to(folder):
        raise InputError(Fault(place, "This file stands outside of the model's own folder."))
    if not found.is_file():
        raise InputError(Fault(place, "There is no such file."))
    return found
