"""Phone numbers in E.164."""

from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat


@dataclass(frozen=True, slots=True)
class Phone:
    """A number as E.164. `country` is set when the number itself names it, by its international prefix."""

    number: str
    country: str = ""
    extension: str = ""
    known_range: bool = True


def read_phone(text: str, country: str) -> Phone | None:
    """Read a number as dialled in `country`; None when it is none.

    A number in international form with a possible length is believed even if its range is not in the
    library's tables: operators open new ranges before libraries learn of them.
    """
    try:
        parsed = phonenumbers.parse(text, country or None)
    except NumberParseException:
        return None
    international = text.lstrip(" (").startswith("+")
    # Most are of the country asked about; trying all that share a prefix takes twice as long.
    here = phonenumbers.is_valid_number_for_region(parsed, country)
    known = here or phonenumbers.is_valid_number(parsed)
    if not known and not (international and phonenumbers.is_possible_number(parsed)):
        return None
    return Phone(
        number=phonenumbers.format_number(parsed, PhoneNumberFormat.E164),
        country=(country if here else _country_of(parsed)) if international and known else "",
        extension=parsed.extension or "",
        known_range=known,
    )


def _country_of(parsed: phonenumbers.PhoneNumber) -> str:
    region = phonenumbers.region_code_for_number(parsed) or ""
    # Satellite and other world-wide numbers answer with a digit code ("001").
    return region if region.isalpha() else ""
