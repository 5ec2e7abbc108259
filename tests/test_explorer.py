"""The explorer without a browser: choices, the scenarios they write, what is solved, and the server's gates."""

import functools
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.request

import pytest
from click.testing import CliRunner

import isletsim
from isletsim.cli.commands import commands
from isletsim.errors import InputError, RunError
from isletsim.explorer.api import Explorer, Stale
from isletsim.explorer.choices import Choices, read_choices, written
from isletsim.explorer.controls import read_controls
from isletsim.explorer.server import Server
from isletsim.explorer.views import short
from isletsim.explorer.writing import toml_text

CONTROLS = read_controls()
TREATED = {
    "patient": "failing_metformin",
    "years": 2,
    "sliders": {"sensitivity": 0.7, "overeating": 300},
    "therapies": [{"name": "msc", "start": 3, "knobs": {"0": 2e6, "1": 2}}],
}


@pytest.fixture(scope="module")
def explorer():
    return Explorer()


def run(explorer, choices, tab="a", number=1):
    return explorer.run({"choices": choices, "tab": tab, "number": number})


# --- choices ----------------------------------------------------------------------------------------------------------


def test_choices_survive_a_link():
    choices = read_choices(CONTROLS, TREATED)
    assert read_choices(CONTROLS, json.loads(json.dumps(written(choices)))) == choices


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"patient": "../../secret"},
        {"sliders": {"nobody": 1}},
        {"sliders": {"sensitivity": 99}},
        {"sliders": {"sensitivity": float("nan")}},
        {"therapies": [{"name": "snake_oil"}]},
        {"therapies": [{"name": "msc"}, {"name": "msc"}]},
        {"therapies": [{"name": "msc", "knobs": {"9": 1}}]},
        {"therapies": [{"name": "msc", "knobs": {"0": 1e99}}]},
        {"years": 1e9},
        {"cohort": 10**9},
        {"text": "x" * 300_000},
    ],
)
def test_choices_that_are_not_offered_are_refused(data):
    with pytest.raises(InputError):
        read_choices(CONTROLS, data)


# --- scenarios --------------------------------------------------------------------------------------------------------


def test_the_text_of_a_scenario_is_its_data(explorer):
    prepared = explorer.simulations.prepare(read_choices(CONTROLS, TREATED))
    data = tomllib.loads(prepared.text)
    assert data == prepared.data
    assert data["arms"]["treated"]["doses"][0]["times"] == 2
    assert data["arms"]["usual"]["set"] == data["arms"]["treated"]["set"]


def test_texts_with_quotes_and_controls_survive_toml():
    data = {
        "title": 'a "b" \\ \x7f \n ü',
        "arms": {"x y": {"set": {"a.b": "1"}, "doses": [{"at": "0 day", "times": 2}]}},
    }
    assert tomllib.loads(toml_text(data)) == data


@pytest.mark.parametrize(
    "choices", [TREATED, {"patient": "new_onset_t1d_adult", "years": 1, "again": True, "sliders": {"killing": 0.02}}]
)
def test_the_downloaded_scenario_run_by_the_command_line_gives_the_same_bytes(explorer, choices, tmp_path):
    name, _, text = explorer.download("scenario", {"choices": choices})
    (tmp_path / name).write_bytes(text)
    done = CliRunner().invoke(commands, ["run", str(tmp_path / name), "-o", str(tmp_path / "out"), "-q"])
    assert done.exit_code == 0, done.output
    written_here = explorer.download("data", {"choices": choices})[2]
    assert (tmp_path / "out" / "results.csv").read_bytes() == written_here
    figure = explorer.download("figure", {"choices": choices})[2]
    assert (tmp_path / "out" / "figures" / "explored.svg").read_bytes() == figure


def test_the_curves_of_the_page_are_those_of_the_file(explorer):
    view = run(explorer, TREATED)
    lines = explorer.download("data", {"choices": TREATED})[2].decode().splitlines()
    told = [float(line.split(",")[5]) for line in lines if line.startswith("explored,treated,0,") and ",hba1c," in line]
    assert view["variables"]["hba1c"]["arms"][1] == short(told)


def test_the_history_again_changes_who_the_patient_became(explorer):
    moved = {"patient": "obese_igt", "years": 1, "sliders": {"sensitivity": 0.55}}
    plain, now, again = (
        run(explorer, each) for each in ({"patient": "obese_igt", "years": 1}, moved, {**moved, "again": True})
    )
    start = [each["variables"]["hba1c"]["arms"][0][0] for each in (plain, now, again)]
    assert start[0] == start[1]
    assert start[2] > start[0]


def test_a_slider_that_acts_through_the_history_simulates_it_again_by_itself(explorer):
    few = run(explorer, {"patient": "obese_igt", "years": 1, "sliders": {"born_with": 0.5}})
    plain = run(explorer, {"patient": "obese_igt", "years": 1})
    assert few["variables"]["beta_mass"]["arms"][0][0] < plain["variables"]["beta_mass"]["arms"][0][0]


# --- what is solved ---------------------------------------------------------------------------------------------------


def test_only_the_arm_that_changed_is_solved_again(explorer):
    run(explorer, TREATED)
    assert run(explorer, TREATED)["solved"] == 0
    dose = {**TREATED, "therapies": [{"name": "msc", "start": 3, "knobs": {"0": 3e6, "1": 2}}]}
    assert run(explorer, dose)["solved"] == 1
    assert run(explorer, {**TREATED, "sliders": {"sensitivity": 0.71, "overeating": 300}})["solved"] == 2


def test_a_request_that_a_newer_one_has_overtaken_is_not_solved(explorer):
    run(explorer, TREATED, tab="b", number=7)
    with pytest.raises(Stale):
        run(explorer, TREATED, tab="b", number=6)
    run(explorer, TREATED, tab="c", number=1)


def test_two_tabs_do_not_disturb_each_other(explorer):
    one, two = {"patient": "healthy_adult", "years": 1}, {"patient": "obese_igt", "years": 1}
    alone = [run(explorer, each)["variables"]["hba1c"] for each in (one, two)]
    found = {}

    def use(tab, choices):
        found[tab] = [run(explorer, choices, tab, number)["variables"]["hba1c"] for number in range(1, 6)]

    threads = [threading.Thread(target=use, args=each) for each in (("x", one), ("y", two))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(each == alone[0] for each in found["x"])
    assert all(each == alone[1] for each in found["y"])


def test_a_choice_that_fails_says_so_and_the_next_one_works(explorer):
    with pytest.raises(InputError, match="not offered"):
        run(explorer, {"patient": "nobody"})
    assert run(explorer, {"patient": "healthy_adult", "years": 1})["time"]


def test_a_band_of_people_holds_the_median(explorer):
    band = explorer.cohort({"choices": {"patient": "healthy_adult", "years": 1, "cohort": 6}})
    low, middle, high = band["variables"]["hba1c"]["arms"][0]
    assert band["size"] == 6
    assert low[-1] < middle[-1] < high[-1]


# --- the map and opened files -----------------------------------------------------------------------------------------


def test_the_map_names_every_file_and_leads_to_its_equations(explorer):
    view = explorer.map({"choices": TREATED})
    names = {node["name"] for node in view["nodes"]}
    assert {link["to"] for link in view["links"]} | {link["from"] for link in view["links"]} <= names
    assert "msc" in names
    file = explorer.file({"choices": TREATED, "name": "msc"})
    assert file["balances"]
    assert all(row["source"] or row["assumed"] for row in file["parameters"])
    with pytest.raises(InputError):
        explorer.file({"choices": TREATED, "name": "../../units"})


def test_a_written_scenario_can_be_opened_again(explorer):
    text = explorer.download("scenario", {"choices": TREATED})[2].decode()
    opened = explorer.open({"text": text})["choices"]
    view = run(explorer, opened)
    assert [arm["name"] for arm in view["arms"]] == ["usual", "treated"]
    assert view["variables"]["hba1c"] == run(explorer, TREATED)["variables"]["hba1c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "TOML"),
        ('title = "x"\npatient = "/etc/passwd"\n[arms.a]', "no patient"),
        ('title = "x"\npatient = "healthy_adult"\n[arms.a]\nlayers = ["../units"]', "no model"),
        ('title = "x"\ncore = ["../../secret.toml"]\n[arms.a]', "no model"),
        (
            'title = "x"\npatient = "healthy_adult"\n[arms.a]\n[challenges."/tmp/x.toml"]\nat = ["0 day"]',
            "no challenge",
        ),
        ('title = "x"\npatient = "healthy_adult"\n[arms.a]\ndoses = 3', "doses"),
        ('title = "x"\npatient = "healthy_adult"\nwrong = 1\n[arms.a]', "wrong"),
        ("", "empty"),
    ],
)
def test_an_opened_file_is_checked_like_any_other(explorer, text, said):
    with pytest.raises(InputError, match=said):
        explorer.open({"text": text})


def test_a_scenario_of_the_package_can_be_explored():
    explorer = Explorer(scenario="t2d_msc")
    start = explorer.start({})
    view = run(explorer, {**start["choices"], "years": 1})
    assert [arm["name"] for arm in view["arms"]] == ["usual", "msc"]


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(explorer):
    server = Server(explorer, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def asked(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    sent = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_server_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_foreign_hosts_and_origins_are_refused(server, headers):
    for method, path in (("GET", "/"), ("POST", "/api/start")):
        assert asked(server, method, path, "{}" if method == "POST" else None, **headers)[0].status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/page/../api.py",
        "/style.css/../../api.py",
    ],
)
def test_no_path_leads_out_of_the_page(server, path):
    assert asked(server, "GET", path)[0].status == 404


@pytest.mark.parametrize("body", ["", "[]", "{", "null", "[" * 100_000])
def test_what_is_no_json_object_is_refused(server, body):
    assert asked(server, "POST", "/api/run", body)[0].status == 400


def test_a_form_cannot_be_posted(server):
    assert asked(server, "POST", "/api/run", "{}", Content_Type="text/plain")[0].status == 400


def test_the_page_and_its_parts_come_with_their_policy(server):
    for path in ("/", "/app.js", "/style.css", "/uPlot.iife.min.js"):
        answer, content = asked(server, "GET", path)
        assert answer.status == 200
        assert content
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_wrong_choice_is_told_with_its_place(server):
    answer, content = asked(server, "POST", "/api/run", json.dumps({"choices": {"patient": "nobody"}}))
    assert answer.status == 422
    assert json.loads(content)["faults"][0]["place"] == "patient"


def test_a_busy_port_is_replaced_by_a_free_one(explorer, server):
    other = Server(explorer, server.port)
    assert other.port != server.port
    other.server_close()


# --- endurance --------------------------------------------------------------------------------------------------------


def changed(choices: dict, chance: random.Random) -> dict:
    """The choices after one random move of a hand."""
    slider = chance.choice([each for each in CONTROLS.sliders if not each.kinds])
    low, high = (float(text.split()[0]) for text in (slider.low, slider.high))
    choices = {**choices, "sliders": {**choices.get("sliders", {}), slider.name: low + (high - low) * chance.random()}}
    if chance.random() < 0.2:
        choices["again"] = not choices.get("again", False)
    if chance.random() < 0.2:
        choices["therapies"] = [] if choices.get("therapies") else [{"name": "msc", "start": chance.randrange(6)}]
    return choices


def test_random_changes_never_break_the_explorer(explorer):
    chance, choices = random.Random(20261201), {"patient": "obese_igt", "years": 1}
    broken = 0
    for number in range(40):
        choices = changed(choices, chance)
        try:
            run(explorer, choices, "random", number)
        except (InputError, RunError):
            broken += 1
            choices = {"patient": "obese_igt", "years": 1}
    assert broken < 20
    assert isinstance(read_choices(CONTROLS, choices), Choices)


# --- the command line and notebooks -----------------------------------------------------------------------------------


def test_the_command_prints_its_address_and_stops_when_interrupted():
    command = [sys.executable, "-m", "isletsim", "explore", "healthy_adult", "--no-browser", "--port", "0"]
    # A shell's background jobs ignore the signal, and so would their children.
    usual = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=usual)  # noqa: PLW1509 - no locks
    with process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"isletsim" in answer.read()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_wrong_scenario_is_refused_before_a_page_opens():
    done = CliRunner().invoke(commands, ["explore", "nothing", "--no-browser"])
    assert isinstance(done.exception, InputError)


def test_the_lessons_are_copied_as_notebooks_and_what_is_there_is_kept(tmp_path):
    (tmp_path / "1_feedback.ipynb").write_text("mine")
    done = CliRunner().invoke(commands, ["lessons", "copy", str(tmp_path), "--no-execute"])
    assert done.exit_code == 0, done.output
    assert len(list(tmp_path.glob("*.ipynb"))) == 6
    assert (tmp_path / "1_feedback.ipynb").read_text() == "mine"
    assert len(done.output.splitlines()) == 6


@pytest.mark.slow
def test_every_lesson_runs_as_a_notebook(tmp_path):
    done = CliRunner().invoke(commands, ["lessons", "copy", str(tmp_path), "--execute"])
    assert done.exit_code == 0, done.exception
    for path in tmp_path.glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        shown = [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and "lesson." in cell["source"]]
        assert shown
        assert all(shown), path.name
        assert any("image/png" in output.get("data", {}) for outputs in shown for output in outputs)


def test_a_notebook_shows_the_page_in_a_frame():
    frame = isletsim.explore("healthy_adult")
    try:
        assert frame.address in frame._repr_html_()
        with urllib.request.urlopen(frame.address, timeout=60) as answer:
            assert "frame-ancestors http://127.0.0.1:*" in answer.headers["Content-Security-Policy"]
    finally:
        frame.close()


# --- any model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["topp2000", "bergman1979"])
def test_any_model_of_the_package_can_be_explored(name):
    explorer = Explorer(scenario=name)
    start = explorer.start({})
    assert not start["lessons"]
    view = run(explorer, start["choices"])
    settings = view["settings"]
    assert settings["panels"]
    moved = [{**start["choices"], "sliders": {each["name"]: each["high"]}} for each in settings["sliders"][:4]]
    assert any(run(explorer, choices)["variables"] != view["variables"] for choices in moved)
    assert explorer.map({"choices": start["choices"]})["nodes"][0]["name"] == name


def test_what_is_no_patient_scenario_or_model_is_refused():
    with pytest.raises(InputError):
        Explorer(scenario="mmtt")
    with pytest.raises(InputError):
        Explorer(scenario="no/such/file.toml")
