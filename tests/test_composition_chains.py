"""What stands in a file on its own after composition: chains, ports, held values, and the dimension of every law."""

import pytest
from small_stacks import TISSUE, after, derivatives_at, unresolved, values_at

from isletsim.composition import superpose
from isletsim.composition.model_library import read_stack
from isletsim.data_files import find
from isletsim.errors import InputError
from isletsim.flat import TIME
from isletsim.language import Name
from isletsim.units import unit

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
