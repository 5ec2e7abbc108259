"""Inputs that once ended in a traceback or lost results: each ends in one message, and results are written first."""

import copy
import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from example_models import POOL, SUGAR, write, write_study

import isletsim
from isletsim.cli import main
from isletsim.errors import InputError, did_you_mean
from isletsim.results.files import publish
from isletsim.scenario.reading import _holder

REPOSITORY = Path(__file__).resolve().parent.parent


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    told = capsys.readouterr()
    return ended.value.code, told.out + told.err


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_virtual_test_whose_doses_are_no_list_is_refused(tmp_path, capsys):
    text = (REPOSITORY / "models" / "challenges" / "ogtt.toml").read_text(encoding="utf-8")
    start, end = text.index("doses"), text.index("show")
    (tmp_path / "mine.toml").write_text(f"{text[:start]}doses = 5\n{text[end:]}")
    code, told = said(capsys, "check", tmp_path / "mine.toml")
    assert code == 2
    assert "doses" in told


def test_a_superscript_is_no_index():
    with pytest.raises(InputError, match=r"there is no|does not lead"):
        _holder({"arms": {"msc": {"doses": [{}, {}]}}}, ["arms", "msc", "doses", "²", "amount"], "--set x")


@pytest.mark.parametrize("command", ["check", "run", "show"])
def test_a_key_of_thousands_of_parts_is_refused_at_once(tmp_path, capsys, command):
    (tmp_path / "long.toml").write_text("a." * 100_000 + "a = 1\n")
    begun = time.monotonic()
    code, told = said(capsys, command, tmp_path / "long.toml")
    assert code == 2
    assert "more than 30 parts" in told
    assert time.monotonic() - begun < 2


def test_a_byte_order_mark_is_no_fault(tmp_path):
    plain = write(tmp_path, pool=POOL)["pool"]
    marked = tmp_path / "marked.toml"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert isletsim.load_model(marked).composition.flat.states == ("marked.pool",)


@pytest.mark.parametrize("command", ["check", "run", "show"])
def test_a_file_of_an_unknown_kind_is_named_as_such(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.txt").write_text(POOL)
    code, told = said(capsys, command, "model.txt")
    assert code == 2
    assert 'model.txt is a file, and its ending ".txt" is none of' in told


def test_a_name_in_the_wrong_case_gets_a_suggestion(capsys):
    assert did_you_mean("T2D_MSC", ["t2d", "t2d_msc"]) == 'Did you mean "t2d_msc"?'
    for command, name in (("check", "T2D_MSC"), ("run", "T2D_MSC"), ("show", "TOPP2000")):
        assert f'Did you mean "{name.lower()}"?' in said(capsys, command, name)[1]


def test_a_shipped_study_can_be_shortened():
    scenario = isletsim.load_scenario("t2d_msc_published", set={"until": '"10 week"', "cohort.size": 0})
    assert scenario.plan.until == 70
    assert scenario.plan.save[-1] == 70


@pytest.mark.parametrize("law", ["gain * (1 / 0)", "gain / (2 - 2)"])
def test_a_constant_division_by_zero_is_a_fault(tmp_path, capsys, law):
    path = write(tmp_path, sugar=SUGAR.replace("gain * (1", f"{law} * (1", 1))["sugar"]
    assert law in path.read_text()
    code, told = said(capsys, "check", path)
    assert code == 2
    assert "divides by zero" in told


def test_a_source_that_no_bibliography_has_costs_a_warning(tmp_path, capsys):
    path = write(tmp_path, pool=POOL.replace('assumed = "', 'source = "Topp2001" # "', 1))["pool"]
    code, told = said(capsys, "check", path)
    assert code == 0
    assert 'the source "Topp2001" is in no bibliography' in told
    assert "Did you mean" in told
    (tmp_path / "references.bib").write_text("@article{Topp2001, author = {A. Topp}, title = {T}, year = {2001}}")
    assert "no bibliography" not in said(capsys, "check", path)[1]


def test_a_layer_that_is_there_twice_is_a_fault(tmp_path, capsys):
    study = write_study(tmp_path)
    text = study.read_text()
    assert 'layers = ["drug"]' in text
    study.write_text(text.replace('layers = ["drug"]', 'layers = ["drug", "drug"]'))
    code, told = said(capsys, "check", study)
    assert code == 2
    assert 'the layer "drug" is there 2 times' in told


# --- Python -----------------------------------------------------------------------------------------------------------


def end_of(model):
    return model.simulate(until="10 day", doses=[{"into": "bolus", "amount": "2 mg"}])["pool"][-1]


def test_a_used_model_is_pickled_copied_hashed_and_sent_to_a_worker(tmp_path):
    model = isletsim.load_model(write(tmp_path, pool=POOL)["pool"])
    expected = end_of(model)
    for again in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert end_of(again) == expected
        assert again == model
        assert len({again, model}) == 1
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(end_of, model).result() == expected


def test_a_used_scenario_is_pickled_and_hashed(tmp_path):
    scenario = isletsim.load_scenario(write_study(tmp_path), set={"cohort.size": 0})
    expected = scenario.run(explain=False).values
    again = pickle.loads(pickle.dumps(scenario))
    assert (again.run(explain=False).values == expected).all()
    assert len({again, scenario}) == 1


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.array(0.5)[()]])
def test_numpy_scalars_are_numbers_in_doses_courses_and_settings(tmp_path, number):
    from isletsim.units import quantity

    assert quantity(number).value == 0.5
    assert quantity(np.int64(3)).value == 3
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity(np.bool_(1))


WRONG = [
    lambda model: model.simulate("1 day", start=[1, 2]),
    lambda model: model.simulate("1 day", set="x"),
    lambda model: model.simulate("1 day", doses=3),
    lambda model: model.simulate("1 day", doses=[3]),
    lambda model: model.simulate("1 day", courses="x"),
    lambda model: model.simulate(None),
    lambda _: isletsim.load_model(3),
    lambda _: isletsim.load_model([]),
    lambda _: isletsim.load_scenario(None),
    lambda _: isletsim.load_scenario("t2d_msc_published", seed="a"),
    lambda _: isletsim.load_scenario("t2d_msc_published", seed=-1),
    lambda _: isletsim.load_scenario("t2d_msc_published", seed=1.5),
    lambda _: isletsim.load_scenario("t2d_msc_published").run(seed=True),
    lambda _: isletsim.load_scenario("t2d_msc_published").run(jobs=0),
    lambda _: isletsim.load_scenario("t2d_msc_published").run(jobs="a"),
]


@pytest.mark.parametrize("call", WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_arguments_of_a_wrong_kind_are_the_projects_own_errors(tmp_path, call):
    with pytest.raises(InputError):
        call(isletsim.load_model(write(tmp_path, sugar=SUGAR)["sugar"]))


@pytest.mark.slow
def test_a_disabled_jit_does_not_stop_the_drivers_from_being_compiled(tmp_path):
    environment = os.environ | {"ISLETSIM_CACHE_DIR": str(tmp_path / "empty"), "NUMBA_DISABLE_JIT": "1"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    ask = (
        "import isletsim, os; isletsim.load_model('topp2000').simulate('1 day'); print(os.environ['NUMBA_DISABLE_JIT'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.stdout.strip() == "1", ended.stderr


def test_a_time_that_is_the_end_has_no_second_column():
    from types import SimpleNamespace

    from isletsim.results.table import _column

    year, longer = (SimpleNamespace(time=np.array([0.0, end])) for end in (365.0, 731.0))
    assert _column("12 month", year) == _column("1 year", year) == "end"
    assert _column("12 month", longer) == "12 month"
    assert _column("2 year", longer) == "end"
    assert _column("0 month", year) == "0 month"


# --- output -----------------------------------------------------------------------------------------------------------


def run_program(arguments, **more):
    command = [sys.executable, "-m", "isletsim", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False, **more)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed otherwise there")
def test_results_are_written_when_standard_output_is_closed(tmp_path):
    study = write_study(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    ended = run_program(["run", study, "-o", tmp_path / "out", "--set", "cohort.size=0"], stdout=writing)
    os.close(writing)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_disk_under_standard_output_is_said_and_loses_nothing(tmp_path):
    study = write_study(tmp_path)
    with Path("/dev/full").open("w") as full:
        ended = run_program(["run", study, "-o", tmp_path / "out", "--set", "cohort.size=0"], stdout=full)
    assert ended.returncode == 1
    assert "Standard output cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "out" / "results.csv").is_file()


def test_a_write_that_fails_leaves_no_file_under_its_real_name(tmp_path):
    def half():
        yield b"first half"
        raise OSError("No space left on device")

    (tmp_path / "results.csv").write_text("old")
    with pytest.raises(OSError, match="No space"):
        publish({tmp_path / "results.csv": half(), tmp_path / "run.json": [b"{}"]})
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    assert (tmp_path / "results.csv").read_text() == "old"


def test_a_run_of_an_sbml_file_that_cannot_be_written_leaves_nothing_half(tmp_path, monkeypatch, capsys):
    pytest.importorskip("libsbml")
    from sbml_text import cn, parameters, rule, sbml
    from sbml_text import write as write_sbml

    from isletsim.sbml import commands

    body = parameters(x=1) + f"<listOfRules>{rule('rate', 'x', cn(1))}</listOfRules>"
    path = write_sbml(tmp_path, sbml(body))

    def broken(trajectory):
        yield b"half"
        raise OSError("No space left on device")

    monkeypatch.setattr(commands, "_rows", broken)
    code, told = said(capsys, "run", path, "--until", "1", "-o", tmp_path / "out")
    assert code == 1
    assert "could not be written" in told
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file()]
