"""The public functions: what the command line can do, from Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isletsim.arguments import list_argument, mapping_argument, name_argument, time_argument, whole_argument
from isletsim.errors import Fault, InputError, did_you_mean

if TYPE_CHECKING:
    from isletsim.model import Model
    from isletsim.patient import PatientFile
    from isletsim.sbml import SbmlModel
    from isletsim.study import Scenario
    from isletsim.study.examine import Examination
    from isletsim.study.multiscale_model import DayCurves, MultiscaleModel, Years
    from isletsim.validation import ValidationReport

__all__ = [
    "Patient",
    "challenge",
    "check",
    "export",
    "is_sbml",
    "list_files",
    "load_model",
    "load_patient",
    "load_scenario",
    "validate",
]

MODEL = 'load_model("topp2000"), or load_model(["topp2000", "my/therapy.toml"])'


def is_sbml(name: str | Path) -> bool:
    """Return whether a name is the path of an SBML file."""
    return str(name).lower().endswith((".xml", ".sbml"))


def load_model(names: str | Path | Sequence[str | Path]) -> Model | MultiscaleModel | SbmlModel:
    """Load a model by name or path, or a stack of several; files announced under `[uses]` come along.

    Parameters
    ----------
    names : names or paths. A path that ends in `.xml` or `.sbml` is an SBML file, which is a model by itself.

    Returns
    -------
    model : a `Model`; a `MultiscaleModel` if the stack has fast and slow models; or an `SbmlModel`.

    Raises
    ------
    InputError : every fault of every file.
    """
    listed = [names] if isinstance(names, str | Path) else names
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(each, str | Path) for each in listed):
        raise InputError(Fault("load_model", f"expected a name, a path, or a list of them, found {names!r}."))
    if isinstance(names, str | Path) and is_sbml(names):
        from isletsim.sbml import load_sbml

        return load_sbml(Path(names))
    from isletsim.model import load_model as load_stack

    model = load_stack(names)
    if model.composition.clocks is None:
        return model
    from isletsim.composition.model_library import read_stack
    from isletsim.study.multiscale_model import MultiscaleModel

    files = read_stack([names] if isinstance(names, str | Path) else names)
    return MultiscaleModel(tuple(str(file.path.resolve()) for file in files), model.composition)


def load_scenario(
    wanted: str | Path,
    set: Mapping[str, Any] | Iterable[str] = (),  # noqa: A002 - the word of the command line
    seed: int | None = None,
) -> Scenario:
    """Load a scenario by name or path, with changes as of ``--set``.

    Parameters
    ----------
    set : a mapping or "PATH=VALUE" texts; a path is a key of the scenario ("cohort.size") or a model's number
        ("msc.potency").
    seed : of the cohort, instead of the scenario's.

    Raises
    ------
    InputError : every fault of the scenario, its patient and its model files.
    """
    from isletsim.study import load_scenario as load

    example = 'set={"cohort.size": 8}'
    changes = mapping_argument(set, "set", example) if isinstance(set, Mapping) else list_argument(set, "set", example)
    wanted = name_argument(wanted, "load_scenario", 'load_scenario("t2d_msc")')
    return load(wanted, set=changes, seed=None if seed is None else whole_argument(seed, "seed"))


@dataclass(frozen=True)
class Patient:
    """A patient file, whose person can be simulated and examined."""

    file: PatientFile = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.file.name

    @property
    def title(self) -> str:
        """What the file says in one line."""
        return self.file.title

    @property
    def covariates(self) -> Mapping[str, str]:
        """Age, sex and the like, as written."""
        return self.file.covariates

    def __repr__(self) -> str:
        return f"<Patient {self.name}: {self.title}>"

    def simulate(self, until: str | float, **settings: Any) -> Years:
        """Simulate the history and years from there; see `isletsim.study.multiscale_model.simulate_patient`."""
        from isletsim.study.multiscale_model import simulate_patient

        return simulate_patient(until, patient=self.file.path, **settings)

    def day(self, at: str | float = 0.0, **settings: Any) -> DayCurves:
        """Simulate one day: today, or `at` a later time such as "6 month"."""
        until = max(1.0, float(math.ceil(time_argument(at, "at"))))
        return self.simulate(until, save=until, **settings).day(at)

    def challenge(self, test: str | Path, at: str = "0 day") -> Examination:
        """Give a virtual test, as `isletsim.challenge` does."""
        return challenge(self.file.path, test, at)


def load_patient(name: str | Path) -> Patient:
    """Load a patient by name or path.

    Raises
    ------
    InputError : every fault of the file that can be seen in it alone.
    """
    from isletsim.data_files import find
    from isletsim.patient import read_patient

    return Patient(read_patient(find("patient", name_argument(name, "load_patient", 'load_patient("early_t2d")'))))


def challenge(subject: str | Path, test: str | Path, at: str = "0 day", *, arm: str = "") -> Examination:
    """Give a virtual test to a patient, or to the reference patient of an arm of a scenario.

    Parameters
    ----------
    subject : name or path of a patient or a scenario. test : name ("ogtt") or path of a test.
    at : when, counted from the end of the history.
    arm : which arm of a scenario; its first when empty.

    Returns
    -------
    examination : its `finding` has the curves (`courses`, over `minutes`) and the `reports`.

    Raises
    ------
    InputError : anything that is not understood.
    RunError : the patient could not be simulated until then.
    """
    from isletsim.study.examine import examine

    example = 'challenge("healthy_adult", "ogtt", at="12 month")'
    wanted = str(name_argument(subject, "challenge", example))
    if not isinstance(at, str):
        raise InputError(Fault("at", f"expected a time, found {at!r}.", f"Write {example}."))
    seen = examine(wanted, str(name_argument(test, "challenge", example)), at)
    arms = {each.arm: each for each in seen}
    if arm and arm not in arms:
        cure = did_you_mean(arm, arms) or f"Arms are: {', '.join(arms)}."
        raise InputError(Fault("arm", f'{wanted} has no arm "{arm}".', cure))
    return arms[arm] if arm else seen[0]


def validate(
    wanted: Collection[str] = (),
    *,
    jobs: int | None = None,
    patients: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ValidationReport:
    """Compare simulations with published measurements.

    Parameters
    ----------
    wanted : ids of targets or claims, or names of studies; everything when empty.
    jobs : threads; all cores when not given. patients : size of every cohort instead of the study's own.
    progress : called with the name of a study, and how many of its subjects of how many are done.

    Raises
    ------
    InputError : an id is unknown, or a check is not met by its run.
    """
    from isletsim.validation import validate as compare

    names = [str(each) for each in list_argument(wanted, "validate", 'validate(["T183"])')]
    return compare(names, jobs=jobs, patients=patients, progress=progress)


def check(*files: str | Path) -> tuple[Fault, ...]:
    """Return the faults of files, each with its place and a cure; an empty tuple if there are none. Nothing is run.

    Parameters
    ----------
    files : models, patients, virtual tests or scenarios by name or path, or SBML files.
    """
    from isletsim.data_files import find_any
    from isletsim.study.check import check_file

    faults: list[Fault] = []
    for each in files:
        try:
            name = name_argument(each, "check", 'check("my/scenario.toml")')
            if is_sbml(name):
                load_model(Path(name))
            else:
                check_file(*find_any(name))
        except InputError as wrong:
            faults += wrong.faults
    return tuple(faults)


def export(
    name: str | Path, path: str | Path | None = None, *, form: str = "sbml", arm: str = "", algebraic: bool = True
) -> str:
    """Export a model, or an arm of a scenario, for other tools.

    Parameters
    ----------
    name : a model or a scenario by name or path. arm : of a scenario; the first when empty.
    path : where to write it; nothing is written when not given.
    form : "sbml" (Level 3 Version 2), "antimony", or "omex" (a COMBINE archive, which needs a path).
    algebraic : keep algebraic rules; otherwise they are followed by their derivative.

    Returns
    -------
    text : the document; empty for an archive.

    Raises
    ------
    InputError : nothing of this name, or something that the format cannot say.
    """
    from isletsim.sbml.commands import export_file

    forms = ("sbml", "antimony", "omex")
    if form not in forms:
        raise InputError(Fault("form", f"{form!r} is not a format.", f"Use one of: {', '.join(forms)}."))
    wanted = str(name_argument(name, "export", 'export("topp2000", "topp2000.xml")'))
    return export_file(wanted, arm, form, algebraic, None if path is None else Path(path))[0]


def list_files(kind: str | None = None) -> dict[str, str]:
    """Return the names of the package's files with their titles.

    Parameters
    ----------
    kind : "models", "patients", "challenges" or "scenarios"; all when not given.

    Raises
    ------
    InputError : an unknown kind.
    """
    from isletsim.data_files import KINDS, listing, title

    kinds = [f"{each}s" for each in KINDS]
    if kind is not None and kind not in kinds:
        raise InputError(Fault("list", f"{kind!r} is not a kind of file.", f"Use one of: {', '.join(kinds)}."))
    wanted = kinds if kind is None else [kind]
    return {name: title(path) for each in wanted for name, path in listing(each.removesuffix("s"))}
