"""The public form as a browser holds it: its fields, what is typed and ticked, and what came back."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

NAME, PHONE, EMAIL = "Zaraïda O’Quickfeather", "(305) 555-0123", "zaraida.quick@example.org"
"""Canaries: words that occur nowhere else."""


@dataclass
class Element:
    """One start tag with its attributes, and the words inside it."""

    tag: str
    attributes: dict[str, str]
    words: str = ""


@dataclass
class Page:
    """Every element of a page, flat."""

    elements: list[Element] = field(default_factory=list)

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


def answers(web: FlaskClient, path: str = "/", **changes: object) -> dict[str, object]:
    """Good answers on a fresh page; a change to None leaves the question out."""
    given = {
        "token": read(web.get(path)).typed("token"),
        "website": "",
        "preferred_name": NAME,
        "channels": ["call", "email"],
        "phone": PHONE,
        "email": EMAIL,
        "voicemail": "no",
        "windows": ["weekday_morning", "saturday_morning"],
        "region": "US-FL",
        "time_zone": "America/New_York",
        "asking_for": "self",
        "call_language": "es",
        "adult": "yes",
        "consent_use": "yes",
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def code_on(page: Page) -> str:
    """The private code on a confirmation."""
    return re.sub(r"\s", "", page.one("output", id="code-words").words)
