"""The states and territories: their names and the time zones in use there.

A region is split where two time zones are in official use. The person may leave the zone open; they are then
contacted only when the conditions hold in every zone of the region.
"""

from typing import NamedTuple

from intake.core.i18n import N_, translate


class Region(NamedTuple):
    """A state or territory. `name` is a message id, `zones` are IANA names, the most populous first."""

    name: str
    zones: tuple[str, ...]


class ZoneName(NamedTuple):
    """The names of a time zone (message ids): as an option, in brackets after a time, as a phrase."""

    option: str
    bracket: str
    phrase: str


class ZoneOption(NamedTuple):
    """One option of the time zone question in a split region: the IANA zone and its name (message id)."""

    zone: str
    name: str


_EASTERN = "America/New_York"
_CENTRAL = "America/Chicago"
_MOUNTAIN = "America/Denver"
_IDAHO = "America/Boise"
_ARIZONA = "America/Phoenix"
_PACIFIC = "America/Los_Angeles"

_EAST, _MIDDLE, _WEST = (_EASTERN,), (_CENTRAL,), (_PACIFIC,)
_EAST_AND_MIDDLE, _MIDDLE_AND_MOUNTAIN = (_EASTERN, _CENTRAL), (_CENTRAL, _MOUNTAIN)

REGIONS: dict[str, Region] = {
    "US-AL": Region(N_("Alabama"), _MIDDLE),
    "US-AK": Region(N_("Alaska"), ("America/Anchorage", "America/Adak")),
    "US-AS": Region(N_("American Samoa"), ("Pacific/Pago_Pago",)),
    "US-AZ": Region(N_("Arizona"), (_ARIZONA, _MOUNTAIN)),
    "US-AR": Region(N_("Arkansas"), _MIDDLE),
    "US-CA": Region(N_("California"), _WEST),
    "US-CO": Region(N_("Colorado"), (_MOUNTAIN,)),
    "US-CT": Region(N_("Connecticut"), _EAST),
    "US-DE": Region(N_("Delaware"), _EAST),
    "US-DC": Region(N_("District of Columbia"), _EAST),
    "US-FL": Region(N_("Florida"), _EAST_AND_MIDDLE),
    "US-GA": Region(N_("Georgia"), _EAST),
    "US-GU": Region(N_("Guam"), ("Pacific/Guam",)),
    "US-HI": Region(N_("Hawaii"), ("Pacific/Honolulu",)),
    "US-ID": Region(N_("Idaho"), (_IDAHO, _PACIFIC)),
    "US-IL": Region(N_("Illinois"), _MIDDLE),
    "US-IN": Region(N_("Indiana"), ("America/Indiana/Indianapolis", _CENTRAL)),
    "US-IA": Region(N_("Iowa"), _MIDDLE),
    "US-KS": Region(N_("Kansas"), _MIDDLE_AND_MOUNTAIN),
    "US-KY": Region(N_("Kentucky"), _EAST_AND_MIDDLE),
    "US-LA": Region(N_("Louisiana"), _MIDDLE),
    "US-ME": Region(N_("Maine"), _EAST),
    "US-MD": Region(N_("Maryland"), _EAST),
    "US-MA": Region(N_("Massachusetts"), _EAST),
    "US-MI": Region(N_("Michigan"), ("America/Detroit", _CENTRAL)),
    "US-MN": Region(N_("Minnesota"), _MIDDLE),
    "US-MS": Region(N_("Mississippi"), _MIDDLE),
    "US-MO": Region(N_("Missouri"), _MIDDLE),
    "US-MT": Region(N_("Montana"), (_MOUNTAIN,)),
    "US-NE": Region(N_("Nebraska"), _MIDDLE_AND_MOUNTAIN),
    "US-NV": Region(N_("Nevada"), (_PACIFIC, _MOUNTAIN)),
    "US-NH": Region(N_("New Hampshire"), _EAST),
    "US-NJ": Region(N_("New Jersey"), _EAST),
    "US-NM": Region(N_("New Mexico"), (_MOUNTAIN,)),
    "US-NY": Region(N_("New York"), _EAST),
    "US-NC": Region(N_("North Carolina"), _EAST),
    "US-ND": Region(N_("North Dakota"), _MIDDLE_AND_MOUNTAIN),
    "US-MP": Region(N_("Northern Mariana Islands"), ("Pacific/Saipan",)),
    "US-OH": Region(N_("Ohio"), _EAST),
    "US-OK": Region(N_("Oklahoma"), _MIDDLE),
    "US-OR": Region(N_("Oregon"), (_PACIFIC, _IDAHO)),
    "US-PA": Region(N_("Pennsylvania"), _EAST),
    "US-PR": Region(N_("Puerto Rico"), ("America/Puerto_Rico",)),
    "US-RI": Region(N_("Rhode Island"), _EAST),
    "US-SC": Region(N_("South Carolina"), _EAST),
    "US-SD": Region(N_("South Dakota"), _MIDDLE_AND_MOUNTAIN),
    "US-TN": Region(N_("Tennessee"), (_CENTRAL, _EASTERN)),
    "US-TX": Region(N_("Texas"), _MIDDLE_AND_MOUNTAIN),
    "US-VI": Region(N_("U.S. Virgin Islands"), ("America/St_Thomas",)),
    "US-UT": Region(N_("Utah"), (_MOUNTAIN,)),
    "US-VT": Region(N_("Vermont"), _EAST),
    "US-VA": Region(N_("Virginia"), _EAST),
    "US-WA": Region(N_("Washington"), _WEST),
    "US-WV": Region(N_("West Virginia"), _EAST),
    "US-WI": Region(N_("Wisconsin"), _MIDDLE),
    "US-WY": Region(N_("Wyoming"), (_MOUNTAIN,)),
}
"""By ISO 3166-2 code, in the order of their English names."""

_EASTERN_NAME = ZoneName(N_("Eastern"), N_("(Eastern)"), N_("Eastern time"))
_MOUNTAIN_NAME = ZoneName(N_("Mountain"), N_("(Mountain)"), N_("Mountain time"))
_ATLANTIC_NAME = ZoneName(N_("Atlantic"), N_("(Atlantic)"), N_("Atlantic time"))
_CHAMORRO_NAME = ZoneName(N_("Chamorro"), N_("(Chamorro)"), N_("Chamorro time"))

_ZONE_NAMES = {
    _EASTERN: _EASTERN_NAME,
    "America/Detroit": _EASTERN_NAME,
    "America/Indiana/Indianapolis": _EASTERN_NAME,
    _CENTRAL: ZoneName(N_("Central"), N_("(Central)"), N_("Central time")),
    _MOUNTAIN: _MOUNTAIN_NAME,
    _IDAHO: _MOUNTAIN_NAME,
    _ARIZONA: ZoneName(N_("Arizona"), N_("(Arizona)"), N_("Arizona time")),
    _PACIFIC: ZoneName(N_("Pacific"), N_("(Pacific)"), N_("Pacific time")),
    "America/Anchorage": ZoneName(N_("Alaska"), N_("(Alaska)"), N_("Alaska time")),
    "America/Adak": ZoneName(N_("Hawaii-Aleutian"), N_("(Hawaii-Aleutian)"), N_("Hawaii-Aleutian time")),
    "Pacific/Honolulu": ZoneName(N_("Hawaii"), N_("(Hawaii)"), N_("Hawaii time")),
    "America/Puerto_Rico": _ATLANTIC_NAME,
    "America/St_Thomas": _ATLANTIC_NAME,
    "Pacific/Guam": _CHAMORRO_NAME,
    "Pacific/Saipan": _CHAMORRO_NAME,
    "Pacific/Pago_Pago": ZoneName(N_("Samoa"), N_("(Samoa)"), N_("Samoa time")),
}

# In Arizona "Mountain" is not in use: the Navajo Nation changes its clocks, the rest does not.
_OPTIONS = {
    "US-AZ": (ZoneOption(_ARIZONA, N_("Most of Arizona")), ZoneOption(_MOUNTAIN, N_("Navajo Nation"))),
}


def zones_of(region: str) -> tuple[str, ...]:
    """Return the IANA zones of a region, the most populous first. Raises KeyError for an unknown code."""
    return REGIONS[region].zones


def is_split(region: str) -> bool:
    """Return True where more than one time zone is in use, so that the form asks for it."""
    return len(zones_of(region)) > 1


def name_of(region: str, language: str) -> str:
    """Return the name in `language`. Raises KeyError for an unknown code."""
    return translate(REGIONS[region].name, language)


def options_of(region: str) -> tuple[ZoneOption, ...]:
    """Return the options of the time zone question; empty where there is only one zone."""
    if not is_split(region):
        return ()
    return _OPTIONS.get(region) or tuple(
        ZoneOption(zone, names_of_zone(zone).option) for zone in zones_of(region)
    )


def names_of_zone(zone: str) -> ZoneName:
    """Return the names of an IANA zone; one that is not in the table is named after its city."""
    city = zone.rpartition("/")[2].replace("_", " ")
    return _ZONE_NAMES.get(zone) or ZoneName(city, f"({city})", city)
