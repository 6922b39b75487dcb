"""The clinic and the legal hours as shipped, moments in local time, and an independent computation."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from intake.calling.availability import ContactTimes
from intake.calling.hours import CallingHours, Window
from intake.calling.hours import load as load_hours
from intake.calling.regions import zones_of
from intake.conf.clinic import Channel, Clinic
from intake.conf.clinic import load as load_clinic
from intake.conf.toml_schema import Span
from intake.core.paths import CONFIG

CLINIC = load_clinic(CONFIG / "clinic.toml")
HOURS = load_hours(CONFIG / "calling_hours.toml")
EASTERN, CENTRAL = "America/New_York", "America/Chicago"
ANY = frozenset({Window.ANY})
ALL_DAY = (Span(time(0), time(23, 59)),)

ALWAYS_OPEN = replace(
    CLINIC,
    hours=replace(CLINIC.hours, **dict.fromkeys(("monday", "tuesday", "wednesday"), ALL_DAY)),
    on_federal_holidays="as usual",
)
ALWAYS_OPEN = replace(
    ALWAYS_OPEN,
    hours=replace(ALWAYS_OPEN.hours, **dict.fromkeys(("thursday", "friday", "saturday", "sunday"), ALL_DAY)),
)
"""Open around the clock and never on holiday, so that only the other conditions apply."""


def at(text: str, zone: str = EASTERN) -> datetime:
    """Parse `2026-11-18 10:00` in the local time of `zone`, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def contactable(clinic: Clinic, hours: CallingHours, *, channel: Channel, start: datetime, days=14, **person):
    """The contactable time of a person from `start` on."""
    return ContactTimes(clinic, hours, start, days).contactable(channel, **person)


def second_opinion(
    moment: datetime,
    *,
    clinic: Clinic,
    region: str,
    time_zone: str | None,
    number_zones: Sequence[str],
    windows: Collection[Window],
    channel: Channel,
) -> bool:
    """Return whether `channel` may be used at `moment`, computed from local times without intervals."""
    zones = [time_zone] if time_zone else list(zones_of(region))
    local_time = moment.astimezone(ZoneInfo(clinic.time_zone))
    if not _shows(local_time, clinic.open_on(local_time.date())):
        return False
    theirs = [moment.astimezone(ZoneInfo(zone)) for zone in zones]
    if not all(_safe(clock, windows) for clock in theirs):
        return False
    if channel is Channel.EMAIL:
        return True
    return (
        all(clinic.contact.call_from <= clock.time() < clinic.contact.call_until for clock in theirs)
        and all(_shows(clock, HOURS.spans_on(region, clock.date())) for clock in theirs)
        and all(8 <= moment.astimezone(ZoneInfo(zone)).hour < 21 for zone in number_zones)
    )


def _shows(clock: datetime, spans: Sequence[Span]) -> bool:
    return any(span.opens <= clock.time() < span.closes for span in spans)


def _safe(clock: datetime, windows: Collection[Window]) -> bool:
    if Window.ANY in windows:
        return True
    day = {5: "saturday", 6: "sunday"}.get(clock.weekday(), "weekday")
    part = next(
        (name for name, first, end in _PARTS if first <= clock.hour < end),
        "night",
    )
    return f"{day}_{part}" in set(windows)


_PARTS = (("morning", 9, 12), ("afternoon", 12, 17), ("evening", 17, 20))
