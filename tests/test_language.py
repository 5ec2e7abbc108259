"""A model file is read whole; all that is wrong with it is told together: place, caret, what was expected, a cure."""

import re

import pytest

from isletsim.data_files import listing
from isletsim.errors import Fault, InputError
from isletsim.language import ModelFile, read_model
from isletsim.units import unit

WHOLE = """\
title  = "A little of everything"
source = "Topp2000"
about  = '''
Several lines, one of which looks like a table:
[states]
mass = "no"
'''
clock  = "years"
grade  = "animal"

[uses]
other = ["flow"]

[inputs]
level = { default = "0", unit = "mg/dL", of = "glucose", about = "of a course" }

[states]
mass  = { start = "300 mg", symbol = "B", about = "tissue", scale = "100 mg", varies = ["200 mg", "400 mg"] }
chain = { start = "first * 2", unit = "mg", classes = 3 }

[parameters]
growth = { value = "0.5 1/day", symbol = "r1", source = "Topp2000", about = "growth" }
first  = { value = "2 mg", assumed = "a guess", uncertain = ["1 mg", "3 mg"], distribution = "normal" }
data   = { table = [[0, 1], [2, 5.5]], units = ["day", "mg"], source = "Topp2000", grade = "cell" }

[derived]
double = "2 * first"

[quantities]
size = { law = "mass / double", about = "relative size", symbol = "s" }

[rates]
gain = { law = "growth * mass", unit = "mg/day" }
loss = "growth * chain"
drip = "level * other.flow"

[balance]
mass  = "gain - last(loss)"
chain = "previous(loss, gain) - loss"

[solve]
pool = { start = "1 mg", residual = "pool - mass", symbol = "P", scale = "1 mg" }

[adds]
other.flow = "growth * 0"

[scales]
other.tide = "1 - size"

[doses.bolus]
about    = "into the mass"
unit     = "mg"
add      = { mass = "1" }
multiply = { chain = "0.5" }

[held]
dose = { start = "0 mg", revise = "dose + first", at = "visit" }
meal = { start = "0 mg", revise = "mass", at = "bolus" }

[reports]
hba1c  = { value = "7 * size", unit = "", about = "no HbA1c at all" }
weight = "mass"
"""


@pytest.fixture
def read(tmp_path):
    """A function that reads the whole model after replacements of its text."""

    def reader(*changes: tuple[str, str], text: str = WHOLE, name: str = "sample") -> ModelFile:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "folder" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_model(path)

    return reader


@pytest.fixture
def faults(read):
    """A function that gives the faults of the changed model."""

    def finder(*changes: tuple[str, str], **how) -> list[Fault]:
        with pytest.raises(InputError) as caught:
            read(*changes, **how)
        assert caught.value.faults
        for fault in caught.value.faults:
            assert fault.place.startswith("folder/")
            assert fault.message
        return list(caught.value.faults)

    return finder


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


# --- what a file says -------------------------------------------------------------------------------------------------


def test_every_table_of_the_language_is_read(read):
    model = read()
    kinds = {name: entry.kind for name, entry in model.entries.items()}
    assert kinds == {
        "level": "input",
        "mass": "state",
        "chain": "state",
        "growth": "parameter",
        "first": "parameter",
        "data": "parameter",
        "pool": "unknown",
        "dose": "held",
        "meal": "held",
        "double": "derived",
        "size": "quantity",
        "gain": "rate",
        "loss": "rate",
        "drip": "rate",
    }
    assert (model.name, model.title, model.source) == ("sample", "A little of everything", "Topp2000")
    assert (model.clock, model.grade) == ("years", "animal")
    assert model.uses == {"other": ("flow",)}
    assert [target for target, _ in model.adds] == ["other.flow"]
    assert [target for target, _ in model.scales] == ["other.tide"]
    assert set(model.ports) == {"bolus"}
    assert set(model.reports) == {"hba1c", "weight"}


def test_numbers_come_in_base_units_and_keep_the_unit_they_were_written_in(read):
    entries = read(('"300 mg"', '"0.3 g"')).entries
    assert entries["mass"].value == pytest.approx(300.0)
    assert entries["mass"].unit == unit("g")
    assert entries["mass"].scale == pytest.approx(100.0)
    assert entries["mass"].varies is not None
    assert (entries["mass"].varies.low, entries["mass"].varies.high) == (200.0, 400.0)
    assert entries["first"].uncertain is not None
    assert entries["first"].uncertain.distribution == "normal"
    assert entries["data"].table == ((0.0, 2.0), (1.0, 5.5))
    assert entries["level"].unit == unit("mg/dL")


def test_a_number_given_for_a_substance_may_be_mass_or_amount(read):
    entry = read(('default = "0", unit = "mg/dL"', 'default = "5 mmol/L", unit = "mg/dL"')).entries["level"]
    assert entry.value == pytest.approx(unit("mg/dL").factor * 90.08)


def test_a_zero_needs_no_unit_where_one_is_given(read):
    assert read(('default = "0"', 'default = "0 mg/dL"')).entries["level"] == read().entries["level"]
    assert read(('default = "0"', "default = 0")).entries["level"].value == 0.0


def test_starts_scales_and_ranges_of_a_substance_may_be_mass_or_amount(read):
    entry = read(
        ('start = "300 mg"', 'start = "5 mmol/L", unit = "mg/dL", of = "glucose"'),
        ('scale = "100 mg"', 'scale = "5 mmol/L"'),
        ('["200 mg", "400 mg"]', '["80 mg/dL", "6 mmol/L"]'),
    ).entries["mass"]
    assert entry.unit == unit("mg/dL")
    assert entry.value == entry.scale == pytest.approx(900.8)
    assert entry.varies is not None
    assert (entry.varies.low, entry.varies.high) == pytest.approx((800.0, 1080.96))


def test_notes_say_where_a_thing_comes_from(read):
    entries = read().entries
    assert entries["growth"].note.symbol == "r1"
    assert entries["growth"].note.source == "Topp2000"
    assert entries["first"].note.grade == "assumed"
    assert entries["data"].note.grade == "cell"
    assert entries["gain"].note.source == "Topp2000", "a law comes from where the file comes from"
    assert entries["gain"].note.grade == "animal"


def test_a_start_is_a_quantity_or_an_equation(read):
    entries = read().entries
    assert entries["chain"].value is None
    assert entries["chain"].equation is not None
    assert entries["chain"].equation.text == "first * 2"
    for text in ["2 * first", "first", "2 * (first - first)", "1e-3 * first", "-first", "1 - 2"]:
        assert read(('"first * 2"', f'"{text}"')).entries["chain"].equation is not None
    for text in ["2 mg", "-1 mg", "2e3 mg", "2 mg*day/day"]:
        assert read(('"first * 2"', f'"{text}"')).entries["chain"].equation is None


def test_a_balance_is_a_signed_sum_of_names(read):
    balance = read().balance
    assert [(term.sign, term.name, term.boundary, term.last) for term in balance["mass"]] == [
        (1.0, "gain", None, False),
        (-1.0, "loss", None, True),
    ]
    assert [(term.sign, term.name, term.boundary) for term in balance["chain"]] == [
        (1.0, "loss", "gain"),
        (-1.0, "loss", None),
    ]
    signs = read(('"gain - last(loss)"', '"-(gain - loss) - -drip + (gain + drip)"')).balance["mass"]
    assert [(term.sign, term.name) for term in signs] == [
        (-1.0, "gain"),
        (1.0, "loss"),
        (1.0, "drip"),
        (1.0, "gain"),
        (1.0, "drip"),
    ]
    assert read(('"gain - last(loss)"', '""')).balance["mass"] == ()


@pytest.mark.parametrize(("name", "path"), listing("model"))
def test_every_file_of_the_project_is_read(name, path):
    assert read_model(path).name == name.rpartition("/")[2]


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_message_points_at_the_wrong_piece(faults):
    (fault,) = faults(('law = "growth * mass"', 'law = "growth * mas$"'))
    assert str(fault).splitlines() == [
        f'folder/sample.toml:{line_of(WHOLE, "gain =")}, [rates] gain.law = "growth * mas$"',
        " " * (len(f"folder/sample.toml:{line_of(WHOLE, 'gain =')}, [rates] gain.law = ") + 1 + 12) + "^",
        '"$" is not part of the grammar of equations.',
    ]


def test_the_caret_is_as_long_as_the_wrong_piece(faults):
    (fault,) = faults(('"gain - last(loss)"', '"gain - 2 * loss"'))
    place, caret, message, cure = str(fault).splitlines()
    assert place[caret.index("^") : caret.rindex("^") + 1] == "2 * loss"
    assert message == "a balance is a signed sum of rate names."
    assert cure == "Give this piece a name under [rates]."


def test_a_text_of_many_lines_does_not_move_the_places(faults):
    (fault,) = faults(('symbol = "B", about', 'symbl = "B", about'))
    assert fault.place == f"folder/sample.toml:{line_of(WHOLE, 'mass  =')}, [states] mass.symbl"


def test_a_long_equation_is_shown_around_its_wrong_piece(faults):
    long = " + ".join(["growth * mass"] * 60)
    (fault,) = faults(('law = "growth * mass"', f'law = "{long} + grwth $ mass + {long}"'))
    place, caret = str(fault).splitlines()[:2]
    assert place[caret.index("^")] == "$"
    assert len(place) < 300
    assert "..." in place


def test_an_equation_of_many_lines_is_shown_in_one(faults):
    (fault,) = faults(('law = "growth * mass"', 'law = """growth\n  * mas$"""'))
    place, caret, _ = str(fault).splitlines()
    assert place[caret.index("^")] == "$"


@pytest.mark.parametrize("letter", ["\\u001b[2J", "\\u202e", "\\u200b", "\\u0000", "\u202e", "\ufeff"])
def test_letters_that_nobody_sees_are_refused_and_not_repeated(letter, faults):
    for old in ['"A little of everything"', '"growth * mass"', '"0.5 1/day"']:
        found = faults((old, f'{old[:-1]}{letter}"'))
        assert any("invisible character" in fault.message for fault in found)
        assert all(line.isprintable() for fault in found for line in str(fault).splitlines())
    assert any("invisible" in fault.message for fault in faults(("growth = {", f'"gr{letter}owth" = {{')))


def test_blanks_and_letters_of_all_languages_may_stand_in_texts(read):
    assert read(('"A little of everything"', '"Größe\u00a0β, μ·x²"')).title == "Größe\u00a0β, μ·x²"


def test_all_faults_of_a_file_are_told_together(faults):
    found = faults(
        ('source = "Topp2000"\nabout', 'sauce = "Topp2000"\nabout'),
        ('"0.5 1/day"', '"0.5 1/dai"'),
        ('"2 mg"', '"two mg"'),
        ('"2 * first"', '"2 ** * first"'),
        ('at = "visit"', 'at = "breakfast"'),
        ("[scales]\nother.tide", "[scales]\ntide"),
    )
    text = str(InputError(found))
    for piece in [
        'unknown key "sauce"',
        "neither source nor assumed",
        '"dai" in "1/dai"',
        '"two mg" is not a quantity',
    ]:
        assert piece in text
    for piece in ["expected a number, a name or a bracket", '"breakfast" is not a port', '"tide" is not a target']:
        assert piece in text
    assert text.endswith(f"{len(found)} problems, nothing was run.")


# --- every kind of fault ----------------------------------------------------------------------------------------------

CASES = {
    # the file
    "no title": ('title  = "A little of everything"\n', "", "", "has no title.", 'title = "..."'),
    "title is no text": ('"A little of everything"', "5", "title", "expected a text, found a number.", ""),
    "no source": ('source = "Topp2000"\nabout', "about", "", "says neither source nor assumed.", "source ="),
    "both": ('clock  = "years"', 'assumed = "ours"', "", "says both source and assumed.", "or is assumed"),
    "clock": ('"years"', '"year"', "clock", '"year" is not known here.', 'Did you mean "years"?'),
    "old clock": ('"years"', '"life"', "clock", 'renamed to "years"', 'Write clock = "years".'),
    "grade": ('"animal"', '"dog"', "grade", '"dog" is not known here.', "human trial, human observation"),
    "unknown table": ("[rates]", "[rate]", "rate", 'unknown key "rate".', 'Did you mean "rates"?'),
    "table is no table": ('[uses]\nother = ["flow"]', "uses = 5", "uses", "expected a table", ""),
    "uses is no list": ('["flow"]', '"flow"', "[uses] other", 'expected a list, found "flow".', "Write other = [...]"),
    "uses holds a number": ('["flow"]', "[5]", "[uses] other", "expected a name, found a number.", ""),
    # names
    "reserved": (
        "growth = {",
        "time = {",
        "[parameters] time",
        '"time" cannot be a name.',
        "functions of the language",
    ),
    "function": ("growth = {", "exp = {", "[parameters] exp", '"exp" cannot be a name.', "functions of the language"),
    "odd name": ("growth = {", '"a b" = {', "[parameters] a b", '"a b" cannot be a name.', ""),
    "foreign name": ("growth = {", '"grøwth" = {', "[parameters] grøwth", '"grøwth" cannot be a name.', ""),
    "twice": ("double =", "growth =", "[derived] growth", "is defined twice, here and under [parameters].", ""),
    # entries
    "state is no table": (
        'mass  = { start = "300 mg",',
        'x = 5\nmass = { start = "300 mg",',
        "[states] x",
        "a table",
        "",
    ),
    "unknown key": ("scale = ", "skale = ", "[states] mass.skale", 'unknown key "skale".', 'Did you mean "scale"?'),
    "no start": (
        'start = "300 mg", symbol = "B"',
        'symbol = "B"',
        "[states] mass",
        "has no start.",
        'start = "5 mmol/L"',
    ),
    "empty start": ('"300 mg"', '""', "[states] mass.start", "expected an equation", ""),
    "list start": ('"300 mg"', "[300]", "[states] mass.start", "expected an equation, found a list.", ""),
    "true start": ('"300 mg"', "true", "[states] mass.start", "expected an equation, found true or false.", ""),
    "date start": ('"300 mg"', "1979-05-27", "[states] mass.start", "expected an equation, found date.", ""),
    "start without unit": (
        '"first * 2", unit = "mg"',
        '"first * 2"',
        "[states] chain",
        "needs a unit.",
        'unit = "mg/dL"',
    ),
    "units apart": (
        '"300 mg", ',
        '"300 mg", unit = "day", ',
        "[states] mass.start",
        '"300 mg" is [mass]; expected [time].',
        "1 day",
    ),
    "classes": ("classes = 3", "classes = 0", "[states] chain.classes", "a whole number from 1 to 500, found 0.", ""),
    "many classes": ("classes = 3", "classes = 501", "[states] chain.classes", "from 1 to 500", ""),
    "half a class": ("classes = 3", "classes = 1.5", "[states] chain.classes", "from 1 to 500", ""),
    "true classes": ("classes = 3", "classes = true", "[states] chain.classes", "from 1 to 500", ""),
    "zero scale": ('"100 mg"', '"0 mg"', "[states] mass.scale", "a scale is positive.", ""),
    "negative scale": (
        'symbol = "P", scale = "1 mg"',
        'scale = "-1 mg"',
        "[solve] pool.scale",
        "a scale is positive.",
        "",
    ),
    "huge scale": ('"100 mg"', '"1e308 kg"', "[states] mass.scale", "beyond the range of numbers.", ""),
    "scale of another kind": ('"100 mg"', '"1 day"', "[states] mass.scale", '"1 day" is [time]; expected [mass].', ""),
    "no value": ('value = "0.5 1/day", ', "", "[parameters] growth", "has no value.", 'value = "1 mg/dL"'),
    "bad value": (
        '"0.5 1/day"',
        '"half 1/day"',
        "[parameters] growth.value",
        "is not a quantity.",
        "a number and a unit",
    ),
    "true value": ('"0.5 1/day"', "true", "[parameters] growth.value", "expected a quantity", ""),
    "bad unit": (
        '"0.5 1/day"',
        '"0.5 1/dayy"',
        "growth.value",
        '"dayy" in "1/dayy" is not a unit',
        'Did you mean "day"?',
    ),
    "infinite": ('"0.5 1/day"', "inf", "[parameters] growth.value", "is not a quantity.", ""),
    "no origin": (
        ', source = "Topp2000", about = "growth"',
        "",
        "growth",
        "has neither source nor assumed.",
        "the reason",
    ),
    "two origins": ('about = "growth"', 'assumed = "x"', "growth", "says both source and assumed.", ""),
    "range of one": (
        '["200 mg", "400 mg"]',
        '["200 mg"]',
        "mass.varies",
        "expected a 95 % range.",
        '["0.5 1/day", "2 1/day"]',
    ),
    "falling range": ('["200 mg", "400 mg"]', '["4 mg", "2 mg"]', "mass.varies", "not below the upper end.", ""),
    "negative range": (
        '["200 mg", "400 mg"]',
        '["-1 mg", "2 mg"]',
        "varies",
        "a lognormal range is positive.",
        '"normal"',
    ),
    "range elsewhere": ('["200 mg", "400 mg"]', '["2 day", "4 mg"]', "mass.varies", '"2 day" is [time]', ""),
    "distribution": ('"normal"', '"flat"', "first.distribution", '"flat" is not known here.', "lognormal, normal"),
    "data without units": ('units = ["day", "mg"]', 'units = "mg"', "data", "data need two units.", '["min", "uU/mL"]'),
    "data with holes": (
        "[[0, 1], [2, 5.5]]",
        "[[0, 1], [2]]",
        "data.table",
        "expected rows of two numbers.",
        "[[0, 11]",
    ),
    "data of texts": ("[[0, 1], [2, 5.5]]", '[["0", 1], [2, 3]]', "data.table", "expected rows of two numbers.", ""),
    "one row": ("[[0, 1], [2, 5.5]]", "[[0, 1]]", "data.table", "expected rows of two numbers.", ""),
    "data that go back": (
        "[[0, 1], [2, 5.5]]",
        "[[0, 1], [0, 2]]",
        "data.table",
        "first column does not increase.",
        "",
    ),
    "data that are nan": (
        "[[0, 1], [2, 5.5]]",
        "[[nan, 1], [2, 2]]",
        "data.table",
        "expected rows of two numbers.",
        "",
    ),
    "data beyond": (
        "[[0, 1], [2, 5.5]]",
        f"[[0, 1], [{'9' * 400}, 2]]",
        "data.table",
        "expected rows of two numbers.",
        "",
    ),
    "law is no text": ('"2 * first"', "[2]", "[derived] double", "expected an equation, found a list.", ""),
    "no law": ('law = "mass / double", ', "", "[quantities] size", "expected an equation, found nothing.", ""),
    "law with key": (
        'about = "relative size"',
        'abuot = "x"',
        "size.abuot",
        'unknown key "abuot".',
        'Did you mean "about"?',
    ),
    "no residual": ('residual = "pool - mass", ', "", "[solve] pool.residual", "found nothing.", ""),
    "no revision": ('revise = "mass", ', "", "[held] meal.revise", "found nothing.", ""),
    "no occasion": (', at = "visit"', "", "[held] dose", "does not say when it is revised.", 'at = "visit"'),
    "no such port": ('at = "bolus"', 'at = "bolos"', "[held] meal.at", '"bolos" is not a port', "Known: visit, bolus."),
    # balances, targets, ports, reports
    "no balance": ('mass  = "gain - last(loss)"\n', "", "[states] mass", "has no balance.", 'Write mass = "..."'),
    "stray balance": ('mass  = "gain', 'mess = "gain"\nmass  = "gain', "[balance] mess", '"mess" is not a state', ""),
    "algebra": ('"gain - last(loss)"', '"gain * 2"', "[balance] mass", "a signed sum of rate names.", "under [rates]"),
    "number": ('"gain - last(loss)"', '"gain + 1"', "[balance] mass", "a signed sum of rate names.", ""),
    "balance no text": (
        '"gain - last(loss)"',
        "{ a = 1 }",
        "[balance] mass",
        "expected an equation, found a table.",
        "",
    ),
    "no target": ("other.flow = ", "flow = ", "[adds] flow", '"flow" is not a target.', "file.name"),
    "deep target": ("other.tide = ", "other.tide.pool = ", "[scales] other.tide.pool", "is not a target.", ""),
    "idle port": (
        'add      = { mass = "1" }\nmultiply = { chain = "0.5" }\n',
        "",
        "bolus",
        "the port does nothing.",
        "add =",
    ),
    "port elsewhere": ('{ mass = "1" }', '{ gain = "1" }', "bolus.add.gain", '"gain" is not a state', "its own states"),
    "port key": ("unit     =", "units    =", "[doses] bolus.units", 'unknown key "units".', 'Did you mean "unit"?'),
    "port is no table": (
        "[doses.bolus]",
        "[doses]\nx = 5\n[doses.bolus]",
        "[doses] x",
        "expected a table.",
        "[doses.x]",
    ),
    "report": ('"mass"\n', '"mass +"\n', "[reports] weight", "found the end.", ""),
    "report unit": ('unit = "", about = "no', 'unit = "gg", about = "no', "[reports] hba1c.unit", "is not a unit", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_fault_says_where_what_and_how_to_mend_it(case, faults):
    old, new, place, message, cure = CASES[case]
    found = faults((old, new))
    wanted = [fault for fault in found if message in fault.message]
    assert wanted, "\n".join(str(fault) for fault in found)
    fault = wanted[0]
    assert place in fault.place
    assert cure in fault.cure
    assert re.match(r"folder/sample\.toml(:\d+)?(, |$)", fault.place)
    if place.startswith("["):
        assert ":" in fault.place, "the line is known"


@pytest.mark.parametrize("name", ["My model", "2nd", "a-b", "mod.el"])
def test_a_file_is_called_by_a_name(name, faults):
    (fault,) = [each for each in faults(name=name) if "is not a name" in each.message]
    assert "underscores" in fault.cure
