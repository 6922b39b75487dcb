"""The scheduling note: sealed, short, plain, never overwritten unseen, gone with the lead."""

import threading

import pytest
from sqlalchemy import text

from intake.accounts.models import Role
from intake.accounts.permissions import Member
from intake.act import Act
from intake.audit import Action
from intake.core.errors import NotAllowed, Unprocessable
from intake.instance import Instance
from intake.leads import notes
from intake.leads.claims import AlreadyClosed, ClaimedByAnother
from intake.leads.models import CloseReason, Lead
from intake.privacy import self_service
from tests.client import Desk, field, words
from tests.factories import acting, acts, ask, hire, now, take

WORDS = "Call after the school run, ask for Zsófia Quickfeather"


@pytest.fixture
def ana(instance: Instance) -> Member:
    return hire(instance)


def kept(instance: Instance, lead: Lead) -> str:
    with instance.database.reading() as session:
        return notes.open_note(Act(session, instance), session.get_one(Lead, lead.id))


def write(
    instance: Instance, lead: Lead, member: Member, typed: str = WORDS, seen: str | None = None
) -> None:
    mark = notes.note_mac(now(instance, lead), instance=instance) if seen is None else seen
    acting(
        instance,
        lead,
        member,
        lambda act, found: notes.save_note(act, found, typed, seen=mark),
    )


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (WORDS, WORDS),
        ("  two\r\nlines\tand  spaces ", "two lines and spaces"),
        ("x" * 280, "x" * 280),
        ("李小龍 🕊", "李小龍 🕊"),
    ],
)
def test_it_is_kept_on_one_line(instance, ana, typed, expected) -> None:
    lead = ask(instance).lead
    write(instance, lead, ana, typed)
    assert kept(instance, lead) == expected
    assert acts(instance, lead) == [Action.LEAD_NOTED, Action.LEAD_SUBMITTED]


@pytest.mark.parametrize(
    "typed", ["x" * 281, "a\x00b", "a\x1bb", "a\u202eb", "\ud800", "a\ufeffb", "x" * 100_000]
)
def test_what_is_no_plain_short_note_is_refused(instance, ana, typed) -> None:
    lead = ask(instance).lead
    with pytest.raises(Unprocessable):
        write(instance, lead, ana, typed)
    assert kept(instance, lead) == ""


def test_empty_removes_it_and_the_same_words_change_nothing(instance, ana) -> None:
    lead = ask(instance).lead
    for typed in (WORDS, WORDS, "", ""):
        write(instance, lead, ana, typed)
    assert now(instance, lead).note is None
    assert acts(instance, lead).count(Action.LEAD_NOTED) == 2


def test_a_note_that_changed_meanwhile_is_not_overwritten(instance, ana) -> None:
    lead = ask(instance).lead
    before = notes.note_mac(now(instance, lead), instance=instance)
    write(instance, lead, ana)
    with pytest.raises(notes.NoteChanged):
        write(instance, lead, hire(instance, "Ben"), "another", seen=before)
    assert kept(instance, lead) == WORDS


def test_of_two_at_once_one_is_refused(instance, ana) -> None:
    lead, refused = ask(instance).lead, []
    seen, ready = notes.note_mac(lead, instance=instance), threading.Barrier(2)

    def press(typed: str) -> None:
        ready.wait()
        try:
            write(instance, lead, ana, typed, seen=seen)
        except notes.NoteChanged:
            refused.append(typed)

    both = [threading.Thread(target=press, args=(typed,)) for typed in ("one", "two")]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert {kept(instance, lead), *refused} == {"one", "two"}


def test_who_may_not_log_may_not_write(instance) -> None:
    lead = ask(instance).lead
    with pytest.raises(NotAllowed):
        write(instance, lead, hire(instance, "Ola", Role.PRIVACY_OFFICER))


def test_a_held_or_closed_request_is_left_alone(instance, ana) -> None:
    lead, ben = ask(instance).lead, hire(instance, "Ben")
    take(instance, lead, ben)
    with pytest.raises(ClaimedByAnother):
        write(instance, lead, ana)
    with instance.database.transaction() as session:
        found = session.get_one(Lead, lead.id)
        found.status, found.close_reason, found.closed_at = "closed", CloseReason.TALKED, instance.clock()
    with pytest.raises(AlreadyClosed):
        write(instance, lead, ben)


def test_no_byte_of_it_is_in_the_database_and_none_of_the_box_after_an_erasure(
    make_instance, sqlite_url, tmp_path
) -> None:
    instance = make_instance(sqlite_url)
    asked, file = ask(instance), tmp_path / "intake.sqlite3"
    write(instance, asked.lead, hire(instance))
    box = now(instance, asked.lead).note.box
    assert box in file.read_bytes()
    assert b"school run" not in file.read_bytes()
    with instance.database.transaction() as session:
        self_service.erase(Act(session, instance), code=asked.code)
    assert box not in file.read_bytes()


def test_a_note_moved_to_another_request_does_not_open(instance, ana) -> None:
    mine, other = ask(instance).lead, ask(instance, phone="+13055550177").lead
    write(instance, mine, ana)
    with instance.database.transaction() as session:
        session.execute(text("UPDATE lead SET note = (SELECT note FROM lead WHERE note IS NOT NULL)"))
    assert kept(instance, other) == ""


# --- on the page ------------------------------------------------------------------------------------


def test_the_page_keeps_both_texts_when_they_clash(instance, ana) -> None:
    lead, desk = ask(instance).lead, Desk(instance, ana)
    page = desk.lead(lead)
    write(instance, lead, hire(instance, "Ben"), "his words")
    answer = desk.act(lead, "note", note="her <b>words</b>", mark=field(page, "mark"))
    assert answer.status_code == 409
    assert "his words" in words(answer.text)
    assert "her &lt;b&gt;words&lt;/b&gt;</textarea>" in answer.text
    again = desk.act(lead, "note", note="her <b>words</b>", mark=field(answer.text, "mark"))
    assert again.status_code == 303
    assert kept(instance, lead) == "her <b>words</b>"


@pytest.mark.parametrize(("typed", "status"), [("x" * 281, 422), ("a\x00b", 422), ("", 303)])
def test_a_note_that_is_refused_stays_in_the_box(instance, ana, typed, status) -> None:
    lead, desk = ask(instance).lead, Desk(instance, ana)
    answer = desk.act(lead, "note", note=typed, mark=field(desk.lead(lead), "mark"))
    assert answer.status_code == status
    assert status == 303 or typed.replace("\x00", "") in answer.text.replace("\x00", "")


def test_the_person_sees_it_and_the_privacy_officer_does_not(instance, ana) -> None:
    asked = ask(instance)
    write(instance, asked.lead, ana)
    desk = Desk(instance, ana)
    assert WORDS in desk.web.post("/manage", data={"code": asked.code}).text
    officer = Desk(instance, hire(instance, "Ola", Role.PRIVACY_OFFICER))
    assert "school run" not in officer.lead(asked.lead)
