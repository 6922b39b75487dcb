"""Whether anybody is there to keep what the public page says (N2): looked up once a minute and process."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask import current_app

from intake.core.errors import Unavailable
from intake.instance import Instance
from intake.leads import reminders
from intake.web.context import here

FRESH = timedelta(minutes=1)
_PLACE = "intake-desk-seen"


class Presence(StrEnum):
    """What the page has to say about us before somebody asks."""

    HERE = "here"
    NOBODY = "nobody"
    DOWN = "down"


@dataclass(frozen=True)
class Seen:
    """What was found, and when."""

    presence: Presence
    at: datetime


def presence() -> Presence:
    """Whether somebody looks after requests now. Raises nothing: a page is shown whatever is broken."""
    now, seen = here().clock(), current_app.extensions.get(_PLACE)
    if seen is None or not seen.at <= now < seen.at + FRESH:
        seen = Seen(_look(here()), now)
        current_app.extensions[_PLACE] = seen
    return Presence(seen.presence)


def _look(instance: Instance) -> Presence:
    try:
        with instance.database.reading() as session:
            nobody = reminders.unattended(session, instance=instance)
    except Unavailable:
        return Presence.DOWN
    return Presence.NOBODY if nobody else Presence.HERE
