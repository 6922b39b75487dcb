"""Three coordinators over the same forty requests: nobody is called twice, nobody outside what they allowed.

They open the queue, dial whoever the screen shows, and say how it went, as fast as they can and without
a word to each other; meanwhile some people take their request back.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import SimpleNamespace

from playwright.sync_api import Page
from sqlalchemy import select

from intake import audit
from intake.accounts.permissions import Member
from intake.act import Act
from intake.app import create_app
from intake.audit import Action, AuditEvent
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.jobs import schedule
from intake.leads.models import Attempt, CloseReason, Lead
from intake.leads.submission import Submitted
from intake.privacy import self_service
from tests.browser import serving, signed_in
from tests.client import Desk, token_of
from tests.factories import ask, every, hire

COUNT, TURNS = 40, 9
Calls = tuple[Member, list[str]]
"""Who dialled whom, in order."""
_ROW = re.compile(r'href="/desk/leads/([0-9a-f-]{36})')
_NUMBER = re.compile(r'href="tel:\+130555501[0-3][0-9]"')
_GOES = ("no_answer", "reached", "voicemail_left", "declined", "another_time")


def ask_forty(instance: Instance) -> list[Submitted]:
    """Of each ten: one only in the evening, one only by email, and two requests of one person."""
    return [_ask(instance, index) for index in range(COUNT)]


def _ask(instance: Instance, index: int) -> Submitted:
    number = f"+1305555{100 + index - (index % 10 == 4):04}"
    plain = {"phone": number, "email": f"person.{index}@example.org", "voicemail": True}
    if index % 10 == 2:
        plain |= {"phone": None, "channels": frozenset({Channel.EMAIL})}
    evening = frozenset({Window.WEEKDAY_EVENING})
    return ask(instance, **plain, windows=evening if index % 10 == 1 else frozenset({Window.ANY}))


class Coordinator:
    """One coordinator at their own screen; remembers whom they dialled, in order."""

    def __init__(self, instance: Instance, name: str, seed: int) -> None:
        self.desk = Desk(instance, hire(instance, name))
        self.chance = random.Random(seed)  # noqa: S311  a drill, repeatable
        self.dialled: list[str] = []
        self.answers: Counter[int] = Counter()

    def work(self, ready: threading.Barrier) -> None:
        """Take three at random from the queue as it is now, again and again."""
        ready.wait()
        for _ in range(TURNS):
            rows = list(dict.fromkeys(_ROW.findall(self.desk.get("/desk").text)))
            for lead_id in self.chance.sample(rows, min(3, len(rows))):
                self._dial(lead_id)

    def _dial(self, lead_id: str) -> None:
        page = self.desk.post(f"/desk/leads/{lead_id}/reveal", channel="call")
        self.answers[page.status_code] += 1
        if page.status_code == HTTPStatus.OK and _NUMBER.search(page.text):
            self.dialled.append(lead_id)
            lead = SimpleNamespace(id=lead_id)
            self.answers[self.desk.note(lead, self.chance.choice(_GOES)).status_code] += 1


class AtABrowser:
    """A fourth, at a real screen: opens a request from the queue, reveals, dials, presses the key twice."""

    def __init__(self, instance: Instance, page: Page, url: str) -> None:
        self.member = hire(instance, "Dana")
        self.page = signed_in(page, url, token_of(instance, self.member))
        self.chance = random.Random(40)  # noqa: S311  a drill, repeatable
        self.dialled: list[str] = []

    def begin(self) -> None:
        """Reach somebody before the others come: a slow screen may leave her nobody later."""
        for _ in range(COUNT):
            if not self.dialled:
                self._take_one()

    def work(self) -> None:
        """One at random from the queue as the screen shows it, again and again."""
        for _ in range(TURNS):
            self._take_one()

    def _take_one(self) -> None:
        self.page.goto("/desk")
        links = self.page.locator(".lead .who a").all()
        if links:
            self._dial(self.chance.choice(links).get_attribute("href") or "")

    def _dial(self, path: str) -> None:
        self.page.goto(path)
        number = self.page.get_by_role("button", name="Reveal number", exact=True)
        if not number.and_(self.page.locator("[data-key=r]")).count():
            return
        self._press("r")
        if _NUMBER.search(self.page.content()):
            self.dialled.append(path.rpartition("/")[2])
            self.page.keyboard.press("4")
            self._press("4")

    def _press(self, key: str) -> None:
        with self.page.expect_navigation():
            self.page.keyboard.press(key)


def take_back(instance: Instance, asked: Sequence[Submitted], ready: threading.Barrier) -> None:
    """Some people end it while the desk is at work."""
    ready.wait()
    for each in asked:
        with instance.database.transaction() as session:
            self_service.stop(Act(session, instance), code=each.code)


def test_three_coordinators_over_the_same_forty_requests(instance: Instance) -> None:
    asked = ask_forty(instance)
    staff = [Coordinator(instance, name, seed) for seed, name in enumerate(("Ana", "Ben", "Cleo"))]
    with at_work(instance, asked, staff):
        pass
    check(instance, asked, staff, [(each.desk.member, each.dialled) for each in staff])


def test_two_of_them_and_one_in_a_browser(sqlite_instance: Instance, page_at: Callable[..., Page]) -> None:
    asked = ask_forty(sqlite_instance)
    staff = [Coordinator(sqlite_instance, name, seed) for seed, name in enumerate(("Ana", "Ben"))]
    with serving(create_app(sqlite_instance)) as url:
        dana = AtABrowser(sqlite_instance, page_at(1280, base_url=url), url)
        dana.begin()
        with at_work(sqlite_instance, asked, staff):
            dana.work()
    assert dana.dialled
    dialled = [(each.desk.member, each.dialled) for each in staff]
    check(sqlite_instance, asked, staff, [*dialled, (dana.member, dana.dialled)])


@contextmanager
def at_work(instance: Instance, asked: Sequence[Submitted], staff: Sequence[Coordinator]) -> Iterator[None]:
    """They begin together, and some people take back what they asked meanwhile; ends when all are done."""
    ready = threading.Barrier(len(staff) + 1)
    threads = [threading.Thread(target=each.work, args=(ready,)) for each in staff]
    threads.append(threading.Thread(target=take_back, args=(instance, asked[5::10], ready)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:  # also where the screen has failed: nobody may be at work in the next test
        for thread in threads:
            thread.join()


def check(
    instance: Instance, asked: Sequence[Submitted], staff: Sequence[Coordinator], calls: Sequence[Calls]
) -> None:
    dialled = [lead_id for _, each in calls for lead_id in each]
    assert len(dialled) > len(asked) / 4, "the drill called too few to show anything"
    assert {code for each in staff for code in each.answers} <= {200, 302, 303, 404, 409}
    check_nobody_was_called_twice(instance, dialled)
    check_nobody_was_called_outside_their_gate(asked, dialled)
    check_the_log(instance, calls)


def check_nobody_was_called_twice(instance: Instance, dialled: Sequence[str]) -> None:
    """Neither by their request nor by their number: who asked twice is one person."""
    assert max(Counter(dialled).values()) == 1
    numbers = Counter(lead.phone_index for lead in every(instance, Lead) if str(lead.id) in dialled)
    assert max(numbers.values()) == 1


def check_nobody_was_called_outside_their_gate(asked: Sequence[Submitted], dialled: Sequence[str]) -> None:
    never = {str(each.lead.id) for index, each in enumerate(asked) if index % 10 in {1, 2}}
    assert not never & set(dialled)


def check_the_log(instance: Instance, calls: Sequence[Calls]) -> None:
    """Every look at a number, every outcome and every stop stands there, and nothing else of the kind.

    Whoever notes an outcome sees the number once more on the way, and that is one more look.
    """
    schedule.link(instance)
    with instance.database.reading() as session:
        acts = list(session.execute(select(AuditEvent.action, AuditEvent.actor_id, AuditEvent.about)))
        assert audit.verify(session, keyring=instance.keyring).intact
        attempts = Counter(session.scalars(select(Attempt.lead_id)))
        stopped = set(session.scalars(select(Lead.id).where(Lead.close_reason == CloseReason.STOPPED)))
    seen = {(actor, str(about)) for action, actor, about in acts if action == Action.LEAD_REVEALED}
    assert seen == {(member.id, lead_id) for member, dialled in calls for lead_id in dialled}
    assert Counter(about for action, _, about in acts if action == Action.ATTEMPT_LOGGED) == attempts
    assert {about for action, _, about in acts if action == Action.LEAD_STOPPED} == stopped
