"""Times and spans as the desk says them: short, on the staff's clock, right at the edges."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from intake.app import create_app
from intake.core.i18n import using_language
from intake.instance import Instance
from intake.web.desk import formatting as say

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _inside(sqlite_instance: Instance) -> Iterator[None]:
    with create_app(sqlite_instance).app_context():
        yield


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "1 min"),
        (timedelta(seconds=59), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=1, minutes=5), "1 h 05"),
        (timedelta(hours=47, minutes=59), "47 h 59"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=20), "20 d"),
    ],
)
def test_spans(length: timedelta, text: str) -> None:
    assert say.span(length) == text


@pytest.mark.parametrize(
    ("moment", "english", "spanish"),
    [
        (NOW, "10 am", "10 a.m."),
        (NOW + timedelta(hours=2), "12 noon", "12 p.m."),
        (NOW + timedelta(minutes=132), "12:12 pm", "12:12 p.m."),
        (NOW + timedelta(days=1), "Thu 10 am", "jue 10 a.m."),
        (NOW - timedelta(days=6), "Thu 10 am", "jue 10 a.m."),
        (NOW + timedelta(days=7), "Nov 25, 10 am", "25 nov, 10 a.m."),
        (NOW + timedelta(days=60), "Jan 17, 2027, 10 am", "17 ene 2027, 10 a.m."),
    ],
)
def test_moments_seen_from_now(moment: datetime, english: str, spanish: str) -> None:
    assert plain(say.at(moment, NOW)) == english
    with using_language("es"):
        assert plain(say.at(moment, NOW)) == spanish


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\xa0", " ").replace("a. m.", "a.m.").replace("p. m.", "p.m.")


def test_a_moment_may_be_shown_in_their_time_zone() -> None:
    assert say.at(NOW, NOW, "America/Phoenix") == "8 am"
    assert say.at(NOW - timedelta(hours=9), NOW, "America/Phoenix") == "Tue 11 pm"


@pytest.mark.parametrize(("left", "share"), [(-5, 0), (0, 0), (5, 25), (20, 100), (60, 100)])
def test_what_is_left_of_a_hold(left: int, share: int) -> None:
    assert say.share(timedelta(minutes=left)) == share
