"""Import and export of SBML. Import needs python-libsbml (the extra `sbml`)."""

from isletsim.sbml.model import SbmlModel, SbmlTrajectory, load_sbml

__all__ = ["SbmlModel", "SbmlTrajectory", "load_sbml"]
