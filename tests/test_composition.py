"""Files in any order give the same equations; a layer that is not given changes nothing; nobody edits another file."""

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from small_stacks import TISSUE, derivatives_at, open_names, unresolved, values_at

from isletsim.composition import superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import listing
from isletsim.language import parse, read_model
from isletsim.study.check import alternatives

REPOSITORY = Path(__file__).resolve().parent.parent


GRAFT = """
[uses]
tissue = ["mass"]
[states]
grafted = { start = "0 mg" }
[parameters]
fade = { value = "1 1/day", assumed = "test" }
full = { value = "300 mg", assumed = "test" }
[rates]
fading = "fade * grafted"
[balance]
grafted = "-fading"
[adds]
tissue.capacity = "grafted / full"
tissue.waste    = "fading"
[doses.infusion]
unit = "mg"
add  = { grafted = "1" }
"""

DRUG = """
[inputs]
level = { default = "0", about = "of the drug" }
[parameters]
strength = { value = "0.3", assumed = "test" }
[scales]
tissue.capacity = "1 - strength * level"
tissue.loss     = "1 / (1 + level)"
"""

FEVER = """
[uses]
tissue = ["waste"]
[parameters]
half = { value = "100 mg", assumed = "test" }
[scales]
tissue.capacity = "1 - 0.5 * hill(tissue.waste, half, 2)"
[adds]
tissue.gain = "0 * tissue.waste * pace"
""".replace("half = {", 'pace = { value = "1 1/day", assumed = "test" }\nhalf = {')

READER = """
[uses]
tissue = ["mass", "capacity", "gain"]
graft  = ["grafted"]
[quantities]
total = "tissue.mass + graft.grafted"
[reports]
beta_mass = { value = "total", unit = "g" }
growing   = "tissue.gain"
"""

STACK = {"tissue": TISSUE, "graft": GRAFT, "drug": DRUG, "fever": FEVER, "reader": READER}


# --- order never matters ----------------------------------------------------------------------------------------------


def test_every_order_of_a_stack_gives_the_same_equations(compose):
    reference = compose(**STACK)
    for order in itertools.permutations(STACK):
        found = compose(**{name: STACK[name] for name in order})
        assert found.flat == reference.flat, order
        assert list(found.symbols) == list(reference.symbols)
        assert found.reports == reference.reports
        assert found.ports == reference.ports


PUBLISHED_CORE = ["yildirim2023", "palmer2014_receptor", "hba1c_chain", "cytokines", "normalised_couplings"]
STACKS = {
    "published core": [*PUBLISHED_CORE, "msc_published", "metformin"],
    "own core": [
        path
        for _, path in listing("model")
        if not {"published", "day"} & {file.path.parent.name for file in read_stack([path])}
    ],
    "the day": [path for _, path in listing("model") if path.parent.name == "day"],
}


@pytest.mark.parametrize("wanted", STACKS.values(), ids=STACKS)
def test_the_order_of_the_projects_own_files_does_not_matter(wanted):
    files = read_stack(wanted)
    reference = superpose(files)
    draw = random.Random(5)
    for _ in range(4):
        draw.shuffle(files)
        found = superpose(files)
        assert found.flat == reference.flat
        assert found.clocks == reference.clocks


def test_the_equations_are_the_same_in_every_process(tmp_path):
    code = "from isletsim.composition.model_library import compose_stack; import hashlib; c = compose_stack({!r});"
    code = (
        code.format(["ha2020", "hba1c_chain"]) + "print(hashlib.sha256(repr((c.flat, c.symbols)).encode()).hexdigest())"
    )
    found = set()
    for seed in ["0", "1", "2"]:
        environment = os.environ | {"PYTHONHASHSEED": seed, "ISLETSIM_CACHE_DIR": str(tmp_path / seed)}
        environment["PYTHONPATH"] = str(REPOSITORY)
        run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        found.add(run.stdout)
    assert len(found) == 1


def test_contributions_stand_in_the_order_of_file_names(compose):
    flat = compose(**STACK).flat
    assert dict(flat.expressions)["tissue.capacity"] == parse(
        "(tissue.mass / (300 * tissue.unit_mass) + graft.grafted / graft.full)"
        " * (1 - drug.strength * drug.level) * (1 - 0.5 * hill(tissue.waste, fever.half, 2))"
    )


# --- adds and scales --------------------------------------------------------------------------------------------------


def test_a_law_is_what_it_says_plus_adds_times_scales(compose):
    given = {"graft.grafted": 150.0, "drug.level": 1.0, "tissue.waste": 100.0, "tissue.mass": 300.0}
    known = values_at(compose(**STACK).flat, **given)
    assert known["tissue.capacity"] == pytest.approx((1.0 + 0.5) * (1 - 0.3) * (1 - 0.5 * 0.5))
    assert known["tissue.loss"] == pytest.approx(0.1 * 300 / 2)
    changes = derivatives_at(compose(**STACK).flat, **given)
    assert changes["tissue.waste"] == pytest.approx(known["tissue.loss"] + known["graft.fading"])


def test_a_flux_that_a_layer_scales_is_conserved_where_it_goes(compose):
    for level in [0.0, 0.7, 5.0]:
        known = values_at(compose(tissue=TISSUE, drug=DRUG).flat, **{"drug.level": level})
        changes = derivatives_at(compose(tissue=TISSUE, drug=DRUG).flat, **{"drug.level": level})
        assert changes["tissue.mass"] + changes["tissue.waste"] == pytest.approx(known["tissue.gain"], rel=1e-14)


def test_layers_that_are_not_given_leave_the_core_as_it_was(compose):
    bare = compose(tissue=TISSUE)
    for layers in [["graft"], ["drug"], ["graft", "drug"]]:
        given = compose(tissue=TISSUE, **{name: STACK[name] for name in layers})
        for mass, waste in [(300.0, 1.0), (17.0, 250.0), (1e-3, 0.0)]:
            state = {"tissue.mass": mass, "tissue.waste": waste}
            alone, layered = derivatives_at(bare.flat, **state), derivatives_at(given.flat, **state)
            assert {name: layered[name] for name in alone} == alone


THERAPIES = [
    path
    for _, path in listing("model")
    if (file := read_model(path)) and (file.adds or file.scales) and (file.entries or file.ports)
    if any(entry.kind == "input" for entry in file.entries.values()) or file.ports
]


@pytest.mark.parametrize("path", THERAPIES, ids=lambda path: path.stem)
def test_every_therapy_of_the_project_is_neutral_until_it_is_given(path):
    """Right-hand sides of all other files agree, around their start, with the layer and without."""
    draw = random.Random(3)
    for files in alternatives([path]):
        whole, bare = superpose(files), superpose([file for file in files if file.path != path])
        for _ in range(5):
            state = {name: draw.uniform(0.5, 1.5) for name in open_names(whole)}
            start = values_at(whole.flat, **state)
            state |= {name: start[name] * draw.uniform(0.5, 1.5) for name in bare.flat.states}
            with_it, without = derivatives_at(whole.flat, **state), derivatives_at(bare.flat, **state)
            for name, value in without.items():
                assert with_it[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


@pytest.mark.parametrize(("name", "path"), listing("model"))
def test_every_name_of_every_file_is_defined_before_it_is_read(name, path):
    for files in alternatives([path]):
        composition = superpose(files)
        assert path.stem in composition.files
        assert not unresolved(composition.flat, open_names(composition))
        for part in (composition.clocks.day, composition.clocks.life) if composition.clocks else ():
            assert not unresolved(part)


def test_a_layer_whose_target_file_is_absent_is_skipped_and_listed(compose):
    found = compose(graft=GRAFT.replace('[uses]\ntissue = ["mass"]', ""), drug=DRUG)
    assert found.skipped == (
        "drug: scales tissue.capacity",
        "drug: scales tissue.loss",
        "graft: adds to tissue.capacity",
        "graft: adds to tissue.waste",
    )
    assert found.flat.states == ("graft.grafted",)


def test_a_wrong_name_in_a_file_that_is_present_is_an_error(refuse):
    text = refuse(tissue=TISSUE, drug=DRUG.replace("tissue.loss ", "tissue.lost "))
    assert '"tissue" has no "lost" to scale.' in text
    assert 'Did you mean "loss"?' in text
    assert "[scales] tissue.lost" in text


def test_a_layer_does_not_edit_its_own_file(refuse):
    text = refuse(tissue=TISSUE + '[scales]\ntissue.loss = "2"\n')
    assert '"tissue.loss" is in this very file.' in text
    assert "Write it into its own law." in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('[adds]\ntissue.growth = "pace"', '"tissue.growth" is a parameter; one can add to a rate, a quantity'),
        ('[adds]\ntissue.unit_mass = "1"', '"tissue.unit_mass" is a derived; one can add to'),
        ('[scales]\ntissue.mass = "2"', '"tissue.mass" is a state; one can scale a rate or a quantity.'),
        ('[scales]\ntissue.tenth = "2"', '"tissue.tenth" is a parameter; one can scale'),
        ('[adds]\ntissue.mass = "2 * pace"', "a balance is a signed sum of rate names."),
        ('[adds]\ntissue.mass = "nothing"', '"nothing" is not defined in this file.'),
        ('[adds]\ntissue.mass = "half"', '"half" is a parameter; a balance is a sum of rates.'),
    ],
)
def test_only_laws_and_balances_can_be_joined(line, message, refuse):
    assert message in refuse(tissue=TISSUE, fever=FEVER.partition("[scales]")[0] + line)


# --- names of other files ---------------------------------------------------------------------------------------------


def test_what_is_borrowed_must_be_announced(refuse):
    text = refuse(tissue=TISSUE, fever=FEVER.replace('["waste"]', '["mass"]'))
    assert '"tissue.waste" is borrowed but not announced.' in text
    assert 'Write tissue = ["waste"] under [uses].' in text


def test_what_is_announced_must_be_there(refuse):
    text = refuse(tissue=TISSUE, fever=FEVER.replace('["waste"]', '["waste", "wast"]'))
    assert '"tissue" has no "wast".' in text
    assert 'Did you mean "waste"?' in text


def test_a_file_that_is_not_in_the_stack_cannot_be_read(refuse):
    text = refuse(tisssue=TISSUE, graft=GRAFT, reader=READER)
    assert 'the file "tissue" is not in the stack.' in text
    assert 'Did you mean "tisssue"?' in text


def test_a_bare_name_of_another_file_is_recognised(refuse):
    text = refuse(tissue=TISSUE, fever=FEVER.replace("hill(tissue.waste", "hill(waste"))
    assert '"waste" is not defined in this file.' in text
    assert "write tissue.waste and announce it under [uses]." in text


def test_a_misspelled_name_is_recognised_and_pointed_at(refuse):
    text = refuse(tissue=TISSUE.replace('"death * mass"', '"deaht * mass"'))
    place, caret, message, cure = text.splitlines()[:4]
    assert place.endswith('[rates] loss = "deaht * mass"')
    assert place[caret.index("^") : caret.rindex("^") + 1] == "deaht"
    assert message == '"deaht" is not defined in this file.'
    assert cure == 'Did you mean "death"?'


def test_the_faults_of_all_files_are_told_together(refuse):
    text = refuse(
        tissue=TISSUE.replace('"death * mass"', '"death"'),
        drug=DRUG.replace("tissue.loss ", "tissue.lost "),
        fever=FEVER.replace('["waste"]', '["mass"]'),
    )
    for file in ["tissue.toml", "drug.toml", "fever.toml"]:
        assert file in text


def test_a_report_is_given_by_one_file(refuse):
    text = refuse(tissue=TISSUE + '[reports]\nmass = "mass"', graft=GRAFT + '[reports]\nmass = "grafted"')
    assert '"mass" is reported by another file of the stack too.' in text


# --- cycles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "members"),
    [
        (
            {"tissue": TISSUE.replace('"mass / (300 * unit_mass)"', '"capacity + 1"')},
            "tissue.capacity -> tissue.capacity",
        ),
        (
            {"tissue": TISSUE.replace('"mass / (300 * unit_mass)"', '"gain / loss"')},
            "tissue.capacity -> tissue.gain -> tissue.capacity",
        ),
        (
            {
                "tissue": TISSUE,
                "drug": DRUG.replace("1 - strength * level", "tissue.gain / tissue.loss").replace(
                    "[inputs]", '[uses]\ntissue = ["gain", "loss"]\n[inputs]'
                ),
            },
            "tissue.capacity -> tissue.gain -> tissue.capacity",
        ),
        (
            {"tissue": TISSUE.replace('"death * mass"', '"0.5 * change(waste)"')},
            "change(tissue.waste) -> tissue.loss -> change(tissue.waste)",
        ),
        ({"tissue": TISSUE.replace('"10 * tenth"', '"unit_mass"')}, "tissue.unit_mass -> tissue.unit_mass"),
    ],
    ids=["itself", "two laws", "through a layer", "through a change", "derived"],
)
def test_a_cycle_names_its_members(texts, members, refuse):
    text = refuse(**texts)
    equations = members.split(" -> ")
    turns = [
        " -> ".join([*equations[turn:-1], *equations[:turn], equations[turn]]) for turn in range(len(equations) - 1)
    ]
    assert any(f"these laws need each other: {turn}." in text for turn in turns), text
    assert "algebraic unknown" in text


def test_the_change_of_a_state_is_its_composed_balance(compose):
    speed = READER.replace("[quantities]", '[quantities]\nspeed = "change(tissue.mass)"')
    flat = compose(**STACK | {"reader": speed}).flat
    given = {"tissue.mass": 200.0, "drug.level": 0.5}
    assert values_at(flat, **given)["reader.speed"] == derivatives_at(flat, **given)["tissue.mass"]


def test_a_stack_reads_what_was_asked_for_and_then_the_rooms_of_that(tmp_path):
    text = 'title = "{name}"\nassumed = "test"\n[states]\nx = {{ start = "1", unit = "" }}\n[balance]\nx = ""\n'
    for room in ("old", "new"):
        (tmp_path / room).mkdir()
        for name in ("water", "wine"):
            (tmp_path / room / f"{name}.toml").write_text(text.format(name=f"{name} of {room}"))
    uses = text.format(name="cellar").replace("[states]", '[uses]\nwater = ["x"]\n[states]')
    (tmp_path / "old" / "cellar.toml").write_text(uses)
    files = read_stack([tmp_path / "old" / "cellar.toml", tmp_path / "new" / "water.toml"])
    assert {file.title for file in files} == {"cellar", "water of new"}
    alone = read_stack([tmp_path / "old" / "cellar.toml"])
    assert {file.title for file in alone} == {"cellar", "water of old"}
