"""Goals, credits and attainment. Pure: no I/O, no clock, no randomness."""

from connector.attainment.credits import Conversion, Entry, convert, credit_rows
from connector.attainment.measure import attainment, current, percentage

__all__ = ["Conversion", "Entry", "attainment", "convert", "credit_rows", "current", "percentage"]
