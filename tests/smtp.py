"""A real mail server on the loopback, good and bad, and the certificates it shows.

`mail_server(...)` starts one; its `fault` may be changed while it runs. Nothing leaves the machine.
"""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from enum import StrEnum
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "localhost"


class Fault(StrEnum):
    """What a server does wrong. The numbers are answers; to RCPT, or to the end of the letter."""

    NONE = ""
    DROP_AT_DOT = "drop at the final dot, after the letter was kept"
    RCPT_421 = "rcpt 421 Try later, jane.canary@example.org"
    RCPT_451 = "rcpt 451 Greylisted, jane.canary@example.org"
    RCPT_550 = "rcpt 550 No mailbox here by the name of jane.canary@example.org"
    DATA_421 = "data 421 Shutting down, says the server"
    DATA_451 = "data 451 Local error, says the server"
    DATA_554 = "data 554 Refused, says the server"


@dataclass
class Received:
    """One letter that a server kept."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def letter(self) -> EmailMessage:
        """The letter, parsed."""
        return message_from_bytes(self.raw, policy=default)

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return str(self.letter["Message-ID"])


@dataclass
class MailServer:
    """An SMTP server in a thread. What it keeps is in `received`, connections are counted."""

    fault: Fault = Fault.NONE
    refuses: str = ""
    """A recipient that gets 550, whatever else the server does."""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    when_received: Callable[[Received], None] = lambda _: None
    """Called with every letter kept, before the server answers."""

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802  aiosmtpd's name
        self.connections += not session.ssl
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address == self.refuses:
            return Fault.RCPT_550.partition(" ")[2]
        if self.fault.startswith("rcpt"):
            return self.fault.partition(" ")[2]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.fault.startswith("data"):
            return self.fault.partition(" ")[2]
        kept = Received(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        self.received.append(kept)
        self.when_received(kept)
        if self.fault is Fault.DROP_AT_DOT:
            server.transport.abort()
        return "250 OK"


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as files."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A server's TLS with this certificate."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.chain, self.key)
        return made


class Authority:
    """A certificate authority of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("An authority for tests")
        self._certificate = self._build(self._name, self._key, authority=True).sign(
            self._key, hashes.SHA256()
        )
        self.file = self._write("authority", self._certificate)

    def issue(self, name: str = HOST, *, days: int = 1, trusted: bool = True) -> Certificate:
        """A certificate for `name` that ends in `days` days; signed by us, or only by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        builder = self._build(subject, key, issuer=self._name if trusted else subject, days=days, host=name)
        signer = self._key if trusted else key
        stem = f"{name}-{days}-{trusted}"
        key_file = self.folder / f"{stem}.key"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Certificate(self._write(stem, builder.sign(signer, hashes.SHA256())), key_file)

    def _build(self, subject, key, *, issuer=None, days=1, host="", authority=False):
        now = datetime.now(UTC)
        signer = self._key.public_key() if issuer != subject else key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
            .add_extension(_usage(authority=authority), critical=True)
        )
        if not host:
            return builder
        names = [x509.DNSName(host)]
        if host == HOST:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return builder.add_extension(x509.SubjectAlternativeName(names), critical=False)

    def _write(self, stem: str, certificate: x509.Certificate) -> Path:
        path = self.folder / f"{stem}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class _Running:
    """An asyncio loop in a thread with one listening socket; closed on exit."""

    def __init__(self, protocol: Callable[[], SMTP], tls: ssl.SSLContext | None) -> None:
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._met: list[SMTP] = []
        self.port = 0

    def start(self) -> int:
        """The port on which it listens."""
        self._thread.start()
        self._listening.wait()
        return self.port

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        opening = self._loop.create_server(self._meet, "127.0.0.1", 0, ssl=self._tls)
        server = self._loop.run_until_complete(opening)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        for _ in range(3):  # whoever has only just come in is known after a turn, and can be sent away
            self._loop.run_until_complete(asyncio.sleep(0))
        server.close()
        self._finish()

    def _meet(self) -> SMTP:
        self._met.append(self._protocol())
        return self._met[-1]

    def _finish(self) -> None:
        for each in self._met:
            if each.transport:  # closing it would wait, under TLS, for a goodbye that nobody hears any more
                each.transport.abort()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """Close everything and wait until it is."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def _accepts(_server, _session, _envelope, _mechanism, account) -> AuthResult:
    known = (account.login, account.password) == (b"intake", b"a password")
    return AuthResult(success=known, handled=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the clinic trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailServer]]:
    """Starts mail servers; stops them afterwards.

    `certificate` is shown after STARTTLS, or from the first byte when `implicit`; without one the
    server offers no TLS at all.
    """
    running: list[_Running] = []

    def start(
        certificate: Certificate | None = None,
        *,
        implicit: bool = False,
        signed_in: bool = False,
        fault: Fault = Fault.NONE,
    ) -> MailServer:
        server = MailServer(fault=fault)
        tls = certificate.context() if certificate else None
        options = {
            "hostname": "mail.example.org",
            "tls_context": None if implicit else tls,
            "require_starttls": bool(tls) and not implicit,
            "authenticator": _accepts,
            "auth_required": signed_in,
        }
        running.append(_Running(lambda: SMTP(server, **options), tls if implicit else None))
        server.port = running[-1].start()
        return server

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def dripping_server() -> Iterator[Callable[[bytes, float], int]]:
    """Starts servers that accept a connection and then say `words` again and again, byte by byte.

    With no words the server is silent. Returns the port.
    """
    listeners: list[socket.socket] = []
    over = threading.Event()

    def start(words: bytes = b"", pause: float = 0.05) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_drip, args=(listener, words, pause, over), daemon=True).start()
        return listener.getsockname()[1]

    yield start
    over.set()
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # or its thread would wait for the next one for ever
        listener.close()


def _drip(listener: socket.socket, words: bytes, pause: float, over: threading.Event) -> None:
    with suppress(OSError):
        while not over.is_set():
            connection, _ = listener.accept()
            threading.Thread(target=_speak, args=(connection, words, pause, over), daemon=True).start()


def _speak(connection: socket.socket, words: bytes, pause: float, over: threading.Event) -> None:
    with suppress(OSError), connection:
        while not over.wait(pause):
            for letter in words:
                connection.sendall(bytes([letter]))
                if over.wait(pause):
                    return
