"""What a terminal says once everything runs: where to look, how to sign in, how to stop."""

import http.client
from contextlib import closing
from urllib.parse import urlsplit

import click

from intake.clock import ahead
from intake.settings import EVERYWHERE, Settings
from intake.staff.first import FirstAccount

_SECONDS = 5


def answers(settings: Settings) -> bool:
    """Whether the web server answers on its own address."""
    host = "localhost" if settings.host in EVERYWHERE else settings.host
    name = urlsplit(settings.base_url).netloc
    try:
        with closing(http.client.HTTPConnection(host, settings.port, timeout=_SECONDS)) as line:
            line.request("GET", "/healthz", headers={"Host": name})
            return line.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def words(settings: Settings, account: FirstAccount | None) -> str:
    """The whole greeting."""
    lines = [("The form", f"{settings.base_url}/"), ("The desk", f"{settings.base_url}/desk")]
    if settings.development and not settings.smtp_host:
        lines.append(("The mailbox", f"{settings.base_url}/dev/mail"))
    lines.append(("", ""))
    lines += _how_to_sign_in(settings, account)
    lines += [("", ""), ("Kept in", str(settings.data_dir)), ("To stop", "press Ctrl-C")]
    shown = (f"  {click.style(f'{name:<12}', bold=True)} {value}".rstrip() for name, value in lines)
    return "\n".join(["", *shown, ""])


def _how_to_sign_in(settings: Settings, account: FirstAccount | None) -> list[tuple[str, str]]:
    if account:
        code = account.code(ahead(settings.time_shift)())
        return [
            ("Sign in as", account.email),
            ("Password", account.password),
            (
                "Code now",
                f"{code}   (for a new one: ./dev intake staff code)",
            ),
        ]
    if settings.development:
        return [("Sign in", "with an account of yours; `./dev intake staff list` names them")]
    return [("Sign in", "with an account of yours; `intake staff add` makes one")]
