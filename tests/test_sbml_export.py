"""What goes out as SBML is valid, says where its numbers come from, and gives the same curves when it comes back."""

import os
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sbml_text import call, ci, cn, parameters, reaction, rule, sbml, species, write

from isletsim.cli.commands import main
from isletsim.codegen import compile_model
from isletsim.codegen.evaluate_at import derivatives, initial
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import listing
from isletsim.dosing import breakpoints, scheduled_events, to_schedule
from isletsim.errors import InputError
from isletsim.language import Name, Number, Table, apply, parse
from isletsim.model import load_model
from isletsim.sbml import load_sbml
from isletsim.sbml.antimony import antimony_text
from isletsim.sbml.archive import archive_of, sedml_text
from isletsim.sbml.dimension_inference import Simplifier
from isletsim.sbml.exchange import Exchange, ExchangeVariable
from isletsim.sbml.export_scenario import export_arm, export_model
from isletsim.sbml.to_exchange import exchange_of
from isletsim.sbml.to_toml import model_file
from isletsim.sbml.writing import sbml_text
from isletsim.solver import solve
from isletsim.study import load_scenario
from isletsim.units import PURE

libsbml = pytest.importorskip("libsbml")

PUBLISHED = [name for name, path in listing("model") if path.parent.name == "published"]
CORE = [name for name, path in listing("model") if path.parent.name != "published"]
ARMS = [(name, arm) for name in ("t2d_msc_published",) for arm in ("usual", "msc")]


def complaints(text: str) -> list[str]:
    """What libSBML has against a file, units, ontology and good practice included."""
    document = libsbml.readSBMLFromString(text)
    document.checkConsistency()
    return [document.getError(index).getMessage() for index in range(document.getNumErrors())]


def disturbed(model):
    """Parameters, and a start away from rest."""
    values, state = model.start(None, None)
    return values, 1.2 * state + 0.05 * np.array(model.composition.flat.scale)


def apart(ours: np.ndarray, theirs: np.ndarray, size: float) -> float:
    """The largest difference over the largest value; `size` is what counts as nothing."""
    return float(np.max(np.abs(ours - theirs)) / max(np.max(np.abs(ours)), size))


# --- every model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model_is_valid_without_a_warning(name):
    assert complaints(sbml_text(export_model(name).exchange)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_every_file_of_the_core_and_every_therapy_is_valid_without_a_warning(name):
    assert complaints(sbml_text(export_model(name).exchange)) == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_that_comes_back_gives_the_same_trajectories(tmp_path, name):
    model = load_model(name)
    flat = model.composition.flat
    values, state = disturbed(model)
    exchange = exchange_of(model.composition, values=values, start=state)
    ids = {each.name: each.id for each in exchange.variables}
    save = np.linspace(0.0, 5.0, 51)
    stops = to_schedule(
        scheduled_events(model.composition, []), breakpoints(model.compiled, values, 0.0, 5.0), 0.0, 5.0
    )
    ours = solve(
        model.compiled,
        state,
        values,
        span=(0.0, 5.0),
        save=save,
        schedule=stops,
        rtol=1e-11,
        atol=1e-13 * np.array(flat.scale),
    )
    theirs = load_sbml(write(tmp_path, sbml_text(exchange))).simulate(5.0, save=save, rtol=1e-11)
    assert not ours.reason.failed
    assert ours.states is not None
    for index, state_name in enumerate(flat.states):
        assert apart(ours.states[:, index], theirs[ids[state_name]], 1e-6 * flat.scale[index]) < 1e-9, state_name
    for report in model.composition.reports:
        column = ours.outputs[:, flat.outputs.index(f"report.{report}")]
        assert apart(column, theirs[ids[f"report.{report}"]], 1e-300) < 1e-9, report


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE if os.environ.get("ISLETSIM_SBML_CROSS") == "all" else CORE[::12])
def test_a_file_that_comes_back_with_all_it_uses_has_the_same_slopes(tmp_path, monkeypatch, name):
    given = {}

    def watched(composition, **more):
        given.update(more)
        return exchange_of(composition, **more)

    monkeypatch.setattr("isletsim.sbml.export_scenario.exchange_of", watched)
    exported = export_model(name)
    flat = given["merged"].flat if "merged" in given else compose_stack([name]).flat  # of two clocks, or of one
    compiled = compile_model(flat)
    values = given.get("values", np.array(flat.values))
    start = given.get("start", initial(compiled, values))
    ids = {each.name: each.id for each in exported.exchange.variables}
    back = load_sbml(write(tmp_path, sbml_text(exported.exchange)))
    begin = initial(back.compiled, np.array(back.flat.values))
    for factor in (1.0, 1.1):  # at the start, and away from it
        state = factor * start
        ours = derivatives(compiled, 0.3, state, values)
        known = dict(zip((ids[each] for each in flat.states), state, strict=True))
        theirs = derivatives(
            back.compiled,
            0.3,
            np.array([known.get(each, value) for each, value in zip(back.flat.states, begin, strict=True)]),
            np.array(back.flat.values),
        )
        slopes = dict(zip(back.flat.states, theirs, strict=True))
        for each, slope, size in zip(flat.states, ours, flat.scale, strict=True):
            assert slopes[ids[each]] == pytest.approx(slope, rel=1e-11, abs=1e-12 * size), each


def test_numbers_carry_units_sources_and_terms():
    text = sbml_text(export_model("topp2000").exchange)
    document = libsbml.readSBMLFromString(text)
    model = document.getModel()
    assert model.getTimeUnits() == "day"
    growth = model.getParameter("topp2000_growth")
    assert growth.getUnits() == "dm3_per_mg_day"
    assert growth.getName() == "topp2000.growth"
    assert growth.getSBOTermID() == "SBO:0000009"
    assert growth.getCVTerm(0).getResourceURI(0) == "https://identifiers.org/doi:10.1006/jtbi.2000.2150"
    assert growth.getCVTerm(0).getBiologicalQualifierType() == libsbml.BQB_IS_DESCRIBED_BY
    assert model.getParameter("topp2000_glucose").getSBOTermID() == "SBO:0000196"
    assert model.getCVTerm(0).getModelQualifierType() == libsbml.BQM_IS_DESCRIBED_BY
    for number in re.findall(r"<cn [^>]*>", text):
        assert "sbml:units" in number


# --- arms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_an_arm_that_comes_back_gives_what_the_study_gave(tmp_path, name, arm):
    scenario = load_scenario(name)
    scenario = replace(scenario, plan=replace(scenario.plan, cohort=0))
    exported = export_arm(scenario, arm)
    text = sbml_text(exported.exchange)
    assert complaints(text) == []
    got = load_sbml(write(tmp_path, text)).simulate(exported.until, save=7.0, rtol=1e-8)
    table = scenario.run().to_pandas()
    ids = {each.name: each.id for each in exported.exchange.variables}
    for report, symbol in scenario.composition.reports.items():
        rows = table[(table.arm == arm) & (table.variable == report) & (table.subject == 0)]
        theirs = (got[ids[f"report.{report}"]] - symbol.unit.offset) / symbol.unit.factor
        np.testing.assert_allclose(np.interp(rows.time_day, got.time, theirs)[1:], rows.value[1:], rtol=1e-5)


def test_doses_are_events_in_the_order_of_the_schedule(tmp_path):
    exported = export_arm(load_scenario("t2d_msc_published"), "msc")
    doses = [each for each in exported.exchange.events if "infusion" in each.name]
    assert [each.time for each in doses] == [0.0, 28.0, 56.0]
    amount = next(each for each in exported.exchange.variables if "amount given" in each.name)
    assert (amount.value, amount.fixed) == (1e-6, True)  # a million cells for each kilogram, which is a million mg
    model = load_sbml(write(tmp_path, sbml_text(exported.exchange)))
    got = model.simulate(60.0, save=1.0)
    assert [time for time, name in got.events if "infusion" in name] == [0.0, 28.0, 56.0]
    nothing = model.simulate(60.0, save=1.0, set={amount.id: 0.0})
    assert nothing["msc_published_lung_cells"].max() == 0.0 < got["msc_published_lung_cells"].max()


@pytest.mark.slow
def test_an_arm_with_two_clocks_becomes_one_model_that_lives_every_day(tmp_path):
    scenario = load_scenario("t2d_weight_loss", set=["save=4 week"])
    exported = export_arm(scenario, "diet")
    text = sbml_text(exported.exchange)
    assert complaints(text) == []
    got = load_sbml(write(tmp_path, text)).simulate(28.0, save=7.0)
    meals = [time for time, name in got.events if "gut_meal_add" in name]
    assert len(meals) == 3 * 28
    table = scenario.run().to_pandas()
    ids = {each.name: each.id for each in exported.exchange.variables}
    for report in ("hba1c", "body_weight", "beta_mass", "glucose_mean"):
        symbol = scenario.composition.reports[report]
        rows = table[(table.arm == "diet") & (table.variable == report)]
        theirs = (got[ids[f"report.{report}"]][-1] - symbol.unit.offset) / symbol.unit.factor
        ours = float(np.interp(28.0, rows.time_day, rows.value))
        assert theirs == pytest.approx(ours, rel=3e-3), report


def test_an_unknown_arm_is_answered_with_the_nearest_one():
    with pytest.raises(InputError, match='Did you mean "msc"'):
        export_arm(load_scenario("t2d_msc_published"), "ms")


def test_what_a_day_was_is_kept_at_midnight(tmp_path):
    exchange = export_arm(load_scenario("healthy_decade")).exchange
    share = "mean_glucose_variability_within"
    begun = {each.id: each.value for each in exchange.variables}
    # An integral that began a day at nothing stopped COPASI where glucose came into its range just after midnight.
    assert begun[f"integral_of_{share}"] == begun[share] > 0
    save = np.linspace(0.0, 2.5, 20_001)
    got = load_sbml(write(tmp_path, sbml_text(exchange))).simulate(2.5, save=save, rtol=1e-9)
    for day in (0, 1):
        within = (save >= day) & (save <= day + 1)
        mean = np.trapezoid(got["glucose_plasma"][within], save[within])
        assert got["mean_glucose_plasma"][save > day + 1][0] == pytest.approx(mean, rel=1e-5)


def test_what_is_meant_for_one_instant_happens_at_one():
    # Fasting values were looked at one rounding after breakfast: COPASI then never looked again.
    daily = [each for each in export_arm(load_scenario("t1d_msc")).exchange.events if each.every]
    times = np.unique([each.time for each in daily])
    assert np.min(np.diff(times)) > 1e-6
    breakfast = {each.name: each.priority for each in daily if each.time == 7 / 24}
    assert breakfast["at(glucose.plasma, glycaemia.morning)"] > breakfast["gut.meal:multiply"]


# --- operators --------------------------------------------------------------------------------------------------------


def curve(text: str, x: np.ndarray, tmp_path) -> np.ndarray:
    """What a law of `x` and `half` is after it went out and came back; x is the time."""
    taken = iter(range(100))
    simplifier = Simplifier({"x": PURE, "half": PURE, "y": PURE}, lambda: f"piece_{next(taken)}")
    tree = text if not isinstance(text, str) else parse(text)
    law = simplifier.simple(tree, PURE)
    pieces = [
        ExchangeVariable(each.id, each.id, "expression", each.dimension, rule=each.tree) for each in simplifier.bound
    ]
    measures = [
        ExchangeVariable("half", "half", "parameter", PURE, 2.0, fixed=True),
        ExchangeVariable("x", "x", "state", PURE, float(x[0]), rule=apply("divide", Number(1.0), Number(1.0))),
        *pieces,
        ExchangeVariable("y", "y", "expression", PURE, rule=law),
    ]
    exchange = Exchange("test", "test", (), tuple(measures), ())
    got = load_sbml(write(tmp_path, sbml_text(exchange))).simulate(float(x[-1] - x[0]), save=x - x[0], rtol=1e-10)
    return got["y"]


@pytest.mark.parametrize(
    ("law", "value"),
    [
        ("hill(x, half, 3)", lambda x: np.where(x > 0, np.maximum(x, 0) ** 3 / (8 + np.maximum(x, 0) ** 3), 0.0)),
        ("hill(x, half, 1)", lambda x: np.where(x > 0, x / (2 + np.where(x > 0, x, 1)), 0.0)),
        ("softplus(x, half)", lambda x: 2 * np.logaddexp(0, x / 2)),
        ("softplus(1000 * x, half)", lambda x: 2 * np.logaddexp(0, 500 * x)),
        ("sigmoid(x)", lambda x: 1 / (1 + np.exp(-x))),
        ("mod(x, half)", lambda x: np.mod(x, 2)),
        ("min(x, half, 1)", lambda x: np.minimum(np.minimum(x, 2), 1)),
        ("max(x, half, 1)", lambda x: np.maximum(np.maximum(x, 2), 1)),
        ("where(x > half and not x > 3, 1, 0)", lambda x: ((x > 2) & ~(x > 3)).astype(float)),
        ("abs(x) + floor(x) + sqrt(abs(x)) + tanh(x) + arctan(x)", None),
        (
            apply(
                "table", Name("x"), Table(tuple(map(float, range(9))), (1.0, 3.0, 2.0, 2.5, 4.0, 4.0, 1.0, 0.0, 2.0))
            ),
            lambda x: np.interp(x, range(9), [1, 3, 2, 2.5, 4, 4, 1, 0, 2]),
        ),
    ],
)
def test_operators_that_others_lack_are_spelled_out(tmp_path, law, value):
    x = np.linspace(-1.0, 9.0, 41) + 0.01
    expected = value(x) if value else np.abs(x) + np.floor(x) + np.sqrt(np.abs(x)) + np.tanh(x) + np.arctan(x)
    np.testing.assert_allclose(curve(law, x, tmp_path), expected, rtol=1e-8, atol=1e-10)


def test_a_softplus_keeps_its_digits_far_below_zero(tmp_path):
    # As log(1 + exp(x)) it kept none: what was all but off was made of rounding, and at tight tolerances a year of an
    # arm with little counter-regulation was followed from bit to bit, 150 times more steps than now.
    x = np.linspace(-120.0, -20.0, 21)
    np.testing.assert_allclose(curve("softplus(x, half)", x, tmp_path), 2 * np.log1p(np.exp(x / 2)), rtol=1e-9)


def test_what_has_all_but_vanished_has_a_slope_that_is_finite(tmp_path):
    body = parameters(x=1e-160, y=0)
    ratio = call("divide", ci("x"), cn(3.0))
    share = call("divide", ratio, call("plus", cn(1.0), ratio))
    body += f"<listOfRules>{rule('rate', 'y', share)}{rule('rate', 'x', call('minus', ci('x')))}</listOfRules>"
    load_sbml(write(tmp_path, sbml(body))).simulate(10.0)
    exchange = export_arm(load_scenario("t2d_msc_published"), "msc").exchange
    assert "<power/><apply><divide/><ci>msc" not in sbml_text(exchange) or complaints(sbml_text(exchange)) == []


# --- algebraic rules, Antimony, archives ------------------------------------------------------------------------------


def test_an_algebraic_rule_may_go_out_as_its_derivative(tmp_path):
    kept, followed = (export_model("palmer2014", algebraic=each).exchange for each in (True, False))
    texts = [sbml_text(each) for each in (kept, followed)]
    assert [complaints(each) for each in texts] == [[], []]
    assert "algebraicRule" in texts[0]
    assert "algebraicRule" not in texts[1]
    first, second = (
        load_sbml(write(tmp_path, text, f"{index}.xml")).simulate(50.0, save=1.0, rtol=1e-10)
        for index, text in enumerate(texts)
    )
    for state in ("palmer2014_glucose", "palmer2014_mass", "palmer2014_capacity"):
        assert apart(first[state], second[state], 1e-300) < 1e-8


@pytest.mark.parametrize("name", ["topp2000", "bergman1979", "yildirim2023"])
def test_antimony_says_the_same(tmp_path, name):
    antimony = pytest.importorskip("antimony")
    model = load_model(name)
    values, state = disturbed(model)
    exchange = exchange_of(model.composition, values=values, start=state)
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(antimony_text(exchange)) >= 0, antimony.getLastError()
    texts = (sbml_text(exchange), antimony.getSBMLString(exchange.id))
    first, second = (
        load_sbml(write(tmp_path, text, f"{index}.xml")).simulate(5.0, save=0.1, rtol=1e-10)
        for index, text in enumerate(texts)
    )
    for each in first:
        assert apart(first[each], second[each], 1e-300) < 1e-9, each


def test_doses_go_into_antimony_too(tmp_path):
    antimony = pytest.importorskip("antimony")
    exchange = export_arm(load_scenario("t2d_msc_published"), "msc").exchange
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(antimony_text(exchange)) >= 0, antimony.getLastError()
    got = load_sbml(write(tmp_path, antimony.getSBMLString(exchange.id))).simulate(60.0, save=1.0)
    assert [time for time, name in got.events if "infusion" in name] == [0.0, 28.0, 56.0]


def test_antimony_has_no_words_for_algebraic_rules():
    with pytest.raises(InputError, match="no-algebraic"):
        antimony_text(export_model("palmer2014").exchange)


def test_an_archive_holds_model_simulation_and_text(tmp_path):
    exported = export_arm(load_scenario("t2d_msc_published"), "msc")
    path = tmp_path / "msc.omex"
    path.write_bytes(archive_of(exported.exchange, exported.until, exported.records))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["manifest.xml", "model.xml", "simulation.sedml", "model.ant"]
        manifest, simulation = archive.read("manifest.xml").decode(), archive.read("simulation.sedml").decode()
    assert 'location="./simulation.sedml"' in manifest
    assert 'master="true"' in manifest
    assert 'outputEndTime="1096"' in simulation
    (tmp_path / "again.omex").write_bytes(archive_of(exported.exchange, exported.until, exported.records))
    assert (tmp_path / "again.omex").read_bytes() == path.read_bytes()


def test_the_simulation_is_valid():
    libsedml = pytest.importorskip("libsedml")
    exported = export_arm(load_scenario("t2d_msc_published"), "usual")
    document = libsedml.readSedMLFromString(sedml_text(exported.exchange, exported.until, exported.records))
    assert document.getNumErrors() == 0
    assert document.getNumDataGenerators() > len(load_scenario("t2d_msc_published").composition.flat.states)


# --- model files ------------------------------------------------------------------------------------------------------

CHAIN = (
    '<listOfUnitDefinitions><unitDefinition id="hour"><listOfUnits><unit kind="second" exponent="1" scale="0" '
    'multiplier="3600"/></listOfUnits></unitDefinition><unitDefinition id="per_hour"><listOfUnits><unit kind="second" '
    'exponent="-1" scale="0" multiplier="3600"/></listOfUnits></unitDefinition></listOfUnitDefinitions>'
    '<listOfCompartments><compartment id="C" size="2" units="litre" constant="true"/></listOfCompartments>'
)


def chain(unit: str) -> str:
    body = CHAIN + f"<listOfSpecies>{species('S1', 'Amount 3')}{species('S2', 'Amount 0')}</listOfSpecies>"
    body += f'<listOfParameters><parameter id="K" value="0.5" constant="true" {unit}/></listOfParameters>'
    law = call("times", ci("C"), ci("K"), ci("S1"))
    body += f"<listOfReactions>{reaction('R', 'S1', 'S2', law)}</listOfReactions>"
    return sbml(body, 'timeUnits="hour" substanceUnits="mole" extentUnits="mole"')


@pytest.mark.parametrize(("unit", "with_units"), [('units="per_hour"', True), ("", False)])
def test_a_file_becomes_a_model_file_with_its_units_where_they_agree(tmp_path, unit, with_units):
    model = load_sbml(write(tmp_path, chain(unit)))
    text, stem = model_file(model, "Chain")
    assert stem == "chain"
    assert ('"0.5 1/h"' in text) is with_units
    assert ("tempo" in text) is not with_units
    (tmp_path / "chain.toml").write_text(text)
    ours = load_model(tmp_path / "chain.toml").simulate("8 hour", save="1 hour", rtol=1e-10)
    theirs = model.simulate(8.0, save=1.0, rtol=1e-10)
    np.testing.assert_allclose(ours["chain.s1"], theirs["S1"], rtol=1e-8)
    np.testing.assert_allclose(ours["chain.s2"], theirs["S2"], rtol=1e-8, atol=1e-12)


def test_the_language_has_no_events_and_says_so(tmp_path):
    from test_sbml_import import after, event, events

    body = parameters(x=1) + events(event("jump", after(1.0), {"x": cn(2.0)}))
    with pytest.raises(InputError, match="event jump"):
        model_file(load_sbml(write(tmp_path, sbml(body))))


# --- the command line -------------------------------------------------------------------------------------------------


def told(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_the_command_line_exports_and_imports(tmp_path, capsys):
    status, out, _ = told(capsys, "export", "topp2000")
    assert status == 0
    assert complaints(out) == []
    assert told(capsys, "export", "topp2000", "--antimony")[1].startswith("// ")
    archive = tmp_path / "out" / "topp.omex"
    assert told(capsys, "export", "topp2000", "--omex", "-o", str(archive))[0] == 0
    assert zipfile.is_zipfile(archive)
    assert told(capsys, "export", "topp2000", "--omex")[0] == 2
    assert told(capsys, "export", "topp2000", "--arm", "x")[0] == 2
    path = write(tmp_path, chain(""), "Chain.xml")
    status, _, err = told(capsys, "import", str(path), "-o", str(tmp_path))
    assert (status, err.strip()) == (0, f"wrote {tmp_path / 'chain.toml'}")
    assert told(capsys, "check", str(tmp_path / "chain.toml"))[0] == 0
