"""Costs and errors: the clock, the interpolation to equal error, and what the machine is."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["EQUAL_ERROR", "Point", "at_error", "commit", "cpu_seconds", "machine", "median_point", "versions"]

EQUAL_ERROR = 1e-5
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Point:
    """One point of a work-precision diagram: CPU seconds of a run (or of a subject) at a tolerance, and its error.

    `spread` is half the range of the middle half of the rounds, as a fraction of their median.
    """

    rtol: float
    seconds: float
    error: float
    spread: float = 0.0
    rounds: int = 1

    def plain(self) -> dict[str, float]:
        """The point as plain numbers."""
        return asdict(self)


def cpu_seconds(work: Callable[[], Any], at_least: float) -> tuple[float, Any]:
    """CPU seconds of this process for one call, from as many calls as fill a time; and what the last call gave."""
    calls, began = 0, time.process_time()
    while True:
        given = work()
        calls += 1
        spent = time.process_time() - began
        if spent >= at_least:
            return spent / calls, given


def median_point(rtol: float, seconds: Sequence[float], error: float) -> Point:
    """The median of rounds."""
    middle = statistics.median(seconds)
    spread = 0.0
    if len(seconds) > 2:
        low, _, high = statistics.quantiles(seconds, n=4)
        spread = 0.5 * (high - low) / middle
    return Point(rtol, middle, error, spread, len(seconds))


def at_error(points: Sequence[Point], target: float = EQUAL_ERROR) -> tuple[float, bool]:
    """The cost at an error, by interpolation in logarithms; and whether the points enclose it.

    The loosest tolerance counts from which on all tighter ones meet the error, so a lucky point does not help. Where no
    point is that bad (an explicit method bound by stability), the cheapest point is the cost.
    """
    listed = sorted((point for point in points if point.error > 0), key=lambda point: -point.rtol)
    meeting = len(listed)
    while meeting and listed[meeting - 1].error <= target:
        meeting -= 1
    if meeting == 0:
        return min((point.seconds for point in listed), default=math.nan), True
    if meeting == len(listed):
        if len(listed) < 2:
            return math.nan, False
        first, second = listed[-2:]
    else:
        first, second = listed[meeting - 1 : meeting + 1]
    slope = math.log(second.seconds / first.seconds) / math.log(second.error / first.error)
    return first.seconds * math.exp(slope * math.log(target / first.error)), meeting < len(listed)


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of installed packages."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """What everything ran on."""
    import llvmlite.binding as llvm

    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        names = [line.partition(":")[2].strip() for line in listing.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    features = dict(llvm.get_host_cpu_features())
    wide = "AVX-512" if features.get("avx512f") else "AVX2" if features.get("avx2") else "no wide vectors"
    return {
        "processor": name,
        "kind": llvm.get_host_cpu_name(),
        "vectors": wide,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
    }


def commit() -> str:
    """The commit of this checkout, with a + where files have changed; empty outside of one."""
    try:
        name = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=True, cwd=REPOSITORY
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name.stdout.strip()
