"""The command line: data on stdout, talk on stderr; exit 0 done, 1 a run failed, 2 wrong input, 130 interrupted.

Every command imports what it needs when it is called, so that help answers at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isletsim import __version__
from isletsim.errors import Fault, InputError, RunError, did_you_mean

if TYPE_CHECKING:
    from isletsim.results import Result

__all__ = ["main"]

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

# NO_COLOR (no-color.org) turns colours off; otherwise click drops them where the output is no terminal.
_SETTINGS = {"help_option_names": ["-h", "--help"], "color": False if os.environ.get("NO_COLOR") else None}


def main(arguments: Sequence[str] | None = None) -> None:
    """The program ``isletsim``; ends the process with the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters is no reason to stop
    sys.exit(_outcome(arguments))


def _outcome(arguments: Sequence[str] | None) -> int:
    try:
        status = commands.main(arguments, prog_name="isletsim", standalone_mode=False)
    except InputError as wrong:
        return _say(str(wrong), WRONG_INPUT)
    except RunError as failure:
        return _say(str(failure), FAILED)
    except click.ClickException as wrong:
        wrong.show()
        return WRONG_INPUT
    except (click.Abort, KeyboardInterrupt):
        return _say("Interrupted.", INTERRUPTED)
    return status if isinstance(status, int) else DONE


def _say(text: str, status: int) -> int:
    click.echo(text, err=True)
    return status


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """A mechanistic simulator of type 1 and type 2 diabetes.

    \b
    isletsim run t2d_msc -o out       a study: table, figures and data into out/
    isletsim list                     what there is to run and to show
    isletsim show topp2000            the equations of a model, its units and sources
    isletsim check my/scenario.toml   what is wrong with a file, and how to mend it

    For research and teaching; no treatment decisions.
    """


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
    wanted = _changes(changes)
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
        _make_folder("-o", output)
    for scenario in loaded:
        if dry_run:
            click.echo(scenario.describe())
            continue
        folder = output if output is None or len(loaded) == 1 else output / scenario.name
        try:
            result = scenario.run(jobs=jobs, progress=_progress(scenario.name, quiet), every_day=every_day)
        except (RunError, KeyboardInterrupt) as stopped:
            partial = getattr(stopped, "partial", None)
            if partial is not None and folder is not None:
                _write(partial, folder, figures=False, keep=keep)
            raise
        click.echo(result.table(everything=everything))
        if folder is not None:
            _write(result, folder, figures=figures, keep=keep)


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

    _make_folder("-o", output)
    for path in files:
        trajectory = run_file(path, until, changes)
        click.echo(table(trajectory))
        if output is not None:
            folder = output if len(names) == 1 else output / path.stem
            written = write_run(path, trajectory, folder, figures)
            click.echo("wrote " + " ".join(str(each) for each in written), err=True)
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

    _make_folder("-o", output)
    for path in files:
        reports = run_time_courses(path)
        if output is not None:
            folder = output if len(names) == 1 else output / path.stem
            click.echo("wrote " + " ".join(str(each) for each in write_reports(reports, folder)), err=True)
        for report in reports:
            click.echo(f"{report.name}: {len(report.values)} rows of {', '.join(report.labels)}")
    return tuple(name for name in names if Path(name) not in files)


def _changes(texts: Sequence[str]) -> dict[str, str]:
    """What ``--set`` asked for: the parameter or start value, and its new quantity."""
    faults = [
        Fault(f"--set {text}", "Expected PATH=VALUE.", 'For example --set msc.potency="0.8".')
        for text in texts
        if not all(part.strip() for part in text.partition("="))
    ]
    if faults:
        raise InputError(faults)
    pairs = (text.partition("=") for text in texts)
    return {path.strip(): value.strip() for path, _, value in pairs}


def _progress(name: str, quiet: bool) -> Callable[[int, int], None] | None:
    """What is told of long work: one line on stderr that counts, in a terminal only."""
    if quiet or not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        click.echo(f"\r{name}: {done} of {total}", err=True, nl=done >= total)

    return tell


def _make_folder(option: str, folder: Path | None) -> None:
    """Make a folder of results before anything is run, so that no work is lost at a closed door."""
    if folder is None:
        return
    from tempfile import TemporaryFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as reason:
        found = "a file" if folder.is_file() else (reason.strerror or str(reason)).lower()
        raise InputError(Fault(f"{option} {folder}", f"This folder cannot be written: {found}.")) from None


def _write(result: Result, folder: Path, *, figures: bool, keep: str) -> None:
    try:
        written = result.write(folder, figures=figures, keep=keep)
    except OSError as reason:
        raise RunError(f"-o {folder}\nThe results could not be written: {reason}.") from None
    click.echo("wrote " + " ".join(str(path) for path in written), err=True)


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
    from isletsim.cli.challenge_report import draw_seen, examine, told

    seen = examine(patient, test, at)
    _make_folder("-o", output)
    click.echo(told(seen))
    if output is not None:
        click.echo("wrote " + " ".join(str(path) for path in draw_seen(seen, output)), err=True)


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

    text, none_wrong = judge_folder(folder, write, report, page, jobs, _progress("cases", quiet))
    click.echo(text)
    return DONE if none_wrong else FAILED


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> None:
    """Find what is wrong with files; run nothing.

    FILE is a model, a patient or a scenario, by name or by path, or an SBML file.
    """
    from isletsim.api import is_sbml, load_model
    from isletsim.cli.check import check_file
    from isletsim.data_files import find_any

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
@click.argument("wanted", nargs=-1, metavar="[TARGET|CLAIM|STUDY]...")
@click.option("--json", "record", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdicts here.")
@click.option("--figure", type=click.Path(path_type=Path), metavar="DIR", help="Draw simulated against published.")
@click.option("--patients", type=click.IntRange(min=0), help="Size of every cohort, instead of the studies' own.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads; all cores when not given.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def validate(
    wanted: tuple[str, ...],
    record: Path | None,
    figure: Path | None,
    patients: int | None,
    jobs: int | None,
    quiet: bool,
) -> int:
    """Hold the simulator against the evidence.

    Runs every study that a published value is held against; of TARGET (T183), CLAIM (C099) or STUDY only what belongs
    to it. Misses are results: the status is 0 unless a run failed.

    \b
    isletsim validate T183 T186
    isletsim validate --json out/validation.json --figure out
    """
    from isletsim.validate import validate as hold
    from isletsim.validate.report import write_report

    tells: dict[str, Callable[[int, int], None] | None] = {}

    def tell(study: str, done: int, total: int) -> None:
        shown = tells.setdefault(study, _progress(study, quiet))
        if shown is not None:
            shown(done, total)

    _make_folder("--figure", figure)
    _make_folder("--json", None if record is None else record.parent)
    report = hold(wanted, jobs=jobs, patients=patients, progress=tell)
    click.echo(report.table())
    try:
        written = write_report(report, record, figure)
    except OSError as reason:
        raise InputError(Fault("--json, --figure", f"This cannot be written: {reason}.")) from None
    if written:
        click.echo("wrote " + " ".join(str(path) for path in written), err=True)
    return FAILED if any(row.verdict.outcome == "failed" for row in report.rows) else DONE


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
