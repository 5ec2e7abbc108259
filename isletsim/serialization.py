"""Records as data: frozen dataclasses, tuples, dictionaries and plain values to JSON and back, nothing executed.

The content is a list of rows in dependency order, so that objects that occur several times (pieces of expression
trees) stay shared. A row is the number of a class and its fields; a field is a plain value or ``[row]``. Only classes
that the reader names are made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["decode", "encode"]

PLAIN = (str, int, float, bool, type(None))
_BUILT_IN = ("tuple", "dict", "path", "frozenset", "list")
_TUPLE, _DICT, _PATH, _FROZENSET, _LIST = range(len(_BUILT_IN))


def encode(value: Any, classes: Iterable[type]) -> bytes:
    """Return a value as JSON.

    Parameters
    ----------
    classes : dataclasses that may occur in it.

    Raises
    ------
    TypeError : something in it is of another class.
    """
    known = {each: number for number, each in enumerate(classes, start=len(_BUILT_IN))}
    named = {each: [field.name for field in fields(each)] for each in known if is_dataclass(each)}
    rows: list[list[Any]] = []
    numbers: dict[int, int] = {}  # of every object that has its row
    whole = (value,)
    kept: list[Any] = []  # an object must live as long as its id is used
    stack: list[tuple[Any, int, list[Any] | None]] = [(whole, 0, None)]

    def parts_of(each: Any) -> tuple[int, list[Any]]:
        kind = type(each)
        if kind is tuple:
            return _TUPLE, list(each)
        if kind is list:
            return _LIST, each
        if isinstance(each, Path):
            return _PATH, [str(each)]
        if kind in named:
            return known[kind], [getattr(each, name) for name in named[kind]]
        if isinstance(each, Mapping):
            return _DICT, [part for item in each.items() for part in item]
        if kind is frozenset:
            return _FROZENSET, sorted(each)
        raise TypeError(f"{kind.__name__} is no record that can be kept as data")

    while stack:
        each, number, parts = stack.pop()
        if id(each) in numbers:
            continue
        if parts is None:
            number, parts = parts_of(each)
            kept.append(parts)
        waiting = [part for part in parts if not _plain(part) and id(part) not in numbers]
        if waiting:
            stack.append((each, number, parts))
            stack.extend((part, 0, None) for part in reversed(waiting))
            continue
        rows.append([number, *(part if _plain(part) else [numbers[id(part)]] for part in parts)])
        numbers[id(each)] = len(rows) - 1
    return json.dumps([[_signature(each) for each in known], rows], separators=(",", ":")).encode()


def _plain(value: Any) -> bool:
    return isinstance(value, PLAIN) and not isinstance(value, Enum)


def _signature(kind: type) -> list[str]:
    return [kind.__qualname__, *(field.name for field in fields(kind))]


def decode(data: bytes, classes: Iterable[type]) -> Any:
    """Return the value that `encode` was given.

    Raises
    ------
    ValueError : the data are damaged, or were made with other classes.
    """
    listed = list(classes)
    try:
        signatures, rows = json.loads(data)
        if signatures != [_signature(each) for each in listed]:
            raise ValueError("made with other classes")
        made: list[Any] = []
        for number, *parts in rows:
            parts = [made[part[0]] if type(part) is list else part for part in parts]
            if number >= len(_BUILT_IN):
                made.append(listed[number - len(_BUILT_IN)](*parts))
            elif number == _TUPLE:
                made.append(tuple(parts))
            elif number == _DICT:
                made.append(dict(zip(parts[::2], parts[1::2], strict=True)))
            elif number == _LIST:
                made.append(parts)
            else:
                made.append(Path(*parts) if number == _PATH else frozenset(parts))
        return made[-1][0]
    except (ValueError, TypeError, IndexError, KeyError, RecursionError) as reason:
        raise ValueError(f"these data cannot be read: {reason}") from None
