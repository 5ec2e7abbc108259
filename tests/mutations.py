"""Ways to spoil a TOML file of the project: what a tired person, a bad merge or a stranger might do to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HOSTILE = [
    "__import__('os').system('touch owned')",
    "().__class__.__bases__[0].__subclasses__()",
    "open('/etc/passwd').read()",
    "eval(x)",
    "x.__class__",
    "a.b.c",
    "lambda: 0",
    "f'{x}'",
    "{x}",
    "%s%n",
    "9**9**9",
    "x**1000",
    "x ** -x",
    "1/0",
    "0/0",
    "1e999",
    "1_000",
    "0x10",
    "٣",
    "𝟏",
    "𝑥 + 1",
    "a\u200bb",
    "\u202e1",
    "x[0]",
    "x[1].y",
    "a < b < c",
    "a = b",
    "a; b",
    "a ==",
    "**",
    "x^2",
    "time",
    "time * time",
    "class",
    "amount",
    "sum(time)",
    "sum(1)",
    "last()",
    "previous(time, 0)",
    "previous(x, 0)",
    "change(change(x))",
    "change(time)",
    "mean(time)",
    "at(time, time)",
    "fraction(time, 1, 2)",
    "table(time, time)",
    "hill(1, 2)",
    "min(1)",
    "where(1, 2)",
    "mod(time, 0)",
    "sqrt(-1)",
    "log(0)",
    "exp(1e10)",
    "max(" + ", ".join(["1"] * 900) + ")",
    "(" * 300,
    "(" * 100 + "x" + ")" * 100,
    "-" * 300 + "x",
    "not " * 200 + "x",
    " + ".join(["1"] * 600),
    "x" * 5_000,
    "nan",
    "inf",
    "-5",
    "5 5",
    "7 %",
    "1 %%",
    "/",
    "1 /",
    "1 //day",
    "1e",
    "1 m**9999",
    "1 m**9**9**9",
    "1 m**m",
    "1 (((((",
    "1 kkg",
    "1 [mass]",
    "1 __import__('os')",
    "1 m.__class__",
    "1 m**1e400",
    "1 mg**0.0001",
    "1 pi",
    "1 delta_degC",
    "1 mmol/mol",
    "1e-320 mg",
    "1e308 Gyear",
    "1e300 kg**12",
    "1 " + "mg*" * 40 + "mg",
    "-1 day",
    "1e9 year",
    "25:00",
    "1 day 08:60",
    "hba1c >= ",
    "hba1c >= 7",
    "nothing >= 7 %",
    "a/b.toml",
    "~nobody/x.toml",
    "con",
    "",
    " ",
]
VALUES = [
    "true",
    "5",
    "-1",
    "0",
    "1.5",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "9" * 30,
    "9" * 400,
    "9" * 5_000,
    "[]",
    "{}",
    "[[]]",
    "[1, 2]",
    '["a"]',
    '["a", "a"]',
    "{ a = 1 }",
    "[{}]",
    '[{ a = "b" }]',
    '""',
    "1979-05-27",
    "07:32:00",
    "[[0, 1], [1, 2]]",
    "[[0, 1], [0, 2]]",
    "[[nan, 1], [inf, 2]]",
    "[5, 95]",
    "[95, 5]",
    '"""a\nb"""',
]
MARKS = [*"+-*/<>=(),.\"'[]{}#\\^!&@|~%;: \n\t", "**", "==", "\x00", "\ufeff", "é", "₂", "[[", "]]", '"""']
LANGUAGE = Path(__file__).resolve().parent.parent / "docs" / "model-language.md"
WORDS = sorted(set(re.findall(r"[a-z_]{2,}", LANGUAGE.read_text(encoding="utf-8"))))  # the words that files are made of
UNITS = ["mg/dL", "mmol/L", "1/day", "day", "U", "uU/mL", "%", "cell/kg", "", "mg**2", "mmol/mol", "m**0.5"]
UNITS += ["percent_NGSP", "mmol_per_mol_IFCC", "mmHg"]
NUMBERS = ["0", "-1", "1e400", "1e308", "1e-320", "nan", "5", "0.5", "100000", "1e9", "-0.0", "1e16", "00", "1e", "1."]


@dataclass(frozen=True)
class Step:
    """One change: its kind, two places as shares of the text, and which replacement."""

    kind: str
    first: float
    second: float
    pick: int


def spoiled(text: str, steps: Sequence[Step]) -> str:
    """The text after some changes."""
    for step in steps:
        text = KINDS[step.kind](text, step)
    return text


def _line(text: str, step: Step, change: Callable[[list[str], int, int], None]) -> str:
    lines = text.split("\n")
    change(lines, int(step.first * len(lines)), int(step.second * len(lines)))
    return "\n".join(lines)


def _remove(lines: list[str], first: int, second: int) -> None:
    del lines[first]


def _repeat(lines: list[str], first: int, second: int) -> None:
    lines.insert(second, lines[first])


def _swap(lines: list[str], first: int, second: int) -> None:
    lines[first], lines[second] = lines[second], lines[first]


def _replaced(pattern: str, choices: Sequence[str]) -> Callable[[str, Step], str]:
    """A change of one match of a pattern (its first group, if it has one)."""
    compiled = re.compile(pattern)

    def change(text: str, step: Step) -> str:
        found = list(compiled.finditer(text))
        if not found:
            return text
        match = found[int(step.first * len(found))]
        group = 1 if compiled.groups else 0
        return text[: match.start(group)] + choices[step.pick % len(choices)] + text[match.end(group) :]

    return change


def _borrowed_word(text: str, step: Step) -> str:
    """One word of the file in the place of another."""
    found = list(re.finditer(r"[A-Za-z_][A-Za-z0-9_]*", text))
    if not found:
        return text
    here, there = (found[int(share * len(found))] for share in (step.first, step.second))
    return text[: here.start()] + there.group() + text[here.end() :]


def _inserted(text: str, step: Step) -> str:
    place = int(step.first * (len(text) + 1))
    junk = (MARKS, WORDS, HOSTILE)[int(step.second * 3)]
    return text[:place] + junk[step.pick % len(junk)] + text[place:]


KINDS: dict[str, Callable[[str, Step], str]] = {
    "remove line": lambda text, step: _line(text, step, _remove),
    "repeat line": lambda text, step: _line(text, step, _repeat),
    "swap lines": lambda text, step: _line(text, step, _swap),
    "truncate": lambda text, step: text[: int((0.5 + step.first / 2) * len(text))],
    "number": _replaced(r"\d+\.?\d*(?:e-?\d+)?", NUMBERS),
    "word": _replaced(r"[A-Za-z_][A-Za-z0-9_]*", WORDS),
    "borrowed word": _borrowed_word,
    "mark": _replaced(r"[-+*/(),.=\[\]{}\"]", MARKS),
    "text": _replaced(r'"([^"\n]*)"', HOSTILE),
    "value": _replaced(r'=\s*("[^"\n]*"|\{[^}\n]*\}|\[[^\n]*\])', VALUES),
    "unit": _replaced(r'"[-\d.e]+ ([^"\n]*)"', UNITS),
    "table": _replaced(r"(?m)^\[+([A-Za-z_.]+)\]", WORDS),
    "insert": _inserted,
}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode("utf-8", "replace"),
    "windows": lambda text: text.replace("\n", "\r\n").encode("utf-8", "replace"),
    "old mac": lambda text: text.replace("\n", "\r").encode("utf-8", "replace"),
    "with mark": lambda text: b"\xef\xbb\xbf" + text.encode("utf-8", "replace"),
    "utf-16": lambda text: text.encode("utf-16", "replace"),
    "latin": lambda text: (text + "# é").encode("latin-1", "replace"),
    "null": lambda text: text.encode("utf-8", "replace").replace(b"e", b"\x00", 1),
}
