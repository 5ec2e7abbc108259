"""The bibliography: who measured a number or wrote an equation, read from a BibTeX file.

Only as much of BibTeX as a plain list of entries needs: ``@kind{key, name = {text}, name = "text", name = 2000}``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isletsim.data_files import bibliography, data_folder

__all__ = ["Reference", "citation", "everything", "parse", "read", "short"]

MANY = 3  # from so many authors on it is "et al."
_ENTRY = re.compile(r"^[ \t]*@(\w+)\s*\{\s*([^\s,{}]+)\s*,", re.MULTILINE)
_FIELD = re.compile(r"\s*,?\s*(\w[\w-]*)\s*=\s*")
_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303"}  # combining marks
_ACCENT = re.compile(r"""\\(['`^"~])\s*([A-Za-z])""")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Reference:
    """One entry: its key, its kind (article, book, ...), its fields in plain text, and the entry as it was written."""

    key: str
    kind: str
    fields: Mapping[str, str]
    entry: str


@cache
def read(path: Path | None = None) -> dict[str, Reference]:
    """The references of a BibTeX file by key; the package's own bibliography when no path is given."""
    return parse((path or bibliography()).read_text(encoding="utf-8"))


@cache
def everything() -> dict[str, Reference]:
    """The references of the models, and those that only the evidence in `seeds/` stands on."""
    evidence = data_folder("seeds") / "references.bib"
    return {**(read(evidence) if evidence.is_file() else {}), **read()}


def parse(text: str) -> dict[str, Reference]:
    """The references of a BibTeX text by key. An entry whose braces never close ends where the next one starts."""
    found: dict[str, Reference] = {}
    starts = list(_ENTRY.finditer(text))
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        limit = following.start() if following else len(text)
        body, stop = _braced(text, text.index("{", start.start()), limit)
        fields = _fields(body[body.index(",") + 1 :])
        found[start[2]] = Reference(start[2], start[1].lower(), fields, text[start.start() : stop].strip())
    return found


def short(reference: Reference) -> str:
    """The words that stand in running text: ``Topp et al. 2000``."""
    surnames = _surnames(reference)
    if not surnames:
        return reference.key
    few = len(surnames) < MANY and surnames[-1] != "others"
    names = " and ".join(surnames) if few else f"{surnames[0]} et al."
    return f"{names} {reference.fields.get('year', '')}".strip()


def citation(reference: Reference) -> str:
    """The reference in one line, as it stands at the end of a paper."""
    field = reference.fields
    place = field.get("journal") or field.get("booktitle") or field.get("publisher") or field.get("howpublished", "")
    volume = field.get("volume", "") + (f":{field['pages'].replace('--', '-')}" if "pages" in field else "")
    where = " ".join(part for part in (place, volume) if part)
    link = f"doi:{field['doi']}" if "doi" in field else field.get("url", "")
    parts = (short(reference), field.get("title", ""), where, link)
    sentences = (part if part.endswith(("?", "!", ".")) else f"{part}." for part in parts if part)
    return " ".join(sentences)


def _braced(text: str, start: int, limit: int) -> tuple[str, int]:
    """What stands between the brace at `start` and its partner, and the place after that."""
    depth = 0
    for place in range(start, limit):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : place], place + 1
    return text[start + 1 : limit], limit


def _fields(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while match := _FIELD.match(body, place):
        value, place = _value(body, match.end())
        found[match[1].lower()] = _plain(value)
    return found


def _plain(value: str) -> str:
    """Text without braces, with its accents as letters: ``Mar{\\'e}e`` is ``Marée``."""
    bare = value.replace("{", "").replace("}", "")
    accented = _ACCENT.sub(lambda found: unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]]), bare)
    return _SPACES.sub(" ", accented.replace("\\&", "&")).strip()


def _value(body: str, start: int) -> tuple[str, int]:
    opening = body[start : start + 1]
    if opening == "{":
        return _braced(body, start, len(body))
    mark = '"' if opening == '"' else ","
    first = start + 1 if mark == '"' else start
    stop = body.find(mark, first)
    stop = len(body) if stop < 0 else stop
    return body[first:stop], stop + 1 if mark == '"' else stop


def _surnames(reference: Reference) -> list[str]:
    authors = [each.strip() for each in reference.fields.get("author", "").split(" and ") if each.strip()]
    return [each.split(",")[0] if "," in each else each.split()[-1] for each in authors]
