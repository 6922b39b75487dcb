"""What the address of the log asks for: an act, who acted, the days, one request; nothing personal."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from intake.accounts.models import Role
from intake.accounts.service import Standing
from intake.audit import Action
from intake.audit.log import Wanted
from intake.audit.models import ActorKind
from intake.web.context import here

KINDS = (ActorKind.PERSON, ActorKind.SYSTEM)
NAMES = ("action", "who", "from", "to", "about")


@dataclass(frozen=True)
class Filters:
    """The words of the address that say something; what says nothing is left out of `words`."""

    action: Action | None
    who: str
    first: date | None
    last: date | None
    about: uuid.UUID | None

    @classmethod
    def read(cls, words: Mapping[str, str]) -> "Filters":
        """What an address asks for. A word that says nothing is as good as none."""
        action, who = words.get("action", ""), words.get("who", "")
        known = {*KINDS, *Role}
        return cls(
            action=Action(action) if action in set(Action) else None,
            who=who if who in known or _id(who) else "",
            first=_day(words.get("from", "")),
            last=_day(words.get("to", "")),
            about=_id(words.get("about", "")),
        )

    @property
    def words(self) -> dict[str, str]:
        """The same for the address of another page of the log."""
        values = zip(NAMES, (self.action, self.who, self.first, self.last, self.about), strict=True)
        return {name: str(value) for name, value in values if value}

    @property
    def backwards(self) -> bool:
        """Whether the first day comes after the last, so that nothing can be found."""
        return bool(self.first and self.last and self.first > self.last)

    def wanted(self, staff: Sequence[Standing]) -> Wanted:
        """What the log is asked for; a role stands for those who hold it now."""
        return Wanted(
            action=self.action,
            kind=ActorKind(self.who) if self.who in set(KINDS) else None,
            staff=self._staff(staff),
            since=_midnight(self.first) if self.first else None,
            until=_midnight(self.last + timedelta(days=1)) if self.last and self.last < date.max else None,
            about=self.about,
        )

    def _staff(self, staff: Sequence[Standing]) -> frozenset[uuid.UUID] | None:
        if self.who in set(Role):
            return frozenset(each.member.id for each in staff if Role(self.who) in each.member.roles)
        member = _id(self.who)
        return frozenset({member}) if member else None


def _id(words: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(words)
    except ValueError:
        return None


def _day(words: str) -> date | None:
    try:
        found = date.fromisoformat(words)
    except ValueError:
        return None
    return found if date.min < found < date.max else None


def _midnight(day: date) -> datetime:
    """When a day begins on the clinic's clock."""
    return datetime.combine(day, time(), ZoneInfo(here().clinic.time_zone)).astimezone(UTC)
