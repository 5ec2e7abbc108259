"""What the command ``doctor`` finds: versions, the cache, the cores, and one run whose answer was published."""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from isletsim import cache
from isletsim.data_files import KINDS, listing
from isletsim.machine import cores

__all__ = ["report", "self_check"]

Finding = tuple[str, str, bool]  # what was looked at, what was found, whether it is well

# Topp et al. 2000: the stable physiological fixed point, approached from beside it.
_MODEL = "topp2000"
_BESIDE = {"G": "110 mg/dL", "I": "12 uU/mL", "B": "280 mg"}
_PUBLISHED = {"G": 100.0, "I": 10.0, "B": 300.0}
_NEAR = 1e-4


def report() -> Iterator[Finding]:
    """The findings, one after the other; the slow ones come last."""
    yield "python", f"{platform.python_version()} ({platform.machine()}, {sys.platform})", True
    for package in ("numpy", "scipy", "numba", "llvmlite"):
        found = _version(package)
        yield package, found or "missing", bool(found)
    yield _cache()
    yield "cores", str(cores()), True
    counts = [f"{len(listing(kind))} {kind}s" for kind in KINDS]
    yield "data", ", ".join(counts), bool(listing("model"))
    yield "compiled", _compiled(), True
    yield self_check()


def self_check() -> Finding:
    """A run from beside a published fixed point; it is well when it ends there."""
    from isletsim.model import load_model

    started = time.perf_counter()
    trajectory = load_model(_MODEL).simulate(until="3 year", save="1 year", start=_BESIDE)
    reached = {symbol: float(trajectory[symbol][-1]) for symbol in _PUBLISHED}
    spent = time.perf_counter() - started
    well = all(abs(reached[symbol] / known - 1) < _NEAR for symbol, known in _PUBLISHED.items())
    values = ", ".join(f"{symbol} = {value:.5g}" for symbol, value in reached.items())
    verdict = "ok" if well else f"expected {', '.join(f'{symbol} = {known:g}' for symbol, known in _PUBLISHED.items())}"
    return "self-check", f"{_MODEL} comes to rest at {values}: {verdict} ({spent:.2f} s)", well


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cache() -> Finding:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        place = cache.folder()
    if place is None:
        return "cache", str(told[0].message) if told else "none", False
    return "cache", f"{place} (writable)", True


def _compiled() -> str:
    """How much compiled code the cache keeps; without any the next run makes it."""
    place = cache.folder()
    kinds = [] if place is None else [kind for kind in place.iterdir() if kind.is_dir()]  # a stray file is no kind
    kept = {kind.name: sum(1 for _ in kind.iterdir()) for kind in kinds}
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kept.items()))
    return f"kept in the cache: {counts}" if counts else "nothing yet; the first run compiles"
