"""Tiny model, patient and scenario files that tests write into a folder of their own."""

from pathlib import Path

POOL = """
title = "A pool that keeps what it is given"
assumed = "for tests"
[states]
pool = { start = "0 mg", scale = "0.001 mg" }
[parameters]
share = { value = "1", assumed = "all of it" }
[balance]
pool = ""
[doses.bolus]
unit = "mg"
add = { pool = "share" }
"""

# One of everything that can happen at an instant.
CLINIC = """
title = "A store with ports, held values and an input"
assumed = "for tests"
[inputs]
level = { default = "1", unit = "" }
[states]
store = { start = "8 mg" }
other = { start = "0 mg" }
[parameters]
half = { value = "0.5", assumed = "for tests" }
whole = { value = "1", assumed = "for tests" }
[balance]
store = ""
other = ""
[doses.wash]
multiply = { store = "half" }
[doses.fill]
unit = "mg"
add = { store = "whole" }
[doses.pour]
unit = "mg"
add = { store = "whole", other = "2 * level" }
[held]
filled = { start = "0 mg", revise = "store", at = "fill" }
poured = { start = "0 mg", revise = "store", at = "pour" }
visited = { start = "0 mg", revise = "store + 100 * filled + 10000 * other", at = "visit" }
"""

# A disease that comes by over-eating, and a drug against it.
SUGAR = """
title = "Sugar that rises with eating"
assumed = "for tests"
[inputs]
eating = { default = "0", unit = "", about = "over-eating" }
[states]
sugar = { start = "5 mg", symbol = "S", about = "sugar" }
[parameters]
gain = { value = "1 mg/day", symbol = "k", assumed = "for tests", varies = ["0.8 mg/day", "1.3 mg/day"] }
loss = { value = "0.2 1/day", assumed = "for tests", uncertain = ["0.18 1/day", "0.22 1/day"] }
[derived]
rest = { law = "gain / loss", unit = "mg" }
[rates]
rise = "gain * (1 + eating)"
fall = "loss * sugar"
[balance]
sugar = "rise - fall"
[reports]
sugar = { value = "sugar", unit = "mg" }
"""

DRUG = """
title = "A drug against sugar"
assumed = "for tests"
grade = "animal"
[inputs]
taken = { default = "0", unit = "", about = "share of the full dose" }
[states]
exposure = { start = "0", about = "what tissues feel" }
[parameters]
effect = { value = "0.3", assumed = "for tests", varies = ["0.2", "0.45"] }
lag = { value = "3 day", assumed = "for tests" }
unit_dose = { value = "1 /mg", assumed = "for tests" }
[rates]
uptake = "(taken - exposure) / lag"
[balance]
exposure = "uptake"
[doses.pill]
unit = "mg"
add = { exposure = "unit_dose" }
[scales]
sugar.rise = "1 - effect * exposure"
"""

EATER = """
title = "Somebody who over-eats until sugar passes 7 mg"
core = ["sugar"]
[set]
"sugar.gain" = { value = "1.1 mg/day", assumed = "for tests", varies = ["0.9 mg/day", "1.35 mg/day"] }
[[history]]
about = "over-eating"
courses = [{ input = "sugar.eating", level = "0.6" }]
until = "sugar >= 7 mg"
within = "1 year"
[[history]]
about = "ten days of the drug"
layers = ["drug"]
courses = [{ input = "drug.taken", level = "1" }]
for = "10 day"
"""

STUDY = """
title = "A drug against sugar"
core = ["sugar"]
patient = "eater"
until = "60 day"
save = "5 day"
[arms.usual]
[arms.twin]
[arms.none]
stop = ["drug"]
[arms.pills]
layers = ["drug"]
doses = [{ into = "drug.pill", amount = "0.5 mg", at = "0 day", every = "7 day", times = 4 }]
[cohort]
size = 20
seed = 3
[figures]
sugar = { show = "sugar", thresholds = ["7 mg"] }
"""


def write(folder: Path, **texts: str) -> dict[str, Path]:
    """Writes files into a folder, each under its name."""
    paths = {name: folder / f"{name}.toml" for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text.strip() + "\n", encoding="utf-8")
    return paths


def write_study(folder: Path, **changed: str) -> Path:
    """Writes the study and everything it needs; `changed` replaces texts of files by name."""
    texts = {"sugar": SUGAR, "drug": DRUG, "eater": EATER, "study": STUDY} | changed
    return write(folder, **texts)["study"]
