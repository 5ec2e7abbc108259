"""`python -m benchmarks.clocks`: the default scheme of two clocks against every day simulated.

Every patient with two clocks, and the hard cases, ten years with a visit every three months. Both ways begin with the
state in which the patient's history, simulated once by the default scheme, ends; both simulate their first day again.
Rows a week apart are compared: HbA1c and time in range in points, severe lows per year, fasting C-peptide and insulin
dose relative to themselves plus a little (20 pmol/L and 0.05 U/kg/day), so that values near zero need no relative
accuracy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import commit, machine
from isletsim import load_scenario
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import listing
from isletsim.dosing import ScheduledEvents, at_instants
from isletsim.ensemble import run_task
from isletsim.multiscale.daily_stepper import StepControl
from isletsim.multiscale.simulator import MultiscaleSimulator, Segment, SimulationState
from isletsim.patient import read_patient
from isletsim.study import Scenario
from isletsim.study.run import study_context
from isletsim.study.subject import arm_start
from isletsim.units import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HARD", "Case", "Finding", "cases", "compared", "met", "table", "written"]

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "clocks.md"
MARKS = "<!-- written by python -m benchmarks.clocks -->\n", "<!-- end -->\n"
YEARS = 10
# Added to what a difference is relative to; None where the difference itself counts.
ALMOST = {"hba1c": None, "cpeptide_fasting": 0.02, "insulin_dose": 0.05, "tir": None, "severe_lows": None}
WANTED = {
    "hba1c": 0.01,
    "cpeptide_fasting": 0.003,
    "insulin_dose": 0.006,
    "tir": 1.0,
    "severe_lows": 0.05,
    "less": 20.0,
    "ms": 60.0,
    "hard_ms": 150.0,
    "every_day_ms": 1500.0,
}

PATIENT = """
title   = "Ten years of care"
patient = "{patient}"
until   = "{years} year"
save    = "1 week"
[visits]
every = "3 month"
[arms.care]
about  = "as before"
layers = {layers}
courses = {courses}
"""
DIET = '[{{ input = "diet.deficit", level = "{level} kcal/day" }}]'


@dataclass(frozen=True)
class Case:
    """One life to be lived in both ways: an arm of a scenario."""

    name: str
    about: str
    scenario: Scenario
    arm: int = 0
    hard: bool = False


@dataclass(frozen=True)
class Finding:
    """What was found for a case.

    Attributes
    ----------
    errors : the largest of each report, in points or as a share. latest : the day of each.
    days, batches, cost : of the default scheme: real days, batches of up to eight perturbed ones, work in days.
    every_day : real days of the reference. ms, every_day_ms : time on one core.
    """

    name: str
    about: str
    hard: bool
    errors: Mapping[str, float]
    latest: Mapping[str, float]
    days: int
    batches: int
    cost: int
    every_day: int
    ms: float
    every_day_ms: float

    @property
    def less(self) -> float:
        """How many times less work than every day."""
        return self.every_day / self.cost


def _written(text: str, changes: Mapping[str, str] | None = None) -> Scenario:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clocks.toml"
        path.write_text(text, encoding="utf-8")
        return load_scenario(path, changes or {})


def _of(patient: str, years: float, layers: str = "[]", courses: str = "[]") -> Scenario:
    return _written(PATIENT.format(patient=patient, years=years, layers=layers, courses=courses))


def _arm(study: str, arm: str, years: float) -> tuple[Scenario, int]:
    """An arm of a study, for longer and with a visit every three months."""
    scenario = load_scenario(study, {"until": f"{years} year", "save": "1 week", "visits.every": "3 month"})
    return scenario, [each.name for each in scenario.plan.arms].index(arm)


def _graft(years: float) -> Case:
    name = "graft, insulin weaned"
    about = "long-standing type 1 diabetes, islets made from stem cells"
    return Case(name, about, *_arm("t1d_sc_islets", "full", years), hard=True)


def _remission(years: float) -> Case:
    about = "early type 2 diabetes, 1500 kcal a day less for two months, then 300"
    return Case("weight loss to remission", about, *_arm("t2d_weight_loss", "diet", years), hard=True)


def _tipping(years: float) -> Case:
    """New type 2 diabetes on the diet with which HbA1c is after ten years what it was at diagnosis."""
    less, more = 0.0, 600.0
    while more - less > 1.0:
        level = 0.5 * (less + more)
        case = Case("", "", _diet(level, YEARS))
        course = _values(case, _lived(case, StepControl())[0])["hba1c"]
        less, more = (level, more) if course[-1] > course[0] else (less, level)
    about = f"new type 2 diabetes, {more:.0f} kcal a day less; with a little less diet it progresses"
    return Case("near the tipping point", about, _diet(round(more), years), hard=True)


def _diet(level: float, years: float) -> Scenario:
    return _of("new_t2d", years, '["diet"]', DIET.format(level=f"{level:.6g}"))


HARD = {"graft": _graft, "remission": _remission, "tipping": _tipping}
NEW_TYPE_1 = "new_onset_t1d"  # these are hard cases and patients in one


def cases(years: float = YEARS) -> Iterator[Case]:
    """Every patient with two clocks and all reports that are compared, and the hard cases."""
    for name, path in listing("patient"):
        core = read_patient(path).core
        stack = compose_stack(core) if core else None
        if stack is not None and stack.clocks is not None and ALMOST.keys() <= stack.reports.keys():
            scenario = _of(str(path), years)
            yield Case(name, scenario.patient.title, scenario, hard=name.startswith(NEW_TYPE_1))
    for hard in HARD.values():
        yield hard(years)


# --- one case ---------------------------------------------------------------------------------------------------------


def _lived(
    case: Case, control: StepControl, began: tuple[SimulationState, ScheduledEvents] | None = None
) -> tuple[Segment, float]:
    """A life from the end of the history, and the seconds of this process that it took."""
    context = study_context(case.scenario, control)
    current, stops = began or arm_start(context, case.arm)
    assert isinstance(context.simulator, MultiscaleSimulator)
    fresh = context.simulator.initial_state(current.parameters, {}, case.scenario.patient.day)
    fresh = replace(fresh, state=current.state)
    began_at = time.process_time()
    life = context.simulator.simulate(fresh, case.scenario.plan.until, at_instants(context.save, stops), stops)
    stretch = run_task(life)
    seconds = time.process_time() - began_at
    if stretch.failed is not None:
        raise RuntimeError(f"{case.name}: {stretch.reason.name.lower()} at day {stretch.time:g}")
    return stretch, seconds


def _values(case: Case, stretch: Segment) -> dict[str, NDArray[np.float64]]:
    outputs = study_context(case.scenario, StepControl()).simulator.outputs
    reports = case.scenario.composition.reports
    return {
        name: np.asarray(convert(stretch.rows[:, outputs.index(f"report.{name}")], reports[name].unit))
        for name in ALMOST
    }


def compared(case: Case, rounds: int = 1) -> Finding:
    """A case lived in both ways; the time of the default scheme is the best of some rounds."""
    began = arm_start(study_context(case.scenario, StepControl()), case.arm)
    runs = [_lived(case, StepControl(), began) for _ in range(rounds + 1)]  # the first loads code
    every, seconds = _lived(case, StepControl(every_day=True), began)
    stretch = runs[0][0]
    found, exact = _values(case, stretch), _values(case, every)
    errors, latest = {}, {}
    for name, little in ALMOST.items():
        difference = np.abs(found[name] - exact[name])
        shares = difference if little is None else difference / (exact[name] + little)
        errors[name] = float(shares.max())
        latest[name] = float(np.array(case.scenario.plan.save)[shares.argmax()])
    life = stretch.current.slow
    assert life is not None
    assert life.stepper is not None
    counts = life.stepper.counts
    return Finding(
        name=case.name,
        about=case.about,
        hard=case.hard,
        errors=errors,
        latest=latest,
        days=stretch.days,
        batches=counts.batches,
        cost=counts.cost,
        every_day=every.days,
        ms=1e3 * min(seconds for _, seconds in runs[1:]),
        every_day_ms=1e3 * seconds,
    )


# --- the report -------------------------------------------------------------------------------------------------------


def met(found: Sequence[Finding]) -> list[str]:
    """What was wanted, and whether it was met, one line each."""
    easy = [each for each in found if not each.hard]
    hard = [each for each in found if each.hard]
    largest = {name: max(each.errors[name] for each in found) for name in ALMOST}
    errors = {
        "hba1c": ("largest error of HbA1c, in points", "g"),
        "cpeptide_fasting": ("of C-peptide", "%"),
        "insulin_dose": ("of insulin dose", "%"),
        "tir": ("of time in range, in points", "g"),
        "severe_lows": ("of severe lows, per year", "g"),
    }
    rows: list[tuple[str, float, float, bool, str]] = [
        *((what, largest[name], WANTED[name], True, kind) for name, (what, kind) in errors.items()),
        ("least saving of work in days", min(each.less for each in found), WANTED["less"], False, "g"),
        ("median decade, ms", statistics.median(each.ms for each in found), WANTED["ms"], True, "g"),
        ("slowest hard case, ms", max((each.ms for each in hard), default=0.0), WANTED["hard_ms"], True, "g"),
        ("slowest other patient, ms", max((each.ms for each in easy), default=0.0), WANTED["hard_ms"], True, "g"),
        (
            "median of every day, ms",
            statistics.median(each.every_day_ms for each in found),
            WANTED["every_day_ms"],
            True,
            "g",
        ),
    ]
    lines = []
    for what, value, limit, below, kind in rows:
        good = value <= limit if below else value >= limit
        shown, wanted = (f"{value:.2%}", f"{limit:.1%}") if kind == "%" else (f"{value:.3g}", f"{limit:g}")
        lines.append(f"{what}: {shown} ({'at most' if below else 'at least'} {wanted}): {'met' if good else 'MISSED'}")
    return lines


def table(found: Sequence[Finding]) -> str:
    """The findings as a table of a document."""
    columns = "case | HbA1c, points | C-peptide | dose | TIR, points | lows, /year | real days | work | every day"
    head = f"| {columns} | times less | ms | every day, ms |"
    lines = [head, "|---|" + "---|" * 11]
    for each in sorted(found, key=lambda one: one.hard):
        errors = each.errors
        lines.append(
            f"| {'**' if each.hard else ''}{each.name}{'**' if each.hard else ''} | {errors['hba1c']:.4f} "
            f"| {errors['cpeptide_fasting']:.2%} | {errors['insulin_dose']:.2%} | {errors['tir']:.3f} "
            f"| {errors['severe_lows']:.4f} | {each.days} | {each.cost} "
            f"| {each.every_day} | {each.less:.0f} | {each.ms:.0f} | {each.every_day_ms:.0f} |"
        )
    return "\n".join(lines) + "\n"


def written(text: str, findings: Sequence[Finding]) -> str:
    """A document with the table and what was met between its marks."""
    first, last = MARKS
    before, _, rest = text.partition(first)
    _, _, after = rest.partition(last)
    if not rest or last not in rest:
        raise ValueError(f"the document has no place for the table: {first.strip()} ... {last.strip()}")
    lines = "\n".join(f"- {line}" for line in met(findings))
    return f"{before}{first}\n{table(findings)}\n{lines}\n\n{last}{after}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clocks", description=__doc__)
    parser.add_argument("-o", dest="output", type=Path, help="a file for the data, JSON")
    parser.add_argument("--document", action="store_true", help="write the table into docs/clocks.md")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="cases whose name has one of the words")
    parser.add_argument("--years", type=float, default=YEARS)
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, tell, and write down."""
    given = _parser().parse_args(arguments)
    found = []
    for case in cases(given.years):
        if given.only and not any(word in case.name for word in given.only):
            continue
        found.append(compared(case, given.rounds))
        print(f"{case.name}: {case.about}", file=sys.stderr)
    print(table(found))
    print("\n".join(met(found)))
    if given.output is not None:
        data: dict[str, Any] = {"commit": commit(), "machine": machine(), "years": given.years}
        data["cases"] = [{**asdict(each), "less": each.less} for each in found]
        given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if given.document:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
