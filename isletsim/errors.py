"""What is wrong with an input, said so that the reader knows which line to change.

A `Fault` is one mistake at one place. Readers collect every fault of a file before they raise one `InputError`;
the command line prints it and exits with 2. A `RunError` is a run that failed although its input was well formed
(exit 1); it carries what was computed until then.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

__all__ = ["Fault", "InputError", "RunError", "did_you_mean"]

MANY, LONGEST = 2_000, 60  # known words that are compared, and letters of the wrong one
WIDE = 160  # letters of an equation that are shown


@dataclass(frozen=True)
class Fault:
    """One mistake: where it stands, what was found and expected, and how to mend it.

    Parameters
    ----------
    place : file, line and key, for example ``models/msc.toml:14, [scales] beta.apoptosis``.
    message : what was found and what was expected, in one or two sentences.
    cure : the corrected line or the next thing to try; empty when nothing better than the message is known.
    text : the piece of the file that is shown, one line.
    span : first and past-the-end column of the wrong piece within `text`; None draws no caret.
    """

    place: str
    message: str
    cure: str = ""
    text: str = ""
    span: tuple[int, int] | None = None

    def __str__(self) -> str:
        lines = [self.place]
        if self.text:
            text, start, stop = self._excerpt()
            lines = [f"{self.place} = {text}"]
            if self.span is not None:
                lines.append(" " * (len(self.place) + 3 + start) + "^" * max(1, stop - start))
        lines.append(self.message)
        if self.cure:
            lines.append(self.cure)
        return "\n".join(_visible(line) for line in lines)

    def _excerpt(self) -> tuple[str, int, int]:
        """The text around its wrong piece, and where that piece is then: a long equation is not shown whole."""
        start, stop = self.span or (0, 0)
        first = max(0, start - WIDE // 2) if len(self.text) > WIDE else 0
        shown = self.text[first : first + WIDE]
        before, after = "..." * (first > 0), "..." * (first + WIDE < len(self.text))
        shift = len(before) - first
        return f"{before}{shown}{after}", start + shift, min(stop, first + WIDE) + shift


def _visible(text: str) -> str:
    """A text of a stranger without line breaks and signs that steer a terminal; as long as before."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


class InputError(Exception):
    """A file, option or argument of the user is wrong; nothing was run. Carries every fault that was found."""

    def __init__(self, faults: Iterable[Fault] | Fault) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__(str(self))

    def __str__(self) -> str:
        body = "\n\n".join(str(fault) for fault in self.faults)
        count = len(self.faults)
        return f"{body}\n\n{count} problem{'s' if count != 1 else ''}, nothing was run."


class RunError(Exception):
    """A run ended early: says state, time, subject and advice; `partial` holds what was computed until then."""

    def __init__(self, message: str, partial: Any = None) -> None:
        self.partial = partial
        super().__init__(message)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The sentence ``Did you mean "x"?`` for the nearest known word, or an empty text."""
    words = list(islice(known, MANY))
    near = [each for each in words if each.casefold() == word.casefold()] or difflib.get_close_matches(
        word[:LONGEST], words, n=1, cutoff=0.6
    )
    return f'Did you mean "{near[0]}"?' if near else ""
