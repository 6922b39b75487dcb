"""What a terminal says once everything runs: where to look, how to sign in, how to stop."""

import http.client
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import urlsplit

import click

from intake.accounts.dev_account import FirstAccount
from intake.calling.availability import contactable
from intake.calling.promise import MINUTE, open_now
from intake.calling.windows import Window
from intake.conf.clinic import Channel
from intake.conf.settings import EVERYWHERE, Settings
from intake.core.clock import ahead
from intake.instance import Instance

_SECONDS = 5
_INTO_THE_MORNING = 15


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


def words(settings: Settings, account: FirstAccount | None, hours: Sequence[str] = ()) -> str:
    """The whole greeting; `hours` are lines about a clinic that is closed."""
    lines = [("The form", f"{settings.base_url}/"), ("The desk", f"{settings.base_url}/desk")]
    if settings.development and not settings.smtp_host:
        lines.append(("The mailbox", f"{settings.base_url}/dev/mail"))
    lines.append(("", ""))
    lines += _how_to_sign_in(settings, account)
    if hours:
        lines += [("", ""), *(("" if place else "Closed now", line) for place, line in enumerate(hours))]
    lines += [("", ""), ("Kept in", str(settings.data_dir)), ("To stop", "press Ctrl-C")]
    shown = (f"  {_bold(f'{name:<12}')} {value}" if value else "" for name, value in lines)
    return "\n".join(["", *shown, ""])


def _bold(words: str) -> str:
    return click.style(words, bold=True) if words.strip() else words


def while_closed(instance: Instance) -> list[str]:
    """How to try the desk although the clinic is closed; nothing while it is open.

    Nobody can open the contact gate, but in development the clock may run ahead to a weekday morning.
    """
    now, clinic = instance.clock(), instance.clinic
    opening = open_now(clinic, now, "en")
    if opening.open:
        return []
    mornings = contactable(
        clinic,
        instance.hours,
        region=clinic.region,
        time_zone=clinic.time_zone,
        windows={Window.WEEKDAY_MORNING},
        channel=Channel.CALL,
        start=now,
    )
    told = [f"The clinic {opening.sentence[0].lower()}{opening.sentence[1:]}; until then no number is shown."]
    if mornings:
        ahead_by = (mornings[0].start - now) // MINUTE + _INTO_THE_MORNING + instance.settings.time_shift
        told += [
            "To try the desk as on a weekday morning, stop and start again with",
            f"INTAKE_TIME_SHIFT={ahead_by} make run",
        ]
    return told


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
