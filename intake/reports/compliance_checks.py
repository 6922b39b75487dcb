"""Whether what has to go goes, and whether what has to stay could be brought back."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from intake import audit, backup
from intake.audit import Action, chain
from intake.backup import BackupAct
from intake.conf.settings import PREFIX
from intake.consent.models import Kind
from intake.core.i18n import LANGUAGES, N_, gettext, translate
from intake.instance import Instance
from intake.leads import key_rotation
from intake.monitoring import checks, integrity
from intake.monitoring.checks import KeyAge
from intake.outbox.models import JobLease
from intake.privacy import retention, statement_versions
from intake.privacy.statement_versions import History
from intake.reports.compliance_model import Figure, FigureState, Section
from intake.reports.statistics import SMALL, is_small

GRACE = timedelta(hours=3)
"""The purge runs every hour, and waits for one more after a start or a leap of the clock."""
LEDGER = "mirror_ledger"


def masked_count(count: int) -> str:
    """A count of requests as it may leave the building: 1 to 10 is `<11` (SX-02)."""
    return SMALL if is_small(count) else str(count)


def erasure_section(session: Session, instance: Instance) -> Section:
    """The last purge, what it should have erased and has not, and the copy of the ledger."""
    now = instance.clock()
    late = retention.preview(session, until=now - GRACE)
    figures = [
        _purged(session.get(JobLease, retention.ROUND), now),
        _overdue(late.count, now),
        _held(late.kept, now),
        _ledger(session.get(JobLease, LEDGER)),
    ]
    return Section("erasing", gettext("Erasing what has been kept long enough"), figures)


def _purged(round_: JobLease | None, now: datetime) -> Figure:
    ended = round_.succeeded_at if round_ else None
    standing = (
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
        source=gettext("What the relay noted when the round ended."),
        standing=standing,
        detail="" if ended else gettext("No purge is on record."),
    )


def _overdue(count: int, now: datetime) -> Figure:
    return Figure(
        name="erasing.overdue",
        label=gettext("Requests that should have been erased and are still there"),
        value=masked_count(count),
        at=now,
        means=translate("Their time was over more than %(hours)s hours ago, and no legal hold keeps them. "
                        "Small numbers are told as <11.", hours=GRACE // timedelta(hours=1)),
        source=gettext("The last day of each request, counted when this report was made."),
        standing=FigureState.OPEN if count else FigureState.GOOD,
    )  # fmt: skip


def _held(count: int, now: datetime) -> Figure:
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


def _ledger(round_: JobLease | None) -> Figure:
    ended = round_.succeeded_at if round_ else None
    return Figure(
        name="erasing.ledger_copied",
        label=gettext("Ledger of erasures last copied outside the database"),
        value=ended,
        at=ended,
        means=gettext("The copy says what a restored backup has to forget again."),
        source=gettext("What the relay noted when the round ended."),
        standing=FigureState.TOLD if ended else FigureState.NOT_KNOWN,
        detail="" if ended else gettext("No copy is on record."),
    )


def backup_section(session: Session) -> Section:
    """The last backup, and the last one that was tried out."""
    taken, tested = (backup.last_result(session, act) for act in (BackupAct.TAKEN, BackupAct.TESTED))
    figures = [
        _done(
            taken,
            name="backups.last_taken",
            label=gettext("Last backup that was taken"),
            means=gettext("One encrypted file that holds everything but sessions. Keys are not in it."),
            check="backup",
        ),
        _done(
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


def _done(row: backup.BackupRecord | None, *, name: str, label: str, means: str, check: str) -> Figure:
    ended = row.succeeded_at if row else None
    failed = bool(row and row.last_error)
    good = FigureState.GOOD if ended else FigureState.NOT_KNOWN
    said = gettext("The last try failed.") if failed else "" if ended else gettext("None is on record.")
    return Figure(
        name=name,
        label=label,
        value=ended,
        at=ended,
        means=means,
        source=gettext("What was noted when it ended. What other programs save is not known here."),
        standing=FigureState.OPEN if failed else good,
        detail=said,
        check=check,
    )


# --- Since when each key is in use, and whether anything still stands on an older one.

LISTS = ("sealing_keys", "app_keys")
"""The settings that hold several keys, the newest in front."""


def keys_section(session: Session, instance: Instance) -> Section:
    """The age of every key as far as it is known; never a key."""
    ages = [_age(each) for each in checks.key_ages(session, instance)]
    backup = [] if instance.settings.backup_key else [_no_backup_key(instance.clock())]
    figures = [*ages, *backup, _pending(session, instance), _rotated(session, instance)]
    return Section("keys", gettext("Keys"), figures)


def _age(age: KeyAge) -> Figure:
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
        standing=FigureState.TOLD if age.since else FigureState.NOT_KNOWN,
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


def _pending(session: Session, instance: Instance) -> Figure:
    newest, *_ = instance.keyring.sealing_ids
    counts = key_rotation.rows_by_key(session, instance.keyring)
    older = sum(counts.values()) - counts[newest]
    return Figure(
        name="keys.on_older_sealing_keys",
        label=gettext("Sealed things that stand on an older sealing key"),
        value=masked_count(older),
        at=instance.clock(),
        means=translate(
            "After a change of keys this has to come to 0 before an older key is taken out. In front stands "
            "%(key)s. Small numbers are told as <11.",
            key=newest,
        ),
        source=gettext("The key ids of every sealed row, counted when this report was made."),
        standing=FigureState.OPEN if older else FigureState.GOOD,
    )


def _rotated(session: Session, instance: Instance) -> Figure:
    event = audit.last(session, Action.KEYS_ROTATED, keyring=instance.keyring)
    return Figure(
        name="keys.last_change",
        label=gettext("Last change of the sealing key"),
        value=event.at if event else None,
        at=event.at if event else audit.began(session),
        means=gettext(
            "Everything was wrapped anew under a newer key. How often is for the clinic to decide."
        ),
        source=gettext("The audit log."),
        detail="" if event else gettext("None is on record since the audit log began."),
    )


# --- What stands outside anybody's word: the log's own proof, the statements, and what pages may load.

OURS = ("'none'", "'self'", "data:")
"""What a policy may name and still load nothing from anywhere else."""
PAGES = {"public": N_("The pages for people who ask"), "staff": N_("The pages for staff")}
SPOKEN = {"en": N_("English"), "es": N_("Spanish")}


def audit_section(session: Session, instance: Instance) -> Section:
    """Whether the log and the proof of consent held when they were last verified."""
    began = audit.began(session)
    figures = [
        _verified(integrity.last_verified(session, instance)),
        _anchored(instance),
        Figure(
            name="audit.began",
            label=gettext("The audit log reaches back to"),
            value=began,
            at=began,
            means=gettext("Acts are on record from here on. Nothing can be told of the time before."),
            source=gettext("The oldest event of the log."),
            standing=FigureState.TOLD if began else FigureState.NOT_KNOWN,
        ),
    ]
    return Section("audit", gettext("The audit log and the proof of consent"), figures)


def _verified(last: integrity.Verified | None) -> Figure:
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
        standing=FigureState.NOT_KNOWN if not last else FigureState.GOOD if last.intact else FigureState.OPEN,
        detail=translate("%(count)s events were looked at.", count=last.events)
        if last
        else gettext("No verification is on record."),
        check=integrity.VERIFICATION,
    )  # fmt: skip


def _anchored(instance: Instance) -> Figure:
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
        standing=FigureState.TOLD if at else FigureState.NOT_KNOWN,
        detail="" if at else gettext("No anchor with a good seal was found."),
        check="anchors",
    )  # fmt: skip


def statements_section(session: Session, instance: Instance) -> Section:
    """Every statement in force, by version and by the digest of its words."""
    found = statement_versions.histories(session, statements=instance.statements, languages=LANGUAGES)
    return Section("statements", gettext("What people agree to"), [_statement(each) for each in found])


def _statement(history: History) -> Figure:
    now = history.wordings[0]
    return Figure(
        name="statements.in_force",
        item=f"{now.kind} {now.language} v{now.version}",
        label=translate(
            "%(kind)s, %(spoken)s, version %(version)s",
            kind=_kind(now.kind),
            spoken=gettext(SPOKEN[now.language]),
            version=now.version,
        ),
        value=f"sha256:{now.digest}",
        at=now.since,
        means=gettext(
            "The digest is of the very words people see. The date is that of the first answer to them."
        ),
        source=gettext("The statements in the configuration folder, and the consent events."),
        detail="" if now.since else gettext("Nobody has answered it yet."),
    )


def _kind(kind: Kind) -> str:
    return gettext(kind.sentence)


def pages_section(policies: Mapping[str, str], now: datetime) -> Section:
    """From which other origins the pages may load anything."""
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
        standing=FigureState.OPEN if foreign else FigureState.GOOD,
        detail=", ".join(foreign) or gettext("None."),
    )  # fmt: skip


def foreign_origins(policy: str) -> list[str]:
    """What a Content-Security-Policy names that is neither nothing, nor ourselves, nor words in the page."""
    named = [source for directive in policy.split(";") for source in directive.split()[1:]]
    return sorted({source for source in named if source not in OURS})
