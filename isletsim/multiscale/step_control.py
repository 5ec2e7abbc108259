"""How the steps between real days are controlled, and how their work is counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClockCounts", "Rules"]


@dataclass(frozen=True)
class Rules:
    """How the macro steps are controlled; lengths in days, the rest in tolerances of the summaries or sizes.

    Attributes
    ----------
    tolerance : factor of all tolerances.
    gap : a day that closes to this share of the tolerance counts as periodic.
    strange : a day at the end of a step that ends so far from the midnight expected there, in sizes of its states times
        `tolerance`, is looked at once more, from the morning that this asks for.
    doubt : where the day at the end of a step missed by more, slopes that were not measured at the base are renewed
        before it is judged.
    bend, trust : how far the path may curve within a step, in sizes, and the summaries may move, in tolerances.
    jump, lived, settling : after an event that moves what the day reads so far, in tenths of sizes, where no slope is
        known, or the summaries so far, so many days are simulated one by one, or fewer where they are alike sooner.
    shown : a summary that only reports read may be missed by so many times what matters there, which is a hundredth of
        itself, down to a tenth of its size; those with kinks by as much as they like.
    worthwhile, spell : in place of steps that would be shorter, so many days are simulated one by one.
    looked : after an event that moves the summaries so far, one day is simulated before the next macro step.
    stale : slopes are measured anew where what moved since they were has moved the summaries so far.
    every_day : simulate every day, each from the midnight of the day before.
    """

    tolerance: float = 1.0
    shortest: float = 1.0
    longest: float = 100.0
    first: float = 10.0
    gap: float = 0.1
    strange: float = 0.02
    doubt: float = 0.3
    bend: float = 0.15
    trust: float = 40.0
    jump: float = 0.05
    lived: float = 5.0
    settling: int = 4
    shown: float = 3.0
    worthwhile: float = 5.0
    spell: int = 8
    looked: float = 0.5
    stale: float = 8.0
    every_day: bool = False


@dataclass
class ClockCounts:
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
