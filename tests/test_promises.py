"""The three promises of layers and the conservation of matter, over every file in models/.

The order of layers never matters; a layer at zero dose leaves the core as it was; no layer edits another file.
"""

import random
import tomllib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from isletsim.codegen import compile_model, reference
from isletsim.codegen.evaluate_at import derivatives
from isletsim.composition import superpose
from isletsim.data_files import find, listing
from isletsim.flat import TIME
from isletsim.language import evaluate, names, read_model
from isletsim.study.check import alternatives

MODELS = dict(
    listing("model")
)  # two rooms may have files of one name: by "day/insulin" and "insulin" they are told apart
KEYS = {path.resolve(): name for name, path in MODELS.items()}
POINTS = 3  # random states at which right-hand sides are compared


@cache
def _file(name):
    return read_model(MODELS[name])


@cache
def stacks(name):
    """The stacks of files a file can stand in, by name."""
    return [tuple(sorted(KEYS[file.path.resolve()] for file in stack)) for stack in alternatives([name])]


def stem(name):
    """The name that other files of a stack know a file by."""
    return name.rpartition("/")[2]


@cache
def composed(stack):
    return superpose([_file(name) for name in stack])


def _tables(kind):
    return [tomllib.loads(path.read_text(encoding="utf-8")) for _, path in listing(kind)]


def _core():
    """The files that some study or patient takes for its core; all other files that act on something are layers."""
    cores = {name for kind in ("scenario", "patient") for table in _tables(kind) for name in table.get("core", ())}
    return {KEYS[find("model", name).resolve()] for name in cores}


def acting(name):
    return bool(_file(name).adds or _file(name).scales)


LAYERS = [name for name in MODELS if acting(name) and name not in _core() and MODELS[name].parent.name != "published"]
each_model = pytest.mark.parametrize("name", MODELS)


def bare(stack, layer):
    """A stack without a layer and without what reads it or acts on it."""
    gone, before = {layer}, set()
    while gone != before:
        before = set(gone)
        for name in stack:
            targets = {target.partition(".")[0] for target, _ in (*_file(name).adds, *_file(name).scales)}
            if {stem(each) for each in gone} & (set(_file(name).uses) | targets):
                gone.add(name)
    return tuple(name for name in stack if name not in gone)


# --- order ------------------------------------------------------------------------------------------------------------


@each_model
def test_the_order_of_layers_never_matters(name):
    for stack in stacks(name):
        files = [_file(each) for each in stack]
        random.Random(name).shuffle(files)
        assert superpose(files) == composed(stack)


# --- no layer edits another file --------------------------------------------------------------------------------------


@each_model
def test_no_layer_edits_another_file(name):
    for stack in stacks(name):
        rest = bare(stack, name)
        if not acting(name) or not rest:
            continue
        alone, together = composed(rest), composed(stack)
        for each, symbol in alone.symbols.items():
            assert together.symbols[each] == symbol
        starts = dict(zip(together.flat.states, together.flat.start, strict=True))
        assert all(starts[state] == tree for state, tree in zip(alone.flat.states, alone.flat.start, strict=True))
        constants = dict(together.flat.constants)
        assert all(constants[each] == tree for each, tree in alone.flat.constants)
        assert superpose([_file(each) for each in rest]) == alone  # and the records of the files are as they were


# --- zero dose --------------------------------------------------------------------------------------------------------


def opened(flat):
    """A flat model in which daily summaries are parameters, so that day and life can be evaluated together."""
    known = {*flat.states, *flat.parameters, *(name for name, _ in (*flat.constants, *flat.expressions)), TIME}
    trees = [tree for _, tree in (*flat.constants, *flat.expressions)] + [*flat.derivatives, *flat.start]
    missing = sorted({name for tree in trees for name in names(tree)} - known)
    values = (*flat.values, *(random.Random(name).uniform(0.5, 2.0) for name in missing))
    return replace(flat, parameters=(*flat.parameters, *missing), values=values, actions=(), outputs=())


@cache
def machine(stack):
    """A stack as machine code and as its reference, with the model's own start."""
    flat = opened(composed(stack).flat)
    known = dict(zip(flat.parameters, flat.values, strict=True))
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    start = {state: evaluate(tree, known) for state, tree in zip(flat.states, flat.start, strict=True)}
    return flat, compile_model(flat), reference(flat), start


def rates(stack, core, point):
    """dy/dt of the states of a core by name, natively and by the reference, at a point near the start.

    Only the core moves; everything else stands at its own start, which is zero dose.
    """
    flat, native, plain, start = machine(stack)
    state = np.empty(len(flat.states))
    for index, (name, scale) in enumerate(zip(flat.states, flat.scale, strict=True)):
        drawn = random.Random(f"{name} {point}")
        moved = start[name] * drawn.lognormvariate(0.0, 0.3) + (0.2 * scale * drawn.random() if not start[name] else 0)
        state[index] = moved if name in core else start[name]
    parameters = np.array(flat.values)
    native_rates = derivatives(native, 0.3, state, parameters)
    padded = np.zeros(plain.width)
    padded[: len(parameters)] = parameters
    plain.prepare(padded)
    plain_rates = np.empty(len(flat.states))
    plain.rhs(0.3, state, padded, plain_rates)
    chosen = [index for index, name in enumerate(flat.states) if name in core]
    order = [flat.states[index] for index in chosen]
    return order, native_rates[chosen], plain_rates[chosen]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_at_zero_dose_leaves_the_core_as_it_was(name):
    for stack in stacks(name):
        rest = bare(stack, name)
        core = set(composed(rest).flat.states)
        assert core, "a layer acts on something"
        for point in range(POINTS):
            order, native_alone, plain_alone = rates(rest, core, point)
            same, native, plain = rates(stack, core, point)
            assert order == same
            assert np.isfinite(native).all()
            np.testing.assert_allclose(native, native_alone, rtol=1e-12)
            np.testing.assert_allclose(plain, plain_alone, rtol=1e-12)
            np.testing.assert_allclose(native, plain, rtol=1e-9, atol=1e-12 * np.abs(plain).max())


# --- every pair of layers ---------------------------------------------------------------------------------------------


def together(name, other):
    """The stacks in which two layers stand together on one core; none where their cores share nothing."""
    return [
        tuple(sorted({*stack, *beside}))
        for stack in stacks(name)
        for beside in stacks(other)
        if set(stack) & set(beside) & _core()
        and len({stem(each) for each in {*stack, *beside}}) == len({*stack, *beside})
    ]


def without(stack, layer):
    """A stack without a layer and without what needs it; what only acts on it stays."""
    gone, before = {layer}, set()
    while gone != before:
        before = set(gone)
        gone |= {name for name in stack if {stem(each) for each in gone} & set(_file(name).uses)}
    return tuple(name for name in stack if name not in gone)


@cache
def plain_machine(stack):
    """A stack by its reference alone, with the model's own start."""
    flat = opened(composed(stack).flat)
    known = dict(zip(flat.parameters, flat.values, strict=True))
    for name, tree in flat.constants:
        known[name] = evaluate(tree, known)
    start = [evaluate(tree, known) for tree in flat.start]
    return flat, reference(flat), start


def plain_rates(stack, still):
    """dy/dt by name at a point where everything is moved, doses given and courses open, except in one layer."""
    flat, plain, start = plain_machine(stack)
    owners = {stem(each): each for each in stack}
    state = np.array(start)
    for index, (name, scale) in enumerate(zip(flat.states, flat.scale, strict=True)):
        drawn = random.Random(name)
        if name.partition(".")[0] != stem(still):
            state[index] = (
                start[index] * drawn.lognormvariate(0.0, 0.3) if start[index] else 0.2 * scale * drawn.random()
            )
    padded = np.zeros(plain.width)
    padded[: len(flat.values)] = flat.values
    for place, name in enumerate(flat.parameters):
        file, _, key = name.partition(".")
        owner = owners.get(file, "")
        entry = _file(owner).entries.get(key) if owner else None
        if entry is not None and entry.kind == "input" and owner in LAYERS and owner != still:
            padded[place] += 0.5
    plain.prepare(padded)
    found = np.empty(len(flat.states))
    plain.rhs(0.3, state, padded, found)
    return dict(zip(flat.states, found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_any_two_layers_come_in_either_order_and_either_is_neutral_beside_the_other_at_work(name):
    met = 0
    for other in LAYERS:
        for stack in together(name, other) if other != name else ():
            met += 1
            files = [_file(each) for each in stack]
            assert name > other or superpose(files[::-1]) == composed(stack)
            found = plain_rates(stack, still=name)
            alone = plain_rates(without(stack, name), still=name)
            assert np.isfinite(list(found.values())).all()
            for state, rate in alone.items():
                assert found[state] == pytest.approx(rate, rel=1e-12, abs=1e-300), f"{state}, beside {other}"
    assert met or len(LAYERS) < 2 or name == "msc_published"  # which has a core of its own, with one other drug


# --- matter -----------------------------------------------------------------------------------------------------------


@each_model
def test_a_flux_that_leaves_one_balance_and_enters_another_is_one_and_the_same(name):
    # Whatever therapies add or scale, they do it to the flux and not to one of its ends.
    for stack in stacks(name):
        flat = composed(stack).flat
        fluxes = {each for each, _ in flat.expressions}
        known = {each: random.Random(each).uniform(0.5, 2.0) for each in (*flat.states, *flat.parameters, *fluxes)}
        known |= {each: 1.0 for tree in flat.derivatives for each in names(tree) if each not in known}
        known |= {port.flow: 0.0 for port in composed(stack).ports.values()}  # an infusion enters from outside
        current = {}
        for state, tree in zip(flat.states, flat.derivatives, strict=True):
            if flat.algebraic[flat.states.index(state)]:
                continue
            before = evaluate(tree, known)
            for flux in names(tree) & fluxes:
                change = evaluate(tree, known | {flux: known[flux] + 1.0}) - before
                if change:
                    current.setdefault(flux, []).append(change)
        for flux, changes in current.items():
            whole = [round(abs(change)) for change in changes]
            assert [abs(change) for change in changes] == pytest.approx(whole, abs=1e-9), flux
