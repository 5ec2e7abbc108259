"""Validation of an SBML file and flattening of its submodels by libSBML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isletsim.errors import Fault, InputError
from isletsim.sbml.input_limits import checked_text, file_beside, without_decoration

__all__ = ["library", "open_document"]

MOST_INSTANCES = 5_000  # submodels, when all are written out
MOST_FAULTS = 10  # that are shown
# Errors that change no number: a unit that is not defined, a reaction whose only species are modifiers.
MILD = frozenset({10313, 21101})
CONVERTED = (2, 4)  # Level and Version that files of Level 1 become
KNOWN_PACKAGES = frozenset({"comp", "l3v2extendedmath"})


def library() -> Any:
    """Return the libSBML module, or raise how to install it."""
    try:
        import libsbml
    except ImportError:
        cure = "Install it with: pip install 'isletsim[sbml]'"
        raise InputError(Fault("SBML", "python-libsbml is not installed.", cure)) from None
    return libsbml


def open_document(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return the libSBML document of a file, validated and without submodels, and warnings.

    Notes, annotations, layout and render information are dropped with a warning when they contain errors.

    Raises
    ------
    InputError : not XML, not SBML, inconsistent, or of a package that is not supported.
    """
    text = checked_text(path)
    try:
        return _opened(text, path), ()
    except InputError as refusal:
        mathematics = without_decoration(text)
        if mathematics == text:
            raise
        try:
            document = _opened(mathematics, path)
        except InputError:
            raise refusal from None
        fault = refusal.faults[0]
        said = f"{fault.place}: {fault.message} Notes, annotations, layout and render information were left out."
        return document, (said,)


def _opened(text: str, path: Path) -> Any:
    libsbml = library()
    document = libsbml.readSBMLFromString(text)
    _check_packages(document, path)
    _refuse_errors(libsbml, document, path)
    if document.getLevel() == 1:
        document.setLevelAndVersion(*CONVERTED, False)  # noqa: FBT003 - not strictly: units need not agree
        _refuse_errors(libsbml, document, path)
    for category in ("UNITS_CONSISTENCY", "STRICT_UNITS_CONSISTENCY", "MODELING_PRACTICE", "SBO_CONSISTENCY"):
        document.setConsistencyChecks(getattr(libsbml, f"LIBSBML_CAT_{category}"), False)  # noqa: FBT003
    document.setLocationURI(f"file:{path.resolve()}")
    if document.isPackageEnabled("comp"):
        _count_submodels(libsbml, document, path)
    document.checkConsistency()
    _refuse_errors(libsbml, document, path)
    if document.getModel() is None:
        raise InputError(Fault(str(path), "This file has no model."))
    if document.isPackageEnabled("comp"):
        _flatten(libsbml, document, path)
    return document


def _check_packages(document: Any, path: Path) -> None:
    """Packages that change what the mathematics means must be known."""
    if document.getLevel() < 3:
        return
    names = {document.getPlugin(index).getPackageName() for index in range(document.getNumPlugins())}
    spoken = [name for name in names if name not in KNOWN_PACKAGES and document.getPackageRequired(name)]
    unknown = [
        document.getUnknownPackagePrefix(index)
        for index in range(document.getNumUnknownPackages())
        if document.getPackageRequired(document.getUnknownPackageURI(index))
    ]
    faults = [
        Fault(f"{path}, package {name}", "The file requires this package, which is not supported.")
        for name in sorted({*spoken, *unknown})
    ]
    if faults:
        raise InputError(faults)


def _refuse_errors(libsbml: Any, document: Any, path: Path) -> None:
    faults: list[Fault] = []
    for index in range(document.getNumErrors()):
        error = document.getError(index)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR and error.getErrorId() not in MILD:
            message = " ".join((error.getMessage() or error.getShortMessage()).split())
            faults.append(Fault(f"{path}:{error.getLine()}", f"{message} [SBML {error.getErrorId()}]"))
    if faults:
        left = len(faults) - MOST_FAULTS
        more = [Fault(str(path), f"{left} more problem{'s' if left > 1 else ''} of this kind.")] if left > 0 else []
        raise InputError([*faults[:MOST_FAULTS], *more])


# --- submodels --------------------------------------------------------------------------------------------------------


def _count_submodels(libsbml: Any, document: Any, path: Path) -> None:
    """Refuses what would become too much when written out; libSBML's own checks write it out already."""
    count = 0 if document.getModel() is None else _Instances(libsbml).of(document, path.resolve(), "")
    if count > MOST_INSTANCES:
        raise InputError(Fault(str(path), f"Written out, it has {count:.3g} submodels; at most {MOST_INSTANCES} are."))


def _flatten(libsbml: Any, document: Any, path: Path) -> None:
    """Writes submodels out."""
    properties = libsbml.ConversionProperties()
    properties.addOption("flatten comp", True)  # noqa: FBT003
    properties.addOption("basePath", str(path.resolve().parent))
    properties.addOption("performValidation", False)  # noqa: FBT003 - it was validated when it was opened
    properties.addOption("leavePorts", False)  # noqa: FBT003
    document.getErrorLog().clearLog()
    if document.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
        _refuse_errors(libsbml, document, path)
        raise InputError(Fault(str(path), "Its submodels cannot be put together."))


class _Instances:
    """Counts how many submodels a model has when all are written out, each definition once."""

    def __init__(self, libsbml: Any) -> None:
        self.libsbml = libsbml
        self.known: dict[tuple[Path, str], int | None] = {}
        self.documents: dict[Path, Any] = {}

    def of(self, document: Any, path: Path, name: str) -> int:
        """The submodels of a definition (the model itself where the name is empty)."""
        key = (path, name)
        if key in self.known:
            counted = self.known[key]
            if counted is None:
                raise InputError(Fault(f"{path}, {name or 'model'}", "A submodel contains itself."))
            return counted
        self.known[key] = None
        plugin = document.getPlugin("comp")
        model = document.getModel()
        if name and name != model.getId():
            model = plugin.getModelDefinition(name) if plugin is not None else None
            external = plugin.getExternalModelDefinition(name) if plugin is not None else None
            if model is None and external is not None:
                total = self._outside(external, path)
                self.known[key] = total
                return total
        parts = model.getPlugin("comp") if model is not None else None
        total = 0
        for submodel in [] if parts is None else [parts.getSubmodel(i) for i in range(parts.getNumSubmodels())]:
            total += 1 + self.of(document, path, submodel.getModelRef())
        self.known[key] = total
        return total

    def _outside(self, external: Any, path: Path) -> int:
        found = file_beside(path, external.getSource())
        if found not in self.documents:
            self.documents[found] = self.libsbml.readSBMLFromString(checked_text(found))
            _refuse_errors(self.libsbml, self.documents[found], found)
        return self.of(self.documents[found], found, external.getModelRef())
