"""Export of a COMBINE archive (OMEX): SBML and Antimony of the model, SED-ML of its simulation."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from xml.sax.saxutils import quoteattr

from isletsim.errors import InputError
from isletsim.sbml.antimony import antimony_text
from isletsim.sbml.exchange import Exchange, ExchangeVariable, number_of
from isletsim.sbml.writing import CORE, MATHML, sbml_text

__all__ = ["archive_of", "sedml_text"]

SEDML = "http://sed-ml.org/sed-ml/level1/version4"
COMBINE = "http://identifiers.org/combine.specifications"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the date of every entry, so that the same model gives the same archive
# Terms of the Kinetic Simulation Algorithm Ontology: CVODE, its relative and its absolute tolerance.
_ALGORITHM, _RELATIVE, _ABSOLUTE = "KISAO:0000019", "KISAO:0000209", "KISAO:0000211"


def sedml_text(exchange: Exchange, until: float, records: int, source: str = "model.xml") -> str:
    """Return the time course of a model as SED-ML: states and clinical reports as a table, reports as plots."""
    shown = [each for each in exchange.variables if each.kind in ("state", "unknown") or _is_report(each)]
    data = "".join(_generator(each.id) for each in shown)
    sets = "".join(
        f'<dataSet id="set_{each.id}" label={quoteattr(each.name)} dataReference="data_{each.id}"/>' for each in shown
    )
    plots = "".join(_plot(each) for each in shown if _is_report(each) or not any(map(_is_report, shown)))
    settings = "".join(
        f'<algorithmParameter kisaoID="{term}" value="{value}"/>'
        for term, value in ((_RELATIVE, 1e-9), (_ABSOLUTE, 1e-12))
    )
    course = (
        '<uniformTimeCourse id="simulation" initialTime="0" outputStartTime="0" '
        f'outputEndTime="{number_of(until)}" numberOfSteps="{records}"><algorithm kisaoID="{_ALGORITHM}">'
        f"<listOfAlgorithmParameters>{settings}</listOfAlgorithmParameters></algorithm></uniformTimeCourse>"
    )
    model = f'<model id="model" language="urn:sedml:language:sbml.level-3.version-2" source="{source}"/>'
    first = '<dataSet id="set_time" label="time" dataReference="data_time"/>'
    report = f'<report id="report" name="states and reports"><listOfDataSets>{first}{sets}</listOfDataSets></report>'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<sedML xmlns="{SEDML}" xmlns:sbml="{CORE}" level="1" version="4">',
        f"<listOfModels>{model}</listOfModels>",
        f"<listOfSimulations>{course}</listOfSimulations>",
        '<listOfTasks><task id="task" modelReference="model" simulationReference="simulation"/></listOfTasks>',
        f"<listOfDataGenerators>{_generator('')}{data}</listOfDataGenerators>",
        f"<listOfOutputs>{report}{plots}</listOfOutputs>",
        "</sedML>",
    ]
    return "\n".join(lines) + "\n"


def _is_report(each: ExchangeVariable) -> bool:
    return each.name.startswith("report.")


def _generator(identifier: str) -> str:
    """Data of a quantity, or of the time where the identifier is empty."""
    name = identifier or "time"
    target = 'symbol="urn:sedml:symbol:time"'
    if identifier:
        path = f"/sbml:sbml/sbml:model/sbml:listOfParameters/sbml:parameter[@id='{identifier}']"
        target = f'target="{path}"'
    return (
        f'<dataGenerator id="data_{name}" name="{name}"><listOfVariables><variable id="value_{name}" {target} '
        f'taskReference="task"/></listOfVariables><math xmlns="{MATHML}"><ci>value_{name}</ci></math></dataGenerator>'
    )


def _plot(each: ExchangeVariable) -> str:
    title = each.name.removeprefix("report.")
    data = f'xDataReference="data_time" yDataReference="data_{each.id}"'
    curve = f'<curve id="curve_{each.id}" logX="false" logY="false" {data}/>'
    return f'<plot2D id="plot_{each.id}" name={quoteattr(title)}><listOfCurves>{curve}</listOfCurves></plot2D>'


def archive_of(exchange: Exchange, until: float, records: int) -> bytes:
    """Return the archive, without Antimony when it cannot express the model."""
    parts = {
        "model.xml": (f"{COMBINE}/sbml.level-3.version-2", sbml_text(exchange)),
        "simulation.sedml": (f"{COMBINE}/sed-ml.level-1.version-4", sedml_text(exchange, until, records)),
    }
    with suppress(InputError):  # an algebraic rule: only the SBML has it
        parts["model.ant"] = ("http://purl.org/NET/mediatypes/text/plain", antimony_text(exchange))
    content = [
        f'<content location="." format="{COMBINE}/omex"/>',
        f'<content location="./manifest.xml" format="{COMBINE}/omex-manifest"/>',
    ]
    content += [
        f'<content location="./{name}" format="{kind}"{" master=" + quoteattr("true") if "sedml" in name else ""}/>'
        for name, (kind, _) in parts.items()
    ]
    manifest = f'<?xml version="1.0" encoding="UTF-8"?>\n<omexManifest xmlns="{COMBINE}/omex-manifest">'
    manifest += "".join(content) + "</omexManifest>\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"manifest.xml": manifest, **{name: text for name, (_, text) in parts.items()}}.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return file.getvalue()
