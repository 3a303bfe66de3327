"""A submission -> a lead. Normalising a lead's own values again changes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.model.lead import Consent, Lead, Submission
from connector.model.postal import DIGITS, postal_key
from connector.model.text import clean, one_line
from connector.normalize.company import company_domain
from connector.normalize.country import read_country, read_region, state_of_zip
from connector.normalize.email import read_email
from connector.normalize.language import read_language
from connector.normalize.name import is_company, read_name
from connector.normalize.phone import Phone, read_phone

# What the common CRMs hold (the narrowest where they differ); a longer value is kept whole as raw_FIELD.
_LENGTHS: Mapping[str, int] = {
    "first_name": 40,
    "last_name": 80,
    "company": 255,
    "job_title": 128,
    "street": 255,
    "postal_code": 20,
    "city": 40,
    "region": 80,
    "product": 255,
    "industry": 100,
    "segment": 100,
    "campaign": 100,
}
_MOST_EMPLOYEES = 2**31 - 1
_LONGEST_NUMBER = 15
_NUMBER = re.compile(r"\d{1,3}(?:[.,' ]\d{3})+(?!\d)|\d+", re.ASCII)
_LINE_END = re.compile(r"\r\n?")


@dataclass(slots=True)
class _Draft:
    """The values given, and what has been understood so far."""

    given: dict[str, str]
    custom: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def take(self, name: str) -> str:
        return self.given.get(name, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a value beside the lead; one that is there already stays."""
        while self.custom.setdefault(name, value) != value:
            name += "_"

    def unread(self, name: str, text: str, why: str) -> str:
        """Keep what could not be read, say so, and leave the field empty."""
        self.keep(f"raw_{name}", text)
        self.notes.append(f"{name} '{text[:80]}' {why}")
        return ""

    def short(self, name: str, text: str | None = None) -> str:
        """Return a value cut to what a CRM holds, the whole of it kept."""
        value = self.take(name) if text is None else text
        most = _LENGTHS[name]
        if len(value) <= most:
            return value
        self.keep(f"raw_{name}", value)
        self.notes.append(f"{name} was cut to {most} characters")
        return value[:most].rstrip()


def normalize(submission: Submission, *, source: str, default_country: str) -> Lead:
    """Make the lead of a submission; `default_country` stands in where nothing tells the country."""
    draft = _Draft(_tidied(submission.fields), dict(submission.extra))
    country, phone = _country_and_phone(draft, default_country.upper())
    first, last, company = _names(draft)
    email = _email(draft)
    postal = _postal(draft, country)
    return Lead(
        first_name=draft.short("first_name", first),
        last_name=draft.short("last_name", last),
        email=email,
        phone=phone.number if phone else "",
        company=draft.short("company", company),
        domain=company_domain(email.rpartition("@")[2]) if email else "",
        job_title=draft.short("job_title"),
        street=draft.short("street"),
        postal_code=postal,
        city=draft.short("city"),
        region=_region(draft, country, postal),
        country=country,
        message=_LINE_END.sub("\n", clean(submission.fields.get("message", ""))).strip(),
        product=draft.short("product"),
        industry=draft.short("industry"),
        employees=_employees(draft),
        segment=draft.short("segment"),
        language=_language(draft),
        campaign=draft.short("campaign"),
        source=source,
        custom=draft.custom,
        attribution=submission.attribution,
        token=submission.token,
        consents=tuple(Consent(c.purpose, c.counts, c.text) for c in submission.consents),
        notes=tuple(draft.notes),
    )


def _tidied(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: one_line(value) for name, value in fields.items() if value and name != "message"}


def _country_and_phone(draft: _Draft, default: str) -> tuple[str, Phone | None]:
    """Read both together: the country tells how a number is dialled, a number's prefix its country."""
    text = draft.take("country")
    country = read_country(text)
    phone = _phone(draft, country or default)
    if country:
        return country, phone
    if text:
        return draft.unread("country", text, "is no country we know"), phone
    if "raw_country" in draft.custom:
        return "", phone
    if phone and phone.country:
        draft.notes.append(f"country not given: {phone.country} taken from the phone number")
        return phone.country, phone
    if default:
        draft.notes.append(f"country not given: {default} assumed")
    return default, phone


def _phone(draft: _Draft, country: str) -> Phone | None:
    text = draft.take("phone")
    if not text:
        return None
    phone = read_phone(text, country)
    if phone is None:
        draft.unread("phone", text, f"is not a number in {country or 'any country'}")
        return None
    if phone.extension:
        draft.keep("phone_extension", phone.extension)
    if not phone.known_range:
        draft.notes.append(f"phone {phone.number} is in no range we know")
    return phone


def _email(draft: _Draft) -> str:
    text = draft.take("email")
    if not text:
        return ""
    return read_email(text) or draft.unread("email", text, "is not an e-mail address")


def _names(draft: _Draft) -> tuple[str, str, str]:
    """Return first name, last name and company; a full name serves where a part is missing."""
    first, last, company = draft.take("first_name"), draft.take("last_name"), draft.take("company")
    full = draft.take("full_name")
    if not full or (first and last):
        return _keep_full(draft, full, first, last, company)
    if is_company(full) and not first and not last:
        return _keep_full(draft, full if company and company != full else "", "", "", company or full)
    name = read_name(full)
    for part in ("title", "suffix", "nickname"):
        if value := getattr(name, part):
            draft.keep(f"name_{part}", value)
    return first or name.first, last or name.last, company


def _keep_full(draft: _Draft, full: str, first: str, last: str, company: str) -> tuple[str, str, str]:
    if full and full != f"{first} {last}":
        draft.keep("full_name", full)
    return first, last, company


def _postal(draft: _Draft, country: str) -> str:
    text = draft.short("postal_code")
    if not text:
        return ""
    key = postal_key(country, text)
    if key is None:
        lost_zero = text.isascii() and text.isdigit() and len(text) == DIGITS.get(country, 0) - 1
        why = ", was a leading zero lost?" if lost_zero else ""
        return draft.unread("postal_code", text, f"is no postal code of {country or 'any country'}{why}")
    if country == "PL":
        return f"{key[:2]}-{key[2:]}"
    return key if country == "DE" else text.upper()


def _region(draft: _Draft, country: str, postal: str) -> str:
    text = draft.short("region")
    if text:
        return read_region(country, text)
    if country == "US" and postal and (state := state_of_zip(postal)):
        draft.notes.append(f"region not given: {state} taken from the ZIP code")
        return state
    return ""


def _language(draft: _Draft) -> str:
    text = draft.take("language")
    if not text:
        return ""
    return read_language(text) or draft.unread("language", text, "is no language we know")


def _employees(draft: _Draft) -> int | None:
    """Read a head count; of a range like "11-50" the lower end, with the range kept."""
    text = draft.take("employees")
    if not text:
        return None
    numbers = _NUMBER.findall(text)
    count = int(re.sub(r"\D", "", numbers[0])) if numbers and len(numbers[0]) <= _LONGEST_NUMBER else -1
    if not 0 <= count <= _MOST_EMPLOYEES:
        draft.unread("employees", text, "is no number of people")
        return None
    if text != str(count):
        draft.keep("raw_employees", text)
    return count
