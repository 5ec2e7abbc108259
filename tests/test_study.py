"""Studies: one history, arms that share everything but their therapy, cohorts that nothing stops."""

import json

import numpy as np
import pytest
from example_models import CLINIC, DRUG, EATER, STUDY, SUGAR, write, write_study

import isletsim
from isletsim.cli import commands as cli
from isletsim.codegen import native
from isletsim.cohort import collect, draw
from isletsim.ensemble import run_task
from isletsim.errors import InputError, RunError
from isletsim.study.subject import simulate_subject

USUAL, TWIN, NONE, PILLS = range(4)

# Sugar at 1.6 times the gain, from 5 mg towards 8.8 mg.
LAW = np.exp(-0.2 * np.arange(200))
OVEREATEN = 8.8 - 3.8 * LAW

BLAST = """
title = "A state that blows up where feedback is strong"
assumed = "for tests"
[states]
heat = { start = "1 mg" }
[parameters]
feedback = { value = "0.01 1/mg/day", symbol = "a", varies = ["0.005 1/mg/day", "0.02 1/mg/day"], assumed = "x" }
cooling = { value = "0.012 1/day", assumed = "for tests" }
[rates]
growth = "feedback * heat ** 2"
loss = "cooling * heat"
[balance]
heat = "growth - loss"
[reports]
heat = { value = "heat", unit = "mg" }
"""
BLAST_STUDY = """
title = "A blast"
core = ["blast"]
until = "1 year"
save = "1 week"
[arms.usual]
[arms.hot]
set = { a = "0.0115 1/mg/day" }
[cohort]
size = 30
"""


@pytest.fixture
def study(tmp_path):
    """A study of the sugar model with some texts changed, and overrides."""

    def make(*overrides, **changed):
        return isletsim.load_scenario(write_study(tmp_path, **changed), set=overrides)

    return make


def run(scenario, **more):
    return scenario.run(jobs=1, **more)


def column(result, name):
    return [variable.name for variable in result.variables].index(name)


# --- arms -------------------------------------------------------------------------------------------------------------


def test_two_identical_arms_give_identical_numbers(study):
    result = run(study())
    assert result.values[USUAL].tobytes() == result.values[TWIN].tobytes()
    assert not np.array_equal(result.values[USUAL], result.values[PILLS])
    assert np.array_equal(result.values[USUAL][:, 0], result.values[PILLS][:, 0])  # all arms begin alike


def test_another_arm_changes_nothing_in_the_others(study):
    few = run(study())
    more = run(study(study=STUDY + '[arms.other]\nset = { "sugar.gain" = "3 mg/day" }\n'))
    assert few.values.tobytes() == more.values[:4].tobytes()


def test_arms_keep_their_order_and_their_names(study):
    result = run(study(study=STUDY.replace("[arms.twin]", '[arms."z, 2 %"]')))
    assert [arm.name for arm in result.arms] == ["usual", "z, 2 %", "none", "pills"]
    assert result.arms[PILLS].dose_amounts == ("0.5 mg",) * 4
    assert result.arms[PILLS].grade == "assumed"


def test_an_arm_sets_numbers_at_its_beginning(study):
    result = run(study("cohort.size=0", study=STUDY.replace("[arms.twin]", '[arms.twin]\nset = { k = "0 mg/day" }')))
    sugar = result.values[TWIN, 0, :, 0]
    assert sugar == pytest.approx(sugar[0] * np.exp(-0.2 * result.time), rel=1e-5)


def test_open_courses_go_on_into_every_arm_that_does_not_stop_them(study):
    scenario = study("cohort.size=0", study='record = ["drug.taken", "drug.exposure", "sugar.eating"]\n' + STUDY)
    result = run(scenario)
    taken, exposure = column(result, "drug.taken"), column(result, "drug.exposure")
    assert result.values[USUAL, 0, :, taken].tolist() == [1] * 13
    assert result.values[NONE, 0, :, taken].tolist() == [1] + [0] * 12  # the first row is taken before
    assert result.values[NONE, 0, :, exposure] == pytest.approx(
        result.values[NONE, 0, 0, exposure] * np.exp(-result.time / 3), rel=1e-5, abs=1e-6
    )
    assert np.all(result.values[..., column(result, "sugar.eating")] == 0.6)
    end = result.values[:, 0, -1, column(result, "sugar")]
    assert end[[USUAL, NONE]] == pytest.approx([8.8 * 0.7, 8.8], rel=1e-3)


def test_a_course_of_an_arm_falls_back_to_that_of_the_history(study):
    text = STUDY.replace(
        "[arms.twin]",
        '[arms.twin]\ncourses = [{ input = "drug.taken", level = "0.5", from = "10 day", until = "20 day" }]\n',
    )
    result = run(study("cohort.size=0", study='record = ["drug.taken"]\n' + text))
    assert result.values[TWIN, 0, :, column(result, "drug.taken")].tolist() == [1, 1, 0.5, 0.5] + [1] * 9


def test_a_course_falls_back_to_what_the_patient_or_set_says(study):
    eater = EATER.replace("[set]", '[set]\n"drug.taken" = { value = "0.25", assumed = "x" }')
    text = 'record = ["drug.taken"]\n' + STUDY
    result = run(study("cohort.size=0", eater=eater, study=text))
    assert result.values[NONE, 0, 1:, column(result, "drug.taken")].tolist() == [0.25] * 12
    result = run(study("cohort.size=0", "drug.taken=0.125", eater=eater, study=text))
    assert result.values[NONE, 0, 1:, column(result, "drug.taken")].tolist() == [0.125] * 12


def test_visits_revise_nothing_of_a_layer_that_an_arm_has_not(tmp_path):
    text = """
    title = "x"
    core = ["sugar"]
    until = "10 day"
    save = "5 day"
    record = ["clinic.visited"]
    [visits]
    every = "5 day"
    [arms.usual]
    [arms.clinic]
    layers = ["clinic"]
    """
    paths = write(tmp_path, sugar=SUGAR, clinic=CLINIC, study=text)
    result = run(isletsim.load_scenario(paths["study"]))
    visited = result.values[:, 0, :, column(result, "clinic.visited")]
    assert visited.tolist() == [[0, 0, 0], [0, 8, 8]]


def test_files_of_a_study_may_stand_elsewhere_and_be_given_by_path(study, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "drug.toml").write_text(DRUG)
    here = run(study("cohort.size=2"))
    (tmp_path / "drug.toml").unlink()
    text = (tmp_path / "study.toml").read_text().replace('["drug"]\ndoses', '["more/drug.toml"]\ndoses')
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "eater.toml").write_text(EATER.replace('layers = ["drug"]', 'layers = ["more/drug.toml"]'))
    there = run(isletsim.load_scenario(tmp_path / "study.toml", set={"cohort.size": 2}))
    assert there.arms[PILLS].layers == ("drug",)
    assert there.values.tobytes() == here.values.tobytes()


# --- history ----------------------------------------------------------------------------------------------------------

ONE_LEG = EATER.partition('[[history]]\nabout = "ten days')[0]


def test_a_history_ends_at_the_first_midnight_that_meets_its_condition(study):
    result = run(study("cohort.size=0", "tolerance=1e-10", eater=ONE_LEG, study=STUDY.replace('stop = ["drug"]', "")))
    first = int(np.argmax(OVEREATEN >= 7))
    assert OVEREATEN[first - 1] < 7
    assert result.values[:, 0, 0, 0] == pytest.approx([OVEREATEN[first]] * 4, rel=1e-8)


def test_a_condition_that_is_met_for_a_day_only_ends_a_history(study):
    spike = '[doses.feast]\nunit = "mg"\nadd = { sugar = "1" }\n'
    eater = ONE_LEG.replace("courses =", 'doses = [{ into = "sugar.feast", amount = "4 mg", at = "3 day" }]\ncourses =')
    eater = eater.replace("sugar >= 7 mg", "sugar >= 10 mg")
    result = run(study("cohort.size=0", sugar=SUGAR + spike, eater=eater, study=STUDY.replace('stop = ["drug"]', "")))
    assert result.values[0, 0, 0, 0] == pytest.approx(OVEREATEN[3] + 4, rel=1e-5)


def test_an_infusion_that_is_open_when_a_history_ends_is_given_to_its_end(tmp_path):
    clinic = CLINIC + '[reports]\nstore = { value = "store", unit = "mg" }\n'
    patient = """
    title = "x"
    [[history]]
    doses = [{ into = "clinic.fill", amount = "10 mg", at = "2 day", over = "10 day" }]
    until = "store >= 10.5 mg"
    within = "30 day"
    """
    text = 'title = "x"\ncore = ["clinic"]\npatient = "someone"\nuntil = "20 day"\nsave = "1 day"\n[arms.one]\n'
    paths = write(tmp_path, clinic=clinic, someone=patient, study=text)
    result = run(isletsim.load_scenario(paths["study"]))
    expected = 8 + np.minimum(3 + np.arange(21), 10)
    assert result.values[0, 0, :, 0] == pytest.approx(expected, rel=1e-12)


def test_two_patients_of_one_history_differ_by_what_is_drawn(study):
    scenario = study()
    result = run(scenario)
    begin = result.values[USUAL, 1:, 0, 0]
    assert len(set(begin)) == 20
    drawn = draw(collect(scenario.composition, scenario.patient), scenario.plan.seed, 7)
    alone = live_alone(scenario, 7)
    assert alone.rows[USUAL].tobytes() == result.values[USUAL, 7].tobytes()
    assert drawn.keys() == {"sugar.gain", "sugar.loss", "drug.effect"}


def live_alone(scenario, subject):
    from isletsim.multiscale.daily_stepper import StepControl
    from isletsim.multiscale.simulator import simulator_for
    from isletsim.study.subject import StudyContext

    plan = scenario.plan
    return run_task(
        simulate_subject(
            StudyContext(
                plan=plan,
                composition=scenario.composition,
                patient=scenario.patient,
                challenges=scenario.challenges,
                simulator=simulator_for(scenario.composition, plan.tolerance, plan.method, StepControl()),
                draws=collect(scenario.composition, scenario.patient),
                save=np.array(plan.save),
            ),
            subject,
        )
    )


def test_what_set_gives_does_not_vary_and_changes_no_other_draw(study):
    text = 'record = ["sugar.rise", "sugar.fall"]\n' + STUDY
    eater = EATER.replace("sugar >= 7 mg", "sugar >= 5.5 mg")  # everybody arrives
    free = run(study(study=text, eater=eater))
    fixed = run(study("sugar.gain=1.1 mg/day", study=text, eater=eater))
    rise = column(fixed, "sugar.rise")
    first = fixed.values[NONE, 1:, -1, rise]
    assert first == pytest.approx([1.76] * 20)
    assert np.std(free.values[NONE, 1:, -1, rise]) > 0.1
    loss = fixed.values[NONE, :, -1, column(fixed, "sugar.fall")] / fixed.values[NONE, :, -1, column(fixed, "sugar")]
    same = free.values[NONE, :, -1, column(free, "sugar.fall")] / free.values[NONE, :, -1, column(free, "sugar")]
    assert loss == pytest.approx(same)


def test_set_changes_where_a_life_starts(study):
    bare = 'title = "x"\ncore = ["sugar"]\nuntil = "1 day"\nsave = "1 day"\n[arms.one]\n'
    assert run(study("S=3 mg", study=bare)).values[0, 0, 0, 0] == 3


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_subject_that_fails_is_reported_and_stops_nobody(tmp_path):
    paths = write(tmp_path, blast=BLAST, study=BLAST_STUDY)
    result = isletsim.load_scenario(paths["study"]).run(jobs=2)
    failed = {(failure.arm, failure.subject) for failure in result.failures}
    assert 0 < len(failed) < 30
    for failure in result.failures:
        arm = [each.name for each in result.arms].index(failure.arm)
        rows = result.values[arm, failure.subject, :, 0]
        assert np.array_equal(np.isfinite(rows), result.time < failure.time)
        assert failure.message.startswith(f"subject {failure.subject}, arm {failure.arm}: blast.heat (")
        assert "at day" in failure.message
        assert "it blows up" in failure.message
    whole = np.isfinite(result.values).all(axis=(2, 3))
    assert {(result.arms[arm].name, subject) for arm, subject in np.argwhere(~whole)} == failed


def test_the_reference_patient_failing_is_the_end_with_what_was_computed(tmp_path):
    study = BLAST_STUDY.replace("0.0115", "0.02")
    paths = write(tmp_path, blast=BLAST, study=study)
    with pytest.raises(RunError) as failed:
        isletsim.load_scenario(paths["study"]).run()
    assert str(failed.value).startswith("the reference patient, arm hot: blast.heat (")
    partial = failed.value.partial
    assert np.isfinite(partial.values[0, 0]).all()
    rows = partial.values[1, 0, :, 0]
    assert 0 < np.isfinite(rows).sum() < len(rows)
    assert np.isnan(partial.values[:, 1:]).all()


def test_a_history_that_fails_names_its_leg(study):
    sugar = SUGAR.replace('rise = "gain * (1 + eating)"', 'rise = "gain * (1 + eating * sugar * sugar / square)"')
    sugar = sugar.replace("[derived]", 'square = { value = "1 mg**2", assumed = "x" }\n[derived]')
    with pytest.raises(RunError, match=r"the reference patient, leg 1 of the history: sugar\.sugar"):
        run(
            study(
                sugar=sugar.replace("sugar = { value", "calm = { value"),
                eater=EATER.replace("sugar >= 7", "calm <= 1"),
                study=STUDY.replace('show = "sugar"', 'show = "calm"'),
            )
        )


def test_a_reference_patient_who_never_arrives_is_told(study):
    with pytest.raises(RunError, match=r"the history never arrives \(sugar >= 9 mg\)"):
        run(study(eater=EATER.replace(">= 7 mg", ">= 9 mg")))


def test_a_drawn_number_that_cannot_be_run_is_the_end_of_that_subject_only(tmp_path):
    clock = """
    title = "A clock"
    assumed = "for tests"
    [states]
    ticks = { start = "0 day" }
    [parameters]
    period = { value = "1 day", assumed = "x", varies = ["-1 day", "3 day"], distribution = "normal" }
    [rates]
    ticking = "mod(time, period) / period"
    [balance]
    ticks = "ticking"
    """
    text = 'title = "x"\ncore = ["clock"]\nuntil = "10 day"\nrecord = ["ticks"]\n[arms.one]\n[cohort]\nsize = 20\n'
    paths = write(tmp_path, clock=clock, study=text)
    result = isletsim.load_scenario(paths["study"]).run(jobs=2)
    assert 0 < len(result.failures) < 15
    assert all("cannot be followed" in failure.message for failure in result.failures)
    with pytest.raises(InputError, match="cannot be followed"):
        isletsim.load_scenario(paths["study"], set={"clock.period": "0 day"}).run()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_leaves_what_was_computed(study, jobs):
    told = []

    def stop(done, total):
        told.append((done, total))
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        study("cohort.size=6000").run(jobs=jobs, progress=stop)
    partial = stopped.value.partial
    done = np.isfinite(partial.values).all(axis=(0, 2, 3))
    assert told[-1][0] < 6000
    assert told[-1][1] == 6000
    assert done[0]
    assert told[-1][0] <= done[1:].sum() < 6000
    # What was kept of an interrupted run looked like a whole one of 6000.
    assert partial.run["warnings"][0].startswith(f"interrupted: {done[1:].sum()} of 6000 subjects were simulated")


def test_progress_is_told_to_the_end(study):
    told = []
    study("cohort.size=37").run(jobs=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (37, 37)
    assert told == sorted(told)


# --- compiling --------------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch):
    """The modules of machine code that were made."""
    made = []
    make = native.make_object
    monkeypatch.setattr(native, "make_object", lambda text: made.append(text) or make(text))
    return made


def test_a_changed_number_dose_tolerance_or_patient_compiles_nothing(study, compiled):
    run(study("cohort.size=1"))
    compiled.clear()
    for overrides in (
        ["sugar.gain=1.2 mg/day"],
        ["S=4 mg"],
        ["arms.pills.doses.0.amount=3 mg", "arms.pills.doses.0.over=2 hour"],
        ["arms.pills.set.drug.effect=0.1"],
        ["tolerance=1e-8", "method=explicit"],
        ["until=30 day", "save=1 day", "visits.every=1 week"],
        ["cohort.size=3", "cohort.seed=5"],
        ["figures.sugar.band=[10, 90]"],
    ):
        run(study(*overrides))
    run(study(eater=EATER.replace("7 mg", "6 mg").replace("350", "300").replace('"0.6"', '"0.5"')))
    assert compiled == []


def test_all_arms_share_one_model(study, compiled, tmp_path):
    sugar = SUGAR.replace('"for tests"', '"for this test alone"').replace("rise = ", 'other = "gain"\nrise = ')
    run(study("cohort.size=2", sugar=sugar))
    assert len(compiled) <= 3  # with pivots, for one subject and for eight in lanes


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_what_figures_show_comes_first(study):
    text = 'record = ["drug.exposure"]\n' + STUDY + 'uptake = { show = "drug.uptake" }\n'
    result = run(study("cohort.size=0", study=text))
    assert [variable.name for variable in result.variables] == ["sugar", "drug.uptake", "drug.exposure"]
    assert [variable.unit for variable in result.variables] == ["mg", "1/day", ""]


def test_the_record_says_how_the_run_was_made(study):
    record = run(study("cohort.size=2", study=STUDY.replace("times = 4", "times = 20"))).run
    assert record["seed"] == 3
    assert set(record["inputs"]) == {"study.toml", "sugar.toml", "drug.toml", "eater.toml"}
    assert record["warnings"] == ["pills: 11 of 20 doses lie after the end of the run and are not given"]
    assert record["assumed"] == {"numbers": 5, "of": 5, "share": 1.0}
    assert record["solver"]["steps"] > 0
    assert record["layers"] == {"drug": "A drug against sugar", "sugar": "Sugar that rises with eating"}
    assert json.dumps(record)


def test_a_layer_whose_target_is_not_there_is_skipped_and_listed(study):
    drug = DRUG.replace("[scales]", '[scales]\nbeta.apoptosis = "1 - effect"')
    record = run(study("cohort.size=0", drug=drug)).run
    assert record["skipped"] == ["drug: scales beta.apoptosis"]


def test_a_scenario_describes_itself(study):
    scenario = study()
    assert "arm pills: drug" in scenario.describe()
    assert scenario.name == "study"
    assert repr(scenario) == "<Scenario study: arms usual, twin, none, pills; cohort of 20; 60 days>"


# --- through the command line -----------------------------------------------------------------------------------------


@pytest.fixture
def program(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            cli.main([str(each) for each in arguments])
        told = capsys.readouterr()
        return done.value.code or 0, told.out, told.err

    return call


def test_a_divergence_ends_with_state_time_subject_and_advice_and_leaves_what_was_computed(program, tmp_path):
    paths = write(tmp_path, blast=BLAST, study=BLAST_STUDY.replace("0.0115", "0.02"))
    status, out, err = program("run", paths["study"], "-o", tmp_path / "out")
    assert (status, out) == (1, "")
    for word in ("the reference patient", "arm hot", "blast.heat (", "at day", "it blows up"):
        assert word in err
    assert "Traceback" not in err
    rows = (tmp_path / "out" / "results.csv").read_text().splitlines()[1:]
    arms = [row.split(",")[1] for row in rows]
    assert arms.count("usual") == 54
    assert 0 < arms.count("hot") < 54
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["failures"]["count"] == 1
    # The advice helps: with less feedback it runs.
    status, _, _ = program("run", paths["study"], "-q", "--no-figures", "--set", "arms.hot.set.a=0.001 1/mg/day")
    assert status == 0


def test_a_run_through_the_command_line_takes_overrides(program, study, tmp_path):
    study()
    status, _, _ = program(
        "run",
        tmp_path / "study.toml",
        "-q",
        "--no-figures",
        "-o",
        tmp_path / "out",
        "--set",
        "cohort.size=3",
        "--set",
        "sugar.gain=1.2 mg/day",
        "--seed",
        "11",
        "--jobs",
        "2",
        "--keep",
        "full",
    )
    assert status == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["cohort"], record["seed"]) == (3, 11)
    subjects = {row.split(",")[2] for row in (tmp_path / "out" / "results.csv").read_text().splitlines()[1:]}
    assert subjects == {"0", "1", "2", "3"}
