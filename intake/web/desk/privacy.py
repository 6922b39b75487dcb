"""The privacy officer's pages: who looked at one request, the statements, the do-not-contact list."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from flask import render_template, request
from flask.typing import ResponseReturnValue

from intake.accounts import service as staff_service
from intake.accounts.models import Role
from intake.accounts.permissions import Permission
from intake.audit import Action, AuditEvent, log
from intake.audit.log import LOOKS, Spot
from intake.casework.rows import names_of, references_of
from intake.conf.clinic import Channel
from intake.core.errors import NotFound
from intake.core.i18n import LANGUAGES, N_
from intake.leads import stopped
from intake.leads.history import shows_again
from intake.leads.models import SuppressionReason
from intake.leads.stopped import Standing
from intake.privacy import statement_versions
from intake.web.auth import guards
from intake.web.context import here
from intake.web.desk import audit_labels, looking
from intake.web.desk.differences import differences

FIELDS = {
    Channel.CALL: N_("Phone number, to call"),
    Channel.TEXT: N_("Phone number, to text"),
    Channel.EMAIL: N_("Email address"),
}


@dataclass(frozen=True)
class Disclosure:
    """One value that one member of staff was shown in full; `times` counts each new hold."""

    field: str
    by: uuid.UUID
    first: datetime
    last: datetime
    times: int


@guards.signed_in(Permission.READ_AUDIT)
def looks_page(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Who opened one request, when, and which of its values they were shown; also after its erasure."""
    with here().database.reading() as session:
        events = log.looks(session, lead_id)
        reference = references_of(session, {lead_id}).get(lead_id)
        if not reference and not log.about(session, lead_id, limit=1):
            raise NotFound
        names = names_of(session, {event.actor_id for event in events if event.actor_id})
        staff = staff_service.everybody(session)
    with here().database.transaction() as session:
        looking.record(session, Action.AUDIT_READ, about=lead_id, count=len(events))
    return render_template(
        "desk/officer_looks.html",
        lead_id=lead_id,
        reference=reference,
        events=events,
        many=len(events) == LOOKS,
        disclosed=_disclosures(events),
        names=names,
        roles={each.member.id: _in_order(each.member.roles) for each in staff},
        fields=FIELDS,
        field_of=_field,
        again=shows_again,
        acts=audit_labels,
        now=here().clock(),
    )


def _in_order(roles: frozenset[Role]) -> list[Role]:
    return [role for role in Role if role in roles]


def _field(event: AuditEvent) -> str:
    """The message id of what an event showed in full; empty when it showed nothing."""
    channel = log.details(event).get("channel")
    return FIELDS[Channel(channel)] if channel in set(Channel) else ""


def _disclosures(events: Sequence[AuditEvent]) -> list[Disclosure]:
    """Who was shown what, by field and then by who saw it first."""
    shown = [each for each in events if each.actor_id and _field(each) and not shows_again(each)]

    def place(event: AuditEvent) -> tuple[str, str]:
        return _field(event), str(event.actor_id)

    found = [list(same) for _, same in groupby(sorted(shown, key=place), place)]
    return sorted((_disclosure(same) for same in found), key=lambda each: (each.field, each.first))


def _disclosure(same: Sequence[AuditEvent]) -> Disclosure:
    moments = [event.at for event in same]
    by = same[0].actor_id or uuid.UUID(int=0)
    return Disclosure(_field(same[0]), by, min(moments), max(moments), len(same))


@guards.signed_in(Permission.READ_AUDIT)
def statements_page() -> ResponseReturnValue:
    """Every statement in force with all its earlier wordings, what changed, and who stands on which."""
    with here().database.reading() as session:
        found = statement_versions.histories(session, statements=here().statements, languages=LANGUAGES)
    return render_template(
        "desk/officer_statements.html", histories=found, differences=differences, now=here().clock()
    )


@guards.signed_in(Permission.READ_AUDIT)
def stops_page() -> ResponseReturnValue:
    """The do-not-contact list: when, why, by whom, whether lifted; no value."""
    filters = _asked(request.args)
    with here().database.reading() as session:
        found = stopped.page(session, after=Spot.read(request.args.get("after", "")), **filters)
        names = names_of(session, {each.by for each in found.entries if each.by})
    return render_template(
        "desk/officer_stops.html",
        found=found,
        names=names,
        words={name: str(word) for name, word in filters.items() if word},
        standings=tuple(Standing),
        reasons=tuple(SuppressionReason),
        acts=audit_labels,
        now=here().clock(),
    )


def _asked(words: Mapping[str, str]) -> stopped.Asked:
    """The filters of the address; a word that says nothing is as good as none."""
    standing, reason = words.get("standing", ""), words.get("reason", "")
    return {
        "standing": Standing(standing) if standing in set(Standing) else None,
        "reason": SuppressionReason(reason) if reason in set(SuppressionReason) else None,
    }
