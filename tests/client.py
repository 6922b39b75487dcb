"""A browser without a screen: pages that are read, forms filled in, a desk where somebody is signed in."""

import dataclasses
import re
import uuid
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from intake.accounts import sessions
from intake.accounts.permissions import Member
from intake.act import Act
from intake.app import create_app
from intake.instance import Instance
from intake.leads.models import Lead
from tests.factories import EMAIL, NAME, PHONE, SHOWN, answers, given_aloud

NOWHERE = uuid.UUID("00000000-0000-4000-8000-00000000dead")
"""The id of nothing."""
OURS = {"Sec-Fetch-Site": "same-origin"}
_LOCAL = tuple(f"{before}555-0123" for before in ' -.>"\N{NO-BREAK SPACE}')
"""Each with a sign in front: `555-0123` alone stands, by chance, across a hyphen of a random id."""
CANARIES = (NAME, *NAME.split(), PHONE, PHONE[2:], SHOWN, *_LOCAL, EMAIL, EMAIL.partition("@")[0])
"""What stands on no page before a reveal; nothing that the figures and letters of an id can be."""


# --- pages -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Element:
    """One start tag with its attributes, and the words inside it."""

    tag: str
    attributes: dict[str, str]
    words: str = ""


@dataclasses.dataclass
class Page:
    """Every element of a page, flat."""

    elements: list[Element] = dataclasses.field(default_factory=list)

    def all(self, tag: str, **wanted: str) -> list[Element]:
        """The elements of one kind whose attributes have these values (`class_` for `class`)."""
        wanted = {name.rstrip("_"): value for name, value in wanted.items()}
        return [
            each
            for each in self.elements
            if each.tag == tag and all(each.attributes.get(name) == value for name, value in wanted.items())
        ]

    def one(self, tag: str, **wanted: str) -> Element:
        """The only such element."""
        (found,) = self.all(tag, **wanted)
        return found

    def typed(self, name: str) -> str:
        """What stands in a text box."""
        return self.one("input", name=name).attributes.get("value", "")

    def ticked(self, name: str) -> set[str]:
        """The values that are ticked or chosen under a name."""
        boxes = self.all("input", name=name)
        return {each.attributes["value"] for each in boxes if "checked" in each.attributes}

    @property
    def chosen(self) -> str:
        """The state that is chosen in the list."""
        return next(
            (each.attributes["value"] for each in self.all("option") if "selected" in each.attributes), ""
        )

    @property
    def title(self) -> str:
        """The words of the tab."""
        return self.one("title").words


class _Reader(HTMLParser):
    """Collects elements; words count for every element that is open."""

    EMPTY = frozenset({"meta", "link", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.page, self.open = Page(), []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.page.elements.append(element)
        if tag not in self.EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if any(each.tag == tag for each in self.open):
            while self.open.pop().tag != tag:
                continue

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.words += data


def read(response: TestResponse) -> Page:
    """The page in an answer."""
    reader = _Reader()
    reader.feed(response.get_data(as_text=True))
    for each in reader.page.elements:
        each.words = " ".join(each.words.split())
    return reader.page


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"no field {name} on the page"
    return unescape(found[1])


def words(page: str) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def code_on(page: Page) -> str:
    """The private code on a confirmation."""
    return re.sub(r"\s", "", page.one("output", id="code-words").words)


def fill_in(web: FlaskClient, path: str = "/", **changes: object) -> dict[str, object]:
    """Good answers on a fresh page; a change to None leaves the question out."""
    return answers(**{"token": read(web.get(path)).typed("token"), **changes})


# --- the desk ----------------------------------------------------------------------------------------------


def token_of(instance: Instance, member: Member) -> str:
    """A session that begins now."""
    with instance.database.transaction() as session:
        return sessions.begin(Act(session, instance), staff_id=member.id)


class Desk:
    """One signed-in browser without a screen."""

    def __init__(self, instance: Instance, member: Member) -> None:
        self.instance, self.member = instance, member
        self.web: FlaskClient = create_app(instance).test_client()
        self.sign_in()

    def sign_in(self) -> None:
        """Begin a session; sessions end when nobody does anything for a while."""
        token = token_of(self.instance, self.member)
        self.web.set_cookie("intake", token, path="/", samesite="Strict", httponly=True)
        self.seen = self.instance.clock()

    def get(self, path: str, **headers: str) -> TestResponse:
        """Open a page, signing in anew when the clock was moved far."""
        if abs(self.instance.clock() - self.seen) > timedelta(minutes=10):
            self.sign_in()
        return self.web.get(path, headers=headers)

    def lead(self, lead: Lead) -> str:
        """The HTML of a lead's page."""
        return self.get(f"/desk/leads/{lead.id}").text

    def csrf(self) -> str:
        """The token that our forms carry."""
        return field(self.get("/desk/stop").text, "csrf")

    def post(self, path: str, **words: object) -> TestResponse:
        """Send a form as our own page would."""
        return self.web.post(path, data={"csrf": self.csrf(), **words}, headers=OURS)

    def act(self, lead: Lead, act: str, **words: object) -> TestResponse:
        """Send one of the forms on a lead's page."""
        return self.post(f"/desk/leads/{lead.id}/{act}", **words)

    def note(self, lead: Lead, outcome: str, **words: object) -> TestResponse:
        """Press an outcome's button on a fresh page."""
        page = self.lead(lead)
        sent = {
            "attempt": field(page, "attempt"),
            "version": field(page, "version"),
            "channel": "call",
            "outcome": outcome,
        }
        return self.act(lead, "outcome", **{**sent, **words})

    def take_down(self, language: str = "en", **changes: object) -> TestResponse:
        """Go through the sheet for a request by phone and keep it; a change to None leaves an answer out."""
        page = self.get(f"/desk/phone?language={language}").text
        own = {name: field(page, name) for name in ("token", "csrf")}
        data = given_aloud(**{**own, "language": language, **changes})
        return self.web.post("/desk/phone", data=data, headers=OURS)
