"""Every file in models/, on arrival: it composes, every number has a reason, and what claims to be at rest stays so."""

import math
from functools import cache

import numpy as np
import pytest

import isletsim
from isletsim.bibliography import read
from isletsim.codegen.evaluate_at import derivatives
from isletsim.composition import superpose
from isletsim.data_files import KINDS, listing
from isletsim.language import evaluate, read_model
from isletsim.study.check import alternatives, check_file

MODELS = [name for name, _ in listing("model")]
each_model = pytest.mark.parametrize("name", MODELS)
OTHERS = [(kind, name) for kind in KINDS if kind not in ("model", "scenario") for name, _ in listing(kind)]

# These say in their files that their own start is a rest. A file that is found at rest besides is held to it too.
AT_REST = {
    *("dallaman2007", "dwivedi2014", "dwivedi2014_surrogate", "hba1c_chain", "hovorka2004", "topp2000"),
    *("hillmcmanus2018", "uva_padova2008", "vancauter1992", "yildirim2023"),
}


@cache
def file(name):
    return read_model(dict(listing("model"))[name])


@cache
def compositions(name):
    """A file in every stack that it can stand in."""
    return [superpose(stack) for stack in alternatives([name])]


@each_model
def test_it_composes_with_its_surroundings(name):
    assert compositions(name)


@pytest.mark.parametrize(("kind", "name"), OTHERS)
def test_every_patient_and_every_test_fits_its_models(kind, name):
    check_file(kind, dict(listing(kind))[name])


@each_model
def test_every_number_has_a_source_or_a_reason(name):
    known = read()
    model = file(name)
    assert model.source in known or len(model.assumed) > 3
    for entry in model.entries.values():
        note = entry.note
        assert not note.source or note.source in known, f"{entry.name} cites {note.source}"
        if entry.kind == "parameter":
            assert note.source or len(note.assumed) > 3, f"{entry.name} has neither source nor reason"


@each_model
def test_every_state_has_a_balance(name):
    model = file(name)
    states = {entry.name for entry in model.entries.values() if entry.kind == "state"}
    assert states == set(model.balance)


@each_model
def test_every_range_holds_its_value(name):
    for entry in file(name).entries.values():
        for spread in (entry.varies, entry.uncertain):
            if spread is not None and entry.value is not None:
                assert spread.low < entry.value < spread.high, entry.name


@each_model
def test_what_people_read_says_what_it_is(name):
    model = file(name)
    assert len(model.title) > 3
    for entry in model.entries.values():
        assert entry.note.about == entry.note.about.strip()
    for port in model.ports.values():
        assert port.about, f"port {port.name} says not what it is"


@each_model
def test_every_start_is_a_number(name):
    for composition in compositions(name):
        flat = composition.flat
        known = dict(zip(flat.parameters, flat.values, strict=True))
        for constant, tree in flat.constants:
            known[constant] = evaluate(tree, known)
            assert math.isfinite(known[constant]), constant
        for state, tree in zip(flat.states, flat.start, strict=True):
            assert math.isfinite(evaluate(tree, known)), state


# --- rest -------------------------------------------------------------------------------------------------------------


@each_model
def test_what_is_at_rest_stays_at_rest(name):
    if any(composition.clocks is not None or not composition.flat.states for composition in compositions(name)):
        assert name not in AT_REST
        return
    model = isletsim.load_model(name)
    flat = model.composition.flat
    parameters, state = model.start()
    size = np.maximum(np.abs(state), np.array(flat.scale))
    moving = np.abs(derivatives(model.compiled, 0.0, state, parameters)) / size
    resting = bool(np.all(moving < 1e-9))  # of its size a day
    assert resting or name not in AT_REST, f"{flat.states[int(moving.argmax())]} moves"
    if resting:
        run = model.simulate(until="30 day", save="10 day")
        assert np.all(np.abs(run.states - state) <= 1e-4 * size)
