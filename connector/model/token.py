"""The token printed on a response card: ten random characters and one that checks them (requirement C2)."""

from collections.abc import Sequence

#: Nothing that hands or readers mistake for something else: no 0 and O, 1 and I and L.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#: Random characters of a token; the check character follows them.
RANDOM = 10
LENGTH = RANDOM + 1

# 31 is a prime: every single error changes the sum, and so does every swap of two different characters.
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
# Printed in groups or keyed with a gap, it is the same token.
_GAPS = str.maketrans("", "", " \t-\u00a0")


class BadToken(ValueError):
    """What was read is no token; the message says why, without repeating it."""


def token_of(draws: Sequence[int]) -> str:
    """Write ten numbers below 31 as a token."""
    body = "".join(ALPHABET[draw] for draw in draws)
    if len(body) != RANDOM:
        raise ValueError(f"a token is made of {RANDOM} numbers")
    return body + check_character(body)


def check_character(body: str) -> str:
    """Return the character that checks the ten before it: the sum of position times value, modulo 31."""
    return ALPHABET[sum(place * _VALUE[character] for place, character in enumerate(body, start=1)) % len(ALPHABET)]


def read_token(text: str) -> str:
    """Return a scanned or typed token as it was printed; small letters and gaps make no difference.

    Raises:
        BadToken: a character no token has (it is never guessed), a wrong length, or the check character does not fit.
    """
    token = text.translate(_GAPS)
    # `upper` would make two letters of one ("ß"), and letters of others.
    token = token.upper() if token.isascii() else token
    if any(character not in _VALUE for character in token):
        raise BadToken("it has a character that no code has")
    if len(token) != LENGTH:
        raise BadToken(f"it has {len(token)} characters instead of {LENGTH}")
    if check_character(token[:RANDOM]) != token[RANDOM]:
        raise BadToken("a character is mistyped or two changed places")
    return token
