"""The command line."""

from isletsim.cli.commands import main

__all__ = ["main"]
