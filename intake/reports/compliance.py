"""The evidence report: what can be shown to whoever has to judge this service, each figure with its date.

One structure, made by one function: the page, the printable file and the JSON are the same report. It asks
no other machine and verifies nothing that takes long; what was verified, it tells with its date.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import __version__, audit, monitoring, outbox
from intake.accounts import credentials, invitations
from intake.accounts.models import Passkey, RecoveryCode, StaffMember
from intake.audit import Action, AuditEvent
from intake.audit.service import details_of
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.monitoring import Check, State
from intake.outbox import Mail, OutboxMessage
from intake.reports import compliance_checks
from intake.reports.compliance_checks import masked_count
from intake.reports.compliance_model import (
    FORMAT,
    ComplianceReport,
    Figure,
    FigureState,
    Finding,
    Section,
    Urgency,
    as_json,
)
from intake.security.crypto import Unopenable

# --- Who can sign in, and whether each of them has to give a second factor; as counts.


def access_section(session: Session, instance: Instance) -> Section:
    """Accounts and second factors now."""
    now, waiting = instance.clock(), set(invitations.waiting(session))
    rows = session.scalars(select(StaffMember)).all()
    able = [row for row in rows if row.disabled_at is None and row.id not in waiting]
    figures = [
        _able(len(able), now),
        _covered(sum(_works(row, instance) for row in able), len(able), now),
        _passkeys(session, {row.id for row in able}, now),
        _codes(session, {row.id for row in able}, now),
        _waiting(len(waiting & {row.id for row in rows if row.disabled_at is None}), now),
        _closed(sum(row.disabled_at is not None for row in rows), now),
    ]
    return Section("access", gettext("Who can sign in"), figures)


def _works(row: StaffMember, instance: Instance) -> bool:
    """Whether the secret of the account's authenticator app opens, without which no code is ever right."""
    try:
        credentials.unwrapped_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except Unopenable:
        return False
    return True


def _able(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.accounts",
        label=gettext("Accounts that can sign in"),
        value=count,
        at=now,
        means=gettext("One account is one human being. Closed accounts and unused invitations do not count."),
        source=gettext("The table of staff accounts, counted when this report was made."),
    )


def _covered(covered: int, of: int, now: datetime) -> Figure:
    standing = FigureState.NOT_KNOWN if not of else FigureState.GOOD if covered == of else FigureState.OPEN
    return Figure(
        name="access.with_second_factor",
        label=gettext("… of them with a second factor"),
        value=covered if of else None,
        at=now if of else None,
        means=gettext(
            "Nobody signs in with a password alone: a code of an authenticator app, a passkey or a recovery "
            "code is always asked for. Counted are the accounts whose second factor can be checked."
        ),
        source=gettext("The sealed secret of each account, opened with the key in use."),
        standing=standing,
        detail=translate("%(covered)s of %(of)s", covered=covered, of=of) if of else "",
    )


def _passkeys(session: Session, able: set[uuid.UUID], now: datetime) -> Figure:
    with_one = set(session.scalars(select(Passkey.staff_id).distinct())) & able
    return Figure(
        name="access.with_passkey",
        label=gettext("… of them with a passkey"),
        value=len(with_one),
        at=now,
        means=gettext("A passkey cannot be given away on a false page. It is offered, and not required."),
        source=gettext("The table of passkeys."),
    )


def _codes(session: Session, able: set[uuid.UUID], now: datetime) -> Figure:
    left = select(RecoveryCode.staff_id, func.count()).where(RecoveryCode.used_at.is_(None))
    with_some = {row[0] for row in session.execute(left.group_by(RecoveryCode.staff_id))}
    return Figure(
        name="access.without_recovery_codes",
        label=gettext("… of them with no recovery code left"),
        value=len(able - with_some),
        at=now,
        means=gettext(
            "Who loses the second factor and has no code left needs a colleague to be let in again."
        ),
        source=gettext("The table of recovery codes; only their keyed hashes are kept."),
    )


def _waiting(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.invitations",
        label=gettext("Invitations not taken up"),
        value=count,
        at=now,
        means=gettext(
            "Nobody can sign in with these accounts until their owners have chosen a second factor."
        ),
        source=gettext("The table of invitations."),
    )


def _closed(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.closed",
        label=gettext("Closed accounts"),
        value=count,
        at=now,
        means=gettext("They are kept so that the audit log goes on saying who did what. Nobody can sign in."),
        source=gettext("The table of staff accounts, counted when this report was made."),
    )


# --- Whether mail arrives, as far as the mail server says so.


def notices_section(session: Session, instance: Instance) -> Section:
    """The last test, the last mail, the daily one, and what was refused."""
    now = instance.clock()
    standing = outbox.status(session, at=now)
    daily = session.scalar(select(func.max(OutboxMessage.sent_at)).where(OutboxMessage.mail == Mail.DAILY))
    figures = [
        _tested(audit.last(session, Action.MAIL_TESTED, keyring=instance.keyring)),
        _accepted(
            daily,
            name="mail.daily_accepted",
            label=gettext("Daily mail last accepted"),
            means=gettext(
                "One constant mail a day shows that the way out is open when nobody asks for contact."
            ),
            check="daily mail",
        ),
        _accepted(
            standing.last_sent_at,
            name="mail.last_accepted",
            label=gettext("Any mail last accepted"),
            means=gettext("The mail server took it. Whether somebody read it is not known to this service."),
            check="",
        ),
        _refused(standing.dead, now),
    ]
    return Section("mail", gettext("Telling staff"), figures)


def _tested(event: AuditEvent | None) -> Figure:
    ended = details_of(event).get("hit") if event else None
    said = {
        True: gettext("Every recipient was accepted."),
        False: gettext("Not every recipient was accepted."),
        None: gettext("How it ended is not known.") if event else gettext("No test is on record."),
    }
    found = {True: FigureState.GOOD, False: FigureState.OPEN, None: FigureState.NOT_KNOWN}
    return Figure(
        name="mail.last_test",
        label=gettext("Last test of the mail server"),
        value=event.at if event else None,
        at=event.at if event else None,
        means=gettext("A test mail was sent at once to everybody who gets the notices."),
        source=gettext("The audit log: somebody ran the command for it on the machine."),
        standing=found[ended],
        detail=said[ended],
    )


def _accepted(at: datetime | None, *, name: str, label: str, means: str, check: str) -> Figure:
    return Figure(
        name=name,
        label=label,
        value=at,
        at=at,
        means=means,
        source=gettext("The outbox, where each mail is marked when the mail server has accepted it."),
        standing=FigureState.TOLD if at else FigureState.NOT_KNOWN,
        detail="" if at else gettext("None is on record."),
        check=check,
    )


def _refused(count: int, now: datetime) -> Figure:
    return Figure(
        name="mail.refused",
        label=gettext("Mail that was refused for good and not sent again"),
        value=masked_count(count),
        at=now,
        means=gettext("The requests are at the desk all the same. Small numbers are told as <11."),
        source=gettext("The outbox, counted when this report was made."),
        standing=FigureState.OPEN if count else FigureState.GOOD,
        check="dead letters",
    )


__all__ = [
    "FORMAT",
    "ComplianceReport",
    "Figure",
    "FigureState",
    "Finding",
    "Section",
    "Urgency",
    "as_json",
    "gather",
]

_URGENT = {State.RED: Urgency.NOW, State.AMBER: Urgency.SOON}


def gather(instance: Instance, *, policies: Mapping[str, str]) -> ComplianceReport:
    """The report of this moment, in the language in use. Raises Unavailable when the database is.

    `policies`: the Content-Security-Policy of the public and of the staff pages, which the doors know.
    """
    now, checks = instance.clock(), monitoring.run_checks(instance)
    with instance.database.reading() as session:
        sections = [
            _doctor(checks, now),
            access_section(session, instance),
            compliance_checks.audit_section(session, instance),
            compliance_checks.erasure_section(session, instance),
            compliance_checks.backup_section(session),
            compliance_checks.keys_section(session, instance),
            notices_section(session, instance),
            compliance_checks.pages_section(policies, now),
            compliance_checks.statements_section(session, instance),
        ]
    sections = [_judged(section, checks) for section in sections]
    return ComplianceReport(
        at=now,
        clinic=instance.clinic.name,
        address=instance.settings.base_url,
        version=__version__,
        mode=instance.settings.mode.value,
        findings=_findings(checks, [figure for section in sections for figure in section.figures]),
        sections=sections,
    )


def _judged(section: Section, checks: Sequence[Check]) -> Section:
    """A figure is not as it should be when the doctor, who knows how old it may be, says otherwise."""
    unwell = {each.name for each in checks if each.state is not State.GREEN}
    figures = [
        replace(figure, standing=FigureState.OPEN)
        if figure.check in unwell and figure.standing is not FigureState.NOT_KNOWN
        else figure
        for figure in section.figures
    ]
    return replace(section, figures=figures)


def _findings(checks: Sequence[Check], figures: Sequence[Figure]) -> list[Finding]:
    """What the doctor finds, the worst first, then what only this report looks at."""
    found = [each for state in _URGENT for each in checks if each.state is state]
    by_doctor = [
        Finding(each.name, _URGENT[each.state], each.sentence, each.what_to_do, "intake doctor")
        for each in found
    ]
    told = {each.name for each in found}
    more = [each for each in figures if each.standing is FigureState.OPEN and each.check not in told]
    return sorted([*by_doctor, *map(_finding, more)], key=lambda each: list(Urgency).index(each.urgency))


def _finding(figure: Figure) -> Finding:
    value = figure.detail or ("" if figure.value is None else str(figure.value))
    return Finding(figure.name, Urgency.NOW, f"{figure.label}: {value}", figure.means, "intake evidence")


def _doctor(checks: Sequence[Check], now: datetime) -> Section:
    looked = Figure(
        name="doctor.checks",
        label=gettext("Checks that were made"),
        value=len(checks),
        at=now,
        means=gettext("What they found and is not well stands under the open findings."),
        source=gettext("The same checks that `intake doctor` makes, made when this report was."),
    )
    left_out = [
        Figure(
            name="doctor.not_looked_at",
            item=name,
            label=gettext("A check that was not made"),
            value=None,
            at=None,
            means=gettext("It asks other sites, and a report asks nobody."),
            source=gettext("`intake doctor` on the machine."),
            standing=FigureState.NOT_KNOWN,
            detail=name,
        )
        for name in monitoring.NOT_FOR_A_PAGE
    ]
    return Section("doctor", gettext("Checks of the service"), [looked, *left_out])
