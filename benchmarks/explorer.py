"""Latency of the explorer's page in a headless Chromium: from a slider's move to redrawn curves.

    python -m benchmarks.explorer [--moves 60] [--browser /usr/bin/chromium]

The flagship over ten years with two arms: usual care and a therapy. Each move is made after the last one was redrawn;
then a burst of thirty moves, and a thousand random changes of the choices with the memory before and after.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from isletsim.errors import InputError, RunError
from isletsim.explorer.api import Explorer

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
READY = "() => window.isletsim && window.isletsim.counts.redrawn === JSON.stringify(window.isletsim.page.choices)"
MOVE = """async (at) => {
    const input = document.getElementById('slider-sensitivity'), begin = performance.now();
    input.value = at;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    const { counts, page } = window.isletsim;
    while (counts.redrawn !== JSON.stringify(page.choices)) await new Promise((done) => setTimeout(done, 1));
    return counts.shown - begin;
}"""
BURST = """async () => {
    const input = document.getElementById('slider-sensitivity'), { counts, page } = window.isletsim;
    const before = counts.solves;
    for (let i = 1; i <= 30; i += 1) {
        input.value = 300 + 10 * i;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise((done) => setTimeout(done, 10));
    }
    while (counts.redrawn !== JSON.stringify(page.choices)) await new Promise((done) => setTimeout(done, 5));
    return counts.solves - before;
}"""


def page_figures(moves: int, browser: str) -> None:
    """Print latencies of the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "isletsim", "explore", "--no-browser", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            address = server.stdout.readline().strip()
            page = chromium.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
            page.goto(address)
            page.wait_for_function(READY, timeout=120_000)
            print(f"first view {time.perf_counter() - begun:.2f} s after the command")
            page.click("#therapy-msc")
            page.wait_for_function(READY, timeout=120_000)
            time.sleep(2)
            times = []
            for number in range(moves):
                times.append(page.evaluate(MOVE, 300 + (number * 37) % 500))
                time.sleep(0.12)
            times.sort()
            late = times[int(0.95 * moves)]
            print(f"{moves} moves, two arms: median {statistics.median(times):.0f} ms, 95 % {late:.0f} ms")
            print(f"a burst of 30 moves: {page.evaluate(BURST)} solves")
            server.terminate()
        chromium.close()


def memory() -> float:
    """Resident memory of this process in MB."""
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def endurance(changes: int) -> None:
    """Print what a thousand random changes do to memory, and how many were refused."""
    explorer, chance = Explorer(), random.Random(20261201)
    controls = explorer.controls
    patients = [each.file for each in controls.patients]
    choices: dict = {"patient": patients[0], "years": 1}
    refused, warm, start = 0, 0.0, time.perf_counter()
    for number in range(changes):
        kind = chance.random()
        if kind < 0.05:
            choices = {"patient": chance.choice(patients), "years": chance.choice([1, 2])}
        elif kind < 0.15:
            choices["therapies"] = [] if choices.get("therapies") else [{"name": chance.choice(["msc", "glp1"])}]
        elif kind < 0.2:
            choices["again"] = not choices.get("again", False)
        else:
            slider = chance.choice(controls.sliders)
            low, high = (float(text.split()[0]) for text in (slider.low, slider.high))
            sliders = {**choices.get("sliders", {}), slider.name: low + (high - low) * chance.random()}
            choices = {**choices, "sliders": sliders}
        try:
            json.dumps(explorer.run({"choices": choices, "tab": "a", "number": number}), allow_nan=False)
        except (InputError, RunError):
            refused += 1
            choices = {"patient": choices["patient"], "years": 1}
        if number == changes // 3:
            warm = memory()
    took = time.perf_counter() - start
    print(f"{changes} changes in {took:.0f} s, {refused} told as impossible")
    print(f"memory {warm:.0f} MB after a third, {memory():.0f} MB at the end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--browser", default=shutil.which("chromium") or "")
    arguments = parser.parse_args()
    if arguments.moves:
        page_figures(arguments.moves, arguments.browser)
    if arguments.changes:
        endurance(arguments.changes)
