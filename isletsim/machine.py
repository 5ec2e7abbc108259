"""The machine that simulations run on."""

from __future__ import annotations

import os
import sys

__all__ = ["cores"]


def cores() -> int:
    """Return how many cores this process may use; a container or a batch system may grant fewer than there are."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
