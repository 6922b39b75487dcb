"""What leaves the building cannot be worked out, also not by somebody who knows how many there were (W2)."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake.reports.statistics import HIDDEN, SMALL, masked_counts

COUNTS = st.one_of(st.integers(0, 12), st.integers(0, 400))


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([], []),
        ([0, 0], ["0", "0"]),
        ([11, 0, 340], ["11", "0", "340"]),
        ([1, 10, 40], ["<11", "<11", "40"]),
        ([5, 40, 12], ["<11", "40", "hidden"]),
        ([1, 11, 40], ["<11", "hidden", "hidden"]),
        ([1, 1, 40], ["<11", "<11", "hidden"]),
        ([10, 10, 40], ["<11", "<11", "hidden"]),
        ([3, 0, 0], ["hidden", "hidden", "hidden"]),
        ([1, 11], ["hidden", "hidden"]),
    ],
)
def test_small_counts_are_hidden_and_what_would_give_them_away(counts: list[int], shown: list[str]) -> None:
    assert masked_counts(counts) == shown


@given(st.lists(COUNTS, max_size=40))
def test_no_small_count_is_ever_shown_and_no_other_is_changed(counts: list[int]) -> None:
    shown = masked_counts(counts)
    assert len(shown) == len(counts)
    for count, word in zip(counts, shown, strict=True):
        assert word in {HIDDEN, SMALL if 1 <= count <= 10 else str(count)}


@given(st.lists(COUNTS, max_size=40))
def test_nothing_is_left_out_where_nothing_is_small(counts: list[int]) -> None:
    large = [count for count in counts if not 1 <= count <= 10]
    assert masked_counts(large) == [str(count) for count in large]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 12), st.integers(0, 30)), min_size=2, max_size=4))
def test_who_knows_the_sum_cannot_solve_the_table(counts: list[int]) -> None:
    """The reader knows the rules, the sum, and that what was left out beside a `<11` is at least 11."""
    shown = masked_counts(counts)
    if set(shown) == {HIDDEN}:
        return
    missing = sum(counts) - sum(int(word) for word in shown if word not in {SMALL, HIDDEN})
    places = shown.count(SMALL)  # every filling is tried, so there are few
    fits = {
        small
        for small in product(range(1, 11), repeat=places)
        if fills(missing - sum(small), shown.count(HIDDEN))
    }
    for place in range(places):
        assert len({small[place] for small in fits}) > 1


def fills(rest: int, left_out: int) -> bool:
    """Whether so many counts of at least 11 can add up to the rest."""
    return rest >= 11 * left_out if left_out else rest == 0
