"""Random draws by name: one stream for each (seed, purpose), the position in it is the subject.

Two arms that share a seed share every draw of a subject, event and year, whatever else happens in them. The draws of a
subject do not depend on how many subjects there are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["frailties", "generator", "uniforms"]


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of one purpose, for example ``generator(7, "stroke", 12)``."""
    name = "/".join(map(str, (seed, *purpose))).encode()
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def uniforms(size: int, seed: int, *purpose: str | int) -> NDArray[np.float64]:
    """Return one uniform number in [0, 1) for each of the subjects 0 ... size - 1."""
    return generator(seed, *purpose).random(size)


def frailties(size: int, seed: int, spread: float) -> NDArray[np.float64]:
    """Return one lognormal frailty of mean 1 for each subject; `spread` is the standard deviation of its logarithm."""
    if spread == 0.0:
        return np.ones(size)
    from scipy.special import ndtri

    normal = ndtri(np.clip(uniforms(size, seed, "frailty"), 1e-12, 1.0 - 1e-12))
    return np.asarray(np.exp(spread * normal - spread**2 / 2.0), float)
