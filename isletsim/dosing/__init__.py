"""What happens when: doses and courses as an explicit, printable list, and the list as the solver's schedule."""

from __future__ import annotations

from isletsim.dosing.levels import resolved, stepped, whole_names
from isletsim.dosing.reading import describe_dose, read_courses, read_doses, read_time
from isletsim.dosing.records import Course, Dose
from isletsim.dosing.schedule import (
    ScheduledEvent,
    ScheduledEvents,
    at_instants,
    breakpoints,
    given_at,
    infusion,
    scheduled_events,
    to_schedule,
    without_given,
)
from isletsim.dosing.steady_state import steady_doses
from isletsim.dosing.table import Measurement, SubjectRecord, read_dosing_table

__all__ = [
    "Course",
    "Dose",
    "Measurement",
    "ScheduledEvent",
    "ScheduledEvents",
    "SubjectRecord",
    "at_instants",
    "breakpoints",
    "describe_dose",
    "given_at",
    "infusion",
    "read_courses",
    "read_doses",
    "read_dosing_table",
    "read_time",
    "resolved",
    "scheduled_events",
    "steady_doses",
    "stepped",
    "to_schedule",
    "whole_names",
    "without_given",
]
