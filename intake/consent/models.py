"""The tables of consent: the words once by digest, and one event per purpose, channel and change."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from intake.audit.models import ActorKind
from intake.core.i18n import N_
from intake.db.engine import Base, Blob, Closed, Count, Identifier, Instant, Words, one_of


class Kind(StrEnum):
    """What a statement asks permission for."""

    USE = "use"
    CALL = "call"
    TEXT = "text"
    EMAIL = "email"
    VOICEMAIL = "voicemail"
    ARTICLE = "article"
    ADULT = "adult"

    @property
    def sentence(self) -> str:
        """What it is called on a page for staff (message id)."""
        return _NAMES[self]


_NAMES = {
    Kind.USE: N_("Use of details"),
    Kind.CALL: N_("Call"),
    Kind.TEXT: N_("Text"),
    Kind.VOICEMAIL: N_("Voicemail"),
    Kind.EMAIL: N_("Email"),
    Kind.ARTICLE: N_("Which article"),
    Kind.ADULT: N_("18 or older"),
}


class State(StrEnum):
    """What was answered. `expired` is computed from the time, never stored (decisions.md 9)."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Method(StrEnum):
    """How the answer reached us."""

    WEB_FORM = "web_form"
    PHONE_VERBAL = "phone_verbal"
    MANAGE_PAGE = "manage_page"
    STAFF = "staff"


class ConsentStatement(Base):
    """The words of one statement as rendered, stored once by their SHA-256; never changed."""

    __tablename__ = "consent_statement"
    __table_args__ = (one_of("kind", Kind), {"sqlite_strict": True})

    digest: Mapped[str] = mapped_column(Words, primary_key=True)
    kind: Mapped[Kind] = mapped_column(Closed(Kind))
    version: Mapped[int] = mapped_column(Count)
    language: Mapped[str] = mapped_column(Words)
    body: Mapped[str] = mapped_column(Words)
    first_shown_at: Mapped[datetime] = mapped_column(Instant)


class ConsentEvent(Base):
    """One answer to one statement. `lead_id` has no foreign key: the proof outlives the lead (C3).

    The unique key over four columns is what a lead's own foreign key points at (decisions.md 8).
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("state", State),
        one_of("method", Method),
        one_of("actor_kind", ActorKind),
        CheckConstraint("(actor_kind = 'staff') = (actor_id IS NOT NULL)", name="actor_complete"),
        UniqueConstraint("lead_id", "id", "kind", "state"),
        Index("ix_consent_event_contact_index", "contact_index"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    lead_id: Mapped[uuid.UUID] = mapped_column(Identifier)
    kind: Mapped[Kind] = mapped_column(Closed(Kind))
    state: Mapped[State] = mapped_column(Closed(State))
    statement: Mapped[str] = mapped_column(Words, ForeignKey("consent_statement.digest"))
    language: Mapped[str] = mapped_column(Words)
    method: Mapped[Method] = mapped_column(Closed(Method))
    actor_kind: Mapped[ActorKind] = mapped_column(Closed(ActorKind))
    actor_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    at: Mapped[datetime] = mapped_column(Instant)
    contact_index: Mapped[bytes | None] = mapped_column(Blob)
    mac: Mapped[bytes] = mapped_column(Blob)
