"""A mechanistic simulator of type 1 and type 2 diabetes.

>>> import isletsim
>>> trajectory = isletsim.load_model("topp2000").simulate(until="400 day", save="1 day")
>>> result = isletsim.load_scenario("t2d_msc").run()

For research and teaching; no treatment decisions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isletsim.api import load_model
    from isletsim.errors import InputError, RunError
    from isletsim.explorer import explore
    from isletsim.study import load_scenario

__all__ = ["InputError", "RunError", "__version__", "explore", "load_model", "load_scenario"]

__version__ = "0.1.0"

# Where the public names live. They are fetched when asked for, so that `import isletsim` loads no numerics.
_HOMES = {
    "InputError": "isletsim.errors",
    "RunError": "isletsim.errors",
    "explore": "isletsim.explorer",
    "load_model": "isletsim.api",
    "load_scenario": "isletsim.study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
