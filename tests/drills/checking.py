"""What must be so in a database after anything at all: nothing lost, nothing twice, nothing half there."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, AuditEvent
from intake.conf.secrets import SECRETS
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.instance import load_keyring
from intake.leads.models import Erasure, Lead, LeadKey, LeadStatus, Submission
from intake.outbox import Mail, OutboxMessage
from intake.security.crypto import Keyring
from tests.cli.conftest import Service
from tests.conftest import settings_for


def references_in(service: Service) -> list[str]:
    """Every request there is."""
    with closing(service.open_database()) as database, database.reading() as session:
        return list(session.scalars(select(Lead.reference)))


def check(service: Service, references: Iterable[str], *, erased: int = 0) -> None:
    """Exactly these requests are there, each whole; so many others were erased."""
    written = {name: (service.folder / "keys" / name).read_text() for name in SECRETS}
    keyring = load_keyring(settings_for(service.folder, "sqlite://", **written))
    with closing(service.open_database()) as database, database.reading() as session:
        assert sorted(session.scalars(select(Lead.reference))) == sorted(references)
        check_whole(session, keyring, erased=erased)
        if database.sqlite:
            assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def check_whole(session: Session, keyring: Keyring, *, erased: int) -> None:
    """Each lead has its key, token, consent, notice and audit event, once; the proof of all holds."""
    ids = sorted(session.scalars(select(Lead.id)))
    gone = sorted(session.scalars(select(Erasure.lead_id)))
    assert len(gone) == erased
    assert sorted(session.scalars(select(LeadKey.lead_id))) == ids
    assert sorted(filter(None, session.scalars(select(Submission.lead_id)))) == ids
    assert session.scalar(select(func.count()).select_from(Submission)) == len(ids) + erased
    notices = select(OutboxMessage.lead_id).where(OutboxMessage.mail == Mail.NEW_LEAD)
    open_ones = session.scalars(select(Lead.id).where(Lead.status != LeadStatus.CLOSED)).all()
    assert _once(open_ones, session.scalars(notices).all())
    given = select(ConsentEvent.lead_id).where(
        ConsentEvent.kind == Kind.USE, ConsentEvent.state == State.GIVEN
    )
    submitted = select(AuditEvent.about).where(AuditEvent.action == Action.LEAD_SUBMITTED)
    for kept in (given, submitted):
        assert sorted(session.scalars(kept)) == sorted([*ids, *gone])
    noted = session.scalars(select(AuditEvent.about).where(AuditEvent.action == Action.LEAD_ERASED))
    assert sorted(noted) == gone
    assert consent.verify_proof(session, keyring=keyring) == []
    assert audit.verify(session, keyring=keyring).intact


def _once(ids: Sequence[object], found: Sequence[object]) -> bool:
    """Each of `ids` stands in `found` once; what has ended may have a notice or none."""
    counted = Counter(found)
    return all(counted[each] == 1 for each in ids) and max(counted.values(), default=1) == 1
