"""The queue: order, cost of a page, and what it never shows (G2, K3)."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.audit.service import PageStart
from intake.calling.hours import Window
from intake.casework import outcomes, queue, search
from intake.casework.lead_detail import lead_view
from intake.casework.queue import ClaimedBy, Group, Page, QueueFilters, Show
from intake.casework.search import TermKind, read_term
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.core.errors import NotAllowed, NotFound, Unprocessable
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus, Outcome, Suspicion
from tests.factories import ANY, EMAIL, NAME, PHONE, acting, acts, ask, details_of, hire, note, now, take

OTHER = {"phone": "+13055550188", "email": "somebody.else@example.org"}


def look(instance: Instance, member: Member, after: PageStart | None = None, **filters: object) -> Page:
    with instance.database.reading() as session:
        page = queue.page(StaffAct(session, instance, member), filters=QueueFilters(**filters), after=after)
    with instance.database.transaction() as session:
        queue.record_queue_read(StaffAct(session, instance, member), page)
    return page


def ids(page: Page) -> list[object]:
    return [row.lead.id for row in page.rows]


def test_broken_promises_come_first_then_who_may_be_called_then_who_opens_later(
    instance: Instance, clock
) -> None:
    ana = hire(instance)
    late = ask(instance, **ANY).lead
    clock.move(minutes=130)
    soon = ask(instance, **ANY).lead
    later = ask(instance, windows=frozenset({Window.SATURDAY_MORNING})).lead
    page = look(instance, ana)
    assert [row.lead.id for row in page.groups[Group.BROKEN]] == [late.id]
    assert [row.lead.id for row in page.groups[Group.NOW]] == [soon.id]
    assert [row.lead.id for row in page.groups[Group.LATER]] == [later.id]
    assert page.groups[Group.LATER][0].verdict.opens_at == datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def test_the_first_try_keeps_the_promise(instance: Instance, clock) -> None:
    lead, ana = ask(instance, **ANY).lead, hire(instance)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    clock.move(hours=4)
    (row,) = look(instance, ana).rows
    assert row.group is not Group.BROKEN
    assert row.contact_status.tried(Channel.CALL) == 1


def test_a_row_is_masked_and_says_what_is_allowed(instance: Instance) -> None:
    lead, ana = ask(instance, suspected=Suspicion.TOO_FAST).lead, hire(instance)
    take(instance, lead, ana)
    (row,) = look(instance, ana).rows
    assert (row.masked.initial, row.masked.name) == ("Z", "Z•••••")
    assert row.contact_status.channels == (Channel.CALL, Channel.EMAIL)
    assert row.contact_status.voicemail is False
    assert (row.channel, row.verdict.allowed) == (Channel.CALL, True)
    assert row.holder == "Ana Ruiz"
    assert row.lead.suspected is Suspicion.TOO_FAST


def test_own_claims_are_marked(instance: Instance, clock) -> None:
    mine, theirs, ana = ask(instance).lead, ask(instance, **OTHER).lead, hire(instance)
    take(instance, mine, ana)
    take(instance, theirs, hire(instance, "Ben Ochoa"))
    assert [row.lead.id for row in look(instance, ana).mine] == [mine.id]
    clock.move(minutes=20)
    assert look(instance, ana).mine == []
    assert {row.holder for row in look(instance, ana).rows} == {None}


def test_a_row_uses_the_channel_that_opens_first(instance: Instance, clock) -> None:
    ask(instance, **ANY)
    ana = hire(instance)
    clock.set(datetime(2026, 11, 18, 22, 30, tzinfo=UTC))
    (row,) = look(instance, ana).rows
    assert (row.channel, row.verdict.allowed) == (Channel.CALL, True)
    take(instance, row.lead, ana)
    note(instance, row.lead, ana, Outcome.NO_ANSWER)
    (row,) = look(instance, ana).rows
    assert (row.channel, row.verdict.allowed) == (Channel.EMAIL, True)


def test_booked_and_closed_leads_stand_apart_and_can_be_reached(instance: Instance, clock) -> None:
    ana = hire(instance)
    booked, closed, earlier = ask(instance).lead, ask(instance).lead, ask(instance).lead
    take(instance, booked, ana)
    note(instance, booked, ana, Outcome.BOOKED, booked_for=clock() + timedelta(days=1))
    for lead in (earlier, closed):
        clock.move(minutes=1)
        acting(instance, lead, ana, outcomes.close, reason=CloseReason.TALKED, version=1)
    assert look(instance, ana).rows == []
    assert ids(look(instance, ana, show=Show.BOOKED)) == [booked.id]
    assert ids(look(instance, ana, show=Show.CLOSED)) == [closed.id, earlier.id]
    assert look(instance, ana, show=Show.CLOSED).rows[0].group is Group.CLOSED


def test_a_page_can_be_narrowed(instance: Instance) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    spanish = ask(instance, language="es").lead
    text = ask(instance, channels=frozenset({Channel.TEXT}), email=None).lead
    take(instance, spanish, ana)
    assert ids(look(instance, ana, language="es")) == [spanish.id]
    assert ids(look(instance, ana, channel=Channel.TEXT)) == [text.id]
    assert ids(look(instance, ana, channel=Channel.EMAIL)) == [spanish.id]
    assert ids(look(instance, ana, claimed=ClaimedBy.ME)) == [spanish.id]
    assert ids(look(instance, ben, claimed=ClaimedBy.ME)) == []
    assert ids(look(instance, ana, claimed=ClaimedBy.NOBODY)) == [text.id]
    assert look(instance, ana, language="es").total == 1


def test_a_channel_that_was_taken_back_is_not_found_by_it(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    with instance.database.transaction() as session:
        consent.withdraw(
            session,
            lead_id=lead.id,
            kinds=[Kind.EMAIL],
            method=Method.STAFF,
            actor=ana.actor,
            at=instance.clock(),
            keyring=instance.keyring,
        )
    assert ids(look(instance, ana, channel=Channel.EMAIL)) == []
    assert ids(look(instance, ana, channel=Channel.CALL)) == [lead.id]


@pytest.mark.parametrize("show", [Show.OPEN, Show.CLOSED])
def test_pages_follow_each_other_without_gap_or_repeat(
    instance: Instance, show: Show, monkeypatch, clock
) -> None:
    monkeypatch.setattr(queue, "PAGE_SIZE", 2)
    ana = hire(instance)
    leads = []
    for place in range(5):
        leads.append(ask(instance, **ANY).lead.id)
        clock.move(seconds=40 * (place % 2))  # some share their promise
    if show is Show.CLOSED:
        for lead_id in leads:
            acting(instance, Lead(id=lead_id), ana, outcomes.close, reason=CloseReason.TALKED, version=1)
    seen, after, pages = [], None, 0
    while pages == 0 or after:
        page = look(instance, ana, after=after, show=show)
        assert page.total == 5
        seen += ids(page)
        after, pages = page.after, pages + 1
    assert sorted(seen) == sorted(leads)
    assert pages == 3


def test_a_page_costs_the_same_however_many_leads_stand_on_it(instance: Instance, statements) -> None:
    ana = hire(instance)
    costs = []
    for many in (1, 12):
        for _ in range(many):
            take(instance, ask(instance).lead, ana)
        with statements(instance) as sent:
            look(instance, ana)
        costs.append(len(sent))
    assert costs[0] == costs[1] <= 10


def test_a_page_is_recorded_once_as_a_count(instance: Instance) -> None:
    ana = hire(instance)
    for _ in range(3):
        ask(instance)
    look(instance, ana)
    assert details_of(instance, "leads.listed") == ['{"count":3}']


def test_an_admin_alone_sees_no_queue(instance: Instance) -> None:
    admin = hire(instance, "Ada Min", Role.ADMIN)
    with pytest.raises(NotAllowed):
        look(instance, admin)


def test_unknown_and_not_yours_are_one_answer(instance: Instance) -> None:
    lead, admin = ask(instance).lead, hire(instance, "Ada Min", Role.ADMIN)
    with instance.database.reading() as session:
        with pytest.raises(NotFound) as hidden:
            queue.one(StaffAct(session, instance, admin), lead.id)
        with pytest.raises(NotFound) as unknown:
            queue.one(StaffAct(session, instance, hire(instance)), admin.id)
    assert hidden.value.sentence == unknown.value.sentence


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"show": "everything", "language": "tlh", "channel": "pigeon", "held": "Ana"},
        {"show": "", "language": "", "channel": "", "held": ""},
        {"show": "OPEN\x00", "language": "en'--", "channel": "call ", "held": "me,nobody"},
    ],
)
def test_words_that_name_no_filter_filter_nothing(words: dict[str, str]) -> None:
    assert QueueFilters.read(words) == QueueFilters()
    assert QueueFilters.read(words).query == {}


def test_filters_survive_their_address() -> None:
    words = {"show": "closed", "language": "es", "channel": "text", "held": "me"}
    assert QueueFilters.read(words).query == words


@pytest.mark.parametrize("words", ["", "~", "2026-11-18~", "2026-11-18T10:00:00~x", "x" * 5000, "\x00~\x00"])
def test_an_address_that_names_no_spot_begins_at_the_start(words: str) -> None:
    assert PageStart.read(words) is None


def seek(instance: Instance, member: Member, term: str) -> search.SearchResult:
    with instance.database.transaction() as session:
        return search.find(StaffAct(session, instance, member), term=term)


@pytest.mark.parametrize(
    "term", [PHONE, "(305) 555-0123", "305.555.0123", " 1 305 555 0123 ", "+1 (305) 555 0123", EMAIL.upper()]
)
def test_it_finds_by_number_and_address_however_typed(sqlite_instance: Instance, term: str) -> None:
    lead, ana = ask(sqlite_instance).lead, hire(sqlite_instance)
    found = seek(sqlite_instance, ana, term)
    assert [row.lead.id for row in found.rows] == [lead.id]


def test_it_finds_by_reference_however_typed(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    ask(instance)
    written = f"{lead.reference[:4].lower()} - {lead.reference[4:].replace('0', 'o').replace('1', 'l')}"
    found = seek(instance, ana, written)
    assert (found.kind, [row.lead.id for row in found.rows]) == (TermKind.REFERENCE, [lead.id])


def test_it_finds_closed_leads_too_newest_first(instance: Instance, clock) -> None:
    ana, first = hire(instance), ask(instance).lead
    clock.move(minutes=1)
    second = ask(instance).lead
    acting(instance, first, ana, outcomes.close, reason=CloseReason.TALKED, version=1)
    assert [row.lead.id for row in seek(instance, ana, PHONE).rows] == [second.id, first.id]
    assert now(instance, first).status is LeadStatus.CLOSED


@pytest.mark.parametrize(
    "term", [NAME, "", "305 555", "0123", "%", "Zaraïda", "@example.org", "2M9D", "x" * 9999]
)
def test_it_finds_nothing_by_a_name_or_a_part(sqlite_instance: Instance, term: str) -> None:
    ask(sqlite_instance)
    with pytest.raises(Unprocessable) as refused:
        seek(sqlite_instance, hire(sqlite_instance), term)
    assert list(refused.value.problems) == ["term"]
    assert "leads.searched" not in acts(sqlite_instance)


def test_a_search_is_recorded_by_kind_and_hit_never_by_term(instance: Instance) -> None:
    ana = hire(instance)
    ask(instance)
    seek(instance, ana, PHONE)
    seek(instance, ana, "305 555 0199")
    recorded = [json.loads(each) for each in details_of(instance, "leads.searched")]
    assert sorted(recorded, key=str) == [{"hit": False, "kind": "phone"}, {"hit": True, "kind": "phone"}]


def test_a_term_does_not_show_in_its_repr() -> None:
    assert PHONE not in repr(read_term(PHONE))


def test_a_privacy_officer_finds_but_an_admin_does_not(instance: Instance) -> None:
    lead = ask(instance).lead
    officer = hire(instance, "Pia Ott", Role.PRIVACY_OFFICER)
    assert [row.lead.id for row in seek(instance, officer, lead.reference).rows] == [lead.id]
    with pytest.raises(NotAllowed):
        seek(instance, hire(instance, "Ada Min", Role.ADMIN), lead.reference)


def test_the_page_of_a_lead_costs_the_same_however_much_has_happened(instance: Instance, statements) -> None:
    lead, ana = ask(instance, **ANY).lead, hire(instance)
    costs = []
    for _ in range(2):
        take(instance, lead, ana)
        note(instance, lead, ana, Outcome.ANOTHER_TIME)
        ask(instance, **ANY)
        with instance.database.transaction() as session, statements(instance) as sent:
            lead_view(StaffAct(session, instance, ana), lead.id)
        costs.append(len(sent))
    assert costs[0] == costs[1] <= 14
