"""The explorer's page in a real headless Chromium: it loads, answers, exports, and can be used by everybody.

ISLETSIM_BROWSER names the browser (.ci/run sets it, and then its absence is a failure).
"""

import base64
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from isletsim.cli.commands import commands
from isletsim.explorer.api import Explorer
from isletsim.explorer.controls import read_controls
from isletsim.explorer.lessons import read_lessons
from isletsim.explorer.records import fits
from isletsim.explorer.server import Server

CONTROLS = read_controls()
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60  # seconds
TYPE2, TYPE1 = "failing_metformin", "new_onset_t1d_adult"
SETTLED = """() => window.isletsim && window.isletsim.counts.redrawn === JSON.stringify(window.isletsim.page.choices)
    && !document.querySelector('.status.working, [aria-busy]')"""
MOVE = """([name, share]) => {
    const input = document.getElementById(name);
    input.value = Math.round(share * Number(input.max));
    for (const event of ['input', 'change']) input.dispatchEvent(new Event(event, { bubbles: true }));
}"""
BURST = """async () => {
    const input = document.getElementById('slider-sensitivity');
    for (let i = 1; i <= 30; i += 1) {
        input.value = 300 + 10 * i;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise((done) => setTimeout(done, 8));
    }
    input.dispatchEvent(new Event('change', { bubbles: true }));
}"""


def kinds(patient):
    return next((each.kinds for each in CONTROLS.patients if each.file == patient), ())


def browser_path():
    wanted = os.environ.get("ISLETSIM_BROWSER", "")
    found = wanted or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium on this machine; install it (apt-get install chromium), or let .ci/run do it")
    return found


@pytest.fixture(scope="module")
def address():
    server = Server(Explorer(), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.address
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A tab of the explorer that remembers what went wrong in it."""

    def __init__(self, browser, address, choices=None, tab="years", **settings):
        settings = {"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **settings}
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.errors, self.requests = [], []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda wrong: self.errors.append(str(wrong)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        packed = base64.urlsafe_b64encode(json.dumps({"choices": choices, "tab": tab}).encode()).decode().rstrip("=")
        self.page.goto(address + (f"#{packed}" if choices else ""))
        self.settle()

    def settle(self, ready=SETTLED):
        """Wait until the page has drawn its latest choices; a Content-Security-Policy forbids Playwright's own way."""
        for _ in range(20 * PATIENCE):
            if self.page.evaluate(ready):
                return
            time.sleep(0.05)
        pytest.fail(f"the page did not settle: {self.errors} {self.page.inner_text('#alert')}")

    def curves(self):
        return self.page.evaluate("() => JSON.stringify(window.isletsim.page.run.variables)")

    def move(self, slider, share):
        self.page.evaluate(MOVE, [slider, share])
        self.settle()

    def violations(self):
        import axe_playwright_python

        self.page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        # A colour that is fading has no contrast of its own.
        self.page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
        found = self.page.evaluate("() => axe.run()")["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]

    def close(self):
        self.context.close()


@pytest.fixture
def open_tab(browser, address):
    tabs = []

    def opener(choices=None, **settings):
        tabs.append(Tab(browser, address, choices, **settings))
        return tabs[-1]

    yield opener
    for each in tabs:
        assert not each.errors
        each.close()


def test_the_page_loads_without_an_error_and_asks_nobody_else(open_tab, address):
    tab = open_tab()
    tab.page.click("#tab-why")
    tab.page.click("#tab-lessons")
    assert all(url.startswith((address, "data:", "blob:")) for url in tab.requests)
    assert tab.page.locator(".panel").count() >= 6


@pytest.mark.parametrize(("patient", "before"), [(TYPE2, ""), (TYPE1, TYPE2)])
def test_every_control_moves_a_curve(open_tab, patient, before):
    tab = open_tab({"patient": patient, "years": 1})
    tried = kinds(before)  # what was moved for the patient before is not moved again
    sliders = [each for each in CONTROLS.sliders if fits(each.kinds, (), kinds(patient))]
    sliders = [each for each in sliders if not before or not fits(each.kinds, (), tried)]
    assert tab.page.locator(".slider").count() >= len(sliders) > 0
    for slider in sliders:
        shown = tab.curves()
        tab.move(f"slider-{slider.name}", 0.9 if slider.is_input else 0.3)
        assert tab.curves() != shown, slider.name
    tab.page.click("#reset")
    tab.settle()
    therapies = [each for each in CONTROLS.therapies if fits(each.kinds, each.without, kinds(patient))]
    for therapy in [each for each in therapies if not before or not fits(each.kinds, each.without, tried)]:
        shown = tab.curves()
        tab.page.click(f"#therapy-{therapy.name}")
        tab.settle()
        assert tab.curves() != shown, therapy.name
        for knob in tab.page.locator(f"[data-therapy={therapy.name}] input[type=range]").all():
            shown = tab.curves()
            tab.move(knob.get_attribute("id"), 0.08)
            assert tab.curves() != shown, knob.get_attribute("id")
        tab.page.click(f"#therapy-{therapy.name}")
        tab.settle()


def test_a_burst_of_thirty_moves_solves_three_times_at_most_and_ends_at_the_last_value(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 1})
    solves = tab.page.evaluate("() => window.isletsim.counts.solves")
    tab.page.evaluate(BURST)
    tab.settle()
    assert tab.page.evaluate("() => window.isletsim.counts.solves") - solves <= 3
    slider = next(each for each in CONTROLS.sliders if each.name == "sensitivity")
    low, high = float(slider.low), float(slider.high)
    shown = tab.page.evaluate("() => window.isletsim.page.run.choices.sliders.sensitivity")
    assert shown == pytest.approx(low * (high / low) ** 0.6, rel=0.01)


def test_a_downloaded_scenario_run_by_the_command_line_gives_the_downloaded_data(open_tab, tmp_path):
    tab = open_tab({"patient": TYPE2, "years": 1, "therapies": [{"name": "msc"}]})
    tab.move("slider-sensitivity", 0.4)
    saved = {}
    for what in ("scenario", "data"):
        tab.page.click("#files summary")
        with tab.page.expect_download() as coming:
            tab.page.click(f"[data-download={what}]")
        saved[what] = tmp_path / coming.value.suggested_filename
        coming.value.save_as(saved[what])
    done = CliRunner().invoke(commands, ["run", str(saved["scenario"]), "-o", str(tmp_path / "out"), "-q"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "results.csv").read_bytes() == saved["data"].read_bytes()


def test_a_link_opens_the_same_choices_and_undo_takes_them_back(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 1})
    tab.move("slider-sensitivity", 0.3)
    tab.page.click("#therapy-sglt2")
    tab.settle()
    other = open_tab(json.loads(tab.page.evaluate("() => JSON.stringify(window.isletsim.page.choices)")))
    assert other.curves() == tab.curves()
    tab.page.click("#undo")
    tab.settle()
    assert not tab.page.is_checked("#therapy-sglt2")
    tab.page.click("#undo")
    tab.settle()
    assert tab.page.evaluate("() => window.isletsim.page.choices.sliders || null") is None
    tab.page.click("#redo")
    tab.settle()
    assert tab.page.evaluate("() => window.isletsim.page.run.choices.sliders.sensitivity") > 0
    assert other.page.is_checked("#therapy-sglt2")


def test_two_runs_are_compared_and_a_band_is_drawn(open_tab):
    tab = open_tab({"patient": "healthy_adult", "years": 1})
    tab.page.click("#pin")
    tab.move("slider-sensitivity", 0.3)
    tab.page.click("#cohort")
    tab.settle("() => window.isletsim.page.band !== null")
    legend = tab.page.inner_text("#legend")
    assert "pinned" in legend
    assert "people" in legend


def test_a_choice_that_fails_shows_a_message_and_the_page_goes_on(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 1})
    tab.page.evaluate(
        "() => { location.hash = btoa(JSON.stringify({ choices: { patient: 'nobody' }, tab: 'years' })); }"
    )
    tab.settle("() => document.getElementById('alert').innerText.includes('not offered')")
    tab.errors.clear()  # the browser notes the refused request
    tab.page.click("#undo")
    tab.settle("() => !document.getElementById('alert').innerText")
    tab.move("slider-sensitivity", 0.3)


def test_what_is_outside_of_the_checked_ranges_is_warned_of(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 1})
    assert tab.page.is_hidden("#banner")
    tab.move("slider-sensitivity", 0.02)
    assert "Outside" in tab.page.inner_text("#banner")


def test_the_page_is_used_by_keyboard_alone(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 1})
    before = tab.curves()
    tab.page.focus("#slider-sensitivity")
    for _ in range(30):
        tab.page.keyboard.press("ArrowLeft")
    tab.settle()
    assert tab.curves() != before
    tab.page.focus("#tab-years")
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.get_attribute("#tab-day", "aria-selected") == "true"
    tab.page.keyboard.press("ArrowRight")
    tab.settle("() => document.querySelectorAll('#map .node').length > 5")
    tab.page.focus("#map .node[data-file=glucose]")
    tab.page.keyboard.press("Enter")
    tab.settle("() => !document.getElementById('file').hidden")
    assert "glucose.toml" in tab.page.inner_text("#file")


def test_a_test_of_the_day_is_given_at_another_moment(open_tab):
    tab = open_tab({"patient": TYPE2, "years": 2}, tab="day")
    tab.page.click("#tests button[data-value=ogtt]")
    tab.settle(
        "() => document.querySelectorAll('#day-reports tr').length > 3 && !document.querySelector('[aria-busy]')"
    )
    before = tab.page.inner_text("#day-reports")
    tab.page.evaluate(MOVE, ["moment", 1.0])
    tab.settle("() => document.getElementById('moment-label').innerText.includes('2 years')")
    for _ in range(200):
        if tab.page.inner_text("#day-reports") != before:
            return
        time.sleep(0.05)
    pytest.fail("the numbers of the test did not change")


def test_a_lesson_is_answered_from_what_the_page_shows(open_tab):
    lesson = next(each for each in read_lessons() if each.name.endswith("hba1c_lag"))
    tab = open_tab({"patient": TYPE2, "years": 1}, tab="lessons")
    tab.page.click(f".card:has-text('{lesson.title}') button")
    tab.settle()
    usual, treated, time_ = tab.page.evaluate(
        "() => { const { run } = window.isletsim.page; return [...run.variables.hba1c.arms, run.time]; }"
    )
    half = next(place for place, at in enumerate(time_) if at >= 0.495)
    tab.page.fill(".question input[type=number]", f"{usual[half] - treated[half]:.2f}")
    tab.page.click(".question:has(input[type=number]) button")
    tab.settle("() => document.querySelector('.verdict.right, .verdict.wrong') !== null")
    assert tab.page.locator(".verdict.right").count() == 1


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_no_tab_has_a_violation_of_accessibility(open_tab, theme, width):
    choices = {"patient": TYPE2, "years": 1, "therapies": [{"name": "msc"}], "sliders": {"sensitivity": 0.31}}
    tab = open_tab(choices, color_scheme=theme, viewport={"width": width, "height": 800})
    found = {"years": tab.violations()}
    tab.page.click("#tab-day")
    tab.page.click("#tests button[data-value=ogtt]")
    tab.settle("() => document.querySelectorAll('#day-reports tr').length > 3")
    found["day"] = tab.violations()
    tab.page.click("#tab-why")
    tab.settle("() => document.querySelectorAll('#map .node').length > 5")
    tab.page.click("#map .node[data-file=glucose]")
    tab.settle("() => !document.getElementById('file').hidden")
    found["why"] = tab.violations()
    tab.page.click("#tab-lessons")
    found["lessons"] = tab.violations()
    tab.page.click(".card button")
    tab.settle()
    found["lesson"] = tab.violations()
    assert not any(found.values()), found
