"""States and territories: their time zones and names."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from intake.calling import regions
from intake.calling.regions import REGIONS, is_split, name_of, names_of_zone, options_of, zones_of

SPLIT = {"AK", "AZ", "FL", "ID", "IN", "KS", "KY", "MI", "ND", "NE", "NV", "OR", "SD", "TN", "TX"}
TERRITORIES = {"AS", "GU", "MP", "PR", "VI"}
WINTER, SUMMER = datetime(2027, 1, 15, 12, tzinfo=UTC), datetime(2027, 7, 15, 12, tzinfo=UTC)


def test_all_fifty_states_the_capital_and_five_territories_are_there():
    codes = {code.removeprefix("US-") for code in REGIONS}
    assert len(codes) == 56
    assert codes >= TERRITORIES | {"DC"} | SPLIT


def test_they_stand_in_the_order_of_their_names():
    names = [region.name for region in REGIONS.values()]
    assert names == sorted(names)


def test_the_split_states_are_those_with_two_official_clocks():
    assert {code.removeprefix("US-") for code in REGIONS if is_split(code)} == SPLIT


@pytest.mark.parametrize("code", REGIONS)
def test_every_zone_exists_and_has_words(code):
    for zone in zones_of(code):
        ZoneInfo(zone)
        assert zone in regions._ZONE_NAMES
        assert names_of_zone(zone).bracket == f"({names_of_zone(zone).option})"


@pytest.mark.parametrize("code", [code for code in REGIONS if is_split(code)])
def test_the_zones_of_a_split_state_really_differ_and_are_offered_by_name(code):
    offsets = {
        tuple(moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (WINTER, SUMMER))
        for zone in zones_of(code)
    }
    assert len(offsets) == len(zones_of(code))
    options = options_of(code)
    assert [option.zone for option in options] == list(zones_of(code))
    assert len({option.name for option in options}) == len(options)


def test_a_state_with_one_clock_needs_no_second_question():
    assert options_of("US-NY") == ()
    assert not is_split("US-PR")


def test_arizona_is_asked_in_its_own_words():
    assert [option.name for option in options_of("US-AZ")] == ["Most of Arizona", "Navajo Nation"]


def test_names_are_in_both_languages():
    assert name_of("US-NC", "en") == "North Carolina"
    assert name_of("US-NC", "es") == "Carolina del Norte"
    with pytest.raises(KeyError):
        name_of("US-XX", "en")


def test_a_zone_outside_the_table_goes_by_its_town():
    assert names_of_zone("America/Kentucky/Louisville") == ("Louisville", "(Louisville)", "Louisville")
