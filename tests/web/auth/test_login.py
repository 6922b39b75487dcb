"""The staff door on the web: cookies, our own origin, one refusal, the way back, and the end of a session."""

import re
import uuid
from collections.abc import Callable

import pytest
from flask import Blueprint, Flask, g
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from intake.accounts import service
from intake.accounts.models import Role
from intake.accounts.permissions import ROLE_PERMISSIONS, Permission
from intake.act import Act
from intake.app import create_app
from intake.audit import Action, AuditEvent
from intake.instance import Instance
from intake.web.auth import csrf, guards
from tests.conftest import MovableClock
from tests.factories import AWAY, MARIA, Person, add_account

OURS = {"Sec-Fetch-Site": "same-origin"}
ROW = uuid.UUID("00000000-0000-4000-8000-000000000001")
OPEN_TO_ALL = {
    ("/sign-in", "GET"),
    ("/sign-in", "POST"),
    ("/sign-out", "POST"),
    ("/join", "GET"),
    ("/join", "POST"),
}

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tables whose rows do not depend on the database."""


def trial_pages() -> Blueprint:
    """Pages behind the guard, in place of the desk's own."""
    trial = Blueprint("trial", __name__)

    @trial.get("/trial")
    @guards.permission_required(Permission.LIST_LEADS)
    def queue() -> str:
        return f"{g.member.name} {csrf.csrf_token()}"

    @trial.route("/trial/<uuid:lead_id>", methods=["GET", "POST"])
    @guards.permission_required(Permission.VIEW_LEAD)
    def lead(lead_id: uuid.UUID) -> str:
        return str(lead_id)

    @trial.get("/trial/poll")
    @guards.permission_required(Permission.LIST_LEADS, background=True)
    def poll() -> str:
        return "nothing new"

    for permission in Permission:
        trial.add_url_rule(
            f"/trial/{permission}",
            f"may_{permission}",
            guards.permission_required(permission)(lambda: "yes"),
            methods=["GET", "POST"],
        )
    return trial


@pytest.fixture
def build() -> Callable[[Instance], Flask]:
    def make(instance: Instance) -> Flask:
        app = create_app(instance)
        app.register_blueprint(trial_pages())
        return app

    return make


@pytest.fixture
def app(instance: Instance, build: Callable[[Instance], Flask]) -> Flask:
    return build(instance)


@pytest.fixture
def web(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


def hidden(page: TestResponse, name: str = "csrf") -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found
    return found[1]


def typed(instance: Instance, person: Person, **changes: str) -> dict[str, str]:
    return {
        "email": person.member.email,
        "password": person.password,
        "code": person.code(instance),
        **changes,
    }


def knock(
    web: FlaskClient, fields: dict[str, str], *, address: str = "203.0.113.7", place: str = ""
) -> TestResponse:
    """Open the sign-in page and send it."""
    page = web.get("/sign-in", query_string={"next": place} if place else None)
    return web.post(
        "/sign-in",
        data={"csrf": hidden(page), "next": place, **fields},
        headers=OURS,
        environ_base={"REMOTE_ADDR": address},
    )


@pytest.fixture
def inside(web: FlaskClient, instance: Instance, maria: Person) -> FlaskClient:
    """Maria's browser, signed in."""
    assert knock(web, typed(instance, maria)).status_code == 303
    return web


def token_of(web: FlaskClient) -> str:
    return web.get("/trial").text.split()[-1]


def bare(answer: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    """Everything a stranger sees of an answer."""
    return answer.status_code, sorted(answer.headers), answer.data


def kept(instance: Instance, action: Action) -> int:
    with instance.database.reading() as session:
        return len(session.scalars(select(AuditEvent).where(AuditEvent.action == action)).all())


# --- in --------------------------------------------------------------------------------------------


def test_it_leads_to_the_desk_and_says_who_is_there(inside: FlaskClient) -> None:
    assert inside.get("/trial").text.startswith("Maria Lopez ")


def test_success_is_see_other_to_the_desk(web: FlaskClient, instance: Instance, maria: Person) -> None:
    answer = knock(web, typed(instance, maria))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk")


def test_who_is_signed_in_is_not_asked_again(inside: FlaskClient) -> None:
    answer = inside.get("/sign-in")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk")


def test_a_recovery_code_opens_in_the_same_box(web: FlaskClient, instance: Instance, maria: Person) -> None:
    answer = knock(web, typed(instance, maria, code=maria.recovery_codes[0]))
    assert answer.status_code == 303


def test_the_cookie_is_kept_from_scripts_and_other_sites(
    sqlite_instance: Instance, make_instance: Callable[..., Instance], build: Callable[[Instance], Flask]
) -> None:
    secure = make_instance(sqlite_instance.settings.database_url, base_url="https://ask.example.org")
    maria = add_account(secure)
    web = build(secure).test_client()
    page = web.get("/sign-in", base_url="https://ask.example.org")
    answer = web.post(
        "/sign-in",
        base_url="https://ask.example.org",
        data={"csrf": hidden(page), **typed(secure, maria)},
        headers=OURS,
    )
    assert answer.status_code == 303
    cookies = [
        each.split("; ")
        for each in [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    ]
    assert [each[0].partition("=")[0] for each in cookies] == [
        "__Host-intake-door",
        "__Host-intake",
        "__Host-intake-door",
    ]
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(cookie)
        assert not [part for part in cookie if part.startswith("Domain")]
        assert len("; ".join(cookie)) < 4096
    assert len(cookies[1]) == 5  # no Max-Age, no Expires: it goes with the browser


def test_over_plain_http_the_cookie_has_another_name(
    web: FlaskClient, instance: Instance, maria: Person
) -> None:
    cookie = knock(web, typed(instance, maria)).headers.getlist("Set-Cookie")[0]
    assert cookie.startswith("intake=")
    assert "Secure" not in cookie
    assert "SameSite=Strict" in cookie


def test_a_session_that_somebody_planted_is_not_taken_up(
    web: FlaskClient, instance: Instance, maria: Person
) -> None:
    web.set_cookie("intake", "planted")
    knock(web, typed(instance, maria))
    cookie = web.get_cookie("intake")
    assert cookie
    assert cookie.value != "planted"
    with instance.database.reading() as session:
        hashes = session.scalars(text("SELECT token_hash FROM staff_session")).all()
    assert [bytes(each) for each in hashes] == [instance.keyring.blind_index("session", cookie.value)]


def test_signing_in_from_a_page_that_was_open_all_along_ends_the_session_before(
    web: FlaskClient, app: Flask, instance: Instance, clock: MovableClock, maria: Person
) -> None:
    second_tab = hidden(web.get("/sign-in"))
    fields = {"csrf": second_tab, **typed(instance, maria)}
    web.post("/sign-in", data=fields, headers=OURS)
    before = web.get_cookie("intake")
    door = web.get_cookie("intake-door")
    assert before
    assert door is None
    clock.move(minutes=1)
    knock_again = web.post("/sign-in", data={**fields, "code": maria.code(instance)}, headers=OURS)
    assert knock_again.status_code == 403
    fields = {"csrf": hidden(knock_again), **typed(instance, maria)}
    assert web.post("/sign-in", data=fields, headers=OURS).status_code == 303
    thief = app.test_client()
    thief.set_cookie("intake", before.value)
    assert thief.get("/trial").status_code == 303
    assert web.get("/trial").status_code == 200


# --- refused ---------------------------------------------------------------------------------------


def test_everything_that_is_not_right_looks_alike(
    app: Flask, instance: Instance, clock: MovableClock
) -> None:
    """Unknown, wrong password, wrong code, used code, disabled, too many: the same bytes and headers."""
    add_account(instance, "joe@example.org", name="Joe")
    web = app.test_client()
    wrong = {"email": MARIA, "password": "wrong", "code": "000000"}
    unknown = knock(web, wrong)
    maria = add_account(instance)
    answers = {
        "wrong password": knock(web, wrong),
        "wrong code": knock(web, {**wrong, "password": maria.password}),
        "no code": knock(web, {**wrong, "password": maria.password, "code": ""}),
        "long code": knock(web, {**wrong, "password": maria.password, "code": "7" * 10_240}),
    }
    elsewhere = app.test_client()
    right = typed(instance, maria)
    knock(elsewhere, right, address=AWAY)
    answers["used code"] = knock(web, right)
    clock.move(minutes=10)
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=maria.member.id)
    answers["disabled"] = knock(web, typed(instance, maria))
    for _ in range(9):
        knock(web, wrong)
    answers["too many"] = knock(web, wrong)
    assert unknown.status_code == 422
    assert {name for name, answer in answers.items() if bare(answer) != bare(unknown)} == set()
    assert kept(instance, Action.STAFF_REFUSED) == 1 + 4 + 1 + 1 + 10
    with instance.database.reading() as session:
        reasons = session.scalars(
            text("SELECT details FROM audit_event WHERE action = 'staff.refused'")
        ).all()
    sentence = {"no_account", "password", "code", "disabled", "too_many"}
    assert {each for each in sentence if any(each in reason for reason in reasons)} == sentence


def test_the_address_stays_and_the_secrets_do_not(
    web: FlaskClient, instance: Instance, maria: Person
) -> None:
    answer = knock(web, typed(instance, maria, password="not my password"))
    assert hidden(answer, "email") == MARIA if 'name="email" value' in answer.text else MARIA in answer.text
    assert "not my password" not in answer.text
    page_text = answer.text.replace(hidden(answer), "")  # six figures may stand in a random token by chance
    assert maria.code(instance) not in page_text


@on_sqlite
@pytest.mark.parametrize(
    "hostile",
    [
        '"><script>alert(1)</script>',
        "{{ 7*7 }}@example.org",
        "\x00\x01\x1b[2J",
        "maria\r\nSet-Cookie: intake=planted",
        "\u202eevil@example.org",
        "x" * 10_240,
        "=cmd|' /C calc'!A0",
    ],
)
def test_hostile_words_are_only_words(web: FlaskClient, maria: Person, hostile: str) -> None:
    answer = knock(web, {"email": hostile, "password": hostile, "code": hostile}, place=hostile)
    assert answer.status_code == 422
    assert "<script>" not in answer.text
    assert "49@example.org" not in answer.text
    assert "planted" not in str(answer.headers)


def test_fields_that_are_missing_or_doubled_are_only_wrong(web: FlaskClient, maria: Person) -> None:
    page = web.get("/sign-in")
    for data in ({"csrf": hidden(page)}, {"csrf": hidden(page), "email": [MARIA, MARIA], "code": ["1", "2"]}):
        assert web.post("/sign-in", data=data, headers=OURS).status_code == 422


def test_a_network_with_too_many_tries_has_to_wait(
    sqlite_instance: Instance, build: Callable[[Instance], Flask]
) -> None:
    web = build(sqlite_instance).test_client()
    wrong = {"email": MARIA, "password": "wrong", "code": "000000"}
    codes = [knock(web, wrong).status_code for _ in range(61)]
    assert codes == [422] * 60 + [429]
    last = knock(web, wrong)
    assert last.headers["Retry-After"] == "300"
    assert MARIA in last.text
    assert knock(web, wrong, address=AWAY).status_code == 422


# --- our own page ----------------------------------------------------------------------------------

FOREIGN_HEADERS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "null"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:81"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://evil.example", "Referer": "http://localhost/sign-in"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "http://[broken"},
    {"Origin": "http://localhost:99999"},
    {"Referer": "http://evil.example/http://localhost/"},
    {"Referer": "/sign-in"},
]
OUR_HEADERS = [
    {},  # no browser: the token alone decides
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost:80"},
    {"Origin": "HTTP://LOCALHOST"},
    {"Referer": "http://localhost/sign-in?next=desk"},
]


@on_sqlite
@pytest.mark.parametrize("headers", FOREIGN_HEADERS)
def test_what_does_not_come_from_our_page_changes_nothing(
    inside: FlaskClient, instance: Instance, maria: Person, headers: dict[str, str]
) -> None:
    before = kept(instance, Action.STAFF_SIGNED_IN), kept(instance, Action.STAFF_REFUSED)
    fields = {"csrf": token_of(inside), **typed(instance, maria)}
    paths = ("/sign-in", "/sign-out", "/trial/reveal", f"/trial/{ROW}")
    assert [inside.post(path, data=fields, headers=headers).status_code for path in paths] == [403] * 4
    assert (kept(instance, Action.STAFF_SIGNED_IN), kept(instance, Action.STAFF_REFUSED)) == before
    assert inside.get("/trial").status_code == 200


@on_sqlite
@pytest.mark.parametrize("headers", OUR_HEADERS)
def test_what_comes_from_our_page_is_taken(inside: FlaskClient, headers: dict[str, str]) -> None:
    assert inside.post("/trial/reveal", data={"csrf": token_of(inside)}, headers=headers).text == "yes"


@pytest.mark.parametrize("path", ["/sign-out", "/trial/reveal", f"/trial/{ROW}"])
def test_a_missing_or_foreign_token_changes_nothing(
    inside: FlaskClient, app: Flask, instance: Instance, clock: MovableClock, maria: Person, path: str
) -> None:
    clock.move(minutes=1)
    other = app.test_client()
    assert knock(other, typed(instance, maria)).status_code == 303
    own, foreign = token_of(inside), token_of(other)
    assert own != foreign
    for token in ("", foreign, own[:-1], own.upper() + " ", "\ud7ff", "x" * 10_240):
        assert inside.post(path, data={"csrf": token}, headers=OURS).status_code == 403
    assert inside.post(path, headers=OURS).status_code == 403
    assert inside.get("/trial").status_code == 200
    assert inside.post(path, data={"csrf": own}, headers=OURS).status_code in (200, 303)


@pytest.mark.parametrize("token", ["", "x", "0" * 64])
def test_a_sign_in_page_of_another_browser_is_shown_again_and_not_counted(
    web: FlaskClient, instance: Instance, maria: Person, token: str
) -> None:
    fields = {"csrf": token, **typed(instance, maria)}
    answer = web.post("/sign-in", data=fields, headers=OURS)
    assert answer.status_code == 403
    assert MARIA in answer.text
    assert kept(instance, Action.STAFF_REFUSED) == 0
    again = web.post("/sign-in", data={**fields, "csrf": hidden(answer)}, headers=OURS)
    assert again.status_code == 303


def test_a_page_from_before_a_key_was_changed_still_works(
    sqlite_instance: Instance, make_instance: Callable[..., Instance], build: Callable[[Instance], Flask]
) -> None:
    maria = add_account(sqlite_instance)
    old = build(sqlite_instance).test_client()
    page = old.get("/sign-in")
    older = sqlite_instance.settings.app_keys
    newer = "bmV3LWtleS1uZXcta2V5LTAxMjM0NTY3ODlhYmNkZWY="
    rotated = make_instance(sqlite_instance.settings.database_url, app_keys=f"{newer},{older}")
    web = build(rotated).test_client()
    web.set_cookie("intake-door", old.get_cookie("intake-door").value)  # type: ignore[union-attr]
    answer = web.post("/sign-in", data={"csrf": hidden(page), **typed(rotated, maria)}, headers=OURS)
    assert answer.status_code == 303


# --- the way there and back ------------------------------------------------------------------------


def test_a_page_leads_to_the_sign_in_and_back(web: FlaskClient, instance: Instance, maria: Person) -> None:
    answer = web.get(f"/trial/{ROW}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next=trial.lead~{ROW}")
    answer = knock(web, typed(instance, maria), place=f"trial.lead~{ROW}")
    assert answer.headers["Location"] == f"/trial/{ROW}"


def test_what_changes_something_is_refused_without_a_session(web: FlaskClient) -> None:
    assert web.post(f"/trial/{ROW}", headers=OURS).status_code == 401


def test_a_poll_without_a_session_gets_401(web: FlaskClient) -> None:
    assert web.get("/trial/poll").status_code == 401


@on_sqlite
@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "https:evil.example",
        "https://evil.example",
        "/%2f%2fevil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "desk\r\nLocation: https://evil.example",
        "trial.lead~//evil.example",
        "trial.lead~",
        f"trial.lead~{ROW}/../../x",
        f"trial.nothing~{ROW}",
        "trial.poll",
        "static~evil",
        "login.sign_out",
        "login.page",
        "public.form",
        "",
        "~",
        "x" * 10_000,
    ],
)
def test_no_next_leads_away(web: FlaskClient, instance: Instance, maria: Person, place: str) -> None:
    assert knock(web, typed(instance, maria), place=place).headers["Location"] == "/desk"
    assert web.get("/sign-in", query_string={"next": place}).headers["Location"] == "/desk"


def test_a_link_in_web_mail_is_loaded_again_from_our_own_page(web: FlaskClient) -> None:
    answer = web.get(f"/trial/{ROW}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert f'content="0; url=/trial/{ROW}"' in answer.text
    assert not answer.headers.getlist("Set-Cookie")


def test_the_second_time_it_leads_to_the_sign_in(web: FlaskClient) -> None:
    answer = web.get(f"/trial/{ROW}", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.headers["Location"] == f"/sign-in?next=trial.lead~{ROW}"


# --- how it ends -----------------------------------------------------------------------------------


def test_fifteen_idle_minutes_end_it_to_the_second(inside: FlaskClient, clock: MovableClock) -> None:
    clock.move(minutes=14, seconds=59)
    assert inside.get("/trial/poll").status_code == 200
    clock.move(seconds=1)
    assert inside.get("/trial").status_code == 303


def test_a_page_extends_it_and_a_poll_does_not(inside: FlaskClient, clock: MovableClock) -> None:
    clock.move(minutes=10)
    inside.get("/trial")
    clock.move(minutes=10)
    assert inside.get("/trial/poll").status_code == 200
    clock.move(minutes=4, seconds=59)
    assert inside.get("/trial/poll").status_code == 200
    clock.move(seconds=1)
    assert inside.get("/trial/poll").status_code == 401


def test_twelve_hours_end_it_whatever_is_done(inside: FlaskClient, clock: MovableClock) -> None:
    for _ in range(71):
        clock.move(minutes=10)
        assert inside.get("/trial").status_code == 200
    clock.move(minutes=9, seconds=59)
    assert inside.get("/trial").status_code == 200
    clock.move(seconds=1)
    assert inside.get("/trial").status_code == 303


def test_signing_out_ends_it_on_the_server(inside: FlaskClient, app: Flask, instance: Instance) -> None:
    old = inside.get_cookie("intake")
    answer = inside.post("/sign-out", data={"csrf": token_of(inside)}, headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert inside.get_cookie("intake") is None
    thief = app.test_client()
    thief.set_cookie("intake", old.value)  # type: ignore[union-attr]
    assert thief.get("/trial").status_code == 303
    assert thief.post("/trial/reveal", headers=OURS).status_code == 401
    assert kept(instance, Action.STAFF_SIGNED_OUT) == 1


def test_signing_out_when_it_has_ended_already_leads_to_the_sign_in(
    inside: FlaskClient, clock: MovableClock, instance: Instance
) -> None:
    clock.move(hours=1)
    answer = inside.post("/sign-out", headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert kept(instance, Action.STAFF_SIGNED_OUT) == 0


def test_a_get_never_signs_anybody_out(inside: FlaskClient) -> None:
    assert inside.get("/sign-out").status_code == 405
    assert inside.get("/trial").status_code == 200


def test_a_disabled_account_is_out_at_its_next_request(
    inside: FlaskClient, instance: Instance, maria: Person
) -> None:
    add_account(instance, "joe@example.org", name="Joe")
    token = token_of(inside)
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=maria.member.id)
    assert inside.get("/trial").status_code == 303
    assert inside.post("/trial/reveal", data={"csrf": token}, headers=OURS).status_code == 401


# --- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_the_table_says_and_nothing_else(
    sqlite_instance: Instance, build: Callable[[Instance], Flask], role: Role
) -> None:
    person = add_account(sqlite_instance, roles={role})
    web = build(sqlite_instance).test_client()
    token = hidden(web.get("/sign-in"))
    web.post("/sign-in", data={"csrf": token, **typed(sqlite_instance, person)}, headers=OURS)
    allowed = {each for each in Permission if web.get(f"/trial/{each}").status_code == 200}
    refused = {each for each in Permission if web.get(f"/trial/{each}").status_code == 403}
    assert (allowed, refused) == (ROLE_PERMISSIONS[role], frozenset(Permission) - ROLE_PERMISSIONS[role])


def test_every_guarded_page_declares_what_it_needs(app: Flask) -> None:
    found = guards.guarded_routes(app)
    assert found["/trial", "GET"].permission is Permission.LIST_LEADS
    assert found["/trial/<uuid:lead_id>", "POST"].permission is Permission.VIEW_LEAD
    assert found["/trial/poll", "GET"].background
    assert {key for key, guard in found.items() if guard.permission is None} == OPEN_TO_ALL


def test_no_staff_page_forgot_its_guard(app: Flask) -> None:
    found = guards.guarded_routes(app)
    behind = {"login", "joining", "desk"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in behind]
    every = {(rule.rule, method) for rule in rules for method in rule.methods or ()}
    assert {key for key in every if key[1] not in ("HEAD", "OPTIONS")} <= set(found)
    assert every >= OPEN_TO_ALL


# --- how it looks ----------------------------------------------------------------------------------


def test_the_page_carries_the_crisis_lines_and_the_clinics_phone(web: FlaskClient) -> None:
    page = web.get("/sign-in")
    for number in ("tel:911", "tel:988", "sms:988", "AYUDA", "1-800-662-4357", "(305) 555-0142"):
        assert number in page.text


def test_nothing_of_it_stays_in_the_browser(web: FlaskClient) -> None:
    page = web.get("/sign-in")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@on_sqlite
@pytest.mark.parametrize(
    ("wish", "language", "words"),
    [
        ("es-MX,es;q=0.9,en;q=0.5", "es", "Entrar"),
        ("en-US", "en", "Sign in"),
        ("fr", "en", "Sign in"),
        ("", "en", "Sign in"),
    ],
)
def test_it_speaks_the_language_the_browser_asks_for(
    web: FlaskClient, wish: str, language: str, words: str
) -> None:
    page = web.get("/sign-in", headers={"Accept-Language": wish})
    assert f'<html lang="{language}">' in page.text
    assert f"<title>{words}</title>" in page.text
