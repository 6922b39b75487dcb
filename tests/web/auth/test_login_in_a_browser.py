"""The staff door in Chromium: where the focus goes, and a link from somebody's web mail."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from intake.app import create_app
from intake.instance import Instance
from tests.browser import serving
from tests.factories import Person, add_account
from tests.web.auth.test_login import ROW, trial_pages


@pytest.fixture
def maria(sqlite_instance: Instance) -> Person:
    return add_account(sqlite_instance)


@pytest.fixture
def port(sqlite_instance: Instance, maria: Person) -> Iterator[int]:
    """A served application with a few pages behind the guard."""
    app = create_app(sqlite_instance)
    app.register_blueprint(trial_pages())
    with serving(app) as url:
        yield int(url.rpartition(":")[2])


def sign_in(page: Page, instance: Instance, person: Person, code: str | None = None) -> None:
    page.get_by_label("Work email").fill(person.member.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_label("Code from your authenticator app").fill(code or person.code(instance))
    page.get_by_role("button", name="Sign in").click()


def test_after_a_refusal_the_focus_is_on_the_problem(
    page_at: Callable[..., Page], port: int, sqlite_instance: Instance, maria: Person
) -> None:
    page = page_at(320)
    page.goto(f"http://127.0.0.1:{port}/sign-in")
    sign_in(page, sqlite_instance, maria, code="000000")
    expect(page.get_by_role("alert")).to_be_focused()


def test_it_works_without_scripts_and_by_keyboard_alone(
    page_at: Callable[..., Page], port: int, sqlite_instance: Instance, maria: Person
) -> None:
    page = page_at(javascript=False)
    page.goto(f"http://127.0.0.1:{port}/trial")
    page.get_by_label("Work email").focus()
    page.keyboard.type(maria.member.email)
    page.keyboard.press("Tab")
    page.keyboard.type(maria.password)
    page.keyboard.press("Tab")
    page.keyboard.type(maria.code(sqlite_instance))
    page.keyboard.press("Enter")
    page.wait_for_url(f"http://127.0.0.1:{port}/trial")


def test_a_link_in_web_mail_opens_the_page_for_who_is_signed_in(
    page_at: Callable[..., Page], port: int, sqlite_instance: Instance, maria: Person
) -> None:
    page = page_at()
    page.goto(f"http://127.0.0.1:{port}/trial")
    sign_in(page, sqlite_instance, maria)
    page.wait_for_url(f"http://127.0.0.1:{port}/trial")
    page.goto(f"http://localhost:{port}/")  # another site, as a browser sees it
    page.evaluate("address => { location.href = address }", f"http://127.0.0.1:{port}/trial/{ROW}")
    page.get_by_text(str(ROW), exact=True).wait_for()


def test_a_link_in_web_mail_leads_to_the_sign_in_and_then_to_the_page(
    page_at: Callable[..., Page], port: int, sqlite_instance: Instance, maria: Person
) -> None:
    page = page_at()
    page.goto(f"http://localhost:{port}/")
    page.evaluate("address => { location.href = address }", f"http://127.0.0.1:{port}/trial/{ROW}")
    page.get_by_label("Work email").wait_for()
    sign_in(page, sqlite_instance, maria)
    page.get_by_text(str(ROW), exact=True).wait_for()


def test_a_form_on_another_site_cannot_sign_anybody_in(
    page_at: Callable[..., Page], port: int, maria: Person
) -> None:
    door = f"http://127.0.0.1:{port}/sign-in"
    page = page_at()
    page.goto(door)
    trap = f'<form method="post" action="{door}"><input name="email" value="x"><button>Win</button></form>'
    page.route(
        f"http://localhost:{port}/trap", lambda route: route.fulfill(body=trap, content_type="text/html")
    )
    page.goto(f"http://localhost:{port}/trap")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Win").click()
    assert answered.value.status == 403
