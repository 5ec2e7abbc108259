"""A mechanistic simulator of type 1 and type 2 diabetes.

>>> import isletsim
>>> trajectory = isletsim.load_model("topp2000").simulate(until="400 day", save="1 day")
>>> result = isletsim.load_scenario("t2d_msc").run()
>>> years = isletsim.load_patient("early_t2d").simulate("2 year")

For research and teaching; no treatment decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isletsim.api import (
        Patient,
        challenge,
        check,
        export,
        load_model,
        load_patient,
        load_scenario,
        validate,
    )
    from isletsim.api import list_files as list  # noqa: A004 - the word of the command line
    from isletsim.errors import InputError, RunError
    from isletsim.explorer import explore
    from isletsim.model import Model
    from isletsim.results import Result
    from isletsim.study import Scenario
    from isletsim.study.multiscale_model import MultiscaleModel, Years
    from isletsim.trajectory import Trajectory

__all__ = [
    "InputError",
    "Model",
    "MultiscaleModel",
    "Patient",
    "Result",
    "RunError",
    "Scenario",
    "Trajectory",
    "Years",
    "__version__",
    "challenge",
    "check",
    "explore",
    "export",
    "list",
    "load_model",
    "load_patient",
    "load_scenario",
    "validate",
]

__version__ = "0.2.0"

# The modules of the public names. They are imported when needed, so that `import isletsim` loads no numerics.
_HOMES = {
    "InputError": "isletsim.errors",
    "Model": "isletsim.model",
    "MultiscaleModel": "isletsim.study.multiscale_model",
    "Patient": "isletsim.api",
    "Result": "isletsim.results",
    "RunError": "isletsim.errors",
    "Scenario": "isletsim.study",
    "Trajectory": "isletsim.trajectory",
    "Years": "isletsim.study.multiscale_model",
    "challenge": "isletsim.api",
    "check": "isletsim.api",
    "explore": "isletsim.explorer",
    "export": "isletsim.api",
    "list": "isletsim.api",
    "load_model": "isletsim.api",
    "load_patient": "isletsim.api",
    "load_scenario": "isletsim.api",
    "validate": "isletsim.api",
}
_SPELLED = {"list": "list_files"}  # names that a module of its own must not shadow


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name]), _SPELLED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> Sequence[str]:
    return sorted({*globals(), *__all__})
