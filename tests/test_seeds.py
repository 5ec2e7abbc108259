"""The evidence in seeds/: it reads whole, hangs together, speaks in our words; every row is held or says why not."""

import re
import shutil

import pytest

from isletsim.bibliography import everything, read
from isletsim.data_files import data_folder, find, listing
from isletsim.errors import InputError
from isletsim.evidence import concerning, interval, read_evidence, read_flags
from isletsim.evidence.experiments import read_experiments
from isletsim.language import names
from isletsim.statistics import exact_share
from isletsim.study import load_scenario
from isletsim.validation import read_checks
from isletsim.validation.run import without_check

SEEDS = data_folder("seeds")
# What was looked at while the first composite was made: these rows are neither calibration nor prediction.
SEEN = {"T031", "T033", "T096", "T099", "T103", "T152", "T153"}
# What the issues name as to be reached.
ISSUE_3 = (
    "T001",
    "T002",
    "T007",
    "T008",
    "T013",
    "T020",
    "T022",
    "T035",
    "T050",
    "T051",
    "T052",
    "T053",
    "T054",
    "T057",
    "T058",
    "T059",
    "T063",
    "T071",
    "T072",
    "T073",
    "T270",
    "T271",
    "T272",
    "T273",
    "T274",
    "T275",
)
ISSUE_4 = (
    "T030",
    "T032",
    "T091",
    "T092",
    "T093",
    "T095",
    "T097",
    "T098",
    "T120",
    "T121",
    "T122",
    "T123",
    "T124",
    "T125",
    "T126",
    "T136",
    "T137",
    "T151",
    "T180",
    "T181",
    "T183",
    "T185",
    "T186",
    "T194",
    "T221",
    "T221b",
    "T222",
    "T223",
    "T270",
    "T271",
    "T272",
    "T273",
    "T274",
    "T275",
)


@pytest.fixture(scope="module")
def evidence():
    return read_evidence()


@pytest.fixture(scope="module")
def checks():
    return read_checks()


@pytest.fixture
def copied(tmp_path):
    folder = tmp_path / "seeds"
    shutil.copytree(SEEDS, folder)
    return folder


def broken(folder, file, old, new):
    """The faults of the evidence after one edit."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_evidence(folder)
    return str(raised.value)


def test_every_row_of_the_evidence_reads(evidence):
    assert len(evidence.targets) >= 175
    assert all(target.values for target in evidence.targets.values())


def test_claims_and_flags_are_numbered_without_a_gap(evidence):
    assert list(evidence.claims) == [f"C{number:03}" for number in range(1, len(evidence.claims) + 1)]
    assert list(evidence.flags) == [f"F{number:02}" for number in range(1, len(evidence.flags) + 1)]
    assert (len(evidence.claims), len(evidence.flags)) >= (160, 37)


def test_rows_that_were_seen_early_count_as_neither(evidence):
    assert {name for name, target in evidence.targets.items() if target.use == "seen"} == SEEN


@pytest.mark.parametrize(("issue", "rows"), [(3, ISSUE_3), (4, ISSUE_4)])
def test_rows_that_an_issue_names_are_to_be_reached_and_say_which(evidence, issue, rows):
    for name in rows:
        assert evidence.targets[name].use == "cal", name
        assert issue in evidence.targets[name].issues, name


def test_what_is_recalled_is_never_calibrated_nor_predicted(evidence):
    recalled = [target for target in evidence.targets.values() if target.mark == "memory"]
    assert recalled
    assert {target.use for target in recalled} <= {"context", "seen"}


def test_every_source_of_the_evidence_is_known_and_used(evidence):
    cited = {source for target in evidence.targets.values() for source in target.sources}
    cited |= {source for row in read_experiments().rows.values() for source in row.sources}
    assert cited <= set(everything())
    assert set(read(SEEDS / "references.bib")) <= cited | set(read())


def test_the_words_are_our_own(evidence):
    said = [target.quantity for target in evidence.targets.values()]
    said += [claim.claim for claim in evidence.claims.values()] + [flag.text for flag in evidence.flags.values()]
    for text in said:
        assert text.isascii(), text
        assert not re.search(r"\[(TEXT|MEMORY|DERIVED)|Flag F\d", text), text
        assert len(text.split()) < 70, text
    assert len(set(said[-len(evidence.flags) :])) == len(evidence.flags)
    claims = [claim.claim for claim in evidence.claims.values()]
    assert len(set(claims)) == len(claims)


def test_what_a_claim_names_is_there_or_awaited(evidence):
    models = dict(listing("model"))
    for claim in evidence.claims.values():
        for name in claim.where:
            file, dot, symbol = name.partition(".")
            if dot and file in models:
                text = find("model", file).read_text(encoding="utf-8")
                found = re.search(rf"^({symbol}\s*=|\[doses\.{symbol}\])", text, re.MULTILINE)
                assert found, f"{claim.place}: {file} has no {symbol}"


def test_a_claim_whose_place_is_not_there_yet_is_shown_as_planned(evidence):
    planned = [claim for claim in evidence.claims.values() if claim.standing == "planned"]
    assert all(claim.awaits and claim.status in ("modelled", "predicted") for claim in planned)
    there = {name for kind in ("model", "patient", "scenario") for name, _ in listing(kind)}
    assert not {name for claim in planned for name in claim.awaits} & there


def test_flags_reach_what_they_concern_gravest_first(evidence):
    found = concerning(evidence.flags, ["msc"])
    assert {"F08", "F14", "F37"} <= {flag.id for flag in found}
    severities = [("high", "middle", "low").index(flag.severity) for flag in found]
    assert severities == sorted(severities)
    assert [flag.id for flag in concerning(read_flags(), ["topp2000"])] == ["F37"]


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_exact_interval_of_ten_in_twelve():
    low, high = exact_share(10, 12)
    assert (low, high) == pytest.approx((0.51586, 0.97914), abs=1e-5)
    assert exact_share(0, 4) == pytest.approx((0.0, 1 - 0.025 ** (1 / 4)))
    assert exact_share(12, 12)[1] == 1.0


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        ("T071", "60 min", (1.51, 3.09, "1 SD")),
        ("T180", "highest dose", (-0.79199, -0.00801, "1.96 SE")),
        ("T194", "", (-1.11, -0.33, "95 % CI")),
        ("T050", "HbA1c", (7.5, 10.7, "quartiles")),
        ("T123", "", (51.586, 97.914, "exact 95 % interval")),
    ],
)
def test_each_kind_of_spread_becomes_an_interval(evidence, target, value, expected):
    found = interval(evidence.targets[target].value(value))
    assert (found.low, found.high) == pytest.approx(expected[:2], abs=1e-3)
    assert found.kind == expected[2]


def test_a_value_without_a_spread_has_no_interval(evidence):
    assert interval(evidence.targets["T057"].value("")) is None


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("targets/type1_course.toml", 'use        = "cal"', 'use        = "call"', 'Did you mean "cal"?'),
        ("targets/type1_course.toml", "ci = [-0.0271", "cl = [-0.0271", 'unknown key "cl"'),
        ("targets/type1_course.toml", "ci = [-0.0271", "ci = [-0.0201", "does not hold its value"),
        ("targets/type1_course.toml", "pmol/mL/month", "pmol/mL/mnth", '"mnth"'),
        ("targets/type1_course.toml", 'source     = "Greenbaum2012"', 'source = "Greenbaum2102"', "Greenbaum2012"),
        ("targets/type1_course.toml", "[T001]", "[T1]", "is no id of a target"),
        ("targets/type1_course.toml", "[T001]", "[T030]", "is also in"),
        ("targets/type2_course.toml", 'use        = "context"', 'use        = "cal"', "a recalled row is context"),
        ("claims.toml", 'status   = "modelled"', 'status   = "modeled"', 'Did you mean "modelled"?'),
        ("claims.toml", '"beta_cells.immune_killing"', '"beta_sells.immune_killing"', "not awaited"),
        ("flags.toml", 'targets    = ["T003"', 'targets    = ["T903"', 'there is no "T903"'),
    ],
)
def test_a_wrong_row_is_told_with_its_place(copied, file, old, new, expected):
    told = broken(copied, file, old, new)
    assert expected in told
    assert re.search(rf"{file.split('/')[-1]}:\d+", told)


def test_all_faults_of_all_files_are_told_at_once(copied):
    path = copied / "flags.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"high"', '"hi"', 1), encoding="utf-8")
    told = broken(copied, "claims.toml", 'flags    = ["F26"]', 'flags    = ["F99"]')
    assert "2 problems" in told


# --- checks -----------------------------------------------------------------------------------------------------------


def test_every_row_is_held_against_a_run_or_says_why_not(evidence, checks):
    silent = [
        target.id
        for target in without_check(checks, evidence.targets.values())
        if target.use != "context" and target.id not in checks.unexpressed
    ]
    assert not silent


def test_every_study_is_used_and_every_file_of_studies_is_one(checks):
    assert {check.study.name for check in checks.checks} == set(checks.studies)
    used = {study.path for study in checks.studies.values()}
    assert set(SEEDS.glob("studies/*.toml")) <= used


def studies_that_are_there():
    return [study for study in read_checks().studies.values() if study.path is not None]


@pytest.mark.parametrize("study", studies_that_are_there(), ids=lambda study: study.name)
def test_every_check_fits_its_scenario(checks, study):
    scenario = load_scenario(study.path, set=study.changes)
    arms = {arm.name for arm in scenario.plan.arms}
    recorded = set(scenario.composition.reports) | set(scenario.composition.symbols)
    recorded |= {report.name for test in scenario.challenges for report in test.reports}
    for check in (check for check in checks.checks if check.study == study):
        assert {check.arm, "" if check.beside else check.against} - {""} <= arms, check.place
        assert names(check.measure) <= recorded, check.place
        assert check.since <= scenario.plan.until, check.place


def test_no_check_is_tolerant_where_an_interval_was_published(checks):
    for check in checks.checks:
        assert check.within is None or (interval(check.value) is None and check.because), check.place
