"""What somebody typed off a card: whether two people read the same, and what is worth a second look (C11, C12)."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum

from connector.normalize.email import read_email
from connector.normalize.phone import read_phone

#: Whose addresses most people have; one letter off is rarely meant.
_HOSTS = (
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "yahoo.com",
    "icloud.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "t-online.de",
    "freenet.de",
    "wp.pl",
    "onet.pl",
    "interia.pl",
    "o2.pl",
)
_CLOSE = 0.8


class Doubt(StrEnum):
    """Why a value should be compared with the card once more."""

    EMAIL = "email"
    HOST = "host"
    PHONE = "phone"


def doubts(values: Mapping[str, str], country: str) -> dict[str, Doubt]:
    """Return what looks mistyped, by field; a card may well say it."""
    email, phone = values.get("email", ""), values.get("phone", "")
    found: dict[str, Doubt] = {}
    if email and not read_email(email):
        found["email"] = Doubt.EMAIL
    elif likelier_host(email):
        found["email"] = Doubt.HOST
    number = read_phone(phone, country) if phone else None
    if phone and (number is None or not number.known_range):
        found["phone"] = Doubt.PHONE
    return found


def likelier_host(email: str) -> str:
    """Return the well-known mail host an address nearly names; "" when it names it, or none."""
    host = read_email(email).rpartition("@")[2]
    near = get_close_matches(host, _HOSTS, n=1, cutoff=_CLOSE) if host and host not in _HOSTS else []
    return near[0] if near else ""


def differing(first: Mapping[str, str], second: Mapping[str, str], fields: Iterable[str], country: str) -> list[str]:
    """Return the fields two people read differently; how a number is grouped or an address capitalised is no matter."""
    return [
        name
        for name in fields
        if _folded(name, first.get(name, ""), country) != _folded(name, second.get(name, ""), country)
    ]


def _folded(name: str, value: str, country: str) -> str:
    text = " ".join(value.split())
    if name == "email":
        return read_email(text) or text.casefold()
    number = read_phone(text, country) if name == "phone" else None
    return f"{number.number};{number.extension}" if number else text
