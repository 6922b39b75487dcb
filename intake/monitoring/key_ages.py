"""Since when each key is in use, as far as this service can know: from the day it first saw it.

A setting does not say when a key was made. So the log keeps when each key was first noticed, by a mark that
is the key's alone; a key that was made earlier and set later is older than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.audit.log import details
from intake.conf.secrets import BACKUP_KEY, parse_key
from intake.instance import Instance
from intake.security.crypto import KeyMark, mark_of


@dataclass(frozen=True)
class KeyAge:
    """One key of the settings and when it was first seen, None: not yet. `first`: it stands in front."""

    setting: str
    key_id: str
    since: datetime | None
    first: bool


def in_use(instance: Instance) -> list[KeyMark]:
    """Every key that the settings hold, those of a list in their order."""
    written = instance.settings.backup_key
    backup = [KeyMark(BACKUP_KEY, "", mark_of(parse_key(written)))] if written else []
    return [*instance.keyring.marks(), *backup]


def note(instance: Instance) -> int:
    """Write down each key that was never seen before; returns how many."""
    with instance.database.reading() as session:
        known = _seen(session, instance)
    new = [each for each in in_use(instance) if each.mark not in known]
    if not new:
        return 0
    with instance.database.transaction() as session:
        for each in new:
            audit.record(
                session,
                Action.KEYS_FIRST_SEEN,
                keyring=instance.keyring,
                at=instance.clock(),
                actor=Actor.system(),
                details={"kind": each.setting, "field": each.key_id, "to": each.mark},
            )
    return len(new)


def _seen(session: Session, instance: Instance) -> Mapping[str, datetime]:
    """When each key was seen first, by its mark."""
    events = audit.every(session, Action.KEYS_FIRST_SEEN, keyring=instance.keyring)
    return {str(details(event).get("to")): event.at for event in events}


def ages(session: Session, instance: Instance) -> list[KeyAge]:
    """Every key with when it was first seen."""
    seen, found = _seen(session, instance), in_use(instance)
    settings = [each.setting for each in found]
    return [
        KeyAge(each.setting, each.key_id, seen.get(each.mark), place == settings.index(each.setting))
        for place, each in enumerate(found)
    ]
