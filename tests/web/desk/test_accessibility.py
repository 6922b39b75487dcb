"""Every page of the desk and of the doors before it, in every state, looked at in a browser (WCAG 2.2 AA).

One browser and one page for all of them: each is opened once and looked at at two widths, light and dark.
What a template is for is written beside it; a template that nothing here shows fails the last test.
"""

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import template_rendered
from playwright.sync_api import Browser, Page

from intake.accounts import credentials, invitations, sessions
from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.app import create_app
from intake.calling.hours import Window
from intake.casework.assignment import Selection, revoke
from intake.conf.clinic import Channel
from intake.core.paths import TEMPLATES
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import HoldReason, Lead, Outcome, Suspicion
from intake.privacy import legal_holds
from tests.browser import LOOKS, PATIENCE, axe_violations, serving, signed_in
from tests.client import NOWHERE
from tests.conftest import MovableClock, settings_for
from tests.factories import (
    Person,
    acting,
    add_account,
    given_aloud,
    hire,
    note,
    now,
    show,
    somebody,
    take,
)

pytestmark = pytest.mark.xdist_group("every page of the desk")
SIZES = [(390, False, None), (390, True, LOOKS), (1280, False, LOOKS), (1280, True, None)]
"""Width, dark, and which rules: what is built the same needs no second look, how it looks needs every one."""
TYPED = "Zaraïda Quickfeather"


@dataclass
class Eyes:
    """A busy clinic behind a real port, the page that looks at it, and which templates it was sent."""

    instance: Instance
    clock: MovableClock
    url: str
    page: Page
    ana: Member
    maria: Person
    leads: dict[str, Lead]
    shown: set[str] = field(default_factory=set)

    def come_in(self, whom: Member | None = None, *, minutes_ago: int = 0) -> None:
        """A session, Ana's unless said otherwise, whose second factor was given so long ago."""
        staff_id = (whom or self.ana).id
        self.clock.move(minutes=-minutes_ago)
        with self.instance.database.transaction() as session:
            token = sessions.begin(Act(session, self.instance), staff_id=staff_id)
        self.clock.move(minutes=minutes_ago)
        signed_in(self.page, self.url, token)

    def go(self, path: str) -> None:
        """Open a page; `{free}` is the id of that lead."""
        self.page.goto(self.url + path.format(**{name: lead.id for name, lead in self.leads.items()}))

    def send(self, path: str, at: str = "/desk/stop", **words: str | list[str]) -> None:
        """Send a form from a page that has a token, as a browser does."""
        self.go(at)
        target = path.format(**{name: lead.id for name, lead in self.leads.items()})
        with self.page.expect_navigation():
            self.page.evaluate(SEND, [target, words])


SEND = """([path, words]) => {
  const make = (tag, more) => Object.assign(document.createElement(tag), more);
  const form = make("form", { method: "post", action: path });
  const add = (name, value) => form.append(make("input", { type: "hidden", name, value }));
  const hidden = (name) => document.querySelector(`[name=${name}]`)?.value ?? "";
  for (const name of ["csrf", "token"]) add(name, hidden(name));
  for (const [name, value] of Object.entries(words)) for (const each of [value].flat()) add(name, each);
  document.body.append(form);
  form.submit();
}"""


# --- a busy clinic ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eyes(
    browser: Browser, _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Eyes]:
    folder = tmp_path_factory.mktemp("eyes")
    shutil.copyfile(_sqlite_template, folder / "intake.sqlite3")
    clock = MovableClock()
    settings = settings_for(folder, f"sqlite:///{folder}/intake.sqlite3")
    instance = Instance.from_settings(settings, clock=clock)
    app = create_app(instance)
    ana, maria = hire(instance, "Ana Ruiz", *Role), add_account(instance)
    leads = busy(instance, clock, ana)
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    with serving(app) as url:
        eyes = Eyes(instance, clock, url, context.new_page(), ana, maria, leads)

        def seen(_app: object, template: Any, **_: object) -> None:
            eyes.shown.add(template.name)

        with template_rendered.connected_to(seen, app):
            yield eyes
    context.close()
    instance.database.close()


def busy(instance: Instance, clock: MovableClock, ana: Member) -> dict[str, Lead]:
    """One lead for each state a page can be in."""
    ben = hire(instance, "Ben Ochoa")
    hire(instance, "Sue Perez", Role.SUPERVISOR)
    leads = {"late": in_any_way(instance, 1)}
    clock.move(minutes=150)
    names = ("free", "mine", "theirs", "closed", "stopped", "kept", "booked", "tried", "fetched", "noted")
    for place, name in enumerate(names, start=2):
        leads[name] = in_any_way(instance, place, language="es" if place % 2 else "en")
    leads["check"] = in_any_way(instance, 20, suspected=Suspicion.TOO_FAST)
    leads["later"] = in_any_way(instance, 21, windows=frozenset({Window.SATURDAY_MORNING}))
    show(instance, leads["mine"], ana)
    for name in ("theirs", "closed", "stopped", "booked", "tried"):
        take(instance, leads[name], ben)
    note(instance, leads["closed"], ben, Outcome.DECLINED)
    note(instance, leads["stopped"], ben, Outcome.ASKED_TO_STOP)
    note(instance, leads["booked"], ben, Outcome.BOOKED, booked_for=clock() + timedelta(hours=5))
    note(instance, leads["tried"], ben, Outcome.NO_ANSWER)
    officer = hire(instance, "Olga Paz", Role.PRIVACY_OFFICER)
    until = (clock() + timedelta(days=30)).date()
    acting(
        instance, leads["kept"], officer, legal_holds.place_hold, reason=HoldReason.COMPLAINT, last_day=until
    )
    take(instance, leads["fetched"], ana)
    leads["again"] = asked_again(instance, clock)
    clock.move(minutes=1)
    tom, picks = hire(instance, "Tom Diaz", Role.SUPERVISOR), [Selection(leads["fetched"].id, holder=ana.id)]
    with instance.database.transaction() as session:
        revoke(StaffAct(session, instance, tom), picks)
    return leads


def in_any_way(instance: Instance, place: int, **more: Any) -> Lead:
    """One more person, who may be contacted in every way."""
    return somebody(instance, place, **{"channels": frozenset(Channel), **more})


def asked_again(instance: Instance, clock: MovableClock) -> Lead:
    """Stopped first, then here again."""
    in_any_way(instance, 30)
    eva = hire(instance, "Eva Roy")
    with instance.database.transaction() as session:
        suppression.stop_contact(Act(session, instance, eva.actor), kind="phone", value="+13055550130")
    clock.move(minutes=2)
    return in_any_way(instance, 30)


# --- what is looked at --------------------------------------------------------------------------------------


def at(path: str) -> Callable[[Eyes], None]:
    return lambda eyes: eyes.go(path)


def sent(path: str, **words: Any) -> Callable[[Eyes], None]:
    return lambda eyes: eyes.send(path, **words)


def outcome_on_an_old_page(eyes: Eyes) -> None:
    eyes.go("/desk/leads/{theirs}")
    seen = re.search(r'name="seen" value="([^"]+)"', eyes.page.content())
    words = {"attempt": str(uuid.uuid4()), "outcome": "no_answer", "channel": "call", "version": "1"}
    lead = now(eyes.instance, eyes.leads["noted"])
    assert seen
    take(eyes.instance, lead, eyes.ana)
    note(eyes.instance, lead, eyes.ana, Outcome.NO_ANSWER)
    eyes.send("/desk/leads/{noted}/outcome", **words, seen=seen[1])


def booked_without_a_time(eyes: Eyes) -> None:
    eyes.go("/desk/leads/{mine}")
    eyes.page.get_by_role("button", name="Booked a consultation").click()
    eyes.page.get_by_role("alert").wait_for()


def undo_on_offer(eyes: Eyes) -> None:
    lead = in_any_way(eyes.instance, 40)
    take(eyes.instance, lead, eyes.ana)
    note(eyes.instance, lead, eyes.ana, Outcome.NO_ANSWER)
    eyes.leads["undoable"] = lead
    eyes.go("/desk/leads/{undoable}?message=noted")


def asks_once_more(eyes: Eyes) -> None:
    eyes.come_in(minutes_ago=6)
    eyes.send("/desk/accounts/invite", email="joe@example.org", name="Joe", role="coordinator")


def wrong_code(eyes: Eyes) -> None:
    eyes.come_in(eyes.maria.member, minutes_ago=6)
    right = {eyes.maria.code(eyes.instance, steps=step) for step in (-1, 0, 1)}
    wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in right)
    eyes.send("/desk/account/codes", again_code=wrong)


def found(eyes: Eyes) -> None:
    eyes.send("/desk/find", term="(305) 555-0104")


def phone_kept(eyes: Eyes) -> None:
    eyes.send("/desk/phone", at="/desk/phone?language=en", language="en", **given_aloud())


def phone_problems(eyes: Eyes) -> None:
    eyes.send(
        "/desk/phone",
        at="/desk/phone?language=es",
        language="es",
        **given_aloud(phone="1", region=""),
    )


def out(eyes: Eyes) -> None:
    eyes.page.context.clear_cookies()


def door(eyes: Eyes) -> None:
    out(eyes)
    eyes.go("/sign-in")


def refused(eyes: Eyes) -> None:
    door(eyes)
    eyes.send("/sign-in", at="/sign-in", email=eyes.maria.member.email, password="x", code="1", passkey="")


def stale_door(eyes: Eyes) -> None:
    door(eyes)
    eyes.send("/sign-in", at="/sign-in", email="", password="", csrf="another")


def ended_while_typing(eyes: Eyes) -> None:
    eyes.go("/desk/stop")
    out(eyes)
    with eyes.page.expect_navigation():
        eyes.page.evaluate(SEND, ["/desk/stop", {"term": TYPED}])


def arriving(eyes: Eyes) -> None:
    """A link from another site; the page that would follow by itself is held back."""
    out(eyes)
    calls = []

    def hold_back(route: Any) -> None:
        calls.append(route.request.url)
        route.continue_() if len(calls) == 1 else route.fulfill(status=204)

    eyes.page.route("**/desk/handover", hold_back)
    eyes.page.goto(eyes.url.replace("localhost", "127.0.0.1") + "/privacy")
    with eyes.page.expect_navigation():
        eyes.page.evaluate("(there) => { location.href = there }", f"{eyes.url}/desk/handover")


def invited_anew(eyes: Eyes) -> str:
    with eyes.instance.database.transaction() as session:
        email = f"{uuid.uuid4().hex[:8]}@example.org"
        made = invitations.invite(
            Act(session, eyes.instance), email=email, name="Joe", roles=[Role.COORDINATOR]
        )
    return made.token


def choosing(eyes: Eyes) -> None:
    eyes.page.goto("about:blank")
    eyes.page.goto(f"{eyes.url}/join#{invited_anew(eyes)}")
    eyes.page.get_by_role("button", name="Go on").click()
    eyes.page.locator("[name=password]").wait_for()


def choosing_badly(eyes: Eyes) -> None:
    choosing(eyes)
    eyes.page.locator("[name=password]").fill("short")
    eyes.page.locator("[name=code]").fill("1")
    eyes.page.locator("form button").last.click()
    eyes.page.locator("[aria-invalid]").first.wait_for()


def joined(eyes: Eyes) -> None:
    token = invited_anew(eyes)
    with eyes.instance.database.reading() as session:
        uri = invitations.find_open(Act(session, eyes.instance), token).totp_uri
    code = credentials.totp(_bytes(uri)).at(eyes.clock().timestamp())
    words = {"invitation": f"#{token}", "password": "bramble oxide lantern sofa", "code": code}
    eyes.send("/join", at="/join", **words)


def _bytes(uri: str) -> bytes:
    from base64 import b32decode  # noqa: PLC0415  only here

    return b32decode(credentials.secret_from_uri(uri))


def nothing_there(eyes: Eyes) -> None:
    eyes.come_in(eyes.maria.member)
    eyes.go(f"/desk/leads/{NOWHERE}")


PAGES: dict[str, tuple[str, Callable[[Eyes], None]]] = {
    "queue": ("queue", at("/desk")),
    "queue, said": ("queue", at("/desk?message=released")),
    "queue, booked": ("queue", at("/desk?show=booked")),
    "queue, closed": ("queue", at("/desk?show=closed")),
    "queue, nothing fits": ("queue", at("/desk?show=booked&language=es&channel=text&held=me")),
    **{
        f"lead, {name}": ("lead", at(f"/desk/leads/{{{name}}}"))
        for name in ("late", "free", "mine", "theirs", "closed", "stopped", "kept", "booked", "tried")
    },
    **{
        f"lead, {name}": ("lead", at(f"/desk/leads/{{{name}}}"))
        for name in ("fetched", "check", "later", "again")
    },
    "lead, undo on offer": ("lead", undo_on_offer),
    "lead, refused": ("lead", sent("/desk/leads/{theirs}/reveal", channel="call")),
    "lead, no time chosen": ("lead", booked_without_a_time),
    "lead, changed": ("lead_changed", outcome_on_an_old_page),
    "find": ("find", found),
    "find, refused": ("find", sent("/desk/find", term=TYPED)),
    "phone": ("phone", at("/desk/phone")),
    "phone, in Spanish": ("phone", at("/desk/phone?language=es")),
    "phone, problems": ("phone", phone_problems),
    "phone, kept": ("phone_kept", phone_kept),
    "hand-over": ("handover", at("/desk/handover?message=released_all")),
    "team": ("team", at("/desk/team?message=shared")),
    "team, problem": ("team", sent("/desk/team/share", at="/desk/team")),
    "hours": ("hours", at("/desk/hours")),
    "numbers": ("numbers", at("/desk/numbers")),
    "stop": ("stop", at("/desk/stop?message=contact_stopped")),
    "stop, problem": ("stop", sent("/desk/stop", term=TYPED)),
    "holds": ("holds", at("/desk/holds")),
    "log": ("log", at("/desk/log")),
    "log, nothing": ("log", at("/desk/log?action=backup.restored")),
    "log, verified": ("log", sent("/desk/log/verify")),
    "looks": ("officer_looks", at("/desk/leads/{mine}/looks")),
    "statements": ("officer_statements", at("/desk/statements")),
    "stops": ("officer_stops", at("/desk/stops")),
    "evidence": ("evidence", at("/desk/evidence")),
    "service": ("service_doctor", at("/desk/service")),
    "service, mail": ("service_mail", at("/desk/service/mail")),
    "service, rounds": ("service_jobs", at("/desk/service/rounds")),
    "service, settings": ("service_settings", at("/desk/service/settings")),
    "accounts": ("accounts", at("/desk/accounts")),
    "accounts, problems": ("accounts", sent("/desk/accounts/invite", email="", name="")),
    "accounts, invited": (
        "accounts_invited",
        sent("/desk/accounts/invite", email="new@example.org", name="New", role="coordinator"),
    ),
    "account": ("account", at("/desk/account?message=session_ended")),
    "account, problems": ("account", sent("/desk/account/password", password="short", repeated="x")),
    "account, passkey": ("account", sent("/desk/account/passkeys", passkey="{}")),
    "account, codes": ("account_codes", sent("/desk/account/codes")),
    "account, stay": ("account_stay", at("/desk/account/stay")),
    "factor": ("account_factor", at("/desk/account/factor")),
    "factor, problem": ("account_factor", sent("/desk/account/factor", nonce="n", new_code="1")),
    "once more": ("account_confirm", asks_once_more),
    "once more, wrong": ("account_confirm", wrong_code),
    "sign-in": ("sign_in", door),
    "sign-in, refused": ("sign_in", refused),
    "sign-in, stale": ("sign_in", stale_door),
    "sign-in, typed words kept": ("sign_in", ended_while_typing),
    "arriving": ("arriving", arriving),
    "joining": ("account_join", at("/join")),
    "joining, no such": ("account_join", sent("/join", at="/join", invitation="x")),
    "joining, choose": ("account_choose", choosing),
    "joining, problems": ("account_choose", choosing_badly),
    "joining, done": ("account_joined", joined),
    "nothing there": ("", nothing_there),
}
FRAMES = {"gateway", "layout"}


@pytest.mark.parametrize("name", PAGES)
def test_it_reads_well_at_both_widths_light_and_dark(eyes: Eyes, name: str) -> None:
    template, visit = PAGES[name]
    eyes.page.unroute_all()
    eyes.come_in()
    eyes.shown.clear()
    visit(eyes)
    eyes.page.wait_for_load_state()  # what a visit waited for may stand above what is still to come
    assert not template or f"desk/{template}.html" in eyes.shown
    eyes.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    for width, dark, rules in SIZES:
        eyes.page.emulate_media(color_scheme="dark" if dark else "light")
        eyes.page.set_viewport_size({"width": width, "height": 900})
        eyes.page.evaluate("scrollTo(0, 0)")  # what is half under the bar at the top can be scrolled out
        assert axe_violations(eyes.page, rules) == [], (width, dark)
        assert fits(eyes.page), (width, dark)
    for width in (320, 768):
        eyes.page.set_viewport_size({"width": width, "height": 900})
        assert fits(eyes.page), width


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_no_template_of_the_desk_was_left_out() -> None:
    whole = {path.stem for path in (TEMPLATES / "desk").glob("[a-z]*.html")}
    included = {each for each in whole if _is_included(each)}
    assert whole - included - FRAMES == {template for template, _ in PAGES.values()} - {""}


def _is_included(name: str) -> bool:
    parts = (path.read_text() for path in (TEMPLATES / "desk").glob("*.html"))
    return any(f'include "desk/{name}.html"' in part for part in parts)
