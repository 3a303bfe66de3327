"""Languages as ISO 639-1 codes."""

from collections.abc import Mapping
from functools import lru_cache

import pycountry

from connector.model.text import fold

_ALIASES: Mapping[str, str] = {
    "de": "deutsch|niemiecki|allemand",
    "en": "englisch|angielski|anglais|inglés",
    "pl": "polnisch|polski|polonais",
    "fr": "französisch|francuski|français",
    "es": "spanisch|hiszpański|español",
    "it": "italienisch|włoski|italiano",
    "nl": "niederländisch|niderlandzki|nederlands",
    "cs": "tschechisch|czeski|čeština",
    "uk": "ukrainisch|ukraiński|українська",
}


def read_language(text: str) -> str:
    """Return the code of a language or locale ("de-AT", "German", "polski"); empty when it is none."""
    known = _names()
    return known.get(fold(text)) or known.get(fold(text.replace("_", "-").split("-")[0]), "")


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    known: dict[str, str] = {}
    for language in pycountry.languages:
        if code := getattr(language, "alpha_2", None):
            known |= dict.fromkeys((fold(language.name), language.alpha_3, code), code)
    for code, aliases in _ALIASES.items():
        known |= dict.fromkeys(map(fold, aliases.split("|")), code)
    return known
