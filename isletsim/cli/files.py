"""The commands that read files and run nothing: check, show, list, cite; and doctor."""

from __future__ import annotations

from pathlib import Path

import click

from isletsim.cli.group import DONE, FAILED, commands
from isletsim.errors import Fault, InputError, did_you_mean

__all__ = ["check", "cite", "doctor", "list_files", "show"]


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> None:
    """Find what is wrong with files; run nothing.

    FILE is a model, a patient or a scenario, by name or by path, or an SBML file.
    """
    from isletsim.api import is_sbml, load_model
    from isletsim.data_files import find_any
    from isletsim.study.check import check_file, source_warnings

    faults: list[Fault] = []
    for each in files:
        try:
            if is_sbml(each):
                kind, path = "model in SBML", Path(each)
                load_model(path)
            else:
                kind, path = find_any(each)
                check_file(kind, path)
        except InputError as wrong:
            faults += wrong.faults
        else:
            click.echo(f"{path}: a {kind} without faults")
            if not is_sbml(each):
                for warning in source_warnings(path):
                    click.echo(f"warning: {warning}", err=True)
    if faults:
        raise InputError(faults)


@commands.command()
@click.argument("name", metavar="MODEL|SCENARIO|FILE.THING")
@click.option("--source", is_flag=True, help="The equations as plain NumPy, the reference of the compiled code.")
def show(name: str, source: bool) -> None:
    """Show equations, units, sources and grades.

    Of a file, or of one thing of a model, such as beta_cells.apoptosis.
    """
    from isletsim.cli.show import show_named, show_source
    from isletsim.data_files import find_any

    click.echo(show_source(*find_any(name)) if source else show_named(name))


@commands.command("list")
@click.argument("kind", type=click.Choice(["models", "patients", "challenges", "scenarios"]), required=False)
def list_files(kind: str | None) -> None:
    """List models, patients, virtual tests (challenges) and scenarios."""
    from isletsim.data_files import KINDS, listing, title

    for each in KINDS if kind is None else [kind.removesuffix("s")]:
        rows = listing(each)
        width = max((len(name) for name, _ in rows), default=0)
        if kind is None:
            click.secho(f"{each}s", bold=True)
        for name, path in rows:
            click.echo(f"  {name:<{width}}  {title(path)}".rstrip())


@commands.command()
@click.argument("names", nargs=-1, required=True, metavar="SCENARIO|MODEL|KEY...")
@click.option("--bibtex", is_flag=True, help="As BibTeX entries.")
def cite(names: tuple[str, ...], bibtex: bool) -> None:
    """Print the references of what is used.

    Of a scenario or a model, by name or by path, or of keys of the bibliography.
    """
    from isletsim.bibliography import citation, everything

    known = everything()
    keys = [key for name in names for key in ([name] if name in known else _keys_of(name, list(known)))]
    for key in dict.fromkeys(keys):
        if key not in known:
            raise InputError(Fault(key, "This source is not in the bibliography.", did_you_mean(key, known)))
        click.echo(known[key].entry if bibtex else f"{key}: {citation(known[key])}")


def _keys_of(name: str, known: list[str]) -> list[str]:
    """The keys of the references that a model, patient or scenario uses."""
    from isletsim.data_files import KINDS, find_any, listing

    try:
        kind, path = find_any(name)
    except InputError:
        names = [file for each in KINDS for file, _ in listing(each)]
        cure = did_you_mean(name, [*names, *known])
        raise InputError(Fault(name, "This is no scenario, model, patient or key of the bibliography.", cure)) from None
    from isletsim.cli.show import sources

    return sources(kind, path)


@commands.command()
def doctor() -> int:
    """Say whether isletsim is well.

    Versions, cache, cores, and a run whose answer was published.
    """
    from isletsim.cli.doctor import report

    healthy = True
    for name, finding, well in report():
        click.echo(f"{name:<12}{finding}" if well else click.style(f"{name:<12}{finding}", fg="red"))
        healthy = healthy and well
    return DONE if healthy else FAILED
