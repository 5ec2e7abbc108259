"""``python -m isletsim.calibration [--dry-run] [--only GROUP] [--keep] [--write] [--cohort N]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from isletsim.calibration import fit
from isletsim.calibration.reading import read_calibration
from isletsim.calibration.report import as_page, explained, kept_result, merge, result_file, verdict
from isletsim.calibration.writing import changes, write_into
from isletsim.errors import InputError, RunError
from isletsim.units import convert


@click.command()
@click.option("--table", type=click.Path(path_type=Path), help="Another table than seeds/calibration.toml.")
@click.option("--only", default="", metavar="GROUP", help="One group.")
@click.option("--keep", is_flag=True, help="Leave the numbers as they are and say what they reach now.")
@click.option("--cohort", type=int, help="Virtual patients that stand for a population; 0 lets the reference do.")
@click.option("--dry-run", is_flag=True, help="Print, and write no file.")
@click.option("--write", is_flag=True, help="Put the numbers into the model and patient files.")
@click.option(
    "--page",
    "only_page",
    is_flag=True,
    help="Only write docs/calibration.md from the kept result, with reasons as they stand now.",
)
def main(
    table: Path | None, only: str, keep: bool, cohort: int | None, dry_run: bool, write: bool, only_page: bool
) -> None:
    """Fit the numbers of seeds/calibration.toml to the rows of the evidence that may be used for it."""
    try:
        outcomes = []
        for group in () if only_page else read_calibration(table, only):
            outcome = fit(group, cohort, keep, tell=lambda line: click.echo(line, err=True))
            outcomes.append(outcome)
            for row in outcome.rows:
                wanted, before, after = (
                    float(convert(each, row.comparison.unit)) for each in (row.comparison.wanted, row.before, row.after)
                )
                click.echo(
                    f"{row.comparison.target:8} {verdict(row):15} {wanted:9.4g} {before:9.4g} -> {after:9.4g}  "
                    f"{row.comparison.variable} {row.comparison.label[:60]}"
                )
            for path, _, _, line in changes(outcome):
                click.echo(f"{path.name}: {line}")
            if write and not dry_run:
                write_into(outcome)
        if dry_run:
            return
        kept = explained(kept_result(), read_calibration(table)) if only_page else kept_result()
        _store(merge(kept, outcomes))
    except InputError as reason:
        click.echo(str(reason), err=True)
        sys.exit(2)
    except RunError as reason:
        click.echo(str(reason), err=True)
        sys.exit(1)


def _store(result: dict[str, object]) -> None:
    """The kept result, and the page where the project's docs are."""
    path = result_file()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    docs = path.parent.parent.parent / "docs"
    if docs.is_dir():
        (docs / "calibration.md").write_text(as_page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
