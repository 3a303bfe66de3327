"""C2: the token of a response card."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.model.token import ALPHABET, LENGTH, RANDOM, BadToken, check_character, read_token, token_of

tokens = st.lists(st.integers(0, len(ALPHABET) - 1), min_size=RANDOM, max_size=RANDOM).map(token_of)


@pytest.mark.parametrize(("body", "check"), [("7K3MPX9QRW", "F"), ("ABCDEFGHJK", "V"), ("2222222222", "2")])
def test_the_check_character_is_the_documented_one(body: str, check: str) -> None:
    assert check_character(body) == check
    assert read_token(body + check) == body + check


def test_the_alphabet_has_31_characters_none_of_them_easily_mistaken() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 31
    assert not set("01ILO") & set(ALPHABET)


@given(tokens)
def test_every_single_error_is_caught(token: str) -> None:
    wrong = [
        token[:place] + other + token[place + 1 :]
        for place in range(LENGTH)
        for other in ALPHABET
        if other != token[place]
    ]

    assert len(wrong) == LENGTH * 30
    for each in wrong:
        with pytest.raises(BadToken):
            read_token(each)


@given(tokens)
def test_every_swap_of_two_characters_is_caught_the_check_character_included(token: str) -> None:
    for one, other in combinations(range(LENGTH), 2):
        swapped = list(token)
        swapped[one], swapped[other] = token[other], token[one]
        if token[one] != token[other]:
            with pytest.raises(BadToken):
                read_token("".join(swapped))


@given(tokens)
def test_small_letters_and_gaps_make_no_difference(token: str) -> None:
    typed = f" {token[:5].lower()}-{token[5:10]} {token[10].lower()}"

    assert read_token(typed) == token


@pytest.mark.parametrize("letter", ["0", "1", "I", "L", "O", "i", "l", "o", "Ä", "ß", "７", "_", "\n", "*"])
def test_a_letter_outside_the_alphabet_is_refused_and_never_guessed(letter: str) -> None:
    with pytest.raises(BadToken, match="no code has"):
        read_token("7K3MPX9QR" + letter + "F")


@given(st.text(max_size=20))
def test_whatever_is_read_is_a_token_or_refused(text: str) -> None:
    try:
        token = read_token(text)
    except BadToken:
        return

    assert len(token) == LENGTH
    assert token == read_token(token)


@pytest.mark.parametrize("draws", [[], [0] * 9, [0] * 11])
def test_a_token_is_made_of_ten_numbers(draws: list[int]) -> None:
    with pytest.raises(ValueError, match="10 numbers"):
        token_of(draws)
