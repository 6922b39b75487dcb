"""Against a real mail server: TLS is verified, every wait is bounded, failures quote nothing."""

import ssl
import uuid

import pytest

from intake.conf.clinic import load
from intake.conf.settings import Tls
from intake.core.paths import CONFIG
from intake.outbox import Mail, OutboxMessage
from intake.outbox.mailer import FlaskMailer, MaildirMailer, NotSent, open_mailer
from intake.outbox.messages import RenderedMessage, render
from tests.conftest import WEDNESDAY_TEN, settings_for
from tests.smtp import HOST, Fault


@pytest.fixture
def settings(tmp_path, authority):
    def make(port: int, **changes):
        values = {
            "smtp_host": HOST,
            "smtp_port": port,
            "smtp_timeout": 60,
            "smtp_ca_file": str(authority.file),
        }
        return settings_for(tmp_path, "sqlite://", **{**values, **changes})

    return make


@pytest.fixture
def plain(settings, mail_server):
    """A server without TLS on this machine, and the mailer for it."""
    server = mail_server()
    return server, FlaskMailer(settings(server.port, smtp_tls=Tls.NONE))


@pytest.fixture
def shown(settings, mail_server, authority):
    """A server that shows some certificate, and the mailer for it."""

    def start(issue, tls):
        server = mail_server(issue(authority), implicit=tls is Tls.IMPLICIT)
        return server, FlaskMailer(settings(server.port, smtp_tls=tls))

    return start


@pytest.fixture
def message(settings) -> RenderedMessage:
    message = OutboxMessage(id=uuid.uuid4(), mail=Mail.NEW_LEAD, recipient="ana@example.org")
    clinic = load(CONFIG / "clinic.toml")
    return render(message, clinic=clinic, settings=settings(0), at=WEDNESDAY_TEN)


def refusal(mailer, message) -> NotSent:
    """Send, and hand back why that did not work."""
    with pytest.raises(NotSent) as raised, mailer.batch() as send:
        send(message)
    return raised.value


def test_it_sends_over_verified_starttls(settings, mail_server, authority, message) -> None:
    server = mail_server(authority.issue())
    with FlaskMailer(settings(server.port)).batch() as send:
        send(message)
    (kept,) = server.received
    assert kept.raw == message.raw
    assert (kept.sender, kept.recipients) == ("intake@example.org", ["ana@example.org"])


def test_it_sends_over_tls_from_the_first_byte(settings, mail_server, authority, message) -> None:
    server = mail_server(authority.issue(), implicit=True)
    with FlaskMailer(settings(server.port, smtp_tls=Tls.IMPLICIT)).batch() as send:
        send(message)
    assert [kept.raw for kept in server.received] == [message.raw]


def test_it_signs_in_under_tls(settings, mail_server, authority, message) -> None:
    server = mail_server(authority.issue(), signed_in=True)
    chosen = settings(server.port, smtp_username="intake", smtp_password="a password")
    with FlaskMailer(chosen).batch() as send:
        send(message)
    assert len(server.received) == 1


def test_a_wrong_password_is_reported_as_a_code(settings, mail_server, authority, message) -> None:
    server = mail_server(authority.issue(), signed_in=True)
    chosen = settings(server.port, smtp_username="intake", smtp_password="another password")
    why = refusal(FlaskMailer(chosen), message)
    assert why.code == "SMTPAuthenticationError 535"
    assert why.connection_lost
    assert not why.refused


CERTIFICATES = {
    "self-signed": lambda authority: authority.issue(trusted=False),
    "wrong name": lambda authority: authority.issue("mail.example.net"),
    "expired": lambda authority: authority.issue(days=-1),
}


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("issue", CERTIFICATES.values(), ids=CERTIFICATES)
def test_it_refuses_a_certificate_that_proves_nothing(issue, tls, shown, message) -> None:
    server, mailer = shown(issue, tls)
    why = refusal(mailer, message)
    assert why.code == "SSLCertVerificationError"
    assert why.connection_lost
    assert server.received == []


def test_it_trusts_the_machines_own_authorities_only_when_no_other_is_named(
    settings, mail_server, authority, message
) -> None:
    server = mail_server(authority.issue())
    assert (
        refusal(FlaskMailer(settings(server.port, smtp_ca_file="")), message).code
        == "SSLCertVerificationError"
    )


def test_it_does_not_go_on_without_tls(settings, mail_server, message) -> None:
    server = mail_server()
    why = refusal(FlaskMailer(settings(server.port)), message)
    assert why.code == "SMTPNotSupportedError"
    assert server.received == []


def test_it_speaks_no_tls_older_than_1_2(settings, mail_server, authority) -> None:
    mailer = FlaskMailer(settings(mail_server(authority.issue()).port))
    assert mailer._tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert mailer._tls.verify_mode is ssl.CERT_REQUIRED
    assert mailer._tls.check_hostname


def test_it_is_freed_from_a_silent_server(settings, dripping_server, message) -> None:
    chosen = settings(dripping_server(), smtp_tls=Tls.NONE, smtp_timeout=1)
    assert refusal(FlaskMailer(chosen), message).code == "TimeoutError"


@pytest.mark.parametrize("words", [b"220-a slow welcome ", b"220 hello\r\n" + b"250-and so on\r\n" * 40])
def test_it_is_freed_from_a_server_that_drips(words, settings, dripping_server, message) -> None:
    # The patience for one byte is many times the pause between two: however late the server's thread gets its
    # turn, what ends the waiting is the deadline of the whole message.
    chosen = settings(dripping_server(words, 0.02), smtp_tls=Tls.NONE, smtp_timeout=1)
    why = refusal(FlaskMailer(chosen), message)
    assert why.code == "DeadlinePassed"
    assert why.connection_lost


def test_it_is_freed_when_the_server_drips_instead_of_shaking_hands(
    settings, dripping_server, message
) -> None:
    chosen = settings(dripping_server(b"\x16\x03\x03\x40\x00", 0.02), smtp_tls=Tls.IMPLICIT, smtp_timeout=0.2)
    assert refusal(FlaskMailer(chosen), message).connection_lost


def test_a_server_that_cannot_be_reached_is_reported_at_once(settings, dripping_server, message) -> None:
    why = refusal(FlaskMailer(settings(1, smtp_tls=Tls.NONE)), message)
    assert why.code == "ConnectionRefusedError"


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault.RCPT_421, ("SMTPRecipientsRefused 421", False, False)),
        (Fault.RCPT_451, ("SMTPRecipientsRefused 451", False, False)),
        (Fault.RCPT_550, ("SMTPRecipientsRefused 550", True, False)),
        (Fault.DATA_421, ("SMTPDataError 421", False, False)),
        (Fault.DATA_451, ("SMTPDataError 451", False, False)),
        (Fault.DATA_554, ("SMTPDataError 554", False, False)),
        (Fault.DROP_AT_DOT, ("SMTPServerDisconnected", False, True)),
    ],
)
def test_a_failure_is_a_class_and_a_number(fault, raised, plain, message) -> None:
    server, mailer = plain
    server.fault = fault
    why = refusal(mailer, message)
    assert (why.code, why.refused, why.connection_lost) == raised
    assert why.__suppress_context__


def test_a_batch_shares_one_connection(plain, message) -> None:
    server, mailer = plain
    with mailer.batch() as send:
        for _ in range(5):
            send(message)
    assert (server.connections, len(server.received)) == (1, 5)


def test_a_batch_goes_on_after_a_failure(plain, message) -> None:
    server, mailer = plain
    with mailer.batch() as send:
        server.fault = Fault.DROP_AT_DOT
        with pytest.raises(NotSent):
            send(message)
        server.fault = Fault.NONE
        send(message)
    assert (server.connections, len(server.received)) == (2, 2)


def test_an_idle_batch_connects_to_nobody(plain) -> None:
    server, mailer = plain
    with mailer.batch():
        pass
    assert server.connections == 0


def test_a_failing_farewell_does_not_hide_what_went_well(plain, message) -> None:
    server, mailer = plain
    with mailer.batch() as send:
        send(message)
        send.__self__.host.sock.close()
    assert len(server.received) == 1


def test_it_greets_with_the_senders_domain(plain, message) -> None:
    server, mailer = plain
    greeted = []
    answer = server.handle_EHLO

    async def listen(smtp, session, envelope, hostname, responses):
        greeted.append(hostname)
        return await answer(smtp, session, envelope, hostname, responses)

    server.handle_EHLO = listen
    with mailer.batch() as send:
        send(message)
    assert greeted == ["example.org"]


def test_it_never_prints_the_conversation(plain, message, capfd) -> None:
    _, mailer = plain
    mailer._app.debug = True
    with mailer.batch() as send:
        send(message)
    assert capfd.readouterr() == ("", "")


def test_without_a_mail_server_letters_land_in_a_folder(settings, tmp_path, message) -> None:
    mailer = open_mailer(settings(0, smtp_host=""))
    assert isinstance(mailer, MaildirMailer)
    with mailer.batch() as send:
        send(message)
    (file,) = (tmp_path / "mail" / "new").iterdir()
    assert file.read_bytes() == message.raw
    assert (tmp_path / "mail").stat().st_mode & 0o077 == 0
    assert [mail["Message-ID"] for mail in mailer.messages(limit=5)] == [mail_id(message)]


def mail_id(message: RenderedMessage) -> str:
    return message.raw.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()


def test_a_folder_that_nobody_wrote_to_holds_nothing(tmp_path) -> None:
    assert MaildirMailer(tmp_path / "mail").messages(limit=5) == []


def test_a_folder_that_cannot_be_written_is_a_failure_like_any_other(tmp_path, message) -> None:
    (tmp_path / "mail").write_text("in the way")
    assert refusal(MaildirMailer(tmp_path / "mail"), message).connection_lost
