"""A person asking, for the tests: sensible answers, any of which a test may change."""

from dataclasses import replace

from intake.act import Act
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import form_token
from intake.leads.form import Request
from intake.leads.models import AskingFor
from intake.leads.submission import Submitted, submit

NAME, PHONE, EMAIL = "Zaraïda Quickfeather", "+13055550123", "zaraida.quickfeather@example.org"
"""Canaries: words that occur nowhere else."""


def request_for(instance: Instance, **changes: object) -> Request:
    """What somebody in Florida asks on a fresh page: call or email, weekday mornings, no voicemail."""
    language = changes.get("language", "en")
    token = form_token.new_token(language=language, statements=instance.statements, now=instance.clock())
    asked = Request(
        preferred_name=NAME,
        channels=frozenset({Channel.CALL, Channel.EMAIL}),
        phone=PHONE,
        email=EMAIL,
        voicemail=False,
        windows=frozenset({Window.WEEKDAY_MORNING}),
        region="US-FL",
        time_zone="America/New_York",
        asking_for=AskingFor.SELF,
        tell_article=False,
        language=language,
        article=None,
        token=token,
        suspected=None,
    )
    return replace(asked, **changes)


def ask(instance: Instance, **changes: object) -> Submitted:
    """Send such a request, in a transaction of its own."""
    with instance.database.transaction() as session:
        return submit(Act(session, instance), request_for(instance, **changes))
