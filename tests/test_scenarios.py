"""Every file in scenarios/ runs, and its key numbers are those that were stored."""

import json

import baselines
import numpy as np
import pytest

from isletsim.data_files import listing

STUDIES = [name for name, _ in listing("scenario")]
SAME, OTHER = 1e-6, 2e-3  # on the processor that stored the baseline, and on another
COMMAND = "If this is on purpose: python -m tests.baselines {name}, and a line in CHANGELOG.md"


@pytest.fixture(scope="module", params=STUDIES)
def study(request):
    return request.param, baselines.short_run(request.param)


def test_it_runs_to_its_end_and_says_how(study, tmp_path):
    name, result = study
    assert result.failures == ()
    assert np.isfinite(result.values[:, :, -1]).any(axis=-1).all()
    paths = result.write(tmp_path, figures=False)
    assert {path.name for path in paths} == {"results.csv", "summary.json", "run.json"}
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["scenario"] == name
    assert record["inputs"]
    assert 0 <= record["assumed"]["share"] <= 1
    assert name in result.table()


def test_its_key_numbers_are_those_that_were_stored(study):
    name, result = study
    stored, told = baselines.read(name), COMMAND.format(name=name)
    assert stored, f"there is no baseline. {told}"
    tolerance = SAME if stored["processor"] == baselines.processor() else OTHER
    found = baselines.key_numbers(result)
    assert _shape(found) == _shape(stored["numbers"]), told
    for arm, variables in stored["numbers"].items():
        for variable, numbers in variables.items():
            size = max(abs(value) for each in found.values() for value in each[variable].values())
            wrong = {
                at: (value, found[arm][variable][at])
                for at, value in numbers.items()
                if not abs(found[arm][variable][at] - value) <= tolerance * max(abs(value), 1e-3 * size) + 1e-12
            }
            assert not wrong, f"{arm}, {variable}: {wrong}. {told}"


def _shape(numbers):
    return {arm: {name: list(entry) for name, entry in variables.items()} for arm, variables in numbers.items()}


def test_every_baseline_belongs_to_a_study():
    assert {path.stem for path in baselines.FOLDER.glob("*.json")} <= set(STUDIES)
