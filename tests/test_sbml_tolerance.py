"""SBML files that other tools run: faults outside of the mathematics, missing sizes, Level 1, powers of the time."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.special import gamma, gammainc

pytest.importorskip("libsbml")

from sbml_text import TIME, call, ci, cn, compartment, event, parameters, reaction, rule, sbml, species, write

from isletsim.sbml import load_sbml
from isletsim.sbml.input_limits import without_decoration
from isletsim.sbml.suite import run_suite, summary, support_page


def rules(*made: str) -> str:
    return f"<listOfRules>{''.join(made)}</listOfRules>"


@pytest.mark.parametrize("exponent", [1.5, 0.5, 1.7])
def test_powers_and_roots_of_the_time_run(tmp_path, exponent):
    power = call("power", TIME, cn(exponent))
    text = parameters(x=1, y=None) + rules(rule("rate", "x", cn(0)), rule("assignment", "y", power))
    got = load_sbml(write(tmp_path, sbml(text))).simulate(4, rtol=1e-9)
    assert got["y"] == pytest.approx(got.time**exponent, rel=1e-12)


def test_a_power_of_the_time_is_integrated(tmp_path):
    # x' = t^1.7 exp(-t): the lower incomplete gamma function of 2.7
    law = call("times", call("power", TIME, cn(1.7)), call("exp", call("minus", TIME)))
    got = load_sbml(write(tmp_path, sbml(parameters(x=0) + rules(rule("rate", "x", law))))).simulate(5, rtol=1e-9)
    assert got["x"][-1] == pytest.approx(gammainc(2.7, 5) * gamma(2.7), rel=1e-6)


def test_a_compartment_without_size_has_size_1_with_a_warning(tmp_path):
    decay = reaction("J", "S", "", call("times", cn(0.1), ci("S")))
    body = compartment().replace(' size="1.0"', "")
    body += (
        f"<listOfSpecies>{species('S', 'Concentration 1')}</listOfSpecies><listOfReactions>{decay}</listOfReactions>"
    )
    got = load_sbml(write(tmp_path, sbml(body))).simulate(5, rtol=1e-9)
    assert got.amount("S")[-1] == pytest.approx(math.exp(-0.5), rel=1e-7)
    assert got.warnings == ("compartment C has no size: 1 is used.",)


LAYOUT = (
    '<layout:listOfLayouts xmlns:layout="http://www.sbml.org/sbml/level3/version1/layout/version1" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><layout:layout layout:id="l" layout:wrong="1">'
    "<layout:nothing/></layout:layout></layout:listOfLayouts>"
)
NOTES = "<notes><p>no name space of its own</p><br></br></notes>"
ANNOTATION = '<annotation><a:x xmlns:a="urn:one"/><a:y xmlns:a="urn:one"/></annotation>'


@pytest.mark.parametrize("part", [LAYOUT, NOTES, ANNOTATION, NOTES + ANNOTATION + LAYOUT])
def test_faults_in_layout_notes_and_annotations_cost_a_warning(tmp_path, part):
    notes = part.replace(LAYOUT, "")
    body = notes + parameters(x=1) + rules(rule("rate", "x", ci("x"))) + (LAYOUT if LAYOUT in part else "")
    text = sbml(body)
    if LAYOUT in part:
        space = 'xmlns:layout="http://www.sbml.org/sbml/level3/version1/layout/version1" layout:required="false" '
        text = text.replace("<sbml ", f"<sbml {space}", 1).replace('version="2">', 'version="1">', 1)
        text = text.replace("level3/version2/core", "level3/version1/core")
    got = load_sbml(write(tmp_path, text)).simulate(1, rtol=1e-9)
    assert got["x"][-1] == pytest.approx(math.e, rel=1e-7)
    (said,) = got.warnings
    assert "left out" in said


def test_what_is_left_out_leaves_lines_and_mathematics_as_they_are():
    text = '<a>\n<notes\n x=">">\n<b/></notes><c>é</c>\n<annotation/><notes y="/>"/><d/></a>'
    assert without_decoration(text) == "<a>\n\n\n<c>é</c>\n<d/></a>"
    assert without_decoration("<a><b/></a>") == "<a><b/></a>"


def test_faults_in_the_mathematics_are_still_refused_beside_faults_in_notes(tmp_path):
    from isletsim.errors import InputError

    body = NOTES + parameters(x=1) + rules(rule("rate", "z", ci("x")))
    with pytest.raises(InputError):
        load_sbml(write(tmp_path, sbml(body)))


def test_a_reaction_of_modifiers_only_runs(tmp_path):
    law = '<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><cn>2</cn><ci>S</ci></apply></math>'
    alone = (
        '<reaction id="J" reversible="false" fast="false">'
        '<listOfModifiers><modifierSpeciesReference species="S"/></listOfModifiers>'
        f"<kineticLaw>{law}</kineticLaw></reaction>"
    )
    body = compartment() + f"<listOfSpecies>{species('S', 'Amount 3')}</listOfSpecies>"
    text = sbml(f"{body}<listOfReactions>{alone}</listOfReactions>", version=1)
    assert load_sbml(write(tmp_path, text)).simulate(1)["J"][-1] == 6


LEVEL_1 = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="{version}"><model name="old">
<listOfCompartments><compartment name="C" volume="2"/></listOfCompartments>
<listOf{Species}><{specie} name="A" compartment="C" initialAmount="4" boundaryCondition="false"/>
<{specie} name="B" compartment="C" initialAmount="0" boundaryCondition="false"/></listOf{Species}>
<listOfReactions><reaction name="J" reversible="false">
<listOfReactants><{specie}Reference {specie}="A" stoichiometry="1"/></listOfReactants>
<listOfProducts><{specie}Reference {specie}="B" stoichiometry="1"/></listOfProducts>
<kineticLaw formula="k * A * C"><listOfParameters><parameter name="k" value="0.5"/></listOfParameters></kineticLaw>
</reaction></listOfReactions></model></sbml>
"""


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_level_1_run(tmp_path, version):
    specie = "specie" if version == 1 else "species"
    text = LEVEL_1.format(version=version, Species="Species", specie=specie)
    got = load_sbml(write(tmp_path, text)).simulate(2, rtol=1e-9)
    assert got.amount("A")[-1] == pytest.approx(4 * math.exp(-1), rel=1e-7)
    assert got.amount("B")[-1] == pytest.approx(4 - 4 * math.exp(-1), rel=1e-7)


# --- the suite --------------------------------------------------------------------------------------------------------

SETTINGS = "start: 0\nduration: 1\nsteps: 2\nvariables: x\nabsolute: 1e-6\nrelative: 1e-6\namount:\nconcentration:\n"


def case(folder, name, settings=SETTINGS):
    place = folder / name
    place.mkdir()
    write(place, sbml(parameters(x=1) + rules(rule("rate", "x", cn(0)))))
    (place / "settings.txt").write_text(settings)
    (place / "results.csv").write_text("time,x\n0,1\n0.5,1\n1,1\n")


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_failing_case_never_ends_the_others(tmp_path, monkeypatch, jobs):
    from isletsim.sbml import suite

    for name in ("00001", "00002", "00003"):
        case(tmp_path, name)
    case(tmp_path, "00004", SETTINGS.replace("1e-6", "tiny"))

    def broken(each, model, simulate=suite._simulate):
        if each.name == "00002":
            raise KeyError("time")
        return simulate(each, model)

    monkeypatch.setattr(suite, "_simulate", broken)  # inherited by the processes, which are forked
    verdicts = run_suite(tmp_path, jobs=jobs)
    kinds = [each.verdict for each in verdicts]
    assert kinds == ["pass", "crashed", "pass", "refused"]
    assert "KeyError" in verdicts[1].reason
    assert "1 crashed" in summary(verdicts)
    assert "1 crashed" in support_page(verdicts)


def test_a_case_that_ends_its_process_never_ends_the_others(tmp_path, monkeypatch):
    import os

    from isletsim.sbml import suite

    for name in ("00001", "00002", "00003"):
        case(tmp_path, name)

    def killed(each, model, simulate=suite._simulate):
        if each.name == "00002":
            os._exit(9)
        return simulate(each, model)

    monkeypatch.setattr(suite, "_simulate", killed)
    assert [each.verdict for each in run_suite(tmp_path, jobs=2)] == ["pass", "crashed", "pass"]


def test_many_events_keep_no_more_than_their_rows(tmp_path):
    ticks = event("tick", call("geq", ci("x"), cn(1)), {"x": cn(0)})
    body = parameters(x=0) + rules(rule("rate", "x", cn(1))) + f"<listOfEvents>{ticks}</listOfEvents>"
    model = load_sbml(write(tmp_path, sbml(body)))
    model.simulate(1)
    tracemalloc.start()
    got = model.simulate(2000, save=np.linspace(0, 2000, 20_001))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(got.events) in (1999, 2000)
    assert peak < 20e6


# --- conditions on the time -------------------------------------------------------------------------------------------


def every(period: float) -> str:
    return call("rem", TIME, cn(period))


@pytest.mark.parametrize(("period", "at"), [(24, 0), (24, 6), (0.1, 0), (0.7, 0.3)])
def test_a_trigger_of_the_time_modulo_a_period_fires_at_each_instant(tmp_path, period, at):
    late = call("geq", TIME, cn(10 * period))
    tick = event("tick", call("and", late, call("eq", every(period), cn(at))), {"n": call("plus", ci("n"), cn(1))})
    body = (
        parameters(n=0, x=1) + rules(rule("rate", "x", call("minus", ci("x")))) + f"<listOfEvents>{tick}</listOfEvents>"
    )
    got = load_sbml(write(tmp_path, sbml(body))).simulate(30.5 * period)
    expected = [period * number + at for number in range(10, 31) if period * number + at <= 30.5 * period]
    assert [time for time, _ in got.events] == pytest.approx(expected, rel=1e-12)
    assert got["n"][-1] == len(expected)


def test_a_period_written_with_floor_fires_too(tmp_path):
    whole = call("times", cn(24), call("floor", call("divide", TIME, cn(24))))
    tick = event("tick", call("eq", call("minus", TIME, whole), cn(0)), {"n": call("plus", ci("n"), cn(1))})
    body = parameters(n=0) + f"<listOfEvents>{tick}</listOfEvents>"
    got = load_sbml(write(tmp_path, sbml(body))).simulate(100)
    assert [time for time, _ in got.events] == [24, 48, 72, 96]


def test_a_short_pulse_in_every_period_is_integrated_exactly(tmp_path):
    pulse = (
        f"<piecewise><piece>{cn(1)}{call('lt', every(24), cn(0.01))}</piece><otherwise>{cn(0)}</otherwise></piecewise>"
    )
    got = load_sbml(write(tmp_path, sbml(parameters(x=0) + rules(rule("rate", "x", pulse))))).simulate(240)
    assert got["x"][-1] == pytest.approx(0.1, rel=1e-6)
