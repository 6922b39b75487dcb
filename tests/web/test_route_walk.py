"""Every address, by every way of asking, by everybody: one table says who may (W1)."""

import itertools
from collections.abc import Iterator

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from intake.accounts import sessions
from intake.accounts.models import Role, StaffRole
from intake.act import Act
from intake.app import create_app
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.web.auth import csrf, guards
from tests.client import NOWHERE, OURS
from tests.factories import add_account

C, S, P, A = Role.COORDINATOR, Role.SUPERVISOR, Role.PRIVACY_OFFICER, Role.ADMIN
ALL = frozenset(Role)
NOBODY: frozenset[Role] = frozenset()
EVERYBODY = None
"""No door at all: also whoever is not signed in, and whoever has no role."""
CALLING, REQUESTS = frozenset({C, S}), frozenset({C, S, P})
NUMBERS = frozenset({S, P})

PUBLIC = {
    "GET /": EVERYBODY,
    "POST /": EVERYBODY,
    "GET /card": EVERYBODY,
    "GET /exit": EVERYBODY,
    "GET /manage": EVERYBODY,
    "POST /manage": EVERYBODY,
    "GET /manage/<any(stop, drop, windows, contact, erase, copy, 'without-code'):_act>": EVERYBODY,
    "POST /manage/contact": EVERYBODY,
    "POST /manage/copy": EVERYBODY,
    "POST /manage/drop": EVERYBODY,
    "POST /manage/erase": EVERYBODY,
    "POST /manage/stop": EVERYBODY,
    "POST /manage/windows": EVERYBODY,
    "POST /manage/without-code": EVERYBODY,
    "GET /privacy": EVERYBODY,
    "GET /receipt": EVERYBODY,
    "POST /receipt": EVERYBODY,
    "GET /robots.txt": EVERYBODY,
    "GET /safety": EVERYBODY,
    "GET /under-18": EVERYBODY,
}
STAFF = {
    "GET /desk": REQUESTS,
    "POST /desk/find": REQUESTS,
    "POST /desk/give-back": CALLING,
    "GET /desk/handover": REQUESTS,
    "GET /desk/hours": ALL,
    "GET /desk/team": frozenset({S}),
    "POST /desk/team/share": frozenset({S}),
    "POST /desk/team/take-back": frozenset({S}),
    "GET /desk/rows": REQUESTS,
    "GET /desk/leads/<uuid:lead_id>": REQUESTS,
    "POST /desk/leads/<uuid:lead_id>/again": REQUESTS,
    "POST /desk/leads/<uuid:lead_id>/claim": CALLING,
    "POST /desk/leads/<uuid:lead_id>/close": CALLING,
    "POST /desk/leads/<uuid:lead_id>/give-back": CALLING,
    "POST /desk/leads/<uuid:lead_id>/hold": frozenset({P}),
    "POST /desk/leads/<uuid:lead_id>/lift": CALLING,
    "POST /desk/leads/<uuid:lead_id>/note": CALLING,
    "POST /desk/leads/<uuid:lead_id>/outcome": CALLING,
    "POST /desk/leads/<uuid:lead_id>/release": frozenset({P}),
    "POST /desk/leads/<uuid:lead_id>/reveal": CALLING,
    "POST /desk/leads/<uuid:lead_id>/undo": CALLING,
    "GET /desk/holds": frozenset({P}),
    "POST /desk/holds/postpone": frozenset({P}),
    "GET /desk/log": frozenset({P}),
    "POST /desk/log/find": frozenset({P}),
    "POST /desk/log/save": frozenset({P}),
    "POST /desk/log/verify": frozenset({P}),
    "GET /desk/leads/<uuid:lead_id>/looks": frozenset({P}),
    "GET /desk/statements": frozenset({P}),
    "GET /desk/stops": frozenset({P}),
    "GET /desk/numbers": NUMBERS,
    "POST /desk/numbers/save": NUMBERS,
    "GET /desk/phone": CALLING,
    "POST /desk/phone": CALLING,
    "GET /desk/stop": REQUESTS,
    "POST /desk/stop": REQUESTS,
    "GET /desk/account": ALL,
    "GET /desk/account/factor": ALL,
    "POST /desk/account/factor": ALL,
    "GET /desk/account/left": ALL,
    "GET /desk/account/stay": ALL,
    "POST /desk/account/password": ALL,
    "POST /desk/account/codes": ALL,
    "POST /desk/account/passkeys": ALL,
    "POST /desk/account/passkeys/<uuid:passkey_id>/remove": ALL,
    "POST /desk/account/sessions/end-others": ALL,
    "POST /desk/account/sessions/<uuid:session_id>/end": ALL,
    "GET /desk/accounts": frozenset({A}),
    "POST /desk/accounts/invite": frozenset({A}),
    "POST /desk/accounts/<uuid:staff_id>/roles": frozenset({A}),
    "POST /desk/accounts/<uuid:staff_id>/disable": frozenset({A}),
    "POST /desk/accounts/<uuid:staff_id>/enable": frozenset({A}),
    "POST /desk/accounts/<uuid:staff_id>/reset": frozenset({A}),
    "GET /desk/evidence": frozenset({P, A}),
    "POST /desk/evidence/save": frozenset({P, A}),
    "GET /desk/service": frozenset({A}),
    "GET /desk/service/mail": frozenset({A}),
    "POST /desk/service/mail/again": frozenset({A}),
    "POST /desk/service/mail/<uuid:message_id>/again": frozenset({A}),
    "GET /desk/service/rounds": frozenset({A}),
    "GET /desk/service/settings": frozenset({A}),
}
DOORS = {
    "GET /join": EVERYBODY,
    "GET /sign-in": EVERYBODY,
    "POST /sign-out": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /static/<path:filename>": EVERYBODY,
}
APART = {
    "POST /join": "asks for the nonce of its own page; tests/web/desk/test_accounts.py",
    "POST /sign-in": "refuses with the page and 422; tests/web/auth/test_login.py",
    "GET /metrics": "for whoever has the token; tests/monitoring/test_checks.py",
    "GET /dev/mail": "is there in development only; tests/outbox/test_dev_mail.py",
}
"""Doors of another kind, with what stands in front of them and the tests of that."""
SPANISH = {
    f"{method} /es{path}": who for (method, path), who in ((k.split(" ", 1), v) for k, v in PUBLIC.items())
}
WHO = {**PUBLIC, **SPANISH, **STAFF, **DOORS}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "OPTIONS")
FILLED = {"filename": "site.css", "_act": "stop"}
WAYS_IN: dict[str, frozenset[Role] | None] = {
    **{role.value: frozenset({role}) for role in Role},
    "none": NOBODY,
}


def routes(app: Flask) -> Iterator[tuple[str, Rule]]:
    """Every route by every method that changes or shows something."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield f"{method} {rule.rule}", rule


def address(rule: Rule) -> str:
    """A path that this very rule answers."""
    built = rule.build({name: FILLED.get(name, NOWHERE) for name in rule.arguments}, append_unknown=False)
    assert built
    return built[1]


class Somebody:
    """A browser, signed in as whoever has just these roles, or as nobody."""

    def __init__(self, app: Flask, instance: Instance, roles: frozenset[Role] | None) -> None:
        self.web: FlaskClient = app.test_client()
        self.csrf = ""
        if roles is not None:
            self.sign_in(app, instance, roles)

    def sign_in(self, app: Flask, instance: Instance, roles: frozenset[Role]) -> None:
        person = add_account(instance, f"{'-'.join(sorted(roles)) or 'none'}@example.org", roles=roles or ALL)
        with instance.database.transaction() as session:
            if not roles:
                session.query(StaffRole).filter_by(staff_id=person.member.id).delete()
            token = sessions.begin(Act(session, instance), staff_id=person.member.id)
        self.web.set_cookie("intake", token, path="/")
        with app.test_request_context(headers={"Cookie": f"intake={token}"}):
            guards.current_member(touch=False)
            self.csrf = csrf.csrf_token()
            g.pop("found")

    def ask(self, method: str, path: str) -> TestResponse:
        """Ask as our own page would, and read the answer to its end."""
        sent = {"csrf": self.csrf} if method == "POST" else None
        return self.web.open(path, method=method, data=sent, headers=OURS, buffered=True)


def passed(answer: TestResponse) -> bool:
    """Whether the door let them through; what stands behind it may still say 404, 409 or 422."""
    to_the_door = answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in")
    assert answer.status_code < 500
    return answer.status_code not in (401, 403) and not to_the_door


@pytest.fixture
def somebody(app: Flask, sqlite_instance: Instance, request: pytest.FixtureRequest) -> Somebody:
    return Somebody(app, sqlite_instance, request.param)


def test_every_route_is_on_the_table_and_no_other(app: Flask) -> None:
    assert {name for name, _ in routes(app)} == {*WHO, *APART}


def test_both_languages_are_open_alike(app: Flask) -> None:
    assert len(LANGUAGES) == 2
    assert len(SPANISH) == len(PUBLIC)


@pytest.mark.parametrize("somebody", WAYS_IN.values(), ids=WAYS_IN, indirect=True)
def test_whoever_is_signed_in_may_what_the_table_says(
    app: Flask, somebody: Somebody, request: pytest.FixtureRequest
) -> None:
    roles = request.node.callspec.params["somebody"]
    expected = {name: who is EVERYBODY or bool(who & roles) for name, who in WHO.items()}
    found = {}
    for name, rule in routes(app):
        if name in WHO and rule.endpoint != "login.sign_out":
            answer = somebody.ask(name.split()[0], address(rule))
            found[name] = passed(answer)
            assert found[name] or answer.status_code == 403, name
    del expected["POST /sign-out"]
    assert found == expected


def test_without_a_session_a_page_leads_to_the_sign_in_and_a_poll_gets_401(
    app: Flask, sqlite_instance: Instance
) -> None:
    stranger = Somebody(app, sqlite_instance, None)
    background = {key for key, guard in guards.guarded_routes(app).items() if guard.background}
    for name, rule in routes(app):
        if name in APART:
            continue
        method = name.split()[0]
        answer = stranger.ask(method, address(rule))
        if WHO[name] is EVERYBODY:
            assert passed(answer) or name == "POST /sign-out", name
        elif method == "GET" and (rule.rule, method) not in background:
            assert answer.headers.get("Location", "").startswith("/sign-in?next="), name
        else:
            assert answer.status_code == 401, name


def test_a_role_more_never_takes_anything_away() -> None:
    """The table is a union, as the permissions are: every way to hold roles is held against it."""
    for some in itertools.chain.from_iterable(itertools.combinations(Role, n) for n in range(5)):
        open_to = {name for name, who in WHO.items() if who is EVERYBODY or who & set(some)}
        singly = [{name for name, who in WHO.items() if who is EVERYBODY or role in who} for role in some]
        assert open_to == set().union(*singly) | {name for name, who in WHO.items() if who is EVERYBODY}


def test_no_other_method_does_anything(app: Flask, sqlite_instance: Instance) -> None:
    """What a route does not name is answered 405 to everybody, also to whoever may do everything."""
    everything = Somebody(app, sqlite_instance, ALL)
    known = app.url_map.bind("localhost").allowed_methods
    for path in sorted({address(rule) for rule in app.url_map.iter_rules()}):
        for method in sorted(set(METHODS) - set(known(path))):
            assert everything.ask(method, path).status_code == 405, (method, path)


def test_production_has_no_route_more(make_instance, sqlite_url: str) -> None:
    live = create_app(make_instance(sqlite_url, mode="production", base_url="https://ask.example.org"))
    assert {name for name, _ in routes(live)} == {*WHO, *APART} - {"GET /dev/mail"}
