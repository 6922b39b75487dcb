"""`intake leads`: ending by hand what the relay ends by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, track

from intake.cli.context import opened
from intake.conf.clinic import Channel
from intake.core.errors import Refused
from intake.core.i18n import LANGUAGES, translate
from intake.instance import Instance
from intake.leads import form, form_token
from intake.leads.submission import submit
from intake.privacy import retention
from intake.privacy.retention import Preview, Purged


@click.group("leads")
def leads_command() -> None:
    """Erase requests that have been kept long enough."""


@leads_command.command()
@click.option("--dry-run", is_flag=True, help="Only say how many would go and why, and how many are held.")
def purge(*, dry_run: bool) -> None:
    """Erase for good every request whose time is over; the relay does it by itself every hour."""
    with opened() as instance:
        if dry_run:
            _print_purged(_previewed(instance), instance)
            return
        found = _purge(instance)
    click.echo(f"{_counted(found.count)} erased.")
    if found.failed:
        raise Refused(f"Not erased, though due: {found.failed}. Run `intake doctor`, then try again.")


def _previewed(instance: Instance) -> Preview:
    with instance.database.reading() as session:
        return retention.preview(session, until=instance.clock())


def _print_purged(found: Preview, instance: Instance) -> None:
    """Counts by reason; nothing about anybody."""
    click.echo(f"{_counted(found.count)} due. Nothing was changed.")
    kept = instance.clinic.retention
    days = {"open_days": kept.open_days, "closed_days": kept.closed_days}
    for why, count in found.due.items():
        click.echo(f"  {count} because {translate(why.sentence, 'en', **days)}.")
    if found.kept:
        click.echo(f"{_counted(found.kept)} held back for a legal reason.")
    for reason, count in found.held.items():
        click.echo(f"  {count} held: {translate(reason.sentence, 'en')}.")


def _purge(instance: Instance) -> Purged:
    columns = (TextColumn("Erasing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Erasing", total=None)
        return retention.purge(
            instance, on_progress=lambda done, of: progress.update(task, completed=done, total=of)
        )


def _counted(number: int) -> str:
    return "1 request is" if number == 1 else f"{number} requests are"


# --- `intake demo`: made-up leads through the real door, for looking at a desk that is not empty.
# Names are neutral, numbers are those set aside for fiction (555-0100 to 555-0199), addresses are at
# example.org: nobody can be reached by any of it.

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
SPAN = timedelta(hours=12)
"""How far back the leads are spread. The linker looks one day behind its newest event, no further."""
_READING = timedelta(minutes=2)


@click.command("demo")
@click.option(
    "--leads", "count", default=20, show_default=True, type=click.IntRange(1, MOST_REQUESTS), help="How many."
)
def demo_command(count: int) -> None:
    """Fill a development instance with made-up leads, as if they came in over the last twelve hours."""
    with opened() as instance:
        if not instance.settings.development:
            raise Refused("Made-up leads belong in development only: INTAKE_MODE is production here.")
        for number in track(range(count), description="Leads"):
            _submit(_at_its_moment(instance, number, count), number)
    click.echo(f"{count} leads were added.")


def _at_its_moment(instance: Instance, number: int, count: int) -> Instance:
    """The same instance at the time when lead `number` of `count` comes in; the last comes now."""
    moment = instance.clock() - SPAN * (count - 1 - number) / count
    return replace(instance, clock=lambda: moment)


def _submit(instance: Instance, number: int) -> None:
    now = instance.clock()
    language = LANGUAGES[number % 3 == 2]  # noqa: PLR2004  every third in Spanish
    token = form_token.new_token(language=language, statements=instance.statements, now=now - _READING)
    request = form.read_form(answers(number), token=token, clinic=instance.clinic, now=now)
    with instance.database.transaction(taking_in=True) as session:
        submit(session, request, instance=instance)


def answers(number: int) -> Mapping[str, Sequence[str]]:
    """What the made-up person number so-and-so types and ticks, as a form sends it."""
    name, (region, area) = NAMES[number % len(NAMES)], PLACES[number % len(PLACES)]
    channels = CHANNELS[number % len(CHANNELS)]
    typed = {
        "preferred_name": [name],
        "channels": [channel.value for channel in channels],
        "windows": list(WINDOWS[number % len(WINDOWS)]),
        "region": [region],
        "asking_for": [ASKING_FOR[number % len(ASKING_FOR)]],
        "adult": [form.YES],
        "consent_use": [form.YES],
    }
    if {Channel.CALL, Channel.TEXT} & set(channels):
        typed["phone"] = [f"({area}) 555-{100 + number % 100:04}"]
    if Channel.CALL in channels:
        typed["voicemail"] = [form.VOICEMAIL_YES if number % 2 else form.VOICEMAIL_NO]
    if Channel.EMAIL in channels:
        typed["email"] = [f"{name.lower()}.{number}@example.org"]
    return typed
