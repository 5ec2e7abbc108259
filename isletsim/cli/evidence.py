"""The command that compares simulations with published measurements: validate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from isletsim.cli.group import DONE, FAILED, commands, make_folder, progress_line
from isletsim.errors import Fault, InputError

__all__ = ["validate"]


@commands.command()
@click.argument("wanted", nargs=-1, metavar="[TARGET|CLAIM|STUDY]...")
@click.option("--json", "record", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdicts here.")
@click.option("--figure", type=click.Path(path_type=Path), metavar="DIR", help="Draw simulated against published.")
@click.option("--patients", type=click.IntRange(min=0), help="Size of every cohort, instead of the studies' own.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads; all cores when not given.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--experiments", is_flag=True, help="Direct physiological experiments (P031) instead of trials.")
@click.option("--module", default="", metavar="NAME", help="Only experiments of this module (insulin).")
def validate(
    wanted: tuple[str, ...],
    record: Path | None,
    figure: Path | None,
    patients: int | None,
    jobs: int | None,
    quiet: bool,
    experiments: bool,
    module: str,
) -> int:
    """Hold the simulator against the evidence.

    Runs every study that a published value is held against; of TARGET (T183), CLAIM (C099) or STUDY only what belongs
    to it. Misses are results: the status is 0 unless a run failed.

    \b
    isletsim validate T183 T186
    isletsim validate --json out/validation.json --figure out
    isletsim validate --experiments --module insulin
    """
    if experiments or module:
        return _experiments(wanted, module, record)
    from isletsim.validation import validate as hold
    from isletsim.validation.report import write_report

    tells: dict[str, Callable[[int, int], None] | None] = {}

    def tell(study: str, done: int, total: int) -> None:
        shown = tells.setdefault(study, progress_line(study, quiet))
        if shown is not None:
            shown(done, total)

    make_folder("--figure", figure)
    make_folder("--json", None if record is None else record.parent)
    report = hold(wanted, jobs=jobs, patients=patients, progress=tell)
    click.echo(report.table())
    try:
        written = write_report(report, record, figure)
    except OSError as reason:
        raise InputError(Fault("--json, --figure", f"This cannot be written: {reason}.")) from None
    if written:
        click.echo("wrote " + " ".join(str(path) for path in written), err=True)
    return FAILED if any(row.verdict.outcome == "failed" for row in report.rows) else DONE


def _experiments(wanted: tuple[str, ...], module: str, record: Path | None) -> int:
    """Print the direct experiments; misses are results."""
    import json

    from isletsim.validation.experiments import validate_experiments
    from isletsim.validation.experiments_report import experiments_record, experiments_table

    make_folder("--json", None if record is None else record.parent)
    report = validate_experiments(wanted, module)
    click.echo(experiments_table(report))
    if record is not None:
        try:
            record.write_text(json.dumps(experiments_record(report), indent=1) + "\n", encoding="utf-8")
        except OSError as reason:
            raise InputError(Fault("--json", f"This cannot be written: {reason}.")) from None
        click.echo(f"wrote {record}", err=True)
    return DONE
