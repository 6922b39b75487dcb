"""The act context: the transaction, who acts and when, handed on as one object.

A door opens a transaction, makes one of these and calls one act of a capability. What the act calls gets
the same object, so that everything it writes belongs together and carries one time.
"""

import uuid
from datetime import datetime
from functools import cached_property
from typing import Self

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor, AuditEvent, Detail
from intake.calling.hours import CallingHours
from intake.conf.clinic import Clinic
from intake.conf.settings import Settings
from intake.consent.statements import Statements
from intake.instance import Instance
from intake.security.crypto import Keyring


class Act:
    """One act on the service: its session, who acts (the service itself by default), and the time."""

    def __init__(self, session: Session, instance: Instance, actor: Actor | None = None) -> None:
        self.session = session
        self.instance = instance
        self.actor = actor or Actor.system()

    @cached_property
    def now(self) -> datetime:
        """The time of the act, read once from the service's clock; UTC."""
        return self.instance.clock()

    @property
    def keyring(self) -> Keyring:
        """The service's keys."""
        return self.instance.keyring

    @property
    def clinic(self) -> Clinic:
        """The clinic's configuration."""
        return self.instance.clinic

    @property
    def hours(self) -> CallingHours:
        """The legal calling hours."""
        return self.instance.hours

    @property
    def statements(self) -> Statements:
        """The consent statements in force."""
        return self.instance.statements

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.instance.settings

    def by(self, actor: Actor) -> Self:
        """The same act, in the same transaction and at the same time, in the name of another actor."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, now=self.now, actor=actor)
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
