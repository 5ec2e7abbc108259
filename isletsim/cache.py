"""The user's cache folder: things that can be made again, kept under a name made of what they were made from.

Entries are written to a temporary file and renamed, so two processes at once never see half an entry. A folder
that cannot be written costs one warning, and everything works without it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

__all__ = ["fingerprint", "folder", "load", "save"]


@cache
def folder() -> Path | None:
    """The cache folder (``ISLETSIM_CACHE_DIR``, else the platform's own), or None when it cannot be written."""
    chosen = os.environ.get("ISLETSIM_CACHE_DIR")
    try:
        place = Path(chosen) if chosen else _platform_folder()
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except (OSError, RuntimeError) as reason:
        warnings.warn(f"no cache: {reason}; every start compiles anew. Set ISLETSIM_CACHE_DIR.", stacklevel=2)
        return None
    return place


def _platform_folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "isletsim"


def fingerprint(*parts: str | bytes) -> str:
    """A name made of content: 32 hexadecimal digits that change when any part changes."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


def load(kind: str, name: str) -> bytes | None:
    """The entry `name` of a kind ("driver", "model", "plan", ...), or None."""
    place = folder()
    if place is None:
        return None
    try:
        return (place / kind / name).read_bytes()
    except OSError:
        return None


def save(kind: str, name: str, data: bytes) -> None:
    """Keep an entry; a failure to write is silent, since `folder` has warned already."""
    place = folder()
    if place is None:
        return
    try:
        (place / kind).mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place / kind)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, place / kind / name)
    except OSError:
        return
