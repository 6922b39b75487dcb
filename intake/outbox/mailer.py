"""Handing letters over: to the clinic's mail server with Flask-Mail, or to a folder in development.

Flask-Mail 0.10 verifies no certificate, waits for ever and lets its farewell hide the real error
(dependencies.md, fact 1; reliability.md, fact 4). What is overridden here puts that right: TLS is
verified, of version 1.2 or later and never given up; every step has a timeout and every letter a
deadline, however slowly the server drips; a failure is told as a code, never in the server's words.
"""

import mailbox
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from threading import Timer
from typing import Any, Protocol

from flask import Flask
from flask_mail import Connection, Mail, Message

from intake.conf.settings import Settings, Tls
from intake.outbox.messages import RenderedMessage

STEPS = 3
"""A letter may take this many timeouts altogether, from the connection to the server's last word."""
FOLDER = "mail"
_LASTING = 500

Send = Callable[[RenderedMessage], None]
"""Hands one letter over. Returns once it was accepted; raises NotSent."""


class NotSent(Exception):
    """A letter was not accepted, or the answer was lost.

    `code` is a class name and, where there is one, the server's number. `refused` means that the
    server will not have this recipient. `cut_off` means that there was no talking to the server.
    """

    def __init__(self, code: str, *, refused: bool = False, cut_off: bool = False) -> None:
        self.code = code
        self.refused = refused
        self.cut_off = cut_off
        super().__init__(code)


class Mailer(Protocol):
    """Where letters go."""

    def batch(self) -> AbstractContextManager[Send]:
        """A way to send several letters over one connection, opened with the first of them."""


def open_mailer(settings: Settings) -> Mailer:
    """The mailer that `settings` ask for: the mail server, or the folder where mail is caught."""
    if settings.smtp_host:
        return FlaskMailer(settings)
    return MaildirMailer(settings.data_dir / FOLDER)


class FlaskMailer:
    """Sends through the mail server. Carries its own small application, so it works in any process."""

    def __init__(self, settings: Settings) -> None:
        self._app = Flask("intake.outbox", static_folder=None)
        self._app.config.from_mapping(_flask_mail_settings(settings))
        self._mail = _VerifiedMail(self._app, settings)

    @contextmanager
    def batch(self) -> Iterator[Send]:
        """Letters share one connection until one fails; the next then opens another."""
        with self._app.app_context():
            line = self._mail.connect()
            try:
                yield line.hand_over
            finally:
                line.hang_up()


def _flask_mail_settings(settings: Settings) -> dict[str, Any]:
    return {
        "MAIL_SERVER": settings.smtp_host,
        "MAIL_PORT": settings.smtp_port,
        "MAIL_USERNAME": settings.smtp_username or None,
        "MAIL_PASSWORD": settings.smtp_password or None,
        "MAIL_USE_TLS": settings.smtp_tls is Tls.STARTTLS,
        "MAIL_USE_SSL": settings.smtp_tls is Tls.IMPLICIT,
        "MAIL_DEBUG": False,  # it would print the conversation (NT-06)
        "MAIL_SUPPRESS_SEND": False,
    }


class _VerifiedMail(Mail):
    """Flask-Mail, with connections of ours."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        super().__init__(app)
        self._settings = settings
        self._tls = _verifying(settings.smtp_ca_file)

    def connect(self) -> "_Line":
        return _Line(self, self._settings, self._tls)


def _verifying(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class _Line(Connection):
    """One connection at a time to the mail server, opened when it is first needed."""

    def __init__(self, mail: Mail, settings: Settings, tls: ssl.SSLContext) -> None:
        super().__init__(mail)
        self._settings = settings
        self._tls = tls
        self._talking: smtplib.SMTP | None = None

    def hand_over(self, letter: RenderedMessage) -> None:
        """Send one letter before its deadline. Raises NotSent; the next letter starts afresh."""
        deadline = _Deadline(self._settings.smtp_timeout * STEPS, self._cut)
        try:
            with deadline:
                self.host = self.host or self.configure_host()
                self.send(_Envelope(letter))
        except Exception as failure:  # noqa: BLE001  none of the server's words may leave here
            self._drop()
            raise _told(failure, late=deadline.passed) from None

    def configure_host(self) -> smtplib.SMTP:
        """Connect, protect the connection and sign in. Raises OSError or SMTPException."""
        chosen = self._settings
        try:
            if chosen.smtp_tls is Tls.IMPLICIT:
                host: smtplib.SMTP = _WatchedTls(self, context=self._tls)
            else:
                host = _Watched(self)
            if chosen.smtp_tls is Tls.STARTTLS:
                host.starttls(context=self._tls)  # raises when the server does not offer it
            if chosen.smtp_username:
                host.login(chosen.smtp_username, chosen.smtp_password)
        except BaseException:
            self._drop()
            raise
        return host

    def address(self) -> dict[str, Any]:
        """Where to connect, for how long to wait, and the name to greet with: not this machine's."""
        chosen = self._settings
        return {
            "host": chosen.smtp_host,
            "port": chosen.smtp_port,
            "timeout": chosen.smtp_timeout,
            "local_hostname": chosen.mail_from.rpartition("@")[2],
        }

    def watch(self, talking: smtplib.SMTP) -> None:
        """Remember who is talking, from before the first word, so that the deadline can end it."""
        self._talking = talking

    def hang_up(self) -> None:
        """Say goodbye if there is somebody to say it to; nothing that happens here matters."""
        with suppress(OSError, smtplib.SMTPException), _Deadline(self._settings.smtp_timeout, self._cut):
            if self.host:
                self.host.quit()
        self._drop()

    def _cut(self) -> None:
        """End the conversation from outside: whoever waits for the server stops waiting."""
        talking = self._talking
        line = talking.sock if talking else None  # looked up once: the other thread may drop it meanwhile
        if line:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._talking:
            self._talking.close()
        self.host = self._talking = None


class _Watched(smtplib.SMTP):
    """An SMTP client that shows itself to its line before the server can keep it waiting."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(**line.address())

    def connect(self, *where: Any, **how: Any) -> tuple[int, bytes]:
        self._line.watch(self)
        return super().connect(*where, **how)


class _WatchedTls(smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""

    def __init__(self, line: _Line, *, context: ssl.SSLContext) -> None:
        self._line = line
        super().__init__(**line.address(), context=context)

    def connect(self, *where: Any, **how: Any) -> tuple[int, bytes]:
        self._line.watch(self)
        return super().connect(*where, **how)


class _Deadline:
    """Calls `end` when the block takes longer than `seconds`; `passed` says whether it did."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self.passed = False
        self._end = end
        self._timer = Timer(seconds, self._strike)
        self._timer.daemon = True

    def _strike(self) -> None:
        self.passed = True
        self._end()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class _Envelope(Message):
    """A letter as Flask-Mail wants it; the bytes are the letter's own."""

    def __init__(self, letter: RenderedMessage) -> None:
        super().__init__(sender=letter.sender, recipients=[letter.recipient])
        self._raw = letter.raw

    def as_bytes(self) -> bytes:
        return self._raw


def _told(failure: Exception, *, late: bool) -> NotSent:
    """What went wrong, without a word of the server's and without an address."""
    if late:
        return NotSent("DeadlinePassed", cut_off=True)
    if isinstance(failure.__context__, TimeoutError):
        failure = failure.__context__  # smtplib calls a silent server one that hung up
    name = type(failure).__name__
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        number = min((code for code, _ in failure.recipients.values()), default=0)
        return NotSent(f"{name} {number}", refused=number >= _LASTING)
    if isinstance(failure, smtplib.SMTPResponseException):
        spoke = isinstance(failure, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
        return NotSent(f"{name} {failure.smtp_code}", cut_off=not spoke)
    return NotSent(name, cut_off=True)


@dataclass(frozen=True)
class MaildirMailer:
    """Development without a mail server: letters land as files in a Maildir, nothing leaves."""

    folder: Path

    @contextmanager
    def batch(self) -> Iterator[Send]:
        """Letters are kept one file each, written to the disk before send returns."""
        yield self._keep

    def _keep(self, letter: RenderedMessage) -> None:
        try:
            mailbox.Maildir(self.folder).add(letter.raw)
        except OSError as failure:
            raise NotSent(type(failure).__name__, cut_off=True) from None

    def caught(self, *, limit: int) -> list[EmailMessage]:
        """What landed here, newest first, at most `limit`; empty when nothing did."""
        files = sorted(self.folder.glob("new/*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [message_from_bytes(path.read_bytes(), policy=default) for path in files[:limit]]
