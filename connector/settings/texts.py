"""Parsers of single values: keys, e-mail addresses, time zones, languages, money, dates, spans."""

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
import pycountry
from email_validator import EmailNotValidError, validate_email

from connector.model.followup import Span, Unit
from connector.settings.shapes import fault

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_SPAN = re.compile(r"([0-9]{1,4})([a-z]+)")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,10})?")
#: Denominators a cap may have: beyond, a cap would look back for years.
_FINEST = 12
_HOLD = re.compile(r"([0-9]{1,4})([hm])")


def key(text: str) -> str:
    """Return a key: lower case, digits, dot, hyphen, underscore."""
    if not _KEY.fullmatch(text):
        raise fault(
            f"'{text}' is no key",
            "keys are compared letter by letter",
            "use lower-case letters, digits, '.', '-' and '_' only",
        )
    return text


def email(text: str) -> str:
    """Return a well-formed e-mail address; nothing is looked up."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as err:
        raise fault(
            f"'{text}' is no e-mail address", "notices would go nowhere", "write it like name@company.com"
        ) from err


def timezone(text: str) -> str:
    """Return an IANA time zone name."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise fault(
            f"'{text}' is no time zone",
            "due times are computed in it",
            "write an IANA name like Europe/Berlin or America/Chicago",
        ) from err
    return text


def country(text: str) -> str:
    """Return an ISO 3166 country code in capitals."""
    code = text.upper()
    if len(code) != len("DE") or pycountry.countries.get(alpha_2=code) is None:
        raise fault(f"'{text}' is no country code", "countries are compared by ISO code", _country_advice(text))
    return code


def _country_advice(text: str) -> str:
    if text.upper() == "UK":
        return "write 'GB'"
    try:
        found = pycountry.countries.lookup(text)
    except LookupError:
        return "write two letters like DE, PL or US"
    return f"write '{found.alpha_2}'"


def language(text: str) -> str:
    """Return an ISO 639-1 language code in lower case."""
    code = text.lower()
    if len(code) != len("de") or pycountry.languages.get(alpha_2=code) is None:
        raise fault(f"'{text}' is no language code", "texts are chosen by it", "write two letters like en, de or pl")
    return code


def languages(text: str) -> tuple[str, ...]:
    """Return the codes of a cell like `de;en`."""
    return tuple(language(part) for part in words(text))


def words(text: str) -> tuple[str, ...]:
    """Return the parts of a cell separated by `;`."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def calendar(text: str) -> str:
    """Return a holiday calendar: a country, or country and subdivision, like PL or DE-BY."""
    place, _, subdivision = text.partition("-")
    try:
        holidays.country_holidays(place, subdiv=subdivision or None)
    except NotImplementedError as err:
        raise fault(
            f"'{text}' is no holiday calendar",
            "business days are counted with it",
            "write a country or country-subdivision code like PL, DE-BY or US-NY",
        ) from err
    return text


def yes_no(text: str) -> bool:
    """Return the truth of yes or no, true or false."""
    answers = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() not in answers:
        raise fault(f"'{text}' is neither yes nor no", "a yes or no is expected", "write yes or no")
    return answers[text.lower()]


def currency(text: str) -> str:
    """Return an ISO 4217 currency code."""
    if pycountry.currencies.get(alpha_3=text) is None:
        raise fault(
            f"'{text}' is no currency code", "amounts are converted by it", "write three capitals like EUR or PLN"
        )
    return text


def amount(text: str) -> Decimal:
    """Return a positive amount of money with at most two decimals."""
    if not _AMOUNT.fullmatch(text) or not Decimal(text):
        raise fault(
            f"'{text}' is no amount",
            "attainment divides by it, so it must be a plain number above zero",
            "write it like 120000 or 120000.50, without spaces, currency or thousands separators",
        )
    return Decimal(text)


def rate(text: str) -> str:
    """Return a positive exchange rate as decimal text, exactly as written."""
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise fault(
            f"'{text}' is no exchange rate",
            "amounts are multiplied by it, so it must be a plain number above zero",
            'write it like "0.2353"',
        )
    return text


def day(text: str) -> date:
    """Return a date written YYYY-MM-DD."""
    try:
        if len(text) != len("2026-01-31"):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as err:
        raise fault(f"'{text}' is no date", "day and month must not be guessed", "write it like 2026-01-31") from err


def host(text: str) -> str:
    """Return an exact host name, nothing around it (requirement I28)."""
    if not _HOST.fullmatch(text.lower()):
        raise fault(
            f"'{text}' is no host name",
            "browsers are sent back to exact https hosts only",
            "write the bare name like www.example.com, without https://, path or wildcard",
        )
    return text.lower()


def web_address(text: str) -> str:
    """Return an http(s) address without its trailing slash."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("https", "http") and parts.hostname and not parts.query and not parts.username
    except ValueError:
        good = False
    if not good:
        raise fault(
            f"'{text}' is no web address",
            "links in tasks and forms are built from it",
            "write it like https://leads.example.com",
        )
    return text.rstrip("/")


def rate_cap(text: str) -> str:
    """Return how many leads somebody may get in a stretch of time: 14, or a fraction like 0.5 or 1/3."""
    try:
        exact = Fraction(text)
    except (ValueError, ZeroDivisionError):
        exact = Fraction(-1)
    if exact < 0 or exact.denominator > _FINEST:
        raise fault(
            f"'{text}' is no number of leads",
            "leads given in any stretch of time are counted against it",
            "write a number like 14, or a fraction like 0.5 or 1/3",
        )
    return text


#: In working time.
LONGEST_HOLD = timedelta(hours=1000)


def hold(text: str) -> timedelta:
    """Return a length of working time like 4h or 30m."""
    found = _HOLD.fullmatch(text)
    if found is None or not int(found.group(1)):
        raise fault(f"'{text}' is no length of time", "leads wait that long", 'write hours or minutes like "4h"')
    count = int(found.group(1))
    length = timedelta(hours=count) if found.group(2) == "h" else timedelta(minutes=count)
    if length > LONGEST_HOLD:
        raise fault(f"'{text}' is longer than half a year of work", "nobody would call then", 'write it like "4h"')
    return length


def minutes(text: str) -> int:
    """Return a length of working time like 4h or 30m, in minutes."""
    return hold(text) // timedelta(minutes=1)


def span(text: str) -> Span:
    """Return a span of a follow-up plan: 2bd, 7d, 48h (aftersales S1)."""
    found = _SPAN.fullmatch(text)
    unit = found.group(2) if found else ""
    if unit in ("bh", "mo"):
        raise fault(f"'{text}' is not supported yet", f"the unit {unit} is not counted", "use bd, d or h")
    if found is None or unit not in list(Unit):
        raise fault(
            f"'{text}' is no span",
            "due times are computed from it",
            "write a number and a unit: 2bd (business days), 7d (calendar days) or 48h (hours)",
        )
    return Span(int(found.group(1)), Unit(unit))
