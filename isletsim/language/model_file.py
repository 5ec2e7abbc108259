"""A model file becomes frozen records: what the file says, checked on its own; composition comes later.

Reads the tables of docs/model-language.md. All faults of a file are reported together.
"""

from __future__ import annotations

from pathlib import Path

from isletsim.language.entries import (
    read_equation_of,
    read_held,
    read_input,
    read_note,
    read_parameter,
    read_state,
    read_unknown,
)
from isletsim.language.joins import (
    NAME,
    check_held,
    read_balances,
    read_ports,
    read_reports,
    read_targets,
)
from isletsim.language.parser import FUNCTIONS
from isletsim.language.records import GRADES, Entry, ModelFile
from isletsim.language.toml_document import KeyPath, read_document

__all__ = ["RESERVED", "read_model"]

CLOCKS = ("day", "years")
RESERVED = {"time", "class", "amount", "and", "or", "not", *FUNCTIONS}
_TABLES = "uses inputs states parameters derived quantities rates balance solve adds scales doses held reports"
TABLES = tuple(_TABLES.split())
HEAD = ("title", "source", "assumed", "about", "clock", "grade", "note")


def read_model(path: Path) -> ModelFile:
    """The records of a model file; raises `InputError` with every fault that can be seen in the file alone."""
    document = read_document(path)
    data = document.data
    document.only(data, (*HEAD, *TABLES), ())
    title = document.word(data, "title", ())
    if not title:
        document.fault((), "has no title.", 'Write title = "..." in its first line.')
    file_note = read_note(document, data, ())
    if not file_note.source and not file_note.assumed:
        document.fault(
            (), "says neither source nor assumed.", 'Write source = "Key of references.bib" or assumed = "why".'
        )
    if not NAME.fullmatch(path.stem):
        document.fault((), f'the file name "{path.stem}" is not a name.', "Use lower-case words with underscores.")
    if data.get("clock") == "life":
        document.fault(("clock",), 'the clock "life" was renamed to "years".', 'Write clock = "years".')
        data["clock"] = "years"
    entries: dict[str, Entry] = {}
    for table, reader in (
        ("inputs", read_input),
        ("states", read_state),
        ("parameters", read_parameter),
        ("solve", read_unknown),
        ("held", read_held),
        ("derived", read_equation_of("derived")),
        ("quantities", read_equation_of("quantity")),
        ("rates", read_equation_of("rate")),
    ):
        for name, value in document.table(data, table, ()).items():
            keys: KeyPath = (table, name)
            if not NAME.fullmatch(name) or name in RESERVED:
                document.fault(keys, f'"{name}" cannot be a name.', "Use words that are not functions of the language.")
            elif name in entries:
                document.fault(keys, f'"{name}" is defined twice, here and under [{entries[name].keys[0]}].')
            else:
                entry = reader(document, name, value, keys, file_note)
                if entry is not None:
                    entries[name] = entry
    model = ModelFile(
        name=path.stem,
        path=path,
        title=title,
        source=file_note.source,
        assumed=file_note.assumed,
        about=file_note.about,
        clock=document.one_of(data, "clock", (), CLOCKS),
        # What a file assumes are its numbers; how good the evidence for what it describes is, is another question.
        grade=document.one_of(data, "grade", (), GRADES),
        uses={
            key: document.names(document.table(data, "uses", ()), key, ("uses",))
            for key in document.table(data, "uses", ())
        },
        entries=entries,
        balance=read_balances(document),
        adds=read_targets(document, "adds"),
        scales=read_targets(document, "scales"),
        ports=read_ports(document),
        reports=read_reports(document),
        document=document,
    )
    check_held(document, model)
    document.finish()
    return model
