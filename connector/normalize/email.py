"""E-mail addresses in one form: lower case, composed letters, no display name."""

import re

from email_validator import EmailNotValidError, validate_email

# The plain addresses nearly everybody has; what it lets through, email-validator leaves as it is.
_PLAIN = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*"
    r"@(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|net|org|de|pl|at|ch|fr|uk|eu|io|nl|it|es)"
)
_IN_BRACKETS = re.compile(r"<([^<>]+)>\s*\Z")
_LONGEST = 320
_AROUND = " \t<>,;:."


def read_email(text: str) -> str:
    """Return the canonical address; empty when the text is none."""
    if len(text) > _LONGEST:
        return ""
    found = _IN_BRACKETS.search(text)
    bare = (found.group(1) if found else text).strip(_AROUND)
    address = bare.lower().removeprefix("mailto:")
    return address if _PLAIN.fullmatch(address) else _validated(address)


def _validated(address: str) -> str:
    try:
        # `test_environment` admits the reserved domain .test; `strict` holds the local part to 64 characters.
        valid = validate_email(address, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        return ""
    return valid.normalized.lower()
