"""Canaries: a request through the whole submission path, rolled back, and one real mail a day.

A defect found here would otherwise be found by the person whose request is refused.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import func, select

from intake import outbox
from intake.act import Act
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.leads import form, form_token
from intake.leads.submission import submit
from intake.monitoring.response_time_checks import HEARTBEAT
from intake.outbox import Mail, OutboxMessage

JOB = HEARTBEAT
DAY = timedelta(days=1)
_FILL_TIME = timedelta(minutes=1)
"""Age of the form token: a form that is sent at once is suspected to come from a machine."""
_ANSWERS: Mapping[str, Sequence[str]] = {
    "preferred_name": ["Heartbeat"],
    "channels": [Channel.EMAIL.value],
    "email": ["heartbeat@example.org"],
    "windows": [Window.ANY.value],
    "adult": [form.YES],
    "consent_use": [form.YES],
}


class _RolledBack(Exception):
    """Raised to roll the transaction back."""


def canary_submission(instance: Instance) -> int:
    """Parse, validate, seal and write one request in each language, and roll it back; nothing is stored.

    Raises what a person would have met. Returns how many languages were tried.
    """
    answers = {**_ANSWERS, "region": [instance.clinic.region]}
    for language in LANGUAGES:
        now = instance.clock()
        token = form_token.new_token(language=language, statements=instance.statements, now=now - _FILL_TIME)
        request = form.read_form(answers, token=token, clinic=instance.clinic, now=now)
        with suppress(_RolledBack), instance.database.transaction(use_reserve=False) as session:
            submit(Act(session, instance), request)
            raise _RolledBack
    return len(LANGUAGES)


def daily_mail(instance: Instance) -> int:
    """Enqueue a constant mail to the second contacts if the last one is a day old. Returns how many."""
    now = instance.clock()
    with instance.database.transaction() as session:
        newest = session.scalar(
            select(func.max(OutboxMessage.created_at)).where(OutboxMessage.mail == Mail.DAILY)
        )
        if newest and now - DAY < newest <= now:
            return 0
        recipients = instance.clinic.notices.second_contacts
        return len(outbox.enqueue(session, Mail.DAILY, clinic_recipients=recipients, at=now))
