"""The user's cache folder: data that can be recomputed, kept under a name derived from their inputs.

An entry begins with a magic line and a SHA-256 digest of its kind, its name and all of its content, so neither a
flipped bit nor an entry under another name is used. Nothing is loaded from a folder or a file that another user owns
or may write to. Entries are written to a part file and renamed; the least recently used ones are deleted beyond
`LARGEST`. A folder that cannot be used costs one warning, and everything works without it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["LARGEST", "fingerprint", "folder", "load", "save"]

MAGIC = b"isletsim cache 2\n"
PART = ".part-"  # begins the name of a file that is being written
LARGEST = 1_000_000_000  # bytes of all entries; ISLETSIM_CACHE_MB sets another limit
KEPT = 0.8  # share of the limit that an eviction leaves
ABANDONED = 3_600.0  # seconds after which a part file belongs to a process that was killed
TOUCHED = 86_400.0  # seconds: how exactly the last use of an entry is known
DIGEST = hashlib.sha256().digest_size


class _Written:
    """Bytes that this process has written since the folder was last looked through; negative before the first time."""

    count = -1


@cache
def folder() -> Path | None:
    """Return the cache folder (``ISLETSIM_CACHE_DIR``, else the platform's own), or None when it is not to be used."""
    chosen = os.environ.get("ISLETSIM_CACHE_DIR")
    try:
        place = Path(chosen) if chosen else _platform_folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        fault = _fault_of(place.stat())
        if fault:
            cure = f"Remove its content and run: chmod go-w {place}"
            warnings.warn(f"no cache: {place} {fault}. {cure}", stacklevel=2)
            return None
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


def _fault_of(status: os.stat_result) -> str:
    """Return why a folder or file is not trusted, as text; empty when it is."""
    if sys.platform == "win32":  # the profile folder of a user is closed to others by its access list
        return ""
    if status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    return "may be written by other users" if status.st_mode & 0o022 else ""


def fingerprint(*parts: str | bytes) -> str:
    """Return a name made of content: 32 hexadecimal digits that change when any part changes."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


def load(kind: str, name: str) -> bytes | None:
    """Return the entry `name` of a kind ("driver", "model", "plan", ...); None when absent, damaged or not trusted."""
    place = folder()
    if place is None:
        return None
    path = place / kind / name
    try:
        if _fault_of(path.parent.stat()):
            return None
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if _fault_of(status) or not stat.S_ISREG(status.st_mode):
                return None
            entry = file.read()
    except OSError:
        return None
    head = len(MAGIC) + DIGEST
    data = entry[head:]
    if entry[:head] != MAGIC + _digest(kind, name, data):
        return None
    if time.time() - status.st_mtime > TOUCHED:
        with suppress(OSError):
            os.utime(path)
    return data


def _digest(kind: str, name: str, data: bytes) -> bytes:
    digest = hashlib.sha256(f"{kind}\n{name}\n{len(data)}\n".encode())
    digest.update(data)
    return digest.digest()


def save(kind: str, name: str, data: bytes) -> None:
    """Keep an entry; a failure to write is silent, because `folder` has warned already."""
    place = folder()
    if place is None:
        return
    part = ""
    try:
        (place / kind).mkdir(mode=0o700, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=place / kind, prefix=PART)
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + _digest(kind, name, data))
            file.write(data)
        os.replace(part, place / kind / name)
    except OSError:
        if part:
            _remove(part)
        return
    _Written.count += len(data)
    if _Written.count < len(data) or _Written.count > _limit() // 20:
        _Written.count = 0
        _evict(place)


def _limit() -> int:
    try:
        return int(float(os.environ["ISLETSIM_CACHE_MB"]) * 1e6)
    except (KeyError, ValueError, OverflowError):
        return LARGEST


def _evict(place: Path) -> None:
    """Delete abandoned part files and, beyond the limit, the least recently used entries."""
    found: list[tuple[float, int, str]] = []
    now, total = time.time(), 0
    for kind in _entries(place):
        for entry in _entries(kind.path) if kind.is_dir(follow_symlinks=False) else ():
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            if entry.name.startswith(PART):
                if now - status.st_mtime > ABANDONED:
                    _remove(entry.path)
                continue
            found.append((status.st_mtime, status.st_size, entry.path))
            total += status.st_size
    limit = _limit()
    if total > limit:
        for _, size, path in sorted(found):
            _remove(path)
            total -= size
            if total <= KEPT * limit:
                return


def _entries(place: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as listed:
            return list(listed)
    except OSError:
        return []


def _remove(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()
