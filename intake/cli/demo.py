"""`intake demo`: made-up leads through the real door, for looking at a desk that is not empty.

Names are neutral, numbers are those set aside for fiction (555-0100 to 555-0199), addresses are at
example.org: nobody can be reached by any of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import click
from rich.progress import track

from intake.cli.opening import opened
from intake.conf.clinic import Channel
from intake.core.errors import Refused
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.leads import form, form_token
from intake.leads.submission import submit

MOST = 500
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
    "--leads", "count", default=20, show_default=True, type=click.IntRange(1, MOST), help="How many."
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
    token = form_token.fresh(language=language, statements=instance.statements, now=now - _READING)
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
