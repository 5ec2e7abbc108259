"""A result as a scenario gives it, made of simple formulas: two arms, a cohort, doses, and one failure."""

from dataclasses import replace

import numpy as np

from isletsim.results import ArmInfo, EffectDriver, Failure, Result, Variable

VARIABLES = (
    Variable("hba1c", "percent_NGSP", "%", "glycated haemoglobin"),
    Variable("glucose_mean", "mmol/L", "mmol/L"),
    Variable("insulin_fasting", "pmol/L", "pmol/L"),
    Variable("cpeptide_fasting", "nmol/L", "nmol/L"),
    Variable("homa_ir", "", ""),
    Variable("beta_mass", "", ""),
    Variable("beta_function", "", ""),
    Variable("il1b", "pg/mL", "pg/mL"),
    Variable("il6", "pg/mL", "pg/mL"),
    Variable("tnf", "pg/mL", "pg/mL"),
    Variable("crp", "mg/L", "mg/L"),
    Variable("msc.cells", "cell/kg", "cell/kg", "engrafted cells"),
)
# start, change a year without treatment, change at full effect of the cells, spread between people (fraction)
COURSES = {
    "hba1c": (7.5, 0.22, -0.6, 0.06),
    "glucose_mean": (9.4, 0.35, -1.0, 0.08),
    "insulin_fasting": (92.0, -5.0, 8.0, 0.25),
    "cpeptide_fasting": (0.92, -0.05, 0.09, 0.2),
    "homa_ir": (4.6, 0.1, -0.9, 0.2),
    "beta_mass": (0.55, -0.03, 0.03, 0.15),
    "beta_function": (0.48, -0.04, 0.09, 0.15),
    "il1b": (0.9, 0.02, -0.35, 0.3),
    "il6": (2.9, 0.05, -0.9, 0.3),
    "tnf": (2.3, 0.04, -0.6, 0.25),
    "crp": (3.1, 0.06, -1.1, 0.4),
}
DOSES = (0.0, 28.0, 56.0)
RUN = {
    "seed": 7,
    "assumed": {"numbers": 34, "of": 100, "share": 0.34},
    "tolerance": 1e-6,
    "wall_seconds": 0.41,
    "skipped_layers": [],
    "flags": [
        {"id": "F98", "severity": "high", "text": "This must not be missed."},
        {"id": "F99", "severity": "middle", "text": "This stands in run.json."},
    ],
}
EVIDENCE = ("animal", "assumed", (EffectDriver("msc.potency", "hba1c", 0.98, "assumed"),), (12, 14))


def example(arms=("usual", "cells"), subjects=40, rows=157, spacing=7.0, failing=True):
    """A result; arm number k has k times the effect of the first treated one."""
    time = spacing * np.arange(rows)
    people = np.random.default_rng(3).standard_normal((subjects, 2))
    people[0] = 0.0
    values = np.zeros((len(arms), subjects, rows, len(VARIABLES)))
    effect = sum(np.where(time >= dose, np.exp(-np.maximum(time - dose, 0) / 300) / 3, 0.0) for dose in DOSES)
    for place, variable in enumerate(VARIABLES):
        for arm in range(len(arms)):
            if variable.name == "msc.cells":
                left = sum(1e6 * (time >= dose) * np.exp(-np.maximum(time - dose, 0) / 20) for dose in DOSES)
                values[arm, :, :, place] = arm * left * np.exp(0.2 * people[:, :1])
                continue
            start, drift, gain, spread = COURSES[variable.name]
            level = start * np.exp(spread * people[:, :1])
            response = np.exp(0.4 * people[:, 1:])
            values[arm, :, :, place] = level + drift * time / 365.25 + arm * gain * response * effect
    failures = ()
    if failing and subjects > 5:
        values[1, 5, rows // 2 :] = np.nan
        told = "the step became too small in beta.mass; a smaller tolerance may help"
        failures = (Failure(arms[1], 5, float(time[rows // 2 - 1]), told),)
    untreated = ArmInfo(arms[0], "", (), (), (), ())
    treated = [
        ArmInfo(name, "", ("msc",), DOSES, ("msc.infusion",) * 3, ("1e+06 cell/kg",) * 3, *EVIDENCE)
        for name in arms[1:]
    ]
    title = "Early type 2 diabetes on metformin, with and without three infusions of mesenchymal stromal cells"
    return Result("t2d_msc", title, (untreated, *treated), 0, time, VARIABLES, values, (), failures, RUN)


def alone(result):
    """The reference patient of a result, without the cohort."""
    return replace(result, values=result.values[:, :1], failures=())
