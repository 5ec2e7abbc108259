"""The commands that simulate: run and challenge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isletsim.cli.group import changes_of, commands, make_folder, progress_line
from isletsim.errors import Fault, InputError, RunError

if TYPE_CHECKING:
    from isletsim.results import Result

__all__ = ["challenge", "run"]


@commands.command()
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write results and figures here.")
@click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", help='As in --set msc.potency="0.8".')
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the cohort, instead of the scenario's.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads; all cores when not given.")
@click.option("--figures/--no-figures", default=True, help="Draw the figures (with -o).")
@click.option("--dry-run", is_flag=True, help="Print the plan of arms, doses and visits, and run nothing.")
@click.option("--keep", type=click.Choice(["summary", "full"]), default="summary", help="Whose rows results.csv has.")
@click.option("--all", "everything", is_flag=True, help="A table of all quantities, not only of those in figures.")
@click.option("--until", metavar="TIME", help='How long to run, as in --until "10 day"; an SBML file does not say.')
@click.option("--every-day", is_flag=True, help="Simulate every day: the slow reference of models with two clocks.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run(
    scenarios: tuple[str, ...],
    output: Path | None,
    changes: tuple[str, ...],
    seed: int | None,
    jobs: int | None,
    figures: bool,
    dry_run: bool,
    keep: str,
    everything: bool,
    until: str | None,
    every_day: bool,
    quiet: bool,
) -> None:
    """Run every arm of a study, an SBML file, or the time courses of a SED-ML document or COMBINE archive.

    SCENARIO is a name (see isletsim list) or the path of a file.

    \b
    isletsim run t2d_msc -o out
    isletsim run my/study.toml --set msc.potency=0.5 --seed 7 -o out
    isletsim run model.xml --until "10 day" -o out
    """
    wanted = changes_of(changes)
    of_studies = {
        "--dry-run": dry_run,
        "--every-day": every_day,
        "--seed": seed is not None,
        "--keep": keep != "summary",
    }
    scenarios = _run_sbml(
        scenarios, until, wanted, output, figures, [option for option, given in of_studies.items() if given]
    )
    scenarios = _run_time_courses(scenarios, until, wanted, output)
    from isletsim.study import load_scenario

    wanted = wanted if until is None else {"until": until, **wanted}
    loaded = [load_scenario(each, set=wanted, seed=seed) for each in scenarios]
    names = [scenario.name for scenario in loaded]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and output is not None:
        raise InputError(Fault(f"-o {output}", f"Two studies are called {twice[0]}; each needs a folder of its own."))
    if not dry_run:
        make_folder("-o", output)
    for scenario in loaded:
        if dry_run:
            click.echo(scenario.describe())
            continue
        folder = output if output is None or len(loaded) == 1 else output / scenario.name
        try:
            result = scenario.run(jobs=jobs, progress=progress_line(scenario.name, quiet), every_day=every_day)
        except (RunError, KeyboardInterrupt) as stopped:
            partial = getattr(stopped, "partial", None)
            if partial is not None and folder is not None:
                _write(partial, folder, figures=False, keep=keep)
            raise
        if folder is not None:  # files first: standard output may be closed or full
            _write(result, folder, figures=figures, keep=keep)
        click.echo(result.table(everything=everything))


def _run_sbml(
    names: tuple[str, ...],
    until: str | None,
    changes: dict[str, str],
    output: Path | None,
    figures: bool,
    unfit: Sequence[str],
) -> tuple[str, ...]:
    """Runs the SBML files among the names; returns the others. `unfit` are options that only studies have."""
    from isletsim.api import is_sbml

    files = [Path(name) for name in names if is_sbml(name)]
    if not files:
        return names
    if unfit:
        raise InputError(Fault(", ".join(unfit), f"This is said of studies, and {files[0]} is an SBML file."))
    from isletsim.sbml.commands import run_file, table, write_run

    make_folder("-o", output)
    for path in files:
        trajectory = run_file(path, until, changes)
        if output is not None:
            folder = output if len(names) == 1 else output / path.stem
            try:
                written = write_run(path, trajectory, folder, figures)
            except OSError as reason:
                raise RunError(f"-o {folder}\nThe results could not be written: {reason}.") from None
            click.echo("wrote " + " ".join(str(each) for each in written), err=True)
        click.echo(table(trajectory))
    return tuple(name for name in names if not is_sbml(name))


def _run_time_courses(
    names: tuple[str, ...], until: str | None, changes: dict[str, str], output: Path | None
) -> tuple[str, ...]:
    """Run the SED-ML documents and COMBINE archives among the names; return the others."""
    files = [Path(name) for name in names if name.lower().endswith((".sedml", ".omex"))]
    if not files:
        return names
    if until is not None or changes:
        message = "a SED-ML document states its own end and changes; --until and --set do not apply."
        raise InputError(Fault(str(files[0]), message, "Run the SBML file of its model with them."))
    from isletsim.sbml.time_courses import run_time_courses, write_reports

    make_folder("-o", output)
    for path in files:
        reports = run_time_courses(path)
        if output is not None:
            folder = output if len(names) == 1 else output / path.stem
            click.echo("wrote " + " ".join(str(each) for each in write_reports(reports, folder)), err=True)
        for report in reports:
            click.echo(f"{report.name}: {len(report.values)} rows of {', '.join(report.labels)}")
    return tuple(name for name in names if Path(name) not in files)


def _write(result: Result, folder: Path, *, figures: bool, keep: str) -> None:
    try:
        written = result.write(folder, figures=figures, keep=keep)
    except OSError as reason:
        raise RunError(f"-o {folder}\nThe results could not be written: {reason}.") from None
    click.echo("wrote " + " ".join(str(path) for path in written), err=True)
    if keep == "summary" and result.cohort:
        message = "results.csv holds the reference patient (subject 0); --keep full writes every subject"
        click.echo(f"{message} ({result.cohort + 1} of them).", err=True)


@commands.command()
@click.argument("patient", metavar="PATIENT|SCENARIO")
@click.argument("test", metavar="TEST")
@click.option("--at", default="0 day", metavar="TIME", help='When, as in --at "12 month".')
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Draw the curves into this folder."
)
def challenge(patient: str, test: str, at: str, output: Path | None) -> None:
    """Give a virtual test: ogtt, mmtt, ivgtt, clamp, or a file of your own.

    \b
    isletsim challenge healthy_adult ogtt
    isletsim challenge t1d_new_onset mmtt --at "12 month" -o out
    """
    from isletsim.cli.challenge_report import draw_seen, told
    from isletsim.study.examine import examine

    seen = examine(patient, test, at)
    make_folder("-o", output)
    if output is not None:
        click.echo("wrote " + " ".join(str(path) for path in draw_seen(seen, output)), err=True)
    click.echo(told(seen))
