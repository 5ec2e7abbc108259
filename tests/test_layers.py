"""Files in any order give the same equations; a layer that is not given changes nothing; nobody edits another file."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from isletsim.checks import alternatives
from isletsim.expressions import Name, names, parse
from isletsim.expressions.evaluate import evaluate
from isletsim.faults import InputError
from isletsim.flat import AMOUNT, TIME, FlatModel
from isletsim.layers import Composition, superpose
from isletsim.library import read_stack
from isletsim.model import read_model
from isletsim.places import find, listing
from isletsim.units import unit

REPOSITORY = Path(__file__).resolve().parent.parent
HEAD = 'title = "{name}"\nassumed = "made for a test"\n'

TISSUE = """
[states]
mass  = { start = "300 mg", symbol = "B" }
waste = { start = "1 mg" }
[parameters]
growth = { value = "0.5 1/day", assumed = "test" }
death  = { value = "0.1 1/day", assumed = "test" }
[quantities]
capacity = "mass / (300 * unit_mass)"
[derived]
unit_mass = "10 * tenth"
[rates]
gain = "growth * mass * capacity"
loss = "death * mass"
[balance]
mass  = "gain - loss"
waste = "loss"
""".replace("[quantities]", 'tenth = { value = "0.1 mg", assumed = "test" }\n[quantities]')

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


@pytest.fixture
def compose(tmp_path):
    """A function that composes texts, given by file name, in the order they are given in."""

    def composer(**texts: str) -> Composition:
        files = []
        for name, text in texts.items():
            path = tmp_path / f"{name}.toml"
            path.write_text(HEAD.format(name=name) + text)
            files.append(read_model(path))
        return superpose(files)

    return composer


@pytest.fixture
def refuse(compose):
    """A function that gives the message of a composition that fails."""

    def refuser(**texts: str) -> str:
        with pytest.raises(InputError) as caught:
            compose(**texts)
        return str(caught.value)

    return refuser


def values_at(flat: FlatModel, **given: float) -> dict[str, float]:
    """Every value of a flat model where states stand at their start, unless given; open names too."""
    known = dict(zip(flat.parameters, flat.values, strict=True)) | {TIME: 0.0} | given
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    for name, tree in zip(flat.states, flat.start, strict=True):
        known[name] = given.get(name, evaluate(tree, known))
    for name, tree in flat.expressions:
        known[name] = evaluate(tree, known)
    return known


def derivatives_at(flat: FlatModel, **given: float) -> dict[str, float]:
    known = values_at(flat, **given)
    return {name: evaluate(tree, known) for name, tree in zip(flat.states, flat.derivatives, strict=True)}


def after(composition: Composition, action: int, amount: float, **given: float) -> dict[str, float]:
    """What an action assigns."""
    known = values_at(composition.flat, **given) | {AMOUNT: amount}
    return {name: evaluate(tree, known) for name, tree in composition.flat.actions[action].assignments}


def unresolved(flat: FlatModel, open_names: Mapping[str, object] | tuple[str, ...] = ()) -> set[str]:
    """Names that nobody defines, or that are read before they are computed."""
    known = set(flat.parameters)
    missing: set[str] = set()
    for name, tree in flat.constants:
        missing |= names(tree) - known
        known.add(name)
    for tree in flat.start:
        missing |= names(tree) - known
    known |= {*flat.states, TIME, *open_names}
    for name, tree in flat.expressions:
        missing |= names(tree) - known
        known.add(name)
    for tree in flat.derivatives:
        missing |= names(tree) - known
    for action in flat.actions:
        for target, tree in action.assignments:
            missing |= (names(tree) - known - {AMOUNT}) | ({target} - {*flat.states, *flat.parameters})
    return missing | (set(flat.outputs) - known)


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
    "published core": [*PUBLISHED_CORE, "msc", "metformin"],
    "own core": [
        path for _, path in listing("model") if {file.path.parent.name for file in read_stack([path])} == {"models"}
    ],
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
    code = "from isletsim.library import compose_stack; import hashlib; c = compose_stack({!r});"
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


def open_names(composition: Composition) -> tuple[str, ...]:
    """Daily summaries: names that a life model reads and a bridge fills."""
    return composition.clocks.up if composition.clocks else ()


@pytest.mark.parametrize(("name", "path"), listing("model"))
def test_every_name_of_every_file_is_defined_before_it_is_read(name, path):
    for files in alternatives([path]):
        composition = superpose(files)
        assert name in composition.files
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
    laws = members.split(" -> ")
    turns = [" -> ".join([*laws[turn:-1], *laws[:turn], laws[turn]]) for turn in range(len(laws) - 1)]
    assert any(f"these laws need each other: {turn}." in text for turn in turns), text
    assert "algebraic unknown" in text


def test_the_change_of_a_state_is_its_composed_balance(compose):
    speed = READER.replace("[quantities]", '[quantities]\nspeed = "change(tissue.mass)"')
    flat = compose(**STACK | {"reader": speed}).flat
    given = {"tissue.mass": 200.0, "drug.level": 0.5}
    assert values_at(flat, **given)["reader.speed"] == derivatives_at(flat, **given)["tissue.mass"]


# --- chains -----------------------------------------------------------------------------------------------------------

CHAIN = """
[states]
cell = { start = "share * class ** 2", unit = "mg", classes = 4 }
dead = { start = "0 mg" }
[parameters]
ageing = { value = "2 1/day", assumed = "test" }
share  = { value = "1 mg", assumed = "test" }
birth  = { value = "3 mg/day", assumed = "test" }
[quantities]
all   = "sum(cell)"
old   = "last(cell)"
ratio = "cell / all"
[rates]
formation = "birth"
step      = "ageing * cell"
[balance]
cell = "previous(step, formation) - step"
dead = "last(step)"
[doses.transfusion]
add = { cell = "ratio" }
multiply = { cell = "0.5" }
"""


def test_a_chain_is_written_out_class_by_class(compose):
    composition = compose(chain=CHAIN)
    flat = composition.flat
    assert flat.states == ("chain.cell[1]", "chain.cell[2]", "chain.cell[3]", "chain.cell[4]", "chain.dead")
    known = values_at(flat)
    assert [known[f"chain.cell[{index}]"] for index in range(1, 5)] == [1.0, 4.0, 9.0, 16.0]
    assert known["chain.all"] == 30.0
    assert known["chain.old"] == 16.0
    assert known["chain.ratio[3]"] == pytest.approx(0.3)
    changes = derivatives_at(flat)
    assert [changes[name] for name in flat.states] == pytest.approx([3 - 2, 2 - 8, 8 - 18, 18 - 32, 32])
    assert composition.symbols["chain.cell"].classes == 4
    assert composition.symbols["chain.step"].classes == 4
    assert composition.symbols["chain.cell[2]"].kind == "state"


def test_a_chain_conserves_what_passes_through_it(compose):
    flat = compose(chain=CHAIN).flat
    given = {f"chain.cell[{index}]": 7.0 / index for index in range(1, 5)}
    assert sum(derivatives_at(flat, **given).values()) == pytest.approx(3.0)


def test_the_first_class_may_begin_with_nothing(compose):
    flat = compose(chain=CHAIN.replace("previous(step, formation)", "previous(step, 0)")).flat
    assert derivatives_at(flat)["chain.cell[1]"] == -2.0


def test_a_port_acts_on_every_class_of_a_chain(compose):
    composition = compose(chain=CHAIN)
    port = composition.ports["chain.transfusion"]
    assert sum(after(composition, port.add, 6.0).values()) == pytest.approx(36.0)
    assert sum(after(composition, port.multiply, 0.0).values()) == pytest.approx(15.0)


def test_a_long_chain_makes_no_tall_tree(compose):
    flat = compose(chain=CHAIN.replace("classes = 4", "classes = 500")).flat
    assert values_at(flat)["chain.all"] == pytest.approx(sum(index**2 for index in range(1, 501)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('dead = "last(step)"', 'dead = "step"', '"chain.step" has 4 classes, and is read as if it had none'),
        ('"last(cell)"', '"last(cell) + 0 * sum(cell)"', ""),
        ('add = { cell = "ratio" }', 'add = { dead = "ratio" }', '"chain.ratio" has 4 classes'),
        ("[doses", '[reports]\nx = "cell"\n[doses', '"chain.cell" has 4 classes'),
        (
            "[doses",
            '[held]\nx = { start = "0 mg", revise = "cell", at = "visit" }\n[doses',
            '"chain.cell" has 4 classes',
        ),
        ("previous(step, formation) - step", "previous(formation, 0) - step", '"chain.formation" has no classes'),
        ("previous(step, formation)", "previous(step, steps)", '"chain.steps"'),
        ('"share * class ** 2"', '"share * cell / cell"', '"chain.cell[1]" changes in time'),
        ('"ageing * cell"', '"ageing * cell * class"', '"class" is not defined in this file.'),
        ('"last(cell)"', '"previous(cell, 0)"', "previous stands in a balance only."),
        ('"last(cell)"', '"last(cell + dead)"', "last takes names"),
        ('"last(cell)"', '"sum(2)"', "sum takes names"),
    ],
)
def test_a_chain_is_not_read_as_a_number(old, new, message, compose, refuse):
    assert old in CHAIN
    text = CHAIN.replace(old, new)
    if message:
        assert message in refuse(chain=text)
    else:
        compose(chain=text)


def test_chains_of_different_lengths_do_not_meet(refuse):
    other = 'short = { start = "1 mg", classes = 3 }\ndead ='
    text = CHAIN.replace("dead =", other, 1).replace("[balance]", '[balance]\nshort = "step"')
    assert '"chain.step" has' not in refuse(chain=text.replace('"step"', '"3"', 1))
    mixed = text.replace('"ageing * cell"', '"ageing * cell * short / share"').replace('short = "step"', 'short = ""')
    assert "mixes chains of 3 and 4 classes." in refuse(chain=mixed)


# --- ports and held values --------------------------------------------------------------------------------------------

PUMP = """
[states]
depot  = { start = "0 nmol" }
memory = { start = "1" }
[parameters]
viability = { value = "0.8", assumed = "test" }
step      = { value = "0.1 U/day", assumed = "test" }
rate      = { value = "1 1/day", assumed = "test" }
[rates]
flow = "rate * depot"
[balance]
depot  = "-flow"
memory = ""
[held]
basal = { start = "2 U/day", revise = "basal + step", at = "visit", about = "titrated" }
meal  = { start = "0 nmol", revise = "depot", at = "bolus" }
[doses.bolus]
unit     = "U"
add      = { depot = "viability" }
multiply = { memory = "0.5", depot = "1 - 0.5 * memory" }
[doses.reset]
multiply = { memory = "0" }
"""


def test_a_port_adds_per_unit_of_the_amount_and_multiplies_without(compose):
    composition = compose(pump=PUMP)
    bolus = composition.ports["pump.bolus"]
    assert bolus.unit == unit("U")
    assert after(composition, bolus.add, 6000.0) == {"pump.depot": pytest.approx(4800.0)}
    known = {"pump.depot": 10.0, "pump.memory": 1.0}
    assert after(composition, bolus.multiply, 99.0, **known) == {"pump.memory": 0.5, "pump.depot": 5.0}
    reset = composition.ports["pump.reset"]
    assert (reset.add, reset.flow) == (-1, "")


def test_an_infusion_is_a_parameter_that_flows_into_the_states(compose):
    composition = compose(pump=PUMP)
    flow = composition.ports["pump.bolus"].flow
    assert flow in composition.flat.parameters
    assert derivatives_at(composition.flat)["pump.depot"] == 0.0
    assert derivatives_at(composition.flat, **{flow: 10.0})["pump.depot"] == pytest.approx(8.0)


def test_held_values_are_revised_at_visits_or_after_a_dose(compose):
    composition = compose(pump=PUMP)
    (visit,) = composition.visits
    assert after(composition, visit, 0.0) == {"pump.basal": pytest.approx(2.1 * 6000)}
    (meal,) = composition.after_port["pump.bolus"]
    assert after(composition, meal, 0.0, **{"pump.depot": 3.0}) == {"pump.meal": 3.0}
    assert "pump.basal" in composition.flat.parameters


# --- dimensions in every place ----------------------------------------------------------------------------------------

EVERYTHING = """
[uses]
tissue = ["mass", "waste"]
[inputs]
level = { default = "0 mg/L" }
[states]
pool = { start = "2 * first", unit = "mg" }
[parameters]
first = { value = "1 mg", assumed = "test" }
pace  = { value = "1 1/day", assumed = "test" }
span  = { value = "2 day", assumed = "test" }
half  = { value = "3 mg/L", assumed = "test" }
data  = { table = [[0, 1], [1, 2]], units = ["day", "mg"], assumed = "test" }
[derived]
twice = { law = "2 * first", unit = "mg" }
[quantities]
ratio  = "hill(level, half, 2)"
smooth = "softplus(pool - first, first)"
switch = "where(pool > first and time < span, pool, first)"
given  = "table(time, data)"
power  = "pool ** 2 / first"
root   = "sqrt(pool * first)"
grown  = "first * exp(pace * time)"
phase  = "mod(time, span)"
speed  = { law = "change(pool)", unit = "mg/day" }
[rates]
flow = { law = "pace * (pool + first)", unit = "mg/day" }
[balance]
pool = "flow"
[solve]
free = { start = "1 mg", residual = "free - pool" }
[adds]
tissue.capacity = "ratio"
tissue.waste    = "flow"
[scales]
tissue.loss = "1 + ratio"
[doses.port]
unit     = "mg"
add      = { pool = "1" }
multiply = { pool = "ratio" }
[held]
kept = { start = "0 mg", revise = "kept + pool", at = "visit" }
[reports]
whole = { value = "pool", unit = "g" }
"""

WRONG = [
    ('"2 * first"', '"2 * pace"', "2 * pace is 1/[time]. The start of pool is [mass]."),
    ('law = "2 * first", unit = "mg"', 'law = "2 * first", unit = "day"', "the law is [mass]; the unit day is [time]."),
    ('"hill(level, half, 2)"', '"hill(level, first, 2)"', "level is [mass]/[length]**3, first is [mass]."),
    ('"hill(level, half, 2)"', '"hill(level, half, span)"', "span is [time]. The exponent of hill is a pure number."),
    ('"softplus(pool - first, first)"', '"softplus(pool, span)"', "pool is [mass], span is [time]."),
    ("where(pool > first and", "where(pool > span and", "pool is [mass], span is [time]."),
    ("time < span, pool, first)", "time < span, pool, span)", "pool is [mass], span is [time]."),
    ("time < span", "time < 5", "time is [time], 5 is a pure number."),
    ('"table(time, data)"', '"table(pool, data)"', "the data run over [time], not over [mass]."),
    ('"table(time, data)"', '"table(time, first)"', '"first" holds no data.'),
    ('"table(time, data)"', '"data"', '"other.data" holds data, not a number.'),
    ('"pool ** 2 / first"', '"pool ** ratio / first"', "only a literal number may be its exponent"),
    ('"pool ** 2 / first"', '"2 ** pool * first"', "pool is [mass]. An exponent is a pure number."),
    ('"sqrt(pool * first)"', '"sqrt(pool) + first"', "sqrt(pool) is [mass]**0.5, first is [mass]."),
    ('"first * exp(pace * time)"', '"first * exp(time)"', "time is [time]. exp takes a pure number."),
    ('"mod(time, span)"', '"mod(time, first)"', "time is [time], first is [mass]."),
    (
        '"change(pool)", unit = "mg/day"',
        '"change(pool)", unit = "mg"',
        "the law is [mass]/[time]; the unit mg is [mass].",
    ),
    ('"change(pool)", unit', '"change(first)", unit', '"first" is not a state.'),
    ('"pace * (pool + first)"', '"pace * (pool + span)"', "pool is [mass], span is [time]."),
    ('"pace * (pool + first)"', '"pace * (pool + 1)"', "pool is [mass], 1 is a pure number."),
    ('pool = "flow"', 'pool = "given"', "given is [mass]; what changes other.pool is [mass]/[time]."),
    ('pool = "flow"', 'pool = "first"', '"first" is a parameter; a balance is a sum of rates.'),
    ('pool = "flow"', 'pool = "time"', '"time" is a clock; a balance is a sum of rates.'),
    ('"free - pool"', '"free - span"', "free is [mass], span is [time]."),
    (
        'tissue.capacity = "ratio"',
        'tissue.capacity = "pool"',
        "pool is [mass]. What joins tissue.capacity is a pure number.",
    ),
    ('tissue.waste    = "flow"', 'tissue.waste    = "given"', "given is [mass]; what changes tissue.waste is"),
    ('"1 + ratio"', '"1 + pool"', "1 is a pure number, pool is [mass]."),
    ('"1 + ratio"', '"pool"', "pool is [mass]. A scale must be a pure number."),
    ('add      = { pool = "1" }', 'add      = { pool = "pace" }', "so the amount is [mass]*[time], not [mass]."),
    (
        'multiply = { pool = "ratio" }',
        'multiply = { pool = "first" }',
        "first is [mass]. A multiplier is a pure number.",
    ),
    ('"kept + pool"', '"pace * pool"', "pace * pool is [mass]/[time]. kept is [mass]."),
    ('value = "pool", unit = "g"', 'value = "pool", unit = "mmol"', "whole is shown in mmol."),
    ('value = "pool", unit = "g"', 'value = "pool + 1"', "pool is [mass], 1 is a pure number."),
    (
        '"2 * first", unit = "mg" }\n[param',
        '"2 * time / time * first", unit = "mg" }\n[param',
        '"time" changes in time',
    ),
    ('"2 * first", unit = "mg" }\n[param', '"ratio * first", unit = "mg" }\n[param', '"other.ratio" changes in time'),
    ('law = "2 * first"', 'law = "pool"', '"other.pool" changes in time'),
    ('law = "2 * first"', 'law = "first * level / half"', ""),
]


def test_a_file_with_everything_is_composed(compose):
    composition = compose(tissue=TISSUE, other=EVERYTHING)
    assert not unresolved(composition.flat)
    known = values_at(composition.flat, **{"other.level": 3.0, TIME: 1.0})
    assert known["other.ratio"] == 0.5
    assert known["other.given"] == 2.0
    assert known["other.twice"] == known["other.pool"] == 2.0
    assert known["other.speed"] == known["other.flow"] == 3.0
    assert known["report.whole"] == 2.0


@pytest.mark.parametrize(("old", "new", "message"), [case for case in WRONG if case[2]])
def test_a_wrong_dimension_is_found_wherever_it_stands(old, new, message, refuse):
    assert old in EVERYTHING
    assert message in refuse(tissue=TISSUE, other=EVERYTHING.replace(old, new, 1))


def test_the_wrong_piece_of_a_law_is_pointed_at(refuse):
    text = refuse(tissue=TISSUE, other=EVERYTHING.replace('"1 + ratio"', '"1 + pool * 2"'))
    place, caret, message = text.splitlines()[:3]
    assert place.endswith('[scales] tissue.loss = "1 + pool * 2"')
    assert place[caret.index("^") : caret.rindex("^") + 1] == "pool * 2"
    assert message == "1 is a pure number, pool * 2 is [mass]."


def test_an_input_may_be_given_before_anything_is_computed(compose):
    old, new, _ = WRONG[-1]
    assert values_at(compose(tissue=TISSUE, other=EVERYTHING.replace(old, new, 1)).flat)["other.twice"] == 0.0


def test_a_literal_zero_has_every_dimension(compose):
    composition = compose(tissue=TISSUE, other=EVERYTHING.replace("pace * (pool + first)", "max(pace * pool, 0)"))
    assert values_at(composition.flat)["other.flow"] == 2.0


def test_an_entry_may_be_asked_for_as_output_and_a_stranger_not(tmp_path):
    files = read_stack([find("model", "topp2000")])
    found = superpose(files, outputs=["topp2000.secretion"])
    assert found.flat.outputs == ("topp2000.secretion", *(symbol.name for symbol in found.reports.values()))
    with pytest.raises(InputError, match=r'Did you mean "topp2000\.secretion"'):
        superpose(files, outputs=["topp2000.secretoin"])


def test_a_start_may_follow_from_what_is_derived(compose):
    text = TISSUE.replace('start = "1 mg"', 'start = "unit_mass", unit = "mg"')
    flat = compose(tissue=text).flat
    assert flat.start[1] == Name("tissue.unit_mass")
    assert values_at(flat)["tissue.waste"] == pytest.approx(1.0)
