"""One word for each field, sent down every path we know, good and bad; then looked for everywhere (K3).

Everywhere: the log at its most talkative with every library's own log beside it, mails, figures, each file
of the data folder and of the backups, each row of the database, each process and what it was started with.
"""

import base64
import io
import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from intake import backup
from intake.accounts.models import Role
from intake.app import create_app
from intake.conf.settings import Tls
from intake.core import logging as core_logging
from intake.db.engine import Database
from intake.db.types import Base
from intake.instance import Instance
from intake.jobs import alerts
from intake.jobs.scheduler import run_due
from intake.leads.models import Lead
from intake.outbox import sender
from intake.outbox.mailer import open_mailer
from tests.backup.conftest import BACKUP_KEY
from tests.cli.conftest import Service, processes_of, until
from tests.client import Desk, code_on, field, fill_in, read
from tests.drills.asking import TOKEN, code_in, form_of, sent
from tests.factories import every, hire
from tests.smtp import HOST, Fault, mail_server
from tests.web.desk.test_slips import form, press

__all__ = ["mail_server"]

NAME, PHONE, EMAIL = "Quorbinella", "(305) 555-0171", "vextraline.moop@example.org"
NEW_PHONE, NEW_EMAIL, NOTE = "(305) 555-0172", "brindlewack@example.org", "after the plumbago shift"
VOICE, CALLER, STRANGER = "Thrumbold", "(305) 555-0173", "(305) 555-0174"
SECRET, TRAP, UNKNOWN = "wrongsecretsnozzle", "trapwordgribble", "fieldwordsquill"
WORDS = (NAME, "vextraline", "brindlewack", "plumbago", VOICE, SECRET, TRAP, UNKNOWN)
NUMBERS = tuple(form.format(last) for form in ("305555017{}", "555-017{}") for last in (1, 2, 3, 4))
"""Ten figures: so many do not come together by chance in what is written in hexadecimal."""
DAMAGE = b'--m\r\nContent-Disposition: form-data; name="preferred_name"\r\n\r\nQuorbinella\r\n--m\r\n'


class Gone(Exception):
    """A defect whose own words quote a person."""

    def __init__(self) -> None:
        super().__init__(f"{NAME} {PHONE} {EMAIL} {NOTE}")


def broken_statement() -> IntegrityError:
    """What SQLAlchemy says quotes the values of a row."""
    return IntegrityError("INSERT INTO lead VALUES (?)", {"name": NAME, "phone": PHONE}, ValueError(EMAIL))


class Walk:
    """One browser of a person and one of staff, and the paths they take."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.web = create_app(instance).test_client()
        self.desk = Desk(instance, hire(instance, "Ana Ruiz", *Role))
        self.code = ""

    def form(self, **changes: object) -> dict[str, object]:
        values = {"preferred_name": NAME, "phone": PHONE, "email": EMAIL, "windows": ["any"]}
        return fill_in(self.web, **{**values, **changes})

    @property
    def lead(self) -> Lead:
        """The newest request, as the database has it."""
        return max(every(self.instance, Lead), key=lambda each: (each.asked_at, str(each.id)))

    def ask(self) -> None:
        """A good form, the same once more, and the same page with other words."""
        given = self.form()
        first = self.web.post("/", data=given)
        assert first.status_code == 200
        self.web.post("/", data=given)
        assert self.web.post("/", data=given | {"phone": STRANGER}).status_code == 409
        self.code = code_on(read(first))

    def ask_badly(self) -> None:
        """What has to be put right, what is damaged, too much, no form, a trap, a question that is none."""
        self.web.post("/", data=self.form(region="", email=f"{EMAIL}@@", phone="30555501719999"))
        self.web.post("/", data=self.form(website=TRAP))
        self.web.post("/", data=self.form(**{UNKNOWN: UNKNOWN}))
        self.web.post("/", data=self.form() | {"file": (io.BytesIO(NAME.encode()), f"{NAME}.txt")})
        self.web.post("/", data=self.form(preferred_name=NAME * 9000))
        self.web.post("/", data=DAMAGE, content_type="multipart/form-data; boundary=m")
        self.web.post("/", data=f'{{"name": "{NAME}"}}', content_type="application/json")
        self.web.post("/", data=self.form(token=f"x{NAME}"))
        self.web.post("/es/", data=self.form() | {"switch": "es"})
        for path in (f"/{NAME}", f"/manage/{NAME}?q={PHONE}", f"/?article={NAME}", f"/static/{NAME}"):
            self.web.get(path, headers={"Referer": f"http://x.example/{EMAIL}", "User-Agent": NAME})
        self.web.get("/", headers={"Host": f"{NAME}.example"})
        self.web.delete(f"/privacy?{NAME}")

    def manage(self) -> None:
        """See, correct rightly and wrongly, change, copy in both ways, receipt, and by the reference."""
        own = {"code": self.code}
        self.web.post("/manage", data=own)
        self.web.post("/manage", data={"code": NAME})
        shown = field(self.web.post("/manage", data=own).text, "shown")
        new = {"shown": shown, "channels": ["call", "email"], "voicemail": "no"}
        self.web.post("/manage/contact", data={**own, **new, "kind": "phone", "phone": NEW_PHONE})
        self.web.post("/manage/contact", data={**own, **new, "kind": "phone", "phone": f"{PHONE}9999"})
        self.web.post("/manage/contact", data={**own, **new, "kind": "email", "email": NEW_EMAIL})
        self.web.post("/manage/windows", data={**own, "windows": [NAME]})
        for kind in ("text", "json"):
            assert self.web.post("/receipt", data={**own, "as": kind}).status_code == 200
            self.web.post("/manage/copy", data={**own, "as": kind, "kind": "copy", "address": NEW_PHONE})
            self.web.post("/manage/copy", data={**own, "as": kind, "kind": "copy", "address": STRANGER})
        self.web.post("/manage/without-code", data={"reference": NAME, "address": STRANGER})

    def work(self) -> None:
        """Sign in wrongly, find, look, write the note, note an outcome, undo it, be late, take a call."""
        door = self.web.get("/sign-in").text
        wrong = {"csrf": field(door, "csrf"), "email": EMAIL, "password": SECRET, "code": "123456"}
        self.web.post("/sign-in", data=wrong, headers={"Sec-Fetch-Site": "same-origin"})
        for term in (PHONE, NEW_PHONE, NEW_EMAIL, STRANGER, NAME):
            self.desk.post("/desk/find", term=term)
        lead = self.lead
        self.desk.act(lead, "claim")
        assert NAME in self.desk.act(lead, "reveal", channel="call").text
        self.desk.act(lead, "note", note=NOTE, mark=field(self.desk.lead(lead), "mark"))
        self.desk.act(lead, "note", note=NOTE * 90, mark=SECRET)
        stale = form(self.desk.lead(lead), "outcome")
        assert self.desk.note(lead, "no_answer").status_code == 303
        self.desk.post(f"/desk/leads/{lead.id}/outcome", **{**stale, "channel": "call", "outcome": "reached"})
        press(self.desk, lead, "undo", form(self.desk.lead(lead), "undo"))
        assert self.desk.take_down(preferred_name=VOICE, phone=CALLER).status_code == 200
        self.desk.take_down(preferred_name=VOICE, phone=f"{CALLER}99")
        self.desk.post("/desk/stop", term=CALLER)
        self.desk.post("/desk/log/find", term=NAME)
        self.desk.get(f"/desk?show={NAME}")

    def leave(self) -> None:
        """Stop by the reference and by the code, and erase."""
        self.web.post("/manage/without-code", data={"reference": self.lead.reference, "address": CALLER})
        self.web.post("/manage/drop", data={"code": self.code, "channel": "email"})
        self.web.post("/manage/stop", data={"code": self.code})

    def break_inside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A defect at the heart of every act, which quotes the person; and a row that is refused."""
        lead = self.lead
        hearts = (
            "intake.leads.submission._store", "intake.privacy.self_service.open_request",
            "intake.casework.queue.one",
            "intake.casework.search.read_contact", "intake.web.templating.asset",
        )  # fmt: skip
        for heart in hearts:
            for defect in (Gone(), broken_statement()):
                with monkeypatch.context() as broken:
                    broken.setattr(heart, _raising(defect))
                    self._every_way(lead)

    def lose_the_database(self) -> None:
        """No table is there any more, for whoever asks and whoever works."""
        nowhere = Database("sqlite:////nowhere/at/all.sqlite3", lock=self.instance.settings.data_dir / "lock")
        cookie = self.desk.web.get_cookie("intake").value
        usual, self.web = self.web, create_app(replace(self.instance, database=nowhere)).test_client()
        self.web.set_cookie("intake", cookie, path="/")
        self.web.post("/", data=self.form())
        self.web.post("/manage/stop", data={"code": self.code})
        self.web.post("/desk/find", data={"term": PHONE}, headers={"Sec-Fetch-Site": "same-origin"})
        self.web = usual

    def _every_way(self, lead: Lead) -> None:
        try:
            given = self.form()
        except (ValueError, AttributeError):  # the page itself is broken
            given = {"preferred_name": NAME, "phone": PHONE}
        self.web.post("/", data=given)
        self.web.post("/manage", data={"code": self.code})
        self.web.post("/manage/without-code", data={"reference": lead.reference, "address": PHONE})
        for path in (
            f"/desk/leads/{lead.id}/reveal",
            f"/desk/leads/{lead.id}/note",
            "/desk/find",
            "/desk/stop",
        ):
            data = {"csrf": self._csrf, "channel": "call", "note": NOTE, "term": PHONE}
            self.desk.web.post(path, data=data, headers={"Sec-Fetch-Site": "same-origin"})

    @property
    def _csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.desk.get("/desk/account").text)
        return found[1] if found else ""


def _raising(defect: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise defect

    return fail


# --- where we look -------------------------------------------------------------------------------------


def spellings(word: str) -> Iterator[bytes]:
    """A word as it might stand in a file: in other letters, in hexadecimal, in an address, in base64."""
    for letters in (word, word.lower(), word.upper()):
        plain = letters.encode()
        yield from (plain, plain.hex().encode(), quote(letters).encode(), letters.encode("utf-16-le"))
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + plain)
            yield coded[ceil(8 * shift / 6) : 8 * (shift + len(plain)) // 6]  # what no neighbour changes


def found_in(where: bytes, *secrets: str) -> list[str]:
    return [word for word in (*WORDS, *NUMBERS, *secrets) for form in spellings(word) if form in where]


def files_below(*folders: Path) -> bytes:
    return b"\n".join(each.read_bytes() for folder in folders for each in folder.rglob("*") if each.is_file())


def dump(instance: Instance) -> bytes:
    """Every row of every table, as the database itself writes it."""
    with instance.database.reading() as session:
        rows = [session.execute(text(f'SELECT * FROM "{name}"')).all() for name in Base.metadata.tables]
    return "\n".join(_plain(value) for table in rows for row in table for value in row).encode()


def _plain(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes) else str(value)


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bytes]]:
    """The log at DEBUG, with every library told to say all it can; gives what was said."""
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    levels = {name: logging.getLogger(name).level for name in list(logging.root.manager.loggerDict)}
    core_logging.configure("DEBUG")
    logging.getLogger().setLevel(logging.DEBUG)
    for name in levels:  # a statement and its values are told at INFO already
        logging.getLogger(name).setLevel(logging.INFO if name.startswith("sqlalchemy") else logging.DEBUG)
    yield lambda: heard.getvalue().encode()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().setLevel(logging.WARNING)
    structlog.reset_defaults()


@pytest.fixture
def walk(make_instance, database_url, tmp_path, mail_server) -> Walk:
    (tmp_path / "backups").mkdir()
    server = mail_server(fault=Fault.RCPT_550)
    instance = make_instance(
        database_url,
        log_level="DEBUG",
        backup_key=BACKUP_KEY,
        backup_dir=str(tmp_path / "backups"),
        smtp_host=HOST,
        smtp_port=server.port,
        smtp_tls=Tls.NONE,
    )
    found = Walk(instance)
    found.server = server
    return found


def test_no_word_of_anybody_is_found_anywhere(
    walk: Walk, talkative, clock, monkeypatch, tmp_path: Path
) -> None:
    walk.ask()
    walk.ask_badly()
    send_mails(walk, clock)
    walk.manage()
    walk.work()
    walk.break_inside(monkeypatch)
    walk.lose_the_database()
    backup.take(walk.instance)
    walk.leave()
    scrape = walk.web.get("/metrics", headers={"Authorization": "Bearer a-token-for-tests-only"})
    assert scrape.status_code == 200
    logged = talkative()
    assert logged.count(b"unexpected_failure") > 10, "too little was broken to show anything"
    reference = max((each.reference for each in every(walk.instance, Lead)), key=len)
    assert found_in(logged, walk.code, reference, "jane.canary") == []
    assert b"sqlalchemy" in logged, "the libraries were not heard"
    mails = b"".join(each.raw for each in walk.server.received)
    assert len(walk.server.received) > 3
    assert found_in(mails, walk.code, reference) == []
    assert found_in(scrape.data, walk.code, reference) == []
    assert found_in(dump(walk.instance), walk.code, "jane.canary") == []
    assert found_in(files_below(tmp_path), walk.code, "jane.canary") == []


def send_mails(walk: Walk, clock) -> None:
    """Refused first, by a server that quotes an address; then taken; reminders and the alarm too."""
    mailer = open_mailer(walk.instance.settings)
    for fault in (Fault.RCPT_550, Fault.DATA_451, Fault.DROP_AT_DOT, Fault.NONE):
        walk.server.fault = fault
        clock.move(hours=1)
        sender.deliver_due(
            walk.instance.database,
            mailer,
            clinic=walk.instance.clinic,
            settings=walk.instance.settings,
            clock=clock,
            limit=50,
        )
        run_due(walk.instance)
        alerts.check_once(walk.instance, mailer)


def test_the_glasses_see_a_word_where_there_is_one() -> None:
    for word in (NAME, *NUMBERS):
        for shown in (word.encode(), word.upper().encode(), word.encode().hex().encode()):
            assert word in found_in(b"..." + shown + b"...")
        for shift in range(3):
            assert word in found_in(base64.b64encode(b"x" * shift + word.encode() + b"yy"))


def test_no_process_says_who_asked(make_service: Callable[..., Service]) -> None:
    """The real service at DEBUG: what it says, what its processes are called, what they were started with."""
    service = make_service(INTAKE_LOG_LEVEL="DEBUG")
    service.start("run")
    service.wait_until_up()
    token = TOKEN.search(sent(service.port, "GET").words)[1]
    typed = form_of(1, token, preferred_name=NAME, phone=PHONE)
    code = code_in(sent(service.port, "POST", form=typed).words)
    assert code
    sent(service.port, "POST", form=f"{typed}&region=")
    sent(service.port, "POST", "/manage", form=f"code={code}")
    sent(service.port, "GET", f"/{NAME}?{NAME}")
    until(lambda: list(service.folder.glob("mail/new/*")), "staff were told")
    for pid, line in processes_of(service.folder).items():
        assert found_in(line.encode() + Path(f"/proc/{pid}/environ").read_bytes(), code) == []
    service.end()  # now no file comes or goes while we read
    assert found_in(service.words.encode(), code) == []
    assert found_in(files_below(service.folder), code) == []
