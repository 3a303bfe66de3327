"""Full names taken apart, after asking whether the name is a company's."""

import re
from dataclasses import dataclass

from nameparser import HumanName
from nameparser.config import Constants

_CONSTANTS = Constants()
_CONSTANTS.titles.add("pan", "pani", "mgr", "inż", "inz", "herr", "frau", "señor", "señora", "monsieur", "madame")
_TELLING = frozenset(_CONSTANTS.titles) | frozenset(_CONSTANTS.prefixes) | frozenset(_CONSTANTS.conjunctions)
_SUFFIXES = frozenset(_CONSTANTS.suffix_acronyms) | frozenset(_CONSTANTS.suffix_not_acronyms)
# nameparser puts the family name first in scripts beyond Latin.
_END_OF_LATIN = "\u0250"
# Nobody's name; taking it apart would only cost time.
_LONGEST_NAME = 200
_LONGEST_FORM = 30

_LEGAL_FORM = re.compile(
    r"[\s.,&](?:gmbh|mbh|kgaa|ohg|gbr|gmbh\s*&\s*co\.?\s*kg|e\.\s?[vkg]\.?"
    r"|sp\.?\s?z\s?o\.?\s?o\.?|sp\.\s?[jk]\.?|s\.\s?k\.\s?a\.?|s\.\s?a\.?"
    r"|ltd\.?|limited|llc|l\.l\.c\.|llp|plc|inc\.?|incorporated|corp\.?|corporation|company|co\."
    r"|sarl|s\.a\.r\.l\.?|s\.a\.s\.?|b\.v\.?|n\.v\.?|oyj|aps|a/s|srl|s\.r\.l\.?|s\.p\.a\.?"
    r"|s\.l\.?|s\.r\.o\.?|kft\.?|d\.o\.o\.?)\s*\Z",
    re.IGNORECASE,
)
# In small letters these are people's names in one country or another.
_SHORT_FORM = re.compile(r"\s(?:AG|KG|UG|SE|SA|SAS|BV|NV|AB|AS|OY|SpA|eG|eK|eV)\s*\Z")


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name in parts; middle names stand with the first name."""

    first: str = ""
    last: str = ""
    title: str = ""
    suffix: str = ""
    nickname: str = ""


def is_company(text: str) -> bool:
    """Tell whether a name ends in a legal form, as in "Acme GmbH"."""
    end = text[-_LONGEST_FORM:]
    return bool(_LEGAL_FORM.search(end) or _SHORT_FORM.search(end))


def read_name(full: str) -> Name:
    """Take a full name apart; a single word is a last name, which is what CRMs ask for."""
    if len(full) > _LONGEST_NAME:
        return Name(last=full)
    match full.split():
        case [last]:
            return Name(last=last)
        case [first, last] if _plain(first) and _plain(last):
            return Name(first=first, last=last)
    return _parsed(full)


def _plain(word: str) -> bool:
    letters = word.replace("-", "").replace("'", "")
    lower = word.lower()
    return letters.isalpha() and max(letters) < _END_OF_LATIN and lower not in _TELLING and lower not in _SUFFIXES


def _parsed(full: str) -> Name:
    name = HumanName(full, constants=_CONSTANTS)
    first = " ".join(part for part in (name.first, name.middle) if part)
    if not (first or name.last):
        return Name(last=full)
    last = name.last or first
    return Name(
        first=first if name.last else "",
        last=last,
        title=name.title,
        suffix=name.suffix,
        nickname=name.nickname,
    )
