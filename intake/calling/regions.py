"""The states and territories: their names in both languages and the time zones in use there.

A region is split where two time zones are in official use. The person may leave the zone open; they are then
contacted only when the conditions hold in every zone of the region.
"""

from typing import NamedTuple

from intake.core.i18n import N_


class Region(NamedTuple):
    """A state or territory. `zones` are IANA names, the most populous first."""

    en: str
    es: str
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
    "US-AL": Region("Alabama", "Alabama", _MIDDLE),
    "US-AK": Region("Alaska", "Alaska", ("America/Anchorage", "America/Adak")),
    "US-AS": Region("American Samoa", "Samoa Americana", ("Pacific/Pago_Pago",)),
    "US-AZ": Region("Arizona", "Arizona", (_ARIZONA, _MOUNTAIN)),
    "US-AR": Region("Arkansas", "Arkansas", _MIDDLE),
    "US-CA": Region("California", "California", _WEST),
    "US-CO": Region("Colorado", "Colorado", (_MOUNTAIN,)),
    "US-CT": Region("Connecticut", "Connecticut", _EAST),
    "US-DE": Region("Delaware", "Delaware", _EAST),
    "US-DC": Region("District of Columbia", "Distrito de Columbia", _EAST),
    "US-FL": Region("Florida", "Florida", _EAST_AND_MIDDLE),
    "US-GA": Region("Georgia", "Georgia", _EAST),
    "US-GU": Region("Guam", "Guam", ("Pacific/Guam",)),
    "US-HI": Region("Hawaii", "Hawái", ("Pacific/Honolulu",)),
    "US-ID": Region("Idaho", "Idaho", (_IDAHO, _PACIFIC)),
    "US-IL": Region("Illinois", "Illinois", _MIDDLE),
    "US-IN": Region("Indiana", "Indiana", ("America/Indiana/Indianapolis", _CENTRAL)),
    "US-IA": Region("Iowa", "Iowa", _MIDDLE),
    "US-KS": Region("Kansas", "Kansas", _MIDDLE_AND_MOUNTAIN),
    "US-KY": Region("Kentucky", "Kentucky", _EAST_AND_MIDDLE),
    "US-LA": Region("Louisiana", "Luisiana", _MIDDLE),
    "US-ME": Region("Maine", "Maine", _EAST),
    "US-MD": Region("Maryland", "Maryland", _EAST),
    "US-MA": Region("Massachusetts", "Massachusetts", _EAST),
    "US-MI": Region("Michigan", "Míchigan", ("America/Detroit", _CENTRAL)),
    "US-MN": Region("Minnesota", "Minnesota", _MIDDLE),
    "US-MS": Region("Mississippi", "Misisipi", _MIDDLE),
    "US-MO": Region("Missouri", "Misuri", _MIDDLE),
    "US-MT": Region("Montana", "Montana", (_MOUNTAIN,)),
    "US-NE": Region("Nebraska", "Nebraska", _MIDDLE_AND_MOUNTAIN),
    "US-NV": Region("Nevada", "Nevada", (_PACIFIC, _MOUNTAIN)),
    "US-NH": Region("New Hampshire", "Nuevo Hampshire", _EAST),
    "US-NJ": Region("New Jersey", "Nueva Jersey", _EAST),
    "US-NM": Region("New Mexico", "Nuevo México", (_MOUNTAIN,)),
    "US-NY": Region("New York", "Nueva York", _EAST),
    "US-NC": Region("North Carolina", "Carolina del Norte", _EAST),
    "US-ND": Region("North Dakota", "Dakota del Norte", _MIDDLE_AND_MOUNTAIN),
    "US-MP": Region("Northern Mariana Islands", "Islas Marianas del Norte", ("Pacific/Saipan",)),
    "US-OH": Region("Ohio", "Ohio", _EAST),
    "US-OK": Region("Oklahoma", "Oklahoma", _MIDDLE),
    "US-OR": Region("Oregon", "Oregón", (_PACIFIC, _IDAHO)),
    "US-PA": Region("Pennsylvania", "Pensilvania", _EAST),
    "US-PR": Region("Puerto Rico", "Puerto Rico", ("America/Puerto_Rico",)),
    "US-RI": Region("Rhode Island", "Rhode Island", _EAST),
    "US-SC": Region("South Carolina", "Carolina del Sur", _EAST),
    "US-SD": Region("South Dakota", "Dakota del Sur", _MIDDLE_AND_MOUNTAIN),
    "US-TN": Region("Tennessee", "Tennessee", (_CENTRAL, _EASTERN)),
    "US-TX": Region("Texas", "Texas", _MIDDLE_AND_MOUNTAIN),
    "US-VI": Region("U.S. Virgin Islands", "Islas Vírgenes de EE. UU.", ("America/St_Thomas",)),
    "US-UT": Region("Utah", "Utah", (_MOUNTAIN,)),
    "US-VT": Region("Vermont", "Vermont", _EAST),
    "US-VA": Region("Virginia", "Virginia", _EAST),
    "US-WA": Region("Washington", "Washington", _WEST),
    "US-WV": Region("West Virginia", "Virginia Occidental", _EAST),
    "US-WI": Region("Wisconsin", "Wisconsin", _MIDDLE),
    "US-WY": Region("Wyoming", "Wyoming", (_MOUNTAIN,)),
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
    """Return the name in `language`, `en` or `es`. Raises KeyError for an unknown code."""
    found = REGIONS[region]
    return {"en": found.en, "es": found.es}[language]


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
