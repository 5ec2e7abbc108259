"""The day tab: a virtual test, or an ordinary day, in every arm at any moment of the simulated years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from isletsim.data_files import find
from isletsim.errors import Fault, InputError
from isletsim.explorer.choices import Choices
from isletsim.explorer.records import Balance
from isletsim.explorer.runs import Prepared, Simulations
from isletsim.explorer.terms import ExplainedTerm, terms_of
from isletsim.explorer.views import finding_view
from isletsim.language import read_document

__all__ = ["day_view"]

ORDINARY = "ordinary_day"
SAMPLE = "10 min"


def day_view(simulations: Simulations, choices: Choices, test: str, years: float, reference: str) -> dict[str, Any]:
    """Return what a test finds in every arm after some years, and in a healthy patient for comparison.

    Parameters
    ----------
    test : a test that is offered; empty for an ordinary day.
    reference : the patient to compare with; empty for none.

    Raises
    ------
    InputError : a test that is not offered, or a patient without a day.
    """
    known = {each.name: each for each in simulations.controls.days}
    if test not in known:
        raise InputError(Fault("test", f'"{test[:60]}" is not offered.'))
    day = float(round(years * 365.25))
    prepared = simulations.prepare(replace(choices, cohort=0))
    day = min(day, prepared.scenario.plan.until)
    names, data, terms = _test(simulations, prepared, test)
    done, findings = simulations.tested(choices, test or ORDINARY, data, day)
    arms = [
        {
            "name": arm.name,
            "label": arm.about or arm.name,
            **finding_view(finding, names, simulations.controls.units, terms),
        }
        for arm, finding in zip(done.scenario.plan.arms, findings, strict=True)
    ]
    view: dict[str, Any] = {"minutes": findings[0].minutes.tolist(), "arms": arms, "day": day, "start": _start(data)}
    view["title"] = data["title"]
    if reference and reference != choices.patient:
        other = Choices(patient=reference)
        other_names, other_data, _ = _test(simulations, simulations.prepare(other), test)
        _, compared = simulations.tested(other, test or ORDINARY, other_data, 0.0)
        label = next((each.label for each in simulations.controls.patients if each.file == reference), reference)
        view["reference"] = {"label": label, **finding_view(compared[0], other_names, simulations.controls.units)}
    return view


def _start(data: Mapping[str, Any]) -> str:
    return str(data.get("start", "07:00"))


def _test(
    simulations: Simulations, prepared: Prepared, test: str
) -> tuple[list[str], dict[str, Any], list[tuple[Balance, tuple[ExplainedTerm, ...]]]]:
    """Return the curves to show, the test as data with the terms of the day's balances, and those terms."""
    offered = next(each for each in simulations.controls.days if each.name == test)
    wanted = {each.of: each for each in simulations.controls.balances if each.per == "day"}
    terms = [(wanted[of], each) for of, each in terms_of(prepared.scenario, wanted).items()]
    if test:
        document = read_document(find("challenge", test))
        data = dict(document.data)
        reports = document.table(document.data, "reports", ())
        names = [
            *offered.show,
            *document.names(document.data, "show", ()),
            *(str(each["value"]) for each in reports.values()),
        ]
    else:
        data, names = _ordinary(prepared), [*offered.show]
        data["reports"] = dict(offered.reports)
    known = prepared.scenario.composition.symbols
    names = list(dict.fromkeys(name for name in names if test or name in known))
    data["show"] = list(dict.fromkeys([*names, *(term.name for _, each in terms for term in each)]))
    return names, data, terms


def _ordinary(prepared: Prepared) -> dict[str, Any]:
    """Return the day that the patient has anyway, as a test that gives what the day brings."""
    patient = prepared.scenario.patient
    composition = prepared.scenario.composition
    if composition.clocks is None:
        raise InputError(Fault("the day", "This model has no clock of a day.", "Choose another patient."))
    doses = []
    for dose in patient.day:
        unit = composition.ports[dose.port].unit
        amount = f"{dose.amount / unit.factor!r} {unit.text}".strip()
        doses.append({"into": dose.port, "amount": amount, "at": f"{dose.time * 1440:g} min"})
    return {
        "title": "An ordinary day",
        "assumed": "the meals of the patient file",
        "start": "00:00",
        "length": "1 day",
        "sample": SAMPLE,
        "doses": doses,
    }
