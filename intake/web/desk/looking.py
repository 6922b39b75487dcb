"""Noting in the log that a member of staff looked at something, or took it along."""

import uuid
from typing import Any

from flask import g

from intake import audit
from intake.audit import Action
from intake.web.context import here


def record(
    session: Any, action: Action, *, about: uuid.UUID | None = None, **details: str | int | bool
) -> None:
    """Write down, in the caller's transaction, that whoever is signed in did this."""
    audit.record(
        session,
        action,
        keyring=here().keyring,
        at=here().clock(),
        actor=g.member.actor,
        about=about,
        details=details,
    )
