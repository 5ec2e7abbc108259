"""Virtual tests: an OGTT, a mixed meal, a clamp, a fast, given to a patient at any moment of a life.

A test is data (`models/challenges/`): when it starts, what is given, which levels are held, what is sampled and what is
reported. It runs the day with the life values of the moment; the life does not notice it.
"""

from __future__ import annotations

from isletsim.challenges.binding import bind_challenge
from isletsim.challenges.giving import challenge
from isletsim.challenges.reading import read_challenge
from isletsim.challenges.records import Challenge, ChallengeFile, ChallengeReport, Finding

__all__ = [
    "Challenge",
    "ChallengeFile",
    "ChallengeReport",
    "Finding",
    "bind_challenge",
    "challenge",
    "read_challenge",
]
