"""Passkeys with Chromium's own authenticator, and the warning before the end."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from intake.app import create_app
from intake.instance import Instance
from tests.browser import serving
from tests.conftest import MovableClock
from tests.factories import Person, add_account
from tests.web.auth.test_login_in_a_browser import sign_in


@pytest.fixture
def served(make_instance: Callable[..., Instance], sqlite_url: str) -> Iterator[tuple[Instance, str]]:
    """An application that knows its own port, because passkeys are bound to it."""
    apps: list[object] = []
    with serving(lambda *call: apps[0](*call)) as address:  # noqa: PLW0108  it is built later
        instance = make_instance(sqlite_url, base_url=address)
        apps.append(create_app(instance))
        yield instance, address


@pytest.fixture
def maria(served: tuple[Instance, str]) -> Person:
    return add_account(served[0])


def authenticator(page: Page) -> None:
    """A device that always knows its owner."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_added_opens_and_is_removed(
    page_at: Callable[..., Page], served: tuple[Instance, str], maria: Person, clock: MovableClock
) -> None:
    instance, address = served
    page = page_at()
    authenticator(page)
    page.goto(f"{address}/sign-in")
    sign_in(page, instance, maria)
    page.wait_for_url(f"{address}/desk")
    page.goto(f"{address}/desk/account")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("The passkey is added.").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{address}/desk")
    clock.move(minutes=6)
    page.goto(f"{address}/desk/account")
    page.get_by_role("button", name="Remove the passkey").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_text("The passkey is removed.").wait_for()


def test_two_minutes_before_the_end_one_key_extends_it(
    page_at: Callable[..., Page], served: tuple[Instance, str], maria: Person, clock: MovableClock
) -> None:
    instance, address = served
    page = page_at()
    page.clock.install()
    page.goto(f"{address}/sign-in")
    sign_in(page, instance, maria)
    page.wait_for_url(f"{address}/desk")
    assert not page.get_by_text("Stay signed in", exact=True).is_visible()
    clock.move(minutes=13, seconds=1)
    page.clock.run_for(13 * 60_000 + 1_000)
    page.get_by_text("In two minutes your session ends.").wait_for()
    page.keyboard.press("t")
    page.get_by_text("In two minutes your session ends.").wait_for(state="hidden")
    clock.move(minutes=14)
    assert page.request.get(f"{address}/desk/account/left").json() == {"seconds": 60}
