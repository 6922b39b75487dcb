"""The privacy officer's pages: who looked, the statements, the do-not-contact list, the log to take along."""

import re
import uuid
from dataclasses import replace

import pytest

from intake import audit
from intake.accounts.models import Role
from intake.act import Act
from intake.audit import export
from intake.conf.clinic import Channel
from intake.consent.models import Kind
from intake.consent.statements import Statement, Statements
from intake.instance import Instance
from intake.jobs import schedule
from intake.leads import suppression
from intake.leads.models import Lead, SuppressionReason
from intake.privacy import retention, statement_versions
from intake.web.desk.privacy import DiffKind, word_diff
from tests.client import CANARIES, NOWHERE, Desk, words
from tests.factories import ask, details_of, hire, show, take


@pytest.fixture
def officer(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", Role.PRIVACY_OFFICER))


@pytest.fixture
def lead(officer: Desk) -> Lead:
    """A request that Ana held, and whose number she was shown twice within that hold, and once by email."""
    ana = hire(officer.instance, "Ana Ruiz", Role.COORDINATOR, Role.SUPERVISOR)
    lead = ask(officer.instance).lead
    Desk(officer.instance, ana).lead(lead)
    take(officer.instance, lead, ana)
    show(officer.instance, lead, ana)
    officer.instance.clock.move(minutes=2)
    show(officer.instance, lead, ana, Channel.EMAIL)
    return lead


def link(instance: Instance) -> None:
    with instance.database.transaction() as session:
        audit.link(session, keyring=instance.keyring, at=instance.clock())


# --- who looked ---------------------------------------------------------------------------------------


def test_it_says_who_looked_and_what_they_were_shown(officer: Desk, lead: Lead) -> None:
    assert f"/desk/leads/{lead.id}/looks" in officer.lead(lead)
    page = officer.get(f"/desk/leads/{lead.id}/looks").text
    text = words(page)
    assert re.search(r"Email address Ana Ruiz \(coordinator, supervisor\) 10:02 am 10:02 am 1", text)
    assert re.search(r"Phone number, to call Ana Ruiz \(coordinator, supervisor\) 10 am 10 am 1", text)
    assert "Pia Ott (privacy officer) Request opened, masked" in text
    assert not [each for each in CANARIES if each in page]


def test_the_page_says_when_no_value_was_shown(officer: Desk) -> None:
    lead = ask(officer.instance).lead
    text = words(officer.get(f"/desk/leads/{lead.id}/looks").text)
    assert "Nothing. No number, address or name of this request was shown to anybody" in text
    assert "Nobody has opened this request yet." in text


def test_the_looks_outlive_the_request(officer: Desk, lead: Lead) -> None:
    officer.instance.clock.move(days=200)
    retention.purge(officer.instance)
    text = words(officer.get(f"/desk/leads/{lead.id}/looks").text)
    assert "This request is erased" in text
    assert "Phone number, to call Ana Ruiz" in text
    assert lead.reference not in text


def test_what_never_was_is_not_there(officer: Desk) -> None:
    gone, never = officer.get(f"/desk/leads/{NOWHERE}/looks"), officer.get(f"/desk/leads/{NOWHERE}")
    assert (gone.status_code, words(gone.text)) == (404, words(never.text))


def test_looking_at_the_looks_is_recorded(officer: Desk, lead: Lead) -> None:
    officer.get(f"/desk/leads/{lead.id}/looks")
    assert details_of(officer.instance, "audit.read") == ['{"count":3}']


# --- the log, filtered --------------------------------------------------------------------------------


def codes(page: str) -> list[str]:
    return re.findall(r"<code>([a-z_.]+)</code>", page)


def test_the_log_can_be_narrowed_to_who_acted(officer: Desk, lead: Lead) -> None:
    assert codes(officer.get("/desk/log?who=person").text) == ["lead.submitted"]
    by_role = codes(officer.get("/desk/log?who=coordinator").text)
    assert sorted(by_role) == ["claim.taken", "lead.revealed", "lead.revealed", "lead.viewed", "leads.listed"]
    mine = codes(officer.get(f"/desk/log?who={officer.member.id}").text)
    assert set(mine) == {"audit.read"}
    assert codes(officer.get(f"/desk/log?who={uuid.uuid4()}").text) == []
    assert codes(officer.get("/desk/log?who=admin").text) == []


def test_the_log_can_be_narrowed_to_days(officer: Desk, lead: Lead) -> None:
    officer.instance.clock.move(days=2)
    ask(officer.instance, phone="+13055550155", email="later@example.org")
    first = codes(officer.get("/desk/log?action=lead.submitted&from=2026-11-18&to=2026-11-18").text)
    both = codes(officer.get("/desk/log?action=lead.submitted&from=2026-11-18").text)
    assert (len(first), len(both)) == (1, 2)
    assert codes(officer.get("/desk/log?action=lead.submitted&to=2026-11-17").text) == []
    backwards = officer.get("/desk/log?from=2026-11-20&to=2026-11-18")
    assert backwards.status_code == 200
    assert "The first day comes after the last." in words(backwards.text)


@pytest.mark.parametrize("nonsense", ["from=tomorrow", "to=0001-01-01", "to=9999-12-31", "who=x", "about=1",
                                      "after=x~y", "action=lead.sold"])  # fmt: skip
def test_a_word_that_says_nothing_is_as_good_as_none(officer: Desk, lead: Lead, nonsense: str) -> None:
    answer = officer.get(f"/desk/log?{nonsense}")
    assert answer.status_code == 200
    assert "lead.submitted" in answer.text


def test_pages_keep_what_was_asked_for(officer: Desk, lead: Lead, monkeypatch) -> None:
    monkeypatch.setattr("intake.audit.service.LOG_PAGE", 1)
    page = officer.get("/desk/log?who=coordinator&from=2026-11-18").text
    following = re.search(r'rel="next" href="([^"]+)"', page)[1].replace("&amp;", "&")
    assert "who=coordinator" in following
    assert "from=2026-11-18" in following
    [older] = codes(officer.get(following).text)
    assert older in ("claim.taken", "lead.revealed", "lead.viewed", "leads.listed")


def test_a_reference_leads_to_the_log_of_its_request(officer: Desk, lead: Lead) -> None:
    ask(officer.instance, phone="+13055550155", email="other@example.org")
    answer = officer.post("/desk/log/find", term=lead.reference.lower())
    assert (answer.status_code, answer.location) == (303, f"/desk/log?about={lead.id}")
    page = officer.get(answer.location).text
    assert codes(page).count("lead.submitted") == 1
    assert f"/desk/leads/{lead.id}/looks" in page
    assert details_of(officer.instance, "leads.searched") == ['{"hit":true,"kind":"reference"}']


@pytest.mark.parametrize("term", ["", "305 555 0123", "zaraida@example.org", "x" * 5000, "\x00"])
def test_only_a_reference_is_looked_up(officer: Desk, lead: Lead, term: str) -> None:
    answer = officer.post("/desk/log/find", term=term)
    assert answer.status_code == 422
    assert "Type a whole reference" in words(answer.text)
    assert details_of(officer.instance, "leads.searched") == []


def test_a_reference_of_nobody_says_so(officer: Desk) -> None:
    answer = officer.post("/desk/log/find", term="0000 0000")
    assert (answer.status_code, "Nothing is kept under this reference." in words(answer.text)) == (200, True)


# --- the log to take along ----------------------------------------------------------------------------


def test_the_log_is_saved_with_its_seals(officer: Desk, lead: Lead) -> None:
    link(officer.instance)
    answer = officer.post("/desk/log/save")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit-2026-11-18.jsonl"'
    found = export.verify(answer.text.splitlines(keepends=True), keyring=officer.instance.keyring)
    assert (found.problems, found.events) == ((), 6)
    assert not [each for each in (*CANARIES, "Ana", "Pia", lead.reference) if each in answer.text]
    assert details_of(officer.instance, "audit.exported") == ['{"count":6}']


def test_an_empty_log_is_not_saved(officer: Desk) -> None:
    answer = officer.post("/desk/log/save")
    assert answer.status_code == 409
    assert "Try again in a minute." in words(answer.text)


def test_the_desk_compares_with_the_anchors(officer: Desk, lead: Lead) -> None:

    link(officer.instance)
    assert "It could not be compared with the anchors" in words(officer.post("/desk/log/verify").text)
    schedule.anchor(officer.instance)
    text = words(officer.post("/desk/log/verify").text)
    assert "Compared with 1 anchor that is kept outside the database." in text
    assert "The oldest of them is of" in text


# --- statements ---------------------------------------------------------------------------------------


def test_every_statement_shows_who_stands_on_it(officer: Desk, lead: Lead) -> None:
    text = words(officer.get("/desk/statements").text)
    for statement in officer.instance.statements.in_force("en").values():
        assert statement.digest in text
    assert text.count("1 request stands on it.") == 4  # use, adult, call, email
    assert "There is no earlier wording." in text


def reworded(instance: Instance) -> Instance:
    """The same service after the clinic has put a new wording of one statement into the folder."""
    old = instance.statements.in_force("en")[Kind.CALL]
    label = old.label.replace("call", "ring", 1)
    newer = Statement(Kind.CALL, old.version + 1, "en", f"{label} Truly.", old.help)
    return replace(instance, statements=Statements([*instance.statements.every, newer]))


def test_what_changed_between_two_wordings_is_marked(officer: Desk, lead: Lead) -> None:
    newer = Desk(reworded(officer.instance), officer.member)
    page = newer.get("/desk/statements").text
    assert re.search(r"<ins>[^<]*Truly\.", page)
    assert "2 earlier wordings" in words(page)
    with newer.instance.database.reading() as session:
        found = statement_versions.statement_histories(session, newer.instance.statements)
    call = next(each for each in found if (each.kind, each.language) == (Kind.CALL, "en"))
    assert [(each.version, each.consenting_leads, each.in_force) for each in call.versions] == [
        (3, 0, True),
        (2, 1, False),
        (1, 0, False),
    ]
    assert call.versions[0].since is None


def test_who_took_it_back_does_not_stand_on_it(instance: Instance) -> None:
    lead = ask(instance).lead
    other = ask(instance, phone="+13055550155", email="other@example.org").lead
    with instance.database.transaction() as session:
        suppression.stop_contact(
            Act(session, instance, audit.Actor.person()), kind="phone", value="+13055550155"
        )
    with instance.database.reading() as session:
        found = statement_versions.statement_histories(session, instance.statements)
    standing = {(each.kind, each.language): each.versions[0].consenting_leads for each in found}
    assert lead.id != other.id
    assert standing[Kind.CALL, "en"] == 1
    assert standing[Kind.TEXT, "en"] == standing[Kind.CALL, "es"] == 0
    assert standing[Kind.ADULT, "en"] == 2


def test_the_pieces_of_a_difference_make_both_wordings() -> None:
    before, after = "We may call you.\n\nNever at night.", "We may call or text you.\n\nNever on Sundays."
    pieces = word_diff(before, after)
    assert "".join(each.text for each in pieces if each.kind is not DiffKind.REMOVED) == after
    assert [(each.kind, each.text.strip()) for each in pieces if each.kind is not DiffKind.KEPT] == [
        (DiffKind.ADDED, "or text"),
        (DiffKind.REMOVED, "at night."),
        (DiffKind.ADDED, "on Sundays."),
    ]
    assert word_diff(before, before) == [word_diff(before, before)[0]]


# --- the do-not-contact list --------------------------------------------------------------------------


def test_the_list_says_when_why_and_by_whom(officer: Desk, lead: Lead) -> None:
    officer.post("/desk/stop", term="(305) 555-0123")
    page = officer.get("/desk/stops").text
    text = words(page)
    assert re.search(r"10:02 am they asked Pia Ott no, it is in force", text)
    assert "Do-not-contact list 1" in text
    assert not [each for each in CANARIES if each in page]


def test_the_list_can_be_narrowed_and_paged(officer: Desk, monkeypatch) -> None:
    monkeypatch.setattr("intake.leads.suppression.PAGE", 2)
    for number in range(5):
        officer.post("/desk/stop", term=f"(305) 555-016{number}")
    path, rows, pages = "/desk/stops?standing=live&reason=asked", 0, 0
    while path:
        page = officer.get(path).text
        rows, pages = rows + page.count("no, it is in force"), pages + 1
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert (rows, pages) == (5, 3)
    assert "Nothing on the list is like that." in words(officer.get("/desk/stops?standing=lifted").text)
    wrong = officer.get(f"/desk/stops?reason={SuppressionReason.WRONG_NUMBER}").text
    assert "no, it is in force" not in wrong


def test_an_empty_list_says_so(officer: Desk) -> None:
    assert "Nobody has asked to stop yet." in words(officer.get("/desk/stops").text)
    assert officer.get("/desk/stops?standing=x&reason=y&after=z").status_code == 200


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.SUPERVISOR, Role.ADMIN])
def test_only_the_officer_sees_these_pages(sqlite_instance: Instance, role: Role) -> None:
    other = Desk(sqlite_instance, hire(sqlite_instance, "Ben Ochoa", role))
    for path in ("/desk/statements", "/desk/stops", f"/desk/leads/{NOWHERE}/looks"):
        assert other.get(path).status_code == 403


def test_the_log_leaves_only_after_a_fresh_second_factor(officer: Desk, lead: Lead) -> None:
    link(officer.instance)
    officer.sign_in()
    officer.instance.clock.move(minutes=6)
    assert "Is it you?" in words(officer.post("/desk/log/save").text)
    assert details_of(officer.instance, "audit.exported") == []
