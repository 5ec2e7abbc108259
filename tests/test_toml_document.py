"""What is no file of ours, or is made to be slow or to overflow, is refused quickly and in a sentence."""

import time
from pathlib import Path

import pytest

from isletsim.errors import Fault, InputError
from isletsim.language import read_document, read_model
from isletsim.language.toml_document import LARGEST, MOST


@pytest.fixture
def refused(tmp_path):
    """A function that gives the faults of a text read as a model."""

    def refuser(text: str) -> tuple[Fault, ...]:
        path = tmp_path / "sample.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_model(path)
        return caught.value.faults

    return refuser


# --- files that cannot be read at all ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"title = ", "is not TOML"),
        (b"[states\n", "is not TOML"),
        (b"a = 1\na = 2\n", "is not TOML"),
        (b'title = "never closed\n', "is not TOML"),
        (b"\xff\xfet\x00", "is not UTF-8 text (byte 0)."),
        ("título".encode("latin-1"), "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is nested too deeply."),
        (b"a = " + b"{ a = " * 50_000, "is nested too deeply."),
        (b"a." * 200_000 + b"b = 1", "has a name of more than 30 parts."),
        (b'["a"' + b' . "a"' * 90_000 + b"]", "has a name of more than 30 parts."),
        (b"x = { a" + b".a" * 200_000 + b" = 1 }", "has a name of more than 30 parts."),
        (b"a" * 900_000, "is not TOML"),
        (b'"' * 900_001, "is not TOML"),
        (b"a = " + b'"a" . ' * 20 + b" " * 900_000, "is not TOML"),
        (b"a = " + b"9" * 5_000, "cannot be read"),
        (b"a = 1979-13-45", "is not TOML"),
        (b"a = 2023-02-30", "is not TOML"),
        (b"a = \x00", "is not TOML"),
        (b"\xef\xbb\xbftitle == 'x'", "is not TOML"),
        (b"", "has no title."),
        (b"x" * (LARGEST + 1), f"at most {LARGEST}."),
    ],
    ids=lambda value: str(value)[:16],
)
def test_what_is_no_model_file_is_refused_in_a_sentence(content, message, tmp_path):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    started = time.perf_counter()
    with pytest.raises(InputError) as caught:
        read_model(path)
    assert time.perf_counter() - started < 5
    assert message in str(caught.value)
    assert "broken.toml" in str(caught.value)


def test_a_fault_of_toml_knows_its_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text('title = "x"\n\nstates = = 5\n')
    with pytest.raises(InputError) as caught:
        read_model(path)
    assert caught.value.faults[0].place.endswith("broken.toml:3")


def test_a_folder_or_nothing_at_all_is_no_file(tmp_path):
    for path in [tmp_path, tmp_path / "absent.toml", Path("\x00")]:
        with pytest.raises(InputError) as caught:
            read_document(path)
        assert "cannot be read" in str(caught.value)


# --- texts made to be slow --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"key{number} = 1" for number in range(30_000)),
        "[parameters]\n" + "\n".join(f'p{number} = {{ value = "1 zz" }}' for number in range(10_000)),
        "[rates]\n" + "\n".join(f'r{number} = "unknwn{number} *"' for number in range(10_000)),
        "about = '''\n[" + " " * 400_000 + "\n'''",
        "about = '''\n" + "a." * 200_000 + "\n'''",
        '[states]\nx = { start = "' + "1" * 400_000 + 'x" }',
        '[states]\nx = { start = "1 ' + " " * 400_000 + 'x" }',
        "[uses]\n" + "\n".join(f'f{number} = ["a"]' for number in range(20_000)),
    ],
    ids=["keys", "units", "laws", "header", "dots", "digits", "blanks", "uses"],
)
def test_texts_that_are_made_to_be_slow_are_refused_quickly(text, refused):
    started = time.perf_counter()
    assert len(refused(text)) <= MOST + 1
    assert time.perf_counter() - started < 10


def test_more_faults_than_anybody_reads_are_not_all_told(refused):
    found = refused("\n".join(f"key{number} = 1" for number in range(MOST + 50)))
    assert len(found) == MOST + 1
    assert found[-1].message == f"More than {MOST} problems; the rest is not listed."
