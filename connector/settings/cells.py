"""The little grammar of territories.csv: `;` or, `!` not, `a..b` range, `x*` prefix, `(none)` missing, blank any."""

import re
import unicodedata

from connector.model.postal import DIGITS, postal_key
from connector.model.routing import Condition, Term
from connector.settings import texts
from connector.settings.shapes import fault

MISSING = "(none)"

_PREFIXED = frozenset({"postal", "region", "industry", "product", "segment", "source", "campaign"})
_RANGED = frozenset({"postal", "employees"})
_DIGITS = re.compile(r"[0-9]+")


def parse_cell(field: str, text: str, country: str = "") -> Condition | None:
    """Read one cell as a test on `field`; None for a blank one. `country` is needed for `postal`.

    Raises:
        ValidationError: the cell breaks the grammar, or a value is none of its field's.
    """
    if not text.strip():
        return None
    include: list[Term] = []
    exclude: list[Term] = []
    missing = False
    for part in text.split(";"):
        alternative = part.strip()
        if alternative.casefold() == MISSING:
            missing = True
        elif alternative.startswith("!"):
            exclude.append(_excluded(field, alternative[1:].strip(), country))
        else:
            include.append(_term(field, alternative, country))
    return Condition(field, tuple(include), tuple(exclude), missing)


def write_cell(condition: Condition) -> str:
    """Write a condition as the cell that reads as the same condition."""
    parts = [MISSING] if condition.missing else []
    parts += [_write_term(term) for term in condition.include]
    parts += [f"!{_write_term(term)}" for term in condition.exclude]
    return ";".join(parts)


def fold(text: str) -> str:
    """Return text as rules compare it: composed, single spaces, case-folded."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _write_term(term: Term) -> str:
    if term.high is not None:
        return f"{term.low}..{term.high}"
    return f"{term.low}*" if term.prefix else term.low


def _excluded(field: str, text: str, country: str) -> Term:
    if field == "domain":
        raise fault(
            f"'!{text}' cannot be tested",
            "a company's domain can be asked for but not excluded",
            "put a rule for this domain with a lower order above this one",
        )
    if text.casefold() == MISSING:
        raise fault(
            f"'!{MISSING}' cannot be tested",
            "a rule tests for values or for a missing one",
            "list the values that shall match, or exclude one with '!value'",
        )
    return _term(field, text, country)


def _term(field: str, text: str, country: str) -> Term:
    if not text or text == "*":
        raise fault(
            "an alternative is empty",
            "it would match nothing or everything by accident",
            "remove the extra ';' or '!', and leave the cell blank for 'any'",
        )
    if ".." in text:
        return _range(field, text, country)
    if "*" in text:
        return _prefix(field, text, country)
    return Term(_value(field, text, country))


def _range(field: str, text: str, country: str) -> Term:
    low, _, high = (part.strip() for part in text.partition(".."))
    if field not in _RANGED:
        raise fault(
            f"'{text}' is a range",
            f"{field} has no order, only postal and employees do",
            "list the values, separated by ';'",
        )
    if not low or not high or "*" in text:
        raise fault(f"'{text}' is half a range", "both ends are needed", "write it like 10000..19999")
    first, last = _value(field, low, country), _value(field, high, country)
    reversed_ = int(first) > int(last) if field == "employees" else first > last
    if reversed_ or (field == "postal" and len(first) != len(last)):
        raise fault(
            f"the range '{text}' is empty",
            "its first end lies behind its last, or they differ in length",
            f"write '{high}..{low}' or correct an end",
        )
    return Term(first, last)


def _prefix(field: str, text: str, country: str) -> Term:
    stem = text[:-1].strip()
    if "*" in stem or not text.endswith("*") or (field not in _PREFIXED and not field.startswith("custom.")):
        raise fault(
            f"'{text}' cannot be tested",
            f"'*' may stand at the end only, and not in {field}"
            if field not in _PREFIXED
            else "'*' may stand at the end only",
            "write the start followed by '*', or the whole value",
        )
    return Term(_postal_stem(stem, country) if field == "postal" else fold(stem), prefix=True)


def _value(field: str, text: str, country: str) -> str:
    if field == "postal":
        return _postal(text, country)
    if field == "country":
        return texts.country(text).casefold()
    if field == "language":
        return texts.language(text)
    if field == "domain":
        return _domain(text)
    return _count(text) if field == "employees" else fold(text)


def _count(text: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise fault(
            f"'{text}' is no number of employees",
            "company size is compared as a number",
            "write digits without separators, or a range like 50..249",
        )
    return str(int(text))


def _domain(text: str) -> str:
    try:
        return texts.host(text)
    except ValueError as err:
        raise fault(
            f"'{text}' is no domain", "companies are found by it", "write it like example.com, without www"
        ) from err


def _postal(text: str, country: str) -> str:
    key = postal_key(country, text)
    width = DIGITS.get(country)
    digits = re.sub(r"[- ]", "", text)
    if width is None and key is not None:
        return key
    if width is not None and _DIGITS.fullmatch(digits) and len(digits) < width:
        padded = digits.zfill(width)
        raise fault(
            f"postal code '{text}' has {len(digits)} digits",
            f"codes in {country} have {width}: a spreadsheet dropped the leading zero",
            f"write '{padded}' and format the column as text",
        )
    if key is None or key != digits:
        raise fault(
            f"'{text}' is no postal code of {country}",
            "addresses there have none like it",
            f"write {width or 'all its letters and'} digits, or a prefix like 10*",
        )
    return key


def _postal_stem(stem: str, country: str) -> str:
    key = re.sub(r"[\W_]+", "", stem).upper()
    width = DIGITS.get(country)
    if width is not None and (not _DIGITS.fullmatch(key) or len(key) > width):
        raise fault(
            f"'{stem}*' starts no postal code of {country}",
            f"codes there have {width} digits",
            f"write up to {width} digits followed by '*'",
        )
    return key
