"""How the steps between real days are controlled, and how their work is counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StepControl", "WorkCounts"]


@dataclass(frozen=True)
class StepControl:
    """Settings of the macro steps; lengths in days, the rest in tolerances of the summaries or in sizes of quantities.

    Attributes
    ----------
    tolerance : factor of all tolerances.
    shortest, longest, first : lengths of macro steps.
    gap : a day that closes to this share of the tolerance counts as periodic.
    periodicity_tol : how far a day at the end of a step may end from the expected midnight, in sizes of its states
        times `tolerance`, before a second day is simulated.
    refresh_error : error of the day at the end of a step from which on an older Jacobian is measured again.
    max_curvature : how far the path of the day's inputs may curve within a step, in sizes.
    max_summary_change : how far the summaries may move within a step, in tolerances.
    unforeseen_input, unforeseen_summary : a jump of the inputs along unmeasured directions (in tenths of sizes), or of
        the summaries, after which `settling_days` are simulated one by one, or fewer if they are alike sooner.
    report_tol : allowed error of a summary that only reports read, in hundredths of itself, down to a tenth of its
        size; summaries with kinks are not limited.
    min_macro_days, daily_run : in place of macro steps shorter than the first, so many days are simulated one by one.
    probe_change : a jump of the summaries after which one day is simulated before the next macro step.
    jacobian_age : movement of the summaries after which slopes are measured again.
    every_day : simulate every day, each from the midnight of the day before.
    """

    tolerance: float = 1.0
    shortest: float = 1.0
    longest: float = 100.0
    first: float = 10.0
    gap: float = 0.1
    periodicity_tol: float = 0.02
    refresh_error: float = 0.3
    max_curvature: float = 0.15
    max_summary_change: float = 40.0
    unforeseen_input: float = 0.05
    unforeseen_summary: float = 5.0
    settling_days: int = 4
    report_tol: float = 3.0
    min_macro_days: float = 5.0
    daily_run: int = 8
    probe_change: float = 0.5
    jacobian_age: float = 8.0
    every_day: bool = False


@dataclass
class WorkCounts:
    """The work of a walk.

    Attributes
    ----------
    days, perturbed : real days, and those of them that were lived only for slopes.
    batches : runs of the perturbed days side by side, a lane each; one costs about as much as two days.
    steps, rejected, inner : macro steps, those that were tried in vain, and the steps of the solver within them.
    """

    days: int = 0
    perturbed: int = 0
    batches: int = 0
    steps: int = 0
    rejected: int = 0
    inner: int = 0
    alone: int = 0  # days simulated one after the other since the last macro step

    @property
    def cost(self) -> int:
        """The work in days that follow one another."""
        return self.days - self.perturbed + 2 * self.batches
