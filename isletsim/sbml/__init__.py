"""SBML, the common language of systems biology, in and out. Needs python-libsbml, the extra `sbml`."""

from isletsim.sbml.model import SbmlModel, SbmlTrajectory, load_sbml

__all__ = ["SbmlModel", "SbmlTrajectory", "load_sbml"]
