"""A submission is stored completely, once, and sealed (P1, C1, K1, N1)."""

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from intake import audit
from intake.act import Act
from intake.audit import Action, AuditEvent
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.core.errors import Unprocessable
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadKey, LeadStatus, Submission, Suspicion
from intake.leads.submission import AlreadySent, Erased, RequestEnded, submit
from intake.outbox.models import OutboxMessage
from tests.factories import EMAIL, NAME, PHONE, ask, request_for

TABLES = (Lead, LeadKey, Submission, ConsentEvent, OutboxMessage, AuditEvent)


def counted(instance: Instance) -> dict[str, int]:
    with instance.database.reading() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in TABLES
        }


def test_lead_consent_notice_and_audit_stand_together(instance: Instance) -> None:
    lead = ask(instance).lead
    assert counted(instance) == {
        "lead": 1, "lead_key": 1, "submission": 1, "consent_event": 6, "outbox_message": 1, "audit_event": 1,
    }  # fmt: skip
    with instance.database.reading() as session:
        kept = session.query(AuditEvent).one()
        assert (kept.action, kept.about) == (Action.LEAD_SUBMITTED, lead.id)
        assert session.query(OutboxMessage).one().lead_id == lead.id
        assert consent.verify_proof(session, keyring=instance.keyring) == []
        assert audit.verify(session, keyring=instance.keyring).intact


def test_nothing_is_kept_when_the_act_fails(instance: Instance) -> None:
    with pytest.raises(ZeroDivisionError), instance.database.transaction() as session:
        submit(Act(session, instance), request_for(instance))
        raise ZeroDivisionError
    assert set(counted(instance).values()) == {0}


def test_every_answer_is_an_event_with_its_words(instance: Instance) -> None:
    lead = ask(instance, channels=frozenset({Channel.CALL}), voicemail=True, email=None).lead
    with instance.database.reading() as session:
        answers = {each.event.kind: each.event.state for each in consent.answers_of(session, lead.id)}
        words = {each.statement.body for each in consent.answers_of(session, lead.id)}
    assert answers == {
        Kind.USE: State.GIVEN,
        Kind.ADULT: State.GIVEN,
        Kind.CALL: State.GIVEN,
        Kind.VOICEMAIL: State.GIVEN,
        Kind.TEXT: State.REFUSED,
        Kind.EMAIL: State.REFUSED,
    }
    assert words <= {each.body for each in instance.statements.in_force("en").values()}


def test_the_promise_is_within_what_the_person_allowed(instance: Instance) -> None:
    """Wednesday at ten, mornings until noon, two hours to answer: at noon."""
    assert ask(instance).lead.promise_at == datetime(2026, 11, 18, 17, 0, tzinfo=UTC)


def test_times_that_nobody_can_keep_have_a_message_at_their_field(instance: Instance) -> None:
    with pytest.raises(Unprocessable) as refused:
        ask(instance, windows=frozenset({Window.SATURDAY_EVENING}))
    assert list(refused.value.problems) == ["windows"]
    assert set(counted(instance).values()) == {0}


def test_the_same_page_sent_again_finds_the_same_request(instance: Instance) -> None:
    request = request_for(instance)
    with instance.database.transaction() as session:
        first = submit(Act(session, instance), request)
    instance.clock.move(minutes=5)
    with instance.database.transaction() as session:
        again = submit(Act(session, instance), replace(request, suspected=Suspicion.TOO_FAST))
    assert (again.lead.id, again.code, again.repeated) == (first.lead.id, first.code, True)
    assert counted(instance)["lead"] == 1
    assert counted(instance)["outbox_message"] == 1


def test_twenty_clicks_at_once_make_one_request(instance: Instance) -> None:
    request, found, barrier = request_for(instance), [], threading.Barrier(20)

    def click() -> None:
        barrier.wait()
        with instance.database.transaction() as session:
            submitted = submit(Act(session, instance), request)
            found.append((submitted.lead.reference, submitted.code))

    threads = [threading.Thread(target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1
    assert counted(instance)["lead"] == counted(instance)["audit_event"] == 1


def test_other_answers_under_a_used_token_are_a_correction(instance: Instance) -> None:
    request = request_for(instance)
    with instance.database.transaction() as session:
        first = submit(Act(session, instance), request)
    with pytest.raises(AlreadySent) as refused, instance.database.transaction() as session:
        submit(Act(session, instance), replace(request, phone="+13055550199"))
    corrected = request_for(instance, phone="+13055550199")
    corrected = replace(corrected, token=replace(corrected.token, follows=refused.value.follows))
    with instance.database.transaction() as session:
        second = submit(Act(session, instance), corrected)
    with instance.database.reading() as session:
        old, new = session.get(Lead, first.lead.id), session.get(Lead, second.lead.id)
        assert (old.status, old.close_reason) == (LeadStatus.CLOSED, CloseReason.SUPERSEDED)
        assert (new.status, new.follows) == (LeadStatus.NEW, old.id)


def test_a_correction_does_not_replace_what_somebody_is_calling(instance: Instance) -> None:
    first = ask(instance)
    with instance.database.transaction() as session:
        session.get(Lead, first.lead.id).status = LeadStatus.TRYING
        follows = session.query(Submission).one().token_hash.hex()
    corrected = request_for(instance, phone="+13055550199")
    with instance.database.transaction() as session:
        submit(Act(session, instance), replace(corrected, token=replace(corrected.token, follows=follows)))
    with instance.database.reading() as session:
        assert session.get(Lead, first.lead.id).status is LeadStatus.TRYING


def test_going_back_and_correcting_again_leaves_one_request_open(instance: Instance) -> None:
    first = request_for(instance)
    with instance.database.transaction() as session:
        submit(Act(session, instance), first)
        follows = session.query(Submission).one().token_hash.hex()
    for phone in ("+13055550141", "+13055550142", "+13055550143"):
        corrected = request_for(instance, phone=phone)
        corrected = replace(corrected, token=replace(corrected.token, follows=follows))
        with instance.database.transaction() as session:
            last = submit(Act(session, instance), corrected).lead
    with instance.database.reading() as session:
        assert session.scalars(select(Lead.id).where(Lead.status == LeadStatus.NEW)).all() == [last.id]


@pytest.mark.parametrize("reason", [CloseReason.STOPPED, CloseReason.SUPERSEDED, CloseReason.TALKED])
def test_a_page_whose_request_has_ended_promises_nothing(instance: Instance, reason: CloseReason) -> None:
    request = request_for(instance)
    with instance.database.transaction() as session:
        lead = submit(Act(session, instance), request).lead
        lead.status, lead.close_reason, lead.closed_at = LeadStatus.CLOSED, reason, instance.clock()
    with pytest.raises(RequestEnded), instance.database.transaction() as session:
        submit(Act(session, instance), request)


def test_an_erased_request_does_not_come_back_by_a_reload(instance: Instance) -> None:
    request = request_for(instance)
    with instance.database.transaction() as session:
        lead = submit(Act(session, instance), request).lead
    with instance.database.transaction() as session:
        session.delete(session.get(Lead, lead.id))
    with pytest.raises(Erased), instance.database.transaction() as session:
        submit(Act(session, instance), request)
    assert counted(instance)["lead"] == 0


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE lead SET use_event_id = :other",
        "UPDATE lead SET use_kind = 'call'",
        "UPDATE lead SET use_state = 'refused'",
        "UPDATE lead SET use_event_id = (SELECT id FROM consent_event WHERE kind = 'call')",
    ],
)
def test_the_database_refuses_a_lead_without_its_consent(instance: Instance, broken: str) -> None:
    ask(instance)
    other = {"other": str(uuid.uuid4())} if ":other" in broken else {}
    if not instance.database.sqlite:
        broken = broken.replace(":other", "CAST(:other AS uuid)")
    with pytest.raises(IntegrityError), instance.database.transaction() as session:
        session.execute(text(broken), other)


def test_the_database_refuses_somebody_elses_consent(instance: Instance) -> None:
    ask(instance)
    other = ask(instance, phone="+13055550177").lead
    with pytest.raises(IntegrityError), instance.database.transaction() as session:
        stolen = select(Lead.use_event_id).where(Lead.id == other.id).scalar_subquery()
        session.query(Lead).filter(Lead.id != other.id).update({"use_event_id": stolen})


def test_a_copy_of_the_database_shows_no_contact(make_instance, sqlite_url: str) -> None:
    instance = make_instance(sqlite_url)
    ask(instance, tell_article=True, article="Is Ketamine Addictive When Used for Depression?")
    instance.database.close()
    raw = (instance.settings.data_dir / "intake.sqlite3").read_bytes()
    canaries = [NAME, PHONE, PHONE[2:], "555-0123", EMAIL, EMAIL.split("@")[0], "When Used for Depression"]
    for canary in canaries:
        assert canary.encode() not in raw
        assert canary.encode().hex().encode() not in raw


def test_the_article_is_kept_only_when_ticked(instance: Instance) -> None:
    assert ask(instance, article="Is Ketamine Addictive When Used for Depression?").lead.article is None
    assert ask(instance, phone="+13055550144", tell_article=True).lead.article is not None


def test_the_same_number_gives_the_same_look_up_and_no_same_bytes(instance: Instance) -> None:
    one, two = ask(instance).lead, ask(instance).lead
    assert one.phone_index == two.phone_index
    assert one.phone.box != two.phone.box
    assert len({one.reference, two.reference}) == 2


def test_what_is_kept_ends_by_itself(instance: Instance) -> None:
    lead = ask(instance).lead
    assert lead.purge_after == instance.clock() + timedelta(days=instance.clinic.retention.open_days)


def test_a_submission_takes_few_statements(instance: Instance) -> None:
    seen: list[str] = []
    ask(instance)
    event.listen(instance.database.engine, "before_cursor_execute", lambda *each: seen.append(each[2]))
    ask(instance)
    assert len(seen) <= 20, seen
