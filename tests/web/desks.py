"""A desk for the tests: somebody signed in, and what the pages say."""

import re
import uuid
from datetime import timedelta
from html import unescape

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from intake.accounts import sessions
from intake.accounts.permissions import Member
from intake.act import Act
from intake.app import create_app
from intake.instance import Instance
from intake.leads.models import Lead
from tests.leads.asking import EMAIL, NAME, PHONE

OURS = {"Sec-Fetch-Site": "same-origin"}
SHOWN = "(305) 555-0123"
_LOCAL = tuple(f"{before}555-0123" for before in ' -.>"\N{NO-BREAK SPACE}')
"""Each with a sign in front: `555-0123` alone stands, by chance, across a hyphen of a random id."""
CANARIES = (NAME, *NAME.split(), PHONE, PHONE[2:], SHOWN, *_LOCAL, EMAIL, EMAIL.partition("@")[0])
"""What stands on no page before a reveal; nothing that the figures and letters of an id can be."""


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


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"no field {name} on the page"
    return unescape(found[1])


def words(page: str) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


NOWHERE = uuid.UUID("00000000-0000-4000-8000-00000000dead")
