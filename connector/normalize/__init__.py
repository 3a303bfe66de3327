"""Canonical e-mail, phone, name, address, company. Pure: no I/O, no clock, no randomness, no network.

What cannot be read is never lost: it stays with the lead as `raw_FIELD`, with a note in plain words.
"""

from connector.normalize.facets import facets_of
from connector.normalize.lead import normalize

__all__ = ["facets_of", "normalize"]
