"""Files are found by name or by path, and a wrong name is answered with the nearest right one."""

import pytest

from isletsim.data_files import KINDS, data_folder, find, find_any, kind_of, listing, title
from isletsim.errors import InputError


def test_a_bare_name_is_one_of_the_own_files():
    assert find("model", "topp2000") == data_folder("models") / "published" / "topp2000.toml"


def test_a_path_is_taken_as_it_is(tmp_path):
    own = tmp_path / "topp2000.toml"
    own.write_text('title = "Mine"\n')
    assert find("model", str(own)) == own
    assert find("model", own) == own
    assert find("model", "./topp2000.toml", beside=tmp_path) == own


def test_every_listed_file_is_found_by_its_name():
    for kind in KINDS:
        for name, path in listing(kind):
            assert find(kind, name) == path
            assert kind_of(path) == kind
            assert title(path)


@pytest.mark.parametrize("finder", [lambda name: find("model", name), find_any])
def test_a_wrong_name_is_answered_with_the_nearest_right_one(finder):
    with pytest.raises(InputError, match='Did you mean "topp2000"'):
        finder("top2000")
    with pytest.raises(InputError, match='Did you mean "topp2000"'):
        finder("published/top2000.toml")


def test_a_name_like_no_other_is_answered_with_all_there_are():
    with pytest.raises(InputError, match=r"Known are: .*topp2000"):
        find("model", "zzzzzz")


def test_a_file_of_the_working_folder_is_offered_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(InputError, match=r'give it as "\./mine\.toml"'):
        find("scenario", "mine")


@pytest.mark.parametrize(
    "hostile", ["a" * 5000 + ".toml", "a\0b.toml", "~nobody-at-all/x.toml", "/", "", ".", "a" * 5000]
)
def test_what_can_be_no_file_is_a_clear_fault(hostile):
    with pytest.raises(InputError):
        find("model", hostile)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        find("model", tmp_path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('core = ["a"]\n', "scenario"),
        ('[set]\n"a.b" = { value = "1", assumed = "x" }\n', "patient"),
        ('[states]\nx = { start = "1" }\n', "model"),
        ("= no toml", "model"),
    ],
)
def test_a_file_is_of_the_kind_that_its_tables_say(tmp_path, text, kind):
    path = tmp_path / "x.toml"
    path.write_text(text)
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('# first\ntitle  = "A \\"b\\""  # comment\n', 'A "b"'),
        ('about = "x"\ntitle = "Later"\n', "Later"),
        ('[states]\ntitle = "no"\n', ""),
        ('title = "broken\n', ""),
        ("", ""),
    ],
)
def test_the_title_is_read_from_the_head_of_a_file(tmp_path, text, expected):
    path = tmp_path / "x.toml"
    path.write_text(text)
    assert title(path) == expected
