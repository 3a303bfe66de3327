"""Postal codes as keys that compare and sort the same everywhere."""

import re
from functools import lru_cache

#: Countries whose codes are this many digits, leading zeros included.
DIGITS = {"DE": 5, "PL": 5, "US": 5}

_PATTERNS = {
    "DE": re.compile(r"(?:DE?-)?([0-9]{5})"),
    "PL": re.compile(r"(?:PL-)?([0-9]{2})[- ]?([0-9]{3})"),
    # ZIP+4 names a city block; territories are cut by the five-digit code.
    "US": re.compile(r"([0-9]{5})(?:[- ]?[0-9]{4})?"),
}
_NOISE = re.compile(r"[\W_]+")


@lru_cache(maxsize=8192)
def postal_key(country: str, text: str) -> str | None:
    """Return the code as a fixed-width key, or None if it is no postal code of that country.

    `country` is an ISO code in either case. Countries without a rule here: letters and digits, upper case.
    """
    pattern = _PATTERNS.get(country.upper())
    if pattern is None:
        return _NOISE.sub("", text).upper() or None
    found = pattern.fullmatch(text.strip().upper())
    return "".join(found.groups()) if found else None
