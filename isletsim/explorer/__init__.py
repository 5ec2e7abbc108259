"""The explorer: a page on 127.0.0.1 in which students move patients, therapies and parameters, and lessons on it.

Its controls are data (`models/explorer/`). Choices become a scenario (`writing`), a scenario becomes curves (`runs`),
and the page only draws them; `server` carries JSON between the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isletsim.explorer.notebooks import Figure
    from isletsim.explorer.server import Server

__all__ = ["explore", "open_server"]

PORT = 8765


def open_server(wanted: str = "", port: int = PORT) -> Server:
    """Return a server of the explorer's page, ready to `serve_forever`.

    Parameters
    ----------
    wanted : a patient of the explorer's list, a scenario or a model by name or path; empty for the first patient.
    port : where to listen; another free one is taken if it is busy.

    Raises
    ------
    InputError : an unknown or faulty scenario.
    """
    from isletsim.explorer.api import Explorer
    from isletsim.explorer.controls import read_controls
    from isletsim.explorer.server import Server

    patients = {each.file for each in read_controls().patients}
    explorer = Explorer(patient=wanted) if wanted in patients else Explorer(scenario=wanted)
    explorer.check()
    return Server(explorer, port)


def explore(wanted: str | Any = "", *, port: int = 0, height: int = 760) -> Figure:
    """Show the explorer in a notebook: a frame with the page, served by this process.

    Parameters
    ----------
    wanted : a patient, scenario or model by name or path, or what `load_scenario` or `load_model` gave.
    height : of the frame, in pixels.

    Returns
    -------
    frame : an object that notebooks display; `frame.address` opens in any browser of this machine.
    """
    from isletsim.explorer.notebooks import framed

    return framed(open_server(_name_of(wanted), port), height)


def _name_of(wanted: Any) -> str:
    """Return the name or path that opens what somebody holds."""
    if isinstance(wanted, str):
        return wanted
    if hasattr(wanted, "files"):
        return str(wanted.files[0])
    return str(getattr(wanted, "name", wanted))
