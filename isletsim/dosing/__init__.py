"""What happens when: doses and courses as an explicit, printable list, and the list as the solver's schedule."""

from __future__ import annotations

from isletsim.dosing.reading import Course, Dose, describe_dose, read_courses, read_doses, read_time
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
    "scheduled_events",
    "to_schedule",
    "without_given",
]
