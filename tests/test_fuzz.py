"""Thousands of spoiled files: each is read, or refused with a message that helps; never a traceback, never a run.

Models, patients, virtual tests and scenarios of the project are changed the way people, merges and strangers change
them, then read and put together in this process; some of those that are refused go through the command line too.
"""

import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import ENCODINGS, HOSTILE, KINDS, Step, spoiled
from small_stacks import open_names, unresolved

from isletsim.challenges import bind_challenge, read_challenge
from isletsim.cli import commands as cli
from isletsim.cohort import collect
from isletsim.composition import Composition, superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import kind_of, listing
from isletsim.errors import InputError
from isletsim.language import ExpressionError, ModelFile, parse, read_model
from isletsim.patient import bind_patient, read_patient
from isletsim.study import load_scenario
from isletsim.study.check import files_of_challenge, files_of_patient, surroundings

MODELS, PATIENTS, CHALLENGES, SCENARIOS, COMMANDS = 1_200, 350, 100, 350, 50
SLOW = 20.0  # seconds that no small file may take, on a busy machine

FILES = {kind: [path for _, path in listing(kind)] for kind in ("model", "patient", "challenge", "scenario")}

share = st.floats(0, 1, exclude_max=True, allow_subnormal=False)
steps = st.lists(
    st.builds(Step, st.sampled_from(sorted(KINDS)), share, share, st.integers(0, 10_000)), min_size=1, max_size=3
)
encodings = st.one_of(st.just("utf-8"), st.just("utf-8"), st.just("utf-8"), st.sampled_from(sorted(ENCODINGS)))


def fuzz(count: int):
    """As many examples, the same ones in every run."""
    return settings(
        derandomize=True,
        database=None,
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture(autouse=True)
def its_own_cache(own_cache):
    """What spoiled files leave in a cache is no concern of others."""


def test_the_fuzz_is_as_large_as_was_asked():
    assert MODELS + PATIENTS + CHALLENGES + SCENARIOS >= 2_000
    assert COMMANDS >= 50


# --- what is done with a file -----------------------------------------------------------------------------------------


@cache
def model(path: Path) -> ModelFile:
    """A model file as it is, read once."""
    return read_model(path)


@cache
def others(path: Path) -> list[ModelFile]:
    """The files that a model borrows from, and one that it acts on, with all that these borrow from."""
    library = dict(listing("model"))
    target = [name.partition(".")[0] for name, _ in (*model(path).adds, *model(path).scales)][:1]
    waiting, names = [*model(path).uses, *target], {path.stem}
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += model(library[name]).uses
    return [model(library[name]) for name in sorted(names - {path.stem})]


@cache
def home(path: Path) -> Composition:
    """The composition that a patient or a virtual test belongs to."""
    if kind_of(path) == "challenge":
        return superpose(surroundings(files_of_challenge(read_challenge(path))))
    patient = read_patient(path)
    wanted = files_of_patient(patient)
    return superpose(read_stack(wanted) if patient.core else surroundings(wanted))


def read_as_model(path: Path, original: Path) -> None:
    composition = superpose([read_model(path), *others(original)])
    assert not unresolved(composition.flat, open_names(composition))


def read_as_patient(path: Path, original: Path) -> None:
    composition = home(original)
    collect(composition, bind_patient(read_patient(path), composition))


def read_as_challenge(path: Path, original: Path) -> None:
    assert bind_challenge(read_challenge(path), home(original)).length > 0


def read_as_scenario(path: Path, original: Path) -> None:
    assert load_scenario(path).describe()


READERS = {
    "model": read_as_model,
    "patient": read_as_patient,
    "challenge": read_as_challenge,
    "scenario": read_as_scenario,
}


def spoil(kind: str, index: int, changes: list[Step], encoding: str, folder: Path) -> tuple[Path, Path]:
    """A spoiled copy of a file of the project, and the original."""
    original = FILES[kind][index % len(FILES[kind])]
    path = folder / kind / original.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(ENCODINGS[encoding](spoiled(original.read_text(encoding="utf-8"), changes)))
    return path, original


def read_or_refuse(kind: str, path: Path, original: Path) -> str:
    """The message of a refusal, "" for a file that is good."""
    started = time.perf_counter()
    message = ""
    try:
        READERS[kind](path, original)
    except InputError as refusal:
        message = str(refusal)
        check_message(refusal)
    assert time.perf_counter() - started < SLOW
    return message


def check_message(refusal: InputError) -> None:
    text = str(refusal)
    assert text.endswith("nothing was run.")
    assert refusal.faults
    for fault in refusal.faults:
        assert fault.place.strip()
        assert fault.message.strip()
    for sign_of_a_crash in ["Traceback", "object at 0x", "KeyError", "NoneType", "<class", "AssertionError"]:
        assert sign_of_a_crash not in text


# --- thousands of them ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@fuzz(MODELS)
@given(index=st.integers(0, 1_000), changes=steps, encoding=encodings)
def test_a_spoiled_model_is_read_or_refused(index, changes, encoding, tmp_path):
    read_or_refuse("model", *spoil("model", index, changes, encoding, tmp_path))


@pytest.mark.slow
@fuzz(PATIENTS)
@given(index=st.integers(0, 1_000), changes=steps, encoding=encodings)
def test_a_spoiled_patient_is_read_or_refused(index, changes, encoding, tmp_path):
    read_or_refuse("patient", *spoil("patient", index, changes, encoding, tmp_path))


@fuzz(CHALLENGES)
@given(index=st.integers(0, 1_000), changes=steps, encoding=encodings)
def test_a_spoiled_virtual_test_is_read_or_refused(index, changes, encoding, tmp_path):
    read_or_refuse("challenge", *spoil("challenge", index, changes, encoding, tmp_path))


@pytest.mark.slow
@fuzz(SCENARIOS)
@given(index=st.integers(0, 1_000), changes=steps, encoding=encodings)
def test_a_spoiled_scenario_is_read_or_refused(index, changes, encoding, tmp_path):
    read_or_refuse("scenario", *spoil("scenario", index, changes, encoding, tmp_path))


# --- hostile texts in every place -------------------------------------------------------------------------------------

PLACES = """
title = "Places where a text stands"
assumed = "for a test"
[uses]
topp2000 = ["mass"]
[inputs]
level = { default = "0" }
[states]
x = { start = "PLACE 0", unit = "mg", scale = "PLACE 1" }
[parameters]
k = { value = "PLACE 2", assumed = "test", varies = ["PLACE 3", "2 1/day"] }
[derived]
twice = "PLACE 4"
[quantities]
part = { law = "PLACE 5", unit = "PLACE 6" }
[rates]
flow = "PLACE 7"
[balance]
x = "PLACE 8"
[solve]
free = { start = "1 mg", residual = "PLACE 9" }
[adds]
topp2000.replication = "PLACE 10"
[scales]
topp2000.apoptosis = "PLACE 11"
[doses.port]
add = { x = "PLACE 12" }
multiply = { x = "PLACE 13" }
[held]
kept = { start = "PLACE 14", revise = "PLACE 15", at = "PLACE 16" }
[reports]
hba1c = { value = "PLACE 17", unit = "PLACE 18" }
"""
CLEAN = [
    "2 mg",
    "1 mg",
    "1 1/day",
    "0.5 1/day",
    "2 * k",
    "x * 1",
    "mg",
    "k * x",
    "flow",
    "free - x",
    "0 * topp2000.mass * k",
]
CLEAN += ["1 + level", "1", "0.5", "0 mg", "x", "visit", "level * 7", ""]


def filled(place: int = -1, text: str = "") -> str:
    """The file with good texts, but one."""
    whole = PLACES
    for index in reversed(range(len(CLEAN))):
        whole = whole.replace(f"PLACE {index}", (text if index == place else CLEAN[index]))
    return whole


def test_the_file_of_all_places_is_good(tmp_path):
    path = tmp_path / "places.toml"
    path.write_text(filled())
    superpose([read_model(path), *read_stack(["topp2000"])])


@pytest.mark.parametrize("place", range(len(CLEAN)))
def test_a_hostile_text_is_refused_wherever_it_stands(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, core = tmp_path / "places.toml", read_stack(["topp2000"])
    for text in HOSTILE:
        path.write_text(filled(place, text.replace("\\", "\\\\").replace('"', '\\"')), encoding="utf-8")
        with suppress(InputError):
            superpose([read_model(path), *core])
            assert not any(sign in text for sign in ["__", "lambda", "open(", "eval"]), text
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_equation_is_never_more_than_a_tree(text):
    with suppress(ExpressionError):
        parse(text)


# --- through the command line -----------------------------------------------------------------------------------------


def refused_files(count: int, folder: Path) -> list[tuple[str, Path]]:
    """Spoiled files of all kinds that are refused, the same ones in every run."""
    found: list[tuple[str, Path]] = []
    kinds, names = ("scenario", "model", "patient"), sorted(KINDS)
    number = 0
    while len(found) < count:
        number += 1
        kind = kinds[number % 3]
        step = Step(names[number % len(names)], number * 0.618 % 1, number * 0.414 % 1, number * 7)
        again = Step(names[number * 5 % len(names)], number * 0.732 % 1, number * 0.236 % 1, number * 11)
        place = folder / str(number)
        place.mkdir()
        path, original = spoil(kind, number * 7, [step, again], "utf-8", place)
        if read_or_refuse(kind, path, original):
            found.append((kind, path))
        else:
            path.unlink()
    return found


def test_a_spoiled_file_ends_the_program_with_2_and_a_message(tmp_path, capsys):
    for number, (kind, path) in enumerate(refused_files(COMMANDS, tmp_path)):
        command = ["run", str(path), "-o", str(tmp_path / "out")] if kind == "scenario" else ["check", str(path)]
        if number % 5 == 4 and kind != "patient":  # a patient is shown without the models that it speaks of
            command = ["show", str(path)]
        with pytest.raises(SystemExit) as done:
            cli.main(command)
        told = capsys.readouterr()
        assert done.value.code == 2, (command, told)
        assert told.out == ""
        assert "nothing was run." in told.err
        assert "Traceback" not in told.err
        assert not (tmp_path / "out").exists()


def test_a_process_of_its_own_says_the_same(tmp_path):
    for kind, path in refused_files(3, tmp_path):
        command = [sys.executable, "-W", "error", "-m", "isletsim", "run" if kind == "scenario" else "check", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
        assert run.returncode == 2, run.stderr
        assert run.stdout == ""
        assert "nothing was run." in run.stderr
        assert "Traceback" not in run.stderr
