"""The benchmarks: what they compare is right. How fast anything is, is never asked here."""

from __future__ import annotations

import json
import math
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import compare, history
from benchmarks.equations import NumbaFunctions, sbml_text, short_name
from benchmarks.flagship import file_problem, file_reference
from benchmarks.measure import Point, at_error, median_point
from benchmarks.peers import PEERS
from benchmarks.peers.own import Api, Solver
from benchmarks.peers.report import digest, table
from benchmarks.problems import PROBLEMS, problem
from isletsim.codegen import compile_model, reference
from isletsim.codegen.evaluate_at import derivatives, observe

each_problem = pytest.mark.parametrize("name", PROBLEMS)


def points(*pairs: tuple[float, float]) -> list[Point]:
    """Points of falling tolerance: cost and error."""
    return [Point(10.0 ** -(3 + number), cost, error) for number, (cost, error) in enumerate(pairs)]


def test_equal_error_is_interpolated_in_logarithms():
    cost, enclosed = at_error(points((1.0, 1e-4), (4.0, 1e-6)))
    assert cost == pytest.approx(2.0)
    assert enclosed


def test_a_lucky_point_does_not_count():
    cost, _ = at_error(points((1.0, 1e-6), (2.0, 1e-4), (8.0, 1e-6)))
    assert cost == pytest.approx(4.0)


def test_an_error_beyond_the_points_is_extrapolated_and_says_so():
    cost, enclosed = at_error(points((1.0, 1e-2), (2.0, 1e-4)))
    assert cost == pytest.approx(2.0 * math.sqrt(2.0))
    assert not enclosed


def test_who_is_always_good_enough_costs_as_little_as_it_can():
    assert at_error(points((3.0, 1e-9), (2.0, 1e-10))) == (2.0, True)
    assert math.isnan(at_error([])[0])


def test_a_median_tells_its_spread():
    point = median_point(1e-6, [1.0, 2.0, 3.0, 2.0, 2.0], 1e-7)
    assert (point.seconds, point.rounds) == (2.0, 5)
    assert 0 < point.spread < 0.6


@each_problem
def test_the_output_of_the_ensemble_is_the_sum_of_the_observed_states(name):
    given = problem(name)
    state = np.random.default_rng(1).uniform(1.0, 2.0, len(given.start))
    (output,) = observe(compile_model(given.flat), 0.0, state, given.parameters)
    assert output == pytest.approx(state[list(given.observed)].sum(), rel=1e-14)


@each_problem
def test_people_differ_in_the_varied_parameters_only_and_keep_the_mean(name):
    given = problem(name)
    rows = given.draws(4000)
    assert np.array_equal(rows[:10], given.draws(10))
    assert (rows[:, given.varied :] == given.parameters[given.varied :]).all()
    assert rows.mean(axis=0) == pytest.approx(given.parameters, rel=0.02)
    assert rows[:, 0].std() == pytest.approx(0.2 * given.parameters[0], rel=0.1)


@each_problem
def test_numba_peers_solve_the_same_equations(name):
    given = problem(name)
    functions, plain = NumbaFunctions(given.flat), reference(given.flat)
    state = given.start * 1.1 + 0.1
    p = functions.prepared(given.parameters)
    found, expected = np.zeros(len(state)), np.zeros(len(state))
    functions.rhs(0.3, state, p, found)
    plain.rhs(0.3, state, p, expected)
    assert found == pytest.approx(expected, rel=1e-12)
    matrix = np.zeros((len(state), len(state)))
    functions.dense(0.3, state, p, matrix)
    assert matrix == pytest.approx(plain.dense(0.3, state, p), rel=1e-12, abs=1e-12)


@each_problem
def test_peers_that_read_sbml_solve_the_same_equations(name, tmp_path):
    pytest.importorskip("libsbml")
    from isletsim import load_model

    given = problem(name)
    path = tmp_path / "model.xml"
    path.write_text(sbml_text(given))
    read = load_model(path)
    trajectory = read.simulate(until=2.0, save=[0.5, 1.0, 2.0], rtol=1e-9)
    run = Solver().single(given)
    assert run is not None
    exact = np.asarray(run(1e-9))
    row = int(np.searchsorted(given.save, 2.0))
    found = np.array([trajectory[short_name(each)][-1] for each in given.flat.states])
    assert found == pytest.approx(exact[row], rel=1e-6, abs=1e-9)


@each_problem
def test_what_a_user_types_gives_what_the_solver_gives(name):
    given = problem(name)
    api, solver = Api().single(given), Solver().single(given)
    assert api is not None
    assert solver is not None
    assert given.single_error(np.asarray(api(1e-7)), np.asarray(solver(1e-9))) < 1e-5


def test_the_flagship_as_a_file_is_solved_within_the_tolerance(tmp_path):
    pytest.importorskip("libsbml")
    given = file_problem("flagship")
    assert not np.isin(np.round(given.save[1:-1] * 24.0, 9) % 1.0, 0.0).any()  # no record where a meal may fall
    exact, found = file_reference(given, tmp_path, 1e-9), Api().file(given)(1e-6)
    assert isinstance(found, np.ndarray)
    assert found.shape == (len(given.save), len(given.states))
    assert given.single_error(found, exact) < 1e-3


def test_lanes_and_the_single_run_agree_on_the_output():
    given = problem("invented27")
    run = Solver().ensemble(given, given.draws(9))
    assert run is not None
    first = run(1e-9)
    assert isinstance(first, np.ndarray)
    assert first.shape == (9, 121)
    assert given.ensemble_error(np.asarray(run(1e-6)), first) < 1e-6


def test_invented_equations_have_the_rates_they_were_invented_for():
    given = problem("invented27")
    compiled = compile_model(given.flat)
    assert (compiled.states, compiled.nonzeros, compiled.roots) == (27, 92, 0)
    slopes = derivatives(compiled, 0.0, given.start, given.parameters)
    assert np.isfinite(slopes).all()
    assert given.doses[0] == 30.5
    assert len(given.doses) == 12


MEASUREMENT: dict[str, Any] = {
    "made": "2026-01-01T00:00:00+00:00",
    "commit": "abc",
    "machine": {"processor": "p", "kind": "k", "vectors": "AVX2", "cores": 2, "system": "s", "python": "3"},
    "settings": {"rounds": 5},
    "reference": {"topp2000": 1e-11},
    "versions": {"isletsim solver": {"numpy": "2"}, "scipy odeint": {"scipy": "1"}},
    "absent": {"AMICI": "ImportError: no module"},
    "single": {
        "topp2000": {
            "points": {
                "isletsim solver": [point.plain() for point in points((1e-4, 1e-4), (2e-4, 1e-6))],
                "scipy odeint": [point.plain() for point in points((1e-3, 1e-4), (2e-3, 1e-6))],
            },
            "gaps": {},
        }
    },
    "ensemble": {},
    "cold": {"topp2000": {"isletsim, model seen": {"seconds": 0.3, "megabytes": 90.0}}},
}


def test_the_table_tells_the_ratio_and_what_is_missing():
    text = table(MEASUREMENT)
    assert "| scipy odeint | 1 / 1e-04 | 2 / 1e-06 | 1.41 | 10 |" in text
    assert "Not measured: AMICI" in text
    assert "0.30 / 90" in text


def test_the_digest_tells_the_ratios_at_equal_error():
    assert "| scipy odeint | 10 |" in digest(MEASUREMENT)
    assert "isletsim solver" not in digest(MEASUREMENT)


def test_a_slower_measurement_fails_and_noise_does_not(tmp_path, monkeypatch, capsys):
    slower, noisy, inexact = (deepcopy(MEASUREMENT) for _ in range(3))
    for each, factor in ((slower, 1.5), (noisy, 1.05)):
        for point in each["single"]["topp2000"]["points"]["isletsim solver"]:
            point["seconds"] *= factor
    for point in inexact["single"]["topp2000"]["points"]["isletsim solver"]:
        point["error"] *= 3
    answers = {}
    for name, data in (("old", MEASUREMENT), ("slower", slower), ("noisy", noisy), ("inexact", inexact)):
        (tmp_path / name).write_text(json.dumps(data))
        monkeypatch.setattr("sys.argv", ["compare", str(tmp_path / "old"), str(tmp_path / name)])
        answers[name] = compare.main()
    assert answers == {"old": 0, "slower": 1, "noisy": 0, "inexact": 1}
    assert "WORSE" in capsys.readouterr().out


def test_measurements_of_two_machines_are_compared_beside_the_best_peer():
    other = deepcopy(MEASUREMENT)
    other["machine"]["processor"] = "another"
    for listed in other["single"]["topp2000"]["points"].values():
        for point in listed:
            point["seconds"] *= 3
    assert not any(change.worse for change in compare.changes(MEASUREMENT, other))


def test_the_history_is_stored_by_day_and_commit_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "FOLDER", tmp_path / "measured")
    assert history.add(MEASUREMENT).name == "2026-01-01-abc.json"
    assert [each["commit"] for each in history.stored()] == ["abc"]
    history.draw(history.stored(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_every_peer_has_a_module():
    for place in PEERS.values():
        module, _, factory = place.partition(":")
        text = (Path(history.__file__).parent / "peers" / f"{module}.py").read_text(encoding="utf-8")
        assert f"class {factory}" in text
