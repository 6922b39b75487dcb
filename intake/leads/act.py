"""One staff member acting on one lead, in one transaction: what every act records and how it ends a lead."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from intake import audit
from intake.accounts.permissions import Member
from intake.audit import Action
from intake.core.errors import Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus


class Changed(Refused):
    """Somebody acted on the lead since the page was made."""

    sentence = N_("Something has changed since this page was loaded. Look at “So far”, then say it again.")


class Closed(Refused):
    """The lead is closed; only what the person did can still be noted."""

    sentence = N_("This request is closed. Nothing was noted.")


@dataclass(frozen=True)
class Act:
    """Who acts on what."""

    session: Session
    lead: Lead
    member: Member
    instance: Instance

    @property
    def now(self) -> datetime:
        """The moment of the act."""
        return self.instance.clock()

    def record(self, action: Action, **details: str) -> None:
        """One audit event about the lead, with closed words only."""
        audit.record(
            self.session,
            action,
            keyring=self.instance.keyring,
            at=self.now,
            actor=self.member.actor,
            about=self.lead.id,
            details={name: str(value) for name, value in details.items()},
        )

    def close(self, reason: CloseReason) -> None:
        """End the lead and its hold. It is never kept longer than it would have been open."""
        lead, now = self.lead, self.now
        lead.status, lead.close_reason, lead.closed_at = LeadStatus.CLOSED, reason, now
        lead.claimed_by = lead.claimed_until = None
        kept = now + timedelta(days=self.instance.clinic.retention.closed_days)
        lead.purge_after = min(lead.purge_after, kept)
        self.record(Action.LEAD_CLOSED, reason=reason)


def touch(lead: Lead) -> None:
    """Make the lead a new version although none of its columns may change: pages shown before are stale."""
    flag_modified(lead, "windows")
