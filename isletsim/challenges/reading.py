"""A test file on its own: its keys, its equations, and all that it looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isletsim.challenges.records import STATISTICS, ChallengeFile
from isletsim.data_files import find, own_file
from isletsim.language import KeyPath, TomlDocument, names, read_document
from isletsim.language.entries import read_note

__all__ = ["read_challenge"]

HEAD = ("title", "about", "source", "assumed", "grade", "note")
_KEYS = "start length sample layers show doses courses day replays module given reports"
KEYS = (*HEAD, *_KEYS.split())
REPORT = ("value", "at", *STATISTICS, "against", "unit", "of", "about")
CROSSING = ("when", "falls_to", "rises_to", "since")
DEEPEST = 5  # tests that replay tests
_NAME = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*(?:\[\d+\])?")


def read_challenge(path: Path, depth: int = 0) -> ChallengeFile:
    """A test file; raises `InputError` with every fault that can be seen in the file alone."""
    document = read_document(path)
    data = document.data
    document.only(data, KEYS, ())
    title = document.word(data, "title", ())
    if not title:
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    note = read_note(document, data, ())
    if not note.source and not note.assumed:
        document.fault((), "says neither source nor assumed.", 'Write source = "Key" or assumed = "why".')
    shown: dict[str, None] = dict.fromkeys(document.names(data, "show", ()))
    for name in shown:
        if "." not in name:
            document.fault(("show",), f'"{name}" is not a qualified name.', 'Write it as "file.name".')
    recorded = dict(shown)
    for name, report in document.table(data, "reports", ()).items():
        keys: KeyPath = ("reports", name)
        if not isinstance(report, dict):
            cure = 'Write { value = "glucose.plasma", at = "120 min", unit = "mmol/L" }.'
            document.fault(keys, "expected a table.", cure)
            continue
        for equation, looked_at in _report(document, report, keys):
            recorded |= dict.fromkeys(sorted(looked_at))
            if equation == "value" and len(looked_at) == 1 and report["value"] in looked_at:
                shown |= dict.fromkeys(looked_at)
    for name in _spoken_of(data):
        recorded[name] = None
    layers = document.names(data, "layers", ())
    replays = _replayed(document, data, depth)
    document.finish()
    return ChallengeFile(path.stem, path, title, note.about, layers, tuple(shown), tuple(recorded), replays, document)


def _report(document: TomlDocument, report: Mapping[str, Any], keys: KeyPath) -> Iterator[tuple[str, set[str]]]:
    """The names that each equation of a report speaks of."""
    document.only(report, REPORT, keys)
    asked = [key for key in ("at", *STATISTICS) if key in report]
    if len(asked) != 1:
        cure = f'Write at = "120 min", or a statistic of a span: mean = ["0 min", "120 min"] ({", ".join(STATISTICS)}).'
        document.fault(keys, "needs one of at and the statistics.", cure)
    equations = [("value", report.get("value")), ("against", report.get("against"))]
    at = report.get("at")
    if isinstance(at, dict):
        document.only(at, CROSSING, (*keys, "at"))
        equations.append(("when", at.get("when")))
        if ("falls_to" in at) == ("rises_to" in at) or "when" not in at:
            cure = 'Write at = { when = "glucose.plasma", falls_to = "50 %" }.'
            document.fault((*keys, "at"), "needs when, and one of falls_to and rises_to.", cure)
    if "against" in report and "slope" not in report:
        document.fault((*keys, "against"), "only a slope is against something.")
    if "value" not in report:
        document.fault(keys, "has no value.", 'Write value = "glucose.plasma".')
    for key, text in equations:
        law = document.equation(text, (*keys, key)) if text is not None else None
        if law is None:
            continue
        looked_at = names(law.tree) - {"time"}
        for each in sorted(looked_at):
            if "." not in each:
                document.fault((*keys, key), f'"{each}" is not a qualified name.', 'Write it as "file.name".')
        yield key, {each for each in looked_at if "." in each}


def _spoken_of(data: Mapping[str, Any]) -> list[str]:
    """What amounts, levels and replayed inputs read of the model."""
    texts = []
    for table, keys in (("doses", ("amount",)), ("day", ("amount",)), ("courses", ("level", "replay"))):
        items = data.get(table, [])
        for item in items if isinstance(items, list) else []:
            texts += [item.get(key) for key in keys] if isinstance(item, dict) else []
    given = data.get("given", {})
    texts += (
        [each.get("replay") for each in given.values() if isinstance(each, dict)] if isinstance(given, dict) else []
    )
    return [name for text in texts if isinstance(text, str) for name in _NAME.findall(text)]


def _replayed(document: TomlDocument, data: Mapping[str, Any], depth: int) -> ChallengeFile | None:
    """The test whose curves a test gives again."""
    wanted = document.word(data, "replays", ())
    if not wanted:
        return None
    if depth >= DEEPEST:
        document.fault(
            ("replays",), f"more than {DEEPEST} tests replay one another.", "Does one of them replay itself?"
        )
        return None
    own = own_file(wanted, document.path.parent)
    return read_challenge(own or find("challenge", wanted, document.path.parent), depth + 1)
