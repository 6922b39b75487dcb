"""Every page that the public can be shown, by a short name, and a browser that is handed one of them."""

from collections.abc import Callable
from io import BytesIO
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from playwright.sync_api import Page, Route
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from intake.app import create_app
from intake.core.errors import TooMany, Unavailable
from intake.core.paths import STATIC
from intake.instance import Instance
from tests.client import fill_in
from tests.factories import ask

SITE = "http://looked.at"
FORM = "application/x-www-form-urlencoded"
Show = Callable[[FlaskClient, Instance, str], TestResponse]


def at(path: str) -> Show:
    """The page of a plain link."""
    return lambda web, _, prefix: web.get(prefix + path)


def kept(path: str, **more: str) -> Show:
    """What an act on a kept request answers."""
    return lambda web, instance, prefix: web.post(prefix + path, data={"code": ask(instance).code, **more})


def wrong(web: FlaskClient, _: Instance, prefix: str) -> TestResponse:
    """The form with everything to put right."""
    given = fill_in(web, f"{prefix}/", preferred_name="", phone="12", email="me@", windows=None, region="")
    return web.post(
        f"{prefix}/", data=given | {"adult": "", "consent_use": "", "channels": ["call", "email"]}
    )


def damaged(web: FlaskClient, _: Instance, prefix: str) -> TestResponse:
    """The form with a file in it that nobody asked for."""
    given = fill_in(web, f"{prefix}/") | {"file": (BytesIO(b"x"), "x.txt")}
    return web.post(f"{prefix}/", data=given, content_type="multipart/form-data")


def confirmed(web: FlaskClient, _: Instance, prefix: str) -> TestResponse:
    """The one page to keep, with all it can hold."""
    given = fill_in(web, f"{prefix}/", channels=["call", "text", "email"], tell_article="yes")
    return web.post(f"{prefix}/", data=given)


def without_code(web: FlaskClient, instance: Instance, prefix: str) -> TestResponse:
    """Contact stopped by reference and number."""
    data = {"reference": ask(instance).lead.reference, "address": "305 555 0123"}
    return web.post(f"{prefix}/manage/without-code", data=data)


def failing(failure: Exception) -> Show:
    """The page for a failure."""

    def show(web: FlaskClient, instance: Instance, prefix: str) -> TestResponse:
        app = create_app(instance)

        def fail() -> None:
            raise failure

        app.add_url_rule(f"{prefix}/fail", view_func=fail)
        return app.test_client().get(f"{prefix}/fail")

    return show


def refused(status: int) -> HTTPException:
    """A failure of Werkzeug with this status."""
    failure = HTTPException()
    failure.code = status
    return failure


PAGES: dict[str, Show] = {
    "form": at("/"),
    "form with errors": wrong,
    "form damaged": damaged,
    "confirmation": confirmed,
    "privacy": at("/privacy"),
    "safety": at("/safety"),
    "card": at("/card"),
    "under 18": at("/under-18"),
    "manage": at("/manage"),
    "manage with a wrong code": lambda web, _, prefix: web.post(f"{prefix}/manage", data={"code": "x"}),
    "manage open": kept("/manage"),
    "manage with a wrong number": kept("/manage/contact", kind="phone", phone="12"),
    "manage without times": kept("/manage/windows"),
    "manage stopped": kept("/manage/stop"),
    "manage erased": kept("/manage/erase"),
    "stopped without the code": without_code,
    "404": at("/nothing-here"),
    "405": lambda web, _, prefix: web.delete(f"{prefix}/privacy"),
    "413": failing(refused(413)),
    "415": lambda web, _, prefix: web.post(f"{prefix}/", data="{}", content_type="application/json"),
    "429": failing(TooMany(retry_after=90)),
    "500": failing(RuntimeError()),
    "503": failing(Unavailable()),
}
STATUS = {
    "form with errors": 422,
    "form damaged": 422,
    "manage with a wrong code": 422,
    "manage with a wrong number": 422,
    "manage without times": 422,
    **{name: int(name) for name in PAGES if name.isdecimal()},
}
"""What each answers; 200 where nothing stands."""


def show(page: Page, html: bytes, headers: dict[str, str]) -> None:
    """Open this very answer in a browser; beside it there are our own files and nothing else."""

    def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        if not route.request.url.startswith(SITE):
            route.abort()
        elif address.path.startswith("/static/"):
            route.fulfill(path=STATIC / address.path.removeprefix("/static/"))
        else:
            route.fulfill(body=html, headers=headers)

    page.unroute_all()
    page.route("**/*", answer)
    page.goto(f"{SITE}/shown")
