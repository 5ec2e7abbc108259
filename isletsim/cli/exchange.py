"""The commands for other tools' files: import, export, sbml-suite."""

from __future__ import annotations

from pathlib import Path

import click

from isletsim.cli.group import DONE, FAILED, commands, progress_line

__all__ = ["export", "import_model", "sbml_suite"]


@commands.command("import")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.xml")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PATH", help="A folder, or a file .toml.")
def import_model(file: Path, output: Path | None) -> None:
    """Turn an SBML file into a model file of our own, where the language can say it."""
    from isletsim.sbml.commands import import_file

    text, written = import_file(file, output)
    click.echo(text if written is None else f"wrote {written}", nl=written is not None, err=written is not None)


@commands.command()
@click.argument("name", metavar="MODEL|SCENARIO")
@click.option("--arm", default="", help="Which arm of a scenario; the first when not given.")
@click.option("--sbml", "form", flag_value="sbml", default=True, help="SBML Level 3 Version 2 (the default).")
@click.option("--antimony", "form", flag_value="antimony", help="Antimony, the same as text for people.")
@click.option("--omex", "form", flag_value="omex", help="A COMBINE archive with the simulation as SED-ML.")
@click.option("--no-algebraic", is_flag=True, help="Follow algebraic rules by their derivative.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it here.")
def export(name: str, arm: str, form: str, no_algebraic: bool, output: Path | None) -> None:
    """Write a model, or an arm of a study, for other tools.

    \b
    isletsim export topp2000 -o topp2000.xml
    isletsim export t2d_msc --arm msc --omex -o msc.omex
    """
    from isletsim.sbml.commands import export_file

    text, written = export_file(name, arm, form, not no_algebraic, output)
    click.echo(text if written is None else f"wrote {written}", nl=written is not None, err=written is not None)


@commands.command("sbml-suite")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--write", type=click.Path(path_type=Path), metavar="OUT", help="Write what was computed here, as csv.")
@click.option("--json", "report", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdicts here.")
@click.option("--page", type=click.Path(path_type=Path), metavar="FILE", help="Write the page of what is supported.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; all cores when not given.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def sbml_suite(
    folder: Path, write: Path | None, report: Path | None, page: Path | None, jobs: int | None, quiet: bool
) -> int:
    """Judge a folder of cases of the SBML test suite.

    DIR has one folder a case, with a model, settings.txt and results.csv. Each passes, is refused by name, or is wrong.
    """
    from isletsim.sbml.commands import judge_folder

    text, none_wrong = judge_folder(folder, write, report, page, jobs, progress_line("cases", quiet))
    click.echo(text)
    return DONE if none_wrong else FAILED
