"""The machine that simulations run on."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["ForkSafeLock", "cores"]


def cores() -> int:
    """Return how many cores this process may use; a container or a batch system may grant fewer than there are."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ForkSafeLock:
    """A lock that is free in a forked process, also if another thread held it at the fork."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
