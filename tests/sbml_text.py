"""Small SBML files, written out for tests."""

from __future__ import annotations

from pathlib import Path

MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'
RATE_OF = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol>'
DELAY = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">delay</csymbol>'


def sbml(body: str, attributes: str = "", level: int = 3, version: int = 2) -> str:
    """A file of one model."""
    core = f"http://www.sbml.org/sbml/level{level}/version{version}" + ("/core" if level == 3 else "")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<sbml xmlns="{core}" level="{level}" version="{version}">'
        f'<model id="model" {attributes}>{body}</model></sbml>'
    )


def math(body: str) -> str:
    return f"<math {MATH}>{body}</math>"


def call(operator: str, *operands: str) -> str:
    return f"<apply><{operator}/>{''.join(operands)}</apply>"


def ci(name: str) -> str:
    return f"<ci>{name}</ci>"


def cn(value: float) -> str:
    return f"<cn>{value}</cn>"


def parameters(**values: object) -> str:
    """Parameters that may change; a value of None gives none."""
    made = [
        f'<parameter id="{name}" constant="false"' + ("/>" if value is None else f' value="{value}"/>')
        for name, value in values.items()
    ]
    return f"<listOfParameters>{''.join(made)}</listOfParameters>"


def compartment(size: float = 1.0, constant: bool = True, dimensions: int = 3) -> str:
    return (
        f'<listOfCompartments><compartment id="C" spatialDimensions="{dimensions}" size="{size}" '
        f'constant="{str(constant).lower()}"/></listOfCompartments>'
    )


def species(name: str, start: str, amount: bool = False, boundary: bool = False) -> str:
    """A species; `start` is such as "Amount 3" or "Concentration 0.5"."""
    kind, value = start.split()
    return (
        f'<species id="{name}" compartment="C" initial{kind}="{value}" hasOnlySubstanceUnits="{str(amount).lower()}" '
        f'boundaryCondition="{str(boundary).lower()}" constant="false"/>'
    )


def reaction(name: str, reactants: str, products: str, law: str, fast: bool | None = None) -> str:
    """A reaction; reactants and products are names, separated by spaces."""

    def side(tag: str, names: str) -> str:
        made = [f'<speciesReference species="{each}" stoichiometry="1" constant="true"/>' for each in names.split()]
        return f"<listOf{tag}>{''.join(made)}</listOf{tag}>" if made else ""

    more = "" if fast is None else f'fast="{str(fast).lower()}"'
    return (
        f'<reaction id="{name}" reversible="false" {more}>{side("Reactants", reactants)}{side("Products", products)}'
        f"<kineticLaw>{math(law)}</kineticLaw></reaction>"
    )


def rule(kind: str, variable: str, law: str) -> str:
    about = f' variable="{variable}"' if variable else ""
    return f"<{kind}Rule{about}>{math(law)}</{kind}Rule>"


def event(name: str, trigger: str, assignments: dict[str, str], more: str = "", flags: str = "") -> str:
    """An event; `flags` are attributes of its trigger, `more` its delay and priority."""
    flags = flags or 'initialValue="true" persistent="true"'
    made = [f'<eventAssignment variable="{key}">{math(law)}</eventAssignment>' for key, law in assignments.items()]
    return (
        f'<event id="{name}" useValuesFromTriggerTime="true"><trigger {flags}>{math(trigger)}</trigger>{more}'
        f"<listOfEventAssignments>{''.join(made)}</listOfEventAssignments></event>"
    )


def after(time: float) -> str:
    """The condition that the time has come."""
    return call("geq", TIME, cn(time))


def write(folder: Path, text: str | bytes, name: str = "model.xml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
