"""The act context: the transaction, who acts and when, handed on as one object.

A door opens a transaction, makes one of these and calls one act of a capability. What the act calls gets
the same object, so that everything it writes belongs together and carries one time.
"""

import uuid
from copy import copy
from datetime import datetime
from functools import cached_property
from typing import Self

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor, AuditEvent, Detail
from intake.calling.availability import ContactTimes
from intake.instance import Instance


class Act:
    """One act on the service: its session, who acts (the service itself by default), and the time.

    `now` is read once from the service's clock (UTC), unless the act is part of another one. The parts of
    the service that acts need are its attributes.
    """

    def __init__(
        self, session: Session, instance: Instance, actor: Actor | None = None, *, now: datetime | None = None
    ) -> None:
        self.session = session
        self.instance = instance
        self.actor = actor or Actor.system()
        self.now = now or instance.clock()
        self.keyring = instance.keyring
        self.clinic = instance.clinic
        self.hours = instance.hours
        self.statements = instance.statements
        self.settings = instance.settings

    @cached_property
    def contact_times(self) -> ContactTimes:
        """When the conditions of contact hold from the time of the act on, the same for every lead in it."""
        return ContactTimes(self.clinic, self.hours, self.now)

    def by(self, actor: Actor) -> Self:
        """The same act, in the same transaction and at the same time, in the name of another actor."""
        other = copy(self)
        other.actor = actor
        return other

    def record(self, action: Action, *, about: uuid.UUID | None = None, **details: Detail) -> AuditEvent:
        """Write one audit event. Raises ValueError for a detail that the log does not know."""
        return audit.record(
            self.session,
            action,
            keyring=self.keyring,
            at=self.now,
            actor=self.actor,
            about=about,
            details=details,
        )
