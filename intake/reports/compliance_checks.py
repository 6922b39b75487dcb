"""Sections of the evidence report: erasure, backups, keys, the audit log, statements, and content policies.

A key is as old as the first event that mentions it; when it was made is not known.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from intake import audit, backup
from intake.act import Act
from intake.audit import Action, chain
from intake.backup import BackupAct
from intake.conf.settings import PREFIX
from intake.core.i18n import LANGUAGES, N_, gettext, language_name, translate
from intake.instance import Instance
from intake.leads import key_rotation
from intake.monitoring import checks, integrity
from intake.monitoring.checks import KeyAge
from intake.outbox.models import JobLease
from intake.privacy import retention, statement_versions
from intake.privacy.statement_versions import StatementHistory
from intake.reports.compliance_model import Figure, FigureState, Section
from intake.reports.statistics import SMALL, is_small

GRACE = timedelta(hours=3)
"""The purge runs every hour, and waits for one more after a start or a jump of the clock."""
LEDGER = "mirror_ledger"
LISTS = ("sealing_keys", "app_keys")
"""The settings that hold several keys, the newest first."""
OURS = ("'none'", "'self'", "data:")
"""Sources of a Content-Security-Policy that load nothing from another origin."""
PAGES = {"public": N_("The pages for people who ask"), "staff": N_("The pages for staff")}


def masked_count(count: int) -> str:
    """A count of requests as it may be exported.

    1 to 10 is `<11`, the small-cell rule of `reports.statistics`.
    """
    return SMALL if is_small(count) else str(count)


def erasure_section(act: Act) -> Section:
    """The last purge, the leads that are overdue or under a legal hold, and the copy of the ledger."""
    now = act.now
    late = retention.preview(act.session, until=now - GRACE)
    figures = [
        _last_purge(act.session.get(JobLease, retention.JOB), now),
        _overdue_leads(late.count, now),
        _under_hold(late.kept, now),
        _ledger(act.session.get(JobLease, LEDGER)),
    ]
    return Section("erasing", gettext("Erasing what has been kept long enough"), figures)


def _last_purge(lease: JobLease | None, now: datetime) -> Figure:
    ended = lease.succeeded_at if lease else None
    state = (
        FigureState.NOT_KNOWN if not ended else FigureState.GOOD if now - ended <= GRACE else FigureState.OPEN
    )
    return Figure(
        name="erasing.last_purge",
        label=gettext("Last purge that ended well"),
        value=ended,
        at=ended,
        means=gettext(
            "Every hour the service erases the requests whose time is over, and destroys their keys."
        ),
        source=gettext("What the relay noted when the job ended."),
        state=state,
        detail="" if ended else gettext("No purge is on record."),
    )


def _overdue_leads(count: int, now: datetime) -> Figure:
    return Figure(
        name="erasing.overdue",
        label=gettext("Requests that should have been erased and are still there"),
        value=masked_count(count),
        at=now,
        means=translate("Their time was over more than %(hours)s hours ago, and no legal hold keeps them. "
                        "Small numbers are told as <11.", hours=GRACE // timedelta(hours=1)),
        source=gettext("The last day of each request, counted when this report was made."),
        state=FigureState.OPEN if count else FigureState.GOOD,
    )  # fmt: skip


def _under_hold(count: int, now: datetime) -> Figure:
    return Figure(
        name="erasing.held",
        label=gettext("Requests that a legal hold keeps beyond their time"),
        value=masked_count(count),
        at=now,
        means=gettext(
            "A privacy officer put each hold, with a reason and a last day. Small numbers are told as <11."
        ),
        source=gettext("The table of legal holds."),
    )


def _ledger(lease: JobLease | None) -> Figure:
    ended = lease.succeeded_at if lease else None
    return Figure(
        name="erasing.ledger_copied",
        label=gettext("Ledger of erasures last copied outside the database"),
        value=ended,
        at=ended,
        means=gettext("The copy says what a restored backup has to forget again."),
        source=gettext("What the relay noted when the job ended."),
        state=FigureState.INFORMATION if ended else FigureState.NOT_KNOWN,
        detail="" if ended else gettext("No copy is on record."),
    )


def backup_section(session: Session) -> Section:
    """The last backup, and the last successful restore test."""
    taken, tested = (backup.last_result(session, act) for act in (BackupAct.TAKEN, BackupAct.TESTED))
    figures = [
        _last_success(
            taken,
            name="backups.last_taken",
            label=gettext("Last backup that was taken"),
            means=gettext("One encrypted file that holds everything but sessions. Keys are not in it."),
            check="backup",
        ),
        _last_success(
            tested,
            name="backups.last_tested",
            label=gettext("Last restore test that succeeded"),
            means=gettext(
                "A backup was opened in memory and everything was done that a restore would do: counts, "
                "audit chain, proof of consent and every sealed row were checked."
            ),
            check="restore test",
        ),
    ]
    return Section("backups", gettext("Backups"), figures)


def _last_success(
    row: backup.BackupRecord | None, *, name: str, label: str, means: str, check: str
) -> Figure:
    ended = row.succeeded_at if row else None
    failed = bool(row and row.last_error)
    good = FigureState.GOOD if ended else FigureState.NOT_KNOWN
    detail = gettext("The last try failed.") if failed else "" if ended else gettext("None is on record.")
    return Figure(
        name=name,
        label=label,
        value=ended,
        at=ended,
        means=means,
        source=gettext("What was noted when it ended. What other programs save is not known here."),
        state=FigureState.OPEN if failed else good,
        detail=detail,
        check=check,
    )


def keys_section(act: Act) -> Section:
    """The age of every key as far as it is known, and what is still wrapped with an older one.

    Never a key.
    """
    ages = [_key_age(each) for each in checks.key_ages(act)]
    backup = [] if act.settings.backup_key else [_no_backup_key(act.now)]
    figures = [*ages, *backup, _on_older_keys(act), _last_rotation(act)]
    return Section("keys", gettext("Keys"), figures)


def _key_age(age: KeyAge) -> Figure:
    place = (
        gettext("In front: what is new is sealed or signed with it.") if age.first else gettext("Still read.")
    )
    return Figure(
        name="keys.in_use_since",
        item=" ".join(filter(None, (f"{PREFIX}{age.setting.upper()}", age.key_id))),
        label=gettext("Key in use since, at the latest"),
        value=age.since,
        at=age.since,
        means=gettext(
            "The day on which this service first saw the key. When it was made is not known; it may be older."
        ),
        source=gettext(
            "The audit log, which notes each key when it is first seen, by a mark and never by the key."
        ),
        state=FigureState.INFORMATION if age.since else FigureState.NOT_KNOWN,
        detail=place if age.setting in LISTS else "",
    )


def _no_backup_key(now: datetime) -> Figure:
    return Figure(
        name="keys.in_use_since",
        item=f"{PREFIX}BACKUP_KEY",
        label=gettext("Key in use since, at the latest"),
        value=None,
        at=now,
        means=gettext("Without this key no backup can be taken."),
        source=gettext("The settings in force."),
        detail=gettext("No such key is set."),
    )


def _on_older_keys(act: Act) -> Figure:
    newest, *_ = act.keyring.sealing_ids
    counts = key_rotation.count_rows_by_key(act.session, act.keyring)
    older = sum(counts.values()) - counts[newest]
    return Figure(
        name="keys.on_older_sealing_keys",
        label=gettext("Sealed things that stand on an older sealing key"),
        value=masked_count(older),
        at=act.now,
        means=translate(
            "After a change of keys this has to come to 0 before an older key is taken out. In front stands "
            "%(key)s. Small numbers are told as <11.",
            key=newest,
        ),
        source=gettext("The key ids of every sealed row, counted when this report was made."),
        state=FigureState.OPEN if older else FigureState.GOOD,
    )


def _last_rotation(act: Act) -> Figure:
    event = audit.last_authentic_event(act.session, Action.KEYS_ROTATED, keyring=act.keyring)
    return Figure(
        name="keys.last_change",
        label=gettext("Last change of the sealing key"),
        value=event.at if event else None,
        at=event.at if event else audit.oldest_event_at(act.session),
        means=gettext(
            "Everything was wrapped anew under a newer key. How often is for the clinic to decide."
        ),
        source=gettext("The audit log."),
        detail="" if event else gettext("None is on record since the audit log began."),
    )


def audit_section(act: Act) -> Section:
    """The last verification of the audit log and the proof of consent, and the last anchor."""
    began = audit.oldest_event_at(act.session)
    figures = [
        _last_verification(integrity.last_verified(act)),
        _last_anchor(act.instance),
        Figure(
            name="audit.began",
            label=gettext("The audit log reaches back to"),
            value=began,
            at=began,
            means=gettext("Acts are on record from here on. Nothing can be told of the time before."),
            source=gettext("The oldest event of the log."),
            state=FigureState.INFORMATION if began else FigureState.NOT_KNOWN,
        ),
    ]
    return Section("audit", gettext("The audit log and the proof of consent"), figures)


def _last_verification(last: integrity.VerificationRecord | None) -> Figure:
    return Figure(
        name="audit.verified",
        label=gettext("Did everything hold when it was last verified?"),
        value=last.intact if last else None,
        at=last.at if last else None,
        means=gettext(
            "Every event has its own seal and a place in one chain. Verifying finds what was changed, "
            "removed, put in or moved by somebody without the key, also in the consent events."
        ),
        source=gettext(
            "The relay verifies once a day, and whoever may read the log at any time. How it ended stands in "
            "the log."
        ),
        state=FigureState.NOT_KNOWN if not last else FigureState.GOOD if last.intact else FigureState.OPEN,
        detail=translate("%(count)s events were looked at.", count=last.events)
        if last
        else gettext("No verification is on record."),
        check=integrity.VERIFICATION,
    )  # fmt: skip


def _last_anchor(instance: Instance) -> Figure:
    last = chain.last_anchor(instance.settings.anchor_path)
    at = last.at if last and last.authentic(instance.keyring) else None
    return Figure(
        name="audit.anchored",
        label=gettext("End of the chain last kept outside the database"),
        value=at,
        at=at,
        means=gettext(
            "Such an anchor shows when the newest part of the log was cut off or put back to an older copy."
        ),
        source=gettext("The newest line of the file for anchors, with its seal checked."),
        state=FigureState.INFORMATION if at else FigureState.NOT_KNOWN,
        detail="" if at else gettext("No anchor with a good seal was found."),
        check="anchors",
    )  # fmt: skip


def statements_section(act: Act) -> Section:
    """Every statement in force, by version and by the digest of its text."""
    found = statement_versions.statement_histories(
        act.session, statements=act.statements, languages=LANGUAGES
    )
    return Section("statements", gettext("What people agree to"), [_statement(each) for each in found])


def _statement(history: StatementHistory) -> Figure:
    current = history.versions[0]
    return Figure(
        name="statements.in_force",
        item=f"{current.kind} {current.language} v{current.version}",
        label=translate(
            "%(kind)s, %(spoken)s, version %(version)s",
            kind=gettext(current.kind.sentence),
            spoken=language_name(current.language),
            version=current.version,
        ),
        value=f"sha256:{current.digest}",
        at=current.since,
        means=gettext(
            "The digest is of the very words people see. The date is that of the first answer to them."
        ),
        source=gettext("The statements in the configuration folder, and the consent events."),
        detail="" if current.since else gettext("Nobody has answered it yet."),
    )


def pages_section(policies: Mapping[str, str], now: datetime) -> Section:
    """For each kind of page, the other origins that its Content-Security-Policy allows."""
    figures = [_policy(name, policy, now) for name, policy in policies.items()]
    return Section("pages", gettext("What the pages may load"), figures)


def _policy(name: str, policy: str, now: datetime) -> Figure:
    foreign = foreign_origins(policy)
    return Figure(
        name="pages.foreign_origins",
        item=name,
        label=translate("%(pages)s: other origins", pages=gettext(PAGES[name])),
        value=len(foreign),
        at=now,
        means=gettext(
            "With none, no analytics, font or picture of anybody else learns that a page was opened."
        ),
        source=translate(
            "The Content-Security-Policy of this version, which every answer carries: %(policy)s",
            policy=policy,
        ),
        state=FigureState.OPEN if foreign else FigureState.GOOD,
        detail=", ".join(foreign) or gettext("None."),
    )  # fmt: skip


def foreign_origins(policy: str) -> list[str]:
    """Sources in a Content-Security-Policy other than 'none', 'self' and data:, sorted."""
    sources = [source for directive in policy.split(";") for source in directive.split()[1:]]
    return sorted({source for source in sources if source not in OURS})
