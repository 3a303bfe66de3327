"""Text from strangers: made safe to store (requirement I22), put on one line, folded for comparing."""

import re
import unicodedata

# Control characters but TAB, LF and CR; marks that change the writing direction or cannot be seen.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]+"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_APART = re.compile(r"[\W_]+")
# Letters that Unicode does not take apart into a plain one and a mark.
_PLAIN = str.maketrans("łøđıæœ", "lodiao")


def clean(text: str) -> str:
    """Strip what no screen should show and PostgreSQL may refuse; line ends and tabs stay."""
    if text.isprintable():
        return text
    return _SURROGATE.sub("\ufffd", _HARMFUL.sub("", text))


def one_line(text: str) -> str:
    """Clean a single-line value: composed letters (NFC), single spaces, none at the ends."""
    return unicodedata.normalize("NFC", " ".join(clean(text).split()))


def fold(text: str) -> str:
    """Reduce to lower-case letters and digits without accents, for comparing only."""
    if text.isascii():
        return _APART.sub("", text.lower())
    # Compatibility letters have a case only once they are taken apart (Unicode, NFKC_Casefold).
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(letter for letter in apart.translate(_PLAIN) if not unicodedata.combining(letter))
    return _APART.sub("", plain)
