"""Ends that are ends: cookies of every stage of a session's life, replayed after each way it can end (W1)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from intake.accounts.models import Role
from intake.app import create_app
from intake.audit import AuditEvent
from intake.instance import Instance
from intake.web.auth import guards
from tests import client
from tests.client import OURS
from tests.conftest import MovableClock
from tests.factories import Person, add_account, ask

LONG = "bramble oxide lantern sofa"
NOT_THEIRS = f"/desk/account/sessions/{client.NOWHERE}/end"
STAGES = ("before the sign-in", "password only", "signed in", "step-up", "another browser", "the end")


@dataclass
class Jar:
    """Every cookie a browser had at one moment, and the token that its forms carried then."""

    cookies: dict[str, str]
    csrf: str


@dataclass
class Life:
    """Maria's two browsers, from the first page on."""

    instance: Instance
    clock: MovableClock
    maria: Person
    admin: client.Desk
    web: FlaskClient
    other: FlaskClient
    jars: dict[str, Jar] = field(default_factory=dict)

    def post(self, path: str, web: FlaskClient | None = None, **words: object) -> TestResponse:
        """Send a form as a page of ours would, and have it taken."""
        web = web or self.web
        csrf = client.field(web.get("/desk/account").text, "csrf")
        answer = web.post(path, data={"csrf": csrf, **words}, headers=OURS)
        assert answer.status_code in (200, 303), client.words(answer.text)
        return answer

    def keep(self, stage: str, web: FlaskClient | None = None) -> None:
        """Remember this browser's cookies, as somebody who copied them would."""
        web = web or self.web
        found = re.search(
            r'name="csrf" value="([^"]+)"', web.get("/desk/account", follow_redirects=True).text
        )
        cookies = {name: cookie.value for name in COOKIES if (cookie := web.get_cookie(name))}
        self.jars[stage] = Jar(cookies, found[1] if found else "")

    def knock(self, web: FlaskClient, code: str) -> TestResponse:
        csrf = client.field(web.get("/sign-in").text, "csrf")
        words = {"email": self.maria.member.email, "password": self.maria.password, "code": code}
        return web.post("/sign-in", data={"csrf": csrf, **words}, headers=OURS)

    def events(self) -> int:
        with self.instance.database.reading() as session:
            return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


COOKIES = ("intake", "intake-door")


@pytest.fixture
def life(sqlite_instance: Instance, clock: MovableClock) -> Life:
    """Everything up to the last stage: a page, a wrong code, a sign-in, a step-up, a second browser."""
    app = create_app(sqlite_instance)
    maria = add_account(sqlite_instance)
    admin = add_account(sqlite_instance, "ada@example.org", roles={Role.ADMIN})
    desk = client.Desk(sqlite_instance, admin.member)
    lived = Life(sqlite_instance, clock, maria, desk, app.test_client(), app.test_client())
    lived.web.get("/sign-in")
    lived.keep("before the sign-in")
    assert lived.knock(lived.web, "000000").status_code == 422
    lived.keep("password only")
    assert lived.knock(lived.web, maria.code(sqlite_instance)).status_code == 303
    lived.keep("signed in")
    clock.move(minutes=6)
    assert "Is it you?" in lived.post("/desk/numbers/save", days="7").text
    code = maria.code(sqlite_instance)
    assert "Is it you?" not in lived.post("/desk/numbers/save", days="7", again_code=code).text
    lived.keep("step-up")
    clock.move(minutes=1)
    assert lived.knock(lived.other, maria.code(sqlite_instance)).status_code == 303
    lived.keep("another browser", lived.other)
    return lived


# --- the ends -------------------------------------------------------------------------------------------


def signs_out(life: Life) -> None:
    life.post("/sign-out")


def changes_the_password(life: Life) -> None:
    life.post("/desk/account/password", password=LONG, repeated=LONG)


def changes_the_factor(life: Life) -> None:
    page = life.web.get("/desk/account/factor").text
    secret = re.sub(r"\s", "", re.search(r'link-once">([^<]+)<', page)[1])  # type: ignore[index]
    code = pyotp.TOTP(secret).at(life.clock().timestamp())
    life.post("/desk/account/factor", nonce=client.field(page, "nonce"), new_code=code)


def makes_new_codes(life: Life) -> None:
    life.post("/desk/account/codes")


def ends_all_others(life: Life) -> None:
    life.post("/desk/account/sessions/end-others")


def is_ended_from_the_list(life: Life) -> None:
    page = life.other.get("/desk/account").text
    path = re.search(r'action="(/desk/account/sessions/[0-9a-f-]{36}/end)"', page)
    assert path
    life.post(path[1], life.other)


def signs_in_anew(life: Life) -> None:
    life.clock.move(minutes=1)
    web = life.web
    csrf = client.field(_door(web), "csrf")
    words = {"email": life.maria.member.email, "password": life.maria.password}
    words["code"] = life.maria.code(life.instance)
    assert web.post("/sign-in", data={"csrf": csrf, **words}, headers=OURS).status_code == 303


def _door(web: FlaskClient) -> str:
    """The sign-in page of a browser that kept a session's cookie but lost sight of it."""
    token = web.get_cookie("intake")
    web.delete_cookie("intake")
    page = web.get("/sign-in").text
    web.set_cookie("intake", token.value if token else "", path="/")
    return page


def gets_other_roles(life: Life) -> None:
    _as_admin(life, "roles", role=["coordinator"])


def is_closed(life: Life) -> None:
    _as_admin(life, "disable")


def is_closed_and_opened_again(life: Life) -> None:
    _as_admin(life, "disable")
    _as_admin(life, "enable")


def is_reset(life: Life) -> None:
    _as_admin(life, "reset")


def _as_admin(life: Life, act: str, **words: object) -> None:
    life.admin.sign_in()
    csrf = client.field(life.admin.web.get("/desk/accounts").text, "csrf")
    path = f"/desk/accounts/{life.maria.member.id}/{act}"
    answer = life.admin.web.post(path, data={"csrf": csrf, **words}, headers=OURS)
    assert answer.status_code in (200, 303), client.words(answer.text)


def idles(life: Life) -> None:
    life.clock.move(minutes=15)


def lasts_twelve_hours(life: Life) -> None:
    for _ in range(12 * 5):
        life.clock.move(minutes=12)
        life.web.get("/desk/account/stay")
        life.other.get("/desk/account/stay")


ENDS: dict[str, tuple[Callable[[Life], None], set[str]]] = {
    each.__name__: (each, alive)
    for each, alive in [
        (signs_out, {"another browser"}),
        (changes_the_password, {"the end"}),
        (changes_the_factor, {"the end"}),
        (makes_new_codes, {"the end"}),
        (ends_all_others, {"step-up", "the end"}),
        (is_ended_from_the_list, {"another browser"}),
        (signs_in_anew, {"another browser", "the end"}),
        (gets_other_roles, set()),
        (is_closed, set()),
        (is_closed_and_opened_again, set()),
        (is_reset, set()),
        (idles, set()),
        (lasts_twelve_hours, set()),
    ]
}
"""Each end with the stages whose cookies still open something after it."""


@pytest.mark.parametrize("end", ENDS)
def test_after_each_end_the_cookies_of_every_stage_are_refused_at_the_next_request(
    life: Life, end: str
) -> None:
    act, alive = ENDS[end]
    ask(life.instance)
    act(life)
    life.keep("the end")
    assert set(life.jars) == set(STAGES)
    app = life.web.application
    opened = {stage: _opens(app, life, jar) for stage, jar in life.jars.items()}
    assert {stage for stage, yes in opened.items() if yes} == alive


def _opens(app: Flask, life: Life, jar: Jar) -> bool:
    """Whether a copied jar opens anything; every door gives the same answer, and a refusal does nothing."""
    pages = [_status(app, jar, "GET", path) for path in ("/desk", "/desk/account", "/desk/numbers")]
    polls = [_status(app, jar, "GET", path) for path in ("/desk/rows", "/desk/account/left")]
    before = life.events()
    acts = [_status(app, jar, "POST", path) for path in ("/desk/find", NOT_THEIRS)]
    if polls == [401, 401]:
        assert (pages, acts, life.events()) == ([303] * 3, [401] * 2, before)
        return False
    assert (pages, polls) == ([200] * 3, [200] * 2)
    return True


def _status(app: Flask, jar: Jar, method: str, path: str) -> int:
    web = app.test_client()
    for name, value in jar.cookies.items():
        web.set_cookie(name, value, path="/")
    if method == "GET":
        return web.get(path, headers=OURS).status_code
    return web.post(path, data={"csrf": jar.csrf, "term": "3055550123"}, headers=OURS).status_code


def test_no_page_that_polls_by_itself_keeps_a_session_alive(life: Life) -> None:
    declared = guards.guarded_routes(life.web.application)
    polls = [path for (path, method), guard in declared.items() if guard.background and method == "GET"]
    assert "/desk/rows" in polls
    life.web.get("/desk/account")
    for _ in range(14):
        life.clock.move(minutes=1)
        assert [life.web.get(path).status_code for path in polls] == [200] * len(polls)
    life.clock.move(minutes=1)
    assert [life.web.get(path).status_code for path in polls] == [401] * len(polls)
    assert life.web.get("/desk").status_code == 303


def test_a_page_that_was_open_when_the_roles_changed_can_do_nothing_more(life: Life) -> None:
    csrf = life.jars["another browser"].csrf
    _as_admin(life, "roles", role=["privacy_officer"])
    for path in ("/desk/phone", "/desk/team/share", "/desk/accounts/invite"):
        assert life.other.post(path, data={"csrf": csrf}, headers=OURS).status_code == 401
    life.clock.move(minutes=1)
    assert life.knock(life.other, life.maria.code(life.instance)).status_code == 303
    csrf = client.field(life.other.get("/desk/account").text, "csrf")
    for path in ("/desk/phone", "/desk/team/share", "/desk/accounts/invite"):
        assert life.other.post(path, data={"csrf": csrf}, headers=OURS).status_code == 403
