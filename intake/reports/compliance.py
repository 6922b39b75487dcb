"""The evidence report: what the service can show to an auditor, each figure with its date.

One function makes one structure: the page, the printable file and the JSON are the same report. It asks no
other machine and runs no long verification; the last one is reported with its date. The sections on sign-in
and on mail are here, the others in `compliance_checks`.
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
from intake.act import Act
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
from intake.security.crypto import UnsealError

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

_URGENCIES = {State.RED: Urgency.NOW, State.AMBER: Urgency.SOON}


def access_section(act: Act) -> Section:
    """Counts of accounts, second factors and invitations."""
    now, waiting = act.now, set(invitations.pending(act.session))
    rows = act.session.scalars(select(StaffMember)).all()
    active = [row for row in rows if row.disabled_at is None and row.id not in waiting]
    figures = [
        _accounts(len(active), now),
        _second_factors(sum(_has_second_factor(row, act.instance) for row in active), len(active), now),
        _passkeys(act.session, {row.id for row in active}, now),
        _recovery_codes(act.session, {row.id for row in active}, now),
        _invitations(len(waiting & {row.id for row in rows if row.disabled_at is None}), now),
        _closed(sum(row.disabled_at is not None for row in rows), now),
    ]
    return Section("access", gettext("Who can sign in"), figures)


def _has_second_factor(row: StaffMember, instance: Instance) -> bool:
    """Whether the sealed TOTP secret of the account opens; without it no code can be checked."""
    try:
        credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except UnsealError:
        return False
    return True


def _accounts(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.accounts",
        label=gettext("Accounts that can sign in"),
        value=count,
        at=now,
        means=gettext("One account is one human being. Closed accounts and unused invitations do not count."),
        source=gettext("The table of staff accounts, counted when this report was made."),
    )


def _second_factors(covered: int, of: int, now: datetime) -> Figure:
    state = FigureState.NOT_KNOWN if not of else FigureState.GOOD if covered == of else FigureState.OPEN
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
        state=state,
        detail=translate("%(covered)s of %(of)s", covered=covered, of=of) if of else "",
    )


def _passkeys(session: Session, active: set[uuid.UUID], now: datetime) -> Figure:
    with_one = set(session.scalars(select(Passkey.staff_id).distinct())) & active
    return Figure(
        name="access.with_passkey",
        label=gettext("… of them with a passkey"),
        value=len(with_one),
        at=now,
        means=gettext("A passkey cannot be given away on a false page. It is offered, and not required."),
        source=gettext("The table of passkeys."),
    )


def _recovery_codes(session: Session, active: set[uuid.UUID], now: datetime) -> Figure:
    unused = select(RecoveryCode.staff_id, func.count()).where(RecoveryCode.used_at.is_(None))
    with_some = {row[0] for row in session.execute(unused.group_by(RecoveryCode.staff_id))}
    return Figure(
        name="access.without_recovery_codes",
        label=gettext("… of them with no recovery code left"),
        value=len(active - with_some),
        at=now,
        means=gettext(
            "Who loses the second factor and has no code left needs a colleague to be let in again."
        ),
        source=gettext("The table of recovery codes; only their keyed hashes are kept."),
    )


def _invitations(count: int, now: datetime) -> Figure:
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


def notices_section(act: Act) -> Section:
    """The last mail test, the last accepted mails, and what was refused."""
    now = act.now
    status = outbox.status(act.session, at=now)
    daily = act.session.scalar(
        select(func.max(OutboxMessage.sent_at)).where(OutboxMessage.mail == Mail.DAILY)
    )
    figures = [
        _mail_test(audit.last_authentic_event(act.session, Action.MAIL_TESTED, keyring=act.keyring)),
        _accepted_mail(
            daily,
            name="mail.daily_accepted",
            label=gettext("Daily mail last accepted"),
            means=gettext(
                "One constant mail a day shows that the way out is open when nobody asks for contact."
            ),
            check="daily mail",
        ),
        _accepted_mail(
            status.last_sent_at,
            name="mail.last_accepted",
            label=gettext("Any mail last accepted"),
            means=gettext("The mail server took it. Whether somebody read it is not known to this service."),
            check="",
        ),
        _refused_mail(status.dead, now),
    ]
    return Section("mail", gettext("Telling staff"), figures)


def _mail_test(event: AuditEvent | None) -> Figure:
    accepted = details_of(event).get("hit") if event else None
    sentences = {
        True: gettext("Every recipient was accepted."),
        False: gettext("Not every recipient was accepted."),
        None: gettext("How it ended is not known.") if event else gettext("No test is on record."),
    }
    states = {True: FigureState.GOOD, False: FigureState.OPEN, None: FigureState.NOT_KNOWN}
    return Figure(
        name="mail.last_test",
        label=gettext("Last test of the mail server"),
        value=event.at if event else None,
        at=event.at if event else None,
        means=gettext("A test mail was sent at once to everybody who gets the notices."),
        source=gettext("The audit log: somebody ran the command for it on the machine."),
        state=states[accepted],
        detail=sentences[accepted],
    )


def _accepted_mail(at: datetime | None, *, name: str, label: str, means: str, check: str) -> Figure:
    return Figure(
        name=name,
        label=label,
        value=at,
        at=at,
        means=means,
        source=gettext("The outbox, where each mail is marked when the mail server has accepted it."),
        state=FigureState.INFORMATION if at else FigureState.NOT_KNOWN,
        detail="" if at else gettext("None is on record."),
        check=check,
    )


def _refused_mail(count: int, now: datetime) -> Figure:
    return Figure(
        name="mail.refused",
        label=gettext("Mail that was refused for good and not sent again"),
        value=masked_count(count),
        at=now,
        means=gettext("The requests are at the desk all the same. Small numbers are told as <11."),
        source=gettext("The outbox, counted when this report was made."),
        state=FigureState.OPEN if count else FigureState.GOOD,
        check="dead letters",
    )


def gather(instance: Instance, *, policies: Mapping[str, str]) -> ComplianceReport:
    """The report as of now, in the current language. Raises Unavailable when the database is.

    `policies` are the Content-Security-Policies by kind of page ("public", "staff"), which the web package
    knows.
    """
    now, checks = instance.clock(), monitoring.run_checks(instance)
    with instance.database.reading() as session:
        act = Act(session, instance)
        sections = [
            _checks_section(checks, now),
            access_section(act),
            compliance_checks.audit_section(act),
            compliance_checks.erasure_section(act),
            compliance_checks.backup_section(session),
            compliance_checks.keys_section(act),
            notices_section(act),
            compliance_checks.pages_section(policies, now),
            compliance_checks.statements_section(act),
        ]
    sections = [_apply_checks(section, checks) for section in sections]
    return ComplianceReport(
        at=now,
        clinic=instance.clinic.name,
        address=instance.settings.base_url,
        version=__version__,
        mode=instance.settings.mode.value,
        findings=_findings(checks, [figure for section in sections for figure in section.figures]),
        sections=sections,
    )


def _apply_checks(section: Section, checks: Sequence[Check]) -> Section:
    """Mark a known figure as open when its health check, which knows the limits, is not green."""
    failing = {each.name for each in checks if each.state is not State.GREEN}
    figures = [
        replace(figure, state=FigureState.OPEN)
        if figure.check in failing and figure.state is not FigureState.NOT_KNOWN
        else figure
        for figure in section.figures
    ]
    return replace(section, figures=figures)


def _findings(checks: Sequence[Check], figures: Sequence[Figure]) -> list[Finding]:
    """The failing health checks and the open figures without a check, the most urgent first."""
    failing = [each for state in _URGENCIES for each in checks if each.state is state]
    from_checks = [
        Finding(each.name, _URGENCIES[each.state], each.sentence, each.what_to_do, "intake doctor")
        for each in failing
    ]
    names = {each.name for each in failing}
    more = [each for each in figures if each.state is FigureState.OPEN and each.check not in names]
    return sorted([*from_checks, *map(_finding, more)], key=lambda each: list(Urgency).index(each.urgency))


def _finding(figure: Figure) -> Finding:
    value = figure.detail or ("" if figure.value is None else str(figure.value))
    return Finding(figure.name, Urgency.NOW, f"{figure.label}: {value}", figure.means, "intake evidence")


def _checks_section(checks: Sequence[Check], now: datetime) -> Section:
    made = Figure(
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
            state=FigureState.NOT_KNOWN,
            detail=name,
        )
        for name in monitoring.DOCTOR_ONLY
    ]
    return Section("doctor", gettext("Checks of the service"), [made, *left_out])
