"""The evidence report: what the service can show to an auditor, each figure with its date.

One function makes one structure: the page, the printable file and the JSON are the same report. It asks no
other machine and runs no long verification; the last one is reported with its date. What `intake doctor`
judges is taken from its checks, never judged again. A key is as old as the first event that mentions it; when
it was made is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from intake import __version__, audit, monitoring, outbox
from intake.accounts import credentials, invitations
from intake.accounts.models import Passkey, RecoveryCode, StaffMember
from intake.act import Act
from intake.audit import Action, chain
from intake.audit.service import details_of
from intake.backup.models import BackupAct, last_result
from intake.conf.settings import PREFIX
from intake.core.i18n import N_, gettext, language_name, translate
from intake.instance import Instance
from intake.leads import key_rotation
from intake.monitoring import Check, State, checks, integrity
from intake.outbox import Mail, OutboxMessage
from intake.outbox.models import JobLease
from intake.privacy import retention, statement_versions
from intake.reports.compliance_model import (
    FORMAT,
    URGENCY,
    ComplianceReport,
    Figure,
    FigureState,
    Section,
    Value,
    as_json,
)
from intake.reports.compliance_texts import TEXTS
from intake.reports.statistics import SMALL, is_small
from intake.security.crypto import UnsealError

__all__ = ["FORMAT", "URGENCY", "ComplianceReport", "Figure", "FigureState", "Section", "as_json", "gather"]

GRACE = timedelta(hours=3)
"""The purge runs every hour, and waits for one more after a start or a jump of the clock."""
LEDGER = "mirror_ledger"
LISTS = ("sealing_keys", "app_keys")
"""The settings that hold several keys, the newest first."""
OURS = ("'none'", "'self'", "data:")
"""Sources of a Content-Security-Policy that load nothing from another origin."""
PAGES = {"public": N_("The pages for people who ask"), "staff": N_("The pages for staff")}
NONE_ON_RECORD = N_("None is on record.")
GOOD_IF = {True: FigureState.GOOD, False: FigureState.OPEN}


def gather(instance: Instance, *, policies: Mapping[str, str]) -> ComplianceReport:
    """The report as of now, in the current language. Raises Unavailable when the database is.

    `policies` are the Content-Security-Policies by kind of page ("public", "staff"), which the web package
    knows.
    """
    made = monitoring.run_checks(instance)
    failing = [each for each in made if each.state is not State.GREEN]
    names = {each.name for each in failing}
    with instance.database.reading() as session:
        act = Act(session, instance)
        parts = [
            ("doctor", gettext("Checks of the service"), checks_figures(made, act.now)),
            ("access", gettext("Who can sign in"), access_figures(act)),
            ("audit", gettext("The audit log and the proof of consent"), audit_figures(act)),
            ("erasing", gettext("Erasing what has been kept long enough"), erasure_figures(act)),
            ("backups", gettext("Backups"), backup_figures(act)),
            ("keys", gettext("Keys"), keys_figures(act)),
            ("mail", gettext("Telling staff"), notices_figures(act)),
            ("pages", gettext("What the pages may load"), pages_figures(policies, act.now)),
            ("statements", gettext("What people agree to"), statements_figures(act)),
        ]
    sections = []
    for name, title, figures in parts:
        judged = [  # a known figure is open when its health check is not green
            replace(each, state=FigureState.OPEN)
            if each.check in names and each.state is not FigureState.NOT_KNOWN
            else each
            for each in figures
        ]
        sections.append(Section(name, title, judged))
    return ComplianceReport(
        at=act.now,
        clinic=instance.clinic.name,
        address=instance.settings.base_url,
        version=__version__,
        mode=instance.settings.mode.value,
        checks=failing,
        sections=sections,
    )


def figure(
    name: str,
    value: Value,
    at: datetime | None,
    state: FigureState = FigureState.INFORMATION,
    *,
    item: str = "",
    detail: str = "",
    check: str = "",
    texts: str = "",
    **words: object,
) -> Figure:
    """The figure `name` with its texts (or those under the name `texts`), `words` filled into them."""
    label, means, source = (translate(each, None, **words) for each in TEXTS[texts or name])
    return Figure(
        name=name, label=label, value=value, at=at, means=means, source=source,
        state=state, item=item, detail=detail, check=check,
    )  # fmt: skip


def moment(
    name: str,
    at: datetime | None,
    state: FigureState = FigureState.INFORMATION,
    *,
    missing: str = NONE_ON_RECORD,
    check: str = "",
) -> Figure:
    """The figure of a moment, not known without one; `missing` (message id) says what there is not."""
    if at is None:
        return figure(name, None, None, FigureState.NOT_KNOWN, detail=gettext(missing), check=check)
    return figure(name, at, at, state, check=check)


def masked_count(count: int) -> str:
    """A count of requests as it may be exported.

    1 to 10 is `<11`, the small-cell rule of `reports.statistics`.
    """
    return SMALL if is_small(count) else str(count)


def checks_figures(made: Sequence[Check], now: datetime) -> list[Figure]:
    """How many health checks were made for the report, and which were not."""
    return [
        figure("doctor.checks", len(made), now),
        *(
            figure("doctor.not_looked_at", None, None, FigureState.NOT_KNOWN, item=name, detail=name)
            for name in monitoring.DOCTOR_ONLY
        ),
    ]


def access_figures(act: Act) -> list[Figure]:
    """Counts of accounts, second factors and invitations."""
    session, now = act.session, act.now
    waiting = set(invitations.pending(session))
    rows = session.scalars(select(StaffMember)).all()
    enabled = {row.id: row for row in rows if row.disabled_at is None}
    active = {row.id for row in rows if row.id in enabled and row.id not in waiting}
    with_passkey = set(session.scalars(select(Passkey.staff_id).distinct()))
    unused_codes = select(RecoveryCode.staff_id).where(RecoveryCode.used_at.is_(None)).distinct()
    covered = 0
    for staff_id in active:
        try:  # without the sealed secret no code can be checked
            credentials.unwrap_secret(enabled[staff_id].totp_secret, keyring=act.keyring, staff_id=staff_id)
            covered += 1
        except UnsealError:
            pass
    if active:
        share = translate("%(covered)s of %(of)s", covered=covered, of=len(active))
        factors = figure(
            "access.with_second_factor", covered, now, GOOD_IF[covered == len(active)], detail=share
        )
    else:
        factors = figure("access.with_second_factor", None, None, FigureState.NOT_KNOWN)
    return [
        figure("access.accounts", len(active), now),
        factors,
        figure("access.with_passkey", len(with_passkey & active), now),
        figure("access.without_recovery_codes", len(active - set(session.scalars(unused_codes))), now),
        figure("access.invitations", len(waiting & enabled.keys()), now),
        figure("access.closed", len(rows) - len(enabled), now),
    ]


def audit_figures(act: Act) -> list[Figure]:
    """The last verification of the audit log and the proof of consent, and the last anchor."""
    if last := integrity.last_verified(act):
        looked_at = translate("%(count)s events were looked at.", count=last.events)
        verified = figure(
            "audit.verified", last.intact, last.at, FigureState.GOOD,
            detail=looked_at, check=integrity.VERIFICATION,
        )  # fmt: skip
    else:
        verified = moment(
            "audit.verified", None, missing=N_("No verification is on record."), check=integrity.VERIFICATION
        )
    anchor = chain.last_anchor(act.settings.anchor_path)
    anchored_at = anchor.at if anchor and anchor.authentic(act.keyring) else None
    no_anchor = N_("No anchor with a good seal was found.")
    return [
        verified,
        moment("audit.anchored", anchored_at, missing=no_anchor, check="anchors"),
        moment("audit.began", audit.oldest_event_at(act.session), missing=""),
    ]


def erasure_figures(act: Act) -> list[Figure]:
    """The last purge, the leads that are overdue or under a legal hold, and the copy of the ledger."""
    late = retention.preview(act.session, until=act.now - GRACE)
    purge, ledger = (act.session.get(JobLease, name) for name in (retention.JOB, LEDGER))
    purged_at = purge.succeeded_at if purge else None
    in_time = purged_at is not None and act.now - purged_at <= GRACE
    hours = GRACE // timedelta(hours=1)
    return [
        moment("erasing.last_purge", purged_at, GOOD_IF[in_time], missing=N_("No purge is on record.")),
        figure("erasing.overdue", masked_count(late.count), act.now, GOOD_IF[not late.count], hours=hours),
        figure("erasing.held", masked_count(late.kept), act.now),
        moment(
            "erasing.ledger_copied",
            ledger.succeeded_at if ledger else None,
            missing=N_("No copy is on record."),
        ),
    ]


def backup_figures(act: Act) -> list[Figure]:
    """The last backup, and the last successful restore test."""
    found = []
    for name, kind, check in (
        ("backups.last_taken", BackupAct.TAKEN, "backup"),
        ("backups.last_tested", BackupAct.TESTED, "restore test"),
    ):
        row = last_result(act.session, kind)
        shown = moment(name, row.succeeded_at if row else None, FigureState.GOOD, check=check)
        failed = gettext("The last try failed.") if row and row.last_error else shown.detail
        found.append(replace(shown, detail=failed))
    return found


def keys_figures(act: Act) -> list[Figure]:
    """The age of every key as far as it is known, and what is still wrapped with an older one.

    Never a key.
    """
    first, still_read = gettext("In front: what is new is sealed or signed with it."), gettext("Still read.")
    found = [
        figure(
            "keys.in_use_since",
            age.since,
            age.since,
            FigureState.INFORMATION if age.since else FigureState.NOT_KNOWN,
            item=f"{PREFIX}{age.setting.upper()} {age.key_id}".strip(),
            detail=(first if age.first else still_read) if age.setting in LISTS else "",
        )
        for age in checks.key_ages(act)
    ]
    if not act.settings.backup_key:
        found.append(
            figure(
                "keys.in_use_since", None, act.now, texts="keys.no_backup_key",
                item=f"{PREFIX}BACKUP_KEY", detail=gettext("No such key is set."),
            )
        )  # fmt: skip
    newest, *_ = act.keyring.sealing_ids
    counts = key_rotation.count_rows_by_key(act.session, act.keyring)
    older = sum(counts.values()) - counts[newest]
    rotated = audit.last_authentic_event(act.session, Action.KEYS_ROTATED, keyring=act.keyring)
    return [
        *found,
        figure("keys.on_older_sealing_keys", masked_count(older), act.now, GOOD_IF[not older], key=newest),
        figure("keys.last_change", rotated.at, rotated.at)
        if rotated
        else figure(
            "keys.last_change",
            None,
            audit.oldest_event_at(act.session),
            detail=gettext("None is on record since the audit log began."),
        ),
    ]


def notices_figures(act: Act) -> list[Figure]:
    """The last mail test, the last accepted mails, and what was refused."""
    test = audit.last_authentic_event(act.session, Action.MAIL_TESTED, keyring=act.keyring)
    accepted = details_of(test).get("hit") if test else None
    if test is None:
        tested = moment("mail.last_test", None, missing=N_("No test is on record."))
    elif accepted is None:
        ending = gettext("How it ended is not known.")
        tested = figure("mail.last_test", test.at, test.at, FigureState.NOT_KNOWN, detail=ending)
    else:
        every, some = gettext("Every recipient was accepted."), gettext("Not every recipient was accepted.")
        tested = figure(
            "mail.last_test", test.at, test.at, GOOD_IF[accepted], detail=every if accepted else some
        )
    status = outbox.status(act.session, at=act.now)
    daily = select(func.max(OutboxMessage.sent_at)).where(OutboxMessage.mail == Mail.DAILY)
    return [
        tested,
        moment("mail.daily_accepted", act.session.scalar(daily), check="daily mail"),
        moment("mail.last_accepted", status.last_sent_at),
        figure("mail.refused", masked_count(status.dead), act.now, FigureState.GOOD, check="dead letters"),
    ]


def pages_figures(policies: Mapping[str, str], now: datetime) -> list[Figure]:
    """For each kind of page, the other origins that its Content-Security-Policy allows."""
    found = []
    for name, policy in policies.items():
        foreign = foreign_origins(policy)
        detail, pages = ", ".join(foreign) or gettext("None."), gettext(PAGES[name])
        found.append(
            figure(
                "pages.foreign_origins", len(foreign), now, GOOD_IF[not foreign],
                item=name, detail=detail, pages=pages, policy=policy,
            )
        )  # fmt: skip
    return found


def foreign_origins(policy: str) -> list[str]:
    """Sources in a Content-Security-Policy other than 'none', 'self' and data:, sorted."""
    sources = [source for directive in policy.split(";") for source in directive.split()[1:]]
    return sorted({source for source in sources if source not in OURS})


def statements_figures(act: Act) -> list[Figure]:
    """Every statement in force, by version and by the digest of its text."""
    histories = statement_versions.statement_histories(act.session, act.statements)
    return [
        figure(
            "statements.in_force",
            f"sha256:{current.digest}",
            current.since,
            item=f"{current.kind} {current.language} v{current.version}",
            detail="" if current.since else gettext("Nobody has answered it yet."),
            kind=gettext(current.kind.sentence),
            spoken=language_name(current.language),
            version=current.version,
        )
        for current in (history.versions[0] for history in histories)
    ]
