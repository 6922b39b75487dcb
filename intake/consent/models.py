"""The tables of consent: each statement's text once, by digest, and one event per answer or withdrawal."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from intake.audit.models import ActorKind
from intake.core.i18n import N_
from intake.db.types import Base, EnumText, Identifier, Instant, enum_check


class Kind(StrEnum):
    """What a statement asks consent to."""

    USE = "use"
    CALL = "call"
    TEXT = "text"
    EMAIL = "email"
    VOICEMAIL = "voicemail"
    ARTICLE = "article"
    ADULT = "adult"

    @property
    def sentence(self) -> str:
        """The name on a page for staff (message id)."""
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
    """The answer. Whether consent has expired is computed from the time, never stored."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Method(StrEnum):
    """How the answer was given."""

    WEB_FORM = "web_form"
    PHONE_VERBAL = "phone_verbal"
    MANAGE_PAGE = "manage_page"
    STAFF = "staff"


class ConsentStatement(Base):
    """The text of one statement as rendered, stored once, by its SHA-256; never changed."""

    __tablename__ = "consent_statement"
    __table_args__ = (enum_check("kind", Kind), {"sqlite_strict": True})

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[Kind] = mapped_column(EnumText(Kind))
    version: Mapped[int] = mapped_column(Integer)
    language: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    first_shown_at: Mapped[datetime] = mapped_column(Instant)


class ConsentEvent(Base):
    """One answer to one statement. `lead_id` has no foreign key: the proof outlives the lead (promise C3).

    The unique key over four columns is the target of the lead's own foreign key
    (docs/decisions/0005-consent-in-the-database.md).
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        enum_check("kind", Kind),
        enum_check("state", State),
        enum_check("method", Method),
        enum_check("actor_kind", ActorKind),
        CheckConstraint("(actor_kind = 'staff') = (actor_id IS NOT NULL)", name="actor_complete"),
        UniqueConstraint("lead_id", "id", "kind", "state"),
        Index("ix_consent_event_contact_index", "contact_index"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    lead_id: Mapped[uuid.UUID] = mapped_column(Identifier)
    kind: Mapped[Kind] = mapped_column(EnumText(Kind))
    state: Mapped[State] = mapped_column(EnumText(State))
    statement: Mapped[str] = mapped_column(Text, ForeignKey("consent_statement.digest"))
    language: Mapped[str] = mapped_column(Text)
    method: Mapped[Method] = mapped_column(EnumText(Method))
    actor_kind: Mapped[ActorKind] = mapped_column(EnumText(ActorKind))
    actor_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    at: Mapped[datetime] = mapped_column(Instant)
    contact_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
