"""Card against page: intervals held to published ones, to SciPy, and to how often they hold the truth."""

import random
import warnings
from datetime import UTC, datetime, timedelta
from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from connector.journey import Answer, compare
from connector.journey.interval import Estimate, independent_difference
from connector.journey.shares import paired_difference, share
from connector.journey.survival import Wait, curve, median

MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = 3600
REPETITIONS = 200
#: Of 200 intervals of 95 % so many hold the truth, but for one case in a thousand (binomial distribution).
FEWEST, MOST_MISSES = (int(each) for each in (stats.binom.ppf(0.001, 200, 0.95), stats.binom.ppf(0.999, 200, 0.05)))


def rounded(found: Estimate | None) -> tuple[float, ...]:
    assert found is not None
    return tuple(round(each, 4) for each in (found.value, found.low, found.high))


# Shares.


@pytest.mark.parametrize(
    ("count", "of", "expected"),
    [
        (81, 263, (0.3080, 0.2553, 0.3662)),
        (15, 148, (0.1014, 0.0624, 0.1605)),
        (0, 20, (0.0, 0.0, 0.1611)),
        (1, 29, (0.0345, 0.0061, 0.1718)),
    ],
)
def test_a_share_has_wilsons_interval_as_published(count: int, of: int, expected: tuple[float, ...]) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    assert rounded(share(count, of)) == expected


@given(st.integers(1, 5000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_agrees_with_scipy(drawn: tuple[int, int]) -> None:
    found = share(*drawn)
    expected = stats.binomtest(*drawn).proportion_ci(method="wilson")

    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((36, 12, 2, 0), (0.2, 0.0569, 0.3404)),
        ((18, 14, 0, 18), (0.28, 0.1441, 0.3963)),
        ((14, 5, 0, 22), (0.122, 0.0115, 0.2265)),
        ((0, 0, 0, 50), (0.0, -0.0713, 0.0713)),
    ],
)
def test_the_difference_of_two_shares_of_the_same_people_is_as_published(
    cells: tuple[int, int, int, int], expected: tuple[float, ...]
) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), 2635-2650, method 10; the third of Altman's book (2000)."""
    assert rounded(paired_difference(*cells)) == expected


cells = st.tuples(*[st.integers(0, 400)] * 4).filter(any)


@given(cells)
def test_the_difference_lies_in_its_interval_and_turns_with_its_sides(drawn: tuple[int, int, int, int]) -> None:
    both, one, other, neither = drawn
    there, back = paired_difference(both, one, other, neither), paired_difference(both, other, one, neither)

    assert there is not None
    assert back is not None
    assert -1.0000001 <= there.low <= there.value <= there.high <= 1.0000001
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_nobody_has_no_share() -> None:
    assert share(0, 0) is None
    assert paired_difference(0, 0, 0, 0) is None


# Waits.

waits = st.lists(st.builds(Wait, st.integers(0, 30).map(float), st.booleans()), min_size=1, max_size=60)


@given(waits.filter(lambda drawn: any(wait.over for wait in drawn)))
def test_the_curve_agrees_with_scipy(drawn: list[Wait]) -> None:
    over = [wait.seconds for wait in drawn if wait.over]
    sample = stats.CensoredData(uncensored=over, right=[wait.seconds for wait in drawn if not wait.over])
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        expected = stats.ecdf(sample).sf
        limits = expected.confidence_interval(method="log-log")
    at = dict(
        zip(
            expected.quantiles,
            zip(expected.probabilities, limits.low.probabilities, limits.high.probabilities, strict=True),
            strict=True,
        )
    )

    for step in curve(drawn):
        value, low, high = at[step.at]
        assert step.waiting.value == pytest.approx(value, abs=1e-12)
        if 1e-12 < value < 1:
            assert (step.waiting.low, step.waiting.high) == pytest.approx((low, high), abs=1e-9)


def test_the_median_is_as_published() -> None:
    """Remission times of 21 patients on 6-MP (E. A. Gehan, Biometrika 52 (1965)): median 23 weeks."""
    over = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    still = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]

    found = median([*(Wait(each, over=True) for each in over), *(Wait(each, over=False) for each in still)])

    assert found == Estimate(23, 13, inf)


def test_while_fewer_than_half_were_contacted_there_is_no_median() -> None:
    assert median([]) is None
    assert median([Wait(1, over=True), Wait(2, over=False), Wait(3, over=False)]) is None


@given(waits)
def test_who_still_waits_makes_a_median_later_never_sooner(drawn: list[Wait]) -> None:
    """Whoever was not contacted counts as such: leaving them out would flatter."""
    only_over = median([wait for wait in drawn if wait.over])
    found = median(drawn)

    if found is not None:
        assert only_over is not None
        assert found.low <= found.value <= found.high
        assert found.value >= only_over.value


def test_the_difference_of_two_medians_keeps_uneven_and_open_ends() -> None:
    found = independent_difference(Estimate(10, 8, 16), Estimate(4, 1, 4.5))

    assert rounded(found) == (6, round(6 - (4 + 0.25) ** 0.5, 4), round(6 + (36 + 9) ** 0.5, 4))
    assert independent_difference(Estimate(10, 8, inf), Estimate(4, 1, 5)).high == inf
    assert independent_difference(Estimate(4, 1, 5), Estimate(10, 8, inf)).low == -inf


# Whole mailings.


def answer(
    person: str, channel: str, day: int = 0, contacted: float | None = None, recipient: str | None = ""
) -> Answer:
    at = MONDAY + timedelta(days=day)
    contact = None if contacted is None else at + timedelta(hours=contacted)
    return Answer(person, person if recipient == "" else recipient, channel, at, contact)


def test_nobody_is_left_out() -> None:
    answers = [
        answer("a", "card", contacted=1),
        answer("b", "card"),
        answer("c", "card"),
        answer("d", "page", contacted=2),
        answer("a", "page", day=1, contacted=1),
        answer("white", "card", recipient=None),
    ]

    found = compare(list("abcdefghij"), answers, MONDAY + timedelta(days=2))

    assert (found.mailed, found.answered, found.unknown) == (10, 4, 1)
    assert (found.card.answered, found.card.people, found.card.contacted) == (3, 4, 1)
    assert (found.page.answered, found.page.people, found.page.contacted) == (2, 1, 1)
    assert found.card.wait is None
    assert found.page.wait is not None
    assert found.page.wait.value == 2 * HOUR
    assert found.wait_difference is None


def test_a_mailing_nobody_answered_has_shares_of_none() -> None:
    found = compare(["a", "b"], [], MONDAY)

    assert found.card.share is not None
    assert found.card.share.value == 0
    assert found.share_difference is not None
    assert not found.share_difference.differs


def a_mailing(seed: int, *, card: float, page: float, both: float, card_hours: float, page_hours: float):
    """Generate 3,000 recipients who answer over a week; waits are exponential and cut off at its end."""
    chance = random.Random(seed)
    people = [f"p{number}" for number in range(3_000)]
    answers = []
    for person in people:
        drawn = chance.random()
        ways = ["card"] * (drawn < card) + ["page"] * (card - both <= drawn < card + page - both)
        for way in ways:
            day = chance.random() * 6
            half = card_hours if way == "card" else page_hours
            hours = chance.expovariate(log(2) / half)
            over = day * 24 + hours < 7 * 24
            at = MONDAY + timedelta(days=day)
            answers.append(Answer(f"{person}{way}", person, way, at, at + timedelta(hours=hours) if over else None))
    return compare(people, answers, MONDAY + timedelta(days=7))


def coverage(**truth: float) -> tuple[int, int, int, int]:
    """Return how many of 200 mailings: shares' interval right, waits' right; shares, waits found different."""
    share_truth = truth["card"] - truth["page"]
    wait_truth = (truth["card_hours"] - truth["page_hours"]) * HOUR
    counts = [0, 0, 0, 0]
    for seed in range(REPETITIONS):
        found = a_mailing(seed, **truth)
        shares, times = found.share_difference, found.wait_difference
        assert shares is not None
        assert times is not None
        counts[0] += shares.low <= share_truth <= shares.high
        counts[1] += times.low <= wait_truth <= times.high
        counts[2] += shares.differs
        counts[3] += times.differs
    return counts[0], counts[1], counts[2], counts[3]


def test_a_known_difference_is_found_and_its_intervals_hold_the_truth() -> None:
    """200 mailings in which cards are answered more and contacted later; a part of the waits is cut off."""
    shares_right, waits_right, shares_found, waits_found = coverage(
        card=0.14, page=0.08, both=0.01, card_hours=48.0, page_hours=12.0
    )

    assert shares_found == waits_found == REPETITIONS
    assert shares_right >= FEWEST
    assert waits_right >= FEWEST


def test_without_a_difference_none_is_found() -> None:
    """Beyond the five in a hundred that an interval of 95 % misses."""
    shares_right, waits_right, shares_found, waits_found = coverage(
        card=0.1, page=0.1, both=0.02, card_hours=30.0, page_hours=30.0
    )

    assert shares_found == REPETITIONS - shares_right <= MOST_MISSES
    assert waits_found == REPETITIONS - waits_right <= MOST_MISSES


def test_the_intervals_are_no_wider_than_they_have_to_be() -> None:
    """An interval that always holds the truth says nothing: some of 1,000 miss it."""
    missed = 0
    for seed in range(1_000):
        chance = random.Random(seed)
        found = median([Wait(chance.expovariate(log(2)), over=True) for _ in range(200)])
        assert found is not None
        missed += not found.low <= 1 <= found.high
    assert 20 <= missed <= 80
