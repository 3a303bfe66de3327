"""The sales process in numbers: how many, how soon, how sure. Pure: no I/O, no clock, no randomness."""

from connector.journey.comparison import Answer, Channel, Comparison, compare

__all__ = ["Answer", "Channel", "Comparison", "compare"]
