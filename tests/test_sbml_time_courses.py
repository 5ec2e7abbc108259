"""SED-ML documents and COMBINE archives: their time courses are run, other parts are refused by name."""

import zipfile

import numpy as np
import pytest

import isletsim
from isletsim.cli import commands as cli
from isletsim.data_files import find
from isletsim.errors import InputError
from isletsim.sbml.archive import archive_of
from isletsim.sbml.export_scenario import export_model
from isletsim.sbml.time_courses import run_time_courses, write_reports

DECAY = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">
<model id="decay">
<listOfCompartments><compartment id="c" size="2" constant="true" spatialDimensions="3"/></listOfCompartments>
<listOfSpecies><species id="S" compartment="c" initialConcentration="5" hasOnlySubstanceUnits="false"
 boundaryCondition="false" constant="false"/></listOfSpecies>
<listOfParameters><parameter id="k" value="0.5" constant="true"/></listOfParameters>
<listOfReactions><reaction id="r" reversible="false"><listOfReactants><speciesReference species="S" stoichiometry="1"
 constant="true"/></listOfReactants><kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/>
 <ci>c</ci><ci>k</ci><ci>S</ci></apply></math></kineticLaw></reaction></listOfReactions>
</model></sbml>
"""

COURSE = """<?xml version="1.0" encoding="UTF-8"?>
<sedML xmlns="http://sed-ml.org/sed-ml/level1/version3" level="1" version="3">
<listOfSimulations><uniformTimeCourse id="sim" initialTime="0" outputStartTime="1" outputEndTime="5"
 numberOfPoints="4"><algorithm kisaoID="KISAO:0000019"/></uniformTimeCourse></listOfSimulations>
<listOfModels><model id="base" language="urn:sedml:language:sbml" source="decay.xml"/>
<model id="faster" language="urn:sedml:language:sbml" source="base"><listOfChanges>
<changeAttribute target="/sbml:sbml/sbml:model/sbml:listOfParameters/sbml:parameter[@id='k']/@value" newValue="0.8"/>
<changeAttribute target="/sbml:sbml/sbml:model/sbml:listOfSpecies/sbml:species[@id='S']/@initialAmount" newValue="6"/>
</listOfChanges></model></listOfModels>
<listOfTasks><task id="task" modelReference="faster" simulationReference="sim"/></listOfTasks>
<listOfDataGenerators>
<dataGenerator id="time"><listOfVariables><variable id="t" symbol="urn:sedml:symbol:time" taskReference="task"/>
</listOfVariables><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>t</ci></math></dataGenerator>
<dataGenerator id="twice"><listOfVariables><variable id="s" taskReference="task"
 target="/sbml:sbml/sbml:model/sbml:listOfSpecies/sbml:species[@id='S']"/></listOfVariables>
<listOfParameters><parameter id="f" value="2"/></listOfParameters>
<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>f</ci><ci>s</ci></apply></math></dataGenerator>
</listOfDataGenerators>
<listOfOutputs><report id="table"><listOfDataSets><dataSet id="a" label="time" dataReference="time"/>
<dataSet id="b" label="2 S" dataReference="twice"/></listOfDataSets></report></listOfOutputs>
</sedML>
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "decay.xml").write_text(DECAY, encoding="utf-8")
    (tmp_path / "course.sedml").write_text(COURSE, encoding="utf-8")
    return tmp_path


def test_a_time_course_with_changes_and_a_formula_gives_its_report(folder):
    (report,) = run_time_courses(folder / "course.sedml")
    assert report.labels == ("time", "2 S")
    assert report.values[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert report.values[:, 1] == pytest.approx(2 * 3.0 * np.exp(-0.8 * np.arange(1, 6)), rel=1e-5)
    (path,) = write_reports((report,), folder / "out")
    assert path.name == "table.csv"
    assert path.read_text(encoding="utf-8").splitlines()[0] == "time,2 S"


def test_an_archive_of_the_package_runs_to_the_numbers_of_its_model(tmp_path):
    exported = export_model(find("model", "topp2000"), algebraic=True)
    (tmp_path / "topp.omex").write_bytes(archive_of(exported.exchange, 40.0, 40))
    report, *_ = run_time_courses(tmp_path / "topp.omex")
    model = isletsim.load_model("topp2000").simulate(until="40 day", save="1 day", rtol=1e-9)
    mass = report.values[:, report.labels.index("topp2000.mass")]
    assert mass == pytest.approx(model["mass"], rel=1e-6)


def test_an_archive_may_hold_models_in_folders(folder):
    with zipfile.ZipFile(folder / "study.omex", "w") as archive:
        archive.writestr("runs/course.sedml", COURSE)
        archive.writestr("runs/decay.xml", DECAY)
    (report,) = run_time_courses(folder / "study.omex")
    assert len(report.values) == 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('simulationReference="sim"', 'simulationReference="none"', "only uniformTimeCourse is supported"),
        ('initialTime="0"', 'initialTime="1"', "only 0 is supported"),
        ('source="decay.xml"', 'source="../decay.xml"', "not a file beside the document"),
        ('source="decay.xml"', 'source="urn:miriam:biomodels.db:BIOMD1"', "not a file beside the document"),
        ('source="decay.xml"', 'source="other.xml"', 'there is no file "other.xml"'),
        ("[@id='k']/@value", "[@id='k']/@name", "is not supported"),
        ("<ci>f</ci>", "<ci>g</ci>", 'its formula has "g"'),
        ('newValue="0.8"', 'newValue="fast"', '"fast" is not a number'),
        ("</sedML>", "", "[SED-ML"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(folder, old, new, said):
    (folder / "course.sedml").write_text(COURSE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as wrong:
        run_time_courses(folder / "course.sedml")
    assert said in str(wrong.value)


def test_an_archive_that_reaches_outside_of_itself_is_refused(folder):
    with zipfile.ZipFile(folder / "bad.omex", "w") as archive:
        archive.writestr("../course.sedml", COURSE)
    with pytest.raises(InputError, match="lies outside of the archive"):
        run_time_courses(folder / "bad.omex")
    (folder / "none.omex").write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read as an archive"):
        run_time_courses(folder / "none.omex")


def test_the_command_line_runs_an_archive_and_a_document(folder, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            cli.main(["run", *arguments])
        return done.value.code or 0, capsys.readouterr()

    with zipfile.ZipFile(folder / "study.omex", "w") as archive:
        archive.writestr("course.sedml", COURSE)
        archive.writestr("decay.xml", DECAY)
    for name in ("study.omex", "course.sedml"):
        status, printed = run(str(folder / name), "-o", str(folder / name[:5]))
        assert status == 0, printed.err
        assert "table: 5 rows of time, 2 S" in printed.out
        assert (folder / name[:5] / "table.csv").read_text(encoding="utf-8").count("\n") == 6
    status, printed = run(str(folder / "study.omex"), "--until", "3 day")
    assert status == 2
    assert "states its own end" in printed.err
