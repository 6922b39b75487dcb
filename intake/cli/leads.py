"""`intake leads purge`, which the relay also runs by itself, and `intake demo`, which submits made-up leads.

Demo leads pass the same validation and submission as those of the form. Names are neutral, numbers are those
reserved for fiction (555-0100 to 555-0199), addresses are at example.org: no real person can be reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import click
from rich.progress import track

from intake.act import Act
from intake.cli.context import open_instance, progress
from intake.conf.clinic import Channel
from intake.core.errors import Refused
from intake.core.i18n import DEFAULT, LANGUAGES, translate
from intake.instance import Instance
from intake.leads import form, form_token
from intake.leads.submission import submit
from intake.privacy import retention


@click.group("leads")
def leads_command() -> None:
    """Erase requests that have been kept long enough."""


@leads_command.command()
@click.option("--dry-run", is_flag=True, help="Only say how many would go and why, and how many are held.")
def purge(*, dry_run: bool) -> None:
    """Erase for good every request whose time is over; the relay does it by itself every hour."""
    with open_instance() as instance:
        if not dry_run:
            with progress("Erasing") as on_progress:
                purged = retention.purge(instance, on_progress=on_progress)
            click.echo(f"{_counted(purged.count)} erased.")
            if purged.failed:
                raise Refused(
                    f"Not erased, though due: {purged.failed}. Run `intake doctor`, then try again."
                )
            return
        with instance.database.reading() as session:
            preview = retention.preview(session, until=instance.clock())
    click.echo(f"{_counted(preview.count)} due. Nothing was changed.")
    kept_for = instance.clinic.retention
    days = {"open_days": kept_for.open_days, "closed_days": kept_for.closed_days}
    for why, count in preview.due.items():
        click.echo(f"  {count} because {translate(why.sentence, DEFAULT, **days)}.")
    if preview.kept:
        click.echo(f"{_counted(preview.kept)} held back for a legal reason.")
    for reason, count in preview.held.items():
        click.echo(f"  {count} held: {translate(reason.sentence, DEFAULT)}.")


def _counted(number: int) -> str:
    return "1 request is" if number == 1 else f"{number} requests are"


MOST_REQUESTS = 500
NAMES = ("Alex", "Sam", "Jordan", "Ariel", "Robin", "Noel", "Camila", "Dana", "Luz", "Kim", "Andrea", "Rene")
PLACES = (("US-FL", "305"), ("US-NY", "212"), ("US-CA", "310"), ("US-GA", "404"), ("US-FL", "813"))
CHANNELS: tuple[tuple[Channel, ...], ...] = (
    (Channel.CALL,),
    (Channel.CALL, Channel.TEXT),
    (Channel.CALL, Channel.EMAIL),
    (Channel.TEXT,),
    (Channel.CALL, Channel.TEXT, Channel.EMAIL),
    (Channel.EMAIL,),
    (Channel.CALL,),
)
WINDOWS = (("any",), ("weekday_morning",), ("any",), ("weekday_afternoon", "weekday_morning"), ("any",))
ASKING_FOR = ("self", "", "other", "self", "", "professional")
CALL_LANGUAGES = ("", "es", "", "", "other")
SPAN = timedelta(hours=12)
"""How far back the leads are spread; the chain links events up to one day before its newest one."""
_FILL_TIME = timedelta(minutes=2)


@click.command("demo")
@click.option(
    "--leads", "count", default=20, show_default=True, type=click.IntRange(1, MOST_REQUESTS), help="How many."
)
def demo_command(count: int) -> None:
    """Fill a development instance with made-up leads, as if they came in over the last twelve hours."""
    with open_instance() as instance:
        if not instance.settings.development:
            raise Refused("Made-up leads belong in development only: INTAKE_MODE is production here.")
        for number in track(range(count), description="Leads"):
            _submit(instance, number, at=instance.clock() - SPAN * (count - 1 - number) / count)
    click.echo(f"{count} leads were added.")


def _submit(instance: Instance, number: int, *, at: datetime) -> None:
    """Submit the form of made-up person `number` as if it were `at`."""
    language = tuple(LANGUAGES)[number % 3 == 2]  # noqa: PLR2004  every third in another
    token = form_token.new_token(language=language, statements=instance.statements, now=at - _FILL_TIME)
    request = form.read_form(form_data(number), token=token, clinic=instance.clinic, now=at)
    with instance.database.transaction(use_reserve=False) as session:
        submit(Act(session, replace(instance, clock=lambda: at)), request)


def form_data(number: int) -> Mapping[str, Sequence[str]]:
    """Form data of made-up person `number`, as a browser would send it."""
    name, (region, area) = NAMES[number % len(NAMES)], PLACES[number % len(PLACES)]
    channels = CHANNELS[number % len(CHANNELS)]
    data = {
        "preferred_name": [name],
        "channels": [channel.value for channel in channels],
        "windows": list(WINDOWS[number % len(WINDOWS)]),
        "region": [region],
        "asking_for": [ASKING_FOR[number % len(ASKING_FOR)]],
        "call_language": [CALL_LANGUAGES[number % len(CALL_LANGUAGES)]],
        "adult": [form.YES],
        "consent_use": [form.YES],
    }
    if {Channel.CALL, Channel.TEXT} & set(channels):
        data["phone"] = [f"({area}) 555-{100 + number % 100:04}"]
    if Channel.CALL in channels:
        data["voicemail"] = [form.VOICEMAIL_YES if number % 2 else form.VOICEMAIL_NO]
    if Channel.EMAIL in channels:
        data["email"] = [f"{name.lower()}.{number}@example.org"]
    return data
