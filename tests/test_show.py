"""What people read of a model: equations typeset, every name with its unit, meaning and source, in 100 columns."""

import re

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isletsim.bibliography import read
from isletsim.cli.show import citations, cite, show_file, show_model, show_named, show_source, sources
from isletsim.data_files import find, listing
from isletsim.errors import InputError
from isletsim.language import Apply, Name, Number, evaluate, parse, read_model
from isletsim.typesetting import inline, letters, number, powers, typeset

WIDTH = 100


def drawn(text: str, width: int = 90, factor: bool = False) -> list[str]:
    """An equation as lines."""
    return [line.rstrip() for line in typeset(parse(text), letters, width, factor).lines]


# --- letters and numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "printed"),
    [
        ("G", "G"),
        ("alpha", "α"),
        ("sigma_inf", "σ_inf"),
        ("alpha_m", "αₘ"),
        ("k12", "k₁₂"),
        ("EG0", "EG₀"),
        ("tau_b", "τ_b"),
        ("tau_si", "τₛᵢ"),
        ("k_a1", "kₐ₁"),
        ("k_a_1", "kₐ₁"),
        ("IL6", "IL₆"),
        ("Omega", "Ω"),
        ("alphabet", "alphabet"),
        ("r1", "r₁"),
        ("x_beta", "x_β"),
        ("22", "22"),
        ("_a", "_a"),
        ("a_", "a_"),
        ("A[3]", "A[3]"),
        ("β", "β"),
        ("", ""),
    ],
)
def test_a_paper_s_symbol_is_printed_as_in_the_paper(symbol, printed):
    assert letters(symbol) == printed


@pytest.mark.parametrize(
    ("value", "printed"),
    [(2.0, "2"), (0.5, "0.5"), (1e-5, "10⁻⁵"), (2.4e-6, "2.4·10⁻⁶"), (-3.0, "−3"), (1e20, "10²⁰"), (0.0, "0")],
)
def test_numbers_are_printed_with_raised_powers_of_ten(value, printed):
    assert number(value) == printed


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        ("mg/dL", "mg/dL"),
        ("dL**2/mg**2/day", "dL²/mg²/day"),
        ("1/min/(mU/L)**2", "1/min/(mU/L)²"),
        ("m**-1", "m⁻¹"),
        ("mg**0.5", "mg^0.5"),
        ("percent*m**2/kg", "percent·m²/kg"),
    ],
)
def test_units_are_printed_with_raised_powers(unit, printed):
    assert powers(unit) == printed


# --- equations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a*b", "a·b"),
        ("a*(b + c)", "a·(b + c)"),
        ("(a*b)*c", "a·b·c"),
        ("a - (b - c)", "a − (b − c)"),
        ("a - b - c", "a − b − c"),
        ("a + -b", "a + (−b)"),
        ("-a*b", "−a·b"),
        ("-(a + b)", "−(a + b)"),
        ("exp(-k*time)", "exp(−k·time)"),
        ("a/b/c*d", "a·d/(b·c)"),
        ("a/(b/c)", "a·c/b"),
        ("(a + b)/c", "(a + b)/c"),
        ("1/tau", "1/τ"),
        ("x**2", "x²"),
        ("x**n", "xⁿ"),
        ("x**-1", "x⁻¹"),
        ("x**0.5", "x^0.5"),
        ("x**(a + b)", "x^(a + b)"),
        ("(a + b)**2", "(a + b)²"),
        ("(a**b)**2", "(aᵇ)²"),
        ("-x**2", "−x²"),
        ("(-x)**2", "(−x)²"),
        ("2e-5*x", "2·10⁻⁵·x"),
        ("sqrt(x)*2", "√x·2"),
        ("sqrt(x)**2", "(√x)²"),
        ("sqrt(a + b)", "√(a + b)"),
        ("log(x)", "ln(x)"),
        ("abs(a - b)", "|a − b|"),
        ("floor(a)", "⌊a⌋"),
        ("mod(time - a, b)", "(time − a) mod b"),
        ("min(a, b, c)", "min(a, b, c)"),
        ("hill(x, h, 1)", "x/(h + x)"),
        ("hill(x, h, 2)", "x²/(h² + x²)"),
        ("hill(x, h, n_long)", "x^n_long/(h^n_long + x^n_long)"),
        ("hill(x, h, 1)*k", "(x/(h + x))·k"),
        ("hill(a + b, h, 2)", "(a + b)²/(h² + (a + b)²)"),
        ("where(a < b, x, y)", "{x if a < b, else y}"),
        ("a <= b and not c != d or e", "a ≤ b and not c ≠ d or e"),
        ("(a < b)*c", "(a < b)·c"),
        ("sum(x)*2", "(Σ x)·2"),
        ("change(x)", "dx/dt"),
        ("table(time, data)", "data(time)"),
        ("softplus(x, w)", "softplus(x, w)"),
        ("mean(glucose)", "mean(glucose)"),
    ],
)
def test_an_equation_in_one_line_reads_as_in_print(text, line):
    assert inline(parse(text), letters) == line


def test_a_long_fraction_is_stacked_with_its_bar_level_with_the_rest():
    assert drawn("basal + mass*sigma*G**2/(alpha + G**2) - loss") == [
        "         mass·σ·G²",
        "basal + ─────────── − loss",
        "           α + G²",
    ]


def test_saturation_is_shown_as_a_ratio():
    assert drawn("1 - reduction * hill(inflammation, half, 4)") == [
        "                   inflammation⁴",
        "1 − reduction·───────────────────────",
        "               half⁴ + inflammation⁴",
    ]


def test_a_short_fraction_keeps_its_slash():
    assert drawn("mass / tau_b") == ["mass/τ_b"]


def test_what_is_tall_stands_in_tall_brackets():
    assert drawn("(1 + hill(a, b, 2))**3") == ["⎛        a²   ⎞", "⎜1 + ─────────⎟³", "⎝     b² + a² ⎠"]


def test_cases_are_listed_with_a_brace():
    assert drawn("where(time < start, 0, where(dose > 1, high, low))") == [
        "⎧ 0     if time < start",
        "⎨ high  if dose > 1",
        "⎩ low   otherwise",
    ]
    assert drawn("where(a, b, c)") == ["⎧ b  if a", "⎨", "⎩ c  otherwise"]


def test_a_sum_that_scales_stands_in_brackets():
    assert drawn("1 - block * cells", factor=True) == ["(1 − block·cells)"]
    assert drawn("block * cells", factor=True) == ["block·cells"]


def test_a_long_equation_is_broken_before_a_sign():
    long = " + ".join(f"coefficient_{index} * quantity_{index}" for index in range(12))
    lines = drawn(long, 60)
    assert all(len(line) <= 60 for line in lines)
    assert all(line.lstrip().startswith("+") for line in lines[1:])
    product = " * ".join(f"quantity_{index}" for index in range(20))
    assert all(len(line) <= 60 for line in drawn(product, 60))


leaves = st.one_of(
    st.sampled_from(["a", "b", "x"]).map(Name), st.sampled_from([0.5, 1.0, 2.0, 3.0, 1e-5, -2.0]).map(Number)
)


def branches(inner: st.SearchStrategy) -> st.SearchStrategy:
    two = st.tuples(st.sampled_from(["add", "subtract", "multiply", "divide", "min"]), st.tuples(inner, inner))
    one = st.tuples(st.sampled_from(["negate", "tanh"]), st.tuples(inner))
    power = st.tuples(st.just("power"), st.tuples(inner, st.sampled_from([2.0, 3.0, -1.0, 0.5]).map(Number)))
    hill = st.tuples(st.just("hill"), st.tuples(inner, inner, st.sampled_from([1.0, 2.0]).map(Number)))
    return st.one_of(two, one, power, hill).map(lambda pair: Apply(*pair))


RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))


def read_back(line: str) -> str:
    """A typeset line in the grammar of equations."""
    raised = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: "**(" + "".join(RAISED[each] for each in found[0]) + ")", line)
    return raised.replace("·", "*").replace("−", "-").replace("^", "**")


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.recursive(leaves, branches, max_leaves=10))
def test_what_is_typeset_means_what_was_written(tree):
    values = {"a": 1.3, "b": 0.7, "x": 2.1}
    meant, shown = evaluate(tree, values), evaluate(parse(read_back(inline(tree, str))), values)
    if abs(meant) < 1e200 and all(evaluate(part, values) > 0 for part in hills(tree)):
        assert shown == pytest.approx(meant, rel=1e-9, abs=1e-9)


def hills(tree) -> list:
    """What saturates: a ratio of powers is a hill only where it is positive."""
    if not isinstance(tree, Apply):
        return []
    inner = [part for each in tree.arguments for part in hills(each)]
    return inner + (list(tree.arguments[:2]) if tree.operator == "hill" else [])


# --- pages ------------------------------------------------------------------------------------------------------------

EVERYTHING = [(kind, name, path) for kind in ("model", "patient", "challenge") for name, path in listing(kind)]


@pytest.mark.parametrize(("kind", "name", "path"), EVERYTHING, ids=[f"{kind}-{name}" for kind, name, _ in EVERYTHING])
def test_every_file_of_the_project_is_shown_in_100_columns(kind, name, path):
    text = show_file(kind, path, colour=False)
    assert text.startswith((f"{name}: ", "Who feeds whom"))
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "\x1b" not in text


@pytest.mark.parametrize(("name", "path"), listing("model"))
def test_a_model_is_shown_with_every_name_unit_meaning_and_source(name, path):
    text, model = show_file("model", path, colour=False), read_model(path)
    flowing = " ".join(text.split())
    assert " ".join(model.title.split()) in flowing
    for entry in model.entries.values():
        assert entry.name in text
        for said in (entry.note.about, entry.note.assumed):
            assert " ".join(said.split())[:20] in flowing
    for key in citations([model]):
        assert key in text
    for port in model.ports:
        assert port in text


def test_a_page_shows_the_equations_of_the_paper():
    text = show_model(["topp2000"], colour=False)
    assert "  dG/dt = production − own_uptake − insulin_uptake\n" in text
    assert "  secretion  [uU/mL/day]\n         B·σ·G²\n      = ────────\n         α + G²\n" in text
    assert "      = (d₀ + r₂·G²)·B\n" in text
    assert re.search(r"\n  growth +r₁ +0\.00084 dL/mg/day +Topp2000 +net replication per glucose\n", text)
    assert re.search(r"\n  glucose +G +100 mg/dL +plasma glucose\n", text)
    assert "doi:10.1006/jtbi.2000.2150" in text


def test_a_therapy_shows_whom_it_acts_on():
    text = show_model(["msc_published"], colour=False)
    assert re.search(r"\n  msc_published +→ yildirim2023 +× sensitivity_target, × apoptosis\n", text)
    assert "  scales yildirim2023.apoptosis\n      × (1 − beta_protection·E)\n" in text
    assert re.search(r"\n  infusion  \[cell/kg\]  .*\n      N → N \+ amount·viability·identity·potency\n", text)
    assert "0.5–" not in text.partition("Parameters")[0]
    assert "among people" in text
    assert "uncertain" in text


def test_what_layers_make_of_a_law_stands_below_it():
    text = show_model(["yildirim2023", "metformin"], colour=False)
    equation = text.partition("  production, HGP")[2]
    assert re.search(r"\n      × \(1 − .*\)   of metformin\n", equation.partition("own_uptake")[0])


def test_a_chain_is_shown_class_by_class():
    text = show_model(["hba1c_chain"], colour=False)
    assert "dA[k]/dt = glycation[k] + glycated_ageing[k−1] − glycated_ageing[k]" in text
    assert "native_ageing[k−1] (k = 1: formation)" in text
    assert "12 classes" in text
    assert "Σ R + Σ A" in text


def test_two_things_of_one_letter_are_told_apart(tmp_path):
    text = (
        'title = "Twins"\nassumed = "test"\n[states]\n'
        'one = { start = "1", symbol = "x" }\ntwo = { start = "1", symbol = "x" }\nx = { start = "2", symbol = "y" }\n'
        '[parameters]\nk = { value = "1 1/day", assumed = "test" }\n'
        '[rates]\nflow = "k * one * two * x"\n[balance]\none = "flow"\ntwo = "-flow"\nx = ""\n'
    )
    (tmp_path / "twins.toml").write_text(text)
    shown = show_model([tmp_path / "twins.toml"], colour=False)
    assert "= k·one·two·y" in shown
    assert "  d one/dt = flow\n  d two/dt = −flow\n  dy/dt = 0\n" in shown


def test_colour_changes_nothing_but_colour(monkeypatch):
    plain, coloured = show_model(["topp2000"], colour=False), show_model(["topp2000"], colour=True)
    assert "\x1b[" in coloured
    assert click.unstyle(coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert show_model(["topp2000"]) == plain


def test_a_study_is_shown_with_its_plan_patient_and_equations():
    text = show_file("scenario", find("scenario", "t2d_msc"), colour=False)
    assert text.startswith("t2d_msc: ")
    assert "(control)" in text
    assert "msc.infusion" in text
    assert "Who feeds whom" in text
    assert "\nHistory\n" in text
    assert "Steinebach2023: " in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_a_student_finds_apoptosis_by_its_name_alone():
    with pytest.raises(InputError, match=r"isletsim show beta_cells\.apoptosis"):
        show_named("apoptosis")
    text = show_named("beta_cells.apoptosis", colour=False)
    assert text.startswith("beta_cells.apoptosis: a rate of ")
    assert "− apoptosis −" in text
    assert "      = apM·b\n" in text
    assert "   of exosomes\n" in text
    with pytest.raises(InputError, match='Did you mean "apoptosis"'):
        show_named("beta_cells.apotosis")


def test_a_thing_is_shown_with_those_who_read_it_and_what_it_borrows():
    text = show_named("beta_cells.native", colour=False)
    assert re.search(r"\n  immunity\.antigen +quantity +beta-cell antigen", text)
    assert re.search(r"\n  glycaemia\.excess +quantity ", show_named("beta_cells.apoptosis_hazard", colour=False))
    assert "      = (d₀ + r₂·G²)·B\n" in show_named("topp2000.apoptosis", colour=False)


def test_a_map_names_only_what_is_in_the_stack():
    text = show_file("scenario", find("scenario", "t2d_progression"), colour=False)
    feeds = text.partition("Who feeds whom")[2].partition("One thing by itself")[0]
    assert re.search(r"\n  metformin +→ glucose +× production\n", feeds)
    assert "yildirim2023" not in feeds


def test_the_source_is_plain_numpy():
    source = show_source("model", find("model", "topp2000"))
    assert source.startswith("import numpy as np")
    assert "def rhs(t, y, p, dy):" in source
    compile(source, "topp2000", "exec")


# --- references -------------------------------------------------------------------------------------------------------


def test_a_model_cites_what_its_numbers_come_from():
    assert sources("model", find("model", "topp2000")) == ["Topp2000"]
    assert {"Palmer2014"} <= set(sources("model", find("model", "hba1c_chain")))
    model = read_model(find("model", "vancauter1992"))
    assert citations([model]) == ["VanCauter1992", "DuBois1916"]


def test_a_study_cites_its_physics_and_its_method():
    found = sources("scenario", find("scenario", "t2d_msc"))
    assert "Eggenhofer2012" in found
    assert found[-1] == "Steinebach2023"
    assert len(found) == len(set(found))
    assert set(found) <= set(read())


def test_references_are_printed_one_in_a_line():
    lines = cite(["Topp2000", "Ha2016", "Topp2000"]).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Topp2000", "Ha2016"]


def test_a_source_that_nobody_knows_is_refused():
    with pytest.raises(InputError) as caught:
        cite(["Top2000", "Topp2000", "Nobody1900"])
    assert [fault.place for fault in caught.value.faults] == ["Top2000", "Nobody1900"]
    assert caught.value.faults[0].cure == 'Did you mean "Topp2000"?'
