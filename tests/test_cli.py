"""The command line: what goes to stdout and to stderr, and the exit status."""

import click
import pytest

from isletsim import __version__, cli
from isletsim.faults import Fault, InputError, RunError


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
