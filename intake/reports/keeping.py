"""Whether what has to go goes, and whether what has to stay could be brought back."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from intake import backup
from intake.backup import BackupAct
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.outbox.models import RoundLease
from intake.privacy import preview, retention
from intake.reports.compliance_model import Figure, Section, Standing
from intake.reports.masking import SMALL, is_small

GRACE = timedelta(hours=3)
"""The purge runs every hour, and waits for one more after a start or a leap of the clock."""
LEDGER = "mirror_ledger"


def masked(count: int) -> str:
    """A count of requests as it may leave the building: 1 to 10 is `<11` (SX-02)."""
    return SMALL if is_small(count) else str(count)


def erasing(session: Session, instance: Instance) -> Section:
    """The last purge, what it should have erased and has not, and the copy of the ledger."""
    now = instance.clock()
    late = preview.preview(session, until=now - GRACE)
    figures = [
        _purged(session.get(RoundLease, retention.ROUND), now),
        _overdue(late.count, now),
        _held(late.kept, now),
        _ledger(session.get(RoundLease, LEDGER)),
    ]
    return Section("erasing", gettext("Erasing what has been kept long enough"), figures)


def _purged(round_: RoundLease | None, now: datetime) -> Figure:
    ended = round_.succeeded_at if round_ else None
    standing = Standing.NOT_KNOWN if not ended else Standing.GOOD if now - ended <= GRACE else Standing.OPEN
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
        value=masked(count),
        at=now,
        means=translate("Their time was over more than %(hours)s hours ago, and no legal hold keeps them. "
                        "Small numbers are told as <11.", hours=GRACE // timedelta(hours=1)),
        source=gettext("The last day of each request, counted when this report was made."),
        standing=Standing.OPEN if count else Standing.GOOD,
    )  # fmt: skip


def _held(count: int, now: datetime) -> Figure:
    return Figure(
        name="erasing.held",
        label=gettext("Requests that a legal hold keeps beyond their time"),
        value=masked(count),
        at=now,
        means=gettext(
            "A privacy officer put each hold, with a reason and a last day. Small numbers are told as <11."
        ),
        source=gettext("The table of legal holds."),
    )


def _ledger(round_: RoundLease | None) -> Figure:
    ended = round_.succeeded_at if round_ else None
    return Figure(
        name="erasing.ledger_copied",
        label=gettext("Ledger of erasures last copied outside the database"),
        value=ended,
        at=ended,
        means=gettext("The copy says what a restored backup has to forget again."),
        source=gettext("What the relay noted when the round ended."),
        standing=Standing.TOLD if ended else Standing.NOT_KNOWN,
        detail="" if ended else gettext("No copy is on record."),
    )


def backups(session: Session) -> Section:
    """The last backup, and the last one that was tried out."""
    taken, tested = (backup.last(session, act) for act in (BackupAct.TAKEN, BackupAct.TESTED))
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
    good = Standing.GOOD if ended else Standing.NOT_KNOWN
    said = gettext("The last try failed.") if failed else "" if ended else gettext("None is on record.")
    return Figure(
        name=name,
        label=label,
        value=ended,
        at=ended,
        means=means,
        source=gettext("What was noted when it ended. What other programs save is not known here."),
        standing=Standing.OPEN if failed else good,
        detail=said,
        check=check,
    )
