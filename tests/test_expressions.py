"""Equation text becomes a tree by our own small grammar; whatever is not in the grammar is refused where it stands."""

import contextlib
import math
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isletsim.language import (
    FUNCTIONS,
    OPERATORS,
    STRUCTURAL,
    Apply,
    ExpressionError,
    Name,
    Number,
    Table,
    apply,
    constant_value,
    evaluate,
    names,
    parse,
    substitute,
    walk,
)
from isletsim.language.parser import DEEPEST, HIGHEST, LONGEST, TALLEST


def refusal(text: str) -> ExpressionError:
    """What the grammar says of a text that it does not hold."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.message
    return caught.value


def spans(text: str) -> dict[str, str]:
    """Every operator and name of an equation with the piece of text it points at."""
    nodes = [node for node in walk(parse(text)) if isinstance(node, Apply | Name)]
    keys = [node.operator if isinstance(node, Apply) else node.name for node in nodes]
    return {key: text[slice(*(node.span or (0, 0)))] for key, node in zip(keys, nodes, strict=True)}


# --- the grammar ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a * b + c", "(a * b) + c"),
        ("a - b - c", "(a - b) - c"),
        ("a / b / c", "(a / b) / c"),
        ("a / b * c", "(a / b) * c"),
        ("-a ** b", "-(a ** b)"),
        ("a ** -b", "a ** (-b)"),
        ("a ** b ** c", "a ** (b ** c)"),
        ("-a * b", "(-a) * b"),
        ("a * -b", "a * (-b)"),
        ("--a", "-(-a)"),
        ("+a", "a"),
        ("a + b < c * d", "(a + b) < (c * d)"),
        ("not a < b", "not (a < b)"),
        ("not a and b", "(not a) and b"),
        ("a and b or c and d", "(a and b) or (c and d)"),
        ("a or b and c", "a or (b and c)"),
        ("a < b and c >= d", "(a < b) and (c >= d)"),
        ("exp(a) ** b", "(exp(a)) ** b"),
        ("where(a < b or c, a, b) + c", "(where(((a < b) or c), a, b)) + c"),
        (" a\t+\n b ", "a + b"),
    ],
)
def test_operators_bind_as_in_arithmetic(written, meant):
    assert parse(written) == parse(meant)


def test_a_tree_is_what_the_text_says():
    assert parse("2 * beta.mass - 1") == Apply(
        "subtract", (Apply("multiply", (Number(2.0), Name("beta.mass"))), Number(1.0))
    )
    assert parse("hill(glucose, half, 2)") == Apply("hill", (Name("glucose"), Name("half"), Number(2.0)))
    assert parse("chain[3] > 0") == Apply("greater", (Name("chain[3]"), Number(0.0)))


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("0.5", 0.5), (".5", 0.5), ("2.", 2.0), ("1e-3", 1e-3), ("1E+3", 1e3), ("007", 7.0), ("-4", -4.0)],
)
def test_numbers_are_read_as_written(text, value):
    assert parse(text) == Number(value)


@pytest.mark.parametrize(
    "text", ["1_000", "0x10", "1j", "1e", "1e+", "5five", "2 3", "1.2.3", "1..2", "1e999", "٣", "½"]
)
def test_other_spellings_of_numbers_are_refused(text):
    refusal(text)


def test_every_piece_remembers_where_it_stood():
    text = "(death + toxicity * glucose.plasma**2) * mass"
    assert spans(text)["add"] == "death + toxicity * glucose.plasma**2"
    assert spans(text)["power"] == "glucose.plasma**2"
    assert spans(text)["mass"] == "mass"
    assert spans("1 - hill(x, half, 2) / y")["hill"] == "hill(x, half, 2)"
    assert spans("a + -b")["negate"] == "-b"
    assert spans("not a")["not"] == "not a"


def test_two_trees_that_say_the_same_are_equal_wherever_they_stood():
    assert parse("a+b") == parse("  ( a )  +  b")
    assert hash(parse("a+b")) == hash(parse("a + b"))
    assert parse("a+b") != parse("b+a")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_takes_as_many_arguments_as_it_says(name):
    least, most = FUNCTIONS[name]
    for count in {least, min(most, least + 2)}:
        tree = parse(f"{name}({', '.join('abcdef'[:count])})")
        assert tree == Apply(name, tuple(Name(letter) for letter in "abcdef"[:count]))
    fewer = refusal(f"{name}({', '.join('abcdef'[: least - 1])})" if least > 1 else f"{name}()")
    assert fewer.message
    if most < 6:
        assert f"was given {most + 1} arguments" in refusal(f"{name}({', '.join('abcdef'[: most + 1])})").message


def test_functions_are_numerical_or_structural_and_nothing_else():
    assert set(STRUCTURAL) & set(OPERATORS) <= {"min", "max"}
    assert {"hill", "softplus", "sigmoid", "where", "table", "mod", "change", "previous", "sum", "last"} <= set(
        FUNCTIONS
    )


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "__import__(os)",
        "eval(x)",
        "exec(x)",
        "open(x)",
        "().__class__",
        "x.__class__.__bases__",
        "(a).b",
        "f(x).y",
        "a.b.c",
        "a. b",
        "a[0].b",
        "a['key']",
        "a[b]",
        "a[1:2]",
        "lambda: 1",
        "lambda x: x",
        "[x for x in y]",
        "{1: 2}",
        "f'{x}'",
        '"text"',
        "'text'",
        "x := 1",
        "x = 1",
        "x; y",
        "x, y",
        "x if y else z",
        "x // y",
        "x % y",
        "x @ y",
        "x & y",
        "x | y",
        "~x",
        "!x",
        "x!",
        "x && y",
        "x <> y",
        "x is y",
        "x in y",
        "not",
        "a and",
        "and a",
        "import os",
        "yield x",
        "await x",
        "$x",
        "`x`",
        "\\x",
        "x # comment",
        "...",
        "",
        "   ",
        "()",
        "(",
        ")",
        "a b",
        "a +",
        "* a",
        "a ** ",
        "f(a,)",
        "f(,a)",
        "exp",
        "exp(",
        "exp(a b)",
        "exp()()",
        "(exp)(a)",
        "2(a)",
        "a(b)",
    ],
)
def test_what_is_not_in_the_grammar_is_refused_with_its_place(text):
    if text == "exp":  # a bare word is a name; that it means nothing is found when names are resolved
        assert parse(text) == Name("exp")
        return
    wrong = refusal(text)
    start, stop = wrong.span
    assert 0 <= start < stop <= len(text) + 1


@pytest.mark.parametrize(
    "text",
    [
        "𝑥 + 1",  # a mathematical letter
        "ｘ",  # a full-width letter
        "а + 1",  # a Cyrillic letter
        "x\u200by",  # a zero-width space
        "x\u202ey",  # text that runs backwards
        "x\u0301",  # a combining accent
        "x − y",  # a typographic minus
        "x × y",
        "x · y",
        "x²",
        "½ * x",
        "٣ * x",  # an Arabic digit
        "𝟏",
        "β",
        "x\x00",
        "\ufeffx",
    ],
)
def test_letters_that_look_like_others_are_refused(text):
    refusal(text)


def test_blanks_of_other_scripts_part_words_and_are_nothing_else():
    assert parse("x\u00a0+\u2003y") == parse("x + y")


@pytest.mark.parametrize(
    "text", ["9**9**9", "9**9**9**9", "x**1000", "x**-101", "x**(10**10)", "x**(99 + 2)", "x**1e300"]
)
def test_powers_that_no_physiology_needs_are_refused_at_once(text):
    started = time.perf_counter()
    wrong = refusal(text)
    assert time.perf_counter() - started < 1
    assert f"beyond {HIGHEST}" in wrong.message


def test_an_exponent_that_is_undefined_is_refused():
    assert "exponent" in refusal("x**(0/0)").message
    assert "exponent" in refusal("x**(1e300*1e300)").message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 1_000 + "x" + ")" * 1_000,
        "-" * 3_000 + "x",
        "+" * 3_999 + "x",
        "not " * 900 + "x",
        "x**" * 1_000 + "x",
        "where(" * 400,
        "exp(" * 500 + "x" + ")" * 500,
        "-(not " * 500 + "x",
        "-(" * 100 + "x" + ")" * 100,
    ],
    ids=lambda text: text[:6],
)
def test_deep_nesting_is_refused_and_nothing_overflows(text):
    started = time.perf_counter()
    wrong = refusal(text)
    assert time.perf_counter() - started < 1
    assert "nested" in wrong.message or "characters" in wrong.message
    assert wrong.cure


def test_nesting_as_people_write_it_is_read():
    depth = DEEPEST - 1
    assert parse("(" * depth + "x" + ")" * depth) == Name("x")


@pytest.mark.parametrize("mark", [" + ", " * ", " - ", " / ", " and "])
def test_a_tree_is_never_taller_than_recursive_walks_can_bear(mark):
    parse(mark.join(["x"] * TALLEST))
    assert "one inside another" in refusal(mark.join(["x"] * (TALLEST + 1))).message
    assert sys.getrecursionlimit() > 4 * TALLEST


def test_huge_texts_are_refused_before_they_are_read():
    started = time.perf_counter()
    assert str(LONGEST) in refusal("x" * 10_000_000).message
    assert time.perf_counter() - started < 1


def test_a_wide_call_is_no_tall_tree():
    assert len(parse(f"max({', '.join(['x'] * 900)})").arguments) == 900


# --- cures ------------------------------------------------------------------------------------------------------------


def test_a_caret_is_told_how_powers_are_written():
    wrong = refusal("glucose^2")
    assert wrong.cure == "A power is written **."
    assert wrong.span == (7, 8)


@pytest.mark.parametrize("text", ["a < b < c", "a < b <= c", "a == b == c", "(a) > b != c"])
def test_comparisons_do_not_chain(text):
    wrong = refusal(text)
    assert "do not chain" in wrong.message
    assert "and" in wrong.cure


@pytest.mark.parametrize(
    ("text", "meant"), [("hil(x, y, 2)", "hill"), ("Exp(x)", "exp"), ("sqr(x)", "sqrt"), ("whre(a, b, c)", "where")]
)
def test_a_misspelled_function_is_recognised(text, meant):
    wrong = refusal(text)
    assert wrong.cure == f'Did you mean "{meant}"?'
    assert wrong.span == (0, text.index("("))


def test_an_unknown_function_lists_what_there_is():
    assert "Functions are: abs," in refusal("gamma_function_of_euler(x)").cure


def test_too_few_arguments_are_told_the_shape_of_the_call():
    assert "hill(x, half, n)" in refusal("hill(x, y)").message
    assert "where(condition, if_true, if_false)" in refusal("where(x, y)").message


def test_a_missing_bracket_is_missed_at_the_end():
    wrong = refusal("exp(a + b")
    assert wrong.message == 'expected ")", found the end'
    assert wrong.span == (9, 10)


# --- walks ------------------------------------------------------------------------------------------------------------


def test_the_names_of_an_equation_are_those_it_refers_to():
    assert names(parse("where(time > a, b.c ** 2, -d) + 3 * a")) == {"time", "a", "b.c", "d"}


def test_substitution_replaces_names_and_keeps_the_rest():
    tree = parse("a * b + a")
    assert substitute(tree, {"a": Number(2.0)}) == parse("2 * b + 2")
    assert substitute(tree, lambda name: Name(f"file.{name.name}")) == parse("file.a * file.b + file.a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14.0),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("(1 + 1) / 4", 0.5),
        ("1 / 0", math.inf),
        ("x", None),
        ("2 * x", None),
        ("exp(1)", None),
        ("1 < 2", None),
    ],
)
def test_the_value_of_literals_is_known_before_anything_runs(text, value):
    assert constant_value(parse(text)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b * 2", 8.0),
        ("a - b", -1.0),
        ("-a ** 2", -4.0),
        ("where(a < b, 10, 20)", 10.0),
        ("where(not a < b, 10, 20)", 20.0),
        ("a < b and b < 4", 1.0),
        ("a > b or a == 2", 1.0),
        ("min(a, b, 1) + max(a, b)", 4.0),
        ("abs(-a) + floor(2.7) + mod(7, b)", 5.0),
        ("mod(-1, b)", 2.0),
        ("hill(a, b, 2)", 4 / 13),
        ("hill(-a, b, 2)", 0.0),
        ("hill(0, b, 2)", 0.0),
        ("hill(1e-200, b, 4)", 0.0),
        ("softplus(a, 1)", math.log1p(math.exp(2))),
        ("softplus(a, 1e-9)", 2.0),
        ("softplus(-a, 1e-9)", 0.0),
        ("sigmoid(0)", 0.5),
        ("sigmoid(-1000)", 0.0),
        ("sigmoid(1000)", 1.0),
        ("sqrt(4) + exp(0) + log(1) + tanh(0) + sin(0) + cos(0)", 4.0),
    ],
)
def test_every_operator_means_what_its_name_says(text, value):
    assert evaluate(parse(text), {"a": 2.0, "b": 3.0}) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("text", ["1 / (a - a)", "log(-a)", "sqrt(-a)", "(-a) ** 0.5", "exp(1000)"])
def test_what_is_undefined_is_no_number(text):
    assert not math.isfinite(evaluate(parse(text), {"a": 2.0}))


def test_data_are_interpolated_between_and_constant_outside():
    data = Table((0.0, 2.0, 4.0), (10.0, 20.0, 0.0))
    for x, y in [(-1, 10), (0, 10), (1, 15), (2, 20), (3, 10), (4, 0), (9, 0)]:
        assert evaluate(apply("table", Number(x), data), {}) == y


# --- properties -------------------------------------------------------------------------------------------------------

leaves = st.one_of(
    st.sampled_from(["a", "b", "beta.mass", "time", "chain[2]"]).map(Name),
    st.floats(0, 1e6, allow_subnormal=False).map(Number),
)
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "greater_equal": ">="}
SIGNS |= {"equal": "==", "and": "and", "or": "or"}


def branches(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Trees one level taller."""
    two = st.tuples(st.sampled_from([*SIGNS, "min", "softplus", "mod"]), st.tuples(inner, inner))
    one = st.tuples(st.sampled_from(["negate", "not", "exp", "sqrt"]), st.tuples(inner))
    three = st.tuples(st.sampled_from(["where", "hill"]), st.tuples(inner, inner, inner))
    return st.one_of(two, one, three).map(lambda pair: Apply(*pair))


def written(tree) -> str:
    """A tree as text, with every bracket written."""
    match tree:
        case Number(value):
            return repr(value)
        case Name(name):
            return name
        case Apply("negate" | "not" as operator, (inner,)):
            return f"({'-' if operator == 'negate' else 'not '}{written(inner)})"
        case Apply(operator, (left, right)) if operator in SIGNS:
            return f"({written(left)} {SIGNS[operator]} {written(right)})"
        case Apply(operator, arguments):
            return f"{operator}({', '.join(written(each) for each in arguments)})"


def folded(tree):
    """The tree as the parser gives it: the minus of a literal belongs to the number."""
    if not isinstance(tree, Apply):
        return tree
    arguments = tuple(folded(each) for each in tree.arguments)
    if tree.operator == "negate" and isinstance(arguments[0], Number):
        return Number(-arguments[0].value)
    return Apply(tree.operator, arguments)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.recursive(leaves, branches, max_leaves=12))
def test_a_tree_that_is_written_and_read_is_the_same_tree(tree):
    assert parse(written(tree)) == folded(tree)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab2.() +-*/<>=!,[]^_'\"\\\n\tehilpx٣β\x00"), max_size=40))
def test_any_text_is_read_or_refused_where_it_is_wrong(text):
    with contextlib.suppress(ExpressionError):
        parse(text)
        return
    start, stop = refusal(text).span
    assert 0 <= start < stop <= len(text) + 1
