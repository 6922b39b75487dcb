"""What a mask shows: an initial, two figures, and never the value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.leads.fields import initial, mask_email, mask_name, mask_phone


@given(st.text(st.characters(codec="utf-8", exclude_characters="•"), min_size=1, max_size=80))
def test_a_mask_never_contains_the_name(name: str) -> None:
    """A name of dots is left out: it is its own mask."""
    masked = mask_name(name)
    assert name not in masked
    assert len(masked) <= 6


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_a_mask_shows_two_figures_of_a_number(number: str) -> None:
    figures = list(filter(str.isdigit, mask_phone(number)))
    assert figures == list(number[-2:])


@given(st.emails())
def test_a_mask_never_contains_the_address(address: str) -> None:
    local, _, domain = address.rpartition("@")
    masked = mask_email(address)
    assert not masked.startswith(f"{local}@")
    assert masked.partition("@")[2] == f"•••••.{domain.rpartition('.')[2]}"


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("Rosa", "R•••••"),
        ("rosa maría", "R•••••"),
        ("R", "•••••"),
        ("\u202eRosa", "R•••••"),
        ("<script>", "S•••••"),
        ("李明", "李•••••"),
        ("ßeta", "S•••••"),
    ],
)
def test_a_name_keeps_its_initial(name: str, masked: str) -> None:
    assert mask_name(name) == masked
    assert len(initial(name)) <= 1


def test_numbers_and_addresses_look_like_what_they_are() -> None:
    assert mask_phone("+13055550163") == "(•••) •••-••63"
    assert mask_phone("+442079460000") == "••• ••• ••00"
    assert mask_email("rosa@mail.example.org") == "r•••••@•••••.org"
    assert mask_email("r@example.org") == "•••••@•••••.org"
