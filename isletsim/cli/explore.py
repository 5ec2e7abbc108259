"""The commands of the explorer: the page in a browser, and its lessons as notebooks."""

from __future__ import annotations

from pathlib import Path

import click

from isletsim.cli.group import commands

__all__ = ["explore", "lessons"]


@commands.command()
@click.argument("scenario", required=False, metavar="[PATIENT|SCENARIO|MODEL]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, help="Where to listen; a free port if it is taken."
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
def explore(scenario: str | None, port: int, no_browser: bool) -> None:
    """Open a page in which sliders move the disease.

    The page is served on 127.0.0.1 only, works without a network, and sends nothing anywhere. Stop it with Ctrl-C.

    \b
    isletsim explore
    isletsim explore new_onset_t1d_adult
    isletsim explore my/scenario.toml --no-browser
    isletsim explore topp2000
    """
    from isletsim.explorer import open_server

    server = open_server(scenario or "", port)
    click.echo(server.address)
    click.echo("Stop with Ctrl-C.", err=True)
    if not no_browser:
        import webbrowser

        webbrowser.open(server.address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    finally:
        server.server_close()


@commands.group()
def lessons() -> None:
    """List the lessons, or copy them as notebooks.

    \b
    isletsim lessons list
    isletsim lessons copy my/lessons
    """


@lessons.command("list")
def list_lessons() -> None:
    """List the lessons of the explorer."""
    from isletsim.explorer.lessons import read_lessons

    for lesson in read_lessons():
        click.echo(f"{lesson.name:<20}{lesson.title} ({lesson.minutes} min)")


@lessons.command("copy")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("lessons"))
@click.option("--execute/--no-execute", default=None, help="Run the notebooks; by default where nbclient is installed.")
def copy_lessons(folder: Path, execute: bool | None) -> None:
    """Copy the lessons into FOLDER as notebooks; existing files are kept."""
    from isletsim.explorer.notebooks import copy_notebooks

    for path in copy_notebooks(folder, execute):
        click.echo(str(path))
