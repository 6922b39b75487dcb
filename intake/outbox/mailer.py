"""Mail transport: the clinic's mail server through Flask-Mail, or a Maildir in development.

Flask-Mail 0.10 verifies no certificate, has no timeout, and lets an error of QUIT hide the one before it. The
subclasses here correct that: TLS 1.2 or later with verification and without fallback; a timeout for every
step and a deadline for every message, so that a slow server cannot block the relay; failures as codes, never
in the server's words, because a server may quote the address.
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

TIMEOUTS_PER_MESSAGE = 3
"""The deadline of one message, from connecting to the last reply, in multiples of the SMTP timeout."""
MAIL_FOLDER = "mail"
_PERMANENT_FAILURE = 500

Send = Callable[[RenderedMessage], None]
"""Sends one message. Returns once the server has accepted it; raises NotSent."""


class NotSent(Exception):
    """A message was not accepted, or the reply was lost.

    `code`: the class of the error and, where there is one, the SMTP reply code. `refused`: the server
    rejected the recipient permanently. `connection_lost`: the server could not be reached or spoken to.
    """

    def __init__(self, code: str, *, refused: bool = False, connection_lost: bool = False) -> None:
        self.code = code
        self.refused = refused
        self.connection_lost = connection_lost
        super().__init__(code)


class Mailer(Protocol):
    """A mail transport."""

    def batch(self) -> AbstractContextManager[Send]:
        """Return a context that yields a function to send messages over one connection."""


def open_mailer(settings: Settings) -> Mailer:
    """Return the transport that `settings` configure: the mail server, or a Maildir in the data folder."""
    if settings.smtp_host:
        return FlaskMailer(settings)
    return MaildirMailer(settings.data_dir / MAIL_FOLDER)


class FlaskMailer:
    """Sends through the mail server. Brings its own Flask application, so that it works in any process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app = Flask("intake.outbox", static_folder=None)
        self._mail = Mail(self._app)
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.smtp_ca_file:
            self._tls.load_verify_locations(settings.smtp_ca_file)

    @contextmanager
    def batch(self) -> Iterator[Send]:
        """Send over one connection; after a failure the next message opens a new one."""
        with self._app.app_context():
            connection = _Connection(self._mail, self._settings, self._tls)
            try:
                yield connection.deliver
            finally:
                connection.close()


class _Connection(Connection):
    """One connection at a time to the mail server, opened when it is first needed."""

    def __init__(self, mail: Mail, settings: Settings, tls: ssl.SSLContext) -> None:
        super().__init__(mail)
        self._settings = settings
        self._tls = tls
        self._client: smtplib.SMTP | None = None

    def deliver(self, message: RenderedMessage) -> None:
        """Send one message within its deadline. Raises NotSent; the next then opens a new connection."""
        deadline = _Deadline(self._settings.smtp_timeout * TIMEOUTS_PER_MESSAGE, self._abort)
        try:
            with deadline:
                self.host = self.host or self.configure_host()
                self.send(_FlaskMessage(message))
        except Exception as failure:  # noqa: BLE001  the server's words must not be passed on
            self._discard()
            raise _not_sent(failure, late=deadline.passed) from None

    def configure_host(self) -> smtplib.SMTP:
        """Connect, start TLS and sign in. Raises OSError or SMTPException."""
        settings = self._settings
        try:
            if settings.smtp_tls is Tls.IMPLICIT:
                host: smtplib.SMTP = _TlsClient(self, context=self._tls)
            else:
                host = _Client(self)
            if settings.smtp_tls is Tls.STARTTLS:
                host.starttls(context=self._tls)  # raises when the server does not offer it
            if settings.smtp_username:
                host.login(settings.smtp_username, settings.smtp_password)
        except BaseException:
            self._discard()
            raise
        return host

    def address(self) -> dict[str, Any]:
        """Return the SMTP client's arguments: server, timeout in seconds, HELO name (not the host's own)."""
        settings = self._settings
        return {
            "host": settings.smtp_host,
            "port": settings.smtp_port,
            "timeout": settings.smtp_timeout,
            "local_hostname": settings.mail_from.rpartition("@")[2],
        }

    def attach(self, client: smtplib.SMTP) -> None:
        """Register the client before it connects, so that the deadline can abort it."""
        self._client = client

    def close(self) -> None:
        """Send QUIT if connected, and close. Errors are ignored: every message was accepted or reported."""
        with suppress(OSError, smtplib.SMTPException), _Deadline(self._settings.smtp_timeout, self._abort):
            if self.host:
                self.host.quit()
        self._discard()

    def _abort(self) -> None:
        """Shut the socket down from the timer's thread, which ends a blocking read or write."""
        client = self._client
        sock = client.sock if client else None  # read once: the other thread may close it meanwhile
        if sock:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _discard(self) -> None:
        if self._client:
            self._client.close()
        self.host = self._client = None


class _Client(smtplib.SMTP):
    """An SMTP client that registers with its connection before it connects."""

    def __init__(self, connection: _Connection, **arguments: Any) -> None:
        self._connection = connection
        super().__init__(**connection.address(), **arguments)

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self._connection.attach(self)
        return super().connect(*args, **kwargs)


class _TlsClient(_Client, smtplib.SMTP_SSL):
    """The same with implicit TLS."""


class _Deadline:
    """Calls `on_timeout` when the block takes longer than `seconds`; `passed` tells whether it did."""

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self.passed = False
        self._on_timeout = on_timeout
        self._timer = Timer(seconds, self._expire)
        self._timer.daemon = True

    def _expire(self) -> None:
        self.passed = True
        self._on_timeout()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class _FlaskMessage(Message):
    """A rendered message as Flask-Mail's type; its bytes are sent unchanged."""

    def __init__(self, message: RenderedMessage) -> None:
        super().__init__(sender=message.sender, recipients=[message.recipient])
        self._raw = message.raw

    def as_bytes(self) -> bytes:
        return self._raw


def _not_sent(failure: Exception, *, late: bool) -> NotSent:
    """Map an exception to NotSent, without the server's words and without an address."""
    if late:
        return NotSent("DeadlinePassed", connection_lost=True)
    if isinstance(failure.__context__, TimeoutError):
        failure = failure.__context__  # smtplib reports a timeout as a disconnection
    name = type(failure).__name__
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        number = min((code for code, _ in failure.recipients.values()), default=0)
        return NotSent(f"{name} {number}", refused=number >= _PERMANENT_FAILURE)
    if isinstance(failure, smtplib.SMTPResponseException):
        spoke = isinstance(failure, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
        return NotSent(f"{name} {failure.smtp_code}", connection_lost=not spoke)
    return NotSent(name, connection_lost=True)


@dataclass(frozen=True)
class MaildirMailer:
    """For development without a mail server: messages are stored in a Maildir and not sent."""

    folder: Path

    @contextmanager
    def batch(self) -> Iterator[Send]:
        """Store each message as a file, which is on disk when the call returns."""
        yield self._store

    def _store(self, message: RenderedMessage) -> None:
        try:
            mailbox.Maildir(self.folder).add(message.raw)
        except OSError as failure:
            raise NotSent(type(failure).__name__, connection_lost=True) from None

    def messages(self, *, limit: int) -> list[EmailMessage]:
        """Return at most `limit` stored messages, newest first."""
        files = sorted(self.folder.glob("new/*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [message_from_bytes(path.read_bytes(), policy=default) for path in files[:limit]]
