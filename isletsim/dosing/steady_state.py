"""Regimens that are in steady state when a run begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from isletsim.arguments import time_argument
from isletsim.errors import Fault, InputError

__all__ = ["steady_doses"]


def steady_doses(
    doses: Sequence[Mapping[str, Any]], opening: float
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Split off the regimens that are in steady state at the beginning; all doses, without that word, come second."""
    plain: list[Mapping[str, Any]] = [
        {key: value for key, value in dose.items() if key != "steady_state"} for dose in doses
    ]
    repeated = [
        bare for dose, bare in zip(doses, plain, strict=True) if _flag(dose.get("steady_state", False), "steady_state")
    ]
    intervals = {time_argument(dose.get("every", math.nan), "every") for dose in repeated if "every" in dose}
    if len(intervals) > 1 or any("every" not in dose for dose in repeated):
        message = "a steady state needs one interval: every dose with steady_state has the same `every`."
        raise InputError(Fault("steady_state", message, 'Write every = "12 hour".'))
    if any(time_argument(dose.get("at", 0.0), "at") != opening for dose in repeated):
        message = "a dose in steady state is not at the beginning of the run."
        raise InputError(Fault("steady_state", message, f'Write at = "{opening:g} day".'))
    return repeated, plain


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(Fault(place, f"{value!r} is neither true nor false."))
    return value
