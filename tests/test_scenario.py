"""Scenario files: what they say, what --set changes, and the plan they become."""

import pytest
from example_models import CLINIC, DRUG, EATER, STUDY, SUGAR, write, write_study

import isletsim
from isletsim.composition.model_library import compose_stack
from isletsim.dosing import Dose
from isletsim.errors import InputError
from isletsim.patient import bind_patient, read_patient
from isletsim.scenario import plan_scenario, printed, read_scenario

UNKNOWN = """
title = "An algebraic unknown"
assumed = "for tests"
[states]
x = { start = "1 mg" }
[parameters]
speed = { value = "1 1/day", assumed = "for tests" }
[rates]
fall = "speed * x"
[balance]
x = "-fall"
[solve]
twice = { start = "2 mg", residual = "2 * x - twice" }
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    paths = write(tmp_path_factory.mktemp("models"), sugar=SUGAR, drug=DRUG, clinic=CLINIC, eater=EATER)
    composition = compose_stack([paths["sugar"], paths["drug"], paths["clinic"]])
    return composition, bind_patient(read_patient(paths["eater"]), composition)


@pytest.fixture
def plan(tmp_path, stack):
    """The plan of a scenario text, with overrides."""

    def make(text=STUDY, *overrides):
        path = write(tmp_path, study=text)["study"]
        return plan_scenario(read_scenario(path, overrides), *stack)

    return make


def told(plan, text, *overrides):
    with pytest.raises(InputError) as wrong:
        plan(text, *overrides)
    return str(wrong.value)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_explicit(plan):
    found = plan()
    assert [arm.name for arm in found.arms] == ["usual", "twin", "none", "pills"]
    assert found.arms[3].doses == tuple(Dose("drug.pill", 0.5, 7.0 * number) for number in range(4))
    assert found.arms[2].stop == ("drug",)
    assert (found.control, found.until, found.cohort, found.seed) == (0, 60, 20, 3)
    assert found.save == tuple(float(day) for day in range(0, 61, 5))
    assert (found.method, found.tolerance) == ("stiff", 1e-6)
    assert found.figures[0].thresholds == ((7.0, "7 mg"),)


def test_defaults_are_a_year_by_weeks(plan):
    found = plan('title = "x"\ncore = ["sugar"]\n[arms.one]\n')
    assert (found.until, found.save[1], found.save[-1], len(found.save)) == (365, 7, 365, 54)
    assert (found.cohort, found.visits) == (0, ())


def test_the_last_record_is_the_end(plan):
    assert plan(STUDY.replace('"5 day"', '"7 day"')).save[-2:] == (56, 60)
    assert plan(STUDY.replace('"5 day"', '"0.1 day"')).save[-1] == 60
    assert len(plan(STUDY.replace('"5 day"', '"0.1 day"')).save) == 601


def test_visits_are_counted_from_the_first(plan):
    assert plan(STUDY + '[visits]\nevery = "20 day"\n').visits == (20, 40, 60)
    assert plan(STUDY + '[visits]\nevery = "20 day"\nfirst = "5 day"\n').visits == (5, 25, 45)
    assert plan(STUDY + '[visits]\nevery = "20 day"\nfirst = "0 day"\n').visits == (0, 20, 40, 60)


def test_the_control_is_named_or_the_first(plan):
    assert plan('control = "none"\n' + STUDY).control == 2


def test_an_arm_sets_numbers_by_name_or_symbol_quoted_or_not(plan):
    for name in ('"sugar.gain"', "sugar.gain", "k"):
        found = plan(STUDY.replace("[arms.twin]", f'[arms.twin]\nset = {{ {name} = "2 mg/day" }}'))
        assert found.arms[1].parameters == {"sugar.gain": 2.0}


def test_what_figures_show_is_recorded(plan):
    text = STUDY + 'exposure = { show = "exposure" }\nrate = { show = "sugar.rise" }\n'
    found = plan('record = ["drug.uptake", "sugar"]\n' + text)
    assert found.record == ("drug.exposure", "drug.uptake", "sugar.rise")
    assert [panel.show for panel in found.figures] == ["sugar", "drug.exposure", "sugar.rise"]


def test_doses_that_are_not_given_are_told(plan):
    found = plan(STUDY.replace("times = 4", "times = 20"))
    assert found.warnings == ("pills: 11 of 20 doses lie after the end of the run and are not given",)
    cut = plan(STUDY.replace("times = 4", 'times = 2, over = "55 day"'))
    assert cut.warnings == ("pills: 1 infusions go on after the end of the run and are given in part",)


def test_what_an_arm_takes_for_granted_is_told_with_the_run(plan):
    taken = STUDY.replace("[arms.none]\n", '[arms.none]\nassumed = "nobody has measured it"\n')
    assert taken != STUDY
    assert plan(taken).warnings == ("none: assumed: nobody has measured it",)


def test_a_plan_can_be_printed(plan, stack):
    text = printed(plan(STUDY.replace("[arms.twin]", '[arms.twin]\nset = { "sugar.gain" = "2 mg/day" }')), stack[0])
    for line in (
        "60 days, 13 records, 0 visits",
        "20 subjects besides the reference patient, seed 3",
        "arm usual (control): no layers of its own",
        "  sugar.gain = 2 mg/day",
        "  drug ends",
        "  day 21       drug.pill  0.5 mg",
    ):
        assert line in text.splitlines()


def test_a_printed_plan_says_what_an_arm_is_and_how_long_a_course_goes_on(plan, stack):
    # What had no end was printed as "day 0 to inf", and tests and the words of an arm were not printed at all.
    course = 'about = "sweet"\ncourses = [{ input = "drug.taken", level = "0.5" }]\n'
    text = printed(plan(STUDY.replace("[arms.twin]\n", "[arms.twin]\n" + course)), stack[0])
    assert "arm twin: sweet" in text.splitlines()
    assert "  day 0 to the end  drug.taken = 0.5" in text.splitlines()


# --- faults -----------------------------------------------------------------------------------------------------------

ARM = 'title = "x"\ncore = ["sugar"]\n[arms.one]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('core = ["sugar"]\n[arms.one]\n', "has no title"),
        ('title = "x"\n[arms.one]\n', "has no core"),
        ('title = "x"\ncore = ["sugar"]\n', "has no arms"),
        ("arm = 1\n" + ARM, 'Did you mean "arms"?'),
        (ARM + "dose = []\n", 'Did you mean "doses"?'),
        ('control = "two"\n' + ARM, '"two" is not an arm'),
        ('until = "0 day"\n' + ARM, "from one day to 200 years"),
        ('until = "300 year"\n' + ARM, "from one day to 200 years"),
        ('until = "36 hour"\n' + ARM, "not a whole number of days"),
        ('until = "3 kg"\n' + ARM, "expected [time]"),
        ('save = "0 day"\n' + ARM, "expected a spacing"),
        ('save = "1 s"\n' + ARM, "expected a spacing"),
        ('method = "stif"\n' + ARM, 'Did you mean "stiff"?'),
        ("tolerance = 1\n" + ARM, "between 1e-13 and 1e-2"),
        ("tolerance = 1e-20\n" + ARM, "between 1e-13 and 1e-2"),
        (ARM + "[cohort]\nsize = -1\n", "a whole number from 0"),
        (ARM + "[cohort]\nsise = 1\n", 'Did you mean "size"?'),
        (ARM + '[visits]\nevery = "0 day"\n', "at least a day apart"),
        (ARM + 'stop = ["drug"]\n', None),
        (ARM + 'stop = ["drag"]\n', 'no history of the patient gives "drag"'),
        (ARM + 'set = { "sugar.gian" = "1 mg/day" }\n', 'Did you mean "sugar.gain"?'),
        (ARM + 'set = { "sugar.gain" = "1 mg" }\n', "expected [mass]/[time]"),
        (ARM + 'set = { "sugar.sugar" = "1 mg" }\n', "there is no parameter"),
        (ARM + 'doses = [{ into = "clinic.fill", amount = "1 mg" }]\n', "not a layer of this arm"),
        (ARM + 'courses = [{ input = "clinic.level", level = "1" }]\n', "not a layer of this arm"),
        (ARM + "[figures]\na = { band = [5, 95] }\n", "does not say what to show"),
        (ARM + '[figures]\na = { show = "suger" }\n', 'Did you mean "sugar"?'),
        (ARM + '[figures]\na = { show = "sugar", band = [95, 5] }\n', "two percentiles"),
        (ARM + '[figures]\na = { show = "sugar", thresholds = ["7 mL"] }\n', "expected [mass]"),
        (ARM + '[figures]\na = { show = "sugar.gain" }\n', "not one number that changes in time"),
        (ARM + "[figures]\na = 3\n", "expected a table"),
        (ARM + '[figures]\na = { show = "sugar", unit = "spoons" }\n', "Only a pure number is told what it counts"),
        ('record = ["sugar.gain"]\n' + ARM, "does not change in time"),
        ('record = ["sugar.gian"]\n' + ARM, 'Did you mean "sugar.gain"?'),
        ("record = 3\n" + ARM, "expected a list"),
    ],
)
def test_a_scenario_that_cannot_be_meant_is_told_with_its_cure(plan, text, message):
    if message is None:
        assert plan(text)
    else:
        assert message in told(plan, text)


def test_all_faults_of_a_scenario_are_told_together(plan):
    text = 'until = "0 day"\ncontrol = "two"\n' + ARM + 'doses = [{ into = "x" }, 3]\nset = { y = 1 }\n'
    assert "5 problems" in told(plan, text)


def test_the_explicit_method_is_refused_where_something_has_to_be_solved_for(tmp_path):
    paths = write(tmp_path, unknown=UNKNOWN, study='title = "x"\nmethod = "explicit"\ncore = ["unknown"]\n[arms.one]\n')
    with pytest.raises(InputError, match="cannot solve for algebraic unknowns"):
        isletsim.load_scenario(paths["study"])


# --- overrides --------------------------------------------------------------------------------------------------------


def test_a_path_of_the_scenario_changes_the_scenario(plan):
    found = plan(
        STUDY,
        "cohort.size=3",
        "until=30 day",
        "tolerance=1e-8",
        "arms.pills.doses.0.amount=2 mg",
        "arms.pills.doses.0.times=2",
        "arms.usual.set.sugar.gain=2 mg/day",
        "visits.every=10 day",
        "figures.sugar.band=[10, 90]",
    )
    assert (found.cohort, found.until, found.tolerance, found.visits) == (3, 30, 1e-8, (10, 20, 30))
    assert found.arms[3].doses == (Dose("drug.pill", 2.0, 0.0), Dose("drug.pill", 2.0, 7.0))
    assert found.arms[0].parameters == {"sugar.gain": 2.0}
    assert found.figures[0].band == (10, 90)


def test_any_other_path_is_a_number_of_a_model(plan):
    found = plan(STUDY, "sugar.gain=2 mg/day", "S=6 mg", "drug.effect = 0.5")
    assert found.parameters == {"sugar.gain": 2.0, "drug.effect": 0.5}
    assert found.starts == {"sugar.sugar": 6.0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("cohort.size", "is not PATH=VALUE"),
        ("=3", "is not PATH=VALUE"),
        ("cohort..size=3", "is not PATH=VALUE"),
        ("cohort.size=many", "a whole number"),
        ("cohort.sise=3", 'Did you mean "size"?'),
        ("arms.pils.set.k=1 mg/day", 'Did you mean "pills"?'),
        ("arms.pills.doses.7.amount=1 mg", 'there is no "7"'),
        ("title.x=1", "does not lead to a key"),
        ("sugar.gian=1 mg/day", 'Did you mean "sugar.gain"?'),
        ("sugar.gain=1 mg", "expected [mass]/[time]"),
        ("sugar.rest=1 mg", "there is no parameter"),
    ],
)
def test_an_override_that_cannot_be_meant_is_told(plan, override, message):
    assert message in told(plan, STUDY, override)


def test_all_wrong_overrides_are_told_together(plan):
    assert "2 problems" in told(plan, STUDY, "x", "arms.pils.set.k=1")


def test_overrides_are_a_mapping_or_texts(tmp_path):
    study = write_study(tmp_path)
    one = isletsim.load_scenario(study, set={"cohort.size": 2, "sugar.gain": "2 mg/day"})
    two = isletsim.load_scenario(study, set=["cohort.size=2", "sugar.gain=2 mg/day"])
    assert one.plan == two.plan


def test_files_that_are_not_there_are_all_told_with_their_places(tmp_path):
    text = 'title = "x"\ncore = ["suger", "topp2001"]\n[arms.one]\nlayers = ["drag"]\n'
    with pytest.raises(InputError) as wrong:
        isletsim.load_scenario(write(tmp_path, study=text)["study"])
    said = str(wrong.value)
    assert "3 problems" in said
    assert 'Did you mean "topp2000"?' in said
    assert "study.toml:2, core" in said
    assert "study.toml:4, [arms] one.layers" in said


# --- what --set does to an input ---


def test_the_level_of_an_input_that_courses_set_is_answered_with_the_path_of_the_course(plan):
    arm = 'layers = ["drug"]\ncourses = [{ input = "drug.taken", level = "1" }]\n'
    text = STUDY.replace('[arms.none]\nstop = ["drug"]\n', f"[arms.full]\n{arm}")
    (warning,) = plan(text, "drug.taken=0.5").warnings
    assert "in histories and in every arm" in warning
    assert "--set arms.full.courses[0].level=VALUE" in warning
    changed = plan(text, "arms.full.courses[0].level=0.25")
    assert [course.level for arm in changed.arms for course in arm.courses] == [0.25]
    assert changed.warnings == ()


def test_the_level_of_an_input_that_nothing_sets_is_answered_too(plan):
    (warning,) = plan(STUDY, "sugar.eating=0.5").warnings
    assert "courses" not in warning.partition("while no course sets it")[2]
