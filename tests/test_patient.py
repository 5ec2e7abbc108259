"""Patients: what they set, what varies, and the history that made them so."""

import pytest
from example_models import CLINIC, DRUG, EATER, SUGAR, write

import isletsim
from isletsim.composition.model_library import compose_stack
from isletsim.data_files import listing
from isletsim.errors import InputError
from isletsim.language import Spread
from isletsim.patient import bind_patient, read_patient
from isletsim.study import load_scenario
from isletsim.study.check import check_file
from isletsim.units import convert, quantity, unit

CHAIN = """
title = "A chain"
assumed = "for tests"
[states]
link = { start = "1 mg", classes = 3 }
[parameters]
speed = { value = "1 1/day", assumed = "for tests" }
[rates]
moving = "speed * link"
[balance]
link = "previous(moving, 0) - moving"
"""


@pytest.fixture(scope="module")
def composition(tmp_path_factory):
    paths = write(tmp_path_factory.mktemp("models"), sugar=SUGAR, drug=DRUG, clinic=CLINIC, chain=CHAIN)
    return compose_stack(list(paths.values()))


@pytest.fixture
def bound(tmp_path, composition):
    """A patient file bound to a stack of everything."""

    def bind(text):
        path = write(tmp_path, someone=text)["someone"]
        return bind_patient(read_patient(path), composition)

    return bind


def told(bound, text):
    with pytest.raises(InputError) as wrong:
        bound(text)
    return str(wrong.value)


# --- what is set ------------------------------------------------------------------------------------------------------


def test_a_patient_brings_numbers_with_reasons_and_ranges(bound):
    patient = bound(EATER)
    gain = patient.parameters["sugar.gain"]
    assert (gain.value, gain.varies, gain.uncertain) == (1.1, Spread(0.9, 1.35), None)
    assert gain.note.assumed == "for tests"
    assert patient.starts == {}
    assert patient.layers == ("drug", "sugar")


def test_numbers_are_found_by_symbol_and_starts_go_apart(bound):
    patient = bound(
        'title = "x"\n[set]\nk = { value = "2 mg/day", assumed = "x" }\nS = { value = "6 mg", source = "Topp2000" }'
    )
    assert patient.parameters["sugar.gain"].value == 2.0
    assert patient.starts["sugar.sugar"].value == 6.0


def test_names_without_quotes_mean_the_same(bound):
    quoted = bound('title = "x"\n[set]\n"sugar.gain" = { value = "2 mg/day", assumed = "x" }')
    bare = bound('title = "x"\n[set]\nsugar.gain = { value = "2 mg/day", assumed = "x" }')
    assert quoted.parameters == bare.parameters


def test_the_start_of_a_chain_is_set_class_by_class(bound, tmp_path):
    text = 'title = "x"\n[set]\n"chain.link" = { value = "3 mg", assumed = "x" }\n'
    assert {name: setting.value for name, setting in bound(text).starts.items()} == {
        "chain.link[1]": 3.0,
        "chain.link[2]": 3.0,
        "chain.link[3]": 3.0,
    }
    paths = write(tmp_path, chain=CHAIN, someone=text)
    run = isletsim.load_model(paths["chain"]).simulate(until="1 day", save="1 day", patient=paths["someone"])
    assert run["link"][0].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"sugar.gian" = { value = "1 mg/day", assumed = "x" }', 'Did you mean "sugar.gain"?'),
        ('"sugar.gain" = { value = "1 mg", assumed = "x" }', "expected [mass]/[time]"),
        ('"sugar.gain" = { value = "1 mg/day" }', "needs a source, or assumed"),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", source = "Topp2000" }', "and not both"),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", vary = 1 }', 'Did you mean "varies"?'),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", varies = ["2 mg/day", "3 mg/day"] }', "outside its own"),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", varies = ["3 mg/day", "2 mg/day"] }', "does not rise"),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", varies = ["0 mg/day", "2 mg/day"] }', "not positive"),
        ('"sugar.gain" = { value = "1 mg/day", assumed = "x", varies = "wide" }', "a 95 % range"),
        ('"sugar.rest" = { value = "1 mg", assumed = "x" }', "there is no parameter"),
        ('"chain.link" = { value = "1 mg", assumed = "x", varies = ["0.5 mg", "2 mg"] }', "is a chain"),
        (
            'k = { value = "1 mg/day", assumed = "x" }\n"sugar.gain" = { value = "1 mg/day", assumed = "x" }',
            "set twice",
        ),
    ],
)
def test_a_setting_that_cannot_be_meant_is_told(bound, entry, message):
    assert message in told(bound, f'title = "x"\n[set]\n{entry}\n')


def test_all_faults_of_a_patient_are_told_together(bound):
    text = 'title = "x"\n[set]\na = { value = "1", assumed = "x" }\nb = { value = "1", assumed = "x" }\n'
    text += '[[history]]\nuntil = "hba2c >= 7 %"\nwithin = "1 year"\n'
    assert "3 problems" in told(bound, text)


# --- history ----------------------------------------------------------------------------------------------------------


def test_a_history_is_legs_with_courses_and_an_end(bound):
    first, second = bound(EATER).history
    assert (first.watch.output, first.watch.level, first.watch.direction) == ("report.sugar", 7.0, 1)
    assert first.longest == 365
    assert second.watch is None
    assert (second.longest, second.layers, second.courses[0].input) == (10, ("drug",), "drug.taken")


@pytest.mark.parametrize(("relation", "direction"), [(">=", 1), (">", 1), ("<=", -1), ("<", -1)])
def test_a_condition_is_met_from_either_side(bound, relation, direction):
    patient = bound(f'title = "x"\n[[history]]\nuntil = "sugar.sugar {relation} 3 mg"\nwithin = "1 year"\n')
    watch = patient.history[0].watch
    assert (watch.output, watch.direction) == ("sugar.sugar", direction)


def test_a_history_may_wait_for_a_level_in_the_unit_of_a_report(tmp_path):
    # "glucose_fasting >= 11.5 mmol/L" was refused: the report was shown in mmol/L, and only a mass was taken for it.
    blood = """
title = "Blood"
assumed = "for tests"
[states]
plasma = { start = "90 mg/dL", of = "glucose" }
[parameters]
speed = { value = "1 mg/dL/day", assumed = "for tests" }
[rates]
rise = "speed"
[balance]
plasma = "rise"
[reports]
glucose = { value = "2 * plasma", unit = "mmol/L", of = "glucose" }
"""
    leg = 'title = "x"\n[[history]]\nuntil = "glucose >= 11.5 mmol/L"\nwithin = "1 year"\n'
    paths = write(tmp_path, blood=blood, someone=leg)
    composition = compose_stack([paths["blood"]])
    patient = bind_patient(read_patient(paths["someone"]), composition)
    watch = patient.history[0].watch
    assert convert(watch.level, composition.reports["glucose"].unit) == pytest.approx(11.5)
    assert convert(watch.level, unit("mg/dL")) == pytest.approx(207.2, abs=0.1)


@pytest.mark.parametrize(
    ("leg", "message"),
    [
        ("about = 'nothing'", "needs either for or until"),
        ('for = "1 year"\nuntil = "sugar >= 7 mg"', "needs either for or until"),
        ('until = "sugar >= 7 mg"', "until and within stand together"),
        ('for = "1 year"\nwithin = "2 year"', "until and within stand together"),
        ('for = "0 day"', "from one day to 120 years"),
        ('for = "200 year"', "from one day to 120 years"),
        ('until = "sugar = 7 mg"\nwithin = "1 year"', 'Write "hba1c >= 7.5 %"'),
        ('until = "sugar >= 7 mL"\nwithin = "1 year"', "expected [mass]"),
        ('until = "sugar.gain >= 7 mg/day"\nwithin = "1 year"', "not one number that changes in time"),
        ('until = "chain.link >= 7 mg"\nwithin = "1 year"', "not one number that changes in time"),
        ('for = "1 year"\nvisits = "0 day"', "at least a day apart"),
        ('for = "1 year"\nlayer = ["drug"]', 'Did you mean "layers"?'),
        ('for = "1 year"\ncourses = [{ input = "drug.token", level = "1" }]', 'Did you mean "drug.taken"?'),
    ],
)
def test_a_leg_that_cannot_be_meant_is_told(bound, leg, message):
    assert message in told(bound, f'title = "x"\n[[history]]\n{leg}\n')


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ('between = ["sugar.gain"]\nvalue = 0.5\nassumed = "x"', "expected between = [two names]"),
        ('between = ["k", "k"]\nvalue = 0.5\nassumed = "x"', "expected between = [two names]"),
        ('between = ["sugar.gain", "drug.effect"]\nvalue = 1.5\nassumed = "x"', "between -1 and 1"),
        ('between = ["sugar.gain", "drug.effect"]\nassumed = "x"', "expected between = [two names] and a value"),
        ('between = ["sugar.gain", "drug.effect"]\nvalue = 0.5', "needs a source, or assumed"),
        ('between = ["sugar.gain", "drug.affect"]\nvalue = 0.5\nassumed = "x"', 'Did you mean "drug.effect"?'),
    ],
)
def test_a_correlation_that_cannot_be_meant_is_told(bound, pair, message):
    assert message in told(bound, f'title = "x"\n[[correlations]]\n{pair}\n')


# --- the file alone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[set]\n", "has no title"),
        ('title = "x"\nsett = 1\n', 'Did you mean "set"?'),
        ('title = "x"\nhistory = 3\n', "expected a list"),
        ('title = "x"\nhistory = [3]\n', "expected a table"),
        ('title = "x"\n[set\n', "is not TOML"),
    ],
)
def test_a_file_that_is_no_patient_is_told(bound, text, message):
    assert message in told(bound, text)


def test_a_patient_file_is_checked_with_the_files_it_names(tmp_path):
    path = write(tmp_path, someone='title = "x"\n[set]\n"topp2000.growht" = { value = "1 1/day", assumed = "x" }')
    with pytest.raises(InputError, match=r'Did you mean "topp2000.growth"\?'):
        check_file("patient", path["someone"])


# --- the package's own ------------------------------------------------------------------------------------------------

PEOPLE = [name for name, path in listing("patient") if "person.age" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", PEOPLE)
def test_who_somebody_is_said_to_be_is_who_arrives(tmp_path, name):
    # Late type 2 diabetes was printed as 72 years old and lived with the C-peptide of 52; weights were of older fits.
    study = f'title = "x"\npatient = "{name}"\nuntil = "1 day"\nsave = "1 day"\n[arms.usual]\nabout = "as before"\n'
    scenario = load_scenario(write(tmp_path, study=study)["study"])
    age, weight = (quantity(scenario.patient.covariates[key]).value for key in ("age", "weight"))
    assert scenario.patient.parameters["person.age"].value == age
    result = scenario.run(jobs=1)
    column = [variable.name for variable in result.variables].index("body_weight")
    assert result.values[0, 0, 0, column] == pytest.approx(convert(weight, unit("kg")), abs=0.6)
