"""What must happen after a purchase. Pure: no I/O, no clock, no randomness."""

from connector.followup.evidence import Accepted, Refused, judge_tick
from connector.followup.ladder import Firing, due_rungs, next_rung
from connector.followup.progress import Party, replay
from connector.followup.substitute import Candidate, Choice, choose_substitute

__all__ = [
    "Accepted",
    "Candidate",
    "Choice",
    "Firing",
    "Party",
    "Refused",
    "choose_substitute",
    "due_rungs",
    "judge_tick",
    "next_rung",
    "replay",
]
