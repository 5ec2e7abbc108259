"""The command line: what goes to stdout and to stderr, and the exit status."""

import click
import pytest

from isletsim import __version__
from isletsim.cli import commands as cli
from isletsim.errors import Fault, InputError, RunError


@pytest.fixture
def isletsim(capsys):
    """The program in this process: status, stdout, stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        told = capsys.readouterr()
        return done.value.code or 0, told.out, told.err

    return run


def test_the_version_is_said(isletsim):
    assert isletsim("--version") == (0, f"isletsim {__version__}\n", "")


def test_each_command_has_its_help(isletsim):
    _, text, _ = isletsim("--help")
    for name in cli.commands.commands:
        assert name in text
        status, told, _ = isletsim(name, "--help")
        assert (status, told[:6]) == (0, "Usage:")


def test_the_list_has_names_and_titles(isletsim):
    status, out, err = isletsim("list")
    assert (status, err) == (0, "")
    assert "topp2000" in out
    assert "Beta-cell mass, insulin and glucose" in out


def test_the_list_of_one_kind_has_only_that(isletsim):
    status, out, _ = isletsim("list", "models")
    assert status == 0
    assert "scenarios" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["runn"],
        ["run"],
        ["run", "no_such_study"],
        ["run", "no/such/study.toml"],
        ["check", "no_such_model"],
        ["show", "no_such_model"],
        ["cite", "NoSuchKey1999"],
        ["list", "islands"],
        ["run", "t2d_msc", "--set", "no equals sign"],
        ["run", "t2d_msc", "--set", "=1"],
        ["run", "t2d_msc", "--seed", "-1"],
        ["run", "t2d_msc", "--jobs", "0"],
        ["run", "topp2000"],
        ["run", "t2d_metformin", "--until", "soon"],
        ["challenge", "topp2000", "ogtt"],
        ["challenge", "healthy_adult", "ogt"],
        ["challenge", "healthy_adult", "ogtt", "--at", "-3 month"],
        ["challenge", "t2d_msc_published", "ogtt"],
    ],
)
def test_wrong_input_is_said_on_stderr_and_ends_with_two(isletsim, arguments):
    status, out, err = isletsim(*arguments)
    assert (status, out) == (2, "")
    assert err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (
            InputError(Fault("a.toml:3", "This is wrong.")),
            2,
            "a.toml:3\nThis is wrong.\n\n1 problem, nothing was run.\n",
        ),
        (RunError("It failed."), 1, "It failed.\n"),
        (KeyboardInterrupt(), 130, "\nInterrupted.\n"),
        (click.ClickException("Not so."), 2, "Error: Not so.\n"),
    ],
)
def test_every_end_has_its_status(isletsim, monkeypatch, raised, status, told):
    def fail(_):
        raise raised

    monkeypatch.setitem(cli.commands.commands, "fail", click.Command("fail", callback=lambda: fail(None)))
    assert isletsim("fail") == (status, "", told)


def test_a_key_is_cited_in_words_and_in_bibtex(isletsim):
    status, words, _ = isletsim("cite", "Topp2000")
    assert status == 0
    assert words.startswith("Topp2000: Topp et al. 2000.")
    status, entry, _ = isletsim("cite", "--bibtex", "Topp2000")
    assert status == 0
    assert entry.startswith("@article{Topp2000,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "t2d_metformin", "-o"],
        ["challenge", "healthy_adult", "ogtt", "-o"],
        ["validate", "T183", "--figure"],
    ],
)
def test_a_folder_that_cannot_be_is_told_before_anything_is_run(isletsim, tmp_path, monkeypatch, arguments):
    # A study was once run for minutes and then lost, with the words that nothing was run; a test ended in a traceback.
    (tmp_path / "taken").write_text("a file")
    status, out, err = isletsim(*arguments, str(tmp_path / "taken"))
    assert (status, out) == (2, "")
    assert "This folder cannot be written: a file." in err


def test_a_folder_of_results_is_made_with_those_above_it(isletsim, tmp_path):
    status, _, err = isletsim("challenge", "healthy_adult", "ogtt", "-o", str(tmp_path / "deep" / "er"))
    assert status == 0
    assert "ogtt.png" in err
    assert (tmp_path / "deep" / "er" / "ogtt.svg").exists()


def test_two_studies_of_one_name_do_not_overwrite_each_other(isletsim, tmp_path):
    status, out, err = isletsim("run", "t2d_metformin", "t2d_metformin", "-o", str(tmp_path / "out"))
    assert (status, out) == (2, "")
    assert "Two studies are called t2d_metformin" in err
    assert not (tmp_path / "out").exists()


def test_a_study_runs_as_long_as_until_says(isletsim):
    # The option was silently ignored, as if it had not been given.
    status, out, _ = isletsim("run", "t2d_metformin", "--until", "20 day")
    assert status == 0
    assert "20 days" in next(line for line in out.splitlines() if line.lstrip().startswith("start"))
    assert "5 years" not in out


def test_what_only_a_study_has_is_refused_of_an_sbml_file(isletsim, tmp_path):
    # --dry-run of an SBML file once ran it.
    (tmp_path / "model.xml").write_text("<sbml/>")
    status, out, err = isletsim("run", str(tmp_path / "model.xml"), "--until", "1", "--dry-run")
    assert (status, out) == (2, "")
    assert "--dry-run" in err


def test_a_file_of_another_kind_is_called_what_it_is(isletsim):
    # `isletsim run healthy_adult` once asked: did you mean "healthy_decade"?
    _, _, err = isletsim("run", "healthy_adult")
    assert '"healthy_adult" is a patient, and a scenario is expected.' in err
    _, _, err = isletsim("challenge", "topp2000", "ogtt")
    assert "This is a model; a test is given to a patient or in a scenario." in err


def test_virtual_tests_are_listed_too(isletsim):
    status, out, _ = isletsim("list", "challenges")
    assert status == 0
    assert "Oral glucose tolerance test" in out


def test_the_doctor_walks_past_a_stray_file_in_the_cache(isletsim, tmp_path, monkeypatch):
    # Whatever somebody left in the cache once ended the doctor in a traceback.
    monkeypatch.setenv("ISLETSIM_CACHE_DIR", str(tmp_path))
    (tmp_path / "stray.xml").write_text("")
    status, out, _ = isletsim("doctor")
    assert status == 0
    assert "self-check" in out
