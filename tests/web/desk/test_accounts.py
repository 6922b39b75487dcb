"""Accounts on the desk: one's own, those of others, invitations, and the second factor once more."""

import re
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from intake.accounts import service, sessions, sign_in
from intake.accounts.models import Invitation, Role
from intake.act import Act
from intake.app import create_app
from intake.audit import Action
from intake.core.errors import IntakeError
from intake.instance import Instance
from intake.outbox.models import OutboxMessage
from tests.client import OURS, Desk, field, words
from tests.conftest import MovableClock
from tests.factories import Person, acts, add_account, ask, now, take
from tests.web.auth.test_login import kept, knock, typed

LONG = "bramble oxide lantern sofa"


class At(Desk):
    """A desk whose form token comes from a page that everybody has."""

    def csrf(self) -> str:
        return field(self.get("/desk/account").text, "csrf")

    def cookie(self) -> str:
        found = self.web.get_cookie("intake")
        assert found
        return found.value


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


@pytest.fixture
def desk(instance: Instance, maria: Person) -> At:
    return At(instance, maria.member)


@pytest.fixture
def stale(desk: At, clock: MovableClock) -> At:
    """Signed in six minutes ago."""
    clock.move(minutes=6)
    return desk


def opens(desk: At, cookie: str) -> bool:
    other = desk.web.application.test_client()
    other.set_cookie("intake", cookie, path="/")
    return other.get("/desk/account").status_code == 200


def test_sessions_are_listed_and_ended_one_by_one_or_all_others(desk: At, maria: Person) -> None:
    others = [At(desk.instance, maria.member) for _ in range(3)]
    page = desk.get("/desk/account").text
    ends = re.findall(r'action="(/desk/account/sessions/[^"]+/end)"', page)
    assert len(ends) == 3
    assert desk.post(ends[0]).status_code == 303
    assert sum(opens(desk, each.cookie()) for each in others) == 2
    assert desk.post("/desk/account/sessions/end-others").status_code == 303
    assert not any(opens(desk, each.cookie()) for each in others)
    assert opens(desk, desk.cookie())


def test_a_session_of_somebody_else_is_not_there(desk: At) -> None:
    joe = At(desk.instance, add_account(desk.instance, "joe@example.org").member)
    with desk.instance.database.reading() as session:
        found = sessions.find(Act(session, desk.instance), joe.cookie())
    assert desk.post(f"/desk/account/sessions/{found.id}/end").status_code == 404
    assert opens(desk, joe.cookie())


def test_when_the_recovery_codes_run_out_the_page_says_so_and_the_app_still_opens(
    instance: Instance, maria: Person
) -> None:
    web, left = create_app(instance).test_client(), len(maria.recovery_codes)
    for place, code in enumerate(maria.recovery_codes, start=1):
        assert knock(web, typed(instance, maria, code=code), address=f"10.{place}.0.1").status_code == 303
        text = words(web.get("/desk/account").text)
        assert ("Make new ones before you need the last" in text) is (left - place < 3)
        web.delete_cookie("intake")
    assert "0 codes are left." in text
    assert knock(web, typed(instance, maria, code=maria.recovery_codes[-1])).status_code == 422
    assert knock(web, typed(instance, maria)).status_code == 303


def test_a_bad_password_says_what_to_put_right(desk: At) -> None:
    answer = desk.post("/desk/account/password", password="short", repeated="short")
    assert answer.status_code == 422
    assert "Use at least 15 characters" in answer.text
    assert desk.post("/desk/account/password", password=LONG, repeated="x").status_code == 422


FRESH = ["/desk/numbers/save", "/desk/account/codes", "/desk/accounts/invite"]


@pytest.mark.parametrize("path", FRESH)
def test_an_old_second_factor_is_asked_for_and_the_words_go_along(
    stale: At, maria: Person, path: str
) -> None:
    before = stale.cookie()
    asked = stale.post(path, email="ana@example.org", name="Ana <Díaz>", role="coordinator", days="7")
    assert asked.status_code == 200
    assert "Is it you?" in asked.text
    assert "Ana &lt;Díaz&gt;" in asked.text
    assert kept(stale.instance, Action.REPORT_EXPORTED) + kept(stale.instance, Action.STAFF_INVITED) == 0
    sent = {name: field(asked.text, name) for name in ("email", "name", "role", "days")}
    wide = "".join(chr(ord(digit) - 48 + 0x0660) for digit in maria.code(stale.instance))
    done = stale.post(path, **sent, again_code=f" {wide[:3]} {wide[3:]} ")
    assert done.status_code == 200
    assert "Is it you?" not in done.text
    assert not opens(stale, before)
    again = stale.post(path, **sent)
    assert "Is it you?" not in again.text


def test_a_wrong_and_a_used_code_are_refused_and_secrets_are_not_carried(stale: At, maria: Person) -> None:
    code = maria.code(stale.instance)
    refused = stale.post("/desk/account/password", password=LONG, repeated=LONG, again_code="000000")
    assert refused.status_code == 422
    assert LONG not in refused.text
    assert stale.post("/desk/account/codes", again_code=code).status_code == 200
    stale.seen = stale.instance.clock.move(minutes=6)  # type: ignore[attr-defined]
    assert stale.post("/desk/account/codes", again_code=code).status_code == 422


def test_of_fifty_at_once_with_one_code_one_is_confirmed(instance: Instance, maria: Person) -> None:
    found = []
    for _ in range(8):
        with instance.database.transaction() as session:
            token = sessions.begin(Act(session, instance), staff_id=maria.member.id)
            session.flush()
            found.append(sessions.find(Act(session, instance), token))
    code = maria.code(instance)

    def confirm(place: int) -> bool:
        try:
            return bool(sign_in.confirm_second_factor(instance=instance, active=found[place % 8], code=code))
        except IntakeError:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(confirm, range(50))) == 1


# --- those of others ---------------------------------------------------------------------------------


def invite(desk: At) -> str:
    answer = desk.post("/desk/accounts/invite", email="ana@example.org", name="Ana", role="coordinator")
    assert answer.status_code == 200, words(answer.text)
    found = re.search(r"http://localhost/join#(\S+?)<", answer.text)
    assert found
    return found[1]


def take_up(desk: At, token: str, password: str = LONG) -> tuple[int, str]:
    web = desk.web.application.test_client()
    csrf = field(web.get("/join").text, "csrf")
    sent = {"csrf": csrf, "invitation": token}
    page = web.post("/join", data=sent, headers=OURS)
    if page.status_code != 200:
        return page.status_code, page.text
    secret = re.sub(r"\s", "", re.search(r'link-once">([^<]+)<', page.text)[1])  # type: ignore[index]
    import pyotp  # noqa: PLC0415  only here

    code = pyotp.TOTP(secret).at(desk.instance.clock().timestamp())
    done = web.post("/join", data={**sent, "password": password, "code": code}, headers=OURS)
    return done.status_code, done.text


def test_an_invitation_works_once_and_stands_nowhere(desk: At) -> None:
    token = invite(desk)
    with desk.instance.database.reading() as session:
        kept_hash = session.query(Invitation).one().token_hash
        mails = [(each.mail.value, each.recipient) for each in session.query(OutboxMessage)]
    assert token.encode() not in kept_hash
    assert mails == [("invited", "ana@example.org")]
    assert token not in desk.get("/desk/accounts").text
    assert take_up(desk, token, password="short")[0] == 422
    status, page = take_up(desk, token)
    assert (status, len(re.findall(r"<li>", page))) == (200, 10)
    assert take_up(desk, token)[0] == 404
    assert kept(desk.instance, Action.STAFF_JOINED) == 1


def test_an_invitation_ends_after_72_hours_and_with_the_next_one(desk: At, clock: MovableClock) -> None:
    first = invite(desk)
    with desk.instance.database.reading() as session:
        ana = service.by_email(session, "ana@example.org")
    again = desk.post(f"/desk/accounts/{ana.id}/reset")
    token = re.search(r"/join#(\S+?)<", again.text)[1]  # type: ignore[index]
    assert take_up(desk, first)[0] == 404
    clock.move(hours=72)
    assert take_up(desk, token)[0] == 404


def test_roles_are_changed_as_a_set_and_sessions_end(desk: At) -> None:
    joe = add_account(desk.instance, "joe@example.org", roles={Role.COORDINATOR})
    his = At(desk.instance, joe.member)
    path = f"/desk/accounts/{joe.member.id}/roles"
    assert desk.post(path, role=["supervisor", "admin"]).status_code == 303
    assert not opens(desk, his.cookie())
    with desk.instance.database.reading() as session:
        assert service.by_email(session, "joe@example.org").roles == {Role.SUPERVISOR, Role.ADMIN}
    assert desk.post(path).status_code == 422


def test_the_last_admin_keeps_the_role_and_the_account(desk: At) -> None:
    own = f"/desk/accounts/{desk.member.id}"
    assert desk.post(f"{own}/roles", role="coordinator").status_code == 409
    assert desk.post(f"{own}/disable").status_code == 409
    assert opens(desk, desk.cookie())


CLOSING: list[tuple[str, dict[str, object], bool]] = [
    ("disable", {}, True),
    ("reset", {}, True),
    ("roles", {"role": ["privacy_officer"]}, True),
    ("roles", {"role": ["supervisor", "admin"]}, False),
]


@pytest.mark.parametrize(("act", "sent", "back"), CLOSING)
def test_what_somebody_holds_goes_back_when_they_may_hold_no_longer(
    desk: At, act: str, sent: dict[str, object], *, back: bool
) -> None:
    joe = add_account(desk.instance, "joe@example.org")
    lead = ask(desk.instance).lead
    take(desk.instance, lead, joe.member)
    answer = desk.post(f"/desk/accounts/{joe.member.id}/{act}", **sent)
    assert answer.status_code in (200, 303)
    assert (now(desk.instance, lead).claimed_by is None) is back
    assert ("claim.given_back" in acts(desk.instance, lead)) is back


# --- how long it goes on -------------------------------------------------------------------------------


def test_asking_how_long_extends_nothing_and_staying_does(desk: At, clock: MovableClock) -> None:
    clock.move(minutes=14)
    left = desk.web.get("/desk/account/left").json
    assert left == {"seconds": 60}
    stay = desk.web.get("/desk/account/stay", headers={"Accept": "application/json"})
    assert stay.json == {"seconds": 900}
    assert "Still signed in" in desk.web.get("/desk/account/stay").text
    clock.move(minutes=15)
    assert desk.web.get("/desk/account/left").status_code == 401


def test_the_library_for_passkeys_lets_the_next_cryptography_in() -> None:
    """A bound of its must never hold back a release that mends a hole (docs/decisions/0016)."""
    bounds = [Requirement(each) for each in requires("fido2") or []]
    (bound,) = [each.specifier for each in bounds if each.name == "cryptography"]
    following = Version(f"{Version(version('cryptography')).major + 1}.0.0")
    assert bound.contains(following)
