"""The bibliography is read whole, and says who wrote what."""

import re

from isletsim.bibliography import citation, parse, read, short
from isletsim.data_files import bibliography

TEXT = """
% a comment, and text between the entries is skipped
@article{Topp2000,
  author = {Topp, Brian and Promislow, Keith and {de Vries}, Gerda and Miura, Robert M. and Finegood, Diane T.},
  title = {A model of {$\\beta$}-cell mass, insulin, and glucose kinetics},
  journal = "Journal of Theoretical Biology", year = 2000, volume = {206}, pages = {605--619},
  doi = {10.1006/jtbi.2000.2150}
}
@book{Two1999, author = "A. Alpha and B. Beta", year = {1999}, title={Both}}
@misc{Nobody, note = {never closed,
@misc{Last, title = "The end", year = 2001}
"""


def test_every_entry_is_found_with_its_fields():
    found = parse(TEXT)
    assert list(found) == ["Topp2000", "Two1999", "Nobody", "Last"]
    topp = found["Topp2000"]
    assert topp.kind == "article"
    assert topp.fields["journal"] == "Journal of Theoretical Biology"
    assert topp.fields["year"] == "2000"
    assert topp.fields["title"] == "A model of $\\beta$-cell mass, insulin, and glucose kinetics"
    assert topp.entry.startswith("@article{Topp2000,")
    assert topp.entry.endswith("}")


def test_the_words_in_running_text():
    found = parse(TEXT)
    assert [short(each) for each in found.values()] == [
        "Topp et al. 2000",
        "Alpha and Beta 1999",
        "Nobody",
        "Last",
    ]


def test_accents_are_letters_and_others_are_et_al():
    found = parse("@misc{M, author = {Mar{\\'e}e, A. and others}, year = 2006, title = {What for?}}")
    assert citation(found["M"]) == "Marée et al. 2006. What for?"


def test_the_line_at_the_end_of_a_paper():
    line = citation(parse(TEXT)["Topp2000"])
    assert "Journal of Theoretical Biology 206:605-619" in line
    assert line.endswith("doi:10.1006/jtbi.2000.2150.")


def test_the_package_has_a_bibliography_without_repeated_keys():
    keys = re.findall(r"^@\w+\{([^,\s]+)", bibliography().read_text(encoding="utf-8"), re.MULTILINE)
    assert keys
    assert sorted(keys) == sorted(read())
